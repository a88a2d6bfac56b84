"""Memory that two processes see, under no name: nothing is left behind however either of them ends."""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Optional

import numpy as np

_ALIGNED = 64


class SharedBlock:
    """Anonymous memory of a file descriptor, written by one process and read by another.

    It is no file of ``/dev/shm``, so it is not bound by the size of that file system (64 MB in a plain container), and
    the system takes it back with the last process that holds it.

    Args:
        fileno: Descriptor of a block that another process made; ``None`` makes one. Either way it is owned here.
    """

    def __init__(self, fileno: Optional[int] = None) -> None:
        self.fileno = os.memfd_create("cosmos-bridge") if fileno is None else fileno
        """Descriptor to hand on."""
        self._map: Optional[mmap.mmap] = None

    def put(self, arrays: Sequence[np.ndarray], start: int = 0) -> tuple[list[int], int]:
        """Copy arrays into the block; return where each begins, and where the last ends [bytes].

        Args:
            arrays: Arrays of plain numbers, of any strides.
            start: First byte that may be written.
        """
        places, end = [], start
        for array in arrays:
            places.append(-(-end // _ALIGNED) * _ALIGNED)
            end = places[-1] + array.nbytes
        if end > os.fstat(self.fileno).st_size:
            os.ftruncate(self.fileno, end)
        for place, array in zip(places, arrays, strict=True):
            self.view(place, array.shape, array.dtype)[...] = array
        return places, end

    def view(self, place: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Return the array at a place, without a copy; it stays valid when the block grows or is closed."""
        end = place + int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if end == place:
            return np.empty(shape, dtype)
        if self._map is None or len(self._map) < end:
            # The old map is not closed: views into it keep it, and they show the same memory.
            self._map = mmap.mmap(self.fileno, os.fstat(self.fileno).st_size)
        return np.ndarray(shape, dtype, self._map, place)

    def close(self) -> None:
        """Let go; safe to call twice."""
        if self.fileno >= 0:
            self._map = None
            os.close(self.fileno)
            self.fileno = -1

    def __enter__(self) -> SharedBlock:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()


__all__ = ["SharedBlock"]
