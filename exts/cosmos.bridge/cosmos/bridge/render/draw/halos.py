"""The glow of lamps in haze over a picture, found at few of its pixels: it changes slowly but where depth jumps.

In the middle of each block of pixels a ray a lamp tells how much of the glow is shadowed. Neighbouring blocks ask at
other places along their rays, and what they say is averaged: shadows in a halo are soft. A pixel takes the glow of the
blocks around it, and where they lie at other depths or disagree, as close to a lamp, finds its own and takes their
shadows.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import warp as wp

from cosmos.bridge.kernels.display import aces, luma, srgb_looked_up
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.glow import lamp_glow
from cosmos.bridge.render.draw.halo import Halo, alike_depth, halo_at
from cosmos.bridge.render.draw.lamp import Lamps
from cosmos.bridge.render.draw.sky import Air
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.view import View, pixel_start
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())

_FAR = wp.constant(wp.float32(1.0e5))
"""Way to the sky [m]."""
_REACH = wp.constant(2)
"""How many blocks to each side a block's shadows are averaged with."""


@wp.func
def _sight(view: View, home: Surfaces, i: wp.int32):
    """Where the eye of pixel centre ``i`` is, which way it looks, and how far; 0 outside the circle of a fisheye."""
    uv = home.image[i]
    eye = wp.transform_point(view.camera_to_world, pixel_start(view, uv[0], uv[1]))
    solid = wp.float32(wp.clamp(home.triangles[i] + 1, 0, 1))
    way = home.positions[i] - eye * solid
    distance = wp.length(way)
    direction = way / wp.max(distance, 1.0e-9)
    if solid == 0.0 and distance > 0.0:
        distance = _FAR
    return eye, direction, distance


@wp.func
def _part(value: wp.float32):
    return value - wp.floor(value)


@wp.kernel
def _ask_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    view: View,
    home: Surfaces,
    halo: Halo,
):
    """Glow in the middle of each block; neighbours draw places that lie far apart (Roberts 2018, R2 and R3)."""
    begin = (first + wp.tid()) * run
    for block in range(begin, wp.min(begin + run, count)):
        row = block // halo.columns
        column = block - row * halo.columns
        y = wp.min(row * halo.side + halo.side // 2, view.height - 1)
        x = wp.min(column * halo.side + halo.side // 2, view.width - 1)
        eye, direction, distance = _sight(view, home, y * view.width + x)
        down = wp.float32(row)
        across = wp.float32(column)
        draw = wp.vec2(_part(0.754878 * across + 0.56984 * down), _part(0.5497 * across + 0.819173 * down))
        lit, whole = lamp_glow(world, air, lamps, eye, direction, distance, draw)
        halo.samples[block] = wp.vec4(whole[0], whole[1], whole[2], distance)
        halo.asked[block] = wp.vec2(luma(lit), luma(whole))
        shown = aces(whole * air.exposure)
        halo.levels[block] = wp.max(shown[0], wp.max(shown[1], shown[2]))


@wp.kernel
def _agree_kernel(first: wp.int32, run: wp.int32, count: wp.int32, halo: Halo):
    """What shadows leave of each block's glow, by what it and its neighbours asked."""
    begin = (first + wp.tid()) * run
    for block in range(begin, wp.min(begin + run, count)):
        row = block // halo.columns
        column = block - row * halo.columns
        far = halo.samples[block][3]
        lit = wp.float32(0.0)
        whole = wp.float32(0.0)
        for y in range(wp.max(row - _REACH, 0), wp.min(row + _REACH + 1, halo.rows)):
            for x in range(wp.max(column - _REACH, 0), wp.min(column + _REACH + 1, halo.columns)):
                other = y * halo.columns + x
                weight = alike_depth(halo.samples[other][3], far)
                if wp.abs(y - row) == _REACH:
                    weight *= 0.5
                if wp.abs(x - column) == _REACH:
                    weight *= 0.5
                lit += weight * halo.asked[other][0]
                whole += weight * halo.asked[other][1]
        halo.clear[block] = wp.float32(1.0)
        if whole > 0.0:
            halo.clear[block] = lit / whole


@wp.kernel
def _show_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    view: View,
    home: Surfaces,
    halo: Halo,
    curve: wp.array(dtype=wp.float32),
    glow_out: wp.array3d(dtype=wp.uint8),
):
    """Fill `LightMaps.glow`."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        y = i // view.width
        glow = wp.vec3(0.0, 0.0, 0.0)
        eye, direction, distance = _sight(view, home, i)
        if distance > 0.0:
            glow = halo_at(world, air, lamps, halo, home.image[i], eye, direction, distance) * air.exposure
        for channel in range(3):
            level = srgb_looked_up(curve, glow[channel] / (1.0 + glow[channel]))
            glow_out[y, i - y * view.width, channel] = wp.uint8(level * 255.0 + 0.5)


def find_halo(bands: Bands, scene: list[Any], side: int) -> Any:
    """Return the Halo of a picture.

    Args:
        bands: Where to launch.
        scene: World, air, lamps, view and the surfaces at the pixel centres.
        side: Of a block [px].
    """
    view, device, halo = scene[3], bands.device, Halo()
    halo.side, halo.columns, halo.rows = side, -(-view.width // side), -(-view.height // side)
    count = halo.columns * halo.rows
    halo.samples = wp.empty(count, dtype=wp.vec4, device=device)
    halo.asked = wp.empty(count, dtype=wp.vec2, device=device)
    halo.clear = wp.empty(count, dtype=wp.float32, device=device)
    halo.levels = wp.empty(count, dtype=wp.float32, device=device)
    bands.launch_runs(_ask_kernel, count, [*scene, halo], chunk=64)
    bands.launch_runs(_agree_kernel, count, [halo], chunk=512)
    return halo


def show_halo(bands: Bands, scene: list[Any], halo: Any, curve: wp.array, glow_out: wp.array) -> None:
    """Fill `LightMaps.glow` of a picture.

    Args:
        bands: Where to launch.
        scene: As of ``find_halo``.
        halo: What that returned.
        curve: Of ``srgb_table``.
        glow_out: uint8, shape [H, W, 3].
    """
    bands.launch_runs(_show_kernel, scene[3].width * scene[3].height, [*scene, halo, curve, glow_out], chunk=512)


__all__ = ["find_halo", "show_halo"]
