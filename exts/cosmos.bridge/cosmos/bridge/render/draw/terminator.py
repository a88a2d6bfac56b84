"""Soft shadow terminators: polygons shaded as smooth cast shadows as smooth too."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.matter import corner_weights
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})


@wp.func
def is_flat(world: WorldArrays, f: wp.int32, g: wp.vec3):
    """Whether a triangle is shaded as the polygon that it is, and so casts its shadow as one."""
    s = world.sources[f]
    a = world.corner_normals[s, 0]
    apart = wp.length_sq(world.corner_normals[s, 1] - a) + wp.length_sq(world.corner_normals[s, 2] - a)
    n = world.normal_to_world[world.instances[f]] * a
    cosine = wp.dot(n, g)
    return apart == 0.0 and cosine * cosine > 0.999998 * wp.dot(n, n)


@wp.func
def _bulge(world: WorldArrays, f: wp.int32, corner: wp.int32, way: wp.vec3, geometric: wp.vec3, weight: wp.float32):
    """What one corner adds to the lift: the way up from the point to that corner's tangent plane."""
    n = world.normal_to_world[world.instances[f]] * world.corner_normals[world.sources[f], corner]
    length = wp.length(n)
    if length < 1.0e-12:
        return wp.vec3(0.0, 0.0, 0.0)
    n = n / length
    if wp.dot(n, geometric) < 0.0:
        n = -n
    return n * (wp.max(0.0, -wp.dot(way, n)) * weight)


@wp.func
def lift_of(world: WorldArrays, f: wp.int32, p: wp.vec3, geometric: wp.vec3):
    """Way from a point of triangle ``f`` up to the smooth surface that its corner normals mean.

    J. Hanika, Hacking the Shadow Terminator, Ray Tracing Gems II, 2021. Zero on flat and on hollow surfaces.
    """
    a = world.points[world.triangles[3 * f]]
    b = world.points[world.triangles[3 * f + 1]]
    c = world.points[world.triangles[3 * f + 2]]
    weights = corner_weights(p, a, b, c)
    return (
        _bulge(world, f, 0, p - a, geometric, weights[0])
        + _bulge(world, f, 1, p - b, geometric, weights[1])
        + _bulge(world, f, 2, p - c, geometric, weights[2])
    )


__all__ = ["is_flat", "lift_of"]
