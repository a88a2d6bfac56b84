"""Short lines across the borders at which a near thing ends before a far one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

_JUMP = 1.05
"""So many times as far away is behind."""
_DIRECTIONS = ((0, 1), (0, -1), (1, 0), (-1, 0))


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

    @classmethod
    def of(cls, thing: np.ndarray, depth: np.ndarray, judged: np.ndarray) -> Crossings:
        """Find every border of things that are judged.

        Args:
            thing: Thing of every pixel, int, shape [H, W].
            depth: Distance to the image plane [m], float32, shape [H, W]; ``inf`` where no hit.
            judged: Whether a thing is looked at when it is the near one, bool.
        """
        parts = []
        for down, right in _DIRECTIONS:
            ahead = (slice(max(down, 0), thing.shape[0] + min(down, 0)),
                     slice(max(right, 0), thing.shape[1] + min(right, 0)))  # fmt: skip
            behind = (slice(max(-down, 0), thing.shape[0] + min(-down, 0)),
                      slice(max(-right, 0), thing.shape[1] + min(-right, 0)))  # fmt: skip
            border = thing[ahead] != thing[behind]
            border &= depth[behind] > np.float32(_JUMP) * depth[ahead]
            border &= judged[thing[ahead]]
            y, x = np.nonzero(border)
            y, x = y + ahead[0].start, x + ahead[1].start
            parts.append(np.stack([y, x, np.full(len(y), down), np.full(len(y), right)]))
        y, x, down, right = np.concatenate(parts, axis=1)
        return cls(
            thing=thing, y=y, x=x, down=down, right=right, near=thing[y, x], far=thing[y - down, x - right]
        )  # fmt: skip

    def take(self, rows: np.ndarray) -> Crossings:
        """Return some lines."""
        return Crossings(
            thing=self.thing, **{f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "thing"}
        )

    def thinned(self, most: int) -> Crossings:
        """Return at most so many lines a pair, spread evenly over it; pairs stand together."""
        pair = self.near.astype(np.int64) * (int(self.thing.max()) + 1) + self.far
        order = np.argsort(pair, kind="stable")
        starts = np.flatnonzero(np.diff(pair[order], prepend=-1))
        counts = np.diff(np.append(starts, len(order)))
        rank = np.arange(len(order)) - np.repeat(starts, counts)
        return self.take(order[rank % np.repeat(-(-counts // most), counts) == 0])

    def at(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns so many pixels inwards (outwards below 0), within the picture."""
        height, width = self.thing.shape
        return (
            np.clip(self.y + step * self.down, 0, height - 1),
            np.clip(self.x + step * self.right, 0, width - 1),
        )

    def inside(self, step: int) -> np.ndarray:
        """Whether the pixel there is still the near thing (0 and above) or the far one (below 0)."""
        y, x = self.at(step)
        there = (y == self.y + step * self.down) & (x == self.x + step * self.right)
        return there & (self.thing[y, x] == (self.near if step >= 0 else self.far))

    def mean(self, picture: np.ndarray, steps: Iterable[int]) -> np.ndarray:
        """Average a picture over some steps, of each line as many as are `inside` one after the other.

        Args:
            picture: float32, shape [H, W, 3].
            steps: From the border away; every line must be inside at the first.

        Returns:
            float32, shape [N, 3].
        """
        total, count = np.zeros((len(self.y), 3), np.float32), np.zeros(len(self.y), np.float32)
        whole = np.ones(len(self.y), bool)
        for step in steps:
            whole &= self.inside(step)
            total += picture[self.at(step)] * whole[:, None]
            count += whole
        averaged: np.ndarray = total / np.maximum(count, 1.0)[:, None]
        return averaged


__all__ = ["Crossings"]
