"""Wear hints: noise that sticks to surfaces, from which a net draws grain, dirt, snow drifts and puddles.

The seed of a transfer enters here: it moves every grain, and the grains move with their instances. The laws are those
of the renderer's teacher (``cosmos.bridge.render.draw.weather``), so in training the net sees where each stain lies.
"""

# mypy: disable-error-code="misc,operator,index"
# (wp.tid() gives as many indices as the launch has axes; Warp vectors take scalars and have places)

from collections.abc import Sequence
from typing import Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.light_hints import lacks_normal, normal_from_depth
from cosmos.bridge.kernels.runs import launch_runs, quick_options
from cosmos.bridge.kernels.surface_noise import STAIN, YOUNG
from cosmos.bridge.kernels.wear_noise import wear_noise

wp.set_module_options(quick_options())

WEAR_HINTS = ("luck", "tint", "coarse", "grain", "streaks", "drift", "patch", "pool", "cover")
"""Channels, in order; each lies in [-1, 1]. Luck and tint are one number an instance, by the former of which it is new
or old: coarse, grain and streaks are the fainter the newer (``age_of``). Cover is the share in [0, 1] of the surface
that snow covers where it lies open, by drift, patch and the normal."""


@wp.kernel
def _wear_hints_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    depth: wp.array(dtype=wp.float32, ndim=3),
    normals: wp.array(dtype=wp.float32, ndim=4),
    has_normals: wp.int32,
    ids: wp.array(dtype=wp.uint32, ndim=3),
    has_ids: wp.int32,
    lenses: wp.array(dtype=wp.vec4, ndim=1),
    cam_to_world: wp.array(dtype=wp.mat44, ndim=1),
    world_to_instance: wp.array(dtype=wp.mat44, ndim=2),
    tags: wp.array(dtype=wp.uint32, ndim=1),
    anchor: wp.vec3,
    y_up: wp.int32,
    wet: wp.int32,
    snow: wp.float32,
    seed: wp.uint32,
    # out
    hints_out: wp.array(dtype=wp.float32, ndim=4),
):
    begin = (first + wp.tid()) * run
    width = depth.shape[2]
    height = depth.shape[1]
    end = wp.min(begin + run, count)
    for i in range(begin, end):
        row = i // width
        x = i - row * width
        t = row // height
        y = row - t * height
        if lacks_normal(depth, normals, has_normals, t, y, x):
            # ``wear_noise`` finds it where it puts its findings.
            normal = wp.transform_vector(cam_to_world[t], normal_from_depth(depth, t, y, x, lenses[t]))
            for axis in range(3):
                hints_out[t, y, x, axis] = normal[axis]
    wear_noise(
        begin,
        end,
        depth,
        normals,
        has_normals,
        ids,
        has_ids,
        lenses,
        cam_to_world,
        world_to_instance,
        tags,
        anchor,
        y_up,
        wet,
        snow,
        seed,
        STAIN,
        YOUNG,
        hints_out,
    )


def rigid_inverse(poses: np.ndarray) -> np.ndarray:
    """Invert poses with the length of their axes left out, so that noise keeps its grain in metres.

    Args:
        poses: Instance to world [m], column vectors, shape [..., 4, 4]; one that has no inverse, or NaN, gives the
            identity.

    Returns:
        World to instance, float32, shape [..., 4, 4].
    """
    poses = np.asarray(poses, dtype=np.float64)
    sound = np.isfinite(poses).all(axis=(-1, -2), keepdims=True)
    unit = np.where(sound, poses, np.eye(4))
    lengths = np.linalg.norm(unit[..., :3, :3], axis=-2, keepdims=True)
    unit[..., :3, :3] /= np.maximum(lengths, 1e-12)
    broken = np.abs(np.linalg.det(unit)) < 1e-9
    inverse: np.ndarray = np.linalg.inv(np.where(broken[..., None, None], np.eye(4), unit)).astype(np.float32)
    return inverse


def wear_hints(
    depth: wp.array,
    *,
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    normals: Optional[wp.array] = None,
    instance_ids: Optional[wp.array] = None,
    instance_to_world: Optional[np.ndarray] = None,
    tags: Sequence[int] = (),
    anchor: tuple[float, float, float] = (0.0, 0.0, 0.0),
    y_up: bool = False,
    wet: bool = True,
    snow: float = 1.0,
    seed: int = 0,
    out: Optional[wp.array] = None,
) -> wp.array:
    """Compute the wear hints of frames.

    Args:
        depth: Distance to the image plane [m], float32, shape [T, H, W]; ``inf``, NaN and 0 are sky.
        intrinsics: [px], shape [T, 3, 3].
        cam_to_world: Camera (looks along -Z) to world [m], shape [T, 4, 4].
        normals: World normals, float32, shape [T, H, W, 3]; taken from the depth where ``None``.
        instance_ids: uint32 or int32, shape [T, H, W]; without them wear sticks to the world.
        instance_to_world: Pose of each id, row by id, shape [T, N, 4, 4]; NaN where unknown. Goes with the ids.
        tags: A 32-bit number for each id, length N (``path_tag``).
        anchor: Where the world's noise starts [m].
        y_up: Whether +Y is up; else +Z.
        wet: Whether puddles are wanted; their channel is 0 otherwise.
        snow: How much snow lies, in [0, 1]; its channels are 0 where none does.
        seed: Moves everything.
        out: Hints to fill, a slice of an array or a whole one; allocated on the device of ``depth`` when ``None``.

    Returns:
        Hints in the order of ``WEAR_HINTS``, float32 in [-1, 1], shape [T, H, W, 9].

    Raises:
        ValueError: If shapes, dtypes or devices do not go together.
    """
    device, shape = depth.device, tuple(depth.shape)
    poses = np.zeros((*shape[:1], 0, 4, 4)) if instance_to_world is None else np.asarray(instance_to_world)
    _check(depth, intrinsics, cam_to_world, normals, instance_ids, poses, tags)
    if out is None:
        out = wp.empty((*shape, len(WEAR_HINTS)), dtype=wp.float32, device=device)
    elif tuple(out.shape) != (*shape, len(WEAR_HINTS)) or out.dtype != wp.float32 or out.device != device:
        raise ValueError(
            f"wear_hints needs out as float32 {[*shape, len(WEAR_HINTS)]} on {device}, "
            f"got {out.dtype.__name__} {list(out.shape)} on {out.device}."
        )
    lens = np.stack([intrinsics[:, 0, 0], intrinsics[:, 1, 1], intrinsics[:, 0, 2], intrinsics[:, 1, 2]], axis=1)
    known = instance_ids is not None and poses.shape[1] > 0
    if not poses.shape[1]:
        poses, tags = np.full((shape[0], 1, 4, 4), np.nan), [0]
    no_normals = wp.empty((0, 0, 0, 0), dtype=wp.float32, device=device)
    no_ids = wp.empty((0, 0, 0), dtype=wp.uint32, device=device)
    inverse = np.ascontiguousarray(rigid_inverse(poses), dtype=np.float32)
    inputs = [
        depth,
        no_normals if normals is None else normals,
        int(normals is not None),
        no_ids if instance_ids is None else instance_ids.view(wp.uint32),
        int(known),
        wp.array(lens.astype(np.float32), dtype=wp.vec4, device=device),
        wp.array(np.asarray(cam_to_world, dtype=np.float32), dtype=wp.mat44, device=device),
        wp.array(inverse, dtype=wp.mat44, ndim=2, device=device),
        wp.array(np.asarray(tags, dtype=np.uint32), dtype=wp.uint32, device=device),
        wp.vec3(*anchor),
        int(y_up),
        int(wet),
        float(snow),
        wp.uint32(seed & 0x7FFFFFFF),
        out,
    ]
    launch_runs(_wear_hints_kernel, depth.size, inputs, device=device)
    return out


def _check(
    depth: wp.array,
    intrinsics: np.ndarray,
    cam_to_world: np.ndarray,
    normals: Optional[wp.array],
    instance_ids: Optional[wp.array],
    poses: np.ndarray,
    tags: Sequence[int],
) -> None:
    """Refuse arrays that do not go together."""
    device, shape = depth.device, tuple(depth.shape)
    if len(shape) != 3 or depth.dtype != wp.float32:
        raise ValueError(f"wear_hints needs depth as float32 [T, H, W], got {depth.dtype.__name__} {list(shape)}.")
    if np.shape(intrinsics) != (shape[0], 3, 3) or np.shape(cam_to_world) != (shape[0], 4, 4):
        raise ValueError(
            f"wear_hints needs intrinsics [{shape[0]}, 3, 3] and cam_to_world [{shape[0]}, 4, 4], "
            f"got {np.shape(intrinsics)} and {np.shape(cam_to_world)}."
        )
    if normals is not None and (tuple(normals.shape) != (*shape, 3) or normals.device != device):
        raise ValueError(
            f"wear_hints needs normals {[*shape, 3]} on {device}, got {list(normals.shape)} on {normals.device}."
        )
    if instance_ids is not None and (tuple(instance_ids.shape) != shape or instance_ids.device != device):
        raise ValueError(
            f"wear_hints needs instance_ids {list(shape)} on {device}, "
            f"got {list(instance_ids.shape)} on {instance_ids.device}."
        )
    if poses.shape[:1] != shape[:1] or poses.shape[1] != len(tags):
        raise ValueError(f"wear_hints needs a pose and a tag an id, got poses {poses.shape} and {len(tags)} tags.")


__all__ = ["WEAR_HINTS", "rigid_inverse", "wear_hints"]
