"""What the doubles show: annotators of the embedded renderer on a real stage, drawn once and remembered."""

import itertools
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from pxr import Sdf, Usd  # noqa: TID253

from kit.ui import DynamicTextureProvider

_DRAWN: dict[tuple, dict[str, Any]] = {}
_SERIAL = itertools.count()
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

    def __init__(
        self,
        stage: Any,
        units: str = "scene",
        motion: tuple[float, float] = (1.0, 1.0),
        void_motion: float = 0.0,
        follows: bool = True,
    ) -> None:
        """Take a file, or a stage that is open.

        Args:
            stage: Path or stage; pictures of a path are remembered for all tests.
            units: Unit of ``distance_to_*``, which the documentation does not settle [12].
            motion: Factors on ``motion_vectors``, likewise.
            void_motion: Value of ``motion_vectors`` where nothing was hit, likewise; -1 was seen [3.2].
            follows: Whether materials show pictures that change with time, likewise.
        """
        self._stage, self._told = stage, (units, motion, void_motion)
        self._follows = follows
        self._path = stage if isinstance(stage, str) else f"stage {next(_SERIAL)}"
        self._renderer: Any = None
        self._folder: Any = None
        self._shown: tuple = ()
        self._changing = [] if isinstance(stage, str) else _changing_pictures(stage)

    def frame(self, camera: str, time_code: float, resolution: tuple[int, int]) -> dict[str, Any]:
        """Return annotator -> what ``get_data()`` of the legacy structure would give; the caller must not change it."""
        shown = self._pictures(time_code)
        if shown != self._shown:
            self.close()
            self._shown = shown
        key = (self._path, shown, self._told, camera, time_code, resolution)
        if key not in _DRAWN:
            _DRAWN[key] = self._draw(camera, time_code, resolution)
        return _DRAWN[key]

    def _draw(self, camera: str, time_code: float, resolution: tuple[int, int]) -> dict[str, Any]:
        from cosmos.bridge.render.annotators import AnnotatorOptions, annotate
        from cosmos.bridge.render.renderer import Renderer

        units, motion, void_motion = self._told
        if self._renderer is None:
            self._renderer = Renderer(self._visible_stage(), device="cpu", threads=1)
        size = (resolution[1], resolution[0])
        before = max(time_code - 1.0, 0.0)
        previous = (self._renderer.camera(camera, before, size=size), before)
        frame = self._renderer.render(camera, time_code, size=size, previous=previous)
        drawn = annotate(frame, NAMES, AnnotatorOptions(units="scene"))
        drawn.update(annotate(frame, NAMES[1:3], AnnotatorOptions(units=units)))
        drawn["motion_vectors"][..., :2] *= np.array(motion, np.float32)
        if void_motion:
            drawn["motion_vectors"][~np.isfinite(drawn["distance_to_image_plane"])] = void_motion
        return drawn

    def _pictures(self, time_code: float) -> tuple:
        """Return (attribute, file or texture that it shows now, how often that was renewed) of pictures that change."""
        return tuple(
            (str(attribute.GetPath()), path, _renewed(path))
            for attribute in self._changing
            for path in [attribute.Get(time_code if self._follows else Usd.TimeCode.EarliestTime()).path]
        )

    def _visible_stage(self) -> Any:
        """Return the stage as a renderer sees it: ``dynamic://`` is what the texture holds now [6.1]."""
        if isinstance(self._stage, str):
            return Usd.Stage.Open(self._stage)
        if not self._shown:
            return self._stage
        self._folder = tempfile.TemporaryDirectory()
        stage = Usd.Stage.Open(self._stage.Flatten())
        for path, picture, _ in self._shown:
            attribute = stage.GetAttributeAtPath(path)
            attribute.Clear()
            attribute.Set(Sdf.AssetPath(self._file_of(picture)))
        return stage

    def _file_of(self, path: str) -> str:
        provider = _texture_of(path)
        if provider is None or provider._picture is None:
            return "" if path.startswith(_DYNAMIC) else path
        file = Path(self._folder.name) / f"{provider._name}_{len(provider._uploads)}.png"
        cv2.imwrite(str(file), provider._picture[..., 2::-1])
        return str(file)

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


_DYNAMIC = "dynamic://"


def _changing_pictures(stage: Any) -> list:
    """Return the asset attributes that change with time, or show a dynamic texture."""
    found = []
    for prim in stage.TraverseAll():
        for attribute in prim.GetAttributes():
            if attribute.GetTypeName() == Sdf.ValueTypeNames.Asset:
                value = attribute.Get()
                if attribute.GetNumTimeSamples() or (value is not None and value.path.startswith(_DYNAMIC)):
                    found.append(attribute)
    return found


def _texture_of(path: str) -> Any:
    return DynamicTextureProvider.alive.get(path.removeprefix(_DYNAMIC)) if path.startswith(_DYNAMIC) else None


def _renewed(path: str) -> int:
    provider = _texture_of(path)
    return len(provider._uploads) if provider is not None else 0
