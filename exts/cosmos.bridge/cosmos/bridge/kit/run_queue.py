"""Runs in a row: one at a time, on a thread that lives only while there is work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from cosmos.bridge.jobs import Job, JobProgress, JobState, StopSignal
from cosmos.bridge.runs.summary import RunSummary
from cosmos.bridge.types import Progress

Work = Callable[[Progress, StopSignal], RunSummary]


class QueuedRun:
    """One run of a queue, waiting, at work, or over."""

    def __init__(self, name: str, out: Path, work: Work) -> None:
        self.name, self.out = name, out
        self._work = work
        self.job: Job[RunSummary] = Job(work, name=f"cosmos-bridge {name}")

    @property
    def state(self) -> JobState:
        """Where it stands."""
        return self.job.state

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in (JobState.WAITING, JobState.RUNNING)

    @property
    def progress(self) -> JobProgress:
        """A snapshot of now."""
        return self.job.progress

    @property
    def summary(self) -> Optional[RunSummary]:
        """What it did, once it is done."""
        return self.job.result() if self.state is JobState.DONE else None

    @property
    def error(self) -> str:
        """Why it ended badly, in one sentence; empty otherwise."""
        error = self.job.error
        return "" if error is None else str(error) or type(error).__name__

    def again(self) -> QueuedRun:
        """Return a new run of the same work."""
        return QueuedRun(self.name, self.out, self._work)


class RunQueue:
    """Runs what is added, one after the other. Safe from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._runs: list[QueuedRun] = []
        self._thread: Optional[threading.Thread] = None
        self._closed = False

    @property
    def runs(self) -> tuple[QueuedRun, ...]:
        """Every run, in order of arrival."""
        with self._changed:
            return tuple(self._runs)

    @property
    def pending(self) -> int:
        """Runs that are not over."""
        return sum(not run.over for run in self.runs)

    def add(self, run: QueuedRun) -> QueuedRun:
        """Put a run at the end.

        Raises:
            RuntimeError: If the queue is closed.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError(f"The queue is closed; {run.name} cannot be added.")
            self._runs.append(run)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="cosmos-bridge-queue", daemon=True)
                self._thread.start()
        return run

    def retry(self, run: QueuedRun) -> QueuedRun:
        """Put a run that ended badly at the end again, in place of itself."""
        self.remove(run)
        return self.add(run.again())

    def remove(self, run: QueuedRun) -> None:
        """Forget a run that is over, or that still waits."""
        with self._changed:
            if run in self._runs and run.state is not JobState.RUNNING:
                self._runs.remove(run)

    def cancel(self, run: QueuedRun, *, now: bool = False) -> None:
        """Stop a run: one that waits is taken out, one at work ends after its clip, or ``now`` at its next step."""
        with self._changed:
            if run.state is JobState.WAITING and run in self._runs:
                self._runs.remove(run)
                return
        run.job.cancel(now=now)

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Wait until nothing is pending, at most ``timeout`` [s]; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    def wait_below(self, limit: int, timeout: Optional[float] = None) -> bool:
        """Wait until fewer than ``limit`` runs are pending, at most ``timeout`` [s]; return whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: sum(not run.over for run in self._runs) < limit, timeout)

    def close(self, timeout: float = 30.0) -> bool:
        """Stop all at the next step and wait for it; return whether the threads ended in time. Safe to call twice."""
        with self._changed:
            self._closed, thread = True, self._thread
            self._runs = [run for run in self._runs if run.state is not JobState.WAITING]
            at_work = [run for run in self._runs if run.state is JobState.RUNNING]
        for run in at_work:
            run.job.cancel(now=True)
        if thread is not None:
            thread.join(timeout)
        return thread is None or not thread.is_alive()

    def _next(self) -> Optional[QueuedRun]:
        with self._changed:
            for run in self._runs:
                if run.state is JobState.WAITING:
                    run.job.start()
                    return run
            self._thread = None
            self._changed.notify_all()
            return None

    def _serve(self) -> None:
        while (run := self._next()) is not None:
            run.job.wait()
            run.job.join()
            with self._changed:
                self._changed.notify_all()


__all__ = ["QueuedRun", "RunQueue", "Work"]
