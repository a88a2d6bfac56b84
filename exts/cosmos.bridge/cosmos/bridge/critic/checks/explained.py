"""How much of a picture its source explains, when light and weather may change every colour smoothly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import cv2
import numpy as np

TRIMMED = 0.9
"""Share of the pixels of a thing that counts; what hides the others does not."""
_ALIKE = 1e-10
"""Share of all squares that is added to each column's, so that columns may be alike."""


def unexplained(
    source: np.ndarray,
    result: np.ndarray,
    weight: np.ndarray,
    *,
    side: int,
    noise: float,
    snow: Optional[np.ndarray] = None,
) -> np.ndarray:
    """Square of what the source's colours leave unexplained around each pixel; see `residual`.

    Returns:
        Sum over the channels [levels^2], float32, shape [H, W]; 0 where nothing counts.
    """
    (red, green, blue), _ = residual(source, result, weight, side=side, noise=noise, snow=snow)
    square: np.ndarray = (red * red + green * green + blue * blue) * weight
    return square


def residual(
    source: np.ndarray,
    result: np.ndarray,
    weight: np.ndarray,
    *,
    side: int,
    noise: float,
    inner: tuple[slice, slice] = (slice(None), slice(None)),
    snow: Optional[np.ndarray] = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What the source's colours leave unexplained around each pixel, and the mean colour there.

    Each channel of the result is fitted by an affine function of the source's three, by least squares over a window
    (the guided filter of He, Sun and Tang 2013, before its second average): new light, haze and grading are such
    functions; a thing that the source does not show is none.

    Args:
        source: float32 [levels], shape [H, W, 3].
        result: float32 [levels], shape [H, W, 3].
        weight: How much each pixel counts, float32 in [0, 1], shape [H, W].
        side: Side of the window [px], odd.
        noise: Variance of the source below which its structure explains nothing [levels^2], > 0.
        inner: Rows and columns that are asked for; the others are looked at through the window alone.
        snow: Share of each pixel on which snow was asked to lie, float32 in [0, 1], shape [H, W]: it paints what it
            lies on anew, so that and what is bare are fitted each by a function of its own. ``None`` where none was.

    Returns:
        Error and mean of the result [levels], float32, shape [3, h, w] each, of what is asked for.
    """
    if snow is not None and snow.any():
        bare, covered = (
            np.stack(residual(source, result, weight * share, side=side, noise=noise, inner=inner))
            for share in (1.0 - snow, snow)
        )
        error, mean = bare + (covered - bare) * snow[inner]
        return error, mean
    old, new = cv2.split(source), cv2.split(result)
    weighted, fresh = old, new
    if weight.min() < 1.0:
        weighted, fresh = ([channel * weight for channel in channels] for channels in (old, new))
    upper = [(i, j) for i in range(3) for j in range(i, 3)]
    crossed = [(i, j) for i in range(3) for j in range(3)]
    columns = [*weighted, *fresh, *(weighted[i] * old[j] for i, j in upper),
               *(weighted[i] * new[j] for i, j in crossed)]  # fmt: skip
    means = _means(columns if weighted is old else [*columns, weight], side)
    if weighted is not old:
        share = 1.0 / np.maximum(means.pop(), np.float32(1e-3))
        means = [values * share for values in means]
    means, old, new = ([values[inner] for values in columns] for columns in (means, old, new))
    old_mean, new_mean = means[:3], np.stack(means[3:6])
    spread = {
        (i, j): values - old_mean[i] * old_mean[j] + np.float32(noise * (i == j))
        for (i, j), values in zip(upper, means[6:12], strict=True)
    }
    spread |= {(j, i): values for (i, j), values in spread.items()}
    shared = dict(zip(crossed, means[12:], strict=True))
    inverse, determinant = _adjugate(spread)
    off = [(old[i] - old_mean[i]) / determinant for i in range(3)]
    along = [inverse[0, j] * off[0] + inverse[1, j] * off[1] + inverse[2, j] * off[2] for j in range(3)]
    error = np.stack(new) - new_mean
    for channel in range(3):
        for j in range(3):
            error[channel] -= along[j] * (shared[j, channel] - old_mean[j] * new_mean[channel])
    return error, new_mean


def _means(columns: Sequence[np.ndarray], side: int) -> list[np.ndarray]:
    """Means of pictures over a window, shape [H, W] each; of four at a time, which costs half as much."""
    means: list[np.ndarray] = []
    for first in range(0, len(columns), 4):
        four = cv2.merge([*columns[first : first + 4]])
        means += cv2.split(cv2.boxFilter(four, -1, (side, side), borderType=cv2.BORDER_REFLECT))
    return means


def _adjugate(matrix: dict[tuple[int, int], np.ndarray]) -> tuple[dict[tuple[int, int], np.ndarray], np.ndarray]:
    """Adjugate and determinant of symmetric 3 x 3 matrices."""
    adjugate: dict[tuple[int, int], np.ndarray] = {}
    for i in range(3):
        for j in range(3):
            if j < i:
                adjugate[i, j] = adjugate[j, i]
                continue
            a, b, c, d = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
            adjugate[i, j] = matrix[a, c] * matrix[b, d] - matrix[a, d] * matrix[b, c]
    determinant = sum(matrix[0, i] * adjugate[0, i] for i in range(3))
    return adjugate, np.asarray(determinant)


def trimmed(values: np.ndarray) -> float:
    """Mean of all but the largest tenth: what hides a small part of a thing does not count."""
    count = max(1, int(TRIMMED * len(values)))
    return float(np.partition(values, count - 1)[:count].mean())


def unplain(mask: np.ndarray, *pictures: np.ndarray) -> tuple[float, ...]:
    """Mean square of what a plane in each channel of each picture leaves unexplained inside a mask, trimmed.

    Args:
        mask: bool, shape [H, W], not empty.
        pictures: float32 [levels], shape [H, W, 3] each.

    Returns:
        One value a picture [levels^2].
    """
    y, x = np.nonzero(mask)
    return _left(np.stack([np.ones(len(y)), y, x], axis=1), *(picture[mask] for picture in pictures))


def unlike(source: np.ndarray, result: np.ndarray, mask: np.ndarray) -> float:
    """Mean square of what one affine function of the source's colours leaves unexplained inside a mask, trimmed.

    Args:
        source: float32 [levels], shape [H, W, 3].
        result: float32 [levels], shape [H, W, 3].
        mask: bool, shape [H, W], not empty.
    """
    colors = source[mask]
    return _left(np.concatenate([colors, np.ones((len(colors), 1), np.float32)], axis=1), result[mask])[0]


def _left(columns: np.ndarray, *pixels: np.ndarray) -> tuple[float, ...]:
    """Mean squares that least squares leave of pixels, trimmed; columns that say the same share what they explain."""
    columns, values = columns.astype(np.float64), np.concatenate(pixels, axis=1, dtype=np.float64)
    normal = columns.T @ columns
    normal += _ALIKE * np.trace(normal) * np.eye(len(normal))
    error = values - columns @ np.linalg.solve(normal, columns.T @ values)
    error *= error
    squares = (error[:, first] + error[:, first + 1] + error[:, first + 2] for first in range(0, error.shape[1], 3))
    return tuple(trimmed(square) for square in squares)


__all__ = ["TRIMMED", "residual", "trimmed", "unexplained", "unlike", "unplain"]
