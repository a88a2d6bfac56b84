"""Do the labels belong to the moment that the source picture shows?"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, measured, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk

_DOUBT = 4.0
"""Two standard errors, where pixels of an outline come in runs of four that change alike."""


class MomentSweep:
    """Looks where ids change in one frame and not in the next, and whether the source picture changes there too.

    Labels that are late or early by a frame fit the source picture of the neighbouring frame better than their own.
    Nothing of the result is looked at: whether that fits the source is for the other families.
    """

    family = "moments"

    def __init__(self, thresholds: Mapping[str, Threshold], limits: Limits) -> None:
        self._thresholds, self._limits = thresholds, limits
        self._sums = np.zeros((2, 2))
        self._squares = np.zeros(2)
        self._pixels = 0
        self._has_ids = True

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in, each with the frame before it."""
        if chunk.index is None:
            self._has_ids = False
            return
        rims = [_rim(index) for index in chunk.index]
        strength = np.minimum(chunk.steep[0], np.float32(40.0))
        for before in range(len(rims) - 1):
            after = before + 1
            left, entered = rims[before] & ~rims[after], rims[after] & ~rims[before]
            self._pixels += int(left.sum() + entered.sum())
            self._sums[0] += strength[before][left].sum(), strength[before][entered].sum()
            self._sums[1] += strength[after][entered].sum(), strength[after][left].sum()
            either = left | entered
            self._squares += np.square(strength[before][either]).sum(), np.square(strength[after][either]).sum()

    def conclude(self) -> Outcome:
        """Hold everything seen against the bar."""
        total = self._sums.sum(axis=1)
        if self._pixels < self._limits.min_rim or total.min() < self._limits.visible_gradient * self._limits.min_rim:
            why = "no outline moves visibly" if self._has_ids else "the source gives no instance ids"
            text = f"Whether labels and pictures are of one moment could not be checked: {why}."
            return Outcome(findings=(unchecked("label_moment", text),))
        lead = (self._sums[:, 0] - self._sums[:, 1] + _DOUBT * np.sqrt(self._squares)) / total
        value = float(lead.min())
        found = measured(self._thresholds, "label_moment", value)
        if found.passed:
            return Outcome(measurements=(found,))
        bar = self._thresholds["label_moment"]
        where = "before" if lead[0] < lead[1] else "after"
        text = (
            f"The labels fit the source picture of the frame {where} theirs better than their own ({value:.2f}, "
            f"but {bar.value:.2f} is needed): labels and pictures are shifted in time."
        )
        return Outcome(measurements=(found,), findings=(bar.finding("label_moment", text, value),))


def _rim(index: np.ndarray) -> np.ndarray:
    """Pixels on both sides of where ids change, bool [H, W]."""
    rim = np.zeros(index.shape, bool)
    across, down = index[:, 1:] != index[:, :-1], index[1:] != index[:-1]
    rim[:, 1:] |= across
    rim[:, :-1] |= across
    rim[1:] |= down
    rim[:-1] |= down
    return rim


__all__ = ["MomentSweep"]
