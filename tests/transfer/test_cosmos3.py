"""The Cosmos 3 backend: every setting reaches the pictures, and what cannot is refused with who can."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
import torch  # noqa: TID253
import warp as wp

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.bridge.errors import ConfigError, ModelError, ModelMemoryError, ModelWeightsError
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


CHANGES = {
    "controls": {"controls": 6},
    "weights": {"weights": ControlWeights(edge=0.5, depth=0.5, seg=0.5)},
    "prompt": {"prompt": "rain"},
    "negative_prompt": {"negative_prompt": "rain"},
    "seed": {"seed": 4},
    "num_steps": {"num_steps": 3},
    "guidance": {"guidance": 2.0},
}


def test_every_field_of_a_request_acts_or_is_refused():
    assert {*CHANGES, "clip", "preserve"} == {item.name for item in fields(TransferRequest)}


@pytest.mark.parametrize("name", CHANGES)
def test_every_field_that_it_takes_reaches_the_pictures(model, clip, plain, name):
    changed = dict(CHANGES[name])
    if name == "controls":
        changed["controls"] = make_controls(clip, seed=changed["controls"])
    assert (model.transfer(ask(clip, **changed)).rgb.numpy() != plain).any()


def test_the_rate_of_the_clip_reaches_the_pictures_and_its_colours_do_not(model, clip, plain):
    assert (model.transfer(ask(replace(clip, fps=10.0))).rgb.numpy() != plain).any()
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


OPTIONS = {
    "control_guidance": {"control_guidance": 1.0},
    "attention": {"attention": "weighted"},
    "shift": {"shift": 3.0},
    "chunk_frames": {"chunk_frames": 9},
    "overlap": {"overlap": 2},
    "complete_prompts": {"complete_prompts": False},
    "dtype": {"dtype": "bfloat16"},
    "fp8": {"fp8": True},
    "weights": {},
}


def test_every_option_is_perturbed_here():
    assert {*OPTIONS, "vae_tiling"} == {item.name for item in fields(Cosmos3Options)}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_reaches_the_pictures(options, clip, plain, tmp_path, name):
    changed = OPTIONS[name]
    if name == "weights":
        from safetensors.torch import load_file, save_file

        changed = {"weights": str(write_tiny_cosmos3(tmp_path))}
        file = tmp_path / "transformer" / "diffusion_pytorch_model.safetensors"
        save_file({key: value * 1.1 for key, value in load_file(file).items()}, file)
    other = Cosmos3Transfer(replace(options, **changed))
    assert (other.transfer(ask(clip)).rgb.numpy() != plain).any()


def test_vae_tiling_reaches_the_autoencoder(options):
    tiled = Cosmos3Transfer(replace(options, vae_tiling=True))
    tiled.load("cpu")
    assert tiled._loaded.vae.use_tiling is True


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
        ({"weights": {"depth": 0.5}}, r"cannot weigh a single control, got depth=0\.5; give 1"),
        ({"weights": {"edge": 0.5, "depth": 0.25}}, r"got edge=0\.5, depth=0\.25; set transfer_options\.attention"),
        ({"weights": {"lidar": 1.0}}, "does not know the control lidar"),
        ({"weights": {}}, "all weights are 0"),
        ({"guidance": 11.0}, r"a guidance in \[0, 10\], got 11"),
        ({"guidance": 1.0, "negative_prompt": "rain"}, "reads a negative prompt where guidance is above 1"),
        ({"num_steps": 201}, "at most 200 num_steps"),
        ({"preserve": True}, r"cannot preserve parts of the source; cosmos-transfer2\.5 can"),
        ({"weights": "map"}, r"takes numbers as weights, not maps; cosmos-transfer2\.5 takes maps"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_sentence(model, clip, changes, sentence):
    ones = wp.full(clip.rgb.shape[:3], 1.0, dtype=wp.float32, device="cpu")
    changes = dict(changes)
    if changes.get("preserve"):
        changes["preserve"] = ones
    if "weights" in changes:
        given = {"edge": ones} if changes["weights"] == "map" else changes["weights"]
        changes["weights"] = ControlWeights(**given)
    with pytest.raises(ModelError, match=sentence):
        model.transfer(ask(clip, **changes))


@pytest.mark.parametrize(
    ("plain_options", "sentence"),
    [
        ({"chunk_frames": 120}, r"chunk_frames must be 4k \+ 1"),
        ({"overlap": 121}, "overlap must lie in"),
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


def test_running_out_of_memory_is_a_sentence_and_leaves_the_model_usable(model, clip, plain, monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    with monkeypatch.context() as patch:
        patch.setattr(model._loaded.transformer, "forward", full)
        with pytest.raises(ModelMemoryError, match="36 x 50 px and 5 frames a chunk are too much"):
            model.transfer(ask(clip))
    np.testing.assert_array_equal(model.transfer(ask(clip)).rgb.numpy(), plain)


def test_missing_weights_name_the_ways_to_get_them(tmp_path):
    with pytest.raises(ModelWeightsError, match="models fetch cosmos3"):
        Cosmos3Transfer(Cosmos3Options(weights=str(tmp_path))).load("cpu")
