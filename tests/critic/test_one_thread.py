"""OpenCV's threads are as before once nobody judges any more, whatever happened."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import cv2
import pytest

from cosmos.bridge.critic.consistency import ConsistencyCritic
from cosmos.bridge.critic.one_thread import opencv_on_one_thread
from cosmos.bridge.errors import JobCancelled


@pytest.fixture(autouse=True)
def two_threads():
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    yield
    cv2.setNumThreads(before)


def test_the_last_block_gives_the_threads_back():
    both = Barrier(2)

    def block(first: bool) -> int:
        with opencv_on_one_thread():
            both.wait(timeout=10)
            inside = cv2.getNumThreads()
            if not first:
                both.wait(timeout=10)  # the first has left
                inside = max(inside, cv2.getNumThreads())
        if first:
            both.wait(timeout=10)
        return inside

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(block, (True, False))) == [1, 1]
    assert cv2.getNumThreads() == 2


def test_a_judgement_that_is_stopped_gives_them_back(world):
    seen = []

    def stop(*_):
        seen.append(cv2.getNumThreads())
        raise JobCancelled

    with pytest.raises(JobCancelled):
        ConsistencyCritic().judge(world.request(), world.result(world.rgb), stop)
    assert seen == [1] and cv2.getNumThreads() == 2
