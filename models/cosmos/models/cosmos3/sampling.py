"""Denoising with Cosmos 3: any number of control videos in one sequence with the noisy one, part by part of a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253

from cosmos.models.chunks import Chunk, latent_frames
from cosmos.models.cosmos3.packing import Packed, pack
from cosmos.models.cosmos3.weighting import weighted
from cosmos.models.placement import aside
from cosmos.models.runtime import diffusers_class, plain_attention
from cosmos.models.vae import decode, encode

ORDER = ("edge", "blur", "depth", "seg", "wsm")
"""Hints in the order that the model was trained on."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Part3:
    """One part of a clip."""

    chunk: Chunk
    """Place in the clip."""
    controls: tuple[Tensor, ...]
    """Control videos in [-1, 1], each of shape [1, 3, T, H, W], in the order of ORDER; at least one."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sampling3:
    """How a clip is denoised."""

    ids: list[int]
    """Tokens of the prompt."""
    negative_ids: list[int]
    """Tokens of the negative prompt; read where guidance is above 1."""
    num_steps: int
    """Steps of each part."""
    guidance: float
    """g of ``v_negative + g (v - v_negative)``; 1 or less leaves the negative prompt out."""
    control_guidance: float
    """s of ``v_uncontrolled + s (v - v_uncontrolled)``; 1 leaves it out."""
    fps: float
    """Frames a second."""
    noise: Callable[[int, tuple[int, ...]], Tensor]
    """Noise of a part: called with its number and a shape."""
    shift: float | None = None
    """Shift of the noise schedule; ``None`` keeps the published one."""
    weights: Sequence[float] = ()
    """One a control, summing to 1: each control gets an attention of its own; empty lets all share one."""


class Cosmos3:
    """The nets of Cosmos 3 for control-to-video.

    Args:
        transformer: A ``Cosmos3OmniTransformer``.
        vae: An ``AutoencoderKLWan`` of the Wan2.2 kind.
        scheduler: Configuration of the published scheduler.
    """

    def __init__(self, transformer: Any, vae: Any, scheduler: dict[str, Any]) -> None:
        self.transformer, self.vae, self._scheduler = transformer, vae, scheduler

    @property
    def device(self) -> torch.device:
        """Where the nets are."""
        return self.transformer.proj_in.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of their weights."""
        return self.transformer.proj_in.weight.dtype

    def make_scheduler(self, shift: float | None) -> Any:
        """Return a fresh UniPC scheduler."""
        unipc = diffusers_class("UniPCMultistepScheduler")
        if shift is None:
            return unipc.from_config(self._scheduler)
        changed = {"use_flow_sigmas": True, "use_karras_sigmas": False, "flow_shift": shift}
        return unipc.from_config(self._scheduler, **changed)

    def paint(
        self,
        parts: Iterator[Part3],
        sampling: Sampling3,
        tell: Callable[[int, int], None],
        previous: Tensor | None = None,
    ) -> Iterator[Tensor]:
        """Paint the parts of a clip, each begun with the last frames of the one before.

        Args:
            parts: The parts in order; read one at a time.
            sampling: How.
            tell: Told the number of the part and the steps done after each step; may raise to stop.
            previous: Pictures of the part before these, where they do not begin the clip; the last frames matter.

        Yields:
            Pictures of each part, clamped to [-1, 1], shape [1, 3, T, H, W].
        """
        for part in parts:
            with plain_attention(self.device), torch.inference_mode():
                latents = self._denoise(part, previous, sampling, tell)
                with aside(self.transformer):
                    previous = decode(self.vae, latents).clamp_(-1.0, 1.0)
            yield previous

    def _denoise(
        self, part: Part3, previous: Tensor | None, sampling: Sampling3, tell: Callable[[int, int], None]
    ) -> Tensor:
        controls = [encode(self.vae, video).float() for video in part.controls]
        shape = tuple(controls[0].shape)
        begun, shown = self._begin(part, previous, shape)
        mask = torch.ones((1, 1, shape[2], 1, 1), device=self.device)
        mask[:, :, :shown] = 0.0
        latents = (1.0 - mask) * begun + mask * sampling.noise(part.chunk.index, shape).to(self.device)
        scheduler = self.make_scheduler(sampling.shift)
        scheduler.set_timesteps(sampling.num_steps, device=self.device)
        with aside(self.vae):
            for step, timestep in enumerate(scheduler.timesteps):
                flow = self._guided(controls, latents, float(timestep), shown, sampling)
                latents = scheduler.step(flow * mask, timestep, latents, return_dict=False)[0]
                latents = mask * latents + (1.0 - mask) * begun
                tell(part.chunk.index, step + 1)
        return latents

    def _begin(self, part: Part3, previous: Tensor | None, shape: tuple[int, ...]) -> tuple[Tensor, int]:
        """Return the latents of frames already made, held to the end, and how many latent frames they are."""
        overlap = part.chunk.overlap
        if previous is None or overlap == 0:
            return torch.zeros(shape, device=self.device), 0
        last = previous[:, :, -1:].expand(-1, -1, previous.shape[2] - overlap, -1, -1)
        video = torch.cat([previous[:, :, -overlap:], last], dim=2).to(self.device)
        return encode(self.vae, video).float(), latent_frames(overlap)

    def _guided(self, controls: list[Tensor], latents: Tensor, time: float, shown: int, sampling: Sampling3) -> Tensor:
        """Return the velocity with control guidance inside of prompt guidance."""

        def run(ids: list[int], given: list[Tensor]) -> Tensor:
            packed = pack(
                self.transformer.config,
                ids,
                shape=tuple(latents.shape),
                controls=len(given),
                shown=shown,
                fps=sampling.fps,
                device=self.device,
            )
            with weighted(self.transformer, sampling.weights if given else ()):
                return self.flow(packed, [*given, latents], time)

        flow = run(sampling.ids, controls)
        if sampling.control_guidance != 1.0:
            free = run(sampling.ids, [])
            flow = free + sampling.control_guidance * (flow - free)
        if sampling.guidance > 1.0:
            away = run(sampling.negative_ids, controls)
            flow = away + sampling.guidance * (flow - away)
        return flow

    def flow(self, packed: Packed, videos: list[Tensor], time: float) -> Tensor:
        """Run the transformer once; return the velocity of the last video.

        Args:
            packed: The sequence.
            videos: Latents of the controls, then of the noisy video, each of shape [1, C, T', h, w].
            time: Level of noise, in [0, 1000].
        """
        flow: Tensor = self.transformer(
            vision_tokens=[video.to(self.dtype) for video in videos],
            vision_timesteps=torch.full((packed.noisy_tokens,), time, device=self.device),
            return_dict=False,
            **packed.fields,
        )[0][-1]
        return flow.float()


__all__ = ["ORDER", "Cosmos3", "Part3", "Sampling3"]
