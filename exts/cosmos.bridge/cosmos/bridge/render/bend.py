"""Normals of a surface whose points moved."""

from __future__ import annotations

import numpy as np


def bent_normals(rest: np.ndarray, moved: np.ndarray, triangles: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Return corner normals after each triangle turned from its rest place to its moved one.

    Args:
        rest: Points at rest [m], shape [V, 3].
        moved: The same points now [m], shape [V, 3].
        triangles: int32, shape [F, 3].
        normals: Corner normals at rest, shape [F, 3, 3].
    """
    turns = _frames(moved, triangles) @ np.swapaxes(_frames(rest, triangles), 1, 2)
    return np.einsum("fij,fcj->fci", turns, normals).astype(np.float32)


def _frames(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Return an orthonormal frame of each triangle as columns; zeros for one without area."""
    a, b, c = (points[triangles[:, corner]].astype(np.float64) for corner in range(3))
    along, normal = b - a, np.cross(b - a, c - a)
    along /= np.maximum(np.linalg.norm(along, axis=1), 1e-20)[:, None]
    normal /= np.maximum(np.linalg.norm(normal, axis=1), 1e-30)[:, None]
    return np.stack([along, np.cross(normal, along), normal], axis=2)


__all__ = ["bent_normals"]
