import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))


@pytest.fixture(scope="session")
def scene(tmp_path_factory):
    from kit.scene import write_scene

    return write_scene(tmp_path_factory.mktemp("stage") / "scene.usda")


@pytest.fixture
def kit(scene):
    """Start an application of doubles; it is closed at the end."""
    from contextlib import ExitStack

    from kit.machine import Machine

    with ExitStack() as stack:

        def start(version="5.1", stage=scene, **options):
            return stack.enter_context(Machine(version, stage, **options))

        yield start


@pytest.fixture
def desk(kit, tmp_path):
    """Open the panel from the menu of an application; give the person at it."""
    from kit.desk import Desk

    def open_it(version="5.1", live_shares=False, **options):
        return Desk(kit(version, ui=True, **options), tmp_path, live_shares)

    return open_it
