"""What the user sees: results on stdout, everything else on stderr, a bar on a terminal and plain lines elsewhere."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Optional, Protocol

from cosmos.bridge.jobs import JobProgress
from cosmos.bridge.kernels.quiet import quiet_warp

EXIT_OK, EXIT_INTERNAL, EXIT_USAGE, EXIT_PREFLIGHT, EXIT_PARTIAL, EXIT_INTERRUPTED = 0, 1, 2, 3, 4, 130

_LINE_SECONDS = 5.0


def emit(text: str) -> None:
    """Print a result on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def emit_json(values: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    emit(json.dumps(values, indent=2, ensure_ascii=False))


def log(text: str) -> None:
    """Print a line for the user on stderr."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def seconds_text(seconds: float) -> str:
    """Write a time as people say it: ``4 s``, ``2 min 05 s``, ``1 h 12 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def bytes_text(count: float) -> str:
    """Write a size with a decimal unit: ``12.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000.0:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000.0
    return f"{count:.1f} TB"


class Display(Protocol):
    """Shows the progress of a job."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None: ...

    def show(self, progress: JobProgress) -> None:
        """Bring the display up to date."""
        ...


class PlainDisplay:
    """A line on stderr when a clip is done, a part begins, or some seconds have passed."""

    def __init__(self) -> None:
        self._last: tuple[Any, ...] = ()
        self._told = -_LINE_SECONDS

    def __enter__(self) -> PlainDisplay:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        """Leave nothing behind."""

    def show(self, progress: JobProgress) -> None:
        """Print a line when there is news."""
        if not progress.stage and not progress.clips_total:
            return
        news = (progress.stage, progress.clips_done)
        now = time.monotonic()
        if news == self._last and now - self._told < _LINE_SECONDS:
            return
        self._last, self._told = news, now
        log(describe(progress))


class RichDisplay:
    """A live bar on a terminal: clips, part at work, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._clips = self._progress.add_task("clips", total=None, left="")
        self._part = self._progress.add_task("starting", total=None, left="")

    def __enter__(self) -> RichDisplay:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._progress.stop()

    def show(self, progress: JobProgress) -> None:
        """Move the bars."""
        left, stage_left = (
            "" if eta is None else f"{seconds_text(eta)} left" for eta in (progress.eta, progress.stage_eta)
        )
        self._progress.update(self._clips, completed=progress.clips_done, total=progress.clips_total or None, left=left)
        self._progress.update(
            self._part,
            description=progress.stage or "starting",
            completed=progress.done,
            total=progress.total or None,
            left=stage_left,
        )


def describe(progress: JobProgress) -> str:
    """Write a snapshot as one line."""
    steps = f" {progress.done}/{progress.total}" if progress.total else f" {progress.done}" if progress.done else ""
    left = "" if progress.eta is None else f", about {seconds_text(progress.eta)} left"
    if progress.eta is None and progress.stage_eta is not None:
        left = f", done in about {seconds_text(progress.stage_eta)}"
    now = f"[{seconds_text(progress.seconds)}]"
    if progress.clips_total and progress.clips_done == progress.clips_total:
        last = f", {progress.stage}{steps}" if progress.stage else ""
        return f"{now} {progress.clips_done}/{progress.clips_total} clips done{last}"
    clip = f"clip {progress.clips_done + 1}/{progress.clips_total}" if progress.clips_total else "starting"
    return f"{now} {clip}: {progress.stage or 'loading'}{steps}{left}"


def make_display(*, quiet: bool = False, live: bool = True) -> Display:
    """Choose the bar on a terminal that can show it; plain lines elsewhere, without ``rich`` or where not ``live``."""
    if quiet:
        return _NoDisplay()
    if live and sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb":
        try:
            return RichDisplay()
        except ImportError:
            return PlainDisplay()
    return PlainDisplay()


class _NoDisplay(PlainDisplay):
    """Shows nothing."""

    def show(self, progress: JobProgress) -> None:
        """Show nothing."""


__all__ = [
    "EXIT_INTERNAL",
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "EXIT_PARTIAL",
    "EXIT_PREFLIGHT",
    "EXIT_USAGE",
    "Display",
    "PlainDisplay",
    "RichDisplay",
    "bytes_text",
    "describe",
    "emit",
    "emit_json",
    "log",
    "make_display",
    "quiet_warp",
    "seconds_text",
]
