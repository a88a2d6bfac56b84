"""A judge of conditions that compares: of the 12 drawings of a stage by quick shading, which is a picture most like.

The quick renderer draws the stage under each of the 12 conditions, with other wear, clouds, flakes and drops than the
pictures to be judged have. A picture is compared with each drawing: levels and colours in a grid of places, how the
light has changed from the plain frame, how much fine contrast is left at each distance, and how many specks and
streaks there are in the air. What each difference counts is learnt from path-traced pictures of training stages
(`train_condition_compare.py`), never from what the model paints. `condition_judge.py` does without drawings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch  # noqa: TID253
from safetensors.torch import load_file
from torch import Tensor, nn  # noqa: TID253

from transfer_conditions import CONDITIONS

WEIGHTS = Path(__file__).with_name("condition_compare.safetensors")
NAMES = tuple(CONDITIONS)
GRID = (36, 64)
"""Rows and columns of the places whose levels are compared."""
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
_FLAKE = 0.92
"""Level of a flake by day, of `finish_of`."""
_FLAKE_LAYERS = tuple(1.8 * 1.6**layer for layer in range(6))
"""Distances at which the last pass lets flakes fall [m], of `kernels.finish`."""
_DISTANCES = (0.0, 6.0, 15.0, 1e9)
_FIELDS, MARKS = 18, 20
"""Numbers that compare two grids, and marks of a picture."""
DIFFERENCES = 2 * _FIELDS + 2 * MARKS
"""Numbers that compare a picture with a drawing."""
_HIDDEN = 32


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class View:
    """What is the same in every picture of a view."""

    grid: np.ndarray
    """Log levels of the plain frame, float32 [*GRID, 3]."""
    seen: np.ndarray
    """Which places of the grid show a surface, bool [*GRID]."""
    regions: tuple[np.ndarray, ...]
    """The sky, three distances and the whole, each bool [H, W]."""
    plain: np.ndarray
    """Where the plain frame has no fine detail, bool [H, W]."""
    layers: np.ndarray
    """Behind how many layers of flakes each pixel lies, float32 [H, W]."""


def view_of(frame: np.ndarray, depth: np.ndarray) -> View:
    """Look at a plain frame.

    Args:
        frame: The frame, uint8 [H, W, 3].
        depth: Distance to the image plane [m], float [H, W]; ``inf``, NaN and 0 are sky.
    """
    hit = np.isfinite(depth) & (depth > 0.0)
    away = np.where(hit, depth, 1e4).astype(np.float32)
    between = [hit & (away >= low) & (away < high) for low, high in pairwise(_DISTANCES)]
    grey = frame.astype(np.float32) @ _LUMA / 255.0
    smooth = cv2.medianBlur(np.clip(grey * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8), 5).astype(np.float32) / 255.0
    return View(
        grid=_grid(frame),
        seen=cv2.resize(hit.astype(np.float32), GRID[::-1], interpolation=cv2.INTER_AREA) > 0.5,
        regions=(~hit, *between, np.ones_like(hit)),
        plain=np.abs(grey - smooth) < 0.04,
        layers=np.sum([away > layer for layer in _FLAKE_LAYERS], axis=0, dtype=np.float32),
    )


def _grid(picture: np.ndarray) -> np.ndarray:
    """Return log levels in a grid of places, float32 [*GRID, 3]."""
    levels = cv2.resize(picture.astype(np.float32) / 255.0, GRID[::-1], interpolation=cv2.INTER_AREA)
    logs: np.ndarray = np.log(levels + 0.03)
    return logs


def marks(picture: np.ndarray, view: View) -> np.ndarray:
    """Return logs of fine contrast by distance, of how often specks of each strength lie in the air, and of streaks.

    A flake mixes its white into all three channels alike, so a speck counts by the channel that it changes least, and
    against the number of layers of flakes that may lie before its pixel.

    Args:
        picture: A picture, uint8 [H, W, 3].
        view: Its view.

    Returns:
        Float32 [MARKS].
    """
    levels = picture.astype(np.float32) / 255.0
    grey, smooth = levels @ _LUMA, cv2.medianBlur(picture, 7).astype(np.float32) / 255.0
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.5))
    found = [float(np.log(fine[where].mean() + 0.002)) if where.mean() > 0.004 else 0.0 for where in view.regions]
    found.append(_log_mean(fine, view.plain, 0.002))

    room = _FLAKE - smooth
    dark = (room.min(axis=2) > 0.08) & view.plain
    speck = ((levels - smooth) / np.maximum(room, 0.08)).min(axis=2)
    layers = float((dark * view.layers).sum()) + 1e-3
    found += [np.log(((speck > least) & dark).sum() / layers + 5e-4) for least in (0.08, 0.15, 0.25, 0.4, 0.55)]
    found += [np.log(np.clip(speck, 0.0, 1.0)[dark].sum() / layers + 5e-4), np.log(layers / grey.size + 0.03)]
    near = dark & (view.layers > 0.0) & (view.layers < 3.5)
    found.append(np.log(((speck > 0.15) & near).sum() / ((near * view.layers).sum() + 50.0) + 1e-3))
    below = smooth @ _LUMA - grey
    found += [_log_mean(below > least, view.plain, 5e-4) for least in (0.04, 0.1)]

    upright = cv2.blur(grey - cv2.blur(grey, (7, 1)), (1, 9))
    level = cv2.blur(grey - cv2.blur(grey, (1, 7)), (9, 1))
    found += [_log_mean(way > least, view.plain, 1e-3) for least in (0.01, 0.025) for way in (upright, level)]
    return np.array(found, dtype=np.float32)


def _log_mean(values: np.ndarray, where: np.ndarray, least: float) -> float:
    """Return the log of a mean over some pixels, of ``least`` where there are none."""
    return float(np.log((values[where].mean() if where.any() else 0.0) + least))


def compare(
    frame: np.ndarray, depth: np.ndarray, drawings: Sequence[np.ndarray], pictures: Sequence[np.ndarray]
) -> np.ndarray:
    """Return how each picture of a view differs from each drawing of it, float32 [pictures, drawings, DIFFERENCES].

    Args:
        frame: The plain frame, uint8 [H, W, 3].
        depth: Distance to the image plane [m], float [H, W]; ``inf``, NaN and 0 are sky.
        drawings: Drawings of the view, uint8 [H, W, 3].
        pictures: Pictures of it, uint8 [H, W, 3].
    """
    view = view_of(frame, depth)
    drawn, shown = (np.stack([_grid(picture) for picture in part]) for part in (drawings, pictures))
    fields: list[np.ndarray] = []
    for where in (view.seen, ~view.seen):
        if where.mean() < 0.01:
            fields += [np.zeros((len(pictures), len(drawings)))] * (_FIELDS // 2)
        else:
            fields += _grids_apart(shown[:, None, where], drawn[None, :, where], view.grid[where])
    apart = np.log(np.stack(fields, axis=-1) + 0.02)
    told, expected = (np.stack([marks(picture, view) for picture in part]) for part in (pictures, drawings))
    more = np.clip(told[:, None] - expected[None], -3.0, 3.0)
    nearest = apart - apart.min(axis=1, keepdims=True)
    return np.concatenate([apart, nearest, more, np.abs(more)], axis=-1).astype(np.float32)


def _grids_apart(shown: np.ndarray, drawn: np.ndarray, plain: np.ndarray) -> list[np.ndarray]:
    """Return how far log levels at some places are apart.

    Args:
        shown: Of pictures, [pictures, 1, places, 3].
        drawn: Of drawings, [1, drawings, places, 3].
        plain: Of the plain frame, [places, 3].

    Returns:
        Arrays [pictures, drawings], none below 0: differences of levels, of channels, of levels beside their mean, of
        the mean's luma, red to blue and green to both, of colour, and what lacks in the correlation of the change of
        light and of the levels.
    """
    apart = shown - drawn
    mean, grey = apart.mean(axis=2), apart.mean(axis=3)
    red, green, blue = (mean[..., channel] for channel in range(3))
    changes = (shown - plain).mean(axis=3), (drawn - plain).mean(axis=3)
    return [
        np.abs(apart).mean(axis=(2, 3)),
        np.abs(mean).max(axis=2),
        (apart - mean[:, :, None]).std(axis=(2, 3)),
        np.abs(mean.mean(axis=2)),
        np.abs(red - blue),
        np.abs(2.0 * green - red - blue),
        np.abs(apart - grey[..., None]).mean(axis=(2, 3)),
        1.0 - _correlation(*changes),
        1.0 - _correlation(shown.mean(axis=3), drawn.mean(axis=3)),
    ]


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the correlation over the last axis; 0 where one hardly varies."""
    a, b = (part - part.mean(axis=-1, keepdims=True) for part in (a, b))
    both: np.ndarray = (a * b).sum(axis=-1) / np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1) + 1e-4)
    return both


class Weigher(nn.Module):
    """What says by its differences how well a drawing of each condition fits a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(DIFFERENCES))
        self.register_buffer("scale", torch.ones(DIFFERENCES))
        self.inside = nn.Linear(DIFFERENCES, _HIDDEN)
        self.own = nn.Parameter(torch.zeros(len(NAMES), _HIDDEN))
        self.dropout = nn.Dropout(0.2)
        self.out = nn.Linear(_HIDDEN, 1)
        self.bias = nn.Parameter(torch.zeros(len(NAMES)))

    def plain(self, differences: Tensor) -> Tensor:
        """Return differences of mean 0 and deviation 1, within 5."""
        return ((differences - self.mean) * self.scale).clamp(-5.0, 5.0)

    def forward(self, plain: Tensor) -> Tensor:
        """Return the logit of each condition, shape [B, 12], by ``plain`` differences [B, 12, DIFFERENCES]."""
        inside = self.dropout(torch.relu(self.inside(plain) + self.own))
        logits: Tensor = self.out(inside).squeeze(-1) + self.bias
        return logits


class ComparingJudge:
    """The trained judge.

    Args:
        weights: Its file: one or more weighers, whose logits are summed.
    """

    def __init__(self, weights: Path = WEIGHTS) -> None:
        state = {name: value.float() for name, value in load_file(weights).items()}
        count = 1 + max(int(name.split(".")[0]) for name in state)
        self._weighers = nn.ModuleList([Weigher() for _ in range(count)]).eval().requires_grad_(False)
        self._weighers.load_state_dict(state)

    @torch.inference_mode()
    def name(
        self, frame: np.ndarray, depth: np.ndarray, drawings: Mapping[str, np.ndarray], pictures: Sequence[np.ndarray]
    ) -> list[str]:
        """Return the condition that each picture of a view shows.

        Args:
            frame: The plain frame, uint8 [H, W, 3].
            depth: Distance to the image plane [m], float [H, W]; ``inf``, NaN and 0 are sky.
            drawings: Condition -> a drawing of the view, uint8 [H, W, 3].
            pictures: The pictures, uint8 [H, W, 3].
        """
        differences = torch.from_numpy(compare(frame, depth, [drawings[name] for name in NAMES], pictures))
        logits = sum(weigher(weigher.plain(differences)).log_softmax(dim=1) for weigher in self._weighers)
        return [NAMES[int(index)] for index in torch.as_tensor(logits).argmax(dim=1)]


__all__ = ["DIFFERENCES", "NAMES", "WEIGHTS", "ComparingJudge", "Weigher", "compare", "marks", "view_of"]
