"""Hold the files of a run against its manifest and its ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cosmos.bridge.runs.ledger import LEDGER_NAME, read_ledger, settled_in


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedRun:
    """What a check found."""

    num_files: int
    """Files the manifest names."""
    problems: tuple[str, ...]
    """One sentence each; empty when all is well."""


def check_run(out: Path) -> CheckedRun:
    """Hash every file again, and compare what the ledger settled with what the manifest lists.

    Raises:
        SourceError: If the folder holds no run.
        SinkError: If its manifest or ledger is damaged.
    """
    from cosmos.bridge.sinks.manifest import read_manifest, verify

    settled = settled_in(read_ledger(out / LEDGER_NAME))
    clips = read_manifest(out)["clips"]
    problems = verify(out)
    listed = {clip["name"]: clip["status"] for clip in clips}
    for name, outcome in settled.items():
        if listed.get(name) != outcome:
            problems.append(
                f"The ledger says that {name} was {outcome}, the manifest says {listed.get(name, 'nothing')}."
            )
    num_files = sum(attempt["num_files"] for clip in clips for attempt in clip["attempts"])
    return CheckedRun(num_files=num_files, problems=tuple(problems))


__all__ = ["CheckedRun", "check_run"]
