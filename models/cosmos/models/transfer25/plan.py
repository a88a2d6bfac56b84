"""What Transfer2.5 will need before any of it is loaded, counted on its real nets without contents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch  # noqa: TID253

from cosmos.models.checkpoint import parameter_count
from cosmos.models.chunks import latent_frames, plan_chunks
from cosmos.models.fp8 import store_in_fp8
from cosmos.models.metering import Meter, build_empty, without_contents
from cosmos.models.published import (
    TRANSFER25_BRANCH,
    TRANSFER25_SECONDS,
    TRANSFER25_TEXT_PARAMETERS,
    TRANSFER25_TRANSFORMER,
)
from cosmos.models.runtime import diffusers_class, plain_attention
from cosmos.models.transfer25.sampling import Hint, Part, Transfer25
from cosmos.models.vae import decode, encode

GIB = float(2**30)
RESERVE = 1.0
"""What CUDA, its libraries and the allocator take besides tensors [GiB]; assumed."""

REFERENCE_FLOPS = 1.598e17
"""Operations of the clip that NVIDIA's published seconds are for: 93 frames of 1280 x 704, one branch, 35 steps."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a clip would need on a GPU in bfloat16."""

    parameters: Mapping[str, int]
    """Net -> parameters."""
    weights: float
    """Memory of the nets [GiB]."""
    text: float
    """Memory of the text encoder, alone on the device while a new prompt is read [GiB]."""
    phases: Mapping[str, float]
    """encode, denoise, decode -> peak of everything else that lives meanwhile [GiB]."""
    petaflops: float
    """Operations of the whole clip [1e15]."""
    chunks: int
    """Chunks of the clip."""

    @property
    def needed(self) -> float:
        """Memory that a device must have free, with prompts already embedded [GiB]."""
        return self.weights + max(self.phases.values()) + RESERVE

    def seconds(self) -> dict[str, float]:
        """Return GPU -> seconds, from NVIDIA's published times scaled by the operations [s]."""
        ratio = self.petaflops * 1e15 / REFERENCE_FLOPS
        return {name: seconds * ratio for name, seconds in TRANSFER25_SECONDS.items()}

    def verdict(self, free: float) -> str:
        """Say whether it fits a device of so much free memory [GiB]."""
        if self.needed > free:
            phase = max(self.phases, key=lambda name: self.phases[name])
            return (
                f"does not fit, because {phase} needs {self.phases[phase]:.1f} GiB besides {self.weights:.1f} GiB of "
                "weights; take fewer frames a chunk, a smaller size, fewer controls or vae_tiling"
            )
        if self.text + RESERVE > free:
            return f"fits for prompts embedded before; embedding a new one needs {self.text + RESERVE:.1f} GiB"
        return "fits"


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
    fp8: bool = False,
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
        fp8: Whether the large linear layers are stored in 8 bits.
        transformer: Constructor values of the transformer; the published ones by default.
        branch: Constructor values of a branch.
        vae: Constructor values of the autoencoder; ``None`` takes the published ones.

    Raises:
        ValueError: If frames, chunk and overlap do not go together.
    """
    chunks = plan_chunks(num_frames, chunk=chunk_frames, overlap=overlap)
    height, width = (-(-side // 16) * 16 for side in size)
    shape = (1, 3, len(chunks[0].sources), height, width)
    with without_contents():
        nets = _empty_nets(transformer, branch, vae or {}, branches)
        counted = _parameters(nets)
        if fp8:
            for net in (nets.transformer, *nets.branches.values()):
                store_in_fp8(net)
        if vae_tiling:
            nets.vae.enable_tiling()
        with Meter() as meter, plain_attention(torch.device("cpu")):
            phases, flops = _count(nets, meter, shape, int(transformer["crossattn_proj_in_channels"]))
    passes = num_steps * (2 if guidance > 0.0 else 1)
    each = branches * flops["encode"] + passes * flops["denoise"] + flops["decode"]
    return Plan(
        parameters=counted,
        weights=_weight_bytes(nets) / GIB,
        text=2.0 * TRANSFER25_TEXT_PARAMETERS / GIB,
        phases={name: peak / GIB for name, peak in phases.items()},
        petaflops=each * len(chunks) / 1e15,
        chunks=len(chunks),
    )


def _parameters(nets: Transfer25) -> dict[str, int]:
    """Return net -> parameters."""
    return {
        "transformer": parameter_count(nets.transformer),
        **{f"branch {kind}": parameter_count(net) for kind, net in nets.branches.items()},
        "autoencoder": parameter_count(nets.vae),
    }


def _weight_bytes(nets: Transfer25) -> int:
    """Return the bytes of all weights as they are stored."""
    every = (nets.transformer, nets.vae, *nets.branches.values())
    held = (tensor for net in every for tensor in (*net.parameters(), *net.buffers()))
    return sum(tensor.numel() * tensor.element_size() for tensor in held)


def _empty_nets(
    transformer: Mapping[str, Any], branch: Mapping[str, Any], vae: Mapping[str, Any], branches: int
) -> Transfer25:
    """Build the nets without contents."""
    dtype = torch.bfloat16
    return Transfer25(
        transformer=build_empty(lambda: diffusers_class("CosmosTransformer3DModel")(**transformer), dtype),
        branches={
            str(index): build_empty(lambda: diffusers_class("CosmosControlNetModel")(**branch), dtype)
            for index in range(branches)
        },
        vae=build_empty(lambda: diffusers_class("AutoencoderKLWan")(**vae), dtype),
        scheduler={},
    )


def _count(nets: Transfer25, meter: Meter, shape: tuple[int, ...], text: int) -> tuple[dict[str, int], dict[str, int]]:
    """Return the peak bytes and the operations of each phase: one control encoded, one pass, one decoding."""
    frames, height, width = latent_frames(shape[2]), shape[3] // 8, shape[4] // 8
    peaks, flops = {}, {}

    def ended(name: str) -> None:
        peaks[name], flops[name] = meter.peak, meter.flops
        meter.restart()

    def empty(*sizes: int) -> torch.Tensor:
        return torch.empty(sizes, dtype=nets.dtype)

    hints = {kind: Hint(video=empty(*shape), weight=1.0) for kind in nets.branches}
    part = Part(chunk=plan_chunks(1, chunk=5, overlap=1)[0], hints=hints)
    meter.restart()
    latents = {kind: encode(nets.vae, hint.video) for kind, hint in hints.items()}
    ended("encode")
    flops["encode"] //= len(hints)
    inputs = {
        "latents": empty(1, 16, frames, height, width),
        "timestep": torch.empty((1, 1, frames, 1, 1)),
        "condition_mask": empty(1, 1, frames, height, width),
        "padding_mask": empty(1, 1, shape[3], shape[4]),
    }
    states = empty(1, 512, text)
    flow = nets.flow(part, latents, inputs, states)
    ended("denoise")
    decode(nets.vae, flow)
    ended("decode")
    return peaks, flops


__all__ = ["REFERENCE_FLOPS", "RESERVE", "Plan", "plan_transfer25"]
