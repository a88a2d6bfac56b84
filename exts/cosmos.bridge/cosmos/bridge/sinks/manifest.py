"""The manifest of an output folder: what was asked, what came, and the hash of every file.

``manifest.json`` holds the run and one entry a clip; each attempt of a clip names its folder and the hashes of the
files at the top of it. ``clip.json`` among them holds the hashes of every file below. So one changed byte anywhere
shows, and the manifest stays small. It is rewritten whole after each attempt; a kill loses at most the attempt that
was being written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Optional

from cosmos.bridge.errors import SinkError
from cosmos.bridge.sinks.files import plain, sha256_file, write_json

MANIFEST_NAME = "manifest.json"
CLIP_NAME = "clip.json"
FORMAT = "cosmos.bridge manifest"
VERSION = 1

Outcome = Literal["accepted", "rejected", "refused", "failed"]
"""How a clip ended: kept; refused by the critic; refused by a guard; lost to an error."""

OUTCOMES: tuple[Outcome, ...] = ("accepted", "rejected", "refused", "failed")


class Manifest:
    """The manifest of one output folder, kept on disk after every change."""

    def __init__(self, out_dir: Path, run: Mapping[str, Any]) -> None:
        """Start a manifest, or go on with the one that is there.

        Args:
            out_dir: Output folder; it exists.
            run: Plain settings of the run; ``planned`` is the number of clips to come, ``command`` reproduces the run.

        Raises:
            SinkError: If a manifest is there that cannot be read.
        """
        self._path = out_dir / MANIFEST_NAME
        self._clips: dict[str, dict[str, Any]] = {}
        if self._path.exists():
            self._clips = {clip["name"]: clip for clip in read_manifest(out_dir)["clips"]}
        self._run = plain(run)

    def attempt(self, name: str, attempt: int) -> Optional[Mapping[str, Any]]:
        """Return what is kept of one attempt, or ``None``."""
        attempts = self._clips.get(name, {}).get("attempts", [])
        return next((entry for entry in attempts if entry["attempt"] == attempt), None)

    def add_attempt(self, name: str, entry: Mapping[str, Any], *, tags: Mapping[str, str]) -> None:
        """Count one written attempt; a clip with an accepted attempt is accepted, whatever else happens to it.

        Args:
            name: Name of the clip.
            entry: Its attempt number, ``accepted``, ``folder``, ``reason`` and files.
            tags: Free labels of the run.
        """
        clip = self._clip(name, tags)
        clip["attempts"].append(plain(entry))
        if clip["status"] != "accepted":
            clip["status"] = "accepted" if entry["accepted"] else "rejected"
            clip["reason"] = entry.get("reason", "")
        self.write()

    def release(self, name: str, attempt: int, changes: Mapping[str, Any]) -> None:
        """Count a rejected attempt as accepted after all.

        Args:
            name: Name of the clip.
            attempt: Number of the attempt.
            changes: What its entry says now.
        """
        clip = self._clips[name]
        next(entry for entry in clip["attempts"] if entry["attempt"] == attempt).update(plain(changes))
        clip["status"], clip["reason"] = "accepted", ""
        self.write()

    def add_outcome(self, name: str, status: Outcome, reason: str, *, tags: Mapping[str, str]) -> None:
        """Count a clip that ended without pixels: refused by a guard, or lost to an error."""
        clip = self._clip(name, tags)
        if clip["status"] != "accepted":
            clip["status"], clip["reason"] = status, reason
        self.write()

    def _clip(self, name: str, tags: Mapping[str, str]) -> dict[str, Any]:
        return self._clips.setdefault(
            name, {"name": name, "status": "failed", "reason": "", "tags": plain(tags), "attempts": []}
        )

    def counts(self) -> dict[str, int]:
        """Return counts that add up: planned = accepted + rejected + refused + failed + pending."""
        by_status: dict[str, int] = {
            status: sum(clip["status"] == status for clip in self._clips.values()) for status in OUTCOMES
        }
        attempts = [entry for clip in self._clips.values() for entry in clip["attempts"]]
        planned = max(int(self._run.get("planned") or 0), len(self._clips))
        return {
            "planned": planned,
            **by_status,
            "pending": planned - len(self._clips),
            "attempts": len(attempts),
            "rejected_attempts": sum(not entry["accepted"] for entry in attempts),
        }

    def write(self) -> None:
        """Put the manifest on disk whole.

        Raises:
            SinkError: If it cannot be written; the one before stays.
        """
        clips = [self._clips[name] for name in sorted(self._clips)]
        document = {"format": FORMAT, "version": VERSION, "run": self._run, "counts": self.counts(), "clips": clips}
        write_json(self._path, document)


def read_manifest(out_dir: str | Path) -> dict[str, Any]:
    """Return the manifest of an output folder.

    Raises:
        SinkError: If there is none, or it is damaged or of another version.
    """
    return _read(Path(out_dir) / MANIFEST_NAME, need=("run", "counts", "clips"))


def read_clip_record(folder: str | Path) -> dict[str, Any]:
    """Return the ``clip.json`` of one attempt's folder.

    Raises:
        SinkError: If there is none, or it is damaged.
    """
    return _read(Path(folder) / CLIP_NAME, need=("name", "attempt", "files"))


def _read(path: Path, *, need: tuple[str, ...]) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SinkError(f"{path} does not exist; give the output folder of a run of cosmos-bridge.") from error
    except (OSError, ValueError) as error:
        raise SinkError(f"{path} cannot be read: {error}; restore it or run again into a new folder.") from error
    if not isinstance(document, dict) or document.get("version") != VERSION or any(key not in document for key in need):
        raise SinkError(f"{path} is no version {VERSION} file of cosmos.bridge; run again into a new folder.")
    return document


def verify(out_dir: str | Path) -> list[str]:
    """Hash every file again and count everything again.

    Returns:
        One sentence for each problem; an empty list means that all files are as they were written.

    Raises:
        SinkError: If the manifest itself cannot be read.
    """
    out_dir = Path(out_dir)
    manifest = read_manifest(out_dir)
    problems: list[str] = []
    counts, clips = manifest["counts"], manifest["clips"]
    for status in OUTCOMES:
        found = sum(clip["status"] == status for clip in clips)
        if counts.get(status) != found:
            problems.append(f"The manifest counts {counts.get(status)} {status} clips, but lists {found}.")
    if counts.get("planned") != sum(counts.get(key) or 0 for key in (*OUTCOMES, "pending")):
        problems.append("The counts of the manifest do not add up to the planned clips.")
    for clip in clips:
        for attempt in clip["attempts"]:
            problems += _verify_attempt(out_dir, attempt)
    return problems


def _verify_attempt(out_dir: Path, attempt: Mapping[str, Any]) -> list[str]:
    folder = out_dir / attempt["folder"]
    problems = _verify_files(folder, attempt["files"])
    if problems and any(problem.startswith(str(folder / CLIP_NAME)) for problem in problems):
        return problems
    try:
        below = read_clip_record(folder)["files"]
    except SinkError as error:
        return [*problems, str(error)]
    return problems + _verify_files(folder, {key: value for key, value in below.items() if key not in attempt["files"]})


def _verify_files(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    problems = []
    for name, facts in files.items():
        path = folder / name
        try:
            if not path.is_file():
                problems.append(f"{path} is missing.")
            elif path.stat().st_size != facts["bytes"] or sha256_file(path) != facts["sha256"]:
                problems.append(f"{path} was changed after it was written.")
        except OSError as error:
            problems.append(f"{path} cannot be read: {error.strerror}.")
    return problems


__all__ = [
    "CLIP_NAME",
    "MANIFEST_NAME",
    "OUTCOMES",
    "Manifest",
    "Outcome",
    "read_clip_record",
    "read_manifest",
    "verify",
]
