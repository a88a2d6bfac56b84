"""Two things at a time on a CPU: the net paints some frames on a thread of its own while the next ones are lit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    import torch


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
    """One piece of torch's work at a time beside this thread, with half of torch's threads.

    More would only wait for each other: this thread's work has use for all cores too.

    Args:
        on: Whether to begin work aside at all; else it is done at once.
    """

    def __init__(self, *, on: bool) -> None:
        self._pool = ThreadPoolExecutor(1, "cosmos_bridge_paint", _take, (_half(),)) if on else None
        self._running: Optional[Future[Any]] = None
        self.rooms = (Room(), Room()) if on else ()
        """Memory for what comes next, in turn: that of the piece in work is not written over."""

    def begin(self, work: Callable[[], object]) -> None:
        """Begin a piece when the one before has ended; raises what that one raised."""
        self.wait()
        if self._pool is None:
            work()
        else:
            self._running = self._pool.submit(work)

    def wait(self) -> None:
        """Wait for the piece in work; raises what it raised."""
        running, self._running = self._running, None
        if running is not None:
            running.result()

    def __enter__(self) -> Aside:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            _take(_threads())


def _threads() -> int:
    """Return how many threads torch works with on this thread."""
    import torch

    return torch.get_num_threads()


def _half() -> int:
    return max(1, _threads() // 2)


def _take(threads: int) -> None:
    """Set how many threads torch works with on this thread, and on those that have not worked with it yet."""
    import torch

    torch.set_num_threads(threads)


__all__ = ["Aside", "Room"]
