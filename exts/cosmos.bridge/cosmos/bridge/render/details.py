"""What a renderer can still tell about the frame it has just drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import warp as wp

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.raster import Rasteriser
from cosmos.bridge.render.draw.world import World
from cosmos.bridge.render.scene import Pose, Scene
from cosmos.bridge.types import Camera, MapLine

if TYPE_CHECKING:
    from cosmos.bridge.render.lidar import Lidar, LidarScan


class Details:
    """Answers about one frame of a Renderer while its memory lives; fills the protocol FrameDetails."""

    def __init__(
        self,
        *,
        camera: Camera,
        pose: Pose,
        scene: Scene,
        world: World,
        bands: Bands,
        view: Any,
        rasteriser: Rasteriser,
        reader: Any,
        paint_linear: Callable[[wp.array], None],
        prepare: Callable[[], bool],
        memory: dict[Any, Any],
    ):
        """Remember what the frame was drawn from.

        Args:
            camera: Camera of the frame.
            pose: Pose of the frame.
            scene: What was drawn.
            world: The world.
            bands: Where to launch.
            view: The camera for kernels.
            rasteriser: What draws the world; cheapest if it drew this frame last.
            reader: What the scene was read with.
            paint_linear: Fills float32 [H, W, 3] with the picture before tone mapping.
            prepare: Places the world at the pose; false once the memory of the frame was drawn over.
            memory: What annotators keep between frames.
        """
        self._camera, self._pose, self._scene, self._world = camera, pose, scene, world
        self.bands, self._view, self._rasteriser, self._reader = bands, view, rasteriser, reader
        self._paint_linear, self._prepare = paint_linear, prepare
        self.meters_per_unit = float(scene.meters_per_unit)
        self.memory = memory

    def _check(self) -> None:
        if not self._prepare():
            raise ValueError(
                f"The frame at time {self._pose.time_code:g} is gone, for its renderer drew another over it; "
                "ask for its annotators before the next frame."
            )

    def linear(self) -> wp.array:
        """Return the picture before tone mapping, with exposure: scene-linear Rec. 709, float32, shape [H, W, 3]."""
        self._check()
        shape = (self._camera.height, self._camera.width, 3)
        linear = wp.empty(shape, dtype=wp.float32, device=self.bands.device)
        self._paint_linear(linear)
        return linear

    def silhouettes(self, groups: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixels and boxes of groups of instances as if nothing stood before them."""
        from cosmos.bridge.render.draw.silhouettes import silhouettes  # its kernels take a while to read

        self._check()
        return silhouettes(self.bands, self._world, self._view, groups, count, self._rasteriser)

    def prim_poses(self, prim_paths: Sequence[str]) -> np.ndarray:
        """Return prim space to world [m] of each prim, column vectors, shape [K, 4, 4]; NaN where there is none."""
        return np.asarray(self._reader.prim_poses(prim_paths, self._pose.time_code))

    def local_poses(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return instance space to world [m] of each instance id, column vectors, shape [K, 4, 4]."""
        return np.asarray(self._pose.local_to_world[np.asarray(ids, np.int64) - 1])

    def local_bounds(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the box of each instance id in its own space [m] as it is now, shape [K, 2, 3]; NaN if not visible."""
        rest = self.memory.get("bounds")
        if rest is None:
            nothing = np.full((2, 3), np.nan)
            rest = np.stack([nothing if one.bounds is None else one.bounds for one in self._scene.drawn])
            self.memory["bounds"] = rest
        rows = np.asarray(ids, np.int64) - 1
        visible, meshes = np.asarray(self._pose.visible, bool)[rows], np.asarray(self._scene.mesh_of)[rows]
        boxes = np.where(visible[:, None, None], rest[rows], np.nan)
        for mesh, points in self._pose.points.items():
            moved = np.flatnonzero((meshes == mesh) & visible)
            if len(moved):
                used = np.asarray(points)[self._scene.meshes[mesh].triangles]
                boxes[moved] = np.stack([used.min((0, 1)), used.max((0, 1))])
        return boxes

    def upright(self, ids: Sequence[int]) -> np.ndarray:
        """Return the foot and the top of a pole made of instances, world [m], shape [2, 3]; NaN if not visible.

        It stands upright over the middle of its lowest tenth, so that an arm at its top does not move it.
        """
        up, parts = (1 if self._scene.up_axis == "Y" else 2), []
        for key in ids:
            mesh, pose = int(self._scene.mesh_of[key - 1]), self._pose.local_to_world[key - 1]
            if self._pose.visible[key - 1]:
                points = np.asarray(self._pose.points.get(mesh, self._scene.meshes[mesh].points), np.float64)
                parts.append(points @ pose[:3, :3].T + pose[:3, 3])
        if not parts:
            return np.full((2, 3), np.nan)
        points = np.concatenate(parts)
        low, high = points[:, up].min(), points[:, up].max()
        lowest = points[points[:, up] <= low + 0.1 * (high - low)]
        ends = np.repeat((lowest.min(axis=0) + lowest.max(axis=0))[None] / 2.0, 2, axis=0)
        ends[:, up] = low, high
        return ends

    def map_lines(self, wanted: Callable[[Mapping[str, str]], bool]) -> Sequence[MapLine]:
        """Return the lines of the stage whose labels are wanted, as they are now."""
        return tuple(self._reader.map_lines(self._pose.time_code, wanted))

    def lidar(self, sensor: Lidar) -> LidarScan:
        """Return one turn of a sensor at this moment.

        Raises:
            SourceError: If there is no prim at its mount.
        """
        from cosmos.bridge.render.draw.sweep import sweep  # its kernels take a while to read
        from cosmos.bridge.render.lidar import LidarScan

        self._check()
        pose = self._sensor_pose(sensor)
        directions = sensor.directions @ pose[:3, :3].T
        limits, beam = (sensor.min_range, sensor.max_range), 2.0 * np.pi / sensor.steps
        ranges, intensities, instances, semantics = sweep(
            self.bands, self._world, pose[:3, 3], directions, limits, beam
        )
        return LidarScan(
            sensor=sensor,
            sensor_to_world=pose,
            ranges=ranges,
            intensities=intensities,
            instance_ids=instances,
            semantic_ids=semantics,
        )

    def _sensor_pose(self, sensor: Lidar) -> np.ndarray:
        from cosmos.bridge.render.lidar import level_pose, mount_pose

        up_axis, time = self._scene.up_axis, self._pose.time_code
        if sensor.mount is None:
            pose = level_pose(self._camera, up_axis)
        else:
            (prim,) = self._reader.prim_poses([sensor.mount], time)
            if not np.isfinite(prim).all() or abs(np.linalg.det(prim[:3, :3])) < 1e-30:
                raise SourceError(
                    f"Stage {self._scene.path} has no prim {sensor.mount} that a lidar can sit on; check its path."
                )
            pose = mount_pose(prim, looks=sensor.mount in self._scene.camera_paths, up_axis=up_axis)
        pose[:3, 3] += pose[:3, :3] @ np.array(sensor.offset)
        return pose

    def optics(self) -> Mapping[str, float]:
        """Return focalLength, horizontalAperture, focusDistance and fStop of the camera prim, as authored."""
        return dict(self._reader.optics(self._camera.prim_path, self._pose.time_code))


__all__ = ["Details"]
