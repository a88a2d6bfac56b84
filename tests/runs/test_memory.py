import pytest

from cosmos.bridge.errors import ConfigError, ModelMemoryError
from cosmos.bridge.runs import memory
from cosmos.bridge.runs.memory import BYTES_PER_PIXEL, check_device, check_fit, free_memory


def test_a_clip_that_cannot_fit_is_refused_with_numbers(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 10 * 20 * 30 * BYTES_PER_PIXEL - 1)
    check_fit(9, (20, 30), "cpu")
    with pytest.raises(ModelMemoryError, match=r"10 frames at 20x30 needs at least 0\.0 GB, but cpu has 0\.0 GB free"):
        check_fit(10, (20, 30), "cpu")


def test_a_system_that_says_nothing_refuses_nothing(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: None)
    check_fit(10**6, (10**4, 10**4), "cpu")


def test_free_memory_is_what_the_system_says():
    free = free_memory()
    assert free is None or 2**20 < free < 2**50


def test_an_unknown_device_lists_those_there_are():
    with pytest.raises(ConfigError, match="no device 'cuda:77'; there is cpu"):
        check_device("cuda:77")


def test_cuda_without_a_gpu_is_one_sentence_and_no_word_of_warp(capfd):
    import warp as wp

    if wp.is_cuda_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError, match="no device 'cuda'; there is cpu"):
        check_device("cuda")
    assert "CUDA error" not in "".join(capfd.readouterr())


def test_the_bytes_are_those_of_the_clip_s_buffers():
    import numpy as np

    from cosmos.bridge.types import BUFFERS

    clip = sum(np.dtype(dtype).itemsize * max(1, channels) for dtype, channels in BUFFERS.values())
    assert clip + 3 + 3 == BYTES_PER_PIXEL
