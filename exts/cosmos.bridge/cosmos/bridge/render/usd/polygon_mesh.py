"""What a Mesh prim says, as arrays that fit together; `geometry` makes triangles of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.usd.notes import Notes

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

_SHARP = 2.0
"""Creases of less sharpness are rounded so much that they are drawn smooth."""

_UV_TYPES = ("texCoord2f[]", "texCoord2h[]", "texCoord2d[]", "float2[]")

Primvar = tuple[np.ndarray, str]
"""Flattened values and their interpolation."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PolygonMesh:
    """One mesh as it is authored, its polygons checked."""

    prim: UsdGeom.Mesh
    points: np.ndarray
    """float32 [V, 3] [m]."""
    counts: np.ndarray
    """int64 [P], corners of each polygon."""
    indices: np.ndarray
    """int64 [C], point of each corner."""
    holes: np.ndarray
    """int64 [K], polygons that are not drawn."""
    left_handed: bool
    """Whether the polygons are wound clockwise."""
    smooth: bool
    """Whether somebody asked for subdivision, rather than left the schema's default standing."""
    normals: Optional[Primvar]
    """Authored normals, float32 [N, 3]."""
    uvs: Mapping[str, Primvar]
    """Primvar name -> float32 [N, 2]."""
    colors: Optional[Primvar]
    """displayColor where it varies over the mesh, float32 [N, 3]."""
    subsets: tuple[tuple[str, np.ndarray], ...]
    """(name of the child prim, polygons) of each material subset."""


def gather(mesh: UsdGeom.Mesh, time: Usd.TimeCode, scale: float, notes: Notes) -> Optional[PolygonMesh]:
    """Read a mesh.

    Args:
        mesh: Prim to read; subdivision surfaces are read as their control cage.
        time: When.
        scale: Metres per stage unit.
        notes: Told why a mesh is left out, and what is drawn otherwise than authored.

    Returns:
        The mesh, or ``None`` where its polygons cannot be drawn.
    """
    from pxr import UsdGeom

    prim = mesh.GetPrim()
    path = str(prim.GetPath())
    points = read_points(mesh, time, scale)
    counts, indices, holes = (
        integers(prim.GetAttribute(name).Get(time)) for name in ("faceVertexCounts", "faceVertexIndices", "holeIndices")
    )
    problem = _counts_problem(points, counts, indices)
    if problem:
        notes.add(problem, path)
        return None
    scheme = prim.GetAttribute("subdivisionScheme")
    smooth = scheme.Get() not in (None, UsdGeom.Tokens.none) and scheme.HasAuthoredValue()
    if smooth:
        notes.add("Subdivision surfaces are drawn as their polygons", path)
    uvs, color = primvar_arrays(prim, time, notes)
    return PolygonMesh(
        prim=mesh,
        points=points,
        counts=counts,
        indices=indices,
        holes=holes[(holes >= 0) & (holes < len(counts))] if len(holes) else holes,
        left_handed=prim.GetAttribute("orientation").Get(time) == UsdGeom.Tokens.leftHanded,
        smooth=smooth,
        normals=_normals(mesh, time),
        uvs=uvs,
        colors=_varying_colors(color, time),
        subsets=_material_subsets(mesh, time, len(counts), notes),
    )


def read_points(mesh: UsdGeom.PointBased, time: Usd.TimeCode, scale: float) -> np.ndarray:
    """Read points in metres, float32 [V, 3]; empty where the prim has none."""
    return vectors(mesh.GetPointsAttr().Get(time)) * np.float32(scale)


def vectors(value: Any) -> np.ndarray:
    """Return an authored array of 3-vectors as float32 [V, 3]; empty where there is none or it is of another type."""
    array = np.array(() if value is None else value)
    if array.ndim != 2 or array.shape[1] != 3 or array.dtype.kind != "f":
        return np.zeros((0, 3), np.float32)
    return array.astype(np.float32, copy=False)


def integers(value: Any) -> np.ndarray:
    """Return an authored array of integers as int64 [N]; empty where there is none."""
    return np.array(() if value is None else value, np.int64)


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


def primvar_arrays(prim: Usd.Prim, time: Usd.TimeCode, notes: Notes) -> tuple[dict[str, Primvar], Any]:
    """Return the uv-like primvars (name -> flattened values, interpolation) and the primvar of displayColor."""
    from pxr import UsdGeom

    found: dict[str, Primvar] = {}
    api, color = UsdGeom.PrimvarsAPI(prim), None
    for primvar in api.FindPrimvarsWithInheritance():
        name = primvar.GetPrimvarName()
        if name == "displayColor":
            color = primvar
        elif str(primvar.GetTypeName()) in _UV_TYPES:
            values = primvar.ComputeFlattened(time)
            if values is None and primvar.IsIndexed() and primvar.HasAuthoredValue():
                notes.add("Primvars whose indices point past their values are not used", str(prim.GetPath()))
            if values is not None and len(values):
                array = np.array(values, np.float32).reshape(-1, 2)
                found[name] = (array, primvar.GetInterpolation())
    return found, color


def _normals(mesh: UsdGeom.Mesh, time: Usd.TimeCode) -> Optional[Primvar]:
    """Return the authored normals, of which a primvar counts before the attribute; ``None`` where there are none."""
    from pxr import UsdGeom

    primvar = UsdGeom.PrimvarsAPI(mesh).GetPrimvar("normals")
    if primvar and primvar.HasAuthoredValue():
        values, interpolation = vectors(primvar.ComputeFlattened(time)), primvar.GetInterpolation()
    else:
        values, interpolation = vectors(mesh.GetNormalsAttr().Get(time)), mesh.GetNormalsInterpolation()
    return (values, interpolation) if len(values) else None


def _varying_colors(primvar: Any, time: Usd.TimeCode) -> Optional[Primvar]:
    if not primvar or not primvar.HasAuthoredValue() or primvar.GetInterpolation() == "constant":
        return None
    values = primvar.ComputeFlattened(time)
    if values is None or len(values) < 2:
        return None
    return np.array(values, np.float32).reshape(-1, 3), primvar.GetInterpolation()


def sharp_edges(mesh: PolygonMesh, time: Usd.TimeCode, notes: Notes) -> np.ndarray:
    """Return the edges that a mesh says are sharp, int64 [E, 2]."""
    prim = mesh.prim
    arrays = [
        np.array(attribute.Get(time) or (), np.float64)
        for attribute in (prim.GetCreaseIndicesAttr(), prim.GetCreaseLengthsAttr(), prim.GetCreaseSharpnessesAttr())
    ]
    indices, lengths, sharpness = arrays[0].astype(np.int64), arrays[1].astype(np.int64), arrays[2]
    nothing = np.zeros((0, 2), np.int64)
    if not len(indices):
        return nothing
    fits = len(lengths) and lengths.min() >= 2 and int(lengths.sum()) == len(indices)
    edges_of = lengths - 1 if fits else lengths
    if fits and len(sharpness) == len(lengths):
        sharpness = np.repeat(sharpness, edges_of)
    outside = indices.min() < 0 or int(indices.max()) >= len(mesh.points)
    if not fits or len(sharpness) != edges_of.sum() or outside:
        notes.add("Creases that do not add up are not used", str(prim.GetPath()))
        return nothing
    starts = np.ones(len(indices), bool)
    starts[np.cumsum(lengths) - 1] = False  # the last point of a crease begins no edge
    begin = np.flatnonzero(starts)
    edges = np.stack([indices[begin], indices[begin + 1]], axis=1)
    return edges[sharpness >= _SHARP]


def _material_subsets(
    mesh: UsdGeom.Mesh, time: Usd.TimeCode, num_faces: int, notes: Notes
) -> tuple[tuple[str, np.ndarray], ...]:
    """Return (prim name, polygon indices) of each face subset of the materialBind family."""
    from pxr import UsdGeom

    if not mesh.GetPrim().GetChildren():  # soon told of most meshes
        return ()
    found = []
    for subset in UsdGeom.Subset.GetGeomSubsets(mesh, UsdGeom.Tokens.face, "materialBind"):
        indices = integers(subset.GetIndicesAttr().Get(time))
        inside = indices[(indices >= 0) & (indices < num_faces)]
        if len(inside) != len(indices):
            notes.add("Material subsets with faces that their mesh lacks are read without those", str(subset.GetPath()))
        found.append((str(subset.GetPrim().GetName()), inside))
    return tuple(found)


__all__ = ["PolygonMesh", "Primvar", "gather", "integers", "primvar_arrays", "read_points", "sharp_edges", "vectors"]
