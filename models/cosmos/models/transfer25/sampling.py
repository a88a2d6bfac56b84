"""Denoising with several weighted control branches, part by part of a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.chunks import Chunk, latent_frames
from cosmos.models.runtime import diffusers_class, plain_attention
from cosmos.models.vae import decode, encode

SCHEDULES = ("shift", "karras")
"""Noise schedules: NVIDIA's own rectified flow with shift 5, and that of the published diffusers pipeline."""

_CONDITION_SIGMA = 0.1
"""Noise level that frames already made are shown with (NVIDIA's and diffusers' value)."""

Scale = Union[float, Tensor]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Hint:
    """One control of one part of a clip."""

    video: Tensor
    """Control video in [-1, 1], shape [1, 3, T, H, W]."""
    weight: Scale
    """A number, or one a token in the order t, h, w, shape [1, T' * H/16 * W/16, 1]."""
    block_gains: Sequence[float] = ()
    """Factor on the weight for each control block; empty is 1 for all."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Preserve:
    """What stays as the source shows it."""

    video: Tensor
    """The source in [-1, 1], shape [1, 3, T, H, W]."""
    mask: Tensor
    """1 where the source stays, in [0, 1], shape [1, 1, T, H, W]."""
    steps: int
    """Steps for which it is held; the rest blends."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part:
    """What the model is given for one part of a clip."""

    chunk: Chunk
    """Place in the clip."""
    hints: dict[str, Hint]
    """Branch -> control; at least one."""
    preserve: Preserve | None = None
    """What stays."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sampling:
    """How a clip is denoised."""

    states: Tensor
    """Embedding of the prompt, shape [1, 512, C]."""
    negative_states: Tensor | None
    """Embedding of the negative prompt; ``None`` exactly where guidance is 0."""
    num_steps: int
    """Steps of each part."""
    guidance: float
    """g of ``v + g (v - v_negative)``, as NVIDIA defines it; 0 leaves the negative prompt out."""
    schedule: str = "shift"
    """One of SCHEDULES."""
    noise: Callable[[int, tuple[int, ...]], Tensor] = field(kw_only=True)
    """Noise of a part: called with its number and a shape."""


class Transfer25:
    """The nets of Transfer2.5, loaded.

    Args:
        transformer: A ``CosmosTransformer3DModel``.
        branches: Hint -> ``CosmosControlNetModel``.
        vae: An ``AutoencoderKLWan``.
        scheduler: Configuration of the published scheduler.
    """

    def __init__(
        self, *, transformer: nn.Module, branches: dict[str, nn.Module], vae: nn.Module, scheduler: dict[str, Any]
    ) -> None:
        self.transformer: Any = transformer
        self.branches: dict[str, Any] = branches
        self.vae: Any = vae
        self._scheduler = scheduler

    @property
    def device(self) -> torch.device:
        """Where the nets are."""
        return next(self.transformer.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Type of their weights."""
        return next(self.transformer.parameters()).dtype

    def to(self, device: torch.device) -> None:
        """Move all nets."""
        for net in (self.transformer, self.vae, *self.branches.values()):
            net.to(device)

    def make_scheduler(self, schedule: str) -> Any:
        """Return a fresh UniPC scheduler of one of SCHEDULES."""
        unipc = diffusers_class("UniPCMultistepScheduler")
        if schedule == "shift":
            return unipc(use_flow_sigmas=True, flow_shift=5.0, prediction_type="flow_prediction")
        return unipc.from_config(self._scheduler)

    def paint(self, parts: Iterator[Part], sampling: Sampling, tell: Callable[[int, int], None]) -> Iterator[Tensor]:
        """Paint the parts of a clip, each conditioned on the last frames of the one before.

        Args:
            parts: The parts in order; read one at a time.
            sampling: How.
            tell: Told the number of the part and the steps done after each step; may raise to stop.

        Yields:
            Pictures of each part, not clamped, shape [1, 3, T, H, W].
        """
        previous: Tensor | None = None
        with plain_attention(self.device):
            for part in parts:
                with torch.inference_mode():
                    latents = self._denoise(part, previous, sampling, tell)
                    previous = decode(self.vae, latents)
                yield previous

    def _denoise(
        self, part: Part, previous: Tensor | None, sampling: Sampling, tell: Callable[[int, int], None]
    ) -> Tensor:
        """Denoise one part; return its latents."""
        controls = {kind: encode(self.vae, hint.video).to(self.dtype) for kind, hint in part.hints.items()}
        shape = tuple(next(iter(controls.values())).shape)
        noise = sampling.noise(part.chunk.index, shape).to(device=self.device, dtype=torch.float32)
        seen, shown = self._condition(part, previous, noise)
        kept = None if part.preserve is None else self._kept(part.preserve, shape)
        scheduler = self.make_scheduler(sampling.schedule)
        scheduler.set_timesteps(sampling.num_steps, device=self.device)
        latents, held = noise, (noise - seen) * shown
        for step, timestep in enumerate(scheduler.timesteps):
            sigma = float(scheduler.sigmas[step])
            if kept is not None and part.preserve is not None and step < part.preserve.steps:
                source, mask = kept
                latents = mask * (source * (1.0 - sigma) + noise * sigma) + (1.0 - mask) * latents
            inputs = self._inputs(part, latents, seen, shown, sigma)
            flow = self.flow(part, controls, inputs, sampling.states)
            flow = held + flow * (1.0 - shown)
            if sampling.guidance > 0.0 and sampling.negative_states is not None:
                away = self.flow(part, controls, inputs, sampling.negative_states)
                away = held + away * (1.0 - shown)
                flow = flow + sampling.guidance * (flow - away)
            latents = scheduler.step(flow, timestep, latents, return_dict=False)[0]
            tell(part.chunk.index, step + 1)
        return latents

    def _condition(self, part: Part, previous: Tensor | None, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the latents of frames already made, and where they stand, 1 or 0, shape [1, 1, T', h, w]."""
        shown = noise.new_zeros((1, 1, *noise.shape[2:]))
        if previous is None or part.chunk.overlap == 0:
            return torch.zeros_like(noise), shown
        video = torch.full_like(previous, -1.0)
        video[:, :, : part.chunk.overlap] = previous[:, :, -part.chunk.overlap :]
        shown[:, :, : latent_frames(part.chunk.overlap)] = 1.0
        return encode(self.vae, video).float(), shown

    def _kept(self, preserve: Preserve, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Return the latents of the source and the mask at their size: the mean of the pixels a latent covers."""
        mask = preserve.mask.float()
        frames, height, width = shape[2:]
        first = functional.adaptive_avg_pool3d(mask[:, :, :1], (1, height, width))
        if frames > 1:
            rest = functional.adaptive_avg_pool3d(mask[:, :, 1:], (frames - 1, height, width))
            first = torch.cat([first, rest], dim=2)
        return encode(self.vae, preserve.video).float(), first.to(self.device)

    def _inputs(self, part: Part, latents: Tensor, seen: Tensor, shown: Tensor, sigma: float) -> dict[str, Tensor]:
        """Return what all nets are shown in one step."""
        dtype, frame = self.dtype, shown[:, :, :, :1, :1]
        # In this order as the published pipeline rounds it: the level of noise first, the mixture next.
        level = torch.tensor([sigma]).to(device=self.device, dtype=dtype)
        height, width = next(iter(part.hints.values())).video.shape[-2:]
        return {
            "latents": (shown * seen + (1.0 - shown) * latents).to(dtype),
            "timestep": frame * _CONDITION_SIGMA + (1.0 - frame) * level,
            "condition_mask": shown.to(dtype),
            "padding_mask": torch.zeros((1, 1, height, width), device=self.device, dtype=dtype),
        }

    def flow(self, part: Part, controls: dict[str, Tensor], inputs: dict[str, Tensor], states: Tensor) -> Tensor:
        """Run all branches and the transformer for one prompt; return the velocity.

        Args:
            part: The hints and their weights.
            controls: Hint -> latents of its video.
            inputs: What all nets are shown: latents, timestep, condition_mask, padding_mask.
            states: Embedding of the prompt.
        """
        text = self._text(states)
        residuals: list[Tensor] = []
        for kind, hint in part.hints.items():
            branch = self.branches[kind]
            made = branch(
                controls_latents=controls[kind],
                encoder_hidden_states=text,
                conditioning_scale=_scales(hint, len(branch.control_blocks)),
                return_dict=False,
                **inputs,
            )[0]
            residuals = made if not residuals else [total + more for total, more in zip(residuals, made, strict=True)]
        shared = {name: value for name, value in inputs.items() if name != "latents"}
        flow: Tensor = self.transformer(
            hidden_states=inputs["latents"],
            encoder_hidden_states=text,
            block_controlnet_hidden_states=residuals,
            return_dict=False,
            **shared,
        )[0]
        return flow

    def _text(self, states: Tensor) -> Any:
        """Return the prompt as the nets take it, with an empty image context where they want one."""
        config = self.transformer.config
        if not config.img_context_dim_in:
            return states
        shape = (1, config.img_context_num_tokens, config.img_context_dim_in)
        return states, torch.zeros(shape, device=self.device, dtype=self.dtype)


def _scales(hint: Hint, blocks: int) -> list[Scale]:
    """Return the weight of each control block."""
    gains = list(hint.block_gains) or [1.0] * blocks
    return [hint.weight if gain == 1.0 else hint.weight * gain for gain in gains]


__all__ = ["SCHEDULES", "Hint", "Part", "Preserve", "Sampling", "Transfer25"]
