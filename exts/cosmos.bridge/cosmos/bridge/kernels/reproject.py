"""Reprojection: fetch the previous picture along motion vectors, project points, lift depth to points.

Pixel ``(x, y)`` of an array covers ``[x, x + 1] x [y, y + 1]`` of the image plane; its centre lies at ``+0.5``. Motion
is previous minus current position [px], so what is seen at ``p`` was at ``p + motion[p]`` one frame before.
"""

# mypy: disable-error-code="misc,index,call-overload,attr-defined"
# (wp.tid() gives as many indices as the launch has axes; inside kernels float64 vectors index and transform)

from __future__ import annotations

from typing import Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.runs import launch_runs
from cosmos.bridge.types import Camera, Pinhole

wp.set_module_options({"enable_backward": False})


@wp.func
def _fetch_pixel(
    n: wp.int32,
    j: wp.int32,
    i: wp.int32,
    step: wp.int32,
    previous: wp.array4d(dtype=wp.uint8),
    motion: wp.array4d(dtype=wp.float32),
    fetched_out: wp.array4d(dtype=wp.uint8),
    inside_out: wp.array3d(dtype=wp.uint8),
):
    y = j * step
    x = i * step
    height = previous.shape[1]
    width = previous.shape[2]
    u = float(x) + motion[n, y, x, 0]
    v = float(y) + motion[n, y, x, 1]
    inside = wp.uint8(0)
    finite = wp.isfinite(u) and wp.isfinite(v)
    if finite and u >= 0.0 and v >= 0.0 and u <= float(width - 1) and v <= float(height - 1):
        inside = wp.uint8(1)
    inside_out[n, j, i] = inside
    if inside == wp.uint8(0):
        for c in range(previous.shape[3]):
            fetched_out[n, j, i, c] = wp.uint8(0)
        return
    x0 = int(wp.floor(u))
    y0 = int(wp.floor(v))
    x1 = wp.min(x0 + 1, width - 1)
    y1 = wp.min(y0 + 1, height - 1)
    s = u - float(x0)
    t = v - float(y0)
    for c in range(previous.shape[3]):
        top = float(previous[n, y0, x0, c]) * (1.0 - s) + float(previous[n, y0, x1, c]) * s
        bottom = float(previous[n, y1, x0, c]) * (1.0 - s) + float(previous[n, y1, x1, c]) * s
        fetched_out[n, j, i, c] = wp.uint8(top * (1.0 - t) + bottom * t + 0.5)


@wp.kernel
def _fetch_along_motion_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    step: wp.int32,
    previous: wp.array4d(dtype=wp.uint8),
    motion: wp.array4d(dtype=wp.float32),
    # out
    fetched_out: wp.array4d(dtype=wp.uint8),
    inside_out: wp.array3d(dtype=wp.uint8),
):
    begin = (first + wp.tid()) * run
    for k in range(begin, wp.min(begin + run, count)):
        row = k // inside_out.shape[2]
        n = row // inside_out.shape[1]
        j = row - n * inside_out.shape[1]
        _fetch_pixel(n, j, k - row * inside_out.shape[2], step, previous, motion, fetched_out, inside_out)


@wp.func
def _see_pixel(
    n: wp.int32,
    j: wp.int32,
    i: wp.int32,
    step: wp.int32,
    motion: wp.array4d(dtype=wp.float32),
    previous_ids: wp.array3d(dtype=wp.int32),
    ids: wp.array3d(dtype=wp.int32),
    previous_depth: wp.array3d(dtype=wp.float32),
    depth: wp.array3d(dtype=wp.float32),
    tolerance: wp.float32,
    use_ids: wp.int32,
    use_depth: wp.int32,
    seen_out: wp.array3d(dtype=wp.uint8),
):
    y = j * step
    x = i * step
    seen_out[n, j, i] = wp.uint8(0)
    u = float(x) + motion[n, y, x, 0]
    v = float(y) + motion[n, y, x, 1]
    if not (wp.isfinite(u) and wp.isfinite(v)):
        return
    if u < 0.0 or v < 0.0 or u > float(motion.shape[2] - 1) or v > float(motion.shape[1] - 1):
        return
    x0 = int(wp.floor(u))
    y0 = int(wp.floor(v))
    x1 = int(wp.ceil(u))
    y1 = int(wp.ceil(v))
    if use_ids != 0:
        want = ids[n, y, x]
        if previous_ids[n, y0, x0] != want or previous_ids[n, y0, x1] != want:
            return
        if previous_ids[n, y1, x0] != want or previous_ids[n, y1, x1] != want:
            return
    if use_depth != 0:
        now = depth[n, y, x]
        before = previous_depth[n, int(v + 0.5), int(u + 0.5)]
        if wp.isfinite(now) != wp.isfinite(before):
            return
        if wp.isfinite(now) and wp.abs(now - before) > tolerance * now:
            return
    seen_out[n, j, i] = wp.uint8(1)


@wp.kernel
def _seen_before_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    step: wp.int32,
    motion: wp.array4d(dtype=wp.float32),
    previous_ids: wp.array3d(dtype=wp.int32),
    ids: wp.array3d(dtype=wp.int32),
    previous_depth: wp.array3d(dtype=wp.float32),
    depth: wp.array3d(dtype=wp.float32),
    tolerance: wp.float32,
    use_ids: wp.int32,
    use_depth: wp.int32,
    # out
    seen_out: wp.array3d(dtype=wp.uint8),
):
    begin = (first + wp.tid()) * run
    for k in range(begin, wp.min(begin + run, count)):
        row = k // seen_out.shape[2]
        n = row // seen_out.shape[1]
        _see_pixel(
            n,
            row - n * seen_out.shape[1],
            k - row * seen_out.shape[2],
            step,
            motion,
            previous_ids,
            ids,
            previous_depth,
            depth,
            tolerance,
            use_ids,
            use_depth,
            seen_out,
        )


@wp.kernel
def _project_points_kernel(
    # in
    points: wp.array(dtype=wp.vec3d, ndim=1),
    world_to_camera: wp.mat44d,
    focal: wp.vec2d,
    centre: wp.vec2d,
    # out
    pixels_out: wp.array(dtype=wp.vec3d, ndim=1),
):
    i = wp.tid()
    q = wp.transform_point(world_to_camera, points[i])
    z = -q[2]
    if z > wp.float64(0.0):
        pixels_out[i] = wp.vec3d(focal[0] * q[0] / z + centre[0], centre[1] - focal[1] * q[1] / z, z)
    else:
        pixels_out[i] = wp.vec3d(wp.float64(wp.NAN), wp.float64(wp.NAN), z)


@wp.kernel
def _unproject_depth_kernel(
    # in
    depth: wp.array2d(dtype=wp.float32),
    camera_to_world: wp.mat44d,
    focal: wp.vec2d,
    centre: wp.vec2d,
    # out
    points_out: wp.array(dtype=wp.vec3d, ndim=2),
):
    y, x = wp.tid()
    z = wp.float64(depth[y, x])
    u = wp.float64(x) + wp.float64(0.5)
    v = wp.float64(y) + wp.float64(0.5)
    if wp.isfinite(depth[y, x]) and z > wp.float64(0.0):
        q = wp.vec3d((u - centre[0]) / focal[0] * z, (centre[1] - v) / focal[1] * z, -z)
        points_out[y, x] = wp.transform_point(camera_to_world, q)
    else:
        nan = wp.float64(wp.NAN)
        points_out[y, x] = wp.vec3d(nan, nan, nan)


def _refuse(name: str, what: str, array: wp.array, dtype: type, shape: tuple[int, ...], device: object) -> None:
    """Raise ValueError unless the array has this dtype, shape and device."""
    if array.dtype != dtype or tuple(array.shape) != shape:
        got = f"{getattr(array.dtype, '__name__', array.dtype)} {list(array.shape)}"
        raise ValueError(f"{name} needs {what} as {dtype.__name__} {list(shape)}, got {got}.")
    if array.device != device:
        raise ValueError(f"{name} needs {what} on {device}, got {array.device}; copy it there first.")


def _thinned(shape: tuple[int, ...], step: int, name: str) -> tuple[int, ...]:
    """Return the shape [N, H, W] of every ``step``-th row and column."""
    if step < 1:
        raise ValueError(f"{name} needs step >= 1 [px], got {step!r}.")
    return shape[0], -(-shape[1] // step), -(-shape[2] // step)


def fetch_along_motion(
    previous: wp.array, motion: wp.array, *, step: int = 1, out: Optional[wp.array] = None
) -> tuple[wp.array, wp.array]:
    """Fetch each pixel from where it was one frame before, bilinearly.

    Args:
        previous: Pictures one frame before, uint8, shape [N, H, W, C].
        motion: Previous minus current position [px], float32, shape [N, H, W, 2]; belongs to the current pictures.
        step: Fetch every ``step``-th row and column alone, from the first on: h = ceil(H / step), w = ceil(W / step).
        out: Pictures to fill, uint8, shape [N, h, w, C]; allocated when ``None``.

    Returns:
        The fetched pictures, uint8 [N, h, w, C], and ``inside``, uint8 [N, h, w]: 1 where the place fetched lies in the
        previous picture; elsewhere, and where the motion is not finite, the picture is black.

    Raises:
        ValueError: If dtypes, shapes or devices do not fit.
    """
    if previous.dtype != wp.uint8 or previous.ndim != 4:
        got = f"{previous.dtype.__name__} {list(previous.shape)}"
        raise ValueError(f"fetch_along_motion needs previous as uint8 [N, H, W, C], got {got}.")
    lead = tuple(previous.shape[:3])
    _refuse("fetch_along_motion", "motion", motion, wp.float32, (*lead, 2), previous.device)
    thinned = _thinned(lead, step, "fetch_along_motion")
    shape = (*thinned, previous.shape[3])
    if out is None:
        out = wp.empty(shape, dtype=wp.uint8, device=previous.device)
    _refuse("fetch_along_motion", "out", out, wp.uint8, shape, previous.device)
    inside = wp.empty(thinned, dtype=wp.uint8, device=previous.device)
    inputs = [int(step), previous, motion, out, inside]
    launch_runs(_fetch_along_motion_kernel, inside.size, inputs, device=previous.device)
    return out, inside


def seen_before(
    motion: wp.array,
    *,
    previous_ids: Optional[wp.array] = None,
    ids: Optional[wp.array] = None,
    previous_depth: Optional[wp.array] = None,
    depth: Optional[wp.array] = None,
    tolerance: float = 0.1,
    step: int = 1,
) -> wp.array:
    """Say where the surface seen now was in view one frame before: not outside, not hidden.

    Args:
        motion: Previous minus current position [px], float32, shape [N, H, W, 2].
        previous_ids: Instance ids one frame before, uint32 or int32, shape [N, H, W]; all four pixels around the place
            fetched must show the same instance.
        ids: Instance ids now, given together with ``previous_ids``.
        previous_depth: Distance to the image plane one frame before [m], float32, shape [N, H, W].
        depth: Distance now [m], given together with ``previous_depth``.
        tolerance: Largest change of depth that is still the same surface, relative to the depth now, >= 0.
        step: Look at every ``step``-th row and column alone, from the first on: h = ceil(H / step), w = ceil(W / step).

    Returns:
        uint8 [N, h, w]; 1 where seen before.

    Raises:
        ValueError: If one of a pair is missing, or dtypes, shapes or devices do not fit.
    """
    if motion.dtype != wp.float32 or motion.ndim != 4 or motion.shape[3] != 2:
        raise ValueError(
            f"seen_before needs motion as float32 [N, H, W, 2], got {motion.dtype.__name__} {list(motion.shape)}."
        )
    if (previous_ids is None) != (ids is None) or (previous_depth is None) != (depth is None):
        raise ValueError(
            "seen_before needs previous_ids with ids and previous_depth with depth, got one without the other."
        )
    if tolerance < 0.0:
        raise ValueError(f"seen_before needs tolerance >= 0, got {tolerance!r}.")
    lead, device = tuple(motion.shape[:3]), motion.device
    pairs = []
    for what, array, dtype in (
        ("previous_ids", previous_ids, wp.int32),
        ("ids", ids, wp.int32),
        ("previous_depth", previous_depth, wp.float32),
        ("depth", depth, wp.float32),
    ):
        if array is None:
            pairs.append(wp.empty((1, 1, 1), dtype=dtype, device=device))
            continue
        same_bits = array.view(wp.int32) if array.dtype == wp.uint32 else array
        _refuse("seen_before", what, same_bits, dtype, lead, device)
        pairs.append(same_bits)
    out = wp.empty(_thinned(lead, step, "seen_before"), dtype=wp.uint8, device=device)
    inputs = [int(step), motion, *pairs, float(tolerance), int(ids is not None), int(depth is not None), out]
    launch_runs(_seen_before_kernel, out.size, inputs, device=device)
    return out


def _lens(camera: Camera) -> tuple[wp.vec2d, wp.vec2d]:
    """Focal lengths and principal point [px] of a pinhole."""
    if not isinstance(camera.lens, Pinhole):
        raise ValueError(
            f"Camera {camera.prim_path} has the lens {camera.lens.name}, but only pinholes are reprojected here; "
            "Camera.project and Camera.rays know every lens."
        )
    k = camera.intrinsics
    return wp.vec2d(float(k[0, 0]), float(k[1, 1])), wp.vec2d(float(k[0, 2]), float(k[1, 2]))


def project_points(points: wp.array, camera: Camera) -> wp.array:
    """Project world points into a camera, in float64.

    Args:
        points: World points [m], vec3d, shape [N].
        camera: Where it stands and how it projects.

    Returns:
        ``(u, v, depth)``, vec3d, shape [N]: position [px], pixel centres at +0.5, and distance to the image plane [m];
        ``u`` and ``v`` are NaN for a point that is not in front of the camera.

    Raises:
        ValueError: If the points are of another dtype or shape, or the camera is no pinhole.
    """
    if points.dtype != wp.vec3d or points.ndim != 1:
        raise ValueError(f"project_points needs points as vec3d [N], got {points.dtype.__name__} {list(points.shape)}.")
    out = wp.empty(points.shape, dtype=wp.vec3d, device=points.device)
    matrix = wp.mat44d(np.linalg.inv(camera.cam_to_world).reshape(-1).tolist())
    inputs = [points, matrix, *_lens(camera)]
    wp.launch(_project_points_kernel, dim=points.shape, inputs=inputs, outputs=[out], device=points.device)
    return out


def unproject_depth(depth: wp.array, camera: Camera) -> wp.array:
    """Lift a depth picture to world points, in float64; the inverse of ``project_points``.

    Args:
        depth: Distance to the image plane [m], float32, shape [H, W].
        camera: Where it stands and how it projects.

    Returns:
        World points of the pixel centres [m], vec3d, shape [H, W]; NaN where the depth is not finite or not above 0.

    Raises:
        ValueError: If the depth is of another dtype or size than the camera's, or the camera is no pinhole.
    """
    _refuse("unproject_depth", "depth", depth, wp.float32, (camera.height, camera.width), depth.device)
    out = wp.empty(depth.shape, dtype=wp.vec3d, device=depth.device)
    matrix = wp.mat44d(camera.cam_to_world.reshape(-1).tolist())
    inputs = [depth, matrix, *_lens(camera)]
    wp.launch(_unproject_depth_kernel, dim=depth.shape, inputs=inputs, outputs=[out], device=depth.device)
    return out


__all__ = ["fetch_along_motion", "project_points", "seen_before", "unproject_depth"]
