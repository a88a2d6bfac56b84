"""Truevision TGA images, which older assets use and OpenCV does not read."""

from __future__ import annotations

from typing import Optional

import numpy as np

_MOST_PIXELS = 16384 * 16384


def decode_tga(encoded: bytes) -> Optional[np.ndarray]:
    """Decode a true-colour or grey TGA image, plain or run-length encoded (TGA 2.0 specification).

    Returns:
        uint8 [H, W, 1, 3 or 4] in RGB(A) order, row 0 at the top; ``None`` where the bytes are none.
    """
    if len(encoded) < 18 or encoded[1] != 0 or encoded[2] not in (2, 3, 10, 11):
        return None
    width, height = int.from_bytes(encoded[12:14], "little"), int.from_bytes(encoded[14:16], "little")
    depth, descriptor = encoded[16], encoded[17]
    channels = {8: 1, 24: 3, 32: 4}.get(depth, 0)
    if not width or not height or not channels or width * height > _MOST_PIXELS:
        return None
    start, size = 18 + encoded[0], width * height * channels
    if encoded[2] >= 10:
        texels = _unpack(encoded, start, size, channels)
    else:
        texels = np.frombuffer(encoded[start : start + size], np.uint8)
    if texels is None or len(texels) != size:
        return None
    image = texels.reshape(height, width, channels)
    if not descriptor & 0x20:
        image = image[::-1]
    if descriptor & 0x10:
        image = image[:, ::-1]
    return np.ascontiguousarray(image[..., [2, 1, 0, *range(3, channels)]] if channels >= 3 else image)


def _unpack(encoded: bytes, start: int, size: int, channels: int) -> Optional[np.ndarray]:
    """Undo run-length encoding; ``None`` where it ends too early."""
    parts, at, count = [], start, 0
    while count < size:
        if at >= len(encoded):
            return None
        run = (encoded[at] & 0x7F) + 1
        if encoded[at] & 0x80:
            parts.append(encoded[at + 1 : at + 1 + channels] * run)
            at += 1 + channels
        else:
            parts.append(encoded[at + 1 : at + 1 + run * channels])
            at += 1 + run * channels
        count += run * channels
    return np.frombuffer(b"".join(parts)[:size], np.uint8)


__all__ = ["decode_tga"]
