"""What Cosmos 3 and its streaming model will need before any of them is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch  # noqa: TID253

from cosmos.models.chunks import latent_frames, plan_chunks
from cosmos.models.cosmos3.causal import CausalTransformer
from cosmos.models.cosmos3.export import read_export
from cosmos.models.cosmos3.packing import pack
from cosmos.models.cosmos3.sampling import Cosmos3
from cosmos.models.cosmos3.streaming import FRAMES_AT_ONCE, SimStream
from cosmos.models.planning import (
    AUTOENCODER,
    Plan,
    Reference,
    config_of,
    counting,
    empty_net,
    make_plan,
    padded,
    without_contents,
)
from cosmos.models.published import COSMOS3_SECONDS, COSMOS3_TRANSFORMER, COSMOS3_VAE, SIM_TRANSFER_SECONDS
from cosmos.models.vae import decode, encode

REFERENCE = Reference(
    clip="189 frames of 720 x 1280 from text, 35 steps, guided, with diffusers (NVIDIA's Cosmos 3 benchmarks)",
    flops=1.280e17,
    seconds=COSMOS3_SECONDS,
)
"""What times of Cosmos 3 are scaled from."""

SIM_REFERENCE = Reference(
    clip="4 frames of 640 x 640, window 8, compiled (Isaac Lab's Cosmos service)",
    flops=7.875e13,
    seconds=SIM_TRANSFER_SECONDS,
)
"""What times of Sim-Transfer are scaled from."""

_WINDOW = 30
"""Latent frames that NVIDIA's recipe for framewise streams remembers."""
_TOKENS = 400
"""Tokens of a prompt with the model's system prompt; assumed."""


def plan_cosmos3(
    *,
    size: tuple[int, int],
    num_frames: int,
    controls: int = 1,
    num_steps: int = 50,
    guidance: float = 3.0,
    control_guidance: float = 1.5,
    chunk_frames: int = 121,
    overlap: int = 1,
    vae_tiling: bool = False,
    folder: Path | None = None,
    transformer: Mapping[str, Any] = COSMOS3_TRANSFORMER,
    vae: Mapping[str, Any] = COSMOS3_VAE,
) -> Plan:
    """Run the nets once on tensors without contents and count.

    Args:
        size: Height and width [px], padded to multiples of 32.
        num_frames: Frames of the clip.
        controls: Controls that act; 0 paints from text alone.
        num_steps: Denoising steps.
        guidance: 1 or less spares the negative prompt.
        control_guidance: 1 spares the pass without controls.
        chunk_frames: Frames of a chunk.
        overlap: Frames that chunks share.
        vae_tiling: Whether the autoencoder works in tiles.
        folder: Checkpoint whose configurations are taken instead of the published ones.
        transformer: Constructor values of the transformer; the published ones of Nano by default.
        vae: Constructor values of the autoencoder.

    Raises:
        ValueError: If frames, chunk and overlap do not go together.
        WeightsError: If a configuration of the checkpoint cannot be used.
    """
    chunks = plan_chunks(num_frames, chunk=chunk_frames, overlap=overlap)
    frames = len(chunks[0].sources)
    height, width = padded(size, 32)
    with without_contents():
        nets = _nets(folder, transformer, vae)
        if vae_tiling:
            nets.vae.enable_tiling()
        with counting() as counter:
            latents = _empty(nets, 1, nets.vae.config.z_dim, latent_frames(frames), height // 16, width // 16)
            shown = [_empty(nets, 1, 3, frames, height, width) for _ in range(controls)]  # held while the part is made
            videos = [encode(nets.vae, video) for video in shown]
            counter.end("encode")
            free = _flow(nets, [latents])
            counter.end("denoise without controls")
            flow = _flow(nets, [*videos, latents]) if controls else free
            counter.end("denoise")
            decode(nets.vae, flow)
            counter.end("decode")
        bare = counter.flops.pop("denoise without controls")
        counter.peaks["denoise"] = max(counter.peaks["denoise"], counter.peaks.pop("denoise without controls"))
        full = counter.flops["denoise"] if controls else bare
        guided, controlled = guidance > 1.0, controls > 0 and control_guidance != 1.0
        step = full * (2 if guided else 1) + (bare if controlled else 0)
        each = counter.flops["encode"] + num_steps * step + counter.flops["decode"]
        return make_plan(
            _modules(nets),
            counter.peaks,
            flops=each * len(chunks),
            passes=num_steps * len(chunks) * (1 + guided + controlled),
            chunks=len(chunks),
            reference=REFERENCE,
        )


def plan_sim_transfer(
    *,
    size: tuple[int, int],
    num_frames: int,
    window: int | None = None,
    views: int = 1,
    chunk_frames: int | None = None,
    folder: Path | None = None,
    transformer: Mapping[str, Any] = COSMOS3_TRANSFORMER,
    vae: Mapping[str, Any] = COSMOS3_VAE,
) -> Plan:
    """Paint the last piece of a clip with a full memory, on tensors without contents, and count.

    Args:
        size: Height and width [px], padded to multiples of 32.
        num_frames: Frames of the clip.
        window: Latent frames that one sees at most, itself among them; ``None`` reads it from the checkpoint, or takes
            30 without one.
        views: Streams that share the nets, in turns.
        chunk_frames: Frames that are painted together, after the first; from 8 on, nothing is forgotten. ``None`` reads
            it from the checkpoint, or takes 4 without one.
        folder: Checkpoint whose configurations are taken instead of the published ones.
        transformer: Constructor values of the transformer; the published ones of Nano by default.
        vae: Constructor values of the autoencoder.

    Raises:
        ValueError: If there are no frames, no window or no views, or the frames of a chunk are no multiple of 4.
        WeightsError: If a configuration of the checkpoint cannot be used.
    """
    if min(num_frames, 1 if window is None else window, views) < 1:
        raise ValueError(f"A stream has a frame, a window and a view or more, got {num_frames}, {window}, {views}.")
    chunk, window = _streaming(folder, chunk_frames, window)
    height, width = padded(size, 32)
    pieces = 1 + -(-(num_frames - 1) // (FRAMES_AT_ONCE * chunk))
    remembered = (pieces - 1) * chunk if window is None else window - 1  # pairs before the last piece
    with without_contents():
        nets = _nets(folder, transformer, vae)
        net = CausalTransformer(nets.transformer)
        with counting() as counter:
            text = net.read([1] * _TOKENS)
            stream = SimStream(net, nets.vae, text, seed=0, fps=30.0, window=None, sinks=0, chunk=chunk)
            stream.push(_empty(nets, 1, 3, 1, height, width))
            counter.end("first")
            pair = sum(key.nbytes + value.nbytes for block in stream.history.blocks for key, value in block)
            # The memory is filled with copies of the first pair, which cost nothing here and are added below.
            first, idle = list(stream.history.blocks), counter.live - pair
            stream.history.blocks = first * remembered
            stream.push(_empty(nets, 1, 3, stream.wanted, height, width))
            counter.end("step")
            if window is None and remembered > 1:  # half of it on average
                stream.history.blocks = first * (remembered // 2)
                stream.push(_empty(nets, 1, 3, stream.wanted, height, width))
                counter.end("half")
        held = idle + (remembered + chunk) * pair
        steps = pieces * views
        return make_plan(
            _modules(nets),
            {"step": counter.peaks["step"] + (remembered - 1) * pair + (views - 1) * held},
            flops=counter.flops.get("half", counter.flops["step"]) * steps,
            passes=(5 + chunk) * steps,
            reference=SIM_REFERENCE,
        )


def _streaming(folder: Path | None, chunk_frames: int | None, window: int | None) -> tuple[int, int | None]:
    """Return latent frames of a chunk and of the window, as given, as a checkpoint says, or as published."""
    if chunk_frames is not None and (chunk_frames < FRAMES_AT_ONCE or chunk_frames % FRAMES_AT_ONCE):
        raise ValueError(f"A stream paints a multiple of {FRAMES_AT_ONCE} frames together, got {chunk_frames}.")
    chunk = 1 if chunk_frames is None else chunk_frames // FRAMES_AT_ONCE
    if folder is not None and chunk_frames is None and window is None:
        export = read_export(folder)
        return export.chunk, export.window
    if chunk > 1 and window is not None:
        raise ValueError("A stream that paints several latent frames together forgets nothing; leave the window out.")
    return chunk, None if chunk > 1 else window or _WINDOW


def _nets(folder: Path | None, transformer: Mapping[str, Any], vae: Mapping[str, Any]) -> Cosmos3:
    return Cosmos3(
        empty_net("Cosmos3OmniTransformer", config_of(folder, "transformer", transformer)),
        empty_net("AutoencoderKLWan", config_of(folder, "vae", vae)),
        {},
    )


def _modules(nets: Cosmos3) -> dict[str, torch.nn.Module]:
    return {"transformer": nets.transformer, AUTOENCODER: nets.vae}


def _empty(nets: Cosmos3, *sizes: int) -> torch.Tensor:
    return torch.empty(sizes, dtype=nets.dtype)


def _flow(nets: Cosmos3, videos: list[torch.Tensor]) -> torch.Tensor:
    """Run the transformer once."""
    packed = pack(
        nets.transformer.config,
        [1] * _TOKENS,
        shape=tuple(videos[-1].shape),
        controls=len(videos) - 1,
        shown=0,
        fps=30.0,
        device=torch.device("cpu"),
    )
    return nets.flow(packed, videos, 500.0)


__all__ = ["REFERENCE", "SIM_REFERENCE", "plan_cosmos3", "plan_sim_transfer"]
