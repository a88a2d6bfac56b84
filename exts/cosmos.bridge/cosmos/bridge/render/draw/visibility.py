"""Which triangle each pixel sees: a rasteriser on the CPU, rays on CUDA, one answer.

Both fill ``triangles`` (int32, -1 where nothing is seen) and ``depths`` (in lengths of ``pixel_ray``: distance to the
image plane [m], for a fisheye to the camera). Bent lenses are always seen by rays.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.matter import is_seen
from cosmos.bridge.render.draw.view import PINHOLE, View, make_view, pixel_ray, pixel_start
from cosmos.bridge.render.draw.world import World, WorldArrays

wp.set_module_options({"enable_backward": False})

FAR_AWAY = wp.constant(wp.float32(1.0e30))
"""Depth of a pixel that sees nothing; finite, so that fast arithmetic stays safe."""


@wp.func
def _ordered_cross(i: wp.int32, p: wp.vec3, j: wp.int32, q: wp.vec3):
    """Cross product that is exactly antisymmetric, so that neighbours agree on their common edge."""
    if i < j:
        return wp.cross(p, q)
    return -wp.cross(q, p)


@wp.func
def _grow(box: wp.vec4, p: wp.vec3, view: View):
    u = view.cx - view.fx * p[0] / p[2]
    v = view.cy + view.fy * p[1] / p[2]
    return wp.vec4(wp.min(box[0], u), wp.max(box[1], u), wp.min(box[2], v), wp.max(box[3], v))


@wp.func
def _grow_by_edge(box: wp.vec4, p: wp.vec3, q: wp.vec3, limit: wp.float32, view: View):
    """Extend ``box`` by the end ``p`` and by the crossing of the near plane ``z = limit`` on the edge ``p q``."""
    grown = box
    if p[2] <= limit:
        grown = _grow(grown, p, view)
    if (p[2] <= limit) != (q[2] <= limit):
        s = (limit - p[2]) / (q[2] - p[2])
        grown = _grow(grown, wp.vec3(p[0] + s * (q[0] - p[0]), p[1] + s * (q[1] - p[1]), limit), view)
    return grown


@wp.kernel
def _bound_triangles_kernel(first: wp.int32, world: WorldArrays, view: View, boxes_out: wp.array(dtype=wp.vec4i)):
    f = first + wp.tid()
    boxes_out[f] = wp.vec4i(0, 0, 0, 0)
    side = world.sides[world.instances[f]]
    if side < -1:
        return
    a = wp.transform_point(view.world_to_camera, world.points[world.triangles[3 * f]])
    b = wp.transform_point(view.world_to_camera, world.points[world.triangles[3 * f + 1]])
    c = wp.transform_point(view.world_to_camera, world.points[world.triangles[3 * f + 2]])
    if side != 0 and wp.float32(side) * wp.dot(wp.cross(b - a, c - a), a) >= 0.0:
        return
    limit = -view.near
    if a[2] > limit and b[2] > limit and c[2] > limit:
        return
    box = wp.vec4(1.0e30, -1.0e30, 1.0e30, -1.0e30)
    box = _grow_by_edge(box, a, b, limit, view)
    box = _grow_by_edge(box, b, c, limit, view)
    box = _grow_by_edge(box, c, a, limit, view)
    width = wp.float32(view.width)
    height = wp.float32(view.height)
    x0 = wp.int32(wp.clamp(wp.floor(box[0] - 0.501), 0.0, width))
    x1 = wp.int32(wp.clamp(wp.ceil(box[1] + 0.501), 0.0, width))
    y0 = wp.int32(wp.clamp(wp.floor(box[2] - 0.501), 0.0, height))
    y1 = wp.int32(wp.clamp(wp.ceil(box[3] + 0.501), 0.0, height))
    if x1 > x0 and y1 > y0:
        boxes_out[f] = wp.vec4i(x0, x1, y0, y1)


@wp.kernel
def _clear_kernel(first: wp.int32, depths_out: wp.array2d(dtype=wp.float32), triangles_out: wp.array2d(dtype=wp.int32)):
    y = first + wp.tid()
    for x in range(depths_out.shape[1]):
        depths_out[y, x] = FAR_AWAY
        triangles_out[y, x] = -1


@wp.kernel
def _rasterise_kernel(
    row_start: wp.int32,
    row_end: wp.int32,
    seen: wp.array(dtype=wp.int32),
    boxes: wp.array(dtype=wp.vec4i),
    world: WorldArrays,
    view: View,
    depths_out: wp.array2d(dtype=wp.float32),
    triangles_out: wp.array2d(dtype=wp.int32),
):
    # One thread owns the rows [row_start, row_end), so plain reads and writes are safe; not for CUDA.
    f = seen[wp.tid()]
    box = boxes[f]
    y0 = wp.max(box[2], row_start)
    y1 = wp.min(box[3], row_end)
    if y0 >= y1:
        return
    i = world.triangles[3 * f]
    j = world.triangles[3 * f + 1]
    k = world.triangles[3 * f + 2]
    a = wp.transform_point(view.world_to_camera, world.points[i])
    b = wp.transform_point(view.world_to_camera, world.points[j])
    c = wp.transform_point(view.world_to_camera, world.points[k])
    n = wp.cross(b - a, c - a)
    na = wp.dot(n, a)
    if na == 0.0:
        return
    sign = wp.sign(na)
    ea = sign * _ordered_cross(j, b, k, c)
    eb = sign * _ordered_cross(k, c, i, a)
    ec = sign * _ordered_cross(i, a, j, b)
    for y in range(y0, y1):
        dy = (view.cy - (wp.float32(y) + 0.5)) / view.fy
        ra = ea[1] * dy - ea[2]
        rb = eb[1] * dy - eb[2]
        rc = ec[1] * dy - ec[2]
        rn = n[1] * dy - n[2]
        for x in range(box[0], box[1]):
            dx = (wp.float32(x) + 0.5 - view.cx) / view.fx
            if ea[0] * dx + ra >= 0.0 and eb[0] * dx + rb >= 0.0 and ec[0] * dx + rc >= 0.0:
                nd = n[0] * dx + rn
                if nd != 0.0:
                    t = na / nd
                    if t >= view.near and t <= view.far:
                        old = depths_out[y, x]
                        if t < old or (t == old and f < triangles_out[y, x]):
                            depths_out[y, x] = t
                            triangles_out[y, x] = f


@wp.kernel
def _rasterise_clear_kernel(
    row_start: wp.int32,
    row_end: wp.int32,
    seen: wp.array(dtype=wp.int32),
    boxes: wp.array(dtype=wp.vec4i),
    world: WorldArrays,
    view: View,
    depths_out: wp.array2d(dtype=wp.float32),
    triangles_out: wp.array2d(dtype=wp.int32),
):
    """Triangles that may be seen through, over those that may not; a fragment that is not seen leaves no trace."""
    f = seen[wp.tid()]
    box = boxes[f]
    y0 = wp.max(box[2], row_start)
    y1 = wp.min(box[3], row_end)
    if y0 >= y1:
        return
    i = world.triangles[3 * f]
    j = world.triangles[3 * f + 1]
    k = world.triangles[3 * f + 2]
    a = wp.transform_point(view.world_to_camera, world.points[i])
    b = wp.transform_point(view.world_to_camera, world.points[j])
    c = wp.transform_point(view.world_to_camera, world.points[k])
    n = wp.cross(b - a, c - a)
    na = wp.dot(n, a)
    if na == 0.0:
        return
    sign = wp.sign(na)
    ea = sign * _ordered_cross(j, b, k, c)
    eb = sign * _ordered_cross(k, c, i, a)
    ec = sign * _ordered_cross(i, a, j, b)
    for y in range(y0, y1):
        for x in range(box[0], box[1]):
            ray = wp.vec3((wp.float32(x) + 0.5 - view.cx) / view.fx, (view.cy - wp.float32(y) - 0.5) / view.fy, -1.0)
            nd = wp.dot(n, ray)
            if nd != 0.0 and wp.dot(ea, ray) >= 0.0 and wp.dot(eb, ray) >= 0.0 and wp.dot(ec, ray) >= 0.0:
                t = na / nd
                old = depths_out[y, x]
                nearer = t < old or (t == old and f < triangles_out[y, x])
                if nearer and t >= view.near and t <= view.far:
                    solid = is_seen(world, f, wp.transform_point(view.camera_to_world, ray * t))
                    if solid:
                        depths_out[y, x] = t
                        triangles_out[y, x] = f


@wp.kernel
def _cast_kernel(
    first: wp.int32,
    world: WorldArrays,
    view: View,
    depths_out: wp.array2d(dtype=wp.float32),
    triangles_out: wp.array2d(dtype=wp.int32),
):
    item = first + wp.tid()
    y = item // view.width
    x = item - y * view.width
    ray = pixel_ray(view, wp.float32(x) + 0.5, wp.float32(y) + 0.5)
    depths_out[y, x] = FAR_AWAY
    triangles_out[y, x] = -1
    length = wp.length(ray)
    if length == 0.0:
        return
    direction = wp.normalize(wp.transform_vector(view.camera_to_world, ray))
    start = wp.transform_point(view.camera_to_world, pixel_start(view, wp.float32(x) + 0.5, wp.float32(y) + 0.5))
    travelled = view.near * length
    for _layer in range(256):  # back faces of single-sided meshes, holes and clear things are looked through
        query = wp.mesh_query_ray(world.mesh, start + direction * travelled, direction, view.far * length - travelled)
        if not query.result:
            return
        f = query.face
        side = world.sides[world.instances[f]]
        a = world.points[world.triangles[3 * f]]
        b = world.points[world.triangles[3 * f + 1]]
        c = world.points[world.triangles[3 * f + 2]]
        n = wp.cross(b - a, c - a)
        if side == 0 or wp.float32(side) * wp.dot(n, direction) < 0.0:
            nd = wp.dot(n, direction)
            t = travelled + query.t
            if nd != 0.0:
                t = wp.dot(n, a - start) / nd
            if is_seen(world, f, start + direction * t):
                depths_out[y, x] = t / length
                triangles_out[y, x] = f
                return
        travelled = travelled + query.t + 1.0e-5 * (1.0 + travelled)


class Visibility:
    """Finds what each sample of a view sees; keeps its scratch memory between frames."""

    def __init__(self, world: World, bands: Bands, *, rays: bool):
        """Choose the method.

        Args:
            world: What can be seen.
            bands: Where to launch.
            rays: Cast rays instead of rasterising; the only choice on CUDA and for lenses other than a pinhole.
        """
        self._world, self._bands, self._rays = world, bands, rays or bands.device.is_cuda
        self._boxes = wp.empty(max(1, world.num_triangles), dtype=wp.vec4i, device=bands.device)

    def find(self, view: Any, depths: wp.array, triangles: wp.array) -> None:
        """Fill ``depths`` (float32 [m]) and ``triangles`` (int32), both of shape [height, width] of ``view``."""
        bands = self._bands
        if self._rays or view.lens != int(PINHOLE):
            world = self._world.ray_ready()
            bands.launch(_cast_kernel, view.width * view.height, [world, view, depths, triangles])
            return
        world = self._world.arrays
        bands.launch(_clear_kernel, view.height, [depths, triangles], chunk=64)
        bands.launch(_bound_triangles_kernel, self._world.num_triangles, [world, view, self._boxes], chunk=4096)
        boxes = self._boxes.numpy()[: self._world.num_triangles]
        seen, clear = np.nonzero(boxes[:, 1])[0], self._world.see_through
        if clear is None:
            self._rasterise(_rasterise_kernel, seen, view, depths, triangles)
            return
        self._rasterise(_rasterise_kernel, seen[~clear[seen]], view, depths, triangles)
        self._rasterise(_rasterise_clear_kernel, seen[clear[seen]], view, depths, triangles)

    def _rasterise(self, kernel: Any, seen: np.ndarray, view: Any, depths: wp.array, triangles: wp.array) -> None:
        """Draw the triangles ``seen`` over what is there; each band of rows belongs to one thread."""
        if len(seen) == 0:
            return
        bands = self._bands
        drawn = wp.array(seen.astype(np.int32), dtype=wp.int32, device=bands.device)
        wp.load_module(module=kernel.module, device=bands.device)
        pieces = min(bands.threads * 2, view.height) if bands.threads > 1 else 1
        rows = [view.height * piece // pieces for piece in range(pieces + 1)]
        arguments = [drawn, self._boxes, self._world.arrays, view, depths, triangles]
        bands.run([(kernel, len(drawn), [start, end, *arguments]) for start, end in pairwise(rows)])


__all__ = ["FAR_AWAY", "View", "Visibility", "make_view", "pixel_ray"]
