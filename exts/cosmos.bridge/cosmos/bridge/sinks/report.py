"""The report: one HTML page that needs nothing but itself, made from the files of an output folder alone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cosmos.bridge.sinks.clip_section import ClipView
from cosmos.bridge.sinks.files import write_bytes
from cosmos.bridge.sinks.manifest import read_clip_record, read_manifest
from cosmos.bridge.sinks.page import render_page

REPORT_NAME = "report.html"
PICTURE_BUDGET = 32 * 2**20
"""Most bytes of pictures on one page; above it clips show fewer moments, then none."""
_MOMENTS = (8, 6, 4, 3, 2, 1)


def write_report(out_dir: str | Path) -> Path:
    """Write ``report.html`` into an output folder from its manifest, clip records and preview stills.

    Args:
        out_dir: Output folder of a run.

    Returns:
        Path of the page.

    Raises:
        SinkError: If the manifest or a record cannot be read, or the page cannot be written.
    """
    out_dir = Path(out_dir)
    manifest = read_manifest(out_dir)
    clips = [_gather(out_dir, clip) for clip in manifest["clips"]]
    pictures = _Pictures(out_dir)
    left_out = _choose_pictures(clips, pictures)
    page = render_page(manifest, clips, pictures.images, pictures_left_out=left_out)
    path = out_dir / REPORT_NAME
    write_bytes(path, page.encode())
    return path


class _Pictures:
    """Preview stills as data URIs, each kept once however many clips show it."""

    def __init__(self, out_dir: Path) -> None:
        self._out_dir = out_dir
        self._keys: dict[str, str] = {}
        self.images: dict[str, str] = {}

    def size(self, name: str) -> int:
        """Return the bytes of a still on the page; a missing one has none."""
        path = self._out_dir / name
        return 4 * path.stat().st_size // 3 if path.is_file() else 0

    def add(self, name: str) -> str:
        """Return the key of a still; one that is missing has the key of nothing."""
        path = self._out_dir / name
        if name not in self._keys:
            content = path.read_bytes() if path.is_file() else b""
            key = hashlib.sha256(content).hexdigest()[:16] if content else ""
            if key:
                self.images[key] = "data:image/jpeg;base64," + base64.b64encode(content).decode()
            self._keys[name] = key
        return self._keys[name]


def _gather(out_dir: Path, clip: Mapping[str, Any]) -> ClipView:
    """Return what the page says of one clip; the attempt it shows is the accepted one, else the best."""
    attempts = sorted(clip["attempts"], key=lambda entry: entry["attempt"])
    shown = max(attempts, key=lambda entry: (entry["accepted"], entry["score"], entry["attempt"]), default=None)
    records = {entry["folder"]: read_clip_record(out_dir / entry["folder"]) for entry in attempts}
    return ClipView(
        entry=clip,
        shown=None if shown is None else (shown["folder"], records[shown["folder"]]),
        others=tuple((entry["folder"], records[entry["folder"]]) for entry in attempts if entry is not shown),
    )


def _choose_pictures(clips: Sequence[ClipView], pictures: _Pictures) -> int:
    """Give each clip as many moments as the page has room for; return how many clips got none."""
    room = PICTURE_BUDGET
    count = next((n for n in _MOMENTS if _total_size(clips, pictures, n) <= room), 1)
    left_out = 0
    for clip in clips:
        if clip.shown is None:
            continue
        folder, record = clip.shown
        previews, moments = record["previews"], _spread(len(record["previews"]["frames"]), count)
        names = _names(folder, previews, moments)
        cost = sum(pictures.size(name) for sequence in names.values() for name in sequence)
        if cost > room:
            left_out += 1
            continue
        room -= cost
        clip.frames.extend(previews["frames"][i] for i in moments)
        clip.pictures.update({key: [pictures.add(name) for name in sequence] for key, sequence in names.items()})
        for folder, record in clip.others:
            previews = record["previews"]
            middle = [len(previews["frames"]) // 2]
            names = _names(folder, {**previews, "controls": {}}, middle)
            cost = sum(pictures.size(name) for sequence in names.values() for name in sequence)
            if cost <= room:
                room -= cost
                clip.other_pictures[folder] = {key: pictures.add(sequence[0]) for key, sequence in names.items()}
    return left_out


def _total_size(clips: Sequence[ClipView], pictures: _Pictures, count: int) -> int:
    total = 0
    for clip in clips:
        if clip.shown is not None:
            folder, record = clip.shown
            names = _names(folder, record["previews"], _spread(len(record["previews"]["frames"]), count))
            total += sum(pictures.size(name) for sequence in names.values() for name in sequence)
    return total


def _names(folder: str, previews: Mapping[str, Any], moments: Sequence[int]) -> dict[str, list[str]]:
    """Return what is shown -> path of each still below the output folder."""
    sequences = {"source": previews["source"], "augmented": previews["augmented"]}
    sequences.update({f"control-{kind}": files for kind, files in previews["controls"].items()})
    return {key: [f"{folder}/{files[i]}" for i in moments] for key, files in sequences.items()}


def _spread(length: int, count: int) -> list[int]:
    """Return up to ``count`` indices spread over a length; one alone is the middle."""
    if count == 1:
        return [length // 2]
    return sorted({round(i * (length - 1) / (count - 1)) for i in range(count)})


__all__ = ["PICTURE_BUDGET", "REPORT_NAME", "write_report"]
