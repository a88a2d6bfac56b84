"""Runs as the panel lists them: badge, what is done, how long it will take, and what can be done with each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cosmos.bridge.jobs import JobProgress, JobState
from cosmos.bridge.kit.run_queue import QueuedRun
from cosmos.bridge.runs.summary import RunSummary

Badge = Literal["waiting", "running", "accepted", "partial", "rejected", "refused", "failed", "cancelled"]
_OUTCOMES: tuple[Badge, ...] = ("accepted", "rejected", "refused", "failed")


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueRow:
    """One run as the panel lists it."""

    run: QueuedRun
    """The run."""
    badge: Badge
    """What became of it; ``partial`` where some clips were accepted and some not."""
    text: str
    """What it does, or why it ended."""
    left: str
    """How long it will take, as far as that is known."""
    share: float
    """Part that is done, in [0, 1]."""
    can_cancel: bool
    """Whether it can be cancelled."""
    can_retry: bool
    """Whether it can be tried again."""
    has_results: bool
    """Whether there is something to look at."""
    has_layer: bool
    """Whether there is something to lay over the stage."""


def queue_rows(runs: Iterable[QueuedRun]) -> tuple[QueueRow, ...]:
    """Return the rows of runs, in their order."""
    waiting, rows = 0, []
    for run in runs:
        waiting += run.state is JobState.WAITING
        rows.append(_row(run, waiting))
    return tuple(rows)


def _row(run: QueuedRun, place: int) -> QueueRow:
    state, summary = run.state, run.summary
    badge: Badge = "waiting"
    text, left, share = f"number {place} in line", "", 0.0
    if state is JobState.RUNNING:
        progress = run.progress
        badge, text, left, share = "running", _doing(progress), _left(progress), _share(progress)
    elif summary is not None:
        badge, text, share = outcome(summary), _told(summary), 1.0
    elif run.over:
        badge, text = "cancelled" if state is JobState.CANCELLED else "failed", run.error
    return QueueRow(
        run=run,
        badge=badge,
        text=text,
        left=left,
        share=share,
        can_cancel=not run.over,
        can_retry=can_retry(run),
        has_results=(run.out / "manifest.json").is_file(),
        has_layer=bool(summary and summary.accepted and summary.stage),
    )


def _left(progress: JobProgress) -> str:
    """Return the time to the end, or that of this stage while no clip was made yet."""
    if progress.eta is not None:
        return f"about {_seconds(progress.eta)} left"
    if progress.stage_eta is not None:
        return f"{progress.stage.partition(' (')[0]} done in about {_seconds(progress.stage_eta)}"
    return ""


def can_retry(run: QueuedRun) -> bool:
    """Return whether another try can change anything: not after a verdict, for a retry has the same seeds."""
    summary = run.summary
    return run.over and (summary is None or bool(summary.failed or summary.remaining))


def outcome(summary: RunSummary) -> Badge:
    """Return the badge of a run that ended."""
    found = [name for name in _OUTCOMES if getattr(summary, name)]
    if summary.remaining:
        return "partial" if summary.accepted else "cancelled"
    if len(found) != 1:
        return "partial" if summary.accepted else "failed" if summary.failed else "rejected"
    return found[0]


def _doing(progress: JobProgress) -> str:
    if not progress.stage:
        return "starts"
    steps = f" {progress.done} of {progress.total}" if progress.total else ""
    clips = f", clip {min(progress.clips_done + 1, progress.clips_total)} of {progress.clips_total}"
    return f"{progress.stage}{steps}{clips if progress.clips_total > 1 else ''}"


def _share(progress: JobProgress) -> float:
    inner = progress.done / progress.total if progress.total else 0.0
    return min(1.0, (progress.clips_done + 0.9 * inner) / max(progress.clips_total, 1))


def _told(summary: RunSummary) -> str:
    counts = [f"{summary.accepted} of {summary.planned} accepted"]
    counts += [f"{getattr(summary, name)} {name}" for name in _OUTCOMES[1:] if getattr(summary, name)]
    counts += [f"{summary.remaining} not made"] if summary.remaining else []
    return f"{', '.join(counts)}, in {_seconds(summary.seconds)}"


def _seconds(seconds: float) -> str:
    if seconds < 100.0:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60.0)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


__all__ = ["Badge", "QueueRow", "can_retry", "outcome", "queue_rows"]
