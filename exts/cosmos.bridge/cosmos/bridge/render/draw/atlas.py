"""Materials and textures as flat device arrays, and how a kernel reads them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.scene import Material, Scene, Texture, TextureSlot
from cosmos.bridge.srgb import LINEAR_OF_BYTE

wp.set_module_options({"enable_backward": False})

_LEVELS = 14
_LEVELS_AT = wp.constant(10)
_WRAPS = {"repeat": 0, "clamp": 1, "mirror": 2, "black": 3}
_HEAD_WIDTH = 32
_SLOT_WIDTH = 16
BASE_SLOT = wp.constant(32)
ROUGHNESS_SLOT = wp.constant(48)
METALLIC_SLOT = wp.constant(64)
EMISSIVE_SLOT = wp.constant(80)
NORMAL_SLOT = wp.constant(96)
OPACITY_SLOT = wp.constant(112)
SPECULAR_SLOT = wp.constant(128)
OCCLUSION_SLOT = wp.constant(144)
COAT_SLOT = wp.constant(160)
COAT_ROUGHNESS_SLOT = wp.constant(176)
_ROW_WIDTH = 192
SEEN_OPACITY = 0.5
"""Opacity from which a blended surface, rather than what lies behind it, is what annotators see."""


@wp.struct
class Atlas:
    """Materials (one row each), their mean colours, and every texture with its mip levels in one run of texels."""

    rows: wp.array2d(dtype=wp.float32)
    quads: wp.array2d(dtype=wp.vec4)  # the same memory, four columns at a time
    flat_colors: wp.array(dtype=wp.vec3)  # mean base colour; negative where the mesh's colours hold
    flat_emissive: wp.array(dtype=wp.vec3)
    # width, height, levels, sRGB, wrap s, wrap t, UDIM column, row, columns, rows, first texel of each level
    textures: wp.array2d(dtype=wp.int32)
    texels: wp.array(dtype=wp.uint32)
    linear: wp.array(dtype=wp.float32)  # 256 sRGB bytes, linear


@wp.func
def _wrap(i: wp.int32, n: wp.int32, mode: wp.int32):
    if i >= 0 and i < n:
        return i
    if mode == 1:
        return wp.clamp(i, 0, n - 1)
    if mode == 2:
        k = i % (2 * n)
        if k < 0:
            k += 2 * n
        if k >= n:
            k = 2 * n - 1 - k
        return k
    if mode == 3:
        return -1
    k = i % n
    if k < 0:
        k += n
    return k


@wp.func
def _texel(atlas: Atlas, at: wp.int32, kind: wp.int32):
    """Texel ``at`` of the run as linear RGBA; all zero for -1, the black outside.

    Branches set numbers, never vectors: those would go through memory.
    """
    red = wp.float32(0.0)
    green = wp.float32(0.0)
    blue = wp.float32(0.0)
    alpha = wp.float32(0.0)
    if at >= 0:
        packed = atlas.texels[at]
        r = wp.int32(packed & wp.uint32(255))
        g = wp.int32((packed >> wp.uint32(8)) & wp.uint32(255))
        b = wp.int32((packed >> wp.uint32(16)) & wp.uint32(255))
        alpha = wp.float32(packed >> wp.uint32(24)) / 255.0
        if kind == 1:
            red = atlas.linear[r]
            green = atlas.linear[g]
            blue = atlas.linear[b]
        else:
            unit = wp.float32(1.0 / 255.0)
            if kind == 2:  # shared exponent (G. Ward 1991)
                unit = wp.pow(2.0, wp.float32(packed >> wp.uint32(24)) - 128.0) / 255.0
                alpha = wp.float32(1.0)
            red = wp.float32(r) * unit
            green = wp.float32(g) * unit
            blue = wp.float32(b) * unit
    return wp.vec4(red, green, blue, alpha)


@wp.func
def _place(offset: wp.int32, width: wp.int32, column: wp.int32, row: wp.int32):
    """Index of a texel in the run; -1 outside."""
    if column < 0 or row < 0:
        return -1
    return offset + row * width + column


@wp.func
def _unwound(x: wp.float32, mode: wp.int32):
    """A texture coordinate without the whole turns that a repeated image does not see."""
    place = wp.clamp(x, -1.0e4, 1.0e4)
    if mode == 0:
        place = place - wp.floor(place)
    return place


@wp.func
def _bilinear(atlas: Atlas, texture: wp.array(dtype=wp.int32), level: wp.int32, uv: wp.vec2):
    w = wp.max(1, texture[0] >> level)
    h = wp.max(1, texture[1] >> level)
    kind = texture[3]
    offset = texture[_LEVELS_AT + level]
    u = uv[0] * wp.float32(w) - 0.5
    v = (1.0 - uv[1]) * wp.float32(h) - 0.5
    fu = wp.floor(u)
    fv = wp.floor(v)
    left = _wrap(wp.int32(fu), w, texture[4])
    right = _wrap(wp.int32(fu) + 1, w, texture[4])
    top = _wrap(wp.int32(fv), h, texture[5])
    low = _wrap(wp.int32(fv) + 1, h, texture[5])
    su = u - fu
    sv = v - fv
    above = _texel(atlas, _place(offset, w, left, top), kind) * (1.0 - su)
    above += _texel(atlas, _place(offset, w, right, top), kind) * su
    below = _texel(atlas, _place(offset, w, left, low), kind) * (1.0 - su)
    below += _texel(atlas, _place(offset, w, right, low), kind) * su
    return above * (1.0 - sv) + below * sv


@wp.func
def sample_texture(atlas: Atlas, number: wp.int32, uv: wp.vec2, footprint: wp.float32):
    """Filtered texel as linear RGBA; ``footprint`` is the side of a pixel in uv."""
    texture = atlas.textures[number]
    size = wp.sqrt(wp.float32(texture[0]) * wp.float32(texture[1]))
    levels = texture[2]
    place = uv
    columns = wp.float32(texture[8])
    rows = wp.float32(texture[9])
    if columns * rows != 1.0:
        corner = wp.vec2(wp.float32(texture[6]), wp.float32(texture[7]))
        place = wp.cw_div(uv - corner, wp.vec2(columns, rows))
        size = size / wp.sqrt(columns * rows)
    place = wp.vec2(_unwound(place[0], texture[4]), _unwound(place[1], texture[5]))
    lod = wp.clamp(wp.log2(wp.max(footprint * size, 1.0e-6)), 0.0, wp.float32(levels - 1))
    level = wp.int32(lod)
    share = lod - wp.float32(level)
    last = level + 1
    if share < 0.02 or last >= levels:
        share = wp.float32(0.0)
        last = level
    mixed = wp.vec4(0.0, 0.0, 0.0, 0.0)
    for each in range(level, last + 1):  # a loop, not two calls: long code is what slows a processor down
        weight = 1.0 - share
        if each > level:
            weight = share
        mixed += _bilinear(atlas, texture, each, place) * weight
    return mixed


@wp.func
def sample_slot(atlas: Atlas, row: wp.int32, slot: wp.int32, uv: wp.vec2, footprint: wp.float32):
    """What a textured input reads at ``uv``; call only where the slot has a texture."""
    at = slot // 4
    head = atlas.quads[row, at]
    turn = atlas.quads[row, at + 1]
    su = uv[0] * head[2]
    sv = uv[1] * head[3]
    placed = wp.vec2(turn[0] * su - turn[1] * sv + turn[2], turn[1] * su + turn[0] * sv + turn[3])
    grown = footprint * wp.sqrt(wp.abs(head[2] * head[3]))
    texel = sample_texture(atlas, wp.int32(head[0]), placed, grown)
    return wp.cw_mul(texel, atlas.quads[row, at + 2]) + atlas.quads[row, at + 3]


def _slot_row(slot: TextureSlot) -> list[float]:
    angle = math.radians(slot.uv_rotation)
    place = [*slot.uv_scale, math.cos(angle), math.sin(angle), *slot.uv_offset]
    source = -2 - slot.color_set if slot.color_set >= 0 else slot.texture
    channel = min(max(slot.channel, 0), 3) + 4 * slot.uv_set
    return [float(source), float(channel), *place, *slot.scale, *slot.bias]


def _material_row(material: Material) -> list[float]:
    extras = (
        material.specular_workflow
        or material.specular != (1.0, 1.0, 1.0)
        or material.ior != 1.5
        or material.clearcoat > 0.0
        or material.occlusion < 1.0
        or material.blended
        or any(slot.used for slot in (material.specular_slot, material.occlusion_slot, material.clearcoat_slot))
    )
    head = [
        *material.base_color,
        float(material.use_display_color),
        material.metallic,
        material.roughness,
        *material.emissive,
        material.opacity,
        material.opacity_threshold,
        material.ior,
        *material.specular,
        float(material.specular_workflow),
        material.clearcoat,
        material.clearcoat_roughness,
        material.occlusion,
        material.transmission,
        *material.transmission_color,
        float(material.presence),
        1.0 if material.cut_out else 2.0 if material.blended else 0.0,
        float(extras),
    ]
    slots = (
        material.base_color_slot,
        material.roughness_slot,
        material.metallic_slot,
        material.emissive_slot,
        material.normal_slot,
        material.opacity_slot,
        material.specular_slot,
        material.occlusion_slot,
        material.clearcoat_slot,
        material.clearcoat_roughness_slot,
    )
    first_extra = (OPACITY_SLOT - BASE_SLOT) // _SLOT_WIDTH
    read = [slot.used and (extras or number < first_extra) for number, slot in enumerate(slots)]
    head.append(float(sum(1 << number for number, used in enumerate(read) if used)))
    row = head + [0.0] * (_HEAD_WIDTH - len(head))
    for slot in slots:
        row += _slot_row(slot)
    return row


def _mip_levels(texels: np.ndarray) -> list[np.ndarray]:
    """Return the image and its halvings down to one texel, averages rounded to uint8."""
    import cv2

    levels = [np.ascontiguousarray(texels, dtype=np.uint8)]
    while max(levels[-1].shape[:2]) > 1 and len(levels) < _LEVELS:
        h, w = (side // 2 * 2 or 1 for side in levels[-1].shape[:2])
        size = (w + 1) // 2, (h + 1) // 2
        levels.append(np.asarray(cv2.resize(levels[-1][:h, :w], size, interpolation=cv2.INTER_AREA)))
    return levels


def _radiance_levels(texels: np.ndarray) -> list[np.ndarray]:
    """Return a linear image and its halvings as bytes: red, green, blue and the exponent that they share."""
    levels = [texels.astype(np.float32)]
    while max(levels[-1].shape[:2]) > 1 and len(levels) < _LEVELS:
        image = levels[-1]
        h, w = image.shape[:2]
        half_h, half_w = max(1, h // 2), max(1, w // 2)
        rows = image[: half_h * 2].reshape(half_h, -1, w, 3).mean(axis=1)
        levels.append(rows[:, : half_w * 2].reshape(half_h, half_w, -1, 3).mean(axis=2))
    return [_shared_exponent(level) for level in levels]


def _shared_exponent(rgb: np.ndarray) -> np.ndarray:
    """Return linear RGB as uint8 [H, W, 4]: ``value = byte / 255 * 2 ** (exponent - 128)``."""
    exponent = np.frexp(rgb.max(axis=-1))[1]
    exponent = np.where(rgb.max(axis=-1) > 1e-30, np.clip(exponent, -127, 127), -128)
    mantissa = np.rint(np.ldexp(rgb, -np.maximum(exponent, -127)[..., None]) * 255.0)
    return np.concatenate([np.clip(mantissa, 0, 255), (exponent + 128)[..., None]], axis=-1).astype(np.uint8)


def mean_color(texture: Texture) -> np.ndarray:
    """Return the mean linear RGB of a texture, shape [3]."""
    step = max(1, max(texture.texels.shape[:2]) // 128)
    if texture.texels.dtype != np.uint8:
        return np.asarray(texture.texels[..., :3].mean(axis=(0, 1), dtype=np.float64))
    values = LINEAR_OF_BYTE if texture.srgb else np.arange(256) / 255.0
    texels = texture.texels[::step, ::step]
    return np.array([values[texels[..., channel]].mean() for channel in range(3)])


def _flat(slot: TextureSlot, constant: tuple[float, float, float], means: dict[int, np.ndarray]) -> np.ndarray:
    if slot.texture < 0:
        return np.asarray(constant, dtype=np.float64)
    return means[slot.texture] * slot.scale[:3] + slot.bias[:3]


def _levels(texels: np.ndarray) -> list[np.ndarray]:
    """Return an image and its halvings as the words that kernels read, each uint32, shape [H W]."""
    made = _mip_levels(texels) if texels.dtype == np.uint8 else _radiance_levels(texels)
    return [level.reshape(-1, 4).view("<u4").reshape(-1) for level in made]


def make_atlas(scene: Scene, device: Any) -> Any:
    """Return the scene's materials and textures as an Atlas on a device."""
    rows = []
    images = {id(texture.texels): texture.texels for texture in scene.textures}  # one may be read in several ways
    levels = [_levels(image) for image in images.values()]
    lengths = [[len(level) for level in image] for image in levels]
    firsts = np.cumsum([0, *(sum(image) for image in lengths)]).tolist()
    laid = {
        key: [first + before for before in np.cumsum([0, *image[:-1]]).tolist()]
        for key, image, first in zip(images, lengths, firsts, strict=False)
    }
    for texture in scene.textures:
        h, w = texture.texels.shape[:2]
        wraps, starts = [_WRAPS[texture.wrap_s], _WRAPS[texture.wrap_t]], laid[id(texture.texels)]
        coding = int(texture.srgb) if texture.texels.dtype == np.uint8 else 2
        rows.append([w, h, len(starts), coding, *wraps, *texture.tiles, *starts, *[0] * (_LEVELS - len(starts))])
    materials = scene.materials or (Material(name="default", use_display_color=True),)
    seen = {slot.texture for item in materials for slot in (item.base_color_slot, item.emissive_slot)} - {-1}
    means = {index: mean_color(scene.textures[index]) for index in seen}
    colors = np.array([_flat(item.base_color_slot, item.base_color, means) for item in materials])
    colors[[item.use_display_color and item.base_color_slot.texture < 0 for item in materials]] = -1.0
    emissive = np.array([_flat(item.emissive_slot, item.emissive, means) for item in materials])
    atlas = Atlas()
    table = np.array([_material_row(item) for item in materials], dtype=np.float32).reshape(-1, _ROW_WIDTH)
    atlas.quads = wp.array(table.reshape(len(table), -1, 4), dtype=wp.vec4, device=device)
    atlas.rows = wp.array(ptr=atlas.quads.ptr, shape=table.shape, dtype=wp.float32, device=device)
    atlas.flat_colors = wp.array(colors.astype(np.float32), dtype=wp.vec3, device=device)
    atlas.flat_emissive = wp.array(emissive.astype(np.float32), dtype=wp.vec3, device=device)
    placed = np.array(rows or [[0] * (10 + _LEVELS)], dtype=np.int32)
    atlas.textures = wp.array(placed, dtype=wp.int32, device=device)
    run = np.concatenate([level for image in levels for level in image]) if levels else np.zeros(1, dtype=np.uint32)
    atlas.texels = wp.array(run, dtype=wp.uint32, device=device, copy=False)
    atlas.linear = wp.array(LINEAR_OF_BYTE.astype(np.float32), dtype=wp.float32, device=device)
    return atlas


__all__ = [
    "BASE_SLOT",
    "COAT_ROUGHNESS_SLOT",
    "COAT_SLOT",
    "EMISSIVE_SLOT",
    "METALLIC_SLOT",
    "NORMAL_SLOT",
    "OCCLUSION_SLOT",
    "OPACITY_SLOT",
    "ROUGHNESS_SLOT",
    "SEEN_OPACITY",
    "SPECULAR_SLOT",
    "Atlas",
    "make_atlas",
    "mean_color",
    "sample_slot",
    "sample_texture",
]
