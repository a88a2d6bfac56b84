"""Cosmos 3 with several controls, against the stock modular pipeline on the same tiny weights."""

import json

import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.models.chunks import plan_chunks
from cosmos.models.cosmos3.loading import load_cosmos3
from cosmos.models.cosmos3.prompt import complete_prompt
from cosmos.models.cosmos3.sampling import ORDER, Cosmos3, Part3, Sampling3
from cosmos.models.cosmos3.weighting import WeightedAttention
from tiny_cosmos import write_tiny_cosmos3

HEIGHT, WIDTH, FPS = 48, 64, 30.0


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    torch.set_num_threads(1)
    folder = write_tiny_cosmos3(tmp_path_factory.mktemp("cosmos3"), shards=True)
    return load_cosmos3(folder, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def nets(loaded):
    return Cosmos3(loaded.transformer, loaded.vae, loaded.scheduler)


@pytest.fixture(scope="module")
def stock(loaded):
    from diffusers import UniPCMultistepScheduler
    from diffusers.modular_pipelines.cosmos import Cosmos3OmniBlocks

    pipe = Cosmos3OmniBlocks().init_pipeline()
    pipe.update_components(
        transformer=loaded.transformer,
        vae=loaded.vae,
        text_tokenizer=loaded.tokenizer,
        scheduler=UniPCMultistepScheduler.from_config(loaded.scheduler),
    )
    pipe.disable_safety_checker()
    pipe.set_progress_bar_config(disable=True)
    return pipe


def video(seed, frames):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((1, 3, frames, HEIGHT, WIDTH), generator=generator) * 2.0 - 1.0


def paint(loaded, nets, hints, *, frames=5, chunk=5, **changes):
    generator = torch.Generator().manual_seed(changes.pop("seed", 4))
    prompt, negative = changes.pop("prompt", "snow"), changes.pop("negative", "ugly")
    settings = {"num_steps": 2, "guidance": 3.0, "control_guidance": 1.5, "fps": FPS, **changes}
    sampling = Sampling3(
        ids=loaded.tokens(prompt),
        negative_ids=loaded.tokens(negative),
        noise=lambda index, shape: torch.randn(shape, generator=generator),
        **settings,
    )
    parts = (
        Part3(chunk=part, controls=tuple(hint[:, :, list(part.sources)] for hint in hints))
        for part in plan_chunks(frames, chunk=chunk, overlap=1)
    )
    pieces = list(nets.paint(parts, sampling, lambda index, step: None))
    kept = [p[:, :, c.places] for p, c in zip(pieces, plan_chunks(frames, chunk=chunk, overlap=1), strict=True)]
    return torch.cat(kept, dim=2)


@pytest.mark.parametrize(
    ("hints", "frames", "guidance", "control_guidance"),
    [
        (("edge",), 5, 3.0, 1.5),
        (("depth", "edge", "seg"), 9, 3.0, 1.5),
        (("blur",), 5, 1.0, 1.0),
        (("wsm",), 1, 1.0, 3.0),
    ],
)
def test_pictures_equal_those_of_the_stock_pipeline(loaded, nets, stock, hints, frames, guidance, control_guidance):
    """One hint and three, one chunk and two, with and without guidance, a still; the seed draws the same noise."""
    videos = {hint: video(seed, frames) for seed, hint in enumerate(hints)}
    wanted = stock(
        prompt="snow",
        negative_prompt="ugly",
        control_videos={hint: ((clip[0].permute(1, 0, 2, 3) + 1.0) / 2.0)[None] for hint, clip in videos.items()},
        num_video_frames_per_chunk=5,
        num_conditional_frames=1,
        height=HEIGHT,
        width=WIDTH,
        fps=FPS,
        num_inference_steps=2,
        guidance_scale=guidance,
        control_guidance=control_guidance,
        generator=torch.Generator().manual_seed(4),
        output_type="pt",
        output="videos",
    )
    ordered = [videos[hint] for hint in ORDER if hint in videos]
    ours = paint(loaded, nets, ordered, frames=frames, guidance=guidance, control_guidance=control_guidance)
    wanted = torch.as_tensor(wanted).permute(1, 0, 2, 3)[None] * 2.0 - 1.0
    torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-5)


def test_each_setting_reaches_the_pictures(loaded, nets):
    hints = [video(1, 5), video(2, 5)]
    base = paint(loaded, nets, hints)
    changed = {
        "control": paint(loaded, nets, [video(1, 5), video(3, 5)]),
        "order": paint(loaded, nets, hints[:1]),
        "prompt": paint(loaded, nets, hints, prompt="rain"),
        "negative": paint(loaded, nets, hints, negative="pretty"),
        "steps": paint(loaded, nets, hints, num_steps=3),
        "guidance": paint(loaded, nets, hints, guidance=2.0),
        "control_guidance": paint(loaded, nets, hints, control_guidance=2.0),
        "fps": paint(loaded, nets, hints, fps=10.0),
        "seed": paint(loaded, nets, hints, seed=5),
        "shift": paint(loaded, nets, hints, shift=3.0),
        "weights": paint(loaded, nets, hints, weights=(0.5, 0.5)),
        "other weights": paint(loaded, nets, hints, weights=(0.75, 0.25)),
    }
    for name, pictures in changed.items():
        assert float((pictures - base).abs().max()) > 1e-5, name
    assert float((changed["weights"] - changed["other weights"]).abs().max()) > 1e-5
    assert torch.equal(paint(loaded, nets, hints), base)
    torch.testing.assert_close(paint(loaded, nets, hints, shift=10.0), base, rtol=0, atol=1e-6)


def test_weighted_controls_attend_as_specified(loaded):
    """Each control alone in dense float64 attention, and the video's rows added by weight."""
    attn = loaded.transformer.layers[0].self_attn
    generator = torch.Generator().manual_seed(8)
    text, each, weights = 4, 6, (0.7, 0.3)
    und, gen = torch.randn((text, 32), generator=generator), torch.randn((3 * each, 32), generator=generator)
    angles = torch.randn((text + 3 * each, 16), generator=generator)
    cos, sin = angles.cos(), angles.sin()
    with torch.inference_mode():
        ours_text, ours = WeightedAttention(weights)(attn, und, gen, (cos[:text], sin[:text], cos[text:], sin[text:]))
        joint_text, _ = attn(und, gen, (cos[:text], sin[:text], cos[text:], sin[text:]))

        def turned(x, at):
            c, s = cos[at, None].double(), sin[at, None].double()
            x = x.double()
            return x * c + torch.cat((-x[..., 8:], x[..., :8]), -1) * s

        def split(x):
            return x.view(x.shape[0], -1, 16)

        rows = slice(text, None)
        q, k = (
            turned(norm(split(proj(gen))), rows)
            for norm, proj in ((attn.norm_added_q, attn.add_q_proj), (attn.norm_added_k, attn.add_k_proj))
        )
        v, k_text, v_text = (
            split(attn.add_v_proj(gen)),
            turned(attn.norm_k(split(attn.to_k(und))), slice(text)),
            split(attn.to_v(und)),
        )

        def attend(at, control):
            target = slice(2 * each, None)
            keys = torch.cat([k_text, k[control], k[target]]).repeat_interleave(2, 1)
            values = torch.cat([v_text, v[control], v[target]]).repeat_interleave(2, 1).double()
            scores = torch.einsum("qhd,khd->hqk", q[at], keys) / 4.0
            return torch.einsum("hqk,khd->qhd", scores.softmax(-1), values).flatten(1)

        first, second, target = slice(0, each), slice(each, 2 * each), slice(2 * each, None)
        out = torch.cat(
            [attend(first, first), attend(second, second), 0.7 * attend(target, first) + 0.3 * attend(target, second)]
        )
        wanted = attn.to_add_out(out.float())
    torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours_text, joint_text, rtol=0, atol=1e-5)


def test_one_control_weighs_as_it_does_alone_and_a_weight_of_nothing_leaves_one_out(loaded, nets):
    hints = [video(1, 5), video(2, 5)]
    alone = paint(loaded, nets, hints[:1])
    torch.testing.assert_close(paint(loaded, nets, hints[:1], weights=(1.0,)), alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(paint(loaded, nets, hints, weights=(1.0, 0.0)), alone, rtol=0, atol=1e-5)


def test_the_attention_is_put_back_even_after_a_stop(loaded, nets):
    def stop(index, step):
        raise KeyboardInterrupt

    before = [layer.self_attn.processor for layer in nets.transformer.layers]
    sampling = Sampling3(
        ids=[1, 2],
        negative_ids=[3],
        num_steps=2,
        guidance=1.0,
        control_guidance=1.0,
        fps=FPS,
        weights=(1.0,),
        noise=lambda index, shape: torch.randn(shape),
    )
    part = Part3(chunk=plan_chunks(5, chunk=5, overlap=1)[0], controls=(video(1, 5),))
    with pytest.raises(KeyboardInterrupt):
        list(nets.paint(iter([part]), sampling, stop))
    assert [layer.self_attn.processor for layer in nets.transformer.layers] == before


@pytest.mark.parametrize(
    ("frames", "fps", "height", "width"),
    [(60, 30.0, 704, 1280), (61, 30, 480, 832), (201, 24.0, 640, 640), (9, 10.0, 736, 544), (189, 24.0, 832, 480)],
)
def test_a_structured_prompt_is_completed_as_diffusers_completes_its_own(frames, fps, height, width):
    from diffusers import Cosmos3OmniPipeline

    size = {"num_frames": frames, "fps": fps, "height": height, "width": width}
    stock = json.loads(Cosmos3OmniPipeline._build_action_json_prompt("A cat.", view_point=None, **size))
    stock.pop("actions")
    told = complete_prompt('{"scene": "a street"}', **size)
    assert told == json.dumps({"scene": "a street", **stock})
    own = json.loads(complete_prompt('{"scene": "a street", "fps": 12}', **size))
    assert own == {**stock, "scene": "a street", "fps": 12}


def test_a_plain_prompt_is_completed_in_words():
    size = {"height": 480, "width": 832}
    text = complete_prompt("a street.", num_frames=121, fps=30.0, **size)
    assert text == ("a street. The video is 4.0 seconds long and is of 30 FPS. This video is of 480x832 resolution.")
    assert (
        complete_prompt("a street", num_frames=1, fps=30.0, **size) == "a street. This image is of 480x832 resolution."
    )
    assert complete_prompt("[1, 2]", num_frames=1, fps=30.0, **size).startswith("[1, 2]. This")
