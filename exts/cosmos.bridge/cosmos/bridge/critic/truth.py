"""What the simulator knows about a run of frames, next to what the model made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Optional

import cv2
import numpy as np

from cosmos.bridge.critic.ground import grounds
from cosmos.bridge.kernels.boundary import color_gradient, gradient_lengths
from cosmos.bridge.types import Clip, Instance

if TYPE_CHECKING:
    import warp as wp


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Buffers:
    """What a few frames hold, on the clip's own device: for kernels."""

    source: wp.array
    """Source pictures, uint8, shape [N, H, W, 3]."""
    result: wp.array
    """Result pictures, uint8, shape [N, H, W, 3]."""
    depth: Optional[wp.array]
    """Distance to the image plane [m], float32, shape [N, H, W]."""
    ids: Optional[wp.array]
    """Instance ids, shape [N, H, W]."""
    motion: Optional[wp.array]
    """Previous minus current position [px], float32, shape [N, H, W, 2]."""

    @classmethod
    def of(cls, clip: Clip, result: wp.array, cut: slice) -> Buffers:
        """Take some frames of a clip and its result."""
        depth, ids, motion = (
            None if buffer is None else buffer[cut] for buffer in (clip.depth, clip.instance_ids, clip.motion)
        )
        return cls(source=clip.rgb[cut], result=result[cut], depth=depth, ids=ids, motion=motion)


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunk:
    """A few frames of source and result; the first may be a halo that was already seen."""

    first: int
    """Frame number of the first frame that is new."""
    halo: int
    """1 if the frame before ``first`` comes along, at index 0 of every array, else 0."""
    source: np.ndarray
    """Source pictures, uint8, shape [N, H, W, 3], halo included; so are all arrays here."""
    result: np.ndarray
    """Result pictures, uint8, shape [N, H, W, 3]."""
    depth: Optional[np.ndarray]
    """Distance to the image plane [m], float32, shape [N, H, W]."""
    motion: Optional[np.ndarray]
    """Previous minus current position [px], float32, shape [N, H, W, 2]."""
    buffers: Buffers
    """The same frames on the device of the clip."""
    index: Optional[np.ndarray]
    """Ids renumbered to 0 .. number of instances - 1, int32, shape [N, H, W]."""
    thing: Optional[np.ndarray]
    """Things that these are parts of, int32, shape [N, H, W]."""
    gradients: tuple[np.ndarray, np.ndarray]
    """Colour gradients of source and result [levels/px], float32, shape [N, H, W, 2]."""
    steep: tuple[np.ndarray, np.ndarray]
    """Their lengths [levels/px], float32, shape [N, H, W]."""

    @cached_property
    def greys(self) -> tuple[np.ndarray, np.ndarray]:
        """Grey levels of source and result, uint8, shape [N, H, W]."""
        source, result = (
            cv2.cvtColor(video.reshape(-1, *video.shape[2:]), cv2.COLOR_RGB2GRAY).reshape(video.shape[:3])
            for video in (self.source, self.result)
        )
        return source, result

    @cached_property
    def highest(self) -> tuple[np.ndarray, np.ndarray]:
        """Largest channel of each pixel of source and result, uint8, shape [N, H, W]."""
        source, result = (
            highest(video.reshape(-1, *video.shape[2:])).reshape(video.shape[:3])
            for video in (self.source, self.result)
        )
        return source, result

    @property
    def frames(self) -> range:
        """Numbers of the new frames."""
        return range(self.first, self.first + self.source.shape[0] - self.halo)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Truth:
    """The instances of a clip, renumbered densely, and the labelled things they are parts of."""

    parts: tuple[Instance, ...]
    """Instance of each dense index; id 0 is the background."""
    areas: np.ndarray
    """Pixels of each, summed over the clip, int64."""
    things: tuple[Instance, ...]
    """Labelled things: the largest instance of each under the path of the thing; id 0 is the background."""
    thing_of: np.ndarray
    """Thing of each dense index, int64."""
    single: np.ndarray
    """Which things can be gone, stand elsewhere or be there twice: not the background nor the ground, bool."""

    @classmethod
    def of(cls, clip: Clip) -> Truth:
        """Count the ids of a clip; an id that the clip does not describe gets an instance without a path."""
        ids: dict[int, int] = {}
        for frame in range(clip.num_frames if clip.instance_ids is not None else 0):
            values, counts = _count(clip.instance_ids[frame].numpy())  # type: ignore[index]
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                ids[value] = ids.get(value, 0) + count
        keys = sorted(ids)
        parts = tuple(clip.instances.get(key) or Instance(id=key, prim_path="") for key in keys)
        areas = np.array([ids[key] for key in keys], np.int64)
        names = [part.owner or part.prim_path or f"#{part.id}" if part.id else "" for part in parts]
        order = {name: i for i, name in enumerate(dict.fromkeys(names))}
        thing_of = np.array([order[name] for name in names], np.int64)
        largest = [-1] * len(order)
        for i, area in enumerate(areas.tolist()):
            best = largest[thing_of[i]]
            largest[thing_of[i]] = i if best < 0 or area > areas[best] else best
        things = tuple(
            parts[i] if parts[i].id == 0 else replace(parts[i], prim_path=parts[i].owner or parts[i].prim_path)
            for i in largest
        )
        truth = cls(
            parts=parts,
            areas=areas,
            things=things,
            thing_of=thing_of,
            single=np.array([t.id != 0 for t in things], bool),
        )
        if not things or clip.normals is None:
            return truth

        def owners(frame: int) -> np.ndarray:
            return np.asarray(thing_of[truth.index_of(clip.instance_ids[frame].numpy())])  # type: ignore[index]

        return replace(truth, single=truth.single & ~grounds(clip, owners, len(things)))

    def name(self, index: int) -> str:
        """Name a thing for a sentence."""
        thing = self.things[index]
        return thing.prim_path or ("the background" if thing.id == 0 else f"instance {thing.id}")

    def index_of(self, ids: np.ndarray) -> np.ndarray:
        """Renumber an array of ids densely, int32."""
        keys = np.array([part.id for part in self.parts], np.int64)
        flat = np.ascontiguousarray(ids).view(np.uint32)
        if keys[-1] < 1 << 22:
            table = np.zeros(int(keys[-1]) + 1, np.int32)
            table[keys] = np.arange(len(keys), dtype=np.int32)
            return table[flat]
        return np.searchsorted(keys, flat.astype(np.int64)).astype(np.int32)


def _count(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct ids and how often each occurs."""
    flat = np.ascontiguousarray(ids).view(np.uint32).reshape(-1)
    if int(flat.max()) < 1 << 22:
        counts = np.bincount(flat)
        values = np.flatnonzero(counts)
        return values, counts[values]
    values, counts = np.unique(flat, return_counts=True)
    return values, counts


def chunks(clip: Clip, result: wp.array, truth: Truth, size: int) -> Iterator[Chunk]:
    """Walk through clip and result, ``size`` new frames at a time, each with the frame before it."""
    for first in range(0, clip.num_frames, size):
        halo = int(first > 0)
        cut = slice(first - halo, min(first + size, clip.num_frames))
        buffers = Buffers.of(clip, result, cut)
        index = None if buffers.ids is None else truth.index_of(buffers.ids.numpy())
        gradients = [color_gradient(video) for video in (buffers.source, buffers.result)]
        steep = [gradient_lengths(gradient) for gradient in gradients]
        yield Chunk(
            first=first,
            halo=halo,
            source=buffers.source.numpy(),
            result=buffers.result.numpy(),
            depth=None if buffers.depth is None else buffers.depth.numpy(),
            motion=None if buffers.motion is None else buffers.motion.numpy(),
            buffers=buffers,
            index=index,
            gradients=(gradients[0].numpy(), gradients[1].numpy()),
            steep=(steep[0].numpy(), steep[1].numpy()),
            thing=None if index is None else truth.thing_of.astype(np.int32)[index],
        )


def highest(picture: np.ndarray) -> np.ndarray:
    """Largest channel of each pixel, shape [H, W] of [H, W, 3]; many times faster than a maximum over the last axis."""
    red, green, blue = cv2.split(picture)
    return np.asarray(cv2.max(cv2.max(red, green), blue))


def lowest(picture: np.ndarray) -> np.ndarray:
    """Smallest channel of each pixel."""
    red, green, blue = cv2.split(picture)
    return np.asarray(cv2.min(cv2.min(red, green), blue))


def boundary_sites(index: Optional[np.ndarray], depth: Optional[np.ndarray], areas: np.ndarray) -> np.ndarray:
    """Find the pixels at which one instance ends, on the side of the one whose outline it is.

    The outline belongs to the nearer of two neighbours; where both are equally near (a crate on the floor), to the
    one that is smaller in the clip. Without ids, jumps of depth by more than 5 % count, on the nearer side.

    Args:
        index: Dense instance index, int32, shape [N, H, W], or ``None``.
        depth: Distance to the image plane [m], float32, shape [N, H, W], or ``None``.
        areas: Pixels of each dense index in the clip.

    Returns:
        bool, shape [N, H, W].
    """
    known = index if index is not None else depth
    if known is None:
        raise ValueError("boundary_sites needs ids or depth, got neither.")
    sites = np.zeros(known.shape, bool)
    flat = sites.reshape(-1)
    _, height, width = known.shape
    for axis, stride, line in ((1, width, (height - 1) * width), (2, 1, width - 1)):
        here = [slice(None)] * 3
        there = [slice(None)] * 3
        here[axis], there[axis] = slice(None, -1), slice(1, None)
        a, b = tuple(here), tuple(there)
        ends = index[a] != index[b] if index is not None else _jump(depth[a], depth[b])  # type: ignore[index]
        p = np.flatnonzero(ends)
        p += p // max(line, 1) * stride  # of the whole array: each line of pairs is one pixel, or row, shorter
        q = p + stride
        first = _owns(p, q, index, depth, areas)
        flat[p[first]] = flat[q[~first]] = True
    return sites


def _jump(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether two depths are not of one surface; NaN counts as no hit."""
    a, b = np.where(np.isfinite(a), a, 1.0e6), np.where(np.isfinite(b), b, 1.0e6)
    return np.abs(a - b) > 0.05 * np.minimum(a, b)


def _owns(
    p: np.ndarray, q: np.ndarray, index: Optional[np.ndarray], depth: Optional[np.ndarray], areas: np.ndarray
) -> np.ndarray:
    """Whether the outline between pixels p and q, numbers in the flat arrays, belongs to p."""
    smaller = np.ones(len(p), bool)
    if index is not None:
        smaller = areas[index.take(p)] <= areas[index.take(q)]
    if depth is None:
        return smaller
    near_p, near_q = (np.where(np.isfinite(near), near, np.float32(1.0e6)) for near in (depth.take(p), depth.take(q)))
    alike = np.abs(near_p - near_q) <= 0.01 * np.minimum(near_p, near_q)
    return np.where(alike, smaller, near_p < near_q)


__all__ = ["Chunk", "Truth", "boundary_sites", "chunks", "highest", "lowest"]
