import numpy as np
import pytest

from cosmos.bridge.critic.checks.others import at_depth_of_others, median_of_others


@pytest.mark.parametrize("count", range(7))
def test_median_of_others_matches_numpy(count):
    rng = np.random.default_rng(count)
    values = {int(owner): float(rng.integers(0, 4)) for owner in rng.permutation(20)[:count]}
    found = median_of_others(values, range(20), alone=-1.0)
    for owner in range(20):
        others = [value for other, value in values.items() if other != owner]
        assert found[owner] == (np.median(others) if others else -1.0)


def line(values, depths, at):
    """Ridge regression over log depth, by least squares of rows with one more: a slope of 0 that weighs 0.5."""
    across, up = np.log(np.array(depths) + 2.0), np.array(values)
    mean = across.mean()
    rows = np.column_stack([np.append(np.ones(len(up)), 0.0), np.append(across - mean, np.sqrt(0.5))])
    base, slope = np.linalg.lstsq(rows, np.append(up, 0.0), rcond=None)[0]
    if slope > 0.0:
        base, slope = up.mean(), 0.0
    return np.clip(base + slope * (np.log(at + 2.0) - mean), 0.0, max(up.max(), 0.0))


@pytest.mark.parametrize("count", range(7))
def test_what_is_due_at_a_depth_matches_least_squares(count):
    rng = np.random.default_rng(count)
    depths = {owner: float(rng.uniform(0.0, 90.0)) for owner in range(20)}
    values = {int(owner): float(rng.normal(1.0, 1.0)) for owner in rng.permutation(20)[:count]}
    found = at_depth_of_others(values, depths, range(20), alone=-1.0)
    for owner in range(20):
        others = {other: value for other, value in values.items() if other != owner}
        want = line(list(others.values()), [depths[other] for other in others], depths[owner]) if others else -1.0
        assert found[owner] == pytest.approx(want, abs=1e-9)


def test_what_is_due_falls_with_depth_but_never_rises_nor_leaves_what_others_show():
    depths = {1: 3.0, 2: 10.0, 3: 40.0, 4: 3.0, 5: 40.0, 6: 0.0, 7: 1e4}
    falling = at_depth_of_others({1: 1.5, 2: 1.0, 3: 0.2}, depths, depths, alone=0.0)
    assert falling[4] > falling[5] > 0.0 and falling[7] == 0.0 and falling[6] <= 1.5
    rising = at_depth_of_others({1: 0.2, 2: 1.0, 3: 1.5}, depths, depths, alone=0.0)
    assert rising[4] == rising[5] == pytest.approx(0.9)
