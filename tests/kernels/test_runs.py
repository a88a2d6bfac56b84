"""Runs: every item is worked on once, whatever their number and that of the threads."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels import runs
from cosmos.bridge.kernels.runs import launch_runs, limit_threads


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


def test_a_limit_is_that_of_its_thread_and_asked_at_every_launch(monkeypatch):
    """Helpers are counted where they are hired; what is computed stays the same."""
    monkeypatch.setattr(runs.os, "cpu_count", lambda: 4)
    hired, left = [], [1]

    class Pool:
        def submit(self, work):
            hired.append(threading.get_ident())
            done = Future()
            done.set_result(work())
            return done

    monkeypatch.setattr(runs, "_pool", Pool)
    seen = wp.zeros(50_001, dtype=wp.int32, device="cpu")

    def hire():
        hired.clear()
        seen.zero_()
        launch_runs(_count_kernel, len(seen), [seen], device="cpu")
        np.testing.assert_array_equal(seen.numpy(), np.arange(50_001) + 1)
        return len(hired)

    assert hire() == 3
    limit_threads(lambda: left[0])
    try:
        assert hire() == 0
        left[0] = 3
        assert hire() == 2
        left[0] = -5
        assert hire() == 0
        with ThreadPoolExecutor(1) as other:
            assert other.submit(hire).result() == 3
    finally:
        limit_threads(None)
    assert hire() == 3
