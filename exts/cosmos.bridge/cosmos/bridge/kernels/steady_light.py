"""Steady light: light maps averaged over time along the simulator's motion vectors.

A light map is found with few rays a pixel, which meet other things in the next frame; on small and round things that
shows as flicker. What the same point of a surface showed before, found by motion, depth and instance, is averaged in
(Yang et al. 2009, amortised supersampling; the first frames evenly, later ones by an exponential mean), and it may not
differ from what is new by more than a few levels, so that a shadow that truly moves lags by no more than that.
"""

# mypy: disable-error-code="misc,index,call-overload,attr-defined"

from __future__ import annotations

from typing import Optional

import warp as wp

from cosmos.bridge.kernels.runs import launch_runs, quick_options

wp.set_module_options(quick_options())

_MOST_OFF = wp.constant(wp.float32(12.0))
"""Levels that what was before may differ from what is new; noise of the maps seldom differs by more."""
_LEAST_NEW = wp.constant(wp.float32(0.15))
"""Least share of what is new."""
_MOST_AGE = wp.constant(wp.float32(8.0))
_RELIT, _WHITE, _CLEAR = wp.constant(0), wp.constant(3), wp.constant(12)
"""Channels of joined light maps: the first of the relit picture and of the white ball, and how clear the air is."""


@wp.struct
class Remembered:
    """What the last frame showed at each pixel."""

    white: wp.array2d(dtype=wp.vec3)  # averaged white ball [levels]
    age: wp.array2d(dtype=wp.float32)  # frames that it is averaged over; 0 where nothing is met
    ids: wp.array2d(dtype=wp.uint32)
    depth: wp.array2d(dtype=wp.float32)  # [m]


@wp.func
def _averaged(old: wp.float32, new: wp.float32, share: wp.float32):
    """``share`` of a new level and the rest of an old one, which may not differ much."""
    kept = wp.clamp(old, new - _MOST_OFF, new + _MOST_OFF)
    return kept + (new - kept) * share


@wp.func
def _add_pixel(
    y: wp.int32,
    x: wp.int32,
    motion: wp.array3d(dtype=wp.float32),
    depth: wp.array2d(dtype=wp.float32),
    ids: wp.array2d(dtype=wp.uint32),
    before: Remembered,
    use_ids: wp.int32,
    use_before: wp.int32,
    maps_out: wp.array3d(dtype=wp.uint8),
    now: Remembered,
):
    far = depth[y, x]
    id = wp.uint32(0)
    if use_ids == 1:
        id = ids[y, x]
    new = wp.vec3(
        wp.float32(maps_out[y, x, _WHITE]),
        wp.float32(maps_out[y, x, _WHITE + 1]),
        wp.float32(maps_out[y, x, _WHITE + 2]),
    )
    now.ids[y, x] = id
    now.depth[y, x] = far
    now.white[y, x] = new
    now.age[y, x] = 0.0
    if not (wp.isfinite(far) and far > 0.0):
        return
    now.age[y, x] = 1.0
    u = wp.float32(x) + motion[y, x, 0]
    v = wp.float32(y) + motion[y, x, 1]
    if use_before == 0 or not (wp.isfinite(u) and wp.isfinite(v)):
        return
    height = depth.shape[0]
    width = depth.shape[1]
    if u < 0.0 or v < 0.0 or u > wp.float32(width - 1) or v > wp.float32(height - 1):
        return
    x0 = wp.int32(u)
    y0 = wp.int32(v)
    s = u - wp.float32(x0)
    t = v - wp.float32(y0)
    old = wp.vec3(0.0, 0.0, 0.0)
    age = wp.float32(0.0)
    total = wp.float32(0.0)
    for k in range(4):
        down = k // 2
        right = k % 2
        row = wp.min(y0 + down, height - 1)
        column = wp.min(x0 + right, width - 1)
        weight = wp.abs(wp.float32(1 - down) - t) * wp.abs(wp.float32(1 - right) - s)
        alike = before.ids[row, column] == id and before.age[row, column] > 0.0
        if alike and wp.abs(before.depth[row, column] - far) < 0.1 * far:
            old += before.white[row, column] * weight
            age += before.age[row, column] * weight
            total += weight
    if total < 0.1:
        return
    old = old / total
    age = age / total
    clear = wp.float32(maps_out[y, x, _CLEAR]) / 255.0  # the light of the air is not noisy, and changes with distance
    share = 1.0 - (1.0 - wp.max(1.0 / (age + 1.0), _LEAST_NEW)) * clear
    steady = wp.vec3(
        _averaged(old[0], new[0], share), _averaged(old[1], new[1], share), _averaged(old[2], new[2], share)
    )
    for c in range(3):
        # Both maps are of one light and of about one gamma: their levels grow alike.
        relit = wp.float32(maps_out[y, x, _RELIT + c]) * (steady[c] + 2.0) / (new[c] + 2.0)
        maps_out[y, x, _RELIT + c] = wp.uint8(wp.min(relit + 0.5, 255.0))
        maps_out[y, x, _WHITE + c] = wp.uint8(wp.min(steady[c] + 0.5, 255.0))
    now.white[y, x] = steady
    now.age[y, x] = wp.min(age + 1.0, _MOST_AGE)


@wp.kernel
def _steady_light_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    motion: wp.array3d(dtype=wp.float32),
    depth: wp.array2d(dtype=wp.float32),
    ids: wp.array2d(dtype=wp.uint32),
    before: Remembered,
    use_ids: wp.int32,
    use_before: wp.int32,
    # out
    maps_out: wp.array3d(dtype=wp.uint8),
    now: Remembered,
):
    begin = (first + wp.tid()) * run
    width = depth.shape[1]
    for i in range(begin, wp.min(begin + run, count)):
        y = i // width
        _add_pixel(y, i - y * width, motion, depth, ids, before, use_ids, use_before, maps_out, now)


class SteadyLight:
    """The light of one view so far; memory of one frame, whatever their number."""

    def __init__(self) -> None:
        self._before: Optional[Remembered] = None
        self._size: Optional[tuple[int, int]] = None

    def add(
        self, maps: wp.array, *, motion: wp.array, depth: wp.array, instance_ids: Optional[wp.array] = None
    ) -> None:
        """Average the next frame's light with that of the frames before it, in place; all arrays on one device.

        Args:
            maps: Joined light maps, relit picture and white ball first, uint8, shape [H, W, C].
            motion: Previous minus current position [px], float32, shape [H, W, 2].
            depth: Distance to the image plane [m], float32, shape [H, W]; not finite where nothing is met.
            instance_ids: What each pixel shows, uint32, shape [H, W].
        """
        size, device = (depth.shape[0], depth.shape[1]), maps.device
        used = self._before is not None and self._size == size
        now = Remembered()
        now.white = wp.empty(size, dtype=wp.vec3, device=device)
        now.age, now.depth = (wp.empty(size, dtype=wp.float32, device=device) for _ in range(2))
        now.ids = wp.empty(size, dtype=wp.uint32, device=device)
        ids = now.ids if instance_ids is None else instance_ids
        before = self._before if used and self._before is not None else now
        inputs = [motion, depth, ids, before, int(instance_ids is not None), int(used), maps, now]
        launch_runs(_steady_light_kernel, size[0] * size[1], inputs, device=device)
        self._before, self._size = now, size


__all__ = ["SteadyLight"]
