"""Several things at a time on a CPU: the net paints frames on threads of its own while the next ones are lit."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Optional, TypeVar

if TYPE_CHECKING:
    import torch

_PIECES = 2
"""Pieces in work, or about to be, at a time."""
_Made = TypeVar("_Made")


class Room:
    """Memory that is filled again and again; to get as much anew costs as much as to fill it."""

    def __init__(self) -> None:
        self._held: dict[str, torch.Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], *, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        """Return the tensor of a name, with whatever it held last; made where it is another one or not there yet."""
        import torch

        held = self._held.get(name)
        if held is None or tuple(held.shape) != shape or held.dtype != dtype or held.device != device:
            held = self._held[name] = torch.empty(shape, dtype=dtype, device=device)
        return held


class Aside:
    """Pieces of torch's work beside this thread, two at a time, which have half of torch's threads together.

    More would only wait for each other: this thread's work has use for the other half. Two, not one of twice the
    threads: torch's threads wait for each other busily. On two cores it is one piece after the other where this thread
    is busy: a second would take turns with it, and the next piece waits for that. This thread's launches of kernels are
    shared by as many threads only as the pieces leave cores.

    Args:
        on: Whether to work aside at all; else pieces are done at once.
        busy: Whether this thread has about as much to do as the pieces, as where a stage is asked for its light.
    """

    def __init__(self, *, on: bool, busy: bool = True) -> None:
        self._threads = _threads() if on else 0
        self._cores = _cores()
        self._workers = max(1, min(_PIECES, self._cores // 2 if busy else self._cores))
        self._share = max(1, self._threads // (2 * self._workers))
        self._pool = ThreadPoolExecutor(self._workers, "cosmos_bridge_paint", _join, (self._share,)) if on else None
        self._running: deque[Future[None]] = deque()
        self.rooms = tuple(Room() for _ in range(_PIECES + 1)) if on else ()
        """Memory for what comes next, in turn: that of the pieces in work is not written over."""

    def begin(self, work: Callable[[], _Made], then: Callable[[_Made], None]) -> None:
        """Begin a piece as soon as there is a thread for it; raises what an earlier one raised.

        Args:
            work: Done beside that of other pieces.
            then: Called with what ``work`` made; pieces come to it in their order, one at a time.
        """
        if self._pool is None:
            then(work())
            return
        while len(self._running) >= _PIECES:
            self._running.popleft().result()
        before = self._running[-1] if self._running else None
        self._running.append(self._pool.submit(_follow, before, work, then))

    def alone(self, work: Callable[[], _Made], then: Callable[[_Made], None]) -> None:
        """Do a piece at once on this thread, beside no other and with all of torch's threads."""
        self.wait()
        self._set(self._threads)
        try:
            then(work())
        finally:
            self._set(self._share)

    def wait(self) -> None:
        """Wait for the pieces in work; raises what the first of them to fail raised."""
        running, self._running = self._running, deque()
        for piece in running:
            piece.result()

    def _left(self) -> int:
        """Return how many cores the pieces in work leave."""
        working = sum(not piece.done() for piece in self._running)
        return self._cores - self._share * min(working, self._workers)

    def _set(self, threads: int) -> None:
        if self._pool is not None:
            _take(threads)

    def __enter__(self) -> Aside:
        self._set(self._share)
        if self._pool is not None:
            _limit(self._left)
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            _take(self._threads)
            _limit(None)


def _follow(before: Optional[Future[None]], work: Callable[[], _Made], then: Callable[[_Made], None]) -> None:
    """Work, and hand over what that made when the piece before is done."""
    made = work()
    if before is not None:
        before.result()
    then(made)


def _join(share: int) -> None:
    """Begin a thread for pieces, which have so many threads each."""
    _take(share)
    _limit(lambda: share)


def _limit(allowed: Optional[Callable[[], int]]) -> None:
    """Limit the threads that share this thread's launches of kernels."""
    from cosmos.bridge.kernels.runs import limit_threads

    limit_threads(allowed)


def _cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _threads() -> int:
    """Return how many threads torch works with on this thread."""
    import torch

    return torch.get_num_threads()


def _take(threads: int) -> None:
    """Set how many threads torch works with on this thread, and on those that have not worked with it yet."""
    import torch

    torch.set_num_threads(threads)


__all__ = ["Aside", "Room"]
