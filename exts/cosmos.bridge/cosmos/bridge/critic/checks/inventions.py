"""Is there anything in the picture that nothing in the simulation explains?"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.checks.likeness import reduced
from cosmos.bridge.critic.checks.tints import tints
from cosmos.bridge.critic.evidence import EVIDENCE
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk
from cosmos.bridge.kernels.boundary import color_gradient, gradient_lengths
from cosmos.bridge.types import WHOLE_FRAME

_TINTED = 0.6
"""Change of colour over change of light from which on an edge is one of colour."""
_LIGHT = 0.15
"""Weight of an edge at which only light changes."""
_DIM, _FAINT = 3.0, 0.3
"""Added to unexplained colours [levels] and edges [levels/px] before the logarithm: less than that is nothing."""
_LOWEST = 16
"""Least height that a picture is reduced to [px]."""
_USUAL = (0.8, 0.8, 0.95)
"""Share of a frame that lies below what is usual there, of unexplained colours, twice, and of edges."""
_BLACK = 6.0
"""Added to the sum of the channels before their shares are taken, for black has none [levels]."""
_NEAR = np.ones((5, 5), np.uint8)
_OPEN = np.ones((3, 3), np.uint8)


class InventionSweep:
    """Looks for patches that neither source picture nor depth nor ids explain, and for movement.

    Two things speak for a patch, where they last for three frames along true motion: edges, and colours that no other
    light makes of the source's (`tints`). Edges count where they exceed twice the source's within 2 px and lie off
    every outline; those at which colour hardly changes, as where shadow or snow ends, count 0.15. Where snow was asked
    and may end on what is round or slopes, neither counts: a cap of snow is nothing that was invented. Both are held
    against what the rest of the frame shows, and weighed together (`EVIDENCE`). Movement is the
    dynamic-pixel hallucination score of cosmos-evaluator: frame differences, smoothed (7 px), above 10 levels, opened
    (3 px); those of the result farther than 7 px from any of the source are invented. Falling snow and rain are
    invented in that sense, so it only warns; it is left out of the score.
    """

    family = "inventions"

    def __init__(
        self,
        num_frames: int,
        kept: Optional[np.ndarray],
        thresholds: Mapping[str, Threshold],
        limits: Limits,
        *,
        snow_ends: Optional[np.ndarray] = None,
        restyled: bool = False,
    ) -> None:
        self._num_frames, self._kept, self._thresholds, self._limits = num_frames, kept, thresholds, limits
        self._snow_ends, self._restyled = snow_ends, restyled
        self._before: list[np.ndarray] = []
        self.seen: list[tuple[int, tuple[int, int], dict[str, float]]] = []
        """Frame, place ``(y, x)`` [px] and measurements of the strangest patch of every frame."""
        self._moving = [0, 0]
        self._pairs = 0

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        self._add_movement(chunk)
        if self._restyled:
            return
        motion = None if chunk.motion is None else chunk.motion
        pictures, (source, result), index, depth = _reduced(chunk, self._limits.edge_width)
        weight = _coloured(pictures, result)
        for i in range(chunk.halo, len(source)):
            outlines = _outlines(None if index is None else index[i], None if depth is None else depth[i])
            if self._snow_ends is not None:
                ends = _grown(self._snow_ends[chunk.first + i - chunk.halo], source[i].shape)
                outlines = ends if outlines is None else outlines | ends
            edges = self._patch(source[i], result[i], weight[i], outlines)
            lasting = self._lasting(self._strange(chunk, i, edges), None if motion is None else motion[i])
            frame = chunk.first + i - chunk.halo
            if frame >= min(2, self._num_frames - 1):
                self.seen.append((frame, *_strangest(lasting, chunk.source.shape[2])))

    def _patch(
        self, source: np.ndarray, result: np.ndarray, weight: np.ndarray, outlines: Optional[np.ndarray]
    ) -> np.ndarray:
        """Mean of the unexplained edges around each pixel by their weight [levels/px], float32, shape [H, W]."""
        limits = self._limits
        strong = np.flatnonzero(source >= limits.visible_gradient)
        gain = float(np.median(result.take(strong) / source.take(strong))) if len(strong) else 1.0
        extra = result - 2.0 * max(gain, 0.5) * cv2.dilate(source, _NEAR) - limits.visible_gradient
        if outlines is not None:
            extra[outlines] = 0.0
        side = _side(limits.patch_width * source.shape[1])
        extra = np.clip(extra, 0.0, 20.0).astype(np.float32) * weight
        return cv2.boxFilter(extra, -1, (side, side), borderType=cv2.BORDER_CONSTANT)

    def _strange(self, chunk: Chunk, row: int, edges: np.ndarray) -> np.ndarray:
        """Unexplained colours and edges of a frame, at about ``invention_width``, float32, shape [3, h, w]."""
        height, width = edges.shape
        scale = max(1, min(round(width / self._limits.invention_width), height // 8))
        size = -(-height // scale), -(-width // scale)
        frame = chunk.first + row - chunk.halo
        free = np.ones(edges.shape, np.float32) if self._kept is None else 1.0 - self._kept[frame]
        source, result = (reduced(video[row], size).astype(np.float32) for video in (chunk.source, chunk.result))
        free = reduced(np.ascontiguousarray(free, np.float32), size)
        ends = None if self._snow_ends is None else _grown(self._snow_ends[frame], size)
        colors = tints(source, result, free, patch=_side(self._limits.patch_width * size[1]), explained=ends)
        return np.concatenate([colors, reduced(edges, size)[None]])

    def _lasting(self, strange: np.ndarray, motion: Optional[np.ndarray]) -> np.ndarray:
        """Least value along true motion of this frame and the two before it: flakes and drops do not last."""
        if motion is not None and self._before:
            height, width = strange.shape[1:]
            motion = np.nan_to_num(motion, nan=0.0, posinf=0.0, neginf=0.0) * np.float32(width / motion.shape[1])
            motion = reduced(np.ascontiguousarray(motion, np.float32), (height, width))
            x = np.arange(width, dtype=np.float32) + motion[..., 0]
            y = np.arange(height, dtype=np.float32)[:, None] + motion[..., 1]
            self._before = [
                np.stack([cv2.remap(one, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for one in old])
                for old in self._before
            ]
        least: np.ndarray = np.minimum.reduce([strange, *self._before])
        self._before = [*self._before, strange][-2:]
        return least

    def _add_movement(self, chunk: Chunk) -> None:
        """Count moving pixels of each pair of frames, and those far from any that move in the source."""
        moving = []
        for grey in chunk.greys:
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
        if self._restyled:
            text = "Inventions were not looked for: other colours or materials were asked for and painted."
            return Outcome.join([Outcome(findings=(unchecked("invented", text),)), self._movement()])
        bar = self._thresholds["invented"]
        frames = np.array([frame for frame, _, _ in self.seen])
        values = np.array([EVIDENCE["invented"].log_odds(found) for _, _, found in self.seen])
        scores = ScoreRows.of(bar, "invented", frames, WHOLE_FRAME, values)
        worst, findings = float(np.median(values)), []
        if (~scores.passed).sum() >= max(min(2, len(values)), 0.5 * len(values)):
            frame, (y, x), found = self.seen[int(values.argmax())]
            failing = frames[~scores.passed].tolist()
            worst = float(np.median(values[~scores.passed]))
            text = (
                f"What is seen around x {x}, y {y} of frame {frame} is explained by nothing in the simulation: its "
                f"colours are off by {np.exp(found['tint']) - _DIM:.0f} levels from any other light or weather, its "
                f"edges by {max(0.0, np.exp(found['edges']) - _FAINT):.1f} levels/px, in "
                f"frame{'' if len(failing) == 1 else 's'} {spans(failing)}; the log odds are {worst:.1f}, up to "
                f"{bar.value:.1f} are allowed."
            )
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


def _strangest(lasting: np.ndarray, width: int) -> tuple[tuple[int, int], dict[str, float]]:
    """Place ``(y, x)`` [px of the clip] and measurements of the patch with most evidence.

    Args:
        lasting: What `InventionSweep` finds in three frames, shape [3, h, w].
        width: Width of the clip [px].
    """
    weights = EVIDENCE["invented"].weights
    logs = np.log(lasting + np.array([_DIM, _DIM, _FAINT], np.float32)[:, None, None])
    names = ("tint", "hue", "edges")
    odds = sum(np.float32(weights[name]) * log for name, log in zip(names, logs, strict=True))
    y, x = np.unravel_index(int(np.argmax(odds)), logs.shape[1:])
    found = {name: float(log[y, x]) for name, log in zip(names, logs, strict=True)}
    for name, values, share in zip(names, logs.reshape(3, -1), _USUAL, strict=True):
        rank = int(share * (len(values) - 1))
        found[f"usual_{name}"] = float(np.partition(values, rank)[rank])
    scale = width / lasting.shape[2]
    return (int((y + 0.5) * scale), int((x + 0.5) * scale)), found


def _side(width: float) -> int:
    """Odd side of a window of about this width [px]."""
    return 2 * round(width / 2.0) + 1


def _reduced(
    chunk: Chunk, width: int
) -> tuple[np.ndarray, list[np.ndarray], Optional[np.ndarray], Optional[np.ndarray]]:
    """Pictures of the result, steepness of source and result, dense ids and depth, at about a width.

    The steepness of an edge hangs on the size of the picture, and its bars and weights are those of this one.
    """
    depth = None if chunk.depth is None else chunk.depth
    height, full = chunk.source.shape[1:3]
    scale = max(1, min(round(full / width), height // _LOWEST))
    if scale == 1:
        return chunk.result, [*chunk.steep], chunk.index, depth
    size = height // scale, full // scale
    source, result = (np.stack([reduced(one, size) for one in video]) for video in (chunk.source, chunk.result))
    steep = [_steep(video) for video in (source, result)]
    index, depth = (
        None if array is None else array[:, scale // 2 :: scale, scale // 2 :: scale][:, : size[0], : size[1]]
        for array in (chunk.index, depth)
    )
    return result, steep, index, depth


def _steep(pictures: np.ndarray) -> np.ndarray:
    """Lengths of the colour gradients of pictures [levels/px], float32, shape [N, H, W] of uint8 [N, H, W, 3]."""
    import warp as wp

    pixels = wp.array(pictures, dtype=wp.uint8, device="cpu", copy=False)
    steep: np.ndarray = gradient_lengths(color_gradient(pixels)).numpy()
    return steep


def _coloured(pictures: np.ndarray, steep: np.ndarray) -> np.ndarray:
    """Weight of edges, 0.15 where only light changes to 1 where colour does too, float32, shape [N, H, W].

    Args:
        pictures: uint8, shape [N, H, W, 3].
        steep: Length of their gradients [levels/px], shape [N, H, W].
    """
    total, parts = np.empty(steep.shape, np.float32), np.empty_like(pictures)
    for row, picture in enumerate(pictures):
        colors = [channel.astype(np.float32) for channel in cv2.split(picture)]
        total[row] = colors[0] + colors[1] + colors[2] + np.float32(_BLACK)
        parts[row] = cv2.merge([(255.0 * (color / total[row]) + 0.5).astype(np.uint8) for color in colors])
    tint = _steep(parts) * (total / np.float32(255.0))
    share = np.minimum(tint / np.maximum(steep, 1.0) / _TINTED, 1.0)
    weight: np.ndarray = (_LIGHT + (1.0 - _LIGHT) * share).astype(np.float32)
    return weight


def _grown(where: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Whether a place of a picture of another size, or one 2 px from it, is ``where``, bool, shape ``size``."""
    places = [(np.arange(n) * full) // n for n, full in zip(size, where.shape, strict=True)]
    return cv2.dilate(where[np.ix_(*places)].astype(np.uint8), _NEAR) > 0


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
