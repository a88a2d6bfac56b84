"""Training pairs from disk to batches: random controls, weights, crops and source looks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253

KINDS = ("edge", "depth", "seg", "vis")
PRESENT = {"edge": 0.75, "depth": 0.85, "seg": 0.6, "vis": 0.7}
"""How often each control takes part in a training picture."""


@dataclass(kw_only=True)
class Batch:
    """What the net sees and should paint; pictures in [-1, 1]."""

    rgb: Tensor
    controls: dict[str, Tensor]
    weights: dict[str, Tensor]
    hints: Tensor
    style: Tensor
    target: Tensor
    maps: Tensor
    """Light maps."""
    picture: Tensor | None = None
    """Whether the trunk sees the picture, shape [B, 1, 1, 1]; ``None`` lets it."""
    lit: Tensor | None = None
    """Which pictures have light maps, shape [B, 1, 1, 1]; ``None`` if all have."""


class Pairs:
    """A folder of pairs that may still grow."""

    def __init__(self, folder: Path, *, seed: int, held_out: int = 900_000) -> None:
        self.folder = folder
        self.held_out = held_out
        self.rng = np.random.default_rng(seed)
        self.files: list[Path] = []
        self.rescan()

    def rescan(self) -> None:
        """Look for new pairs; those of held-out scenes are never taken."""
        self.files = sorted(path for path in self.folder.glob("*.npz") if int(path.name[:6]) < self.held_out)

    def batch(self, size: int, crop: tuple[int, int] | None = None) -> Batch:
        """Draw a training batch."""
        rows = []
        for index in self.rng.integers(len(self.files), size=size):
            arrays = dict(np.load(self.files[index]))
            rows.append(self._augment(arrays, crop))
        batch = collate(rows)
        batch.picture = torch.from_numpy((self.rng.random((size, 1, 1, 1)) > 0.3).astype(np.float32))
        # Pictures without a stage behind them have no light maps.
        batch.lit = torch.from_numpy((self.rng.random((size, 1, 1, 1)) > 0.25).astype(np.float32))
        return batch

    def _augment(self, arrays: dict[str, np.ndarray], crop: tuple[int, int] | None) -> dict[str, np.ndarray]:
        rng = self.rng
        row = to_row(arrays)
        height, width = row["rgb"].shape[:2]
        if crop is not None:
            y, x = rng.integers(height - crop[0] + 1), rng.integers(width - crop[1] + 1)
            row = {k: v[y : y + crop[0], x : x + crop[1]] if v.ndim == 3 else v for k, v in row.items()}
            height, width = crop
        if rng.random() < 0.5:
            row = {k: v[:, ::-1] if v.ndim == 3 else v for k, v in row.items()}
            row["style"] = row["style"].copy()
            row["style"][6] *= -1.0  # the sun changes sides
        if rng.random() < 0.3:
            # Stages nobody here wrote are exposed in other ways. Seldom and mildly: how bright the target is must be
            # guessed from the source, and what is shaken here cannot be guessed.
            gamma = np.exp(rng.normal(0.0, 0.06))
            gain = np.exp(rng.normal(0.0, 0.02, 3) + rng.normal(0.0, 0.06))
            for name in ("rgb", "vis"):
                row[name] = np.clip(row[name] ** gamma * gain, 0.0, 1.0)
        if rng.random() < 0.5:
            # Instance colours carry no meaning of their own.
            row["seg"] = row["seg"][..., rng.permutation(3)]
        row["weights"] = random_weights(rng, height, width)
        return row


def to_row(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Turn stored bytes into floats, pictures and controls in [0, 1], hints and maps in [-1, 1], each [H, W, C]."""
    row = {name: arrays[name].astype(np.float32) / 255.0 for name in ("rgb", "target", *KINDS)}
    for name in ("edge", "depth"):
        row[name] = np.repeat(row[name][..., None], 3, axis=2)
    row["maps"] = arrays["maps"].astype(np.float32) / 127.5 - 1.0
    row["hints"] = (arrays["hints"].astype(np.float32) - 127.5) / 127.0
    row["style"] = arrays["style"].astype(np.float32)
    return row


def random_weights(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Draw a weight map for each control, sum at most 1 per site, float32 [H, W, 4]."""
    weights = np.zeros((height, width, len(KINDS)), dtype=np.float32)
    for index, kind in enumerate(KINDS):
        if rng.random() > PRESENT[kind]:
            continue
        weights[..., index] = 1.0 if rng.random() < 0.3 else rng.uniform(0.1, 1.0)
        if rng.random() < 0.15:
            # A soft half plane: weight maps differ over the picture.
            angle, offset = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-0.3, 0.3)
            y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1) - 0.5
            ramp = 1.0 / (1.0 + np.exp(-40.0 * (x * np.cos(angle) + y * np.sin(angle) - offset)))
            weights[..., index] *= (rng.uniform(0.0, 0.5) + (1.0 - rng.uniform(0.0, 0.5)) * ramp).clip(0.0, 1.0)
    if not weights.any():
        weights[..., 1] = 1.0
    return weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1.0)


def collate(rows: list[dict[str, np.ndarray]]) -> Batch:
    """Stack rows to tensors, channels last in memory."""

    def stack(name: str) -> Tensor:
        return torch.from_numpy(np.stack([np.ascontiguousarray(row[name], dtype=np.float32) for row in rows])).permute(
            0, 3, 1, 2
        )

    weights = stack("weights")
    return Batch(
        rgb=stack("rgb") * 2.0 - 1.0,
        controls={kind: stack(kind) * 2.0 - 1.0 for kind in KINDS},
        weights={kind: weights[:, index : index + 1] for index, kind in enumerate(KINDS)},
        hints=stack("hints"),
        maps=stack("maps"),
        style=torch.from_numpy(np.stack([row["style"] for row in rows])),
        target=stack("target") * 2.0 - 1.0,
    )


def held_out_batch(files: list[Path], weights: dict[str, float]) -> tuple[Batch, list[dict]]:
    """Load evaluation pairs with fixed weights; return what each is about as well."""
    rows, about = [], []
    for path in files:
        arrays = dict(np.load(path))
        about.append(json.loads(str(arrays["about"])))
        row = to_row(arrays)
        maps = np.array([weights.get(kind, 0.0) for kind in KINDS], dtype=np.float32)
        maps /= max(1.0, float(maps.sum()))
        row["weights"] = np.broadcast_to(maps, (*row["rgb"].shape[:2], len(KINDS)))
        rows.append(row)
    return collate(rows), about
