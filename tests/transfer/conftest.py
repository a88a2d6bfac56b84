"""Small clips and tiny models for the tests of the transfer room."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from fake_clips import make_clip, make_controls


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory):
    """Keep what is cached out of the user's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSMOS_BRIDGE_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="session")
def clip():
    return make_clip()


@pytest.fixture(scope="session")
def controls(clip):
    return make_controls(clip)


@pytest.fixture(scope="session")
def tiny25(tmp_path_factory):
    """A tiny Transfer2.5 in the published layout."""
    import torch

    pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

    from tiny_cosmos import write_tiny_transfer25

    torch.set_num_threads(1)
    return write_tiny_transfer25(tmp_path_factory.mktemp("transfer25"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    import torch

    from tiny_transfer import write_tiny_transfer

    torch.set_num_threads(1)
    return write_tiny_transfer(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def stepping_folder(tmp_path_factory):
    """Weights that paint in up to 6 steps."""
    import torch

    from tiny_transfer import write_tiny_transfer

    torch.set_num_threads(1)
    return write_tiny_transfer(tmp_path_factory.mktemp("stepping"), seed=1, most_steps=6)


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """NVIDIA's backends with tiny weights, each made once."""
    import torch

    pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

    from backends import Kept

    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COSMOS_BRIDGE_HOME", str(tmp_path_factory.mktemp("home")))
        yield Kept(tmp_path_factory.mktemp)
