"""What the doubles show: annotators of the embedded renderer on a real stage, drawn once and remembered."""

from typing import Any

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

    def __init__(self, path: str, units: str = "scene") -> None:
        self._path, self._units = path, units
        self._renderer: Any = None

    def frame(self, camera: str, time_code: float, resolution: tuple[int, int]) -> dict[str, Any]:
        """Return annotator -> what ``get_data()`` of the legacy structure would give; the caller must not change it."""
        key = (self._path, self._units, camera, time_code, resolution)
        if key not in _DRAWN:
            from cosmos.bridge.render.annotators import AnnotatorOptions, annotate
            from cosmos.bridge.render.renderer import Renderer

            if self._renderer is None:
                self._renderer = Renderer(Usd.Stage.Open(self._path), device="cpu", threads=1)
            size = (resolution[1], resolution[0])
            before = max(time_code - 1.0, 0.0)
            previous = (self._renderer.camera(camera, before, size=size), before)
            frame = self._renderer.render(camera, time_code, size=size, previous=previous)
            _DRAWN[key] = annotate(frame, NAMES, AnnotatorOptions(units=self._units))
        return _DRAWN[key]

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
