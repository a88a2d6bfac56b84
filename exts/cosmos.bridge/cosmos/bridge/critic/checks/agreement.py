"""How well an outline of the result lies on the source's, in place and under every small shift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np

from cosmos.bridge.critic.limits import Limits

_BLUNT = 0.3
"""Added to how much better an outline could agree elsewhere, so that one that repeats there tells little."""


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
    scores = _scaled(source, result, limits, near)
    inside = scores.distance <= limits.search_radius + 0.5
    reach = np.broadcast_to(scores.distance, scores.source.shape)
    if across is not None:
        straight = (across != 0.0).any(axis=1, keepdims=True)
        told = np.abs(across[:, :1] * scores.right + across[:, 1:] * scores.down)
        reach = np.where(straight, told, reach)
    best = np.where(inside & (reach >= away), scores.result, -np.inf).argmax(axis=1)
    rows = np.arange(len(best))
    margin = np.where(
        scores.source[rows, best] > limits.shift_repeats, -1.0, scores.result[rows, best] - scores.presence
    )
    return Agreement(
        presence=scores.presence,
        margin=margin,
        shift=np.stack([scores.down[best], scores.right[best]], axis=1).astype(np.float64),
        distinct=scores.scale / np.maximum(scores.own, 1e-6),
    )


def shift_gains(
    source: np.ndarray, result: np.ndarray, *, limits: Limits, near: float
) -> tuple[np.ndarray, np.ndarray]:
    """How much better outlines agree under every shift than in place, of how much better they could.

    Args:
        source: Scores of the source under every shift, shape [N, K, K] (`kernels.shifts.shift_scores`).
        result: Scores of the result.
        limits: How to search.
        near: What still counts as in place [px].

    Returns:
        Gains, about -1 where the outline is in place and 1 where it went, float64, shape [N, K, K]; and the source's
        own score in place, shape [N].
    """
    scores = _scaled(source, result, limits, near)
    could = 1.0 - np.clip(scores.source, -1.0, 1.0) + _BLUNT
    return ((scores.result - scores.presence[:, None]) / could).reshape(source.shape), scores.own


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Scores:
    """Scores of outlines, scaled so that 1 is the source's own in place and 0 what chance gives beside it."""

    distance: np.ndarray
    """Length of each shift [px], shape [K * K]."""
    down: np.ndarray
    """How far each goes down [px], int64, shape [K * K]."""
    right: np.ndarray
    """How far each goes to the right [px], int64, shape [K * K]."""
    source: np.ndarray
    """Of the source, float64, shape [N, K * K]."""
    result: np.ndarray
    """Of the result, float64, shape [N, K * K]."""
    presence: np.ndarray
    """Of the result in place, shape [N]."""
    own: np.ndarray
    """The source's own in place, before scaling, shape [N]."""
    scale: np.ndarray
    """How far that lies above chance, shape [N]."""


def _scaled(source: np.ndarray, result: np.ndarray, limits: Limits, near: float) -> _Scores:
    radius = limits.search_radius
    offset = np.arange(-radius, radius + 1)
    down, right = (axis.ravel() for axis in np.meshgrid(offset, offset, indexing="ij"))
    distance = np.hypot(down, right)
    here, far = distance <= near, (distance <= radius + 0.5) & (distance >= limits.chance_shift)
    flat, flat_source = (scores.reshape(len(scores), -1).astype(np.float64) for scores in (result, source))
    floor, floor_source = (scores[:, far].mean(axis=1, keepdims=True) for scores in (flat, flat_source))
    own = flat_source[:, here].max(axis=1)
    scale = np.maximum(own - floor_source[:, 0], 1e-6)
    told = (flat - floor) / scale[:, None]
    return _Scores(
        distance=distance,
        down=down,
        right=right,
        source=(flat_source - floor_source) / scale[:, None],
        result=told,
        presence=told[:, here].max(axis=1),
        own=own,
        scale=scale,
    )


__all__ = ["Agreement", "agree", "shift_gains"]
