"""Pictures through a camera with faults: blur along true motion, out of focus, dirt and drops on the lens.

All of it works on light, not on sRGB levels, so bright spots spread as they do in a camera. Blurs are symmetric: edges
stay where they are, and labels still fit.
"""

# mypy: disable-error-code="misc,operator,index"
# (wp.tid() gives as many indices as the launch has axes; Warp vectors take scalars)

import math
from dataclasses import dataclass, fields
from typing import Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.display import linear_of, srgb_of
from cosmos.bridge.kernels.lens_dirt import dirty_lens
from cosmos.bridge.kernels.runs import Threads, launch_runs

wp.set_module_options({"enable_backward": False})

_MOST_SIGMA = 0.011
"""Spread of a defocus of 1, in picture heights."""
_MOST_TAPS = wp.constant(33)
"""Samples along the longest smear."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Optics:
    """What is wrong with a camera; each strength lies in [0, 1], and 0 leaves it out."""

    motion_blur: float = 0.0
    """How long the shutter is open, in frame times."""
    defocus: float = 0.0
    """How far out of focus; 1 spreads a point by about a hundredth of the picture's height."""
    lens_dirt: float = 0.0
    """Smudges and specks."""
    lens_drops: float = 0.0
    """Drops of rain."""

    def __post_init__(self) -> None:
        for item in fields(self):
            if not 0.0 <= getattr(self, item.name) <= 1.0:
                raise ValueError(f"Optics.{item.name} must lie in [0, 1], got {getattr(self, item.name)!r}.")

    @property
    def any(self) -> bool:
        """Whether anything is wrong."""
        return max(self.motion_blur, self.defocus, self.lens_dirt, self.lens_drops) > 0.0


@wp.kernel
def _to_light_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    picture: wp.array(dtype=wp.uint8, ndim=3),
    # out
    light_out: wp.array(dtype=wp.vec3, ndim=1),
):
    begin = (first + wp.tid()) * run
    width = picture.shape[1]
    for i in range(begin, wp.min(begin + run, count)):
        y = i // width
        x = i - y * width
        light_out[i] = wp.vec3(
            linear_of(wp.float32(picture[y, x, 0]) / 255.0),
            linear_of(wp.float32(picture[y, x, 1]) / 255.0),
            linear_of(wp.float32(picture[y, x, 2]) / 255.0),
        )


@wp.kernel
def _to_levels_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    light: wp.array(dtype=wp.vec3, ndim=1),
    # out
    picture_out: wp.array(dtype=wp.uint8, ndim=3),
):
    begin = (first + wp.tid()) * run
    width = picture_out.shape[1]
    for i in range(begin, wp.min(begin + run, count)):
        y = i // width
        x = i - y * width
        for c in range(3):
            picture_out[y, x, c] = wp.uint8(srgb_of(light[i][c]) * 255.0 + 0.5)


@wp.func
def _between(light: wp.array(dtype=wp.vec3, ndim=1), width: wp.int32, height: wp.int32, x: wp.float32, y: wp.float32):
    """Light between pixel centres, clamped at the rim; ``x``, ``y`` in pixels from the first centre."""
    gx = wp.clamp(x, 0.0, wp.float32(width - 1))
    gy = wp.clamp(y, 0.0, wp.float32(height - 1))
    left = wp.int32(gx)
    top = wp.int32(gy)
    right = wp.min(left + 1, width - 1)
    bottom = wp.min(top + 1, height - 1)
    s = gx - wp.float32(left)
    t = gy - wp.float32(top)
    upper = light[top * width + left] * (1.0 - s) + light[top * width + right] * s
    lower = light[bottom * width + left] * (1.0 - s) + light[bottom * width + right] * s
    return upper * (1.0 - t) + lower * t


@wp.kernel
def _smear_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    light: wp.array(dtype=wp.vec3, ndim=1),
    motion: wp.array(dtype=wp.float32, ndim=3),
    shutter: wp.float32,
    # out
    light_out: wp.array(dtype=wp.vec3, ndim=1),
):
    """Mean along each pixel's way while the shutter is open, half of it before and half after."""
    begin = (first + wp.tid()) * run
    width = motion.shape[1]
    height = motion.shape[0]
    for i in range(begin, wp.min(begin + run, count)):
        y = i // width
        x = i - y * width
        across = motion[y, x, 0] * shutter
        down = motion[y, x, 1] * shutter
        length = wp.sqrt(across * across + down * down)
        if not (length > 0.05 and length < 1.0e4):  # still, or nobody knows
            light_out[i] = light[i]
            continue
        taps = wp.min(_MOST_TAPS, 2 * wp.int32(length) + 3)
        total = wp.vec3(0.0, 0.0, 0.0)
        for k in range(taps):
            share = (wp.float32(k) + 0.5) / wp.float32(taps) - 0.5
            total += _between(light, width, height, wp.float32(x) + across * share, wp.float32(y) + down * share)
        light_out[i] = total / wp.float32(taps)


@wp.kernel
def _spread_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    light: wp.array(dtype=wp.vec3, ndim=1),
    width: wp.int32,
    weights: wp.array(dtype=wp.float32, ndim=1),
    down: wp.int32,
    # out
    light_out: wp.array(dtype=wp.vec3, ndim=1),
):
    """Weighted mean along rows, or down columns; the rim goes on beyond the picture."""
    begin = (first + wp.tid()) * run
    height = light.shape[0] // width
    radius = weights.shape[0] // 2
    for i in range(begin, wp.min(begin + run, count)):
        y = i // width
        x = i - y * width
        total = wp.vec3(0.0, 0.0, 0.0)
        for k in range(weights.shape[0]):
            other = i
            if down != 0:
                other = wp.clamp(y + k - radius, 0, height - 1) * width + x
            else:
                other = y * width + wp.clamp(x + k - radius, 0, width - 1)
            total += light[other] * weights[k]
        light_out[i] = total


def see_through(
    pictures: wp.array,
    *,
    optics: Optics,
    times: np.ndarray,
    seed: int,
    motion: Optional[wp.array] = None,
) -> None:
    """Draw what is wrong with a camera into pictures, in place.

    Args:
        pictures: sRGB, uint8, shape [F, H, W, 3].
        optics: What is wrong.
        times: Of each frame [s], shape [F]; decide which drops are on the lens.
        seed: Decides where dirt and drops are.
        motion: Previous minus current pixel position [px], float32, shape [F, H, W, 2]; nothing is smeared where
            ``None``, not finite, or zero.

    Raises:
        ValueError: If shapes do not go together.
    """
    shape = tuple(pictures.shape)
    if len(shape) != 4 or shape[3] != 3 or pictures.dtype != wp.uint8:
        raise ValueError(f"see_through needs pictures as uint8 [F, H, W, 3], got {list(shape)}.")
    if motion is not None and tuple(motion.shape) != (*shape[:3], 2):
        raise ValueError(f"see_through needs motion {[*shape[:3], 2]}, got {list(motion.shape)}.")
    if np.shape(times) != shape[:1]:
        raise ValueError(f"see_through needs a time a frame, got {np.shape(times)} for {shape[0]} frames.")
    device, (height, width) = pictures.device, shape[1:3]
    count = height * width
    light, other = (wp.empty(count, dtype=wp.vec3, device=device) for _ in range(2))
    weights = wp.array(_gauss(optics.defocus * _MOST_SIGMA * height), dtype=wp.float32, device=device)
    for frame in range(shape[0] if optics.any else 0):
        launch_runs(_to_light_kernel, count, [pictures[frame], light], device=device)
        if optics.motion_blur > 0.0 and motion is not None:
            launch_runs(_smear_kernel, count, [light, motion[frame], optics.motion_blur, other], device=device)
            light, other = other, light
        if optics.defocus > 0.0:
            for down in (0, 1):
                launch_runs(_spread_kernel, count, [light, width, weights, down, other], device=device)
                light, other = other, light
        if max(optics.lens_dirt, optics.lens_drops) > 0.0:
            faults = {"dirt": optics.lens_dirt, "drops": optics.lens_drops, "time": float(times[frame]), "seed": seed}
            light = dirty_lens(Threads(device), (height, width), light, **faults)  # type: ignore[arg-type]
        launch_runs(_to_levels_kernel, count, [light, pictures[frame]], device=device)


def _gauss(sigma: float) -> np.ndarray:
    """Return weights of a Gaussian that sum to 1, float32, odd in number."""
    radius = max(1, math.ceil(3.0 * sigma))
    place = np.arange(-radius, radius + 1, dtype=np.float64)
    weights = np.exp(-0.5 * (place / max(sigma, 1e-3)) ** 2)
    normed: np.ndarray = (weights / weights.sum()).astype(np.float32)
    return normed


__all__ = ["Optics", "see_through"]
