"""Streaming Cosmos 3: against the stock transformer, the stock autoencoder, and itself cut into pieces."""

import shutil

import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.models.cosmos3.causal import CausalTransformer, History
from cosmos.models.cosmos3.loading import load_cosmos3, read_memory
from cosmos.models.cosmos3.streaming import SimStream
from cosmos.models.distilled import SIGMAS
from cosmos.models.weights import WeightsError
from tiny_cosmos import make_transformer3, make_vae3, write_tiny_cosmos3

HEIGHT, WIDTH, FPS = 48, 64, 30.0
IDS = [5, 9, 40, 41, 7, 258, 259]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_cosmos3(tmp_path_factory.mktemp("sim"), memory={"kv_window": 3, "attention_sink": 1}, shards=True)


@pytest.fixture(scope="module")
def loaded(folder):
    torch.set_num_threads(1)
    return load_cosmos3(folder, device="cpu", dtype=torch.float32)


@pytest.fixture(scope="module")
def net(loaded):
    return CausalTransformer(loaded.transformer)


def latent(seed):
    return torch.randn((1, 48, 1, 3, 5), generator=torch.Generator().manual_seed(seed))


def video(frames=13, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((1, 3, frames, HEIGHT, WIDTH), generator=generator) * 2.0 - 1.0


def stock_flow(transformer, blocks, sigma):
    """Run the stock forward over text and single-frame items, of which the last one is noisy.

    Args:
        blocks: Latent and latent frame number of each item.
    """
    patch_h, patch_w, text = 2, 3, len(IDS)
    tokens = patch_h * patch_w
    total = text + tokens * len(blocks)
    positions = torch.arange(total, dtype=torch.float32).expand(3, -1).clone()
    for index, (_, frame) in enumerate(blocks):
        at = slice(text + tokens * index, text + tokens * (index + 1))
        positions[0, at] = text + 15000 + frame * 24.0 / FPS
        positions[1, at] = torch.arange(patch_h).repeat_interleave(patch_w).float()
        positions[2, at] = torch.arange(patch_w).repeat(patch_h).float()
    none, first = torch.empty(0, dtype=torch.long), torch.zeros(1, dtype=torch.long)
    with torch.inference_mode():
        return transformer(
            input_ids=torch.tensor(IDS),
            text_indexes=torch.arange(text),
            position_ids=positions,
            und_len=text,
            sequence_length=total,
            vision_tokens=[block for block, _ in blocks],
            vision_token_shapes=[(1, patch_h, patch_w)] * len(blocks),
            vision_sequence_indexes=torch.arange(text, total),
            vision_mse_loss_indexes=torch.arange(total - tokens, total),
            vision_timesteps=torch.full((tokens,), sigma * 1000.0),
            vision_noisy_frame_indexes=[none] * (len(blocks) - 1) + [first],
        ).sample[-1]


class BlockCausalProcessor:
    """Attention of the stock layers with a dense mask: a frame sees the text, earlier frames and itself."""

    def __init__(self, tokens):
        self.tokens = tokens

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
        block = torch.arange(gen) // self.tokens
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
        layer.self_attn.processor = BlockCausalProcessor(6)
    wanted = stock_flow(stock, [(latent(1), 0), (latent(2), 0), (latent(3), 1), (latent(4), 1)], 0.625)
    with torch.inference_mode():
        text, history = net.read(IDS), History(window=9, sinks=1)
        for seed, frame in ((1, 0), (2, 0), (3, 1)):
            net.commit(latent(seed), frame, FPS, text, history)
        ours = net.flow(latent(4), 0.625, 1, FPS, text, history)
        alone = net.flow(latent(4), 0.625, 1, FPS, text, History(window=9, sinks=1))
    torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-5)
    assert float((ours - alone).abs().max()) > 1e-3


def test_the_history_keeps_the_sinks_and_the_last_pairs():
    history = History(window=4, sinks=1)
    for pair in range(9):
        history.trim()
        assert len(history.blocks) // 2 <= 4
        history.blocks += [[("control", pair)], [("picture", pair)]]
    history.trim()
    assert [block[0] for block in history.blocks] == [
        (kind, pair) for pair in (0, 6, 7, 8) for kind in ("control", "picture")
    ]


def open_stream(loaded, prompt="snow at night", seed=7, window=3, sinks=1, fps=FPS):
    net = CausalTransformer(loaded.transformer)
    with torch.inference_mode():
        text = net.read(loaded.tokens(prompt))
    return SimStream(net, loaded.vae, text, seed=seed, fps=fps, window=window, sinks=sinks)


def run(stream, control):
    pictures, at = [], 0
    while at < control.shape[2]:
        step = stream.wanted
        pictures.append(stream.push(control[:, :, at : at + step]))
        at += step
    return torch.cat(pictures, dim=2)


def test_streaming_encoding_and_decoding_equal_the_whole_clip_to_the_bit(loaded):
    vae, clip = make_vae3(), video()
    stream = open_stream(loaded)
    with torch.inference_mode():
        whole = vae.encode(clip).latent_dist.mode()
        parts = [stream._encode(clip[:, :, :1])] + [stream._encode(clip[:, :, i : i + 4]) for i in (1, 5, 9)]
        assert torch.equal(torch.cat(parts, dim=2), whole)
        pictures = []
        for index in range(4):
            stream._frame = index
            pictures.append(stream._decode(whole[:, :, index : index + 1]))
        assert [part.shape[2] for part in pictures] == [1, 4, 4, 4]
        assert torch.equal(torch.cat(pictures, dim=2), vae.decode(whole, return_dict=False)[0])


def test_a_stream_gives_a_picture_a_frame_and_is_repeatable(loaded):
    first = run(open_stream(loaded), video(25))
    assert first.shape == (1, 3, 25, HEIGHT, WIDTH) and torch.isfinite(first).all()
    assert torch.equal(first, run(open_stream(loaded), video(25)))


def test_a_future_control_leaves_past_pictures_as_they_were_to_the_bit(loaded):
    clip = video()
    changed = clip.clone()
    changed[:, :, 5:9] *= -1.0
    before, after = run(open_stream(loaded), clip), run(open_stream(loaded), changed)
    assert torch.equal(before[:, :, :5], after[:, :, :5])
    assert float((before[:, :, 5:] - after[:, :, 5:]).abs().max()) > 1e-3


def test_two_streams_in_turns_equal_two_alone(loaded):
    clips = [video(seed=1), video(seed=2)]
    alone = [run(open_stream(loaded, seed=seed), clip) for seed, clip in enumerate(clips)]
    streams, pictures = [open_stream(loaded, seed=seed) for seed in range(2)], [[], []]
    for at, step in ((0, 1), (1, 4), (5, 4), (9, 4)):
        for index, stream in enumerate(streams):
            pictures[index].append(stream.push(clips[index][:, :, at : at + step]))
    for index in range(2):
        assert torch.equal(torch.cat(pictures[index], dim=2), alone[index])


def test_prompt_seed_rate_and_memory_reach_the_pictures(loaded):
    base = run(open_stream(loaded), video(21))
    for changed in ({"prompt": "rain"}, {"seed": 8}, {"fps": 10.0}, {"window": 2}, {"window": 3, "sinks": 0}):
        assert float((run(open_stream(loaded, **changed), video(21)) - base).abs().max()) > 1e-5, changed


def test_the_wrong_number_of_frames_is_refused(loaded):
    stream = open_stream(loaded)
    with pytest.raises(ValueError, match="takes 1 frames now, got 4"):
        stream.push(video(4))
    stream.push(video(1))
    with pytest.raises(ValueError, match="takes 4 frames now, got 1"):
        stream.push(video(1))


def test_how_long_it_remembers_is_read_from_the_checkpoint(folder, tmp_path):
    assert read_memory(folder, None, None) == (3, 1)
    assert read_memory(folder, 8, None) == (8, 1)
    silent = write_tiny_cosmos3(tmp_path / "silent")
    with pytest.raises(WeightsError, match=r"does not say how long it remembers; set transfer_options\.window"):
        read_memory(silent, None, 3)
    assert read_memory(silent, 30, 3) == (30, 3)
    with pytest.raises(WeightsError, match="got window 3 and sinks 3"):
        read_memory(silent, 3, 3)
    chunked = write_tiny_cosmos3(tmp_path / "chunked", memory={"chunk_size": 4, "kv_window": 96})
    with pytest.raises(WeightsError, match="paints chunks of 4 latent frames"):
        read_memory(chunked, None, None)


def test_nets_that_do_not_belong_together_are_refused(folder, tiny25, tmp_path):
    mixed = shutil.copytree(folder, tmp_path / "mixed")
    shutil.rmtree(mixed / "vae")
    shutil.copytree(tiny25 / "general" / "vae", mixed / "vae")
    with pytest.raises(WeightsError, match="takes 48 latent channels, the autoencoder gives 16"):
        load_cosmos3(mixed, device="cpu", dtype=torch.float32)
    shutil.rmtree(mixed / "text_tokenizer")
    with pytest.raises(WeightsError, match="The tokenizer in"):
        load_cosmos3(mixed, device="cpu", dtype=torch.float32)
