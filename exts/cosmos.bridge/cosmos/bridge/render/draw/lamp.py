"""The local lights of the stage as kernels see them: where each is, how it shines, and a quick look at its light."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import warp as wp

from cosmos.bridge.kernels.surface_noise import smooth_step

wp.set_module_options({"enable_backward": False})

DISTANT = wp.constant(0)
RECT = wp.constant(1)
SPHERE = wp.constant(2)
CYLINDER = wp.constant(3)
DISK = wp.constant(4)
GLOWING = wp.constant(2.0e-3)
"""Haze [1/m] from which on the glow of lamps in it shows."""


@wp.struct
class Lamps:
    """The local lights of the stage (all but sun and dome), L of them."""

    count: wp.int32
    kinds: wp.array(dtype=wp.int32)  # DISTANT, RECT, ...
    places: wp.array(dtype=wp.vec3)  # relative to the world's origin [m]
    sides: wp.array(dtype=wp.vec3)  # rect, cylinder: half extent along x; disk, sphere: radius along x [m]
    tops: wp.array(dtype=wp.vec3)  # rect: half extent along y; others: radius along y [m]
    aims: wp.array(dtype=wp.vec3)  # unit direction in which it shines
    sizes: wp.array(dtype=wp.float32)  # sphere, cylinder: radius [m]; distant: half its angle [rad]
    powers: wp.array(dtype=wp.vec3)  # mean radiance times seen area [m2], or irradiance of a distant light
    radiances: wp.array(dtype=wp.vec3)  # before the image of a rect
    areas: wp.array(dtype=wp.float32)  # as seen from its front [m2]
    shapings: wp.array(dtype=wp.vec4)  # focus, angle of the cone [rad], softness, 1 where any of these is used
    tints: wp.array(dtype=wp.vec3)
    images: wp.array(dtype=wp.int32)  # texture of a rect, -1 for none
    shadows: wp.array(dtype=wp.int32)


@wp.func
def lamp_vector(lamps: Lamps, k: wp.int32, p: wp.vec3):
    """Direction (not unit) from ``p`` to lamp ``k``'s middle, or far along a distant light."""
    if lamps.kinds[k] == DISTANT:
        return lamps.aims[k] * -1.0e4
    return lamps.places[k] - p


@wp.func
def lamp_shaping(lamps: Lamps, k: wp.int32, emitted: wp.vec3):
    """What focus and cone leave of the light sent along the unit direction ``emitted`` (UsdLux ShapingAPI)."""
    shaping = lamps.shapings[k]
    one = wp.vec3(1.0, 1.0, 1.0)
    if shaping[3] == 0.0:
        return one
    cosine = wp.clamp(wp.dot(emitted, lamps.aims[k]), -1.0, 1.0)
    gain = one
    if shaping[0] > 0.0:
        focused = wp.pow(wp.max(cosine, 0.0), shaping[0])
        gain = lamps.tints[k] * (1.0 - focused) + one * focused
    angle = wp.acos(cosine)
    if angle > shaping[1]:
        return wp.vec3(0.0, 0.0, 0.0)
    start = shaping[1] * (1.0 - shaping[2])
    if angle > start:
        gain = gain * (1.0 - smooth_step(start, shaping[1], angle))
    return gain


@wp.func
def lamp_light(lamps: Lamps, k: wp.int32, p: wp.vec3, n: wp.vec3):
    """Unshadowed irradiance at ``p``, the unit direction it comes from, and half the lamp's side over its distance.

    An area source is seen as its middle, tamed in its near field.
    """
    # Branches set numbers, never vectors: those would go through memory.
    kind = lamps.kinds[k]
    local = wp.float32(1.0)
    if kind == DISTANT:
        local = wp.float32(0.0)
    to = (lamps.places[k] - p) * local - lamps.aims[k] * (1.0e4 * (1.0 - local))
    square = wp.dot(to, to)
    near = 1.0 / wp.sqrt(wp.max(square, 1.0e-12))
    w = to * near
    area = lamps.areas[k]
    reach = local * 0.5 * wp.sqrt(area) * wp.min(near, 1.0e3)
    wrap = wp.min(reach * 0.6, 0.5)
    spread = wp.float32(1.0)
    if kind == RECT or kind == DISK:  # noqa: SIM109  (kernels know no tuples)
        spread = wp.max(0.0, -wp.dot(lamps.aims[k], w))
    elif kind == CYLINDER:
        along = wp.dot(wp.normalize(lamps.sides[k]), w)
        spread = wp.sqrt(wp.max(0.0, 1.0 - along * along))
    strength = wp.max(0.0, wp.dot(n, w) + wrap) * spread
    if kind != DISTANT:
        strength = strength / ((1.0 + wrap) * (square + area * 0.31830989))
    red = strength
    green = strength
    blue = strength
    if kind != DISTANT and lamps.shapings[k][3] > 0.0:
        shaped = lamp_shaping(lamps, k, -w)
        red = strength * shaped[0]
        green = strength * shaped[1]
        blue = strength * shaped[2]
    return wp.cw_mul(lamps.powers[k], wp.vec3(red, green, blue)), w, reach


@wp.func
def lamp_irradiance(lamps: Lamps, k: wp.int32, p: wp.vec3, n: wp.vec3):
    """Unshadowed irradiance at ``p``; an area source seen as its middle, tamed in its near field."""
    light, _way, _reach = lamp_light(lamps, k, p, n)
    return light


@wp.func
def lamp_point(lamps: Lamps, k: wp.int32, a: wp.float32, b: wp.float32):
    """A point on lamp ``k`` for ``a``, ``b`` in [0, 1)."""
    if lamps.kinds[k] == DISK or lamps.kinds[k] == SPHERE:
        radius = wp.sqrt(a)
        turn = 6.2831853 * b
        return lamps.places[k] + lamps.sides[k] * (radius * wp.cos(turn)) + lamps.tops[k] * (radius * wp.sin(turn))
    return lamps.places[k] + lamps.sides[k] * (2.0 * a - 1.0) + lamps.tops[k] * (2.0 * b - 1.0)


def has_glow(air: Any, lamps: Any) -> bool:
    """Return whether lamps glow in an air."""
    return bool(air.haze > GLOWING and lamps.count > 0)


__all__ = [
    "CYLINDER",
    "DISK",
    "DISTANT",
    "GLOWING",
    "RECT",
    "SPHERE",
    "Lamps",
    "has_glow",
    "lamp_irradiance",
    "lamp_light",
    "lamp_point",
    "lamp_shaping",
    "lamp_vector",
]
