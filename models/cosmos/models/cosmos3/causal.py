"""Cosmos 3's transformer, driven causally: the text once, then frame after frame.

The weights are those of the bidirectional model's classes in diffusers; only the order of the forward differs.
Committed frames enter without a time embedding, the frame in work with one. A frame sees the text, the committed
frames and itself; frames that are painted together see each other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.cosmos3.attention import attend, heads, rotate
from cosmos.models.placement import present

_TIMESTEPS = 1000.0

KeyValues = list[tuple[Tensor, Tensor]]
"""Layer -> keys and values of some tokens, each of shape [heads, tokens, width]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Text:
    """A prompt, read once."""

    entries: KeyValues
    """Its keys and values."""
    offset: float
    """Position in time of the first frame."""


@dataclass(kw_only=True, slots=True, eq=False)
class History:
    """The committed frames, oldest first: a control and the picture painted for it, in turns."""

    window: int | None
    """Latent frames that a frame sees at most, itself among them; ``None`` forgets nothing."""
    sinks: int
    """Of these, frames that stay for ever: the first ones."""
    blocks: list[KeyValues] = field(default_factory=list)
    """Committed frames; with a window, a control and its picture have one each."""

    def trim(self) -> None:
        """Make room for the next frame: forget the oldest pairs, never the sinks; positions stay as they were."""
        extra = 0 if self.window is None else len(self.blocks) // 2 - (self.window - 1)
        if extra > 0:
            del self.blocks[2 * self.sinks : 2 * (self.sinks + extra)]


class CausalTransformer:
    """A `Cosmos3OmniTransformer` that paints one latent frame after the other, or a few together.

    Args:
        transformer: The net, loaded.
    """

    def __init__(self, transformer: Any) -> None:
        self.net = transformer

    @property
    def device(self) -> torch.device:
        """Where the net is."""
        return self.net.proj_in.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Type of its weights."""
        return self.net.proj_in.weight.dtype

    def read(self, ids: list[int]) -> Text:
        """Run the text alone, causally.

        Args:
            ids: Tokens of the prompt.
        """
        x = self.net.embed_tokens(torch.tensor(ids, device=self.device))
        cos, sin = self._rotation(torch.arange(len(ids), dtype=torch.float32).expand(3, -1))
        entries: KeyValues = []
        for layer in self.net.layers:
            with present(layer):
                attention = layer.self_attn
                hidden = layer.input_layernorm(x)
                query = rotate(attention.norm_q(heads(attention.to_q(hidden), attention.head_dim)), cos, sin)
                raw = attention.norm_k(heads(attention.to_k(hidden), attention.head_dim))
                value = heads(attention.to_v(hidden), attention.head_dim)
                shown = raw if attention.k_norm_und_for_gen is None else attention.k_norm_und_for_gen(raw)
                entries.append((rotate(shown, cos, sin), value))
                out = attend(query, rotate(raw, cos, sin), value, is_causal=True)
                x = x + attention.to_out(out)
                x = x + layer.mlp(layer.post_attention_layernorm(x))
        return Text(entries=entries, offset=float(len(ids) + self.net.config.unified_3d_mrope_temporal_modality_margin))

    def commit(self, latent: Tensor, frame: int, fps: float, text: Text, history: History) -> None:
        """Add clean latent frames to the history, as one block: they see each other.

        Args:
            latent: Shape [1, C, n, h, w].
            frame: Number of the first among the latent frames; a control and its picture share one.
            fps: Frames a second of the video.
            text: The prompt.
            history: Changed.
        """
        _, entries = self._walk(latent, None, frame, fps, text, history)
        history.blocks.append(entries)

    def flow(self, latent: Tensor, sigma: float, frame: int, fps: float, text: Text, history: History) -> Tensor:
        """Return the velocity of noisy latent frames, which see each other.

        Args:
            latent: Shape [1, C, n, h, w].
            sigma: Their level of noise, in [0, 1].
            frame: Number of the first.
            fps: Frames a second of the video.
            text: The prompt.
            history: What they see; not changed.
        """
        hidden, _ = self._walk(latent, sigma, frame, fps, text, history)
        return _unpatchify(self.net.proj_out(hidden), latent.shape, self.net.config.latent_patch_size)

    def _walk(
        self, latent: Tensor, sigma: float | None, frame: int, fps: float, text: Text, history: History
    ) -> tuple[Tensor, KeyValues]:
        """Run the generation path of all layers; return its output and the keys and values it made."""
        patch = self.net.config.latent_patch_size
        x = self.net.proj_in(_patchify(latent.to(self.dtype), patch))
        if sigma is not None:
            x = x + self._time(sigma)
        cos, sin = self._rotation(self._positions(latent, frame, fps, text))
        made: KeyValues = []
        for index, layer in enumerate(self.net.layers):
            with present(layer):
                attention = layer.self_attn
                hidden = layer.input_layernorm_moe_gen(x)
                query = rotate(
                    attention.norm_added_q(heads(attention.add_q_proj(hidden), attention.head_dim)), cos, sin
                )
                key = rotate(attention.norm_added_k(heads(attention.add_k_proj(hidden), attention.head_dim)), cos, sin)
                value = heads(attention.add_v_proj(hidden), attention.head_dim)
                made.append((key, value))
                seen = [text.entries[index], *(block[index] for block in history.blocks), (key, value)]
                keys, values = (torch.cat(parts, dim=1) for parts in zip(*seen, strict=True))
                x = x + attention.to_add_out(attend(query, keys, values))
                x = x + layer.mlp_moe_gen(layer.post_attention_layernorm_moe_gen(x))
        return self.net.norm_moe_gen(x), made

    def _time(self, sigma: float) -> Tensor:
        """Return the embedding of a level of noise, shape [1, width]."""
        level = torch.tensor([sigma * _TIMESTEPS], device=self.device) * self.net.config.timestep_scale
        embedder = self.net.time_embedder
        embedded: Tensor = embedder(self.net.time_proj(level).to(next(embedder.parameters()).dtype))
        return embedded.to(self.dtype)

    def _positions(self, latent: Tensor, frame: int, fps: float, text: Text) -> Tensor:
        """Return time, row and column of each token, shape [3, tokens]."""
        config = self.net.config
        rows, columns = (-(-side // config.latent_patch_size) for side in latent.shape[-2:])
        step = float(config.base_fps) / fps if config.enable_fps_modulation else 1.0
        frames = torch.arange(frame, frame + latent.shape[2], dtype=torch.float64)
        time = (frames * step + text.offset).float().repeat_interleave(rows * columns)
        row = torch.arange(rows, dtype=torch.float32).repeat_interleave(columns).repeat(len(frames))
        column = torch.arange(columns, dtype=torch.float32).repeat(len(frames) * rows)
        shift = 0.0 if config.unified_3d_mrope_reset_spatial_ids else float(int(text.offset))
        return torch.stack([time, row + shift, column + shift])

    def _rotation(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        cos, sin = self.net.rotary_emb(
            position_ids=positions[:, None].to(self.device), device=self.device, dtype=self.dtype
        )
        return cos[0], sin[0]


def _patchify(latent: Tensor, patch: int) -> Tensor:
    """Turn latent frames into tokens, zero beyond their rim, shape [n * rows * columns, patch * patch * C]."""
    height, width = latent.shape[-2:]
    padded = functional.pad(latent[0], (0, -width % patch, 0, -height % patch))
    channels, frames, rows, columns = (*padded.shape[:2], padded.shape[2] // patch, padded.shape[3] // patch)
    tokens = padded.reshape(channels, frames, rows, patch, columns, patch)
    return tokens.permute(1, 2, 4, 3, 5, 0).reshape(frames * rows * columns, -1)


def _unpatchify(tokens: Tensor, shape: torch.Size, patch: int) -> Tensor:
    """Invert `_patchify`."""
    channels, frames, height, width = shape[1:]
    rows, columns = -(-height // patch), -(-width // patch)
    latent = tokens.reshape(frames, rows, columns, patch, patch, channels).permute(5, 0, 1, 3, 2, 4)
    return latent.reshape(channels, frames, rows * patch, columns * patch)[None, ..., :height, :width]


__all__ = ["CausalTransformer", "History", "KeyValues", "Text"]
