"""Painting in steps: rectified flow at the trunk's size (Liu et al. 2022, "Flow Straight and Fast").

A draft is a coarse picture under noise, ``x_t = (1 - t) * picture + t * noise``. The net is shown one and predicts the
whole, clean picture; shrunk to the trunk's size, that is where the draft is heading, and a step goes part of the way.
The last prediction is the picture.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.embedded.net import shrink
from cosmos.models.spec import TransferNetConfig

_SHIFT = 0.4
"""How the steps crowd towards little noise, where what the other inputs leave open is decided; 1 is evenly."""


def step_levels(count: int) -> tuple[float, ...]:
    """Return the noise levels of ``count`` steps and the end, from 1 down to 0.

    Even levels ``u`` are shifted to ``s u / (1 + (s - 1) u)`` (Esser et al. 2024, "Scaling Rectified Flow
    Transformers", equation 23), here towards little noise, ``s < 1``.

    Raises:
        ValueError: If ``count`` is below 1.
    """
    if count < 1:
        raise ValueError(f"step_levels needs a step or more, got {count}.")
    even = [1.0 - index / count for index in range(count + 1)]
    return tuple(_SHIFT * u / (1.0 + (_SHIFT - 1.0) * u) for u in even)


def noised(picture: Tensor, noise: Tensor, level: Tensor | float) -> Tensor:
    """Return ``(1 - level) * picture + level * noise``."""
    return (1.0 - level) * picture + level * noise


def towards(draft: Tensor, picture: Tensor, level: float, then: float) -> Tensor:
    """Take an Euler step from a draft at ``level`` towards the coarse picture that it is thought to be, to ``then``."""
    return torch.lerp(picture, draft, then / level)


def paint_in_steps(
    predict: Callable[[Tensor, float], Tensor], shrunk: Callable[[Tensor], Tensor], noise: Tensor, count: int
) -> Tensor:
    """Paint a picture in steps.

    Args:
        predict: Takes a draft and its level, returns the whole picture.
        shrunk: Brings a picture to the size of a draft.
        noise: The first draft, standard normal.
        count: Steps; 1 takes the first prediction.

    Returns:
        The last prediction.
    """
    levels = step_levels(count)
    draft, picture = noise, predict(noise, levels[0])
    for level, then in pairwise(levels[:-1]):
        draft = towards(draft, shrunk(picture), level, then)
        picture = predict(draft, then)
    return picture


def draft_size(config: TransferNetConfig, size: tuple[int, int], coarse: int) -> tuple[int, int]:
    """Return the trunk's height and width for pictures of a size, which is that of their drafts."""
    multiple = coarse * 2 ** (len(config.channels) - 1)
    height, width = (-(-side // multiple) * multiple // coarse for side in size)
    return height, width


def shrunk_to(picture: Tensor, size: tuple[int, int], coarse: int) -> Tensor:
    """Average pictures [B, C, H, W] down to drafts of ``size``, clamped to [-1, 1]; rims are repeated outwards."""
    pad = (0, size[1] * coarse - picture.shape[-1], 0, size[0] * coarse - picture.shape[-2])
    whole = functional.pad(picture, pad, mode="replicate") if any(pad) else picture
    return shrink(whole, size).clamp(-1.0, 1.0)


__all__ = ["draft_size", "noised", "paint_in_steps", "shrunk_to", "step_levels", "towards"]
