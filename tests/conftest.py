"""What every test may ask for."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests share their machine; set before torch or OpenCV load

import pytest
from hypothesis import settings


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for ``device`` on every Warp device present; CPU is always one."""
    if "device" not in metafunc.fixturenames:
        return
    import warp as wp

    names = [str(device) for device in wp.get_devices()]
    marks = {name: [pytest.mark.cuda] if name.startswith("cuda") else [] for name in names}
    metafunc.parametrize("device", [pytest.param(name, marks=marks[name]) for name in names], scope="session")


# A busy machine is no fault, and a red main must mean one: no deadlines, and CI draws what it drew before.
settings.register_profile("bridge", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("bridge")
