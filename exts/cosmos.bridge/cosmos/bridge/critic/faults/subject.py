"""A good clip as the faults see it: pictures, truth, and the things in it that a fault can befall."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

import cv2
import numpy as np

from cosmos.bridge.critic.ground import grounds
from cosmos.bridge.errors import PlantError
from cosmos.bridge.types import Clip, ControlKind, TransferRequest, TransferResult

SMALLEST, LARGEST = 0.004, 0.12
"""Share of the picture that a thing must fill in every frame, and may fill in none."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Thing:
    """All instances below one labelled prim: a chair, not its leg."""

    path: str
    """Path of the labelled prim."""
    ids: tuple[int, ...]
    """Its instance ids."""
    areas: np.ndarray
    """Pixels in each frame, int64, shape [T]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Subject:
    """A request with a good result, as NumPy arrays; one subject serves any number of faults."""

    request: TransferRequest
    """What was asked."""
    result: TransferResult
    """What came."""
    rgb: np.ndarray
    """Pictures of the result, uint8, shape [T, H, W, 3]; not to be written to."""
    ids: np.ndarray
    """Instance ids, uint32, shape [T, H, W]."""
    depth: np.ndarray
    """Distance to the image plane [m], float32, shape [T, H, W]; ``inf`` where no hit or unknown."""
    things: tuple[Thing, ...]
    """Every labelled thing but ground, floors and ceilings, by path."""

    @classmethod
    def of(cls, request: TransferRequest, result: TransferResult) -> Subject:
        """Read a clip and its result.

        Raises:
            PlantError: If the clip has no instance ids or the result has another size.
        """
        clip = request.clip
        if clip.instance_ids is None:
            raise PlantError("Faults are planted on instances, but the clip has no instance ids; read them as well.")
        rgb, ids = result.rgb.numpy(), np.ascontiguousarray(clip.instance_ids.numpy()).view(np.uint32)
        if rgb.shape != (*ids.shape, 3):
            raise PlantError(f"Faults need a result of its clip's size; the clip is {list(ids.shape)} [T, H, W], "
                             f"the result {list(rgb.shape)}.")  # fmt: skip
        depth = np.full(ids.shape, np.inf, np.float32) if clip.depth is None else clip.depth.numpy().copy()
        depth[~(depth > 0.0)] = np.inf
        things = _standing(clip, ids, things_of(clip, ids))
        return cls(request=request, result=result, rgb=rgb, ids=ids, depth=depth, things=things)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, height and width."""
        frames, height, width = self.ids.shape
        return frames, height, width

    def mask(self, thing: Thing, frame: int) -> np.ndarray:
        """Where a thing is seen in a frame, bool [H, W]."""
        return np.isin(self.ids[frame], np.array(thing.ids, np.uint32))

    def distance(self, thing: Thing, frame: int) -> float:
        """Median depth of a thing in a frame [m]."""
        mask = self.mask(thing, frame)
        return float(np.median(self.depth[frame][mask])) if mask.any() else float("inf")

    def fit(
        self, rng: np.random.Generator, *, smallest: float = SMALLEST, largest: float = LARGEST, rim: float = 0.2
    ) -> Iterator[Thing]:
        """Yield the things that are seen well in every frame, in a random order.

        Args:
            rng: Decides the order.
            smallest: Share of the picture that a thing fills at least in each frame.
            largest: Share that it fills at most.
            rim: Share of its bounding box's outline that may lie on the rim of the picture.

        A thing that is seen in several pieces, or as a thin line, is not seen well.
        """
        pixels = self.ids[0].size
        chosen = [
            thing
            for thing in self.things
            if thing.areas.min() >= smallest * pixels and thing.areas.max() <= largest * pixels
        ]
        for index in rng.permutation(len(chosen)).tolist():
            masks = (self.mask(chosen[index], frame) for frame in range(len(self.ids)))
            if all(_inside(mask, rim) for mask in masks):
                yield chosen[index]

    def protected(self, rng: np.random.Generator) -> Iterator[Thing]:
        """Yield the fit things whose look the request keeps: a ``vis`` weight of 1, or preserved."""
        kept = kept_of(self.request)
        if kept is None:
            return
        for thing in self.fit(rng):
            share = np.mean([kept[frame][self.mask(thing, frame)].mean() for frame in range(len(self.ids))])
            if share >= 0.9:
                yield thing


def things_of(clip: Clip, ids: np.ndarray) -> tuple[Thing, ...]:
    """Group the instances that occur by the labelled prim they belong to; the background is no thing."""
    areas: dict[str, np.ndarray] = {}
    members: dict[str, list[int]] = {}
    for frame, picture in enumerate(ids):
        keys, counts = np.unique(picture, return_counts=True)
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            instance = clip.instances.get(key)
            if key == 0 or instance is None:
                continue
            path = instance.owner or instance.prim_path
            areas.setdefault(path, np.zeros(len(ids), np.int64))[frame] += count
            if key not in members.setdefault(path, []):
                members[path].append(key)
    return tuple(Thing(path=path, ids=tuple(sorted(members[path])), areas=areas[path]) for path in sorted(areas))


def _standing(clip: Clip, ids: np.ndarray, things: tuple[Thing, ...]) -> tuple[Thing, ...]:
    """Leave out ground, floors and ceilings: they are the scene itself."""

    def owners(frame: int) -> np.ndarray:
        owner = np.zeros(ids[frame].shape, np.int64)
        for number, thing in enumerate(things, start=1):
            owner[np.isin(ids[frame], np.array(thing.ids, np.uint32))] = number
        return owner

    ground = grounds(clip, owners, len(things) + 1)[1:].tolist()
    return tuple(thing for thing, lies in zip(things, ground, strict=True) if not lies)


def kept_of(request: TransferRequest) -> Optional[np.ndarray]:
    """Return how much of the source's look a request keeps, float32 in [0, 1], [T, H, W]; ``None`` for nothing."""
    vis = request.weights[ControlKind.VIS]
    if request.preserve is not None:
        kept: np.ndarray = request.preserve.numpy()
        return kept
    if isinstance(vis, (int, float)):
        return np.full(request.clip.rgb.shape[:3], vis, np.float32) if vis >= 1.0 else None
    others = [weight for kind, weight in request.weights.items() if kind != ControlKind.VIS]
    total = vis.numpy().copy()
    for weight in others:
        total += weight if isinstance(weight, (int, float)) else weight.numpy()
    return np.where(vis.numpy() >= 1.0, vis.numpy() / np.maximum(total, 1.0), 0.0).astype(np.float32)


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Return the bounding box ``(top, left, bottom, right)`` of a mask that is not empty; the ends are exclusive."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _inside(mask: np.ndarray, rim: float) -> bool:
    """Whether a mask is seen in one piece, of some width, and hardly touches the rim of the picture."""
    if not mask.any():
        return False
    top, left, bottom, right = box_of(mask)
    high, wide = bottom - top, right - left
    touching = mask[0].sum() + mask[-1].sum() + mask[:, 0].sum() + mask[:, -1].sum()
    if touching > rim * 2.0 * (high + wide) or mask.sum() < 0.2 * high * wide:
        return False
    pieces = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    return bool(pieces.max() >= 0.8 * mask.sum())


__all__ = ["LARGEST", "SMALLEST", "Subject", "Thing", "box_of", "kept_of", "things_of"]
