import numpy as np
import pytest

from cosmos.bridge.critic.checks.groups import Groups


@pytest.mark.parametrize(("pixels", "count"), [(500, 7), (300, 40000), (0, 3), (1, 1)])
def test_sums_of_groups_match_bincount(pixels, count):
    rng = np.random.default_rng(count)
    owner = rng.integers(0, min(count, 60), pixels).astype(np.int32)
    owner[owner == 2] = min(count, 60) - 1
    columns = rng.normal(0.0, 9.0, (3, pixels)).astype(np.float32)
    groups = Groups.of(owner, count)
    np.testing.assert_array_equal(groups.sizes, np.bincount(owner, minlength=count))
    expected = np.stack([np.bincount(owner, column.astype(np.float64), minlength=count) for column in columns])
    np.testing.assert_allclose(groups.sums([column[groups.order] for column in columns]), expected, atol=1e-9)
    np.testing.assert_array_equal(groups.owners, np.unique(owner))
    for thing, begin in zip(groups.owners.tolist(), groups.starts.tolist(), strict=True):
        assert groups.order[begin] == np.flatnonzero(owner == thing)[0]
