"""How well the pattern that the source shows of a thing explains a place of the result: here, elsewhere, or changed."""

from __future__ import annotations

from typing import Optional

import cv2
import numpy as np

_SIDE = 7
"""Side of the window within which a pattern is told from light [px], odd."""
_FAINT = 4.0
"""Contrast at which a pattern counts half as much as a strong one [levels]."""
FULL = 10.0
"""Strength of a pattern of any high contrast, all channels together, per channel."""
_NOISE = 1.0
"""Variance of a pattern below which it explains nothing."""
_UNIT = np.eye(3, dtype=np.float32)
_REACH = 2
"""How far a thing's own pattern reaches over what is not nearer [px]: its outline belongs to it."""
_FAR = 6
"""Largest shift that is looked at [px]."""
_SURE = 0.5
"""Share of its pattern that a thing explains in place from which on it is surely there: of the displaced ones none."""
_FEWEST = 30
"""Fewest pixels of a changed thing that tell anything."""

MIRRORED = 0
"""First of the changes of a thing that are tried in place: left to right."""
SIZES = {1: 1.0 / 1.4, 2: 1.0 / 1.2, 3: 1.2, 4: 1.4}
"""The others: by what factor it is larger, standing where it stands."""


def _disk(near: float, away: float) -> np.ndarray:
    offset = np.arange(-_FAR, _FAR + 1)
    down, right = (axis.ravel() for axis in np.meshgrid(offset, offset, indexing="ij"))
    distance = np.hypot(down, right)
    even = (down + right) % 2 == 0  # every other one: the others lie within 1 px of these
    keep = (distance <= near) | ((distance >= away) & (distance <= _FAR + 0.3) & even)
    return np.stack([down[keep], right[keep]], axis=1)


SHIFTS = _disk(1.5, 2.5)
"""Shifts ``(down, right)`` that are tried [px], int64, shape [K, 2]: those in place and those of 2.5 to 6 px."""
DISTANCES = np.hypot(SHIFTS[:, 0], SHIFTS[:, 1])
"""Their lengths [px], shape [K]."""
IN_PLACE = DISTANCES <= 1.5
"""Which of them are in place, bool, shape [K]."""
_HERE, _AWAY = SHIFTS[IN_PLACE], SHIFTS[~IN_PLACE]


def pattern(picture: np.ndarray) -> np.ndarray:
    """Take smooth light and contrast out of a picture.

    Each colour less its mean in a window around it, over the root mean square of all three channels' there
    (local contrast normalisation, Jarrett et al. 2009).

    Args:
        picture: [levels], shape [H, W, 3].

    Returns:
        About ``FULL`` strong where there is any structure, small where there is none, float32, shape [H, W, 3].
    """
    window = (_SIDE, _SIDE)
    colors = picture.astype(np.float32)
    high = colors - cv2.blur(colors, window, borderType=cv2.BORDER_REFLECT)
    power = cv2.blur(_squares(high), window, borderType=cv2.BORDER_REFLECT)
    strength = np.sqrt(np.maximum(power, 0.0) / np.float32(3.0))
    return np.asarray(high * (np.float32(FULL) / (strength + np.float32(_FAINT)))[..., None])


def _squares(colors: np.ndarray) -> np.ndarray:
    """Sum of squares of the channels, shape [...] of [..., 3]; many times faster than a sum over the last axis."""
    red, green, blue = colors[..., 0], colors[..., 1], colors[..., 2]
    return np.asarray(red * red + green * green + blue * blue)


def reaching(thing: np.ndarray, depth: Optional[np.ndarray], single: np.ndarray) -> np.ndarray:
    """Widen each single thing by its outline, over what is not nearer.

    Args:
        thing: Things, int, shape [H, W].
        depth: Distance to the image plane [m], shape [H, W], or ``None`` where all is taken as equally far.
        single: Which things are widened, bool; the scene itself is not. Over each other only over what is farther.

    Returns:
        The thing whose pattern is expected at each pixel, int32, shape [H, W].
    """
    owner = thing.astype(np.int32)
    near = np.ones(thing.shape, np.float32)
    if depth is not None:
        near = np.where(np.isfinite(depth) & (depth > 0.0), depth, np.float32(1.0e6)).astype(np.float32)
    height, width = thing.shape
    for _ in range(_REACH):
        around, around_near = (cv2.copyMakeBorder(f, 1, 1, 1, 1, cv2.BORDER_REPLICATE) for f in (owner, near))
        owner, near = owner.copy(), near.copy()
        for top, left in ((0, 1), (2, 1), (1, 0), (1, 2)):
            cut = slice(top, top + height), slice(left, left + width)
            at = np.flatnonzero(around[cut] != owner)
            other, other_near = around[cut].ravel()[at], around_near[cut].ravel()[at]
            here, here_near = owner.ravel()[at], near.ravel()[at]
            over = single[other] & (here_near >= 0.95 * other_near)
            over &= ~single[here] | (other_near < 0.95 * here_near)
            owner.flat[at[over]], near.flat[at[over]] = other[over], other_near[over]
    return owner


class Ground:
    """One frame of a result as its surroundings explain it, against which single things are held.

    What a thing's pattern explains at a place is told as a gain: how much smaller the square of what stays unexplained
    there becomes than without the thing. Without it, a place that another surface fills is explained by the source's
    pattern there, by one linear function of its colours for each thing, and a place that the thing itself leaves is
    plain. Gains in place and of any shift or change compare on the same pixels, so none profits from few or plain ones.

    Args:
        source: Pattern of the source, float32, shape [H, W, 3].
        result: Pattern of the result, float32, shape [H, W, 3].
        owner: The thing expected at each pixel, int32, shape [H, W].
        count: How many things there are.
    """

    def __init__(self, source: np.ndarray, result: np.ndarray, owner: np.ndarray, count: int) -> None:
        self._shape, self._source, self._owner = owner.shape, source.reshape(-1, 3), owner.reshape(-1)
        self._order = np.argsort(self._owner.astype(np.int16 if count < 1 << 15 else np.int32), kind="stable")
        self._bounds = np.searchsorted(self._owner[self._order], np.arange(count + 1))
        plain = _squares(result)
        left = self._left(result.reshape(-1, 3)).reshape(owner.shape)
        window = (5, 5)
        worst = cv2.blur(plain, window) / np.maximum(cv2.blur(left, window), 1e-3)
        left *= np.minimum(worst, 1.0)  # a wrong explanation is no worse than none
        border = (_FAR, _FAR, _FAR, _FAR, cv2.BORDER_CONSTANT)
        self._result, self._more = (cv2.copyMakeBorder(field, *border, value=0.0) for field in (result, left - plain))
        self._wide = self._more.shape[1]
        self._result, self._more, self._plain = self._result.reshape(-1, 3), self._more.reshape(-1), plain.reshape(-1)

    def _left(self, result: np.ndarray) -> np.ndarray:
        """Square of what the linear functions of the things leave unexplained of every pixel, shape [H * W]."""
        filled = np.flatnonzero(np.diff(self._bounds)).tolist()
        rows = [self._order[self._bounds[thing] : self._bounds[thing + 1]] for thing in filled]
        pairs = [(self._source.take(mine, axis=0), result.take(mine, axis=0)) for mine in rows]
        products = np.stack([_products(own) for own, _ in pairs])
        fits = np.linalg.solve(products, np.stack([own.T @ seen for own, seen in pairs]))
        left = np.empty(len(result), np.float32)
        for mine, (own, seen), fit in zip(rows, pairs, fits, strict=True):
            left[mine] = _squares(seen - own @ fit)
        return left

    def size(self, thing: int) -> int:
        """Pixels at which a thing is expected."""
        return int(self._bounds[thing + 1] - self._bounds[thing])

    def energy(self, thing: int) -> float:
        """Sum of squares of the result's pattern where a thing is expected."""
        return float(self._plain[self._order[self._bounds[thing] : self._bounds[thing + 1]]].sum(dtype=np.float64))

    def gains(self, thing: int, sites: int) -> tuple[np.ndarray, np.ndarray]:
        """What a thing explains at every shift, and in place when changed.

        Args:
            thing: The thing; it must be expected somewhere.
            sites: Pixels that are looked at, about; more are thinned evenly.

        Returns:
            Gains of ``SHIFTS``, float64, shape [K], and the best of each change within 1 px, shape [5]. What is surely
            in place is not looked for elsewhere: all of its pattern counts as missing there.
        """
        rows, columns = self._places(thing)
        more = self._more.copy()
        more[(rows + _FAR) * self._wide + columns + _FAR] = 0.0
        step = max(1, -(-len(rows) // sites))
        some, share = (rows[::step], columns[::step]), len(rows) / len(rows[::step])
        own, inverse = self._fitted(*some)
        gains, changed = np.empty(len(SHIFTS)), np.full(1 + len(SIZES), -np.inf)
        gains[IN_PLACE] = share * self._gain(more, *some, own, inverse, _HERE)
        here, energy = gains[IN_PLACE].max(), self.energy(thing)
        if here >= _SURE * energy:
            gains[~IN_PLACE] = changed[:] = here - energy
            return gains, changed
        gains[~IN_PLACE] = share * self._gain(more, *some, own, inverse, _AWAY)
        mirror = columns.min() + columns.max() - some[1]
        changed[MIRRORED] = share * self._gain(more, some[0], mirror, own, inverse, _HERE).max()
        for change, factor in SIZES.items():
            to, at, share = self._sized(thing, rows, columns, factor, sites)
            if len(to[0]) >= _FEWEST:
                changed[change] = share * self._gain(more, *to, *self._fitted(*at), _HERE).max()
        return gains, changed

    def _fitted(self, rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Source's pattern at some pixels, shape [N, 3], and the inverse of its products, shape [3, 3]."""
        own = self._source.take(rows * self._shape[1] + columns, axis=0)
        return own, np.linalg.inv(_products(own))

    def _places(self, thing: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns at which a thing is expected."""
        rows, columns = np.divmod(self._order[self._bounds[thing] : self._bounds[thing + 1]], self._shape[1])
        return rows, columns

    def _sized(
        self, thing: int, rows: np.ndarray, columns: np.ndarray, factor: float, sites: int
    ) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], float]:
        """Some pixels that a thing of another size fills, those of the source seen there, and how many one stands for.

        It stands where it stands: the middle of its foot stays.
        """
        foot = float(rows.max() - _REACH), 0.5 * float(columns.min() + columns.max())
        ends = [
            (max(0, int(middle + (axis.min() - middle) * factor)),
             min(size, int(middle + (axis.max() - middle) * factor) + 1))
            for axis, middle, size in zip((rows, columns), foot, self._shape, strict=True)
        ]  # fmt: skip
        step = max(1, int(len(rows) * factor * factor / sites))
        down, right = np.arange(*ends[0]), np.arange(*ends[1])
        at_down, at_right = (
            np.clip(np.rint(middle + (axis - middle) / factor).astype(np.int64), 0, size - 1)
            for axis, middle, size in zip((down, right), foot, self._shape, strict=True)
        )
        picked = np.arange(0, len(down) * len(right), step)
        down_of, right_of = np.divmod(picked, max(len(right), 1))
        at = at_down[down_of], at_right[right_of]
        seen = self._owner[at[0] * self._shape[1] + at[1]] == thing
        to = down[down_of[seen]], right[right_of[seen]]
        return to, (at[0][seen], at[1][seen]), float(step)

    def _gain(
        self, more: np.ndarray, rows: np.ndarray, columns: np.ndarray, own: np.ndarray, inverse: np.ndarray,
        shifts: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Gain of every shift: some pixels get a pattern of the source, by one linear function.

        ``more`` is what stays unexplained of each pixel without the thing, less the square of the result's pattern.
        """
        where = (rows + _FAR) * self._wide + (columns + _FAR)
        there = where[:, None] + (shifts[:, 0] * self._wide + shifts[:, 1])
        shared = own.T @ self._result.take(there, axis=0).reshape(len(own), -1)
        explained = (shared * (inverse @ shared)).sum(axis=0).reshape(-1, 3).sum(axis=1)
        gain: np.ndarray = more.take(there).sum(axis=0) + explained
        return gain.astype(np.float64)


def _products(pattern: np.ndarray) -> np.ndarray:
    """Products of the channels of some pixels' pattern with each other and their noise, float32, shape [3, 3]."""
    return np.asarray(pattern.T @ pattern + _UNIT * np.float32(_NOISE * len(pattern)))


__all__ = ["DISTANCES", "FULL", "IN_PLACE", "MIRRORED", "SHIFTS", "SIZES", "Ground", "pattern", "reaching"]
