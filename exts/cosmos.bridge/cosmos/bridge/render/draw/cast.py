"""What the ray through an image point sees first, for what the rasteriser does not draw."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined, call-overload"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.matter import is_seen
from cosmos.bridge.render.draw.planes import corner_and_normal, plane_from
from cosmos.bridge.render.draw.raster import FAR_AWAY
from cosmos.bridge.render.draw.rays import step_past
from cosmos.bridge.render.draw.view import ORTHOGRAPHIC, View, world_ray
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})


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
def cast_kernel(
    first: wp.int32,
    world: WorldArrays,
    view: View,
    depths_out: wp.array2d(dtype=wp.float32),
    triangles_out: wp.array2d(dtype=wp.int32),
):
    """Depth and triangle that each pixel sees."""
    item = first + wp.tid()
    y = item // view.width
    x = item - y * view.width
    hit = first_seen(world, view, wp.float32(x) + 0.5, wp.float32(y) + 0.5)
    depths_out[y, x] = hit.t
    triangles_out[y, x] = hit.triangle


@wp.kernel
def mark_cast_kernel(
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


__all__ = ["cast_kernel", "first_seen", "mark_cast_kernel"]
