"""Attend to a job from the terminal: show its progress, turn Ctrl-C into a soft stop and then a hard one."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Optional, TypeVar

from cosmos.bridge.cli.console import log, make_display
from cosmos.bridge.errors import JobCancelled
from cosmos.bridge.jobs import Job

Result = TypeVar("Result")

_POLL = 0.1
_GRACE = 20.0


def attend(job: Job[Result], *, quiet: bool = False, cure: str = "", work: str = "the clip at work") -> Result:
    """Wait for a started job.

    The first Ctrl-C (or SIGTERM) lets it finish the clip, or other part, at work, the second aborts at the next step,
    a third or 20 s of silence gives it up.

    Args:
        job: The job.
        quiet: Show no progress.
        cure: What to do after an interruption, added to the messages.
        work: What is finished after the first Ctrl-C.

    Raises:
        JobCancelled: If the job was aborted.
        Exception: Whatever the job raised.
    """
    asked = _Asked()
    with _signals(asked), make_display(quiet=quiet) as display:
        heard, deadline = 0, float("inf")
        while not job.wait(_POLL):
            display.show(job.progress)
            if asked.times > heard:
                heard += 1
                if heard == 1:
                    log(f"Finishing {work}; Ctrl-C again stops now.{cure}")
                    job.cancel()
                else:
                    log("Stopping now." + cure)
                    job.cancel(now=True)
                    deadline = min(deadline, time.monotonic() + _GRACE)
                if heard > 2:
                    deadline = 0.0
            if time.monotonic() > deadline:
                raise JobCancelled("The job did not stop in time and was given up; what was finished before is kept.")
        display.show(job.progress)
    return job.result()


class _Asked:
    """How often the user asked to stop."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, number: int, frame: Optional[FrameType]) -> None:
        self.times += 1


@contextmanager
def _signals(asked: _Asked) -> Iterator[None]:
    """Count SIGINT and SIGTERM for the length of a block; once asked to stop, the process ends and ignores more."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, asked) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_IGN if asked.times else old)


__all__ = ["attend"]
