"""Noise that stays on surfaces: what a seed draws moves with what it was drawn on, so that nothing boils."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

import numpy as np

if TYPE_CHECKING:
    from cosmos.bridge.types import Clip

_GOLDEN, _MIX = np.uint64(0x9E3779B97F4A7C15), (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class AnchoredNoise:
    """Standard normal noise of one view, frame after frame.

    Each site keeps the place where its surface was first seen, and draws its numbers from there; the simulator's motion
    vectors carry places from frame to frame, to a fraction of a site. What comes into view is a new place. Without
    motion vectors all frames draw the same.

    Args:
        seed: Decides the numbers.
        size: Height and width of the noise.
        ratio: Pixels of the clip a site, along each side.
    """

    def __init__(self, seed: int, size: tuple[int, int], ratio: int) -> None:
        self._seed, self._size, self._ratio = seed, size, ratio
        self._sites = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), axis=-1).astype(np.float64)
        self._places: np.ndarray = self._sites
        self._born = np.zeros(size, dtype=np.int64)
        self._ids: Optional[np.ndarray] = None
        self._frames = 0

    def next(self, clip: Clip, frame: int) -> np.ndarray:
        """Return the noise of the next frame, which is ``frame`` of ``clip``; float32, shape [3, h, w]."""
        motion = None if clip.motion is None else self._sampled(clip.motion[frame].numpy()).astype(np.float64)
        ids = None if clip.instance_ids is None else self._sampled(clip.instance_ids[frame].numpy())
        if self._frames > 0 and motion is not None:
            self._carry(motion[..., ::-1] / self._ratio, ids)
        self._ids = ids
        self._frames += 1
        return gaussians(self._seed, self._born, np.floor(self._places + 0.5).astype(np.int64))

    def _sampled(self, buffer: np.ndarray) -> np.ndarray:
        """Return what a buffer says at the middle of each site; beyond the picture, at its rim."""
        rows, columns = (
            np.minimum(np.arange(count) * self._ratio + self._ratio // 2, side - 1)
            for count, side in zip(self._size, buffer.shape[:2], strict=True)
        )
        sampled: np.ndarray = buffer[rows[:, None], columns[None]]
        return sampled

    def _carry(self, motion: np.ndarray, ids: Optional[np.ndarray]) -> None:
        """Fetch the place of each site from where its surface was; ``motion`` in sites, down and across."""
        came = self._sites + motion
        known = np.isfinite(came).all(axis=-1)
        nearest = np.floor(np.where(known[..., None], came, 0.0) + 0.5)
        known &= ((nearest >= 0.0) & (nearest < self._size)).all(axis=-1)
        row, column = np.where(known[..., None], nearest, 0.0).astype(np.int64).transpose(2, 0, 1)
        if ids is not None and self._ids is not None:
            known &= self._ids[row, column] == ids
        rest = np.where(known[..., None], came - nearest, 0.0)
        self._places = np.where(known[..., None], self._places[row, column] + rest, self._sites)
        self._born = np.where(known, self._born[row, column], self._frames)


def gaussians(seed: int, born: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Draw three standard normal numbers for each site, the same for the same seed, birth and place.

    Args:
        seed: >= 0.
        born: Number of the frame in which the site's surface was first seen, int64, shape [h, w].
        places: Where that was, int64, shape [h, w, 2].

    Returns:
        float32, shape [3, h, w]. Uniform numbers are hashed (Steele et al. 2014, SplitMix64) and made normal by Box and
        Muller (1958).
    """
    with np.errstate(over="ignore"):
        key = np.full(born.shape, seed & 0xFFFFFFFFFFFFFFFF, dtype=np.uint64)
        for part in (born, places[..., 0], places[..., 1]):
            key = _mixed(key + _GOLDEN + part.astype(np.uint64))
        uniform = [
            ((_mixed(key + np.uint64(count) * _GOLDEN) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
            for count in range(1, 5)
        ]
    far, turn = (np.sqrt(-2.0 * np.log(u)) for u in uniform[:2]), (2.0 * np.pi * u for u in uniform[2:])
    (near, other), (first, second) = far, turn
    drawn = np.stack([near * np.cos(first), near * np.sin(first), other * np.cos(second)])
    return drawn.astype(np.float32)


def _mixed(key: np.ndarray) -> np.ndarray:
    key = (key ^ (key >> np.uint64(30))) * _MIX[0]
    key = (key ^ (key >> np.uint64(27))) * _MIX[1]
    mixed: np.ndarray = key ^ (key >> np.uint64(31))
    return mixed


__all__ = ["AnchoredNoise", "gaussians"]
