"""From pictures to what a Reason model sees: which frames, at which size, cut into patches.

This is what the Qwen processors of transformers do, without torchvision, which they need and which breaks where it does
not match torch. Sizes follow qwen-vl-utils, the reference of both families: a frame is scaled to multiples of a token,
within a budget of pixels that the whole clip shares.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.weights import WeightsError

_FILES = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Eye:
    """How a model wants its pictures."""

    patch: int
    """Edge of a patch [px]."""
    merge: int
    """Patches along the edge of a token."""
    temporal: int
    """Frames of a patch."""
    mean: tuple[float, float, float]
    """Subtracted from the channels, in [0, 1]."""
    std: tuple[float, float, float]
    """Divides the channels."""

    @property
    def token(self) -> int:
        """Edge of a token [px]."""
        return self.patch * self.merge


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """How many pixels a clip may cost; a token covers ``Eye.token`` squared of them and ``Eye.temporal`` frames."""

    least: int
    """Fewest pixels of a clip, all its frames together; smaller ones are enlarged."""
    most: int
    """Most pixels of a clip, all its frames together."""


def read_eye(folder: Path) -> Eye:
    """Read how a checkpoint wants its pictures.

    Raises:
        WeightsError: If no file says it.
    """
    for name in _FILES:
        path = folder / name
        if not path.is_file():
            continue
        try:
            told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            told = told.get("video_processor") or told
            if "patch_size" not in told:
                continue
            return Eye(
                patch=int(told["patch_size"]),
                merge=int(told["merge_size"]),
                temporal=int(told["temporal_patch_size"]),
                mean=_three(told["image_mean"]),
                std=_three(told["image_std"]),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WeightsError(
                f"{path} does not say how pictures are cut ({error!r}); fetch the checkpoint."
            ) from error
    raise WeightsError(f"{folder} holds none of {', '.join(_FILES)} with a patch_size; fetch the checkpoint again.")


def pick_frames(num_frames: int, fps: float, *, wanted_fps: float, least: int, most: int, phase: int = 0) -> list[int]:
    """Return which frames of a clip are looked at, evenly spread from the first to the last.

    Args:
        num_frames: Frames of the clip.
        fps: Its frames a second.
        wanted_fps: Frames a second to look at.
        least: Fewest frames, where the clip has them.
        most: Most frames.
        phase: Shift [frames], for another look at the same clip; the frames stay in the clip.
    """
    wanted = round(num_frames / fps * wanted_fps)
    count = min(max(wanted, least), most, num_frames)
    spread = np.linspace(0, num_frames - 1, count).round().astype(int)
    if count > 1:
        room = int(np.diff(spread).min()) - 1
        spread = np.minimum(spread + phase % (room + 1), num_frames - 1)
    return [int(index) for index in spread]


def fit_size(height: int, width: int, frames: int, eye: Eye, budget: Budget) -> tuple[int, int]:
    """Return the size that frames are scaled to [px], multiples of a token within the budget.

    Raises:
        ValueError: If the picture is more than 200 times as long as wide.
    """
    if max(height, width) > 200 * min(height, width):
        raise ValueError(f"A picture of {height} x {width} is too long for a Reason model; crop it.")
    token = eye.token
    if min(height, width) < token:
        scale = token / min(height, width)
        height, width = int(height * scale), int(width * scale)
    tall, wide = round(height / token) * token, round(width / token) * token
    steps = max(1, round(frames / eye.temporal)) * eye.temporal
    if steps * tall * wide > budget.most:
        shrink = math.sqrt(frames * height * width / budget.most)
        tall, wide = (max(token, math.floor(edge / shrink / token) * token) for edge in (height, width))
    elif steps * tall * wide < budget.least:
        grow = math.sqrt(budget.least / (frames * height * width))
        tall, wide = (math.ceil(edge * grow / token) * token for edge in (height, width))
    return tall, wide


def to_patches(frames: np.ndarray, eye: Eye, size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale, normalise and cut frames.

    Args:
        frames: uint8, shape [T, H, W, 3]; an odd last one is repeated.
        eye: How the model wants them.
        size: Height and width to scale to [px].
        device: Where to.

    Returns:
        Patches, float32 [N, 3 * temporal * patch * patch], and the grid, int64 [1, 3]: steps, rows, columns.
    """
    pictures = _scaled(frames, size, device)
    mean, std = (torch.tensor(part, device=device)[:, None, None] for part in (eye.mean, eye.std))
    pictures = (pictures / 255.0 - mean) / std
    if odd := -len(pictures) % eye.temporal:
        pictures = torch.cat([pictures, pictures[-1:].expand(odd, -1, -1, -1)])
    steps, rows, columns = len(pictures) // eye.temporal, size[0] // eye.patch, size[1] // eye.patch
    m, p = eye.merge, eye.patch
    cut = pictures.view(steps, eye.temporal, 3, rows // m, m, p, columns // m, m, p)
    patches = cut.permute(0, 3, 6, 4, 7, 2, 1, 5, 8).reshape(steps * rows * columns, -1)
    return patches, torch.tensor([[steps, rows, columns]], device=device)


def scale_frames(frames: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale frames, uint8 [T, H, W, 3], to a height and width [px], as ``to_patches`` does; uint8 [T, h, w, 3]."""
    pictures = _scaled(frames, size, torch.device("cpu"))
    return np.ascontiguousarray(pictures.to(torch.uint8).permute(0, 2, 3, 1).numpy())


def _scaled(frames: np.ndarray, size: tuple[int, int], device: torch.device) -> Tensor:
    """Return frames as whole levels, float32 [T, 3, h, w]."""
    pictures = torch.from_numpy(np.array(frames)).to(device).permute(0, 3, 1, 2).float()
    if tuple(pictures.shape[2:]) != size:
        pictures = functional.interpolate(pictures, size=size, mode="bicubic", antialias=True, align_corners=False)
        pictures = pictures.clamp(0, 255).round()
    return pictures


def _three(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue


__all__ = ["Budget", "Eye", "fit_size", "pick_frames", "read_eye", "scale_frames", "to_patches"]
