"""A dirty lens: smudges and specks that veil the picture and glow in its light, and drops of rain that bend it."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import math
from typing import Any, Protocol

import warp as wp

from cosmos.bridge.kernels.surface_noise import lattice, octaves_of_noise, smooth_step

wp.set_module_options({"enable_backward": False})

_GLARE_ROWS = 18
"""Rows of the coarse picture whose light the dirt scatters."""
_DROP_LIFE = wp.constant(wp.float32(2.5))
"""How long a drop stays on the lens [s]."""


class Launcher(Protocol):
    """Runs kernels whose first argument is the first item: the renderer's ``Bands``, or ``kernels.runs.Threads``."""

    device: Any
    """Warp device of every launch."""

    def launch(self, kernel: Any, count: int, inputs: list[Any], *, chunk: int = 256) -> None:
        """Run a kernel on ``count`` items, at least ``chunk`` at a time."""
        ...


@wp.func
def _specks(u: wp.float32, v: wp.float32, seed: wp.uint32):
    """Dust close before the lens, so out of focus: flat discs with a soft rim; ``u``, ``v`` in picture heights."""
    dirt = wp.float32(0.0)
    for layer in range(3):
        cell = wp.float32(0.07) * wp.pow(2.1, wp.float32(layer))
        x = u / cell + 0.37 * wp.float32(layer)
        y = v / cell + 0.61 * wp.float32(layer)
        column = wp.int32(wp.floor(x))
        row = wp.int32(wp.floor(y))
        if lattice(column, row, layer, seed) < 0.3:
            radius = 0.08 + 0.16 * lattice(column, row, layer + 16, seed)
            dx = x - wp.floor(x) - 0.3 - 0.4 * lattice(column, row, layer + 32, seed)
            dy = y - wp.floor(y) - 0.3 - 0.4 * lattice(column, row, layer + 48, seed)
            near = wp.sqrt(dx * dx + dy * dy) / radius
            weight = 0.25 + 0.5 * lattice(column, row, layer + 64, seed)
            dirt = wp.max(dirt, weight * (1.0 - smooth_step(0.6, 1.0, near)))
    return dirt


@wp.func
def lens_dirt_at(u: wp.float32, v: wp.float32, seed: wp.uint32):
    """Share of the light that the dirt at a point of the lens takes off its way, in [0, 1]; in picture heights."""
    film = smooth_step(0.42, 0.75, octaves_of_noise(wp.vec3(u * 2.3, v * 2.3, 0.5), 0.01, 4, seed))
    wiped = octaves_of_noise(wp.vec3((u + 0.6 * v) * 14.0, (v - 0.6 * u) * 1.5, 0.2), 0.01, 3, seed + wp.uint32(3))
    film = film * (0.45 + 0.55 * smooth_step(0.35, 0.7, wiped))
    return wp.min(1.0, 0.08 + 0.5 * film + _specks(u, v, seed + wp.uint32(7)))


@wp.kernel
def _coarse_kernel(
    first: wp.int32,
    width: wp.int32,
    height: wp.int32,
    columns: wp.int32,
    rows: wp.int32,
    colors: wp.array(dtype=wp.vec3),
    coarse_out: wp.array(dtype=wp.vec3),
):
    """Mean colour of each cell of a coarse picture."""
    i = first + wp.tid()
    row = i // columns
    column = i - row * columns
    total = wp.vec3(0.0, 0.0, 0.0)
    top = row * height // rows
    left = column * width // columns
    bottom = wp.max(top + 1, (row + 1) * height // rows)
    right = wp.max(left + 1, (column + 1) * width // columns)
    for y in range(top, bottom):
        for x in range(left, right):
            total += colors[y * width + x]
    coarse_out[i] = total / wp.float32((bottom - top) * (right - left))


@wp.kernel
def _scatter_kernel(
    first: wp.int32,
    columns: wp.int32,
    rows: wp.int32,
    coarse: wp.array(dtype=wp.vec3),
    glare_out: wp.array(dtype=wp.vec3),
):
    """Light that dirt over each cell scatters into the picture: every cell's, by the square of its distance."""
    i = first + wp.tid()
    row = i // columns
    column = i - row * columns
    total = wp.vec3(0.0, 0.0, 0.0)
    weight = wp.float32(0.0)
    for r in range(rows):
        for c in range(columns):
            dy = wp.float32(r - row) / wp.float32(rows)
            dx = wp.float32(c - column) / wp.float32(rows)
            share = 1.0 / (1.0 + 90.0 * (dx * dx + dy * dy))
            total += coarse[r * columns + c] * share
            weight += share
    glare_out[i] = total / weight


@wp.func
def _between(values: wp.array(dtype=wp.vec3), columns: wp.int32, rows: wp.int32, x: wp.float32, y: wp.float32):
    """Value of a grid between its cells' middles, clamped at the rim; ``x``, ``y`` in cells."""
    gx = wp.clamp(x - 0.5, 0.0, wp.float32(columns - 1))
    gy = wp.clamp(y - 0.5, 0.0, wp.float32(rows - 1))
    c = wp.int32(gx)
    r = wp.int32(gy)
    right = wp.min(c + 1, columns - 1)
    below = wp.min(r + 1, rows - 1)
    s = gx - wp.float32(c)
    t = gy - wp.float32(r)
    upper = values[r * columns + c] * (1.0 - s) + values[r * columns + right] * s
    lower = values[below * columns + c] * (1.0 - s) + values[below * columns + right] * s
    return upper * (1.0 - t) + lower * t


@wp.func
def _bent_by_drop(u: wp.float32, v: wp.float32, time: wp.float32, amount: wp.float32, seed: wp.uint32):
    """Where the light at a point of the lens comes from: x, y in picture heights, and the drop's opacity and rim."""
    found = wp.vec4(u, v, 0.0, 0.0)
    for layer in range(2):
        cell = 0.22 - 0.11 * wp.float32(layer)
        x = u / cell + 0.43 * wp.float32(layer)
        y = v / cell + 0.29 * wp.float32(layer)
        column = wp.int32(wp.floor(x))
        row = wp.int32(wp.floor(y))
        phase = lattice(column, row, layer + 80, seed)
        turn = wp.int32(wp.floor(time / _DROP_LIFE + phase))
        if lattice(column, row, turn * 8 + layer, seed) < 0.55 * amount:
            radius = 0.10 + 0.14 * lattice(column, row, turn * 8 + layer + 2, seed)
            dx = x - wp.floor(x) - 0.3 - 0.4 * lattice(column, row, turn * 8 + layer + 4, seed)
            dy = y - wp.floor(y) - 0.3 - 0.4 * lattice(column, row, turn * 8 + layer + 6, seed)
            stretched = dy * (0.85 + 0.1 * wp.float32(layer))
            near = wp.sqrt(dx * dx + stretched * stretched) / radius
            if near < 1.0:
                # A drop is a strong small lens: it shows the surroundings upside down and small.
                found = wp.vec4(u - dx * cell * 7.0, v - dy * cell * 7.0, 1.0 - smooth_step(0.86, 1.0, near), near)
    return found


@wp.kernel
def _dirty_lens_kernel(
    first: wp.int32,
    width: wp.int32,
    height: wp.int32,
    columns: wp.int32,
    rows: wp.int32,
    dirt: wp.float32,
    drops: wp.float32,
    time: wp.float32,
    seed: wp.uint32,
    clean: wp.array(dtype=wp.vec3),
    glare: wp.array(dtype=wp.vec3),
    colors_out: wp.array(dtype=wp.vec3),
):
    i = first + wp.tid()
    y = i // width
    x = i - y * width
    tall = wp.float32(height)
    u = (wp.float32(x) + 0.5) / tall
    v = (wp.float32(y) + 0.5) / tall
    color = clean[i]
    if drops > 0.0:
        drop = _bent_by_drop(u, v, time, drops, seed)
        if drop[2] > 0.0:
            behind = _between(clean, width, height, drop[0] * tall, drop[1] * tall)
            rim = drop[3] * drop[3]
            color = color * (1.0 - drop[2]) + behind * (drop[2] * (1.05 - 0.45 * rim * rim))
    taken = dirt * lens_dirt_at(u, v, seed)
    light = _between(glare, columns, rows, u * wp.float32(rows), v * wp.float32(rows))
    colors_out[i] = color * (1.0 - 0.6 * taken) + light * (0.5 * taken)


def dirty_lens(
    bands: Launcher,
    size: tuple[int, int],
    colors: wp.array,
    *,
    dirt: float,
    drops: float,
    time: float,
    seed: int,
) -> wp.array:
    """Return a picture as seen through a dirty lens.

    Args:
        bands: Where kernels run.
        size: Height and width [px].
        colors: Display-linear colours, shape [H * W].
        dirt: Strength of smudges and specks, in [0, 1].
        drops: Density of drops of rain, in [0, 1].
        time: Decides which drops are on the lens [s].
        seed: Decides where dirt and drops are.
    """
    height, width = size
    rows = min(_GLARE_ROWS, height)
    columns = max(1, min(width, math.ceil(rows * width / height)))
    coarse, glare = (wp.empty(rows * columns, dtype=wp.vec3, device=bands.device) for _ in range(2))
    bands.launch(_coarse_kernel, rows * columns, [width, height, columns, rows, colors, coarse], chunk=64)
    bands.launch(_scatter_kernel, rows * columns, [columns, rows, coarse, glare], chunk=64)
    seen = wp.empty(height * width, dtype=wp.vec3, device=bands.device)
    layout = [width, height, columns, rows]
    weather = [dirt, drops, time, seed & 0x7FFFFFFF]
    bands.launch(_dirty_lens_kernel, height * width, [*layout, *weather, colors, glare, seen], chunk=1024)
    return seen


__all__ = ["Launcher", "dirty_lens", "lens_dirt_at"]
