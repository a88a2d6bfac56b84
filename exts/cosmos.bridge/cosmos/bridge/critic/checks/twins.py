"""Is a thing seen a second time, where the source shows nothing of the kind?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.checks.explained import trimmed, unexplained, unlike, unplain
from cosmos.bridge.critic.outcome import Outcome, measured, unchecked
from cosmos.bridge.critic.thresholds import Limits, Threshold
from cosmos.bridge.critic.truth import Chunk, Truth, highest

_NOISE = 20.0
"""Variance of a pixel that nobody sees, all channels together [levels^2]: 2.6 levels each."""
_FLAT = 4.0
"""Variance below which a source explains nothing [levels^2]."""
_RIM = np.ones((7, 7), np.uint8)
_NEAR, _FAR = np.ones((3, 3), np.uint8), np.ones((5, 5), np.uint8)
_SMALLEST = 32
"""Least height and width of a picture in which twins are looked for [px]."""
_BRIGHT = 0.05
"""Share of a thing that must not be dark."""
_BY_CHANCE = 0.4
"""Share of the rim of a place with edges of its own at which these speak neither for nor against a twin."""
_PLACES = 5
"""Places of a frame that are looked at closely."""
_OWN = 0.7
"""Of its own size: nearer to itself a thing is no twin."""
_LARGEST = 0.12
"""Share of the picture from which on a thing is the scene itself."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _View:
    """A frame, reduced to about the width at which twins are looked for."""

    number: int
    """Frame number."""
    scale: int
    """How many pixels of the clip make one of it, along each axis."""
    source: np.ndarray
    """float32 [levels], shape [H, W, 3]."""
    result: np.ndarray
    """float32 [levels], shape [H, W, 3]."""
    thing: np.ndarray
    """Things, shape [H, W]."""
    weight: np.ndarray
    """1 where light and weather are free, 0 where the request keeps the source's look, float32, shape [H, W]."""

    def halved(self) -> _View:
        """Return the view at half its size."""
        small = self.thing[1::2, 1::2]
        return _View(
            number=self.number,
            scale=2 * self.scale,
            source=_reduced(self.source, small.shape),
            result=_reduced(self.result, small.shape),
            thing=small,
            weight=_reduced(self.weight, small.shape),
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Place:
    """Where a thing might be seen again."""

    owner: int
    """The thing."""
    away: tuple[int, int]
    """How far from itself ``(down, right)`` [px of the view]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Twin:
    """What speaks for a thing being seen again."""

    likeness: float
    """Evidence [nats]; 0 where nothing speaks for it."""
    at: tuple[int, int]
    """Middle of the place ``(y, x)`` [px of the clip]."""
    other: int
    """The thing that ought to be seen there, on most of it."""


class TwinSweep:
    """Holds two explanations of every place against each other: what the source shows there, and each thing again.

    At a place that shows a thing a second time, the thing's own pixels explain the picture, and neither the source's
    colours there do (under any smooth change of light, `unexplained`), nor those of the place alone, nor a plain
    surface. The search runs over the whole picture at half the size, by correlation in the frequency domain; the best
    places are measured at full size, in each of two neighbouring frames that are searched. All evidence is added up:
    both logarithms of errors, the share of edges around the place that are new, and how large the thing is.
    """

    family = "twins"

    def __init__(
        self,
        truth: Truth,
        kept: Optional[np.ndarray],
        num_frames: int,
        thresholds: Mapping[str, Threshold],
        limits: Limits,
    ) -> None:
        self._truth, self._kept, self._thresholds, self._limits = truth, kept, thresholds, limits
        self._first = min(2, num_frames - 1)
        self._before: Optional[tuple[_View, list[_Place]]] = None
        self._found: dict[int, dict[int, _Twin]] = {}
        self._kinds = [tuple(sorted(thing.labels.items())) for thing in truth.things]

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in; one in ``twin_step`` is searched."""
        if chunk.thing is None or min(chunk.thing.shape[1:]) < _SMALLEST:
            return
        for number in chunk.frames:
            if number < self._first or (number - self._first) % self._limits.twin_step:
                continue
            view = self._view(chunk, number)
            places = [place for place, _ in sorted(self._search(view), key=lambda item: -item[1])[:_PLACES]]
            self._measure(view, places)
            if self._before is not None:
                self._measure(view, self._before[1])
                self._measure(self._before[0], places)
            self._before = view, places

    def _view(self, chunk: Chunk, number: int) -> _View:
        row = number - chunk.first + chunk.halo
        thing = chunk.thing[row]  # type: ignore[index]
        scale = max(1, min(round(thing.shape[1] / self._limits.twin_width), min(thing.shape) // _SMALLEST))
        small = thing[scale // 2 :: scale, scale // 2 :: scale]
        kept = np.zeros(thing.shape, np.float32) if self._kept is None else self._kept[number]
        return _View(
            number=number,
            scale=scale,
            source=_reduced(chunk.source[row].numpy().astype(np.float32), small.shape),
            result=_reduced(chunk.result[row].numpy().astype(np.float32), small.shape),
            thing=small,
            weight=_reduced(np.ascontiguousarray(1.0 - kept, np.float32), small.shape),
        )

    def _search(self, full: _View) -> Iterator[tuple[_Place, float]]:
        """Yield where each thing is most likely seen again, with the evidence."""
        view = full.halved()
        height, width = view.thing.shape
        size = cv2.getOptimalDFTSize(height), cv2.getOptimalDFTSize(width)

        def spectrum(picture: np.ndarray) -> np.ndarray:
            return np.fft.rfft2(picture, size, axes=(0, 1))

        left = spectrum(unexplained(view.source, view.result, view.weight, side=2 * (width // 16) + 1, noise=_FLAT))
        colors, squares = spectrum(view.result), spectrum((view.result**2).sum(axis=-1))
        count = np.bincount(view.thing.ravel(), minlength=len(self._truth.things))
        for owner in np.flatnonzero(count * 4 * full.scale**2 >= self._limits.min_area).tolist():
            if self._truth.things[owner].id == 0 or count[owner] > _LARGEST * view.thing.size:
                continue
            mask, (y, x) = _cut(view.thing, owner)
            own = mask[..., None] * view.result[y : y + mask.shape[0], x : x + mask.shape[1]]
            where = np.conj(spectrum(mask.astype(np.float32)))
            again = where * squares - 2.0 * (np.conj(spectrum(own)) * colors).sum(axis=-1)
            ends = slice(height - mask.shape[0] + 1), slice(width - mask.shape[1] + 1)
            floor = _NOISE * count[owner]
            again = np.maximum(np.fft.irfft2(again, size)[ends] + float((own * own).sum()), 0.0) + floor
            known = np.maximum(np.fft.irfft2(where * left, size)[ends], 0.0) + floor
            evidence = np.log(known / again)
            high, wide = (int(_OWN * side) for side in mask.shape)
            evidence[max(0, y - high) : y + high + 1, max(0, x - wide) : x + wide + 1] = -np.inf
            row, column = np.unravel_index(int(evidence.argmax()), evidence.shape)
            if evidence[row, column] > 0.0:
                place = _Place(owner=owner, away=(2 * (int(row) - y), 2 * (int(column) - x)))
                yield place, float(evidence[row, column]) * float(count[owner]) ** 0.5

    def _measure(self, view: _View, places: list[_Place]) -> None:
        """Measure places in a view, and remember the best of each thing."""
        for place in places:
            twin = _closely(view, place, self._limits)
            found = self._found.setdefault(place.owner, {})
            if twin is None or self._alike(place.owner, twin.other):
                continue
            if view.number not in found or twin.likeness > found[view.number].likeness:
                found[view.number] = twin

    def _alike(self, owner: int, other: int) -> bool:
        """Whether two things are of one kind, by their labels: a crate beside a crate is no twin."""
        return owner != other and bool(self._kinds[owner]) and self._kinds[owner] == self._kinds[other]

    def conclude(self) -> Outcome:
        """Hold the thing that is seen again most clearly, in the mean of the frames searched, against the bar."""
        if self._before is None:
            text = "Things that are there twice were not looked for: no instance ids, or pictures below 32 px."
            return Outcome(findings=(unchecked("duplicated", text),))
        bar, searched = self._thresholds["duplicated"], {f for frames in self._found.values() for f in frames}
        sums = {thing: sum(twin.likeness for twin in frames.values()) for thing, frames in self._found.items()}
        owner = max(sums, key=lambda thing: sums[thing], default=0)
        value = max(sums.get(owner, 0.0) / max(len(searched), 1), 0.0)
        found = measured(self._thresholds, "duplicated", value)
        if found.passed:
            return Outcome(measurements=(found,))
        twins = {number: twin for number, twin in self._found[owner].items() if not bar.passes(twin.likeness)}
        y, x = max(twins.values(), key=lambda twin: twin.likeness).at
        text = (
            f"{self._truth.name(owner)} is seen a second time around x {x}, y {y}: its own picture explains that place "
            f"better than the source does, by an evidence of {value:.2f}; {bar.value:.2f} is allowed."
        )
        thing_found = bar.finding("duplicated", text, value, sorted(twins), self._truth.things[owner])
        return Outcome(measurements=(found,), findings=(thing_found,))


def _reduced(picture: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Average a picture down to a size."""
    if picture.shape[:2] == size[:2]:
        return picture
    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def _cut(thing: np.ndarray, owner: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Mask of a thing within its box, bool, and the corner ``(y, x)`` of that."""
    mask = (thing == owner).astype(np.uint8)
    x, y, wide, high = cv2.boundingRect(mask)
    return mask[y : y + high, x : x + wide] > 0, (y, x)


def _closely(view: _View, place: _Place, limits: Limits) -> Optional[_Twin]:
    """Measure how much better a thing explains a place than all else.

    ``None`` where the thing is not seen or dark, for darkness may lie anywhere, or where the place is outside the
    picture or too near to the thing itself.
    """
    mask, (top, left) = _cut(view.thing, place.owner)
    high, wide = mask.shape
    own = view.result[top : top + high, left : left + wide]
    if not mask.any() or np.mean(highest(own)[mask] >= limits.dark_level) < _BRIGHT:
        return None
    fit = _nearest(view, place, mask, own, (top, left))
    if fit is None:
        return None
    error, y, x = fit
    there = view.result[y : y + high, x : x + wide]
    again = min([error, *(trimmed(((there[mask] - half[mask]) ** 2).sum(axis=1)) for half in _halves(own))])
    side = 2 * round(view.thing.shape[1] / 16.0) + 1
    reach = side // 2 + _RIM.shape[0] // 2
    cut = slice(max(0, y - reach), y + high + reach), slice(max(0, x - reach), x + wide + reach)
    source, result, weight = view.source[cut], view.result[cut], view.weight[cut]
    inside = np.zeros(weight.shape, bool)
    inside[y - cut[0].start :, x - cut[1].start :][:high, :wide] = mask
    around = cv2.dilate(inside.astype(np.uint8), _RIM) > 0
    at_home = cv2.dilate((view.thing == place.owner).astype(np.uint8), _RIM) > 0
    known = trimmed(unexplained(source, result, weight, side=side, noise=_FLAT)[inside])
    plain = min(unplain(result, around), unplain(view.result, at_home))
    outlined = _outlined(source, result, inside, limits.visible_gradient)
    likeness = (
        _nats(min(known, plain), again)
        + 0.7 * _nats(unlike(source, result, inside), again)
        + (outlined - _BY_CHANCE)
        + 0.3 * float(np.log(min(int(mask.sum()), 800) / 250.0))
    )
    other = int(np.bincount(view.thing[y : y + high, x : x + wide][mask]).argmax())
    return _Twin(likeness=likeness, at=(view.scale * (y + high // 2), view.scale * (x + wide // 2)), other=other)


def _nearest(
    view: _View, place: _Place, mask: np.ndarray, own: np.ndarray, corner: tuple[int, int]
) -> Optional[tuple[float, int, int]]:
    """Least error of a thing's own pixels within 2 px of a place, and the corner ``(y, x)`` where that is."""
    (top, left), (high, wide) = corner, mask.shape
    best: Optional[tuple[float, int, int]] = None
    for y in range(top + place.away[0] - 2, top + place.away[0] + 3):
        for x in range(left + place.away[1] - 2, left + place.away[1] + 3):
            near = abs(y - top) <= _OWN * high and abs(x - left) <= _OWN * wide
            if not near and 0 <= y <= view.thing.shape[0] - high and 0 <= x <= view.thing.shape[1] - wide:
                error = trimmed(((view.result[y : y + high, x : x + wide][mask] - own[mask]) ** 2).sum(axis=1))
                if best is None or error < best[0]:
                    best = error, y, x
    return best


def _outlined(source: np.ndarray, result: np.ndarray, inside: np.ndarray, visible: float) -> float:
    """Share of the rim of a place at which the result has an edge, and a stronger one than the source."""
    was, now = (_steepest(picture) for picture in (source, result))
    mask = inside.astype(np.uint8)
    rim = cv2.dilate(mask, _NEAR) != cv2.erode(mask, _NEAR, borderValue=0)
    now = cv2.dilate(now, _NEAR)
    return float(np.mean((now >= visible) & (now > cv2.dilate(was, _FAR)), where=rim))


def _steepest(picture: np.ndarray) -> np.ndarray:
    """Length of the gradient of all channels together (Sobel 3 x 3 divided by 8) [levels/px], shape [H, W]."""
    across, down = cv2.Sobel(picture, cv2.CV_32F, 1, 0), cv2.Sobel(picture, cv2.CV_32F, 0, 1)
    steep: np.ndarray = np.sqrt((across * across + down * down).sum(axis=-1)) / np.float32(8.0)
    return steep


def _halves(picture: np.ndarray) -> Iterator[np.ndarray]:
    """Yield a picture shifted by half a pixel in all eight directions."""
    for down in (-0.5, 0.0, 0.5):
        for right in (-0.5, 0.0, 0.5):
            if down or right:
                matrix = np.array([[1.0, 0.0, right], [0.0, 1.0, down]])
                size = picture.shape[1::-1]
                yield cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _nats(left: float, error: float) -> float:
    """Logarithm of how many times smaller an error is than what is left otherwise, above the noise."""
    return 0.5 * float(np.log((left + _NOISE) / (error + _NOISE)))


__all__ = ["TwinSweep"]
