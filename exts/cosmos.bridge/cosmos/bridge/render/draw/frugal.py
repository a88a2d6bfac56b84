"""The interactive picture's slow light: few rays a cell, and what spares rays at each pixel.

Each cell of the grid spends its rays on directions and lamps of its own, sixteen cells together on a whole pattern that
``smooth_light_kernel`` averages; nothing is random. A cell also tells whether all around it agree on the sun, and which
lamps matter.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.atlas import Atlas
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.lamp import DISTANT, Lamps, lamp_irradiance, lamp_point
from cosmos.bridge.render.draw.light import PI, flat_albedo, frame_x, sun_along
from cosmos.bridge.render.draw.rays import hit_along, light_along
from cosmos.bridge.render.draw.sky import Air, sky_radiance
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.terminator import lift_of
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())

_UNSEEN = wp.constant(wp.float32(-2.0))
"""Sun of a cell that has no opinion: sky, or a face turned away."""
_APART = wp.constant(wp.float32(-1.0))
"""Sun of a cell whose neighbours disagree."""


@wp.func
def _order(row: wp.int32, column: wp.int32):
    """Place of a cell in its 4 x 4 pattern, such that neighbours are far apart (Bayer 1973), in 0..15."""
    low = 2 * ((row ^ column) & 1) + (row & 1)
    high = 2 * (((row >> 1) ^ (column >> 1)) & 1) + ((row >> 1) & 1)
    return 4 * low + high


@wp.func
def _surroundings(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    p: wp.vec3,
    n: wp.vec3,
    g: wp.vec3,
    order: wp.int32,
    rays: wp.int32,
):
    """Irradiance from sky and surroundings, and openness, by ``rays`` of a cosine-weighted spiral of 16 times more."""
    tx = frame_x(n)
    ty = wp.cross(n, tx)
    total = wp.vec3(0.0, 0.0, 0.0)
    clear = wp.float32(0.0)
    ambient = air.sky_light * (0.55 * air.open) + air.fill * (1.0 / PI)
    for r in range(rays):
        m = wp.float32(order + 16 * r)
        s = (m + 0.5) / wp.float32(16 * rays)
        angle = 2.3999632 * m
        radius = wp.sqrt(s)
        d = tx * (radius * wp.cos(angle)) + ty * (radius * wp.sin(angle)) + n * wp.sqrt(1.0 - s)
        if wp.dot(d, g) < 0.02:
            d = wp.normalize(d + g * (0.04 - wp.dot(d, g)))
        face, far = hit_along(world, p, d, 60.0)
        if face >= 0:
            clear += wp.min(1.0, far * far / 4.0)
            total += wp.cw_mul(flat_albedo(world, atlas, face), ambient) * wp.min(1.0, 0.2 + far)
        else:
            clear += 1.0
            total += sky_radiance(air, atlas, d, 0.0)
    share = 1.0 / wp.float32(wp.max(rays, 1))
    return wp.vec4(total[0] * PI * share, total[1] * PI * share, total[2] * PI * share, clear * share)


@wp.func
def _lamp_seen(
    world: WorldArrays,
    lamps: Lamps,
    k: wp.int32,
    p: wp.vec3,
    g: wp.vec3,
    a: wp.float32,
    b: wp.float32,
):
    """Share of lamp ``k``'s light that comes from its point ``(a, b)``."""
    if lamps.shadows[k] == 0:
        return wp.float32(1.0)
    to = lamp_point(lamps, k, a, b) - p
    if lamps.kinds[k] == DISTANT:
        to = lamps.aims[k] * -1.0e4
    distance = wp.length(to)
    if wp.dot(to, g) <= 0.0:
        return wp.float32(0.0)
    return light_along(world, p, to / distance, distance * 0.995 - 0.02)


@wp.kernel
def gather_frugally_kernel(
    first: wp.int32,
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    surfaces: Surfaces,
    width: wp.int32,
    step: wp.int32,
    columns: wp.int32,
    rays: wp.int32,
    lit_out: wp.array(dtype=wp.vec3),  # irradiance from lamps, with shadows
    gathered_out: wp.array(dtype=wp.vec4),  # irradiance from sky and surroundings, and openness
    picks_out: wp.array(dtype=wp.vec2i),  # the two strongest lamps, -1 for none
    rest_out: wp.array(dtype=wp.float32),  # light of all lamps over that of these
    sun_out: wp.array(dtype=wp.float32),  # share of the sun somewhere in the cell, or _UNSEEN
):
    """Slow light of each cell of ``step`` pixels a side."""
    cell = first + wp.tid()
    row = cell // columns
    column = cell - row * columns
    height = surfaces.triangles.shape[0] // width
    i = wp.min(row * step + step // 2, height - 1) * width + wp.min(column * step + step // 2, width - 1)
    pattern = (row & 3) * 4 + (column & 3)
    order = _order(row, column)
    lit_out[cell] = wp.vec3(0.0, 0.0, 0.0)
    gathered_out[cell] = wp.vec4(0.0, 0.0, 0.0, 1.0)
    picks_out[cell] = wp.vec2i(-1, -1)
    rest_out[cell] = wp.float32(1.0)
    sun_out[cell] = _UNSEEN
    if air.sun_color[0] + air.sun_color[2] > 0.0:
        # Somewhere else in each cell, so that a thin shadow is met by some cell along it.
        y = wp.min(row * step + (5 * pattern + row) % step, height - 1)
        x = wp.min(column * step + (3 * pattern + pattern // 4) % step, width - 1)
        j = y * width + x
        if surfaces.triangles[j] >= 0:
            h = surfaces.geometric[j]
            if wp.dot(h, air.sun) > 0.0 and wp.dot(surfaces.normals[j], air.sun) > 0.0:
                q = surfaces.positions[j] + h * (1.0e-3 + 2.0e-4 * surfaces.depths[j])
                q += lift_of(world, surfaces.triangles[j], surfaces.positions[j], h)
                sun_out[cell] = sun_along(world, air, q, air.sun)
    if surfaces.triangles[i] < 0:
        return
    n = surfaces.normals[i]
    g = surfaces.geometric[i]
    p = surfaces.positions[i] + g * (1.0e-3 + 2.0e-4 * surfaces.depths[i])
    turn = wp.float32(order) * 0.75487767 + 0.5
    lift = wp.float32(order) * 0.56984029 + 0.5
    turn = turn - wp.floor(turn)
    lift = lift - wp.floor(lift)
    gathered_out[cell] = _surroundings(world, atlas, air, p, n, g, order, rays)
    full = wp.vec3(0.0, 0.0, 0.0)
    total = wp.float32(0.0)
    values = wp.vec2(0.0, 0.0)
    picks = wp.vec2i(-1, -1)
    # Two lamps of the cell's own, chosen by their light in one pass; sixteen cells divide all light evenly.
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
    if total <= 0.0:
        return
    picks_out[cell] = picks
    rest_out[cell] = total / (values[0] + values[1])
    # What a shadow takes away is all that varies from cell to cell: light that reaches every cell stays exact.
    if ka >= 0:
        part = lamp_irradiance(lamps, ka, p, n)
        gone = 1.0 - _lamp_seen(world, lamps, ka, p, g, turn, lift)
        if gone > 0.0:
            full = full - part * (0.5 * gone * total / (part[0] + part[1] + part[2]))
    if kb >= 0:
        part = lamp_irradiance(lamps, kb, p, n)
        gone = 1.0 - _lamp_seen(world, lamps, kb, p, g, lift, turn)
        if gone > 0.0:
            full = full - part * (0.5 * gone * total / (part[0] + part[1] + part[2]))
    lit_out[cell] = full


@wp.kernel
def agree_on_sun_kernel(
    first: wp.int32,
    columns: wp.int32,
    rows: wp.int32,
    sun: wp.array(dtype=wp.float32),
    agreed_out: wp.array(dtype=wp.float32),
):
    """Share of the sun that all cells within two of a cell agree on, or -1."""
    cell = first + wp.tid()
    row = cell // columns
    column = cell - row * columns
    low = wp.float32(2.0)
    high = wp.float32(-1.0)
    for r in range(wp.max(row - 2, 0), wp.min(row + 3, rows)):
        for c in range(wp.max(column - 2, 0), wp.min(column + 3, columns)):
            share = sun[r * columns + c]
            if share >= 0.0:
                low = wp.min(low, share)
                high = wp.max(high, share)
    agreed_out[cell] = _APART
    if high - low < 1.0e-3 and high >= 0.0:
        agreed_out[cell] = high


__all__ = ["agree_on_sun_kernel", "gather_frugally_kernel"]
