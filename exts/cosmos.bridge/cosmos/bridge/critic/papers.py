"""Metrics as the Transfer papers define them, for comparison with published numbers; no verdict rests on them.

They follow the evaluation of PAI-Bench (transfer) and the Cosmos cookbook. Where simulation truth takes the place of
what the papers estimate, numbers are stricter and cannot be compared with published tables.
"""

from __future__ import annotations

import cv2
import numpy as np

_WINDOW = 7


def blur_ssim(source: np.ndarray, result: np.ndarray) -> float:
    """Structural similarity of two videos after a bilateral filter (d 30, sigma 150 in colour, 100 in space).

    Mean over frames and colours of SSIM with a 7 x 7 window, sample covariance and the source frame's range (Wang et
    al. 2004, as scikit-image computes it).

    Args:
        source: Pictures, uint8, shape [T, H, W, 3], at least 7 x 7 pixels.
        result: Pictures of the same shape.

    Raises:
        ValueError: If the shapes differ or are too small.
    """
    _check(source, result)
    if min(source.shape[1:3]) < _WINDOW:
        raise ValueError(
            f"blur_ssim needs pictures of at least 7 x 7 pixels, got {source.shape[1]} x {source.shape[2]}."
        )
    values = []
    for pair in zip(source, result, strict=True):
        soft = [cv2.bilateralFilter(np.ascontiguousarray(picture), 30, 150, 100).astype(np.float64) for picture in pair]
        values.append(_ssim(soft[0], soft[1]))
    return float(np.mean(values))


def edge_f1(source: np.ndarray, result: np.ndarray) -> float:
    """F1 of the Canny edges (100, 200) of two videos, all pixels together, without any tolerance.

    Args:
        source: Pictures, uint8, shape [T, H, W, 3].
        result: Pictures of the same shape.

    Returns:
        In [0, 1]; NaN where neither video has an edge.

    Raises:
        ValueError: If the shapes differ.
    """
    _check(source, result)
    edges = [
        np.stack([cv2.Canny(cv2.cvtColor(np.ascontiguousarray(p), cv2.COLOR_RGB2GRAY), 100, 200) > 0 for p in video])
        for video in (source, result)
    ]
    total = int(edges[0].sum()) + int(edges[1].sum())
    return 2.0 * float((edges[0] & edges[1]).sum()) / total if total else float("nan")


def depth_si_rmse(truth: np.ndarray, estimate: np.ndarray) -> float:
    """Root mean square error of an estimated depth video after scaling each frame by the median ratio.

    Args:
        truth: True depth [m], shape [T, H, W]; pixels that are not finite or not above 0 are left out.
        estimate: What a depth estimator makes of the result, in any unit, same shape.

    Returns:
        Mean over frames [m]; NaN where no frame has a usable pixel.

    Raises:
        ValueError: If the shapes differ.
    """
    if truth.shape != estimate.shape or truth.ndim != 3:
        raise ValueError(
            f"depth_si_rmse needs two videos [T, H, W], got {list(truth.shape)} and {list(estimate.shape)}."
        )
    errors = []
    for known, guess in zip(truth.astype(np.float64), estimate.astype(np.float64), strict=True):
        usable = np.isfinite(known) & (known > 0.0) & np.isfinite(guess) & (guess > 0.0)
        if usable.any():
            scale = float(np.median(known[usable] / guess[usable]))
            errors.append(float(np.sqrt(np.mean((scale * guess[usable] - known[usable]) ** 2))))
    return float(np.mean(errors)) if errors else float("nan")


def _check(source: np.ndarray, result: np.ndarray) -> None:
    if source.shape != result.shape or source.ndim != 4 or source.shape[-1] != 3 or source.dtype != np.uint8:
        raise ValueError(
            f"Two uint8 videos [T, H, W, 3] of one shape are needed, got {source.dtype} {list(source.shape)} and "
            f"{result.dtype} {list(result.shape)}."
        )


def _ssim(one: np.ndarray, other: np.ndarray) -> float:
    """SSIM of two pictures, mean over colours; the rim that the window does not fill is left out."""
    limit = max(float(one.max() - one.min()), 1.0e-6)
    mean = [cv2.blur(picture, (_WINDOW, _WINDOW)) for picture in (one, other)]
    sample = _WINDOW**2 / (_WINDOW**2 - 1.0)
    variance = [sample * (cv2.blur(p * p, (_WINDOW, _WINDOW)) - m * m) for p, m in zip((one, other), mean, strict=True)]
    together = sample * (cv2.blur(one * other, (_WINDOW, _WINDOW)) - mean[0] * mean[1])
    low, high = (0.01 * limit) ** 2, (0.03 * limit) ** 2
    value = (2.0 * mean[0] * mean[1] + low) * (2.0 * together + high)
    value /= (mean[0] ** 2 + mean[1] ** 2 + low) * (variance[0] + variance[1] + high)
    rim = _WINDOW // 2
    return float(value[rim:-rim, rim:-rim].mean())


__all__ = ["blur_ssim", "depth_si_rmse", "edge_f1"]
