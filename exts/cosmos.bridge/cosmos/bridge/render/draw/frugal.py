"""The interactive picture's slow light: few rays a cell, few cells that cast any.

Each lit cell of the grid spends its rays on directions and lamps of its own, sixteen together on a whole pattern that
``smooth_light_kernel`` averages; nothing is random. First one cell of every block is lit; ``spread_light_kernel``
carries that to the others and marks those for which no lit cell lies on the same surface. They are lit in their turn.
Cells also tell whether all around them agree on the sun, and which lamps matter.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.atlas import Atlas
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.key_lamps import FAINT, key_share, lamp_met
from cosmos.bridge.render.draw.lamp import Lamps, lamp_irradiance
from cosmos.bridge.render.draw.light import PI, by_cosine, frame_x, lifted, mirrored_by_highlight, radiance_along
from cosmos.bridge.render.draw.light_grid import Gathered, bayer_order, fit_of, is_small, pixel_of, tested_pixel
from cosmos.bridge.render.draw.shade import sun_at_once, sunlit
from cosmos.bridge.render.draw.sky import Air
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.view import View
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())

_UNSEEN = wp.constant(wp.float32(-2.0))
"""Sun of a cell that has no opinion: sky, or a face turned away."""
_APART = wp.constant(wp.float32(-1.0))
"""Sun of a cell whose neighbours disagree."""
LIGHT_MARK = wp.constant(wp.uint8(1))
"""Mark of a cell that must gather its own light."""
SUN_MARK = wp.constant(wp.uint8(2))
"""Mark of a cell around which not all agree on the sun."""
LAMP_MARK = wp.constant(wp.uint8(4))
"""Mark of a cell that cannot share lamps, its surface being small or a shadow near: they differ from cell to cell."""
_ALONE = wp.constant(wp.float32(0.1))
"""Weight of the lit cells around a cell, below which none of them lies on its surface."""
_SHOWN = wp.constant(wp.float32(0.08))
"""Share of all light that a shadow of lamps takes away, from which on cells around it look for lamps themselves."""
_WEAK = wp.constant(wp.float32(1.0))
"""The same, up to which one ray to a lamp does."""


@wp.func
def _surroundings(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    p: wp.vec3,
    n: wp.vec3,
    g: wp.vec3,
    order: wp.int32,
    rays: wp.int32,
):
    """Irradiance from sky and surroundings, and openness, by ``rays`` of a cosine-weighted spiral of 16 times more."""
    across = frame_x(n)
    total = wp.vec3(0.0, 0.0, 0.0)
    clear = wp.float32(0.0)
    for r in range(rays):
        m = wp.float32(order + 16 * r)
        s = (m + 0.5) / wp.float32(16 * rays)
        angle = 2.3999632 * m
        d = lifted(by_cosine(n, across, s, angle), g)
        u = 0.75487767 * m
        v = 0.56984029 * m
        light, far = radiance_along(world, atlas, air, lamps, p, d, u - wp.floor(u), v - wp.floor(v))
        total += light
        clear += wp.min(1.0, far * far / 4.0)
    share = 1.0 / wp.float32(wp.max(rays, 1))
    total = total * (PI * share)
    return Gathered(total[0], total[1], total[2], clear * share, 0.0, 0.0)


@wp.func
def _pick_lamps(lamps: Lamps, p: wp.vec3, n: wp.vec3, order: wp.int32):
    """Light of all lamps without shadows, its sum; two lamps chosen by their light; the two strongest and their light.

    Sixteen cells with an ``order`` of their own divide all light evenly.
    """
    full = wp.vec3(0.0, 0.0, 0.0)
    total = wp.float32(0.0)
    values = wp.vec2(0.0, 0.0)
    picks = wp.vec2i(-1, -1)
    ua = (wp.float32((order * 7) % 16) + 0.5) / 32.0
    ub = ua + 0.5
    ka = wp.int32(-1)
    kb = wp.int32(-1)
    for k in range(lamps.count):
        part = lamp_irradiance(lamps, k, p, n)
        value = part[0] + part[1] + part[2]
        if value > 0.0:
            full += part
            total += value
            odds = value / total
            if ua < odds:
                ka = k
                ua = ua / odds
            else:
                ua = (ua - odds) / (1.0 - odds)
            if ub < odds:
                kb = k
                ub = ub / odds
            else:
                ub = (ub - odds) / (1.0 - odds)
            if value > values[0]:
                values = wp.vec2(value, values[0])
                picks = wp.vec2i(k, picks[0])
            elif value > values[1]:
                values = wp.vec2(values[0], value)
                picks = wp.vec2i(picks[0], k)
    return full, total, wp.vec2i(ka, kb), picks, values


@wp.func
def _lamp_lost(
    world: WorldArrays,
    lamps: Lamps,
    k: wp.int32,
    p: wp.vec3,
    n: wp.vec3,
    g: wp.vec3,
    a: wp.float32,
    b: wp.float32,
):
    """Share of lamp ``k``'s light that does not come from its point ``(a, b)``, in its colour, whose parts sum to 1."""
    if k < 0:  # on its own: older Warps read both sides of `or`
        return wp.vec3(0.0, 0.0, 0.0)
    if lamps.shadows[k] == 0:
        return wp.vec3(0.0, 0.0, 0.0)
    gone = 1.0 - lamp_met(world, lamps, k, p, g, a, b)
    if gone <= 0.0:
        return wp.vec3(0.0, 0.0, 0.0)
    part = lamp_irradiance(lamps, k, p, n)
    return part * (gone / (part[0] + part[1] + part[2]))


@wp.func
def _left(keys: wp.vec2, picks: wp.vec2i, k: wp.int32):
    """Which share of lamp ``k``'s light is left to the grid; ``keys`` are those of ``picks`` that are not."""
    if k == picks[0]:
        return 1.0 - keys[0]
    if k == picks[1]:
        return 1.0 - keys[1]
    return wp.float32(1.0)


@wp.kernel
def gather_frugally_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    cells: wp.array(dtype=wp.int32),
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    view: View,
    surfaces: Surfaces,
    width: wp.int32,
    step: wp.int32,
    columns: wp.int32,
    rows: wp.int32,
    stride: wp.int32,
    rays: wp.int32,
    keyed: wp.int32,
    lamps_only: wp.int32,
    lit_out: wp.array(dtype=wp.vec3),  # as in ``LightGrid``
    gathered_out: wp.array(dtype=Gathered),  # as in ``LightGrid``
    picks_out: wp.array(dtype=wp.vec2i),  # the two strongest lamps, -1 for none
    rest_out: wp.array(dtype=wp.float32),  # light of all lamps over that of these
    apart_out: wp.array(dtype=wp.uint8),  # 1 where the pattern does not fit on the surface, or lamps throw a shadow
):
    """Slow light of ``cells`` of ``step`` pixels a side, of which every ``stride``-th a side is lit.

    With ``lamps_only`` what was gathered is left as it is.
    """
    begin = (first + wp.tid()) * run
    for item in range(begin, wp.min(begin + run, count)):
        cell = cells[item]
        row = cell // columns
        column = cell - row * columns
        i = pixel_of(row, column, step, width, surfaces.triangles.shape[0] // width)
        order = bayer_order(row // stride, column // stride)
        lit_out[cell] = wp.vec3(0.0, 0.0, 0.0)
        gathered = Gathered(0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
        if lamps_only == 1:
            gathered = gathered_out[cell]
        gathered_out[cell] = gathered
        picks_out[cell] = wp.vec2i(-1, -1)
        rest_out[cell] = wp.float32(1.0)
        apart_out[cell] = wp.uint8(0)
        if surfaces.triangles[i] < 0:
            continue
        if keyed == 1:
            lit_out[cell] = wp.vec3(1.0, 1.0, 1.0) / 3.0
        n = surfaces.normals[i]
        g = surfaces.geometric[i]
        p = surfaces.positions[i] + g * (1.0e-3 + 2.0e-4 * surfaces.depths[i])
        if lamps_only == 0:
            gathered = _surroundings(world, atlas, air, lamps, p, n, g, order, rays)
            if air.bounce > 0.0:
                u = (wp.float32(order) + 0.5) / 16.0
                v = wp.float32(order) * 0.61803399
                met = mirrored_by_highlight(world, atlas, air, lamps, view, surfaces, i, p, n, u, v - wp.floor(v))
                for c in range(3):
                    gathered[3 + c] = met[c]
            gathered_out[cell] = gathered
            if stride > 1 and lamps.count > 0:
                apart_out[cell] = is_small(surfaces, i, row, column, width, step, columns, rows, stride)
        full, total, chosen, picks, values = _pick_lamps(lamps, p, n, order)
        if total <= 0.0:
            continue
        picks_out[cell] = picks
        rest_out[cell] = total / (values[0] + values[1])
        keys = wp.vec2(0.0, 0.0)
        unit = wp.float32(1.0)
        if keyed == 1:
            unit = 1.0 / (values[0] + values[1])
            keys = wp.vec2(key_share(values[0], total), key_share(values[1], total))
        # What a shadow takes away is all that varies from cell to cell: light that reaches every cell stays exact.
        weight = total / (gathered[0] + gathered[1] + gathered[2] + 1.0e-12)
        if weight < FAINT:
            lit_out[cell] = full * unit
            continue
        turn = wp.float32(order) * 0.75487767 + 0.5
        lift = wp.float32(order) * 0.56984029 + 0.5
        turn = turn - wp.floor(turn)
        lift = lift - wp.floor(lift)
        lost = wp.vec3(0.0, 0.0, 0.0)
        left = _left(keys, picks, chosen[0])
        if left > 0.0:
            lost = _lamp_lost(world, lamps, chosen[0], p, n, g, turn, lift) * left
        if weight > _WEAK:
            lost = lost * 0.5
            left = _left(keys, picks, chosen[1])
            if left > 0.0:
                lost += _lamp_lost(world, lamps, chosen[1], p, n, g, lift, turn) * (0.5 * left)
        lit_out[cell] = (full - lost * total) * unit
        if (lost[0] + lost[1] + lost[2]) * weight > _SHOWN * (1.0 + weight):
            apart_out[cell] = wp.uint8(1)


@wp.kernel
def find_sun_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    cells: wp.array(dtype=wp.int32),
    world: WorldArrays,
    air: Air,
    surfaces: Surfaces,
    width: wp.int32,
    step: wp.int32,
    columns: wp.int32,
    stride: wp.int32,
    sun_out: wp.array(dtype=wp.float32),
):
    """Share of the sun somewhere in each of ``cells``, at ``tested_pixel``, or _UNSEEN."""
    begin = (first + wp.tid()) * run
    for item in range(begin, wp.min(begin + run, count)):
        cell = cells[item]
        row = cell // columns
        column = cell - row * columns
        height = surfaces.triangles.shape[0] // width
        y, x = tested_pixel(row, column, stride, step)
        j = wp.min(y, height - 1) * width + wp.min(x, width - 1)
        sun_out[cell] = _UNSEEN
        if surfaces.triangles[j] < 0 or air.sun_color[0] + air.sun_color[2] <= 0.0:
            continue
        h = surfaces.geometric[j]
        n = surfaces.normals[j]
        if wp.dot(h, air.sun) > 0.0 and wp.dot(n, air.sun) > 0.0:
            p = surfaces.positions[j]
            start = p + h * (1.0e-3 + 2.0e-4 * surfaces.depths[j])
            share = sun_at_once(world, air, surfaces.triangles[j], start, h)
            if share < 0.0:
                share = sunlit(world, air, surfaces.triangles[j], p, start, h, n, 1, False)
            sun_out[cell] = share


@wp.func
def _agreed(
    sun: wp.array(dtype=wp.float32),
    columns: wp.int32,
    bottom: wp.int32,
    right: wp.int32,
    top: wp.int32,
    left: wp.int32,
    stride: wp.int32,
):
    """Share of the sun that every ``stride``-th cell of a rectangle agrees on, _APART, or _UNSEEN if none has any."""
    low = wp.float32(2.0)
    high = _UNSEEN
    for r in range(top, bottom, stride):
        for c in range(left, right, stride):
            share = sun[r * columns + c]
            if share >= 0.0:
                low = wp.min(low, share)
                high = wp.max(high, share)
    if high - low < 1.0e-3:
        return high
    return _APART


@wp.kernel
def agree_on_sun_kernel(
    first: wp.int32,
    cells: wp.array(dtype=wp.int32),
    columns: wp.int32,
    rows: wp.int32,
    sun: wp.array(dtype=wp.float32),
    agreed_out: wp.array(dtype=wp.float32),
):
    """Share of the sun that all cells within two of each of ``cells`` agree on, or less than 0."""
    cell = cells[first + wp.tid()]
    row = cell // columns
    column = cell - row * columns
    bottom = wp.min(row + 2, rows)
    right = wp.min(column + 2, columns)
    agreed_out[cell] = _agreed(sun, columns, bottom, right, wp.max(row - 1, 0), wp.max(column - 1, 0), 1)


@wp.func
def _between(
    surfaces: Surfaces,
    lit: wp.array(dtype=wp.vec3),
    gathered: wp.array(dtype=Gathered),
    apart: wp.array(dtype=wp.uint8),
    i: wp.int32,
    y: wp.int32,
    x: wp.int32,
    row: wp.int32,
    column: wp.int32,
    stride: wp.int32,
    step: wp.int32,
    columns: wp.int32,
    rows: wp.int32,
    width: wp.int32,
):
    """Light of cell ``(y, x)`` from the four lit cells around its block, the best of them, their weight, any apart."""
    p = surfaces.positions[i]
    n = surfaces.normals[i]
    tolerance = 1.0 / (0.02 + 4.0 * surfaces.gloss[i][3] * wp.float32(step))
    height = surfaces.triangles.shape[0] // width
    light = wp.vec3(0.0, 0.0, 0.0)
    around = Gathered()
    total = wp.float32(0.0)
    best = wp.float32(0.0)
    shadowed = wp.bool(False)
    lender = row * columns + column
    reach = 1.0 / wp.float32(stride)
    for k in range(4):
        r = row + k // 2 * stride
        c = column + k % 2 * stride
        if r < rows and c < columns:
            q = r * columns + c
            fit = fit_of(surfaces, pixel_of(r, c, step, width, height), p, n, tolerance)
            share = (1.0 - reach * wp.float32(wp.abs(r - y))) * (1.0 - reach * wp.float32(wp.abs(c - x)))
            weight = fit * (share + 1.0e-3)
            light += lit[q] * weight
            around += gathered[q] * weight
            total += weight
            if fit > _ALONE and apart[q] == wp.uint8(1):
                shadowed = wp.bool(True)
            if weight > best:
                best = weight
                lender = q
    share = 1.0 / wp.max(total, 1.0e-12)
    return light * share, around * share, lender, total, shadowed


@wp.kernel
def spread_light_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    surfaces: Surfaces,
    width: wp.int32,
    step: wp.int32,
    columns: wp.int32,
    rows: wp.int32,
    stride: wp.int32,
    lit: wp.array(dtype=wp.vec3),
    gathered: wp.array(dtype=Gathered),
    picks: wp.array(dtype=wp.vec2i),
    rest: wp.array(dtype=wp.float32),
    apart: wp.array(dtype=wp.uint8),
    sun: wp.array(dtype=wp.float32),
    lit_out: wp.array(dtype=wp.vec3),
    gathered_out: wp.array(dtype=Gathered),
    agreed_out: wp.array(dtype=wp.float32),
    marks_out: wp.array(dtype=wp.uint8),
):
    """Carry the light of the first cell of each block of ``stride`` a side to the others; mark where that does not do.

    The other cells are filled in the arrays that are read; ``lit_out`` and ``gathered_out`` become copies.
    """
    across = (columns + stride - 1) // stride
    height = surfaces.triangles.shape[0] // width
    begin = (first + wp.tid()) * run
    for block in range(begin, wp.min(begin + run, count)):
        row = block // across * stride
        column = (block - block // across * across) * stride
        bottom = wp.min(row + 2 * stride + 1, rows)
        right = wp.min(column + 2 * stride + 1, columns)
        agreed = _agreed(sun, columns, bottom, right, wp.max(row - stride, 0), wp.max(column - stride, 0), stride)
        for m in range(stride * stride):
            y = row + m // stride
            x = column + m % stride
            if y >= rows or x >= columns:
                continue
            cell = y * columns + x
            i = pixel_of(y, x, step, width, height)
            mark = wp.uint8(0)
            if agreed == _APART:
                mark = SUN_MARK
            light = wp.vec3(0.0, 0.0, 0.0)
            around = Gathered(0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
            lender = row * columns + column
            if surfaces.triangles[i] >= 0:
                light, around, lender, total, shadowed = _between(
                    surfaces, lit, gathered, apart, i, y, x, row, column, stride, step, columns, rows, width
                )
                if total < _ALONE:
                    mark = mark | LIGHT_MARK
                elif shadowed or apart[lender] == wp.uint8(1):
                    mark = mark | LAMP_MARK
            if m > 0:
                lit[cell] = light
                gathered[cell] = around
                picks[cell] = picks[lender]
                rest[cell] = rest[lender]
                sun[cell] = agreed
            lit_out[cell] = lit[cell]
            gathered_out[cell] = gathered[cell]
            agreed_out[cell] = agreed
            marks_out[cell] = mark


__all__ = [
    "LAMP_MARK",
    "LIGHT_MARK",
    "SUN_MARK",
    "agree_on_sun_kernel",
    "find_sun_kernel",
    "gather_frugally_kernel",
    "spread_light_kernel",
]
