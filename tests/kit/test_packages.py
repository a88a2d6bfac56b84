import re
import sys
from importlib.util import find_spec

import pytest

from cosmos.bridge.errors import ConfigError
from cosmos.bridge.kit import packages


def test_nothing_is_missing_here():
    assert packages.missing_packages() == ""


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("av",), r'av is not installed.*pip install "cosmos-bridge\[kit\]"\.$'),
        (("av", "OpenEXR"), "av, OpenEXR are not installed"),
        (("cv2",), 'OpenCV is not installed.*--no-deps "opencv-python-headless<4.12"'),
    ],
)
def test_what_is_missing_is_told_before_anything_is_captured(kit, tmp_path, monkeypatch, names, words):
    machine = kit("5.1", ui=True)
    extension = machine.enable()
    machine.menu.click("Tools", "Replicator", "Cosmos Bridge")
    import omni.replicator.core as rep

    reloaded = sys.modules["cosmos.bridge.kit.packages"]
    monkeypatch.setattr(reloaded, "find_spec", lambda name: None if name in names else find_spec(name))
    writer = rep.WriterRegistry.get("CosmosBridgeWriter")
    with pytest.raises(ConfigError, match=words):
        writer.initialize(output_dir=str(tmp_path), prompt="rain")
    assert re.search(words, extension._studio.model.why_not())
