"""The distilled Transfer2.5 against TrigFlow as NVIDIA's sampler walks it, in float64 and other coordinates."""

import math

import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.models.chunks import plan_chunks
from cosmos.models.transfer25.loading import load_transfer25
from cosmos.models.transfer25.sampling import Hint, Part, Preserve, Sampling
from cosmos.models.weights import WeightsError
from tiny_cosmos import make_branch25, make_transformer25, make_vae25, write_tiny_distilled25

HEIGHT, WIDTH, FRAMES = 32, 48, 9
ANGLES = (math.pi / 2.0, math.atan(15.0), math.atan(5.0), math.atan(5.0 / 3.0))


@pytest.fixture(scope="module")
def loaded(tiny25):
    write_tiny_distilled25(tiny25)
    return load_transfer25(tiny25, device="cpu", dtype=torch.float32, cache=None, distilled=True)


def video(seed, frames=FRAMES):
    return torch.rand((1, 3, frames, HEIGHT, WIDTH), generator=torch.Generator().manual_seed(seed)) * 2.0 - 1.0


def noise_of(index, shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(40 + index))


def paint(loaded, states, weight=0.7, preserve=None, frames=FRAMES, told=None):
    chunks = plan_chunks(frames, chunk=5, overlap=1)
    control = video(1, frames)
    hints = [{"edge": Hint(video=control[:, :, list(chunk.sources)], weight=weight)} for chunk in chunks]
    parts = (Part(chunk=c, hints=h, preserve=preserve) for c, h in zip(chunks, hints, strict=True))
    sampling = Sampling(
        states=states, negative_states=None, num_steps=4, guidance=0.0, schedule="distilled", noise=noise_of
    )
    tell = (lambda *step: None) if told is None else (lambda *step: told.append(step))
    return list(loaded.nets.paint(parts, sampling, tell))


@pytest.fixture(scope="module")
def states():
    return torch.randn((1, 512, 32), generator=torch.Generator().manual_seed(6))


def trigflow(states, chunk, previous, weight):
    """Walk one chunk by angles: the data shrink by the cosine, the first noise comes back by the sine."""
    net, branch, vae = make_transformer25(seed=2), make_branch25(30), make_vae25()
    mean, std = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (vae.config.latents_mean, vae.config.latents_std))

    def encode(pictures):
        return (vae.encode(pictures).latent_dist.mode() - mean) / std

    control = encode(video(1)[:, :, list(chunk.sources)])
    shown, known = torch.zeros((1, 1, 2, 4, 6)), torch.zeros_like(control)
    if previous is not None:
        begun = torch.cat([previous[:, :, -1:], torch.full_like(previous[:, :, 1:], -1.0)], dim=2)
        known, shown[:, :, :1] = encode(begun), 1.0
    context = (states, torch.zeros((1, 8, 24)))
    noise = noise_of(chunk.index, control.shape).double()
    x = noise
    for at, angle in enumerate(ANGLES):
        shrink = 1.0 / (math.cos(angle) + math.sin(angle))
        level = math.sin(angle) * shrink
        inputs = {
            "timestep": shown[:, :, :, :1, :1] * 1e-4 + (1.0 - shown[:, :, :, :1, :1]) * level,
            "condition_mask": shown,
            "padding_mask": torch.zeros((1, 1, HEIGHT, WIDTH)),
            "encoder_hidden_states": context,
        }
        latents = (shown * known + (1.0 - shown) * x * shrink).float()
        residuals = branch(
            controls_latents=control, latents=latents, conditioning_scale=weight, **inputs
        ).control_block_samples
        flow = net(hidden_states=latents, block_controlnet_hidden_states=residuals, **inputs).sample.double()
        clean = shown * known + (1.0 - shown) * (shrink * x - level * flow)
        if at + 1 < len(ANGLES):
            x = math.cos(ANGLES[at + 1]) * clean + math.sin(ANGLES[at + 1]) * noise
    return vae.decode((clean * std + mean).float()).sample


def test_two_chunks_equal_trigflow(loaded, states):
    told = []
    ours = paint(loaded, states, told=told)
    assert told == [(chunk, step) for chunk in (0, 1) for step in (1, 2, 3, 4)]
    previous = None
    with torch.inference_mode():
        for mine, chunk in zip(ours, plan_chunks(FRAMES, chunk=5, overlap=1), strict=True):
            previous = trigflow(states, chunk, previous, 0.7)
            torch.testing.assert_close(mine, previous, rtol=0, atol=1e-5)


def test_prompt_weight_and_what_is_preserved_reach_the_pictures(loaded, states):
    plain = paint(loaded, states, frames=5)[0]
    mask = torch.ones((1, 1, 5, HEIGHT, WIDTH))
    for changed in (
        paint(loaded, states.flip(2), frames=5),
        paint(loaded, states, weight=0.3, frames=5),
        paint(loaded, states, preserve=Preserve(video=video(3, 5), mask=mask, steps=3), frames=5),
    ):
        assert float((changed[0] - plain).abs().max()) > 1e-3


def test_a_checkpoint_without_it_says_how_to_get_it(tmp_path):
    with pytest.raises(
        WeightsError, match=r"distilled model is not in \S+distilled; NVIDIA .*convert_cosmos_to_diffusers"
    ):
        load_transfer25(tmp_path, device="cpu", dtype=torch.float32, cache=None, distilled=True)
