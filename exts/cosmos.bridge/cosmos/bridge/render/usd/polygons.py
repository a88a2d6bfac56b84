"""Triangulation of polygons: fans where those are right, ear clipping for the few concave ones."""

from __future__ import annotations

from typing import Union

import numpy as np


def triangulate(
    points: np.ndarray,
    counts: np.ndarray,
    indices: np.ndarray,
    *,
    holes: np.ndarray,
    left_handed: Union[bool, np.ndarray] = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut polygons into counter-clockwise triangles.

    Args:
        points: Shape [V, 3].
        counts: Corners of each polygon, shape [P].
        indices: Point index of each face-vertex, shape [sum of counts].
        holes: Polygons that are not drawn.
        left_handed: Whether the polygons are wound clockwise; one for all, or bool [P].

    Returns:
        Face-vertex index of each corner, int64 [F, 3], and the polygon of each triangle, int64 [F].
    """
    offsets = np.cumsum(counts) - counts
    fans = np.maximum(counts - 2, 0)
    fans[holes[(holes >= 0) & (holes < len(counts))]] = 0
    faces = np.repeat(np.arange(len(counts)), fans)
    step = np.arange(len(faces)) - np.repeat(np.cumsum(fans) - fans, fans) + 1
    corners = offsets[faces][:, None] + np.stack([np.zeros_like(step), step, step + 1], axis=1)
    if (fans > 1).any():
        corners = _mend_concave(points, counts, indices, offsets, corners, faces)
    if np.any(left_handed):
        turned = np.broadcast_to(left_handed, counts.shape)[faces]
        corners = np.where(turned[:, None], corners[:, [0, 2, 1]], corners)
    return corners, faces


def _mend_concave(
    points: np.ndarray,
    counts: np.ndarray,
    indices: np.ndarray,
    offsets: np.ndarray,
    corners: np.ndarray,
    faces: np.ndarray,
) -> np.ndarray:
    """Cut anew each polygon in which a triangle of the fan turns against the polygon."""
    a, b, c = (points[indices[corners[:, k]]].astype(np.float64) for k in range(3))
    p, q = (b - a).T, (c - a).T  # not np.cross, which costs more than all the rest on a small mesh
    normals = np.stack([p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]], axis=1)
    whole = np.stack([np.bincount(faces, normals[:, axis], len(counts)) for axis in range(3)], axis=1)
    against = np.einsum("ij,ij->i", normals, whole[faces]) < 0.0
    if not against.any():
        return corners
    corners = corners.copy()
    starts = np.searchsorted(faces, np.flatnonzero(np.bincount(faces[against])))
    for start in starts:
        face = int(faces[start])
        first, count = int(offsets[face]), int(counts[face])
        ring = points[indices[first : first + count]].astype(np.float64)
        corners[start : start + count - 2] = first + _clip_ears(ring, whole[face])
    return corners


def _clip_ears(ring: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Cut one polygon by ear clipping; shape [N, 3] to int64 [N - 2, 3]."""
    axis = int(np.argmax(np.abs(normal)))
    flat = np.delete(ring, axis, axis=1)
    if (normal[axis] < 0.0) != (axis == 1):
        flat = flat[:, ::-1]
    left = list(range(len(ring)))
    cut: list[tuple[int, int, int]] = []
    while len(left) > 3:
        place = next((k for k in range(len(left)) if _is_ear(flat, left, k)), None)
        if place is None:  # a ring that crosses itself has no ear: any cut is as good
            place = 0
        cut.append((left[place - 1], left[place], left[(place + 1) % len(left)]))
        del left[place]
    cut.append((left[0], left[1], left[2]))
    return np.array(cut, np.int64)


def _is_ear(flat: np.ndarray, left: list[int], place: int) -> bool:
    """Whether the corner turns left and no other corner lies inside its triangle."""
    before, here, after = left[place - 1], left[place], left[(place + 1) % len(left)]
    a, b, c = flat[before], flat[here], flat[after]
    if _turn(a, b, c) <= 0.0:
        return False
    others = flat[[k for k in left if k not in (before, here, after)]]
    inside = (_turn(a, b, others) >= 0.0) & (_turn(b, c, others) >= 0.0) & (_turn(c, a, others) >= 0.0)
    return not bool(inside.any())


def _turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Twice the signed area of the triangle(s) a, b, c."""
    return (b[0] - a[0]) * (c[..., 1] - a[1]) - (b[1] - a[1]) * (c[..., 0] - a[0])


__all__ = ["triangulate"]
