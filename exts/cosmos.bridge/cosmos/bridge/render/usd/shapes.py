"""What one prim is drawn as: its triangles at the first time, and how their points move afterwards."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Optional

import numpy as np

from cosmos.bridge.render.bend import bent_normals
from cosmos.bridge.render.usd.curves import CURVES, arrange, read_curves
from cosmos.bridge.render.usd.deform import MovingPoints, SampledPoints, SkinnedPoints
from cosmos.bridge.render.usd.geometry import Surface, read_mesh, read_meshes
from cosmos.bridge.render.usd.gprims import IMPLICIT, SIZES, ImplicitPoints, gprim_key, read_gprim
from cosmos.bridge.render.usd.normals import crease_normals
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.points import gather, read_cloud

if TYPE_CHECKING:
    from pxr import Usd

SHAPES = ("Mesh", "Points", *CURVES, *IMPLICIT)
"""Type names that ``read_shape`` knows."""
TOPOLOGY = ("faceVertexCounts", "faceVertexIndices", "holeIndices")
"""Attributes that make other polygons of a mesh where they change."""
_MOST_VERSIONED_TRIANGLES = 4_000_000


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shape:
    """One prim as triangles."""

    surface: Surface
    """What there is at the first time; more where polygons change with time, see ``first``."""
    moving: Optional[MovingPoints] = None
    """The points of ``surface`` at any time; ``None`` where they stand still."""
    first: Optional[np.ndarray] = None
    """float32 [V, 3], the points at the first time, where ``surface`` holds more than is there then."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class VersionedPoints:
    """Points of a prim whose polygons change: all versions in a list, those out of their time without a size."""

    starts: tuple[float, ...]
    """Time code at which each version begins, ascending."""
    readers: tuple[Optional[MovingPoints], ...]
    """The points of each version; ``None`` where nothing is drawn."""
    ranges: tuple[tuple[int, int], ...]
    """(first, past the last) point of each version in the list."""

    def read(self, time: Usd.TimeCode) -> np.ndarray:
        """Return the points in the prim's own space [m], float32 [V, 3]; empty where nothing is drawn."""
        version = max(bisect_right(self.starts, float(time.GetValue())) - 1, 0)
        reader, (first, past) = self.readers[version], self.ranges[version]
        points = np.zeros((0, 3), np.float32) if reader is None else reader.read(time)
        if not len(points) or len(points) != past - first:
            return np.zeros((0, 3), np.float32)
        placed = np.tile(points[0], (self.ranges[-1][1], 1))
        placed[first:past] = points
        return placed


def read_shape(
    prim: Usd.Prim, time: Usd.TimeCode, scale: float, skin: Optional[SkinnedPoints], notes: Notes
) -> Optional[Shape]:
    """Read what a prim is drawn as.

    Args:
        prim: A prim of one of the types ``SHAPES``.
        time: The first time.
        scale: Metres per stage unit.
        skin: What moves the mesh, where a skeleton does.
        notes: Told what is left out.

    Returns:
        The shape, or ``None`` where nothing can be drawn of it.
    """
    shape = _read(prim, time, scale, skin, notes)
    if shape is not None and not np.isfinite(shape.surface.points).all():
        notes.add("Shapes too large for 32-bit numbers are left out", str(prim.GetPath()))
        return None
    return shape


def _read(
    prim: Usd.Prim, time: Usd.TimeCode, scale: float, skin: Optional[SkinnedPoints], notes: Notes
) -> Optional[Shape]:
    kind = str(prim.GetTypeName())
    if kind in IMPLICIT:
        return _implicit(prim, time, scale, notes)
    if kind == "Points":
        cloud = gather(prim, time, scale, notes)
        surface = None if cloud is None else read_cloud(cloud, time, notes)
        if cloud is None or surface is None:
            return None
        moves = varies(prim, "points", "widths", "primvars:widths", "ids")
        return Shape(surface=surface, moving=cloud if moves else None, first=cloud.read(time) if moves else None)
    names = ("curveVertexCounts",) if kind in CURVES else TOPOLOGY
    starts: list[float] = []
    if varies(prim, *names):
        starts = sorted({start for name in names for start in prim.GetAttribute(name).GetTimeSamples()})
    if skin is not None:
        if starts:
            path = str(prim.GetPath())
            notes.add("Skinned meshes whose polygons change with time keep those of the first frame", path)
        return _skinned(prim, time, scale, skin, notes)
    if not starts:
        return _version(prim, time, scale, notes)
    return _versioned(prim, time, scale, names, starts, notes)


def read_mesh_shapes(
    prims: Sequence[Usd.Prim], time: Usd.TimeCode, scale: float, notes: Notes
) -> list[Optional[Shape]]:
    """Read meshes with the polygons of one time, all together; ``None`` for one of which nothing can be drawn."""
    from pxr import UsdGeom

    meshes = [UsdGeom.Mesh(prim) for prim in prims]
    shapes: list[Optional[Shape]] = []
    for mesh, surface in zip(meshes, read_meshes(meshes, time, scale, notes), strict=True):
        moving = SampledPoints(mesh=mesh, scale=scale) if surface and varies(mesh.GetPrim(), "points") else None
        shapes.append(None if surface is None else Shape(surface=surface, moving=moving))
    return shapes


def varies(prim: Usd.Prim, *names: str) -> bool:
    """Whether any of a prim's attributes may change with time."""
    attributes = [prim.GetAttribute(name) for name in names]
    return any(attribute and attribute.ValueMightBeTimeVarying() for attribute in attributes)


def _implicit(prim: Usd.Prim, time: Usd.TimeCode, scale: float, notes: Notes) -> Optional[Shape]:
    surface = read_gprim(gprim_key(prim, time, scale))
    if surface is None or not len(surface.triangles):
        notes.add("Shapes without a finite size above zero are left out", str(prim.GetPath()))
        return None
    moves = varies(prim, *SIZES)
    return Shape(surface=surface, moving=ImplicitPoints(prim=prim, scale=scale) if moves else None)


def _skinned(prim: Usd.Prim, time: Usd.TimeCode, scale: float, skin: SkinnedPoints, notes: Notes) -> Optional[Shape]:
    """Bring a mesh to the skeleton's pose at the first time."""
    from pxr import UsdGeom

    surface = read_mesh(UsdGeom.Mesh(prim), time, scale, notes)
    if surface is None:
        return None
    points = skin.read(time)
    if points.shape != surface.points.shape or not np.isfinite(points).all():
        notes.add("Skinned meshes that USD cannot pose are drawn at rest", str(prim.GetPath()))
        return Shape(surface=surface)
    posed = replace(surface, points=points, normals=_turned(surface, points))
    return Shape(surface=posed, moving=skin if skin.moves or varies(prim, "points") else None)


def _turned(surface: Surface, points: np.ndarray) -> np.ndarray:
    """Return the normals of each corner after its triangle was turned into its pose."""
    normals = bent_normals(surface.points, points, surface.triangles, surface.normals)
    lost = (normals * normals).sum(-1) < 0.5  # of triangles without area at rest
    return np.where(lost[..., None], crease_normals(points, surface.triangles), normals) if lost.any() else normals


def _version(prim: Usd.Prim, time: Usd.TimeCode, scale: float, notes: Notes) -> Optional[Shape]:
    """Read a mesh or curves with the polygons of one time."""
    if prim.GetTypeName() == "Mesh":
        return read_mesh_shapes([prim], time, scale, notes)[0]
    curves = arrange(prim, time, scale, notes)
    surface = None if curves is None else read_curves(curves, time, notes)
    if surface is None:
        return None
    return Shape(
        surface=surface, moving=curves if varies(prim, "points", "widths", "primvars:widths", "tangents") else None
    )


def _versioned(
    prim: Usd.Prim, time: Usd.TimeCode, scale: float, names: tuple[str, ...], starts: list[float], notes: Notes
) -> Optional[Shape]:
    """Read every version of a mesh or curves whose polygons change with time."""
    from pxr import Usd, UsdGeom

    surfaces: list[Surface] = []
    readers: list[Optional[MovingPoints]] = []
    kept, ranges = [], []
    before, count, points = None, 0, 0
    said = Notes()
    for start in starts:
        moment = Usd.TimeCode(start)
        topology = [np.array(prim.GetAttribute(name).Get(moment) or ()) for name in names]
        if before is not None and all(map(np.array_equal, topology, before)):
            continue
        before = topology
        shape = _version(prim, moment, scale, said)
        if shape is not None and count + len(shape.surface.triangles) > _MOST_VERSIONED_TRIANGLES:
            notes.add(
                "Meshes whose polygons change with time are not drawn any more after "
                f"{_MOST_VERSIONED_TRIANGLES} triangles in all",
                str(prim.GetPath()),
            )
            shape = None
        kept.append(start)
        if shape is None:
            readers.append(None)
            ranges.append((points, points))
            continue
        surfaces.append(shape.surface)
        if prim.GetTypeName() == "Mesh":
            readers.append(SampledPoints(mesh=UsdGeom.Mesh(prim), scale=scale))
        else:
            readers.append(arrange(prim, moment, scale, said))
        count += len(shape.surface.triangles)
        ranges.append((points, points + len(shape.surface.points)))
        points += len(shape.surface.points)
    notes.take(said, but=() if not surfaces else ("without points",))
    if not surfaces:
        return None
    if len(kept) == 1:
        return _version(prim, time, scale, notes)
    moving = VersionedPoints(starts=tuple(kept), readers=tuple(readers), ranges=tuple(ranges))
    surface = _stacked(surfaces)
    first = moving.read(time)
    return Shape(surface=surface, moving=moving, first=first if len(first) else surface.points)


def _stacked(surfaces: list[Surface]) -> Surface:
    """Put versions of one prim into one surface, their polygons numbered on."""
    if len(surfaces) == 1:
        return surfaces[0]
    shifts = np.cumsum([0] + [len(surface.points) for surface in surfaces[:-1]])
    face_shifts = np.cumsum([0] + [surface.num_faces for surface in surfaces[:-1]])
    corner_shifts = np.cumsum([0] + [int(surface.corners.max()) + 1 for surface in surfaces[:-1]])
    names = dict.fromkeys(name for surface in surfaces for name in surface.uvs)
    colors = None
    if any(surface.colors is not None for surface in surfaces):
        colors = np.concatenate([_or(surface.colors, 0.5, surface, 3) for surface in surfaces])
    subsets: dict[str, list[np.ndarray]] = {}
    for surface, shift in zip(surfaces, face_shifts, strict=True):
        for name, faces in surface.subsets:
            subsets.setdefault(name, []).append(faces + shift)
    return Surface(
        points=np.concatenate([surface.points for surface in surfaces]),
        triangles=np.concatenate(
            [surface.triangles + shift for surface, shift in zip(surfaces, shifts, strict=True)]
        ).astype(np.int32),
        corners=np.concatenate(
            [surface.corners + shift for surface, shift in zip(surfaces, corner_shifts, strict=True)]
        ),
        faces=np.concatenate([surface.faces + shift for surface, shift in zip(surfaces, face_shifts, strict=True)]),
        normals=np.concatenate([surface.normals for surface in surfaces]),
        uvs={
            name: np.concatenate([_or(surface.uvs.get(name), 0.0, surface, 2) for surface in surfaces])
            for name in names
        },
        colors=colors,
        subsets=tuple((name, np.concatenate(faces)) for name, faces in subsets.items()),
        num_faces=sum(surface.num_faces for surface in surfaces),
    )


def _or(values: Optional[np.ndarray], fill: float, surface: Surface, width: int) -> np.ndarray:
    return np.full((*surface.triangles.shape, width), fill, np.float32) if values is None else np.asarray(values)


__all__ = ["SHAPES", "TOPOLOGY", "Shape", "VersionedPoints", "read_mesh_shapes", "read_shape", "varies"]
