"""Light that varies slowly, gathered at each cell with all its rays."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.kernels.surface_noise import mix_bits, unit_of
from cosmos.bridge.render.draw.atlas import Atlas
from cosmos.bridge.render.draw.lamp import Lamps, lamp_irradiance, lamp_point
from cosmos.bridge.render.draw.light import PI, by_cosine, frame_x, lifted, mirrored_by_highlight, radiance_along
from cosmos.bridge.render.draw.light_grid import Gathered, pixel_of
from cosmos.bridge.render.draw.rays import light_along
from cosmos.bridge.render.draw.sky import Air
from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.view import View
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})


@wp.func
def _surroundings(
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    p: wp.vec3,
    n: wp.vec3,
    g: wp.vec3,
    turn: wp.float32,
    lift: wp.float32,
    rays: wp.int32,
):
    """Irradiance from sky and surroundings, and openness, by ``rays`` of a spiral turned by the two shares."""
    across = frame_x(n)
    total = wp.vec3(0.0, 0.0, 0.0)
    clear = wp.float32(0.0)
    for r in range(rays):
        # Cosine-weighted hemisphere: a spiral of strata, turned by the pattern.
        s = (wp.float32(r) + lift) / wp.float32(rays)
        angle = 6.2831853 * (turn + wp.float32(r) * 0.61803399)
        d = lifted(by_cosine(n, across, s, angle), g)
        u = lift + wp.float32(r) * 0.75487767
        v = turn + wp.float32(r) * 0.56984029
        light, far = radiance_along(world, atlas, air, lamps, p, d, u - wp.floor(u), v - wp.floor(v))
        total += light
        clear += wp.min(1.0, far * far / 4.0)
    share = 1.0 / wp.float32(wp.max(rays, 1))
    total = total * (PI * share)
    return Gathered(total[0], total[1], total[2], clear * share, 0.0, 0.0)


@wp.func
def _lamplight(
    world: WorldArrays,
    lamps: Lamps,
    p: wp.vec3,
    n: wp.vec3,
    g: wp.vec3,
    turn: wp.float32,
    lift: wp.float32,
    rays: wp.int32,
):
    """Irradiance of all lamps, with ``rays`` to each that casts shadows and counts."""
    light = wp.vec3(0.0, 0.0, 0.0)
    best = wp.float32(0.0)
    for k in range(lamps.count):
        light += lamp_irradiance(lamps, k, p, n)
    peak = wp.max(light[0], wp.max(light[1], light[2]))
    lit = wp.vec3(0.0, 0.0, 0.0)
    for k in range(lamps.count):
        part = lamp_irradiance(lamps, k, p, n)
        best = wp.max(part[0], wp.max(part[1], part[2]))
        if best > peak * 0.02 and lamps.shadows[k] == 1:
            seen = wp.float32(0.0)
            for r in range(rays):
                a = lift + wp.float32(r) * 0.75487767
                b = turn + wp.float32(r) * 0.56984029
                to = lamp_point(lamps, k, a - wp.floor(a), b - wp.floor(b)) - p
                if lamps.kinds[k] == 0:
                    to = lamps.aims[k] * -1.0e4
                distance = wp.length(to)
                if wp.dot(to, g) > 0.0:
                    seen += light_along(world, p, to / distance, distance * 0.995 - 0.02)
            part = part * (seen / wp.float32(rays))
        lit += part
    return lit


@wp.kernel
def gather_light_kernel(
    first: wp.int32,
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    view: View,
    surfaces: Surfaces,
    width: wp.int32,
    step: wp.int32,
    columns: wp.int32,
    rays: wp.int32,
    lamp_rays: wp.int32,
    lit_out: wp.array(dtype=wp.vec3),  # irradiance from lamps, with shadows
    gathered_out: wp.array(dtype=Gathered),  # as in ``LightGrid``
):
    """Light that varies slowly, on every ``step``-th pixel; a 4 x 4 pattern of directions, for ``smooth_light``."""
    cell = first + wp.tid()
    row = cell // columns
    column = cell - row * columns
    height = surfaces.triangles.shape[0] // width
    i = pixel_of(row, column, step, width, height)
    lit_out[cell] = wp.vec3(0.0, 0.0, 0.0)
    gathered_out[cell] = Gathered(0.0, 0.0, 0.0, 1.0, 0.0, 0.0)
    if surfaces.triangles[i] < 0:
        return
    n = surfaces.normals[i]
    g = surfaces.geometric[i]
    p = surfaces.positions[i] + g * (1.0e-3 + 2.0e-4 * surfaces.depths[i])
    pattern = wp.uint32((row & 3) * 4 + (column & 3))
    turn = unit_of(mix_bits(pattern * wp.uint32(40503) + wp.uint32(7)))
    lift = unit_of(mix_bits(pattern * wp.uint32(29411) + wp.uint32(131)))
    gathered = _surroundings(world, atlas, air, lamps, p, n, g, turn, lift, rays)
    if air.bounce > 0.0:
        met = mirrored_by_highlight(world, atlas, air, lamps, view, surfaces, i, p, n, turn, lift)
        for c in range(3):
            gathered[3 + c] = met[c]
    gathered_out[cell] = gathered
    lit_out[cell] = _lamplight(world, lamps, p, n, g, turn, lift, lamp_rays)


__all__ = ["gather_light_kernel"]
