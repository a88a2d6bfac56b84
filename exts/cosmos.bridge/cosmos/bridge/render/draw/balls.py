"""Light maps: what a white and a mirror ball would show at every pixel, and the air before it.

The light that arrives at a pixel is that which lit its picture. Rays are dear: mirror and shelter are found in the
middle of every other cell of the light grid, and between these where they disagree; where snow falls, whose rim
shows, shelter is found in each cell. Both are carried to the pixels of a cell's surface, and found anew on level things
of which no cell around lies on the surface, and of snow where these disagree on it. Where snow falls, none stays on a
steep facet, whatever its normals pretend, but by the slope of the round thing that it may be one of many of; and a
white ball that lies open is as uneven as snow.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import warp as wp

from cosmos.bridge.kernels.display import aces, srgb_looked_up
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.lamp import Lamps
from cosmos.bridge.render.draw.light import PI
from cosmos.bridge.render.draw.light_grid import LightGrid, same_surface
from cosmos.bridge.render.draw.shade import beam, reflected
from cosmos.bridge.render.draw.sky import Air, haze_between, z_up
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.view import View, pixel_start
from cosmos.bridge.render.draw.weather import sheltered, snowed_normal, stays
from cosmos.bridge.render.draw.world import WorldArrays
from cosmos.bridge.types import LightMaps

wp.set_module_options(fast_options())

_WHITE = wp.constant(wp.float32(0.8))
"""Albedo of the white ball."""
_ALONE = wp.constant(wp.float32(0.1))
"""Weight of the cells around a pixel, below which none of them lies on its surface."""
_ANY = wp.constant(wp.float32(1.0e-4))
"""Weight of those that do not: where none does, all together tell what is around."""
_LEVEL = wp.constant(wp.float32(0.9))
"""Upward part of the normal of a facet from which on water stands on it, whose mirror is sharp."""
_APART = wp.constant(wp.float32(0.2))
"""Most that display-linear mirrors, or shelters, of the cells around a place may differ, to be carried to it."""
_STRIDE = wp.constant(2)
"""Way from one cell that is looked around from at first to the next."""


@wp.struct
class Carried:
    """What is found once a cell of the light grid."""

    mirror: wp.vec3  # radiance, before the air
    shown: wp.float32  # luma of the mirror as displayed
    open: wp.float32  # share of what falls from the sky that arrives


@wp.func
def _sight(view: View, home: Surfaces, i: wp.int32):
    """Where the eye of pixel centre ``i`` is, which way it looks, and how far that is to what is there."""
    uv = home.image[i]
    eye = wp.transform_point(view.camera_to_world, pixel_start(view, uv[0], uv[1]))
    distance = wp.length(home.positions[i] - eye)
    return eye, (home.positions[i] - eye) / wp.max(distance, 1.0e-9), distance


@wp.func
def _mirrored(world: WorldArrays, air: Air, lamps: Lamps, home: Surfaces, i: wp.int32, direction: wp.vec3):
    """Radiance that a mirror at pixel centre ``i``, seen along ``direction``, shows."""
    n = home.normals[i]
    g = home.geometric[i]
    away = wp.normalize(direction - n * (2.0 * wp.min(wp.dot(n, direction), -0.02)))
    return reflected(world, air, lamps, home.positions[i] + g * (1.0e-3 + 2.0e-4 * home.depths[i]), away, g)


@wp.func
def _arrives(world: WorldArrays, air: Air, home: Surfaces, i: wp.int32):
    """Share of what falls from the sky that arrives at pixel centre ``i``."""
    return 1.0 - sheltered(world, air, home.positions[i], home.geometric[i], 1.0e-3 + 2.0e-4 * home.depths[i])


@wp.func
def _asks(near: wp.float32, flat: wp.float32):
    """Whether a pixel, whose surface the cells around it show by ``near``, needs rays of its own.

    Steep things that no cell shows, poles and rims, do with what is around, if that is not the sky.
    """
    return near <= 0.0 or (near < _ALONE and flat > _LEVEL)


@wp.func
def _displayed(air: Air, color: wp.vec3):
    shown = aces(color * air.exposure)
    return 0.2126 * shown[0] + 0.7152 * shown[1] + 0.0722 * shown[2]


@wp.func
def _carry(grid: LightGrid, carried: wp.array(dtype=Carried), home: Surfaces, i: wp.int32, stride: wp.int32):
    """What four cells around pixel centre ``i`` say of it, how much they lie on its surface, how far apart they are.

    Of the cells every ``stride``-th a side is asked.
    """
    uv = home.image[i]
    p = home.positions[i]
    n = home.normals[i]
    step = wp.float32(grid.step)
    tolerance = 1.0 / (0.02 + 4.0 * home.gloss[i][3] * step)
    gx = (uv[0] - 0.5 - wp.float32(grid.step // 2)) / (step * wp.float32(stride))
    gy = (uv[1] - 0.5 - wp.float32(grid.step // 2)) / (step * wp.float32(stride))
    fx = wp.floor(gx)
    fy = wp.floor(gy)
    mirror = wp.vec3(0.0, 0.0, 0.0)
    open = wp.float32(0.0)
    total = wp.float32(0.0)
    low = wp.vec2(1.0, 1.0)
    high = wp.vec2(0.0, 0.0)
    for k in range(4):
        row = stride * wp.clamp(wp.int32(fy) + k // 2, 0, (grid.rows - 1) // stride)
        column = stride * wp.clamp(wp.int32(fx) + k % 2, 0, (grid.columns - 1) // stride)
        down = wp.abs(wp.float32(1 - k // 2) - (gy - fy))
        across = wp.abs(wp.float32(1 - k % 2) - (gx - fx))
        cell = grid.cells[row * grid.columns + column]
        alike = same_surface(wp.dot(n, cell.place - p) * tolerance, wp.dot(n, cell.normal)) * cell.shown
        weight = (alike + _ANY * cell.shown) * (down * across + 1.0e-3)
        one = carried[row * grid.columns + column]
        mirror += one.mirror * weight
        open += one.open * weight
        total += weight
        if alike > _ALONE:
            seen = wp.vec2(one.shown, one.open)
            low = wp.min(low, seen)
            high = wp.max(high, seen)
    share = 1.0 / wp.max(total, 1.0e-12)
    return mirror * share, open * share, total, high - low


@wp.kernel
def _look_around_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    view: View,
    grid: LightGrid,
    home: Surfaces,
    mirrors: wp.int32,
    falls: wp.int32,
    between: wp.int32,
    carried: wp.array(dtype=Carried),
):
    """Find what is carried, in the middle of every ``_STRIDE``-th cell of ``grid`` a side, or ``between`` these.

    Between, both are those of the cells around where they agree: what a wet thing shows of its mirror is dim and rough,
    and so is where it ends. With ``falls`` 2 shelter is found in each.
    """
    begin = (first + wp.tid()) * run
    height = home.triangles.shape[0] // grid.width
    columns = grid.columns
    if between == 0:
        columns = (grid.columns + _STRIDE - 1) // _STRIDE
    for k in range(begin, wp.min(begin + run, count)):
        row = k // columns
        column = k - row * columns
        if between == 0:
            row = row * _STRIDE
            column = column * _STRIDE
        elif row % _STRIDE == 0 and column % _STRIDE == 0:
            continue
        y = wp.min(row * grid.step + grid.step // 2, height - 1)
        x = wp.min(column * grid.step + grid.step // 2, grid.width - 1)
        i = y * grid.width + x
        found = Carried()
        if home.triangles[i] >= 0:
            mirror = wp.vec3(0.0, 0.0, 0.0)
            open = wp.float32(0.0)
            near = wp.float32(0.0)
            flat = z_up(air, home.geometric[i])[2]
            apart = wp.vec2(0.0, 0.0)
            if between == 1 and (mirrors == 1 or falls == 1):
                mirror, open, near, apart = _carry(grid, carried, home, i, _STRIDE)
            if mirrors == 1:
                if _asks(near, flat) or apart[0] > _APART:
                    _eye, direction, _distance = _sight(view, home, i)
                    mirror = _mirrored(world, air, lamps, home, i, direction)
                found.mirror = mirror
                found.shown = _displayed(air, mirror)
            if falls > 0:
                if falls == 2:
                    if stays(air, home.normals[i], home.geometric[i]) > 0.0:
                        open = _arrives(world, air, home, i)
                elif _asks(near, flat) or apart[1] > _APART:
                    open = _arrives(world, air, home, i)
                found.open = open
        carried[row * grid.columns + column] = found


@wp.func
def _byte(curve: wp.array(dtype=wp.float32), value: wp.float32):
    return wp.uint8(srgb_looked_up(curve, value) * 255.0 + 0.5)


@wp.kernel
def _fill_balls_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    view: View,
    grid: LightGrid,
    home: Surfaces,
    mirrors: wp.int32,
    falls: wp.int32,
    carried: wp.array(dtype=Carried),
    arriving: wp.array(dtype=wp.vec3),  # irradiance; radiance of the sky; after all of these irradiance of snow
    curve: wp.array(dtype=wp.float32),  # of ``srgb_table``
    white_out: wp.array3d(dtype=wp.uint8),
    mirror_out: wp.array3d(dtype=wp.uint8),
    air_out: wp.array3d(dtype=wp.uint8),
    open_out: wp.array2d(dtype=wp.uint8),
):
    """Fill the maps of each pixel centre; ``home`` holds the surfaces there, ``grid`` their slow light."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        y = i // grid.width
        x = i - y * grid.width
        eye, direction, distance = _sight(view, home, i)
        white = wp.vec3(0.0, 0.0, 0.0)
        mirror = wp.vec3(0.0, 0.0, 0.0)
        between = wp.vec3(0.0, 0.0, 0.0)
        clear = wp.float32(0.0)
        open = wp.float32(0.0)
        if home.triangles[i] >= 0:
            between, clear = haze_between(air, eye, direction, distance)
            if mirrors == 1 or falls > 0:
                mirror, open, near, apart = _carry(grid, carried, home, i, 1)
                flat = z_up(air, home.geometric[i])[2]
                if mirrors == 1 and _asks(near, flat):
                    mirror = _mirrored(world, air, lamps, home, i, direction)
                if falls == 1 and _asks(near, flat):
                    open = _arrives(world, air, home, i)
                if falls == 2:
                    kept = stays(air, home.normals[i], home.geometric[i])
                    if kept > 0.0 and (near < _ALONE or apart[1] > _APART):
                        open = _arrives(world, air, home, i)
                    open *= kept
            n = home.normals[i]
            white = arriving[i]
            if falls == 2 and open > 0.0:
                n = snowed_normal(n, home.geometric[i], home.positions[i], home.gloss[i][3], open)
                white = wp.lerp(white, arriving[home.triangles.shape[0] + i], open)
            if air.headlight > 0.0:
                white += beam(air, view, direction, distance, wp.max(0.02, -wp.dot(n, direction)))
            white = white * (_WHITE / PI * clear) + between
            mirror = (mirror * clear + between) * wp.float32(mirrors)
        elif wp.length_sq(home.positions[i]) > 0.0:  # the way to the sky; none outside the image circle of a fisheye
            between = arriving[i]
        white = aces(white * air.exposure)
        mirror = aces(mirror * air.exposure)
        between = aces(between * air.exposure)
        for channel in range(3):
            white_out[y, x, channel] = _byte(curve, white[channel])
            mirror_out[y, x, channel] = _byte(curve, mirror[channel])
            air_out[y, x, channel] = _byte(curve, between[channel])
        air_out[y, x, 3] = wp.uint8(wp.clamp(clear, 0.0, 1.0) * 255.0 + 0.5)
        open_out[y, x] = wp.uint8(wp.clamp(open, 0.0, 1.0) * 255.0 + 0.5)


def fill_balls(
    bands: Bands,
    scene: list[Any],
    arriving: wp.array,
    curve: wp.array,
    maps: LightMaps,
    *,
    rain: bool,
    snow: bool,
) -> None:
    """Fill the balls, the air and the shelter of light maps.

    Args:
        bands: Where to launch.
        scene: World, air, lamps, view, light grid and the surfaces at the pixel centres.
        arriving: Irradiance at the pixel centres, headlights left out, or where nothing is met what the sky and the air
            send; vec3, shape [H W]; where it snows [2 H W], with the irradiance of snow that may lie there after it.
        curve: Of ``srgb_table``.
        maps: What to fill; ``relit`` stays.
        rain: Whether it rains: there is a mirror ball then, and shelter.
        snow: Whether it snows: there is shelter then, at a ray a cell.
    """
    grid, home = scene[4], scene[5]
    cells = grid.columns * grid.rows
    carried = wp.empty(cells, dtype=Carried, device=bands.device)
    wanted = [int(rain), 2 if snow else int(rain)]
    if rain or snow:
        some = -(-grid.columns // _STRIDE) * -(-grid.rows // _STRIDE)
        for between, count in ((0, some), (1, cells)):
            bands.launch_runs(_look_around_kernel, count, [*scene, *wanted, between, carried], chunk=256)
    inputs = [*scene, *wanted, carried, arriving, curve, maps.white, maps.mirror, maps.air, maps.open]
    bands.launch_runs(_fill_balls_kernel, home.triangles.shape[0], inputs, chunk=512)


__all__ = ["fill_balls"]
