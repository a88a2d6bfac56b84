"""What frames are drawn into: memory of each picture size, used again for each frame."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import warp as wp

from cosmos.bridge.render.scene import Pose
from cosmos.bridge.types import BUFFERS, Camera, LightMaps
from cosmos.bridge.types.probe import FALLING_SHAPE

if TYPE_CHECKING:
    from cosmos.bridge.render.draw.edges import Edges

_DTYPES = {"uint8": wp.uint8, "float32": wp.float32, "uint32": wp.uint32}
_MAPS = {"relit": 3, "white": 3, "mirror": 3, "air": 4, "glow": 3}
_Seen = tuple[wp.array, wp.array]
"""Triangles and depths at pixel centres."""
_SIGHT_BYTES = 1 << 25
"""Most memory for what frames saw: some eighty small pictures, a few large ones."""


@dataclass(kw_only=True, slots=True, eq=False)
class Target:
    """Memory of one frame."""

    buffers: Mapping[str, wp.array]
    """The buffers of a Frame."""
    seen: _Seen
    serial: int = 0
    """How many frames were drawn into it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Sight:
    """What a frame saw."""

    seen: _Seen
    edges: Optional[Edges]
    """``None`` where they are not known."""
    num_bytes: int


class Targets:
    """Memory of every size and slot that was asked for."""

    def __init__(self, device: Any):
        """Make nothing yet; ``device`` is where memory will be."""
        self._device = device
        self._frames: dict[tuple[int, int, int], Target] = {}
        self._maps: dict[tuple[int, int], tuple[_Seen, LightMaps]] = {}
        self._sights: dict[bytes, _Sight] = {}
        self._sight_bytes = 0

    def frame(self, camera: Camera, slot: int) -> Target:
        """Return the memory of a frame; frames of different slots live side by side."""
        height, width = size = (camera.height, camera.width)
        if (height, width, slot) not in self._frames:
            buffers = {
                name: self._empty((height, width, channels) if channels else size, _DTYPES[dtype])
                for name, (dtype, channels) in BUFFERS.items()
            }
            self._frames[height, width, slot] = Target(buffers=buffers, seen=self._seen(size))
        return self._frames[height, width, slot]

    def maps(self, camera: Camera) -> tuple[_Seen, LightMaps]:
        """Return the memory of light maps, and of what is seen under them."""
        size = (camera.height, camera.width)
        if size not in self._maps:
            maps = {name: self._empty((*size, channels), wp.uint8) for name, channels in _MAPS.items()}
            maps |= {"open": self._empty(size, wp.uint8), "falling": self._empty(FALLING_SHAPE, wp.uint8)}
            self._maps[size] = (self._seen(size), LightMaps(**maps))
        return self._maps[size]

    def remember(self, camera: Camera, pose: Pose, seen: _Seen, edges: Optional[Edges] = None) -> None:
        """Keep what a camera sees of a pose, and its edges if known, for light maps of it; the oldest are forgotten."""
        key, size = _sight_of(camera, pose), 8 * camera.height * camera.width
        size += 0 if edges is None else edges.num_bytes
        if size > _SIGHT_BYTES or (key in self._sights and edges is None):
            return
        if key in self._sights:
            self._sight_bytes -= self._sights.pop(key).num_bytes
        self._sight_bytes += size
        while self._sight_bytes > _SIGHT_BYTES:
            self._sight_bytes -= self._sights.pop(next(iter(self._sights))).num_bytes
        self._sights[key] = _Sight(seen=(wp.clone(seen[0]), wp.clone(seen[1])), edges=edges, num_bytes=size)

    def recall(self, camera: Camera, pose: Pose, seen: _Seen) -> tuple[bool, Optional[Edges]]:
        """Fill ``seen`` with what was remembered of a camera and a pose; return whether anything was, and the edges."""
        kept = self._sights.get(_sight_of(camera, pose))
        if kept is None:
            return False, None
        for source, target in zip(kept.seen, seen, strict=True):
            wp.copy(target, source)
        return True, kept.edges

    def clear(self) -> None:
        """Let go of everything."""
        self._frames.clear()
        self._maps.clear()
        self._sights.clear()
        self._sight_bytes = 0

    def _seen(self, size: tuple[int, int]) -> _Seen:
        return self._empty(size, wp.int32), self._empty(size, wp.float32)

    def _empty(self, shape: tuple[int, ...], dtype: Any) -> wp.array:
        return wp.empty(shape, dtype=dtype, device=self._device)


def _sight_of(camera: Camera, pose: Pose) -> bytes:
    """Return what decides what a camera sees of a pose: where all is, and how the camera looks at it."""
    told = hashlib.sha256(repr((camera.height, camera.width, camera.near, camera.far, camera.lens)).encode())
    for array in (camera.intrinsics, camera.cam_to_world, pose.local_to_world, pose.visible):
        told.update(np.asarray(array).tobytes())
    for mesh, points in pose.points.items():
        told.update(str(mesh).encode())
        told.update(np.asarray(points).tobytes())
    return told.digest()


__all__ = ["Target", "Targets"]
