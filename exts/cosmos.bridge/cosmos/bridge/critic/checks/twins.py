"""Is a thing seen a second time, where the source shows nothing of the kind?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from cosmos.bridge.critic.outcome import Outcome, measured
from cosmos.bridge.critic.thresholds import Limits, Threshold
from cosmos.bridge.critic.truth import Truth
from cosmos.bridge.kernels.boundary import color_gradient, thin_edges

_RIM = np.ones((3, 3), np.uint8)
_FRAMES = 3
"""Frames in which twins are looked for."""
_PLACES = 5
"""Places in each around which they are looked for."""
_UNLIKE = 0.25
"""Pixels that correlate less than this 1 px from the best place are of something else."""
_OUTLINE = 30.0
"""Edge pixels of an outline below which a fit proves less [px]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Twin:
    """The likeness of one thing and one place that is not its own."""

    likeness: float
    """0 for chance, up to 1.5."""
    owner: int
    """The thing."""
    at: tuple[int, int]
    """Middle of the place (y, x) [px]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Suspect:
    """A frame with patches of edges that nothing explains."""

    value: float
    """Mean of the edges in the strongest patch [levels/px]."""
    source: np.ndarray
    """uint8, shape [H, W, 3]."""
    result: np.ndarray
    """uint8, shape [H, W, 3]."""
    thing: np.ndarray
    """Things, int32, shape [H, W]."""
    places: tuple[tuple[int, int], ...]
    """Where those patches lie (y, x) [px]."""


class TwinSearch:
    """Remembers the frames with the strongest patches of unexplained edges, and looks for things there.

    A twin has the outline of a thing (thin edges under every shift near the patch) and its picture (correlation of
    all pixels), both more than the source has there. Another of its kind, with the same labels, is none.
    """

    def __init__(self, truth: Truth, thresholds: Mapping[str, Threshold], limits: Limits) -> None:
        self._truth, self._thresholds, self._limits = truth, thresholds, limits
        self._suspects: list[_Suspect] = []

    def add(self, patch: np.ndarray, source: np.ndarray, result: np.ndarray, thing: np.ndarray) -> None:
        """Take a frame in.

        Args:
            patch: Mean of the edges around each pixel that nothing explains [levels/px], float32, shape [H, W].
            source: uint8, shape [H, W, 3].
            result: uint8, shape [H, W, 3].
            thing: Things, int32, shape [H, W].
        """
        places = tuple(self._places(patch))
        if not places:
            return
        strongest = float(patch[places[0]])
        if len(self._suspects) == _FRAMES and strongest <= self._suspects[-1].value:
            return
        suspect = _Suspect(
            value=strongest, source=source.copy(), result=result.copy(), thing=thing.copy(), places=places
        )
        self._suspects = sorted([*self._suspects, suspect], key=lambda item: -item.value)[:_FRAMES]

    def _places(self, patch: np.ndarray) -> Iterator[tuple[int, int]]:
        """The strongest patches, each well apart from the others."""
        left = patch.copy()
        reach = max(1, round(self._limits.patch_width * patch.shape[1]))
        for _ in range(_PLACES):
            y, x = (int(i) for i in np.unravel_index(int(left.argmax()), left.shape))
            if left[y, x] < self._limits.twin_patch:
                return
            yield y, x
            left[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1] = 0.0

    def conclude(self) -> Outcome:
        """Hold the most alike pair of the most suspect frame against the bar; if it fails, that of the median one."""
        bar = self._thresholds["duplicated"]
        if not self._suspects:
            return Outcome(measurements=(measured(self._thresholds, "duplicated", 0.0),))
        twin = self._most_alike(self._suspects[0])
        if not bar.passes(twin.likeness):
            twins = [twin, *(self._most_alike(suspect) for suspect in self._suspects[1:])]
            twin = sorted(twins, key=lambda twin: twin.likeness)[(len(twins) - 1) // 2]
        found = measured(self._thresholds, "duplicated", twin.likeness)
        if found.passed:
            return Outcome(measurements=(found,))
        text = (
            f"{self._truth.name(twin.owner)} is seen a second time around x {twin.at[1]}, y {twin.at[0]}: outline and "
            f"picture are alike by {twin.likeness:.2f}, more than in the source; {bar.value:.2f} is allowed."
        )
        thing = self._truth.things[twin.owner]
        return Outcome(
            measurements=(found,), findings=(bar.finding("duplicated", text, twin.likeness, instance=thing),)
        )

    def _most_alike(self, suspect: _Suspect) -> _Twin:
        """The thing that is seen again most clearly around one of the places of a frame."""
        edges = [_double_edges(picture, self._limits) for picture in (suspect.source, suspect.result)]
        kinds = [tuple(sorted(thing.labels.items())) for thing in self._truth.things]
        best = _Twin(likeness=0.0, owner=0, at=(0, 0))
        height, width = suspect.thing.shape
        for owner in np.unique(suspect.thing).tolist():
            if self._truth.things[owner].id == 0:
                continue
            mask = (suspect.thing == owner).astype(np.uint8)
            left, top, wide, high = cv2.boundingRect(mask)
            if not self._limits.min_area <= np.count_nonzero(mask) or 3 * wide > width or 2 * high > height:
                continue
            box = slice(max(top - 1, 0), top + high + 1), slice(max(left - 1, 0), left + wide + 1)
            for place in suspect.places:
                twin = _compare(suspect, edges, mask, owner, box, place, best.likeness)
                other = int(suspect.thing[min(twin.at[0], height - 1), min(twin.at[1], width - 1)])
                if twin.likeness > best.likeness and (
                    other == owner or not kinds[owner] or kinds[other] != kinds[owner]
                ):
                    best = twin
        return best


def _compare(
    suspect: _Suspect,
    edges: list[np.ndarray],
    mask: np.ndarray,
    owner: int,
    box: tuple[slice, slice],
    place: tuple[int, int],
    least: float,
) -> _Twin:
    """How much a thing is seen again around a place, in the result more than in the source; 0 if below ``least``."""
    shape = mask[box]
    high, wide = shape.shape
    reach = [
        range(max(0, at - size), max(0, at - size) + 2 * size) for at, size in zip(place, shape.shape, strict=True)
    ]
    area = slice(reach[0].start, reach[0].stop), slice(reach[1].start, reach[1].stop)
    nothing = _Twin(likeness=0.0, owner=owner, at=place)
    if any(cut < size + 1 for cut, size in zip(edges[0][area].shape, shape.shape, strict=False)):
        return nothing
    rim = (cv2.dilate(shape, _RIM) > 0) & (cv2.erode(shape, _RIM, borderValue=0) == 0)
    fits, length = [], 0.0
    for field in edges:
        outline = np.ascontiguousarray(field[box] * rim[..., None])
        length = float((outline * outline).sum())
        fits.append(cv2.matchTemplate(np.ascontiguousarray(field[area]), outline, cv2.TM_CCORR) / max(length, 2.0))
    lead = fits[1] - np.maximum(cv2.dilate(fits[0], np.ones((5, 5), np.uint8)), 0.0)
    row, column = (np.arange(n) + cut.start for n, cut in zip(lead.shape, area, strict=True))
    own = (np.abs(row - box[0].start) <= 0.7 * high)[:, None] & (np.abs(column - box[1].start) <= 0.7 * wide)
    lead[own] = -1.0
    y, x = (int(i) for i in np.unravel_index(int(lead.argmax()), lead.shape))
    gain = float(lead[y, x])
    if gain <= 0.0:
        return nothing
    weight = min(length / _OUTLINE, 1.0) ** 0.5
    if (gain + 0.5) * weight <= least:
        return nothing
    corner = area[0].start + y, area[1].start + x
    if _alike(suspect.result, shape, box, corner) < _UNLIKE:
        return nothing
    alike, there = max(
        (_alike(suspect.result, shape, box, (corner[0] + dy, corner[1] + dx)), (corner[0] + dy, corner[1] + dx))
        for dy in (-1, 0, 1) for dx in (-1, 0, 1)
    )  # fmt: skip
    before = max(_alike(suspect.source, shape, box, there), 0.0)
    likeness = (gain + 0.5 * (alike - before)) * max(alike, 0.0) * weight
    return _Twin(likeness=likeness, owner=owner, at=(corner[0] + high // 2, corner[1] + wide // 2))


def _alike(picture: np.ndarray, shape: np.ndarray, box: tuple[slice, slice], corner: tuple[int, int]) -> float:
    """Correlation of a thing's pixels with those at another place of a picture; -1 where that leaves the picture."""
    other = tuple(slice(start, start + size) for start, size in zip(corner, shape.shape, strict=True))
    if min(corner) < 0 or picture[other].shape[:2] != shape.shape:
        return -1.0
    a, b = (picture[cut][shape > 0].astype(np.float32) for cut in (box, other))
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    return float(np.vdot(a, b) / max(float(np.vdot(a, a) * np.vdot(b, b)) ** 0.5, 1e-9))


def _double_edges(picture: np.ndarray, limits: Limits) -> np.ndarray:
    """Thin edges by twice their angle, so that light on either side does not matter, float32, shape [H, W, 2]."""
    import warp as wp

    gradient = color_gradient(wp.array(picture[None], dtype=wp.uint8, device="cpu"))
    edges = thin_edges(gradient, faint=2.0 * limits.faint_gradient, full=limits.full_gradient, beside=0.0).numpy()[0]
    strength = np.sqrt(edges[..., 0] ** 2 + edges[..., 1] ** 2)
    unit = edges / np.maximum(strength, 1e-9)[..., None]
    double = np.stack([unit[..., 0] ** 2 - unit[..., 1] ** 2, 2.0 * unit[..., 0] * unit[..., 1]], axis=-1)
    blurred: np.ndarray = cv2.GaussianBlur((double * strength[..., None]).astype(np.float32), (3, 3), 0)
    return blurred


__all__ = ["TwinSearch"]
