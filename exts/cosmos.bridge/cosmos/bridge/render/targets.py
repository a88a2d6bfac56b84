"""What frames are drawn into: memory of each picture size, used again for each frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import warp as wp

from cosmos.bridge.types import BUFFERS, Camera, LightMaps
from cosmos.bridge.types.probe import FALLING_SHAPE

_DTYPES = {"uint8": wp.uint8, "float32": wp.float32, "uint32": wp.uint32}
_MAPS = {"relit": 3, "white": 3, "mirror": 3, "air": 4}
_Seen = tuple[wp.array, wp.array]
"""Triangles and depths at pixel centres."""


@dataclass(kw_only=True, slots=True, eq=False)
class Target:
    """Memory of one frame."""

    buffers: Mapping[str, wp.array]
    """The buffers of a Frame."""
    seen: _Seen
    serial: int = 0
    """How many frames were drawn into it."""


class Targets:
    """Memory of every size and slot that was asked for."""

    def __init__(self, device: Any):
        """Make nothing yet; ``device`` is where memory will be."""
        self._device = device
        self._frames: dict[tuple[int, int, int], Target] = {}
        self._maps: dict[tuple[int, int], tuple[_Seen, LightMaps]] = {}

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

    def clear(self) -> None:
        """Let go of everything."""
        self._frames.clear()
        self._maps.clear()

    def _seen(self, size: tuple[int, int]) -> _Seen:
        return self._empty(size, wp.int32), self._empty(size, wp.float32)

    def _empty(self, shape: tuple[int, ...], dtype: Any) -> wp.array:
        return wp.empty(shape, dtype=dtype, device=self._device)


__all__ = ["Target", "Targets"]
