"""What Cosmos 3 and its streaming model will need: against published figures, sums by hand, and each other."""

from functools import cache

import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.bridge.transfer.profiles import PROFILES
from cosmos.models.cosmos3.plan import SIM_REFERENCE, plan_cosmos3, plan_sim_transfer
from cosmos.models.weights import WeightsError
from tiny_cosmos import CHUNKWISE, streaming, write_tiny_cosmos3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_cosmos3(tmp_path_factory.mktemp("cosmos3"), memory=streaming())


@pytest.fixture(scope="module")
def tiny(folder):
    @cache
    def plan(**changes):
        return plan_cosmos3(**{"size": (64, 96), "num_frames": 5, "chunk_frames": 5, "folder": folder, **changes})

    return plan


@pytest.fixture(scope="module")
def stream(folder):
    @cache
    def plan(**changes):
        return plan_sim_transfer(**{"size": (64, 96), "num_frames": 5, "window": 30, "folder": folder, **changes})

    return plan


def test_the_published_streaming_model_is_that_of_the_published_figures():
    """Isaac Lab publishes 0.917 s for this step with one view, and 39.7 GiB for two."""
    plan = plan_sim_transfer(size=(640, 640), num_frames=1, window=8, views=2)
    assert plan.parameters["transformer"] == pytest.approx(15.17e9, rel=2e-3)
    assert plan.parameters["autoencoder"] == pytest.approx(0.705e9, rel=2e-3)
    assert plan.petaflops * 1e15 == pytest.approx(2 * SIM_REFERENCE.flops, rel=0.01)
    assert list(plan.seconds().values()) == pytest.approx([2 * 0.917], rel=0.01)
    assert plan.needed == pytest.approx(39.7, rel=0.15)
    for memory, options in PROFILES["cosmos3-sim-transfer"].items():
        assert plan.profiles[" and ".join(options) or "bf16"] < memory, memory


@pytest.mark.parametrize(
    ("changes", "billions"),
    [
        ({}, 15.17),
        (
            {
                "hidden_size": 2048,
                "num_hidden_layers": 28,
                "intermediate_size": 9216,
                "num_attention_heads": 16,
                "hidden_act": "relu2",
                "qk_norm_for_text": False,
                "use_und_k_norm_for_gen": True,
                "vocab_size": 131072,
            },
            3.36,
        ),
        ({"hidden_size": 5120, "num_hidden_layers": 64, "intermediate_size": 25600, "num_attention_heads": 64}, 64.0),
    ],
)
def test_cosmos3_has_the_published_parameters(changes, billions):
    """Nano is what diffusers builds by default; the others have the shapes of Edge and Super."""
    from diffusers import Cosmos3OmniTransformer

    with torch.device("meta"):
        net = Cosmos3OmniTransformer(**changes)
    assert sum(p.numel() for p in net.parameters()) / 1e9 == pytest.approx(billions, rel=2e-3)


def test_operations_of_a_pass_are_those_counted_by_hand(tiny):
    """One more step without guidance is one pass: linear layers over all tokens, and attention of text and videos."""
    text, video, width, inner, layers = 400, 2 * 2 * 3, 32, 48, 3
    one, two = (tiny(num_steps=n, guidance=1.0, control_guidance=1.0, controls=1) for n in (1, 2))
    tokens = 2 * video
    linear = 2 * (text + tokens) * (width * 64 + 2 * width * 32 + 64 * width + 3 * width * inner) * layers
    attention = 4 * layers * 64 * (text * text + tokens * (text + tokens))
    patches = 2 * width * 192 * (tokens + video) + 2 * (256 * width + width * width)
    assert (two.petaflops - one.petaflops) * 1e15 == pytest.approx(linear + attention + patches, rel=0.01)


def test_more_work_needs_more(tiny, stream):
    plain = tiny()
    two = tiny(controls=2)
    assert two.phases["denoise"] > plain.phases["denoise"] and two.petaflops > plain.petaflops
    assert tiny(num_frames=9).chunks == 2 and tiny(num_frames=9).petaflops == pytest.approx(2 * plain.petaflops)
    assert plain.passes == 150 and tiny(controls=0).passes == 100
    once, long = stream(), stream(window=40)
    assert long.phases["step"] > once.phases["step"] and long.petaflops > once.petaflops
    assert stream(num_frames=9, views=2).petaflops == pytest.approx(3.0 * once.petaflops)


def test_the_memory_of_a_stream_is_its_keys_and_values(stream):
    """A pair more is 2 blocks x 6 tokens x keys and values of 3 layers x 2 heads x 16, in bfloat16, and once joined."""
    pair = 2 * 6 * 2 * 3 * 2 * 16 * 2
    grown = (stream(window=40).phases["step"] - stream().phases["step"]) * 2**30
    assert pair * 10 <= grown <= pair * 10 * 1.7
    views = (stream(num_frames=9, views=2).phases["step"] - stream().phases["step"]) * 2**30
    assert views > 30 * pair


def test_how_a_checkpoint_streams_is_read_from_it(stream, tmp_path):
    assert stream(window=None) == stream(window=4)
    chunkwise = write_tiny_cosmos3(tmp_path, memory=streaming(**CHUNKWISE))
    assert stream(window=None, folder=chunkwise) == stream(window=None, chunk_frames=8)


def test_a_stream_that_forgets_nothing_needs_more_the_longer_it_is(stream):
    """8 frames more are two pairs more, of 2 blocks x 6 tokens x keys and values of 3 layers x 2 heads x 16."""
    pair = 2 * 6 * 2 * 3 * 2 * 16 * 2
    short, long = (stream(window=None, chunk_frames=8, num_frames=frames) for frames in (81, 161))
    grown = (long.phases["step"] - short.phases["step"]) * 2**30
    assert pair * 20 <= grown <= pair * 20 * 1.7
    assert (short.passes, long.passes) == (7 * 11, 7 * 21) and long.petaflops / 21 > short.petaflops / 11
    assert stream(window=None, chunk_frames=8, num_frames=82).passes == 7 * 12


def test_what_cannot_be_planned_gets_a_sentence(tiny, stream, tmp_path):
    with pytest.raises(ValueError, match=r"4k \+ 1"):
        tiny(chunk_frames=6)
    with pytest.raises(ValueError, match="a frame, a window and a view or more, got 5, 0, 1"):
        stream(window=0)
    with pytest.raises(ValueError, match="a multiple of 4 frames together, got 6"):
        stream(chunk_frames=6)
    with pytest.raises(ValueError, match="forgets nothing; leave the window out"):
        stream(chunk_frames=8)
    with pytest.raises(WeightsError, match="does not say how it streams"):
        stream(window=None, folder=write_tiny_cosmos3(tmp_path / "silent"))
    with pytest.raises(WeightsError, match="cannot be read"):
        tiny(folder=tmp_path)
