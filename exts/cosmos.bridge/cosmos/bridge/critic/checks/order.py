"""Does each frame show its own moment? Frozen, repeated, dropped and reversed frames."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk
from cosmos.bridge.types import WHOLE_FRAME


class OrderSweep:
    """Matches the moving structure of each result frame with that of the source frames around it.

    Structure is the local direction of edges, whatever their contrast and sign; what stands still over the clip is
    subtracted, so that only what moves decides. Works on reduced pictures and needs nothing but pictures.
    """

    family = "order"

    def __init__(self, thresholds: Mapping[str, Threshold], limits: Limits) -> None:
        self._thresholds, self._limits = thresholds, limits
        self._scale = 1
        self._small: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        for video, kept in zip(chunk.greys, self._small, strict=True):
            for grey in video[chunk.halo :]:
                height, width = grey.shape
                scale = max(1, round(width / self._limits.order_width))
                self._scale = scale
                size = (max(1, width // scale), max(1, height // scale))
                kept.append(cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32))

    def conclude(self) -> Outcome:
        """Hold everything seen against the bars."""
        source, result = (np.stack(kept) for kept in self._small)
        if len(source) < 2:
            text = "Order and freezing could not be checked: the clip has one frame."
            return Outcome(findings=(unchecked("frame_order", text),))
        return Outcome.join([self._frozen(source, result), self._shuffled(source, result)])

    def _frozen(self, source: np.ndarray, result: np.ndarray) -> Outcome:
        """Frames that repeat the one before although the source moves."""
        frozen, judged = [], 0
        for frame in range(1, len(source)):
            moving = np.abs(source[frame] - source[frame - 1]) > 3.0
            if moving.mean() < self._limits.min_moving:
                continue
            contrast = [float(video[frame][moving].std()) for video in (source, result)]
            if contrast[1] < 2.0:
                continue
            judged += 1
            change = [float(np.abs(video[frame] - video[frame - 1])[moving].mean()) for video in (source, result)]
            if change[1] < 1.0 and change[1] / contrast[1] < 0.1 * change[0] / max(contrast[0], 1.0):
                frozen.append(frame)
        if not judged:
            text = "Freezing could not be checked: nothing moves visibly."
            return Outcome(findings=(unchecked("frozen_frames", text),))
        value = measured(self._thresholds, "frozen_frames", len(frozen))
        if value.passed:
            return Outcome(measurements=(value,))
        text = f"{len(frozen)} frames repeat the one before although the source moves ({spans(frozen)})."
        return self._outcome("frozen_frames", frozen, text)

    def _shuffled(self, source: np.ndarray, result: np.ndarray) -> Outcome:
        """Frames that fit another moment better than their own."""
        wrong: dict[int, int] = {}
        judged = 0
        window = self._limits.order_window
        starts = range(0, max(len(source) - window // 2, 1), window // 2)
        for start in starts:
            cut = slice(start, start + window)
            found, count = self._match(source[cut], result[cut])
            judged += count
            wrong.update({start + frame: start + other for frame, other in found.items()})
        if not judged:
            text = "The order of frames could not be checked: nothing moves visibly in both source and result."
            return Outcome(findings=(unchecked("frame_order", text),))
        value = measured(self._thresholds, "frame_order", len(wrong))
        if value.passed:
            return Outcome(measurements=(value,))
        frame, other = next(iter(wrong.items()))
        text = (
            f"{len(wrong)} frames show another moment than their own ({spans(wrong)}); frame {frame} looks like "
            f"frame {other} of the source."
        )
        return self._outcome("frame_order", list(wrong), text)

    def _match(self, source: np.ndarray, result: np.ndarray) -> tuple[dict[int, int], int]:
        """Find frames whose best match is another one; also count the frames that could be judged."""
        limits = self._limits
        own, made = _moving_structure(source), _moving_structure(result)
        cross, distance = made @ own.T, 1.0 - own @ own.T
        evidence = cross.max(axis=1)
        known = max(float(np.median(evidence)), 1e-6)
        distinct = distance > limits.order_distinct
        judged = (evidence >= limits.order_evidence) & distinct.any(axis=1)

        def lead_over(own_fit: np.ndarray) -> np.ndarray:
            lead = (cross - own_fit[:, None]) / (known * np.maximum(distance, 1e-6))
            return np.where(distinct, lead, -np.inf)

        fit = np.diagonal(cross).copy()
        lead = lead_over(fit)
        if (judged & (lead.max(axis=1) > limits.order_margin)).any():
            for shift in _shifts(limits.order_tolerance / self._scale):
                moved = _moving_structure(np.stack([_displaced(grey, shift) for grey in source]))
                np.maximum(fit, np.einsum("tk,tk->t", made, moved), out=fit)
            lead = lead_over(fit)
        wrong = judged & (lead.max(axis=1) > limits.order_margin)
        best = np.where(lead > limits.order_margin, cross, -np.inf).argmax(axis=1)
        return {int(frame): int(best[frame]) for frame in np.flatnonzero(wrong)}, int(judged.sum())

    def _outcome(self, check: str, frames: list[int], text: str) -> Outcome:
        """What is wrong with single frames."""
        bar = self._thresholds[check]
        scores = ScoreRows.of(bar, check, np.array(frames), WHOLE_FRAME, np.ones(len(frames)))
        finding = bar.finding(check, text, len(frames), frames)
        value = measured(self._thresholds, check, len(frames))
        return Outcome(measurements=(value,), findings=(finding,), scores=(scores,))


def _shifts(length: float) -> list[tuple[float, float]]:
    """Shifts of this length [px] in eight directions."""
    turns = np.arange(8) * (np.pi / 4.0)
    return [(float(length * np.cos(turn)), float(length * np.sin(turn))) for turn in turns]


def _displaced(grey: np.ndarray, shift: tuple[float, float]) -> np.ndarray:
    """Move a picture by ``(right, down)`` [px]; the rim is replicated."""
    matrix = np.array([[1.0, 0.0, shift[0]], [0.0, 1.0, shift[1]]])
    return cv2.warpAffine(grey, matrix, grey.shape[::-1], borderMode=cv2.BORDER_REPLICATE)


def _moving_structure(video: np.ndarray) -> np.ndarray:
    """Describe what moves in each frame by the local direction of its edges.

    Args:
        video: Grey levels, float32, shape [T, h, w].

    Returns:
        Unit vectors, float32, shape [T, 2 h w]: ``(gx^2 - gy^2, 2 gx gy)`` over its local strength, less its mean over
        time; a zero vector where nothing moves.
    """
    described = np.empty((len(video), 2 * video[0].size), np.float32)
    for frame, grey in enumerate(video):
        gx, gy = (cv2.Sobel(grey, cv2.CV_32F, *order, ksize=3, scale=0.125) for order in ((1, 0), (0, 1)))
        power = gx * gx + gy * gy
        strength = 1.0 / (power + cv2.blur(power, (9, 9)) + 1.0)
        described[frame] = np.concatenate([((gx * gx - gy * gy) * strength).ravel(), (2 * gx * gy * strength).ravel()])
    described -= described.mean(axis=0)
    length = np.linalg.norm(described, axis=1, keepdims=True)
    return np.where(length > 1e-3 * described.shape[1] ** 0.5, described / np.maximum(length, 1e-9), 0.0)


__all__ = ["OrderSweep"]
