"""The seam every source of frames fills."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from cosmos.bridge.types import Clip, Frame, LightProbe, Progress, gather


@runtime_checkable
class FrameSource(Protocol):
    """Frames of one camera, in time order."""

    @property
    def fps(self) -> float:
        """Frames a second of simulated time."""
        ...

    @property
    def num_frames(self) -> int:
        """How many frames ``read`` yields."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the source had to add or assume, one sentence each (an added camera, an added sky)."""
        ...

    def describe(self) -> Mapping[str, Any]:
        """Return plain values for the manifest: kind, path, hash, camera, frames, size."""
        ...

    def read(self) -> Iterator[Frame]:
        """Yield each frame; a frame's memory is valid until the next one is asked for."""
        ...

    def close(self) -> None:
        """Release what the source holds; safe to call twice."""
        ...


@runtime_checkable
class CameraRig(Protocol):
    """A source whose other cameras need no loading of their own."""

    def beside(self, camera: str) -> FrameSource:
        """Return the source of another camera, which the caller closes; read one camera after the other."""
        ...


@runtime_checkable
class ClipHolder(Protocol):
    """A source whose frames lie in memory as one clip already, so that reading it copies nothing."""

    def clip(self, progress: Progress | None = None) -> Clip:
        """Return the clip; the source keeps it."""
        ...


@runtime_checkable
class Relightable(Protocol):
    """A source that can tell the light of its frames under any look."""

    def probe(self, clip: Clip) -> LightProbe | None:
        """Return the probe of its frames, which outlives the source and which the caller closes; ``None`` if not so.

        Args:
            clip: All of its frames, as they were read.

        Raises:
            SourceError: If the light that was asked for is not that of these frames.
        """
        ...


def read_clip(source: FrameSource, progress: Progress | None = None) -> Clip:
    """Read a whole source into a Clip that owns its memory, or take the clip that the source holds.

    Args:
        source: Where the frames come from.
        progress: Told ``("render", done, total)`` after each frame.

    Returns:
        The clip; ``Clip.close`` releases the light probe that a relightable source gave it.
    """
    if isinstance(source, ClipHolder):
        return source.clip(progress)

    def counted() -> Iterator[Frame]:
        for index, frame in enumerate(source.read()):
            yield frame
            if progress is not None:
                progress("render", index + 1, source.num_frames)

    clip = gather(counted(), fps=source.fps, num_frames=source.num_frames)
    return replace(clip, probe=source.probe(clip)) if isinstance(source, Relightable) else clip


__all__ = ["CameraRig", "ClipHolder", "FrameSource", "Relightable", "read_clip"]
