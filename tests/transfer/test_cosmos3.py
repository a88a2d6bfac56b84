"""The Cosmos 3 backend: tuned guidance, weights, structured prompts, and what it alone refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: TID253
import warp as wp

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.bridge.errors import ConfigError, ModelError
from cosmos.bridge.transfer.cosmos3 import Cosmos3Options, Cosmos3Transfer
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import ControlWeights, TransferRequest
from fake_clips import make_clip, make_controls
from tiny_cosmos import write_tiny_cosmos3


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    torch.set_num_threads(1)
    return Cosmos3Options(weights=str(write_tiny_cosmos3(tmp_path_factory.mktemp("cosmos3"))), chunk_frames=5)


@pytest.fixture(scope="module")
def model(options):
    model = Cosmos3Transfer(options)
    model.load("cpu")
    yield model
    model.unload()


@pytest.fixture(scope="module")
def clip():
    return make_clip((36, 50), 7)


@pytest.fixture(scope="module")
def plain(model, clip):
    return model.transfer(ask(clip)).rgb.numpy()


def ask(clip, **changes):
    settings = {"weights": ControlWeights(edge=0.5, depth=0.5), "prompt": "snow", "num_steps": 2, "seed": 3, **changes}
    controls = settings.pop("controls", None) or make_controls(clip)
    return TransferRequest(clip=clip, controls=controls, **settings)


def test_the_colours_of_the_clip_do_not_reach_the_pictures(model, clip, plain):
    black = replace(clip, rgb=wp.zeros_like(clip.rgb))
    np.testing.assert_array_equal(model.transfer(ask(black, controls=make_controls(clip))).rgb.numpy(), plain)


@pytest.mark.parametrize("kind", ["edge", "vis", "depth", "seg", "hdmap"])
def test_each_hint_alone_runs_with_the_guidance_that_was_tuned_for_it(model, clip, kind):
    provenance = model.transfer(ask(clip, weights=ControlWeights(**{kind: 1.0}))).provenance
    tuned = {"seg": (3.0, 2.0), "hdmap": (1.0, 3.0)}.get(kind, (3.0, 1.5))
    assert (provenance.effective["guidance"], provenance.effective["control_guidance"]) == tuned
    assert any("wsm" in note for note in provenance.notes) == (kind == "hdmap")


def test_several_hints_get_the_strongest_tuned_guidance_and_are_told(model, clip):
    weights = ControlWeights(edge=1.0, depth=1.0, seg=1.0)
    provenance = model.transfer(ask(clip, weights=weights)).provenance
    assert (provenance.effective["guidance"], provenance.effective["control_guidance"]) == (3.0, 2.0)
    assert any("for 3 hints the strongest of theirs is taken: 3 for the prompt, 2 for" in n for n in provenance.notes)
    asked = Cosmos3Transfer(replace(model._options, control_guidance=1.0))
    assert not asked.transfer(ask(clip, weights=weights, guidance=2.0)).provenance.notes


def test_unequal_weights_act_where_each_control_has_an_attention(options, clip):
    model = Cosmos3Transfer(replace(options, attention="weighted"))
    first, second, scaled = (
        model.transfer(ask(clip, weights=ControlWeights(edge=edge, depth=depth)))
        for edge, depth in ((0.75, 0.25), (0.25, 0.75), (0.3, 0.1))
    )
    assert (first.rgb.numpy() != second.rgb.numpy()).any()
    np.testing.assert_array_equal(first.rgb.numpy(), scaled.rgb.numpy())  # only their ratio acts, and that is told
    assert scaled.provenance.effective["weights"] == {"edge": 0.75, "depth": 0.25}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"weights": {"depth": 0.5}},
            r"cannot weigh a single control, got depth=0\.5; give 1.*cosmos-transfer2\.5 can",
        ),
        ({"weights": {"edge": 0.5, "depth": 0.25}}, r"got edge=0\.5, depth=0\.25; set transfer_options\.attention"),
        ({"guidance": 11.0}, r"a guidance in \[0, 10\], got 11"),
        ({"guidance": 1.0, "negative_prompt": "rain"}, "reads no negative prompt at guidance 1; raise it above 1"),
        ({"weights": {"hdmap": 1.0}, "negative_prompt": "rain"}, "no negative prompt at the tuned guidance 1; give"),
        ({"num_steps": 201}, "at most 200 num_steps"),
        ({"weights": "map"}, r"takes numbers as weights, not maps; cosmos-transfer2\.5 takes maps"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_sentence(model, clip, changes, sentence):
    ones = wp.full(clip.rgb.shape[:3], 1.0, dtype=wp.float32, device="cpu")
    changes = dict(changes)
    if "weights" in changes:
        given = {"edge": ones} if changes["weights"] == "map" else changes["weights"]
        changes["weights"] = ControlWeights(**given)
    with pytest.raises(ModelError, match=sentence):
        model.transfer(ask(clip, **changes))


@pytest.mark.parametrize(
    ("plain_options", "sentence"),
    [
        ({"control_guidance": 11.0}, r"control_guidance must lie in \[0, 10\]"),
        ({"shift": 0.0}, "shift must lie in"),
        ({"attention": "cross"}, r"transfer_options\.attention must be one of 'joint', 'weighted'"),
    ],
)
def test_a_wrong_option_is_refused(plain_options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        create("cosmos3", plain_options)


def test_a_structured_prompt_is_read_with_the_clips_metadata(model, clip):
    provenance = model.transfer(ask(clip, prompt='{"scene": "a street"}')).provenance
    told = json.loads(provenance.effective["prompt"])
    assert told["scene"] == "a street" and told["fps"] == 24.0 and told["resolution"] == {"H": 36, "W": 50}
    assert provenance.licence == "OpenMDW-1.1"
