"""Frames drawn from a USD stage by the embedded renderer."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from copy import copy
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmos.bridge.errors import SourceError
from cosmos.bridge.settings import format_frames
from cosmos.bridge.types import EXTRA_BUFFERS, Clip, Frame

if TYPE_CHECKING:
    from pxr import Usd

    from cosmos.bridge.render.lidar import Lidar
    from cosmos.bridge.render.quality import Quality
    from cosmos.bridge.render.roadmap import MapStyle
    from cosmos.bridge.types import Camera, LightMaps, LightProbe, Look, Progress

DEFAULT_SIZE = (704, 1280)
"""Height and width [px] that a stage is drawn at when nobody says: the size Transfer models like best."""
NO_MAP = "Nothing of the stage is labelled as a lane, pole or box of an HD map, so hdmap is black."
"""What is said where ``hdmap`` is asked of a stage without a map."""
STILL_FRAMES = 24
"""How many frames are drawn of a stage that has no time range."""
_MOST_CAMERAS = 4096
"""Frames whose cameras are kept for their light."""


class StageSource:
    """One camera of a USD stage, drawn with every annotator. A frame is one time code."""

    def __init__(
        self,
        path: str | os.PathLike[str] | Usd.Stage,
        *,
        camera: str | None = None,
        frames: range | None = None,
        size: tuple[int, int] = DEFAULT_SIZE,
        device: str | None = None,
        look: Look | None = None,
        untrusted: bool = False,
        quality: Quality = "interactive",
        samples: int = 64,
        seed: int = 0,
        denoise: bool = False,
        progress: Progress | None = None,
        controls: tuple[str, ...] = (),
        lidar: Lidar | None = None,
        hdmap: MapStyle | None = None,
        rgb: bool = True,
    ) -> None:
        """Load the stage.

        Args:
            path: A usd, usda, usdc or usdz file, or an open stage.
            camera: Path of a camera prim; ``None`` takes the first of the stage, or frames the scene where it has none.
            frames: Time codes to draw; ``None`` draws the stage's time range.
            size: Height and width [px].
            device: Warp device; Warp's preferred one when ``None``.
            look: Time of day and weather; the stage's own light when ``None``.
            untrusted: Refuse a stage that names anything outside its own folder, before any of that is resolved.
            quality: ``interactive`` for quick shading, ``reference`` for path-traced global illumination.
            samples: Paths a pixel of reference quality.
            seed: Decides the paths of reference quality.
            denoise: Whether what noise reference quality leaves is filtered out along the surfaces.
            progress: Told how many prims are found and read while the stage loads, and ("samples", done, all) within a
                frame of reference quality; what it raises ends the loading or the frame.
            controls: Which of ``hdmap`` and ``lidar`` are drawn into each frame besides.
            lidar: Sensor of ``lidar``; one of 64 channels at the camera when ``None``.
            hdmap: How ``hdmap`` is drawn.
            rgb: Whether pictures are drawn; they cost most of a frame, and are black without.

        Raises:
            SourceError: If the stage cannot be read or holds no geometry, the camera does not exist, the frames lie
                outside the stage's time range, or the size is not positive.
            ValueError: If ``quality``, ``samples`` or ``seed`` is out of range.
        """
        from cosmos.bridge.render.annotators import AnnotatorOptions
        from cosmos.bridge.render.quality import reference_of
        from cosmos.bridge.render.renderer import Renderer

        self._reference, self._progress = reference_of(quality, samples, seed, denoise), progress
        strange = [name for name in controls if name not in EXTRA_BUFFERS]
        if strange:
            raise SourceError(f"A stage draws {' and '.join(EXTRA_BUFFERS)} besides, not {' and '.join(strange)}.")
        self._extras, plain = tuple(dict.fromkeys(controls)), AnnotatorOptions()
        self._annotated = replace(plain, lidar=lidar or plain.lidar, hdmap=hdmap or plain.hdmap)
        height, width = size
        if height < 1 or width < 1:
            raise SourceError(f"A picture needs at least 1 x 1 pixels, got {height} x {width} (height x width).")
        self._size = (int(height), int(width))
        self._look, self._rgb, self._closed = look, rgb, False
        self._cameras: dict[float, Camera] = {}
        self._path = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
        self._renderer: Any = Renderer(self._path or path, device=device, untrusted=untrusted, progress=progress)
        self._sharers = [1]
        with ExitStack() as on_failure:
            on_failure.callback(self._renderer.close)
            scene = self._renderer.scene
            self._ranged = bool(scene.end_time > scene.start_time)
            self._origin, self._end = float(scene.start_time), float(scene.end_time)
            self._notes = list(self._renderer.notes)
            if "hdmap" in self._extras and not self._renderer.has_map(self._annotated.hdmap):
                self._notes.append(NO_MAP)
            self._frames = frames
            self._times = self._time_codes(frames)
            self._common = len(self._notes)
            self._still = self._choose_camera(camera)
            self._describe_layer(path)
            on_failure.pop_all()

    def _describe_layer(self, path: Any) -> None:
        if self._path is not None:
            self._name, content = self._path, Path(self._path).read_bytes()
        else:
            layer = path.GetRootLayer()
            self._name, content = layer.identifier, layer.ExportToString().encode("utf-8")
        self._sha256 = hashlib.sha256(content).hexdigest()

    def _time_codes(self, frames: range | None) -> tuple[float, ...]:
        if frames is None and self._ranged:
            return tuple(self._origin + i for i in range(math.floor(self._end - self._origin + 1.0e-6) + 1))
        if frames is None:
            self._notes.append(f"The stage has no time range, so {STILL_FRAMES} frames from its start are drawn.")
            return tuple(self._origin + i for i in range(STILL_FRAMES))
        if len(frames) == 0 or frames.step < 1:
            raise SourceError(f"Frames {format_frames(frames)} hold no frame; ask for START:STOP with START < STOP.")
        if self._ranged and not self._origin <= frames[0] <= frames[-1] <= self._end:
            raise SourceError(
                f"Frames {format_frames(frames)} lie outside the time range of the stage, which is {self._origin:g} to "
                f"{self._end:g}; ask for frames within {math.ceil(self._origin)}:{math.floor(self._end) + 1}."
            )
        return tuple(float(frame) for frame in frames)

    def _choose_camera(self, camera: str | None) -> Camera | None:
        """Settle the camera path; give the camera itself where it had to be added."""
        there = self._renderer.scene.camera_paths
        if camera is None and not there:
            added = self._renderer.frame_camera(self._size)
            self._camera_path = added.prim_path
            self._notes.append("The stage has no camera, so one was added that frames the scene.")
            return added
        if camera is None and len(there) > 1:
            self._notes.append(f"The stage has {len(there)} cameras ({', '.join(there)}); {there[0]} was taken.")
        self._camera_path = there[0] if camera is None else camera
        for time in {self._times[0], self._times[-1]}:
            self._renderer.camera(self._camera_path, time, size=self._size)  # a wrong path fails here, not mid-way
        return None

    @property
    def fps(self) -> float:
        """Frames a second of simulated time."""
        return float(self._renderer.fps) / (self._frames.step if self._frames is not None else 1)

    @property
    def num_frames(self) -> int:
        """How many frames ``read`` yields."""
        return len(self._times)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was added or assumed, one sentence each."""
        return tuple(self._notes)

    def describe(self) -> Mapping[str, Any]:
        """Return plain values for the manifest."""
        return {
            "kind": "stage",
            "path": self._name,
            "sha256": self._sha256,
            "camera": self._camera_path,
            "frames": [self._times[0], self._times[-1], self._frames.step if self._frames is not None else 1],
            "size": list(self._size),
            "fps": self.fps,
            "up_axis": self._renderer.scene.up_axis,
            "reference": None if self._reference is None else asdict(self._reference),
            "look": None if self._look is None else asdict(self._look),
            **self._describe_extras(),
        }

    def _describe_extras(self) -> dict[str, Any]:
        """Return how the pictures besides are drawn, as plain values."""
        sensor, style = self._annotated.lidar, self._annotated.hdmap
        drawn = {
            "lidar": asdict(sensor),
            "hdmap": {**asdict(style), "classes": [item.name for item in style.classes]},
        }
        return {"controls": {name: drawn[name] for name in self._extras}} if self._extras else {}

    def _camera_at(self, time: float) -> Camera:
        return self._still or self._renderer.camera(self._camera_path, time, size=self._size)

    def read(self) -> Iterator[Frame]:
        """Yield each frame; a frame's memory is valid until the next one is asked for.

        Raises:
            SourceError: If the source is closed.
        """
        step = float(self._frames.step if self._frames is not None else 1)
        for time in self._times:
            if self._closed:
                raise SourceError(f"The source of {self._name} is closed; open it again.")
            before = max(time - step, self._origin) if self._ranged else time - step
            camera = self._camera_at(time)
            self._remember(time, camera)
            frame = self._renderer.render(
                camera,
                time,
                size=self._size,
                look=self._look,
                **self._drawing(),
                rgb=self._rgb,
                previous=(self._camera_at(before), before),
            )
            yield replace(frame, **self._draw_extras(frame)) if self._extras else frame

    def _remember(self, time: float, camera: Camera) -> None:
        """Keep the camera of a frame for its light; the oldest are forgotten."""
        self._cameras.pop(time, None)
        while len(self._cameras) >= _MOST_CAMERAS:
            self._cameras.pop(next(iter(self._cameras)))
        self._cameras[time] = camera

    def _draw_extras(self, frame: Frame) -> dict[str, Any]:
        """Return the pictures that were asked for besides, on the frame's device."""
        import warp as wp

        from cosmos.bridge.render.annotators import annotate

        given = annotate(frame, self._extras, self._annotated)
        pictures = {name: given[name]["info"]["picture"] if name == "lidar" else given[name] for name in self._extras}
        return {name: wp.array(picture, dtype=wp.uint8, device=frame.rgb.device) for name, picture in pictures.items()}

    def _drawing(self) -> dict[str, Any]:
        if self._reference is None:
            return {}
        return {"quality": "reference", **asdict(self._reference), "progress": self._progress}

    def beside(self, camera: str) -> StageSource:
        """Return the source of another camera of this stage, drawn by the same renderer.

        Frames of both borrow one memory: read one source after the other. The caller closes it, in any order.

        Args:
            camera: Path of a camera prim.

        Raises:
            SourceError: If there is no such camera, or this source is closed.
        """
        if self._closed:
            raise SourceError(f"The source of {self._name} is closed; open it again.")
        other = copy(self)
        other._notes, other._cameras = self._notes[: self._common], {}
        other._still = other._choose_camera(camera)
        self._sharers[0] += 1
        return other

    def probe(self, clip: Clip | None = None) -> LightProbe | None:
        """Return what tells the light of these frames; ``None`` where they are not the stage's plain pictures."""
        if self._look is not None or self._reference is not None or not self._rgb or self._closed:
            return None
        self._sharers[0] += 1
        return _StageProbe(copy(self))

    def close(self) -> None:
        """Release the renderer, unless a probe or another camera's source still uses it; safe to call twice."""
        if not self._closed:
            self._closed = True
            self._sharers[0] -= 1
            if self._sharers[0] == 0:
                self._renderer.close()


class _StageProbe:
    """Light of a source's frames, by a share of its own in the source's renderer."""

    def __init__(self, source: StageSource) -> None:
        self._source = source

    def light(self, frame: int, look: Look) -> LightMaps:
        """Return the maps of a frame."""
        source = self._source
        if source._closed:
            raise SourceError(f"The light probe of {source._name} is closed; read the clip again.")
        time = source._times[frame]
        camera = source._cameras.get(time) or source._camera_at(time)
        maps: LightMaps = source._renderer.light(camera, time, look)
        return maps

    def close(self) -> None:
        """Give the renderer's share back."""
        self._source.close()


__all__ = ["DEFAULT_SIZE", "NO_MAP", "STILL_FRAMES", "StageSource"]
