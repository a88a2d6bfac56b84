"""The last pass in NumPy: float64, whole pictures at a time, 32-bit whole numbers for the noise."""

import numpy as np

from cosmos.bridge.types.probe import FALLING_FIRST, FALLING_RATIO


def unit(x, y, z, seed):
    """Values in [0, 1) of lattice points."""
    parts = np.broadcast_arrays(*(np.asarray(value, np.int64).astype(np.uint32) for value in (x, y, z)))
    with np.errstate(over="ignore"):
        h = sum(part * np.uint32(prime) for part, prime in zip(parts, (73856093, 19349663, 83492791), strict=True))
        h = h.astype(np.uint32) ^ np.uint32(seed)
        for shift, prime in ((16, 2146121005), (15, 73244475)):
            h = (h ^ (h >> np.uint32(shift))) * np.uint32(prime)
        h ^= h >> np.uint32(16)
    return (h >> np.uint32(8)) * 2.0**-24


def in_the_air(falling, shape, distance):
    """Share of what falls that is in the air at each pixel, [H, W]."""
    if falling is None:
        return np.ones(shape)
    layer = np.floor(np.log(distance / FALLING_FIRST) / np.log(FALLING_RATIO) + 0.5)
    plane = falling[int(np.clip(layer, 0, len(falling) - 1))].astype(float)
    places = []
    for pixels, cells in zip(shape, plane.shape, strict=True):
        at = np.clip((np.arange(pixels) + 0.5) / pixels * cells - 0.5, 0.0, cells - 1)
        low = np.minimum(at.astype(int), max(cells - 2, 0))
        places.append((low, np.minimum(low + 1, cells - 1), at - low))
    (top, bottom, fy), (left, right, fx) = places
    rows = plane[top] * (1.0 - fy[:, None]) + plane[bottom] * fy[:, None]
    return (rows[:, left] * (1.0 - fx) + rows[:, right] * fx) / 255.0


def flakes(u, v, time, far, amount, seed, falling):
    cover = np.zeros(far.shape)
    for layer in range(6):
        distance = 1.8 * 1.6**layer
        cell = 0.24 / distance + 0.014
        x = u / cell + layer * 7.31 + time * 0.4 + 0.25 * np.sin(time * 1.7 + layer * 2.1)
        y = v / cell - time * 1.5 / (distance * cell) + layer * 3.77
        column, row = np.floor(x), np.floor(y)
        size = 0.028 + 0.05 * unit(column, row, layer + 48, seed)
        dx = x - column - 0.25 - 0.5 * unit(column, row, layer + 16, seed)
        dy = (y - row - 0.25 - 0.5 * unit(column, row, layer + 32, seed)) * 0.7
        flake = 0.75 * np.clip((1.0 - np.hypot(dx, dy) / size) / (0.5 + 0.6 / distance) + 0.5, 0.0, 1.0)
        there = (unit(column, row, layer, seed) < 0.6 * amount) & (distance < far) & (flake > cover)
        cover = np.where(there, np.maximum(cover, flake * in_the_air(falling, far.shape, distance)), cover)
    return cover


def streaks(u, v, time, far, amount, seed, falling):
    cover = np.zeros(far.shape)
    for layer in range(5):
        distance = 1.6 * 1.9**layer
        length, gap = 0.34 / distance + 0.045, 0.05 / distance + 0.012
        x = (u + 0.10 * v) / gap + layer * 11.7
        column = np.floor(x)
        y = v / length - time * 4.5 / (length * distance) + unit(column, layer, 5, seed) * 9.0
        row = np.floor(y)
        dx = np.abs(x - column - 0.2 - 0.6 * unit(column, row, layer + 16, seed)) * gap
        fade = np.clip(4.0 * (y - row) * (1.0 - y + row), 0.0, 1.0)
        strength = 0.10 + 0.16 * unit(column, row, layer + 32, seed)
        streak = strength * fade * np.clip(1.6 - dx / (0.0016 / distance + 0.0008), 0.0, 1.0)
        there = (unit(column, row, layer, seed) < 0.5 * amount) & (distance < far) & (streak > cover)
        cover = np.where(there, np.maximum(cover, streak * in_the_air(falling, far.shape, distance)), cover)
    return cover


def finished(painted, source, finish, times, first_frame, depth, kept, falling):
    """Return what `finish_pictures` makes of pictures [F, H, W, 3] before it rounds."""
    out = painted.astype(float)
    frames, height, width = painted.shape[:3]
    y, x = np.mgrid[:height, :width]
    u, v = (x + 0.5) / height, (y + 0.5) / height
    rim = ((2.0 * x + 1.0 - width) ** 2 + (2.0 * y + 1.0 - height) ** 2) / (width**2 + height**2)
    for t in range(frames):
        far = np.where((depth[t] > 0.0) & (depth[t] < 1.0e6), depth[t], 1.0e6)
        there = None if falling is None else falling[t]
        snow = flakes(u, v, times[t], far, finish.snow, finish.seed, there)[..., None]
        rain = streaks(u, v, times[t], far, finish.rain, finish.seed, there)[..., None]
        level = out[t]
        for cover, white in ((snow, finish.light * 255.0), (rain, finish.light * 255.0 * 0.85)):
            level = level + (np.maximum(white, level + 0.15 * (255.0 - level)) - level) * cover
        level = level * (1.0 - finish.vignette * 0.6 * rim**2)[..., None]
        z = (first_frame + t) * 8 + np.arange(3)
        draws = [unit(x[..., None], y[..., None], z, finish.seed + more) for more in (0, 977)]
        level = level + (draws[0] + draws[1] - 1.0) * finish.noise * (9.0 + 12.0 * (1.0 - level / 255.0))
        out[t] = level + (source[t] - level) * np.clip(kept[t], 0.0, 1.0)[..., None]
    return np.clip(out, 0.0, 255.0)
