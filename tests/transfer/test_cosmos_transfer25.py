"""The Transfer2.5 backend: weights and maps, long clips, branches and cached embeddings."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from backends import half_map, inputs_of
from cosmos.bridge.errors import ConfigError, ModelError
from cosmos.bridge.transfer.cosmos_transfer25 import CosmosTransfer25, Transfer25Options
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import ControlWeights, TransferRequest
from fake_clips import make_clip, make_controls
from tiny_cosmos import write_tiny_distilled25

SIZE, FRAMES = (36, 50), 7


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Where embeddings are cached."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("COSMOS_BRIDGE_HOME", str(folder))
        yield folder


@pytest.fixture(scope="module")
def options(tiny25, home):
    return Transfer25Options(weights=str(tiny25), chunk_frames=5)


@pytest.fixture(scope="module")
def base(model, clip):
    """What the nets are given for the plain request."""
    return inputs_of(model, ask(clip))


@pytest.fixture(scope="module")
def model(options):
    model = CosmosTransfer25(options)
    model.load("cpu")
    yield model
    model.unload()


@pytest.fixture(scope="module")
def clip():
    return make_clip(SIZE, FRAMES)


def ask(clip, **changes):
    settings = {"weights": ControlWeights(edge=0.5, depth=0.5), "prompt": "snow", "num_steps": 2, "seed": 3, **changes}
    controls = settings.pop("controls", None) or make_controls(clip)
    return TransferRequest(clip=clip, controls=controls, **settings)


def test_branches_choose_what_is_loaded(options, clip, base):
    fewer = CosmosTransfer25(replace(options, branches=("edge", "depth")))
    fewer.load("cpu")
    assert tuple(fewer._loaded.nets.branches) == ("edge", "depth")
    assert inputs_of(fewer, ask(clip)) == base
    with pytest.raises(ModelError, match="no branch seg loaded, only edge, depth; name it in transfer_options"):
        fewer.transfer(ask(clip, weights=ControlWeights(seg=1.0)))


def test_the_distilled_model_takes_edges_four_steps_and_nothing_else(options, clip, tiny25, base):
    write_tiny_distilled25(tiny25)
    few = CosmosTransfer25(replace(options, distilled=True))
    edges = {"weights": ControlWeights(edge=1.0), "num_steps": None}
    provenance = few.transfer(ask(clip, **edges)).provenance
    assert tuple(few._loaded.nets.branches) == ("edge",) and few.spec.revision.endswith(", distilled")
    effective = provenance.effective
    assert (effective["schedule"], effective["num_steps"], effective["guidance"]) == ("distilled", 4, 0.0)
    assert any("chunks of 93 frames alone" in note for note in provenance.notes)
    assert few.transfer(ask(make_clip(SIZE, 1), **edges)).rgb.shape == (1, *SIZE, 3)
    for changes, sentence in (
        ({"guidance": 3.0}, "The distilled cosmos-transfer2.5 takes no guidance and no negative prompt"),
        ({"negative_prompt": "rain"}, "no guidance and no negative prompt; leave them, or it, out"),
        ({"num_steps": 5}, "paints in 4 steps, got num_steps=5"),
        ({"weights": ControlWeights(depth=1.0)}, "does not know the control depth; it knows edge"),
    ):
        with pytest.raises(ModelError, match=sentence):
            few.transfer(ask(clip, **{**edges, **changes}))


def test_embeddings_are_cached_on_disk_and_change_nothing(options, clip, home, base):
    before = set((home / "embeddings").rglob("*.safetensors"))
    caching = CosmosTransfer25(options)
    assert inputs_of(caching, ask(clip)) == base and set((home / "embeddings").rglob("*.safetensors")) == before
    caching.transfer(ask(clip, prompt="never seen", negative_prompt="nor this"))
    assert len(set((home / "embeddings").rglob("*.safetensors")) - before) == 2
    plain = CosmosTransfer25(replace(options, cache_embeddings=False))
    assert inputs_of(plain, ask(clip)) == base
    plain.transfer(ask(clip, prompt="unheard of", guidance=0.0))
    assert len(set((home / "embeddings").rglob("*.safetensors")) - before) == 2


def test_a_map_of_ones_equals_the_number_one_to_the_bit(model, clip):
    ones = wp.full(clip.rgb.shape[:3], 1.0, dtype=wp.float32, device="cpu")
    number = model.transfer(ask(clip, weights=ControlWeights(edge=1.0))).rgb.numpy()
    np.testing.assert_array_equal(model.transfer(ask(clip, weights=ControlWeights(edge=ones))).rgb.numpy(), number)


def test_weights_are_capped_at_one_in_every_place(model, clip):
    """Numbers that sum to 2 act as halves; a map caps only where it lies."""
    both = model.transfer(ask(clip, weights=ControlWeights(edge=1.0, depth=1.0)))
    halves = model.transfer(ask(clip, weights=ControlWeights(edge=0.5, depth=0.5)))
    np.testing.assert_array_equal(both.rgb.numpy(), halves.rgb.numpy())
    assert both.provenance.effective["weights"] == {"edge": 0.5, "depth": 0.5}
    ones = wp.full(clip.rgb.shape[:3], 1.0, dtype=wp.float32, device="cpu")
    mapped = model.transfer(ask(clip, weights=ControlWeights(edge=ones, depth=1.0)))
    np.testing.assert_array_equal(mapped.rgb.numpy(), halves.rgb.numpy())
    assert mapped.provenance.effective["weights"] == "maps"


def test_a_long_clip_is_painted_in_chunks_whose_seams_are_told(model, clip):
    told = []
    result = model.transfer(ask(clip), progress=lambda *step: told.append(step))
    assert told == [(f"transfer (chunk {chunk} of 2)", 2 * chunk - 2 + step, 4) for chunk in (1, 2) for step in (1, 2)]
    effective = result.provenance.effective
    assert len(effective["seams"]) == 1 and effective["seams"][0] >= 0.0
    assert (effective["chunk_frames"], effective["overlap"], effective["size"]) == (5, 1, [48, 64])
    still = model.transfer(ask(make_clip(SIZE, 1)))
    assert still.rgb.shape == (1, *SIZE, 3)
    assert still.provenance.effective["seams"] == [] and still.provenance.effective["chunk_frames"] == 1


def test_the_provenance_tells_what_a_user_must_know(model, clip):
    result = model.transfer(ask(clip, prompt="snow " * 300, preserve=half_map(clip)))
    assert result.provenance.licence == "NVIDIA Open Model License" and len(result.provenance.weights_sha256) == 64
    assert result.provenance.effective["negative_prompt"].startswith("The video captures")
    assert result.provenance.requested["preserve"] == {"map_mean": 0.5}
    text = " ".join(result.provenance.notes)
    assert "tokens of the prompt were not read" in text and "approximation" in text and "704 x 1280" in text


REFUSALS = {
    "negative_prompt at guidance 0": ({"guidance": 0.0, "negative_prompt": "rain"}, "no negative prompt at guidance 0"),
    "guidance": ({"guidance": 8.0}, r"a guidance in \[0, 7\], got 8"),
    "steps": ({"num_steps": 201}, "at most 200 num_steps, got 201"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_it_cannot_do_is_refused_in_one_sentence(model, clip, name):
    changes, sentence = REFUSALS[name]
    with pytest.raises(ModelError, match=sentence):
        model.transfer(ask(clip, **changes))


def test_a_picture_beyond_its_reach_is_refused_with_who_can(model):
    wide = make_clip((16, 1936), 1)
    with pytest.raises(ModelError, match="paints at most 1920 px a side, got 1936; embedded paints any"):
        model.transfer(ask(wide))


def test_masks_and_maps_that_do_not_fit_are_refused(model, clip):
    short = wp.full((FRAMES - 1, *SIZE), 1.0, dtype=wp.float32, device="cpu")
    with pytest.raises(ModelError, match=r"The preserve mask is \[6, 36, 50\] \[T, H, W\], the clip \[7, 36, 50\]"):
        model.transfer(ask(clip, preserve=short))
    with pytest.raises(ModelError, match="The preserve mask is zero everywhere"):
        model.transfer(ask(clip, preserve=half_map(clip, 0.0)))
    with pytest.raises(ModelError, match=r"The weight map of edge must lie in \[0, 1\]"):
        model.transfer(ask(clip, weights=ControlWeights(edge=half_map(clip, 2.0))))
    with pytest.raises(ModelError, match=r"The weight map of edge is \[6, 36, 50\]"):
        model.transfer(ask(clip, weights=ControlWeights(edge=short)))


@pytest.mark.parametrize(
    ("plain", "sentence"),
    [
        ({"preserve_steps": 0}, "preserve_steps must be 1 or more"),
        ({"chunk_frames": 513}, "chunk_frames must be at most 509, got 513; the model was trained on 93"),
        ({"block_gains": {"lidar": [1.0]}}, "block_gains knows edge, depth, seg, vis, got 'lidar'"),
        ({"block_gains": {"edge": [2.0]}}, r"block_gains.edge must lie in \[0, 1\]"),
        ({"distilled": True, "schedule": "karras"}, "distilled has a schedule and a branch of its own"),
        ({"distilled": True, "branches": ["depth"]}, "leave schedule and branches out"),
        ({"schedule": "cosine"}, "transfer_options.schedule must be one of 'shift', 'karras'"),
    ],
)
def test_a_wrong_option_is_refused(plain, sentence):
    with pytest.raises(ConfigError, match=sentence):
        create("cosmos-transfer2.5", plain)


def test_block_gains_of_another_length_are_refused(options, clip):
    model = CosmosTransfer25(replace(options, block_gains={"edge": (1.0, 1.0, 1.0)}))
    with pytest.raises(ModelError, match=r"block_gains\.edge must name 2 numbers, one a block, got 3"):
        model.transfer(ask(clip))
