"""A job: work on its own thread, with progress, an estimate of the rest, cancel, and its result or its error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, Optional, TypeVar

from cosmos.bridge.errors import JobCancelled
from cosmos.bridge.types import Progress

Result = TypeVar("Result")

CLIPS = "clips"
"""Name of the stage that counts whole clips; every other stage is a part of one clip."""


class JobState(str, Enum):
    """Where a job stands."""

    WAITING = "waiting"
    """Not started."""
    RUNNING = "running"
    """At work."""
    DONE = "done"
    """Ended with a result."""
    FAILED = "failed"
    """Ended with an error."""
    CANCELLED = "cancelled"
    """Aborted on request."""

    def __str__(self) -> str:
        return self.value


class StopSignal:
    """How to ask running work to stop: after the current clip, or at the next step. Safe from any thread."""

    def __init__(self) -> None:
        self._finish = threading.Event()
        self._abort = threading.Event()

    def finish(self) -> None:
        """Ask to stop after the current clip."""
        self._finish.set()

    def abort(self) -> None:
        """Ask to stop at the next step of progress, in the middle of a clip."""
        self._finish.set()
        self._abort.set()

    @property
    def finishing(self) -> bool:
        """Whether no new clip should be started."""
        return self._finish.is_set()

    @property
    def aborting(self) -> bool:
        """Whether the current clip should be given up."""
        return self._abort.is_set()

    def check(self) -> None:
        """Raise JobCancelled when an abort was asked for."""
        if self._abort.is_set():
            raise JobCancelled("The job was aborted on request; what was finished before is kept.")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobProgress:
    """A snapshot of a job."""

    state: JobState = JobState.WAITING
    """Where the job stands."""
    stage: str = ""
    """What it does now, e.g. ``render``."""
    done: int = 0
    """Steps done of that stage."""
    total: int = 0
    """Steps of that stage; 0 while unknown."""
    clips_done: int = 0
    """Whole clips done."""
    clips_total: int = 0
    """Whole clips planned; 0 while unknown."""
    seconds: float = 0.0
    """Wall time since the start [s]."""
    eta: Optional[float] = None
    """Wall time to the end [s], from the pace of the clips made so far (reading further cameras comes on top);
    ``None`` before the first clip is made, and when that time is used up."""
    stage_eta: Optional[float] = None
    """Wall time to the end of that stage [s], from the pace of its steps; ``None`` before two of them are told, and
    when that time is used up."""


@dataclass(slots=True)
class _Meter:
    """What a job measured so far; guarded by the job's lock."""

    state: JobState = JobState.WAITING
    stage: str = ""
    done: int = 0
    total: int = 0
    clips_done: int = 0
    clips_total: int = 0
    started: float = 0.0
    ended: Optional[float] = None
    ticked: Optional[float] = None
    clips_made: int = 0
    clip_seconds: float = 0.0
    stage_first: int = 0
    stage_began: float = 0.0
    stage_told: float = 0.0
    listeners: list[Callable[[JobProgress], None]] = field(default_factory=list)


class Job(Generic[Result]):
    """Work on its own thread.

    Args:
        work: Called with a progress function, which raises JobCancelled after an abort, and the stop signal.
        name: Name of the thread.

    Example:
        >>> job = Job(lambda progress, stop: 6 * 7).start()
        >>> job.result()
        42
    """

    def __init__(self, work: Callable[[Progress, StopSignal], Result], *, name: str = "cosmos-bridge") -> None:
        self._work = work
        self._stop = StopSignal()
        self._lock = threading.Lock()
        self._meter = _Meter()
        self._ended = threading.Event()
        self._result: Optional[Result] = None
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Job[Result]:
        """Start the thread; a second call is an error.

        Raises:
            RuntimeError: If the job was started before.
        """
        with self._lock:
            if self._meter.state is not JobState.WAITING:
                raise RuntimeError(f"A job starts once; this one is {self._meter.state}.")
            self._meter.state = JobState.RUNNING
            self._meter.started = time.monotonic()
        self._thread.start()
        return self

    def cancel(self, *, now: bool = False) -> None:
        """Ask the job to stop: after the current clip, or ``now`` at the next step."""
        if now:
            self._stop.abort()
        else:
            self._stop.finish()

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Wait until the job ended, at most ``timeout`` [s]; return whether it did."""
        return self._ended.wait(timeout)

    def join(self) -> None:
        """Wait until the thread of a started job is gone as well."""
        self._thread.join()

    def result(self, timeout: Optional[float] = None) -> Result:
        """Wait for the result.

        Raises:
            TimeoutError: If the job is still at work after ``timeout`` [s].
            JobCancelled: If it was aborted.
            Exception: Whatever the work raised.
        """
        if not self._ended.wait(timeout):
            raise TimeoutError(f"The job is still {self.progress.stage or 'at work'} after {timeout} s; wait longer.")
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def listen(self, listener: Callable[[JobProgress], None]) -> None:
        """Call ``listener`` with a snapshot after each step, on the job's thread."""
        with self._lock:
            self._meter.listeners.append(listener)

    @property
    def state(self) -> JobState:
        """Where the job stands."""
        return self._meter.state

    @property
    def error(self) -> Optional[BaseException]:
        """What the work raised; ``None`` while it is not over, and where it is done."""
        return self._error if self._ended.is_set() else None

    @property
    def progress(self) -> JobProgress:
        """A snapshot of now."""
        with self._lock:
            return self._snapshot()

    def _run(self) -> None:
        state = JobState.DONE
        try:
            self._result = self._work(self._tell, self._stop)
        except JobCancelled as error:
            self._error, state = error, JobState.CANCELLED
        except BaseException as error:  # noqa: BLE001 - delivered by result()
            self._error, state = error, JobState.FAILED
        with self._lock:
            self._meter.state = state
            self._meter.ended = time.monotonic()
        self._ended.set()

    def _tell(self, stage: str, done: int, total: int) -> None:
        self._stop.check()
        with self._lock:
            meter = self._meter
            if stage == CLIPS:
                self._tick(done, total)
            else:
                self._step(stage, done, total)
            snapshot = self._snapshot()
            listeners = tuple(meter.listeners)
        for listener in listeners:
            listener(snapshot)

    def _tick(self, done: int, total: int) -> None:
        """Count clips; only time that ends with a new clip makes the pace, so that reading a camera does not."""
        meter, now = self._meter, time.monotonic()
        if meter.ticked is not None and done > meter.clips_done:
            meter.clips_made += done - meter.clips_done
            meter.clip_seconds += now - meter.ticked
        meter.clips_done, meter.clips_total, meter.ticked = done, total, now

    def _step(self, stage: str, done: int, total: int) -> None:
        """Count steps; what stands in brackets after a stage's name, such as its chunk, does not begin another."""
        meter, now = self._meter, time.monotonic()
        name, before = (text.partition(" (")[0] for text in (stage, meter.stage))
        if name != before or total != meter.total or done < meter.done:
            meter.stage_first, meter.stage_began = done, now
        meter.stage, meter.done, meter.total, meter.stage_told = stage, done, total, now

    def _snapshot(self) -> JobProgress:
        meter = self._meter
        now = time.monotonic() if meter.ended is None else meter.ended
        eta = stage_eta = None
        if meter.total and meter.done > meter.stage_first:
            pace = (meter.stage_told - meter.stage_began) / (meter.done - meter.stage_first)
            stage_eta = _left(pace * (meter.total - meter.done), now - meter.stage_told)
        if meter.ticked is not None and meter.clips_made:
            pace = meter.clip_seconds / meter.clips_made
            eta = _left(pace * (meter.clips_total - meter.clips_done), now - meter.ticked)
        return JobProgress(
            state=meter.state,
            stage=meter.stage,
            done=meter.done,
            total=meter.total,
            clips_done=meter.clips_done,
            clips_total=meter.clips_total,
            seconds=now - meter.started if meter.started else 0.0,
            eta=eta,
            stage_eta=stage_eta,
        )


def _left(estimate: float, since: float) -> Optional[float]:
    """Return what is left of an estimate [s]; ``None`` once it is used up, for then it was wrong or all is done."""
    left = estimate - max(since, 0.0)
    return left if left > 0.0 else None


__all__ = ["CLIPS", "Job", "JobProgress", "JobState", "StopSignal"]
