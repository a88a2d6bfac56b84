"""Draw the extension's icon and preview: a bridge that leads from a wireframe world into a lit one.

Run ``python tools/make_icon.py`` from anywhere; it writes ``exts/cosmos.bridge/data/{icon,preview}.png``.
"""

from pathlib import Path

import cv2
import numpy as np

DATA = Path(__file__).resolve().parents[1] / "exts" / "cosmos.bridge" / "data"
OVERSAMPLE = 4
HORIZON = 0.66
WIRE = np.float32((110, 230, 190))
STEEL = np.float32((38, 30, 44))
LIGHT = np.float32((255, 205, 140))


def blend_sky(height, width):
    """Night on the left that turns to dawn on the right, float32 RGB [H, W, 3]."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y, x = (y / height)[..., None], (x / width)[..., None]
    picture = np.float32((10, 16, 36)) * (1 - y) + np.float32((40, 60, 105)) * y
    dawn = np.clip((x - 0.32) / 0.5, 0, 1) ** 1.3
    warm = np.float32((70, 90, 150)) * (1 - y / HORIZON) + np.float32((255, 158, 84)) * (y / HORIZON)
    picture = picture * (1 - dawn) + warm * dawn
    sun = np.hypot((x - 0.77) * width, (y - HORIZON + 0.06) * height) / height
    picture += np.float32((255, 210, 140)) * 0.55 * np.exp(-((sun / 0.20) ** 2))
    disc = np.clip((0.105 - sun) * height / OVERSAMPLE, 0, 1)
    return picture * (1 - disc) + np.float32((255, 240, 205)) * disc


def add_stars(picture, count):
    """Stars over the dark side."""
    rng = np.random.default_rng(5)
    height, width = picture.shape[:2]
    for _ in range(count):
        x, y = rng.uniform(0.02, 0.55), rng.uniform(0.04, 0.48)
        shade = 255.0 * rng.uniform(0.4, 1.0) * (1.0 - 1.5 * x)
        radius = OVERSAMPLE * rng.uniform(0.4, 1.0) * height / OVERSAMPLE / 256
        if shade > 40:
            centre = (int(x * width), int(y * height))
            cv2.circle(picture, centre, max(int(radius), 1), [shade] * 3, -1, cv2.LINE_AA)


def add_ground(picture, line):
    """A perspective grid on the left, water with the sun on it on the right."""
    height, width = picture.shape[:2]
    y0 = int(HORIZON * height)
    x = np.linspace(0, 1, width, dtype=np.float32)[None, :, None]
    y = np.linspace(0, 1, height - y0, dtype=np.float32)[:, None, None]
    real = np.clip((x - 0.36) / 0.28, 0, 1)
    ripple = 0.5 + 0.3 * np.sin(14.0 * np.log(y + 0.03) + 1.3 * np.sin(17.0 * x)) + 0.2 * np.sin(37.0 * y + 11.0 * x)
    path = np.exp(-(((x - 0.77) / (0.05 + 0.13 * y)) ** 2))
    water = np.float32((92, 86, 118)) * (1 - 0.55 * y) + np.float32((200, 140, 70)) * path * (0.35 + 0.65 * ripple)
    picture[y0:] = np.float32((12, 20, 38)) * (1 - real) + water * real
    grid = np.zeros((height, width), np.float32)
    for i in range(-24, 25):
        cv2.line(grid, (width // 2, y0), (int(width / 2 + i * height * 0.34), height), 1.0, line, cv2.LINE_AA)
    for i in range(7):
        level = int(y0 + (height - y0) * (i / 7.0) ** 1.8)
        cv2.line(grid, (0, level), (width, level), 1.0, line, cv2.LINE_AA)
    grid[:y0] = 0
    share = grid[y0:, :, None] * (1 - real) * (0.12 + 0.55 * np.clip(5.0 * y, 0, 1))
    picture[y0:] = picture[y0:] * (1 - share) + WIRE * share


def cable_level(x, towers, ends, top, deck):
    """Height of the main cable at x [px]: a parabola between the towers, nearly straight outside."""
    if towers[0] <= x <= towers[1]:
        middle = 0.5 * (towers[0] + towers[1])
        bow = ((x - middle) / (towers[1] - middle)) ** 2
        return top + (deck - top) * 0.86 * (1 - bow)
    near = x < towers[0]
    share = (x - ends[not near]) / (towers[not near] - ends[not near])
    return deck + (top - deck) * share**1.25


def draw_bridge(height, width, thick):
    """Coverage of a suspension bridge across the picture, float32 [H, W]."""
    mask = np.zeros((height, width), np.float32)
    ends, towers = (-0.06 * width, 1.06 * width), (0.25 * width, 0.75 * width)
    deck, top = 0.60 * height, 0.17 * height

    def stroke(a, b, weight):
        points = [tuple(round(value) for value in point) for point in (a, b)]
        cv2.line(mask, *points, 1.0, max(int(weight), 1), cv2.LINE_AA)

    spread = 0.030 * height
    for x in towers:
        for side in (-1, 1):
            stroke((x + side * spread, top), (x + side * 1.5 * spread, 0.80 * height), thick)
        for level in (0.02, 0.30, 0.58):
            stroke((x - spread, top + level * (deck - top)), (x + spread, top + level * (deck - top)), 0.8 * thick)
    for level in (0.0, 0.022):
        stroke((ends[0], deck + level * height), (ends[1], deck + level * height), 0.8 * thick)
    for x in np.arange(0.0, width, 0.040 * height):
        stroke((x, cable_level(x, towers, ends, top, deck)), (x, deck), 0.28 * thick)
    curve = [(x, cable_level(x, towers, ends, top, deck)) for x in np.linspace(ends[0], ends[1], 500)]
    cv2.polylines(mask, [np.int32(curve)], False, 1.0, max(int(0.6 * thick), 1), cv2.LINE_AA)
    return mask


def draw(height, width, *, thick):
    """The whole picture at its final size, uint8 RGB [H, W, 3]."""
    tall, wide, thick = height * OVERSAMPLE, width * OVERSAMPLE, thick * OVERSAMPLE
    picture = blend_sky(tall, wide)
    add_stars(picture, 60)
    add_ground(picture, max(int(thick * 0.25), 1))
    mask = draw_bridge(tall, wide, thick)
    x = np.linspace(0, 1, wide, dtype=np.float32)[None, :, None]
    real = np.clip((x - 0.42) / 0.16, 0, 1)
    inner = cv2.erode(mask, np.ones((max(int(thick * 0.45), 2),) * 2))
    outline = np.clip(mask - inner, 0, 1)[..., None] * (1 - real)
    halo = cv2.GaussianBlur(mask, (0, 0), thick * 1.4)[..., None] * (1 - real)
    picture += WIRE * halo * 0.35
    picture = picture * (1 - outline) + WIRE * outline
    solid = mask[..., None] * real
    lit = STEEL + LIGHT * 0.14 * np.exp(-(((x - 0.77) / 0.18) ** 2))
    picture = picture * (1 - solid) + lit * solid
    return cv2.resize(np.clip(picture, 0, 255), (width, height), interpolation=cv2.INTER_AREA).round().astype(np.uint8)


def round_corners(picture, radius):
    """RGBA with rounded corners."""
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32) + 0.5
    outside = np.hypot(
        np.maximum(np.abs(x - width / 2) - width / 2 + radius, 0),
        np.maximum(np.abs(y - height / 2) - height / 2 + radius, 0),
    )
    alpha = np.clip(radius + 0.5 - outside, 0, 1) * 255
    return np.dstack([picture, alpha.round().astype(np.uint8)])


def main():
    """Write both pictures."""
    DATA.mkdir(parents=True, exist_ok=True)
    icon = round_corners(draw(256, 256, thick=4.2), 44)
    cv2.imwrite(str(DATA / "icon.png"), cv2.cvtColor(icon, cv2.COLOR_RGBA2BGRA), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    preview = draw(400, 800, thick=5.0)
    cv2.imwrite(str(DATA / "preview.png"), preview[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])


if __name__ == "__main__":
    main()
