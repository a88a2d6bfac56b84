"""Which triangle each pixel sees: a rasteriser on the CPU, rays on CUDA, one answer.

Both fill ``triangles`` (int32, -1 where nothing is seen) and ``depths`` (in lengths of ``pixel_ray``: distance to the
image plane [m], for a fisheye to the camera). Bent lenses are always seen by rays.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined, call-overload"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.matter import is_seen
from cosmos.bridge.render.draw.parallel import as_pinhole, measure_depths_kernel
from cosmos.bridge.render.draw.planes import corner_and_normal, plane_from
from cosmos.bridge.render.draw.raster import FAR_AWAY, Rasteriser, depth_on, pinhole_ray, plane_of
from cosmos.bridge.render.draw.rays import step_past
from cosmos.bridge.render.draw.view import ORTHOGRAPHIC, PINHOLE, View, make_view, pixel_ray, world_ray
from cosmos.bridge.render.draw.world import World, WorldArrays

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _rasterise_clear_kernel(
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
def _mark_kernel(
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


@wp.kernel
def _mark_cast_kernel(
    first: wp.int32,
    world: WorldArrays,
    view: View,
    depths: wp.array2d(dtype=wp.float32),
    marks_out: wp.array2d(dtype=wp.uint8),
):
    """Mark the pixels whose rays meet a blended triangle at or before ``depths``."""
    item = first + wp.tid()
    y = item // view.width
    x = item - y * view.width
    start, direction, length = world_ray(view, wp.float32(x) + 0.5, wp.float32(y) + 0.5)
    if length == 0.0:
        return
    travelled = view.near * length
    end = wp.min(depths[y, x], view.far) * length
    end = end + 1.0e-4 * (1.0 + end)
    for _layer in range(256):
        query = wp.mesh_query_ray(world.mesh, start + direction * travelled, direction, end - travelled)
        if not query.result:
            return
        if world.atlas.rows[world.materials[query.face], 24] == 2.0:
            marks_out[y, x] = wp.uint8(1)
            return
        travelled = step_past(travelled + query.t)


@wp.struct
class Hit:
    """What a ray meets first."""

    t: wp.float32  # in lengths of pixel_ray
    triangle: wp.int32  # -1 for nothing


@wp.func
def first_seen(world: WorldArrays, view: View, u: wp.float32, v: wp.float32):
    """What the ray through an image point meets first."""
    hit = Hit()
    hit.t = FAR_AWAY
    hit.triangle = wp.int32(-1)
    start, direction, length = world_ray(view, u, v)
    if length == 0.0:  # outside the image circle nothing is far: no snow falls before it
        hit.t = wp.float32(0.0)
        return hit
    travelled = view.near * length
    for _layer in range(256):  # back faces of single-sided meshes, holes and clear things are looked through
        query = wp.mesh_query_ray(world.mesh, start + direction * travelled, direction, view.far * length - travelled)
        if not query.result:
            return hit
        f = query.face
        side = world.sides[world.instances[f]]
        a, n = corner_and_normal(world, f)
        if side == 0 or wp.float32(side) * wp.dot(n, direction) < 0.0:
            away = wp.dot(n, a - start)
            if view.lens != ORTHOGRAPHIC:
                found = plane_from(world, f, view.eye)
                n = wp.vec3(found[0], found[1], found[2])
                away = found[3]
            nd = wp.dot(n, direction)
            t = travelled + query.t
            if nd != 0.0:
                t = away / nd
            if is_seen(world, f, start + direction * t):
                hit.t = t / length
                hit.triangle = f
                return hit
        travelled = travelled + query.t + 1.0e-5 * (1.0 + travelled)
    return hit


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
    hit = first_seen(world, view, wp.float32(x) + 0.5, wp.float32(y) + 0.5)
    depths_out[y, x] = hit.t
    triangles_out[y, x] = hit.triangle


class Visibility:
    """Finds what each sample of a view sees; keeps its scratch memory between frames."""

    def __init__(self, world: World, bands: Bands, *, rays: bool):
        """Choose the method.

        Args:
            world: What can be seen.
            bands: Where to launch.
            rays: Cast rays instead of rasterising; the only choice on CUDA and for bent lenses.
        """
        self._world, self._bands, self._rays = world, bands, rays or bands.device.is_cuda
        self.rasteriser = Rasteriser(world, bands)
        """Draws where rays are not cast."""
        self._clear = np.zeros(0, dtype=np.int64)

    def find(self, view: Any, depths: wp.array, triangles: wp.array) -> None:
        """Fill ``depths`` (float32 [m]) and ``triangles`` (int32), both of shape [height, width] of ``view``."""
        bands = self._bands
        flat = view if view.lens == int(PINHOLE) else None
        if not self._rays and view.lens == int(ORTHOGRAPHIC):
            flat = as_pinhole(view, self._world)
        if self._rays or flat is None:
            world = self._world.ray_ready()
            bands.launch(_cast_kernel, view.width * view.height, [world, view, depths, triangles])
            return
        raster = self.rasteriser
        self._clear = raster.draw(flat, depths, triangles)
        arguments = [self._world.arrays, raster.points, flat, depths, triangles]
        raster.draw_rows(_rasterise_clear_kernel, self._clear, view.height, arguments)
        if flat is not view:
            inputs = [self._world.arrays, view, triangles, depths]
            bands.launch(measure_depths_kernel, view.width * view.height, inputs, chunk=4096)

    def mark_blended(self, view: Any, depths: wp.array, marks: wp.array) -> None:
        """Set ``marks`` (uint8 [height, width]) to 1 where something blended lies at or before what is seen, else 0.

        Call right after ``find`` of the same view, with the ``depths`` that gave.
        """
        blended = self._world.blended
        marks.zero_()
        if blended is None or not blended.any():
            return
        if self._rays or view.lens != int(PINHOLE):
            inputs = [self._world.ray_ready(), view, depths, marks]
            self._bands.launch(_mark_cast_kernel, view.width * view.height, inputs)
            return
        arguments = [self._world.arrays, self.rasteriser.points, view, depths, marks]
        self.rasteriser.draw_rows(_mark_kernel, self._clear[blended[self._clear]], view.height, arguments)


__all__ = ["FAR_AWAY", "View", "Visibility", "first_seen", "make_view", "pixel_ray"]
