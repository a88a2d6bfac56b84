"""Light maps: what a white and a mirror ball would show at every pixel, and the air before it."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.glow import lamp_glow
from cosmos.bridge.render.draw.lamp import Lamps
from cosmos.bridge.render.draw.light import PI
from cosmos.bridge.render.draw.light_grid import LightGrid, cell_of, grid_sample
from cosmos.bridge.render.draw.shade import beam, reflected, sunlit
from cosmos.bridge.render.draw.sky import Air, sky_radiance, through_haze
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.tone import aces, srgb_of
from cosmos.bridge.render.draw.view import View, pixel_start
from cosmos.bridge.render.draw.weather import sheltered
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())

_WHITE = wp.constant(wp.float32(0.8))
"""Albedo of the white ball."""


@wp.func
def _arriving(
    world: WorldArrays,
    air: Air,
    view: View,
    grid: LightGrid,
    home: Surfaces,
    i: wp.int32,
    direction: wp.vec3,
    distance: wp.float32,
):
    """Irradiance on pixel centre ``i``, which is seen along ``direction``."""
    p = home.positions[i]
    n = home.normals[i]
    g = home.geometric[i]
    uv = home.image[i]
    lit, gathered, close = grid_sample(grid, uv, p, n, home.gloss[i][3])
    light = lit + wp.vec3(gathered[0], gathered[1], gathered[2])
    facing = wp.dot(n, air.sun)
    if facing > 0.0 and air.sun_color[0] + air.sun_color[2] > 0.0:
        share = wp.float32(-1.0)
        if grid.frugal == 1 and close > 0.25 and wp.dot(g, air.sun) > 0.0:
            share = grid.sun[cell_of(grid, uv)]
        if share < 0.0:
            share = sunlit(world, air, home.triangles[i], p, p + g * (1.0e-3 + 2.0e-4 * home.depths[i]), g, n, 1)
        light += air.sun_color * (facing * share)
    if air.headlight > 0.0:
        light += beam(air, view, direction, distance, wp.max(0.02, -wp.dot(n, direction)))
    return light


@wp.func
def _mirrored(world: WorldArrays, air: Air, lamps: Lamps, home: Surfaces, i: wp.int32, direction: wp.vec3):
    """Radiance that a mirror at pixel centre ``i``, seen along ``direction``, shows."""
    n = home.normals[i]
    g = home.geometric[i]
    away = wp.normalize(direction - n * (2.0 * wp.min(wp.dot(n, direction), -0.02)))
    return reflected(world, air, lamps, home.positions[i] + g * (1.0e-3 + 2.0e-4 * home.depths[i]), away, g)


@wp.func
def _byte(value: wp.float32):
    return wp.uint8(wp.clamp(value, 0.0, 1.0) * 255.0 + 0.5)


@wp.kernel
def fill_balls_kernel(
    first: wp.int32,
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    view: View,
    grid: LightGrid,
    home: Surfaces,
    mirrors: wp.int32,
    falls: wp.int32,
    white_out: wp.array3d(dtype=wp.uint8),
    mirror_out: wp.array3d(dtype=wp.uint8),
    air_out: wp.array3d(dtype=wp.uint8),
    open_out: wp.array2d(dtype=wp.uint8),
):
    """Fill the maps of each pixel centre; ``home`` holds the surfaces there, ``grid`` their slow light.

    With ``mirrors`` 0 there is no mirror ball, with ``falls`` 0 nothing arrives from the sky: each costs a ray a pixel.
    """
    i = first + wp.tid()
    y = i // grid.width
    x = i - y * grid.width
    uv = home.image[i]
    eye = wp.transform_point(view.camera_to_world, pixel_start(view, uv[0], uv[1]))
    p = home.positions[i]
    white = wp.vec3(0.0, 0.0, 0.0)
    mirror = wp.vec3(0.0, 0.0, 0.0)
    between = wp.vec3(0.0, 0.0, 0.0)
    clear = wp.float32(0.0)
    arrives = wp.float32(0.0)
    if home.triangles[i] >= 0:
        distance = wp.length(p - eye)
        direction = (p - eye) / wp.max(distance, 1.0e-9)
        white = _arriving(world, air, view, grid, home, i, direction, distance) * (_WHITE / PI)
        if mirrors == 1:
            mirror = _mirrored(world, air, lamps, home, i, direction)
        if falls == 1:
            lift = 1.0e-3 + 2.0e-4 * home.depths[i]
            arrives = 1.0 - sheltered(world, air, p, home.geometric[i], lift)
        between = through_haze(air, between, eye, direction, distance)
        past = through_haze(air, wp.vec3(1.0, 1.0, 1.0), eye, direction, distance) - between
        clear = (past[0] + past[1] + past[2]) / 3.0
        if air.haze > 2.0e-3 and lamps.count > 0:
            between += lamp_glow(world, air, lamps, eye, direction, distance)
        white = wp.cw_mul(white, past) + between
        mirror = (wp.cw_mul(mirror, past) + between) * wp.float32(mirrors)
    elif wp.length_sq(p) > 0.0:  # not outside the image circle of a fisheye
        between = through_haze(air, sky_radiance(air, world.atlas, p, 1.0), eye, p, 1.0e5)
    white = aces(white * air.exposure)
    mirror = aces(mirror * air.exposure)
    between = aces(between * air.exposure)
    for channel in range(3):
        white_out[y, x, channel] = _byte(srgb_of(white[channel]))
        mirror_out[y, x, channel] = _byte(srgb_of(mirror[channel]))
        air_out[y, x, channel] = _byte(srgb_of(between[channel]))
    air_out[y, x, 3] = _byte(clear)
    open_out[y, x] = _byte(arrives)


__all__ = ["fill_balls_kernel"]
