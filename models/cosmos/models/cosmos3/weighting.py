"""Weighted controls in Cosmos 3: one attention a control, and the video takes their weighted mean.

As NVIDIA's framework does it: the video's tokens attend to the text, one control and themselves, once a control, and
the results are added by weights that sum to 1. A control's own tokens attend to the text, themselves and the video.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253

from cosmos.models.cosmos3.attention import attend, heads, rotate


class WeightedAttention:
    """Attention of one layer, in place of the joint one.

    Args:
        weights: One a control, in their order; they sum to 1.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self.weights = tuple(weights)

    def __call__(
        self, attn: Any, und_seq: Tensor, gen_seq: Tensor, rotary_emb: tuple[Tensor, Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return what text and videos attend to, projected."""
        cos_text, sin_text, cos_video, sin_video = rotary_emb
        width = attn.head_dim
        raw = attn.norm_k(heads(attn.to_k(und_seq), width))
        value = heads(attn.to_v(und_seq), width)
        query = rotate(attn.norm_q(heads(attn.to_q(und_seq), width)), cos_text, sin_text)
        text = attend(query, rotate(raw, cos_text, sin_text), value, is_causal=True)
        shown = raw if attn.k_norm_und_for_gen is None else attn.k_norm_und_for_gen(raw)
        entries = (rotate(shown, cos_text, sin_text), value)
        queries = rotate(attn.norm_added_q(heads(attn.add_q_proj(gen_seq), width)), cos_video, sin_video)
        keys = rotate(attn.norm_added_k(heads(attn.add_k_proj(gen_seq), width)), cos_video, sin_video)
        values = heads(attn.add_v_proj(gen_seq), width)
        return attn.to_out(text), attn.to_add_out(self._videos(entries, queries, keys, values))

    def _videos(self, text: tuple[Tensor, Tensor], queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        items = len(self.weights) + 1
        each = queries.shape[1] // items
        parts = [slice(index * each, (index + 1) * each) for index in range(items)]
        target, outs, shares = parts[-1], [], []
        for part, weight in zip(parts[:-1], self.weights, strict=True):
            key, value = (
                torch.cat([told, made[:, part], made[:, target]], dim=1)
                for told, made in zip(text, (keys, values), strict=True)
            )
            outs.append(attend(queries[:, part], key, value))
            shares.append(weight * attend(queries[:, target], key, value))
        return torch.cat([*outs, torch.stack(shares).sum(dim=0)])


@contextmanager
def weighted(transformer: Any, weights: Sequence[float]) -> Iterator[None]:
    """Let all layers of a transformer weigh the controls; no weights leave the attention as it is."""
    if not weights:
        yield
        return
    layers = [layer.self_attn for layer in transformer.layers]
    before = [attention.processor for attention in layers]
    for attention in layers:
        attention.set_processor(WeightedAttention(weights))
    try:
        yield
    finally:
        for attention, processor in zip(layers, before, strict=True):
            attention.set_processor(processor)


__all__ = ["WeightedAttention", "weighted"]
