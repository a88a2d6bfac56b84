"""The curve of sRGB (IEC 61966-2-1) on arrays; `kernels.display` has it for kernels."""

from __future__ import annotations

import numpy as np


def srgb_to_linear(values: np.ndarray) -> np.ndarray:
    """Decode sRGB values in [0, 1] to linear ones."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(values: np.ndarray) -> np.ndarray:
    """Encode linear values in [0, 1] as sRGB."""
    return np.where(values <= 0.0031308, 12.92 * values, 1.055 * values ** (1.0 / 2.4) - 0.055)


LINEAR_OF_BYTE = srgb_to_linear(np.arange(256) / 255.0)
"""What each byte of an sRGB image stands for, float64, shape [256]."""


__all__ = ["LINEAR_OF_BYTE", "linear_to_srgb", "srgb_to_linear"]
