"""How many threads to work with."""

from __future__ import annotations

import os

_MAX_THREADS = 8


def usable_threads() -> int:
    """Return how many CPU threads this process may use, at most 8."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity is not None else os.cpu_count()
    return max(1, min(_MAX_THREADS, count or 1))


__all__ = ["usable_threads"]
