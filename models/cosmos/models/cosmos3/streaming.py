"""Streaming control-to-video: frames go in as a simulator makes them, pictures come out, a few at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253

from cosmos.models.cosmos3.causal import CausalTransformer, History, Text
from cosmos.models.distilled import SIGMAS
from cosmos.models.runtime import plain_attention
from cosmos.models.vae import latent_statistics

FRAMES_AT_ONCE = 4
"""Frames of a latent frame, after the first, which has one."""


class SimStream:
    """One view: its prompt, its history and its autoencoder's memory. Many streams may share the nets.

    Args:
        transformer: The net.
        vae: The autoencoder; only its weights are used, its own memory is not touched.
        text: The prompt, read.
        seed: Decides all noise of this stream.
        fps: Frames a second.
        window: Latent frames that one sees at most, itself among them; ``None`` forgets nothing.
        sinks: Of these, first ones that are never forgotten.
        chunk: Latent frames that are painted together, after the first one, which is painted alone.
    """

    def __init__(
        self,
        transformer: CausalTransformer,
        vae: Any,
        text: Text,
        *,
        seed: int,
        fps: float,
        window: int | None,
        sinks: int,
        chunk: int = 1,
    ) -> None:
        self._net, self._vae, self._text, self._fps, self._chunk = transformer, vae, text, fps, chunk
        self.history = History(window=window, sinks=sinks)
        """What it remembers."""
        self._noise = torch.Generator("cpu").manual_seed(seed % 2**63)
        self._encoder_memory: list[Any] = [None] * vae._cached_conv_counts["encoder"]
        self._decoder_memory: list[Any] = [None] * vae._cached_conv_counts["decoder"]
        self._frame = 0

    @property
    def device(self) -> torch.device:
        """Where the nets are."""
        return self._net.device

    @property
    def wanted(self) -> int:
        """Frames that the next `push` takes: 1 at first, then 4 for each latent frame of a chunk."""
        return FRAMES_AT_ONCE * self._chunk if self._frame else 1

    def push(
        self, control: Tensor, tell: Callable[[int], None] | None = None, known: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Paint the next latent frames.

        Args:
            control: Control frames in [-1, 1], shape [1, 3, wanted, H, W].
            tell: Told the steps done after each; may raise to stop, after which the stream is of no more use.
            known: Latents that an equal stream painted here before; taken instead of painting, and not told.

        Returns:
            Pictures, clamped to [-1, 1], of the same shape, and their latents, float32, shape [1, C, n, h, w].

        Raises:
            ValueError: If another number of frames comes, or ``known`` has another shape.
        """
        if control.shape[2] != self.wanted:
            raise ValueError(f"The stream takes {self.wanted} frames now, got {control.shape[2]}.")
        with plain_attention(self._net.device), torch.inference_mode():
            latent = self._encode(control.to(device=self._net.device, dtype=self._net.dtype))
            self.history.trim()
            self._net.commit(latent, self._frame, self._fps, self._text, self.history)
            painted = self._sample(latent.shape, tell) if known is None else self._recall(latent.shape, known)
            for place, one in enumerate(painted.split(1, dim=2)):
                self._net.commit(one, self._frame + place, self._fps, self._text, self.history)
            pictures = self._decode(painted)
        self._frame += painted.shape[2]
        return pictures, painted

    def _sample(self, shape: torch.Size, tell: Callable[[int], None] | None) -> Tensor:
        """Denoise in four steps; between them fresh noise comes back in, as the model was distilled with."""
        x = self._draw(shape)
        for step, sigma in enumerate(SIGMAS):
            flow = self._net.flow(x, sigma, self._frame, self._fps, self._text, self.history).float()
            clean = x - sigma * flow
            last = step + 1 == len(SIGMAS)
            x = clean if last else (1.0 - SIGMAS[step + 1]) * clean + SIGMAS[step + 1] * self._draw(shape)
            if tell is not None:
                tell(step + 1)
        return x

    def _recall(self, shape: torch.Size, known: Tensor) -> Tensor:
        """Return known latents; the noise that painted them is drawn too, so that later noise stays what it was."""
        if known.shape != shape:
            raise ValueError(f"The stream paints latents of {list(shape)} here, got known ones of {list(known.shape)}.")
        for _ in SIGMAS:
            self._draw(shape)
        return known.to(self._net.device)

    def _draw(self, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=self._noise).to(self._net.device)

    def _encode(self, frames: Tensor) -> Tensor:
        """Encode the next frames with what the autoencoder remembers of those before."""
        latents = []
        for part in frames.split(FRAMES_AT_ONCE, dim=2):
            folded = _patchify(part, self._vae.config.patch_size)
            moments = self._vae.quant_conv(self._vae.encoder(folded, feat_cache=self._encoder_memory, feat_idx=[0]))
            latent = moments.chunk(2, dim=1)[0]
            mean, std = latent_statistics(self._vae, latent)
            latents.append((latent - mean) / std)
        return torch.cat(latents, dim=2)

    def _decode(self, latents: Tensor) -> Tensor:
        """Decode the next latent frames."""
        pictures = []
        for place, latent in enumerate(latents.to(self._net.dtype).split(1, dim=2)):
            mean, std = latent_statistics(self._vae, latent)
            out = self._vae.decoder(
                self._vae.post_quant_conv(latent * std + mean),
                feat_cache=self._decoder_memory,
                feat_idx=[0],
                first_chunk=self._frame + place == 0,
            )
            pictures.append(_unpatchify(out, self._vae.config.patch_size).clamp(-1.0, 1.0))
        return torch.cat(pictures, dim=2)


def _patchify(frames: Tensor, patch: int | None) -> Tensor:
    """Fold squares of pixels into channels, as the Wan2.2 autoencoder takes them."""
    if not patch or patch == 1:
        return frames
    batch, channels, count, height, width = frames.shape
    parts = frames.reshape(batch, channels, count, height // patch, patch, width // patch, patch)
    return parts.permute(0, 1, 6, 4, 2, 3, 5).reshape(
        batch, channels * patch * patch, count, height // patch, width // patch
    )


def _unpatchify(parts: Tensor, patch: int | None) -> Tensor:
    """Invert `_patchify`."""
    if not patch or patch == 1:
        return parts
    batch, folded, count, height, width = parts.shape
    frames = parts.reshape(batch, folded // patch**2, patch, patch, count, height, width)
    return frames.permute(0, 1, 4, 5, 3, 6, 2).reshape(batch, folded // patch**2, count, height * patch, width * patch)


__all__ = ["FRAMES_AT_ONCE", "SimStream"]
