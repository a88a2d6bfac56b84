"""What a run's critic said, clip by clip, read from the manifest: badge, reasons, and the pictures to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.sinks.manifest import read_clip_record, read_manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """One frame of a clip, before and after."""

    frame: int
    """Number of the frame."""
    before: Path
    """The simulated picture."""
    after: Path
    """The result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRow:
    """One clip of a run."""

    clip: str
    """Its name."""
    camera: str
    """Prim path of its camera."""
    badge: str
    """accepted, rejected, refused, failed or pending."""
    score: Optional[float] = None
    """Score of the attempt that counts, in [0, 1]; ``None`` without one."""
    attempt: int = 0
    """Number of that attempt; 0 without one."""
    reasons: tuple[str, ...] = ()
    """Why it was not accepted, worst first; what was remarked on an accepted one."""
    unchecked: tuple[str, ...] = ()
    """What could not be checked."""
    moments: tuple[Moment, ...] = ()
    """Frames to look at."""


def verdict_rows(out: Path) -> tuple[VerdictRow, ...]:
    """Return the clips of a run in order; none while the run has written nothing.

    Args:
        out: Folder of the run.

    Raises:
        SinkError: If the manifest, or the record of a clip, cannot be read.
    """
    if not (out / "manifest.json").is_file():
        return ()
    return tuple(_row(out, clip) for clip in read_manifest(out)["clips"])


def _row(out: Path, clip: dict[str, Any]) -> VerdictRow:
    attempts = clip.get("attempts", [])
    chosen = next((entry for entry in attempts if entry["accepted"]), attempts[-1] if attempts else None)
    camera = clip.get("tags", {}).get("camera", "")
    reason = tuple(filter(None, (clip.get("reason", ""),)))
    if chosen is None:
        return VerdictRow(clip=clip["name"], camera=camera, badge=clip["status"], reasons=reason)
    folder = out / chosen["folder"]
    record = read_clip_record(folder)
    findings = record["verdict"]["findings"]
    told = tuple(finding["text"] for finding in findings if finding["kind"] != "unchecked")
    previews = record["previews"]
    return VerdictRow(
        clip=clip["name"],
        camera=camera,
        badge=clip["status"],
        score=float(chosen["score"]),
        attempt=int(chosen["attempt"]),
        reasons=told or (() if chosen["accepted"] else (record["verdict"]["rationale"] or chosen["reason"],)),
        unchecked=tuple(finding["text"] for finding in findings if finding["kind"] == "unchecked"),
        moments=tuple(
            Moment(frame=frame, before=folder / before, after=folder / after)
            for frame, before, after in zip(previews["frames"], previews["source"], previews["augmented"], strict=True)
        ),
    )


__all__ = ["Moment", "VerdictRow", "verdict_rows"]
