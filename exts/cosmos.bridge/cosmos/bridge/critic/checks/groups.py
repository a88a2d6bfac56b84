"""Sums over the pixels of each thing, many columns at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Groups:
    """Pixels sorted by what they belong to, so that each owner's lie one after the other."""

    order: np.ndarray
    """Numbers of the pixels, by owner and then as they came, int64, shape [N]."""
    starts: np.ndarray
    """Where each owner that has pixels begins in that, int64, shape [M]."""
    owners: np.ndarray
    """Those owners, rising, shape [M]."""
    count: int
    """How many owners there are, with pixels or without."""

    @classmethod
    def of(cls, owner: np.ndarray, count: int) -> Groups:
        """Sort pixels.

        Args:
            owner: Owner of each pixel, in [0, ``count``), int, shape [N].
            count: How many owners there are.
        """
        key = owner.astype(np.int16 if count < 1 << 15 else np.int32)  # numpy sorts 16 bits many times faster
        order = np.argsort(key, kind="stable")
        sorted_key = key.take(order)
        starts = np.flatnonzero(np.diff(sorted_key, prepend=-1))
        return cls(order=order, starts=starts, owners=sorted_key[starts], count=count)

    @property
    def sizes(self) -> np.ndarray:
        """Pixels of each owner, float64, shape [count]."""
        found = np.zeros(self.count)
        found[self.owners] = np.diff(np.append(self.starts, len(self.order)))
        return found

    def sums(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """Add up what was measured of each owner's pixels.

        Args:
            columns: Values of the pixels in the order of ``order``, K of shape [N].

        Returns:
            float64, shape [K, count]; 0 for owners without pixels.
        """
        found = np.zeros((len(columns), self.count))
        if len(self.starts):
            found[:, self.owners] = np.add.reduceat(np.stack(columns), self.starts, axis=1, dtype=np.float64)
        return found

    def products(self, columns: Sequence[np.ndarray]) -> np.ndarray:
        """Add up products of what was measured of each owner's pixels, of every two columns.

        Args:
            columns: Values of the pixels in the order of ``order``, K of shape [N].

        Returns:
            float64, shape [count, K, K], symmetric.
        """
        one, other = (axis.tolist() for axis in np.triu_indices(len(columns)))
        sums = self.sums([columns[i] * columns[j] for i, j in zip(one, other, strict=True)])
        found = np.zeros((self.count, len(columns), len(columns)))
        found[:, one, other] = found[:, other, one] = sums.T
        return found


__all__ = ["Groups"]
