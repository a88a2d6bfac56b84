"""OpenCV on one thread while a clip is judged.

Its pictures are small: a second thread of OpenCV's took a sixth of the CPU time of a judgement, waiting busily, and
saved no time by the clock.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2


class _Blocks:
    """Blocks that run now, on any thread, and OpenCV's threads before the first of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running, self._before = 0, 0

    def enter(self) -> None:
        with self._lock:
            if self._running == 0:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._running += 1

    def leave(self) -> None:
        with self._lock:
            self._running -= 1
            if self._running == 0:
                cv2.setNumThreads(self._before)


_blocks = _Blocks()


@contextmanager
def opencv_on_one_thread() -> Iterator[None]:
    """Let OpenCV work on one thread, in the whole process, until the last such block ends."""
    _blocks.enter()
    try:
        yield
    finally:
        _blocks.leave()


__all__ = ["opencv_on_one_thread"]
