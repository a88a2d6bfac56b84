"""What a renderer can still tell about the frame it has just drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.silhouettes import silhouettes
from cosmos.bridge.render.draw.visibility import make_view
from cosmos.bridge.render.draw.world import World
from cosmos.bridge.render.scene import Pose, Scene
from cosmos.bridge.types import Camera


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
        reader: Any,
        paint_linear: Callable[[wp.array], None],
        prepare: Callable[[], bool],
    ):
        """Remember what the frame was drawn from.

        Args:
            camera: Camera of the frame.
            pose: Pose of the frame.
            scene: What was drawn.
            world: The world.
            bands: Where to launch.
            reader: What the scene was read with.
            paint_linear: Fills float32 [H, W, 3] with the picture before tone mapping.
            prepare: Places the world at the pose; false once the memory of the frame was drawn over.
        """
        self._camera, self._pose, self._scene, self._world = camera, pose, scene, world
        self._bands, self._reader = bands, reader
        self._paint_linear, self._prepare = paint_linear, prepare
        self.meters_per_unit = float(scene.meters_per_unit)

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
        linear = wp.empty(shape, dtype=wp.float32, device=self._bands.device)
        self._paint_linear(linear)
        return linear

    def silhouettes(self, groups: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the pixels and boxes of groups of instances as if nothing stood before them."""
        self._check()
        view = make_view(self._camera, self._world.origin)
        return silhouettes(self._bands, self._world, view, groups, count)

    def prim_poses(self, prim_paths: Sequence[str]) -> np.ndarray:
        """Return prim space to world [m] of each prim, column vectors, shape [K, 4, 4]; NaN where there is none."""
        return np.asarray(self._reader.prim_poses(prim_paths, self._pose.time_code))

    def local_bounds(self, ids: Sequence[int]) -> np.ndarray:
        """Return the box of each instance id in its own space [m] as it is now, shape [K, 2, 3]."""
        boxes = np.full((len(ids), 2, 3), np.nan)
        moved: dict[int, np.ndarray] = {}
        for row, key in enumerate(ids):
            mesh = int(self._scene.mesh_of[key - 1])
            points = self._pose.points.get(mesh)
            if points is not None and mesh not in moved:
                used = np.asarray(points)[self._scene.meshes[mesh].triangles]
                moved[mesh] = np.stack([used.min((0, 1)), used.max((0, 1))]).astype(np.float64)
            known = moved[mesh] if points is not None else self._scene.drawn[key - 1].bounds
            if known is not None:
                boxes[row] = known
        return boxes

    def optics(self) -> Mapping[str, float]:
        """Return focalLength, horizontalAperture, focusDistance and fStop of the camera prim, as authored."""
        return dict(self._reader.optics(self._camera.prim_path, self._pose.time_code))


__all__ = ["Details"]
