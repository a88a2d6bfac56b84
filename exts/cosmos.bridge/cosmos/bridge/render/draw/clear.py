"""Triangles that may be seen through, drawn by the rasteriser over those that may not."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined, call-overload"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.matter import is_seen
from cosmos.bridge.render.draw.raster import depth_on, pinhole_ray, plane_of
from cosmos.bridge.render.draw.view import ORTHOGRAPHIC, View
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})


@wp.kernel
def draw_clear_kernel(
    row_start: wp.int32,
    row_end: wp.int32,
    run: wp.int32,
    seen: wp.array(dtype=wp.int32),
    boxes: wp.array(dtype=wp.vec4i),
    world: WorldArrays,
    points: wp.array(dtype=wp.vec3),
    view: View,
    depths_out: wp.array2d(dtype=wp.float32),
    triangles_out: wp.array2d(dtype=wp.int32),
):
    """Triangles that may be seen through, over those that may not; a fragment that is not seen leaves no trace."""
    for index in range(wp.tid() * run, wp.min((wp.tid() + 1) * run, seen.shape[0])):
        f = seen[index]
        box = boxes[f]
        y0 = wp.max(box[2], row_start)
        y1 = wp.min(box[3], row_end)
        if y0 >= y1:
            continue
        plane = plane_of(world, f, points, view)
        if plane.na == 0.0:
            continue
        for y in range(y0, y1):
            for x in range(box[0], box[1]):
                ray = pinhole_ray(view, x, y)
                t = depth_on(plane, ray)
                if t > 0.0:
                    old = depths_out[y, x]
                    nearer = t < old or (t == old and f < triangles_out[y, x])
                    if nearer and t >= view.near and t <= view.far:
                        place = ray * t
                        if view.lens == ORTHOGRAPHIC:  # back from the map of parallel.as_pinhole
                            place = wp.vec3(ray[0], ray[1], 1.0 / t - view.limit)
                        solid = is_seen(world, f, wp.transform_point(view.camera_to_world, place))
                        if solid:
                            depths_out[y, x] = t
                            triangles_out[y, x] = f


@wp.kernel
def mark_kernel(
    row_start: wp.int32,
    row_end: wp.int32,
    run: wp.int32,
    seen: wp.array(dtype=wp.int32),
    boxes: wp.array(dtype=wp.vec4i),
    world: WorldArrays,
    points: wp.array(dtype=wp.vec3),
    view: View,
    depths: wp.array2d(dtype=wp.float32),
    marks_out: wp.array2d(dtype=wp.uint8),
):
    """Mark what triangles cover at or before ``depths``."""
    for index in range(wp.tid() * run, wp.min((wp.tid() + 1) * run, seen.shape[0])):
        f = seen[index]
        box = boxes[f]
        y0 = wp.max(box[2], row_start)
        y1 = wp.min(box[3], row_end)
        if y0 >= y1:
            continue
        plane = plane_of(world, f, points, view)
        if plane.na == 0.0:
            continue
        for y in range(y0, y1):
            for x in range(box[0], box[1]):
                t = depth_on(plane, pinhole_ray(view, x, y))
                if t > 0.0 and t >= view.near and t <= depths[y, x]:
                    marks_out[y, x] = wp.uint8(1)


__all__ = ["draw_clear_kernel", "mark_kernel"]
