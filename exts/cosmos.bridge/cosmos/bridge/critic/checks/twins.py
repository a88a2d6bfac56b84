"""Is a thing seen a second time, where the source shows nothing of the kind?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.checks.explained import unexplained
from cosmos.bridge.critic.checks.likeness import (
    FLAT,
    Likeness,
    Place,
    View,
    covered,
    in_scraps,
    light_window,
    measure,
    own_box,
    reduced,
)
from cosmos.bridge.critic.checks.traits import grain, steepest
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, measured, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.trees import Learnt
from cosmos.bridge.critic.truth import Chunk, Truth

FILE = Path(__file__).resolve().parents[1] / "twins.json"
"""How what is measured of a place is weighed, as ``tools/learn_twins.py`` wrote it."""
LIMIT = 12.0
"""Beyond so much for or against, nothing more is learnt from the same sums [nats]."""
_NOISE = 20.0
"""Variance of a pixel that nobody sees at half the size, all channels together [levels^2]: 2.6 levels each."""
_BESIDE = 0.3
"""Square of the displacement that whole pixels leave, along both axes, on which a twin's error must not count
[px^2]."""
_SMALLEST = 32
"""Least height and width of a picture in which twins are looked for [px]."""
_PLACES = 8
"""Places of a frame that are looked at closely."""
_UNLIKELY = -4.0
"""Log odds below which a place is not looked at in the other frame [nats]."""
_EACH = 3
"""Places of one thing that are thought of."""
_AGAINST = -1.0
"""Log odds for each pixel of a thing below which a place is not thought of [nats]."""
_SAME = 4
"""Two places of a thing that are no farther apart are one [px of the view]."""
_LARGEST = 0.12
"""Share of the picture from which on a thing is the scene itself."""
_INSTEAD = 0.7
"""Share of a place on which things of the same kind ought to be seen, ..."""
_HIDDEN = 0.8
"""... and share of these that it hides, from which on it is one of them."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Twin:
    """What speaks for a thing being seen again."""

    odds: float
    """Log odds [nats]."""
    at: tuple[int, int]
    """Middle of the place ``(y, x)`` [px of the clip]."""


@cache
def _learnt() -> Learnt:
    return Learnt.load(FILE)


def log_odds(measured: list[Mapping[str, float]]) -> list[float]:
    """Weigh what was measured of some places: log odds that each shows a thing again [nats], within ``LIMIT``."""
    odds: list[float] = np.clip(_learnt().log_odds("duplicated", measured), -LIMIT, LIMIT).tolist()
    return odds


class TwinSweep:
    """Holds two explanations of every place against each other: what the source shows there, and each thing again.

    At a place that shows a thing a second time, the thing's own pixels explain the picture, and neither the source's
    colours there do (under any smooth change of light, and another one where snow was asked to lie, `unexplained`), nor
    any one change of colour, nor a plain surface. The search runs over the whole picture at half the size, by
    correlation in the frequency domain; the best places are measured at full size (`measure`), the likelier ones in
    both of two frames searched one after the other, and all that is measured is weighed together (`Learnt`).
    """

    family = "twins"

    def __init__(
        self,
        truth: Truth,
        kept: Optional[np.ndarray],
        num_frames: int,
        thresholds: Mapping[str, Threshold],
        limits: Limits,
        *,
        snowed: Optional[np.ndarray] = None,
        weigh: Callable[[list[Mapping[str, float]]], list[float]] = log_odds,
    ) -> None:
        self._snowed, self._weigh = snowed, weigh
        self._truth, self._kept, self._thresholds, self._limits = truth, kept, thresholds, limits
        self._first = min(2, num_frames - 1)
        self._before: Optional[tuple[View, list[Place], list[Place]]] = None
        self._searched: list[int] = []
        self.seen: list[tuple[int, int, Likeness]] = []
        """Thing, frame and likeness of every place that was looked at closely."""
        self._found: dict[int, dict[int, _Twin]] = {}
        kinds = [tuple(sorted(thing.labels.items())) for thing in truth.things]
        names = {kind: number for number, kind in enumerate(dict.fromkeys(kinds))}
        self._kinds = np.array([names[kind] if kind else -1 for kind in kinds], np.int64)

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in; one in ``twin_step`` is searched."""
        if chunk.thing is None or min(chunk.thing.shape[1:]) < _SMALLEST:
            return
        for number in chunk.frames:
            if number < self._first or (number - self._first) % self._limits.twin_step:
                continue
            view = self._view(chunk, number)
            places = [place for place, _ in sorted(self._search(view), key=lambda item: -item[1])[:_PLACES]]
            self._searched.append(number)
            likely = self._measure(view, places)
            if self._before is not None:
                old, before, likely_before = self._before
                self._measure(old, [place for place in likely if not _among(place, before)])
                self._measure(view, [place for place in likely_before if not _among(place, places)])
            self._before = view, places, likely

    def _view(self, chunk: Chunk, number: int) -> View:
        row = number - chunk.first + chunk.halo
        thing = chunk.thing[row]  # type: ignore[index]
        scale = max(1, min(round(thing.shape[1] / self._limits.twin_width), min(thing.shape) // _SMALLEST))
        small = thing[scale // 2 :: scale, scale // 2 :: scale]
        kept = np.zeros(thing.shape, np.float32) if self._kept is None else self._kept[number]
        return View(
            number=number,
            scale=scale,
            source=reduced(chunk.source[row].astype(np.float32), small.shape),
            result=reduced(chunk.result[row].astype(np.float32), small.shape),
            thing=small,
            weight=reduced(np.ascontiguousarray(1.0 - kept, np.float32), small.shape),
            snow=None if self._snowed is None else reduced(self._snowed[number].astype(np.float32), small.shape),
            grain=grain(chunk.result[row]),
        )

    def _search(self, full: View) -> Iterator[tuple[Place, float]]:
        """Yield where each thing is most likely seen again, with the evidence.

        That is how much better it explains the place than the source does, and than it would by its mean colour.
        """
        view = full.halved()
        height, width = view.thing.shape
        size = cv2.getOptimalDFTSize(height), cv2.getOptimalDFTSize(width)

        def spectrum(values: np.ndarray) -> np.ndarray:
            padded = np.zeros(size, np.float32)
            padded[: values.shape[0], : values.shape[1]] = values
            return cv2.dft(padded, nonzeroRows=len(values))

        pictures, side = (view.source, view.result, view.weight), light_window(width)
        left = spectrum(unexplained(*pictures, side=side, noise=FLAT, snow=view.snow))
        channels = cv2.split(view.result)
        colors = [spectrum(channel) for channel in channels]
        squares = spectrum(channels[0] ** 2 + channels[1] ** 2 + channels[2] ** 2)
        steep = steepest(channels) ** 2
        pixels = np.bincount(full.thing.ravel(), minlength=len(self._truth.things))
        for owner in np.flatnonzero(pixels >= self._limits.min_area).tolist():
            if not self._truth.single[owner] or pixels[owner] > _LARGEST * full.thing.size:
                continue
            seen = (full.thing == owner).astype(np.uint8)
            if in_scraps(seen, self._limits.min_piece):
                continue
            mask, (y, x) = covered(seen, view.thing.shape)
            part = slice(y, y + mask.shape[0]), slice(x, x + mask.shape[1])
            own = [mask * channel[part] for channel in channels]
            where, count = spectrum(mask), float(mask.sum())
            again = cv2.mulSpectrums(squares, where, 0, conjB=True)
            for channel, color in zip(own, colors, strict=True):
                again -= 2.0 * cv2.mulSpectrums(color, spectrum(channel), 0, conjB=True)
            ends = slice(height - mask.shape[0] + 1), slice(width - mask.shape[1] + 1)
            total = sum(float((mask * channel[part] ** 2).sum()) for channel in channels)
            beside = _BESIDE * float((mask * steep[part]).sum())
            floor = _NOISE * count + beside
            again = np.maximum(cv2.idft(again, flags=cv2.DFT_SCALE)[ends] + np.float32(total - beside), 0.0)
            again += np.float32(floor)
            known = cv2.mulSpectrums(left, where, 0, conjB=True)
            known = np.maximum(cv2.idft(known, flags=cv2.DFT_SCALE)[ends], 0.0) + np.float32(floor)
            varied = total - sum(float(channel.sum()) ** 2 for channel in own) / count + floor
            evidence = np.log(known / again * np.sqrt(np.float32(varied) / again))
            down, right = own_box(mask)
            row, column = y, x
            for _ in range(_EACH):
                evidence[max(0, row - down) : row + down + 1, max(0, column - right) : column + right + 1] = -np.inf
                row, column = (int(index) for index in np.unravel_index(int(evidence.argmax()), evidence.shape))
                if evidence[row, column] <= _AGAINST:
                    break
                place = Place(owner=owner, away=(2 * (row - y), 2 * (column - x)))
                yield place, float(evidence[row, column]) * count**0.5

    def _measure(self, view: View, places: list[Place]) -> list[Place]:
        """Measure places in a view, and remember the best of each thing; return those that may be twins."""
        seen = []
        for place in places:
            one = measure(view, place, dark=self._limits.twin_level)
            if one is not None and not self._instead(view, place.owner, one):
                seen.append((place, one))
        self.seen += [(place.owner, view.number, one) for place, one in seen]
        all_odds = self._weigh([one.measured for _, one in seen])
        for (place, one), odds in zip(seen, all_odds, strict=True):
            found = self._found.setdefault(place.owner, {})
            if view.number not in found or odds > found[view.number].odds:
                found[view.number] = _Twin(odds=odds, at=one.at)
        return [place for (place, _), odds in zip(seen, all_odds, strict=True) if odds >= _UNLIKELY]

    def _instead(self, view: View, owner: int, seen: Likeness) -> bool:
        """Whether it is in the place of another thing of its kind, by the labels: a crate for a crate is no twin."""
        kind = self._kinds[owner]
        kin = seen.others[(self._kinds[seen.others] == kind) & (seen.others != owner)]
        if kind < 0 or len(kin) < _INSTEAD * len(seen.others):
            return False
        return bool(len(kin) >= _HIDDEN * np.count_nonzero(np.isin(view.thing, np.unique(kin))))

    def conclude(self) -> Outcome:
        """Hold the thing that is seen again most clearly, in the clearer half of the frames, against the bar."""
        if not self._searched:
            text = "Things that are there twice were not looked for: no instance ids, or pictures below 32 px."
            return Outcome(findings=(unchecked("duplicated", text),))
        bar, count = self._thresholds["duplicated"], len(self._searched)
        values = {
            thing: clearest([twin.odds for twin in frames.values()], count) for thing, frames in self._found.items()
        }
        owner = max(values, key=lambda thing: values[thing], default=None)
        value = clearest([], count) if owner is None else values[owner]
        found = measured(self._thresholds, "duplicated", value)
        if found.passed or owner is None:
            return Outcome(measurements=(found,))
        twins = {number: twin for number, twin in self._found[owner].items() if not bar.passes(twin.odds)}
        y, x = max(twins.values(), key=lambda twin: twin.odds).at
        text = (
            f"{self._truth.name(owner)} is seen a second time around x {x}, y {y}: its own picture explains that place "
            f"better than the source does, with log odds of {value:.1f}; {bar.value:.1f} is allowed."
        )
        thing_found = bar.finding("duplicated", text, value, sorted(twins), self._truth.things[owner])
        return Outcome(measurements=(found,), findings=(thing_found,))


def clearest(odds: Sequence[float], searched: int) -> float:
    """Mean log odds of a thing in the clearer half of the frames searched, and in two at least where there are two.

    Args:
        odds: Log odds of the frames in which it might be seen again [nats]; there is nothing of it in the others.
        searched: Frames that were searched.
    """
    half = max(min(2, searched), (searched + 1) // 2)
    best = sorted(odds, reverse=True)[:half]
    return (sum(best) - LIMIT * (half - len(best))) / half


def _among(place: Place, places: list[Place]) -> bool:
    """Whether places hold one that is the same within a few pixels."""
    return any(
        place.owner == other.owner and max(abs(a - b) for a, b in zip(place.away, other.away, strict=True)) <= _SAME
        for other in places
    )


__all__ = ["FILE", "LIMIT", "TwinSweep", "clearest", "log_odds"]
