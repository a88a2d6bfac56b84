"""Shadows of the sun that end within a pixel: how much of the sun each pixel sees where its neighbours disagree.

One ray a pixel makes stairs of a shadow's rim, which crawl when the camera moves. Where a pixel sees more or less of
the sun than one beside it, five more rays start from around its centre.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.light import sun_along
from cosmos.bridge.render.draw.light_grid import LightGrid, cell_of, tested_pixel
from cosmos.bridge.render.draw.shade import sun_at_once, sunlit
from cosmos.bridge.render.draw.sky import Air
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.terminator import is_flat
from cosmos.bridge.render.draw.view import View, pixel_ray, pixel_start
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options(fast_options())


@wp.kernel
def _find_suns_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    world: WorldArrays,
    air: Air,
    grid: LightGrid,
    home: Surfaces,
    suns_out: wp.array(dtype=wp.float32),
):
    """Share of the sun at each pixel centre around which cells disagree on it, by one ray; -1 elsewhere."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        suns_out[i] = wp.float32(-1.0)
        triangle = home.triangles[i]
        if triangle < 0:
            continue
        cell = cell_of(grid, home.image[i])
        g = home.geometric[i]
        if grid.sun[cell] != -1.0 or wp.dot(home.normals[i], air.sun) <= 0.0 or wp.dot(g, air.sun) <= 0.0:
            continue
        row = cell // grid.columns
        y, x = tested_pixel(row, cell - row * grid.columns, 1, grid.step)
        share = wp.float32(-1.0)
        if i == y * grid.width + x:
            share = grid.tested[cell]
        if share < 0.0:
            p = home.positions[i]
            start = p + g * (1.0e-3 + 2.0e-4 * home.depths[i])
            share = sun_at_once(world, air, triangle, start, g)
            if share < 0.0:
                share = sunlit(world, air, triangle, p, start, g, home.normals[i], 1, False)
        suns_out[i] = share


@wp.func
def _sun_beside(
    world: WorldArrays, air: Air, view: View, p: wp.vec3, g: wp.vec3, lift: wp.float32, u: wp.float32, v: wp.float32
):
    """Share of the sun where image point ``(u, v)`` shows the plane through ``p`` that faces along ``g``."""
    eye = wp.transform_point(view.camera_to_world, pixel_start(view, u, v))
    way = wp.transform_vector(view.camera_to_world, pixel_ray(view, u, v))
    there = eye + way * (wp.dot(p - eye, g) / wp.min(wp.dot(way, g), -1.0e-9))
    return sun_along(world, air, there + g * lift, air.sun)


@wp.func
def _differs(suns: wp.array(dtype=wp.float32), i: wp.int32, j: wp.int32):
    return suns[j] >= 0.0 and suns[j] != suns[i]


@wp.kernel
def _smooth_suns_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    world: WorldArrays,
    air: Air,
    view: View,
    width: wp.int32,
    home: Surfaces,
    suns: wp.array(dtype=wp.float32),
    smooth_out: wp.array(dtype=wp.float32),
):
    """Mean over the centre and the corners of a pentagon around it, on flat things, where a neighbour differs."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        share = suns[i]
        smooth_out[i] = share
        if share < 0.0:
            continue
        y = i // width
        x = i - y * width
        rim = _differs(suns, i, i - width * wp.min(y, 1)) or _differs(suns, i, i - wp.min(x, 1))
        rim = rim or _differs(suns, i, wp.min(i + width, count - 1)) or _differs(suns, i, i + wp.min(width - 1 - x, 1))
        g = home.geometric[i]
        if rim and is_flat(world, home.triangles[i], g):
            p = home.positions[i]
            lift = 1.0e-3 + 2.0e-4 * home.depths[i]
            u = home.image[i][0]
            v = home.image[i][1]
            share += _sun_beside(world, air, view, p, g, lift, u + 0.385, v + 0.110)
            share += _sun_beside(world, air, view, p, g, lift, u + 0.014, v + 0.400)
            share += _sun_beside(world, air, view, p, g, lift, u - 0.376, v + 0.137)
            share += _sun_beside(world, air, view, p, g, lift, u - 0.246, v - 0.315)
            share += _sun_beside(world, air, view, p, g, lift, u + 0.224, v - 0.332)
            smooth_out[i] = share / 6.0


def find_suns(bands: Bands, scene: tuple[Any, ...], grid: Any) -> wp.array:
    """Return the share of the sun that each pixel sees where cells around it disagree, float32 [H W]; -1 elsewhere.

    Args:
        bands: Where to launch.
        scene: World, air, view and surfaces at the pixel centres.
        grid: LightGrid of the picture, a frugal one.
    """
    world, air, view, home = scene
    count = len(home.triangles)
    suns, smooth = (wp.empty(count, dtype=wp.float32, device=bands.device) for _ in range(2))
    bands.launch_runs(_find_suns_kernel, count, [world, air, grid, home, suns], chunk=512)
    bands.launch_runs(_smooth_suns_kernel, count, [world, air, view, grid.width, home, suns, smooth], chunk=512)
    return smooth


__all__ = ["find_suns"]
