"""The steps that all attentions of Cosmos 3 share."""

from __future__ import annotations

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253


def heads(x: Tensor, width: int) -> Tensor:
    """Split channels into heads, shape [heads, tokens, width]."""
    return x.view(x.shape[0], -1, width).transpose(0, 1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each head by its position (rotary embedding), cosine and sine of shape [tokens, width]."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


def attend(query: Tensor, key: Tensor, value: Tensor, *, is_causal: bool = False) -> Tensor:
    """Attend with grouped heads; return shape [tokens, heads * width]."""
    out = functional.scaled_dot_product_attention(
        query[None], key[None], value[None], is_causal=is_causal, enable_gqa=True
    )
    return out[0].transpose(0, 1).flatten(1)


__all__ = ["attend", "heads", "rotate"]
