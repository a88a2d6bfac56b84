"""What a run's critic said, clip by clip, read from the manifest: badge, reason, and pictures side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.errors import SinkError
from cosmos.bridge.sinks.manifest import read_clip_record, read_manifest


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRow:
    """One clip of a run."""

    clip: str
    """Its name."""
    camera: str
    """Prim path of its camera."""
    badge: str
    """accepted, rejected, refused, failed or pending."""
    score: Optional[float]
    """Score of the attempt that counts, in [0, 1]; ``None`` without one."""
    reasons: tuple[str, ...]
    """Why it was not accepted, worst first; what was remarked on an accepted one."""
    picture: Optional[Path]
    """Before and after in one picture, where there is one."""


def verdict_rows(out: Path) -> tuple[VerdictRow, ...]:
    """Return the clips of a run in order; none while the run has written nothing.

    Args:
        out: Folder of the run.

    Raises:
        SinkError: If the manifest cannot be read.
    """
    if not (out / "manifest.json").is_file():
        return ()
    return tuple(_row(out, clip) for clip in read_manifest(out)["clips"])


def _row(out: Path, clip: dict[str, Any]) -> VerdictRow:
    attempts = clip.get("attempts", [])
    chosen = next((entry for entry in attempts if entry["accepted"]), attempts[-1] if attempts else None)
    reasons: tuple[str, ...] = tuple(filter(None, (clip.get("reason", ""),)))
    picture: Optional[Path] = None
    if chosen is not None:
        folder = out / chosen["folder"]
        picture = folder / "preview.jpg" if (folder / "preview.jpg").is_file() else None
        reasons = _findings(folder) or tuple(filter(None, (chosen["reason"],)))
    return VerdictRow(
        clip=clip["name"],
        camera=clip.get("tags", {}).get("camera", ""),
        badge=clip["status"],
        score=None if chosen is None else float(chosen["score"]),
        reasons=reasons,
        picture=picture,
    )


def _findings(folder: Path) -> tuple[str, ...]:
    try:
        findings = read_clip_record(folder)["verdict"]["findings"]
    except SinkError:
        return ()
    return tuple(finding["text"] for finding in findings)


__all__ = ["VerdictRow", "verdict_rows"]
