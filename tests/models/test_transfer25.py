"""Transfer2.5 against the stock pipeline on the same tiny weights, and what several branches and maps do."""

import shutil
import weakref

import pytest
import torch  # noqa: TID253

from cosmos.models.chunks import plan_chunks
from cosmos.models.transfer25.loading import find_branches, load_transfer25
from cosmos.models.transfer25.sampling import Hint, Part, Preserve, Sampling
from cosmos.models.weights import WeightsError
from tiny_cosmos import (
    make_branch25,
    make_scheduler25,
    make_text_encoder,
    make_tokenizer,
    make_transformer25,
    make_vae25,
)

HEIGHT, WIDTH, FRAMES = 32, 48, 5
CPU = torch.device("cpu")


class PassingChecker:
    """The guard object that the stock pipeline insists on; it sees what it is shown and passes it."""

    def to(self, device):
        pass

    def check_text_safety(self, prompt):
        return True

    def check_video_safety(self, video):
        return video


@pytest.fixture(scope="module")
def loaded(tiny25, tmp_path_factory):
    return load_transfer25(tiny25, device="cpu", dtype=torch.float32, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def stock():
    from diffusers import Cosmos2_5_TransferPipeline

    pipe = Cosmos2_5_TransferPipeline(
        text_encoder=make_text_encoder(),
        tokenizer=make_tokenizer(),
        transformer=make_transformer25(),
        vae=make_vae25(),
        scheduler=make_scheduler25(),
        controlnet=make_branch25(20),
        safety_checker=PassingChecker(),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def states(loaded):
    made = loaded.encoder.embed(("snow at night", "ugly"), device=CPU, dtype=torch.float32)
    return {prompt: embedding.states for prompt, embedding in made.items()}


def video(seed, frames=FRAMES):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((1, 3, frames, HEIGHT, WIDTH), generator=generator) * 2.0 - 1.0


def noise_of(frames=FRAMES, seed=9):
    shape = (1, 16, (frames - 1) // 4 + 1, HEIGHT // 8, WIDTH // 8)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def paint(loaded, states, hints, *, frames=FRAMES, chunk=FRAMES, overlap=1, noise=None, preserve=None, **changes):
    noise = noise_of(chunk) if noise is None else noise
    settings = {"num_steps": 3, "guidance": 3.0, "schedule": "karras", **changes}
    if settings["guidance"] > 0.0:
        settings.setdefault("negative_states", states["ugly"])
    settings = {"negative_states": None, "noise": lambda index, shape: noise, **settings}
    sampling = Sampling(states=settings.pop("text", states["snow at night"]), **settings)
    parts = (
        Part(chunk=part, hints=hints(part) if callable(hints) else hints, preserve=preserve)
        for part in plan_chunks(frames, chunk=chunk, overlap=overlap)
    )
    return list(loaded.nets.paint(parts, sampling, lambda index, step: None))


def test_the_prompt_is_embedded_as_the_stock_pipeline_does(stock, states):
    wanted, _ = stock.encode_prompt("snow at night", do_classifier_free_guidance=False)
    torch.testing.assert_close(states["snow at night"], wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("schedule", "guidance", "frames", "overlap"),
    [
        ("karras", 3.0, 5, 1),
        ("shift", 3.0, 5, 1),
        ("karras", 0.0, 5, 1),
        ("shift", 3.0, 9, 1),
        ("shift", 3.0, 8, 2),
        ("karras", 3.0, 1, 1),
        ("shift", 0.0, 1, 1),
    ],
)
def test_pictures_equal_those_of_the_stock_pipeline(
    loaded, stock, states, monkeypatch, schedule, guidance, frames, overlap
):
    """One chunk of 5 frames, two where the second is conditioned on the last frame or two of the first, and a still.

    For a still the stock pipeline's least chunk of 5 frames is lifted; its loop and nets take one latent frame.

    The stock pipeline draws latents of the control from its posterior; NVIDIA's code and ours take the mode.
    """
    from diffusers import UniPCMultistepScheduler
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda posterior, generator=None: posterior.mode())

    nvidia = UniPCMultistepScheduler(use_flow_sigmas=True, flow_shift=5.0, prediction_type="flow_prediction")
    monkeypatch.setattr(stock, "scheduler", make_scheduler25() if schedule == "karras" else nvidia)
    decoded, decode = [], stock.vae.decode

    def record(latents, return_dict=True):
        out = decode(latents, return_dict=return_dict)
        decoded.append(out[0])
        return out

    monkeypatch.setattr(stock.vae, "decode", record)
    chunk = min(frames, 5)
    if frames == 1:
        monkeypatch.setattr(stock, "check_inputs", lambda *given: chunk)
    control, noise = video(1, frames), noise_of(chunk)
    stock(
        controls=((control[0].permute(1, 0, 2, 3) + 1.0) / 2.0)[None],
        controls_conditioning_scale=0.7,
        prompt_embeds=states["snow at night"],
        negative_prompt_embeds=states["ugly"],
        negative_prompt=None,
        height=HEIGHT,
        width=WIDTH,
        num_frames_per_chunk=chunk,
        num_ar_conditional_frames=overlap if frames > 1 else 0,
        num_inference_steps=3,
        guidance_scale=guidance,
        latents=noise.clone(),
        output_type="latent",
    )

    def hints(chunk):
        return {"edge": Hint(video=control[:, :, list(chunk.sources)], weight=0.7)}

    settings = {"chunk": 5, "overlap": overlap, "schedule": schedule, "guidance": guidance}
    ours = paint(loaded, states, hints, frames=frames, noise=noise, **settings)
    assert len(ours) == len(decoded) == (2 if frames > 5 else 1)
    for mine, theirs in zip(ours, decoded, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-5)


def test_the_shift_schedule_is_rectified_flow_with_shift_five(loaded):
    scheduler = loaded.nets.make_scheduler("shift")
    scheduler.set_timesteps(35)
    plain = torch.linspace(1.0, 1.0 / 1000, 36, dtype=torch.float64)[:-1]
    wanted = 5.0 * plain / (1.0 + 4.0 * plain)
    torch.testing.assert_close(scheduler.sigmas[:-1].double()[1:], wanted[1:], rtol=0, atol=1e-6)
    assert scheduler.sigmas[0] > 0.999 and scheduler.sigmas[-1] == 0.0


def test_a_map_of_ones_equals_the_number_one_to_the_bit(loaded, states):
    tokens = torch.ones((1, 2 * (HEIGHT // 16) * (WIDTH // 16), 1))
    one = paint(loaded, states, {"edge": Hint(video=video(1), weight=1.0)})
    ones = paint(loaded, states, {"edge": Hint(video=video(1), weight=tokens)})
    assert torch.equal(one[0], ones[0])


def test_two_branches_act_as_the_sum_of_their_weighted_residuals(loaded, states, monkeypatch):
    """The sum is done by hand, from each branch called alone, and put where the transformer takes it."""
    seen = []
    transformer = loaded.nets.transformer
    forward = transformer.forward

    def spy(**inputs):
        seen.append(inputs)
        return forward(**inputs)

    monkeypatch.setattr(transformer, "forward", spy)
    hints = {"edge": Hint(video=video(1), weight=0.25), "depth": Hint(video=video(2), weight=0.5)}
    paint(loaded, states, hints, num_steps=1, guidance=0.0)
    alone = {}
    for kind, hint in hints.items():
        paint(loaded, states, {kind: Hint(video=hint.video, weight=1.0)}, num_steps=1, guidance=0.0)
        alone[kind] = seen[-1]["block_controlnet_hidden_states"]
    for block, total in enumerate(seen[0]["block_controlnet_hidden_states"]):
        wanted = 0.25 * alone["edge"][block].double() + 0.5 * alone["depth"][block].double()
        torch.testing.assert_close(total.double(), wanted, rtol=0, atol=1e-5)
        assert float((alone["edge"][block] - alone["depth"][block]).abs().max()) > 1e-2


def test_block_gains_scale_each_block_of_a_branch(loaded, states, monkeypatch):
    seen = []
    forward = loaded.nets.transformer.forward
    monkeypatch.setattr(
        loaded.nets.transformer, "forward", lambda **inputs: (seen.append(inputs), forward(**inputs))[1]
    )
    for gains in ((), (0.5, 0.0)):
        hints = {"edge": Hint(video=video(1), weight=1.0, block_gains=gains)}
        paint(loaded, states, hints, num_steps=1, guidance=0.0)
    plain, gained = (inputs["block_controlnet_hidden_states"] for inputs in seen)
    torch.testing.assert_close(gained[0], plain[0] * 0.5)
    assert float(gained[1].abs().max()) == 0.0


def test_a_left_half_map_silences_the_residuals_of_the_right_half(loaded, states, monkeypatch):
    seen = []
    forward = loaded.nets.transformer.forward
    monkeypatch.setattr(
        loaded.nets.transformer, "forward", lambda **inputs: (seen.append(inputs), forward(**inputs))[1]
    )
    rows, columns = HEIGHT // 16, WIDTH // 16
    tokens = torch.zeros((2, rows, columns))
    tokens[:, :, :1] = 1.0
    hint = Hint(video=video(1), weight=tokens.reshape(1, -1, 1))
    left = paint(loaded, states, {"edge": hint}, num_steps=1, guidance=0.0)[0]
    none = paint(loaded, states, {"edge": Hint(video=video(1), weight=0.0)}, num_steps=1, guidance=0.0)[0]
    residual = seen[0]["block_controlnet_hidden_states"][0].reshape(2, rows, columns, -1)
    assert float(residual[:, :, 1:].abs().max()) == 0.0 < float(residual[:, :, :1].abs().min())
    moved = (left - none).abs().mean(dim=(0, 1, 2, 3))
    assert float(moved[:16].mean()) > 2.0 * float(moved[32:].mean())


def test_each_setting_reaches_the_pictures(loaded, states):
    hints = {"edge": Hint(video=video(1), weight=1.0)}
    base = paint(loaded, states, hints)[0]
    other_text = states["snow at night"].flip(2)
    mask = torch.ones((1, 1, FRAMES, HEIGHT, WIDTH))
    changed = {
        "control": paint(loaded, states, {"edge": Hint(video=video(2), weight=1.0)}),
        "kind": paint(loaded, states, {"seg": Hint(video=video(1), weight=1.0)}),
        "weight": paint(loaded, states, {"edge": Hint(video=video(1), weight=0.5)}),
        "prompt": paint(loaded, states, hints, text=other_text),
        "negative": paint(loaded, states, hints, negative_states=other_text),
        "steps": paint(loaded, states, hints, num_steps=4),
        "guidance": paint(loaded, states, hints, guidance=1.0),
        "schedule": paint(loaded, states, hints, schedule="shift"),
        "noise": paint(loaded, states, hints, noise=noise_of(seed=10)),
        "preserve": paint(loaded, states, hints, preserve=Preserve(video=video(3), mask=mask, steps=2)),
    }
    for name, pictures in changed.items():
        assert float((pictures[0] - base).abs().max()) > 1e-3, name
    assert torch.equal(paint(loaded, states, hints)[0], base)


def test_what_is_preserved_is_held_to_the_source_and_the_rest_is_not(loaded, states):
    """With all steps held, the last input of the nets is the source's latents at the last noise level, to the bit."""
    source, seen = video(3), []
    mask = torch.zeros((1, 1, FRAMES, HEIGHT, WIDTH))
    mask[..., :16] = 1.0
    forward = loaded.nets.transformer.forward
    loaded.nets.transformer.forward = lambda **inputs: (seen.append(inputs["hidden_states"]), forward(**inputs))[1]
    try:
        noise = noise_of()
        hints = {"edge": Hint(video=video(1), weight=1.0)}
        preserve = Preserve(video=source, mask=mask, steps=3)
        paint(loaded, states, hints, preserve=preserve, noise=noise, guidance=0.0)
    finally:
        loaded.nets.transformer.forward = forward
    vae, scheduler = make_vae25(), make_scheduler25()
    scheduler.set_timesteps(3)
    mean, std = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))
    with torch.inference_mode():
        clean = (vae.encode(source).latent_dist.mode() - mean) / std
    for step, shown in enumerate(seen):
        sigma = float(scheduler.sigmas[step])
        wanted = clean * (1.0 - sigma) + noise * sigma
        torch.testing.assert_close(shown[..., :2], wanted[..., :2], rtol=0, atol=1e-6)
    assert float((seen[-1] - wanted)[..., 2:].abs().max()) > 0.05


def test_a_preserve_mask_is_averaged_over_the_pixels_of_each_latent(loaded, states):
    mask = torch.rand((1, 1, FRAMES, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(2))
    _, small = loaded.nets._kept(Preserve(video=video(1), mask=mask, steps=1), (1, 16, 2, HEIGHT // 8, WIDTH // 8))
    pixels = mask.double().numpy()[0, 0].reshape(FRAMES, HEIGHT // 8, 8, WIDTH // 8, 8).mean(axis=(2, 4))
    assert abs(pixels[0] - small[0, 0, 0].double().numpy()).max() < 1e-6
    assert abs(pixels[1:].mean(axis=0) - small[0, 0, 1].double().numpy()).max() < 1e-6


def test_a_still_is_one_latent_frame(loaded, states):
    hints = {"depth": Hint(video=video(1, 1), weight=1.0)}
    pictures = paint(loaded, states, hints, frames=1, noise=noise_of(1))
    assert [tuple(picture.shape) for picture in pictures] == [(1, 3, 1, HEIGHT, WIDTH)]


def test_progress_may_stop_within_a_step(loaded, states):
    told = []

    def stop(index, step):
        told.append((index, step))
        raise KeyboardInterrupt

    part = Part(chunk=plan_chunks(5, chunk=5, overlap=1)[0], hints={"edge": Hint(video=video(1), weight=1.0)})
    sampling = Sampling(
        states=states["ugly"], negative_states=None, num_steps=3, guidance=0.0, noise=lambda index, shape: noise_of()
    )
    with pytest.raises(KeyboardInterrupt):
        list(loaded.nets.paint(iter([part]), sampling, stop))
    assert told == [(0, 1)]


def test_embeddings_are_read_from_the_cache_without_the_encoder(tiny25, tmp_path):
    folder = shutil.copytree(tiny25, tmp_path / "copy")

    def embed(prompt, cache=tmp_path / "cache"):
        loaded = load_transfer25(folder, device="cpu", dtype=torch.float32, cache=cache, branches=("edge",))
        return loaded.encoder.embed((prompt,), device=CPU, dtype=torch.float32)[prompt]

    first = embed("a foggy morning")
    files = list((tmp_path / "cache").glob("*.safetensors"))
    assert len(files) == 1
    shutil.rmtree(folder / "general" / "text_encoder")
    assert torch.equal(embed("a foggy morning").states, first.states)
    with pytest.raises(WeightsError, match=r"not in the embedding cache and \S+text_encoder is missing"):
        embed("another morning")
    with pytest.raises(WeightsError, match="fetch the text encoder"):
        embed("a foggy morning", cache=None)
    files[0].write_bytes(b"half a file")
    with pytest.raises(WeightsError, match="not in the embedding cache"):
        embed("a foggy morning")


def test_the_encoder_is_released_once_a_prompt_is_embedded(loaded, monkeypatch):
    kept, load = [], loaded.encoder._load

    def watch(device, dtype):
        encoder, tokenizer = load(device, dtype)
        kept.extend(weakref.ref(parameter) for parameter in encoder.parameters())
        return encoder, tokenizer

    monkeypatch.setattr(loaded.encoder, "_load", watch)
    loaded.encoder.embed(("a prompt that nobody wrote before",), device=CPU, dtype=torch.float32)
    assert len(kept) > 20
    assert not any(reference() is not None for reference in kept)


def test_tokens_beyond_the_models_reach_are_counted(loaded):
    long = loaded.encoder.embed(("word " * 200,), device=CPU, dtype=torch.float32)["word " * 200]
    assert long.states.shape == (1, 512, 32) and 400 < long.cut < 700


def test_branches_are_found_loaded_and_refused_by_name(tiny25, tmp_path):
    assert find_branches(tiny25) == ("edge", "depth", "seg", "vis")
    folder = shutil.copytree(tiny25, tmp_path / "copy")
    shutil.rmtree(folder / "controlnet" / "seg")
    settings = {"device": "cpu", "dtype": torch.float32, "cache": None}
    assert tuple(load_transfer25(folder, **settings).nets.branches) == ("edge", "depth", "vis")
    with pytest.raises(WeightsError, match=r"branch seg is not in \S+, which holds edge, depth, vis"):
        load_transfer25(folder, branches=("seg",), **settings)
    shutil.rmtree(folder / "controlnet")
    with pytest.raises(WeightsError, match="which holds none"):
        load_transfer25(folder, **settings)


def test_a_branch_of_another_model_is_refused(tiny25, tmp_path):
    from diffusers import CosmosControlNetModel

    from tiny_cosmos import COMMON_25

    folder = shutil.copytree(tiny25, tmp_path / "copy")
    shutil.rmtree(folder / "controlnet" / "edge")
    other = CosmosControlNetModel(
        n_controlnet_blocks=1, in_channels=130, latent_channels=18, model_channels=32, **COMMON_25
    )
    other.save_pretrained(folder / "controlnet" / "edge")
    with pytest.raises(WeightsError, match="branch edge has 1 blocks of 32 channels, the transformer takes 2 of 32"):
        load_transfer25(folder, device="cpu", dtype=torch.float32, cache=None)


def test_a_damaged_text_encoder_is_refused(tiny25, tmp_path):
    folder = shutil.copytree(tiny25, tmp_path / "copy")
    shard = next((folder / "general" / "text_encoder").glob("*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:-8])
    loaded = load_transfer25(folder, device="cpu", dtype=torch.float32, cache=None, branches=("edge",))
    with pytest.raises(WeightsError, match="bytes, its header says"):
        loaded.encoder.embed(("a",), device=CPU, dtype=torch.float32)
