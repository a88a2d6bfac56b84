"""Does the picture hold still along true motion? Per frame and per instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk, Truth
from cosmos.bridge.kernels.reproject import fetch_along_motion, seen_before
from cosmos.bridge.types import WHOLE_FRAME

_VERBS = {2: "changes its colour", 3: "changes its texture"}
_CHECKS = ("flicker_level", "flicker_texture")
_THING_CHECKS = ("instance_flicker", "instance_texture")
_BINS = 511
"""Differences of two levels: -255 to 255."""


class FlickerSweep:
    """Fetches each frame's predecessor along true motion and compares what was in view in both.

    The residual of the result is held against that of the source, so that noise, shading and interpolation, which the
    source shows as well, are not called flicker. Medians leave rain and snow out. What moves far from one frame to the
    next is seen from another side in each, and left out. Single things flicker as far as the frame before or after
    takes a change back: a shadow that moves over a thing does not return at once.
    """

    family = "motion"

    def __init__(self, truth: Truth, thresholds: Mapping[str, Threshold], limits: Limits) -> None:
        self._truth, self._thresholds, self._limits = truth, thresholds, limits
        self._has_motion = True
        self._rows: list[tuple[int, int, float, float, float]] = []

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in, each against the frame before it."""
        if chunk.motion is None:
            self._has_motion = False
            return
        if chunk.source.shape[0] < 2:
            return
        motion = chunk.motion[1:]
        pairs: dict[str, Any] = {}
        if chunk.ids is not None:
            pairs.update(previous_ids=chunk.ids[:-1], ids=chunk.ids[1:])
        if chunk.depth is not None:
            pairs.update(previous_depth=chunk.depth[:-1], depth=chunk.depth[1:])
        height, width = motion.shape[1:3]
        step = max(1, round((height * width / self._limits.flicker_samples) ** 0.5))
        seen = seen_before(motion, step=step, **pairs).numpy()
        moved, farthest = motion.numpy()[:, ::step, ::step], self._limits.flicker_motion * width
        residuals = []
        for video in (chunk.source, chunk.result):
            video = video if video.device == motion.device else video.to(motion.device)
            fetched, _ = fetch_along_motion(video[:-1], motion, step=step)
            residuals.append((video[1:].numpy(), fetched.numpy()))
        for pair in range(len(seen)):
            frame = chunk.first + pair + (1 - chunk.halo)
            mask = (seen[pair] != 0) & (np.hypot(moved[pair, ..., 0], moved[pair, ..., 1]) <= farthest)
            owner = np.zeros(mask.shape, np.int64) if chunk.thing is None else chunk.thing[1 + pair, ::step, ::step]
            pictures = [(now[pair, ::step, ::step], before[pair]) for now, before in residuals]
            self._take(frame, np.where(mask, owner, -1), pictures)

    def _take(self, frame: int, owner: np.ndarray, pictures: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        """Take one frame of source and result in: the whole picture (-1) and each owner.

        Args:
            frame: Its number.
            owner: Owner of each pixel, -1 where it does not count, int64, shape [h, w].
            pictures: Colours now and those fetched from the frame before, uint8, shape [h, w, 3], of source and result.
        """
        count = np.bincount(owner[owner >= 0])
        large = np.flatnonzero((count >= self._limits.min_flicker_samples) & bool(self._truth.things))
        slot = np.full(len(count) + 1, len(large), np.int64)  # the last but one for all others, the last for what is -1
        slot[large], slot[-1] = np.arange(len(large)), len(large) + 1
        base = slot[owner] * _BINS + 255
        (_, change_source, texture_source), (samples, change, texture) = (
            _medians(_histograms(base, len(large) + 1, *pair)) for pair in pictures
        )
        allowed = self._limits.source_flicker
        level = np.maximum(np.abs(change) - allowed * np.abs(change_source), 0.0)
        texture = np.maximum(texture - allowed * texture_source, 0.0)
        texture[:-1] *= samples[:-1] >= self._limits.min_texture_samples
        for i in np.flatnonzero(samples >= self._limits.min_flicker_samples).tolist():
            about = (float(level[i]), float(texture[i]), float(np.sign(change[i])))
            self._rows.append((frame, int(large[i]) if i < len(large) else -1, *about))

    def conclude(self) -> Outcome:
        """Hold everything seen against the bars."""
        if not self._rows:
            why = "it has fewer than two frames, or nothing stays in view" if self._has_motion else "it has no motion"
            text = f"Flicker could not be checked: the source gives nothing to follow ({why})."
            return Outcome(findings=(unchecked("flicker_level", text),))
        table = np.array(self._rows)
        whole, things = table[table[:, 1] < 0], table[table[:, 1] >= 0]
        outcomes = [self._whole(check, whole, 2 + i) for i, check in enumerate(_CHECKS) if len(whole)]
        if len(whole):
            outcomes.append(self._seam(whole))
        if len(things):
            things[:, 2] = _taken_back(things)
            outcomes += [self._things(check, things, 2 + i) for i, check in enumerate(_THING_CHECKS)]
        return Outcome.join(outcomes)

    def _whole(self, check: str, table: np.ndarray, column: int) -> Outcome:
        """Whether the whole picture flickers."""
        bar, values = self._thresholds[check], table[:, column]
        scores = ScoreRows.of(bar, check, table[:, 0], WHOLE_FRAME, values)
        worst, findings = float(values.max()), []
        if not scores.passed.all():
            frames = table[~scores.passed, 0].astype(int).tolist()
            text = (
                f"The whole picture {_VERBS[column]} by up to {worst:.1f} levels a frame along true motion, beyond "
                f"what the source does, in {len(frames)} frames ({spans(frames)}); {bar.value:.0f} levels are allowed."
            )
            findings.append(bar.finding(check, text, worst, frames))
        found = measured(self._thresholds, check, worst)
        return Outcome(measurements=(found,), findings=tuple(findings), scores=(scores,))

    def _seam(self, table: np.ndarray) -> Outcome:
        """Whether the colour jumps once and stays, against what it usually does."""
        bar, values = self._thresholds["seam_level"], table[:, 2]
        if len(values) < 3:
            return Outcome()
        at = int(values.argmax())
        value = float(values[at] - np.median(values))
        found = measured(self._thresholds, "seam_level", value)
        if found.passed:
            return Outcome(measurements=(found,))
        frame = int(table[at, 0])
        text = (
            f"Colour jumps by {value:.1f} levels between frames {frame - 1} and {frame}, more than anywhere else in "
            f"the clip, as where two chunks meet; {bar.value:.0f} levels are allowed."
        )
        return Outcome(measurements=(found,), findings=(bar.finding("seam_level", text, value, [frame]),))

    def _things(self, check: str, table: np.ndarray, column: int) -> Outcome:
        """Whether single things flicker, each in its second worst frame (its only one, if it has one)."""
        bar, things = self._thresholds[check], self._truth.things
        ids = np.array([thing.id for thing in things])[table[:, 1].astype(int)]
        scores = ScoreRows.of(bar, check, table[:, 0], ids, table[:, column])
        nth = min(2, len(np.unique(table[:, 0])))
        worst, findings = 0.0, []
        for owner in np.unique(table[:, 1]).astype(int).tolist():
            mine = table[:, 1] == owner
            values = np.sort(table[mine, column])[::-1]
            value = float(values[nth - 1]) if len(values) >= nth else 0.0
            worst = max(worst, value)
            if not bar.passes(value):
                frames = table[mine & ~scores.passed, 0].astype(int).tolist()
                text = (
                    f"{self._truth.name(owner)} {_VERBS[column]} by {value:.1f} levels a frame along true motion, "
                    f"beyond what the source does, in {len(frames)} frames ({spans(frames)}); {bar.value:.0f} levels "
                    "are allowed."
                )
                findings.append(bar.finding(check, text, value, frames, things[owner]))
        found = measured(self._thresholds, check, worst)
        return Outcome(measurements=(found,), findings=tuple(findings), scores=(scores,))


def _taken_back(table: np.ndarray) -> np.ndarray:
    """Level of each row as far as a neighbouring frame of its owner takes it back; all of it where there is none.

    Args:
        table: Frame, owner, level [levels], texture and sign of the change of each row, float64, shape [K, 5].
    """
    changes = {(owner, frame): level * sign for frame, owner, level, _, sign in table.tolist()}
    levels = table[:, 2].copy()
    for row, (frame, owner, level, _, sign) in enumerate(table.tolist()):
        beside = [changes[key] for key in ((owner, frame - 1.0), (owner, frame + 1.0)) if key in changes]
        if beside:
            levels[row] = min(level, max(0.0, *(-sign * change for change in beside)))
    return levels


def _histograms(base: np.ndarray, owners: int, now: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Count differences of colours by channel and owner; after all owners comes everything together.

    Args:
        base: Number of the owner's first bin, plus 255, of each pixel, int64, shape [h, w]; there is one owner more,
            of what does not count.
        owners: How many owners there are; the last is of those that are not told one by one.
        now: Colours, uint8, shape [h, w, 3].
        before: Colours to take off, same shape.

    Returns:
        Counts, int64, shape [3, owners, bins]; the last owner is the whole.
    """
    channels = cv2.split(cv2.subtract(now, before, dtype=cv2.CV_16S))
    size = owners * _BINS
    counts = np.stack([np.bincount((base + channel).ravel(), minlength=size)[:size] for channel in channels])
    counts = counts.reshape(len(channels), owners, _BINS)
    counts[:, -1] = counts.sum(axis=1)
    return counts


def _medians(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median residual and median deviation from it, by owner, of the worst channel.

    Args:
        counts: How often each difference of -255 to 255 occurs, int64, shape [C, N, bins].

    Returns:
        Samples, median of the channel that changes most and median deviation [levels] of each owner, shape [N].
    """
    middle = _median(counts)
    around = np.arange(_BINS)
    padded = np.pad(counts, ((0, 0), (0, 0), (_BINS, _BINS)))
    centre = middle[..., None] + _BINS
    folded = np.take_along_axis(padded, centre + around, axis=2)
    folded[..., 1:] += np.take_along_axis(padded, centre - around[1:], axis=2)
    spread, middle = _median(folded), middle - 255
    level = np.zeros(counts.shape[1])
    for channel in middle:
        level = np.where(np.abs(channel) > np.abs(level), channel, level)
    return counts[0].sum(axis=1), level, spread.max(axis=0).astype(np.float64)


def _median(counts: np.ndarray) -> np.ndarray:
    """Lower median of non-negative integers, by how often each occurs, [...] of [..., bins]; 0 without any."""
    cumulated = counts.cumsum(axis=-1)
    return np.asarray((cumulated * 2 >= np.maximum(cumulated[..., -1:], 1)).argmax(axis=-1))


__all__ = ["FlickerSweep"]
