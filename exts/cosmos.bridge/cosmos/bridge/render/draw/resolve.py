"""From seen triangles to annotators: depth, normals, ids and motion, the same for every way of seeing."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined, call-overload"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.matter import corner_weights, facing_normal
from cosmos.bridge.render.draw.view import View, image_point, make_view, moves_sky, pixel_ray, pixel_start
from cosmos.bridge.render.draw.world import World, WorldArrays, inverses
from cosmos.bridge.render.scene import Pose
from cosmos.bridge.types import Camera

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _resolve_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    world: WorldArrays,
    view: View,
    triangles: wp.array2d(dtype=wp.int32),
    depths: wp.array2d(dtype=wp.float32),
    moving: wp.int32,
    to_previous: wp.array(dtype=wp.mat44),  # [N + 1]: camera space now to before; the last is the background's
    previous: View,
    world_to_previous: wp.mat44,
    deforming: wp.array(dtype=wp.int32),  # [N]
    points_before: wp.array(dtype=wp.vec3),
    depth_out: wp.array2d(dtype=wp.float32),
    normals_out: wp.array3d(dtype=wp.float32),
    semantics_out: wp.array2d(dtype=wp.uint32),
    instances_out: wp.array2d(dtype=wp.uint32),
    motion_out: wp.array3d(dtype=wp.float32),
):
    start = (first + wp.tid()) * run
    for item in range(start, wp.min(start + run, count)):
        y = item // view.width
        x = item - y * view.width
        u = wp.float32(x) + 0.5
        v = wp.float32(y) + 0.5
        ray = pixel_ray(view, u, v)
        f = triangles[y, x]
        owner = to_previous.shape[0] - 1
        normal = wp.vec3(0.0, 0.0, 0.0)
        depth = wp.float32(wp.inf)
        semantic = wp.uint32(0)
        instance = wp.uint32(0)
        before = ray
        if f < 0:
            before = wp.transform_vector(to_previous[owner], ray)
        else:
            owner = world.instances[f]
            here = pixel_start(view, u, v) + ray * depths[y, x]
            depth = -ray[2] * depths[y, x]
            p = wp.transform_point(view.camera_to_world, here)
            a = world.points[world.triangles[3 * f]]
            b = world.points[world.triangles[3 * f + 1]]
            c = world.points[world.triangles[3 * f + 2]]
            geometric = wp.normalize(wp.cross(b - a, c - a))
            if wp.dot(geometric, wp.transform_vector(view.camera_to_world, ray)) > 0.0:
                geometric = -geometric
            weights = corner_weights(p, a, b, c)
            normal = facing_normal(world, f, weights, geometric)
            semantic = world.semantics[owner]
            instance = wp.uint32(owner + 1)
            before = wp.transform_point(to_previous[owner], here)
            if deforming[owner] == 1:
                ea = points_before[world.triangles[3 * f]]
                eb = points_before[world.triangles[3 * f + 1]]
                ec = points_before[world.triangles[3 * f + 2]]
                # A triangle that was not there yet has all corners in one point: what is known is how its body moved.
                if wp.length_sq(eb - ea) + wp.length_sq(ec - ea) > 0.0:
                    earlier = ea * weights[0] + eb * weights[1] + ec * weights[2]
                    before = wp.transform_point(world_to_previous, earlier)
        depth_out[y, x] = depth
        for axis in range(3):
            normals_out[y, x, axis] = normal[axis]
        semantics_out[y, x] = semantic
        instances_out[y, x] = instance
        shift = wp.vec2(0.0, 0.0)
        spot = image_point(previous, before)
        if moving == 1 and spot[2] > 0.0 and (f >= 0 or moves_sky(view, ray)):
            shift = wp.vec2(spot[0] - u, spot[1] - v)
        motion_out[y, x, 0] = shift[0]
        motion_out[y, x, 1] = shift[1]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Motion:
    """How things stood in the frame before."""

    view: Any
    """View before."""
    matrices: np.ndarray
    """Camera space now to camera space before for each instance, and for the background as last, [N + 1, 4, 4]."""
    points: Optional[wp.array] = None
    """World points before, where meshes change their shape."""
    deforming: Optional[np.ndarray] = None
    """Which instances' meshes change their shape, bool, shape [N]."""


def motion_matrices(
    now: np.ndarray, before: Optional[np.ndarray], camera: Camera, previous: Camera, origin: np.ndarray
) -> np.ndarray:
    """Return camera space now to camera space before for each instance, and for the background as last.

    Args:
        now: Mesh space to world relative to ``origin``, float64, shape [N, 4, 4].
        before: The same before; ``None`` where nothing moved.
        camera: Camera now.
        previous: Camera before.
        origin: Origin of the world's arrays [m], float64, shape [3].
    """
    here, there = np.array(camera.cam_to_world), np.array(previous.cam_to_world)
    here[:3, 3] -= origin
    there[:3, 3] -= origin
    into = np.linalg.inv(there)
    still = np.eye(4) if np.array_equal(here, there) else into @ here
    matrices = np.repeat(still[None], len(now) + 1, axis=0)
    if before is not None:
        moved = np.nonzero((now != before).any(axis=(1, 2)) & np.isfinite(before).all(axis=(1, 2)))[0]
        matrices[moved] = into @ before[moved] @ inverses(now[moved]) @ here
    return matrices


def find_motion(world: World, camera: Camera, previous: Camera, pose: Pose, pose_before: Pose) -> Motion:
    """Return the motion from ``pose_before`` seen by ``previous`` to ``pose`` seen by ``camera``."""
    before = np.array(pose_before.local_to_world, dtype=np.float64)
    before[:, :3, 3] -= world.origin
    matrices = motion_matrices(world.matrices, before, camera, previous, world.origin)
    view = make_view(previous, world.origin)
    if not (pose.points or pose_before.points) or pose.time_code == pose_before.time_code:
        return Motion(view=view, matrices=matrices)
    points, deforming = world.points_at(pose_before)
    return Motion(view=view, matrices=matrices, points=points, deforming=deforming)


def resolve(
    bands: Bands,
    world: World,
    view: Any,
    seen: tuple[wp.array, wp.array],
    motion: Optional[Motion],
    buffers: dict[str, wp.array],
) -> None:
    """Fill the annotator buffers of a Frame.

    Args:
        bands: Where to launch.
        world: What is seen.
        view: Camera now.
        seen: ``(triangles, depths)`` of Visibility at pixel centres.
        motion: The frame before; ``None`` gives zero motion.
        buffers: ``depth``, ``normals``, ``semantic_ids``, ``instance_ids`` and ``motion``, as in Frame.
    """
    moving = motion is not None
    if motion is None:
        motion = Motion(view=view, matrices=np.repeat(np.eye(4)[None], world.num_instances + 1, axis=0))
    flags = np.zeros(world.num_instances) if motion.deforming is None else motion.deforming
    before = [
        int(moving),
        wp.array(motion.matrices.astype(np.float32), dtype=wp.mat44, device=bands.device, copy=False),
        motion.view,
        motion.view.world_to_camera,
        wp.array(flags.astype(np.int32), dtype=wp.int32, device=bands.device, copy=False),
        world.arrays.points if motion.points is None else motion.points,
    ]
    outputs = [buffers[name] for name in ("depth", "normals", "semantic_ids", "instance_ids", "motion")]
    inputs = [world.arrays, view, *seen, *before, *outputs]
    bands.launch_runs(_resolve_kernel, view.width * view.height, inputs, chunk=1024)


__all__ = ["Motion", "corner_weights", "facing_normal", "find_motion", "motion_matrices", "resolve"]
