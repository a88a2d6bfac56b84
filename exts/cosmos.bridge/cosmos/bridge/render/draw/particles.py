"""Falling snow and rain between the camera and the scene, in layers of depth."""

from __future__ import annotations

import warp as wp

from cosmos.bridge.kernels.display import aces
from cosmos.bridge.kernels.surface_noise import lattice
from cosmos.bridge.render.draw.rays import any_hit
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})


@wp.func
def _flakes(
    x: wp.float32,
    y: wp.float32,
    height: wp.float32,
    depth: wp.float32,
    time: wp.float32,
    amount: wp.float32,
    seed: wp.uint32,
):
    """Opacity of snow at an image point [px]; ``time`` in seconds."""
    alpha = wp.float32(0.0)
    for layer in range(6):
        distance = 1.8 * wp.pow(1.7, wp.float32(layer))
        if distance < depth:
            cell = height * 0.36 / distance + height * 0.020
            sway = wp.sin(time * 1.7 + wp.float32(layer) * 2.1) * 0.25
            u = x / cell + wp.float32(layer) * 7.31 + time * (0.35 + 0.1 * wp.float32(layer % 3)) + sway
            v = y / cell - time * (4.2 / distance) * height / cell * 0.35 + wp.float32(layer) * 3.77
            column = wp.int32(wp.floor(u))
            row = wp.int32(wp.floor(v))
            if lattice(column, row, layer, seed) < 0.55 * amount:
                ox = 0.25 + 0.5 * lattice(column, row, layer + 16, seed)
                oy = 0.25 + 0.5 * lattice(column, row, layer + 32, seed)
                size = 0.022 + 0.035 * lattice(column, row, layer + 48, seed)
                radius = wp.max(size * cell, 0.55)
                dx = (u - wp.floor(u) - ox) * cell
                dy = (v - wp.floor(v) - oy) * cell * 0.9
                blur = radius * (0.7 + 0.8 / distance) + 0.6
                r = wp.sqrt(dx * dx + dy * dy)
                alpha = wp.max(
                    alpha,
                    (0.85 - 0.45 / distance)
                    * wp.clamp((radius - r) / blur + 0.5, 0.0, 1.0)
                    * wp.min(1.0, size * cell / 0.55),
                )
    return alpha


@wp.func
def _streaks(
    x: wp.float32,
    y: wp.float32,
    height: wp.float32,
    depth: wp.float32,
    time: wp.float32,
    amount: wp.float32,
    seed: wp.uint32,
):
    """Opacity of rain at an image point [px]."""
    alpha = wp.float32(0.0)
    for layer in range(5):
        distance = 1.6 * wp.pow(1.9, wp.float32(layer))
        if distance < depth:
            length = height * 0.34 / distance + height * 0.045
            gap = height * 0.05 / distance + height * 0.012
            u = (x + 0.10 * y) / gap + wp.float32(layer) * 11.7
            column = wp.int32(wp.floor(u))
            shift = lattice(column, layer, 5, seed) * 9.0
            v = y / length - time * 9.0 * height / (length * distance) * 0.5 + shift
            row = wp.int32(wp.floor(v))
            if lattice(column, row, layer, seed) < 0.5 * amount:
                ox = 0.2 + 0.6 * lattice(column, row, layer + 16, seed)
                thin = wp.max(0.55, height * 0.0016 / distance + 0.35)
                dx = wp.abs((u - wp.floor(u) - ox) * gap)
                along = v - wp.floor(v)
                fade = wp.clamp(4.0 * along * (1.0 - along), 0.0, 1.0)
                strength = 0.10 + 0.16 * lattice(column, row, layer + 32, seed)
                alpha = wp.max(alpha, strength * fade * wp.clamp(thin + 0.5 - dx, 0.0, 1.0))
    return alpha


@wp.kernel
def roof_kernel(world: WorldArrays, eye: wp.vec3, up: wp.vec3, roof_out: wp.array(dtype=wp.int32)):
    """Set ``roof_out`` to 1 where something is above ``eye``."""
    if any_hit(world.mesh, eye, up, 200.0):
        roof_out[0] = 1


@wp.kernel
def draw_particles_kernel(
    first: wp.int32,
    width: wp.int32,
    height: wp.int32,
    depths: wp.array2d(dtype=wp.float32),
    nearest: wp.float32,  # pixels that see something nearer are under a roof, like the camera [m]
    time: wp.float32,
    snow: wp.float32,
    rain: wp.float32,
    seed: wp.uint32,
    light: wp.vec3,  # scene light of a flake, exposed
    colors: wp.array(dtype=wp.vec3),
):
    """Lay flakes and streaks over display-linear colours, in place."""
    i = first + wp.tid()
    y = i // width
    x = i - y * width
    depth = depths[y, x]
    if depth < nearest:
        return
    u = wp.float32(x) + 0.5
    v = wp.float32(y) + 0.5
    size = wp.float32(height)
    color = colors[i]
    if snow > 0.0:
        alpha = _flakes(u, v, size, depth, time, snow, seed)
        color = color * (1.0 - alpha) + aces(light * 1.25) * alpha
    if rain > 0.0:
        alpha = _streaks(u, v, size, depth, time, rain, seed)
        color = color * (1.0 - alpha) + aces(light) * alpha
    colors[i] = color


__all__ = ["draw_particles_kernel"]
