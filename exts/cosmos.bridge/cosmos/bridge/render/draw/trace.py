"""Reference quality: path-traced global illumination, sample by sample, in the light of the stage or of a look.

Every path starts in its own place of a pixel, and at each surface looks at the sun, at one lamp and at the dome's
image (next-event estimation), then goes on where the surface scatters (multiple importance sampling weighs the two).
A path depends on its pixel, sample number and seed alone, so that threads, bands and pauses change nothing.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any, Optional

import warp as wp

from cosmos.bridge.kernels.surface_noise import mix_bits
from cosmos.bridge.render.draw.atlas import OPACITY_SLOT, Atlas
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.lamp import Lamps
from cosmos.bridge.render.draw.light import sun_along
from cosmos.bridge.render.draw.matter import is_seen, surface_at
from cosmos.bridge.render.draw.rays import light_along, step_past
from cosmos.bridge.render.draw.sky import Air, through_haze
from cosmos.bridge.render.draw.surface import skin_of
from cosmos.bridge.render.draw.tone import aces, luma
from cosmos.bridge.render.draw.trace_body import Body, highlight_table, make_body, scatter, scattered
from cosmos.bridge.render.draw.trace_draws import draw_pair
from cosmos.bridge.render.draw.trace_lights import (
    SkyMap,
    dome_aim,
    dome_density,
    lamp_aim,
    lamp_chance,
    lamp_met,
    lamps_total,
    make_sky_map,
    pick_lamp,
    sky_seen,
    sun_radiance,
    sun_spread,
    within_cone,
)
from cosmos.bridge.render.draw.view import View, pixel_ray, pixel_side, pixel_start
from cosmos.bridge.render.draw.world import WorldArrays
from cosmos.bridge.render.scene import Scene
from cosmos.bridge.types import Progress

wp.set_module_options({"enable_backward": False})

MAX_BOUNCES = 12
"""Times that a path scatters at most; roulette ends most of them sooner."""
_MOST_STEPS = 96
_CEILING = 2.5
"""Most that light of a later bounce may bring to one sample, in exposed light, of which about 1 is white."""
_STRIDE = wp.constant(6)
"""Pairs of numbers that one surface uses."""
_FAINT = wp.constant(wp.float32(0.008))
"""Opacity below which there is nothing at all, as for the layers of the interactive picture."""


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

    The second value is the colour of the first surface that scattered it, highlight and all; white for the sky.
    ``first_reach`` is how far the first ray sees [m]; ``spread`` and ``width`` give the side of its footprint:
    ``spread`` times the way [m] plus ``width`` [m].
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
    travelled = wp.float32(0.0)
    walked = wp.float32(0.0)
    for _step in range(tracing.steps):
        f, t = _next_hit(world, origin, direction, reach, tracing.steps)
        if f < 0:
            t = wp.float32(1.0e5)  # the camera's far plane is not the end of the air
        if air.haze > 0.0:
            veil = through_haze(air, wp.vec3(0.0, 0.0, 0.0), origin, direction, wp.min(t, 1.0e5))
            clear = through_haze(air, wp.vec3(1.0, 1.0, 1.0), origin, direction, wp.min(t, 1.0e5)) - veil
            light += wp.cw_mul(weight, veil)
            weight = wp.cw_mul(weight, clear)
        if bounce > 0 and lamps.count > 0:
            shining = _met_lamps(
                lamps, atlas, from_p, from_n, from_toward, finish, direction, walked, walked + t, density, total
            )
            light += _held(wp.cw_mul(weight, shining), tracing.ceiling, bounce - 1)
        directly = wp.int32(0)
        if bounce == 0:
            directly = wp.int32(1)
        if f < 0:
            sky = _sky_light(air, atlas, tracing, direction, directly, density)
            light += _held(wp.cw_mul(weight, sky), tracing.ceiling, bounce - 1)
            break
        p = origin + direction * t
        side = spread * (travelled + t) + width
        matter = surface_at(world, f, p, direction, side)
        body = Body()
        base = _STRIDE * _step + 1
        lift = 1.0e-4 + 2.0e-5 * (travelled + t)
        draws = draw_pair(sample, pixel, base + 1)
        passes = _is_hole(world, f, p, matter.opacity, matter.presence)
        opacity = matter.opacity
        if matter.presence > 0.0 and opacity < 1.0 and not passes:
            passes = draws[0] >= opacity
            draws = wp.vec2(draws[0] / wp.max(opacity, 1.0e-6), draws[1])
            opacity = wp.float32(1.0)
        if passes:
            origin = p - matter.geometric * lift
            travelled += t
            reach = wp.max(reach - t, 0.0)
            walked += t
            continue
        skin = skin_of(world, air, f, matter, p, side, 1.0e-3 + 2.0e-4 * (travelled + t))
        emitted = matter.emissive * air.emission
        light += _held(wp.cw_mul(weight, emitted), tracing.ceiling, bounce - 1)
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
        if bounce == 0:
            color = body.diffuse + body.shine
        lifted = p + matter.geometric * lift
        here = wp.float32(0.0)
        worth = wp.vec3(body.alpha, luma(body.diffuse), luma(body.f0))
        if lamps.count > 0:
            here = lamps_total(lamps, lifted, body.normal, back, worth)
        arrived = _lit(world, atlas, air, lamps, tracing, body, lifted, back, worth, here, sample, pixel, base + 2)
        if air.headlight > 0.0:
            arrived += _headlit(world, air, tracing, body, lifted, back, directly)
        light += _held(wp.cw_mul(weight, arrived), tracing.ceiling, bounce)
        if bounce >= tracing.bounces:
            break
        goes = scatter(body, back, direction, draw_pair(sample, pixel, base), draws[0])
        if goes.kind < 0:
            break
        weight = wp.cw_mul(weight, goes.weight)
        if goes.kind == 1:
            origin = p - matter.geometric * lift
            travelled += t
            reach = wp.max(reach - t, 0.0)
            walked += t
            continue
        survival = wp.min(1.0, wp.max(weight[0], wp.max(weight[1], weight[2])))
        if bounce >= 2:
            if draws[1] >= survival:
                break
            weight = weight / survival
        bounce += 1
        density = goes.density
        total = here
        from_n = body.normal
        from_p = lifted
        from_toward = back
        finish = worth
        walked = wp.float32(0.0)
        origin = lifted
        direction = goes.direction
        reach = wp.float32(1.0e5)
        travelled = (travelled + t) * 4.0 + 1.0
    return light, color


@wp.kernel
def trace_kernel(
    first: wp.int32,
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    view: View,
    tracing: Tracing,
    sample_start: wp.int32,
    samples: wp.int32,
    total_out: wp.array(dtype=wp.vec3),
    squares_out: wp.array(dtype=wp.float32),
    colors_out: wp.array(dtype=wp.vec3),
):
    """Add ``samples`` more paths to each pixel's sums: radiance, its luminance squared, colour of what was met."""
    i = first + wp.tid()
    y = i // view.width
    x = i - y * view.width
    pixel = mix_bits(wp.uint32(i) + mix_bits(tracing.seed + wp.uint32(77)))
    total = total_out[i]
    squares = squares_out[i]
    colors = colors_out[i]
    for k in range(samples):
        sample = wp.uint32(sample_start + k)
        jitter = draw_pair(sample, pixel, 0)
        u = wp.float32(x) + jitter[0]
        v = wp.float32(y) + jitter[1]
        ray = pixel_ray(view, u, v)
        length = wp.length(ray)
        if length > 0.0:
            direction = wp.normalize(wp.transform_vector(view.camera_to_world, ray))
            start = wp.transform_point(view.camera_to_world, pixel_start(view, u, v)) + direction * (view.near * length)
            reach = wp.min((view.far - view.near) * length, 1.0e6)
            width = pixel_side(view, view.near) * 0.5
            spread = (pixel_side(view, 1.0) - pixel_side(view, 0.0)) / length * 0.5
            light, color = path_light(
                world, atlas, air, lamps, tracing, start, direction, reach, spread, width, sample, pixel
            )
            total += light
            squares += luma(light) * luma(light)
            colors += color
    total_out[i] = total
    squares_out[i] = squares
    colors_out[i] = colors


@wp.kernel
def expose_kernel(
    first: wp.int32,
    air: Air,
    view: View,
    share: wp.float32,
    toned: wp.int32,
    total: wp.array(dtype=wp.vec3),
    color_out: wp.array(dtype=wp.vec3),
):
    """Mean radiance of each pixel to display-linear colour in [0, 1]; to exposed light where not ``toned``."""
    i = first + wp.tid()
    ox = (wp.float32(i % view.width) + 0.5) / wp.float32(view.width) - 0.5
    oy = (wp.float32(i // view.width) + 0.5) / wp.float32(view.height) - 0.5
    rim = wp.max(0.0, 1.0 - air.vignette * 1.6 * (ox * ox + oy * oy))
    color = total[i] * (share * air.exposure * rim)
    if toned == 1:
        color = aces(color)
    color_out[i] = color


class PathTracer:
    """Traces pictures of one scene; keeps what all of them share."""

    def __init__(self, scene: Scene, bands: Bands):
        """Prepare for one scene."""
        self._scene, self._bands = scene, bands
        self._table = wp.array(highlight_table(), dtype=wp.vec2, device=bands.device)
        self._skies: dict[int, Any] = {}

    def _sky(self, texture: int) -> Any:
        if texture not in self._skies:
            image = self._scene.textures[texture] if texture >= 0 else None
            self._skies[texture] = make_sky_map(image, self._bands.device)
        return self._skies[texture]

    def trace(
        self,
        world: Any,
        atlas: Any,
        air: Any,
        lamps: Any,
        view: Any,
        *,
        samples: int,
        seed: int,
        progress: Optional[Progress] = None,
    ) -> tuple[wp.array, wp.array, wp.array]:
        """Return sums over ``samples`` paths of each pixel, shape [H W]: radiance, its luminance squared, colour met.

        Args:
            world: Arrays with a ray hierarchy.
            atlas: Materials and textures.
            air: Sky and sun.
            lamps: Local lights.
            view: Camera.
            samples: Paths a pixel.
            seed: Decides the paths.
            progress: Told ("samples", done, all) between samples; what it raises ends the work.
        """
        tracing = Tracing()
        tracing.table, tracing.sky = self._table, self._sky(air.dome)
        tracing.seed, tracing.bounces, tracing.steps = (seed ^ (seed >> 31)) & 0x7FFFFFFF, MAX_BOUNCES, _MOST_STEPS
        tracing.ceiling = _CEILING / max(air.exposure, 1e-12)
        turn = view.camera_to_world
        aim = [-0.06 * turn[axis, 1] - turn[axis, 2] for axis in range(3)]
        length = sum(part * part for part in aim) ** 0.5
        tracing.camera_down = wp.vec3(*(part / length for part in aim))
        tracing.eye = wp.vec3(*(turn[axis, 3] for axis in range(3)))
        count = view.width * view.height
        sums = tuple(wp.zeros(count, dtype=kind, device=self._bands.device) for kind in (wp.vec3, wp.float32, wp.vec3))
        for done in range(samples):
            inputs = [world, atlas, air, lamps, view, tracing, done, 1, *sums]
            self._bands.launch(trace_kernel, count, inputs, chunk=128)
            if progress is not None:
                progress("samples", done + 1, samples)
        return sums

    def expose(self, air: Any, view: Any, total: wp.array, samples: int, colors: wp.array, *, toned: bool) -> None:
        """Fill ``colors`` with the picture of a sum over ``samples`` paths: display-linear, or exposed light."""
        inputs = [air, view, 1.0 / samples, int(toned), total, colors]
        self._bands.launch(expose_kernel, view.width * view.height, inputs, chunk=4096)


__all__ = ["MAX_BOUNCES", "PathTracer", "path_light", "trace_kernel"]
