"""Streaming Cosmos 3: against the stock transformer, the stock autoencoder, and itself cut into pieces."""

import logging
import shutil

import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.models.cosmos3.causal import CausalTransformer, History
from cosmos.models.cosmos3.loading import load_cosmos3
from cosmos.models.cosmos3.streaming import SimStream
from cosmos.models.distilled import SIGMAS
from cosmos.models.weights import WeightsError
from tiny_cosmos import make_transformer3, make_vae3, streaming, write_tiny_cosmos3

HEIGHT, WIDTH, FPS = 48, 64, 30.0
IDS = [5, 9, 40, 41, 7, 258, 259]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_cosmos3(tmp_path_factory.mktemp("sim"), memory=streaming(), shards=True)


@pytest.fixture(scope="module")
def loaded(folder):
    torch.set_num_threads(1)
    return load_cosmos3(folder, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def net(loaded):
    return CausalTransformer(loaded.transformer)


def latent(seed, frames=1):
    return torch.randn((1, 48, frames, 3, 5), generator=torch.Generator().manual_seed(seed))


def video(frames=13, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((1, 3, frames, HEIGHT, WIDTH), generator=generator) * 2.0 - 1.0


def stock_flow(transformer, blocks, sigma):
    """Run the stock forward over text and videos, of which the last one is noisy.

    Args:
        blocks: Latents and number of the first latent frame of each video.
    """
    patch_h, patch_w, text = 2, 3, len(IDS)
    times = [frame + index for block, frame in blocks for index in range(block.shape[2])]
    tokens = patch_h * patch_w
    total, noisy = text + tokens * len(times), tokens * blocks[-1][0].shape[2]
    positions = torch.arange(total, dtype=torch.float32).expand(3, -1).clone()
    for index, frame in enumerate(times):
        at = slice(text + tokens * index, text + tokens * (index + 1))
        positions[0, at] = text + 15000 + frame * 24.0 / FPS
        positions[1, at] = torch.arange(patch_h).repeat_interleave(patch_w).float()
        positions[2, at] = torch.arange(patch_w).repeat(patch_h).float()
    none, all_frames = torch.empty(0, dtype=torch.long), torch.arange(blocks[-1][0].shape[2])
    with torch.inference_mode():
        return transformer(
            input_ids=torch.tensor(IDS),
            text_indexes=torch.arange(text),
            position_ids=positions,
            und_len=text,
            sequence_length=total,
            vision_tokens=[block for block, _ in blocks],
            vision_token_shapes=[(block.shape[2], patch_h, patch_w) for block, _ in blocks],
            vision_sequence_indexes=torch.arange(text, total),
            vision_mse_loss_indexes=torch.arange(total - noisy, total),
            vision_timesteps=torch.full((noisy,), sigma * 1000.0),
            vision_noisy_frame_indexes=[none] * (len(blocks) - 1) + [all_frames],
        ).sample[-1]


class BlockCausalProcessor:
    """Attention of the stock layers with a dense mask: a block sees the text, earlier blocks and itself."""

    def __init__(self, sizes):
        self.block = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))

    def __call__(self, attn, und_seq, gen_seq, rotary_emb):
        cos_u, sin_u, cos_g, sin_g = (x.unsqueeze(1) for x in rotary_emb)

        def turn(x, cos, sin):
            half = x.shape[-1] // 2
            return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin

        def split(x):
            return x.view(x.shape[0], -1, attn.head_dim)

        def attend(q, k, v, mask):
            groups = q.shape[1] // k.shape[1]
            k, v = (x.repeat_interleave(groups, 1).double() for x in (k, v))
            scores = torch.einsum("qhd,khd->hqk", q.double(), k) / attn.head_dim**0.5
            weights = scores.masked_fill(~mask, -torch.inf).softmax(-1)
            return torch.einsum("hqk,khd->qhd", weights, v).float().flatten(1)

        q_u, k_u, v_u = (
            attn.norm_q(split(attn.to_q(und_seq))),
            attn.norm_k(split(attn.to_k(und_seq))),
            attn.to_v(und_seq),
        )
        q_g = turn(attn.norm_added_q(split(attn.add_q_proj(gen_seq))), cos_g, sin_g)
        k_g = turn(attn.norm_added_k(split(attn.add_k_proj(gen_seq))), cos_g, sin_g)
        q_u, k_u, v_u, v_g = (
            turn(q_u, cos_u, sin_u),
            turn(k_u, cos_u, sin_u),
            split(v_u),
            split(attn.add_v_proj(gen_seq)),
        )
        text, gen = len(und_seq), len(gen_seq)
        block = self.block
        causal = torch.arange(text)[:, None] >= torch.arange(text)
        seen = torch.cat([torch.ones(gen, text, dtype=torch.bool), block[:, None] >= block], 1)
        und = attend(q_u, k_u, v_u, causal)
        out = attend(q_g, torch.cat([k_u, k_g]), torch.cat([v_u, v_g]), seen)
        return attn.to_out(und), attn.to_add_out(out)


@pytest.mark.parametrize("sigma", SIGMAS)
def test_one_frame_equals_the_stock_forward(net, sigma):
    text = net.read(IDS)
    with torch.inference_mode():
        ours = net.flow(latent(1), sigma, 0, FPS, text, History(window=9, sinks=1))
    torch.testing.assert_close(ours, stock_flow(make_transformer3(), [(latent(1), 0)], sigma), rtol=0, atol=1e-5)


def test_frames_after_others_equal_the_stock_forward_under_a_block_causal_mask(net):
    """Control, picture, control, noisy picture: one dense masked attention in float64 against our cache."""
    stock = make_transformer3()
    for layer in stock.layers:
        layer.self_attn.processor = BlockCausalProcessor([6] * 4)
    wanted = stock_flow(stock, [(latent(1), 0), (latent(2), 0), (latent(3), 1), (latent(4), 1)], 0.625)
    with torch.inference_mode():
        text, history = net.read(IDS), History(window=9, sinks=1)
        for seed, frame in ((1, 0), (2, 0), (3, 1)):
            net.commit(latent(seed), frame, FPS, text, history)
        ours = net.flow(latent(4), 0.625, 1, FPS, text, history)
        alone = net.flow(latent(4), 0.625, 1, FPS, text, History(window=9, sinks=1))
    torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-5)
    assert float((ours - alone).abs().max()) > 1e-3


def test_frames_that_are_painted_together_equal_the_stock_forward_under_a_block_causal_mask(net):
    """As a chunkwise export wants it: the controls of a chunk in one block, its clean pictures one by one."""
    blocks = [(1, 0, 1), (2, 0, 1), (3, 1, 2), (4, 1, 1), (5, 2, 1), (6, 3, 2), (7, 3, 2)]  # seed, frame, frames
    stock = make_transformer3()
    for layer in stock.layers:
        layer.self_attn.processor = BlockCausalProcessor([6 * frames for *_, frames in blocks])
    wanted = stock_flow(stock, [(latent(seed, frames), frame) for seed, frame, frames in blocks], 0.625)
    with torch.inference_mode():
        text, history = net.read(IDS), History(window=None, sinks=0)
        for seed, frame, frames in blocks[:-1]:
            history.trim()
            net.commit(latent(seed, frames), frame, FPS, text, history)
        ours = net.flow(latent(7, 2), 0.625, 3, FPS, text, history)
    torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("window", "sinks"), [(4, 1), (4, 0), (4, 3), (1, 0), (2, 1)])
def test_a_frame_sees_the_sinks_and_the_latest_pairs_within_the_window(window, sinks):
    """NVIDIA's runtime: of the window, the frame in work is one, the sinks stay, and the latest pairs fill the rest."""
    history = History(window=window, sinks=sinks)
    for pair in range(9):
        history.trim()
        recent = window - sinks - 1
        past = list(range(pair))
        seen = past if pair < window else past[:sinks] + past[len(past) - recent :]
        assert [block[0] for block in history.blocks] == [(kind, p) for p in seen for kind in ("control", "picture")]
        history.blocks += [[("control", pair)], [("picture", pair)]]


def open_stream(loaded, prompt="snow at night", seed=7, window=4, sinks=1, fps=FPS, chunk=1):
    net = CausalTransformer(loaded.transformer)
    with torch.inference_mode():
        text = net.read(loaded.tokens(prompt))
    return SimStream(net, loaded.vae, text, seed=seed, fps=fps, window=window, sinks=sinks, chunk=chunk)


def run(stream, control, known=()):
    """Push a video through a stream; return its pictures, and the latents of each piece."""
    pictures, latents, at = [], [], 0
    while at < control.shape[2]:
        step = stream.wanted
        given = known[len(latents)] if len(latents) < len(known) else None
        picture, latent = stream.push(control[:, :, at : at + step], known=given)
        pictures.append(picture)
        latents.append(latent)
        at += step
    return torch.cat(pictures, dim=2), latents


def paint(stream, control):
    return run(stream, control)[0]


@pytest.mark.parametrize("sizes", [(1, 4, 4, 4), (1, 8, 4), (1, 12)])
def test_streaming_encoding_and_decoding_equal_the_whole_clip_to_the_bit(loaded, sizes):
    vae, clip = make_vae3(), video()
    stream = open_stream(loaded)
    with torch.inference_mode():
        whole = vae.encode(clip).latent_dist.mode()
        assert torch.equal(torch.cat([stream._encode(part) for part in clip.split(sizes, dim=2)], dim=2), whole)
        pictures, frame = [], 0
        for size in sizes:
            count = -(-size // 4)
            stream._frame = frame
            pictures.append(stream._decode(whole[:, :, frame : frame + count]))
            frame += count
        assert [part.shape[2] for part in pictures] == list(sizes)
        assert torch.equal(torch.cat(pictures, dim=2), vae.decode(whole, return_dict=False)[0])


def test_what_is_seen_and_remembered_comes_in_the_order_that_the_model_was_trained_in(loaded, monkeypatch):
    asked = []
    for name in ("commit", "flow"):

        def note(self, latent, *rest, done=getattr(CausalTransformer, name), name=name):
            asked.append((name, rest[0] if name == "commit" else rest[1], latent.shape[2]))
            return done(self, latent, *rest)

        monkeypatch.setattr(CausalTransformer, name, note)
    paint(open_stream(loaded, window=None, sinks=0, chunk=2), video(9))
    first = [("commit", 0, 1), *[("flow", 0, 1)] * 4, ("commit", 0, 1)]
    assert asked == [*first, ("commit", 1, 2), *[("flow", 1, 2)] * 4, ("commit", 1, 1), ("commit", 2, 1)]
    asked.clear()
    paint(open_stream(loaded), video(5))
    assert asked == [*first, ("commit", 1, 1), *[("flow", 1, 1)] * 4, ("commit", 1, 1)]


@pytest.mark.parametrize("chunk", [1, 2])
@pytest.mark.parametrize("stopped", [1, 2, 4])
def test_a_stream_goes_on_from_latents_that_were_painted_before_to_the_bit(loaded, monkeypatch, chunk, stopped):
    memory = {"window": 4, "sinks": 1} if chunk == 1 else {"window": None, "sinks": 0, "chunk": 2}
    clip = video(25 if chunk == 1 else 33)
    whole, latents = run(open_stream(loaded, **memory), clip)
    passes = []
    flow = CausalTransformer.flow
    monkeypatch.setattr(CausalTransformer, "flow", lambda *given: passes.append(1) or flow(*given))
    again, _ = run(open_stream(loaded, **memory), clip, latents[:stopped])
    assert torch.equal(again, whole)
    assert len(passes) == 4 * (len(latents) - stopped)  # nothing is painted twice
    with pytest.raises(ValueError, match="got known ones of"):
        run(open_stream(loaded, **memory), clip, [latents[0][..., 1:]])


def test_a_stream_gives_a_picture_a_frame_and_is_repeatable(loaded):
    first = paint(open_stream(loaded), video(25))
    assert first.shape == (1, 3, 25, HEIGHT, WIDTH) and torch.isfinite(first).all()
    assert torch.equal(first, paint(open_stream(loaded), video(25)))


def test_a_future_control_leaves_past_pictures_as_they_were_to_the_bit(loaded):
    clip = video()
    changed = clip.clone()
    changed[:, :, 5:9] *= -1.0
    before, after = paint(open_stream(loaded), clip), paint(open_stream(loaded), changed)
    assert torch.equal(before[:, :, :5], after[:, :, :5])
    assert float((before[:, :, 5:] - after[:, :, 5:]).abs().max()) > 1e-3


def test_two_streams_in_turns_equal_two_alone(loaded):
    clips = [video(seed=1), video(seed=2)]
    alone = [paint(open_stream(loaded, seed=seed), clip) for seed, clip in enumerate(clips)]
    streams, pictures = [open_stream(loaded, seed=seed) for seed in range(2)], [[], []]
    for at, step in ((0, 1), (1, 4), (5, 4), (9, 4)):
        for index, stream in enumerate(streams):
            pictures[index].append(stream.push(clips[index][:, :, at : at + step])[0])
    for index in range(2):
        assert torch.equal(torch.cat(pictures[index], dim=2), alone[index])


def test_prompt_seed_rate_and_memory_reach_the_pictures(loaded):
    base = paint(open_stream(loaded), video(25))
    for changed in ({"prompt": "rain"}, {"seed": 8}, {"fps": 10.0}, {"window": 3}, {"sinks": 0}, {"chunk": 2}):
        assert float((paint(open_stream(loaded, **changed), video(25)) - base).abs().max()) > 1e-5, changed


def test_the_wrong_number_of_frames_is_refused(loaded):
    stream = open_stream(loaded)
    with pytest.raises(ValueError, match="takes 1 frames now, got 4"):
        stream.push(video(4))
    stream.push(video(1))
    with pytest.raises(ValueError, match="takes 4 frames now, got 1"):
        stream.push(video(1))


def test_what_the_exporter_wrote_beside_the_transformers_values_is_no_warning(folder, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("diffusers"), "propagate", True)
    load_cosmos3(folder, device="cpu", dtype=torch.float32)
    assert "cosmos3_nano_sim_bimanual" in (folder / "transformer" / "config.json").read_text()
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_nets_that_do_not_belong_together_are_refused(folder, tiny25, tmp_path):
    mixed = shutil.copytree(folder, tmp_path / "mixed")
    shutil.rmtree(mixed / "vae")
    shutil.copytree(tiny25 / "general" / "vae", mixed / "vae")
    with pytest.raises(WeightsError, match="takes 48 latent channels, the autoencoder gives 16"):
        load_cosmos3(mixed, device="cpu", dtype=torch.float32)
    shutil.rmtree(mixed / "text_tokenizer")
    with pytest.raises(WeightsError, match="The tokenizer in"):
        load_cosmos3(mixed, device="cpu", dtype=torch.float32)
