"""The unique meshes of a stage: read once, shared by all that look the same, with materials and colours resolved."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.scene import Mesh
from cosmos.bridge.render.usd.deform import JoinedPoints, MovingPoints, Part, Skins
from cosmos.bridge.render.usd.geometry import GREY, Surface, spread
from cosmos.bridge.render.usd.gprims import IMPLICIT, SIZES, gprim_key
from cosmos.bridge.render.usd.materials import MaterialLibrary
from cosmos.bridge.render.usd.mtlx import material_at
from cosmos.bridge.render.usd.normals import unit
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.rows import NO_COLOR, Look
from cosmos.bridge.render.usd.shapes import TOPOLOGY, Shape, read_mesh_shapes, read_shape, varies
from cosmos.bridge.render.usd.walk import Found

if TYPE_CHECKING:
    from pxr import Usd

_TOGETHER = 1_000_000
"""Corners of triangles whose boxes are found at once."""


def source_path(prim: Usd.Prim) -> str:
    """Return the path where a prim is authored: inside the prototype for an instance proxy."""
    return str((prim.GetPrimInPrototype() if prim.IsInstanceProxy() else prim).GetPath())


def bound_materials(prims: list[Usd.Prim]) -> list[Any]:
    """Return the material that each prim binds, itself or through its ancestors; invalid ones where there is none.

    One that is bound for full renders comes first, then one for all purposes, then one for previews.
    """
    from pxr import UsdShade

    if not prims:
        return []
    api, purposes = UsdShade.MaterialBindingAPI, UsdShade.Tokens
    bound = list(api.ComputeBoundMaterials(prims, purposes.full)[0])
    lacking = [index for index, material in enumerate(bound) if not material]
    if lacking:
        found = api.ComputeBoundMaterials([prims[index] for index in lacking], purposes.preview)[0]
        for index, material in zip(lacking, found, strict=True):
            bound[index] = material if material else _bound_in_file(prims[index])
    return bound


def _bound_in_file(prim: Usd.Prim) -> Any:
    """Return the material of a MaterialX file that a prim binds although USD could not compose it, or ``None``."""
    from pxr import UsdShade

    purposes = (UsdShade.Tokens.full, UsdShade.Tokens.allPurpose, UsdShade.Tokens.preview)
    above = prim
    while above and not above.IsPseudoRoot():
        api = UsdShade.MaterialBindingAPI(above)
        for purpose in purposes:
            relationship = api.GetDirectBindingRel(purpose)
            targets = relationship.GetTargets() if relationship else []
            if targets:
                return material_at(prim.GetStage(), targets[0])
        above = above.GetParent()
    return None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Piece:
    """One prim of a prototype, on its way into the prototype's one mesh."""

    prim: Usd.Prim
    bound: Any
    """Its material; an invalid one for none."""
    matrix: np.ndarray
    """Prim space to the prototype's at the first time, row vectors, stage units, float64 [4, 4]."""
    root: Optional[Usd.Prim]
    """The prototype, where the prim moves in it."""
    gates: tuple[Usd.Attribute, ...]
    """Visibility attributes below the prototype that change with time."""
    primvars: frozenset[str]
    """Names of the primvars that are authored on it or above it."""


class MeshLibrary:
    """Reads each geometry once and hands out indices into ``Scene.meshes``."""

    def __init__(self, time: Usd.TimeCode, scale: float, materials: MaterialLibrary, notes: Notes) -> None:
        self._time, self._scale, self._materials, self._notes = time, scale, materials, notes
        self.skins = Skins(scale, notes)
        """Meshes that skeletons move; to be filled before those meshes are added."""
        self._shapes: dict[Any, Optional[Shape]] = {}
        self._meshes: list[Mesh] = []
        self._index: dict[Any, int] = {}
        self._own_material: list[int] = []
        self.moving: dict[int, MovingPoints] = {}
        """Mesh index -> its points, for meshes whose points change with time."""
        self._first: dict[int, np.ndarray] = {}
        self._alike: dict[tuple[int, ...], list[int]] = {}
        """Meshes that stand still, by what equal ones have in common."""
        self._bare: dict[str, Look] = {}
        """Implicit shapes with nothing authored that is drawn, by their type."""

    @property
    def meshes(self) -> tuple[Mesh, ...]:
        """All meshes that were asked for, in index order."""
        return tuple(self._meshes)

    def bounds(self) -> list[np.ndarray]:
        """Return the box of each mesh at the first time [m], float64 [2, 3]."""
        boxes: list[np.ndarray] = []
        waiting: list[np.ndarray] = []
        size = 0
        for index, mesh in enumerate(self._meshes):
            waiting.append(self._first.get(index, mesh.points)[mesh.triangles.reshape(-1)])
            size += len(waiting[-1])
            if size > _TOGETHER or index == len(self._meshes) - 1:
                used, starts = np.concatenate(waiting), np.cumsum([0] + [len(points) for points in waiting[:-1]])
                ends = np.minimum.reduceat(used, starts), np.maximum.reduceat(used, starts)
                boxes += list(np.stack(ends, axis=1).astype(np.float64))
                waiting, size = [], 0
        return boxes

    def add(self, found: Found, bound: Any) -> Optional[Look]:
        """Return (mesh, material that replaces the mesh's own or -1, constant colour or NaN); ``None`` if left out."""
        bare = found.plain and found.kind in IMPLICIT and not bound and not found.traits.primvars
        if bare and found.kind in self._bare:
            return self._bare[found.kind]
        look = self._add(found.prim, bound, found.traits.primvars)
        if bare and look is not None:
            self._bare[found.kind] = look
        return look

    def _add(self, prim: Usd.Prim, bound: Any, primvars: frozenset[str]) -> Optional[Look]:
        key, shape = self._shape(prim)
        if shape is None:
            return None
        surface = shape.surface
        color, varying = self._constant_color(prim, primvars), surface.colors
        if not surface.subsets:
            own = self._own(prim, bound, primvars)
            mesh_key: tuple[Any, ...] = (key, self._materials.uv_names(own), self._materials.colors(own))
            if self._materials.colors(own):
                mesh_key = (*mesh_key, source_path(prim))  # implicit shapes that are alike may differ in primvars
            if mesh_key not in self._index:
                faces = np.full(len(surface.triangles), own, np.int32)
                self._index[mesh_key] = self._keep(
                    self._mesh(prim, surface, faces, varying), own, False, shape.moving, shape.first
                )
            index = self._index[mesh_key]
            replaced = own if own != self._own_material[index] else -1
            return index, replaced, NO_COLOR if varying is not None else color
        faces = self._face_materials(prim, surface, bound, primvars)
        mesh_key = (key, faces.tobytes().hex())
        if mesh_key not in self._index:
            mesh = self._mesh(prim, surface, faces, varying)
            self._index[mesh_key] = self._keep(mesh, int(faces[0]), True, shape.moving, shape.first)
        return self._index[mesh_key], -1, NO_COLOR if varying is not None else color

    def add_merged(self, key: str, pieces: list[Piece]) -> Optional[int]:
        """Join the prims of a prototype into one mesh, with their constant colours baked in.

        Args:
            key: What the joined mesh is remembered by.
            pieces: The prims.

        Returns:
            Index of the mesh, or ``None`` where nothing of it can be drawn.
        """
        if ("merged", key) in self._index:
            return self._index["merged", key]
        made: list[Mesh] = []
        parts: list[Part] = []
        for piece in pieces:
            _, shape = self._shape(piece.prim)
            if shape is None:
                continue
            surface = shape.surface
            faces = self._face_materials(piece.prim, surface, piece.bound, piece.primvars)
            color = self._constant_color(piece.prim, piece.primvars)
            mesh = self._mesh(piece.prim, surface, faces, surface.colors, color)
            made.append(self._placed(mesh, piece.matrix))
            parts.append(
                Part(
                    prim=piece.prim,
                    root=piece.root,
                    gates=piece.gates,
                    moving=shape.moving,
                    points=surface.points,
                    matrix=piece.matrix,
                )
            )
        if not made:
            return None
        joined, moving, first = _joined(made), None, None
        if any(part.moving is not None or part.root is not None or part.gates for part in parts):
            moving = JoinedPoints(parts=tuple(parts), scale=self._scale)
            first = moving.read(self._time)
        self._index["merged", key] = self._keep(
            joined, -1, True, moving, first if first is not None and len(first) else None
        )
        return self._index["merged", key]

    def _keep(
        self,
        mesh: Mesh,
        own_material: int,
        by_face: bool,
        moving: Optional[MovingPoints],
        first: Optional[np.ndarray],
    ) -> int:
        """Append a mesh, unless it stands still and an equal one (``by_face``: of equal materials) is there."""
        if moving is None:
            counts = (len(mesh.points), len(mesh.triangles), len(mesh.more_uvs), len(mesh.more_colors))
            alike = self._alike.setdefault((by_face, *counts, zlib.crc32(mesh.points.tobytes())), [])
            for index in alike:
                if _same(mesh, self._meshes[index], by_face):
                    return index
            alike.append(len(self._meshes))
        else:
            self.moving[len(self._meshes)] = moving
        if first is not None:
            self._first[len(self._meshes)] = first
        self._meshes.append(mesh)
        self._own_material.append(own_material)
        return len(self._meshes) - 1

    def prepare(self, gprims: Sequence[Found]) -> None:
        """Read those meshes together, to be added next, whose polygons stay the same."""
        prims: dict[str, Usd.Prim] = {}
        for found in gprims:
            if found.kind == "Mesh" and self.skins.get(found.prim) is None:
                path = source_path(found.prim)
                if path not in self._shapes and path not in prims and not varies(found.prim, *TOPOLOGY):
                    prims[path] = found.prim
        shapes = read_mesh_shapes(list(prims.values()), self._time, self._scale, self._notes)
        self._shapes.update(zip(prims, shapes, strict=True))

    def _shape(self, prim: Usd.Prim) -> tuple[Any, Optional[Shape]]:
        """Return what a prim is drawn as, and what that is remembered by: equal for equal shapes that stand still."""
        name: Any = None
        if prim.GetTypeName() in IMPLICIT and not varies(prim, *SIZES):
            name = gprim_key(prim, self._time, self._scale)
            if name in self._shapes:
                return name, self._shapes[name]
        skin = self.skins.get(prim)
        path = source_path(prim) if skin is None else str(prim.GetPath())  # each instance may be posed on its own
        if path in self._shapes:
            return path, self._shapes[path]
        shape = read_shape(prim, self._time, self._scale, skin, self._notes)
        name = path if name is None or shape is None else name
        self._shapes[name] = shape
        return name, shape

    def _own(self, prim: Usd.Prim, bound: Any, primvars: frozenset[str]) -> int:
        """Return the material that holds for a whole prim."""
        return self._materials.add(bound) if bound else self._materials.unbound(self._opacity(prim, primvars))

    def _face_materials(self, prim: Usd.Prim, surface: Surface, bound: Any, primvars: frozenset[str]) -> np.ndarray:
        """Return the material of each triangle, int32 [F]."""
        own = self._own(prim, bound, primvars)
        if not surface.subsets:
            return np.full(len(surface.triangles), own, np.int32)
        polygons = np.full(surface.num_faces, own, np.int32)
        stage = prim.GetStage()
        subsets = [stage.GetPrimAtPath(prim.GetPath().AppendChild(name)) for name, _ in surface.subsets]
        for (_, indices), material in zip(surface.subsets, bound_materials(subsets), strict=True):
            if material:
                polygons[indices] = self._materials.add(material)
        return polygons[surface.faces]

    def _opacity(self, prim: Usd.Prim, primvars: frozenset[str]) -> Optional[float]:
        """Return the displayOpacity of a whole prim, or ``None`` where it varies over a mesh."""
        from pxr import UsdGeom

        if "primvars:displayOpacity" not in primvars:
            return 1.0
        primvar = UsdGeom.PrimvarsAPI(prim).FindPrimvarWithInheritance("displayOpacity")
        values = primvar.Get(self._time) if primvar and primvar.HasAuthoredValue() else None
        if values is None or not len(values):
            return 1.0
        if len(values) > 1 and min(values) != max(values):
            if prim.GetTypeName() == "Mesh":
                return None
            self._notes.add("displayOpacity that varies over a prim other than a mesh is its mean", str(prim.GetPath()))
        mean = float(np.mean(np.array(values, np.float64)))
        return mean if np.isfinite(mean) else 1.0

    def _constant_color(self, prim: Usd.Prim, primvars: frozenset[str]) -> tuple[float, float, float]:
        """Return the displayColor that holds for a whole prim, NaN where there is none."""
        from pxr import UsdGeom

        if "primvars:displayColor" not in primvars:
            return NO_COLOR
        primvar = UsdGeom.PrimvarsAPI(prim).FindPrimvarWithInheritance("displayColor")
        values = primvar.Get(self._time) if primvar and primvar.HasAuthoredValue() else None
        if values is None or not len(values):
            return NO_COLOR
        mean = np.array(values, np.float64).reshape(-1, 3).mean(0)
        return (float(mean[0]), float(mean[1]), float(mean[2]))

    def _mesh(
        self,
        prim: Usd.Prim,
        surface: Surface,
        faces: np.ndarray,
        colors: Optional[np.ndarray],
        constant: tuple[float, float, float] = NO_COLOR,
    ) -> Mesh:
        shape = surface.triangles.shape
        used = np.flatnonzero(np.bincount(faces)).tolist() if surface.subsets else [int(faces[0])]
        if len(used) == 1:
            uvs = [surface.uv(name) for name in self._materials.uv_names(used[0])]
            more_colors = [self._primvar(prim, surface, *asked) for asked in self._materials.colors(used[0])]
        else:
            num_uvs = max(len(self._materials.uv_names(index)) for index in used)
            num_colors = max(len(self._materials.colors(index)) for index in used)
            uvs = [np.zeros((*shape, 2), np.float32) for _ in range(num_uvs)]
            more_colors = [np.zeros((*shape, 3), np.float32) for _ in range(num_colors)]
        for index in used if len(used) > 1 else ():
            mine = faces == index
            for k, name in enumerate(self._materials.uv_names(index)):
                uvs[k][mine] = surface.uv(name)[mine]
            for k, (name, fallback) in enumerate(self._materials.colors(index)):
                more_colors[k][mine] = self._primvar(prim, surface, name, fallback)[mine]
        if colors is None:
            colors = np.empty((*shape, 3), np.float32)
            colors[:] = constant if all(map(math.isfinite, constant)) else GREY
        return Mesh(
            points=surface.points,
            triangles=surface.triangles,
            normals=surface.normals,
            uvs=uvs[0],
            colors=np.ascontiguousarray(colors, np.float32),
            materials=faces,
            more_uvs=tuple(uvs[1:]),
            more_colors=tuple(more_colors),
        )

    def _primvar(self, prim: Usd.Prim, surface: Surface, name: str, fallback: tuple[float, float, float]) -> np.ndarray:
        """Return a primvar of numbers as a colour at each corner, [F, 3, 3]; its fallback where the prim lacks it."""
        from pxr import UsdGeom

        primvar = UsdGeom.PrimvarsAPI(prim).FindPrimvarWithInheritance(name)
        values = primvar.ComputeFlattened(self._time) if primvar and primvar.HasAuthoredValue() else None
        array = np.zeros(0) if values is None else np.array(values)
        plain = np.broadcast_to(np.array(fallback, np.float32), (*surface.triangles.shape, 3))
        if array.dtype.kind not in "fiub" or array.size == 0:
            said = f"Prims without the primvar {name!r} that their material reads are drawn with its fallback"
            self._notes.add(said, source_path(prim))
            return plain
        rows = array.astype(np.float32).reshape(len(array) if array.ndim else 1, -1)
        rows = np.repeat(rows, 3, axis=1) if rows.shape[1] == 1 else np.pad(rows, ((0, 0), (0, 1)))[:, :3]
        corners = None
        if prim.GetTypeName() == "Mesh" or len(rows) == 1 or primvar.GetInterpolation() == "constant":
            corners = spread(rows, primvar.GetInterpolation(), surface.triangles, surface.corners, surface.faces)
        if corners is None:
            said = f"The primvar {name!r} that does not fit its prim's corners is drawn with its fallback"
            self._notes.add(said, source_path(prim))
            return plain
        return np.nan_to_num(np.asarray(corners, np.float32))

    def _placed(self, mesh: Mesh, matrix: np.ndarray) -> Mesh:
        """Bring a mesh to another space."""
        linear = matrix[:3, :3]
        points = (mesh.points.astype(np.float64) @ linear + matrix[3, :3] * self._scale).astype(np.float32)
        # Cofactors turn normals rightly even where the matrix is flat; they mirror where it mirrors.
        cofactors = np.stack([np.cross(linear[(k + 1) % 3], linear[(k + 2) % 3]) for k in range(3)])
        mirrored = np.linalg.det(linear) < 0.0
        normals = unit(mesh.normals.astype(np.float64) @ cofactors) * (-1.0 if mirrored else 1.0)
        order = [0, 2, 1] if mirrored else [0, 1, 2]
        return Mesh(
            points=points,
            triangles=np.ascontiguousarray(mesh.triangles[:, order]),
            normals=np.ascontiguousarray(normals[:, order].astype(np.float32)),
            uvs=np.ascontiguousarray(mesh.uvs[:, order]),
            colors=np.ascontiguousarray(mesh.colors[:, order]),
            materials=mesh.materials,
            double_sided=mesh.double_sided,
            more_uvs=tuple(np.ascontiguousarray(uvs[:, order]) for uvs in mesh.more_uvs),
            more_colors=tuple(np.ascontiguousarray(colors[:, order]) for colors in mesh.more_colors),
        )


def _same(mesh: Mesh, other: Mesh, by_face: bool) -> bool:
    """Whether two meshes are equal to the last bit (``by_face``: in their materials too)."""
    names = ("points", "triangles", "normals", "uvs", "colors")
    pairs = [(getattr(mesh, name), getattr(other, name)) for name in names]
    pairs += zip((*mesh.more_uvs, *mesh.more_colors), (*other.more_uvs, *other.more_colors), strict=True)
    if by_face:
        pairs.append((mesh.materials, other.materials))
    return all(mine.tobytes() == its.tobytes() for mine, its in pairs)


def _joined(meshes: list[Mesh]) -> Mesh:
    """Put meshes of one space into one."""
    if len(meshes) == 1:
        return meshes[0]
    offsets = np.cumsum([0] + [len(mesh.points) for mesh in meshes[:-1]])
    return Mesh(
        points=np.concatenate([mesh.points for mesh in meshes]),
        triangles=np.concatenate(
            [mesh.triangles + offset for mesh, offset in zip(meshes, offsets, strict=True)]
        ).astype(np.int32),
        normals=np.concatenate([mesh.normals for mesh in meshes]),
        uvs=np.concatenate([mesh.uvs for mesh in meshes]),
        colors=np.concatenate([mesh.colors for mesh in meshes]),
        materials=np.concatenate([mesh.materials for mesh in meshes]),
        more_uvs=_joined_sets([mesh.more_uvs for mesh in meshes], meshes),
        more_colors=_joined_sets([mesh.more_colors for mesh in meshes], meshes),
    )


def _joined_sets(of_meshes: list[tuple[np.ndarray, ...]], meshes: list[Mesh]) -> tuple[np.ndarray, ...]:
    """Join the further corner values of meshes; zeros where one has fewer sets than another."""
    count = max(len(sets) for sets in of_meshes)
    width = next((sets[0].shape[-1] for sets in of_meshes if sets), 0)
    blanks = [np.zeros((*mesh.triangles.shape, width), np.float32) for mesh in meshes]
    return tuple(
        np.concatenate([sets[k] if k < len(sets) else blank for sets, blank in zip(of_meshes, blanks, strict=True)])
        for k in range(count)
    )


__all__ = ["MeshLibrary", "bound_materials", "source_path"]
