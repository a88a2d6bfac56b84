import numpy as np
import pytest

from cosmos.bridge.critic.checks.others import median_of_others


@pytest.mark.parametrize("count", range(7))
def test_median_of_others_matches_numpy(count):
    rng = np.random.default_rng(count)
    values = {int(owner): float(rng.integers(0, 4)) for owner in rng.permutation(20)[:count]}
    found = median_of_others(values, range(20), alone=-1.0)
    for owner in range(20):
        others = [value for other, value in values.items() if other != owner]
        assert found[owner] == (np.median(others) if others else -1.0)
