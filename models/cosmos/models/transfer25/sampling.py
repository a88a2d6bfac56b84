"""Denoising with several weighted control branches, part by part of a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Union

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.chunks import Chunk, latent_frames
from cosmos.models.distilled import SIGMAS
from cosmos.models.placement import aside, move
from cosmos.models.runtime import diffusers_class, plain_attention
from cosmos.models.vae import decode, encode

SCHEDULES = ("shift", "karras", "distilled")
"""Noise schedules: NVIDIA's own rectified flow with shift 5, that of the published diffusers pipeline, and the four
steps of the distilled model."""

_CONDITION_SIGMAS = {"shift": 0.1, "karras": 0.1, "distilled": 1e-4}
"""Schedule -> noise level that frames already made are shown with (NVIDIA's values)."""

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
    """Steps of each part; the distilled schedule has four."""
    guidance: float
    """g of ``v + g (v - v_negative)``, as NVIDIA defines it; 0 leaves the negative prompt out."""
    schedule: str = "shift"
    """One of SCHEDULES."""
    noise: Callable[[int, tuple[int, ...]], Tensor] = field(kw_only=True)
    """Noise of a part: called with its number and a shape."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Given:
    """What stays the same over all steps of one part."""

    part: Part
    controls: dict[str, Tensor]
    noise: Tensor
    seen: Tensor
    """Latents of frames already made."""
    shown: Tensor
    """Where they stand, 1 or 0."""
    source: Tensor | None
    """Latents of what is preserved."""
    mask: Tensor
    """Where it is."""

    def hold(self, latents: Tensor, step: int, sigma: float) -> Tensor:
        """Put the source, as noisy as the latents are, where it is preserved."""
        if self.source is None or self.part.preserve is None or step >= self.part.preserve.steps:
            return latents
        return self.mask * (self.source * (1.0 - sigma) + self.noise * sigma) + (1.0 - self.mask) * latents


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
        """Move all nets, but for blocks that wait in main memory."""
        for net in (self.transformer, self.vae, *self.branches.values()):
            move(net, device)

    def make_scheduler(self, schedule: str) -> Any:
        """Return a fresh UniPC scheduler of one of SCHEDULES; the distilled model needs none."""
        unipc = diffusers_class("UniPCMultistepScheduler")
        if schedule == "shift":
            return unipc(use_flow_sigmas=True, flow_shift=5.0, prediction_type="flow_prediction")
        return unipc.from_config(self._scheduler)

    def paint(
        self,
        parts: Iterator[Part],
        sampling: Sampling,
        tell: Callable[[int, int], None],
        previous: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """Paint the parts of a clip, each conditioned on the last frames of the one before.

        Args:
            parts: The parts in order; read one at a time.
            sampling: How.
            tell: Told the number of the part and the steps done after each step; may raise to stop.
            previous: Pictures of the part before these, where they do not begin the clip; the last frames matter.

        Yields:
            Pictures of each part, not clamped, shape [1, 3, T, H, W].
        """
        for part in parts:
            with plain_attention(self.device), torch.inference_mode():
                latents = self._denoise(part, previous, sampling, tell)
                with aside(self.transformer, *self.branches.values()):
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
        source, mask = (None, shown) if part.preserve is None else self._kept(part.preserve, shape)
        given = _Given(part=part, controls=controls, noise=noise, seen=seen, shown=shown, source=source, mask=mask)
        walk = self._four_steps if sampling.schedule == "distilled" else self._many_steps
        with aside(self.vae):
            return walk(given, sampling, lambda step: tell(part.chunk.index, step))

    def _many_steps(self, given: _Given, sampling: Sampling, tell: Callable[[int], None]) -> Tensor:
        """Follow the velocity with guidance, as the base model was trained for."""
        part, controls, shown = given.part, given.controls, given.shown
        scheduler = self.make_scheduler(sampling.schedule)
        scheduler.set_timesteps(sampling.num_steps, device=self.device)
        latents, held = given.noise, (given.noise - given.seen) * shown
        for step, timestep in enumerate(scheduler.timesteps):
            sigma = float(scheduler.sigmas[step])
            latents = given.hold(latents, step, sigma)
            inputs = self._inputs(given, latents, sigma, sampling.schedule)
            flow = self.flow(part, controls, inputs, sampling.states)
            flow = held + flow * (1.0 - shown)
            if sampling.guidance > 0.0 and sampling.negative_states is not None:
                away = self.flow(part, controls, inputs, sampling.negative_states)
                away = held + away * (1.0 - shown)
                flow = flow + sampling.guidance * (flow - away)
            latents = scheduler.step(flow, timestep, latents, return_dict=False)[0]
            tell(step + 1)
        return latents

    def _four_steps(self, given: _Given, sampling: Sampling, tell: Callable[[int], None]) -> Tensor:
        """Jump to the clean picture and back to less of the first noise, as the distilled model was trained for."""
        latents, clean = given.noise, given.noise
        for step, sigma in enumerate(SIGMAS):
            latents = given.hold(latents, step, sigma)
            inputs = self._inputs(given, latents, sigma, sampling.schedule)
            clean = latents - sigma * self.flow(given.part, given.controls, inputs, sampling.states).float()
            clean = given.shown * given.seen + (1.0 - given.shown) * clean
            if step + 1 < len(SIGMAS):
                latents = (1.0 - SIGMAS[step + 1]) * clean + SIGMAS[step + 1] * given.noise
            tell(step + 1)
        return clean

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

    def _inputs(self, given: _Given, latents: Tensor, sigma: float, schedule: str) -> dict[str, Tensor]:
        """Return what all nets are shown in one step."""
        dtype, seen, shown = self.dtype, given.seen, given.shown
        frame = shown[:, :, :, :1, :1]
        # In this order as the published pipeline rounds it: the level of noise first, the mixture next.
        level = torch.tensor([sigma]).to(device=self.device, dtype=dtype)
        height, width = next(iter(given.part.hints.values())).video.shape[-2:]
        return {
            "latents": (shown * seen + (1.0 - shown) * latents).to(dtype),
            "timestep": frame * _CONDITION_SIGMAS[schedule] + (1.0 - frame) * level,
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
