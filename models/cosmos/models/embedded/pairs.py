"""Training pairs: how one is stored, and how pairs become batches of random controls, weights, crops and looks.

A pair is one frame under one look, an ``.npz``: ``rgb`` and ``target``, uint8 [H, W, 3]; each control that there is,
uint8 [H, W] or [H, W, 3]; ``style``, the style vector; ``hints``, where the frame has a depth, as ``to_bytes`` stores
them; ``maps``, the light maps as they come, where the stage could be asked, and ``glow``, uint8 [H, W, 3], where lamps
glow in its haze, which the target shows and the net need not paint; ``about``, JSON for people. A frame that follows
another of its clip (``pair_name``) has ``motion`` as well, previous minus current position [px], float16 [H, W, 2], and
``stays``, where the frame before showed the same, 0 or 1, uint8 [H, W].
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.spec import TransferNetConfig

HELD_OUT = 900_000
"""Pairs whose names begin with this number or a larger one are measured on and never trained on."""
_PRESENT = {"edge": 0.75, "depth": 0.85, "seg": 0.6, "vis": 0.7}
_PRESENT_ELSE = 0.7
_MOVING = 3
"""One batch of so many shows frames in a row, where there are such."""
_UNLIT = 0.4
"""Share of batches shown without light maps, as what no stage stands behind: harder, so it needs practice."""
_SUN_ACROSS = 6
"""Place in the style vector of the sun's component to the left, which a mirrored picture turns round."""


@dataclass(kw_only=True)
class Batch:
    """What the net sees and should paint; pictures in [-1, 1]."""

    rgb: Tensor
    """Source pictures, shape [B, 3, H, W]."""
    controls: dict[str, Tensor]
    """Kind -> control pictures, shape [B, 3, H, W]."""
    weights: dict[str, Tensor]
    """Kind -> weight maps in [0, 1], shape [B, 1, H, W]; 0 where a picture lacks the control."""
    hints: Tensor
    """Light hints, shape [B, hints, H, W]; 0 where there are none."""
    style: Tensor
    """Style vectors, shape [B, style]."""
    target: Tensor
    """What should be painted, shape [B, 3, H, W]."""
    maps: Tensor
    """Light maps, shape [B, maps, H, W]."""
    lit: Tensor
    """Which pictures have light maps, 0 or 1, shape [B, 1, 1, 1]."""
    picture: Tensor | None = None
    """Whether the trunk sees the picture, shape [B, 1, 1, 1]; ``None`` lets it."""
    draft: Tensor | None = None
    """Drafts as the trunk sees them, at its size, shape [B, DRAFT_CHANNELS, h, w]; ``None`` where it sees none."""
    answer: Tensor | None = None
    """What a teacher painted from the same noise, shape [B, 3, H, W]; ``None`` without one."""
    glow: Tensor | None = None
    """What lamps add in the haze, laid over what is painted where there are light maps; levels in [0, 1], shape
    [B, 3, H, W]; ``None`` where none glows."""
    motion: Tensor | None = None
    """Previous minus current position [px], shape [B, 2, H, W], where the picture before is the frame before."""
    stays: Tensor | None = None
    """Where that frame showed the same, 0 or 1, shape [B, 1, H, W]; ``None`` where no picture follows another."""

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""

        def moved(value: Any) -> Any:
            if isinstance(value, dict):
                return {kind: tensor.to(device) for kind, tensor in value.items()}
            return None if value is None else value.to(device)

        return Batch(**{item.name: moved(getattr(self, item.name)) for item in fields(self)})

    def padded(self, pad: tuple[int, int, int, int]) -> Batch:
        """Return the batch with its rims repeated outwards; the target stays."""

        def grown(tensor: Tensor) -> Tensor:
            return functional.pad(tensor, pad, mode="replicate").contiguous(memory_format=torch.channels_last)

        return replace(
            self,
            rgb=grown(self.rgb),
            controls={kind: grown(control) for kind, control in self.controls.items()},
            weights={kind: grown(weight) for kind, weight in self.weights.items()},
            hints=grown(self.hints),
            maps=grown(self.maps),
        )


class Pairs:
    """A folder of pairs.

    Args:
        folder: Where the pairs lie.
        seed: Decides every batch, together with the batch's number.
        config: Shape of the net that learns from them.
        always: Control that takes part in every picture.
        moving: Whether frames that follow each other are shown together at times.
        part: Which share of each batch is wanted, and how many shares there are: for processes that learn together.
    """

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        config: TransferNetConfig | None = None,
        always: str | None = None,
        moving: bool = True,
        part: tuple[int, int] = (0, 1),
    ) -> None:
        self.folder, self.seed, self.config = folder, seed, config or TransferNetConfig()
        self.always, self.part = always, part
        files = sorted(folder.glob("*.npz"))
        self.files = [path for path in files if int(path.name[:6]) < HELD_OUT]
        self.held_out = [path for path in files if int(path.name[:6]) >= HELD_OUT]
        learnt = set(self.files) if moving else set()
        self.moves = [(before, path) for path in self.files if (before := frame_before(path)) in learnt]
        """A frame and the one that follows it."""

    def batch(self, size: int, number: int, crop: tuple[int, int] | None = None) -> Batch:
        """Draw a training batch; the same number gives the same batch."""
        if not self.files:
            raise ValueError(f"{self.folder} holds no pairs to learn from; tools/make_training_data.py makes some.")
        rng = np.random.default_rng([self.seed, number])
        if self.moves and size > 1 and number % _MOVING == _MOVING - 1:
            drawn = [self.moves[index] for index in rng.integers(len(self.moves), size=size // 2)]
            drawn += [(self.files[index],) for index in rng.integers(len(self.files), size=size % 2)]
        else:
            drawn = [(self.files[index],) for index in rng.integers(len(self.files), size=size)]
        picture, lit = rng.random((len(drawn), 1, 1, 1)), rng.random() > _UNLIT
        wanted = range(self.part[0], len(drawn), self.part[1])
        # Each clip draws by itself: whoever makes it, it comes out the same.
        clips = [
            self._augment([read_pair(path) for path in drawn[k]], crop, np.random.default_rng([self.seed, number, k]))
            for k in wanted
        ]
        batch = collate([row for clip in clips for row in clip], self.config.controls)
        whose = np.repeat(wanted, [len(clip) for clip in clips])
        batch.picture = torch.from_numpy((picture > 0.3).astype(np.float32)[whose])
        batch.lit = batch.lit * float(lit)
        return batch

    def stream(
        self, size: int, first: int, crop: tuple[int, int] | None = None, *, cycle: int | None = None
    ) -> Generator[Batch, None, None]:
        """Yield batch after batch from a number on; each is made while the one before is at work. Close it.

        Args:
            size: Pictures a batch.
            first: Number of the first.
            crop: Size cut from the pairs [px]; ``None`` takes them whole.
            cycle: Number that comes as 0 again; ``None`` for batches without end.
        """
        with ThreadPoolExecutor(max_workers=1) as loader:
            coming = loader.submit(self.batch, size, first % cycle if cycle else first, crop)
            while True:
                first += 1
                number = first % cycle if cycle else first
                batch, coming = coming.result(), loader.submit(self.batch, size, number, crop)
                yield batch

    def _augment(
        self, frames: list[Mapping[str, np.ndarray]], crop: tuple[int, int] | None, rng: np.random.Generator
    ) -> list[dict[str, np.ndarray]]:
        """Turn frames of one clip into rows, all changed alike."""
        there = tuple(kind for kind in self.config.controls if all(kind in arrays for arrays in frames))
        rows = [to_row(arrays, self.config) for arrays in frames]
        height, width = rows[0]["rgb"].shape[:2]
        if crop is not None:
            y, x = rng.integers(height - crop[0] + 1), rng.integers(width - crop[1] + 1)
            height, width = crop
            rows = [_of_places(row, np.s_[y : y + height, x : x + width]) for row in rows]
        if rng.random() < 0.5:
            rows = [_of_places(row, np.s_[:, ::-1]) for row in rows]
            for row in rows:
                row["style"], row["motion"] = row["style"].copy(), row["motion"] * np.array([-1.0, 1.0], np.float32)
                row["style"][_SUN_ACROSS] *= -1.0
        if rng.random() < 0.3:
            # Stages nobody here wrote are exposed in other ways. Seldom and mildly: how bright the target is must be
            # guessed from the source, and what is shaken here cannot be guessed.
            gamma = np.exp(rng.normal(0.0, 0.06))
            gain = np.exp(rng.normal(0.0, 0.02, 3) + rng.normal(0.0, 0.06))
            for row in rows:
                for name in ("rgb", "vis"):
                    if name in row:
                        row[name] = np.clip(row[name] ** gamma * gain, 0.0, 1.0)
        if rng.random() < 0.5 and "seg" in rows[0]:
            # Instance colours carry no meaning of their own.
            order = rng.permutation(3)
            for row in rows:
                row["seg"] = row["seg"][..., order]
        weights = random_weights(rng, height, width, self.config.controls, there=there, always=self.always)
        for row in rows:
            row["weights"] = weights
        rows[0]["stays"] = np.zeros_like(rows[0]["stays"])  # the row before is of another clip
        return rows


def _of_places(row: Mapping[str, np.ndarray], part: Any) -> dict[str, np.ndarray]:
    """Return a row with a part of everything that has a place."""
    return {name: value[part] if value.ndim == 3 else value for name, value in row.items()}


def pair_name(scene: int, number: int, frame: int = 0) -> str:
    """Return the file name of a scene's pair; a ``frame`` above 0 follows that many of the same clip."""
    return f"{scene:06d}_{number:02d}{f'_{frame}' if frame else ''}.npz"


def frame_before(path: Path) -> Path | None:
    """Return where the frame before a pair's lies; ``None`` where the pair follows none."""
    scene, number, *frame = path.stem.split("_")
    return path.with_name(pair_name(int(scene), int(number), int(frame[0]) - 1)) if frame else None


def seen_before(ids: np.ndarray, before: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """Where a frame shows what the frame before showed too, found by motion and instance; 0 or 1, uint8 [H, W].

    Args:
        ids: Instance ids of the frame, shape [H, W]; 0 is nothing.
        before: Those of the frame before.
        motion: Previous minus current position [px], shape [H, W, 2].
    """
    height, width = ids.shape
    y, x = np.mgrid[:height, :width] + motion[..., ::-1].transpose(2, 0, 1)
    inside = (x >= 0) & (y >= 0) & (x <= width - 1) & (y <= height - 1)
    row, column = (np.rint(np.where(inside, place, 0.0)).astype(int) for place in (y, x))
    return (inside & (ids > 0) & (before[row, column] == ids)).astype(np.uint8)


def read_pair(path: Path) -> dict[str, np.ndarray]:
    """Read a pair's arrays."""
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}


def write_pair(path: Path, **arrays: Any) -> None:
    """Write a pair whole or not at all."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
    temporary.replace(path)


def to_bytes(signed: np.ndarray) -> np.ndarray:
    """Store numbers in [-1, 1] in a byte."""
    return np.clip(signed * 127.0 + 127.5, 0.0, 255.0).astype(np.uint8)


def to_row(arrays: Mapping[str, np.ndarray], config: TransferNetConfig) -> dict[str, np.ndarray]:
    """Turn stored bytes into floats, pictures and controls in [0, 1], hints and maps in [-1, 1], each [H, W, C].

    What a pair lacks is 0; ``lit`` tells whether it has light maps. Motion is in pixels, as it comes.
    """
    size = arrays["rgb"].shape[:2]
    row = {name: arrays[name].astype(np.float32) / 255.0 for name in ("rgb", "target")}
    for kind in config.controls:
        control = arrays[kind].astype(np.float32) / 255.0 if kind in arrays else np.zeros((*size, 3), np.float32)
        row[kind] = np.repeat(control[..., None], 3, axis=2) if control.ndim == 2 else control
    row["maps"], row["hints"] = (np.zeros((*size, count), np.float32) for count in (config.maps, config.hints))
    if "maps" in arrays:
        row["maps"] = arrays["maps"].astype(np.float32) / 127.5 - 1.0
    if "hints" in arrays:
        told = arrays["hints"][..., : config.hints]  # older pairs hold fewer
        row["hints"][..., : told.shape[2]] = (told.astype(np.float32) - 127.5) / 127.0
    row["glow"] = arrays["glow"].astype(np.float32) / 255.0 if "glow" in arrays else np.zeros((*size, 3), np.float32)
    follows = "stays" in arrays
    row["motion"] = arrays["motion"].astype(np.float32) if follows else np.zeros((*size, 2), np.float32)
    row["stays"] = arrays["stays"][..., None].astype(np.float32) if follows else np.zeros((*size, 1), np.float32)
    row["style"] = arrays["style"].astype(np.float32)
    row["lit"] = np.full(1, "maps" in arrays, dtype=np.float32)
    return row


def random_weights(
    rng: np.random.Generator,
    height: int,
    width: int,
    kinds: tuple[str, ...] = TransferNetConfig().controls,
    *,
    there: tuple[str, ...] | None = None,
    always: str | None = None,
) -> np.ndarray:
    """Draw a weight map for each control, sum at most 1 per site, float32 [H, W, len(kinds)].

    Args:
        rng: Draws.
        height: Of the maps [px].
        width: Of the maps [px].
        kinds: The controls.
        there: Those that may take part; ``None`` lets all.
        always: One that takes part wherever it may.
    """
    there = kinds if there is None else there
    weights = np.zeros((height, width, len(kinds)), dtype=np.float32)
    for index, kind in enumerate(kinds):
        if kind not in there or (rng.random() > _PRESENT.get(kind, _PRESENT_ELSE) and kind != always):
            continue
        weights[..., index] = 1.0 if rng.random() < 0.3 else rng.uniform(0.1, 1.0)
        if rng.random() < 0.15:
            # A soft half plane: weight maps differ over the picture.
            angle, offset = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(-0.3, 0.3)
            y, x = np.mgrid[:height, :width] / np.array([height, width]).reshape(2, 1, 1) - 0.5
            ramp = 1.0 / (1.0 + np.exp(-40.0 * (x * np.cos(angle) + y * np.sin(angle) - offset)))
            weights[..., index] *= (rng.uniform(0.0, 0.5) + (1.0 - rng.uniform(0.0, 0.5)) * ramp).clip(0.0, 1.0)
    if not weights.any() and there:
        weights[..., kinds.index("depth" if "depth" in there else there[0])] = 1.0
    return weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1.0)


def collate(rows: list[dict[str, np.ndarray]], kinds: tuple[str, ...]) -> Batch:
    """Stack rows to tensors, channels last in memory."""

    def stack(name: str) -> Tensor:
        return torch.from_numpy(np.stack([np.ascontiguousarray(row[name], dtype=np.float32) for row in rows])).permute(
            0, 3, 1, 2
        )

    weights, stays, glow = stack("weights"), stack("stays"), stack("glow")
    return Batch(
        rgb=stack("rgb") * 2.0 - 1.0,
        controls={kind: stack(kind) * 2.0 - 1.0 for kind in kinds},
        weights={kind: weights[:, index : index + 1] for index, kind in enumerate(kinds)},
        hints=stack("hints"),
        maps=stack("maps"),
        style=torch.from_numpy(np.stack([row["style"] for row in rows])),
        lit=torch.from_numpy(np.stack([row["lit"] for row in rows]))[:, :, None, None],
        target=stack("target") * 2.0 - 1.0,
        glow=glow if glow.any() else None,
        motion=stack("motion") if stays.any() else None,
        stays=stays if stays.any() else None,
    )


def whole_batch(
    files: list[Path], weights: Mapping[str, float], config: TransferNetConfig | None = None
) -> tuple[Batch, list[dict[str, Any]]]:
    """Load pairs whole, with fixed weights for the controls they have; return what each is about as well."""
    rows, about, config = [], [], config or TransferNetConfig()
    for path in files:
        arrays = read_pair(path)
        about.append(json.loads(str(arrays["about"])))
        row = to_row(arrays, config)
        maps = np.array([weights.get(k, 0.0) if k in arrays else 0.0 for k in config.controls], dtype=np.float32)
        maps /= max(1.0, float(maps.sum()))
        row["weights"] = np.broadcast_to(maps, (*row["rgb"].shape[:2], len(config.controls)))
        rows.append(row)
    return collate(rows, config.controls), about


__all__ = [
    "HELD_OUT",
    "Batch",
    "Pairs",
    "collate",
    "frame_before",
    "pair_name",
    "random_weights",
    "read_pair",
    "seen_before",
    "to_bytes",
    "to_row",
    "whole_batch",
    "write_pair",
]
