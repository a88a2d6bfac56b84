"""Text and videos in one sequence, as Cosmos 3's transformer takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Packed:
    """A sequence of text, clean controls and the noisy video, all of one shape."""

    fields: dict[str, Any]
    """What the transformer's forward is given, but for the videos and the level of noise."""
    noisy_tokens: int
    """Tokens of the frames that are noisy."""


def pack(
    config: Any, ids: list[int], *, shape: tuple[int, ...], controls: int, shown: int, fps: float, device: torch.device
) -> Packed:
    """Lay text and videos out.

    Positions follow diffusers' Cosmos 3 pipeline: videos share their times and places, and begin ``margin`` after the
    text; a frame rate stretches time.

    Args:
        config: Configuration of the transformer.
        ids: Tokens of the prompt.
        shape: Shape of each video's latents, [1, C, T', h, w].
        controls: Control videos before the noisy one.
        shown: First latent frames of the noisy video that are clean already.
        fps: Frames a second.
        device: Where the sequence goes.
    """
    frames, patch = shape[2], config.latent_patch_size
    rows, columns = (-(-side // patch) for side in shape[-2:])
    text, tokens = len(ids), frames * rows * columns
    moving = config.enable_fps_modulation and frames > 1
    offset = text + config.unified_3d_mrope_temporal_modality_margin
    step = float(config.base_fps) / fps if moving else 1.0
    video = _video_positions(frames, rows, columns, step, offset, bool(config.unified_3d_mrope_reset_spatial_ids))
    start, first = text + controls * tokens, shown * rows * columns
    clean = torch.empty(0, dtype=torch.long, device=device)
    noisy = torch.arange(shown, frames, device=device)
    fields = {
        "input_ids": torch.tensor(ids, device=device),
        "text_indexes": torch.arange(text, device=device),
        "position_ids": torch.cat([torch.arange(text).float().expand(3, -1), *[video] * (controls + 1)], 1).to(device),
        "und_len": text,
        "sequence_length": start + tokens,
        "vision_token_shapes": [(frames, rows, columns)] * (controls + 1),
        "vision_sequence_indexes": torch.arange(text, start + tokens, device=device),
        "vision_mse_loss_indexes": torch.arange(start + first, start + tokens, device=device),
        "vision_noisy_frame_indexes": [clean] * controls + [noisy],
    }
    return Packed(fields=fields, noisy_tokens=tokens - first)


def _video_positions(frames: int, rows: int, columns: int, step: float, offset: int, reset: bool) -> Tensor:
    """Return time, row and column of each token of a video, shape [3, tokens]."""
    time = (torch.arange(frames) * step + offset).repeat_interleave(rows * columns)
    row = torch.arange(rows).repeat_interleave(columns).repeat(frames)
    column = torch.arange(columns).repeat(frames * rows)
    shift = 0 if reset else offset
    return torch.stack([time.float(), (row + shift).float(), (column + shift).float()])


__all__ = ["Packed", "pack"]
