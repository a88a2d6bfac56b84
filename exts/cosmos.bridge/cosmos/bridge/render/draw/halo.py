"""The glow of lamps in haze at every pixel of a picture, found at few: it changes slowly but where depth jumps.

It is found in the middle of each block of pixels, and anew only where the blocks around a pixel lie at other depths, or
disagree about it, as close to a lamp.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import warp as wp

from cosmos.bridge.kernels.display import aces
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.glow import lamp_glow
from cosmos.bridge.render.draw.lamp import Lamps
from cosmos.bridge.render.draw.sky import Air
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.view import View, pixel_start
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())

_FAR = wp.constant(wp.float32(1.0e5))
"""Way to the sky [m]."""
_DEEPER = wp.constant(wp.float32(0.2))
"""Difference of depth, over the depth, from which on a block has nothing to say of a pixel."""
_ALONE = wp.constant(wp.float32(0.1))
"""Weight of the blocks around a pixel, below which none of them lies at its depth."""
_APART = wp.constant(wp.float32(0.03))
"""Most that the display-linear glow of the blocks around a pixel may differ, to be carried to it."""


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


@wp.kernel
def _sample_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    view: View,
    home: Surfaces,
    side: wp.int32,
    columns: wp.int32,
    samples_out: wp.array(dtype=wp.vec4),
):
    """Glow in the middle of each block of ``side`` pixels, and how far that looks."""
    begin = (first + wp.tid()) * run
    for k in range(begin, wp.min(begin + run, count)):
        row = k // columns
        y = wp.min(row * side + side // 2, view.height - 1)
        x = wp.min((k - row * columns) * side + side // 2, view.width - 1)
        eye, direction, distance = _sight(view, home, y * view.width + x)
        glow = lamp_glow(world, air, lamps, eye, direction, distance)
        samples_out[k] = wp.vec4(glow[0], glow[1], glow[2], distance)


@wp.func
def _carried(
    samples: wp.array(dtype=wp.vec4), air: Air, x: wp.int32, y: wp.int32, far: wp.float32, side: wp.int32,
    columns: wp.int32, rows: wp.int32,
):  # fmt: skip
    """What the four blocks around a pixel say of its glow, their weight, and how far apart they are as displayed."""
    gx = (wp.float32(x) - wp.float32(side // 2)) / wp.float32(side)
    gy = (wp.float32(y) - wp.float32(side // 2)) / wp.float32(side)
    fx = wp.floor(gx)
    fy = wp.floor(gy)
    glow = wp.vec3(0.0, 0.0, 0.0)
    total = wp.float32(0.0)
    low = wp.float32(1.0)
    high = wp.float32(0.0)
    for k in range(4):
        row = wp.clamp(wp.int32(fy) + k // 2, 0, rows - 1)
        column = wp.clamp(wp.int32(fx) + k % 2, 0, columns - 1)
        down = wp.abs(wp.float32(1 - k // 2) - (gy - fy))
        across = wp.abs(wp.float32(1 - k % 2) - (gx - fx))
        one = samples[row * columns + column]
        alike = wp.max(0.0, 1.0 - wp.abs(one[3] - far) / (_DEEPER * far))
        weight = alike * (down * across + 1.0e-3)
        glow += wp.vec3(one[0], one[1], one[2]) * weight
        total += weight
        if alike > _ALONE:
            shown = aces(wp.vec3(one[0], one[1], one[2]) * air.exposure)
            level = wp.max(shown[0], wp.max(shown[1], shown[2]))
            low = wp.min(low, level)
            high = wp.max(high, level)
    return glow / wp.max(total, 1.0e-12), total, high - low


@wp.kernel
def _spread_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    view: View,
    home: Surfaces,
    side: wp.int32,
    columns: wp.int32,
    rows: wp.int32,
    samples: wp.array(dtype=wp.vec4),
    glow_out: wp.array(dtype=wp.vec3),
):
    """Carry the glow to every pixel."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        y = i // view.width
        glow_out[i] = wp.vec3(0.0, 0.0, 0.0)
        eye, direction, distance = _sight(view, home, i)
        if distance > 0.0:
            glow, near, apart = _carried(samples, air, i - y * view.width, y, distance, side, columns, rows)
            if near < _ALONE or apart > _APART:
                glow = lamp_glow(world, air, lamps, eye, direction, distance)
            glow_out[i] = glow


def carry_glow(bands: Bands, scene: list[Any], side: int) -> wp.array:
    """Return the glow of lamps at the pixel centres, radiance before exposure, vec3, shape [H W].

    Args:
        bands: Where to launch.
        scene: World, air, lamps, view and the surfaces at the pixel centres.
        side: Of a block [px].
    """
    view = scene[3]
    columns, rows = -(-view.width // side), -(-view.height // side)
    samples = wp.empty(columns * rows, dtype=wp.vec4, device=bands.device)
    glow = wp.empty(view.width * view.height, dtype=wp.vec3, device=bands.device)
    bands.launch_runs(_sample_kernel, columns * rows, [*scene, side, columns, samples], chunk=64)
    bands.launch_runs(_spread_kernel, len(glow), [*scene, side, columns, rows, samples, glow], chunk=512)
    return glow


__all__ = ["carry_glow"]
