"""What source and result show across the outlines of things: how much they differ from what lies behind them."""

from __future__ import annotations

from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.checks.groups import Groups

_ACROSS = 3
"""Distance of the two pixels that are compared across an outline [px]: one on the thing, one behind it."""
_SOFT = 1.2
"""Blur of the pictures before that, standard deviation [px]: flakes and noise are smaller than what is looked for."""
_BEHIND = 0.98
"""Share of a thing's depth from which on another surface lies behind it, or beside it."""


class Rims:
    """Adds up products of colour differences across the outline of every thing, source and result together.

    What is gone leaves no difference, whatever stands there now; light, haze and paint change one, but where the
    source has one they leave one. A pair of pixels speaks unless the result is dark all around both.

    Args:
        count: How many things there are.
    """

    def __init__(self, count: int) -> None:
        self.products = np.zeros((count, 6, 6))
        """Sums of products of differences: three channels of the source, then three of the result."""
        self.pairs = np.zeros(count)
        """How many pairs."""

    def add(
        self,
        thing: np.ndarray,
        depth: Optional[np.ndarray],
        pictures: tuple[np.ndarray, np.ndarray],
        hidden: np.ndarray,
        large: np.ndarray,
    ) -> None:
        """Take a frame in.

        Args:
            thing: Things, int, shape [H, W].
            depth: [m], what was not hit far away, shape [H, W]; without it every neighbour counts as behind.
            pictures: Source and result, float32, shape [H, W, 3].
            hidden: Where the result is dark all around, or overexposed, bool, shape [H, W].
            large: Which things are looked at, bool, shape [count].
        """
        here, there = _across(thing, depth, hidden, large)
        groups = Groups.of(thing.reshape(-1)[here], len(self.pairs))
        here, there = here[groups.order], there[groups.order]
        columns = [
            channel.take(there) - channel.take(here)
            for picture in pictures
            for channel in cv2.split(cv2.GaussianBlur(picture, (0, 0), _SOFT))
        ]
        self.products += groups.products(columns)
        self.pairs += groups.sizes


def _across(
    thing: np.ndarray, depth: Optional[np.ndarray], hidden: np.ndarray, large: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the pixels of large things, and of those across their outline, in all four directions."""
    height, width = thing.shape
    number = np.arange(thing.size).reshape(thing.shape)
    found = []
    for down, right in ((0, _ACROSS), (_ACROSS, 0)):
        first = (slice(0, height - down), slice(0, width - right))
        second = (slice(down, None), slice(right, None))
        differ = (thing[first] != thing[second]) & ~(hidden[first] & hidden[second])
        a, b = number[first][differ], number[second][differ]
        found += [(a, b), (b, a)]
    here, there = (np.concatenate(side) for side in zip(*found, strict=True))
    told = large[thing.reshape(-1)[here]]
    if depth is not None:
        flat = depth.reshape(-1)
        told &= flat[there] >= _BEHIND * flat[here]
    return here[told], there[told]


__all__ = ["Rims"]
