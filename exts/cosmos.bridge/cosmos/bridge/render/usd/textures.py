"""Textures: images found through USD's resolver (also inside a usdz) and decoded to 8-bit RGBA."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Optional, cast

import numpy as np

from cosmos.bridge.render.scene import Texture, Wrap
from cosmos.bridge.render.usd.notes import Notes

if TYPE_CHECKING:
    from pxr import Sdf

ColorSpace = Literal["auto", "raw", "sRGB"]
_WRAPS = ("repeat", "clamp", "mirror", "black")


def checker(size: int = 64, square: int = 8) -> np.ndarray:
    """Return the magenta and black board that stands for an image that is missing, uint8 [size, size, 4]."""
    row = np.arange(size) // square
    odd = (row[:, None] + row[None, :]) % 2 == 1
    return np.where(odd[..., None], (0, 0, 0, 255), (255, 0, 255, 255)).astype(np.uint8)


class TextureLibrary:
    """Decodes each image once and hands out indices into ``Scene.textures``."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._images: dict[str, tuple[np.ndarray, bool, float]] = {}
        self._index: dict[tuple[str, bool, str, str], int] = {}
        self._textures: list[Texture] = []

    @property
    def textures(self) -> tuple[Texture, ...]:
        """All textures that were asked for, in index order."""
        return tuple(self._textures)

    def add(
        self, asset: Sdf.AssetPath, *, color_space: ColorSpace = "auto", wrap_s: str = "repeat", wrap_t: str = "repeat"
    ) -> tuple[int, float]:
        """Return the index of an image, and the gain that its texels are to be multiplied with.

        Args:
            asset: The authored path, as USD resolved it.
            color_space: ``auto`` takes images of 8 bits and three or more channels as sRGB, as UsdUVTexture does.
            wrap_s: Wrap in u; anything but the four names repeats.
            wrap_t: Wrap in v.

        Returns:
            Index into ``textures``; gain is 1 but for images of high dynamic range.
        """
        path = asset.resolvedPath or asset.path
        if path not in self._images:
            self._images[path] = self._decode(asset)
        texels, looks_srgb, gain = self._images[path]
        hdr = gain != 1.0
        srgb = looks_srgb if color_space == "auto" or hdr else color_space == "sRGB"
        s, t = (cast(Wrap, wrap if wrap in _WRAPS else "repeat") for wrap in (wrap_s, wrap_t))
        key = (path, srgb, s, t)
        if key not in self._index:
            self._index[key] = len(self._textures)
            self._textures.append(Texture(path=path, texels=texels, srgb=srgb, wrap_s=s, wrap_t=t))
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

    def _decode(self, asset: Sdf.AssetPath) -> tuple[np.ndarray, bool, float]:
        path = asset.resolvedPath
        if not path and "<UDIM>" in asset.path:
            self._notes.add("UDIM textures are not read; a magenta checker stands for them", asset.path)
            return checker(), True, 1.0
        encoded = _read_asset(path) if path else None
        if encoded is None:
            self._notes.add("Textures that cannot be found are drawn as a magenta checker", asset.path)
            return checker(), True, 1.0
        image = _decode_bytes(encoded)
        if image is None:
            self._notes.add("Textures that cannot be decoded are drawn as a magenta checker", path)
            return checker(), True, 1.0
        return _to_rgba8(image)


def _read_asset(path: str) -> Optional[bytes]:
    """Return the bytes behind a resolved path, or ``None``."""
    from pxr import Ar

    asset = Ar.GetResolver().OpenAsset(Ar.ResolvedPath(path))
    if not asset:
        return None
    with asset as opened:
        return bytes(opened.GetBuffer() or b"")  # an empty file has no buffer


def _decode_bytes(encoded: bytes) -> Optional[np.ndarray]:
    """Decode an image of any kind; [H, W, C] in RGB(A) order, or ``None``."""
    return _decode_exr(encoded) if encoded[:4] == b"\x76\x2f\x31\x01" else _decode_image(encoded)


def _decode_image(encoded: bytes) -> Optional[np.ndarray]:
    """Decode png, jpg, hdr and whatever else OpenCV reads; [H, W, C] in RGB(A) order, or ``None``."""
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
    return image[..., [2, 1, 0, *range(3, image.shape[2])]] if image.shape[2] >= 3 else image


def _decode_exr(encoded: bytes) -> Optional[np.ndarray]:
    """Decode an OpenEXR image to float32 [H, W, C], or ``None``."""
    import tempfile

    import OpenEXR

    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(encoded)
        file.flush()
        try:
            channels = OpenEXR.File(file.name).channels()
        except (RuntimeError, OSError):
            return None
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
        rgb = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
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
    image = image.astype(np.uint8)
    height, width, channels = image.shape
    rgba = np.full((height, width, 4), 255, np.uint8)
    if channels <= 2:
        rgba[..., :3] = image[..., :1]
        rgba[..., 3] = image[..., 1] if channels == 2 else 255
    else:
        rgba[..., : min(channels, 4)] = image[..., :4]
    return rgba, looks_srgb, gain


def _compress(image: np.ndarray) -> tuple[np.ndarray, float]:
    """Bring a linear image of high range to 8-bit sRGB and a gain; the brightest 0.1 % of texels are clipped."""
    rgb = np.maximum(image[..., :3], 0.0)
    gain = max(float(np.quantile(rgb.max(-1), 0.999)), 1e-6)
    linear = np.minimum(rgb / gain, 1.0)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1.0 / 2.4) - 0.055)
    out = np.concatenate([encoded, np.clip(image[..., 3:4], 0.0, 1.0)], axis=-1) * 255.0 + 0.5
    return out, gain if gain != 1.0 else 1.0 + 1e-9


__all__ = ["ColorSpace", "TextureLibrary", "checker"]
