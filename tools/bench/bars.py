"""What a bar is: one figure of the renderer, measured, against the figure it must reach.

A module of bars lists them in ``BARS``; ``run.py`` prints them in one table. Each is an asv class too
(``track_figure``).
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

DEVICE = "cpu"
"""Warp device of every bar; ``run.py`` sets it."""


def best_seconds(work: Callable[[int], object], *, budget: float, at_least: int = 3) -> tuple[float, float]:
    """Run ``work(0)``, ``work(1)`` ... for ``budget`` seconds.

    Returns:
        Seconds of the best call by the clock, and the CPU seconds (all threads) of the cheapest one.
    """
    walls, costs, begin = [], [], time.perf_counter()
    while len(walls) < at_least or time.perf_counter() - begin < budget:
        start, spent = time.perf_counter(), time.process_time()
        work(len(walls))
        walls.append(time.perf_counter() - start)
        costs.append(time.process_time() - spent)
    return float(np.min(walls)), float(np.min(costs))


class Bar(ABC):
    """One figure. Subclasses set the class attributes and ``measure``."""

    title = ""
    unit = ""
    bar: "float | None" = None
    """The figure to reach; ``None`` where it is only published."""
    more_is_better = True
    budget = 2.0
    """Seconds of measuring."""

    @abstractmethod
    def measure(self) -> tuple[float, str]:
        """Return the figure in ``unit``, and what else belongs to it, in a few words."""

    def track_figure(self) -> float:
        """The figure, for asv."""
        return self.measure()[0]

    def line(self) -> str:
        """Measure and return a row: the figure, the bar, how many times over it is reached, the remark."""
        figure, remark = self.measure()
        wanted, ratio, verdict = "-", "-", ""
        if self.bar is not None:
            reached = figure / self.bar if self.more_is_better else self.bar / figure
            wanted = f"{'>=' if self.more_is_better else '<='} {self.bar:g}"
            ratio, verdict = f"{reached:.2f}", "" if reached >= 1.0 else "LOSS"
        return f"{self.title:46s} {figure:9.3g} {self.unit:9s} {wanted:>8s} {ratio:>7s} {verdict:5s} {remark}"


HEAD = f"{'figure':46s} {'measured':>9s} {'unit':9s} {'bar':>8s} {'x bar':>7s} {'':5s} remark"
