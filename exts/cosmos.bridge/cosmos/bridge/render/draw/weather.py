"""What age and weather do to a surface: grain, wear, dirt, wetness, puddles and snow, all fixed to the surface."""

from __future__ import annotations

import warp as wp

from cosmos.bridge.kernels.display import luma
from cosmos.bridge.kernels.surface_noise import (
    STAIN,
    age_of,
    mix_bits,
    octaves_of_noise,
    smooth_step,
    unit_of,
    value_noise,
)
from cosmos.bridge.render.draw.rays import hit_along
from cosmos.bridge.render.draw.sky import Air, height_of, z_up
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})

_BESIDE = wp.constant(4.0)
"""How far from the sky above it wind carries rain and snow in under a low thing [m]."""
_SLANT = wp.constant(0.33)
"""How steeply they are looked for on the way there, as a rise over a run."""
_LEAN = wp.constant(0.15)
"""How far wind leans what falls, as a run over a rise, to either side in turn."""
UPWARD = wp.constant(0.05)
"""Upward part of a facet's normal from which on snow may lie there."""


@wp.struct
class Skin:
    """One sample's material while age and weather act on it."""

    base: wp.vec3
    normal: wp.vec3
    roughness: wp.float32
    metallic: wp.float32
    wet: wp.float32


@wp.func
def aged(skin: Skin, air: Air, owner_seed: wp.uint32, q: wp.vec3, up: wp.float32, height: wp.float32, side: wp.float32):
    """Grain, wear and dirt, by the age of the thing; half as much on metal, which shows more of either.

    ``q`` is the place on the object [m], ``up`` the upward part of the normal, ``height`` that above the ground [m]
    and ``side`` the side of a pixel [m].
    """
    out = skin
    amount = air.detail
    seed = mix_bits(owner_seed ^ (air.seed * wp.uint32(747796405)))
    luck = unit_of(seed)
    tint = unit_of(mix_bits(seed + wp.uint32(1))) - 0.5
    p = q + wp.vec3(luck * 37.0, tint * 53.0, luck * 11.0)
    base = out.base * (1.0 + amount * 0.28 * (luck - 0.5))
    base = wp.cw_mul(base, wp.vec3(1.0 + 0.10 * amount * tint, 1.0, 1.0 - 0.10 * amount * tint))
    age = age_of(luck)
    amount *= 1.0 - 0.5 * out.metallic
    coarse = age * STAIN * (octaves_of_noise(p * 0.9, side * 0.9, 4, seed) - 0.5)
    grain = age * (octaves_of_noise(p * 11.0, side * 11.0, 4, seed + wp.uint32(5)) - 0.5)
    dirt = smooth_step(0.0, 0.22, coarse) * amount
    if up < 0.6 and up > -0.6:
        # Rain has drawn dirt down the walls: noise stretched along up.
        flow = wp.vec3(p[0] * 8.0, p[1] * 8.0, p[2] * 0.35)
        if air.y_up == 1:
            flow = wp.vec3(p[0] * 8.0, p[1] * 0.35, p[2] * 8.0)
        streaks = age * (octaves_of_noise(flow, side * 8.0, 3, seed + wp.uint32(9)) - 0.5)
        dirt += 0.5 * amount * smooth_step(0.02, 0.25, streaks)
        dirt += 0.6 * amount * air.open * wp.exp(-wp.max(height, 0.0) * 3.0)
    dirt = wp.min(dirt, 1.0)
    grey = luma(base)
    soil = wp.vec3(0.16, 0.135, 0.105) * (0.35 + grey)
    base = base * (1.0 - 0.42 * dirt) + soil * (0.42 * dirt)
    base = base * (1.0 + amount * (0.62 * grain + 0.42 * coarse))
    fade = wp.clamp(1.5 - side * 220.0, 0.0, 1.0)
    if fade > 0.0:
        speck = value_noise(p * 90.0, seed + wp.uint32(21))
        base = base * (1.0 + amount * age * fade * 0.22 * (speck - 0.5))
    out.base = wp.vec3(wp.clamp(base[0], 0.0, 0.95), wp.clamp(base[1], 0.0, 0.95), wp.clamp(base[2], 0.0, 0.95))
    rough = out.roughness + amount * (0.30 * coarse + 0.35 * grain + 0.22 * dirt)
    out.roughness = wp.clamp(rough, 0.06, 1.0)
    out.metallic = out.metallic * (1.0 - 0.1 * dirt)
    bump = wp.clamp(1.5 - side * 220.0, 0.0, 1.0) * amount * age * 0.08
    if bump > 0.0:
        a = value_noise(p * 47.0, seed + wp.uint32(31)) + 0.5 * value_noise(p * 97.0, seed + wp.uint32(32)) - 0.75
        b = value_noise(p * 47.0, seed + wp.uint32(41)) + 0.5 * value_noise(p * 97.0, seed + wp.uint32(42)) - 0.75
        c = value_noise(p * 47.0, seed + wp.uint32(51)) + 0.5 * value_noise(p * 97.0, seed + wp.uint32(52)) - 0.75
        out.normal = wp.normalize(out.normal + wp.vec3(a, b, c) * (bump * (0.35 + out.roughness)))
    return out


@wp.func
def _blown_in(world: WorldArrays, air: Air, start: wp.vec3):
    """Whether wind carries what falls to a place under a low thing: some steps to a side the sky is open."""
    for side in range(4):
        turn = wp.float32(side) * 1.5707963 + 0.6
        across = wp.vec3(wp.cos(turn), wp.sin(turn), _SLANT)
        zenith = wp.vec3(0.0, 0.0, 1.0)
        if air.y_up == 1:
            across = wp.vec3(wp.cos(turn), _SLANT, wp.sin(turn))
            zenith = wp.vec3(0.0, 1.0, 0.0)
        wall, _way = hit_along(world, start, wp.normalize(across), _BESIDE)
        if wall < 0:
            roof, _above = hit_along(world, start + wp.normalize(across) * _BESIDE, zenith, 200.0)
            if roof < 0:
                return True
    return False


@wp.func
def _blown_under(world: WorldArrays, start: wp.vec3, zenith: wp.vec3, along: wp.vec3):
    """Whether what falls comes to a place from both sides of what is above it, now from one and then from the other."""
    one, _far = hit_along(world, start, wp.normalize(zenith + along * _LEAN), 200.0)
    if one >= 0:
        return False
    other, _way = hit_along(world, start, wp.normalize(zenith - along * _LEAN), 200.0)
    return other < 0


@wp.func
def sheltered(world: WorldArrays, air: Air, p: wp.vec3, geometric: wp.vec3, lift: wp.float32):
    """Share of what falls from the sky that things above ``p`` keep away; ``lift`` keeps rays off the surface [m]."""
    zenith = wp.vec3(0.05, 0.04, 1.0)
    if air.y_up == 1:
        zenith = wp.vec3(0.05, 1.0, -0.04)
    wobble = 0.06 * (value_noise(p * 2.3, wp.uint32(3)) - 0.5)
    zenith = wp.normalize(zenith + wp.vec3(wobble, -wobble, wobble))
    facing = wp.dot(zenith, geometric)
    own = smooth_step(0.2, 0.6, -facing)  # a ceiling is its own roof, however thin
    if own >= 1.0:
        return own
    if facing < 0.02:  # nor does a wall let through what falls behind it
        zenith = wp.normalize(zenith + geometric * (0.02 - facing))
    start = p + geometric * lift
    roof, above = hit_along(world, start, zenith, 200.0)
    if roof < 0:
        return own
    share = smooth_step(0.2, 1.6, above)  # what blows in under low things
    if above < 1.6:
        higher, _gap = hit_along(world, p + zenith * 1.6, zenith, 200.0)
        if higher >= 0 or not _blown_in(world, air, start):  # but not where a roof is over them, nor into a room
            share = wp.float32(1.0)
    else:  # an arm or a wire high above keeps nothing away
        across = wp.vec3(0.0, 1.0, 0.0)
        if air.y_up == 1:
            across = wp.vec3(0.0, 0.0, 1.0)
        if _blown_under(world, start, zenith, wp.vec3(1.0, 0.0, 0.0)) or _blown_under(world, start, zenith, across):
            share = wp.float32(0.0)
    return wp.max(share, own)


@wp.func
def stays(air: Air, normal: wp.vec3, geometric: wp.vec3):
    """Share of the snow on a facet that does not slide off, by its slope.

    That is the slope of the shading ``normal`` where the facet is one of many of something round, about which it turns
    little; normals that turn far pretend.
    """
    flat = z_up(air, geometric)[2]
    round = smooth_step(0.94, 0.975, wp.dot(normal, geometric))
    return smooth_step(0.25, 0.6, flat + (z_up(air, normal)[2] - flat) * round)


@wp.func
def _snow_bump(p: wp.vec3, side: wp.float32):
    """How far the normal of snow at ``p`` leans, world axes; 0 where a pixel, of that ``side`` [m], sees the mean."""
    a = value_noise(p * 7.0, wp.uint32(101)) - 0.5
    b = value_noise(p * 7.0, wp.uint32(102)) - 0.5
    c = value_noise(p * 7.0, wp.uint32(103)) - 0.5
    return wp.vec3(a, b, c) * (wp.clamp(1.4 - side * 14.0, 0.0, 1.0) * 0.16)


@wp.func
def snowed_normal(normal: wp.vec3, geometric: wp.vec3, p: wp.vec3, side: wp.float32, cover: wp.float32):
    """Shading normal where snow covers the share ``cover``: rounder than what lies below, and uneven by itself."""
    return wp.normalize(normal * (1.0 - 0.5 * cover) + geometric * (0.5 * cover) + _snow_bump(p, side) * cover)


@wp.func
def weathered(
    skin: Skin, world: WorldArrays, air: Air, p: wp.vec3, normal: wp.vec3, geometric: wp.vec3, side: wp.float32,
    lift: wp.float32,
):  # fmt: skip
    """Wetness, puddles and snow, where the sky above is open.

    ``normal`` is that of the surface before it aged; ``lift`` keeps rays off the surface [m].
    """
    out = skin
    up = z_up(air, out.normal)[2]
    flat = z_up(air, geometric)[2]
    covered = wp.float32(0.0)
    if flat > UPWARD or air.wet > 0.0:
        covered = sheltered(world, air, p, geometric, lift)
    if air.wet > 0.0:
        wet = air.wet * (1.0 - 0.75 * covered) * (0.75 + 0.25 * wp.max(flat, 0.0))
        porous = wp.clamp(out.roughness * 1.4 - 0.2, 0.0, 1.0) * (1.0 - out.metallic)
        out.base = out.base * (1.0 - 0.5 * wet * porous)
        out.roughness = wp.lerp(out.roughness, wp.min(out.roughness, 0.30), wet)
        if flat > 0.9:
            level = octaves_of_noise(p * 0.55, side * 0.55, 4, air.seed + wp.uint32(61)) + 0.10 * (air.wet - 1.0)
            pool = smooth_step(0.505, 0.56, level) * wet
            out.base = out.base * (1.0 - 0.45 * pool)
            out.roughness = wp.lerp(out.roughness, 0.045, pool)
            ripple = wp.clamp(1.2 - side * 20.0, 0.0, 1.0) * 0.035
            a = value_noise(p * 14.0, wp.uint32(71)) - 0.5
            b = value_noise(p * 14.0, wp.uint32(72)) - 0.5
            wave = wp.vec3(a, b, 0.0)
            if air.y_up == 1:
                wave = wp.vec3(a, 0.0, b)
            still = wp.normalize(geometric + wave * ripple)
            out.normal = wp.normalize(out.normal * (1.0 - pool) + still * pool)
            wet = wp.max(wet, pool)
        out.wet = wet
    if air.snow > 0.0 and covered < 0.98:
        drift = octaves_of_noise(p * 1.6, side * 1.6, 4, air.seed + wp.uint32(81))
        patch = octaves_of_noise(p * 0.33, side * 0.33, 3, air.seed + wp.uint32(91))
        need = 0.92 - 0.72 * air.snow
        cover = smooth_step(need, need + 0.22, up * 0.62 + 0.42 * drift + 0.30 * patch - 0.15)
        cover *= stays(air, normal, geometric) * smooth_step(0.15, 0.45, up) * (1.0 - covered)
        cover *= wp.min(1.0, 8.0 * air.snow)
        shade = 0.94 + 0.10 * (drift - 0.5)
        out.base = out.base * (1.0 - cover) + wp.vec3(0.84, 0.875, 0.92) * (shade * cover)
        out.roughness = wp.lerp(out.roughness, 0.78, cover)
        out.metallic = out.metallic * (1.0 - cover)
        out.normal = snowed_normal(out.normal, geometric, p, side, cover)
    return out


@wp.func
def ground_height(air: Air, p: wp.vec3):
    """Height above the ground [m]."""
    return height_of(air, p) - air.floor


__all__ = ["UPWARD", "Skin", "aged", "ground_height", "sheltered", "snowed_normal", "weathered"]
