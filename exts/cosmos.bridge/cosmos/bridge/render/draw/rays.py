"""Rays through a world in which some things have holes or let light through."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.matter import is_seen, opacity_at
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})

_MOST_LAYERS = wp.constant(256)
"""Surfaces that a ray passes at most; what lies behind counts as not there."""


@wp.func
def _nearest_hit(mesh: wp.uint64, start: wp.vec3, direction: wp.vec3, distance: wp.float32):
    query = wp.mesh_query_ray(mesh, start, direction, distance)
    return query.result


any_hit = getattr(wp, "mesh_query_ray_anyhit", _nearest_hit)
"""Whether a ray of this length [m] meets a mesh at all; Warp 1.5 knows only the longer way."""


@wp.func
def step_past(t: wp.float32):
    """How far along a ray to go on behind a surface met at ``t`` [m]."""
    return t + 1.0e-5 * (1.0 + t)


@wp.func
def hit_along(world: WorldArrays, start: wp.vec3, direction: wp.vec3, distance: wp.float32):
    """The nearest triangle that counts as seen, and the way to it [m]; -1 and ``distance`` where there is none."""
    travelled = wp.float32(0.0)
    for _layer in range(_MOST_LAYERS):
        query = wp.mesh_query_ray(world.mesh, start + direction * travelled, direction, distance - travelled)
        if not query.result:
            return -1, distance
        t = travelled + query.t
        if is_seen(world, query.face, start + direction * t):
            return query.face, t
        travelled = step_past(t)
    return -1, distance


@wp.func
def _passing(world: WorldArrays, f: wp.int32, p: wp.vec3):
    """Share of light that goes straight through triangle ``f`` at ``p``."""
    solid = opacity_at(world, f, p)
    row = world.materials[f]
    through = (world.atlas.rows[row, 20] + world.atlas.rows[row, 21] + world.atlas.rows[row, 22]) / 3.0
    return 1.0 - solid * (1.0 - world.atlas.rows[row, 19] * through)


@wp.func
def light_along(world: WorldArrays, start: wp.vec3, direction: wp.vec3, distance: wp.float32):
    """Share of light that comes straight along a ray of this length [m], in [0, 1]."""
    if not any_hit(world.mesh, start, direction, distance):
        return wp.float32(1.0)
    if world.clear == 0:
        return wp.float32(0.0)
    share = wp.float32(1.0)
    travelled = wp.float32(0.0)
    for _layer in range(_MOST_LAYERS):
        query = wp.mesh_query_ray(world.mesh, start + direction * travelled, direction, distance - travelled)
        if not query.result:
            return share
        t = travelled + query.t
        share = share * _passing(world, query.face, start + direction * t)
        if share < 0.004:
            return wp.float32(0.0)
        travelled = step_past(t)
    return share


__all__ = ["any_hit", "hit_along", "light_along", "step_past"]
