"""Launch a kernel over many items, in one launch on CUDA and over every core on a CPU, and compile it for that."""

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise
from typing import Any, Optional

import warp as wp

_RUN = 64
"""Items that one thread of a CPU launch works on in a loop; reading a kernel's arguments costs as much as a quarter of
an item."""
_FEWEST = 4096
"""Items worth a launch of their own on a CPU."""
_MOST_THREADS = 8
_begun: set[Any] = set()
"""Kernels that were launched before."""
_own = threading.local()
"""Of a thread: what tells how many threads its launches may take."""
_FLAGS = " -fno-signed-zeros -freciprocal-math -mreassociate -ffp-contract=fast -w"
"""Infinities and NaN keep their meaning: depths hold them."""


def quick_options(flags: str = _FLAGS) -> dict[str, Any]:
    """Return options for ``wp.set_module_options`` of kernels that may round differently from build to build.

    The code is made for the processor at hand. A Warp that takes no flags is left as it is.

    Args:
        flags: What the CPU compiler is told besides, each with a blank before it.
    """
    options: dict[str, Any] = {"enable_backward": False}
    if hasattr(wp.config, "cpu_compiler_flags"):
        options["cpu_compiler_flags"] = (wp.config.cpu_compiler_flags or "-march=native") + flags
    return options


def limit_threads(allowed: Optional[Callable[[], int]]) -> None:
    """Let the launches of this thread be shared by some threads at most, itself included.

    A launch waits for all that share it: beside other work on all cores it ends sooner on fewer threads.

    Args:
        allowed: Asked at every launch; what it tells below 1 counts as 1. ``None`` lifts the limit.
    """
    _own.allowed = allowed


def threads_of(most: int) -> int:
    """Return how many of ``most`` threads may share the launches of this one."""
    allowed = getattr(_own, "allowed", None)
    return most if allowed is None else max(1, min(most, allowed()))


def launch_runs(
    kernel: Any, count: int, inputs: list[Any], *, device: Any, run: int = _RUN, fewest: int = _FEWEST
) -> None:
    """Launch a kernel over items; bands of them run side by side on a CPU, where a launch releases the GIL.

    Items must not write to each other's outputs; then the result does not depend on the number of threads.

    Args:
        kernel: Warp kernel whose first arguments are the first run, the length of a run and ``count``; thread ``k``
            works on the items from ``(first + k) * run`` to the next thread's, below ``count``.
        count: Number of items.
        inputs: The other arguments, outputs too.
        device: Warp device.
        run: Items that one thread of a CPU launch works on.
        fewest: Items worth a launch of their own on a CPU.
    """
    if count <= 0:
        return
    if not wp.get_device(device).is_cpu:
        wp.launch(kernel, dim=count, inputs=[0, 1, count, *inputs], device=device)
        return
    threads = threads_of(_most_threads())
    runs = -(-count // run)
    pieces = max(1, min(4 * threads, count // fewest, runs)) if threads > 1 else 1
    edges = [runs * piece // pieces for piece in range(pieces + 1)]
    waiting = [(end - first, (first,)) for first, end in pairwise(edges)]
    if pieces > 1 and kernel not in _begun:
        wp.load_module(module=kernel.module, device=device)
        first, waiting = waiting[:1], waiting[1:]
        share_out(kernel, first, [run, count, *inputs], device=device)  # some Warps build anew for a first launch
        _begun.add(kernel)
    share_out(
        kernel,
        waiting,
        [run, count, *inputs],
        device=device,
        pool=(_pool(), threads - 1) if pieces > 1 and threads > 1 else None,
    )


def share_out(
    kernel: Any,
    pieces: Sequence[tuple[int, tuple[int, ...]]],
    inputs: list[Any],
    *,
    device: Any,
    pool: Optional[tuple[ThreadPoolExecutor, int]] = None,
) -> None:
    """Launch a kernel that was launched before piece by piece, on this thread and others.

    Args:
        kernel: Warp kernel.
        pieces: Count of items of each launch, and its own first arguments.
        inputs: The other arguments, which all launches share.
        device: Warp device.
        pool: Threads that help, and how many of them may; nobody helps where ``None``.
    """
    if pool is None or len(pieces) < 2:
        for count, own in pieces:
            wp.launch(kernel, dim=count, inputs=[*own, *inputs], device=device)
        return
    waiting = deque(pieces)

    def work() -> None:
        command = None  # packing all arguments costs as much as a small launch: each thread does it once
        while True:
            try:
                count, own = waiting.popleft()
            except IndexError:
                return
            if command is None:
                command = wp.launch(kernel, dim=count, inputs=[*own, *inputs], device=device, record_cmd=True)
            else:
                command.set_dim(count)
                for index, value in enumerate(own):
                    command.set_param_at_index(index, value)
            command.launch()

    # This thread works too, and hands each helper one job for all of it: a job costs as much as a small launch.
    helpers = [pool[0].submit(work) for _ in range(min(pool[1], len(pieces) - 1))]
    try:
        work()
    finally:
        waiting.clear()
        for helper in helpers:
            if not helper.cancel():  # one that has not begun has nothing left to do
                helper.result()


class Threads:
    """Launches kernels whose first argument is the first item, over every core on a CPU.

    Args:
        device: Warp device of every launch.
    """

    def __init__(self, device: Any) -> None:
        self.device = wp.get_device(device)
        """Warp device."""

    def launch(self, kernel: Any, count: int, inputs: list[Any], *, chunk: int = 256) -> None:
        """Run ``kernel`` on ``count`` items.

        Args:
            kernel: Warp kernel whose first argument is the first item.
            count: Number of items.
            inputs: The other arguments.
            chunk: Fewest items worth a launch of their own.
        """
        threads = threads_of(_most_threads()) if self.device.is_cpu else 1
        pieces = max(1, min(4 * threads, count // max(1, chunk))) if threads > 1 else 1
        edges = [count * piece // pieces for piece in range(pieces + 1)]
        waiting = [(end - start, (start,)) for start, end in pairwise(edges)]
        if kernel not in _begun:
            share_out(kernel, waiting[:1], inputs, device=self.device)
            _begun.add(kernel)
            waiting = waiting[1:]
        share_out(kernel, waiting, inputs, device=self.device, pool=(_pool(), threads - 1) if threads > 1 else None)


def _most_threads() -> int:
    return min(_MOST_THREADS, os.cpu_count() or 1)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """Return the threads that help those that launch, kept for every launch."""
    return ThreadPoolExecutor(_most_threads(), "cosmos_bridge_kernels")


__all__ = ["Threads", "launch_runs", "limit_threads", "quick_options", "share_out", "threads_of"]
