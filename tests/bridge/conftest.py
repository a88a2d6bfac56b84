import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))


@pytest.fixture
def config(tmp_path):
    """A config whose source is drawn by the fakes."""
    from cosmos.bridge import BridgeConfig

    return BridgeConfig.from_mapping({"source": "drawn", "out": str(tmp_path / "out"), "prompts": ["rain", "snow"]})


@pytest.fixture
def make_bridge():
    """Build a Bridge over the fakes; keyword arguments replace single ones."""
    from cosmos.bridge import Bridge
    from fake_line import DrawnSource, ScriptedCritic, TintModel, WordGuard

    def make(config, **parts):
        parts = {
            "open_source": DrawnSource,
            "transfer": TintModel(),
            "guard": WordGuard(),
            "critic": ScriptedCritic(),
            **parts,
        }
        return Bridge(config, **parts)

    return make
