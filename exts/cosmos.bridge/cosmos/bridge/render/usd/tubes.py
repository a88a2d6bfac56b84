"""Strands as triangles: round tubes, or ribbons where a normal says how they lie."""

from __future__ import annotations

import numpy as np

from cosmos.bridge.render.usd.normals import unit

_MOST_MITRE = 2.0
"""A sharp bend is widened at most so much, so that a fold does not make a spike."""


def tangents(points: np.ndarray, closed: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the direction to the next sample, that of each sample, and how its ring is widened, each [C, M, 3].

    A ring lies in the plane that halves the bend; there the tube's section is an ellipse, longer by ``1 / cos`` of half
    the bend. The last result is the bend's direction, its length the extra part.

    Args:
        points: Samples of strands of one length, float64 [C, M, 3].
        closed: Whether the last sample is joined to the first.
    """
    ahead = unit(np.roll(points, -1, axis=1) - points)
    if not closed:
        ahead[:, -1] = ahead[:, -2]
    ahead = _filled(ahead)
    behind = np.roll(ahead, 1, axis=1)
    if not closed:
        behind[:, 0] = ahead[:, 0]
    along = unit(ahead + behind)
    turned_back = (along == 0.0).all(-1)
    along[turned_back] = ahead[turned_back]
    cosine = (along * ahead).sum(-1, keepdims=True)
    extra = np.minimum(1.0 / np.maximum(cosine, 1e-3), _MOST_MITRE) - 1.0
    bend = ahead - behind
    return ahead, along, unit(bend - (bend * along).sum(-1, keepdims=True) * along) * extra


def _filled(directions: np.ndarray) -> np.ndarray:
    """Give a sample that coincides with the next one the direction before it, or the first there is."""
    missing = (directions == 0.0).all(-1)
    if not missing.any():
        return directions
    count = directions.shape[1]
    last = np.maximum.accumulate(np.where(missing, -1, np.arange(count)[None]), axis=1)
    first = np.argmax(~missing, axis=1)
    filled = np.take_along_axis(directions, np.where(last < 0, first[:, None], last)[..., None], axis=1)
    filled[(filled == 0.0).all(-1)] = (0.0, 0.0, 1.0)
    return filled


def frames(ahead: np.ndarray, along: np.ndarray, closed: bool) -> np.ndarray:
    """Return a direction across each sample that turns as little as can be, unit, [C, M, 3].

    Bergou, Wardetzky, Robinson, Audoly and Grinspun, Discrete Elastic Rods, 2008 (parallel transport). On
    closed strands what is left at the end is spread over all samples.

    Args:
        ahead: Direction from each sample to the next, unit, [C, M, 3].
        along: Direction of each sample, unit, [C, M, 3].
        closed: Whether the last sample is joined to the first.
    """
    axis = np.eye(3)[np.argmin(np.abs(along[:, 0]), axis=-1)]
    across = np.empty_like(along)
    across[:, 0] = unit(np.cross(along[:, 0], axis))
    count = along.shape[1]
    for k in range(count if closed else count - 1):
        after = (k + 1) % count
        # The least turn from a to b, of something across a, is the reflection at a + b.
        turned = _reflect(_reflect(across[:, k], along[:, k] + ahead[:, k]), ahead[:, k] + along[:, after])
        turned = unit(turned - (turned * along[:, after]).sum(-1, keepdims=True) * along[:, after])
        if after:
            across[:, after] = turned
    if closed:
        side = np.cross(along[:, 0], turned)
        angle = np.arctan2((across[:, 0] * side).sum(-1), (across[:, 0] * turned).sum(-1))
        share = angle[:, None, None] * (np.arange(count) / count)[None, :, None]
        across = np.cos(share) * across + np.sin(share) * np.cross(along, across)
    return across


def _reflect(vector: np.ndarray, normal: np.ndarray) -> np.ndarray:
    square = (normal * normal).sum(-1, keepdims=True)
    share = np.divide(
        2.0 * (vector * normal).sum(-1, keepdims=True), square, out=np.zeros_like(square), where=square > 1e-300
    )
    return vector - share * normal


def tube_points(points: np.ndarray, radius: np.ndarray, sides: int, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return rings around strands.

    The rings are many-sided and as wide on the mean as the round tube (Cauchy: mean width = perimeter / pi).

    Args:
        points: float64 [C, M, 3].
        radius: float64 [C, M].
        sides: Points of a ring.
        closed: Whether the last sample is joined to the first.

    Returns:
        Points and outward unit normals, [C, M, sides, 3].
    """
    ahead, along, bend = tangents(points, closed)
    across = frames(ahead, along, closed)
    other = np.cross(along, across)
    angle = np.arange(sides) * (2.0 * np.pi / sides)
    spoke = (
        np.cos(angle)[:, None] * across[..., None, :] + np.sin(angle)[:, None] * other[..., None, :]
    )  # [C, M, sides, 3]
    wider = (spoke * unit(bend)[..., None, :]).sum(-1, keepdims=True) * bend[..., None, :]
    grown = (np.pi / sides) / np.sin(np.pi / sides)
    placed = points[..., None, :] + (spoke + wider) * (radius * grown)[..., None, None]
    normals = spoke - along[..., None, :] * _slope(points, radius, closed)[..., None, None]
    return placed, unit(normals)


def _slope(points: np.ndarray, radius: np.ndarray, closed: bool) -> np.ndarray:
    """Return how much the radius grows a metre along, [C, M]."""
    if closed:
        run = np.linalg.norm(points - np.roll(points, 1, axis=1), axis=-1)
        run, rise = run + np.roll(run, -1, axis=1), np.roll(radius, -1, axis=1) - np.roll(radius, 1, axis=1)
    else:
        step = np.linalg.norm(np.diff(points, axis=1), axis=-1)
        along = np.concatenate([np.zeros((len(points), 1)), np.cumsum(step, axis=1)], axis=1)
        before, after = (
            np.maximum(np.arange(radius.shape[1]) - 1, 0),
            np.minimum(np.arange(radius.shape[1]) + 1, radius.shape[1] - 1),
        )
        run, rise = along[:, after] - along[:, before], radius[:, after] - radius[:, before]
    return np.divide(rise, run, out=np.zeros_like(run), where=run > 1e-12)


def ribbon_points(
    points: np.ndarray, radius: np.ndarray, normals: np.ndarray, closed: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the two rims of flat strands that face along ``normals``; shapes as of ``tube_points`` with two sides."""
    ahead, along, _ = tangents(points, closed)
    facing = normals - (normals * along).sum(-1, keepdims=True) * along
    lost = (facing * facing).sum(-1) < 1e-12
    facing = unit(np.where(lost[..., None], frames(ahead, along, closed), facing))
    across = np.cross(along, facing) * radius[..., None]
    rims = np.stack([points - across, points + across], axis=2)
    return rims, np.repeat(facing[:, :, None], 2, axis=2)


def strip_triangles(strands: int, samples: int, sides: int, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the triangles of tubes (three sides or more, with lids) or ribbons (two).

    Returns:
        Index into rings laid out [strands, samples, sides], int64 [F, 3], and the place of each corner around the ring,
        int64 [F, 3], which runs to ``sides`` where a face closes the ring. Lids come last and have -1 there.
    """
    spans = samples if closed else samples - 1
    around = sides if sides > 2 else 1
    k, j = (grid.reshape(-1) for grid in np.meshgrid(np.arange(spans), np.arange(around), indexing="ij"))
    after = (k + 1) % samples
    low, high = k * sides, after * sides
    side, next_side = j % sides, (j + 1) % sides
    one = np.stack([low + side, low + next_side, high + next_side], axis=1)
    two = np.stack([low + side, high + next_side, high + side], axis=1)
    place_one, place_two = np.stack([j, j + 1, j + 1], axis=1), np.stack([j, j + 1, j], axis=1)
    triangles, places = np.concatenate([one, two]), np.concatenate([place_one, place_two])
    if sides > 2 and not closed:
        fan = np.stack([np.zeros(sides - 2, int), np.arange(1, sides - 1), np.arange(2, sides)], axis=1)
        lids = np.concatenate([fan[:, ::-1], fan + (samples - 1) * sides])
        triangles, places = np.concatenate([triangles, lids]), np.concatenate([places, np.full(lids.shape, -1)])
    every = np.arange(strands)[:, None, None] * (samples * sides)
    return (triangles[None] + every).reshape(-1, 3), np.broadcast_to(places, (strands, *places.shape)).reshape(-1, 3)


__all__ = ["frames", "ribbon_points", "strip_triangles", "tangents", "tube_points"]
