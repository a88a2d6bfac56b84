"""Percentiles without NumPy's own, which imports numpy.ma: a hundredth of a new process's first frame."""

from __future__ import annotations

import numpy as np


def percentile(values: np.ndarray, percent: float) -> float:
    """Return what ``np.percentile`` does of floats, between ranks by straight lines, to the last bit (as of NumPy 2.4).

    Args:
        values: float32 or float64, shape [N], N > 0; no NaN.
        percent: In [0, 100].
    """
    rank = (len(values) - 1) * (percent / 100.0)
    low = int(rank)
    high = min(low + 1, len(values) - 1)
    found = np.partition(values, (low, high))
    first, second, kind = found[low], found[high], values.dtype.type
    step, share = second - first, rank - low
    return float(second - step * kind(1.0 - share) if share >= 0.5 else first + step * kind(share))


__all__ = ["percentile"]
