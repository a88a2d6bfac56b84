"""One path of light: where it goes, and what arrives along it of sun, lamps, sky and things that shine.

At each surface it looks at the sun, at one lamp and at the dome's image (next-event estimation), then goes on where the
surface scatters (multiple importance sampling weighs the two).
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.kernels.display import luma
from cosmos.bridge.render.draw.atlas import OPACITY_SLOT, Atlas
from cosmos.bridge.render.draw.glow import lamp_glow
from cosmos.bridge.render.draw.lamp import GLOWING, Lamps
from cosmos.bridge.render.draw.light import sun_along
from cosmos.bridge.render.draw.matter import is_seen, surface_at
from cosmos.bridge.render.draw.rays import light_along, step_past
from cosmos.bridge.render.draw.sky import Air, through_haze
from cosmos.bridge.render.draw.surface import skin_of
from cosmos.bridge.render.draw.trace_body import Body, make_body, scatter, scattered
from cosmos.bridge.render.draw.trace_draws import draw_pair
from cosmos.bridge.render.draw.trace_lights import (
    SkyMap,
    dome_aim,
    dome_density,
    lamp_aim,
    lamp_chance,
    lamp_met,
    lamps_total,
    pick_lamp,
    sky_seen,
    sun_radiance,
    sun_spread,
    within_cone,
)
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})

_STRIDE = wp.constant(6)
"""Pairs of numbers that one surface uses."""
_GLOW_DRAWS = wp.constant(-1)
"""Dimension of the draws that look for shadows in the glow of lamps; no step of a path has it."""
_FAINT = wp.constant(wp.float32(0.008))
"""Opacity below which there is nothing at all, as for the layers of the interactive picture."""
_HOLE = wp.constant(2)
"""There is nothing where the surface would be; a further kind of Scatter."""


@wp.struct
class Tracing:
    """What all paths share."""

    table: wp.array2d(dtype=wp.vec2)
    sky: SkyMap
    seed: wp.uint32
    bounces: wp.int32
    steps: wp.int32
    ceiling: wp.float32  # most radiance that light of a later bounce may bring; keeps out fireflies
    camera_down: wp.vec3  # the way the lamps beside the camera are aimed
    eye: wp.vec3


@wp.func
def _power(a: wp.float32, b: wp.float32):
    """Share of the first of two densities (E. Veach 1997, power heuristic)."""
    return a * a / wp.max(a * a + b * b, 1.0e-30)


@wp.func
def _held(color: wp.vec3, ceiling: wp.float32, bounce: wp.int32):
    """Light of a later bounce, no brighter than the ceiling."""
    if bounce <= 0:
        return color
    strongest = wp.max(color[0], wp.max(color[1], color[2]))
    return color * wp.min(1.0, ceiling / wp.max(strongest, 1.0e-20))


@wp.func
def _next_hit(world: WorldArrays, start: wp.vec3, direction: wp.vec3, distance: wp.float32, steps: wp.int32):
    """The nearest triangle that is drawn from this side, and the way to it [m]; -1 where there is none."""
    travelled = wp.float32(0.0)
    for _layer in range(steps):
        query = wp.mesh_query_ray(world.mesh, start + direction * travelled, direction, distance - travelled)
        if not query.result:
            return -1, distance
        t = travelled + query.t
        f = query.face
        side = world.sides[world.instances[f]]
        a = world.points[world.triangles[3 * f]]
        b = world.points[world.triangles[3 * f + 1]]
        c = world.points[world.triangles[3 * f + 2]]
        if side == 0 or wp.float32(side) * wp.dot(wp.cross(b - a, c - a), direction) < 0.0:
            return f, t
        travelled = step_past(t)
    return -1, distance


@wp.func
def _lit(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    tracing: Tracing,
    body: Body,
    p: wp.vec3,
    toward: wp.vec3,
    finish: wp.vec3,
    total: wp.float32,
    sample: wp.uint32,
    pixel: wp.uint32,
    dimension: wp.int32,
):
    """Light of the sun, of one lamp and of the dome's image that ``body`` sends back along ``toward``."""
    light = wp.vec3(0.0, 0.0, 0.0)
    picks = draw_pair(sample, pixel, dimension)
    if air.sun_color[0] + air.sun_color[1] + air.sun_color[2] > 0.0:
        spread = sun_spread(air)
        direction = within_cone(air.sun, spread, draw_pair(sample, pixel, dimension + 1))
        found = scattered(body, toward, direction)
        if found[3] > 0.0:
            density = 1.0 / (6.2831853 * wp.max(spread, 1.0e-12))
            share = sun_along(world, air, p, direction) / density
            if air.sun_shadow == 1:
                share = share * _power(density, found[3])
            light += wp.cw_mul(wp.vec3(found[0], found[1], found[2]), sun_radiance(air)) * share
    if lamps.count > 0:
        k = pick_lamp(lamps, p, body.normal, toward, finish, total, picks[0])
        aim = lamp_aim(lamps, atlas, k, p, draw_pair(sample, pixel, dimension + 2))
        if aim.density > 0.0:
            found = scattered(body, toward, aim.direction)
            gain = luma(aim.light) * (found[0] + found[1] + found[2])
            if found[3] > 0.0 and gain > 0.0:
                chance = lamp_chance(lamps, k, p, body.normal, toward, finish, total)
                share = wp.float32(1.0 / (aim.density * chance))
                if lamps.shadows[k] == 1:
                    share = share * _power(aim.density * chance, found[3])
                    share = share * light_along(world, p, aim.direction, aim.distance * 0.995 - 0.02)
                light += wp.cw_mul(wp.vec3(found[0], found[1], found[2]), aim.light) * share
    if tracing.sky.rows > 0 and air.dome >= 0:
        aim = dome_aim(air, atlas, tracing.sky, draw_pair(sample, pixel, dimension + 3))
        found = scattered(body, toward, aim.direction)
        if found[3] > 0.0 and aim.density > 0.0:
            share = _power(aim.density, found[3]) / aim.density
            share = share * light_along(world, p, aim.direction, 1.0e5)
            light += wp.cw_mul(wp.vec3(found[0], found[1], found[2]), aim.light) * share
    return light


@wp.func
def _headlit(world: WorldArrays, air: Air, tracing: Tracing, body: Body, p: wp.vec3, toward: wp.vec3, first: wp.int32):
    """Light of the two lamps beside the camera (as the interactive picture has them), sent back along ``toward``."""
    to = tracing.eye - p
    far = wp.length(to)
    direction = to / wp.max(far, 1.0e-6)
    cone = wp.clamp((-wp.dot(direction, tracing.camera_down) - 0.62) / 0.33, 0.0, 1.0)
    found = scattered(body, toward, direction)
    if cone <= 0.0 or found[3] <= 0.0:
        return wp.vec3(0.0, 0.0, 0.0)
    share = wp.float32(1.0)
    if first == 0:
        share = light_along(world, p, direction, far - 0.02)
    beam = wp.vec3(1.0, 0.93, 0.82) * (air.headlight * cone * cone / (far * far + 9.0) * share)
    return wp.cw_mul(wp.vec3(found[0], found[1], found[2]), beam)


@wp.func
def _met_lamps(
    lamps: Lamps,
    atlas: Atlas,
    p: wp.vec3,
    n: wp.vec3,
    toward: wp.vec3,
    finish: wp.vec3,
    direction: wp.vec3,
    start: wp.float32,
    end: wp.float32,
    density: wp.float32,
    total: wp.float32,
):
    """Light of the lamps that a scattered ray from ``p`` meets from ``start`` to ``end`` [m], weighed."""
    light = wp.vec3(0.0, 0.0, 0.0)
    for k in range(lamps.count):
        if lamps.shadows[k] == 1:
            aim = lamp_met(lamps, atlas, k, p, direction)
            far = wp.max(aim.distance * 0.995 - 0.02, 0.0)
            if aim.density > 0.0 and far >= start and far < end:
                chance = lamp_chance(lamps, k, p, n, toward, finish, total)
                light += aim.light * _power(density, aim.density * chance)
    return light


@wp.func
def _sky_light(air: Air, atlas: Atlas, tracing: Tracing, direction: wp.vec3, directly: wp.int32, density: wp.float32):
    """Light of sky and sun from a direction that a path took, weighed against aiming at them."""
    sky = sky_seen(air, atlas, direction, directly)
    if directly == 1:
        return sky
    if tracing.sky.rows > 0 and air.dome >= 0:
        sky = sky * _power(density, dome_density(air, tracing.sky, direction))
    spread = sun_spread(air)
    if air.sun_shadow == 1 and 1.0 - wp.dot(direction, air.sun) < spread:
        sky += sun_radiance(air) * _power(density, 1.0 / (6.2831853 * wp.max(spread, 1.0e-12)))
    return sky


@wp.func
def _is_hole(world: WorldArrays, f: wp.int32, p: wp.vec3, opacity: wp.float32, presence: wp.float32):
    """Whether a surface of this opacity is not there at all at ``p``."""
    row = world.materials[f]
    if world.atlas.rows[row, 24] == 0.0:
        return False
    if world.atlas.rows[row, 24] == 1.0:
        return not is_seen(world, f, p)
    return opacity < _FAINT and (presence > 0.0 or world.atlas.rows[row, OPACITY_SLOT] != -1.0)


@wp.func
def _ahead(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    tracing: Tracing,
    light: wp.vec3,
    weight: wp.vec3,
    origin: wp.vec3,
    direction: wp.vec3,
    reach: wp.float32,
    bounce: wp.int32,
    density: wp.float32,
    from_p: wp.vec3,
    from_n: wp.vec3,
    from_toward: wp.vec3,
    finish: wp.vec3,
    total: wp.float32,
    walked: wp.float32,
    sample: wp.uint32,
    pixel: wp.uint32,
):
    """What a ray of ``reach`` [m] comes to; arguments from ``bounce`` on tell of the surface that it was scattered by.

    Returns:
        The triangle, -1 for the sky, and the way there [m]; ``light`` with that of the air, the lamps before that place
        and the sky; the path's ``weight`` behind the air.
    """
    arrived = light
    left = weight
    f, t = _next_hit(world, origin, direction, reach, tracing.steps)
    if f < 0:
        t = wp.float32(1.0e5)  # the camera's far plane is not the end of the air
    if air.haze > 0.0:
        veil = through_haze(air, wp.vec3(0.0, 0.0, 0.0), origin, direction, wp.min(t, 1.0e5))
        clear = through_haze(air, wp.vec3(1.0, 1.0, 1.0), origin, direction, wp.min(t, 1.0e5)) - veil
        if f < 0 and bounce > 0:
            veil = veil / (0.25 + 0.75 * air.open)  # that between walls is dimmer, but this lies outside
        if bounce == 0 and lamps.count > 0 and air.haze > GLOWING:
            lit, _whole = lamp_glow(
                world, air, lamps, origin, direction, wp.min(t, 1.0e5), draw_pair(sample, pixel, _GLOW_DRAWS)
            )
            veil += lit
        arrived += wp.cw_mul(left, veil)
        left = wp.cw_mul(left, clear)
    if bounce > 0 and lamps.count > 0:
        shining = _met_lamps(
            lamps, atlas, from_p, from_n, from_toward, finish, direction, walked, walked + t, density, total
        )
        arrived += _held(wp.cw_mul(left, shining), tracing.ceiling, bounce - 1)
    if f < 0:
        sky = _sky_light(air, atlas, tracing, direction, 1 - wp.min(bounce, 1), density)
        arrived += _held(wp.cw_mul(left, sky), tracing.ceiling, bounce - 1)
    return f, t, arrived, left


@wp.func
def _meet(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    tracing: Tracing,
    f: wp.int32,
    p: wp.vec3,
    direction: wp.vec3,
    side: wp.float32,
    way: wp.float32,
    bounce: wp.int32,
    chance: wp.float32,
    sample: wp.uint32,
    pixel: wp.uint32,
    base: wp.int32,
):
    """What becomes of a path that meets triangle ``f`` at ``p``, after ``way`` [m], with a footprint of ``side`` [m].

    Returns:
        How it goes on, as a Scatter does: kind, direction, weight and density; light that shines there, and that
        arrives there and is sent back; colour; the way a little off the surface [m]; normal; its finish, and what lamps
        are worth to that. All are plain values: a struct would go through memory.
    """
    matter = surface_at(world, f, p, direction, side)
    nothing = wp.vec3(0.0, 0.0, 0.0)
    off = matter.geometric * (1.0e-4 + 2.0e-5 * way)
    passes = _is_hole(world, f, p, matter.opacity, matter.presence)
    opacity = matter.opacity
    pick = chance
    if matter.presence > 0.0 and opacity < 1.0 and not passes:
        passes = pick >= opacity
        pick = pick / wp.max(opacity, 1.0e-6)
        opacity = wp.float32(1.0)
    if passes:
        none = wp.float32(0.0)
        return _HOLE, nothing, nothing, none, nothing, nothing, nothing, off, nothing, nothing, none
    skin = skin_of(world, air, f, matter, p, side, 1.0e-3 + 2.0e-4 * way)
    back = -direction
    body = make_body(
        tracing.table,
        matter.geometric,
        skin.normal,
        back,
        skin.base,
        matter.specular,
        skin.metallic,
        skin.roughness,
        matter.coat,
        matter.coat_roughness,
        opacity,
        matter.transmission,
        matter.through,
    )
    total = wp.float32(0.0)
    finish = wp.vec3(body.alpha, luma(body.diffuse), luma(body.f0))
    if lamps.count > 0:
        total = lamps_total(lamps, p + off, body.normal, back, finish)
    arrived = _lit(world, atlas, air, lamps, tracing, body, p + off, back, finish, total, sample, pixel, base + 2)
    if air.headlight > 0.0:
        arrived += _headlit(world, air, tracing, body, p + off, back, 1 - wp.min(bounce, 1))
    goes = scatter(body, back, direction, draw_pair(sample, pixel, base), pick)
    kind = goes.kind
    if bounce >= tracing.bounces:
        kind = wp.int32(-1)
    emitted = matter.emissive * air.emission
    color = body.diffuse + body.shine
    return kind, goes.direction, goes.weight, goes.density, emitted, arrived, color, off, body.normal, finish, total


@wp.func
def path_light(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    tracing: Tracing,
    start: wp.vec3,
    toward: wp.vec3,
    first_reach: wp.float32,
    spread: wp.float32,
    width: wp.float32,
    sample: wp.uint32,
    pixel: wp.uint32,
):
    """Radiance that arrives along one path from ``start`` towards the unit direction ``toward``, and what it met first.

    The second value is the colour of the first surface that scattered it, highlight and all; white for the sky. The
    first ray sees as far as ``first_reach`` [m]; its footprint is ``spread`` times the way plus ``width`` [m] wide.
    """
    light = wp.vec3(0.0, 0.0, 0.0)
    color = wp.vec3(1.0, 1.0, 1.0)
    weight = wp.vec3(1.0, 1.0, 1.0)
    origin = start
    direction = toward
    reach = wp.float32(first_reach)
    bounce = wp.int32(0)
    density = wp.float32(0.0)
    total = wp.float32(0.0)
    from_p = start
    from_n = toward
    from_toward = toward
    finish = wp.vec3(1.0, 1.0, 1.0)
    way = wp.float32(0.0)
    walked = wp.float32(0.0)
    for _step in range(tracing.steps):
        f, t, light, weight = _ahead(
            world, atlas, air, lamps, tracing, light, weight, origin, direction, reach,
            bounce, density, from_p, from_n, from_toward, finish, total, walked, sample, pixel,
        )  # fmt: skip
        if f < 0:
            break
        p = origin + direction * t
        way += t
        base = _STRIDE * _step + 1
        draws = draw_pair(sample, pixel, base + 1)
        side = spread * way + width
        kind, onward, share, likely, emitted, arrived, met, off, normal, worth, lamplight = _meet(
            world, atlas, air, lamps, tracing, f, p, direction, side, way, bounce, draws[0], sample, pixel, base
        )
        if kind != _HOLE:
            light += _held(wp.cw_mul(weight, emitted), tracing.ceiling, bounce - 1)
            light += _held(wp.cw_mul(weight, arrived), tracing.ceiling, bounce)
            weight = wp.cw_mul(weight, share)
            if bounce == 0:
                color = met
        if kind < 0:
            break
        if kind > 0:  # straight on
            origin = p - off
            reach = wp.max(reach - t, 0.0)
            walked += t
            continue
        if bounce >= 2:
            survival = wp.min(1.0, wp.max(weight[0], wp.max(weight[1], weight[2])))
            if draws[1] >= survival:
                break
            weight = weight / survival
        bounce += 1
        density = likely
        total = lamplight
        from_n = normal
        from_p = p + off
        from_toward = -direction
        finish = worth
        walked = wp.float32(0.0)
        origin = from_p
        direction = onward
        reach = wp.float32(1.0e5)
        way = way * 4.0 + 1.0
    return light, color


__all__ = ["Tracing", "path_light"]
