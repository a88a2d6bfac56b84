"""Is there anything in the picture that nothing in the simulation explains?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Limits, Threshold
from cosmos.bridge.critic.truth import Chunk, steepness
from cosmos.bridge.types import WHOLE_FRAME

TWIN_FRAMES = 3
"""Frames in which a twin is looked for."""
_NEAR = np.ones((5, 5), np.uint8)
_OPEN = np.ones((3, 3), np.uint8)


class InventionSweep:
    """Looks for patches of strong edges where neither source picture nor depth nor ids have any, and for movement.

    Edges count where they exceed twice the source's within 2 px, lie off every outline, and last for three frames
    along true motion. Movement is the
    dynamic-pixel hallucination score of cosmos-evaluator: frame differences, smoothed (7 px), above 10 levels, opened
    (3 px); those of the result farther than 7 px from any of the source are invented. Falling snow and rain are
    invented in that sense, so it only warns; it is left out of the score.
    """

    family = "inventions"

    def __init__(self, num_frames: int, thresholds: Mapping[str, Threshold], limits: Limits) -> None:
        self._num_frames, self._thresholds, self._limits = num_frames, thresholds, limits
        self._before: list[np.ndarray] = []
        self._strongest: list[tuple[float, np.ndarray, np.ndarray, int, int]] = []
        self._frames: list[int] = []
        self._patches: list[float] = []
        self._places: list[tuple[int, int]] = []
        self._moving = [0, 0]
        self._pairs = 0

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        depth, motion = (None if array is None else array.numpy() for array in (chunk.depth, chunk.motion))
        source, result = (steepness(field) for field in chunk.gradients)
        for i in range(chunk.halo, len(source)):
            outlines = _outlines(None if chunk.index is None else chunk.index[i], None if depth is None else depth[i])
            lasting = self._lasting(self._patch(source[i], result[i], outlines), None if motion is None else motion[i])
            frame = chunk.first + i - chunk.halo
            if frame < min(2, self._num_frames - 1):
                continue
            y, x = np.unravel_index(int(lasting.argmax()), lasting.shape)
            self._frames.append(frame)
            self._patches.append(float(lasting[y, x]))
            self._places.append((int(y), int(x)))
            self._remember(float(lasting[y, x]), chunk.source[i].numpy(), chunk.result[i].numpy(), int(y), int(x))
        self._add_movement(chunk)

    def _patch(self, source: np.ndarray, result: np.ndarray, outlines: Optional[np.ndarray]) -> np.ndarray:
        """Mean of the unexplained edges around each pixel [levels/px], float32 [H, W]."""
        limits = self._limits
        strong = source >= limits.visible_gradient
        gain = float(np.median(result[strong] / source[strong])) if strong.any() else 1.0
        extra = result - 2.0 * max(gain, 0.5) * cv2.dilate(source, _NEAR) - limits.visible_gradient
        if outlines is not None:
            extra[outlines] = 0.0
        side = 2 * round(limits.patch_width * source.shape[1] / 2.0) + 1
        extra = np.clip(extra, 0.0, 20.0).astype(np.float32)
        return cv2.boxFilter(extra, -1, (side, side), borderType=cv2.BORDER_CONSTANT)

    def _lasting(self, patch: np.ndarray, motion: Optional[np.ndarray]) -> np.ndarray:
        """Least value along true motion of this frame and the two before it: flakes and drops do not last."""
        if motion is not None and self._before:
            height, width = patch.shape
            motion = np.nan_to_num(motion, nan=0.0, posinf=0.0, neginf=0.0)
            x = (np.arange(width, dtype=np.float32) + motion[..., 0]).astype(np.float32)
            y = (np.arange(height, dtype=np.float32)[:, None] + motion[..., 1]).astype(np.float32)
            self._before = [
                cv2.remap(old, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for old in self._before
            ]
        least = np.minimum.reduce([patch, *self._before])
        self._before = [*self._before, patch][-2:]
        return least

    def _remember(self, value: float, source: np.ndarray, result: np.ndarray, y: int, x: int) -> None:
        """Keep the frames with the strongest patches, in which a twin is looked for."""
        if value < self._limits.twin_patch:
            return
        self._strongest.append((value, source.copy(), result.copy(), y, x))
        self._strongest.sort(key=lambda item: -item[0])
        del self._strongest[TWIN_FRAMES:]

    def _twins(self) -> Outcome:
        """Whether what nothing explains is seen a second time in the picture, where the source shows no twins."""
        bar = self._thresholds["duplicated"]
        leads = [_twin(source, result, y, x, self._limits) for _, source, result, y, x in self._strongest]
        value = float(np.median([lead for lead, _ in leads])) if leads else 0.0
        found = measured(self._thresholds, "duplicated", value)
        if found.passed:
            return Outcome(measurements=(found,))
        y, x = self._strongest[0][3:]
        there = leads[0][1]
        text = (
            f"What lies around x {x}, y {y} is seen a second time around x {there[1]}, y {there[0]}, as no two places "
            f"of the source are: the two correlate by {value:.2f} more than there; {bar.value:.2f} is allowed."
        )
        return Outcome(measurements=(found,), findings=(bar.finding("duplicated", text, value),))

    def _add_movement(self, chunk: Chunk) -> None:
        """Count moving pixels of each pair of frames, and those far from any that move in the source."""
        moving = []
        for video in (chunk.source.numpy(), chunk.result.numpy()):
            grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in video]
            change = [cv2.GaussianBlur(cv2.absdiff(a, b), (7, 7), 0) > 10 for a, b in pairwise(grey)]
            moving.append([cv2.morphologyEx(c.astype(np.uint8), cv2.MORPH_OPEN, _OPEN) for c in change])
        for before, after in zip(*moving, strict=True):
            count = int(after.sum())
            self._pairs += 1
            if not count:
                continue
            far = (
                cv2.distanceTransform(1 - before, cv2.DIST_L2, 5) > 7.0 if before.any() else np.ones(before.shape, bool)
            )
            self._moving[0] += count
            self._moving[1] += int(after[far].sum())

    def conclude(self) -> Outcome:
        """Hold everything seen against the bars."""
        bar, values = self._thresholds["invented"], np.array(self._patches)
        frames = np.array(self._frames)
        scores = ScoreRows.of(bar, "invented", frames, WHOLE_FRAME, values)
        worst, findings = float(np.median(values)), []
        if (~scores.passed).sum() >= max(min(2, len(values)), 0.5 * len(values)):
            frame = int(values.argmax())
            y, x = self._places[frame]
            failing = frames[~scores.passed].tolist()
            text = (
                f"Edges that nothing in the simulation explains fill a patch around x {x}, y {y} of frame "
                f"{frames[frame]} with {values.max():.1f} levels/px on average, in {len(failing)} frames "
                f"({spans(failing)}); {bar.value:.1f} are allowed."
            )
            worst = float(np.median(values[~scores.passed]))
            findings.append(bar.finding("invented", text, worst, failing))
        others = (self._twins(), self._movement())
        value = measured(self._thresholds, "invented", worst)
        return Outcome.join([Outcome(measurements=(value,), findings=tuple(findings), scores=(scores,)), *others])

    def _movement(self) -> Outcome:
        bar = self._thresholds["hallucination"]
        if not self._pairs:
            text = "Invented movement could not be looked for: the clip has one frame."
            return Outcome(findings=(unchecked("hallucination", text),))
        score = 1.0 - self._moving[1] / self._moving[0] if self._moving[0] else 1.0
        value = measured(self._thresholds, "hallucination", score)
        if value.passed:
            return Outcome(measurements=(value,))
        text = (
            f"{100 * (1 - score):.0f} % of what moves in the result moves far from anything that moves in the source; "
            f"{100 * (1 - bar.value):.0f} % are usual (falling snow and rain count as well)."
        )
        return Outcome(measurements=(value,), findings=(bar.finding("hallucination", text, score),))


def _twin(source: np.ndarray, result: np.ndarray, y: int, x: int, limits: Limits) -> tuple[float, tuple[int, int]]:
    """Lead of the result's best twin of a window over the source's at the same two places, and where it lies (y, x)."""
    height, width = result.shape[:2]
    half = round(limits.patch_width * width / 2.0)
    if min(height, width) < 4 * half + 3:
        return 0.0, (y, x)
    y, x = min(max(y, half), height - half - 1), min(max(x, half), width - half - 1)
    window = slice(y - half, y + half + 1), slice(x - half, x + half + 1)
    made, given = (
        cv2.matchTemplate(p, np.ascontiguousarray(p[window]), cv2.TM_CCOEFF_NORMED) for p in (result, source)
    )
    reach, top, left = (4 * half) // 3 + 1, y - half, x - half
    made[max(0, top - reach) : top + reach + 1, max(0, left - reach) : left + reach + 1] = -1.0
    row, column = np.unravel_index(int(made.argmax()), made.shape)
    usual = max(float(cv2.dilate(given, _OPEN)[row, column]), 0.0)
    return float(made[row, column]) - usual, (int(row) + half, int(column) + half)


def _outlines(index: Optional[np.ndarray], depth: Optional[np.ndarray]) -> Optional[np.ndarray]:
    """Whether a pixel lies within 2 px of where ids change or depth jumps; ``None`` without either."""
    found: Optional[np.ndarray] = None
    if index is not None:
        found = (cv2.morphologyEx(index.astype(np.float32), cv2.MORPH_GRADIENT, _OPEN) > 0).astype(np.uint8)
    if depth is not None:
        known = np.isfinite(depth) & (depth > 0.0)
        inverse = np.divide(1.0, depth, out=np.zeros_like(depth), where=known)
        jumps = (np.abs(cv2.Laplacian(inverse, cv2.CV_32F)) > 0.02 * np.maximum(inverse, 1.0e-6)).astype(np.uint8)
        found = jumps if found is None else found | jumps
    return None if found is None else cv2.dilate(found, _NEAR) > 0


__all__ = ["InventionSweep"]
