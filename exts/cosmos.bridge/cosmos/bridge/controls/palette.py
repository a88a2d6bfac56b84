"""Instance colours: a fixed lattice, and a stable hash from prim path to one of its colours.

A colour depends on the prim path alone, so it is the same in every clip, run and machine. Two paths may share a colour
(once in ``len(PALETTE)`` pairs); moving one of them away would change its colour between clips, so they keep it.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

from cosmos.bridge.srgb import linear_to_srgb

PALETTE_NAME = "oklab-fcc-1"
"""Name of the lattice, recorded with each control; another lattice gets another name."""

_SPACING = 0.04
"""Distance of neighbouring colours in Oklab; about 0.02 is a just noticeable difference."""
_DARKEST = 0.32
"""Lightness below which a colour would be taken for the black background."""
_GREYEST = 0.035
"""Chroma below which a colour would be taken for grey."""

_LMS_FROM_LAB = np.array(
    [[1.0, 0.3963377774, 0.2158037573], [1.0, -0.1055613458, -0.0638541728], [1.0, -0.0894841775, -1.2914855480]]
)
_RGB_FROM_LMS = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)


@functools.lru_cache(maxsize=1)
def palette() -> np.ndarray:
    """Return every instance colour: uint8 sRGB, shape [N, 3], read-only.

    They are the points of a face-centred cubic lattice in Oklab (B. Ottosson, A perceptual color space for image
    processing, 2020) that lie inside sRGB and are neither dark nor grey: no two are closer than ``_SPACING``.
    """
    step = _SPACING / np.sqrt(2.0)
    reach = int(np.ceil(1.0 / step))
    axis = np.arange(-reach, reach + 1)
    cells = np.stack(np.meshgrid(np.arange(0, reach + 1), axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    lab = cells[cells.sum(axis=1) % 2 == 0] * step
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    lab = lab[(lab[:, 0] >= _DARKEST) & (chroma >= _GREYEST) & (chroma < 0.4)]
    # Sums are written out: a matrix product may round differently on another machine.
    lms = sum(lab[:, k : k + 1] * _LMS_FROM_LAB[:, k] for k in range(3)) ** 3
    linear = sum(lms[:, k : k + 1] * _RGB_FROM_LMS[:, k] for k in range(3))
    linear = linear[((linear >= 0.0) & (linear <= 1.0)).all(axis=1)]
    colors = np.floor(linear_to_srgb(linear) * 255.0 + 0.5).astype(np.uint8)
    colors.setflags(write=False)
    return colors


def color_of(prim_path: str) -> tuple[int, int, int]:
    """Return the colour of an instance, ``(r, g, b)`` in 0..255: a stable hash of its prim path, never black."""
    digest = hashlib.blake2b(prim_path.encode(), digest_size=8).digest()
    colors = palette()
    red, green, blue = colors[int.from_bytes(digest, "little") % len(colors)]
    return int(red), int(green), int(blue)


__all__ = ["PALETTE_NAME", "color_of", "palette"]
