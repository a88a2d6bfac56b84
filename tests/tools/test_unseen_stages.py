"""The kinds kept from training show something, differ by seed, and share no surface with what training draws."""

import json

import numpy as np
import pytest

import evaluate_transfer
import unseen_stages
from cosmos.bridge import scenes
from cosmos.bridge.render.renderer import Renderer
from make_training_data import clip_of, usable


def pictures_of(stage):
    """The asset paths of all textures of a stage."""
    return {
        str(prim.GetAttribute("inputs:file").Get().path)
        for prim in stage.Traverse()
        if prim.GetAttribute("inputs:file").IsValid()
    }


@pytest.mark.parametrize("name", sorted(unseen_stages.UNSEEN))
def test_a_kind_shows_something_that_moves(name):
    renderer = Renderer(unseen_stages.UNSEEN[name]())
    clip = clip_of(renderer, renderer.scene.camera_paths[0], [0.0, 1.0], (72, 128))
    renderer.close()
    assert usable(clip) and len(np.unique(clip.instance_ids.numpy())) >= 6
    assert clip.motion.numpy()[0].max() == 0.0 and np.abs(clip.motion.numpy()[1]).max() > 0.2
    assert clip.rgb.numpy().std() > 15.0


def test_surfaces_are_none_that_training_draws():
    own = set().union(*(pictures_of(make()) for make in unseen_stages.UNSEEN.values()))
    trained = set().union(*(pictures_of(scenes.random(seed)) for seed in range(12)))
    assert len(own) >= 11 and trained and not own & trained


def test_a_seed_gives_the_same_stage_and_another_seed_another():
    first, again, other = (unseen_stages.quarry(seed).GetRootLayer().ExportToString() for seed in (0, 0, 1))
    assert first == again != other


def test_each_kind_has_a_row_of_its_own():
    def rows(psnr):
        return {
            name: [{"psnr": psnr, "ssim": 0.5, "edge_f1_1px": 0.75, "residual": 0.2, "residual_target": 0.1,
                    "displaced": [9] + [0] * 158 + [1]}]
            for name in ("model", "relit, no net", "input unchanged", "classic baseline")
        }  # fmt: skip

    lines = evaluate_transfer.kinds_lines({"rows": rows(30.0), "kinds": {"tunnel": json.loads(json.dumps(rows(25.0)))}})
    assert lines[3] == (
        "| random, of other seeds | 1 | 30.0 | 30.0 | 30.0 | 30.0 | 0.500 | 0.500 | 0.75 | 0.03 / 7.98 | 2.00 |"
    )
    assert lines[4].startswith("| tunnel | 1 | 25.0 |") and len(lines) == 5
