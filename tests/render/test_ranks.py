"""Percentiles to the last bit of NumPy's."""

import numpy as np
import pytest

from cosmos.bridge.render.draw.ranks import percentile


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 3, 384, 1001, 55_390, 300_007])
def test_percentiles_are_numpys(dtype, count):
    values = np.random.default_rng(count).normal(3.0, 20.0, count).astype(dtype)
    for percent in (0.0, 0.1, 37.0, 50.0, 75.0, 80.0, 92.0, 99.9, 100.0):
        assert percentile(values, percent) == float(np.percentile(values, percent))
