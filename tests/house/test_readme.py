"""What the README shows in Python does what it says."""

import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from cosmos.bridge import scenes
from cosmos.bridge.controls import DepthSpec, EdgeSpec, derive_controls
from cosmos.bridge.sources import StageSource, read_clip
from cosmos.bridge.transfer.embedded import EmbeddedTransfer
from cosmos.bridge.types import ControlWeights, TransferRequest

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def stage():
    return StageSource(scenes.tabletop(), frames=range(3), size=(48, 80), device="cpu")


def test_the_streams_of_the_readme_paint_what_a_whole_clip_would_be():
    (block,) = [block for block in BLOCKS if "push_all" in block]
    shown, names = [], {}

    def simulation():
        with closing(stage()) as source:
            for frame in source.read():
                yield [frame] * 4
                shown.append([picture.numpy()[0] for picture in names["pictures"]])

    names["simulation"] = simulation()
    exec(block, names)
    with closing(stage()) as source:
        clip = replace(read_clip(source), probe=None, fps=30.0)
    controls = derive_controls(clip, (EdgeSpec(), DepthSpec(near=0.5, far=60.0)))
    for seed in (0, 3):
        asked = TransferRequest(
            clip=clip, controls=controls, weights=ControlWeights(edge=0.5, depth=0.5), prompt="snow at night", seed=seed
        )
        whole = EmbeddedTransfer().transfer(asked).rgb.numpy()
        np.testing.assert_array_equal(np.stack([views[seed] for views in shown]), whole)
