"""Depth control: metric depth to the 8-bit, near-is-bright video that Transfer expects."""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

from typing import Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.checks import check_array, lanes_of, prepare_out

wp.set_module_options({"enable_backward": False})

SMALLEST_DEPTH = 1.1754943508222875e-38
"""Depths below the smallest normal float32 [m] count as no hit: their inverse would overflow."""

_SMALLEST = wp.constant(wp.float32(SMALLEST_DEPTH))


@wp.kernel
def _depth_range_kernel(
    # in
    depth: wp.array3d(dtype=wp.float32),
    lanes: wp.int32,
    # out
    range_out: wp.array(dtype=wp.float32, ndim=1),
):
    t, y, lane = wp.tid()
    near = range_out[0]
    far = range_out[1]
    for x in range(lane, depth.shape[2], lanes):
        z = depth[t, y, x]
        if wp.isfinite(z) and z >= _SMALLEST:
            near = wp.min(near, z)
            far = wp.max(far, z)
    wp.atomic_min(range_out, 0, near)
    wp.atomic_max(range_out, 1, far)


@wp.kernel
def _depth_to_control_kernel(
    # in
    depth: wp.array3d(dtype=wp.float32),
    near: wp.float32,
    far: wp.float32,
    inverse_far: wp.float32,
    scale: wp.float32,
    flat: wp.int32,
    # out
    control_out: wp.array4d(dtype=wp.uint8),
):
    t, y, x = wp.tid()
    z = depth[t, y, x]
    level = wp.uint8(0)  # sky and invalid hits are black
    if wp.isfinite(z) and z >= _SMALLEST:
        if flat != 0:
            level = wp.uint8(255)
        else:
            disparity = (1.0 / wp.clamp(z, near, far) - inverse_far) * scale
            level = wp.uint8(wp.clamp(disparity, 0.0, 1.0) * 255.0 + 0.5)
    for c in range(3):
        control_out[t, y, x, c] = level


def depth_range(depth: wp.array) -> Optional[tuple[float, float]]:
    """Find the nearest and the farthest valid depth of a whole clip [m].

    Args:
        depth: Distance to the image plane [m], float32, shape [T, H, W]; 0, negative, inf and NaN are no hits.

    Returns:
        ``(near, far)`` with ``0 < near <= far``, or ``None`` where the clip has no valid depth at all.

    Raises:
        ValueError: If ``depth`` is no float32 [T, H, W].
    """
    check_array("depth_range", "depth", depth, dtypes=("float32",), ndim=3)
    limits = wp.array([np.inf, -np.inf], dtype=wp.float32, device=depth.device)
    lanes = lanes_of(depth.device)
    wp.launch(
        _depth_range_kernel, (*depth.shape[:2], lanes), inputs=[depth, lanes], outputs=[limits], device=depth.device
    )
    near, far = (float(value) for value in limits.numpy())
    return (near, far) if near <= far else None


def depth_to_control(
    depth: wp.array, *, near: Optional[float] = None, far: Optional[float] = None, out: Optional[wp.array] = None
) -> wp.array:
    """Map metric depth to a grey control video; nearer is never darker, no hit is black.

    The level is inverse depth, ``255 (1/z - 1/far) / (1/near - 1/far)``, rounded: the relative inverse depth that
    Transfer was trained on. Without ``near`` and ``far`` the range is that of the whole clip, never of one frame,
    because a range that follows each frame flickers; a clip of one single depth is white.

    Args:
        depth: Distance to the image plane [m], float32, shape [T, H, W]; 0, negative, inf and NaN are no hits.
        near: Depth drawn white [m]; nearer is white too. ``None`` together with ``far`` takes the clip's range.
        far: Depth drawn black [m]; farther is black too.
        out: Video to fill, uint8, shape [T, H, W, 3]; allocated on the device of ``depth`` when ``None``.

    Raises:
        ValueError: If only one of ``near`` and ``far`` is given, not ``0 < near < far``, or an array does not fit.
    """
    check_array("depth_to_control", "depth", depth, dtypes=("float32",), ndim=3)
    if (near is None) != (far is None):
        raise ValueError(f"depth_to_control needs near and far, or neither, got near={near!r}, far={far!r}.")
    if near is None or far is None:
        limits = depth_range(depth)
        near, far = limits if limits is not None else (1.0, 1.0)
    elif not 0.0 < near < far < float("inf"):
        raise ValueError(f"depth_to_control needs 0 < near < far [m], got near={near!r}, far={far!r}.")
    out = prepare_out("depth_to_control", out, (*depth.shape, 3), wp.uint8, depth.device)
    near = max(float(near), SMALLEST_DEPTH)
    inverse_range = 1.0 / near - 1.0 / max(float(far), SMALLEST_DEPTH)
    flat = not inverse_range > 0.0
    wp.launch(
        _depth_to_control_kernel,
        dim=depth.shape,
        inputs=[depth, near, far, 1.0 / far, 0.0 if flat else 1.0 / inverse_range, int(flat)],
        outputs=[out],
        device=depth.device,
    )
    return out


__all__ = ["SMALLEST_DEPTH", "depth_range", "depth_to_control"]
