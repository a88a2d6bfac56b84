"""Pictures to normalised latents and back, with diffusers' Wan autoencoders."""

from __future__ import annotations

from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253


def encode(vae: Any, video: Tensor) -> Tensor:
    """Return the most likely latents of a video, normalised.

    Args:
        vae: An ``AutoencoderKLWan``.
        video: In [-1, 1], shape [1, 3, 4k + 1, H, W].
    """
    latents = vae.encode(video.to(device=_device(vae), dtype=_dtype(vae))).latent_dist.mode()
    mean, std = latent_statistics(vae, latents)
    return (latents - mean) / std


def decode(vae: Any, latents: Tensor) -> Tensor:
    """Return the video of normalised latents, around [-1, 1], not clamped, shape [1, 3, 4k + 1, H, W]."""
    latents = latents.to(device=_device(vae), dtype=_dtype(vae))
    mean, std = latent_statistics(vae, latents)
    video: Tensor = vae.decode(latents * std + mean, return_dict=False)[0]
    return video


def latent_statistics(vae: Any, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of each channel, shape [1, C, 1, 1, 1], as ``like`` in type and place."""
    mean, std = (
        torch.tensor(values, device=like.device, dtype=like.dtype).view(1, -1, 1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return mean, std


def _device(vae: Any) -> torch.device:
    return next(iter(vae.parameters())).device


def _dtype(vae: Any) -> torch.dtype:
    return next(iter(vae.parameters())).dtype


__all__ = ["decode", "encode", "latent_statistics"]
