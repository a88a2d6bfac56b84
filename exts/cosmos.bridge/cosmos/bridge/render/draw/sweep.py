"""One turn of a spinning LiDAR: a ray for each channel and azimuth, and what comes back."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.matter import is_seen, surface_at
from cosmos.bridge.render.draw.rays import step_past
from cosmos.bridge.render.draw.world import World, WorldArrays

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _sweep_kernel(
    first: wp.int32,
    world: WorldArrays,
    start: wp.vec3,
    directions: wp.array(dtype=wp.vec3),
    nearest: wp.float32,
    farthest: wp.float32,
    footprint: wp.float32,  # side of a beam one metre away [m]
    ranges_out: wp.array(dtype=wp.float32),
    intensities_out: wp.array(dtype=wp.float32),
    instances_out: wp.array(dtype=wp.uint32),
    semantics_out: wp.array(dtype=wp.uint32),
):
    i = first + wp.tid()
    direction = directions[i]
    ranges_out[i] = wp.float32(wp.inf)
    intensities_out[i] = wp.float32(0.0)
    instances_out[i] = wp.uint32(0)
    semantics_out[i] = wp.uint32(0)
    travelled = nearest
    for _layer in range(256):  # back faces of single-sided meshes and holes let the beam through
        query = wp.mesh_query_ray(world.mesh, start + direction * travelled, direction, farthest - travelled)
        if not query.result:
            return
        f = query.face
        t = travelled + query.t
        owner = world.instances[f]
        side = world.sides[owner]
        a = world.points[world.triangles[3 * f]]
        n = wp.cross(world.points[world.triangles[3 * f + 1]] - a, world.points[world.triangles[3 * f + 2]] - a)
        nd = wp.dot(n, direction)
        faced = side == 0 or wp.float32(side) * nd < 0.0
        if faced and is_seen(world, f, start + direction * t):
            if nd != 0.0:
                t = wp.dot(n, a - start) / nd
            matter = surface_at(world, f, start + direction * t, direction, footprint * t)
            base = matter.base
            albedo = 0.2126 * base[0] + 0.7152 * base[1] + 0.0722 * base[2]
            ranges_out[i] = t
            intensities_out[i] = albedo * wp.max(0.0, -wp.dot(matter.normal, direction))
            instances_out[i] = wp.uint32(owner + 1)
            semantics_out[i] = world.semantics[owner]
            return
        travelled = step_past(t)


def sweep(
    bands: Bands, world: World, place: np.ndarray, directions: np.ndarray, limits: tuple[float, float], beam: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cast the beams of a LiDAR.

    Args:
        bands: Where to launch.
        world: The placed world.
        place: Where the sensor is in the world [m], shape [3].
        directions: Unit directions in the world, shape [..., 3].
        limits: Least and greatest range [m].
        beam: Angle between neighbouring beams [rad], over which textures are averaged.

    Returns:
        Ranges [m] (inf where nothing comes back), intensities in [0, 1] (Lambert: luminance of the base colour times
        the cosine of incidence), instance ids and semantic ids, each of the leading shape of ``directions``.
    """
    shape, device = directions.shape[:-1], bands.device
    flat = wp.array(directions.reshape(-1, 3).astype(np.float32), dtype=wp.vec3, device=device)
    start = np.asarray(place, np.float64) - world.origin
    kinds = (wp.float32, wp.float32, wp.uint32, wp.uint32)
    found = [wp.empty(len(flat), dtype=kind, device=device) for kind in kinds]
    inputs = [world.ray_ready(), wp.vec3(*start.tolist()), flat, float(limits[0]), float(limits[1]), float(beam)]
    bands.launch(_sweep_kernel, len(flat), [*inputs, *found])
    ranges, intensities, instances, semantics = (array.numpy().reshape(shape).copy() for array in found)
    return ranges, intensities, instances, semantics


__all__ = ["sweep"]
