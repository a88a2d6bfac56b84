"""Where in the air before a camera rain and snow fall: not under a roof."""

from __future__ import annotations

from typing import Any

import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.rays import any_hit
from cosmos.bridge.render.draw.view import View, pixel_ray, pixel_start
from cosmos.bridge.render.draw.world import WorldArrays
from cosmos.bridge.types.probe import FALLING_FIRST, FALLING_RATIO

wp.set_module_options({"enable_backward": False})

_SKY = 200.0
"""Nothing above this keeps rain away [m]."""


@wp.kernel
def _falling_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    world: WorldArrays,
    view: View,
    up: wp.vec3,
    nearest: wp.float32,
    ratio: wp.float32,
    depths: wp.array2d(dtype=wp.float32),
    falling_out: wp.array3d(dtype=wp.uint8),
):
    begin = (first + wp.tid()) * run
    rows = falling_out.shape[1]
    columns = falling_out.shape[2]
    for k in range(begin, wp.min(begin + run, count)):
        layer = k // (rows * columns)
        cell = k - layer * rows * columns
        y = cell // columns
        x = cell - y * columns
        u = (wp.float32(x) + 0.5) / wp.float32(columns) * wp.float32(view.width)
        v = (wp.float32(y) + 0.5) / wp.float32(rows) * wp.float32(view.height)
        # What falls is seen before surfaces only: behind a wall is not where the room's layer ends.
        depth = depths[wp.min(wp.int32(v), view.height - 1), wp.min(wp.int32(u), view.width - 1)]
        away = wp.min(nearest * wp.pow(ratio, wp.float32(layer)), 0.98 * depth)
        seen = pixel_start(view, u, v) + pixel_ray(view, u, v) * away
        level = wp.int32(255)
        if any_hit(world.mesh, wp.transform_point(view.camera_to_world, seen), up, wp.static(_SKY)):
            level = wp.int32(0)
        falling_out[layer, y, x] = wp.uint8(level)


def find_falling(bands: Bands, world: Any, view: Any, depths: wp.array, falling: wp.array, *, y_up: bool) -> None:
    """Find where rain and snow fall in the air before a camera, by one upright ray a cell.

    Args:
        bands: Where to launch.
        world: The world's arrays, ready for rays.
        view: The camera, of ``make_view``.
        depths: Depth of what is seen at the pixel centres, in lengths of ``pixel_ray``, infinite where nothing is,
            float32, shape [H, W].
        falling: `LightMaps.falling`, filled.
        y_up: Whether y is up, not z.
    """
    up = wp.vec3(0.0, 1.0, 0.0) if y_up else wp.vec3(0.0, 0.0, 1.0)
    inputs = [world, view, up, FALLING_FIRST, FALLING_RATIO, depths, falling]
    bands.launch_runs(_falling_kernel, falling.size, inputs, chunk=128)


__all__ = ["find_falling"]
