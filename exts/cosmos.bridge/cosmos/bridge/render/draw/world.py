"""The drawn world as flat device arrays: every instance's triangles, in world space, around a local origin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import warp as wp

from cosmos.bridge.errors import SourceError
from cosmos.bridge.kernels.surface_noise import path_tags
from cosmos.bridge.render.bend import bent_normals
from cosmos.bridge.render.draw.atlas import Atlas, make_atlas
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.stacked import MOST_STACKED, stacked
from cosmos.bridge.render.scene import Pose, Scene

wp.set_module_options({"enable_backward": False})

MOST_TRIANGLES = 100_000_000
"""A stage that draws more is refused: each triangle of each instance takes some 60 bytes, and twice that on loading."""


@wp.struct
class WorldArrays:
    """What kernels read of the world; F triangles of N drawn instances."""

    mesh: wp.uint64  # wp.Mesh of all triangles, 0 until first asked for
    points: wp.array(dtype=wp.vec3)  # [m], relative to the origin
    local: wp.array(dtype=wp.vec3)  # the meshes' own points
    origins: wp.array(dtype=wp.int32)  # row of ``local`` of each point
    places: wp.array(dtype=wp.mat44d)  # [N], mesh space to world
    triangles: wp.array(dtype=wp.int32)  # [3 F], into points
    instances: wp.array(dtype=wp.int32)  # [F], into the per-instance arrays
    sources: wp.array(dtype=wp.int32)  # [F], row of the corner arrays
    materials: wp.array(dtype=wp.int32)  # [F]
    atlas: Atlas  # what those are made of
    clear: wp.int32  # 1 where any material has holes or lets light through
    corner_normals: wp.array2d(dtype=wp.vec3)
    corner_uvs: wp.array2d(dtype=wp.vec2)  # set k of row s stands at row s + k * rows of corner_normals
    corner_colors: wp.array2d(dtype=wp.vec3)  # likewise; set 0 is displayColor
    sides: wp.array(dtype=wp.int32)  # [N]: -9 hidden, 0 both sides drawn, +1/-1 orientation that is drawn
    normal_to_world: wp.array(dtype=wp.mat33)  # [N]
    world_to_object: wp.array(dtype=wp.mat44)  # [N], rigid: object space keeps its size in metres
    colors: wp.array(dtype=wp.vec3)  # [N], negative where the mesh's colours hold
    semantics: wp.array(dtype=wp.uint32)  # [N]
    seeds: wp.array(dtype=wp.uint32)  # [N], stable hash of the prim path


@wp.kernel
def _place_points_kernel(
    first: wp.int32,
    local: wp.array(dtype=wp.vec3),
    sources: wp.array(dtype=wp.int32),
    owners: wp.array(dtype=wp.int32),
    matrices: wp.array(dtype=wp.mat44),
    points_out: wp.array(dtype=wp.vec3),
):
    i = first + wp.tid()
    points_out[i] = wp.transform_point(matrices[owners[i]], local[sources[i]])


def _starts(counts: np.ndarray) -> np.ndarray:
    """Return where each run of ``counts`` items starts, and the total as last entry."""
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)


def _expand(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the concatenation of ``arange(start, start + count)`` for each pair, int32."""
    run = np.repeat((starts - _starts(counts)[:-1]).astype(np.int32), counts)
    run += np.arange(len(run), dtype=np.int32)
    return run


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Turns:
    """What follows from the places of N instances."""

    side: np.ndarray
    """int64 [N], -1 where a place mirrors, else 1."""
    normals: np.ndarray
    """float64 [N, 3, 3], brings normals to the world, up to a positive factor."""
    into: np.ndarray
    """float64 [N, 4, 4], world to rigid object space, which keeps its size in metres; the identity where flat."""


def turn_of(matrices: np.ndarray) -> Turns:
    """Return how normals and world points follow from affine matrices, float64 [N, 4, 4].

    Normals turn with the cofactors, which hold for a flat body too; with the inverse they differ by a factor only.
    """
    lengths = np.sqrt((matrices[:, :3, :3] ** 2).sum(1))
    axes = matrices[:, :3, :3] / np.maximum(lengths, 1e-12)[:, None, :]
    a, b, c = (axes[:, row].T for row in range(3))
    cofactors = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)]).transpose(2, 0, 1)
    volume = (axes[:, 0] * cofactors[:, 0]).sum(-1)
    side = np.where(volume < 0.0, -1, 1)
    lengths = lengths / np.maximum(lengths.max(1, keepdims=True), 1e-12)
    grown = np.stack([lengths[:, 1] * lengths[:, 2], lengths[:, 0] * lengths[:, 2], lengths[:, 0] * lengths[:, 1]], 1)
    normals = side[:, None, None] * cofactors * grown[:, None, :]
    largest = np.abs(normals).max((1, 2))[:, None, None]
    normals = np.where(largest > 1e-30, normals / np.maximum(largest, 1e-30), np.eye(3))
    into = np.tile(np.eye(4), (len(axes), 1, 1))
    sound = np.abs(volume) > 1e-30
    inverse = cofactors[sound].transpose(0, 2, 1) / volume[sound, None, None]
    into[sound, :3, :3] = inverse
    into[sound, :3, 3] = -(inverse * matrices[sound, None, :3, 3]).sum(-1)
    return Turns(side=side, normals=normals, into=into)


def _cross(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the cross product of vectors laid out [3, N]."""
    return np.stack([p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]])


def inverses(matrices: np.ndarray) -> np.ndarray:
    """Return the inverse of each matrix, and the identity for those that have none.

    Args:
        matrices: float64, shape [N, K, K].
    """
    size = matrices.shape[-1]
    scale = np.abs(matrices).max(axis=(1, 2)) if len(matrices) else np.zeros(0)
    singular = ~np.isfinite(scale) | (np.abs(np.linalg.det(matrices)) <= 1e-30)
    safe = np.where(singular[:, None, None], np.eye(size), matrices)
    return np.linalg.inv(safe)


def _sets(of_meshes: list[tuple[np.ndarray, ...]]) -> np.ndarray:
    """Join corner values of all meshes, one set after the other; zeros where a mesh has fewer sets than another."""
    count = max(len(sets) for sets in of_meshes)
    return np.concatenate(
        [sets[k] if k < len(sets) else np.zeros_like(sets[0]) for k in range(count) for sets in of_meshes]
    )


def _clear_triangles(scene: Scene, materials: np.ndarray) -> tuple[Optional[np.ndarray], Optional[np.ndarray]]:
    """Return which triangles may have holes or be blended, and which may be blended, bool [F]; ``None`` for none."""
    blended = np.array([item.blended for item in scene.materials] or [False])
    clear = blended | np.array([item.cut_out for item in scene.materials] or [False])
    if not clear.any():
        return None, None
    see_through = clear[materials]
    return (see_through, blended[materials]) if see_through.any() else (None, None)


class World:
    """Flat world-space triangles of a Scene, moved by a Pose."""

    def __init__(self, scene: Scene, pose: Pose, bands: Bands):
        """Lay the scene out on the device of ``bands`` at its first pose."""
        self.bands, self.device, self._scene = bands, bands.device, scene
        mesh_of = np.asarray(scene.mesh_of, dtype=np.int64)
        point_counts = np.array([len(mesh.points) for mesh in scene.meshes], dtype=np.int64)
        face_counts = np.array([len(mesh.triangles) for mesh in scene.meshes], dtype=np.int64)
        self._point_starts = _starts(point_counts)
        self._face_starts = face_starts = _starts(face_counts)
        drawn_points, drawn_faces = point_counts[mesh_of], face_counts[mesh_of]
        world_starts = _starts(drawn_points)
        self.num_instances, self.num_triangles = len(mesh_of), int(drawn_faces.sum())
        if self.num_triangles > MOST_TRIANGLES:
            raise SourceError(
                f"Stage {scene.path} draws {self.num_triangles} triangles in all, more than {MOST_TRIANGLES}; "
                "hide or simplify some."
            )
        faces = _expand(face_starts[mesh_of], drawn_faces)
        each = np.arange(self.num_instances, dtype=np.int32)
        owners = np.repeat(each, drawn_faces)
        triangles = np.concatenate([mesh.triangles for mesh in scene.meshes])[faces]
        triangles += np.repeat(world_starts[:-1].astype(np.int32), drawn_faces)[:, None]
        materials = np.concatenate([mesh.materials for mesh in scene.meshes])[faces]
        override = np.asarray(scene.material_of)
        if (override >= 0).any():
            materials = np.where(override[owners] >= 0, override[owners], materials)
        self._kinds = mesh_of * (len(scene.materials) + 1) + override + 1
        self.see_through, self.blended = _clear_triangles(scene, materials)
        self._local = self._points_of(pose)
        self._sources = self._array(_expand(self._point_starts[mesh_of], drawn_points), wp.int32)
        self._owners = self._array(np.repeat(each, drawn_points), wp.int32)
        self._points = wp.empty(int(drawn_points.sum()), dtype=wp.vec3, device=self.device)
        self._double = np.array([mesh.double_sided for mesh in scene.meshes], dtype=bool)[mesh_of]
        self._mesh: Optional[wp.Mesh] = None
        self._mesh_begun: Optional[Callable[[], Any]] = None
        self._deformed = False
        self._bent: set[int] = set()
        self._matrices: Optional[np.ndarray] = None
        self._shown: Optional[np.ndarray] = None
        self._turned: Optional[tuple[np.ndarray, Turns]] = None
        self._mesh_stale = False
        self.version = 0
        """Counts how often anything has moved."""
        self.num_stacked = 0
        """Instances left out because they lie where MOST_STACKED of their kind lie."""
        self.atlas = make_atlas(scene, bands.device)
        """Materials and textures."""
        self.origin = self._find_origin(scene, pose)
        self.arrays = self._make_arrays(triangles, owners, faces, materials)
        self.place(pose)

    def _array(self, values: Any, dtype: Any) -> wp.array:
        """Return values that nobody else writes to as an array, which shares their memory where it can."""
        return wp.array(np.ascontiguousarray(values), dtype=dtype, device=self.device, copy=False)

    def _make_arrays(self, triangles: np.ndarray, owners: np.ndarray, faces: np.ndarray, materials: np.ndarray) -> Any:
        scene, arrays = self._scene, WorldArrays()
        arrays.mesh = 0
        arrays.points = self._points
        arrays.origins = self._sources
        arrays.triangles = self._array(triangles.reshape(-1), wp.int32)
        arrays.instances = self._array(owners, wp.int32)
        arrays.sources = self._array(faces, wp.int32)
        arrays.materials = self._array(materials, wp.int32)
        arrays.corner_normals = self._array(np.concatenate([mesh.normals for mesh in scene.meshes]), wp.vec3)
        arrays.atlas = self.atlas
        arrays.clear = int(self.see_through is not None)
        arrays.corner_uvs = self._array(_sets([(mesh.uvs, *mesh.more_uvs) for mesh in scene.meshes]), wp.vec2)
        arrays.corner_colors = self._array(_sets([(mesh.colors, *mesh.more_colors) for mesh in scene.meshes]), wp.vec3)
        colors = np.nan_to_num(np.asarray(scene.color_of, dtype=np.float32).reshape(-1, 3), nan=-1.0)
        arrays.colors = self._array(colors, wp.vec3)
        arrays.semantics = self._array([instance.semantic_id for instance in scene.drawn], wp.uint32)
        arrays.seeds = self._array(path_tags([instance.prim_path for instance in scene.drawn]), wp.uint32)
        return arrays

    def _points_of(self, pose: Pose) -> wp.array:
        parts = [
            np.asarray(pose.points.get(index, mesh.points), dtype=np.float32).reshape(-1, 3)
            for index, mesh in enumerate(self._scene.meshes)
        ]
        return self._array(np.concatenate(parts), wp.vec3)

    def _find_origin(self, scene: Scene, pose: Pose) -> np.ndarray:
        """Return a point near the geometry, whole metres, so that float32 world coordinates stay small."""
        places = pose.local_to_world[:, :3, 3]
        places = places[np.isfinite(places).all(axis=1)]
        if not len(places):
            return np.zeros(3)
        middle = np.sort(places, axis=0)[[(len(places) - 1) // 2, len(places) // 2]]
        return np.asarray(np.round(middle.mean(axis=0)))  # np.median would import numpy.ma

    def place(self, pose: Pose, *, rays: bool = False) -> None:
        """Move every instance to ``pose``; does nothing where nothing moved.

        Args:
            pose: Where everything is.
            rays: Whether rays are soon to be cast: their hierarchy is brought there meanwhile.
        """
        self._move(pose)
        if rays:
            self.begin_rays()

    def _move(self, pose: Pose) -> None:
        matrices = np.array(pose.local_to_world, dtype=np.float64)
        matrices[:, :3, 3] -= self.origin
        shown = np.asarray(pose.visible, dtype=bool) & np.isfinite(matrices).all(axis=(1, 2))
        deformed = bool(pose.points) or self._deformed
        before, seen = self._matrices, self._shown
        known = before is not None and seen is not None and not deformed
        if known and np.array_equal(matrices, np.asarray(before)) and np.array_equal(shown, np.asarray(seen)):
            return
        self._matrices, self._shown = matrices, shown
        drawn = np.flatnonzero(shown)
        shown = shown.copy()
        shown[drawn] = ~stacked(self._kinds[drawn], matrices[drawn])
        self.num_stacked = len(drawn) - int(shown.sum())
        self.version += 1
        if deformed:
            self._deformed = bool(pose.points)
            self._local = self._points_of(pose)
            self._bend_normals(pose)
        self._end_mesh()
        side = self._turn(np.where(shown[:, None, None], matrices, np.eye(4)))
        self.arrays.sides = self._array(np.where(shown, np.where(self._double, 0, side), -9), wp.int32)
        self.arrays.local, self.arrays.places = self._local, self._array(matrices, wp.mat44d)
        self._place_points(self._local, matrices, shown, self._points)
        self._mesh_stale = True

    def _turn(self, matrices: np.ndarray) -> np.ndarray:
        """Turn normals and object spaces to ``matrices``, where these are not as before; return each place's side."""
        if self._turned is None:
            self._turned = (matrices, turn_of(matrices))
        else:
            before, turns = self._turned
            moved = np.flatnonzero((matrices != before).any((1, 2)))
            now = turn_of(matrices[moved])
            turns.side[moved], turns.normals[moved], turns.into[moved] = now.side, now.normals, now.into
            self._turned = (matrices, turns)
        turns = self._turned[1]
        self.arrays.normal_to_world = self._array(turns.normals.astype(np.float32), wp.mat33)
        self.arrays.world_to_object = self._array(turns.into.astype(np.float32), wp.mat44)
        return turns.side

    def _place_points(self, local: wp.array, matrices: np.ndarray, shown: np.ndarray, points: wp.array) -> None:
        collapsed = np.where(shown[:, None, None], matrices, 0.0)  # a hidden instance shrinks to a point no ray hits
        collapsed[:, 3, 3] = 1.0
        inputs = [local, self._sources, self._owners, self._array(collapsed.astype(np.float32), wp.mat44), points]
        self.bands.launch(_place_points_kernel, len(points), inputs, chunk=4096)

    def _bend_normals(self, pose: Pose) -> None:
        """Turn the corner normals of meshes whose points moved as their triangles turned."""
        for index in self._bent | set(pose.points):
            mesh, start = self._scene.meshes[index], int(self._face_starts[index])
            moved = np.asarray(pose.points.get(index, mesh.points))
            bent = bent_normals(mesh.points, moved, mesh.triangles, mesh.normals)
            wp.copy(self.arrays.corner_normals[start : start + len(bent)], self._array(bent, wp.vec3))
        self._bent = set(pose.points)

    def points_at(self, pose: Pose) -> tuple[wp.array, np.ndarray]:
        """Return world points at another pose, and which instances' meshes change shape there, bool, shape [N]."""
        matrices = np.array(pose.local_to_world, dtype=np.float64)
        matrices[:, :3, 3] -= self.origin
        shown = np.asarray(np.isfinite(matrices).all(axis=(1, 2)))
        points = wp.empty(len(self._points), dtype=wp.vec3, device=self.device)
        self._place_points(self._points_of(pose), np.where(shown[:, None, None], matrices, 0.0), shown, points)
        return points, np.isin(np.asarray(self._scene.mesh_of), list(self._bent | set(pose.points)))

    @property
    def matrices(self) -> np.ndarray:
        """Mesh space to world relative to the origin, float64, shape [N, 4, 4]."""
        assert self._matrices is not None
        return self._matrices

    @property
    def notes(self) -> tuple[str, ...]:
        """What is left out at the present pose, one sentence each."""
        if self.num_stacked == 0:
            return ()
        place = f"exactly where {MOST_STACKED} others of their kind lie"
        return (f"{self.num_stacked} instances lie {place}; they are not drawn.",)

    def begin_rays(self) -> None:
        """Begin to bring the bounding volume hierarchy to the present pose, where it is not there, and do not wait."""
        if self._mesh_begun is None and (self._mesh is None or self._mesh_stale):
            self._mesh_begun = self.bands.aside(self._build_mesh if self._mesh is None else self._refit_mesh)
            self._mesh_stale = False

    def _build_mesh(self) -> wp.Mesh:
        return wp.Mesh(points=self._points, indices=self.arrays.triangles)

    def _refit_mesh(self) -> wp.Mesh:
        assert self._mesh is not None
        self._mesh.refit()
        return self._mesh

    def _end_mesh(self) -> None:
        """Wait for what was begun, which reads the points."""
        if self._mesh_begun is not None:
            self._mesh = self._mesh_begun()
            self._mesh_begun, self.arrays.mesh = None, self._mesh.id

    def ray_ready(self) -> Any:
        """Return the arrays with a bounding volume hierarchy that matches the present pose."""
        self.begin_rays()
        self._end_mesh()
        return self.arrays


__all__ = ["World", "WorldArrays", "inverses", "turn_of"]
