"""Rejected clips of a finished run: list them, let one out by hand, or have them tried again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cosmos.bridge.config import BridgeConfig, save_config
from cosmos.bridge.errors import ConfigError, SinkError
from cosmos.bridge.runs.folder import CONFIG_NAME, reopen_run


@dataclass(frozen=True, kw_only=True, slots=True)
class Quarantined:
    """A clip whose every attempt was rejected."""

    name: str
    """Name of the clip."""
    reason: str
    """Why its last attempt was rejected."""
    attempts: tuple[dict[str, Any], ...]
    """Its attempts as the manifest has them: attempt, score, seed, reason, remedy, folder."""


def quarantined(out: Path) -> tuple[Quarantined, ...]:
    """List the rejected clips of a run.

    Raises:
        SinkError: If the folder holds no manifest, or it is damaged.
    """
    from cosmos.bridge.sinks.manifest import read_manifest

    return tuple(
        Quarantined(name=clip["name"], reason=clip["reason"], attempts=tuple(clip["attempts"]))
        for clip in read_manifest(out)["clips"]
        if clip["status"] == "rejected"
    )


def release(out: Path, name: str, why: str, *, attempt: int | None = None) -> Path:
    """Let an attempt at a rejected clip count as accepted, by a person's word, which is recorded.

    Its folder moves from ``rejected/`` to the accepted ones; its verdict stays as it was, and so does the stage layer.

    Args:
        out: Folder of the run.
        name: Name of the clip.
        why: Reason, for the record; not empty.
        attempt: Which attempt; ``None`` takes that of the best score.

    Returns:
        The new folder.

    Raises:
        ConfigError: If there is no such rejected clip or attempt, or no reason.
        SinkError: If another process is at work there, or it cannot be written.
    """
    from cosmos.bridge.sinks.files import cannot_write, sha256_file, write_json
    from cosmos.bridge.sinks.manifest import CLIP_NAME, Manifest, read_clip_record, read_manifest
    from cosmos.bridge.sinks.report import write_report

    if not why.strip():
        raise ConfigError("A release needs a reason for the record; give one with --why TEXT.")
    ledger = reopen_run(out)[1]
    with ledger:
        clip = _named(out, [name])[0]
        entries = {entry["attempt"]: entry for entry in clip.attempts}
        best = max(entries.values(), key=lambda entry: entry["score"])["attempt"] if attempt is None else attempt
        if best not in entries:
            raise ConfigError(f"{name} has the attempts {', '.join(map(str, entries))}, got {best}; name one of them.")
        before, after = out / entries[best]["folder"], out / name
        record = read_clip_record(before)
        released = {"why": why.strip(), "at": datetime.now(timezone.utc).isoformat(timespec="seconds")}
        if after.exists():
            raise SinkError(f"{after} is there already; move it away first.")
        write_json(before / CLIP_NAME, {**record, "accepted": True, "released": released})
        try:
            os.rename(before, after)
        except OSError as error:
            raise cannot_write(after, error) from error
        path = after / CLIP_NAME
        facts = {"sha256": sha256_file(path), "bytes": path.stat().st_size}
        changes = {"accepted": True, "folder": name, "released": released, "reason": "",
                   "files": {**entries[best]["files"], CLIP_NAME: facts}}  # fmt: skip
        Manifest(out, read_manifest(out)["run"]).release(name, best, changes)
        ledger.settle(name, "accepted", why=f"released: {why.strip()}")
    if (out / "report.html").exists():
        write_report(out)
    return after


def reopen(out: Path, names: Sequence[str], *, more: int) -> BridgeConfig:
    """Have rejected clips tried again, ``more`` times at most; the run's saved config keeps the new number of tries.

    Args:
        out: Folder of the run.
        names: Clips; none means all rejected ones.
        more: Further attempts each, >= 1.

    Returns:
        The config; running it with ``resume`` makes the attempts.

    Raises:
        ConfigError: If there is no such rejected clip, or no rejected clip at all, or ``more`` is below 1.
        SinkError: If another process is at work there, or it cannot be written.
    """
    if more < 1:
        raise ConfigError(f"A clip is tried again at least once, got {more} further attempts.")
    config, ledger = reopen_run(out)
    with ledger:
        clips = _named(out, names)
        tries = max(len(clip.attempts) for clip in clips) + more
        config = config.replace(retry=replace(config.retry, max_attempts=max(config.retry.max_attempts, tries)))
        pending = out / f".{CONFIG_NAME}.partial"
        try:
            save_config(config, pending)
            os.replace(pending, out / CONFIG_NAME)
        except OSError as error:
            raise SinkError(f"{out / CONFIG_NAME} cannot be written ({error.strerror or error}); check it.") from error
        for clip in clips:
            ledger.reopen(clip.name)
    return config


def _named(out: Path, names: Sequence[str]) -> list[Quarantined]:
    """Return the rejected clips of these names, or all."""
    rejected = {clip.name: clip for clip in quarantined(out)}
    if not rejected:
        raise ConfigError(f"No clip of {out} is rejected; there is nothing to do.")
    strange = [name for name in names if name not in rejected]
    if strange:
        raise ConfigError(f"{', '.join(strange)} is no rejected clip; there is {', '.join(rejected)}.")
    return [rejected[name] for name in names] if names else list(rejected.values())


__all__ = ["Quarantined", "quarantined", "release", "reopen"]
