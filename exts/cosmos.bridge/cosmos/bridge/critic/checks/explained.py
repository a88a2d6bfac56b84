"""How much of a picture its source explains, when light and weather may change every colour smoothly."""

from __future__ import annotations

import cv2
import numpy as np


def unexplained(source: np.ndarray, result: np.ndarray, weight: np.ndarray, *, side: int, noise: float) -> np.ndarray:
    """Square of what the source's colours leave unexplained around each pixel.

    Each channel of the result is fitted by an affine function of the source's three, by least squares over a window
    (the guided filter of He, Sun and Tang 2013, before its second average): new light, haze and grading are such
    functions; a thing that the source does not show is none.

    Args:
        source: float32 [levels], shape [H, W, 3].
        result: float32 [levels], shape [H, W, 3].
        weight: How much each pixel counts, float32 in [0, 1], shape [H, W].
        side: Side of the window [px], odd.
        noise: Variance of the source below which its structure explains nothing [levels^2], > 0.

    Returns:
        Sum over the channels [levels^2], float32, shape [H, W]; 0 where nothing counts.
    """

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT)

    total = np.maximum(mean(weight), 1e-3)
    source_mean = [mean(source[..., i] * weight) / total for i in range(3)]
    off = [source[..., i] - source_mean[i] for i in range(3)]
    spread = {
        (i, j): mean(source[..., i] * source[..., j] * weight) / total
        - source_mean[i] * source_mean[j]
        + np.float32(noise * (i == j))
        for i in range(3) for j in range(i, 3)
    }  # fmt: skip
    spread |= {(j, i): values for (i, j), values in spread.items()}
    inverse, determinant = _adjugate(spread)
    left = np.zeros(weight.shape, np.float32)
    for channel in range(3):
        picture = result[..., channel]
        picture_mean = mean(picture * weight) / total
        shared = [mean(source[..., i] * picture * weight) / total - source_mean[i] * picture_mean for i in range(3)]
        error = picture - picture_mean
        for i in range(3):
            slope = sum(inverse[i, j] * shared[j] for j in range(3)) / determinant
            error = error - off[i] * slope
        left += error * error
    return left * weight


def _adjugate(matrix: dict[tuple[int, int], np.ndarray]) -> tuple[dict[tuple[int, int], np.ndarray], np.ndarray]:
    """Adjugate and determinant of symmetric 3 x 3 matrices."""
    adjugate = {}
    for i in range(3):
        for j in range(3):
            a, b, c, d = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
            adjugate[i, j] = matrix[a, c] * matrix[b, d] - matrix[a, d] * matrix[b, c]
    determinant = sum(matrix[0, i] * adjugate[0, i] for i in range(3))
    return adjugate, np.asarray(determinant)


def trimmed(values: np.ndarray) -> float:
    """Mean of all but the largest tenth: what hides a small part of a thing does not count."""
    return float(np.sort(values)[: max(1, int(0.9 * len(values)))].mean())


def unplain(picture: np.ndarray, mask: np.ndarray) -> float:
    """Mean square of what a plane in each channel leaves unexplained inside a mask [levels^2], trimmed.

    Args:
        picture: float32 [levels], shape [H, W, 3].
        mask: bool, shape [H, W], not empty.
    """
    y, x = np.nonzero(mask)
    return _left(np.stack([np.ones(len(y)), y, x], axis=1), picture[mask])


def unlike(source: np.ndarray, result: np.ndarray, mask: np.ndarray) -> float:
    """Mean square of what one affine function of the source's colours leaves unexplained inside a mask, trimmed.

    Args:
        source: float32 [levels], shape [H, W, 3].
        result: float32 [levels], shape [H, W, 3].
        mask: bool, shape [H, W], not empty.
    """
    colors = source[mask]
    return _left(np.concatenate([colors, np.ones((len(colors), 1), np.float32)], axis=1), result[mask])


def _left(columns: np.ndarray, values: np.ndarray) -> float:
    fit = np.linalg.lstsq(columns.astype(np.float64), values.astype(np.float64), rcond=None)[0]
    return trimmed(((values - columns @ fit) ** 2).sum(axis=1))


__all__ = ["trimmed", "unexplained", "unlike", "unplain"]
