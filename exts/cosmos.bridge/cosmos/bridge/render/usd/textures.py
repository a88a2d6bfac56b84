"""Textures: images found through USD's resolver (also inside a usdz) and decoded to 8-bit RGBA."""

from __future__ import annotations

import zipfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Union, cast

import numpy as np

from cosmos.bridge.render.scene import Texture, Wrap
from cosmos.bridge.render.threads import usable_threads
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.targa import decode_tga
from cosmos.bridge.srgb import linear_to_srgb, srgb_to_linear

if TYPE_CHECKING:
    from pxr import Sdf

_WRAPS = ("repeat", "clamp", "mirror", "black")
_MOST_SIDE = 4096
"""Width and height of a texture [px] above which it is made smaller."""
_MOST_PIXELS = 16384 * 16384
"""Size of an image above which it is not decoded at all."""


_MISSING = "Textures that cannot be found are drawn as a magenta checker"
_Decoded = tuple[Optional[tuple[np.ndarray, bool, float]], str]
"""uint8 texels [H, W, 4], whether they look sRGB, gain; ``None`` for no image; what is to be said about it."""


class _Resolved(NamedTuple):
    """A path that is resolved already, in the manner of Sdf.AssetPath."""

    path: str
    resolvedPath: str  # noqa: N815


def checker(size: int = 64, square: int = 8) -> np.ndarray:
    """Return the magenta and black board that stands for an image that is missing, uint8 [size, size, 4]."""
    row = np.arange(size) // square
    odd = (row[:, None] + row[None, :]) % 2 == 1
    return np.where(odd[..., None], (0, 0, 0, 255), (255, 0, 255, 255)).astype(np.uint8)


class TextureLibrary:
    """Decodes each image once and hands out indices into ``Scene.textures``."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._images: dict[str, tuple[np.ndarray, bool, float, tuple[int, int, int, int]]] = {}
        self._index: dict[tuple[str, bool, str, str], int] = {}
        self._textures: list[Texture] = []
        self._pool: Optional[ThreadPoolExecutor] = None
        self._begun: dict[str, Future[_Decoded]] = {}

    def begin(self, path: str) -> None:
        """Begin to decode an image that will be asked for, on another thread, since that holds no interpreter lock.

        Args:
            path: Resolved path.
        """
        if path and "<UDIM>" not in path and path not in self._begun and path not in self._images:
            # One core is left to the thread that reads on.
            self._pool = self._pool or ThreadPoolExecutor(max(1, usable_threads() - 1), "cosmos_bridge_images")
            self._begun[path] = self._pool.submit(_decoded, path)

    def close(self) -> None:
        """Forget what was begun and not asked for; safe to call twice."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool, self._begun = None, {}

    @property
    def textures(self) -> tuple[Texture, ...]:
        """All textures that were asked for, in index order."""
        return tuple(self._textures)

    def add(
        self,
        asset: Sdf.AssetPath,
        *,
        color_space: str = "auto",
        wrap_s: str = "repeat",
        wrap_t: str = "repeat",
        layer: Optional[Sdf.Layer] = None,
    ) -> tuple[int, float]:
        """Return the index of an image, and the gain that its texels are to be multiplied with.

        Args:
            asset: The authored path, as USD resolved it.
            color_space: ``raw``, ``sRGB`` or ``auto``, which takes images of 8 bits and three or more channels as
                sRGB, as UsdUVTexture does.
            wrap_s: Wrap in u; anything but the four names repeats.
            wrap_t: Wrap in v.
            layer: Layer in which the path is authored, against which a path with ``<UDIM>`` is resolved.

        Returns:
            Index into ``textures``; gain is 1 but for images of high dynamic range.
        """
        path = asset.resolvedPath or asset.path
        if path not in self._images:
            tiled = "<UDIM>" in path
            self._images[path] = self._decode_tiles(asset, layer) if tiled else (*self._decode(asset), (0, 0, 1, 1))
        texels, looks_srgb, gain, tiles = self._images[path]
        hdr = gain != 1.0
        srgb = looks_srgb if color_space == "auto" or hdr else color_space == "sRGB"
        s, t = (cast(Wrap, wrap if wrap in _WRAPS else "repeat") for wrap in (wrap_s, wrap_t))
        key = (path, srgb, s, t)
        if key not in self._index:
            self._index[key] = len(self._textures)
            self._textures.append(Texture(path=path, texels=texels, srgb=srgb, wrap_s=s, wrap_t=t, tiles=tiles))
        return self._index[key], gain

    def radiance(self, asset: Sdf.AssetPath) -> Optional[np.ndarray]:
        """Return an image as linear light, float32 [H, W, 3], or ``None`` where it is missing or broken."""
        encoded = _read_asset(asset.resolvedPath) if asset.resolvedPath else None
        image = _decode_bytes(encoded) if encoded else None
        return None if image is None else _to_linear(image)

    def add_made(self, name: str, texels: np.ndarray, *, wrap_s: Wrap, wrap_t: Wrap) -> int:
        """Return the index of linear float32 texels [H, W, 3] under a name of their own."""
        key = (name, False, wrap_s, wrap_t)
        if key not in self._index:
            self._index[key] = len(self._textures)
            self._textures.append(Texture(path=name, texels=texels, srgb=False, wrap_s=wrap_s, wrap_t=wrap_t))
        return self._index[key]

    def _decode(self, asset: Union[Sdf.AssetPath, _Resolved]) -> tuple[np.ndarray, bool, float]:
        path = asset.resolvedPath
        begun = self._begun.pop(path, None)
        image, remark = _decoded(path) if begun is None else begun.result()
        if remark:
            self._notes.add(remark, asset.path if remark == _MISSING else path)
        return (checker(), True, 1.0) if image is None else image

    def _decode_tiles(
        self, asset: Sdf.AssetPath, layer: Optional[Sdf.Layer]
    ) -> tuple[np.ndarray, bool, float, tuple[int, int, int, int]]:
        """Lay the tiles of a UDIM texture into one image, row 0 at its top; tiles that are missing stay black."""
        from pxr import UsdShade

        found = UsdShade.UdimUtils.ResolveUdimTilePaths(asset.resolvedPath or asset.path, layer)
        read = []
        for path, number in found:
            index = int(number) - 1001
            texels, looks_srgb, gain = self._decode(_Resolved(path=path, resolvedPath=path))
            read.append((index % 10, index // 10, texels, looks_srgb, gain))
        if not read:
            self._notes.add(_MISSING, asset.path)
            return checker(), True, 1.0, (0, 0, 1, 1)
        left, low = min(item[0] for item in read), min(item[1] for item in read)
        columns, rows = max(item[0] for item in read) - left + 1, max(item[1] for item in read) - low + 1
        side = min(max(max(item[2].shape[:2]) for item in read), max(1, _MOST_SIDE // max(columns, rows)))
        if any(max(item[2].shape[:2]) > side for item in read):
            self._notes.add(
                f"UDIM textures wider or higher than {_MOST_SIDE} pixels in all are drawn smaller", asset.path
            )
        board = np.zeros((rows * side, columns * side, 4), np.uint8)
        most = max(item[4] for item in read)
        for column, row, texels, looks_srgb, gain in read:
            placed = _resized(texels, side)
            if gain != most:
                placed = _regained(placed, looks_srgb, gain / most)
            top = (rows - 1 - (row - low)) * side
            board[top : top + side, (column - left) * side : (column - left + 1) * side] = placed
        return board, read[0][3], most, (left, low, columns, rows)


@np.errstate(over="ignore", invalid="ignore")  # on a thread of its own the reader's does not hold
def _decoded(path: str) -> _Decoded:
    """Return the image behind a resolved path, ``None`` where there is none, and what is to be said."""
    encoded = _read_asset(path) if path else None
    if encoded is None:
        return None, _MISSING
    size = _announced_size(encoded)
    if size[0] * size[1] > _MOST_PIXELS:
        return None, "Textures of more than 16384 x 16384 pixels are drawn as a magenta checker"
    image = _decode_bytes(encoded)
    if image is None:
        return None, "Textures that cannot be decoded are drawn as a magenta checker"
    remark = ""
    if max(image.shape[:2]) > _MOST_SIDE:
        remark = f"Textures wider or higher than {_MOST_SIDE} pixels are drawn smaller"
        image = _shrunk(image, _MOST_SIDE)
    return _to_rgba8(image), remark


def _announced_size(encoded: bytes) -> tuple[int, int]:
    """Return the width and height [px] that the header of a png or jpg promises; (0, 0) for other kinds."""
    if encoded[:8] == b"\x89PNG\r\n\x1a\n" and len(encoded) >= 24:
        return int.from_bytes(encoded[16:20], "big"), int.from_bytes(encoded[20:24], "big")
    at = 2 if encoded[:2] == b"\xff\xd8" else len(encoded)
    while at + 9 < len(encoded) and encoded[at] == 0xFF:
        marker, length = encoded[at + 1], int.from_bytes(encoded[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(encoded[at + 7 : at + 9], "big"), int.from_bytes(encoded[at + 5 : at + 7], "big")
        at += 2 + length
    return 0, 0


def _shrunk(image: np.ndarray, most: int) -> np.ndarray:
    """Average an image down until neither side is above ``most`` [px]."""
    import cv2

    height, width = image.shape[:2]
    by = most / max(height, width)
    size = max(1, round(width * by)), max(1, round(height * by))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small if small.ndim == 3 else small[..., None])


def _resized(texels: np.ndarray, side: int) -> np.ndarray:
    """Bring uint8 texels [H, W, 4] to a square of ``side`` pixels."""
    import cv2

    if texels.shape[:2] == (side, side):
        return texels
    larger = side > max(texels.shape[:2])
    return np.asarray(cv2.resize(texels, (side, side), interpolation=cv2.INTER_LINEAR if larger else cv2.INTER_AREA))


def _regained(texels: np.ndarray, srgb: bool, by: float) -> np.ndarray:
    """Multiply the light of uint8 texels by a factor of at most 1."""
    values = texels[..., :3].astype(np.float64) / 255.0
    if srgb:
        values = linear_to_srgb(srgb_to_linear(values) * by)
    else:
        values = values * by
    return np.concatenate([(values * 255.0 + 0.5).astype(np.uint8), texels[..., 3:]], axis=-1)


def _read_asset(path: str) -> Optional[bytes]:
    """Return the bytes behind a resolved path, or ``None``."""
    from pxr import Ar

    resolver = Ar.GetResolver()
    if not hasattr(resolver, "OpenAsset"):
        return _read_file(path)
    asset = resolver.OpenAsset(Ar.ResolvedPath(path))
    if not asset:
        return None
    with asset as opened:
        return bytes(opened.GetBuffer() or b"")  # an empty file has no buffer


def _read_file(path: str) -> Optional[bytes]:
    """Read a file, or one in a .usdz, without ``OpenAsset``, which older USDs do not offer to Python."""
    from pxr import Ar

    outer, inner = Ar.SplitPackageRelativePathOuter(path)
    try:
        if not inner:
            return Path(outer).read_bytes()
        with zipfile.ZipFile(outer) as package:
            return package.read(inner)
    except (OSError, KeyError, zipfile.BadZipFile):
        return None


def _decode_bytes(encoded: bytes) -> Optional[np.ndarray]:
    """Decode an image of any kind; [H, W, C] in RGB(A) order, or ``None``."""
    if encoded[:4] == b"\x76\x2f\x31\x01":
        return _decode_exr(encoded)
    image = _decode_image(encoded)
    return decode_tga(encoded) if image is None else image


def _decode_image(encoded: bytes) -> Optional[np.ndarray]:
    """Decode png, jpg, hdr and whatever else OpenCV reads; [H, W, C] in RGB(A) order, or ``None``.

    An 8-bit RGB image gets its alpha at once: each step more would wait for the interpreter's lock.
    """
    import cv2

    if not encoded:
        return None
    try:
        image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if image is None:
        return None
    if image.ndim == 2:
        return image[..., None]
    if image.shape[2] < 3:
        return image
    if image.shape[2] == 4:
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA))
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGBA if image.dtype == np.uint8 else cv2.COLOR_BGR2RGB))


def _decode_exr(encoded: bytes) -> Optional[np.ndarray]:
    """Decode an OpenEXR image of at most 16384 x 16384 pixels to float32 [H, W, C], or ``None``."""
    import tempfile

    import OpenEXR

    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(encoded)
        file.flush()
        try:
            low, high = OpenEXR.File(file.name, header_only=True).header()["dataWindow"]
            if int(high[0] - low[0] + 1) * int(high[1] - low[1] + 1) > _MOST_PIXELS:
                return None
            return _exr_pixels(OpenEXR.File(file.name).channels())
        except (RuntimeError, OSError, ValueError, KeyError, TypeError):  # a broken file may name things wrongly
            return None


def _exr_pixels(channels: Any) -> Optional[np.ndarray]:
    """Return the colour of an OpenEXR image, float32 [H, W, C], or ``None`` where it has none."""
    for name in ("RGBA", "RGB", "Y"):
        if name in channels:
            pixels = np.array(channels[name].pixels, np.float32)
            return pixels if pixels.ndim == 3 else pixels[..., None]
    if all(name in channels for name in "RGB"):
        return np.stack([np.array(channels[name].pixels, np.float32) for name in "RGB"], axis=-1)
    return None


def _to_linear(image: np.ndarray) -> np.ndarray:
    """Return linear RGB without a bound, float32 [H, W, 3]: integers are sRGB-encoded, floats are linear."""
    rgb = image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, axis=2)
    if image.dtype in (np.uint8, np.uint16):
        encoded = rgb.astype(np.float32) / np.float32(np.iinfo(image.dtype).max)
        rgb = srgb_to_linear(encoded)
    bounded = np.clip(np.nan_to_num(rgb.astype(np.float32), posinf=1e12, neginf=0.0), 0.0, 1e12)
    return np.ascontiguousarray(bounded, dtype=np.float32)


def _to_rgba8(image: np.ndarray) -> tuple[np.ndarray, bool, float]:
    """Return uint8 RGBA, whether it looks sRGB, and the gain that was divided out (1 but for floats)."""
    gain, looks_srgb = 1.0, image.dtype == np.uint8 and image.shape[2] >= 3
    if image.dtype == np.uint16:
        image = (image.astype(np.uint32) * 255 + 32767) // 65535
    elif image.dtype != np.uint8:
        image, gain = _compress(np.nan_to_num(image.astype(np.float32), posinf=65504.0, neginf=0.0))
        looks_srgb = True
    image = image.astype(np.uint8, copy=False)
    height, width, channels = image.shape
    if channels >= 4:
        return np.ascontiguousarray(image[..., :4]), looks_srgb, gain
    rgba = np.empty((height, width, 4), np.uint8)
    if channels <= 2:
        rgba[..., :3] = image[..., :1]
        rgba[..., 3] = image[..., 1] if channels == 2 else 255
    else:
        rgba[..., 3] = 255
        for channel in range(3):  # one by one: NumPy is slow on innermost axes this short
            rgba[..., channel] = image[..., channel]
    return rgba, looks_srgb, gain


def _compress(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Bring a linear image of high range to 8-bit sRGB and a gain; the brightest 0.1 % of texels are clipped."""
    rgb = np.maximum(image[..., :3], 0.0)
    gain = max(float(np.quantile(rgb.max(-1), 0.999)), 1e-6)
    linear = np.minimum(rgb / gain, 1.0)
    out = np.concatenate([linear_to_srgb(linear), np.clip(image[..., 3:4], 0.0, 1.0)], axis=-1) * 255.0 + 0.5
    return out, gain if gain != 1.0 else 1.0 + 1e-9


__all__ = ["TextureLibrary", "checker"]
