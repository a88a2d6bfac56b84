"""What Transfer2.5 will need before any of it is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch  # noqa: TID253

from cosmos.models.chunks import latent_frames, plan_chunks
from cosmos.models.planning import (
    AUTOENCODER,
    GIB,
    Counter,
    Plan,
    Reference,
    config_of,
    counting,
    empty_net,
    make_plan,
    padded,
    without_contents,
)
from cosmos.models.published import (
    TRANSFER25_BRANCH,
    TRANSFER25_SECONDS,
    TRANSFER25_TEXT_PARAMETERS,
    TRANSFER25_TRANSFORMER,
)
from cosmos.models.transfer25.loading import BRANCH_FOLDERS, find_branches
from cosmos.models.transfer25.sampling import Hint, Part, Transfer25
from cosmos.models.vae import decode, encode
from cosmos.models.weights import WeightsError

REFERENCE = Reference(
    clip="93 frames of 704 x 1280 with seg, 35 steps, guidance 3 (NVIDIA's Transfer2.5 documentation)",
    flops=1.598e17,
    seconds=TRANSFER25_SECONDS,
)
"""What times are scaled from."""


def plan_transfer25(
    *,
    size: tuple[int, int],
    num_frames: int,
    branches: int = 1,
    num_steps: int = 35,
    guidance: float = 3.0,
    chunk_frames: int = 93,
    overlap: int = 1,
    vae_tiling: bool = False,
    folder: Path | None = None,
    transformer: Mapping[str, Any] = TRANSFER25_TRANSFORMER,
    branch: Mapping[str, Any] = TRANSFER25_BRANCH,
    vae: Mapping[str, Any] | None = None,
) -> Plan:
    """Run the nets once on tensors without contents and count.

    Args:
        size: Height and width [px], padded to multiples of 16.
        num_frames: Frames of the clip.
        branches: Control branches that are loaded and act.
        num_steps: Denoising steps.
        guidance: 0 spares the negative prompt and with it half of the time.
        chunk_frames: Frames of a chunk.
        overlap: Frames that chunks share.
        vae_tiling: Whether the autoencoder works in tiles.
        folder: Checkpoint whose configurations are taken instead of the published ones.
        transformer: Constructor values of the transformer; the published ones by default.
        branch: Constructor values of a branch.
        vae: Constructor values of the autoencoder; ``None`` takes the published ones.

    Raises:
        ValueError: If frames, chunk and overlap do not go together.
        WeightsError: If a configuration of the checkpoint cannot be used.
    """
    chunks = plan_chunks(num_frames, chunk=chunk_frames, overlap=overlap)
    shape = (1, 3, len(chunks[0].sources), *padded(size, 16))
    config = config_of(folder, "general/transformer", transformer)
    with without_contents():
        nets = Transfer25(
            transformer=empty_net("CosmosTransformer3DModel", config),
            branches={
                str(index): empty_net("CosmosControlNetModel", config_of(folder, _branch_folder(folder), branch))
                for index in range(branches)
            },
            vae=empty_net("AutoencoderKLWan", config_of(folder, "general/vae", vae or {})),
            scheduler={},
        )
        modules = {
            "transformer": nets.transformer,
            **{f"branch {kind}": net for kind, net in nets.branches.items()},
            AUTOENCODER: nets.vae,
        }
        if vae_tiling:
            nets.vae.enable_tiling()
        with counting() as counter:
            _count(nets, counter, shape, int(config["crossattn_proj_in_channels"]))
        passes = num_steps * (2 if guidance > 0.0 else 1)
        each = counter.flops["encode"] + passes * counter.flops["denoise"] + counter.flops["decode"]
        return make_plan(
            modules,
            counter.peaks,
            flops=each * len(chunks),
            passes=passes * len(chunks),
            chunks=len(chunks),
            reference=REFERENCE,
            text=2.0 * TRANSFER25_TEXT_PARAMETERS / GIB,
        )


def _branch_folder(folder: Path | None) -> str:
    """Return the folder of a branch; all have one shape."""
    there = find_branches(folder) if folder is not None else ("edge",)
    if not there:
        raise WeightsError(f"There is no branch in {folder}; give the folder with general and controlnet.")
    return f"controlnet/{BRANCH_FOLDERS[there[0]]}"


def _count(nets: Transfer25, counter: Counter, shape: tuple[int, ...], text: int) -> None:
    """Count each phase: all controls encoded, one pass, one decoding."""
    frames, height, width = latent_frames(shape[2]), shape[3] // 8, shape[4] // 8

    def empty(*sizes: int) -> torch.Tensor:
        return torch.empty(sizes, dtype=nets.dtype)

    hints = {kind: Hint(video=empty(*shape), weight=1.0) for kind in nets.branches}
    part = Part(chunk=plan_chunks(1, chunk=5, overlap=1)[0], hints=hints)
    latents = {kind: encode(nets.vae, hint.video) for kind, hint in hints.items()}
    counter.end("encode")
    inputs = {
        "latents": empty(1, 16, frames, height, width),
        "timestep": torch.empty((1, 1, frames, 1, 1)),
        "condition_mask": empty(1, 1, frames, height, width),
        "padding_mask": empty(1, 1, shape[3], shape[4]),
    }
    states = empty(1, 512, text)
    flow = nets.flow(part, latents, inputs, states)
    counter.end("denoise")
    decode(nets.vae, flow)
    counter.end("decode")


__all__ = ["REFERENCE", "plan_transfer25"]
