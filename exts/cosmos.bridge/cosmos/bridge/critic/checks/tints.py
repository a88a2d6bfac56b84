"""Colours that neither the source's nor any other light explains."""

from __future__ import annotations

from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.checks.explained import residual

_FLAT = 4.0
"""Variance below which a source explains nothing [levels^2]."""
_WIDE = 0.125
"""Half the side of the window in which light changes smoothly, as share of the picture's width."""
_BLACK = 6.0
"""Added to a colour before its direction is taken, for black has none [levels]."""
_MOST = 80.0
"""Largest error of a pixel that counts [levels]."""
_PARALLEL = 0.1
"""Sine of the angle to grey below which a colour is grey."""


def tints(
    source: np.ndarray, result: np.ndarray, weight: np.ndarray, *, patch: int, explained: Optional[np.ndarray] = None
) -> np.ndarray:
    """Measure what light and weather leave unexplained of the colours around each pixel.

    What the source's colours do not explain (`residual`) is split: light changes a colour along itself, haze and snow
    towards grey, so that a shadow, a lamp or a snow drift that the source does not have leaves little across the two.

    Args:
        source: float32 [levels], shape [H, W, 3].
        result: float32 [levels], shape [H, W, 3].
        weight: 1 where light and weather are free, 0 where the request keeps the source's colours as they are, float32
            in [0, 1], shape [H, W].
        patch: Side of the window over which errors are averaged [px], odd.
        explained: Where something else explains whatever is seen, bool, shape [H, W]; nowhere if ``None``.

    Returns:
        Root of the mean square across the local mean colour and grey, and across that colour alone [levels], float32,
        shape [2, H, W].
    """
    error, mean = residual(source, result, weight, side=2 * int(_WIDE * source.shape[1]) + 1, noise=_FLAT)
    kept = 1.0 - weight
    if kept.any():
        error = weight * error + kept * np.moveaxis(result - source, -1, 0)
    if explained is not None:
        error[:, explained] = 0.0
    light = mean + np.float32(_BLACK)
    light /= np.sqrt(_dot(light, light))
    along = _dot(error, light)
    across = _dot(error, error) - along * along
    grey = (light[0] + light[1] + light[2]) / np.float32(3.0**0.5)
    sine = np.sqrt(np.maximum(1.0 - grey * grey, 0.0))
    toward = (error[0] + error[1] + error[2]) / np.float32(3.0**0.5) - grey * along
    toward *= np.minimum(1.0 / np.maximum(sine, np.float32(1e-6)), np.float32(1.0 / _PARALLEL))
    filled = _mean(np.ones(weight.shape, np.float32), patch)
    squares = (np.clip(values, 0.0, np.float32(_MOST**2)) for values in (across - toward * toward, across))
    return np.stack([np.sqrt(np.maximum(_mean(values, patch), 0.0) / filled) for values in squares])


def _dot(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Product of vectors, shape [H, W] of [3, H, W]."""
    product: np.ndarray = left[0] * right[0] + left[1] * right[1] + left[2] * right[2]
    return product


def _mean(values: np.ndarray, side: int) -> np.ndarray:
    return cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_CONSTANT)


__all__ = ["tints"]
