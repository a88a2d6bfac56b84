"""What a run has kept of its attempts, read again: verdicts, settings and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.errors import SinkError
from cosmos.bridge.runs.remedy import Earlier
from cosmos.bridge.types import Finding, Measurement, Provenance, TransferResult, Verdict


def read_attempts(out: Path, name: str) -> tuple[Earlier, ...]:
    """Return what was said of each attempt at a clip, and the settings that its model used, in order.

    Raises:
        SinkError: If the manifest or the record of an attempt is damaged.
    """
    from cosmos.bridge.sinks.manifest import read_manifest

    clip = next((clip for clip in read_manifest(out)["clips"] if clip["name"] == name), None)
    attempts = [] if clip is None else sorted(clip["attempts"], key=lambda entry: entry["attempt"])
    return tuple(read_said(out / entry["folder"]) for entry in attempts)


def read_said(folder: Path) -> Earlier:
    """Return the verdict on one attempt, and the settings that its model used.

    Raises:
        SinkError: If its record is missing or damaged.
    """
    record = _record(folder)
    try:
        told = record["verdict"]
        verdict = Verdict(
            accepted=told["accepted"],
            score=told["score"],
            critic=told["critic"],
            findings=tuple(_known(Finding, item) for item in told["findings"]),
            measurements=tuple(_known(Measurement, item) for item in told["measurements"]),
            rationale=told["rationale"],
            raw=told["raw"],
            seconds=told["seconds"],
        )
        return Earlier(verdict=verdict, effective=record["provenance"]["effective"])
    except (KeyError, TypeError, ValueError) as error:
        raise SinkError(f"The record in {folder} holds no verdict ({error!r}); run again into a new folder.") from error


def read_result(folder: Path, *, device: Optional[Any] = None) -> TransferResult:
    """Return the pictures of one attempt from its video, which is compressed, and where they came from.

    Args:
        folder: Folder of the attempt.
        device: Where the pictures go.

    Raises:
        SinkError: If its record is missing or damaged.
        SourceError: If its video cannot be read.
    """
    from cosmos.bridge.sources import open_source, read_clip

    record = _record(folder)
    try:
        provenance = _known(Provenance, record["provenance"])
        video = record["videos"]["augmented"]
        name, (bottom, right) = video["file"], video["padding"]  # rows and columns that video adds to odd sizes
    except (KeyError, TypeError, ValueError) as error:
        raise SinkError(f"The record in {folder} names no result ({error!r}); run again into a new folder.") from error
    with closing(open_source(folder / name, device=None if device is None else str(device))) as source:
        rgb = read_clip(source).rgb
    if bottom or right:
        import warp as wp

        rgb = wp.clone(rgb[:, : rgb.shape[1] - bottom, : rgb.shape[2] - right])
    return TransferResult(rgb=rgb, provenance=provenance)


def _record(folder: Path) -> Mapping[str, Any]:
    from cosmos.bridge.sinks.manifest import read_clip_record

    return read_clip_record(folder)


def _known(kind: type[Any], told: Mapping[str, Any]) -> Any:
    """Build a dataclass from its plain values: no number was NaN, and a list was a tuple."""
    values = {item.name: told[item.name] for item in fields(kind) if item.name in told}
    for name, value in values.items():
        if name in ("value", "threshold"):
            values[name] = float("nan") if value is None else float(value)
        elif isinstance(value, list):
            values[name] = tuple(value)
    return kind(**values)


__all__ = ["read_attempts", "read_result", "read_said"]
