"""Tiny real models for the tests of the model room."""

import json
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


@pytest.fixture(scope="session")
def reader():
    """The shipped prompt reader."""
    import torch
    from safetensors.torch import load_file

    from cosmos.models.embedded.text import PromptReader
    from cosmos.models.embedded.text_encoder import TextEncoder
    from cosmos.models.spec import TextEncoderConfig, from_mapping
    from cosmos.models.weights import find_weights

    torch.set_num_threads(1)
    folder = find_weights("transfer-small")
    config = json.loads((folder / "reader.json").read_text())
    encoder = TextEncoder(from_mapping(TextEncoderConfig, config["encoder"]))
    encoder.load_state_dict(load_file(folder / "reader.safetensors"))
    return PromptReader(encoder, tuple(config["vocabulary"]), tuple(config["overheard"]))
