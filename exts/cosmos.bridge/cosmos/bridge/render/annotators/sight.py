"""What follows from the depth of each pixel: distances, points, and how far surfaces turn away from the camera."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined, call-overload"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.annotators.survey import STRETCH, stretches
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.types import Camera, Lens, Orthographic, Pinhole

wp.set_module_options({"enable_backward": False})

_STRETCH = wp.constant(wp.int32(STRETCH))


@wp.kernel
def _widen_kernel(
    first: wp.int32, values: wp.array3d(dtype=wp.float32), rest: wp.float32, out: wp.array3d(dtype=wp.float32)
):
    y = first + wp.tid()
    for x in range(values.shape[1]):
        for channel in range(4):
            value = rest
            if channel < values.shape[2]:
                value = values[y, x, channel]
            out[y, x, channel] = value


@wp.struct
class Sight:
    """From depths to places in camera space, in float64."""

    kind: wp.int32  # 0 straight, 1 parallel, 2 by the table
    width: wp.float64  # of a pixel one metre away [m]; anywhere for a parallel one
    height: wp.float64
    cx: wp.float64
    cy: wp.float64
    rays: wp.array2d(dtype=wp.vec3d)  # [H, W]: unit directions, NaN outside the image circle


@wp.func
def _place(sight: Sight, y: wp.int32, x: wp.int32, depth: wp.float32):
    """What a pixel sees in camera space [m], and 1; zero where it sees nothing, or its depth does not tell where."""
    nothing = wp.vec4d(wp.float64(0.0), wp.float64(0.0), wp.float64(0.0), wp.float64(0.0))
    if not wp.isfinite(depth):
        return nothing
    d = wp.float64(depth)
    if sight.kind == 2:
        ray = sight.rays[y, x]
        deep = -ray[2]
        # A ray at a right angle to the axis keeps its depth at 0, which tells nothing of how far it went.
        if wp.abs(deep) > wp.float64(1.0e-6):
            reach = d / deep
            return wp.vec4d(ray[0] * reach, ray[1] * reach, ray[2] * reach, wp.float64(1.0))
        return nothing
    u = (wp.float64(x) + wp.float64(0.5) - sight.cx) * sight.width
    v = (sight.cy - (wp.float64(y) + wp.float64(0.5))) * sight.height
    if sight.kind == 1:
        return wp.vec4d(u, v, -d, wp.float64(1.0))
    return wp.vec4d(u * d, v * d, -d, wp.float64(1.0))


@wp.kernel
def _distance_kernel(
    first: wp.int32,
    sight: Sight,
    depths: wp.array2d(dtype=wp.float32),
    unit: wp.float64,
    distances_out: wp.array2d(dtype=wp.float32),
):
    y = first + wp.tid()
    for x in range(depths.shape[1]):
        distance = wp.float32(wp.inf)
        place = _place(sight, y, x, depths[y, x])
        if place[3] > wp.float64(0.0):
            distance = wp.float32(wp.length(wp.vec3d(place[0], place[1], place[2])) / unit)
        distances_out[y, x] = distance


@wp.kernel
def _darken_kernel(
    first: wp.int32,
    sight: Sight,
    normals: wp.array3d(dtype=wp.float32),
    pose: wp.mat33d,
    colors: wp.array3d(dtype=wp.uint8),
    colors_out: wp.array3d(dtype=wp.uint8),
):
    y = first + wp.tid()
    for x in range(colors.shape[1]):
        share = wp.float64(0.35)
        ray = _place(sight, y, x, 1.0)
        if sight.kind == 1:
            ray = wp.vec4d(wp.float64(0.0), wp.float64(0.0), wp.float64(-1.0), wp.float64(1.0))
        if ray[3] > wp.float64(0.0):
            n = wp.vec3d(wp.float64(normals[y, x, 0]), wp.float64(normals[y, x, 1]), wp.float64(normals[y, x, 2]))
            facing = wp.dot(wp.normalize(pose * wp.vec3d(ray[0], ray[1], ray[2])), n)
            share += wp.float64(0.65) * wp.abs(facing)
        for channel in range(3):
            colors_out[y, x, channel] = wp.uint8(wp.rint(wp.float64(colors[y, x, channel]) * share))
        colors_out[y, x, 3] = colors[y, x, 3]


@wp.kernel
def _count_kernel(
    first: wp.int32,
    sight: Sight,
    depths: wp.array2d(dtype=wp.float32),
    things: wp.array2d(dtype=wp.uint32),
    least: wp.uint32,
    counts_out: wp.array(dtype=wp.int32),
):
    item = first + wp.tid()
    stretches = (depths.shape[1] + _STRETCH - 1) // _STRETCH
    y = item // stretches
    begin = (item - y * stretches) * _STRETCH
    count = wp.int32(0)
    for x in range(begin, wp.min(begin + _STRETCH, depths.shape[1])):
        if things[y, x] >= least:
            place = _place(sight, y, x, depths[y, x])
            if place[3] > wp.float64(0.0):
                count += 1
    counts_out[item] = count


@wp.kernel
def _gather_kernel(
    first: wp.int32,
    sight: Sight,
    depths: wp.array2d(dtype=wp.float32),
    things: wp.array2d(dtype=wp.uint32),
    least: wp.uint32,
    starts: wp.array(dtype=wp.int32),
    pose: wp.mat44d,  # camera space [m] to the world in units of what is given
    normals: wp.array3d(dtype=wp.float32),
    colors: wp.array3d(dtype=wp.uint8),
    semantics: wp.array2d(dtype=wp.uint32),
    points_out: wp.array(dtype=wp.vec3),
    normals_out: wp.array(dtype=wp.vec4),
    colors_out: wp.array2d(dtype=wp.uint8),
    semantics_out: wp.array(dtype=wp.uint32),
    things_out: wp.array(dtype=wp.uint32),
):
    item = first + wp.tid()
    stretches = (depths.shape[1] + _STRETCH - 1) // _STRETCH
    y = item // stretches
    begin = (item - y * stretches) * _STRETCH
    at = starts[item]
    for x in range(begin, wp.min(begin + _STRETCH, depths.shape[1])):
        if things[y, x] >= least:
            place = _place(sight, y, x, depths[y, x])
            if place[3] > wp.float64(0.0):
                world = pose * place
                points_out[at] = wp.vec3(wp.float32(world[0]), wp.float32(world[1]), wp.float32(world[2]))
                normals_out[at] = wp.vec4(normals[y, x, 0], normals[y, x, 1], normals[y, x, 2], 1.0)
                for channel in range(3):
                    colors_out[at, channel] = colors[y, x, channel]
                colors_out[at, 3] = wp.uint8(255)
                semantics_out[at] = semantics[y, x]
                things_out[at] = things[y, x]
                at += 1


def widen(bands: Bands, values: wp.array, rest: float) -> np.ndarray:
    """Return float32 [H, W, 4] with channels appended that hold ``rest``; ``values`` is float32 [H, W, C]."""
    wide = wp.empty((*values.shape[:2], 4), dtype=wp.float32, device=bands.device)
    bands.launch(_widen_kernel, values.shape[0], [values, rest, wide], chunk=16)
    return wide.numpy()


@lru_cache(maxsize=4)
def _sight(lens: Lens, intrinsics: bytes, size: tuple[int, int], device: str) -> Any:
    """Return what holds for every frame of a clip."""
    matrix = np.frombuffer(intrinsics, np.float64).reshape(3, 3)
    sight = Sight()
    sight.kind = {Pinhole: 0, Orthographic: 1}.get(type(lens), 2)
    sight.width, sight.height = 1.0 / matrix[0, 0], 1.0 / matrix[1, 1]
    sight.cx, sight.cy = matrix[0, 2], matrix[1, 2]
    rays = np.zeros((0, 0, 3))
    if sight.kind == 2:
        camera = Camera(
            prim_path="", height=size[0], width=size[1], intrinsics=matrix, cam_to_world=np.eye(4), lens=lens
        )
        rays = camera.rays()[1]
    sight.rays = wp.array(rays, dtype=wp.vec3d, device=device)
    return sight


def _sight_of(camera: Camera, device: Any) -> Any:
    return _sight(camera.lens, camera.intrinsics.tobytes(), (camera.height, camera.width), str(device))


def distances(bands: Bands, camera: Camera, depths: wp.array, unit: float) -> np.ndarray:
    """Return how far away each pixel sees, in units of so many metres, float32 [H, W], inf where nothing."""
    away = wp.empty(depths.shape, dtype=wp.float32, device=bands.device)
    bands.launch(_distance_kernel, camera.height, [_sight_of(camera, bands.device), depths, unit, away], chunk=16)
    return away.numpy()


def darken(bands: Bands, camera: Camera, colors: np.ndarray, normals: wp.array) -> np.ndarray:
    """Return colours, uint8 [H, W, 4], darker where a surface of these world normals turns away from the camera."""
    given, out = (wp.array(colors, dtype=wp.uint8, device=bands.device) for _ in range(2))
    pose = wp.mat33d(*camera.cam_to_world[:3, :3].ravel().tolist())
    inputs = [_sight_of(camera, bands.device), normals, pose, given, out]
    bands.launch(_darken_kernel, camera.height, inputs, chunk=16)
    return out.numpy()


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Points:
    """What N pixels see, row by row."""

    places: np.ndarray
    """World, in the unit asked for, float32, shape [N, 3]."""
    normals: np.ndarray
    """World xyz and 1, float32, shape [N, 4]."""
    colors: np.ndarray
    """uint8 sRGB and 255, shape [N, 4]."""
    semantics: np.ndarray
    """uint32, shape [N]."""
    things: np.ndarray
    """uint32, shape [N]."""


def points(
    bands: Bands, camera: Camera, buffers: dict[str, wp.array], things: wp.array, least: int, unit: float
) -> Points:
    """Return the Points of the pixels that see a thing.

    Args:
        bands: Where to launch.
        camera: Camera of the frame.
        buffers: ``depth``, ``normals``, ``rgb`` and ``semantic_ids`` of the frame.
        things: Thing at each pixel, uint32, shape [H, W].
        least: Least thing that counts.
        unit: Metres in one unit of the points.
    """
    device, height, width = bands.device, camera.height, camera.width
    seen = [_sight_of(camera, device), buffers["depth"], things, least]
    items = height * stretches(width)
    counts = wp.empty(items, dtype=wp.int32, device=device)
    bands.launch(_count_kernel, items, [*seen, counts], chunk=64)
    ends = np.cumsum(counts.numpy())
    total = int(ends[-1])
    starts = wp.array((ends - counts.numpy()).astype(np.int32), dtype=wp.int32, device=device)
    pose = np.array(camera.cam_to_world)
    pose[:3] /= unit
    made = [
        wp.empty(total, dtype=wp.vec3, device=device),
        wp.empty(total, dtype=wp.vec4, device=device),
        wp.empty((total, 4), dtype=wp.uint8, device=device),
        wp.empty(total, dtype=wp.uint32, device=device),
        wp.empty(total, dtype=wp.uint32, device=device),
    ]
    given = [buffers[name] for name in ("normals", "rgb", "semantic_ids")]
    bands.launch(_gather_kernel, items, [*seen, starts, wp.mat44d(*pose.ravel().tolist()), *given, *made], chunk=64)
    places, normals, colors, semantics, owners = (array.numpy() for array in made)
    return Points(places=places, normals=normals, colors=colors, semantics=semantics, things=owners)


__all__ = ["Points", "darken", "distances", "points", "widen"]
