"""A judge of its own for the embedded Transfer model: which of the 12 conditions a picture shows, and how far two are.

It sees a frame of the plain simulation, the same frame under some look, and where what is seen lies (how far, how
upright). It learns from path-traced pictures alone (`train_condition_judge.py`), never from what the model paints:
first four scales of convolutions, whose features also give a perceptual distance, then, on top of them and of what
levels, contrast and colour do at each distance, which condition it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch  # noqa: TID253
from safetensors.torch import load_file
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from transfer_conditions import CONDITIONS

WEIGHTS = Path(__file__).with_name("condition_judge.safetensors")
NAMES = tuple(CONDITIONS)
UP, NEAR_30M, HIT = 3, 6, 13
"""Light hints that tell what faces up, how far it is, and the sky; no look changes them."""
_CHANNELS = (24, 40, 64, 96)
_DISTANCES = (0.0, 4.0, 10.0, 25.0, 1e9)
_FACTS = 16
STATISTICS = _FACTS * (2 * (len(_DISTANCES) - 1) + 1)
"""Numbers of ``statistics``."""


class Eyes(nn.Module):
    """Four scales of convolutions over a frame and a picture of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        before = 6
        for channels in _CHANNELS:
            self.stages.append(
                nn.Sequential(
                    nn.Conv2d(before, channels, 3, stride=2, padding=1, bias=False),
                    nn.BatchNorm2d(channels),
                    nn.ReLU(),
                    nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                    nn.BatchNorm2d(channels),
                    nn.ReLU(),
                )
            )
            before = channels
        self.out = nn.Linear(2 * before, len(NAMES))

    def features(self, frames: Tensor, pictures: Tensor) -> list[Tensor]:
        """Return the features of each scale; pictures in [0, 1], shape [B, 3, H, W]."""
        x, found = torch.cat([frames, pictures], dim=1) * 2.0 - 1.0, []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def pooled(self, frames: Tensor, pictures: Tensor) -> Tensor:
        """Return mean and maximum of the last features, shape [B, 192]."""
        last = self.features(frames, pictures)[-1]
        return torch.cat([last.mean(dim=(2, 3)), last.amax(dim=(2, 3))], dim=1)

    def forward(self, frames: Tensor, pictures: Tensor) -> Tensor:
        """Return the logit of each condition by the eyes alone, shape [B, 12]."""
        return self.out(self.pooled(frames, pictures))


class Mind(nn.Module):
    """What names a condition, by what the eyes saw and the statistics."""

    def __init__(self) -> None:
        super().__init__()
        inputs = 2 * _CHANNELS[-1] + STATISTICS
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.layers = nn.Sequential(
            nn.Dropout(0.2), nn.Linear(inputs, 96), nn.ReLU(), nn.Dropout(0.4), nn.Linear(96, len(NAMES))
        )

    def forward(self, seen: Tensor) -> Tensor:
        """Return the logit of each condition, shape [B, 12], by what is seen [B, 192 + STATISTICS]."""
        return self.layers(((seen - self.mean) * self.scale).clamp(-6.0, 6.0))


class ConditionJudge:
    """The trained judge.

    Args:
        weights: Its file.
    """

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self._parts = nn.ModuleDict({"eyes": Eyes(), "mind": Mind()}).eval().requires_grad_(False)
        self._parts.load_state_dict({name: value.float() for name, value in load_file(weights).items()}, strict=False)

    @torch.inference_mode()
    def name(self, frame: np.ndarray, hints: np.ndarray, pictures: Sequence[np.ndarray]) -> list[str]:
        """Return the condition that each picture of a frame shows.

        Args:
            frame: The frame, uint8 [H, W, 3].
            hints: Its light hints, float32 in [-1, 1], shape [H, W, 14 or more].
            pictures: The pictures, uint8 [H, W, 3].
        """
        seen = look(self._parts["eyes"], frame, hints, pictures)
        return [NAMES[int(index)] for index in self._parts["mind"](seen).argmax(dim=1)]

    @torch.inference_mode()
    def distance(self, frame: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
        """Return how different two pictures of a frame look; uint8 [H, W, 3].

        As LPIPS (Zhang et al. 2018): features of unit length at each place, their squared difference averaged over
        places and summed over scales; every channel counts alike.
        """
        found = self._parts["eyes"].features(to_tensor([frame, frame]), to_tensor([a, b]))
        unit = [functional.normalize(features, dim=1, eps=1e-6) for features in found]
        return float(sum((x[0] - x[1]).square().sum(dim=0).mean() for x in unit))


@torch.inference_mode()
def look(eyes: Eyes, frame: np.ndarray, hints: np.ndarray, pictures: Sequence[np.ndarray]) -> Tensor:
    """Return what is seen of pictures of a frame, [B, 192 + STATISTICS]; arguments as of `ConditionJudge.name`."""
    pooled = [eyes.pooled(to_tensor([frame]), to_tensor([picture])) for picture in pictures]
    told = np.stack([statistics(frame, picture, hints) for picture in pictures])
    return torch.cat([torch.cat(pooled), torch.from_numpy(told)], dim=1)


def statistics(frame: np.ndarray, picture: np.ndarray, hints: np.ndarray) -> np.ndarray:
    """Return levels, colour and contrast of what faces up, of the rest, each by distance, and of the sky, float32.

    Args:
        frame: The frame, uint8 [H, W, 3].
        picture: A picture of it, uint8 [H, W, 3].
        hints: Its light hints, float32 in [-1, 1].
    """
    (color, grey, vivid, steep), (_, before, was_vivid, was_steep) = _planes(picture), _planes(frame)
    distance = -30.0 * np.log(np.clip(hints[..., NEAR_30M] * 0.5 + 0.5, 1e-6, 1.0))
    hit, up = hints[..., HIT] > 0.0, hints[..., UP] > 0.7
    regions = [~hit]
    for low, high in pairwise(_DISTANCES):
        between = hit & (distance >= low) & (distance < high)
        regions += [between & up, between & ~up]
    told: list[float] = []
    for region in regions:
        share = float(region.mean())
        if share < 0.002:
            told += [0.0] * _FACTS
            continue
        level, old = grey[region], before[region]
        told += [1.0, share**0.5, *np.log(color[region].mean(axis=0) + 0.02), np.log(old.mean() + 0.02)]
        told += [level.std(), old.std(), vivid[region].mean(), was_vivid[region].mean()]
        told += [np.log(steep[region].mean() + 0.01), np.log(was_steep[region].mean() + 0.01)]
        told += [*np.percentile(level, (10, 90)), *np.percentile(vivid[region], (10, 90))]
    return np.array(told, dtype=np.float32)


def _planes(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return levels in [0, 1], luma, how vivid and how steep each pixel is."""
    levels = picture.astype(np.float32) / 255.0
    grey = levels @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    steep = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return levels, grey, levels.max(axis=2) - levels.min(axis=2), steep


def to_tensor(pictures: Sequence[np.ndarray]) -> Tensor:
    """Return uint8 pictures [H, W, 3] in [0, 1], shape [B, 3, H, W]."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255.0


__all__ = ["NAMES", "STATISTICS", "WEIGHTS", "ConditionJudge", "Eyes", "Mind", "look", "statistics", "to_tensor"]
