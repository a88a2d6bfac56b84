"""Polygon meshes: from UsdGeom.Mesh to triangles with a normal, a uv and a colour at each corner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional

import numpy as np

from cosmos.bridge.render.usd.normals import crease_normals, split_at_creases, unit
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.polygon_mesh import PolygonMesh, gather, sharp_edges
from cosmos.bridge.render.usd.polygons import triangulate

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

GREY = 0.5
"""Colour of a corner that has no displayColor."""
_TOGETHER = 300_000
"""Corners of polygons that are worked on at once."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Surface:
    """The triangles of one gprim before materials are known, and where each triangle came from."""

    points: np.ndarray
    """float32 [V, 3] [m]."""
    triangles: np.ndarray
    """int32 [F, 3]."""
    corners: np.ndarray
    """int64 [F, 3], index of each corner in the face-vertex list."""
    faces: np.ndarray
    """int64 [F], polygon of each triangle."""
    normals: np.ndarray
    """float32 [F, 3, 3]."""
    uvs: Mapping[str, np.ndarray]
    """Primvar name -> float32 [F, 3, 2]."""
    colors: Optional[np.ndarray] = None
    """float32 [F, 3, 3], or ``None`` where the gprim has no varying displayColor."""
    subsets: tuple[tuple[str, np.ndarray], ...] = ()
    """(name of the child prim, polygon indices) of each material subset."""
    num_faces: int = 0
    """Polygons that ``faces`` and ``subsets`` count among."""

    def uv(self, name: str) -> np.ndarray:
        """Return the uvs called ``name``, else ``st``, else the first there are, else zeros [F, 3, 2]."""
        for key in (name, "st", *self.uvs):
            if key in self.uvs:
                return self.uvs[key]
        return np.zeros((len(self.triangles), 3, 2), np.float32)


def spread(
    values: np.ndarray, interpolation: str, triangles: np.ndarray, corners: np.ndarray, faces: np.ndarray
) -> Optional[np.ndarray]:
    """Bring a primvar to the corners of the triangles.

    Args:
        values: Flattened primvar, shape [N, ...].
        interpolation: USD interpolation token.
        triangles: Point index of each corner, shape [F, 3].
        corners: Face-vertex index of each corner, shape [F, 3].
        faces: Polygon of each triangle, shape [F].

    Returns:
        Values of each corner, shape [F, 3, ...], or ``None`` where there are too few of them.
    """
    if len(values) == 0:
        return None
    if interpolation == "constant" or len(values) == 1:
        return np.broadcast_to(values[0], (*triangles.shape, *values.shape[1:]))
    if interpolation == "uniform":
        index = np.repeat(faces[:, None], 3, axis=1)
    elif interpolation == "faceVarying":
        index = corners
    else:
        index = triangles
    return values[index] if index.size == 0 or int(index.max()) < len(values) else None


def read_mesh(mesh: UsdGeom.Mesh, time: Usd.TimeCode, scale: float, notes: Notes) -> Optional[Surface]:
    """Triangulate a polygon mesh; see ``read_meshes``."""
    return read_meshes([mesh], time, scale, notes)[0]


def read_meshes(
    meshes: Sequence[UsdGeom.Mesh], time: Usd.TimeCode, scale: float, notes: Notes
) -> list[Optional[Surface]]:
    """Triangulate polygon meshes, many at once, for NumPy takes as long for a small array as for a few thousand rows.

    Args:
        meshes: Prims to read; subdivision surfaces are read as their control cage.
        time: When.
        scale: Metres per stage unit.
        notes: Told why a mesh is left out, and what is drawn otherwise than authored.

    Returns:
        The triangles of each, or ``None`` for a mesh that is left out.
    """
    read: list[Optional[Surface]] = []
    waiting: list[PolygonMesh] = []
    places: list[int] = []
    size = 0
    for index, prim in enumerate(meshes):
        mesh = gather(prim, time, scale, notes)
        read.append(None)
        if mesh is not None:
            waiting.append(mesh)
            places.append(index)
            size += len(mesh.indices)
        if waiting and (size > _TOGETHER or index == len(meshes) - 1):
            for place, surface in zip(places, _Batch(waiting, time, notes).surfaces(), strict=True):
                read[place] = surface
            waiting, places, size = [], [], 0
    return read


class _Batch:
    """Meshes in one list of points, polygons and triangles."""

    def __init__(self, meshes: list[PolygonMesh], time: Usd.TimeCode, notes: Notes) -> None:
        self._meshes, self._time, self._notes = meshes, time, notes
        points_of, polygons_of, corners_of = (
            np.array([len(array) for array in arrays])
            for arrays in zip(*((mesh.points, mesh.counts, mesh.indices) for mesh in meshes), strict=True)
        )
        first_point, first_polygon, first_corner = (
            np.cumsum(lengths) - lengths for lengths in (points_of, polygons_of, corners_of)
        )
        self._points = _joined([mesh.points for mesh in meshes])
        indices = _joined([mesh.indices for mesh in meshes])
        if len(meshes) > 1:
            indices = indices + np.repeat(first_point, corners_of)
        corners, faces = triangulate(
            self._points,
            _joined([mesh.counts for mesh in meshes]),
            indices,
            holes=_joined([mesh.holes + first for mesh, first in zip(meshes, first_polygon, strict=True)]),
            left_handed=np.repeat([mesh.left_handed for mesh in meshes], polygons_of),
        )
        bounds = np.searchsorted(faces, np.append(first_polygon, polygons_of.sum()))
        self._rows = [slice(start, end) for start, end in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)]
        lengths = np.diff(bounds)
        self._together = indices[corners]
        """int64 [F, 3], triangles as indices into the points of all."""
        self._triangles = (self._together - np.repeat(first_point, lengths)[:, None]).astype(np.int32)
        self._corners = corners - np.repeat(first_corner, lengths)[:, None]
        self._faces = faces - np.repeat(first_polygon, lengths)

    def surfaces(self) -> list[Optional[Surface]]:
        """Return the triangles of each mesh."""
        normals = self._normals()
        return [self._surface(index, normals) for index in range(len(self._meshes))]

    def _surface(self, index: int, normals: np.ndarray) -> Optional[Surface]:
        mesh, rows = self._meshes[index], self._rows[index]
        if rows.start == rows.stop:
            self._notes.add("Meshes without a polygon of three corners are left out", str(mesh.prim.GetPath()))
            return None
        uvs = {}
        for name, (values, interpolation) in mesh.uvs.items():
            array = self._spread(index, values, interpolation)
            if array is None:
                self._notes.add("Primvars with too few values are not used", str(mesh.prim.GetPath()))
            else:
                uvs[name] = array if np.isfinite(values).all() else np.nan_to_num(array)
        colors = None
        if mesh.colors is not None:
            colors = self._spread(index, *mesh.colors)
            if colors is None:
                self._notes.add("displayColor with too few values is not used", str(mesh.prim.GetPath()))
            else:
                colors = np.nan_to_num(colors, nan=GREY)
        return Surface(
            points=mesh.points,
            triangles=self._triangles[rows],
            corners=self._corners[rows],
            faces=self._faces[rows],
            normals=normals[rows],
            uvs=uvs,
            colors=colors,
            subsets=mesh.subsets,
            num_faces=len(mesh.counts),
        )

    def _spread(self, index: int, values: np.ndarray, interpolation: str) -> Optional[np.ndarray]:
        rows = self._rows[index]
        return spread(values, interpolation, self._triangles[rows], self._corners[rows], self._faces[rows])

    def _normals(self) -> np.ndarray:
        """Return a normal of each corner: the authored one, that of its triangle where that is zero, or a made one."""
        normals = np.zeros((*self._triangles.shape, 3), np.float32)
        made: list[int] = []
        for index, mesh in enumerate(self._meshes):
            given = None if mesh.normals is None else self._spread(index, *mesh.normals)
            if given is None or not np.isfinite(given).all():
                made.append(index)
            else:
                normals[self._rows[index]] = given
        if len(made) < len(self._meshes):
            normals = unit(normals)
            self._repair(normals)
        for smooth in (False, True):
            self._make([index for index in made if self._meshes[index].smooth == smooth], smooth, normals)
        return normals

    def _repair(self, normals: np.ndarray) -> None:
        """Give corners without a normal that of their triangle."""
        bad = np.einsum("...i,...i->...", normals, normals) < 0.5
        rows = np.flatnonzero(bad.any(1))
        if len(rows):
            a, b, c = (self._points[self._together[rows, k]] for k in range(3))
            flat = unit(np.cross(b - a, c - a))
            normals[rows] = np.where(bad[rows, :, None], flat[:, None, :], normals[rows])

    def _make(self, meshes: list[int], smooth: bool, normals: np.ndarray) -> None:
        """Fill in the normals of meshes that have none which fit."""
        if not meshes:
            return
        rows = _joined([np.arange(self._rows[index].start, self._rows[index].stop) for index in meshes])
        if len(rows):
            normals[rows] = crease_normals(self._points, self._together[rows], smooth_all=smooth)
        for index in meshes:
            mesh, mine = self._meshes[index], self._rows[index]
            creases = sharp_edges(mesh, self._time, self._notes)
            if len(creases):
                normals[mine] = split_at_creases(normals[mine], mesh.points, self._triangles[mine], creases)


def _joined(arrays: list[np.ndarray]) -> np.ndarray:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


__all__ = ["GREY", "Surface", "read_mesh", "read_meshes", "spread"]
