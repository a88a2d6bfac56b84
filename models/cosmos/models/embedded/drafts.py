"""Drafts in training: targets under noise, noise alone, and what a teacher paints from it.

A student that learns to paint at once what a teacher paints from the same noise in several steps is that of Luhman and
Luhman 2021, "Knowledge Distillation in Iterative Generative Models".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253

from cosmos.models.embedded.glow import lay_glow
from cosmos.models.embedded.net import TransferNet, seen_draft
from cosmos.models.embedded.pairs import Batch
from cosmos.models.embedded.steps import draft_size, noised, paint_in_steps, shrunk_to
from cosmos.models.embedded.training import paint
from cosmos.models.spec import TransferNetConfig

_LEVELS = (-0.8, 1.4)
"""Mean and deviation of the logit of a draft's level: most is decided where little of it is noise."""


def drafted(batch: Batch, config: TransferNetConfig, coarse: int, levels: Tensor, noise: Tensor) -> Batch:
    """Return a batch whose targets are shown as drafts.

    Args:
        batch: Pictures.
        config: Shape of the net.
        coarse: Size ratio of picture to trunk.
        levels: How much of each draft is noise, in [0, 1], shape [B, 1, 1, 1].
        noise: Standard normal, shape [B, 3, h, w] of `draft_size`.
    """
    size = draft_size(config, (batch.rgb.shape[-2], batch.rgb.shape[-1]), coarse)
    bare = batch.target if batch.glow is None else lay_glow(batch.target, batch.glow * batch.lit, sign=-1.0)
    return replace(batch, draft=seen_draft(noised(shrunk_to(bare, size, coarse), noise, levels), levels))


def random_drafts(batch: Batch, config: TransferNetConfig, coarse: int, rng: np.random.Generator) -> Batch:
    """Return a batch with drafts of random levels: pure noise for a half, logit-normal for the others."""
    count = batch.rgb.shape[0]
    some = 1.0 / (1.0 + np.exp(-rng.normal(*_LEVELS, size=count)))
    levels = np.where(rng.random(count) < 0.5, 1.0, some)
    return drafted(
        batch, config, coarse, _tensor(levels[:, None, None, None], batch), _noise(batch, config, coarse, rng)
    )


def noise_alone(batch: Batch, config: TransferNetConfig, coarse: int, rng: np.random.Generator) -> Batch:
    """Return a batch whose drafts are pure noise, as the first step sees them."""
    noise = _noise(batch, config, coarse, rng)
    return replace(batch, draft=seen_draft(noise, torch.ones_like(batch.rgb[:, :1, :1, :1])))


def paint_steps(net: TransferNet, batch: Batch, coarse: int, noise: Tensor, count: int) -> Tensor:
    """Paint a batch in steps from noise, shape [B, 3, h, w] of `draft_size`; clamped to [-1, 1]."""

    def predict(draft: Tensor, level: float) -> Tensor:
        told = replace(batch, draft=seen_draft(draft, torch.full_like(draft[:, :1, :1, :1], level)))
        return paint(net, told, coarse).float()

    size = (noise.shape[2], noise.shape[3])
    return paint_in_steps(predict, lambda picture: shrunk_to(picture, size, coarse), noise, count).clamp(-1.0, 1.0)


def answered(
    batch: Batch, teacher: TransferNet, coarse: int, rng: np.random.Generator, count: int
) -> tuple[Batch, Tensor]:
    """Return what `noise_alone` does, and what a teacher paints from it in ``count`` steps, shape [B, 3, H, W]."""
    noise = _noise(batch, teacher.config, coarse, rng)
    with torch.no_grad():
        answer = paint_steps(teacher, batch, coarse, noise, count)
    return replace(batch, draft=seen_draft(noise, torch.ones_like(noise[:, :1, :1, :1]))), answer


def _noise(batch: Batch, config: TransferNetConfig, coarse: int, rng: np.random.Generator) -> Tensor:
    size = draft_size(config, (batch.rgb.shape[-2], batch.rgb.shape[-1]), coarse)
    return _tensor(rng.standard_normal((batch.rgb.shape[0], 3, *size)), batch)


def _tensor(values: np.ndarray, like: Batch) -> Tensor:
    return torch.from_numpy(values.astype(np.float32)).to(like.rgb.device)


__all__ = ["answered", "drafted", "noise_alone", "paint_steps", "random_drafts"]
