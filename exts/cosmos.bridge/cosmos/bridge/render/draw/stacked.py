"""Things that lie in one place by the thousand, as where nobody set an instancer's positions.

Each ray and each pixel there would ask every one of them, and only the first can be seen.
"""

from __future__ import annotations

import numpy as np

MOST_STACKED = 64
"""Things of one kind in exactly one place that are drawn; the ones that come first."""


def stacked(kinds: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Return which things come after MOST_STACKED others of their kind in exactly their place, bool [N].

    Args:
        kinds: Integers, shape [N].
        matrices: Places, finite, float64, shape [N, 4, 4].
    """
    over = np.zeros(len(kinds), dtype=bool)
    if len(kinds) <= MOST_STACKED:
        return over
    rows = matrices.reshape(len(kinds), 16)
    keys = rows @ np.sqrt(np.arange(2.0, 18.0)) + kinds * np.pi
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.diff(keys[order], prepend=np.nan) != 0.0)
    lengths = np.diff(starts, append=len(keys))
    firsts = np.repeat(order[starts], lengths)
    late = np.flatnonzero(np.arange(len(keys)) - np.repeat(starts, lengths) >= MOST_STACKED)
    thing, first = order[late], firsts[late]
    over[thing] = (kinds[thing] == kinds[first]) & (rows[thing] == rows[first]).all(axis=1)  # keys may agree by chance
    return over


__all__ = ["MOST_STACKED", "stacked"]
