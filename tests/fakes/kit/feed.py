"""What the doubles show: annotators of the embedded renderer on a real stage, drawn once and remembered."""

from typing import Any

import numpy as np
from pxr import Usd  # noqa: TID253

_DRAWN: dict[tuple, dict[str, Any]] = {}
NAMES = (
    "rgb",
    "distance_to_image_plane",
    "distance_to_camera",
    "normals",
    "motion_vectors",
    "semantic_segmentation",
    "instance_id_segmentation",
    "instance_segmentation",
    "bounding_box_3d",
    "camera_params",
)


class Feed:
    """Draws frames of one stage; ``camera_params`` and lengths come in units of the stage [3.2]."""

    def __init__(self, stage: Any, units: str = "scene", motion: tuple[float, float] = (1.0, 1.0)) -> None:
        """Take a file, or a stage that is open.

        Args:
            stage: Path or stage; pictures of a path are remembered for all tests.
            units: Unit of ``distance_to_*``, which the documentation does not settle [12].
            motion: Factors on ``motion_vectors``, likewise.
        """
        self._stage, self._units, self._motion = stage, units, motion
        self._path = stage if isinstance(stage, str) else f"stage {id(self)}"
        self._renderer: Any = None

    def frame(self, camera: str, time_code: float, resolution: tuple[int, int]) -> dict[str, Any]:
        """Return annotator -> what ``get_data()`` of the legacy structure would give; the caller must not change it."""
        key = (self._path, self._units, self._motion, camera, time_code, resolution)
        if key not in _DRAWN:
            from cosmos.bridge.render.annotators import AnnotatorOptions, annotate
            from cosmos.bridge.render.renderer import Renderer

            if self._renderer is None:
                stage = Usd.Stage.Open(self._stage) if isinstance(self._stage, str) else self._stage
                self._renderer = Renderer(stage, device="cpu", threads=1)
            size = (resolution[1], resolution[0])
            before = max(time_code - 1.0, 0.0)
            previous = (self._renderer.camera(camera, before, size=size), before)
            frame = self._renderer.render(camera, time_code, size=size, previous=previous)
            drawn = annotate(frame, NAMES, AnnotatorOptions(units="scene"))
            drawn.update(annotate(frame, NAMES[1:3], AnnotatorOptions(units=self._units)))
            drawn["motion_vectors"][..., :2] *= np.array(self._motion, np.float32)
            _DRAWN[key] = drawn
        return _DRAWN[key]

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
