"""Lamps that light a place nearly alone: their shadows are found at each sample, not on the grid of slow light.

A lamp is key where it gives a half of all lamps' light, and not where it gives a third: so two of them are at most.
The grid tells the light of all over that of the two strongest, and the shadows of the others, which are faint in the
light of many.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.kernels.surface_noise import smooth_step
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.lamp import DISTANT, Lamps, lamp_irradiance, lamp_point
from cosmos.bridge.render.draw.light_grid import Gathered
from cosmos.bridge.render.draw.rays import light_along
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())

FAINT = wp.constant(wp.float32(0.02))
"""Light of all lamps over that of sky and surroundings, up to which their shadows are not seen."""


@wp.func
def key_share(part: wp.float32, total: wp.float32):
    """Which share of a lamp's light counts as that of a key lamp, where all lamps give ``total``; in [0, 1]."""
    if part <= 0.0:
        return wp.float32(0.0)
    return smooth_step(0.3333333, 0.5, part / total)


@wp.func
def key_shares(lamps: Lamps, picks: wp.vec2i, rest: wp.float32, p: wp.vec3, n: wp.vec3, gathered: Gathered):
    """Which shares of all lamps' light, by colour, come of each lamp of ``picks`` as far as it is key; light of both.

    ``rest`` is the light of all lamps over that of these two. A share is 0 where shadows of lamps are not seen.
    """
    first = wp.vec3(0.0, 0.0, 0.0)
    second = wp.vec3(0.0, 0.0, 0.0)
    if picks[0] >= 0:
        first = lamp_irradiance(lamps, picks[0], p, n)
    if picks[1] >= 0:
        second = lamp_irradiance(lamps, picks[1], p, n)
    both = first + second
    one = first[0] + first[1] + first[2]
    strongest = both[0] + both[1] + both[2]
    total = strongest * rest
    if total <= FAINT * (gathered[0] + gathered[1] + gathered[2]):
        total = wp.float32(1.0e12)
    weight = key_share(one, total)
    beside = key_share(strongest - one, total)
    share = wp.vec3(0.0, 0.0, 0.0)
    other = wp.vec3(0.0, 0.0, 0.0)
    for c in range(3):
        scale = 1.0 / wp.max(both[c] * rest, 1.0e-12)
        share[c] = first[c] * (weight * scale)
        other[c] = second[c] * (beside * scale)
    return share, other, strongest


@wp.func
def lamp_met(
    world: WorldArrays, lamps: Lamps, k: wp.int32, start: wp.vec3, g: wp.vec3, turn: wp.float32, rise: wp.float32
):
    """Share of light that comes from a point of lamp ``k``; none from behind a polygon that faces along ``g``.

    ``turn`` and ``rise`` tell the point, by what they are over whole numbers.
    """
    to = lamp_point(lamps, k, turn - wp.floor(turn), rise - wp.floor(rise)) - start
    if lamps.kinds[k] == DISTANT:
        to = lamps.aims[k] * -1.0e4
    if wp.dot(to, g) <= 0.0:
        return wp.float32(0.0)
    distance = wp.length(to)
    return light_along(world, start, to / distance, distance * 0.995 - 0.02)


@wp.func
def lamp_seen(
    world: WorldArrays, lamps: Lamps, k: wp.int32, p: wp.vec3, g: wp.vec3, clearance: wp.float32, order: wp.int32
):
    """Share of lamp ``k`` that is seen, by a ray to one of eight of its points; it starts ``clearance`` away [m]."""
    if lamps.shadows[k] == 0:
        return wp.float32(1.0)
    m = wp.float32(order)
    return lamp_met(world, lamps, k, p + g * clearance, g, (m + 0.5) / 8.0, 0.61803399 * m + 0.3)


@wp.func
def lit_by(
    world: WorldArrays, lamps: Lamps, picks: wp.vec2i, rest: wp.float32, seen: wp.vec2, p: wp.vec3, g: wp.vec3,
    n: wp.vec3, clearance: wp.float32, order: wp.int32, gathered: Gathered,
):  # fmt: skip
    """Irradiance at a sample by all lamps over what the grid tells of them, by colour.

    ``seen`` tells how much of each of ``picks`` is seen, or below 0 to find it.
    """
    share, other, strongest = key_shares(lamps, picks, rest, p, n, gathered)
    one = seen[0]
    if one < 0.0 and share[0] + share[1] + share[2] > 0.0:
        one = lamp_seen(world, lamps, picks[0], p, g, clearance, order)
    two = seen[1]
    if two < 0.0 and other[0] + other[1] + other[2] > 0.0:
        two = lamp_seen(world, lamps, picks[1], p, g, clearance, order)
    return (wp.vec3(1.0, 1.0, 1.0) - share * (1.0 - one) - other * (1.0 - two)) * strongest


__all__ = ["FAINT", "key_share", "key_shares", "lamp_met", "lamp_seen", "lit_by"]
