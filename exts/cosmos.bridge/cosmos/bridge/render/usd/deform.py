"""Points that change with time: of meshes with time samples, and of meshes that a skeleton moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Protocol

import numpy as np

from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.polygon_mesh import read_points, vectors

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom, UsdSkel


class MovingPoints(Protocol):
    """Points of one mesh at any time."""

    def read(self, time: Usd.TimeCode) -> np.ndarray:
        """Return the points in the mesh's own space [m], float32 [V, 3]."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class SampledPoints:
    """Points with time samples of their own."""

    mesh: UsdGeom.Mesh
    scale: float
    """Metres per stage unit."""

    def read(self, time: Usd.TimeCode) -> np.ndarray:
        """Return the points in the mesh's own space [m], float32 [V, 3]."""
        return read_points(self.mesh, time, self.scale)


@dataclass(frozen=True, kw_only=True, slots=True)
class SkinnedPoints:
    """Points that a skeleton moves, its blend shapes first (UsdSkel)."""

    mesh: UsdGeom.Mesh
    skeleton: UsdSkel.SkeletonQuery
    skinning: UsdSkel.SkinningQuery
    blend: Any
    """UsdSkel.BlendShapeQuery of the mesh; ``None`` where it has no blend shapes."""
    scale: float
    """Metres per stage unit."""
    moves: bool
    """Whether the skeleton, its blend shapes, or the mesh against it change with time."""

    def read(self, time: Usd.TimeCode) -> np.ndarray:
        """Return the points in the mesh's own space [m], float32 [V, 3]; empty where USD cannot pose them."""
        from pxr import UsdGeom

        nothing = np.zeros((0, 3), np.float32)
        points = self.mesh.GetPointsAttr().Get(time)
        if points is None or not self._blended(points, time):
            return nothing
        if not self.skinning.HasJointInfluences():
            return vectors(points) * np.float32(self.scale)
        joints = self.skeleton.ComputeSkinningTransforms(time)
        if joints is None or not self.skinning.ComputeSkinnedPoints(joints, points, time):
            return nothing
        cache = UsdGeom.XformCache(time)
        skeleton_to_world = np.array(cache.GetLocalToWorldTransform(self.skeleton.GetPrim()))
        mesh_to_world = np.array(cache.GetLocalToWorldTransform(self.mesh.GetPrim()))
        if abs(np.linalg.det(mesh_to_world)) < 1e-300:
            return nothing
        to_mesh = skeleton_to_world @ np.linalg.inv(mesh_to_world)
        placed = np.array(points, np.float64) @ to_mesh[:3, :3] + to_mesh[3, :3]
        return (placed * self.scale).astype(np.float32)

    def _blended(self, points: Any, time: Usd.TimeCode) -> bool:
        """Add the blend shapes to ``points`` in place; False where they do not fit."""
        animation = self.skeleton.GetAnimQuery()
        if self.blend is None or not animation:
            return True
        mapper, weights = self.skinning.GetBlendShapeMapper(), animation.ComputeBlendShapeWeights(time)
        if not mapper or weights is None:
            return True
        sub_weights, shapes, sub_shapes = self.blend.ComputeSubShapeWeights(mapper.Remap(weights))
        indices, offsets = self.blend.ComputeBlendShapePointIndices(), self.blend.ComputeSubShapePointOffsets()
        return bool(self.blend.ComputeDeformedPoints(sub_weights, shapes, sub_shapes, indices, offsets, points))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """One prim of a prototype that is drawn as one mesh."""

    prim: Usd.Prim
    points: np.ndarray
    """float32 [V, 3], in the prim's own space [m], where they stand still."""
    moving: Optional[MovingPoints]
    """The points, where they change."""
    matrix: np.ndarray
    """Prim space to the prototype's, row vectors, stage units, float64 [4, 4], where that stands still."""
    root: Optional[Usd.Prim]
    """The prototype, where the prim moves in it."""
    gates: tuple[Usd.Attribute, ...]
    """Visibility attributes below the prototype that change with time."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class JoinedPoints:
    """Points of a prototype whose parts move, deform, or come and go."""

    parts: tuple[Part, ...]
    scale: float
    """Metres per stage unit."""

    def read(self, time: Usd.TimeCode) -> np.ndarray:
        """Return the points in the prototype's space [m], float32 [V, 3]; empty where no part is there.

        Parts that are hidden, or cannot be placed, have no size.
        """
        from pxr import UsdGeom

        cache = UsdGeom.XformCache(time)
        placed = [self._place(part, cache, time) for part in self.parts]
        seen = next((points[0] for points in placed if points is not None), None)
        if seen is None:
            return np.zeros((0, 3), np.float32)
        return np.concatenate(
            [
                np.tile(seen, (len(part.points), 1)) if points is None else points
                for part, points in zip(self.parts, placed, strict=True)
            ]
        )

    def _place(self, part: Part, cache: Any, time: Usd.TimeCode) -> Optional[np.ndarray]:
        from pxr import UsdGeom

        if any(gate.Get(time) == UsdGeom.Tokens.invisible for gate in part.gates):
            return None
        points = part.points if part.moving is None else part.moving.read(time)
        if points.shape != part.points.shape:
            return None
        matrix = part.matrix
        if part.root is not None:
            matrix = np.array(cache.ComputeRelativeTransform(part.prim, part.root)[0])
        moved = points.astype(np.float64) @ matrix[:3, :3] + matrix[3, :3] * self.scale
        return moved.astype(np.float32) if np.isfinite(moved).all() else None


class Skins:
    """The meshes of a stage that skeletons move, by the path they are drawn at."""

    def __init__(self, scale: float, notes: Notes) -> None:
        self._scale, self._notes = scale, notes
        self._caches: list[Any] = []  # queries hold only while their cache lives
        self._skins: dict[str, SkinnedPoints] = {}

    def get(self, prim: Usd.Prim) -> Any:
        """Return the ``SkinnedPoints`` of a mesh, or ``None``."""
        return self._skins.get(str(prim.GetPath())) if self._skins else None

    def add(self, root: Usd.Prim) -> None:
        """Find the skinned meshes below a SkelRoot."""
        from pxr import Usd, UsdSkel

        cache, predicate = UsdSkel.Cache(), Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)
        skel_root = UsdSkel.Root(root)
        if not cache.Populate(skel_root, predicate):
            self._notes.add("Skinned meshes are drawn in their rest pose", str(root.GetPath()))
            return
        self._caches.append(cache)
        for binding in cache.ComputeSkelBindings(skel_root, predicate):
            skeleton = cache.GetSkelQuery(binding.GetSkeleton())
            for skinning in binding.GetSkinningTargets():
                self._add_target(root, skeleton, skinning)

    def _add_target(self, root: Usd.Prim, skeleton: Any, skinning: Any) -> None:
        """Remember one mesh that a skeleton moves."""
        from pxr import UsdGeom, UsdSkel

        prim, blends = skinning.GetPrim(), skinning.HasBlendShapes()
        path = str(prim.GetPath())
        if not skeleton or not (skinning.HasJointInfluences() or blends):
            return
        if prim.GetTypeName() != "Mesh":
            if prim.IsA(UsdGeom.Imageable):
                self._notes.add("Prims other than meshes that a skeleton moves are drawn at rest", path)
            return
        animation = skeleton.GetAnimQuery()
        moves = bool(animation) and (
            animation.JointTransformsMightBeTimeVarying()
            or (blends and animation.BlendShapeWeightsMightBeTimeVarying())
        )
        self._skins[path] = SkinnedPoints(
            mesh=UsdGeom.Mesh(prim),
            skeleton=skeleton,
            skinning=skinning,
            blend=UsdSkel.BlendShapeQuery(UsdSkel.BindingAPI(prim)) if blends else None,
            scale=self._scale,
            moves=moves or _moves_below(prim, root) or _moves_below(skeleton.GetPrim(), root),
        )


def _moves_below(prim: Usd.Prim, root: Usd.Prim) -> bool:
    """Whether a prim may move against something above it."""
    from pxr import UsdGeom

    while prim and prim != root:
        xformable = UsdGeom.Xformable(prim)
        if xformable and xformable.TransformMightBeTimeVarying():
            return True
        prim = prim.GetParent()
    return False


__all__ = ["JoinedPoints", "MovingPoints", "Part", "SampledPoints", "SkinnedPoints", "Skins"]
