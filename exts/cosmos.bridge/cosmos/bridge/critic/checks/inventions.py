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
from cosmos.bridge.kernels.boundary import color_gradient
from cosmos.bridge.types import WHOLE_FRAME

_TINTED = 0.6
"""Change of colour over change of light from which on an edge is one of colour."""
_LIGHT = 0.15
"""Weight of an edge at which only light changes."""
_BLACK = 6.0
"""Added to the sum of the channels before their shares are taken, for black has none [levels]."""
_NEAR = np.ones((5, 5), np.uint8)
_OPEN = np.ones((3, 3), np.uint8)


class InventionSweep:
    """Looks for patches of strong edges where neither source picture nor depth nor ids have any, and for movement.

    Edges count where they exceed twice the source's within 2 px, lie off every outline, and last for three frames
    along true motion; those at which colour hardly changes, as where shadow or snow ends, count 0.15. Movement is the
    dynamic-pixel hallucination score of cosmos-evaluator: frame differences, smoothed (7 px), above 10 levels, opened
    (3 px); those of the result farther than 7 px from any of the source are invented. Falling snow and rain are
    invented in that sense, so it only warns; it is left out of the score.
    """

    family = "inventions"

    def __init__(self, num_frames: int, thresholds: Mapping[str, Threshold], limits: Limits) -> None:
        self._num_frames, self._thresholds, self._limits = num_frames, thresholds, limits
        self._before: list[np.ndarray] = []
        self._frames: list[int] = []
        self._patches: list[float] = []
        self._places: list[tuple[int, int]] = []
        self._moving = [0, 0]
        self._pairs = 0

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        depth, motion = (None if array is None else array.numpy() for array in (chunk.depth, chunk.motion))
        source, result = (steepness(field) for field in chunk.gradients)
        weight = _coloured(chunk.result.numpy(), result)
        for i in range(chunk.halo, len(source)):
            outlines = _outlines(None if chunk.index is None else chunk.index[i], None if depth is None else depth[i])
            lasting = self._lasting(
                self._patch(source[i], result[i], weight[i], outlines), None if motion is None else motion[i]
            )
            frame = chunk.first + i - chunk.halo
            if frame < min(2, self._num_frames - 1):
                continue
            y, x = np.unravel_index(int(lasting.argmax()), lasting.shape)
            self._frames.append(frame)
            self._patches.append(float(lasting[y, x]))
            self._places.append((int(y), int(x)))
        self._add_movement(chunk)

    def _patch(
        self, source: np.ndarray, result: np.ndarray, weight: np.ndarray, outlines: Optional[np.ndarray]
    ) -> np.ndarray:
        """Mean of the unexplained edges around each pixel by their weight [levels/px], float32, shape [H, W]."""
        limits = self._limits
        strong = source >= limits.visible_gradient
        gain = float(np.median(result[strong] / source[strong])) if strong.any() else 1.0
        extra = result - 2.0 * max(gain, 0.5) * cv2.dilate(source, _NEAR) - limits.visible_gradient
        if outlines is not None:
            extra[outlines] = 0.0
        side = 2 * round(limits.patch_width * source.shape[1] / 2.0) + 1
        extra = np.clip(extra, 0.0, 20.0).astype(np.float32) * weight
        return cv2.boxFilter(extra, -1, (side, side), borderType=cv2.BORDER_CONSTANT)

    def _lasting(self, patch: np.ndarray, motion: Optional[np.ndarray]) -> np.ndarray:
        """Least value along true motion of this frame and the two before it: flakes and drops do not last."""
        if motion is not None and self._before:
            height, width = patch.shape[:2]
            motion = np.nan_to_num(motion, nan=0.0, posinf=0.0, neginf=0.0)
            x = (np.arange(width, dtype=np.float32) + motion[..., 0]).astype(np.float32)
            y = (np.arange(height, dtype=np.float32)[:, None] + motion[..., 1]).astype(np.float32)
            self._before = [
                cv2.remap(old, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for old in self._before
            ]
        least = np.minimum.reduce([patch, *self._before])
        self._before = [*self._before, patch][-2:]
        return least

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
        value = measured(self._thresholds, "invented", worst)
        edges = Outcome(measurements=(value,), findings=tuple(findings), scores=(scores,))
        return Outcome.join([edges, self._movement()])

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


def _coloured(pictures: np.ndarray, steep: np.ndarray) -> np.ndarray:
    """Weight of edges, 0.15 where only light changes to 1 where colour does too, float32, shape [N, H, W].

    Args:
        pictures: uint8, shape [N, H, W, 3].
        steep: Length of their gradients [levels/px], shape [N, H, W].
    """
    import warp as wp

    red, green, blue = (pictures[..., channel].astype(np.float32) for channel in range(3))
    total = red + green + blue + np.float32(_BLACK)
    chroma = np.stack([red, green, blue], axis=-1) / total[..., None]
    parts = (255.0 * chroma + 0.5).astype(np.uint8)
    tint = steepness(color_gradient(wp.array(parts, dtype=wp.uint8, device="cpu")).numpy()) * (total / 255.0)
    share = np.minimum(tint / np.maximum(steep, 1.0) / _TINTED, 1.0)
    weight: np.ndarray = (_LIGHT + (1.0 - _LIGHT) * share).astype(np.float32)
    return weight


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
