"""Give regions of pictures another material or colour, under the light that falls on them.

Where light maps are given, a white ball tells the light at every pixel (Debevec 1998), so the new reflectance takes
exactly the light, the shadows and the air that the old one had. Without them the light is told from the picture.
"""

# mypy: disable-error-code="misc,operator,index"
# (wp.tid() gives as many indices as the launch has axes; Warp vectors take scalars)

from dataclasses import dataclass
from typing import Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.display import aces, aces_inverse, linear_of, luma, srgb_of
from cosmos.bridge.kernels.materials import FAMILIES, material_at
from cosmos.bridge.kernels.regions import lens_rows, world_normal
from cosmos.bridge.kernels.runs import launch_runs
from cosmos.bridge.kernels.surface_noise import smooth_step

wp.set_module_options({"enable_backward": False})

_WHITE = wp.constant(wp.float32(0.8))
"""Reflectance of the white ball."""
_DARK = wp.constant(wp.float32(0.02))
"""Light below which the reflectance that was there cannot be told."""


SOILS = {"dirt": (0.085, 0.070, 0.053), "rust": (0.200, 0.072, 0.026)}
"""Kind of soil -> linear reflectance."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Style:
    """What a region becomes."""

    family: str = ""
    """A key of ``materials.FAMILIES``; "" leaves the material."""
    color: Optional[tuple[float, float, float]] = None
    """Linear reflectance; that of the family where ``None``."""
    patterned: bool = False
    """Whether the pattern that was there, lighter and darker, stays visible in a new colour."""
    soiled: float = 0.0
    """How thick dirt lies where the wear hints show stains, in [0, 1]."""
    soil: str = "dirt"
    """A key of ``SOILS``."""


@wp.func
def _light_at(pictures: wp.array(dtype=wp.uint8, ndim=4), t: wp.int32, y: wp.int32, x: wp.int32, first: wp.int32):
    """Scene light of three channels of a picture."""
    shown = wp.vec3(
        linear_of(wp.float32(pictures[t, y, x, first]) / 255.0),
        linear_of(wp.float32(pictures[t, y, x, first + 1]) / 255.0),
        linear_of(wp.float32(pictures[t, y, x, first + 2]) / 255.0),
    )
    return aces_inverse(shown)


@wp.func
def _show(pictures_out: wp.array(dtype=wp.uint8, ndim=4), t: wp.int32, y: wp.int32, x: wp.int32, light: wp.vec3):
    """Write scene light as the first three channels of a picture."""
    shown = aces(light)
    for c in range(3):
        pictures_out[t, y, x, c] = wp.uint8(srgb_of(shown[c]) * 255.0 + 0.5)


@wp.func
def _above(light: wp.vec3, air: wp.vec3) -> wp.vec3:
    return wp.vec3(wp.max(light[0] - air[0], 0.0), wp.max(light[1] - air[1], 0.0), wp.max(light[2] - air[2], 0.0))


@wp.func
def _stops(estimate: wp.float32, mean: wp.float32):
    if estimate <= 0.0:
        return wp.float32(0.0)
    return wp.log(wp.max(estimate, 1.0e-4) / wp.max(mean, 1.0e-4)) * 1.442695


@wp.func
def _opening(
    estimates: wp.array(dtype=wp.float32, ndim=3),
    regions: wp.array(dtype=wp.uint8, ndim=3),
    t: wp.int32,
    y: wp.int32,
    x: wp.int32,
    mean: wp.float32,
):
    """How much a place of a wall is part of a window or door: far lighter or darker, as what lies around it is."""
    off = wp.abs(_stops(estimates[t, y, x], mean))
    if off < 0.75:
        return wp.float32(0.0)
    total = wp.float32(0.0)
    count = wp.float32(0.0)
    for dy in range(-3, 4):
        for dx in range(-3, 4):
            v = wp.clamp(y + dy, 0, regions.shape[1] - 1)
            u = wp.clamp(x + dx, 0, regions.shape[2] - 1)
            if regions[t, v, u] == regions[t, y, x]:
                total += _stops(estimates[t, v, u], mean)
                count += 1.0
    around = wp.abs(total) / wp.max(count, 1.0)
    return smooth_step(0.75, 1.1, off) * smooth_step(0.5, 0.8, around)


@wp.kernel
def _estimate_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    source: wp.array(dtype=wp.uint8, ndim=4),
    maps: wp.array(dtype=wp.uint8, ndim=4),
    regions: wp.array(dtype=wp.uint8, ndim=3),
    # out
    estimate_out: wp.array(dtype=wp.float32, ndim=3),
):
    """Luma of the reflectance that is there, or without light maps of the picture's light."""
    begin = (first + wp.tid()) * run
    width = regions.shape[2]
    height = regions.shape[1]
    for i in range(begin, wp.min(begin + run, count)):
        row = i // width
        t = row // height
        y = row - t * height
        x = i - row * width
        found = wp.float32(0.0)
        if regions[t, y, x] != wp.uint8(255):
            if maps.shape[0] > 0:
                air = _light_at(maps, t, y, x, 9)
                here = luma(_above(_light_at(maps, t, y, x, 0), air))
                white = luma(_above(_light_at(maps, t, y, x, 3), air)) / _WHITE
                if white > _DARK:
                    found = wp.clamp(here / white, 0.008, 1.1)
            else:
                found = wp.max(luma(_light_at(source, t, y, x, 0)), 1.0e-4)
        estimate_out[t, y, x] = found


@wp.func
def _material(
    family: wp.int32,
    base: wp.vec3,
    x: wp.int32,
    y: wp.int32,
    z: wp.float32,
    lens: wp.vec4,
    pose: wp.mat44,
    normal: wp.vec3,
    up: wp.vec3,
    wall: wp.int32,
    seed: wp.uint32,
) -> wp.vec3:
    """Mean reflectance of a pixel, from four places in it."""
    local = wp.transform_vector(wp.transpose(pose), normal)
    middle = wp.vec3((wp.float32(x) + 0.5 - lens[2]) / lens[0], (lens[3] - wp.float32(y) - 0.5) / lens[1], -1.0)
    facing = wp.dot(local, middle)
    cosine = wp.max(0.04, wp.abs(facing) / wp.length(middle))
    side = z / lens[0] / wp.sqrt(cosine)
    tangent = wp.cross(up, normal)
    if wall == 0:
        tangent = wp.vec3(1.0, 0.0, 0.0)
        tangent = wp.normalize(tangent - up * wp.dot(tangent, up))
    else:
        tangent = wp.normalize(tangent)
    upward = up
    if wall == 0:
        upward = wp.cross(up, tangent)
    total = wp.vec3(0.0, 0.0, 0.0)
    for k in range(4):
        dx = 0.25 * wp.float32(k - 2 * (k // 2)) - 0.125 + 0.125 * (1.0 - 2.0 * wp.float32(k // 2))
        dy = 0.25 * wp.float32(k) - 0.375
        ray = wp.vec3(
            (wp.float32(x) + 0.5 + dx - lens[2]) / lens[0], (lens[3] - wp.float32(y) - 0.5 - dy) / lens[1], -1.0
        )
        ratio = facing / wp.dot(local, ray)
        if not (ratio > 0.3 and ratio < 3.0):
            ratio = wp.float32(1.0)
        place = wp.transform_point(pose, ray * (z * ratio))
        total += material_at(family, wp.dot(place, tangent), wp.dot(place, upward), 0.5 * side, base, wall, seed)
    return total * 0.25


@wp.func
def _stains(hints: wp.array(dtype=wp.float32, ndim=4), t: wp.int32, y: wp.int32, x: wp.int32, rise: wp.float32):
    """How much of a place is soiled: patches, streaks down upright faces, and grains."""
    if hints.shape[0] == 0:
        return wp.float32(0.0)
    patches = smooth_step(-0.5, 1.1, hints[t, y, x, 16])
    streaks = smooth_step(-0.1, 0.9, hints[t, y, x, 18]) * (1.0 - smooth_step(0.3, 0.7, wp.abs(rise)))
    grains = smooth_step(-0.2, 0.9, hints[t, y, x, 17])
    return wp.clamp(0.6 * patches + 0.45 * streaks + 0.35 * grains * (0.4 + patches), 0.0, 1.0)


@wp.func
def _own_at(
    own: wp.array(dtype=wp.vec3, ndim=1), ids: wp.array(dtype=wp.uint32, ndim=3), t: wp.int32, y: wp.int32, x: wp.int32
) -> wp.vec3:
    index = wp.int32(0)
    if ids.shape[0] > 0:
        index = wp.int32(ids[t, y, x])
    if index >= 0 and index < own.shape[0]:
        return own[index]
    return wp.vec3(0.3, 1.0, 0.0)


@wp.kernel
def _restyle_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    depth: wp.array(dtype=wp.float32, ndim=3),
    normals: wp.array(dtype=wp.float32, ndim=4),
    ids: wp.array(dtype=wp.uint32, ndim=3),
    regions: wp.array(dtype=wp.uint8, ndim=3),
    estimates: wp.array(dtype=wp.float32, ndim=3),
    share: wp.array(dtype=wp.float32, ndim=3),
    own: wp.array(dtype=wp.vec3, ndim=1),
    families: wp.array(dtype=wp.int32, ndim=1),
    bases: wp.array(dtype=wp.vec3, ndim=1),
    manners: wp.array(dtype=wp.int32, ndim=1),
    soils: wp.array(dtype=wp.vec4, ndim=1),
    hints: wp.array(dtype=wp.float32, ndim=4),
    lenses: wp.array(dtype=wp.vec4, ndim=1),
    cam_to_world: wp.array(dtype=wp.mat44, ndim=1),
    up: wp.vec3,
    amount: wp.float32,
    seed: wp.uint32,
    # in and out
    source_out: wp.array(dtype=wp.uint8, ndim=4),
    maps_out: wp.array(dtype=wp.uint8, ndim=4),
):
    begin = (first + wp.tid()) * run
    width = regions.shape[2]
    height = regions.shape[1]
    for i in range(begin, wp.min(begin + run, count)):
        row = i // width
        t = row // height
        y = row - t * height
        x = i - row * width
        slot = wp.int32(regions[t, y, x])
        if slot >= families.shape[0]:
            continue
        family = families[slot]
        soil = soils[slot]
        free = wp.float32(1.0)
        if share.shape[0] > 0:
            free = share[t, y, x]
        if (family < 0 and soil[3] <= 0.0) or free <= 0.0:
            continue
        mean = _own_at(own, ids, t, y, x)
        normal = world_normal(depth, normals, t, y, x, lenses[t], cam_to_world[t])
        rise = wp.dot(normal, up)
        here = estimates[t, y, x]
        if here <= 0.0:
            here = wp.max(mean[0], 1.0e-4)
        ratio = here / wp.max(mean[0], 1.0e-4)
        color = bases[slot]
        cover = free * amount
        if family < 0:
            cover = wp.float32(0.0)
        if family > 0:
            wall = wp.int32(0)
            if wp.abs(rise) < 0.5:
                wall = wp.int32(1)
            color = _material(family, color, x, y, depth[t, y, x], lenses[t], cam_to_world[t], normal, up, wall, seed)
        dirty = free * soil[3] * _stains(hints, t, y, x, rise)
        filth = wp.vec3(soil[0], soil[1], soil[2])
        if maps_out.shape[0] > 0:
            if manners[slot] != 0:
                color = color * wp.clamp(ratio, 0.2, 1.5)
            if slot == 1 and mean[2] > 0.5 and cover > 0.0:
                cover = cover * (1.0 - _opening(estimates, regions, t, y, x, mean[0]))
            air = _light_at(maps_out, t, y, x, 9)
            white = _above(_light_at(maps_out, t, y, x, 3), air) / _WHITE
            relit = wp.lerp(_light_at(maps_out, t, y, x, 0), wp.cw_mul(white, color) + air, cover)
            _show(maps_out, t, y, x, wp.lerp(relit, wp.cw_mul(white, filth) + air, dirty))
        before = _light_at(source_out, t, y, x, 0)
        light = luma(before) / here
        if maps_out.shape[0] == 0:
            light = mean[1] * ratio
        _show(source_out, t, y, x, wp.lerp(wp.lerp(before, color * light, cover), filth * light, dirty))


def _none(ndim: int, dtype: type, device: wp.Device) -> wp.array:
    return wp.empty((0,) * ndim, dtype=dtype, device=device)


def _rows(styles: list[Optional[Style]], device: wp.Device) -> list[wp.array]:
    """Return what the kernel is told of each style: family, reflectance, whether patterned, and soil."""
    given = [Style() if style is None else style for style in styles]
    families = [FAMILIES[style.family][0] if style.family else -1 for style in given]
    bases = [style.color or (FAMILIES[style.family][1] if style.family else (0.0, 0.0, 0.0)) for style in given]
    manners = [int(style.patterned) for style in given]
    soils = [(*SOILS[style.soil], style.soiled) for style in given]
    return [
        wp.array(np.array(families, dtype=np.int32), dtype=wp.int32, device=device),
        wp.array(np.array(bases, dtype=np.float32).reshape(-1, 3), dtype=wp.vec3, device=device),
        wp.array(np.array(manners, dtype=np.int32), dtype=wp.int32, device=device),
        wp.array(np.array(soils, dtype=np.float32).reshape(-1, 4), dtype=wp.vec4, device=device),
    ]


def estimate_reflectance(source: wp.array, regions: wp.array, maps: Optional[wp.array] = None) -> wp.array:
    """Estimate what the regions of frames reflect.

    Args:
        source: sRGB, uint8, shape [F, H, W, 3].
        regions: Of ``find_regions``, uint8, shape [F, H, W].
        maps: Light maps side by side: relit, white, mirror, air and shelter, uint8, shape [F, H, W, 14].

    Returns:
        Luma of the linear reflectance, or without maps that of the picture's light, float32, shape [F, H, W]; 0 outside
        of regions and where it is too dark to tell.
    """
    device = regions.device
    estimates = wp.empty(regions.shape, dtype=wp.float32, device=device)
    told = _none(4, wp.uint8, device) if maps is None else maps
    launch_runs(_estimate_kernel, regions.size, [source, told, regions, estimates], device=device)
    return estimates


def restyle_pictures(
    source: wp.array,
    *,
    regions: wp.array,
    styles: list[Optional[Style]],
    estimates: wp.array,
    own: np.ndarray,
    depth: wp.array,
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    up: tuple[float, float, float],
    normals: Optional[wp.array] = None,
    instance_ids: Optional[wp.array] = None,
    maps: Optional[wp.array] = None,
    hints: Optional[wp.array] = None,
    share: Optional[wp.array] = None,
    amount: float = 1.0,
    seed: int = 0,
) -> None:
    """Give regions another material or colour, in place.

    Args:
        source: sRGB, uint8, shape [F, H, W, 3]; written over.
        regions: Of ``find_regions``, uint8, shape [F, H, W].
        styles: What each region becomes; ``None`` leaves it.
        estimates: Of ``estimate_reflectance``.
        own: The estimate's typical value in each instance, how bright a light falls on it where there are no maps, and
            1 where what is far lighter or darker than that stays, such as windows in a wall; row by instance id,
            float32, shape [N, 3].
        depth: Distance to the image plane [m], float32, shape [F, H, W].
        intrinsics: [px], shape [F, 3, 3].
        cam_to_world: Camera (looks along -Z) to world [m], shape [F, 4, 4].
        up: Unit vector up.
        normals: World normals, float32, shape [F, H, W, 3]; from the depth where ``None``.
        instance_ids: uint32, shape [F, H, W].
        maps: Light maps side by side, uint8, shape [F, H, W, 14]; what they show relit is written over.
        hints: Light and wear hints side by side, float32, shape [F, H, W, C]; nothing is soiled where ``None``.
        share: How much may change at each pixel, float32 in [0, 1], shape [F, H, W]; all where ``None``.
        amount: How much changes at all, in [0, 1].
        seed: Moves the patterns.

    Raises:
        ValueError: If shapes do not go together, or a family is unknown.
    """
    shape, device = tuple(regions.shape), regions.device
    if tuple(source.shape) != (*shape, 3) or tuple(depth.shape) != shape or tuple(estimates.shape) != shape:
        raise ValueError(
            f"restyle_pictures needs source {[*shape, 3]}, depth and estimates {list(shape)}, got "
            f"{list(source.shape)}, {list(depth.shape)} and {list(estimates.shape)}."
        )
    unknown = [style.family for style in styles if style is not None and style.family not in (*FAMILIES, "")]
    if unknown:
        raise ValueError(f"restyle_pictures knows the families {', '.join(FAMILIES)}, got {', '.join(unknown)}.")
    launch_runs(
        _restyle_kernel,
        regions.size,
        [
            depth,
            _none(4, wp.float32, device) if normals is None else normals,
            _none(3, wp.uint32, device) if instance_ids is None else instance_ids.view(wp.uint32),
            regions,
            estimates,
            _none(3, wp.float32, device) if share is None else share,
            wp.array(np.asarray(own, dtype=np.float32), dtype=wp.vec3, device=device),
            *_rows(styles, device),
            _none(4, wp.float32, device) if hints is None else hints,
            lens_rows(intrinsics, device),
            wp.array(np.asarray(cam_to_world, dtype=np.float32), dtype=wp.mat44, device=device),
            wp.vec3(*up),
            float(amount),
            wp.uint32(seed & 0x7FFFFFFF),
            source,
            _none(4, wp.uint8, device) if maps is None else maps,
        ],
        device=device,
    )


__all__ = ["SOILS", "Style", "estimate_reflectance", "restyle_pictures"]
