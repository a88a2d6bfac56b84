"""Polygon meshes: from UsdGeom.Mesh to triangles with a normal, a uv and a colour at each corner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.usd.normals import crease_normals, split_at_creases, unit
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.polygons import triangulate

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

_SHARP = 2.0
"""Creases of less sharpness are rounded so much that they are drawn smooth."""
GREY = 0.5
"""Colour of a corner that has no displayColor."""


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


def read_points(mesh: UsdGeom.PointBased, time: Usd.TimeCode, scale: float) -> np.ndarray:
    """Read points in metres, float32 [V, 3]; empty where the prim has none."""
    return vectors(mesh.GetPointsAttr().Get(time)) * np.float32(scale)


def vectors(value: Any) -> np.ndarray:
    """Return an authored array of 3-vectors as float32 [V, 3]; empty where there is none or it is of another type."""
    array = np.array(() if value is None else value)
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind != "f":
        return np.zeros((0, 3), np.float32)
    return array.astype(np.float32)


def _counts_problem(points: np.ndarray, counts: np.ndarray, indices: np.ndarray) -> str:
    """Return why a mesh cannot be drawn, or an empty string."""
    if not len(points) or not len(counts) or not len(indices):
        return "Meshes without points or faces are left out"
    if counts.min() < 0 or int(counts.sum()) != len(indices):
        return "Meshes whose faceVertexCounts do not add up to their faceVertexIndices are left out"
    if indices.min() < 0 or int(indices.max()) >= len(points):
        return "Meshes whose faceVertexIndices point past their points are left out"
    if not np.isfinite(points).all():
        return "Meshes with NaN or infinite points are left out"
    return ""


def primvar_arrays(prim: Usd.Prim, time: Usd.TimeCode, notes: Notes) -> tuple[dict[str, tuple[np.ndarray, str]], Any]:
    """Return the uv-like primvars (name -> flattened values, interpolation) and the primvar of displayColor."""
    from pxr import Sdf, UsdGeom

    uv_types = (
        Sdf.ValueTypeNames.TexCoord2fArray,
        Sdf.ValueTypeNames.TexCoord2hArray,
        Sdf.ValueTypeNames.TexCoord2dArray,
        Sdf.ValueTypeNames.Float2Array,
    )
    found: dict[str, tuple[np.ndarray, str]] = {}
    api = UsdGeom.PrimvarsAPI(prim)
    for primvar in api.FindPrimvarsWithInheritance():
        if primvar.GetTypeName() in uv_types:
            values = primvar.ComputeFlattened(time)
            if values is None and primvar.IsIndexed() and primvar.HasAuthoredValue():
                notes.add("Primvars whose indices point past their values are not used", str(prim.GetPath()))
            if values is not None and len(values):
                array = np.array(values, np.float32).reshape(-1, 2)
                found[primvar.GetPrimvarName()] = (array, primvar.GetInterpolation())
    return found, api.FindPrimvarWithInheritance("displayColor")


def _corner_normals(mesh: UsdGeom.Mesh, time: Usd.TimeCode, surface: tuple[np.ndarray, ...]) -> Optional[np.ndarray]:
    """Return the authored normals of each corner [F, 3, 3], or ``None`` where there are none that fit."""
    from pxr import UsdGeom

    triangles, corners, faces = surface
    primvar = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("normals")
    if primvar and primvar.HasAuthoredValue():
        values, interpolation = primvar.ComputeFlattened(time), primvar.GetInterpolation()
    else:
        values, interpolation = mesh.GetNormalsAttr().Get(time), mesh.GetNormalsInterpolation()
    array = vectors(values)
    if not len(array):
        return None
    spread_out = spread(array, interpolation, triangles, corners, faces)
    if spread_out is None or not np.isfinite(spread_out).all():
        return None
    return unit(np.asarray(spread_out, np.float32))


def read_mesh(mesh: UsdGeom.Mesh, time: Usd.TimeCode, scale: float, notes: Notes) -> Optional[Surface]:
    """Triangulate a polygon mesh.

    Args:
        mesh: Prim to read; subdivision surfaces are read as their control cage.
        time: When.
        scale: Metres per stage unit.
        notes: Told why a mesh is left out, and what is drawn otherwise than authored.

    Returns:
        The triangles, or ``None`` for a mesh that is left out.
    """
    from pxr import UsdGeom

    path = str(mesh.GetPath())
    points = read_points(mesh, time, scale)
    counts = np.array(mesh.GetFaceVertexCountsAttr().Get(time) or (), np.int64)
    indices = np.array(mesh.GetFaceVertexIndicesAttr().Get(time) or (), np.int64)
    problem = _counts_problem(points, counts, indices)
    if problem:
        notes.add(problem, path)
        return None
    holes = np.array(mesh.GetHoleIndicesAttr().Get(time) or (), np.int64)
    left_handed = mesh.GetOrientationAttr().Get(time) == UsdGeom.Tokens.leftHanded
    corners, faces = triangulate(points, counts, indices, holes=holes, left_handed=left_handed)
    if not len(corners):
        notes.add("Meshes without a polygon of three corners are left out", path)
        return None
    triangles = indices[corners].astype(np.int32)
    smooth = mesh.GetSubdivisionSchemeAttr().Get() not in (None, UsdGeom.Tokens.none)
    if smooth and mesh.GetSubdivisionSchemeAttr().HasAuthoredValue():
        notes.add("Subdivision surfaces are drawn as their polygons", path)
    normals = _corner_normals(mesh, time, (triangles, corners, faces))
    if normals is None:
        normals = crease_normals(points, triangles, smooth_all=smooth and _is_authored_smooth(mesh))
        creases = _sharp_edges(mesh, time, len(points), notes)
        if len(creases):
            normals = split_at_creases(normals, points, triangles, creases)
    else:
        normals = _repair(normals, points, triangles)
    uv_primvars, color_primvar = primvar_arrays(mesh.GetPrim(), time, notes)
    uvs = {}
    for name, (values, interpolation) in uv_primvars.items():
        array = spread(values, interpolation, triangles, corners, faces)
        if array is None:
            notes.add("Primvars with too few values are not used", path)
        else:
            uvs[name] = np.nan_to_num(np.asarray(array, np.float32))
    return Surface(
        points=points,
        triangles=triangles,
        corners=corners,
        faces=faces,
        normals=normals,
        uvs=uvs,
        colors=_varying_colors(color_primvar, time, triangles, corners, faces, notes, path),
        subsets=_material_subsets(mesh, time, len(counts), notes),
        num_faces=len(counts),
    )


def _sharp_edges(mesh: UsdGeom.Mesh, time: Usd.TimeCode, num_points: int, notes: Notes) -> np.ndarray:
    """Return the edges that the mesh says are sharp, int64 [E, 2]."""
    arrays = [
        np.array(attribute.Get(time) or (), np.float64)
        for attribute in (mesh.GetCreaseIndicesAttr(), mesh.GetCreaseLengthsAttr(), mesh.GetCreaseSharpnessesAttr())
    ]
    indices, lengths, sharpness = arrays[0].astype(np.int64), arrays[1].astype(np.int64), arrays[2]
    nothing = np.zeros((0, 2), np.int64)
    if not len(indices):
        return nothing
    fits = len(lengths) and lengths.min() >= 2 and int(lengths.sum()) == len(indices)
    edges_of = lengths - 1 if fits else lengths
    if fits and len(sharpness) == len(lengths):
        sharpness = np.repeat(sharpness, edges_of)
    if not fits or len(sharpness) != edges_of.sum() or indices.min() < 0 or int(indices.max()) >= num_points:
        notes.add("Creases that do not add up are not used", str(mesh.GetPath()))
        return nothing
    starts = np.ones(len(indices), bool)
    starts[np.cumsum(lengths) - 1] = False  # the last point of a crease begins no edge
    begin = np.flatnonzero(starts)
    edges = np.stack([indices[begin], indices[begin + 1]], axis=1)
    return edges[sharpness >= _SHARP]


def _is_authored_smooth(mesh: UsdGeom.Mesh) -> bool:
    """Whether somebody asked for subdivision, rather than left the schema's default standing."""
    return bool(mesh.GetSubdivisionSchemeAttr().HasAuthoredValue())


def _repair(normals: np.ndarray, points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Give corners whose authored normal is zero the normal of their triangle."""
    bad = (normals * normals).sum(-1) < 0.5
    if bad.any():
        a, b, c = (points[triangles[:, k]] for k in range(3))
        flat = unit(np.cross(b - a, c - a))
        normals = np.where(bad[..., None], flat[:, None, :], normals)
    return normals


def _varying_colors(
    primvar: Any,
    time: Usd.TimeCode,
    triangles: np.ndarray,
    corners: np.ndarray,
    faces: np.ndarray,
    notes: Notes,
    path: str,
) -> Optional[np.ndarray]:
    """Return displayColor of each corner [F, 3, 3] where it varies over the mesh."""
    if not primvar or not primvar.HasAuthoredValue() or primvar.GetInterpolation() == "constant":
        return None
    values = primvar.ComputeFlattened(time)
    if values is None or len(values) < 2:
        return None
    array = spread(np.array(values, np.float32).reshape(-1, 3), primvar.GetInterpolation(), triangles, corners, faces)
    if array is None:
        notes.add("displayColor with too few values is not used", path)
        return None
    return np.nan_to_num(np.asarray(array, np.float32), nan=GREY)


def _material_subsets(
    mesh: UsdGeom.Mesh, time: Usd.TimeCode, num_faces: int, notes: Notes
) -> tuple[tuple[str, np.ndarray], ...]:
    """Return (prim name, polygon indices) of each face subset of the materialBind family."""
    from pxr import UsdGeom

    found = []
    for subset in UsdGeom.Subset.GetGeomSubsets(mesh, UsdGeom.Tokens.face, "materialBind"):
        indices = np.array(subset.GetIndicesAttr().Get(time) or (), np.int64)
        inside = indices[(indices >= 0) & (indices < num_faces)]
        if len(inside) != len(indices):
            notes.add("Material subsets with faces that their mesh lacks are read without those", str(subset.GetPath()))
        found.append((str(subset.GetPrim().GetName()), inside))
    return tuple(found)


__all__ = ["GREY", "Surface", "primvar_arrays", "read_mesh", "read_points", "spread", "vectors"]
