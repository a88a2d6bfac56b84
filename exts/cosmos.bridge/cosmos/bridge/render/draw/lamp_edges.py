"""Shadows of key lamps at the pixels of a picture: sharp beside what casts them, soft where the lamp is broad.

Every second pixel, as the black squares of a chessboard, looks for its key lamps by one ray to each. The others take
what those beside them agree on, or look themselves. Where pixels beside each other still differ there is a rim or a
half shadow, and more rays start from around the centre, to as many points of the lamp: twice as many where a pixel
differs from two of them, as in a broad half shadow, in the midst of which pixels share what they found.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.key_lamps import key_shares, lamp_met, lamp_seen
from cosmos.bridge.render.draw.lamp import Lamps
from cosmos.bridge.render.draw.light_grid import LightGrid, bayer_order, grid_sample
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.terminator import is_flat
from cosmos.bridge.render.draw.view import View, pixel_ray, pixel_start
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())

_RAYS = wp.constant(8)
"""Rays of a pixel to a lamp where one beside it sees more or less of that; twice as many where two of them do."""
_MOST = wp.constant(wp.float32(5.5))
"""Pixels of nine that must be in half shadow for it to be a broad one: a rim is two pixels wide."""
_SOME = wp.constant(wp.float32(1.5))
"""The same, for one that found none to look with many rays as well."""
_LOOKED = wp.constant(wp.float32(1.0e-3))
"""What is left of a lamp that many rays found all seen, or none of it: so much tells that they did."""
_ALIKE = wp.constant(wp.float32(0.95))
"""Cosine of the normals of pixels that lie on one surface."""
_WIDE = wp.constant(wp.float32(0.8))
"""Side of the square around a pixel's centre in which they start [px]."""


@wp.struct
class Keyed:
    """What a pixel knows of its key lamps."""

    picks: wp.vec2i  # the two strongest lamps around it; -1 where it shows none
    seen: wp.vec2  # how much of each is seen; below 0 where it is not key


@wp.func
def _beside(keyed: wp.array(dtype=Keyed), i: wp.int32, width: wp.int32, side: wp.int32):
    """The pixel beside ``i`` on one of four sides; ``i`` at the rim of the picture."""
    height = keyed.shape[0] // width
    y = i // width
    x = i - y * width
    if side == 0:
        return wp.max(y - 1, 0) * width + x
    if side == 1:
        return wp.min(y + 1, height - 1) * width + x
    if side == 2:
        return y * width + wp.max(x - 1, 0)
    return y * width + wp.min(x + 1, width - 1)


@wp.func
def _agreed(keyed: wp.array(dtype=Keyed), i: wp.int32, width: wp.int32, picks: wp.vec2i, lamp: wp.int32):
    """How much of a lamp all pixels beside ``i`` see, or -1 where they do not agree."""
    share = wp.float32(-1.0)
    for side in range(4):
        j = _beside(keyed, i, width, side)
        if j != i:
            other = keyed[j]
            if other.picks[lamp] != picks[lamp] or other.seen[lamp] < 0.0:
                return wp.float32(-1.0)
            if share >= 0.0 and other.seen[lamp] != share:
                return wp.float32(-1.0)
            share = other.seen[lamp]
    return share


@wp.kernel
def _find_keys_kernel(
    first: wp.int32, run: wp.int32, count: wp.int32, world: WorldArrays, lamps: Lamps, grid: LightGrid, home: Surfaces,
    odd: wp.int32, keyed: wp.array(dtype=Keyed),
):  # fmt: skip
    """Key lamps at the pixel centres whose row and column add up to an ``odd`` number, or an even one."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        row = i // grid.width
        if ((row + i - row * grid.width) & 1) != odd:
            continue
        found = Keyed()
        found.picks = wp.vec2i(-1, -1)
        seen = wp.vec2(-1.0, -1.0)
        if home.triangles[i] >= 0:
            p = home.positions[i]
            n = home.normals[i]
            g = home.geometric[i]
            _lit, gathered, _close, nearest = grid_sample(grid, home.image[i], p, n, home.gloss[i][3])
            picks = grid.picks[nearest]
            one, two, _strongest = key_shares(lamps, picks, grid.rest[nearest], p, n, gathered)
            found.picks = picks
            order = bayer_order(row, i - row * grid.width) & 7  # eight of one colour in sixteen
            clearance = 1.0e-3 + 2.0e-4 * home.depths[i]
            for lamp in range(2):
                light = one
                if lamp == 1:
                    light = two
                if light[0] + light[1] + light[2] > 0.0:
                    share = wp.float32(-1.0)
                    if odd == 1:
                        share = _agreed(keyed, i, grid.width, picks, lamp)
                    if share < 0.0:
                        share = lamp_seen(world, lamps, picks[lamp], p, g, clearance, order)
                    seen[lamp] = share
        found.seen = seen
        keyed[i] = found


@wp.func
def _seen_around(
    world: WorldArrays, view: View, lamps: Lamps, home: Surfaces, i: wp.int32, k: wp.int32, rays: wp.int32
):
    """Share of lamp ``k`` that a pixel sees, by ``rays`` from places in it to points of the lamp."""
    p = home.positions[i]
    g = home.geometric[i]
    uv = home.image[i]
    flat = is_flat(world, home.triangles[i], g)
    clearance = 1.0e-3 + 2.0e-4 * home.depths[i]
    seen = wp.float32(0.0)
    for ray in range(rays):
        m = wp.float32(ray)
        there = p
        if flat:
            across = 0.75487767 * m + 0.15
            down = 0.56984029 * m + 0.6
            u = uv[0] + _WIDE * (across - wp.floor(across) - 0.5)
            v = uv[1] + _WIDE * (down - wp.floor(down) - 0.5)
            eye = wp.transform_point(view.camera_to_world, pixel_start(view, u, v))
            way = wp.transform_vector(view.camera_to_world, pixel_ray(view, u, v))
            there = eye + way * (wp.dot(p - eye, g) / wp.min(wp.dot(way, g), -1.0e-9))
        start = there + g * clearance
        seen += lamp_met(world, lamps, k, start, g, (m + 0.5) / wp.float32(rays), 0.61803399 * m + 0.3)
    return seen / wp.float32(rays)


@wp.kernel
def _smooth_keys_kernel(
    first: wp.int32, run: wp.int32, count: wp.int32, world: WorldArrays, view: View, lamps: Lamps, width: wp.int32,
    home: Surfaces, keyed: wp.array(dtype=Keyed), seen_out: wp.array(dtype=wp.vec2),
):  # fmt: skip
    """How much of each key lamp a pixel sees; by many rays where a pixel beside it sees more or less."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        mine = keyed[i]
        seen = wp.vec2(mine.seen[0], mine.seen[1])
        for lamp in range(2):
            k = mine.picks[lamp]
            differs = wp.int32(0)
            if k >= 0 and mine.seen[lamp] >= 0.0:
                for side in range(4):
                    other = keyed[_beside(keyed, i, width, side)]
                    if other.picks[lamp] == k and other.seen[lamp] >= 0.0 and other.seen[lamp] != mine.seen[lamp]:
                        differs += 1
            if differs > 0:
                share = _seen_around(world, view, lamps, home, i, k, _RAYS * wp.min(differs, 2))
                seen[lamp] = wp.clamp(share, _LOOKED, 1.0 - _LOOKED)
        seen_out[i] = seen


@wp.func
def _half(
    home: Surfaces, keyed: wp.array(dtype=Keyed), seen: wp.array(dtype=wp.vec2), i: wp.int32, width: wp.int32,
    lamp: wp.int32,
):  # fmt: skip
    """How many of nine pixels of one surface are in the half shadow of a lamp, and how much of it they see together.

    None at the rim of the picture.
    """
    mine = keyed[i]
    count = wp.float32(0.0)
    total = wp.float32(0.0)
    x = i - i // width * width
    if i < width or i + width >= keyed.shape[0] or x == 0 or x == width - 1:
        return count, total
    for m in range(9):
        j = i + (m // 3 - 1) * width + m - m // 3 * 3 - 1
        other = keyed[j]
        share = seen[j][lamp]
        alike = other.picks[lamp] == mine.picks[lamp] and wp.dot(home.normals[i], home.normals[j]) > _ALIKE
        if alike and share > 2.0 * _LOOKED and share < 1.0 - 2.0 * _LOOKED:
            count += 1.0
            total += share
    return count, total


@wp.kernel
def _widen_keys_kernel(
    first: wp.int32, run: wp.int32, count: wp.int32, world: WorldArrays, view: View, lamps: Lamps, width: wp.int32,
    home: Surfaces, keyed: wp.array(dtype=Keyed), seen: wp.array(dtype=wp.vec2), seen_out: wp.array(dtype=wp.vec2),
):  # fmt: skip
    """What is seen, by many rays too where a pixel agreed with those beside it by chance: in midst of half shadow."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        found = wp.vec2(seen[i][0], seen[i][1])
        for lamp in range(2):
            if found[lamp] == 0.0 or found[lamp] == 1.0:
                around, _total = _half(home, keyed, seen, i, width, lamp)
                if around >= _SOME:
                    mine = keyed[i]
                    found[lamp] = _seen_around(world, view, lamps, home, i, mine.picks[lamp], _RAYS)
        seen_out[i] = found


@wp.kernel
def _share_keys_kernel(
    first: wp.int32, run: wp.int32, count: wp.int32, width: wp.int32, home: Surfaces, keyed: wp.array(dtype=Keyed),
    seen: wp.array(dtype=wp.vec2), seen_out: wp.array(dtype=wp.vec2),
):  # fmt: skip
    """What is seen, and where most of nine pixels are in half shadow, the mean of those."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        filled = wp.vec2(seen[i][0], seen[i][1])
        for lamp in range(2):
            if filled[lamp] >= 0.0:
                half, total = _half(home, keyed, seen, i, width, lamp)
                if half >= _MOST:
                    filled[lamp] = total / half
        seen_out[i] = filled


def find_keys(bands: Bands, scene: tuple[Any, ...], grid: Any) -> wp.array:
    """Return how much each pixel sees of the two lamps of ``grid.picks``, wp.vec2 [H W]; below 0 where one is not key.

    Args:
        bands: Where to launch.
        scene: World, lamps, view and surfaces at the pixel centres.
        grid: LightGrid of the picture, a keyed one.
    """
    world, lamps, view, home = scene
    count = len(home.triangles)
    keyed = wp.empty(count, dtype=Keyed, device=bands.device)
    seen, filled = (wp.empty(count, dtype=wp.vec2, device=bands.device) for _ in range(2))
    for odd in range(2):
        bands.launch_runs(_find_keys_kernel, count, [world, lamps, grid, home, odd, keyed], chunk=512)
    inputs = [world, view, lamps, grid.width, home, keyed, seen]
    bands.launch_runs(_smooth_keys_kernel, count, inputs, chunk=512)
    for told, wider in ((seen, filled), (filled, seen)):
        bands.launch_runs(_widen_keys_kernel, count, [*inputs[:-1], told, wider], chunk=512)
    bands.launch_runs(_share_keys_kernel, count, [grid.width, home, keyed, seen, filled], chunk=4096)
    return filled


__all__ = ["find_keys"]
