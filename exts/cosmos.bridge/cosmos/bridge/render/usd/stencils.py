"""Curves as stencils: which control points, with which weights, make each sample along a strand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Rows: powers u^0..u^3 of the segment's parameter; columns: its four control points.
_BASES = {
    "bezier": np.array([[1, 0, 0, 0], [-3, 3, 0, 0], [3, -6, 3, 0], [-1, 3, -3, 1]], np.float64),
    "bspline": np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]], np.float64) / 6.0,
    "catmullRom": np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]], np.float64) / 2.0,
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Strand:
    """How the samples of one strand follow from its control points, indices counted from its first one."""

    index: np.ndarray
    """int64 [M, K], control points of each sample."""
    weight: np.ndarray
    """float64 [M, K], sums to one."""
    place: np.ndarray
    """float64 [M], segments passed at each sample, in [0, segments]."""
    segments: int
    closed: bool
    """Whether the last sample is joined to the first."""


def basis_strand(count: int, *, kind: str, basis: str, wrap: str, per_segment: int) -> Strand | None:
    """Return the stencil of a strand of UsdGeomBasisCurves.

    Args:
        count: Control points.
        kind: ``linear`` or ``cubic``.
        basis: ``bezier``, ``bspline`` or ``catmullRom``; only of cubic ones.
        wrap: ``nonperiodic``, ``periodic`` or ``pinned``.
        per_segment: Samples a segment; linear ones need and take one.

    Returns:
        The stencil, or ``None`` where the points are too few for a segment, or there is no such basis.
    """
    closed = wrap == "periodic"
    if kind == "linear":
        if count < 2:
            return None
        segments = count if closed else count - 1
        samples = np.arange(segments if closed else segments + 1)
        return Strand(
            index=samples[:, None] % count,
            weight=np.ones((len(samples), 1)),
            place=samples.astype(np.float64),
            segments=segments,
            closed=closed,
        )
    if basis not in _BASES:
        return None
    step = 3 if basis == "bezier" else 1
    pinned = wrap == "pinned" and basis != "bezier"
    if closed:
        segments = count // step if count >= 3 else 0
    else:
        segments = (count - 4) // step + 1 if not pinned else count - 1
    if segments < 1:
        return None
    place = np.arange(segments * per_segment + (0 if closed else 1)) / per_segment
    segment = np.minimum(place.astype(np.int64), segments - 1)
    powers = (place - segment)[:, None] ** np.arange(4)
    weight = powers @ _BASES[basis]
    index = segment[:, None] * step + np.arange(4)
    if closed:
        index %= count
    elif pinned:
        index, weight = _without_phantoms(index - 1, weight, count)
    return Strand(index=index, weight=weight, place=place, segments=segments, closed=closed)


def _without_phantoms(index: np.ndarray, weight: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Replace the points before the first (2 p0 - p1) and after the last one by what they are made of."""
    before, after = index < 0, index >= count
    ends = np.where(before, 0, count - 1)
    beside = np.where(before, 1, count - 2)
    phantom = before | after
    first = np.where(phantom, ends, index)
    double = np.where(phantom, 2.0 * weight, weight)
    return (
        np.concatenate([first, np.where(phantom, beside, 0)], axis=1),
        np.concatenate([double, np.where(phantom, -weight, 0.0)], axis=1),
    )


def nurbs_strand(
    count: int, order: int, knots: np.ndarray, weights: np.ndarray, span: tuple[float, float], *, per_segment: int
) -> Strand | None:
    """Return the stencil of one curve of UsdGeomNurbsCurves, by the Cox-de Boor recursion.

    Args:
        count: Control points.
        order: Degree plus one.
        knots: float64 [count + order], not decreasing.
        weights: float64 [count], rational weights.
        span: First and last parameter drawn.
        per_segment: Samples between two knots.

    Returns:
        The stencil, or ``None`` where the numbers do not make a curve.
    """
    if order < 2 or count < order or len(knots) != count + order or (np.diff(knots) < 0.0).any():
        return None
    low, high = max(span[0], knots[order - 1]), min(span[1], knots[count])
    if not low < high:
        return None
    inner = np.unique(np.concatenate([[low, high], knots[(knots > low) & (knots < high)]]))
    share = np.arange(per_segment) / per_segment
    parameter = np.append((inner[:-1, None] + np.diff(inner)[:, None] * share).reshape(-1), high)
    place = np.arange(len(parameter)) / per_segment
    # The knot interval of each sample; the last one counts as the end of the last interval that is not empty.
    interval = np.searchsorted(knots, parameter, side="right") - 1
    interval = np.minimum(interval, np.searchsorted(knots, high, side="left") - 1)
    basis = np.ones((len(parameter), 1))
    for degree in range(1, order):
        columns = interval[:, None] - degree + 1 + np.arange(degree)
        left, right = knots[columns], knots[columns + degree]
        width = right - left
        ratio = np.divide(parameter[:, None] - left, width, out=np.zeros_like(width), where=width > 0.0)
        higher = np.zeros((len(parameter), degree + 1))
        higher[:, :-1] += (1.0 - ratio) * basis
        higher[:, 1:] += ratio * basis
        basis = higher
    index = interval[:, None] - order + 1 + np.arange(order)
    rational = basis * weights[index]
    total = rational.sum(1, keepdims=True)
    if not (np.isfinite(total) & (total > 0.0)).all():
        return None
    return Strand(index=index, weight=rational / total, place=place, segments=len(inner) - 1, closed=False)


__all__ = ["Strand", "basis_strand", "nurbs_strand"]
