"""Pick the source that a path calls for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cosmos.bridge.errors import SourceError
from cosmos.bridge.sources.base import FrameSource
from cosmos.bridge.sources.folder import FolderSource
from cosmos.bridge.sources.stage import StageSource

STAGE_ENDINGS = (".usd", ".usda", ".usdc", ".usdz")
"""Files that StageSource draws."""
VIDEO_ENDINGS = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm")
"""Files that FolderSource decodes."""
LIVE = "replicator:"
"""How the source of a run begins that was captured live."""

_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "stage": (
        *(
            "camera",
            "frames",
            "size",
            "device",
            "look",
            "untrusted",
            "quality",
            "samples",
            "seed",
            "denoise",
            "progress",
        ),
        *("controls", "lidar", "hdmap", "rgb"),
    ),
    "folder": ("clip", "camera", "frames", "size", "fps", "device", "controls", "lit_by"),
}


def open_source(path: str | os.PathLike[str], **options: Any) -> FrameSource:
    """Open a USD file, a folder of frames or a video.

    Args:
        path: A usd, usda, usdc or usdz file; a video; or a folder that CosmosWriter or BasicWriter wrote.
        **options: Those of StageSource or FolderSource; one that is ``None`` counts as not given.

    Raises:
        SourceError: If the path is missing or of another kind, or an option does not fit the kind.
    """
    if os.fspath(path).startswith(LIVE):
        raise SourceError(
            f"{os.fspath(path)} was captured live inside Kit and cannot be read again; capture it once more with "
            "CosmosBridgeWriter."
        )
    place = Path(path)
    given = {name: value for name, value in options.items() if value is not None}
    if not place.exists():
        raise SourceError(f"Source {place} does not exist; check the path.")
    kind, opener = _choose(place)
    unknown = sorted(set(given) - set(_OPTIONS[kind]))
    if unknown:
        raise SourceError(
            f"Source {place} is a {kind} and takes no {', '.join(unknown)}; it takes {', '.join(_OPTIONS[kind])}."
        )
    return opener(place, **given)


def _choose(place: Path) -> tuple[str, Callable[..., FrameSource]]:
    ending = place.suffix.lower()
    if place.is_dir() or ending in VIDEO_ENDINGS:
        return "folder", FolderSource
    if ending in STAGE_ENDINGS:
        return "stage", StageSource
    accepted = ", ".join((*STAGE_ENDINGS, *VIDEO_ENDINGS))
    raise SourceError(f"Source {place} is of no known kind; give a file ending in {accepted}, or a folder of frames.")


__all__ = ["LIVE", "STAGE_ENDINGS", "VIDEO_ENDINGS", "open_source"]
