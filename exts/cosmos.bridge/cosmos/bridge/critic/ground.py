"""What is the scene itself: ground, floors and ceilings, which cannot be gone, stand elsewhere or be there twice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cosmos.bridge.types import Camera, Clip

_STRAIGHT = 0.9
"""Part of a normal along the vertical from which on a surface faces straight up or down."""
_FLAT = 0.8
"""Share of its pixels that must."""
_WIDE = 3.0
"""Extent from which on it is no top of a thing that stands there [m]; a car is 2 m wide."""
_STEP = 4
"""One frame in so many is looked at."""


def grounds(clip: Clip, owners: Callable[[int], np.ndarray], count: int) -> np.ndarray:
    """Tell which things are ground, floor or ceiling: flat, level, and over 3 m wide as far as they are seen.

    Args:
        clip: The clip; without normals and depth nothing is known to be ground.
        owners: Frame -> thing of each pixel, int, shape [H, W].
        count: How many things there are.

    Returns:
        bool, shape [count].
    """
    if clip.normals is None or clip.depth is None:
        return np.zeros(count, bool)
    up, pixels, level, extent = 1 if clip.up_axis == "Y" else 2, np.zeros(count), np.zeros(count), np.zeros(count)
    looked = {frame: owners(frame) for frame in range(0, clip.num_frames, _STEP)}
    for frame, owner in looked.items():
        straight = np.abs(clip.normals[frame].numpy()[..., up]) > _STRAIGHT
        pixels += np.bincount(owner.ravel(), minlength=count)
        level += np.bincount(owner[straight].ravel(), minlength=count)
    flat = (pixels > 0) & (level >= _FLAT * pixels)
    for frame, owner in looked.items():
        depth = clip.depth[frame].numpy()
        for thing in np.flatnonzero(flat & (extent < _WIDE)).tolist():
            extent[thing] = max(extent[thing], _extent(owner == thing, depth, clip.cameras[frame]))
    return flat & (extent >= _WIDE)


def _extent(mask: np.ndarray, depth: np.ndarray, camera: Camera) -> float:
    """Longest side of the box, along the camera's axes, around what is seen of a thing [m]."""
    mask = mask & np.isfinite(depth) & (depth > 0.0)
    if not mask.any():
        return 0.0
    down, right = np.nonzero(mask)
    far = depth[mask]
    x, y = right * far / camera.intrinsics[0, 0], down * far / camera.intrinsics[1, 1]
    return float(max(np.ptp(x), np.ptp(y), np.ptp(far)))


__all__ = ["grounds"]
