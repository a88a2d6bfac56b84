"""What a model will need, counted without its contents: against sums by hand and against real tensors."""

import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.bridge.transfer.profiles import PROFILES
from cosmos.models.metering import Meter, build_empty, without_contents
from cosmos.models.published import TRANSFER25_BRANCH, TRANSFER25_TEXT_PARAMETERS, TRANSFER25_TRANSFORMER
from cosmos.models.runtime import diffusers_class
from cosmos.models.transfer25.plan import REFERENCE, plan_transfer25
from cosmos.models.weights import WeightsError
from tiny_cosmos import COMMON_25

TINY = {
    "size": (64, 96),
    "chunk_frames": 5,
    "transformer": {
        **COMMON_25,
        "in_channels": 17,
        "out_channels": 16,
        "num_layers": 4,
        "concat_padding_mask": True,
        "controlnet_block_every_n": 2,
        "img_context_num_tokens": 8,
    },
    "branch": {**COMMON_25, "n_controlnet_blocks": 2, "in_channels": 130, "latent_channels": 18, "model_channels": 32},
    "vae": {"base_dim": 4, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1},
}


@pytest.fixture(scope="module")
def published():
    """One chunk of the published configuration at 720p with seg control, as NVIDIA timed it."""
    return plan_transfer25(size=(704, 1280), num_frames=93)


def test_the_published_nets_have_the_published_parameters(published):
    assert published.parameters["transformer"] == pytest.approx(2.414e9, rel=2e-4)
    assert published.parameters["branch 0"] == pytest.approx(0.471e9, rel=1e-3)
    assert published.parameters["autoencoder"] == pytest.approx(126.9e6, rel=1e-3)
    assert published.weights == pytest.approx(2 * sum(published.parameters.values()) / 2**30)


def on_meta(class_name, config):
    with torch.device("meta"):
        return diffusers_class(class_name)(**config)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_a_published_branch_has_the_published_parts():
    branch = on_meta("CosmosControlNetModel", TRANSFER25_BRANCH)
    assert count(branch.control_blocks) == pytest.approx(348e6, rel=1e-3)
    assert count(branch.crossattn_proj) == pytest.approx(103e6, rel=3e-3)
    assert len(on_meta("CosmosTransformer3DModel", TRANSFER25_TRANSFORMER).state_dict()) == 711


@pytest.mark.parametrize(
    ("changes", "billions"), [({}, 2.059), ({"num_attention_heads": 40, "num_layers": 36}, 14.37)], ids=["2B", "14B"]
)
def test_predict_has_the_published_parameters(changes, billions):
    """Predict2.5 is the transformer without the image context and without a place for branches.

    NVIDIA publishes 2.059 billion for 2B; of 14B only heads, layers and its name.
    """
    absent = {"img_context_dim_in", "img_context_dim_out", "img_context_num_tokens", "controlnet_block_every_n"}
    config = {name: value for name, value in TRANSFER25_TRANSFORMER.items() if name not in absent}
    net = on_meta("CosmosTransformer3DModel", {**config, **changes})
    assert count(net) / 1e9 == pytest.approx(billions, rel=2e-4)


def test_the_published_text_encoder_has_the_published_parameters():
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    text = {"hidden_size": 3584, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4}
    text |= {"intermediate_size": 18944, "vocab_size": 152064, "tie_word_embeddings": False}
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False)
    with torch.device("meta"):
        encoder = Qwen2_5_VLForConditionalGeneration(config)
    assert sum(p.numel() for p in encoder.parameters()) == TRANSFER25_TEXT_PARAMETERS


def test_the_reference_of_the_published_seconds_is_the_plan_of_that_clip(published):
    assert published.petaflops * 1e15 == pytest.approx(REFERENCE.flops, rel=0.01)
    assert published.seconds()["H100 PCIe"] == pytest.approx(264.0, rel=0.01)


def test_memory_of_the_published_nets_lies_between_its_parts_and_what_nvidia_measured(published):
    tokens = 24 * 44 * 80
    least = (
        2 * tokens * 2048 * 12 / 2**30
    )  # tokens of one layer: its input, its queries, keys, values, four times wider
    assert least < published.phases["denoise"] < 65.4
    assert published.weights < published.needed < 65.4


def test_operations_are_those_counted_by_hand():
    with without_contents():
        linear = build_empty(lambda: torch.nn.Linear(30, 50), torch.float32)
        with Meter() as meter:
            linear(torch.empty(7, 30))
            assert meter.flops == 2 * 7 * 30 * 50
            meter.restart()
            torch.nn.functional.scaled_dot_product_attention(*(torch.empty(1, 2, 64, 16) for _ in range(3)))
            assert meter.flops == 4 * 2 * 64 * 64 * 16


def test_peaks_are_those_of_tensors_that_live_together():
    with without_contents():
        outside = torch.empty(30, 20)
        with Meter() as meter:
            _check_live_bytes(meter, outside)


def _check_live_bytes(meter, outside):
    first = torch.empty(1000, dtype=torch.float32)
    second = first.double()
    assert (meter.live, meter.peak) == (12_000, 12_000)
    del second
    assert (meter.live, meter.peak) == (4_000, 12_000)
    view = first[:10]
    assert meter.live == 4_000 and view.shape == (10,)
    turned = outside.t()
    assert meter.live == 4_000 and turned.shape == (20, 30)  # made before, and so is a view of it
    product = first[:30] @ outside
    assert meter.live == 4_080 and product.shape == (20,)
    del product
    meter.restart()
    assert (meter.peak, meter.flops) == (4_000, 0)


def test_empty_tensors_are_counted_as_real_ones():
    def run(meter):
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.SiLU(), torch.nn.Conv2d(8, 4, 3))
        with meter, torch.no_grad():
            net(torch.zeros(1, 3, 20, 30))
        return meter.peak, meter.flops

    with without_contents():
        empty = run(Meter())
    assert run(Meter()) == empty


def test_more_work_needs_more():
    plain = plan_transfer25(num_frames=5, **TINY)
    two = plan_transfer25(num_frames=5, branches=2, **TINY)
    assert two.weights > plain.weights and two.phases["denoise"] > plain.phases["denoise"]
    assert two.petaflops > plain.petaflops
    long = plan_transfer25(num_frames=9, **TINY)
    assert (long.chunks, plain.chunks) == (2, 1) and long.petaflops == pytest.approx(2 * plain.petaflops)
    unguided = plan_transfer25(num_frames=5, guidance=0.0, **TINY)
    assert 0.4 < unguided.petaflops / plain.petaflops < 0.9
    assert plan_transfer25(num_frames=1, **TINY).phases["denoise"] < plain.phases["denoise"]
    wide = plan_transfer25(num_frames=5, **{**TINY, "size": (272, 96)})
    assert wide.phases["decode"] > 3.0 * plain.phases["decode"]
    tiled = plan_transfer25(num_frames=5, vae_tiling=True, **{**TINY, "size": (272, 96)})
    assert tiled.phases["decode"] < wide.phases["decode"]


def test_the_verdict_names_how_weights_must_be_held_and_what_does_not_fit(published):
    assert published.verdict(80.0) == "fits"
    needed = published.profiles
    assert needed["bf16"] > needed["fp8"] > needed["cpu_offload"] >= needed["fp8 and cpu_offload"]
    short = f"because {needed['bf16']:.1f} GiB are needed without"
    assert published.verdict(needed["fp8"]).startswith("fits with fp8 for prompts embedded before, " + short)
    assert published.verdict(needed["cpu_offload"]) == f"fits with cpu_offload, {short}"
    assert published.verdict(8.0).startswith("does not fit, because decode needs 9.6 GiB besides weights")
    small = plan_transfer25(num_frames=5, **TINY)
    assert "fits for prompts embedded before; embedding a new one needs 16.4 GiB" in small.verdict(8.0)


def test_every_memory_profile_is_what_the_plan_finds_to_fit(published):
    for memory, options in PROFILES["cosmos-transfer2.5"].items():
        assert published.profiles[" and ".join(options) or "bf16"] < memory, memory


def test_a_plan_reads_the_configuration_of_a_checkpoint(tiny25, tmp_path):
    plan = plan_transfer25(size=(64, 96), num_frames=5, chunk_frames=5, folder=tiny25)
    counted = plan_transfer25(num_frames=5, **TINY)
    assert plan.parameters == counted.parameters and plan.phases == pytest.approx(counted.phases)
    with pytest.raises(WeightsError, match="cannot be read"):
        plan_transfer25(size=(64, 96), num_frames=5, folder=tmp_path)


def test_what_cannot_be_planned_gets_a_sentence():
    with pytest.raises(ValueError, match=r"4k \+ 1"):
        plan_transfer25(num_frames=5, **{**TINY, "chunk_frames": 6})
