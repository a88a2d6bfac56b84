"""The unique meshes of a stage: read once, shared by all that look the same, with materials and colours resolved."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.scene import Mesh
from cosmos.bridge.render.usd.deform import MovingPoints, SampledPoints, SkinnedPoints, Skins
from cosmos.bridge.render.usd.geometry import GREY, Surface, read_mesh, spread
from cosmos.bridge.render.usd.gprims import read_gprim
from cosmos.bridge.render.usd.materials import MaterialLibrary
from cosmos.bridge.render.usd.normals import crease_normals, unit
from cosmos.bridge.render.usd.notes import Notes

if TYPE_CHECKING:
    from pxr import Usd

_NO_COLOR = (np.nan, np.nan, np.nan)


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
            bound[index] = material
    return bound


class MeshLibrary:
    """Reads each geometry once and hands out indices into ``Scene.meshes``."""

    def __init__(self, time: Usd.TimeCode, scale: float, materials: MaterialLibrary, notes: Notes) -> None:
        self._time, self._scale, self._materials, self._notes = time, scale, materials, notes
        self.skins = Skins(scale, notes)
        """Meshes that skeletons move; to be filled before those meshes are added."""
        self._surfaces: dict[Any, Optional[Surface]] = {}
        self._meshes: list[Mesh] = []
        self._index: dict[Any, int] = {}
        self._own_material: list[int] = []
        self.moving: dict[int, MovingPoints] = {}
        """Mesh index -> its points, for meshes whose points change with time."""

    @property
    def meshes(self) -> tuple[Mesh, ...]:
        """All meshes that were asked for, in index order."""
        return tuple(self._meshes)

    def add(self, prim: Usd.Prim, bound: Any) -> Optional[tuple[int, int, tuple[float, float, float]]]:
        """Return (mesh, material that replaces the mesh's own or -1, constant colour or NaN); ``None`` if left out."""
        key, surface = self._surface(prim)
        if surface is None:
            return None
        faces, subsets = self._face_materials(prim, surface, bound)
        color, varying = self._constant_color(prim), surface.colors
        used = [int(material) for material in np.unique(faces)]
        names = tuple((self._materials.uv_names(index), self._materials.colors(index)) for index in used)
        own = int(faces[0])
        mesh_key = (key, names, faces.tobytes() if subsets else b"")
        if mesh_key not in self._index:
            self._index[mesh_key] = self._keep(
                self._mesh(prim, surface, faces, varying), own, self._moving_points(prim), subsets
            )
        index = self._index[mesh_key]
        replaced = own if not subsets and own != self._own_material[index] else -1
        return index, replaced, _NO_COLOR if varying is not None else color

    def add_merged(self, key: str, parts: list[tuple[Usd.Prim, Any, np.ndarray]]) -> Optional[int]:
        """Join gprims into one mesh, with their constant colours baked in.

        Args:
            key: What the joined mesh is remembered by.
            parts: Prim, bound material, and prim space to joined space (row vectors, stage units, shape [4, 4]).

        Returns:
            Index of the mesh, or ``None`` where nothing of it can be drawn.
        """
        if ("merged", key) in self._index:
            return self._index["merged", key]
        made = []
        for prim, bound, matrix in parts:
            _, surface = self._surface(prim)
            if surface is not None:
                faces, _ = self._face_materials(prim, surface, bound)
                made.append(
                    self._placed(self._mesh(prim, surface, faces, surface.colors, self._constant_color(prim)), matrix)
                )
        if not made:
            return None
        self._index["merged", key] = self._keep(_joined(made), -1, None, True)
        return self._index["merged", key]

    def _keep(self, mesh: Mesh, own_material: int, moving: Any, by_face: bool) -> int:
        """Append a mesh, unless it stands still and an equal one (``by_face``: of equal materials) is there."""
        shapes = (mesh.points.shape, mesh.triangles.shape, by_face, len(mesh.more_uvs), len(mesh.more_colors))
        digest = hashlib.blake2b(repr(shapes).encode(), digest_size=16)
        more = (*mesh.more_uvs, *mesh.more_colors)
        for array in (mesh.points, mesh.triangles, mesh.normals, mesh.uvs, mesh.colors, *more):
            digest.update(np.ascontiguousarray(array).data)
        if by_face:
            digest.update(np.ascontiguousarray(mesh.materials).data)
        key = ("content", digest.digest())
        if moving is None and key in self._index:
            return self._index[key]
        index = len(self._meshes)
        self._meshes.append(mesh)
        self._own_material.append(own_material)
        if moving is None:
            self._index[key] = index
        else:
            self.moving[index] = moving
        return index

    def _surface(self, prim: Usd.Prim) -> tuple[Any, Optional[Surface]]:
        from pxr import UsdGeom

        skin = self.skins.get(prim)
        path = source_path(prim) if skin is None else str(prim.GetPath())  # each instance may be posed on its own
        if path not in self._surfaces:
            if prim.GetTypeName() == "Mesh":
                surface = read_mesh(UsdGeom.Mesh(prim), self._time, self._scale, self._notes)
                self._surfaces[path] = surface if skin is None or surface is None else self._posed(surface, skin)
            else:
                self._surfaces[path] = self._gprim_surface(prim, path)
        return path, self._surfaces[path]

    def _posed(self, surface: Surface, skin: SkinnedPoints) -> Surface:
        """Bring a surface to the skeleton's pose at the first time."""
        points = skin.read(self._time)
        if points.shape != surface.points.shape or not np.isfinite(points).all():
            self._notes.add("Skinned meshes that USD cannot pose are drawn at rest", str(skin.mesh.GetPath()))
            return surface
        return replace(surface, points=points, normals=crease_normals(points, surface.triangles))

    def _gprim_surface(self, prim: Usd.Prim, path: str) -> Optional[Surface]:
        key, surface = read_gprim(prim, self._time, self._scale)
        if surface is None or not len(surface.triangles):
            self._notes.add("Shapes without a finite size are left out", path)
            return None
        return self._surfaces.setdefault(key, surface)

    def _moving_points(self, prim: Usd.Prim) -> Optional[MovingPoints]:
        """Return the points of a mesh where those change with time and the polygons do not."""
        from pxr import UsdGeom

        if prim.GetTypeName() != "Mesh":
            return None
        mesh = UsdGeom.Mesh(prim)
        if mesh.GetFaceVertexIndicesAttr().ValueMightBeTimeVarying():
            self._notes.add("Meshes whose polygons change with time keep those of the first frame", source_path(prim))
            return None
        skin = self.skins.get(prim)
        sampled = mesh.GetPointsAttr().ValueMightBeTimeVarying()
        if skin is not None:
            return skin if skin.moves or sampled else None
        return SampledPoints(mesh=mesh, scale=self._scale) if sampled else None

    def _face_materials(self, prim: Usd.Prim, surface: Surface, bound: Any) -> tuple[np.ndarray, bool]:
        """Return the material of each triangle, int32 [F], and whether subsets decide it."""
        own = self._materials.add(bound) if bound else self._materials.unbound(self._opacity(prim))
        if not surface.subsets:
            return np.full(len(surface.triangles), own, np.int32), False
        polygons = np.full(int(surface.faces.max()) + 1, own, np.int32)
        stage = prim.GetStage()
        subsets = [stage.GetPrimAtPath(prim.GetPath().AppendChild(name)) for name, _ in surface.subsets]
        for (_, indices), material in zip(surface.subsets, bound_materials(subsets), strict=True):
            if material:
                polygons[indices[indices < len(polygons)]] = self._materials.add(material)
        return polygons[surface.faces], True

    def _opacity(self, prim: Usd.Prim) -> Optional[float]:
        """Return the displayOpacity of a whole prim, or ``None`` where it varies."""
        from pxr import UsdGeom

        primvar = UsdGeom.PrimvarsAPI(prim).FindPrimvarWithInheritance("displayOpacity")
        values = primvar.Get(self._time) if primvar and primvar.HasAuthoredValue() else None
        if values is None or not len(values):
            return 1.0
        if len(values) > 1 and min(values) != max(values):
            return None
        return float(values[0]) if np.isfinite(values[0]) else 1.0

    def _constant_color(self, prim: Usd.Prim) -> tuple[float, float, float]:
        """Return the displayColor that holds for a whole prim, NaN where there is none."""
        from pxr import UsdGeom

        primvar = UsdGeom.PrimvarsAPI(prim).FindPrimvarWithInheritance("displayColor")
        values = primvar.Get(self._time) if primvar and primvar.HasAuthoredValue() else None
        if values is None or not len(values):
            return _NO_COLOR
        mean = np.array(values, np.float64).reshape(-1, 3).mean(0)
        return (float(mean[0]), float(mean[1]), float(mean[2]))

    def _mesh(
        self,
        prim: Usd.Prim,
        surface: Surface,
        faces: np.ndarray,
        colors: Optional[np.ndarray],
        constant: tuple[float, float, float] = _NO_COLOR,
    ) -> Mesh:
        used = [int(material) for material in np.unique(faces)]
        shape = surface.triangles.shape
        num_uvs = max(len(self._materials.uv_names(index)) for index in used)
        num_colors = max(len(self._materials.colors(index)) for index in used)
        uvs = [np.zeros((*shape, 2), np.float32) for _ in range(num_uvs)]
        more_colors = [np.zeros((*shape, 3), np.float32) for _ in range(num_colors)]
        for index in used:
            mine = faces == index
            for k, name in enumerate(self._materials.uv_names(index)):
                uvs[k][mine] = surface.uv(name)[mine]
            for k, (name, fallback) in enumerate(self._materials.colors(index)):
                more_colors[k][mine] = self._primvar(prim, surface, name, fallback)[mine]
        if colors is None:
            fill = np.array(constant if np.isfinite(constant).all() else (GREY,) * 3, np.float32)
            colors = np.broadcast_to(fill, (*surface.triangles.shape, 3))
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
        corners = spread(rows, primvar.GetInterpolation(), surface.triangles, surface.corners, surface.faces)
        if corners is None:
            self._notes.add(f"The primvar {name!r} with too few values is drawn with its fallback", source_path(prim))
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
