"""The learnt part of the prompt reader: word ids in; a Gaussian over the numbers of ``Conditions``, and bands, out."""

from __future__ import annotations

import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from cosmos.models.embedded.bands import COUNT
from cosmos.models.embedded.conditions import READ_FIELDS
from cosmos.models.spec import TextEncoderConfig

PAD, UNKNOWN = 0, 1
"""Rows of the embedding that stand for no word and for one that is not in the vocabulary."""


class TextEncoder(nn.Module):
    """Word ids to mean and log standard deviation of each read field, and to scores of the bands."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.words, config.width, padding_idx=PAD)
        self.places = nn.Parameter(torch.randn(1, config.length, config.width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, 2 * config.width, dropout=0.1, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, 2 * len(READ_FIELDS))
        self.bands = nn.Linear(config.width, COUNT)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read prompts.

        Args:
            ids: Word ids, int64, shape [B, L]; 0 pads.

        Returns:
            Mean and log standard deviation, each of shape [B, len(READ_FIELDS)], and the logit of each of ``BANDS``,
            shape [B, COUNT].
        """
        pad = ids == PAD
        # A prompt without a known word still needs one place to look at.
        pad = pad & ~(pad.all(dim=1, keepdim=True) & (torch.arange(ids.shape[1], device=ids.device) == 0))
        x = self.words(ids) + self.places[:, : ids.shape[1]]
        x = self.norm(self.layers(x, src_key_padding_mask=pad))
        keep = (~pad)[..., None].to(x.dtype)
        x = (x * keep).sum(1) / keep.sum(1)
        mean, log_std = self.out(x).chunk(2, dim=-1)
        return mean, log_std.clamp(-4.0, 1.0), self.bands(x)


__all__ = ["PAD", "UNKNOWN", "TextEncoder"]
