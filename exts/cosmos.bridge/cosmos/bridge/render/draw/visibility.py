"""Which triangle each pixel sees: a rasteriser on the CPU, rays on CUDA, one answer.

Both fill ``triangles`` (int32, -1 where nothing is seen) and ``depths`` (in lengths of ``pixel_ray``: distance to the
image plane [m], for a fisheye to the camera). Bent lenses are always seen by rays. Kernels take a while to read: those
that many pictures do without are imported where they are needed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.raster import FAR_AWAY, Rasteriser
from cosmos.bridge.render.draw.view import ORTHOGRAPHIC, PINHOLE, View, make_view, pixel_ray
from cosmos.bridge.render.draw.world import World


class Visibility:
    """Finds what each sample of a view sees; keeps its scratch memory between frames."""

    def __init__(self, world: World, bands: Bands, *, rays: bool):
        """Choose the method.

        Args:
            world: What can be seen.
            bands: Where to launch.
            rays: Cast rays instead of rasterising; the only choice on CUDA and for bent lenses.
        """
        self._world, self._bands, self._rays = world, bands, rays or bands.device.is_cuda
        self.rasteriser = Rasteriser(world, bands)
        """Draws where rays are not cast."""
        self._clear = np.zeros(0, dtype=np.int64)

    def find(self, view: Any, depths: wp.array, triangles: wp.array) -> None:
        """Fill ``depths`` (float32 [m]) and ``triangles`` (int32), both of shape [height, width] of ``view``."""
        bands = self._bands
        flat = view if view.lens == int(PINHOLE) else None
        if not self._rays and view.lens == int(ORTHOGRAPHIC):
            from cosmos.bridge.render.draw.parallel import as_pinhole

            flat = as_pinhole(view, self._world)
        if self._rays or flat is None:
            from cosmos.bridge.render.draw.cast import cast_kernel

            world = self._world.ray_ready()
            bands.launch(cast_kernel, view.width * view.height, [world, view, depths, triangles])
            return
        raster = self.rasteriser
        self._clear = raster.draw(flat, depths, triangles)
        if len(self._clear):
            from cosmos.bridge.render.draw.clear import draw_clear_kernel

            arguments = [self._world.arrays, raster.points, flat, depths, triangles]
            raster.draw_rows(draw_clear_kernel, self._clear, view.height, arguments)
        if flat is not view:
            from cosmos.bridge.render.draw.parallel import measure_depths_kernel

            inputs = [self._world.arrays, view, triangles, depths]
            bands.launch(measure_depths_kernel, view.width * view.height, inputs, chunk=4096)

    def mark_blended(self, view: Any, depths: wp.array, marks: wp.array) -> None:
        """Set ``marks`` (uint8 [height, width]) to 1 where something blended lies at or before what is seen, else 0.

        Call right after ``find`` of the same view, with the ``depths`` that gave.
        """
        blended = self._world.blended
        marks.zero_()
        if blended is None or not blended.any():
            return
        if self._rays or view.lens != int(PINHOLE):
            from cosmos.bridge.render.draw.cast import mark_cast_kernel

            inputs = [self._world.ray_ready(), view, depths, marks]
            self._bands.launch(mark_cast_kernel, view.width * view.height, inputs)
            return
        from cosmos.bridge.render.draw.clear import mark_kernel

        arguments = [self._world.arrays, self.rasteriser.points, view, depths, marks]
        self.rasteriser.draw_rows(mark_kernel, self._clear[blended[self._clear]], view.height, arguments)


__all__ = ["FAR_AWAY", "View", "Visibility", "make_view", "pixel_ray"]
