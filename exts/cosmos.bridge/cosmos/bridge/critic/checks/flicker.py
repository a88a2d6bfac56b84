"""Does the picture hold still along true motion? Per frame and per instance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk, Truth
from cosmos.bridge.kernels.changes import median_changes
from cosmos.bridge.kernels.reproject import fetch_along_motion, seen_before
from cosmos.bridge.types import WHOLE_FRAME

if TYPE_CHECKING:
    import warp as wp

_VERBS = {2: "changes its colour", 3: "changes its texture"}
_CHECKS = ("flicker_level", "flicker_texture")
_AGAIN = 3
"""So many frames must tell that a thing flickers: one that something passes over changes in two."""
_FLASH = 0.25
"""What that counts."""
_THING_CHECKS = ("instance_flicker", "instance_texture")


class FlickerSweep:
    """Fetches each frame's predecessor along true motion and compares what was in view in both.

    The residual of the result is held against that of the source, so that noise, shading and interpolation, which the
    source shows as well, are not called flicker. Medians leave rain and snow out. What moves far from one frame to the
    next is seen from another side in each, and left out. Single things flicker as far as the frame before or after
    takes a change back: a shadow that moves over a thing does not return at once. What flickers does so again and
    again: its third worst frame counts, for a flake, a lamp or a shadow that passes over it makes two of a thing darker
    and light again. A flash alone counts a quarter.
    """

    family = "motion"

    def __init__(self, truth: Truth, thresholds: Mapping[str, Threshold], limits: Limits) -> None:
        self._truth, self._thresholds, self._limits = truth, thresholds, limits
        self._has_motion = True
        self._rows: list[tuple[int, int, float, float, float]] = []

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in, each against the frame before it."""
        buffers = chunk.buffers
        if buffers.motion is None:
            self._has_motion = False
            return
        if len(chunk.source) < 2:
            return
        motion = buffers.motion[1:]
        pairs: dict[str, Any] = {}
        if buffers.ids is not None:
            pairs.update(previous_ids=buffers.ids[:-1], ids=buffers.ids[1:])
        if buffers.depth is not None:
            pairs.update(previous_depth=buffers.depth[:-1], depth=buffers.depth[1:])
        height, width = motion.shape[1:3]
        step = max(1, round((height * width / self._limits.flicker_samples) ** 0.5))
        seen = seen_before(motion, step=step, **pairs)
        videos = [video.to(motion.device) for video in (buffers.source, buffers.result)]
        before = [fetch_along_motion(video[:-1], motion, step=step)[0] for video in videos]
        counts, levels, spreads = median_changes(
            videos, before, seen=seen, motion=motion, things=_owners(chunk, motion),
            count=max(1, len(self._truth.things)), farthest=self._limits.flicker_motion * width,
            fewest=self._limits.min_flicker_samples, step=step,
        )  # fmt: skip
        for pair, told in enumerate(zip(counts.numpy(), levels.numpy(), spreads.numpy(), strict=True)):
            self._take(chunk.first + pair + (1 - chunk.halo), *told)

    def _take(self, frame: int, samples: np.ndarray, changes: np.ndarray, textures: np.ndarray) -> None:
        """Take one frame of source and result in: each thing and, last, the whole picture.

        Args:
            frame: Its number.
            samples: Pixels of each that count, int, shape [N + 1].
            changes: Median changes of source and result along motion [levels], int, shape [2, N + 1].
            textures: Median deviations from them [levels], int, shape [2, N + 1].
        """
        enough = samples >= self._limits.min_flicker_samples
        enough[:-1] &= bool(self._truth.things)
        told, allowed = np.flatnonzero(enough), self._limits.source_flicker
        (known, change), (known_texture, texture) = changes[:, told], textures[:, told]
        level = np.maximum(np.abs(change) - allowed * np.abs(known), 0.0)
        texture = np.maximum(texture - allowed * known_texture, 0.0)
        whole = told == len(samples) - 1
        texture[~whole & (samples[told] < self._limits.min_texture_samples)] = 0.0
        columns = (np.where(whole, -1, told), level, texture, np.sign(change))
        self._rows += [(frame, *row) for row in zip(*(column.tolist() for column in columns), strict=True)]

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
        """Whether single things flicker, each in its third worst frame (its last, if it has fewer)."""
        bar, things = self._thresholds[check], self._truth.things
        ids = np.array([thing.id for thing in things])[table[:, 1].astype(int)]
        scores = ScoreRows.of(bar, check, table[:, 0], ids, table[:, column])
        pairs = len(np.unique(table[:, 0]))
        worst, findings = 0.0, []
        for owner in np.unique(table[:, 1]).astype(int).tolist():
            mine = table[:, 1] == owner
            value = _repeated(np.sort(table[mine, column])[::-1], pairs)
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


def _repeated(values: np.ndarray, pairs: int) -> float:
    """The third of a thing's values, or a quarter of its second; of a clip of fewer pairs of frames the last.

    Args:
        values: Falling, shape [K].
        pairs: Pairs of frames of the clip in which anything is told.
    """
    third, second = min(_AGAIN, pairs), min(2, pairs)
    again = float(values[third - 1]) if len(values) >= third else 0.0
    flash = float(values[second - 1]) if len(values) >= second else 0.0
    return max(again, _FLASH * flash)


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


def _owners(chunk: Chunk, motion: wp.array) -> wp.array:
    """Things of all frames but the first, int32, on the device of their motion; 0 without ids."""
    import warp as wp

    if chunk.thing is None:
        return wp.zeros(motion.shape[:3], dtype=wp.int32, device=motion.device)
    return wp.array(chunk.thing[1:], dtype=wp.int32, device=motion.device, copy=False)


__all__ = ["FlickerSweep"]
