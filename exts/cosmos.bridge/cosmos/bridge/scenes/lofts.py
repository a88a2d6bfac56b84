"""Smooth bodies drawn over cross sections: people, cars, anything that no box or turned profile makes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cosmos.bridge.scenes.shapes import Shape


def ring(width: float, depth: float, *, sides: int = 16, power: float = 2.0) -> np.ndarray:
    """Return a superellipse |x / a|^p + |y / b|^p = 1 around the origin, counter-clockwise, float64 [sides, 2].

    Args:
        width: Length along the first axis [m].
        depth: Length along the second axis [m].
        sides: Corners.
        power: 2 is an ellipse; more is boxier.
    """
    angles = 2.0 * np.pi * np.arange(sides) / sides
    cosine, sine = np.cos(angles), np.sin(angles)
    scale = (np.abs(cosine) ** power + np.abs(sine) ** power) ** (-1.0 / power)
    return np.stack([0.5 * width * scale * cosine, 0.5 * depth * scale * sine], axis=1)


def loft(rings: Sequence[np.ndarray] | np.ndarray) -> Shape:
    """Skin a row of closed rings and close both ends; shaded smoothly, the ends flat.

    Args:
        rings: Points of each ring [m], shape [R, S, 3], R >= 2; each runs counter-clockwise seen against the way from
            the first ring to the last.
    """
    points = np.asarray(rings, dtype=np.float64)
    count, sides = points.shape[:2]
    after = np.roll(np.arange(sides), -1)
    quads = [
        np.stack([row * sides + np.arange(sides), row * sides + after, (row + 1) * sides + after,
                  (row + 1) * sides + np.arange(sides)], axis=1)
        for row in range(count - 1)
    ]  # fmt: skip
    faces = np.concatenate(quads)
    smooth = _smooth_normals(points.reshape(-1, 3), faces)
    around = np.linalg.norm(np.roll(points, -1, axis=1) - points, axis=2).mean(axis=0)
    us = np.concatenate([[0.0], np.cumsum(around)])
    vs = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points.mean(axis=1), axis=0), axis=1))])
    indices, uvs, normals, counts = [faces.ravel()], [], [smooth[faces.ravel()]], [4] * len(faces)
    for row in range(count - 1):
        left, right = us[:-1], us[1:]
        corner = np.stack([left, right, right, left], axis=1)
        height = np.broadcast_to([vs[row], vs[row], vs[row + 1], vs[row + 1]], (sides, 4))
        uvs.append(np.stack([corner, height], axis=2).reshape(-1, 2))
    for end, order in ((0, np.arange(sides)[::-1]), (count - 1, np.arange(sides))):
        cap = points[end][order]
        normal = np.cross(cap, np.roll(cap, -1, axis=0)).sum(axis=0)  # Newell's method
        normal /= max(float(np.linalg.norm(normal)), 1.0e-12)
        indices.append(end * sides + order)
        normals.append(np.tile(normal, (sides, 1)))
        uvs.append(cap[:, :2])
        counts.append(sides)
    return Shape(
        points=points.reshape(-1, 3).astype(np.float32),
        counts=np.array(counts, dtype=np.int32),
        indices=np.concatenate(indices).astype(np.int32),
        uvs=np.concatenate(uvs).astype(np.float32),
        normals=np.concatenate(normals).astype(np.float32),
    )


def _smooth_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return the mean of the face normals around each point, weighted by area, unit."""
    corners = points[faces]
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    total = np.zeros_like(points)
    for corner in range(4):
        np.add.at(total, faces[:, corner], normal)
    return np.asarray(total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1.0e-12))


def upright(sections: Sequence[tuple[float, float, float, float]], *, sides: int = 16, power: float = 2.3) -> Shape:
    """Make a body that rises along Z.

    Args:
        sections: ``(z, depth along x, width along y, shift along x)`` from bottom to top [m].
        sides: Corners around.
        power: Boxiness of the sections, 2 is an ellipse.
    """
    rows = []
    for z, depth, width, shift in sections:
        flat = ring(depth, width, sides=sides, power=power)
        rows.append(np.stack([flat[:, 0] + shift, flat[:, 1], np.full(sides, z)], axis=1))
    return loft(rows)


def hull(
    sections: Sequence[tuple[float, float, float, float]], *, sides: int = 24, power: float = 4.0, tuck: float = 0.0
) -> Shape:
    """Make a body that lies along X, mirrored in y = 0.

    Args:
        sections: ``(x, bottom, top, width)`` from back to front [m].
        sides: Corners around.
        power: Boxiness of the sections, 2 is an ellipse.
        tuck: Share by which the top is narrower than the bottom.
    """
    rows = []
    for x, low, high, width in sections:
        flat = ring(width, high - low, sides=sides, power=power)
        share = flat[:, 1] / max(high - low, 1.0e-9) + 0.5
        y = flat[:, 0] * (1.0 - tuck * share)
        rows.append(np.stack([np.full(sides, x), y, 0.5 * (low + high) + flat[:, 1]], axis=1))
    return loft(rows)


__all__ = ["hull", "loft", "ring", "upright"]
