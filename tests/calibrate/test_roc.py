from xml.etree import ElementTree

import numpy as np
import pytest
from scipy import stats

from cosmos.bridge.calibrate.bars import choose_bars
from cosmos.bridge.calibrate.plots import roc_svg
from cosmos.bridge.calibrate.roc import Rate, area_under, bootstrap_area, curve, false_alarms, fault_rows
from cosmos.bridge.calibrate.tables import by_check, by_size, summary
from cosmos.bridge.calibrate.trials import GOOD, Trial
from cosmos.bridge.errors import ConfigError


def trial(number, fault=GOOD, score=1.0, *, accepted=None, values=None, failed=(), **more):
    return Trial(
        clip=f"clip_{number}", scene=f"scene_{number // 2}", part="prove", fault=fault,
        strength=more.pop("strength", 1.0), accepted=score >= 0.5 if accepted is None else accepted, score=score,
        values=values or {}, failed=failed, **more,
    )  # fmt: skip


@pytest.mark.parametrize(("hits", "count"), [(0, 30), (1, 50), (49, 50), (7, 9), (100, 100)])
def test_wilson_interval_is_that_of_scipy(hits, count):
    want = stats.binomtest(hits, count).proportion_ci(method="wilson")
    np.testing.assert_allclose(Rate(hits=hits, count=count).interval, (want.low, want.high), atol=1e-9)


def test_no_clips_leave_everything_open():
    assert Rate(hits=0, count=0).interval == (0.0, 1.0) and np.isnan(Rate(hits=0, count=0).share)


@pytest.mark.parametrize("seed", range(4))
def test_area_is_the_mann_whitney_statistic_and_that_below_the_curve(seed):
    rng = np.random.default_rng(seed)
    good, bad = np.round(rng.normal(0, 1, 40), 1), np.round(rng.normal(0.8, 1, 25), 1)
    bad[:3] = -np.inf
    want = stats.mannwhitneyu(np.where(np.isinf(bad), -99, bad), good).statistic / (len(good) * len(bad))
    assert area_under(good, bad) == pytest.approx(want)
    across, up = curve(good, bad)
    assert np.trapezoid(up, across) == pytest.approx(want)
    assert (across[0], up[0], across[-1], up[-1]) == (0.0, 0.0, 1.0, 1.0)


def test_bootstrap_interval_holds_the_area_and_widens_with_fewer_scenes():
    rng = np.random.default_rng(0)

    def group(fault, mean, count):
        return [trial(i, fault, float(np.clip(rng.normal(mean, 0.2), 0, 1))) for i in range(count)]

    many = bootstrap_area(group(GOOD, 0.8, 200), group("moved", 0.6, 200))
    few = bootstrap_area(group(GOOD, 0.8, 16), group("moved", 0.6, 16))
    truth = float(stats.norm.cdf(0.2 / (0.2 * 2**0.5)))
    assert many[0] < truth < many[1] and many[1] - many[0] < few[1] - few[0]


def test_rows_count_what_was_found_and_named():
    trials = [trial(i) for i in range(10)]
    trials += [
        trial(i, "moved", 0.2, strength=4.0, named=i < 6, failed=("boundary_shift",), area=300.0) for i in range(8)
    ]
    trials += [trial(i, "moved", 0.9, strength=4.0, named=False, area=100.0) for i in (8, 9)]
    (row,) = fault_rows(trials, draws=20)
    assert (row.found.hits, row.found.count, row.named.hits) == (8, 10, 6)
    assert row.checks == {"boundary_shift": 0.8} and row.area == pytest.approx(0.8 + 0.2 * 1.0)
    assert false_alarms(trials) == Rate(hits=0, count=10)
    text = summary(trials, goals=True)
    assert "| 80.0 % [49.0, 94.3] | 95 % missed | 60.0 % |" in text
    assert "`boundary_shift` | 0.0 % | moved 4 px 80 %" in by_check(trials)
    assert "| `moved` | 0.0 % of 2 | 100.0 % of 8 |" in by_size(trials)
    svg = roc_svg(trials, title="a <critic>")
    root = ElementTree.fromstring(svg)
    assert sum(node.tag.endswith("circle") for node in root.iter()) == 1 and "a &lt;critic&gt;" in svg


def test_bars_loosen_only_what_rejects_good_clips():
    good = [trial(i, values={"flicker_level": 1.0, "edges_kept": -0.9}) for i in range(37)]
    good += [
        trial(37 + i, score=0.3, values={"flicker_level": 7.0 + i, "edges_kept": -0.9}, failed=("flicker_level",))
        for i in range(3)
    ]
    prove = [trial(0, score=0.3, values={"flicker_level": 9.5}, failed=("flicker_level",)),
             trial(1, score=0.3, values={"flicker_level": 12.0}, failed=("flicker_level",)), trial(2)]  # fmt: skip
    bars = choose_bars(good, prove, "consistency", 0.02, higher_is_better={"edges_kept"})
    assert bars.thresholds == {"flicker_level": pytest.approx(9.9)}
    assert (bars.before.hits, bars.after.hits, bars.proven.hits) == (3, 0, 1)
    assert bars.to_settings() == {
        "critic": "consistency", "min_score": 0.0, "critic_options": {"thresholds": {"flicker_level": 9.9}},
    }  # fmt: skip


def test_bars_of_least_values_are_lowered():
    good = [trial(i, values={"edges_kept": -0.9}) for i in range(30)]
    good += [trial(i, score=0.2, values={"edges_kept": -0.44}, failed=("edges_kept",)) for i in range(5)]
    bars = choose_bars(good, [], "consistency", 0.0, higher_is_better={"edges_kept"})
    assert bars.thresholds == {"edges_kept": pytest.approx(0.4)}


def test_spare_alarms_raise_the_least_score():
    good = [trial(i, score=0.6 + 0.004 * i) for i in range(100)]
    bars = choose_bars(good, [], "consistency", 0.05)
    assert not bars.thresholds and bars.min_score == pytest.approx(0.62) and bars.after.hits == 5


def test_a_critic_that_says_nothing_alarms_and_finds_nothing():
    trials = [trial(i, fault, 0.0, accepted=False, mute=True) for i in range(4) for fault in (GOOD, "moved")]
    assert false_alarms(trials).hits == 4
    (row,) = fault_rows(trials, draws=10)
    assert row.found.hits == 0 and row.found.count == 4


def test_bars_that_cannot_hold_are_refused():
    good = [trial(i) for i in range(30)]
    with pytest.raises(ConfigError, match="at least 20 good clips to be chosen on, got 5"):
        choose_bars(good[:5], [], "consistency", 0.02)
    with pytest.raises(ConfigError, match=r"must lie in \[0, 0.5\], got 0.9"):
        choose_bars(good, [], "consistency", 0.9)
    mute = [trial(i, score=0.0) for i in range(10)]
    with pytest.raises(ConfigError, match="10 of 40 good clips by checks that have no bar"):
        choose_bars(good + mute, [], "words", 0.02)
