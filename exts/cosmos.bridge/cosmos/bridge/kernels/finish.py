"""The last pass over a painted picture: falling snow and rain, grain, vignette, and what is to stay as it was.

Flakes and streaks are random, so a net that is trained on them learns their mean, a veil. They are drawn here instead,
seeded, falling over time, and hidden behind what is nearer than they are.
"""

# mypy: disable-error-code="misc,operator"
# (wp.tid() gives as many indices as the launch has axes; Warp vectors take scalars)

import math
from dataclasses import dataclass
from typing import Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.runs import launch_runs, quick_options
from cosmos.bridge.kernels.surface_noise import lattice
from cosmos.bridge.types.probe import FALLING_FIRST, FALLING_RATIO

wp.set_module_options(quick_options())

_GLINT = wp.constant(wp.float32(0.15))
"""Share of the way from what is behind to white that flakes and drops are brighter at least."""


@dataclass(frozen=True, kw_only=True)
class Finish:
    """What the last pass adds; each strength lies in [0, 1]."""

    snow: float = 0.0
    """Density of flakes."""
    rain: float = 0.0
    """Density of streaks."""
    light: float = 1.0
    """How bright a flake is at least, sRGB level; before brighter things, lamp-lit ground or lying snow, it is a little
    brighter than they are."""
    noise: float = 0.0
    """Grain of the sensor."""
    vignette: float = 0.0
    """Darkening of the corners."""
    seed: int = 0
    """Decides flakes, streaks and grain."""


@wp.func
def _falls(
    falling: wp.array(dtype=wp.uint8, ndim=4), t: wp.int32, across: wp.float32, down: wp.float32, distance: wp.float32
) -> wp.float32:
    """Share of what falls that is in the air there; all of it where nobody knows."""
    if falling.shape[0] == 0:
        return wp.float32(1.0)
    rows = falling.shape[2]
    columns = falling.shape[3]
    # The nearest layer; between the middles of four cells.
    deep = wp.log(distance / wp.static(FALLING_FIRST)) / wp.static(math.log(FALLING_RATIO))
    layer = wp.clamp(wp.int32(wp.floor(deep + 0.5)), 0, falling.shape[1] - 1)
    x = wp.clamp(across * wp.float32(columns) - 0.5, 0.0, wp.float32(columns - 1))
    y = wp.clamp(down * wp.float32(rows) - 0.5, 0.0, wp.float32(rows - 1))
    left = wp.min(wp.int32(x), wp.max(columns - 2, 0))
    top = wp.min(wp.int32(y), wp.max(rows - 2, 0))
    right = wp.min(left + 1, columns - 1)
    bottom = wp.min(top + 1, rows - 1)
    fx = x - wp.float32(left)
    fy = y - wp.float32(top)
    above = wp.lerp(wp.float32(falling[t, layer, top, left]), wp.float32(falling[t, layer, top, right]), fx)
    below = wp.lerp(wp.float32(falling[t, layer, bottom, left]), wp.float32(falling[t, layer, bottom, right]), fx)
    return wp.lerp(above, below, fy) / 255.0


@wp.func
def _flakes(
    u: wp.float32,
    v: wp.float32,
    time: wp.float32,
    far: wp.float32,
    amount: wp.float32,
    seed: wp.uint32,
    falling: wp.array(dtype=wp.uint8, ndim=4),
    t: wp.int32,
    across: wp.float32,
) -> wp.float32:
    # u and v in picture heights; six layers from near and big to far and small.
    cover = wp.float32(0.0)
    for layer in range(6):
        distance = 1.8 * wp.pow(1.6, wp.float32(layer))
        if distance < far:
            cell = 0.24 / distance + 0.014
            sway = 0.25 * wp.sin(time * 1.7 + wp.float32(layer) * 2.1)
            x = u / cell + wp.float32(layer) * 7.31 + time * 0.4 + sway
            y = v / cell - time * 1.5 / (distance * cell) + wp.float32(layer) * 3.77
            column = wp.int32(wp.floor(x))
            row = wp.int32(wp.floor(y))
            if lattice(column, row, layer, seed) < 0.6 * amount:
                size = 0.028 + 0.05 * lattice(column, row, layer + 48, seed)
                dx = x - wp.floor(x) - 0.25 - 0.5 * lattice(column, row, layer + 16, seed)
                dy = (y - wp.floor(y) - 0.25 - 0.5 * lattice(column, row, layer + 32, seed)) * 0.7
                near = wp.sqrt(dx * dx + dy * dy) / size
                blur = 0.5 + 0.6 / distance
                flake = 0.75 * wp.clamp((1.0 - near) / blur + 0.5, 0.0, 1.0)
                if flake > cover:
                    cover = wp.max(cover, flake * _falls(falling, t, u * across, v, distance))
    return cover


@wp.func
def _streaks(
    u: wp.float32,
    v: wp.float32,
    time: wp.float32,
    far: wp.float32,
    amount: wp.float32,
    seed: wp.uint32,
    falling: wp.array(dtype=wp.uint8, ndim=4),
    t: wp.int32,
    across: wp.float32,
) -> wp.float32:
    cover = wp.float32(0.0)
    for layer in range(5):
        distance = 1.6 * wp.pow(1.9, wp.float32(layer))
        if distance < far:
            length = 0.34 / distance + 0.045
            gap = 0.05 / distance + 0.012
            x = (u + 0.10 * v) / gap + wp.float32(layer) * 11.7
            column = wp.int32(wp.floor(x))
            shift = lattice(column, layer, 5, seed) * 9.0
            y = v / length - time * 4.5 / (length * distance) + shift
            row = wp.int32(wp.floor(y))
            if lattice(column, row, layer, seed) < 0.5 * amount:
                dx = wp.abs(x - wp.floor(x) - 0.2 - 0.6 * lattice(column, row, layer + 16, seed)) * gap
                thin = 0.0016 / distance + 0.0008
                along = y - wp.floor(y)
                fade = wp.clamp(4.0 * along * (1.0 - along), 0.0, 1.0)
                strength = 0.10 + 0.16 * lattice(column, row, layer + 32, seed)
                streak = strength * fade * wp.clamp(1.6 - dx / thin, 0.0, 1.0)
                if streak > cover:
                    cover = wp.max(cover, streak * _falls(falling, t, u * across, v, distance))
    return cover


@wp.func
def _lit(white: wp.float32, behind: wp.float32) -> wp.float32:
    """Level of what falls before something: lit as that is where that is brighter than the hour alone tells."""
    return wp.max(white, behind + _GLINT * (255.0 - behind))


@wp.func
def _finish_pixel(
    t: wp.int32,
    y: wp.int32,
    x: wp.int32,
    source: wp.array(dtype=wp.uint8, ndim=4),
    depth: wp.array(dtype=wp.float32, ndim=3),
    kept: wp.array(dtype=wp.float32, ndim=3),
    falling: wp.array(dtype=wp.uint8, ndim=4),
    has_depth: wp.int32,
    has_kept: wp.int32,
    times: wp.array(dtype=wp.float32, ndim=1),
    first_frame: wp.int32,
    strengths: wp.array(dtype=wp.float32, ndim=1),
    seed: wp.uint32,
    picture_out: wp.array(dtype=wp.uint8, ndim=4),
):
    height = wp.float32(picture_out.shape[1])
    width = wp.float32(picture_out.shape[2])
    far = wp.float32(1.0e6)
    if has_depth != 0:
        z = depth[t, y, x]
        if z > 0.0 and z < far:
            far = z
    u = (wp.float32(x) + 0.5) / height
    v = (wp.float32(y) + 0.5) / height
    white = strengths[2] * 255.0
    snow = wp.float32(0.0)
    rain = wp.float32(0.0)
    if strengths[0] > 0.0:
        snow = _flakes(u, v, times[t], far, strengths[0], seed, falling, t, height / width)
    if strengths[1] > 0.0:
        rain = _streaks(u, v, times[t], far, strengths[1], seed, falling, t, height / width)
    dx = (2.0 * (wp.float32(x) + 0.5) - width) / wp.sqrt(width * width + height * height)
    dy = (2.0 * (wp.float32(y) + 0.5) - height) / wp.sqrt(width * width + height * height)
    rim = dx * dx + dy * dy
    shade = 1.0 - strengths[4] * 0.6 * rim * rim
    frame = first_frame + t
    for c in range(3):
        level = wp.float32(picture_out[t, y, x, c])
        level = level + (_lit(white, level) - level) * snow
        level = level + (_lit(white * 0.85, level) - level) * rain
        level = level * shade
        if strengths[3] > 0.0:
            # Two draws make a triangle: mean 0, no long tail; dark places are noisier, as after a tone curve.
            grain = lattice(x, y, frame * 8 + c, seed) + lattice(x, y, frame * 8 + c, seed + wp.uint32(977)) - 1.0
            level = level + grain * strengths[3] * (9.0 + 12.0 * (1.0 - level / 255.0))
        if has_kept != 0:
            before = wp.float32(source[t, y, x, c])
            level = level + (before - level) * wp.clamp(kept[t, y, x], 0.0, 1.0)
        picture_out[t, y, x, c] = wp.uint8(wp.clamp(level, 0.0, 255.0) + 0.5)


@wp.kernel
def _finish_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    source: wp.array(dtype=wp.uint8, ndim=4),
    depth: wp.array(dtype=wp.float32, ndim=3),
    kept: wp.array(dtype=wp.float32, ndim=3),
    falling: wp.array(dtype=wp.uint8, ndim=4),
    has_depth: wp.int32,
    has_kept: wp.int32,
    times: wp.array(dtype=wp.float32, ndim=1),
    first_frame: wp.int32,
    strengths: wp.array(dtype=wp.float32, ndim=1),
    seed: wp.uint32,
    # in and out
    picture_out: wp.array(dtype=wp.uint8, ndim=4),
):
    begin = (first + wp.tid()) * run
    wide = picture_out.shape[2]
    high = picture_out.shape[1]
    for i in range(begin, wp.min(begin + run, count)):
        row = i // wide
        t = row // high
        _finish_pixel(
            t,
            row - t * high,
            i - row * wide,
            source,
            depth,
            kept,
            falling,
            has_depth,
            has_kept,
            times,
            first_frame,
            strengths,
            seed,
            picture_out,
        )


def finish_pictures(
    pictures: wp.array,
    *,
    source: wp.array,
    finish: Finish,
    times: np.ndarray,
    first_frame: int,
    depth: Optional[wp.array] = None,
    kept: Optional[wp.array] = None,
    falling: Optional[wp.array] = None,
) -> None:
    """Draw the last pass onto pictures, in place.

    Args:
        pictures: Painted sRGB, uint8, shape [F, H, W, 3].
        source: The clip's own sRGB, of the same shape.
        finish: What to add.
        times: Of each frame [s], shape [F].
        first_frame: Number of the first frame in its clip; decides the grain.
        depth: Distance to the image plane [m], float32, shape [F, H, W]; flakes fall before all of it where ``None``.
        kept: How much of the source stays at each pixel, float32 in [0, 1], shape [F, H, W].
        falling: Where in the air rain and snow fall, `LightMaps.falling` of each frame, uint8, shape [F, S, h, w];
            everywhere where ``None``.

    Raises:
        ValueError: If shapes do not go together.
    """
    shape = tuple(pictures.shape)
    if len(shape) != 4 or shape[3] != 3 or pictures.dtype != wp.uint8 or tuple(source.shape) != shape:
        raise ValueError(
            f"finish_pictures needs pictures and source as uint8 [F, H, W, 3], got {list(shape)} and "
            f"{list(source.shape)}."
        )
    for name, array in (("depth", depth), ("kept", kept)):
        if array is not None and tuple(array.shape) != shape[:3]:
            raise ValueError(f"finish_pictures needs {name} {list(shape[:3])}, got {list(array.shape)}.")
    if falling is not None and (len(falling.shape) != 4 or falling.shape[0] != shape[0] or falling.size == 0):
        raise ValueError(
            f"finish_pictures needs falling as uint8 [{shape[0]}, S, h, w], got {list(falling.shape)} for "
            f"{shape[0]} frames."
        )
    if np.shape(times) != shape[:1]:
        raise ValueError(f"finish_pictures needs a time a frame, got {np.shape(times)} for {shape[0]} frames.")
    device = pictures.device
    nothing = wp.empty((0, 0, 0), dtype=wp.float32, device=device)
    nowhere = wp.empty((0, 0, 0, 0), dtype=wp.uint8, device=device)
    strengths = np.array([finish.snow, finish.rain, finish.light, finish.noise, finish.vignette], dtype=np.float32)
    launch_runs(
        _finish_kernel,
        shape[0] * shape[1] * shape[2],
        [
            source,
            nothing if depth is None else depth,
            nothing if kept is None else kept,
            nowhere if falling is None else falling,
            int(depth is not None),
            int(kept is not None),
            wp.array(np.asarray(times, dtype=np.float32), dtype=wp.float32, device=device),
            first_frame,
            wp.array(strengths, dtype=wp.float32, device=device),
            wp.uint32(finish.seed & 0xFFFFFFFF),
            pictures,
        ],
        device=device,
    )


def vignette_shade(size: tuple[int, int], strength: float) -> np.ndarray:
    """Return what the last pass multiplies each pixel by for a vignette, float32 in (0, 1], shape [H, W].

    Args:
        size: Height and width [px].
        strength: ``Finish.vignette``.
    """
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float64)
    rim = ((2.0 * x + 1.0 - width) ** 2 + (2.0 * y + 1.0 - height) ** 2) / (width**2 + height**2)
    shade: np.ndarray = (1.0 - 0.6 * strength * rim**2).astype(np.float32)
    return shade


__all__ = ["Finish", "finish_pictures", "vignette_shade"]
