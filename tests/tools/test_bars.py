"""The table of bars: a figure against what it must reach."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "bench"))

import pytest
from bars import Bar, best_seconds


def bar_of(figure, wanted, *, more):
    class Fixed(Bar):
        title, unit, bar, more_is_better = "thing", "s", wanted, more

        def measure(self):
            return figure, "remark"

    return Fixed()


@pytest.mark.parametrize(
    ("figure", "wanted", "more", "ratio", "lost"),
    [(6.0, 12.0, True, "0.50", True), (24.0, 12.0, True, "2.00", False), (2.0, 1.0, False, "0.50", True)],
)
def test_a_row_tells_how_many_times_over_the_bar_is_reached(figure, wanted, more, ratio, lost):
    row = bar_of(figure, wanted, more=more).line()
    assert f" {ratio} " in row and ("LOSS" in row) is lost


def test_a_figure_without_a_bar_is_only_published():
    row = bar_of(3.0, None, more=True).line()
    assert "LOSS" not in row and " - " in row


def test_best_seconds_counts_calls():
    seen = []
    wall, cost = best_seconds(seen.append, budget=0.0, at_least=4)
    assert seen == [0, 1, 2, 3] and wall >= 0.0 and cost >= 0.0
