"""The colour of each sample: sun, lamps, gathered light, gloss, emission and the air in between."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.kernels.display import aces, luma
from cosmos.bridge.kernels.surface_noise import smooth_step
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.gloss import lobe_share, lobes, schlick
from cosmos.bridge.render.draw.halo import Halo, halo_at
from cosmos.bridge.render.draw.key_lamps import lit_by
from cosmos.bridge.render.draw.lamp import Lamps, lamp_irradiance, lamp_light
from cosmos.bridge.render.draw.light import (
    PI,
    frame_x,
    lifted,
    mirrored_along,
    sun_along,
)
from cosmos.bridge.render.draw.light_grid import LightGrid, cell_of, grid_sample, tested_pixel
from cosmos.bridge.render.draw.rays import any_hit
from cosmos.bridge.render.draw.sky import Air, sky_radiance, through_haze, z_up
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.terminator import is_flat, lift_of
from cosmos.bridge.render.draw.view import View, pixel_start
from cosmos.bridge.render.draw.weather import UPWARD, snowed_normal
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())


_ROUGH = wp.constant(wp.float32(0.6))
"""Roughness from which on highlights of lamps that light a place little are not seen."""


@wp.func
def _mirrored_again(f0: wp.vec3, whole: wp.float32):
    """What light that meets a rough surface more than once makes of its lobe (Turquin 2019); 1 for black."""
    return wp.vec3(1.0, 1.0, 1.0) + f0 * (1.0 / whole - 1.0)


@wp.func
def _mirror_share(f0: wp.vec3, roughness: wp.float32, nv: wp.float32):
    """Reflectance of the whole lobe; all of the light where ``f0`` is 1."""
    whole, rim = lobe_share(roughness, nv)
    return wp.cw_mul(f0 * (whole - rim) + wp.vec3(rim, rim, rim), _mirrored_again(f0, whole))


@wp.func
def _gleam(f0: wp.vec3, roughness: wp.float32, nv: wp.float32, finish: wp.vec4):
    """Share of what lies around that is mirrored, by the surface and by a clear coat on it."""
    coat = wp.float32(0.0)
    if finish[0] > 0.0:
        top = _mirror_share(wp.vec3(0.04, 0.04, 0.04), finish[1], nv)
        coat = top[0] * finish[0]
    return _mirror_share(f0, roughness, nv) * (1.0 - coat) + wp.vec3(coat, coat, coat)


@wp.func
def _sun_share(world: WorldArrays, air: Air, p: wp.vec3, g: wp.vec3, rays: wp.int32, rim: wp.bool):
    """Share of the sun's disk that is seen from ``p``; if ``rim``, three points of that decide where they agree."""
    if rays <= 1:
        return sun_along(world, air, p, air.sun)
    tx = frame_x(air.sun)
    ty = wp.cross(air.sun, tx)
    seen = wp.float32(0.0)
    for k in range(rays):
        r = rays - 1 - k  # from the rim inwards
        radius = air.sun_radius * wp.sqrt((wp.float32(r) + 0.5) / wp.float32(rays))
        angle = 2.3999632 * wp.float32(r)
        d = wp.normalize(air.sun + tx * (radius * wp.cos(angle)) + ty * (radius * wp.sin(angle)))
        if wp.dot(d, g) > 0.0:
            seen += sun_along(world, air, p, d)
        if rim and k == 2 and (seen <= 0.0 or seen >= 3.0):
            return seen / 3.0
    return seen / wp.float32(rays)


@wp.func
def sunlit(
    world: WorldArrays, air: Air, triangle: wp.int32, p: wp.vec3, start: wp.vec3, g: wp.vec3, n: wp.vec3,
    rays: wp.int32, rim: wp.bool,
):  # fmt: skip
    """Share of the sun that arrives at ``p``, with rays from ``start``, wherever it is."""
    lift = lift_of(world, triangle, p, g)
    guard = g
    if wp.dot(lift, lift) > 1.0e-12:  # a polygon of a round thing may turn away from what its shading faces
        guard = n
    if wp.dot(guard, air.sun) <= 0.0:
        return wp.float32(0.0)
    return _sun_share(world, air, start + lift, guard, rays, rim)


@wp.func
def sun_at_once(world: WorldArrays, air: Air, triangle: wp.int32, start: wp.vec3, g: wp.vec3):
    """What ``sunlit`` finds of one ray where that is quickly told: on flat polygons among solid things; else -1.

    Kernels ask this first: it is short enough to become part of them, and to hand a world to a function costs as much
    as a third of a ray.
    """
    if is_flat(world, triangle, g):
        if wp.dot(g, air.sun) <= 0.0:
            return wp.float32(0.0)
        if air.sun_shadow == 0:
            return wp.float32(1.0)
        if not any_hit(world.mesh, start, air.sun, 1.0e5):
            return wp.float32(1.0)
        if world.clear == 0:
            return wp.float32(0.0)
    return wp.float32(-1.0)


@wp.func
def _lamp_lane(lamps: Lamps, k: wp.int32, p: wp.vec3, n: wp.vec3, roughness: wp.float32):
    """Irradiance of lamp ``k``, the way to it and how rough its highlight is; darkness where ``k`` is -1."""
    lit = wp.float32(1.0)
    if k < 0:
        lit = wp.float32(0.0)
    light, way, reach = lamp_light(lamps, wp.max(k, 0), p, n)
    return light * lit, way, wp.clamp(roughness + 0.5 * reach, 0.08, 1.0)


@wp.func
def _highlights(
    lamps: Lamps,
    grid: LightGrid,
    cell: wp.int32,
    few: wp.bool,
    lit: wp.vec3,
    p: wp.vec3,
    n: wp.vec3,
    toward: wp.vec3,
    f0: wp.vec3,
    roughness: wp.float32,
    finish: wp.vec4,
    sun: wp.vec3,
    sunlight: wp.vec3,
):
    """What the eye sees of sun and lamps in the surface, the lamps as bright as their light is here.

    ``sunlight`` is the sun's irradiance; with ``few`` only the two lamps that matter to the cell are looked at: on
    rough things, where others give no highlight that could end at the cell's rim.
    """
    # Branches set numbers, never vectors: those would go through memory.
    count = lamps.count
    first = wp.int32(-1)
    second = wp.int32(-1)
    rest = wp.float32(1.0)
    if few and count > 0:
        count = wp.min(count, 2)
        first = grid.picks[cell][0]
        second = grid.picks[cell][1]
        rest = grid.rest[cell]
    nv = wp.dot(n, toward)
    smooth = wp.max(finish[1], 0.08)
    seen = wp.vec3(0.0, 0.0, 0.0)
    glint = wp.vec3(0.0, 0.0, 0.0)
    full = wp.float32(0.0)
    day = wp.float32(1.0)
    lanes = wp.max(count, 1)
    if count == 0 and sunlight[0] + sunlight[2] <= 0.0:
        lanes = wp.int32(0)
    for m in range(0, lanes, 2):  # two lamps, and the sun with the first of them
        if not few:
            first = wp.min(m, count - 1)
            second = m + 1
            if second >= count:
                second = wp.int32(-1)
        light, way, soft = _lamp_lane(lamps, first, p, n, roughness)
        other, beside, rough = _lamp_lane(lamps, second, p, n, roughness)
        facing = wp.vec4(wp.dot(n, sun), wp.dot(n, way), wp.dot(n, beside), 1.0)
        ahead = wp.vec4(wp.dot(toward, sun), wp.dot(toward, way), wp.dot(toward, beside), 1.0)
        bend = schlick(ahead)
        met = (bend * 0.96 + wp.vec4(0.04, 0.04, 0.04, 0.04)) * finish[0]
        lobe = lobes(nv, facing, ahead, wp.vec4(wp.max(roughness, 0.08), soft, rough, 1.0))
        lobe = lobe - wp.cw_mul(lobe, met)
        turned = wp.cw_mul(lobe, bend)
        top = wp.float32(0.0)
        top_first = wp.float32(0.0)
        top_second = wp.float32(0.0)
        if finish[0] > 0.0:
            coat = wp.cw_mul(met, lobes(nv, facing, ahead, wp.vec4(smooth, smooth, smooth, smooth)))
            top = coat[0]
            top_first = coat[1]
            top_second = coat[2]
        seen += wp.cw_mul(f0, sunlight * (day * (lobe[0] - turned[0]))) + sunlight * (day * (turned[0] + top))
        glint += wp.cw_mul(f0, light * (lobe[1] - turned[1]) + other * (lobe[2] - turned[2]))
        glint += light * (turned[1] + top_first) + other * (turned[2] + top_second)
        full += light[0] + light[1] + light[2] + other[0] + other[1] + other[2]
        day = wp.float32(0.0)
    bright = wp.max(full * rest, 1.0e-6)
    seen += glint * (rest * wp.clamp((lit[0] + lit[1] + lit[2]) / bright, 0.0, 1.0))
    whole, _rim = lobe_share(roughness, nv)
    return wp.cw_mul(seen, _mirrored_again(f0, whole))


@wp.func
def beam(air: Air, view: View, direction: wp.vec3, distance: wp.float32, nv: wp.float32):
    """Irradiance from two lamps a little below the camera, aimed along it: a cone with a soft rim."""
    axis = wp.transform_vector(view.camera_to_world, wp.vec3(0.0, -0.06, -1.0))
    inside = wp.dot(direction, wp.normalize(axis))
    cone = wp.clamp((inside - 0.62) / 0.33, 0.0, 1.0)
    power = air.headlight * cone * cone / (distance * distance + 9.0)
    return wp.vec3(1.0, 0.93, 0.82) * (power * nv)


@wp.func
def _headlit(
    air: Air,
    view: View,
    direction: wp.vec3,
    distance: wp.float32,
    n: wp.vec3,
    diffuse: wp.vec3,
    f0: wp.vec3,
    roughness: wp.float32,
    finish: wp.vec4,
):
    """What the eye sees of the lamps beside it."""
    nv = -wp.dot(n, direction)
    light = beam(air, view, direction, distance, wp.max(nv, 0.02))
    one = wp.vec4(1.0, 1.0, 1.0, 1.0)
    lobe = lobes(nv, one * nv, one, wp.vec4(wp.max(roughness, 0.15), wp.max(finish[1], 0.08), 1.0, 1.0))
    met = 0.04 * finish[0]
    white = wp.vec3(1.0, 1.0, 1.0) * (lobe[1] * met)
    return wp.cw_mul(light, diffuse + f0 * (lobe[0] * (1.0 - met)) + white)


@wp.func
def reflected(world: WorldArrays, air: Air, lamps: Lamps, start: wp.vec3, mirrored: wp.vec3, g: wp.vec3):
    """What a mirror shows of the scene."""
    way = lifted(mirrored, g)
    return mirrored_along(world, world.atlas, air, lamps, start, way, 200.0, 4.0 * air.limit, 1.0)


@wp.func
def _veiled(air: Air, eye: wp.vec3, direction: wp.vec3, distance: wp.float32, veil: wp.vec4, color: wp.vec3):
    """The share of a clear thing and of the air before it that hides what lies behind."""
    airlight = through_haze(air, wp.vec3(0.0, 0.0, 0.0), eye, direction, distance)
    seen = through_haze(air, color * veil[3], eye, direction, distance)
    return seen - wp.cw_mul(airlight, wp.vec3(veil[0], veil[1], veil[2]))


@wp.func
def _unveiled(veil: wp.vec4):
    """What a clear thing does not let through."""
    return wp.vec3(1.0 - veil[0], 1.0 - veil[1], 1.0 - veil[2])


@wp.func
def _sharpness(roughness: wp.float32, finish: wp.vec4):
    """How much of a mirror a surface or the clear coat on it is, in [0, 1]; 0 where that would not be seen."""
    sharp = 1.0 - smooth_step(0.10, 0.36, wp.lerp(roughness, wp.min(roughness, finish[1]), finish[0]))
    if sharp < 0.02:
        return wp.float32(0.0)
    return sharp


@wp.func
def _known_sun(
    grid: LightGrid,
    suns: wp.array(dtype=wp.float32),
    i: wp.int32,
    cell: wp.int32,
    close: wp.float32,
    uv: wp.vec2,
    asked: wp.bool,
):
    """Share of the sun known of sample ``i``, agreed on by all cells around, or found at ``uv``; else below 0."""
    if suns.shape[0] > 0:
        share = suns[i]
        if share >= 0.0:
            return share
    if asked and grid.frugal == 1:
        agreed = grid.sun[cell]
        if agreed >= 0.0 and close > 0.25:
            return agreed
        if agreed == -1.0:
            row = cell // grid.columns
            y, x = tested_pixel(row, cell - row * grid.columns, 1, grid.step)
            if uv[0] == wp.float32(x) + 0.5 and uv[1] == wp.float32(y) + 0.5:
                return grid.tested[cell]
    return wp.float32(-1.0)


@wp.func
def _turned(before: wp.float32, after: wp.float32):
    """What light gains, as a share of it, where a surface turns; 0 where there was none."""
    if before <= 0.0:
        return wp.float32(0.0)
    return wp.clamp(after / before, 0.0, 4.0) - 1.0


@wp.func
def _turned_lamps(lamps: Lamps, grid: LightGrid, cell: wp.int32, p: wp.vec3, n: wp.vec3, turned: wp.vec3):
    """What the light of lamps gains, as a share of it, where a surface turns from ``n``: as the two that matter do."""
    first = grid.picks[cell][0]
    second = grid.picks[cell][1]
    before = wp.float32(0.0)
    after = wp.float32(0.0)
    if first >= 0:
        before += luma(lamp_irradiance(lamps, first, p, n))
        after += luma(lamp_irradiance(lamps, first, p, turned))
    if second >= 0:
        before += luma(lamp_irradiance(lamps, second, p, n))
        after += luma(lamp_irradiance(lamps, second, p, turned))
    return _turned(before, after)


@wp.func
def _snow_gains(
    air: Air, lamps: Lamps, grid: LightGrid, cell: wp.int32, p: wp.vec3, n: wp.vec3, g: wp.vec3, side: wp.float32,
    sunlight: wp.vec3, lit: wp.vec3,
):  # fmt: skip
    """Irradiance that snow on a surface gets more than the surface, for its bumps; ``side`` is a pixel's [m]."""
    if z_up(air, g)[2] <= UPWARD:
        return wp.vec3(0.0, 0.0, 0.0)
    white = snowed_normal(n, g, p, side, 1.0)
    more = sunlight * _turned(wp.dot(n, air.sun), wp.dot(white, air.sun))
    if grid.frugal == 1:
        more += lit * _turned_lamps(lamps, grid, cell, p, n, white)
    return more


@wp.func
def _met_flatly(air: Air, sky: wp.vec3, around: wp.vec3, open: wp.float32):
    """What a surface of that openness mirrors where light does not bounce: sky, and else what is around."""
    share = open * open * air.open
    return sky * share + around * ((1.0 - share) / PI)


@wp.func
def _exposed(air: Air, view: View, uv: wp.vec2, color: wp.vec3):
    """The light that the lens lets onto the sensor at an image point."""
    ox = uv[0] / wp.float32(view.width) - 0.5
    oy = uv[1] / wp.float32(view.height) - 0.5
    rim = wp.max(0.0, 1.0 - air.vignette * 1.6 * (ox * ox + oy * oy))
    return color * (air.exposure * rim)


@wp.func
def _traced_sun(
    world: WorldArrays,
    air: Air,
    triangle: wp.int32,
    p: wp.vec3,
    start: wp.vec3,
    g: wp.vec3,
    n: wp.vec3,
    sun_rays: wp.int32,
    rim: wp.int32,
):
    """Share of the sun that a point sees, by one ray where that decides."""
    share = wp.float32(-1.0)
    if sun_rays <= 1:
        share = sun_at_once(world, air, triangle, start, g)
    if share < 0.0:
        share = sunlit(world, air, triangle, p, start, g, n, sun_rays, rim == 1)
    return share


# With ``layer`` 1 a sample is one of several along its ray: its share of exposed light. It is not toned then, nor with
# ``toned`` 0. What arrives is irradiance on surfaces, and where the sky is seen its radiance behind the air; where
# there is room for twice as many, after all of these irradiance on the snow that may lie there. ``suns`` and ``keys``
# may be empty.
@wp.kernel
def shade_kernel(
    first: wp.int32, run: wp.int32, count: wp.int32, world: WorldArrays, air: Air, lamps: Lamps, view: View,
    grid: LightGrid, surfaces: Surfaces, sun_rays: wp.int32, rim: wp.int32, layer: wp.int32, toned: wp.int32,
    halo: Halo, suns: wp.array(dtype=wp.float32), keys: wp.array(dtype=wp.vec2),
    color_out: wp.array(dtype=wp.vec3), arriving_out: wp.array(dtype=wp.vec3),
):  # fmt: skip
    """Display-linear colour in [0, 1] of each sample, and where there is room for it what arrives."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        # What few samples need is added to the array: vectors that branches set would go through memory for all.
        color_out[i] = wp.vec3(0.0, 0.0, 0.0)
        uv = surfaces.image[i]
        eye = wp.transform_point(view.camera_to_world, pixel_start(view, uv[0], uv[1]))
        p = surfaces.positions[i]
        triangle = surfaces.triangles[i]
        solid = wp.float32(wp.clamp(triangle + 1, 0, 1))
        distance = wp.length(p - eye * solid)
        direction = (p - eye * solid) / wp.max(distance, 1.0e-9)
        if triangle >= 0:
            n = surfaces.normals[i]
            g = surfaces.geometric[i]
            nv = wp.max(-wp.dot(n, direction), 0.02)
            gloss, finish = surfaces.gloss[i], surfaces.finish[i]
            f0 = surfaces.specular[i] * (1.0 - gloss[1]) + surfaces.base[i] * gloss[1]
            diffuse = surfaces.base[i] * ((1.0 - gloss[1]) * finish[3] / PI)
            gleam = _gleam(f0, gloss[0], nv, finish)
            if air.bounce > 0.0:  # what is mirrored does not reach the body
                diffuse = wp.cw_mul(diffuse, wp.vec3(1.0, 1.0, 1.0) - gleam)
            start = p + g * (1.0e-3 + 2.0e-4 * surfaces.depths[i])
            lit, gathered, close, nearest = grid_sample(grid, uv, p, n, gloss[3])
            if grid.keyed == 1:
                shown = wp.vec2(-1.0, -1.0)
                if keys.shape[0] > 0:
                    shown = keys[i]
                picks, rest, clearance = grid.picks[nearest], grid.rest[nearest], 1.0e-3 + 2.0e-4 * surfaces.depths[i]
                here = lit_by(world, lamps, picks, rest, shown, p, g, n, clearance, i & 7, gathered)
                lit = wp.cw_mul(lit, here)
            cell = cell_of(grid, uv)
            sunny = wp.max(wp.dot(n, air.sun), 0.0)
            if sunny > 0.0 and air.sun_color[0] + air.sun_color[2] > 0.0:
                asked = sun_rays == 1 and layer == 0 and wp.dot(g, air.sun) > 0.0
                share = _known_sun(grid, suns, i, cell, close, uv, asked)
                if share < 0.0:
                    share = _traced_sun(world, air, triangle, p, start, g, n, sun_rays, rim)
                sunny *= share
            sunlight = air.sun_color * sunny
            if arriving_out.shape[0] > 0:
                arriving_out[i] = lit + wp.vec3(gathered[0], gathered[1], gathered[2]) + sunlight
                if arriving_out.shape[0] > count:
                    more = _snow_gains(air, lamps, grid, cell, p, n, g, gloss[3], sunlight, lit)
                    arriving_out[count + i] = arriving_out[i] + more
            around = wp.vec3(gathered[0], gathered[1], gathered[2]) * finish[2]
            color = surfaces.emissive[i] * air.emission + wp.cw_mul(diffuse, lit + around + sunlight)
            few = grid.frugal == 1 and layer == 0 and gloss[0] > _ROUGH and finish[0] == 0.0
            color += _highlights(lamps, grid, cell, few, lit, p, n, -direction, f0, gloss[0], finish, air.sun, sunlight)
            mirrored = wp.normalize(direction + n * (2.0 * nv))
            if air.bounce > 0.0:
                sharp = _sharpness(gloss[0], finish)
                met = wp.vec3(gathered[3], gathered[4], gathered[5]) * (1.0 - sharp)
                color_out[i] = color + wp.cw_mul(gleam, met)
                if sharp > 0.0:
                    seen = reflected(world, air, lamps, start, mirrored, g) * sharp
                    color_out[i] = color_out[i] + wp.cw_mul(gleam, seen)
            else:
                sky = sky_radiance(air, world.atlas, mirrored, 0.0)
                color_out[i] = color + wp.cw_mul(gleam, _met_flatly(air, sky, around, gathered[3]))
            if air.headlight > 0.0:
                color_out[i] = color_out[i] + _headlit(air, view, direction, distance, n, diffuse, f0, gloss[0], finish)
            if layer == 1:
                color_out[i] = _veiled(air, eye, direction, distance, surfaces.veil[i], color_out[i])
        elif distance > 0.0:  # else outside the image circle of a fisheye
            distance = wp.float32(1.0e5)
            color_out[i] = sky_radiance(air, world.atlas, direction, 1.0)
        if distance > 0.0:
            if layer == 0 or triangle < 0:
                color_out[i] = through_haze(air, color_out[i], eye, direction, distance)
            if triangle < 0 and arriving_out.shape[0] > 0:
                arriving_out[i] = color_out[i]
            if halo.rows > 0:
                glow = halo_at(world, air, lamps, halo, uv, eye, direction, distance)
                color_out[i] = color_out[i] + wp.cw_mul(glow, _unveiled(surfaces.veil[i] * (solid * wp.float32(layer))))
            color_out[i] = _exposed(air, view, uv, color_out[i])
    if layer == 0 and toned == 1:
        for i in range(begin, wp.min(begin + run, count)):
            color_out[i] = aces(color_out[i])


__all__ = ["beam", "reflected", "shade_kernel", "sun_at_once", "sunlit"]
