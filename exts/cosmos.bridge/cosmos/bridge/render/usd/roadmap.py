"""Lines of an HD map: curves and flat meshes of a stage that are labelled, whatever their purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cosmos.bridge.render.usd.labels import Labels, direct_labels, inherit
from cosmos.bridge.types import MapLine

if TYPE_CHECKING:
    from pxr import Usd

_PIECES = 8
"""Straight pieces that a cubic segment is drawn with."""
_BASES = {
    "bezier": ((1, 0, 0, 0), (-3, 3, 0, 0), (3, -6, 3, 0), (-1, 3, -3, 1)),
    "bspline": ((1 / 6, 4 / 6, 1 / 6, 0), (-0.5, 0, 0.5, 0), (0.5, -1, 0.5, 0), (-1 / 6, 0.5, -0.5, 1 / 6)),
    "catmullRom": ((0, 1, 0, 0), (-0.5, 0, 0.5, 0), (1, -2.5, 2, -0.5), (-0.5, 1.5, -1.5, 0.5)),
}
"""Rows: weights of the four control points in 1, t, t^2 and t^3 (UsdGeomBasisCurves)."""


Wanted = Callable[[Labels], bool]


class RoadMap:
    """The labelled curves and meshes of a stage, found once."""

    def __init__(self, stage: Usd.Stage, scale: float) -> None:
        """Walk the stage.

        Args:
            stage: The stage.
            scale: Metres per stage unit.
        """
        from pxr import Usd, UsdGeom

        self._scale = scale
        self._found: list[tuple[Any, Labels]] = []
        time, predicate = Usd.TimeCode.EarliestTime(), Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)
        pending: list[tuple[Any, Labels]] = [(stage.GetPseudoRoot(), {})]
        while pending:
            prim, labels = pending.pop()
            for child in prim.GetFilteredChildren(predicate):
                own = inherit(labels, direct_labels(child, time))
                pending.append((child, own))
                if own and (child.IsA(UsdGeom.BasisCurves) or child.IsA(UsdGeom.Mesh)):
                    self._found.append((child, own))
        self._found.sort(key=lambda item: str(item[0].GetPath()))

    def lines(self, time: Usd.TimeCode, wanted: Wanted) -> tuple[MapLine, ...]:
        """Return curves, and rims of open meshes, that are visible and whose labels are wanted."""
        from pxr import UsdGeom

        cache = UsdGeom.XformCache(time)
        lines = []
        for prim, labels in self._found:
            if not wanted(labels) or UsdGeom.Imageable(prim).ComputeVisibility(time) == UsdGeom.Tokens.invisible:
                continue
            matrix = np.array(cache.GetLocalToWorldTransform(prim), np.float64)
            for points in _lines_of(prim, time):
                if len(points) > 1 and np.isfinite(points).all():
                    world = (points @ matrix[:3, :3] + matrix[3, :3]) * self._scale
                    lines.append(MapLine(prim_path=str(prim.GetPath()), labels=labels, points=world))
        return tuple(lines)


def _lines_of(prim: Any, time: Usd.TimeCode) -> list[np.ndarray]:
    """Return polylines of a prim in its own space and unit, each [N, 3]."""
    from pxr import UsdGeom

    points = np.array(UsdGeom.PointBased(prim).GetPointsAttr().Get(time) or (), np.float64).reshape(-1, 3)
    if prim.IsA(UsdGeom.Mesh):
        counts = np.array(prim.GetAttribute("faceVertexCounts").Get(time) or (), np.int64)
        indices = np.array(prim.GetAttribute("faceVertexIndices").Get(time) or (), np.int64)
        return rims(points, counts, indices)
    curves = UsdGeom.BasisCurves(prim)
    counts = np.array(curves.GetCurveVertexCountsAttr().Get(time) or (), np.int64)
    if (counts < 1).any() or counts.sum() > len(points):
        return []
    cubic = curves.GetTypeAttr().Get(time) == UsdGeom.Tokens.cubic
    basis, wrap = str(curves.GetBasisAttr().Get(time)), str(curves.GetWrapAttr().Get(time))
    parts = np.split(points[: counts.sum()], np.cumsum(counts)[:-1])
    return [_cubic(part, basis, wrap) if cubic else _linear(part, wrap) for part in parts]


def _linear(points: np.ndarray, wrap: str) -> np.ndarray:
    return np.concatenate([points, points[:1]]) if wrap == "periodic" else points


def _cubic(points: np.ndarray, basis: str, wrap: str) -> np.ndarray:
    """Return points on a cubic curve; an unknown basis, and too few points, give the points themselves."""
    if basis not in _BASES or len(points) < 4:
        return points
    step = 3 if basis == "bezier" else 1
    if wrap == "periodic":
        points = np.concatenate([points, points[: 4 - step]])
    elif wrap == "pinned" and basis != "bezier":
        first, last = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
        points = np.concatenate([[first], points, [last]])
    t = np.arange(_PIECES) / _PIECES
    powers = np.stack([t**0, t, t**2, t**3], axis=1)
    weights = powers @ np.array(_BASES[basis], np.float64)
    starts = range(0, len(points) - 3, step)
    pieces = [weights @ points[start : start + 4] for start in starts]
    end = np.ones((1, 4)) @ np.array(_BASES[basis], np.float64) @ points[starts[-1] : starts[-1] + 4]
    return np.concatenate([*pieces, end])


def rims(points: np.ndarray, counts: np.ndarray, indices: np.ndarray) -> list[np.ndarray]:
    """Return the edges of a mesh that belong to one face only, each [2, 3]; none for a closed mesh.

    Args:
        points: Shape [V, 3].
        counts: Corners of each face.
        indices: Into ``points``, face by face.
    """
    if counts.sum() != len(indices) or not len(indices) or indices.min() < 0 or indices.max() >= len(points):
        return []
    ends = np.cumsum(counts)
    following = np.arange(len(indices)) + 1
    following[ends - 1] = ends - counts
    edges = np.stack([indices, indices[following]], axis=1)
    _, first, times = np.unique(np.sort(edges, axis=1), axis=0, return_index=True, return_counts=True)
    return [points[edge] for edge in edges[np.sort(first[times == 1])]]


__all__ = ["RoadMap", "rims"]
