"""Shading normals of meshes that come without: smooth over soft edges, sharp over creases."""

from __future__ import annotations

import numpy as np

CREASE_ANGLE = 40.0
"""Faces that meet at a larger angle than this [deg] keep a sharp edge."""
_PAIR_VALENCE = 64
"""Points with more corners than this are split by their mean normal, since pairs of corners would be too many."""


def unit(vectors: np.ndarray) -> np.ndarray:
    """Normalise along the last axis; vectors of length zero stay zero."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))[..., None]  # a sum over an axis this short is slow
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0.0)


def crease_normals(
    points: np.ndarray, triangles: np.ndarray, *, crease_angle: float = CREASE_ANGLE, smooth_all: bool = False
) -> np.ndarray:
    """Return a normal of each corner: the area-weighted mean over the neighbours that bend less than the crease angle.

    Args:
        points: Shape [V, 3].
        triangles: Shape [F, 3], counter-clockwise.
        crease_angle: [deg].
        smooth_all: Smooth over creases too, as a subdivision surface is.

    Returns:
        float32 [F, 3, 3]; a triangle without area faces +Z.
    """
    a, b, c = (points[triangles[:, k]].astype(np.float64) for k in range(3))
    weighted = np.cross(b - a, c - a)
    flat = unit(weighted)
    flat[(flat == 0.0).all(-1)] = (0.0, 0.0, 1.0)
    vertex = triangles.reshape(-1)
    total = np.stack([np.bincount(vertex, weighted[:, k].repeat(3), len(points)) for k in range(3)], axis=1)
    normals = unit(total)[triangles]
    limit = np.cos(np.radians(crease_angle))
    # A mean can bend at most as far as its faces: where each face lies within half the angle, no pair exceeds it.
    bend = (normals * flat[:, None, :]).sum(-1)
    if smooth_all:
        sharp = bend < 1e-3
        return np.where(sharp[..., None], flat[:, None, :], normals).astype(np.float32)
    rough = np.zeros(len(points), bool)
    rough[vertex[bend.reshape(-1) < np.cos(np.radians(crease_angle / 2.0))]] = True
    if rough.any():
        normals = _split(normals, flat, weighted, vertex, rough, limit)
    return normals.astype(np.float32)


def split_at_creases(normals: np.ndarray, points: np.ndarray, triangles: np.ndarray, creases: np.ndarray) -> np.ndarray:
    """Keep the edges sharp that a mesh says are: faces share a normal only where they meet over an edge that is not.

    Args:
        normals: Smooth normals of each corner, shape [F, 3, 3].
        points: Shape [V, 3].
        triangles: Shape [F, 3], counter-clockwise.
        creases: Point indices of the two ends of each sharp edge, int64 [E, 2].

    Returns:
        float32 [F, 3, 3].
    """
    out = np.array(normals, np.float32)
    a, b, c = (points[triangles[:, k]].astype(np.float64) for k in range(3))
    weighted = np.cross(b - a, c - a)
    sharp = {(int(min(edge)), int(max(edge))) for edge in creases}
    on_crease = np.zeros(len(points), bool)
    on_crease[creases.reshape(-1)] = True
    corner = np.flatnonzero(on_crease[triangles.reshape(-1)])
    corner = corner[np.argsort(triangles.reshape(-1)[corner], kind="stable")]
    vertices, first = np.unique(triangles.reshape(-1)[corner], return_index=True)
    for vertex, members in zip(vertices.tolist(), np.split(corner, first[1:]), strict=True):
        for fan in _fans(vertex, (members // 3).tolist(), triangles, sharp):
            total = weighted[fan].sum(0)
            length = float(np.sqrt(total @ total))
            if length > 0.0:
                out[fan, (triangles[fan] == vertex).argmax(1)] = total / length
    return out


def _fans(vertex: int, faces: list[int], triangles: np.ndarray, sharp: set[tuple[int, int]]) -> list[list[int]]:
    """Part the triangles around a point into those that hang together over edges that are not sharp."""
    beside: dict[int, list[int]] = {}
    for face in faces:
        for other in triangles[face].tolist():
            if other != vertex and (min(vertex, other), max(vertex, other)) not in sharp:
                beside.setdefault(other, []).append(face)
    ends = {face: [other for other in triangles[face].tolist() if other in beside] for face in faces}
    fans, left = [], dict.fromkeys(faces)
    while left:
        fan, pending = [], [left.popitem()[0]]
        while pending:
            face = pending.pop()
            fan.append(face)
            for other in ends[face]:
                for neighbour in beside[other]:
                    if neighbour in left:
                        del left[neighbour]
                        pending.append(neighbour)
        fans.append(fan)
    return fans


def _split(
    normals: np.ndarray, flat: np.ndarray, weighted: np.ndarray, vertex: np.ndarray, rough: np.ndarray, limit: float
) -> np.ndarray:
    """Redo the corners at ``rough`` points, each with the neighbours that bend less than the limit."""
    out = normals.reshape(-1, 3).copy()
    corner = np.flatnonzero(rough[vertex])
    corner = corner[np.argsort(vertex[corner], kind="stable")]
    _, first, counts = np.unique(vertex[corner], return_index=True, return_counts=True)
    small = counts <= _PAIR_VALENCE
    for crowded in np.flatnonzero(~small):
        members = corner[first[crowded] : first[crowded] + counts[crowded]]
        sharp = (out[members] * flat[members // 3]).sum(-1) < limit
        out[members[sharp]] = flat[members[sharp] // 3]
    starts, sizes = first[small], counts[small]
    pairs = sizes * sizes
    if pairs.sum():
        group = np.repeat(np.arange(len(sizes)), pairs)
        inner = np.arange(len(group)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
        mine = corner[starts[group] + inner // sizes[group]]
        other = corner[starts[group] + inner % sizes[group]]
        near = (flat[mine // 3] * flat[other // 3]).sum(-1) >= limit
        mine, other = mine[near], other[near]
        sums = np.stack([np.bincount(mine, weighted[other // 3, k], len(out)) for k in range(3)], axis=1)
        touched = np.unique(mine)
        mended = unit(sums[touched])
        flat_there = flat[touched // 3]
        out[touched] = np.where((mended == 0.0).all(-1, keepdims=True), flat_there, mended)
    return out.reshape(normals.shape)


__all__ = ["CREASE_ANGLE", "crease_normals", "split_at_creases", "unit"]
