import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.runs import limit_threads
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


def test_a_limited_thread_launches_at_once_and_no_helper_is_asked(monkeypatch):
    bands = Bands("cpu", threads=3)
    seen = wp.zeros(5000, dtype=wp.int32, device="cpu")
    asked = []
    submit = bands._pool.submit
    monkeypatch.setattr(bands._pool, "submit", lambda work: asked.append(1) or submit(work))
    try:
        for helpers, limit in ((2, None), (1, lambda: 2), (0, lambda: 1)):
            limit_threads(limit)
            seen.zero_()
            asked.clear()
            bands.launch_runs(_count_kernel, len(seen), [seen])
            np.testing.assert_array_equal(seen.numpy(), np.arange(5000))
            assert len(asked) == helpers
    finally:
        limit_threads(None)
        bands.close()
