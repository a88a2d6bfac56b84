"""Which pixels of the interactive picture hold edges, and where the samples of these take their colours from.

That depends on shapes alone, so the light of a frame needs not look for it again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.borrow import fill_samples_kernel, find_lenders_kernel
from cosmos.bridge.types import PixelEdges


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Edges:
    """The edges of one picture; K pixels hold one, and M samples of these are shown by no pixel's centre."""

    pixels: wp.array
    """The pixels, int32, shape [K]."""
    lenders: wp.array
    """Whose colour each of their samples takes, of ``find_lenders_kernel``, int32, shape [S K]: S of each pixel."""
    slots: wp.array
    """Which of the M samples each sample is, where nobody lends, int32, shape [S K]."""
    image: wp.array
    """Image points of the M samples [px], vec2, shape [M]."""
    triangles: wp.array
    """What they see, int32, shape [M]; -1 for nothing."""
    depths: wp.array
    """How far away, in lengths of ``pixel_ray``, float32, shape [M]."""

    @property
    def num_bytes(self) -> int:
        """Memory of all of it."""
        return 4 * len(self.pixels) + 8 * len(self.lenders) + 16 * len(self.triangles)

    def told(self) -> PixelEdges:
        """Return which pixels hold an edge and who lends to them, in the same memory."""
        count = len(self.pixels)
        return PixelEdges(pixels=self.pixels, lenders=self.lenders.reshape((count, len(self.lenders) // max(1, count))))


def find_edges(bands: Bands, scene: tuple[Any, ...], width: int, side: int, marked: np.ndarray, room: Any) -> Edges:
    """Find where the samples of marked pixels take their colours from.

    Args:
        bands: Where to launch.
        scene: Triangles and depths of the samples of every pixel, the world's arrays, and surfaces at pixel centres.
        width: Of the picture [px].
        side: Samples of a pixel along each axis.
        marked: Pixels that hold an edge, int32, shape [K].
        room: Returns surfaces for at least so many samples; their first ones are written over.
    """
    device = bands.device
    *seen, world, home = scene
    pixels, lenders = _array(marked, device), wp.empty(side * side * len(marked), dtype=wp.int32, device=device)
    bands.launch_runs(find_lenders_kernel, len(marked), [width, side, pixels, *seen, world, home, lenders], chunk=4096)
    alone = lenders.numpy() == -1
    samples = _array(np.flatnonzero(alone), device)
    count, fine = len(samples), room(max(1, len(samples)))
    bands.launch(fill_samples_kernel, count, [width, side, pixels, samples, *seen, fine], chunk=4096)
    image, triangles, depths = (_first(array, count) for array in (fine.image, fine.triangles, fine.depths))
    return Edges(
        pixels=pixels,
        lenders=lenders,
        slots=_array(np.cumsum(alone, dtype=np.int32) - np.int32(1), device),
        image=image,
        triangles=triangles,
        depths=depths,
    )


def _first(array: wp.array, count: int) -> wp.array:
    """Return a copy of the first values of an array."""
    out = wp.empty(count, dtype=array.dtype, device=array.device)
    if count:
        wp.copy(out, array, count=count)
    return out


def _array(numbers: np.ndarray, device: Any) -> wp.array:
    return wp.array(numbers.astype(np.int32, copy=False), dtype=wp.int32, device=device, copy=False)


__all__ = ["Edges", "find_edges"]
