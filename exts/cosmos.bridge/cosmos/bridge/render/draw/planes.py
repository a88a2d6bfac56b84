"""The plane of a triangle as seen from an eye, exact where it passes close by."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined, call-overload"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})

_CLOSE = wp.constant(wp.float32(1.5e-4))
"""Square of the share of the coordinates below which the way from eye to plane loses more than 1e-5 to rounding."""


@wp.func
def corner_and_normal(world: WorldArrays, f: wp.int32):
    """A corner of triangle ``f`` [m], and its normal, which is as long as twice its area."""
    a = world.points[world.triangles[3 * f]]
    b = world.points[world.triangles[3 * f + 1]]
    c = world.points[world.triangles[3 * f + 2]]
    return a, wp.cross(b - a, c - a)


@wp.func
def _placed(world: WorldArrays, f: wp.int32, corner: wp.int32, eye: wp.vec3d):
    """A corner of triangle ``f`` from an eye [m]."""
    p = world.local[world.origins[world.triangles[3 * f + corner]]]
    place = world.places[world.instances[f]]
    q = wp.vec4d(wp.float64(p[0]), wp.float64(p[1]), wp.float64(p[2]), wp.float64(1.0))
    placed = place * q
    return wp.vec3d(placed[0] - eye[0], placed[1] - eye[1], placed[2] - eye[2])


@wp.func
def plane_from(world: WorldArrays, f: wp.int32, eye: wp.vec3d):
    """Normal of triangle ``f``, as long as twice its area, and the way from an eye to its plane in lengths of it.

    World points are rounded to float32. From an eye close to the plane, as beside a wall, that is too much: there the
    corners are placed anew in float64.
    """
    start = wp.vec3(wp.float32(eye[0]), wp.float32(eye[1]), wp.float32(eye[2]))
    a, normal = corner_and_normal(world, f)
    away = wp.dot(normal, a - start)
    if away * away < _CLOSE * wp.dot(normal, normal) * (wp.dot(a, a) + wp.dot(start, start)):
        p = _placed(world, f, 0, eye)
        exact = wp.cross(_placed(world, f, 1, eye) - p, _placed(world, f, 2, eye) - p)
        away = wp.float32(wp.dot(exact, p))
        normal = wp.vec3(wp.float32(exact[0]), wp.float32(exact[1]), wp.float32(exact[2]))
    return wp.vec4(normal[0], normal[1], normal[2], away)


__all__ = ["corner_and_normal", "plane_from"]
