"""The glow of lamps in haze, known at blocks of pixels, and how a sample reads it."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import warp as wp

from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.glow import lamp_glow
from cosmos.bridge.render.draw.lamp import Lamps
from cosmos.bridge.render.draw.sky import Air
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())

_DEEPER = wp.constant(wp.float32(0.2))
"""Difference of depth, over the depth, from which on a block has nothing to say of a pixel."""
_ALONE = wp.constant(wp.float32(0.1))
"""Weight of the blocks around a pixel, below which none of them lies at its depth."""
_APART = wp.constant(wp.float32(0.03))
"""Most that the display-linear glow of the blocks around a pixel may differ, to be carried to it."""


@wp.struct
class Halo:
    """The glow of lamps at the blocks of a picture."""

    side: wp.int32  # of a block [px]
    columns: wp.int32
    rows: wp.int32  # 0 where no lamp glows
    samples: wp.array(dtype=wp.vec4)  # radiance before exposure, shadows left out; how far the eye looks [m]
    asked: wp.array(dtype=wp.vec2)  # luminance that one ray a lamp leaves, and that without shadows
    clear: wp.array(dtype=wp.float32)  # share that shadows leave
    levels: wp.array(dtype=wp.float32)  # without shadows, as displayed, of the strongest colour


@wp.func
def alike_depth(one: wp.float32, other: wp.float32):
    """How much the block of one depth [m] has to say of another, in [0, 1]."""
    return wp.max(0.0, 1.0 - wp.abs(one - other) / (_DEEPER * wp.max(other, 1.0e-6)))


@wp.func
def halo_at(
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    halo: Halo,
    uv: wp.vec2,
    eye: wp.vec3,
    direction: wp.vec3,
    distance: wp.float32,
):
    """Radiance before exposure that haze scatters from lamps into a ray from an image point, ``distance`` [m] long."""
    gx = (uv[0] - 0.5 - wp.float32(halo.side // 2)) / wp.float32(halo.side)
    gy = (uv[1] - 0.5 - wp.float32(halo.side // 2)) / wp.float32(halo.side)
    fx = wp.floor(gx)
    fy = wp.floor(gy)
    glow = wp.vec3(0.0, 0.0, 0.0)
    clear = wp.float32(0.0)
    total = wp.float32(0.0)
    near = wp.float32(0.0)
    low = wp.float32(1.0)
    high = wp.float32(0.0)
    for k in range(4):
        row = wp.clamp(wp.int32(fy) + k // 2, 0, halo.rows - 1)
        column = wp.clamp(wp.int32(fx) + k % 2, 0, halo.columns - 1)
        down = wp.abs(wp.float32(1 - k // 2) - (gy - fy))
        across = wp.abs(wp.float32(1 - k % 2) - (gx - fx))
        block = row * halo.columns + column
        one = halo.samples[block]
        alike = alike_depth(one[3], distance)
        weight = (alike + 1.0e-4) * (down * across + 1.0e-3)
        glow += wp.vec3(one[0], one[1], one[2]) * weight
        clear += halo.clear[block] * weight
        total += weight
        near += alike * (down * across + 1.0e-3)
        if alike > _ALONE:
            low = wp.min(low, halo.levels[block])
            high = wp.max(high, halo.levels[block])
    glow = glow / total
    if near < _ALONE or high - low > _APART:
        _lit, own = lamp_glow(world, air, lamps, eye, direction, distance, wp.vec2(-1.0, -1.0))
        glow = own
    return glow * (clear / total)


def no_halo(device: Any) -> Any:
    """Return a Halo that tells that no lamp glows."""
    halo = Halo()
    halo.samples = wp.empty(0, dtype=wp.vec4, device=device)
    halo.asked = wp.empty(0, dtype=wp.vec2, device=device)
    halo.clear = wp.empty(0, dtype=wp.float32, device=device)
    halo.levels = wp.empty(0, dtype=wp.float32, device=device)
    return halo


__all__ = ["Halo", "alike_depth", "halo_at", "no_halo"]
