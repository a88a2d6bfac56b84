"""The sky and the air: what a ray that leaves the scene meets, and what distance does to a colour."""

# mypy: disable-error-code="attr-defined"
# Warp's structs know their fields by a name that its stubs leave out.

from __future__ import annotations

from typing import Any

import warp as wp

from cosmos.bridge.kernels.surface_noise import lattice, octaves_of_noise, smooth_step
from cosmos.bridge.render.draw.atlas import Atlas, sample_texture

wp.set_module_options({"enable_backward": False})


@wp.struct
class Air:
    """Sky, sun, haze and weather for kernels; radiance is relative to a noon sun of irradiance about 10."""

    y_up: wp.int32
    zenith: wp.vec3
    horizon: wp.vec3
    ground: wp.vec3
    glow: wp.vec3  # added towards the sun
    sun: wp.vec3  # unit direction to the sun or moon, stage axes
    sun_color: wp.vec3  # irradiance on a surface that faces it
    sun_radius: wp.float32  # tangent of its angular radius
    sun_shadow: wp.int32  # whether things cast shadows in it
    disk: wp.vec3  # radiance of the visible disk
    clouds: wp.float32  # cover, in [0, 1]
    cloud_light: wp.vec3
    cloud_shade: wp.vec3
    stars: wp.float32
    dome: wp.int32  # texture of the dome light; -1 for the made sky
    dome_color: wp.vec3
    dome_axes: wp.mat33  # world direction to dome direction
    sky_light: wp.vec3  # mean radiance of the upper half
    open: wp.float32  # share of the sky that the stage lets in, in [0, 1]
    haze: wp.float32  # extinction at the ground [1/m]
    haze_color: wp.vec3
    haze_glow: wp.vec3  # added towards the sun
    haze_tint: wp.vec3  # share of white light that it scatters, by colour
    haze_height: wp.float32  # scale height [m]
    floor: wp.float32  # height of the ground, relative to the world's origin [m]
    detail: wp.float32
    wet: wp.float32
    snow: wp.float32
    seed: wp.uint32
    exposure: wp.float32  # linear factor
    vignette: wp.float32
    headlight: wp.float32  # intensity of the lamps beside the camera
    fill: wp.vec3  # irradiance of light that has bounced more than once
    limit: wp.float32  # most radiance that one gathered ray may bring; keeps out fireflies
    emission: wp.float32  # factor on emissive materials
    bounce: wp.float32  # 1: indirect light is gathered; 0: a flat ambient


@wp.func
def z_up(air: Air, d: wp.vec3):
    """Turn stage axes into x, y, up."""
    y = d[1]
    up = d[2]
    if air.y_up == 1:  # numbers, not vectors, come together after branches: those would go through memory
        y = -d[2]
        up = d[1]
    return wp.vec3(d[0], y, up)


@wp.func
def height_of(air: Air, p: wp.vec3):
    """Height above the world's origin [m]."""
    if air.y_up == 1:
        return p[1]
    return p[2]


@wp.func
def sky_radiance(air: Air, atlas: Atlas, direction: wp.vec3, sharp: wp.float32):
    """Radiance from ``direction`` (unit, stage axes); ``sharp`` 1 shows sun disk, clouds and stars, 0 their mean."""
    if air.dome >= 0:
        d = air.dome_axes * direction  # latlong: +Z of the dome is its centre, +Y its top (UsdLuxDomeLight)
        u = 0.5 + wp.atan2(-d[0], d[2]) * 0.15915494
        v = 0.5 + wp.asin(wp.clamp(d[1], -1.0, 1.0)) * 0.31830989
        texel = sample_texture(atlas, air.dome, wp.vec2(u, v), wp.lerp(0.12, 0.0, sharp))
        return wp.cw_mul(air.dome_color, wp.vec3(texel[0], texel[1], texel[2]))
    d = z_up(air, direction)
    toward = wp.max(0.0, wp.dot(direction, air.sun))
    up = wp.max(0.0, d[2])
    level = wp.pow(1.0 - up, 5.0) * 0.75 + 0.25 * (1.0 - up) * (1.0 - up)
    color = air.zenith * (1.0 - level) + air.horizon * level
    low = wp.pow(1.0 - up, 3.0)
    color += air.glow * (
        low * 0.35 * toward * toward * toward + 0.65 * wp.pow(toward, 24.0) + 0.6 * wp.pow(toward, 220.0)
    )
    cover = wp.float32(0.0)
    shade = wp.float32(0.5)
    star = wp.float32(0.0)
    disk = wp.float32(0.0)
    if sharp > 0.0 and d[2] > 0.0:
        if air.stars > 0.0:
            q = d * 170.0
            cell = wp.vec3(wp.floor(q[0]), wp.floor(q[1]), wp.floor(q[2]))
            pick = lattice(wp.int32(cell[0]), wp.int32(cell[1]), wp.int32(cell[2]), wp.uint32(77))
            if pick > 0.9965:
                offset = q - cell - wp.vec3(0.5, 0.5, 0.5)
                glint = wp.exp(-18.0 * wp.dot(offset, offset)) * (pick - 0.9965) * 285.0
                star = glint * air.stars * up
        edge = wp.acos(wp.min(toward, 1.0))
        size = wp.max(air.sun_radius, 0.004)
        disk = sharp * (1.0 - smooth_step(size * 0.85, size * 1.15, edge))
    if air.clouds > 0.0 and d[2] > 0.015:
        cover = air.clouds
        if sharp > 0.0:
            reach = 1.0 / (d[2] + 0.08)
            q = wp.vec3(d[0] * reach * 1.1, d[1] * reach * 1.1, 0.37)
            puff = octaves_of_noise(q, 0.02 * reach, 5, air.seed + wp.uint32(11))
            thick = octaves_of_noise(q * 1.7 + wp.vec3(0.11, 0.07, 0.3), 0.03 * reach, 3, air.seed + wp.uint32(23))
            gap = 0.74 - 0.62 * air.clouds
            cover = smooth_step(gap, gap + 0.22, puff) * wp.min(1.0, 0.35 + air.clouds)
            shade = wp.clamp(0.55 + 1.1 * (thick - 0.5) + 0.35 * wp.pow(toward, 6.0), 0.0, 1.0)
        cover = cover * smooth_step(0.015, 0.16, d[2])
    color += wp.vec3(0.9, 0.95, 1.0) * star + air.disk * disk
    cloud = air.cloud_shade * (1.0 - shade) + air.cloud_light * shade
    below = smooth_step(0.0, 0.06, -d[2])
    return (color * (1.0 - cover) + cloud * cover) * (1.0 - below) + air.ground * below


@wp.func
def haze_between(air: Air, start: wp.vec3, direction: wp.vec3, distance: wp.float32):
    """What ``distance`` metres of air add, and which share of light they let pass.

    The air's density falls with height (exponential, analytic).
    """
    d = z_up(air, direction)
    clear = wp.float32(1.0)
    glow = wp.float32(0.0)
    if air.haze > 0.0:
        base = wp.clamp((height_of(air, start) - air.floor) / air.haze_height, -1.0, 60.0)
        climb = wp.clamp(d[2] * distance / air.haze_height, -60.0, 60.0)
        shrink = wp.float32(1.0)
        if wp.abs(climb) > 1.0e-4:
            shrink = wp.clamp((1.0 - wp.exp(-climb)) / climb, 0.0, 8.0)
        thickness = air.haze * wp.exp(-base) * shrink * distance
        clear = wp.exp(-wp.min(thickness, 40.0))
        glow = wp.pow(wp.max(0.0, wp.dot(direction, air.sun)), 8.0)
    veil = air.haze_color * (0.86 + 0.3 * wp.clamp(d[2] + 0.2, 0.0, 1.0)) + air.haze_glow * glow
    return veil * (1.0 - clear), clear


@wp.func
def through_haze(air: Air, color: wp.vec3, start: wp.vec3, direction: wp.vec3, distance: wp.float32):
    """Colour after ``distance`` metres of air."""
    added, clear = haze_between(air, start, direction, distance)
    return color * clear + added


def copied_air(air: Any) -> Any:
    """Return an Air of the same values, which may be changed on its own."""
    other = Air()
    for name in Air.vars:
        setattr(other, name, getattr(air, name))
    return other


__all__ = ["Air", "copied_air", "haze_between", "height_of", "sky_radiance", "through_haze", "z_up"]
