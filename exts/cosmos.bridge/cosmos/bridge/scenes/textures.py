"""Small procedural pictures for surfaces, written once as PNG and shared by every scene that asks for them."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cosmos.bridge.errors import ConfigError

Color = tuple[float, float, float]
_VERSION = "3"
"""Part of the cache path: raise it when a texture changes."""


def default_texture_dir() -> Path:
    """Return the per-user folder that in-memory scenes keep their textures in."""
    if sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "cosmos_bridge" / "textures" / _VERSION


def noise(rng: np.random.Generator, size: int, *, first: int = 4, octaves: int = 5, gain: float = 0.55) -> np.ndarray:
    """Make tileable fractal value noise in about [0, 1], float32 [size, size], from ``first`` cells across upwards."""
    import cv2

    total, weight, norm = np.zeros((size, size), np.float32), 1.0, 0.0
    cells = first
    for _ in range(octaves):
        if cells > size:
            break
        grid = np.pad(rng.random((cells, cells), dtype=np.float32), 2, mode="wrap")
        step = size // cells
        big = cv2.resize(grid, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
        big = big[2 * step : 2 * step + cells * step, 2 * step : 2 * step + cells * step]
        total += weight * (big if big.shape[0] == size else cv2.resize(big, (size, size)))
        norm += weight
        weight, cells = weight * gain, cells * 2
    return np.clip(0.5 + (total / norm - 0.5) * 1.6, 0.0, 1.0)


def _tint(level: np.ndarray, dark: Color | np.ndarray, light: Color | np.ndarray) -> np.ndarray:
    return np.asarray(dark) + level[..., None] * (np.asarray(light) - np.asarray(dark))


def _shade(color: Color, factor: float) -> Color:
    return (color[0] * factor, color[1] * factor, color[2] * factor)


def _concrete(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    level = 0.55 * noise(rng, size, first=2) + 0.45 * noise(rng, size, first=32, octaves=3)
    image = _tint(level, _shade(color, 0.72), _shade(color, 1.15))
    image[: max(1, size // 128)] *= 0.7  # the joint between two slabs
    image[:, : max(1, size // 128)] *= 0.7
    return image


def _asphalt(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    grit = rng.random((size, size)).astype(np.float32)
    level = 0.2 * noise(rng, size, first=2, octaves=4) + 0.3 * noise(rng, size, first=16, octaves=3) + 0.5 * grit
    return _tint(level, _shade(color, 0.65), _shade(color, 1.4))


def _brick(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    rows, columns = 8, 4
    y, x = np.mgrid[0:size, 0:size] / size
    row = np.floor(y * rows).astype(int)
    shifted = x * columns + 0.5 * (row % 2)
    column = np.floor(shifted).astype(int) % columns
    tone = rng.uniform(0.7, 1.2, (rows, columns))[row, column]
    image = np.asarray(color) * tone[..., None] * (0.8 + 0.4 * noise(rng, size, first=16, octaves=3)[..., None])
    joint = ((y * rows) % 1.0 < 0.1) | (shifted % 1.0 < 0.05)
    image[joint] = np.array([0.66, 0.64, 0.6]) * (0.85 + 0.3 * rng.random((int(joint.sum()), 1)))
    return image


def _planks(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    import cv2

    planks = 6
    y, x = np.mgrid[0:size, 0:size] / size
    plank = np.floor(y * planks).astype(int)
    grain = noise(rng, size, first=8, octaves=5)
    grain = cv2.resize(grain[:, : size // 8], (size, size), interpolation=cv2.INTER_CUBIC)
    tone = rng.uniform(0.75, 1.15, planks)[plank]
    image = np.asarray(color) * (tone * (0.65 + 0.6 * grain))[..., None]
    image[((y * planks) % 1.0 < 0.05) | (np.abs(x - rng.random(planks)[plank]) < 0.003)] *= 0.35
    return image


def _metal(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    x = np.arange(size) / size
    ridge = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 8 * x)) * np.abs(np.sin(2 * np.pi * 8 * x)) ** 0.4
    dirt = noise(rng, size, first=4)
    image = np.asarray(color) * (0.72 + 0.4 * ridge)[None, :, None] * (0.82 + 0.25 * dirt[..., None])
    rust = np.clip((noise(rng, size, first=8) - 0.82) * 4.0, 0.0, 1.0)[..., None]
    return image * (1.0 - 0.6 * rust) + 0.6 * rust * np.array([0.36, 0.2, 0.11])


def _painted(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    wear = np.clip((noise(rng, size, first=8, octaves=5) - 0.66) * 5.0, 0.0, 1.0)[..., None]
    image = np.asarray(color) * (0.85 + 0.25 * noise(rng, size, first=2)[..., None])
    return image * (1.0 - 0.55 * wear) + 0.55 * wear * np.array([0.4, 0.39, 0.37])


def _cardboard(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    level = 0.6 * noise(rng, size, first=4) + 0.4 * noise(rng, size, first=64, octaves=1)
    image = _tint(level, _shade(color, 0.82), _shade(color, 1.12))
    half = size // 2
    band = slice(half - size // 22, half + size // 22)
    image[:, band] = image[:, band] * 0.4 + np.array([0.75, 0.66, 0.48]) * 0.6
    left, top = int(size * rng.uniform(0.06, 0.12)), int(size * rng.uniform(0.55, 0.65))
    image[top : top + size // 5, left : left + size // 4] = 0.9
    for _ in range(9):
        bar = left + int(rng.uniform(0.03, 0.22) * size)
        image[top + size // 30 : top + size // 7, bar : bar + max(1, size // 120)] = 0.08
    return image


def _stripes(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size] / size
    dark = ((x + y) * 2.0) % 1.0 < 0.5
    image = np.where(dark[..., None], 0.05, np.asarray(color))
    return image * (0.8 + 0.25 * noise(rng, size, first=8)[..., None])


def _checker(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    cells = int(rng.choice([2, 4, 8]))
    y, x = np.mgrid[0:size, 0:size] * cells // size
    other = rng.uniform(0.05, 0.9, 3)
    return np.where(((x + y) % 2 == 0)[..., None], np.asarray(color), other) * (
        0.88 + 0.2 * noise(rng, size, first=8)[..., None]
    )


def _tiles(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    cells = 4
    y, x = np.mgrid[0:size, 0:size] / size * cells
    tone = rng.uniform(0.85, 1.1, (cells, cells))[y.astype(int), x.astype(int)]
    image = np.asarray(color) * (tone * (0.9 + 0.15 * noise(rng, size, first=8)))[..., None]
    image[(y % 1.0 < 0.04) | (x % 1.0 < 0.04)] *= 0.5
    return image


def _grass(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    level = 0.45 * noise(rng, size, first=4, octaves=6, gain=0.8) + 0.55 * rng.random((size, size))
    dry = noise(rng, size, first=2, octaves=3)[..., None]
    green = _tint(level, _shade(color, 0.45), _shade(color, 1.35))
    return green * (1 - 0.35 * dry) + 0.35 * dry * _tint(level, (0.2, 0.17, 0.08), (0.5, 0.45, 0.25))


def _plaster(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    level = 0.7 * noise(rng, size, first=2, octaves=3) + 0.3 * noise(rng, size, first=64, octaves=2)
    return _tint(level, _shade(color, 0.88), _shade(color, 1.08))


def _windows(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    image = _plaster(rng, size, color)
    cells = 2
    step = size // cells
    for row in range(cells):
        for column in range(cells):
            top, left = row * step + step // 4, column * step + step // 4
            high, wide = step // 2, step // 2
            image[top - step // 20 : top + high + step // 20, left - step // 20 : left + wide + step // 20] = _shade(
                color, 0.6
            )
            glass = np.linspace(0.30, 0.14, high)[:, None, None] * np.array([0.75, 0.9, 1.05])
            image[top : top + high, left : left + wide] = glass * rng.uniform(0.6, 1.3)
            image[top : top + high, left + wide // 2 - 1 : left + wide // 2 + 1] = _shade(color, 0.7)
            image[top + high // 3 : top + high // 3 + 2, left : left + wide] = _shade(color, 0.7)
    return image


def _blotches(rng: np.random.Generator, size: int, color: Color) -> np.ndarray:
    level = noise(rng, size, first=int(rng.choice([2, 4, 8])), octaves=5)
    return _tint((level > rng.uniform(0.35, 0.65)) * 0.6 + 0.4 * level, rng.uniform(0.03, 0.8, 3), color)


_MAKERS: dict[str, Callable[[np.random.Generator, int, Color], np.ndarray]] = {
    "asphalt": _asphalt, "blotches": _blotches, "brick": _brick, "cardboard": _cardboard, "checker": _checker,
    "concrete": _concrete, "grass": _grass, "metal": _metal, "painted": _painted, "planks": _planks,
    "plaster": _plaster, "stripes": _stripes, "tiles": _tiles, "windows": _windows,
}  # fmt: skip

TEXTURES: tuple[str, ...] = tuple(sorted(_MAKERS))
"""Names that ``TextureStore.surface`` knows."""


def _sign(text: str, ink: Color, paper: Color, *, size: tuple[int, int]) -> np.ndarray:
    import cv2

    height, width = size
    image = np.empty((height, width, 3), np.float64)
    image[:] = paper
    pad = max(2, height // 16)
    image[:pad], image[-pad:], image[:, :pad], image[:, -pad:] = ink, ink, ink, ink
    canvas = np.ascontiguousarray((image * 255.0).astype(np.uint8))
    (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
    scale = min((width - 6 * pad) / wide, (height - 6 * pad) / high)
    origin = (int((width - wide * scale) / 2), int((height + high * scale) / 2))
    thickness = max(1, round(scale * 1.6))
    cv2.putText(
        canvas, text, origin, cv2.FONT_HERSHEY_DUPLEX, scale, tuple(255.0 * c for c in ink), thickness, cv2.LINE_AA
    )
    return canvas / 255.0


class TextureStore:
    """A folder of procedural PNGs; each is made once."""

    def __init__(self, folder: Path, *, reference: str | None = None, reuse: bool = True) -> None:
        """Open the store.

        Args:
            folder: Where the PNGs live; made when the first one is written.
            reference: Folder as the USD layer shall name it (``./textures``); the absolute path when ``None``.
            reuse: Take what lies there under the right name; else write everything anew.
        """
        self.folder = folder
        self._reference = folder.absolute().as_posix() if reference is None else reference
        self._reuse = reuse
        self._known: set[str] = set()

    def surface(self, kind: str, *, color: Color, seed: int = 0, size: int = 256) -> str:
        """Return the asset path of a surface picture.

        Args:
            kind: One of ``TEXTURES``.
            color: Main colour, sRGB in [0, 1].
            seed: Decides grain and wear.
            size: Height and width [px]; a power of two.

        Raises:
            ConfigError: If there is no such kind.
        """
        if kind not in _MAKERS:
            raise ConfigError(f"There is no texture {kind!r}; choose one of {', '.join(TEXTURES)}.")

        def make() -> np.ndarray:
            entropy = hashlib.sha256(f"{kind}/{seed}".encode()).digest()[:8]
            return _MAKERS[kind](np.random.default_rng(int.from_bytes(entropy, "little")), size, color)

        red, green, blue = (round(channel * 255) for channel in color)
        return self._get(f"{kind}_{red:02x}{green:02x}{blue:02x}_{seed}_{size}", make)

    def sign(self, text: str, *, ink: Color, paper: Color, size: tuple[int, int] = (96, 256)) -> str:
        """Return the asset path of a framed text of ``size`` (height, width) [px]; colours are sRGB in [0, 1]."""
        digest = hashlib.sha256(f"{text}/{ink}/{paper}/{size}".encode()).hexdigest()[:10]
        return self._get(f"sign_{digest}", lambda: _sign(text, ink, paper, size=size))

    def _get(self, name: str, make: Callable[[], np.ndarray]) -> str:
        if name not in self._known:
            target = self.folder / f"{name}.png"
            if not (self._reuse and target.is_file()):
                _write_png(target, make())
            self._known.add(name)
        return f"{self._reference}/{name}.png"


def _write_png(target: Path, image: Sequence | np.ndarray) -> None:
    """Write an sRGB picture in [0, 1] as 8-bit PNG; whole or not at all, so that parallel writers never clash."""
    import cv2

    pixels = (np.clip(np.asarray(image), 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    ok, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))
    if not ok:
        raise ConfigError(f"The texture {target.name} could not be encoded as PNG; check the OpenCV installation.")
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".part")
    with os.fdopen(handle, "wb") as file:
        file.write(encoded.tobytes())
    Path(temporary).replace(target)


__all__ = ["TEXTURES", "Color", "TextureStore", "default_texture_dir", "noise"]
