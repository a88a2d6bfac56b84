"""Sources of a run: each camera looked at before any work, the first kept open for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Optional

from cosmos.bridge.sources.base import CameraRig, FrameSource

OpenSource = Callable[[Optional[str]], FrameSource]
"""Opens the source of a camera; ``None`` is the source's own."""


class Opened:
    """Opens the source of each camera to look at it, and keeps the first one open for the work that follows."""

    def __init__(self, open_source: OpenSource) -> None:
        self._open_source = open_source
        self._kept: Optional[tuple[Optional[str], FrameSource]] = None

    def __enter__(self) -> Opened:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if self._kept is not None:
            self._kept[1].close()

    def describe(self, camera: Optional[str]) -> Mapping[str, Any]:
        """Return what the source of a camera says of itself, as plain values."""
        rig = None if self._kept is None else self._kept[1]
        source = rig.beside(camera) if camera is not None and isinstance(rig, CameraRig) else self._open_source(camera)
        if self._kept is None:
            self._kept = camera, source
        try:
            return {
                **source.describe(),
                "num_frames": source.num_frames,
                "fps": source.fps,
                "notes": list(source.notes),
            }
        finally:
            if self._kept[1] is not source:
                source.close()

    def take(self, camera: Optional[str]) -> FrameSource:
        """Return the source of a camera, which the caller closes: the kept one, or a new one."""
        kept, self._kept = self._kept, None
        if kept is not None and kept[0] == camera:
            return kept[1]
        if kept is not None:
            kept[1].close()
        return self._open_source(camera)


__all__ = ["OpenSource", "Opened"]
