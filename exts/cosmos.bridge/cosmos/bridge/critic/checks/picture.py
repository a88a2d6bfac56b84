"""Is there a picture at all, and does it share its lines with the source?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import cv2
import numpy as np

from cosmos.bridge.critic.checks.likeness import reduced
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk, highest, lowest
from cosmos.bridge.types import WHOLE_FRAME

_TOLERANCE = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


class PictureSweep:
    """Looks for black, white and flat frames, and compares Canny edges with a tolerance, in one frame of ``edge_step``.

    Larger pictures are reduced for that to about ``edge_width``: there the tolerance is as wide.
    """

    family = "picture"

    def __init__(self, thresholds: Mapping[str, Threshold], limits: Limits) -> None:
        self._thresholds, self._limits = thresholds, limits
        self._blank: dict[int, str] = {}
        self._saturated: list[int] = []
        self._edges: list[float] = []

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        for frame in chunk.frames:
            row = frame - chunk.first + chunk.halo
            source, (grey, shown) = chunk.source[row], (greys[row] for greys in chunk.greys)
            ends = chunk.highest[1][row], lowest(chunk.result[row])
            kind = _blankness(shown, *ends)
            if kind and not _blankness(grey, highest(source), lowest(source)):
                self._blank[frame] = kind
            if not kind and _saturation(*ends) > 0.6 and _saturation(highest(source), lowest(source)) < 0.3:
                self._saturated.append(frame)
            f1 = _edge_f1(*self._reduced(grey, shown)) if frame % self._limits.edge_step == 0 else None
            if f1 is not None:
                self._edges.append(f1)

    def _reduced(self, *greys: np.ndarray) -> Iterator[np.ndarray]:
        """Yield grey levels at about ``edge_width``, uint8."""
        for grey in greys:
            height, width = grey.shape
            scale = max(1, min(round(width / self._limits.edge_width), height))
            yield reduced(grey, (height // scale, width // scale))

    def conclude(self) -> Outcome:
        """Hold everything seen against the bars."""
        outcomes = [
            self._counted("blank_frames", list(self._blank), " and ".join(sorted(set(self._blank.values())))),
            self._counted("saturated_frames", self._saturated, "saturated"),
        ]
        if not self._edges:
            text = "Edge F1 could not be measured: the source shows no edges."
            outcomes.append(Outcome(findings=(unchecked("edge_f1", text),)))
            return Outcome.join(outcomes)
        bar = self._thresholds["edge_f1"]
        value = measured(self._thresholds, "edge_f1", float(np.mean(self._edges)))
        text = f"Edges agree with F1 {value.value:.2f} (2 px tolerance, equal contrast); {bar.value:.2f} is usual."
        findings = () if value.passed else (bar.finding("edge_f1", text, value.value),)
        return Outcome.join([*outcomes, Outcome(measurements=(value,), findings=findings)])

    def _counted(self, check: str, frames: list[int], what: str) -> Outcome:
        """Frames that should not be there at all."""
        value = measured(self._thresholds, check, len(frames))
        if not frames:
            return Outcome(measurements=(value,))
        bar = self._thresholds[check]
        text = f"{len(frames)} frames are {what} ({spans(frames)}) where the source shows a scene."
        scores = ScoreRows.of(bar, check, np.array(frames), WHOLE_FRAME, np.ones(len(frames)))
        finding = bar.finding(check, text, len(frames), frames)
        return Outcome(measurements=(value,), findings=(finding,), scores=(scores,))


def _saturation(high: np.ndarray, low: np.ndarray) -> float:
    """Share of the pixels with a channel within 2 levels of either end, by the largest and the smallest of each."""
    return np.count_nonzero((high >= 253) | (low <= 2)) / high.size


def _blankness(grey: np.ndarray, high: np.ndarray, low: np.ndarray) -> str:
    """Name what a frame without a picture is: black, white or flat; empty for a picture.

    Black and white take nearly every pixel within 2 levels of the end; flat is a spread below 1.5 levels.
    """
    if np.count_nonzero(high <= 2) > 0.98 * high.size:
        return "black"
    if np.count_nonzero(low >= 253) > 0.98 * low.size:
        return "white"
    return "flat" if _spread(grey)[1] < 1.5 else ""


def _spread(grey: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation [levels]; many times faster than NumPy's of uint8."""
    mean, spread = cv2.meanStdDev(grey)
    return float(mean[0, 0]), float(spread[0, 0])


def _edge_f1(source: np.ndarray, result: np.ndarray) -> float | None:
    """F1 of Canny edges at equal contrast with 2 px tolerance; ``None`` where the source has none."""
    edges = []
    for grey in (source, result):
        mean, spread = _spread(grey)
        spread = max(spread, 2.0)
        even = cv2.convertScaleAbs(grey, alpha=45.0 / spread, beta=128.0 - mean * 45.0 / spread)
        edges.append(cv2.Canny(even, 80, 160) > 0)
    if not edges[0].any():
        return None
    near = [cv2.dilate(edge.astype(np.uint8), _TOLERANCE) > 0 for edge in edges]
    precision = float(near[0][edges[1]].mean()) if edges[1].any() else 0.0
    recall = float(near[1][edges[0]].mean())
    return 2.0 * precision * recall / max(precision + recall, 1e-9)


__all__ = ["PictureSweep"]
