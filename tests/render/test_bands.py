import numpy as np
import pytest
import warp as wp

from cosmos.bridge.render.draw.bands import Bands


@wp.kernel
def _count_kernel(first: wp.int32, run: wp.int32, count: wp.int32, out: wp.array(dtype=wp.int32)):
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        out[i] = out[i] + i


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 129, 300, 1000])
def test_every_item_is_worked_on_once_at_the_first_launch_and_the_next(device, count):
    """Also where a kernel that was never launched has hardly more items than there are threads."""
    bands = Bands(device, 2)
    out = wp.zeros(max(1, count), dtype=wp.int32, device=device)
    for times in (1, 2):
        bands.launch_runs(_count_kernel, count, [out], chunk=64)
        np.testing.assert_array_equal(out.numpy()[:count], times * np.arange(count))
    bands.close()
