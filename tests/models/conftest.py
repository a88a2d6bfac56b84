"""Tiny real models for the tests of the model room."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))


@pytest.fixture(scope="session")
def tiny25(tmp_path_factory):
    """A tiny Transfer2.5 in the published layout."""
    import torch

    pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

    from tiny_cosmos import write_tiny_transfer25

    torch.set_num_threads(1)
    return write_tiny_transfer25(tmp_path_factory.mktemp("transfer25"), shards=True)
