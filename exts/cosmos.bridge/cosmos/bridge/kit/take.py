"""A take: the frames of every camera between two cuts, and the sources that a run reads them from."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Optional, Union

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.kit.annotators import Calibration, RawFrame, to_frame
from cosmos.bridge.sinks.stage_facts import StageFacts
from cosmos.bridge.sources.identities import Identities
from cosmos.bridge.sources.open_layers import OpenLayers
from cosmos.bridge.sources.stage_light import StageLight
from cosmos.bridge.types import Clip, Frame, Progress, gather

UNSAVED = "unsaved stage"
"""What stands for the path of a stage that was never saved."""
_UNEVEN = 0.01


def stage_light(clip: Clip, stage: Union[str, OpenLayers]) -> tuple[Optional[StageLight], str]:
    """Return the light of a clip's stage, or ``None`` and why it cannot be had; arguments as of `StageLight`."""
    try:
        return StageLight(clip, stage), ""
    except SourceError as error:
        return None, f"Nothing is relit by the stage's own light, since {str(error).rstrip('.')}."


@dataclass(frozen=True, kw_only=True, slots=True)
class Surroundings:
    """What a take must know of the stage it was captured from; read on the main thread."""

    stage: StageFacts
    """The stage; its path is `UNSAVED` for one that lies in memory only."""
    start_code: float
    """Time code of the timeline at the first frame."""
    layers: Optional[OpenLayers] = None
    """What the stage is made of, where no file holds it as it stands; ``None`` where its file does, or nobody asks."""

    @property
    def saved(self) -> bool:
        """Whether results can lie over the stage's file."""
        return self.stage.path != UNSAVED


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RawMoment:
    """Owned copies of one moment, one a camera."""

    index: int
    """Number within the take, from 0."""
    reference: Optional[Fraction]
    """Reference time [s]; ``None`` where the payload did not say."""
    frames: tuple[RawFrame, ...]
    """One a camera, in the order of the take's cameras."""


class Take:
    """Frames as they are captured; complete once it is sealed and every copy was converted."""

    def __init__(
        self,
        number: int,
        surroundings: Surroundings,
        cameras: tuple[str, ...],
        *,
        calibration: Calibration,
        fps: Optional[float] = None,
        device: Optional[str] = None,
        relight: bool = False,
    ) -> None:
        """Open a take.

        Args:
            number: Which one of its writer, from 0.
            surroundings: The stage around it.
            cameras: Prim paths.
            calibration: What the self-test measured.
            fps: Frames a second; ``None`` measures them by the reference times.
            device: Warp device of the clips; that of the annotators when ``None``.
            relight: Whether clips get a light probe, read from the stage's layers.
        """
        self.number, self.surroundings, self.cameras = number, surroundings, cameras
        self.count = 0
        self.fault: Optional[str] = None
        self._calibration, self._fps, self._device, self._relight = calibration, fps, device, relight
        self._lights: dict[str, tuple[Optional[StageLight], str]] = {}
        self._identities = {camera: Identities() for camera in cameras}
        self._frames: dict[str, list[Frame]] = {camera: [] for camera in cameras}
        self._clips: dict[str, Clip] = {}
        self._references: list[Fraction] = []
        self._sealed, self._complete = False, threading.Event()

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"take_{self.number:04d}"

    @property
    def references(self) -> tuple[Fraction, ...]:
        """Reference time of each frame [s]."""
        return tuple(self._references)

    def convert(self, moment: RawMoment) -> None:
        """Turn the copies of a moment into frames, on the thread that converts.

        Raises:
            SourceError: If they cannot be read.
        """
        rate = self._fps or self.surroundings.stage.time_codes_per_second
        reference = Fraction(moment.index) / Fraction(rate) if moment.reference is None else moment.reference
        first = self._references[0] if self._references else reference
        code = self.surroundings.start_code + float(reference - first) * self.surroundings.stage.time_codes_per_second
        for raw in moment.frames:
            frame = to_frame(
                raw,
                self._identities[raw.camera],
                self._calibration,
                moment=reference,
                time_code=code,
                up_axis=self.surroundings.stage.up_axis,
                device=self._device,
            )
            self._frames[raw.camera].append(frame)
        self._references.append(reference)

    def complete(self) -> None:
        """Say that no further frame will come."""
        self._complete.set()

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Wait until every frame is there; return whether it is."""
        return self._complete.wait(timeout)

    def rate(self) -> tuple[float, tuple[str, ...]]:
        """Return frames a second, and what the user should know of them.

        The rate follows from the reference times: the timeline's own rate is not that of the capture where only every
        n-th step is captured.
        """
        if self._fps is not None:
            return self._fps, ()
        steps = [float(after - before) for before, after in zip(self._references, self._references[1:], strict=False)]
        moving = [step for step in steps if step > 0.0]
        if not moving:
            rate = self.surroundings.stage.time_codes_per_second
            return rate, (f"The reference time stood still, so the stage's {rate:g} frames a second were taken.",)
        step = float(np.median(moving))
        notes = []
        still = len(steps) - len(moving)
        if still:
            notes.append(
                f"{still} of {len(steps) + 1} frames repeat the reference time of the frame before; a camera with a "
                "tick rate of its own does that, and omni:sensor:tickRate = 0 ends it."
            )
        if any(abs(other - step) > _UNEVEN * step for other in moving):
            notes.append(f"The frames are not evenly spaced in time; {1.0 / step:g} a second is their median.")
        return float(Fraction(1.0 / step).limit_denominator(1001)), tuple(notes)

    def source(self, camera: Optional[str]) -> TakeSource:
        """Open one camera.

        Raises:
            SourceError: If there is no such camera, the capture failed, or there is no frame.
        """
        if self.fault is not None:
            raise SourceError(self.fault)
        self._complete.wait()
        chosen = self.cameras[0] if camera is None else camera
        if chosen not in self.cameras:
            raise SourceError(f"The take has no camera {chosen}; it has {', '.join(self.cameras)}.")
        return TakeSource(self, chosen)

    def clip(self, camera: str, progress: Optional[Progress] = None) -> Clip:
        """Return the clip of a camera; the first call joins its frames and frees them.

        Raises:
            SourceError: If the capture failed or holds no frame.
        """
        self._complete.wait()
        if self.fault is not None:
            raise SourceError(self.fault)
        if camera not in self._clips:
            frames = self._frames[camera]
            total = len(frames)
            if not total:
                raise SourceError(f"{self.name} holds no frame of {camera}; capture at least one.")
            self._clips[camera] = gather(_drain(frames), fps=self.rate()[0], num_frames=total)
            if progress is not None:
                progress("render", total, total)
        return self._clips[camera]

    def light(self, camera: str) -> tuple[Optional[StageLight], str]:
        """Return the light of a camera's clip, or ``None`` and why there is none; slow at first, so for workers.

        Raises:
            SourceError: If the capture failed or holds no frame.
        """
        if not self._relight:
            return None, ""
        if camera not in self._lights:
            clip, where = self.clip(camera), self.surroundings
            self._lights[camera] = stage_light(clip, where.layers or where.stage.path)
        return self._lights[camera]

    def put_out(self) -> None:
        """Free the light; it is read again when it is asked for."""
        lights, self._lights = self._lights, {}
        for probe, _ in lights.values():
            if probe is not None:
                probe.close()

    def forget(self) -> None:
        """Free the pictures, the light, and the layers that it was read from."""
        self.put_out()
        self.surroundings = replace(self.surroundings, layers=None)
        self._frames, self._clips = {camera: [] for camera in self.cameras}, {}


class TakeSource:
    """One camera of a take, as the line reads it."""

    def __init__(self, take: Take, camera: str) -> None:
        self._take, self._camera = take, camera
        self._fps, self._notes = take.rate()

    @property
    def fps(self) -> float:
        """Frames a second of simulated time."""
        return self._fps

    @property
    def num_frames(self) -> int:
        """How many frames ``read`` yields."""
        return len(self._take.references)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, one sentence each."""
        _, dark = self._take.light(self._camera)
        return (*self._notes, dark) if dark else self._notes

    def describe(self) -> Mapping[str, Any]:
        """Return plain values for the manifest."""
        clip = self._take.clip(self._camera)
        references = self._take.references
        return {
            "kind": "replicator",
            "path": self._take.surroundings.stage.path,
            "take": self._take.name,
            "camera": self._camera,
            "frames": [0, clip.num_frames - 1, 1],
            "reference_times": [[moment.numerator, moment.denominator] for moment in references],
            "size": [clip.height, clip.width],
            "fps": self._fps,
            "up_axis": clip.up_axis,
        }

    def clip(self, progress: Optional[Progress] = None) -> Clip:
        """Return the clip; the take keeps it, and its light."""
        clip = self._take.clip(self._camera, progress)
        probe, _ = self._take.light(self._camera)
        return clip if probe is None else replace(clip, probe=probe)

    def read(self) -> Iterator[Frame]:
        """Yield each frame, as a view of the clip."""
        clip = self._take.clip(self._camera)
        for index, reference in enumerate(self._take.references):
            yield frame_of(clip, index, float(reference))

    def close(self) -> None:
        """Nothing is held; safe to call twice."""


def frame_of(clip: Clip, index: int, sim_time: float) -> Frame:
    """Return one frame of a clip, as a view of its memory."""
    from cosmos.bridge.types import BUFFERS

    views = {name: getattr(clip, name)[index] for name in BUFFERS if getattr(clip, name) is not None}
    return Frame(
        camera=clip.cameras[index],
        time_code=float(clip.time_codes[index]),
        sim_time=sim_time,
        labels=clip.labels,
        instances=clip.instances,
        poses={key: poses[index] for key, poses in clip.poses.items()},
        up_axis=clip.up_axis,
        **views,
    )


def _drain(frames: list[Frame]) -> Iterator[Frame]:
    """Yield frames and let go of each, so that no clip lies in memory twice; buffers that some lack are left out."""
    names = ("depth", "normals", "semantic_ids", "instance_ids", "motion")
    shared = {name for name in names if all(getattr(frame, name) is not None for frame in frames)}
    for index in range(len(frames)):
        frame, frames[index] = frames[index], None  # type: ignore[call-overload]
        missing: dict[str, Any] = {name: None for name in names if name not in shared}
        yield replace(frame, **missing)
    frames.clear()


__all__ = ["UNSAVED", "RawMoment", "Surroundings", "Take", "TakeSource", "frame_of"]
