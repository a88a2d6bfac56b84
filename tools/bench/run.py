"""Print what each kernel costs against OpenCV and plain torch, and what the renderer reaches against its bars.

Of kernels: ms, GB/s, share of a copy. Frames go through in chunks, as many as fit a time budget a contestant; the time
is that of all frames, projected from those that ran, at the best speed seen. Before a contest is timed its results
are compared; one that disagrees stops the run.
"""

import argparse
import sys
import time
from collections.abc import Callable

import bars
import bench_annotators
import bench_controls
import bench_critic
import bench_layout
import bench_load
import bench_reference
import bench_render
import bench_tiles
import bench_transfer
import bench_weights
import numpy as np
import warp as wp
from contest import Contest, threads

MODULES = (bench_controls, bench_layout, bench_weights)
BAR_MODULES = (bench_render, bench_annotators, bench_load, bench_tiles, bench_reference, bench_transfer)
CPU_BAR_MODULES = (bench_critic,)
COPY_BYTES = 256 * 2**20


def seconds_a_frame(run: Callable[[], object], finish: Callable[[], None], chunk: int, total: int, budget: float):
    """Return the seconds of one frame in the best call, and how many frames ran."""
    times: list[float] = []
    begin = time.perf_counter()
    while len(times) * chunk < total and (not times or time.perf_counter() - begin < budget):
        start = time.perf_counter()
        run()
        finish()
        times.append(time.perf_counter() - start)
    return min(times) / chunk, min(len(times) * chunk, total)


def copy_ceiling(device: str) -> float:
    """Bytes a second of a plain copy too large for any cache, read and written bytes both counted."""
    source = wp.zeros(COPY_BYTES, dtype=wp.uint8, device=device)
    target = wp.empty_like(source)
    best = np.inf
    for _ in range(10):
        start = time.perf_counter()
        wp.copy(target, source)
        wp.synchronize_device(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * source.size / best


def row(contest: Contest, options: argparse.Namespace, ceiling: float) -> list[list[str]]:
    """Run one contest; return a line for each way that is ours."""
    apart = {name: value for name, value in contest.disagreement().items() if value > contest.tolerance}
    if apart:
        raise SystemExit(f"{contest.title}: results differ by {apart}, at most {contest.tolerance} is allowed.")
    cost = {}
    for name, run in contest.contestants().items():
        cost[name] = seconds_a_frame(run, contest.finish, len(contest.video), options.frames, options.budget)
    lines = []
    for name in ("launcher", "warp"):
        if name not in cost:
            continue
        seconds, ran = cost[name]
        rate = contest.bytes_per_pixel * options.size[0] * options.size[1] / seconds
        title = contest.title if name == "launcher" else "  its Warp kernel"
        ratios = [f"{cost[other][0] / seconds:9.2f}" if other in cost else "        -" for other in ("opencv", "torch")]
        lines.append(
            [
                f"{title:40s}",
                f"{seconds * options.frames * 1e3:10.1f}",
                f"{rate / 1e9:7.3f}",
                f"{100.0 * rate / ceiling:7.2f} %",
                *ratios,
                f"{ran:6d}",
            ]
        )
    return lines


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=93, help="frames of the clip (default 93)")
    parser.add_argument("--size", default="704x1280", help="HEIGHTxWIDTH [px] (default 704x1280)")
    parser.add_argument("--chunk", type=int, default=3, help="frames that are in memory at a time (default 3)")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds a contestant (default 2)")
    parser.add_argument("--device", default=None, help="Warp device (default: CUDA where there is one)")
    parser.add_argument("--only", default="", help="run contests and bars whose title holds this")
    options = parser.parse_args(arguments)
    height, _, width = options.size.partition("x")
    if not (height.isdigit() and width.isdigit() and int(height) >= 16 and int(width) >= 16):
        parser.error(f"--size must be HEIGHTxWIDTH of at least 16x16, got {options.size!r}")
    if options.frames < 1 or options.chunk < 1:
        parser.error("--frames and --chunk must be at least 1")
    options.size = (int(height), int(width))
    options.chunk = min(options.chunk, options.frames)
    return options


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if hasattr(wp.config, "log_level"):  # newer Warp; older ones have quiet
        wp.config.log_level = wp.LOG_WARNING
    else:
        wp.config.quiet = True
    device = options.device or str(wp.get_preferred_device())
    ceiling = copy_ceiling(device)
    print(f"{options.frames} frames of {options.size[1]}x{options.size[0]} on {wp.get_device(device).name} ({device});")
    print(f"threads: {threads()}; a copy moves {ceiling / 1e9:.1f} GB/s (read and written bytes).")
    print("Ratios: their time / ours, below 1.00 is a loss. frames: how many were timed; ms is for all of them.\n")
    head = f"{'kernel':40s} {'ms':>10s} {'GB/s':>7s} {'of copy':>9s} {'x OpenCV':>9s} {'x torch':>9s} {'frames':>6s}"
    print(f"{head}\n{'-' * len(head)}")
    for module in MODULES:
        for kind in module.CONTESTS:
            if options.only in kind.title:
                contest = kind()
                contest.setup(options.size, options.chunk, device)
                for line in row(contest, options, ceiling):
                    print(" ".join(line), flush=True)
    bars.DEVICE = device
    print(
        f"\nx bar: how many times over a bar is reached, below 1.00 is a loss.\n\n{bars.HEAD}\n{'-' * len(bars.HEAD)}"
    )
    for module in (*BAR_MODULES, *(CPU_BAR_MODULES if bars.DEVICE == "cpu" else ())):
        for kind in module.BARS:
            if options.only in kind.title:
                print(kind().line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
