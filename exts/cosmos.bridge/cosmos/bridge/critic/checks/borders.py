"""Does what stands in front stay in front: which surface is seen just within the border of a near thing?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

import numpy as np

from cosmos.bridge.critic.checks.crossings import Crossings
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk, Truth
from cosmos.bridge.types import Clip

_STRIP, _INNER, _OUTER = (1, 2, 3), (7, 8, 9, 10), (-2, -3)
"""Where the rim of a near thing, its inside and the far surface are looked at, from its last pixel (0) on inwards [px];
that and the first beyond are mixtures of both."""
_STEPS = (3, 4, 5, 6, 7, 8)
"""Where the edge of a far surface that covers the rim would lie [px]."""
_LEVEL = 0.1
"""Rim and inside are of one face where their depths differ by at most this share, ..."""
_FLAT = 0.95
"""... and the cosine between their normals is at least this where the face is flat, ..."""
_ALONG, _BEND = (1, 3, 5, 7, 9), 0.85
"""... or that between these places, one after the other, where it is round."""
_ROUND = 0.5
"""What round faces count: light falls off towards their rims."""
_SNOWY = 0.5
"""Upward part of a normal from which on snow may lie on a face."""
_ALIKE = 0.25
"""By so much rim and inside must be more alike in the source than rim and far surface (squares of differences)."""
_DISTINCT = 100.0
"""Square of the difference between these from which on the source tells them apart [levels^2], all channels."""
_NOISE = 70.0
"""Variance of what nobody sees [levels^2], all channels."""
_PRIOR = 300.0
"""What speaks for the near thing before anything is seen, in units of contrast over noise."""
_SHARP, _OPEN = 0.8, 0.7
"""Share of the contrast that is found in one step within the thing, and missed at the border, where a far surface
covers the rim."""
_PER_PAIR = 40
"""Lines across the border of a pair that are looked at in a frame."""
_LEAST = 25
"""Lines across the border of a pair, in all frames, that prove something."""


class BorderSweep:
    """Looks along short lines across the borders at which depth jumps, a pair of near thing and far surface at a time.

    Where the far surface covers the rim of the near thing, the result goes on across the border as it is outside, and
    changes to the thing's own colours a few pixels inside, where the source changes nothing. A line speaks where the
    thing's face goes on inwards in depth, normal and colour of the source; it speaks as loud as the result's inside
    differs from the far surface. Snow may cover what faces up.
    """

    family = "borders"

    def __init__(
        self,
        clip: Clip,
        truth: Truth,
        thresholds: Mapping[str, Threshold],
        limits: Limits,
        *,
        kept: Optional[np.ndarray] = None,
        snowed: Optional[np.ndarray] = None,
    ) -> None:
        self._truth, self._thresholds, self._limits = truth, thresholds, limits
        self._kept, self._snow = kept, snowed is not None
        self._normals, self._up = clip.normals, 1 if clip.up_axis == "Y" else 2
        self._ids = np.array([thing.id for thing in truth.things], np.int64)
        self._frames: list[int] = []
        self._pairs: dict[tuple[int, int], dict[int, np.ndarray]] = {}

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in; one in ``border_step`` is looked at."""
        if chunk.thing is None or chunk.depth is None or self._normals is None:
            return
        for number in chunk.frames:
            if number % self._limits.border_step:
                continue
            row = number - chunk.first + chunk.halo
            scale = max(1, round(chunk.thing.shape[2] / self._limits.usual_width))
            cut = (slice(scale // 2, None, scale),) * 2
            thing, depth = chunk.thing[row][cut], chunk.depth[row][cut]
            lines, faces = self._lines(number, thing, np.where(depth > 0.0, depth, np.float32(np.inf)), cut)
            self._frames.append(number)
            self._gather(number, lines, faces, *(video[row][cut].astype(np.float32)
                                                 for video in (chunk.source, chunk.result)))  # fmt: skip

    def _lines(
        self, number: int, thing: np.ndarray, depth: np.ndarray, cut: tuple[slice, slice]
    ) -> tuple[Crossings, np.ndarray]:
        """Find lines across borders along which the near thing's face goes on, and whether it is flat and is round."""
        areas = np.bincount(thing.ravel(), minlength=len(self._ids))
        judged = (self._ids != 0) & (areas >= self._limits.min_area) & (areas < self._limits.max_share * thing.size)
        lines = Crossings.of(thing, depth, judged).thinned(_PER_PAIR)
        lines = lines.take(np.flatnonzero(lines.inside(_INNER[0]) & lines.inside(_OUTER[0])))
        normals = np.ascontiguousarray(self._normals[number].numpy()[cut])  # type: ignore[index]
        along = lines.at(normals, _ALONG)
        bends = (along[1:] * along[:-1]).sum(axis=-1)
        ends = (lines.mean(normals, steps, lines.weights(steps)) for steps in (_STRIP, _INNER))
        across = np.prod(np.stack([*ends]), axis=0).sum(axis=-1)
        faces = np.stack([across, bends.min(axis=0)]) >= np.array([[_FLAT], [_BEND]])
        with np.errstate(invalid="ignore"):
            rim, inner = (lines.at(depth, step) for step in (_STRIP[1], _INNER[0]))
            faces &= np.isfinite(across) & (np.abs(inner - rim) <= _LEVEL * rim)
        if self._kept is not None:
            faces &= lines.at(np.ascontiguousarray(self._kept[number][cut]), _STRIP[1]) < 0.5
        if self._snow:
            faces &= along[..., self._up].max(axis=0) < _SNOWY
        going = np.flatnonzero(faces.any(axis=0))
        return lines.take(going), faces[:, going]

    def _gather(self, number: int, lines: Crossings, faces: np.ndarray, source: np.ndarray, result: np.ndarray) -> None:
        """Sum what the lines of each pair say in a frame."""
        places = [(steps, lines.weights(steps)) for steps in (_INNER, _STRIP, _OUTER)]
        own, rim, outer = (lines.mean(source, *place) for place in places)
        change, apart = _square(rim - own), _square(rim - outer)
        speaks = (change <= _ALIKE * apart) & (apart >= _DISTINCT)
        weight = speaks / (_NOISE + change)
        inner, rim, outer = (lines.mean(result, *place) for place in places)
        contrast, steps = inner - outer, lines.at(result, range(_OUTER[0], _STEPS[-1] + 2))

        def toward(after: int | range, before: int | range) -> np.ndarray:
            """How far the result goes from the far surface's colours to the thing's between two places."""
            ends = (steps[np.subtract(place, _OUTER[0])] for place in (after, before))
            return np.asarray((np.subtract(*ends) * contrast).sum(axis=-1))

        full, after = _square(contrast), range(_STEPS[0] + 1, _STEPS[-1] + 2)
        steepest = np.where(lines.inside(after), toward(after, range(_STEPS[0] - 1, _STEPS[-1])), -np.inf).max(axis=0)
        terms = (
            speaks,
            weight * full,
            weight * (full - _square(rim - outer)),
            weight * np.minimum(steepest, 1.2 * full),
            weight * toward(1, _OUTER[0]),
        )
        pair = np.stack([lines.near, lines.far], axis=1)
        pairs, which = np.unique(pair, axis=0, return_inverse=True)
        sums = np.array([[np.bincount(which.ravel(), term * face, len(pairs)) for term in terms] for face in faces])
        for index, (near, far) in enumerate(pairs.tolist()):
            row = sums[..., index]
            if row[:, 0].any():
                self._pairs.setdefault((near, far), {})[number] = row

    def conclude(self) -> Outcome:
        """Hold the far surface that covers each thing's rim most clearly against the bar."""
        least = min(2, len(self._frames))
        values: dict[int, tuple[float, int]] = {}
        for (near, far), frames in self._pairs.items():
            sums = np.array(list(frames.values()))
            enough = ((sums[..., 0] > 0).sum(axis=0) >= least) & (sums[..., 0].sum(axis=0) >= _LEAST)
            if enough.any():
                total = sums.sum(axis=0) * enough[:, None]
                values[near] = max(values.get(near, (-1.0, 0)), (_covered(total), far))
        if not values:
            text = (
                "The order in depth could not be checked: no ids, depth or normals, or nothing in front tells itself "
                "from what lies behind it."
            )
            return Outcome(findings=(unchecked("depth_order", text),))
        bar, findings = self._thresholds["depth_order"], []
        for near, (value, far) in values.items():
            if not bar.passes(value):
                seen = self._pairs[near, far]
                worst = [number for number, row in seen.items() if not bar.passes(_covered(row))]
                text = (
                    f"{self._truth.name(far)} lies behind {self._truth.name(near)}, but is seen in front of its rim "
                    f"in frames {spans(worst or seen)}: an evidence of {value:.2f}; {bar.value:.2f} is allowed."
                )
                findings.append(bar.finding("depth_order", text, value, worst or [*seen], self._truth.things[near]))
        found = measured(self._thresholds, "depth_order", max(value for value, _ in values.values()))
        return Outcome(measurements=(found,), findings=tuple(findings))


def _covered(sums: np.ndarray) -> float:
    """How surely the far surface covers the rim, in [0, 1], from sums over lines of flat and of round faces."""
    return max(_evidence(sums[0]), _ROUND * _evidence(sums[1]))


def _evidence(sums: np.ndarray) -> float:
    """How surely some lines show the far surface on the rim, in [0, 1].

    Three shares of the contrast between inside and far surface are multiplied: what the rim has of the far surface
    (with a prior against it), what one step within the thing makes up, and what is missed at the border.
    """
    _, full, grown, step, border = sums.tolist()
    alike = max(grown / (full + _PRIOR), 0.0)
    share = max(full, 1e-9)
    sharp = min(max(step / share / _SHARP, 0.0), 1.0)
    closed = min(max((1.0 - abs(border / share)) / _OPEN, 0.0), 1.0)
    return alike * sharp * closed


def _square(colors: np.ndarray) -> np.ndarray:
    """Sum of the squares of the channels, shape [N] of [N, 3]."""
    squares: np.ndarray = (colors * colors).sum(axis=1)
    return squares


__all__ = ["BorderSweep"]
