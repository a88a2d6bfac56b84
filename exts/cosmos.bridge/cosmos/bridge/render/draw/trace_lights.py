"""Light sources of the path tracer: a direction towards each, how dense such directions are, and what comes from it."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any, Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.display import luma
from cosmos.bridge.render.draw.atlas import Atlas, sample_texture
from cosmos.bridge.render.draw.lamp import (
    CYLINDER,
    DISK,
    DISTANT,
    RECT,
    SPHERE,
    Lamps,
    lamp_irradiance,
    lamp_shaping,
    lamp_vector,
)
from cosmos.bridge.render.draw.light import PI, frame_x
from cosmos.bridge.render.draw.sky import Air, sky_radiance
from cosmos.bridge.render.scene import Texture
from cosmos.bridge.srgb import srgb_to_linear

wp.set_module_options({"enable_backward": False})

_MAP_ROWS, _MAP_COLUMNS = 64, 128
_EVEN = wp.constant(wp.float32(0.1))
"""Share of lamp picks that go to any lamp alike, so that none is ever missed."""


@wp.struct
class SkyMap:
    """Where in a dome's image the light is; ``rows`` is 0 where there is no image."""

    rows: wp.int32
    columns: wp.int32
    row_sums: wp.array(dtype=wp.float32)  # running share of each row, [R]
    cell_sums: wp.array2d(dtype=wp.float32)  # running share of each cell within its row, [R, C]


@wp.struct
class Aim:
    """A direction towards a light."""

    direction: wp.vec3
    distance: wp.float32  # [m]
    light: wp.vec3  # radiance that comes from there, unshadowed
    density: wp.float32  # [1/sr]; 0 where there is nothing to gain


@wp.func
def within_cone(axis: wp.vec3, spread: wp.float32, u: wp.vec2):
    """A direction in a cone around ``axis``, evenly over its solid angle; ``spread`` is 1 - cos of half its angle."""
    z = 1.0 - u[0] * spread
    s = wp.sqrt(wp.max(0.0, 1.0 - z * z))
    turn = 6.2831853 * u[1]
    tx = frame_x(axis)
    ty = wp.cross(axis, tx)
    return wp.normalize(tx * (s * wp.cos(turn)) + ty * (s * wp.sin(turn)) + axis * z)


@wp.func
def cone_spread(sine_square: wp.float32):
    """1 - cos of an angle by the square of its sine, exact also for tiny ones."""
    return sine_square / (1.0 + wp.sqrt(wp.max(0.0, 1.0 - sine_square)))


@wp.func
def sun_spread(air: Air):
    """1 - cos of the sun's angular radius."""
    square = air.sun_radius * air.sun_radius
    return cone_spread(square / (1.0 + square))


@wp.func
def sun_radiance(air: Air):
    """Radiance of the sun's disk that brings ``air.sun_color`` to a surface facing it."""
    square = air.sun_radius * air.sun_radius
    return air.sun_color * ((1.0 + square) / (PI * wp.max(square, 1.0e-12)))


@wp.func
def _worth(lamps: Lamps, k: wp.int32, p: wp.vec3, n: wp.vec3, toward: wp.vec3, finish: wp.vec3):
    """Root of about how much light of lamp ``k`` a surface at ``p`` sends ``toward`` the viewer, shadows aside.

    The root, because the lamp that is worth most may be hidden: then the others must not be left with rare picks.
    """
    to = lamp_vector(lamps, k, p)
    far = wp.max(wp.length(to), 1.0e-6)
    w = to / far
    reach = wp.float32(0.0)
    if lamps.kinds[k] != DISTANT:
        reach = wp.min(0.5 * wp.sqrt(lamps.areas[k]) / far, 1.0)
    nl = wp.max(wp.dot(n, w), 0.3 * reach)
    if nl <= 0.0:
        return wp.float32(0.0)
    alpha = wp.clamp(finish[0] + 0.5 * reach, 0.01, 1.0)
    h = wp.normalize(toward + w)
    nh = wp.max(wp.dot(n, h), 0.0)
    d = nh * nh * (alpha * alpha - 1.0) + 1.0
    fresnel = wp.pow(1.0 - wp.clamp(wp.dot(w, h), 0.0, 1.0), 5.0)
    gloss = (finish[2] + (1.0 - finish[2]) * fresnel) * alpha * alpha / wp.max(PI * d * d, 1.0e-9)
    gloss = gloss * 0.25 / wp.max(wp.max(nl, wp.dot(n, toward)), 0.05)
    return wp.sqrt(luma(lamp_irradiance(lamps, k, p, w)) * nl * (finish[1] / PI + gloss + 0.01))


@wp.func
def lamps_total(lamps: Lamps, p: wp.vec3, n: wp.vec3, toward: wp.vec3, finish: wp.vec3):
    """Sum of what the lamps are worth at a place, by which one is picked.

    ``finish`` holds the width of the highlight (alpha) and how bright the diffuse part and the highlight are.
    """
    total = wp.float32(0.0)
    for k in range(lamps.count):
        total += _worth(lamps, k, p, n, toward, finish)
    return total


@wp.func
def lamp_chance(lamps: Lamps, k: wp.int32, p: wp.vec3, n: wp.vec3, toward: wp.vec3, finish: wp.vec3, total: wp.float32):
    """Chance that lamp ``k`` is picked."""
    even = 1.0 / wp.float32(lamps.count)
    if total <= 0.0:
        return even
    return (1.0 - _EVEN) * _worth(lamps, k, p, n, toward, finish) / total + _EVEN * even


@wp.func
def pick_lamp(lamps: Lamps, p: wp.vec3, n: wp.vec3, toward: wp.vec3, finish: wp.vec3, total: wp.float32, u: wp.float32):
    """The lamp that ``u`` in [0, 1) picks."""
    rest = u
    last = wp.int32(lamps.count - 1)
    for k in range(lamps.count):
        chance = lamp_chance(lamps, k, p, n, toward, finish, total)
        if rest < chance:
            return k
        rest -= chance
    return last


@wp.func
def _image(atlas: Atlas, lamps: Lamps, k: wp.int32, x: wp.float32, y: wp.float32):
    """What a rect's image lets through at ``x``, ``y`` in [-1, 1]; its first texel lies at +X, +Y (UsdLuxRectLight)."""
    if lamps.images[k] < 0:
        return wp.vec3(1.0, 1.0, 1.0)
    texel = sample_texture(atlas, lamps.images[k], wp.vec2(0.5 - 0.5 * x, 0.5 + 0.5 * y), 0.0)
    return wp.vec3(texel[0], texel[1], texel[2])


@wp.func
def lamp_aim(lamps: Lamps, atlas: Atlas, k: wp.int32, p: wp.vec3, u: wp.vec2):
    """A direction from ``p`` towards lamp ``k``."""
    aim = Aim()
    aim.density = wp.float32(0.0)
    kind = lamps.kinds[k]
    size = lamps.sizes[k]
    if kind == DISTANT:
        sine = wp.sin(size)
        spread = cone_spread(sine * sine)
        aim.direction = within_cone(-lamps.aims[k], spread, u)
        aim.distance = wp.float32(1.0e5)
        aim.light = lamps.radiances[k]
        aim.density = 1.0 / (6.2831853 * wp.max(spread, 1.0e-12))
        return aim
    middle = lamps.places[k] - p
    if kind == SPHERE:
        square = wp.dot(middle, middle)
        if square <= size * size * 1.0001:
            return aim
        spread = cone_spread(size * size / square)
        away = wp.sqrt(square)
        d = within_cone(middle / away, spread, u)
        along = wp.dot(middle, d)
        aim.direction = d
        aim.distance = along - wp.sqrt(wp.max(0.0, size * size - (square - along * along)))
        aim.light = wp.cw_mul(lamps.radiances[k], lamp_shaping(lamps, k, -d))
        aim.density = 1.0 / (6.2831853 * wp.max(spread, 1.0e-14))
        return aim
    to = middle
    facing = lamps.aims[k]
    area = lamps.areas[k]
    x = 2.0 * u[0] - 1.0
    y = 2.0 * u[1] - 1.0
    if kind == DISK:
        radius = wp.sqrt(u[0])
        x = radius * wp.cos(6.2831853 * u[1])
        y = radius * wp.sin(6.2831853 * u[1])
    if kind == CYLINDER:
        # Only the arc that faces p: its half angle is acos(radius / distance to the axis).
        axis = wp.normalize(lamps.sides[k])
        across = -middle + axis * wp.dot(middle, axis)
        reach = wp.length(across)
        if reach <= size * 1.0001:
            return aim
        ux = across / reach
        uy = wp.cross(axis, ux)
        half = wp.acos(size / reach)
        turn = half * y
        facing = ux * wp.cos(turn) + uy * wp.sin(turn)
        to = middle + lamps.sides[k] * x + facing * size
        area = 2.0 * half * size * 2.0 * wp.length(lamps.sides[k])
    else:
        to = middle + lamps.sides[k] * x + lamps.tops[k] * y
    square = wp.dot(to, to)
    far = wp.sqrt(wp.max(square, 1.0e-12))
    d = to / far
    turned = -wp.dot(facing, d)
    if turned <= 1.0e-6:
        return aim
    aim.direction = d
    aim.distance = far
    aim.light = wp.cw_mul(lamps.radiances[k], lamp_shaping(lamps, k, -d))
    if kind == RECT:
        aim.light = wp.cw_mul(aim.light, _image(atlas, lamps, k, x, y))
    aim.density = square / (turned * wp.max(area, 1.0e-12))
    return aim


@wp.func
def lamp_met(lamps: Lamps, atlas: Atlas, k: wp.int32, p: wp.vec3, d: wp.vec3):
    """What a ray along ``d`` meets of lamp ``k``: its light, how far, and the density of ``lamp_aim`` there."""
    aim = Aim()
    aim.density = wp.float32(0.0)
    aim.direction = d
    kind = lamps.kinds[k]
    size = lamps.sizes[k]
    if kind == DISTANT:
        sine = wp.sin(size)
        spread = cone_spread(sine * sine)
        if 1.0 + wp.dot(d, lamps.aims[k]) < spread:
            aim.distance = wp.float32(1.0e5)
            aim.light = lamps.radiances[k]
            aim.density = 1.0 / (6.2831853 * wp.max(spread, 1.0e-12))
        return aim
    middle = lamps.places[k] - p
    if kind == SPHERE:
        square = wp.dot(middle, middle)
        along = wp.dot(middle, d)
        gap = size * size - wp.length_sq(middle - d * along)
        if along <= 0.0 or gap <= 0.0 or square <= size * size * 1.0001:
            return aim
        aim.distance = along - wp.sqrt(gap)
        aim.light = wp.cw_mul(lamps.radiances[k], lamp_shaping(lamps, k, -d))
        aim.density = 1.0 / (6.2831853 * wp.max(cone_spread(size * size / square), 1.0e-14))
        return aim
    if kind == CYLINDER:
        axis = wp.normalize(lamps.sides[k])
        length = wp.length(lamps.sides[k])
        m = -middle + axis * wp.dot(middle, axis)
        e = d - axis * wp.dot(d, axis)
        reach = wp.length(m)
        a = wp.dot(e, e)
        if reach <= size * 1.0001 or a < 1.0e-9:
            return aim
        b = wp.dot(m, e)
        gap = b * b - a * (wp.dot(m, m) - size * size)
        if b >= 0.0 or gap <= 0.0:
            return aim
        t = (-b - wp.sqrt(gap)) / a
        if wp.abs(wp.dot(d * t - middle, axis)) > length:
            return aim
        facing = (m + e * t) / size
        turned = -wp.dot(facing, d)
        aim.distance = t
        aim.light = wp.cw_mul(lamps.radiances[k], lamp_shaping(lamps, k, -d))
        aim.density = t * t / (wp.max(turned, 1.0e-6) * 4.0 * wp.acos(size / reach) * size * wp.max(length, 1.0e-9))
        return aim
    turned = -wp.dot(lamps.aims[k], d)
    if turned <= 1.0e-6:
        return aim
    t = -wp.dot(lamps.aims[k], middle) / turned
    if t <= 0.0:
        return aim
    at = d * t - middle
    x = wp.dot(at, lamps.sides[k]) / wp.max(wp.length_sq(lamps.sides[k]), 1.0e-14)
    y = wp.dot(at, lamps.tops[k]) / wp.max(wp.length_sq(lamps.tops[k]), 1.0e-14)
    if wp.abs(x) > 1.0 or wp.abs(y) > 1.0 or (kind == DISK and x * x + y * y > 1.0):
        return aim
    aim.distance = t
    aim.light = wp.cw_mul(lamps.radiances[k], lamp_shaping(lamps, k, -d))
    if kind == RECT:
        aim.light = wp.cw_mul(aim.light, _image(atlas, lamps, k, x, y))
    aim.density = t * t / (turned * wp.max(lamps.areas[k], 1.0e-12))
    return aim


@wp.func
def sky_seen(air: Air, atlas: Atlas, direction: wp.vec3, directly: wp.int32):
    """Radiance of the sky; sun disk, clouds and stars of a made sky only where it is looked at ``directly``."""
    sharp = wp.float32(directly)
    if air.dome >= 0:
        sharp = wp.float32(1.0)
    return sky_radiance(air, atlas, direction, sharp)


@wp.func
def _below(sums: wp.array(dtype=wp.float32), count: wp.int32, u: wp.float32):
    """First entry of a running sum that lies above ``u``."""
    low = wp.int32(0)
    high = wp.int32(count - 1)
    while low < high:
        middle = (low + high) // 2
        if sums[middle] <= u:
            low = middle + 1
        else:
            high = middle
    return low


@wp.func
def dome_aim(air: Air, atlas: Atlas, sky: SkyMap, u: wp.vec2):
    """A direction towards a bright part of the dome's image."""
    aim = Aim()
    row = _below(sky.row_sums, sky.rows, u[0])
    start = wp.float32(0.0)
    if row > 0:
        start = sky.row_sums[row - 1]
    share = wp.max(sky.row_sums[row] - start, 1.0e-12)
    cells = sky.cell_sums[row]
    column = _below(cells, sky.columns, u[1])
    left = wp.float32(0.0)
    if column > 0:
        left = sky.cell_sums[row, column - 1]
    part = wp.max(sky.cell_sums[row, column] - left, 1.0e-12)
    # Evenly over the solid angle of the cell: even in sin(latitude) and in longitude.
    top = wp.cos(PI * wp.float32(row) / wp.float32(sky.rows))
    low = wp.cos(PI * wp.float32(row + 1) / wp.float32(sky.rows))
    y = top + (low - top) * wp.clamp((u[0] - start) / share, 0.0, 1.0)
    at = (wp.float32(column) + wp.clamp((u[1] - left) / part, 0.0, 1.0)) / wp.float32(sky.columns)
    longitude = PI * (1.0 - 2.0 * at)
    s = wp.sqrt(wp.max(0.0, 1.0 - y * y))
    d = wp.vec3(s * wp.sin(longitude), y, s * wp.cos(longitude))
    aim.direction = wp.normalize(wp.transpose(air.dome_axes) * d)
    aim.distance = wp.float32(1.0e5)
    aim.light = sky_radiance(air, atlas, aim.direction, 1.0)
    aim.density = share * part * wp.float32(sky.columns) / (6.2831853 * wp.max(top - low, 1.0e-9))
    return aim


@wp.func
def dome_density(air: Air, sky: SkyMap, direction: wp.vec3):
    """Density of ``dome_aim`` at a direction [1/sr]."""
    d = air.dome_axes * direction
    latitude = wp.acos(wp.clamp(d[1], -1.0, 1.0))
    row = wp.clamp(wp.int32(latitude / PI * wp.float32(sky.rows)), 0, sky.rows - 1)
    u = 0.5 + wp.atan2(-d[0], d[2]) * 0.15915494
    column = wp.clamp(wp.int32(u * wp.float32(sky.columns)), 0, sky.columns - 1)
    share = sky.row_sums[row]
    if row > 0:
        share -= sky.row_sums[row - 1]
    part = sky.cell_sums[row, column]
    if column > 0:
        part -= sky.cell_sums[row, column - 1]
    top = wp.cos(PI * wp.float32(row) / wp.float32(sky.rows))
    low = wp.cos(PI * wp.float32(row + 1) / wp.float32(sky.rows))
    return share * part * wp.float32(sky.columns) / (6.2831853 * wp.max(top - low, 1.0e-9))


def make_sky_map(texture: Optional[Texture], device: Any) -> Any:
    """Return where the light of a dome's image is; an empty map for ``None``.

    Args:
        texture: Latitude-longitude image.
        device: Warp device.
    """
    sky = SkyMap()
    shares = np.ones((1, 1))
    if texture is not None:
        values = texture.texels[..., :3].astype(np.float64)
        if texture.texels.dtype == np.uint8:
            values = srgb_to_linear(values / 255.0) if texture.srgb else values / 255.0
        luminance = values @ (0.2126, 0.7152, 0.0722)
        h, w = luminance.shape
        rows, columns = min(_MAP_ROWS, h), min(_MAP_COLUMNS, w)
        tops, lefts = (np.arange(rows) * h) // rows, (np.arange(columns) * w) // columns
        # Bilinear reading carries light half a texel over: take the neighbours in.
        spread = luminance + np.roll(luminance, 1, 1) + np.roll(luminance, -1, 1)
        spread = spread + np.vstack([spread[:1], spread[:-1]]) + np.vstack([spread[1:], spread[-1:]])
        sums = np.add.reduceat(np.add.reduceat(spread, tops, axis=0), lefts, axis=1)
        edges = np.cos(np.pi * np.arange(rows + 1) / rows)
        cell_texels = np.diff([*tops, h])[:, None] * np.diff([*lefts, w])[None, :]
        shares = sums / cell_texels * (edges[:-1] - edges[1:])[:, None]
        sky.rows, sky.columns = rows, columns
        solid = np.broadcast_to((edges[:-1] - edges[1:])[:, None], shares.shape)
        shares = 0.98 * shares / max(shares.sum(), 1e-30) + 0.02 * solid / solid.sum()
    in_rows = shares.sum(axis=1)
    row_sums = np.cumsum(in_rows) / in_rows.sum()
    cell_sums = np.cumsum(shares / in_rows[:, None], axis=1)
    sky.row_sums = wp.array(row_sums.astype(np.float32), dtype=wp.float32, device=device)
    sky.cell_sums = wp.array(cell_sums.astype(np.float32), dtype=wp.float32, device=device)
    return sky


__all__ = [
    "Aim",
    "SkyMap",
    "cone_spread",
    "dome_aim",
    "dome_density",
    "lamp_aim",
    "lamp_chance",
    "lamp_met",
    "lamps_total",
    "make_sky_map",
    "pick_lamp",
    "sky_seen",
    "sun_radiance",
    "sun_spread",
    "within_cone",
]
