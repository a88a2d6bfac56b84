"""Points that change with time: of meshes with time samples, and of meshes that a skeleton moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cosmos.bridge.render.usd.geometry import read_points
from cosmos.bridge.render.usd.notes import Notes

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
    """Points that a skeleton moves (UsdSkel)."""

    mesh: UsdGeom.Mesh
    skeleton: UsdSkel.SkeletonQuery
    skinning: UsdSkel.SkinningQuery
    scale: float
    """Metres per stage unit."""
    moves: bool
    """Whether the skeleton, or the mesh against it, changes with time."""

    def read(self, time: Usd.TimeCode) -> np.ndarray:
        """Return the points in the mesh's own space [m], float32 [V, 3]; empty where USD cannot skin them."""
        from pxr import UsdGeom

        nothing = np.zeros((0, 3), np.float32)
        points, joints = self.mesh.GetPointsAttr().Get(time), self.skeleton.ComputeSkinningTransforms(time)
        if points is None or joints is None or not self.skinning.ComputeSkinnedPoints(joints, points, time):
            return nothing
        cache = UsdGeom.XformCache(time)
        skeleton_to_world = np.array(cache.GetLocalToWorldTransform(self.skeleton.GetPrim()))
        mesh_to_world = np.array(cache.GetLocalToWorldTransform(self.mesh.GetPrim()))
        if abs(np.linalg.det(mesh_to_world)) < 1e-300:
            return nothing
        to_mesh = skeleton_to_world @ np.linalg.inv(mesh_to_world)
        placed = np.array(points, np.float64) @ to_mesh[:3, :3] + to_mesh[3, :3]
        return (placed * self.scale).astype(np.float32)


class Skins:
    """The meshes of a stage that skeletons move, by the path they are drawn at."""

    def __init__(self, scale: float, notes: Notes) -> None:
        self._scale, self._notes = scale, notes
        self._caches: list[Any] = []  # queries hold only while their cache lives
        self._skins: dict[str, SkinnedPoints] = {}

    def get(self, prim: Usd.Prim) -> Any:
        """Return the ``SkinnedPoints`` of a mesh, or ``None``."""
        return self._skins.get(str(prim.GetPath()))

    def add(self, root: Usd.Prim) -> None:
        """Find the skinned meshes below a SkelRoot."""
        from pxr import Usd, UsdGeom, UsdSkel

        cache, predicate = UsdSkel.Cache(), Usd.TraverseInstanceProxies(Usd.PrimDefaultPredicate)
        skel_root = UsdSkel.Root(root)
        if not cache.Populate(skel_root, predicate):
            self._notes.add("Skinned meshes are drawn in their rest pose", str(root.GetPath()))
            return
        self._caches.append(cache)
        for binding in cache.ComputeSkelBindings(skel_root, predicate):
            skeleton = cache.GetSkelQuery(binding.GetSkeleton())
            for skinning in binding.GetSkinningTargets():
                prim = skinning.GetPrim()
                if skinning.HasBlendShapes():
                    self._notes.add("Blend shapes are left out", str(prim.GetPath()))
                if not skinning.HasJointInfluences() or prim.GetTypeName() != "Mesh" or not skeleton:
                    continue
                animation = skeleton.GetAnimQuery()
                self._skins[str(prim.GetPath())] = SkinnedPoints(
                    mesh=UsdGeom.Mesh(prim),
                    skeleton=skeleton,
                    skinning=skinning,
                    scale=self._scale,
                    moves=bool(animation) and animation.JointTransformsMightBeTimeVarying(),
                )


__all__ = ["MovingPoints", "SampledPoints", "SkinnedPoints", "Skins"]
