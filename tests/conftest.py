"""What every test may ask for."""

import os
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


def _device_names() -> list[str]:
    """Every Warp device present; CPU always."""
    import warp as wp

    wp.config.quiet = True
    wp.init()
    return [str(device) for device in wp.get_devices()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "device" in metafunc.fixturenames:
        marks = {"cuda": pytest.mark.cuda}
        names = _device_names()
        metafunc.parametrize(
            "device", [pytest.param(name, marks=[marks["cuda"]] if "cuda" in name else []) for name in names]
        )


@pytest.fixture(scope="session", autouse=True)
def _one_torch_thread() -> Iterator[None]:
    """Tests share their machine: torch takes one thread, and only where a test loads it."""
    yield
