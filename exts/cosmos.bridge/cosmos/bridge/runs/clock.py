"""Wall time by part of the line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Clock:
    """Adds up the wall time of each named part."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.seconds: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        """Wall time since the clock was made [s]."""
        return time.monotonic() - self.started

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count the time of a block towards ``part``, also when it raises."""
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - start


__all__ = ["Clock"]
