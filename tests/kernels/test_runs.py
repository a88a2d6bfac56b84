"""Runs: every item is worked on once, whatever their number and that of the threads."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels import runs
from cosmos.bridge.kernels.runs import launch_runs


@wp.kernel
def _count_kernel(first: wp.int32, run: wp.int32, count: wp.int32, seen: wp.array(dtype=wp.int32)):
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        seen[i] = seen[i] + i + 1


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 8191, 8192, 50_001])
@pytest.mark.parametrize("cores", [1, 3, 64])
def test_every_item_is_worked_on_once(device, count, cores, monkeypatch):
    monkeypatch.setattr(runs.os, "cpu_count", lambda: cores)
    seen = wp.zeros(count + 70, dtype=wp.int32, device=device)
    launch_runs(_count_kernel, count, [seen], device=device)
    wanted = np.where(np.arange(count + 70) < count, np.arange(count + 70) + 1, 0)
    np.testing.assert_array_equal(seen.numpy(), wanted)
