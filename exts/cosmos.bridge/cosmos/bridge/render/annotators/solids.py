"""Boxes of things along the axes of their own prims."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from cosmos.bridge.render.annotators.things import Thing
from cosmos.bridge.types import FrameDetails


def local_boxes(details: FrameDetails, things: Sequence[Thing]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return poses (own space to world [m], column vectors), least and greatest corners [m] of things.

    Corners hold the corners of the parts' own boxes, as USD's bounds do; NaN where no part is visible.

    Args:
        details: What the renderer can tell of the frame.
        things: K of them.

    Returns:
        float64, shapes [K, 4, 4], [K, 3] and [K, 3].
    """
    if not things:
        return np.zeros((0, 4, 4)), np.zeros((0, 3)), np.zeros((0, 3))
    counts = np.array([len(thing.members) for thing in things])
    members = np.array([key for thing in things for key in thing.members])
    starts = np.cumsum(counts) - counts
    own, poses = details.prim_poses([thing.prim_path for thing in things]), details.local_poses(members)
    lost = np.flatnonzero(~_have_inverse(own))  # a point of an instancer is no prim; a flat thing has no way back
    leaves = poses[starts[lost]]
    own[lost] = np.where(_have_inverse(leaves)[:, None, None], leaves, np.eye(4))
    ends, axes = details.local_bounds(members), np.arange(3)
    picks = np.array(list(product((0, 1), repeat=3)))
    corners = np.ones((len(members), 8, 4))
    corners[..., :3] = ends[:, picks, axes]
    into = np.repeat(np.linalg.inv(own), counts, axis=0) @ poses
    local = np.einsum("mij,mkj->mki", into, corners)[..., :3]
    there = np.isfinite(local).all(axis=(1, 2))[:, None]
    low = np.minimum.reduceat(np.where(there, local.min(axis=1), np.inf), starts)
    high = np.maximum.reduceat(np.where(there, local.max(axis=1), -np.inf), starts)
    seen = np.isfinite(low)
    return own, np.where(seen, low, np.nan), np.where(seen, high, np.nan)


def _have_inverse(matrices: np.ndarray) -> np.ndarray:
    """Return which affine matrices, [K, 4, 4], have an inverse."""
    finite = np.isfinite(matrices).all(axis=(1, 2))
    return finite & (np.abs(np.linalg.det(np.where(finite[:, None, None], matrices, 0.0)[:, :3, :3])) > 1e-30)


__all__ = ["local_boxes"]
