"""Launch a kernel over many items, in one launch on CUDA and over every core on a CPU, and compile it for that."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import warp as wp

_RUN = 64
"""Items that one thread of a CPU launch works on in a loop; reading a kernel's arguments costs as much as a quarter of
an item."""
_FEWEST = 4096
"""Items worth a launch of their own on a CPU."""
_MOST_THREADS = 8
_FLAGS = " -fno-signed-zeros -freciprocal-math -mreassociate -ffp-contract=fast -w"
"""Infinities and NaN keep their meaning: depths hold them."""


def quick_options() -> dict[str, Any]:
    """Return options for ``wp.set_module_options`` of kernels that may round differently from build to build.

    The code is made for the processor at hand. A Warp that takes no flags is left as it is.
    """
    options: dict[str, Any] = {"enable_backward": False}
    if hasattr(wp.config, "cpu_compiler_flags"):
        options["cpu_compiler_flags"] = (wp.config.cpu_compiler_flags or "-march=native") + _FLAGS
    return options


def launch_runs(kernel: Any, count: int, inputs: list[Any], *, device: Any) -> None:
    """Launch a kernel over items; bands of them run side by side on a CPU, where a launch releases the GIL.

    Items must not write to each other's outputs; then the result does not depend on the number of threads.

    Args:
        kernel: Warp kernel whose first arguments are the first run, the length of a run and ``count``; thread ``k``
            works on the items from ``(first + k) * run`` to the next thread's, below ``count``.
        count: Number of items.
        inputs: The other arguments, outputs too.
        device: Warp device.
    """
    if count <= 0:
        return
    if not wp.get_device(device).is_cpu:
        wp.launch(kernel, dim=count, inputs=[0, 1, count, *inputs], device=device)
        return
    threads = min(_MOST_THREADS, os.cpu_count() or 1)
    runs = -(-count // _RUN)
    pieces = max(1, min(4 * threads, count // _FEWEST))
    edges = [runs * piece // pieces for piece in range(pieces + 1)]

    def one(piece: int) -> None:
        first, end = edges[piece : piece + 2]
        wp.launch(kernel, dim=end - first, inputs=[first, _RUN, count, *inputs], device=device)

    if pieces == 1:
        one(0)
        return
    wp.load_module(module=kernel.module, device=device)
    one(0)  # alone: some Warps build a module once more for its first launch
    with ThreadPoolExecutor(max_workers=threads) as pool:
        list(pool.map(one, range(1, pieces)))


__all__ = ["launch_runs", "quick_options"]
