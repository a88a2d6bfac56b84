"""Light of lamps that haze scatters into the eye: halos around street lamps and the beams of headlights."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.lamp import DISK, DISTANT, RECT, Lamps, lamp_irradiance
from cosmos.bridge.render.draw.rays import light_along
from cosmos.bridge.render.draw.sky import Air, height_of
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})

PI = wp.constant(wp.float32(3.14159265))
_STEPS = wp.constant(5)
_FORWARD = wp.constant(wp.float32(0.6))  # asymmetry of the scattering, drops send most light onwards
_FAINT = wp.constant(wp.float32(0.006))  # exposed radiance below which a lamp's glow is left out


@wp.func
def haze_at(air: Air, p: wp.vec3):
    """Extinction at a point [1/m]."""
    return air.haze * wp.exp(-wp.max((height_of(air, p) - air.floor) / air.haze_height, 0.0))


@wp.func
def phase_of(cosine: wp.float32):
    """Scattering by angle against even scattering (Henyey and Greenstein 1941); 1 is straight on."""
    g2 = _FORWARD * _FORWARD
    bent = wp.max(1.0 + g2 - 2.0 * _FORWARD * cosine, 1.0e-3)
    return (1.0 - g2) / (bent * wp.sqrt(bent))


@wp.func
def _axis_edge(lamps: Lamps, k: wp.int32):
    """Cosine off lamp ``k``'s axis below which it sends nothing."""
    edge = wp.float32(-2.0)
    if lamps.kinds[k] == RECT or lamps.kinds[k] == DISK:
        edge = wp.float32(0.0)
    if lamps.shapings[k][3] > 0.0:
        edge = wp.max(edge, wp.cos(wp.min(lamps.shapings[k][1], PI)))
    return edge


@wp.func
def _clear_share(world: WorldArrays, lamps: Lamps, k: wp.int32, q: wp.vec3):
    """Share of lamp ``k``'s light that reaches a point of the air."""
    way = lamps.places[k] - q
    far = wp.length(way)
    clear = wp.float32(1.0)
    if lamps.shadows[k] == 1 and far > 0.6:
        clear = light_along(world, q, way / far, far - 0.4)
    return clear


@wp.func
def lamp_glow(
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    eye: wp.vec3,
    direction: wp.vec3,
    distance: wp.float32,
    draw: wp.vec2,
):
    """Radiance that haze along a ray scatters once from the local lamps, and what it would be if nothing cast shadows.

    Each lamp is sampled at equal angles seen from it (Kulla and Fajardo 2012). How much of that is shadowed, one ray
    tells from a place that ``draw`` in [0, 1) picks by how much comes from there: right on average over draws, hard for
    each. With a ``draw`` below 0 nothing casts shadows.
    """
    lit = wp.vec3(0.0, 0.0, 0.0)
    total = wp.vec3(0.0, 0.0, 0.0)
    for k in range(lamps.count):
        if lamps.kinds[k] != DISTANT:
            to = lamps.places[k] - eye
            nearest = wp.dot(to, direction)
            square = wp.dot(to, to) - nearest * nearest
            aside = wp.max(wp.sqrt(wp.max(square, 0.0)), 0.05 + 0.3 * wp.sqrt(lamps.areas[k]))
            low = wp.atan(-nearest / aside)
            high = wp.atan((distance - nearest) / aside)
            power = lamps.powers[k]
            most = wp.max(power[0], wp.max(power[1], power[2])) * air.haze * (high - low) / (4.0 * PI * aside)
            if most * air.exposure > _FAINT:
                width = (high - low) / wp.float32(_STEPS)
                edge = _axis_edge(lamps, k)
                glow = wp.vec3(0.0, 0.0, 0.0)
                before = wp.float32(0.0)
                chance = draw[0] + 0.618034 * wp.float32(k)
                chance = chance - wp.floor(chance)
                picked = low
                for step in range(_STEPS):
                    angle = low + (wp.float32(step) + 0.5) * width
                    t = nearest + aside * wp.tan(angle)
                    q = eye + direction * t
                    away = lamps.places[k] - q
                    reach = wp.sqrt(wp.max(wp.dot(away, away), aside * aside))
                    if wp.dot(away, lamps.aims[k]) < -edge * reach:
                        sigma = haze_at(air, q)
                        onwards = sigma * phase_of(wp.dot(away / reach, direction))
                        # Irradiance times the squared reach is what the lamp sends here; the angles do the rest.
                        sent = lamp_irradiance(lamps, k, q, away / reach) * (reach * reach * onwards)
                        sent = sent * wp.exp(-wp.min(sigma * (t + reach), 40.0))
                        glow += sent
                        # One draw picks among the steps: what it leaves of a choice decides the next.
                        strength = sent[0] + sent[1] + sent[2]
                        before += strength
                        share = strength / wp.max(before, 1.0e-20)
                        if chance < share:
                            chance = chance / share
                            picked = angle
                        else:
                            chance = (chance - share) / wp.max(1.0 - share, 1.0e-6)
                glow = glow * (width / (4.0 * PI * aside))
                total += glow
                if draw[0] >= 0.0 and (glow[0] + glow[1] + glow[2]) * air.exposure > _FAINT:
                    place = draw[1] + 0.754878 * wp.float32(k)
                    picked += (place - wp.floor(place) - 0.5) * width
                    t = nearest + aside * wp.tan(wp.clamp(picked, low, high))
                    glow = glow * _clear_share(world, lamps, k, eye + direction * t)
                lit += glow
    return wp.cw_mul(lit, air.haze_tint), wp.cw_mul(total, air.haze_tint)


__all__ = ["haze_at", "lamp_glow", "phase_of"]
