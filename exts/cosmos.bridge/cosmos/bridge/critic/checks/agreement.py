"""How well an outline of the result lies on the source's, in place and under every small shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from cosmos.bridge.critic.limits import Limits


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Agreement:
    """Agreement of outlines, one row each; 1 is the source's own in place, 0 what chance gives beside it."""

    presence: np.ndarray
    """Agreement in place, float64, shape [N]."""
    margin: np.ndarray
    """Agreement at the best shift away from there, less that in place; -1 where the source itself repeats there."""
    shift: np.ndarray
    """That shift ``(down, right)`` [px], shape [N, 2]."""
    distinct: np.ndarray
    """Share of the source's own score that its place explains: low for hatched and crowded outlines."""


def agree(
    source: np.ndarray,
    result: np.ndarray,
    *,
    limits: Limits,
    near: float,
    away: float,
    across: Optional[np.ndarray] = None,
) -> Agreement:
    """Read shift scores.

    Args:
        source: Scores of the source under every shift, shape [N, K, K] (`kernels.shifts.shift_scores`).
        result: Scores of the result.
        limits: How to search.
        near: What still counts as in place [px].
        away: What counts as displaced [px], above ``near``.
        across: Direction ``(x, y)`` in which displacement is told, for outlines that are straight, shape [N, 2]; zero
            where it is told in all. ``None`` is all zero.
    """
    radius = limits.search_radius
    offset = np.arange(-radius, radius + 1)
    down, right = (axis.ravel() for axis in np.meshgrid(offset, offset, indexing="ij"))
    distance = np.hypot(down, right)
    inside = distance <= radius + 0.5
    here, far = distance <= near, inside & (distance >= limits.chance_shift)
    reach = np.broadcast_to(distance, (len(source), len(distance)))
    if across is not None:
        straight = (across != 0.0).any(axis=1, keepdims=True)
        told = np.abs(across[:, :1] * right + across[:, 1:] * down)
        reach = np.where(straight, told, reach)
    flat, flat_source = result.reshape(len(result), -1), source.reshape(len(source), -1)
    floor, floor_source = flat[:, far].mean(axis=1), flat_source[:, far].mean(axis=1)
    own = flat_source[:, here].max(axis=1)
    scale = np.maximum(own - floor_source, 1e-6)
    presence = (flat[:, here].max(axis=1) - floor) / scale
    best = np.where(inside & (reach >= away), flat, -np.inf).argmax(axis=1)
    rows = np.arange(len(flat))
    repeats = (flat_source[rows, best] - floor_source) / scale > limits.shift_repeats
    margin = np.where(repeats, -1.0, (flat[rows, best] - floor) / scale - presence)
    return Agreement(
        presence=presence,
        margin=margin,
        shift=np.stack([down[best], right[best]], axis=1).astype(np.float64),
        distinct=scale / np.maximum(own, 1e-6),
    )


__all__ = ["Agreement", "agree"]
