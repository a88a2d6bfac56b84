"""Where in a picture the ground, the walls and named things are, by labels and by geometry."""

# mypy: disable-error-code="misc,operator,index"
# (wp.tid() gives as many indices as the launch has axes; Warp vectors take scalars)

from typing import Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.light_hints import normal_from_depth
from cosmos.bridge.kernels.runs import launch_runs

wp.set_module_options({"enable_backward": False})

NOWHERE = 255
"""Where no region is."""
OTHER, GROUND, WALL, ANY, FIRST_THING = 0, 1, 2, 3, 4
"""What an instance may be part of: nothing, the ground, walls, either by its geometry, or from here on a thing."""
GROUND_SLOT, WALL_SLOT, FIRST_SLOT = 0, 1, 2
"""Regions: the ground, the walls, and the things in their order."""


@wp.func
def world_normal(
    depth: wp.array(dtype=wp.float32, ndim=3),
    normals: wp.array(dtype=wp.float32, ndim=4),
    t: wp.int32,
    y: wp.int32,
    x: wp.int32,
    lens: wp.vec4,
    pose: wp.mat44,
):
    """Unit normal towards the camera's side, as given or from the depth."""
    if normals.shape[0] > 0:
        given = wp.vec3(normals[t, y, x, 0], normals[t, y, x, 1], normals[t, y, x, 2])
        if wp.length(given) > 0.5:
            return wp.normalize(given)
    return wp.normalize(wp.transform_vector(pose, normal_from_depth(depth, t, y, x, lens)))


@wp.kernel
def _regions_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    depth: wp.array(dtype=wp.float32, ndim=3),
    normals: wp.array(dtype=wp.float32, ndim=4),
    ids: wp.array(dtype=wp.uint32, ndim=3),
    kinds: wp.array(dtype=wp.int32, ndim=1),
    lenses: wp.array(dtype=wp.vec4, ndim=1),
    cam_to_world: wp.array(dtype=wp.mat44, ndim=1),
    up: wp.vec3,
    ground: wp.float32,
    reach: wp.float32,
    rest: wp.int32,
    # out
    regions_out: wp.array(dtype=wp.uint8, ndim=3),
):
    begin = (first + wp.tid()) * run
    width = depth.shape[2]
    height = depth.shape[1]
    for i in range(begin, wp.min(begin + run, count)):
        row = i // width
        t = row // height
        y = row - t * height
        x = i - row * width
        z = depth[t, y, x]
        found = wp.int32(255)
        if z > 0.0 and z < 1.0e9:
            found = rest
        kind = wp.int32(3)
        if ids.shape[0] > 0:
            index = wp.int32(ids[t, y, x])
            kind = wp.int32(0)
            if index >= 0 and index < kinds.shape[0]:
                kind = kinds[index]
        if kind >= 4:
            found = kind - 2
        elif kind > 0 and z > 0.0 and z < 1.0e9:
            lens = lenses[t]
            rise = wp.dot(world_normal(depth, normals, t, y, x, lens, cam_to_world[t]), up)
            ray = wp.vec3((wp.float32(x) + 0.5 - lens[2]) / lens[0], (lens[3] - wp.float32(y) - 0.5) / lens[1], -1.0)
            level = wp.dot(wp.transform_point(cam_to_world[t], ray * z), up)
            if (kind == 1 and rise > 0.6) or (kind == 3 and rise > 0.85 and wp.abs(level - ground) < reach):
                found = wp.int32(0)
            elif kind >= 2 and wp.abs(rise) < 0.3:
                found = wp.int32(1)
        regions_out[t, y, x] = wp.uint8(found)


def find_regions(
    depth: wp.array,
    *,
    kinds: np.ndarray,
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    up: tuple[float, float, float],
    ground: float,
    normals: Optional[wp.array] = None,
    instance_ids: Optional[wp.array] = None,
    reach: float = 0.35,
    rest: int = NOWHERE,
) -> wp.array:
    """Find the regions of frames.

    Args:
        depth: Distance to the image plane [m], float32, shape [F, H, W]; not finite or 0 where nothing is.
        kinds: What each instance id may be part of, row by id: ``OTHER``, ``GROUND`` (its faces up), ``WALL`` (its
            upright faces), ``ANY``, or ``FIRST_THING`` and on, int32, shape [N].
        intrinsics: [px], shape [F, 3, 3].
        cam_to_world: Camera (looks along -Z) to world [m], shape [F, 4, 4].
        up: Unit vector up.
        ground: Height of the ground along up [m].
        normals: World normals, float32, shape [F, H, W, 3]; from the depth where ``None``.
        instance_ids: uint32, shape [F, H, W]; all is ``ANY`` where ``None``.
        reach: How far from ``ground`` faces up of ``ANY`` still belong to the ground [m].
        rest: Region of all other surfaces.

    Returns:
        ``GROUND_SLOT``, ``WALL_SLOT``, ``FIRST_SLOT`` and on for things, or ``NOWHERE``, uint8, shape [F, H, W].
    """
    device, shape = depth.device, tuple(depth.shape)
    regions = wp.empty(shape, dtype=wp.uint8, device=device)
    launch_runs(
        _regions_kernel,
        depth.size,
        [
            depth,
            wp.empty((0, 0, 0, 0), dtype=wp.float32, device=device) if normals is None else normals,
            wp.empty((0, 0, 0), dtype=wp.uint32, device=device)
            if instance_ids is None
            else instance_ids.view(wp.uint32),
            wp.array(np.asarray(kinds, dtype=np.int32), dtype=wp.int32, device=device),
            lens_rows(intrinsics, device),
            wp.array(np.asarray(cam_to_world, dtype=np.float32), dtype=wp.mat44, device=device),
            wp.vec3(*up),
            float(ground),
            float(reach),
            rest,
            regions,
        ],
        device=device,
    )
    return regions


def lens_rows(intrinsics: np.ndarray, device: wp.Device) -> wp.array:
    """Return fx, fy, cx, cy [px] of each frame, vec4, shape [F]."""
    lens = np.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1], intrinsics[:, 0, 2], intrinsics[:, 1, 2]], axis=1)
    return wp.array(lens.astype(np.float32), dtype=wp.vec4, device=device)


__all__ = ["ANY", "FIRST_SLOT", "FIRST_THING", "GROUND", "GROUND_SLOT", "NOWHERE", "OTHER", "WALL", "WALL_SLOT",
           "find_regions", "lens_rows", "world_normal"]  # fmt: skip
