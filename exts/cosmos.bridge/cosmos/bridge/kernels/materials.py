"""Procedural materials: the reflectance of asphalt, brick, cobblestone and others at a place of the world.

A material sticks to the world, in true metres: ``u`` and ``v`` lie along the surface, v upwards on a wall. Joints and
grain that are finer than a pixel fade to their mean.
"""

# mypy: disable-error-code="misc,operator"
# (Warp vectors take scalars)

import warp as wp

from cosmos.bridge.kernels.surface_noise import lattice, octaves_of_noise, smooth_step

wp.set_module_options({"enable_backward": False})

FAMILIES = {
    "paint": (0, (0.5, 0.5, 0.5)),
    "asphalt": (1, (0.078, 0.077, 0.076)),
    "concrete": (2, (0.34, 0.33, 0.31)),
    "gravel": (3, (0.27, 0.25, 0.22)),
    "sand": (4, (0.50, 0.39, 0.24)),
    "grass": (5, (0.055, 0.115, 0.022)),
    "cobblestone": (6, (0.19, 0.18, 0.165)),
    "tiles": (7, (0.45, 0.41, 0.35)),
    "wood": (8, (0.33, 0.185, 0.085)),
    "dirt": (9, (0.155, 0.105, 0.066)),
    "brick": (10, (0.29, 0.095, 0.055)),
    "plaster": (11, (0.60, 0.55, 0.45)),
    "corrugated metal": (12, (0.40, 0.42, 0.44)),
}
"""Family -> its number for kernels and the linear reflectance of what it is made of."""


@wp.func
def _joint(away: wp.float32, half: wp.float32, side: wp.float32):
    """How much of a pixel at ``away`` from the middle of a joint lies beside it: 0 in the joint, 1 off it [m]."""
    blur = wp.max(0.5 * side, 0.0015)
    return smooth_step(half - blur, half + blur, away)


@wp.func
def _grain(u: wp.float32, v: wp.float32, frequency: wp.float32, octaves: wp.int32, side: wp.float32, seed: wp.uint32):
    """Noise around 0, of features 1 / ``frequency`` [m] and finer."""
    place = wp.vec3(u * frequency, v * frequency, 0.37)
    return 2.0 * octaves_of_noise(place, side * frequency, octaves, seed) - 1.0


@wp.func
def _rows(u: wp.float32, v: wp.float32, wide: wp.float32, high: wp.float32, shift: wp.float32):
    """Blocks in courses, every second one shifted: column, row, and how far each side of a block is away [m]."""
    row = wp.floor(v / high)
    along = u / wide + shift * (row - 2.0 * wp.floor(row * 0.5))
    column = wp.floor(along)
    across = wp.min(along - column, column + 1.0 - along) * wide
    down = wp.min(v - row * high, (row + 1.0) * high - v)
    return wp.vec4(column, row, across, down)


@wp.func
def _stones(u: wp.float32, v: wp.float32, size: wp.float32, jitter: wp.float32, seed: wp.uint32):
    """Irregular stones (Worley 1996): distance to the nearest and the second nearest middle, and the stone's number."""
    x = u / size
    y = v / size
    x = x + 0.5 * (wp.floor(y) - 2.0 * wp.floor(wp.floor(y) * 0.5))
    column = wp.int32(wp.floor(x))
    row = wp.int32(wp.floor(y))
    nearest = wp.float32(9.0)
    second = wp.float32(9.0)
    own = wp.float32(0.0)
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            # The grid is shifted by half a stone from row to row.
            r = row + dy
            px = wp.float32(column + dx) + 0.5 + jitter * (lattice(column + dx, r, 3, seed) - 0.5)
            if dy != 0:
                odd = wp.float32(row - 2 * (row // 2))
                px = px + wp.abs(odd) - 0.5
            py = wp.float32(r) + 0.5 + jitter * (lattice(column + dx, r, 4, seed) - 0.5)
            away = wp.sqrt((x - px) * (x - px) + (y - py) * (y - py))
            if away < nearest:
                second = nearest
                nearest = away
                own = lattice(column + dx, r, 5, seed)
            elif away < second:
                second = away
    return wp.vec3(nearest, second, own)


@wp.func
def _cobblestone(u: wp.float32, v: wp.float32, side: wp.float32, base: wp.vec3, seed: wp.uint32):
    # Sett paving: courses of blocks of unequal width, worn round at the rim.
    high = wp.float32(0.115)
    row = wp.floor(v / high)
    r = wp.int32(row)
    wide = 0.125 + 0.03 * lattice(r, 7, 1, seed)
    along = u / wide + lattice(r, 9, 2, seed) * 5.0
    column = wp.floor(along)
    c = wp.int32(column)
    left = column + 0.12 * (lattice(c, r, 11, seed) - 0.5)
    right = column + 1.0 + 0.12 * (lattice(c + 1, r, 11, seed) - 0.5)
    across = wp.min(along - left, right - along) * wide
    down = wp.min(v - row * high, (row + 1.0) * high - v)
    corner = wp.float32(0.030)
    ax = wp.max(corner - across, 0.0)
    ay = wp.max(corner - down, 0.0)
    inside = corner - wp.sqrt(ax * ax + ay * ay)  # rounded corners
    stone = _joint(inside, 0.006, side)
    tone = 0.72 + 0.56 * lattice(c, r, 13, seed)
    warm = 0.10 * (lattice(c, r, 14, seed) - 0.5)
    fine = wp.clamp(1.0 - side * 9.0, 0.0, 1.0)
    tone = 1.0 + (tone - 1.0) * wp.clamp(1.3 - side * 5.0, 0.15, 1.0)
    dome = 0.80 + 0.26 * smooth_step(0.004, 0.030, inside)
    rough = 1.0 + 0.30 * _grain(u, v, 55.0, 3, side, seed) + 0.35 * _grain(u, v, 0.7, 3, side, seed + wp.uint32(5))
    face = wp.cw_mul(base, wp.vec3(1.0 + warm, 1.0, 1.0 - warm)) * (tone * rough * dome)
    gap = wp.cw_mul(base, wp.vec3(0.34, 0.31, 0.27))
    return wp.lerp(base * 0.82 * rough, gap + (face - gap) * stone, 0.25 + 0.75 * fine)


@wp.func
def _brick(u: wp.float32, v: wp.float32, side: wp.float32, base: wp.vec3, seed: wp.uint32):
    cell = _rows(u, v, 0.24, 0.0775, 0.5)
    c = wp.int32(cell[0])
    r = wp.int32(cell[1])
    ragged = 0.0025 * _grain(u, v, 40.0, 2, side, seed + wp.uint32(3))
    stone = _joint(wp.min(cell[2], cell[3]) + ragged, 0.0055, side)
    tone = 0.68 + 0.6 * lattice(c, r, 3, seed)
    if lattice(c, r, 4, seed) < 0.10:
        tone = tone * 0.55
    fade = wp.clamp(1.25 - side * 7.0, 0.0, 1.0)
    tone = 0.95 + (tone - 0.95) * fade
    rough = 1.0 + 0.32 * _grain(u, v, 70.0, 3, side, seed) + 0.28 * _grain(u, v, 0.8, 3, side, seed + wp.uint32(7))
    warm = 0.16 * (lattice(c, r, 5, seed) - 0.5) * fade
    face = wp.cw_mul(base, wp.vec3(1.0, 1.0 + warm, 1.0 + 0.5 * warm)) * (tone * rough)
    mortar = wp.vec3(0.34, 0.325, 0.29) * (1.0 + 0.25 * _grain(u, v, 30.0, 2, side, seed + wp.uint32(9)))
    near = mortar + (face - mortar) * stone
    far = face * 0.78 + mortar * 0.22
    return wp.lerp(far, near, wp.clamp(1.5 - side * 18.0, 0.0, 1.0))


@wp.func
def _wood(u: wp.float32, v: wp.float32, side: wp.float32, base: wp.vec3, seed: wp.uint32):
    high = wp.float32(0.145)
    row = wp.floor(v / high)
    r = wp.int32(row)
    along = u / 2.4 + lattice(r, 3, 1, seed) * 7.0
    column = wp.floor(along)
    c = wp.int32(column)
    across = wp.min(along - column, column + 1.0 - along) * 2.4
    down = wp.min(v - row * high, (row + 1.0) * high - v)
    board = _joint(wp.min(across, down), 0.0022, side)
    fade = wp.clamp(1.2 - side * 4.0, 0.2, 1.0)
    tone = 1.0 + 0.5 * (lattice(c, r, 3, seed) - 0.5) * fade
    warm = 0.16 * (lattice(c, r, 4, seed) - 0.5) * fade
    own = 17.0 * lattice(c, r, 5, seed)
    # Grain runs along the board and bends around knots.
    bend = 0.012 * octaves_of_noise(wp.vec3(u * 1.6 + own, v * 5.0, own), side * 5.0, 2, seed)
    lines = octaves_of_noise(wp.vec3(u * 1.3 + own, (v + bend) * 85.0, own), side * 60.0, 3, seed + wp.uint32(7))
    broad = octaves_of_noise(wp.vec3(u * 0.9 + own, (v + bend) * 24.0, own), side * 22.0, 2, seed + wp.uint32(8))
    rough = 1.0 + 0.75 * (lines - 0.5) + 0.55 * (broad - 0.5) + 0.2 * _grain(u, v, 0.6, 3, side, seed + wp.uint32(9))
    face = wp.cw_mul(base, wp.vec3(1.0 + warm, 1.0, 1.0 - warm)) * (tone * rough)
    gap = base * 0.16
    near = gap + (face - gap) * board
    return wp.lerp(face * 0.96, near, wp.clamp(1.4 - side * 10.0, 0.0, 1.0))


@wp.func
def _tiles(u: wp.float32, v: wp.float32, side: wp.float32, base: wp.vec3, wall: wp.int32, seed: wp.uint32):
    size = wp.float32(0.45)
    if wall != 0:
        size = wp.float32(0.20)
    cell = _rows(u, v, size, size, 0.0)
    c = wp.int32(cell[0])
    r = wp.int32(cell[1])
    face = _joint(wp.min(cell[2], cell[3]), 0.0035, side)
    fade = wp.clamp(1.2 - 0.6 * side / size, 0.0, 1.0)
    tone = 1.0 + 0.22 * (lattice(c, r, 3, seed) - 0.5) * fade
    vein = 0.14 * _grain(u + 3.0 * lattice(c, r, 4, seed), v, 6.0, 4, side, seed)
    tile = base * (tone * (1.0 + vein + 0.12 * _grain(u, v, 0.5, 3, side, seed + wp.uint32(5))))
    gap = wp.vec3(0.17, 0.165, 0.155)
    near = gap + (tile - gap) * face
    return wp.lerp(tile * 0.97, near, wp.clamp(1.5 - side * 14.0, 0.0, 1.0))


@wp.func
def _concrete(u: wp.float32, v: wp.float32, side: wp.float32, base: wp.vec3, wall: wp.int32, seed: wp.uint32):
    wide = wp.float32(4.0)
    high = wp.float32(4.0)
    if wall != 0:
        wide = wp.float32(2.4)
        high = wp.float32(1.2)
    cell = _rows(u, v, wide, high, 0.0)
    joint = _joint(wp.min(cell[2], cell[3]), 0.005, side)
    panel = 0.14 * (lattice(wp.int32(cell[0]), wp.int32(cell[1]), 3, seed) - 0.5)
    stain = 0.30 * _grain(u, v, 0.55, 4, side, seed) + 0.16 * _grain(u, v, 3.7, 3, side, seed + wp.uint32(3))
    if wall != 0:
        stain = stain + 0.22 * _grain(u * 6.0, v * 0.4, 1.0, 3, side * 6.0, seed + wp.uint32(5))
    rough = 0.20 * _grain(u, v, 45.0, 3, side, seed + wp.uint32(7))
    return base * ((1.0 + panel + stain + rough) * (0.45 + 0.55 * joint))


@wp.func
def _loose(u: wp.float32, v: wp.float32, side: wp.float32, base: wp.vec3, seed: wp.uint32):
    """Gravel: two layers of pebbles over each other."""
    size = wp.float32(0.055)
    stone = _stones(u, v, size, 0.85, seed)
    fade = wp.clamp(1.35 - 0.55 * side / size, 0.0, 1.0)
    tone = 0.55 + 0.95 * stone[2]
    warm = 0.15 * (wp.abs(2.0 * stone[2] - 1.0) - 0.3)
    dome = 0.55 + 0.75 * smooth_step(0.02, 0.40, stone[1] - stone[0])
    broad = 1.0 + 0.32 * _grain(u, v, 0.6, 4, side, seed + wp.uint32(5)) + 0.2 * _grain(u, v, 8.0, 3, side, seed)
    face = wp.cw_mul(base, wp.vec3(1.0 + warm, 1.0, 1.0 - warm)) * (tone * dome)
    return wp.lerp(base, face, fade) * broad


@wp.func
def _grass(u: wp.float32, v: wp.float32, side: wp.float32, base: wp.vec3, seed: wp.uint32):
    tufts = _grain(u, v, 5.0, 4, side, seed)
    blades = _grain(u * 1.0 + 0.3 * v, v * 0.35, 95.0, 3, side * 0.6, seed + wp.uint32(3))
    broad = _grain(u, v, 0.35, 4, side, seed + wp.uint32(5))
    dry = smooth_step(0.05, 0.75, broad)
    color = base * (1.0 - 0.55 * dry) + wp.vec3(0.19, 0.16, 0.06) * (0.55 * dry)
    return color * wp.max(0.25, 1.0 + 0.55 * tufts + 0.75 * blades + 0.2 * broad)


@wp.func
def material_at(
    family: wp.int32,
    u: wp.float32,
    v: wp.float32,
    side: wp.float32,
    base: wp.vec3,
    wall: wp.int32,
    seed: wp.uint32,
) -> wp.vec3:
    """Linear reflectance of a family at a place.

    ``u``, ``v`` along the surface and ``side``, that of a pixel on it, in [m]; ``base`` replaces what it is made of.
    """
    color = base
    if family == 1:
        worn = 0.28 * _grain(u, v, 0.35, 4, side, seed) + 0.18 * _grain(u, v, 2.7, 3, side, seed + wp.uint32(3))
        chips = smooth_step(0.1, 0.7, _grain(u, v, 110.0, 2, side, seed + wp.uint32(5)))
        color = base * (1.0 + worn + 0.35 * _grain(u, v, 60.0, 3, side, seed + wp.uint32(7)) + 0.9 * chips)
    elif family == 2:
        color = _concrete(u, v, side, base, wall, seed)
    elif family == 3:
        color = _loose(u, v, side, base, seed)
    elif family == 4:
        sway = u + 0.35 * _grain(u, v, 1.3, 3, side, seed)
        ripple = wp.sin(sway * 42.0) * wp.clamp(1.2 - side * 22.0, 0.0, 1.0)
        fine = 0.16 * _grain(u, v, 150.0, 2, side, seed + wp.uint32(3)) + 0.2 * _grain(u, v, 0.8, 4, side, seed)
        color = base * (1.0 + 0.045 * ripple + fine)
    elif family == 5:
        color = _grass(u, v, side, base, seed)
    elif family == 6:
        color = _cobblestone(u, v, side, base, seed)
    elif family == 7:
        color = _tiles(u, v, side, base, wall, seed)
    elif family == 8:
        color = _wood(u, v, side, base, seed)
    elif family == 9:
        lumps = 0.35 * _grain(u, v, 1.1, 4, side, seed) + 0.30 * _grain(u, v, 12.0, 4, side, seed + wp.uint32(3))
        stone = _stones(u, v, 0.09, 0.9, seed + wp.uint32(5))
        pebble = smooth_step(0.80, 0.86, stone[2]) * (1.0 - smooth_step(0.16, 0.26, stone[0]))
        pebble = pebble * wp.clamp(1.2 - side * 12.0, 0.0, 1.0)
        color = base * (1.0 + lumps) * (1.0 - pebble) + wp.vec3(0.24, 0.22, 0.19) * pebble
    elif family == 10:
        color = _brick(u, v, side, base, seed)
    elif family == 11:
        stain = 0.10 * _grain(u, v, 0.5, 4, side, seed) + 0.10 * _grain(u, v, 28.0, 3, side, seed + wp.uint32(3))
        runs = 0.10 * _grain(u * 5.0, v * 0.35, 1.0, 3, side * 5.0, seed + wp.uint32(5))
        color = base * (1.0 + stain + runs)
    elif family == 12:
        phase = u / 0.19 * 6.2831853
        depth = wp.clamp(1.4 - side * 9.0, 0.0, 1.0)
        fold = 0.80 + 0.20 * wp.cos(phase) + 0.16 * wp.sin(phase)
        sheet = wp.int32(wp.floor(u / 1.14))
        tone = 0.12 * (lattice(sheet, wp.int32(wp.floor(v / 3.0)), 3, seed) - 0.5)
        stain = 0.12 * _grain(u * 6.0, v * 0.3, 1.0, 3, side * 6.0, seed)
        color = base * ((0.80 + (fold - 0.80) * depth) * 1.15 * (1.0 + tone + stain))
    return wp.vec3(wp.clamp(color[0], 0.004, 0.92), wp.clamp(color[1], 0.004, 0.92), wp.clamp(color[2], 0.004, 0.92))


__all__ = ["FAMILIES", "material_at"]
