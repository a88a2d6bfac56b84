"""Short lines across the borders at which a near thing ends before a far one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np

_JUMP = 1.05
"""So many times as far away is behind."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Crossings:
    """Lines along rows and columns from the last pixel of a near thing inwards; arrays of one length N."""

    thing: np.ndarray
    """The thing of every pixel, int, shape [H, W]; shared by all lines."""
    y: np.ndarray
    """Row of the near thing's last pixel [px]."""
    x: np.ndarray
    """Column of it [px]."""
    down: np.ndarray
    """-1, 0 or 1: step inwards along the column."""
    right: np.ndarray
    """The same along the row; one of both is 0."""
    near: np.ndarray
    """Thing in front."""
    far: np.ndarray
    """Thing behind, beyond the border."""
    _known: dict[int | tuple[int, ...], tuple[np.ndarray, np.ndarray]] = field(
        default_factory=dict, init=False, repr=False
    )
    """Steps -> pixels that lie there and whether they are in the picture: all pictures are looked at there."""

    @classmethod
    def of(cls, thing: np.ndarray, depth: np.ndarray, judged: np.ndarray) -> Crossings:
        """Find every border of things that are judged.

        Args:
            thing: Thing of every pixel, int, shape [H, W].
            depth: Distance to the image plane [m], float32, shape [H, W]; ``inf`` where no hit.
            judged: Whether a thing is looked at when it is the near one, bool.
        """
        parts = []
        for down, right in ((0, 1), (1, 0)):
            ends = np.flatnonzero(thing[down:, right:] != thing[: -down or None, : -right or None])
            y, x = np.divmod(ends, thing.shape[1] - right)
            for sign in (1, -1):  # the thing in front ends at the later pixel, or at the earlier one
                late, soon = (y + down, x + right), (y, x)
                front, back = (late, soon) if sign > 0 else (soon, late)
                border = judged[thing[front]] & (depth[back] > np.float32(_JUMP) * depth[front])
                found = np.flatnonzero(border)
                steps = np.tile([[sign * down], [sign * right]], len(found))
                parts.append(np.concatenate([np.stack(front)[:, found], steps]))
        y, x, down, right = np.concatenate(parts, axis=1)
        return cls(
            thing=thing, y=y, x=x, down=down, right=right, near=thing[y, x], far=thing[y - down, x - right]
        )  # fmt: skip

    def take(self, rows: np.ndarray) -> Crossings:
        """Return some lines."""
        return Crossings(thing=self.thing, **{f.name: getattr(self, f.name)[rows] for f in fields(self)[1:] if f.init})

    def thinned(self, most: int) -> Crossings:
        """Return at most so many lines a pair, spread evenly over it; pairs stand together."""
        pair = self.near.astype(np.int64) * (int(self.thing.max()) + 1) + self.far
        order = np.argsort(pair, kind="stable")
        starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
        counts = np.diff(np.append(starts, len(order)))
        rank = np.arange(len(order)) - np.repeat(starts, counts)
        return self.take(order[rank % np.repeat(-(-counts // most), counts) == 0])

    def at(self, picture: np.ndarray, steps: int | Sequence[int]) -> np.ndarray:
        """Look at a picture [H, W, ...] so many pixels inwards (outwards below 0), on its rim where that is outside.

        Returns:
            Shape [N, ...], or [S, N, ...] of S steps.
        """
        looked: np.ndarray = picture.reshape(self.thing.size, *picture.shape[2:]).take(self._places(steps)[0], axis=0)
        return looked

    def _places(self, steps: int | Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of the pixels so many inwards, on the rim where that is outside, and whether they are inside."""
        key = steps if isinstance(steps, int) else tuple(steps)
        if key not in self._known:
            by, (height, width) = np.expand_dims(steps, -1), self.thing.shape
            y, x = self.y + by * self.down, self.x + by * self.right
            down, right = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
            self._known[key] = down * width + right, (down == y) & (right == x)
        return self._known[key]

    def inside(self, steps: int | Sequence[int]) -> np.ndarray:
        """Whether the pixels there are still of the near thing (0 and above) or the far one (below 0)."""
        owner = np.where(np.expand_dims(steps, -1) >= 0, self.near, self.far)
        return np.asarray(self._places(steps)[1] & (self.at(self.thing, steps) == owner))

    def weights(self, steps: Sequence[int]) -> np.ndarray:
        """Weights that average over some steps, of each line over as many as are `inside` one after the other.

        Args:
            steps: From the border away; every line must be inside at the first.

        Returns:
            float32, shape [S, N, 1]; the sum of each line is 1.
        """
        whole = np.logical_and.accumulate(self.inside(steps), axis=0)
        share: np.ndarray = whole / np.maximum(whole.sum(axis=0), 1).astype(np.float32)
        return share.astype(np.float32)[..., None]

    def mean(self, picture: np.ndarray, steps: Sequence[int], weights: np.ndarray) -> np.ndarray:
        """Average a picture, float32 [H, W, 3], over some steps by their `weights`; shape [N, 3]."""
        averaged: np.ndarray = (self.at(picture, steps) * weights).sum(axis=0)
        return averaged


__all__ = ["Crossings"]
