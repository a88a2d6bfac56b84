"""Slow light on a grid over the picture, and how a sample reads it."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.surface import Surfaces

wp.set_module_options(fast_options())


Gathered = wp.types.vector(length=6, dtype=wp.float32)
"""Irradiance of sky and surroundings, and the radiance that highlights mirror."""


@wp.struct
class Cell:
    """A cell's light and the surface it lies on, side by side in memory."""

    place: wp.vec3
    normal: wp.vec3
    lit: wp.vec3
    gathered: Gathered
    shown: wp.float32  # 0 where it shows the sky


@wp.struct
class LightGrid:
    """Slow light of every ``step``-th pixel.

    Where light does not bounce, openness stands first in place of what highlights mirror: highlights guess by it.
    ``lit`` is what lamps give, with shadows; where ``keyed``, over the light of the two strongest and without the
    shadows of key lamps, for samples know both better.
    """

    step: wp.int32
    columns: wp.int32
    rows: wp.int32
    width: wp.int32  # of the image [px]
    lit: wp.array(dtype=wp.vec3)
    gathered: wp.array(dtype=Gathered)
    cells: wp.array(dtype=Cell)  # what samples read; made of the above by ``pack_cells``
    frugal: wp.int32  # 1: the following hold, and spare rays and lamps at each sample
    picks: wp.array(dtype=wp.vec2i)  # the two strongest lamps, -1 for none
    rest: wp.array(dtype=wp.float32)  # light of all lamps over that of these
    sun: wp.array(dtype=wp.float32)  # share of the sun that all around agree on; -1 where they do not
    tested: wp.array(dtype=wp.float32)  # there, the share of the sun at the centre of one pixel, of ``tested_pixel``
    keyed: wp.int32  # 1: how ``lit`` is told


@wp.func
def pixel_of(row: wp.int32, column: wp.int32, step: wp.int32, width: wp.int32, height: wp.int32):
    """The pixel in the middle of a cell."""
    return wp.min(row * step + step // 2, height - 1) * width + wp.min(column * step + step // 2, width - 1)


@wp.func
def bayer_order(row: wp.int32, column: wp.int32):
    """Place of a cell or pixel in a 4 x 4 pattern, such that neighbours are far apart (Bayer 1973), in 0..15."""
    low = 2 * ((row ^ column) & 1) + (row & 1)
    high = 2 * (((row >> 1) ^ (column >> 1)) & 1) + ((row >> 1) & 1)
    return 4 * low + high


@wp.func
def tested_pixel(row: wp.int32, column: wp.int32, stride: wp.int32, step: wp.int32):
    """Row and column of the pixel at which a cell's sun is tested; it varies, so that cells meet thin shadows.

    ``stride`` is the way from one tested cell to the next. The pixel may lie beyond the rim of the picture.
    """
    span = step * stride
    pattern = ((row // stride) & 3) * 4 + ((column // stride) & 3)
    y = row * step + (5 * pattern + row // stride) % span
    return y, column * step + (3 * pattern + pattern // 4) % span


@wp.kernel
def _pack_cells_kernel(
    first: wp.int32, run: wp.int32, count: wp.int32, grid: LightGrid, home: Surfaces, cells_out: wp.array(dtype=Cell)
):
    begin = (first + wp.tid()) * run
    height = home.triangles.shape[0] // grid.width
    for i in range(begin, wp.min(begin + run, count)):
        row = i // grid.columns
        j = pixel_of(row, i - row * grid.columns, grid.step, grid.width, height)
        cell = Cell()
        cell.place = home.positions[j]
        cell.normal = home.normals[j]
        cell.lit = grid.lit[i]
        cell.gathered = grid.gathered[i]
        cell.shown = wp.float32(1.0)
        if home.triangles[j] < 0:
            cell.shown = wp.float32(0.0)
        cells_out[i] = cell


def pack_cells(bands: Bands, grid: Any, home: Any) -> None:
    """Lay the light of ``grid`` out for samples to read.

    Args:
        bands: Where to launch.
        grid: LightGrid whose light is complete.
        home: Surfaces at the pixel centres that the grid belongs to.
    """
    count = grid.columns * grid.rows
    grid.cells = wp.empty(count, dtype=Cell, device=bands.device)
    bands.launch_runs(_pack_cells_kernel, count, [grid, home, grid.cells], chunk=4096)


@wp.func
def same_surface(off: wp.float32, cosine: wp.float32):
    """How likely two places lie on one surface, in [0, 1].

    ``off`` is the way from one to the tangent plane of the other over what is tolerated, ``cosine`` of their normals.
    """
    fall = wp.max(1.0 - off * off * 0.0625, 0.0)  # its 16th power is within 0.02 of exp(-off * off)
    fall = fall * fall
    fall = fall * fall
    both = fall * wp.max(0.0, cosine)
    both = both * both
    return both * both


@wp.func
def fit_of(surfaces: Surfaces, j: wp.int32, p: wp.vec3, n: wp.vec3, tolerance: wp.float32):
    """How well pixel ``j`` lies on the surface through ``p`` that faces along ``n``, in [0, 1]."""
    if surfaces.triangles[j] < 0:
        return wp.float32(0.0)
    return same_surface(wp.dot(n, surfaces.positions[j] - p) * tolerance, wp.dot(n, surfaces.normals[j]))


@wp.func
def _run(
    surfaces: Surfaces,
    i: wp.int32,
    row: wp.int32,
    column: wp.int32,
    down: wp.int32,
    across: wp.int32,
    tolerance: wp.float32,
    width: wp.int32,
    step: wp.int32,
    columns: wp.int32,
    rows: wp.int32,
):
    """How many cells in a row, at most 3, lie on the surface of pixel ``i`` next to a cell, in one direction."""
    p = surfaces.positions[i]
    n = surfaces.normals[i]
    height = surfaces.triangles.shape[0] // width
    found = wp.int32(0)
    alike = wp.bool(True)
    while alike and found < 3:
        r = row + (found + 1) * down
        c = column + (found + 1) * across
        alike = r >= 0 and r < rows and c >= 0 and c < columns
        if alike:
            alike = fit_of(surfaces, pixel_of(r, c, step, width, height), p, n, tolerance) > 0.5
        if alike:
            found += 1
    return found


@wp.func
def is_small(
    surfaces: Surfaces,
    i: wp.int32,
    row: wp.int32,
    column: wp.int32,
    width: wp.int32,
    step: wp.int32,
    columns: wp.int32,
    rows: wp.int32,
    stride: wp.int32,
):
    """1 where the 4 x 4 pattern does not fit on the surface of a cell."""
    tolerance = 1.0 / (0.02 + 4.0 * surfaces.gloss[i][3] * wp.float32(step * stride))
    wide = wp.int32(1)
    high = wp.int32(1)
    for side in range(2):
        way = (2 * side - 1) * stride
        wide += _run(surfaces, i, row, column, 0, way, tolerance, width, step, columns, rows)
        high += _run(surfaces, i, row, column, way, 0, tolerance, width, step, columns, rows)
    small = wp.uint8(0)
    if wide < 4 or high < 4:
        small = wp.uint8(1)
    return small


@wp.kernel
def smooth_light_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    cells: wp.array(dtype=wp.int32),
    surfaces: Surfaces,
    width: wp.int32,
    step: wp.int32,
    columns: wp.int32,
    rows: wp.int32,
    spread: wp.int32,
    lit: wp.array(dtype=wp.vec3),
    gathered: wp.array(dtype=Gathered),
    lit_out: wp.array(dtype=wp.vec3),
    gathered_out: wp.array(dtype=Gathered),
):
    """Average each of ``cells`` with 5 x 5 neighbours on the same surface (1 inside, a half at the rim: one pattern).

    Neighbours are ``spread`` cells apart.
    """
    begin = (first + wp.tid()) * run
    for item in range(begin, wp.min(begin + run, count)):
        cell = cells[item]
        row = cell // columns
        column = cell - row * columns
        height = surfaces.triangles.shape[0] // width
        i = pixel_of(row, column, step, width, height)
        lit_out[cell] = lit[cell]
        gathered_out[cell] = gathered[cell]
        if surfaces.triangles[i] < 0:
            continue
        p = surfaces.positions[i]
        n = surfaces.normals[i]
        tolerance = 1.0 / (0.02 + 6.0 * surfaces.gloss[i][3] * wp.float32(step * spread))
        sum_lit = wp.vec3(0.0, 0.0, 0.0)
        sum_gathered = Gathered()
        total = wp.float32(0.0)
        for dy in range(-2, 3):
            for dx in range(-2, 3):
                qr = row + dy * spread
                qc = column + dx * spread
                if qr >= 0 and qr < rows and qc >= 0 and qc < columns:
                    j = pixel_of(qr, qc, step, width, height)
                    if surfaces.triangles[j] >= 0:
                        weight = wp.float32(1.0)
                        if dy == -2 or dy == 2:
                            weight *= 0.5
                        if dx == -2 or dx == 2:
                            weight *= 0.5
                        off = wp.dot(n, surfaces.positions[j] - p) * tolerance
                        facing = wp.max(0.0, wp.dot(n, surfaces.normals[j]))
                        weight *= same_surface(off, facing * facing)  # round things must not blur
                        q = qr * columns + qc
                        sum_lit += lit[q] * weight
                        sum_gathered += gathered[q] * weight
                        total += weight
        if total > 0.0:
            lit_out[cell] = sum_lit / total
            gathered_out[cell] = sum_gathered / total


@wp.func
def _weight(cell: Cell, near: wp.float32, p: wp.vec3, n: wp.vec3, tolerance: wp.float32):
    """How much a cell counts, by how near it is and how alike its surface; 0 where it shows the sky."""
    alike = same_surface(wp.dot(n, cell.place - p) * tolerance, wp.dot(n, cell.normal))
    return near * cell.shown * (alike + 1.0e-5)


@wp.func
def grid_sample(grid: LightGrid, uv: wp.vec2, p: wp.vec3, n: wp.vec3, side: wp.float32):
    """Slow light at a sample: lamps' irradiance, what was gathered, share of cells that fit, the one that counts most.

    Taken from the four cells around it, by how well each lies on the same surface; from twelve more where none does.
    """
    step = wp.float32(grid.step)
    gx = (uv[0] - 0.5 - wp.float32(grid.step // 2)) / step
    gy = (uv[1] - 0.5 - wp.float32(grid.step // 2)) / step
    fx = wp.floor(gx)
    fy = wp.floor(gy)
    c0 = wp.int32(fx)
    r0 = wp.int32(fy)
    tolerance = 1.0 / (0.02 + 4.0 * side * step)
    lit = wp.vec3(0.0, 0.0, 0.0)
    gathered = Gathered()
    total = wp.float32(0.0)
    most = wp.float32(0.0)
    nearest = wp.int32(0)
    for k in range(4):
        row = wp.clamp(r0 + k // 2, 0, grid.rows - 1)
        column = wp.clamp(c0 + k % 2, 0, grid.columns - 1)
        down = wp.abs(wp.float32(1 - k // 2) - (gy - fy))
        across = wp.abs(wp.float32(1 - k % 2) - (gx - fx))
        cell = grid.cells[row * grid.columns + column]
        weight = _weight(cell, down * across + 1.0e-3, p, n, tolerance)
        lit += cell.lit * weight
        gathered += cell.gathered * weight
        total += weight
        if weight > most:
            most = weight
            nearest = row * grid.columns + column
    close = total
    if total < 0.02:
        for r in range(r0 - 1, r0 + 3):
            for c in range(c0 - 1, c0 + 3):
                row = wp.clamp(r, 0, grid.rows - 1)
                column = wp.clamp(c, 0, grid.columns - 1)
                down = wp.max(0.0, 1.0 - wp.abs(gy - wp.float32(r)))
                across = wp.max(0.0, 1.0 - wp.abs(gx - wp.float32(c)))
                cell = grid.cells[row * grid.columns + column]
                weight = _weight(cell, down * across + 1.0e-3, p, n, tolerance)
                lit += cell.lit * weight
                gathered += cell.gathered * weight
                total += weight
                if weight > most:
                    most = weight
                    nearest = row * grid.columns + column
    share = 1.0 / wp.max(total, 1.0e-12)
    return lit * share, gathered * share, close, nearest


@wp.func
def cell_of(grid: LightGrid, uv: wp.vec2):
    """The cell whose middle is nearest to an image point."""
    step = wp.float32(grid.step)
    column = wp.int32(wp.floor((uv[0] - 0.5 - wp.float32(grid.step // 2)) / step + 0.5))
    row = wp.int32(wp.floor((uv[1] - 0.5 - wp.float32(grid.step // 2)) / step + 0.5))
    return wp.clamp(row, 0, grid.rows - 1) * grid.columns + wp.clamp(column, 0, grid.columns - 1)


__all__ = [
    "Cell",
    "LightGrid",
    "bayer_order",
    "cell_of",
    "fit_of",
    "grid_sample",
    "is_small",
    "pack_cells",
    "same_surface",
    "smooth_light_kernel",
    "tested_pixel",
]
