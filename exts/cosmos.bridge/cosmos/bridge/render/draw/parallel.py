"""Parallel rays for the rasteriser: a projective map after which an orthographic camera is a pinhole.

A point ``d`` metres before the image plane goes to ``(x, y, -1) / (C - d)``, with ``C`` behind all there is. Planes
stay planes, order along a ray stays order, and ``x`` and ``y`` are what a pinhole makes of it. Depths are then found
anew from the triangles seen.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from itertools import product
from typing import Any, Optional

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.planes import corner_and_normal
from cosmos.bridge.render.draw.view import View, pixel_start
from cosmos.bridge.render.draw.world import World, WorldArrays

wp.set_module_options({"enable_backward": False})

_DEEPEST = 100.0
"""Extent of the world along the rays [m] up to which the map's rounding stays far below a millimetre."""


@wp.kernel
def measure_depths_kernel(
    first: wp.int32,
    world: WorldArrays,
    view: View,
    triangles: wp.array2d(dtype=wp.int32),
    depths_out: wp.array2d(dtype=wp.float32),
):
    """Depths before the image plane [m] of the triangles seen."""
    item = first + wp.tid()
    y = item // view.width
    x = item - y * view.width
    f = triangles[y, x]
    if f < 0:
        return
    start = wp.transform_point(view.camera_to_world, pixel_start(view, wp.float32(x) + 0.5, wp.float32(y) + 0.5))
    direction = wp.transform_vector(view.camera_to_world, wp.vec3(0.0, 0.0, -1.0))
    a, n = corner_and_normal(world, f)
    depths_out[y, x] = wp.dot(n, a - start) / wp.dot(n, direction)


def as_pinhole(view: Any, world: World) -> Optional[Any]:
    """Return what the rasteriser draws an orthographic view with; ``None`` where the world is too deep for it."""
    points = world.arrays.points.numpy()
    low, high = points.min(axis=0).astype(np.float64), points.max(axis=0).astype(np.float64)
    into = np.array(view.world_to_camera, dtype=np.float64).reshape(4, 4)
    corners = np.array(list(product(*zip(low, high, strict=True))))
    depths = -(corners @ into[2, :3] + into[2, 3])
    nearest, farthest = float(depths.min()), float(depths.max())
    behind = farthest + 0.01 * (farthest - nearest) + 1e-3
    if not behind - nearest <= _DEEPEST or view.near >= behind:
        return None
    flat = View()
    for name in View.vars:
        setattr(flat, name, getattr(view, name))
    flat.limit = behind
    flat.near = 1.0 / (behind - view.near)
    flat.far = 1.0 / (behind - view.far) if view.far < behind else 1.0e29
    return flat


__all__ = ["as_pinhole", "measure_depths_kernel"]
