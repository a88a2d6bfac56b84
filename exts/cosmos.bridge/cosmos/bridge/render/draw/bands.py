"""Launch Warp kernels over every core: one CPU launch runs on one thread, but releases the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Optional

import warp as wp

from cosmos.bridge.kernels.runs import share_out, threads_of
from cosmos.bridge.render.patience import collector_waits
from cosmos.bridge.render.threads import usable_threads

_CHUNKS_PER_THREAD = 4
_RUN = 64
"""Items that one thread of a CPU launch works on in a loop of the kernel's own; reading its arguments costs as much as
a quarter of an item."""


class Bands:
    """Splits the first axis of a launch over threads on the CPU; one launch on CUDA.

    A kernel launched here takes ``first: wp.int32`` as its first argument and works on item ``first + wp.tid()``.
    Items must not write to each other's outputs; then the result does not depend on the number of threads.
    """

    def __init__(self, device: Any, threads: Optional[int] = None):
        """Make the pool.

        Args:
            device: Warp device of every launch.
            threads: CPU threads; as many as the process may use, at most 8, when ``None``.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"Bands needs at least one thread, got {threads!r}.")
        self.device = wp.get_device(device)
        self.threads = 1 if self.device.is_cuda else (threads or usable_threads())
        self._pool = ThreadPoolExecutor(self.threads, "cosmos_bridge_render") if self.threads > 1 else None
        self._loaded: set[Any] = set()
        self._begun: set[Any] = set()

    def launch(self, kernel: Any, count: int, inputs: list, *, chunk: int = 256) -> None:
        """Run ``kernel`` on ``count`` items.

        Args:
            kernel: Warp kernel whose first argument is the first item.
            count: Number of items.
            inputs: The other arguments.
            chunk: Fewest items worth a launch of their own.
        """
        if count <= 0:
            return
        self.load(kernel)
        threads = threads_of(self.threads)
        pieces = max(1, min(threads * _CHUNKS_PER_THREAD, count // max(1, chunk)))
        if threads == 1 or pieces == 1:
            wp.launch(kernel, dim=count, inputs=[0, *inputs], device=self.device)
            return
        # The first launch of a kernel is one thread's alone: it is kept short.
        start = 0 if kernel in self._begun else min(chunk, count // pieces)
        pieces = min(pieces, count - start)
        edges = [start + (count - start) * piece // pieces for piece in range(pieces + 1)]
        if start:
            edges.insert(0, 0)
        self.run(kernel, [(end - start, (start,)) for start, end in pairwise(edges)], inputs)

    def load(self, kernel: Any) -> None:
        """Load the module of a kernel, which Warp hashes first."""
        if kernel not in self._loaded:
            with collector_waits():
                wp.load_module(module=kernel.module, device=self.device)
            self._loaded.add(kernel)

    def launch_runs(self, kernel: Any, count: int, inputs: list, *, chunk: int = 256) -> None:
        """Run ``kernel`` on runs of items: each thread loops over many on the CPU, where a thread's start is dear.

        Args:
            kernel: Warp kernel whose first arguments are the first run, the length of a run and ``count``; thread ``k``
                works on the items from ``(first + k) * run`` to the next thread's, below ``count``.
            count: Number of items.
            inputs: The other arguments.
            chunk: Fewest items worth a launch of their own.
        """
        run = 1 if self.device.is_cuda else _RUN
        self.launch(kernel, -(-count // run), [run, count, *inputs], chunk=max(1, chunk // run))

    def run(self, kernel: Any, pieces: list[tuple[int, tuple[int, ...]]], inputs: list) -> None:
        """Run independent launches of a kernel, side by side where there are threads.

        Args:
            kernel: Warp kernel.
            pieces: Count of items of each launch, and its own first arguments.
            inputs: The other arguments, which all launches share.
        """
        if self._pool is None or len(pieces) == 1:
            share_out(kernel, pieces, inputs, device=self.device)
            return
        waiting = self._begin(kernel, pieces, inputs)
        share_out(kernel, waiting, inputs, device=self.device, pool=(self._pool, threads_of(self.threads) - 1))

    def _begin(
        self, kernel: Any, pieces: list[tuple[int, tuple[int, ...]]], inputs: list
    ) -> list[tuple[int, tuple[int, ...]]]:
        """Launch a new kernel once on this thread and return the pieces that are left.

        Warp 1.7 builds a module once more for its first launch, whatever was loaded, and not safely on two threads.
        """
        if kernel in self._begun:
            return pieces
        count, own = pieces[0]
        wp.launch(kernel, dim=count, inputs=[*own, *inputs], device=self.device)
        self._begun.add(kernel)
        return pieces[1:]

    def aside(self, work: Callable[[], Any]) -> Callable[[], Any]:
        """Begin work that holds no interpreter lock for long, on a thread where there are several.

        Returns:
            What waits for it and returns its result.
        """
        if self._pool is not None:
            return self._pool.submit(work).result
        made = work()
        return lambda: made

    def close(self) -> None:
        """Stop the threads; safe to call twice."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
            self._pool = None


__all__ = ["Bands"]
