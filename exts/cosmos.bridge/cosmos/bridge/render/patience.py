"""Python's collector of cycles, told to wait while much is made that stays."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_waits(*, stays: bool = False) -> Iterator[None]:
    """Hold the collector back, for the whole process, until the block ends.

    A Warp kernel keeps its syntax tree, so that reading some hundred of them makes the collector look through all that
    Warp and they consist of again and again: a third of the time that they take.

    Args:
        stays: Whether what the block makes lives as long as the process, as what is imported: all that is there counts
            as old then, without a look. Not for what is done again and again, for it puts off the look at what is old.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if stays and gc.get_freeze_count() == 0:  # else some of what is frozen is not ours to release
                gc.freeze()
                gc.unfreeze()
            gc.enable()


__all__ = ["collector_waits"]
