"""How well a thing's own pixels explain another place of the picture, against all else that could explain it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.checks.explained import TRIMMED, residual, trimmed, unlike, unplain
from cosmos.bridge.critic.checks.traits import RING, traits
from cosmos.bridge.critic.truth import highest

FLAT = 4.0
"""Variance below which a source explains nothing [levels^2]."""
_NOISE = 10.0
"""Variance of a pixel that nobody sees, all channels together [levels^2]: 1.8 levels each."""
_SURE = 0.995
"""Correlation from which on it is as good as 1."""
_NEAR = np.ones((3, 3), np.uint8)
_OWN = 0.7
"""Of its own size: nearer to itself a thing is no twin."""
_CORE = 0.12
"""Share of a thing that must be left when its rim, in which colours mix, is taken off; else the rim stays on."""
_LEAST = 40
"""Fewest pixels of such a core [px]."""
_LARGE = 800
"""Size from which on more pixels are no further evidence [px]."""
_USUAL = 250
"""Size at which it speaks neither for nor against a twin [px]."""
_LIT = 0.01
"""Share of a thing that must not be dark, for darkness may lie anywhere."""
_LOOK = 300
"""Pixels of a thing that the search for its corner looks at, at most [px]."""
_PLAIN, _REPAINTED, _SOURCE = -1.5, -0.8, -0.4
"""Where a plain surface, one change of colour, or the source explains a place so much better [nats], nothing else is
asked."""
_LONG, _ALONG = 3, 6
"""So many times longer than wide a thing hardly tells where along itself it fits, so many px farther are tried."""
_LEAST_SURE = 1.0
"""How much better than the best of all else a thing must explain a place; more says no more [nats]."""
_STEPS = 3
"""Steps towards the best displacement by fractions of a pixel."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class View:
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
    snow: Optional[np.ndarray] = None
    """Share of each pixel on which snow was asked to lie, float32, shape [H, W]; ``None`` where none was."""
    grain: float = float("nan")
    """What noise and texture the result has everywhere [levels]; NaN where it was not measured."""

    def halved(self) -> View:
        """Return the view at half its size."""
        small = self.thing[1::2, 1::2]
        return View(
            number=self.number,
            scale=2 * self.scale,
            source=reduced(self.source, small.shape),
            result=reduced(self.result, small.shape),
            thing=small,
            weight=reduced(self.weight, small.shape),
            snow=None if self.snow is None else reduced(self.snow, small.shape),
        )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Place:
    """Where a thing might be seen again."""

    owner: int
    """The thing."""
    away: tuple[int, int]
    """How far from itself ``(down, right)`` [px of the view]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Likeness:
    """What was measured of a thing at another place."""

    measured: Mapping[str, float]
    """What ``twins.json`` weighs: ``source``, ``repainted``, ``plain``, ``least``, ``edge`` [nats], ``alike``, of the
    result and of the source, ``size``, ``lit``, ``grain``, shares under ``snow``, ``error_again``, and all `traits`."""
    at: tuple[int, int]
    """Middle of the place ``(y, x)`` [px of the clip]."""
    others: np.ndarray
    """Things that ought to be seen there, one for each pixel of the thing."""


def reduced(picture: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Average a picture down to a size ``(height, width)``."""
    if picture.shape[:2] == size[:2]:
        return picture
    return cv2.resize(picture, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def cut(thing: np.ndarray, owner: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Mask of a thing within its box, bool, and the corner ``(y, x)`` of that."""
    mask = (thing == owner).astype(np.uint8)
    x, y, wide, high = cv2.boundingRect(mask)
    return mask[y : y + high, x : x + wide] > 0, (y, x)


def in_scraps(mask: np.ndarray, share: float) -> bool:
    """Whether no piece of a mask holds this share of it: scraps have the shape of what stands before a thing."""
    x, y, wide, high = cv2.boundingRect(mask)
    sizes = cv2.connectedComponentsWithStats(mask[y : y + high, x : x + wide], connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    return bool(sizes.max(initial=0) < share * sizes.sum())


def covered(mask: np.ndarray, size: tuple[int, ...]) -> tuple[np.ndarray, tuple[int, int]]:
    """How much of each pixel of a smaller picture a thing covers within its box, and the corner ``(y, x)`` of that.

    Its rim, in which colours mix, counts for nothing, unless hardly anything is left.

    Args:
        mask: 1 where the thing is seen, uint8, shape [H, W], not 0 everywhere.
        size: Height and width of the smaller picture [px].

    Returns:
        float32 in [0, 1], not 0 everywhere.
    """
    core = cv2.erode(mask, _NEAR, borderValue=0)
    kept = core if np.count_nonzero(core) >= max(_LEAST, _CORE * np.count_nonzero(mask)) else mask
    share = reduced(kept.astype(np.float32), size)
    x, y, wide, high = cv2.boundingRect((share > 0.0).astype(np.uint8))
    return share[y : y + high, x : x + wide], (y, x)


def own_box(mask: np.ndarray) -> tuple[int, int]:
    """How far ``(down, right)`` from itself a thing of this mask is no twin yet [px]."""
    return int(_OWN * mask.shape[0]), int(_OWN * mask.shape[1])


def measure(view: View, place: Place, *, dark: float) -> Optional[Likeness]:
    """Measure how much better a thing explains a place than all else does.

    Evidence is half the logarithm of how many times smaller the error of the thing's own pixels is (displaced by
    fractions of a pixel to fit best) than that of the source's colours under any smooth change of light (``source``),
    under any one change of colour (``repainted``), and of a plain surface (``plain``); what one of these explains is no
    twin, however badly the others do (``least``). Besides, what the source leaves
    unexplained ends at a twin's outline (``edge``, against its surroundings), and thing and place look more alike than
    they do in the source (``alike``).

    Args:
        view: Frame.
        place: Thing and place.
        dark: Level above which a pixel is lit [levels].

    Returns:
        ``None`` where the thing is not seen or dark, where the place is outside the picture or too near to it, or where
        plain surfaces explain both.
    """
    mask, (top, left) = cut(view.thing, place.owner)
    high, wide = mask.shape
    own = view.result[top : top + high, left : left + wide]
    corner = None if not mask.any() else _nearest(view, place, mask, own, (top, left))
    if corner is None:
        return None
    y, x = corner
    there = view.result[y : y + high, x : x + wide]
    lit = min(float(np.mean(highest(picture)[mask] >= dark)) for picture in (own, there))
    if lit < _LIT:
        return None
    own, there = np.ascontiguousarray(own), np.ascontiguousarray(there)
    core = _core(mask)
    again = _again(there, own, core)
    plain = _nats(min(unplain(core, own, there)), again)
    if plain < _PLAIN:
        return None
    side = light_window(view.thing.shape[1])
    reach = side // 2 + RING + 2
    part, near = (
        (slice(max(0, y - far), y + high + far), slice(max(0, x - far), x + wide + far)) for far in (reach, RING + 2)
    )
    inside, within = np.zeros(view.weight[near].shape, bool), np.zeros(view.weight[near].shape, bool)
    for full, small in ((inside, mask), (within, core)):
        full[y - near[0].start :, x - near[1].start :][:high, :wide] = small
    repainted = _nats(unlike(view.source[near], view.result[near], within), again)
    if repainted < _REPAINTED:
        return None
    inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(near, part, strict=True))
    error = _unexplained(view, part, (inner[0], inner[1]), side)
    known = _nats(trimmed(np.square(error[:, within]).sum(axis=0)), again)
    if known < _SOURCE:
        return None
    before = view.source[y : y + high, x : x + wide], view.source[top : top + high, left : left + wide]
    alike, was = _correlated(there[core], own[core]), _correlated(before[0][core], before[1][core])
    return Likeness(
        measured={
            "source": known,
            "repainted": repainted,
            "plain": plain,
            "least": min(known, repainted, plain, _LEAST_SURE),
            "alike": alike - was,
            "alike_result": alike,
            "alike_source": was,
            "size": float(np.log(min(int(mask.sum()), _LARGE) / _USUAL)),
            "lit": lit,
            "grain": view.grain,
            **_snow(view, mask, (y, x), (top, left)),
            "error_again": float(np.log(again + _NOISE)),
            **traits(view.source[near], view.result[near], error, inside, own, mask),
        },
        at=(view.scale * (y + high // 2), view.scale * (x + wide // 2)),
        others=view.thing[y : y + high, x : x + wide][mask],
    )


def _snow(view: View, mask: np.ndarray, *corners: tuple[int, int]) -> dict[str, float]:
    """Share of the place and of the thing, by their corners ``(y, x)``, on which snow was asked to lie."""
    if view.snow is None:
        return {"snow": 0.0, "snow_thing": 0.0}
    high, wide = mask.shape
    shares = (float(view.snow[y : y + high, x : x + wide][mask].mean()) for y, x in corners)
    return dict(zip(("snow", "snow_thing"), shares, strict=True))


def _unexplained(view: View, part: tuple[slice, ...], inner: tuple[slice, slice], side: int) -> np.ndarray:
    """What the source leaves unexplained of a part of a view, where that counts; see `residual`."""
    pictures = view.source[part], view.result[part], view.weight[part]
    snow = None if view.snow is None else view.snow[part]
    error = residual(*pictures, side=side, noise=FLAT, inner=inner, snow=snow)[0]
    return np.asarray(error * pictures[2][inner])


def light_window(width: int) -> int:
    """Side of the window in which light changes smoothly, for a picture of a width [px]; odd."""
    return 2 * round(width / 16.0) + 1


def _core(mask: np.ndarray) -> np.ndarray:
    """Mask without its rim, in which colours of two things mix; the whole of a thin one."""
    core = cv2.erode(mask.astype(np.uint8), _NEAR, borderValue=0) > 0
    return core if core.sum() >= max(_LEAST, _CORE * mask.sum()) else mask


def _nearest(
    view: View, place: Place, mask: np.ndarray, own: np.ndarray, corner: tuple[int, int]
) -> Optional[tuple[int, int]]:
    """Corner ``(y, x)`` within 2 px of a place, more along a long thing, where a thing's own pixels fit best."""
    (top, left), (high, wide) = corner, mask.shape
    down, right = own_box(mask)
    rows, columns = (where[:: -(-len(where) // _LOOK)] for where in np.nonzero(mask))
    height, width = view.thing.shape
    v, h = 2 + _ALONG * (high > _LONG * wide), 2 + _ALONG * (wide > _LONG * high)
    corners = [
        (y, x)
        for y in range(max(top + place.away[0] - v, 0), min(top + place.away[0] + v, height - high) + 1)
        for x in range(max(left + place.away[1] - h, 0), min(left + place.away[1] + h, width - wide) + 1)
        if abs(y - top) > down or abs(x - left) > right
    ]
    if not corners:
        return None
    moved = np.array([y * width + x for y, x in corners])
    off = view.result.reshape(-1, 3).take(moved[:, None] + (rows * width + columns), axis=0) - own[rows, columns]
    error = np.einsum("kij,kij->ki", off, off)
    count = max(1, int(TRIMMED * error.shape[1]))
    return corners[int(np.partition(error, count - 1, axis=1)[:, :count].mean(axis=1).argmin())]


def _again(there: np.ndarray, own: np.ndarray, core: np.ndarray) -> float:
    """Least error of a thing's own pixels, displaced by fractions of a pixel [levels^2], trimmed.

    Gauss-Newton steps on the displacement (Lucas and Kanade 1981); what hides a tenth of the thing is left out.
    """
    by, least, at = np.zeros(2), np.inf, np.flatnonzero(core)
    seen, most = _colors(there, at), int(0.9 * (len(at) - 1))
    for step in range(_STEPS + 1):
        matrix = np.array([[1.0, 0.0, by[0]], [0.0, 1.0, by[1]]])
        moved = cv2.warpAffine(own, matrix, own.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        off = seen - _colors(moved, at)
        error = np.einsum("ij,ij->i", off, off)
        least = min(least, trimmed(error))
        if step == _STEPS:
            break
        fits = np.flatnonzero(error <= np.partition(error, most)[most])
        slopes = (cv2.Sobel(moved, cv2.CV_32F, dx, 1 - dx, scale=0.125) for dx in (1, 0))
        right, down = (_colors(slope, at.take(fits)).ravel() for slope in slopes)
        off = off.take(fits, axis=0).ravel()
        normal = np.array([[right @ right + 1.0, right @ down], [right @ down, down @ down + 1.0]], np.float64)
        by = np.clip(by - np.linalg.solve(normal, np.array([right @ off, down @ off], np.float64)), -1.5, 1.5)
    return float(least)


def _colors(picture: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Colours of the pixels of these numbers, shape [N, 3] of [H, W, 3]; many times faster than by a mask."""
    return np.ascontiguousarray(picture).reshape(-1, 3).take(at, axis=0)


def _correlated(left: np.ndarray, right: np.ndarray) -> float:
    """Fisher's z of the correlation of colours, shape [N, 3] each; 0 where one is plain."""
    left, right = left - left.mean(axis=0), right - right.mean(axis=0)
    square = float(np.vdot(left, left)) * float(np.vdot(right, right))
    share = float(np.vdot(left, right)) / max(square, 1e-6) ** 0.5
    return float(np.arctanh(np.clip(share, -_SURE, _SURE)))


def _nats(left: float, error: float) -> float:
    """Logarithm of how many times smaller an error is than what is left otherwise, above the noise."""
    return 0.5 * float(np.log((left + _NOISE) / (error + _NOISE)))


__all__ = [
    "FLAT", "Likeness", "Place", "View", "covered", "cut", "in_scraps", "light_window", "measure", "own_box", "reduced",
]  # fmt: skip
