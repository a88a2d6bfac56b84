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


_RUN = 1024
"""Pixels that one thread of a CPU launch works on: rows of them are taken many at a time."""


@wp.func_native("""
    const int wide = inside_out.shape[2], high = inside_out.shape[1];
    const int width = previous.shape[2], height = previous.shape[1], channels = previous.shape[3];
    for (int k = begin; k < end;) {
        const int row = k / wide, start = k - row * wide, n = row / high, j = row - n * high;
        const int stop = end - k < wide - start ? start + end - k : wide;
        const unsigned char* frame = (const unsigned char*)previous.data + (size_t)n * previous.strides[0];
        const char* moves = (const char*)motion.data + (size_t)n * motion.strides[0]
            + (size_t)(j * step) * motion.strides[1];
        unsigned char* to = (unsigned char*)fetched_out.data + (size_t)n * fetched_out.strides[0]
            + (size_t)j * fetched_out.strides[1];
        unsigned char* told = (unsigned char*)inside_out.data + (size_t)n * inside_out.strides[0]
            + (size_t)j * inside_out.strides[1];
        const int across = previous.strides[2], each = previous.strides[3];
        auto pixels = [&](const int count) {
            for (int i = start; i < stop; ++i) {
                const char* move = moves + (size_t)(i * step) * motion.strides[2];
                const float u = (float)(i * step) + *(const float*)move;
                const float v = (float)(j * step) + *(const float*)(move + motion.strides[3]);
                unsigned char* out = to + (size_t)i * fetched_out.strides[2];
                // false for what is not finite as well
                const bool inside = u >= 0.0f && v >= 0.0f && u <= (float)(width - 1) && v <= (float)(height - 1);
                told[(size_t)i * inside_out.strides[2]] = inside;
                if (!inside) {
                    for (int c = 0; c < count; ++c) out[c * fetched_out.strides[3]] = 0;
                    continue;
                }
                const int left = (int)u, top = (int)v;
                const float s = u - (float)left, t = v - (float)top;
                const unsigned char* first = frame + (size_t)top * previous.strides[1] + (size_t)left * across;
                const unsigned char* second = top + 1 < height ? first + previous.strides[1] : first;
                const int next = left + 1 < width ? across : 0;
                for (int c = 0; c < count; ++c) {
                    const int here = c * each, beside = here + next;
                    const float above = (float)first[here] * (1.0f - s) + (float)first[beside] * s;
                    const float below = (float)second[here] * (1.0f - s) + (float)second[beside] * s;
                    out[c * fetched_out.strides[3]] = (unsigned char)(above * (1.0f - t) + below * t + 0.5f);
                }
            }
        };
        if (channels == 3) pixels(3);
        else pixels(channels);
        k += stop - start;
    }
""")
def _fetch_pixels(
    begin: wp.int32,
    end: wp.int32,
    step: wp.int32,
    previous: wp.array(dtype=wp.uint8, ndim=4),
    motion: wp.array(dtype=wp.float32, ndim=4),
    fetched_out: wp.array(dtype=wp.uint8, ndim=4),
    inside_out: wp.array(dtype=wp.uint8, ndim=3),
):
    """Fetch some pixels, of all frames in a row, bilinearly."""


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
    _fetch_pixels(begin, wp.min(begin + run, count), step, previous, motion, fetched_out, inside_out)


@wp.func_native("""
    const int wide = seen_out.shape[2], high = seen_out.shape[1], width = motion.shape[2], height = motion.shape[1];
    auto id = [](const wp::array_t<int>& of, int n, int y, int x) {
        return *(const int*)((const char*)of.data + (size_t)n * of.strides[0] + (size_t)y * of.strides[1]
            + (size_t)x * of.strides[2]);
    };
    auto metres = [](const wp::array_t<float>& of, int n, int y, int x) {
        return *(const float*)((const char*)of.data + (size_t)n * of.strides[0] + (size_t)y * of.strides[1]
            + (size_t)x * of.strides[2]);
    };
    for (int k = begin; k < end;) {
        const int row = k / wide, start = k - row * wide, n = row / high, j = row - n * high, y = j * step;
        const int stop = end - k < wide - start ? start + end - k : wide;
        const char* moves = (const char*)motion.data + (size_t)n * motion.strides[0] + (size_t)y * motion.strides[1];
        unsigned char* to = (unsigned char*)seen_out.data + (size_t)n * seen_out.strides[0]
            + (size_t)j * seen_out.strides[1];
        for (int i = start; i < stop; ++i) {
            const int x = i * step;
            const char* move = moves + (size_t)x * motion.strides[2];
            const float u = (float)x + *(const float*)move, v = (float)y + *(const float*)(move + motion.strides[3]);
            // false for what is not finite as well
            bool seen = u >= 0.0f && v >= 0.0f && u <= (float)(width - 1) && v <= (float)(height - 1);
            if (seen && use_ids) {
                const int left = (int)u, top = (int)v;
                const int right = left + ((float)left < u), below = top + ((float)top < v), want = id(ids, n, y, x);
                seen = id(previous_ids, n, top, left) == want && id(previous_ids, n, top, right) == want
                    && id(previous_ids, n, below, left) == want && id(previous_ids, n, below, right) == want;
            }
            if (seen && use_depth) {
                const float now = metres(depth, n, y, x);
                const float before = metres(previous_depth, n, (int)(v + 0.5f), (int)(u + 0.5f));
                const bool hit = now - now == 0.0f, hit_before = before - before == 0.0f;
                const float off = now > before ? now - before : before - now;
                seen = hit == hit_before && !(hit && off > tolerance * now);
            }
            to[(size_t)i * seen_out.strides[2]] = seen;
        }
        k += stop - start;
    }
""")
def _see_pixels(
    begin: wp.int32,
    end: wp.int32,
    step: wp.int32,
    motion: wp.array(dtype=wp.float32, ndim=4),
    previous_ids: wp.array(dtype=wp.int32, ndim=3),
    ids: wp.array(dtype=wp.int32, ndim=3),
    previous_depth: wp.array(dtype=wp.float32, ndim=3),
    depth: wp.array(dtype=wp.float32, ndim=3),
    tolerance: wp.float32,
    use_ids: wp.int32,
    use_depth: wp.int32,
    seen_out: wp.array(dtype=wp.uint8, ndim=3),
):
    """Say of some pixels, of all frames in a row, whether what they show was in view one frame before."""


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
    _see_pixels(
        begin, wp.min(begin + run, count), step, motion, previous_ids, ids, previous_depth, depth, tolerance, use_ids,
        use_depth, seen_out,
    )  # fmt: skip


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
    launch_runs(_fetch_along_motion_kernel, inside.size, inputs, device=previous.device, run=_RUN)
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
    launch_runs(_seen_before_kernel, out.size, inputs, device=device, run=_RUN)
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
