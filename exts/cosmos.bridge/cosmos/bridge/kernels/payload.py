"""Replicator's annotators to the buffers of a Frame: of four channels those that count, of junk nothing."""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

import math
from typing import Sequence

import warp as wp

wp.set_module_options({"enable_backward": False})

_NO_HIT = wp.constant(math.inf)


@wp.kernel
def _take_bytes_kernel(
    # in
    wide: wp.array3d(dtype=wp.uint8),
    # out
    narrow_out: wp.array3d(dtype=wp.uint8),
):
    y, x = wp.tid()
    for c in range(narrow_out.shape[2]):
        narrow_out[y, x, c] = wide[y, x, c]


@wp.kernel
def _take_floats_kernel(
    # in
    wide: wp.array3d(dtype=wp.float32),
    scale: wp.vec3,
    # out
    narrow_out: wp.array3d(dtype=wp.float32),
):
    y, x = wp.tid()
    for c in range(narrow_out.shape[2]):
        value = wide[y, x, c]
        if wp.isfinite(value):
            narrow_out[y, x, c] = value * scale[c]
        else:
            narrow_out[y, x, c] = 0.0


@wp.kernel
def _take_depth_kernel(
    # in
    distance: wp.array2d(dtype=wp.float32),
    scale: wp.float32,
    # out
    depth_out: wp.array2d(dtype=wp.float32),
):
    y, x = wp.tid()
    z = distance[y, x]
    if wp.isfinite(z) and z > 0.0:
        depth_out[y, x] = z * scale
    else:
        depth_out[y, x] = _NO_HIT


@wp.kernel
def _blank_void_kernel(
    # in
    depth: wp.array2d(dtype=wp.float32),
    # out
    motion_out: wp.array3d(dtype=wp.float32),
):
    y, x = wp.tid()
    if not wp.isfinite(depth[y, x]):
        for c in range(motion_out.shape[2]):
            motion_out[y, x, c] = 0.0


def take_bytes(wide: wp.array, *, channels: int = 3) -> wp.array:
    """Return the first channels of a picture, uint8 [H, W, C] to [H, W, channels], on its device.

    Raises:
        ValueError: If the picture has another dtype or too few channels.
    """
    _check("take_bytes", wide, wp.uint8, 3, channels)
    out = wp.empty((wide.shape[0], wide.shape[1], channels), dtype=wp.uint8, device=wide.device)
    wp.launch(_take_bytes_kernel, dim=wide.shape[:2], inputs=[wide], outputs=[out], device=wide.device)
    return out


def take_floats(wide: wp.array, *, scale: Sequence[float]) -> wp.array:
    """Return the first ``len(scale)`` channels of float32 [H, W, C], each times its scale; NaN and inf become 0.

    Raises:
        ValueError: If the array has another dtype or too few channels, or there are more than 3 scales.
    """
    if not 1 <= len(scale) <= 3:
        raise ValueError(f"take_floats takes 1 to 3 channels, got {len(scale)} scales.")
    _check("take_floats", wide, wp.float32, 3, len(scale))
    factors = wp.vec3(*(float(scale[min(c, len(scale) - 1)]) for c in range(3)))
    out = wp.empty((wide.shape[0], wide.shape[1], len(scale)), dtype=wp.float32, device=wide.device)
    wp.launch(_take_floats_kernel, dim=wide.shape[:2], inputs=[wide, factors], outputs=[out], device=wide.device)
    return out


def take_depth(distance: wp.array, *, scale: float = 1.0) -> wp.array:
    """Return distances times ``scale``; what is not finite and above 0 is no hit, so ``inf``.

    Args:
        distance: float32, shape [H, W].
        scale: Metres in one unit of it.

    Raises:
        ValueError: If the array has another dtype or shape.
    """
    _check("take_depth", distance, wp.float32, 2, 0)
    out = wp.empty(distance.shape, dtype=wp.float32, device=distance.device)
    wp.launch(_take_depth_kernel, dim=distance.shape, inputs=[distance, scale], outputs=[out], device=distance.device)
    return out


def blank_void(motion: wp.array, depth: wp.array) -> None:
    """Set the motion to 0, in place, where there is no hit.

    Args:
        motion: float32, shape [H, W, C].
        depth: float32, shape [H, W]; not finite where nothing was hit.

    Raises:
        ValueError: If an array has another dtype or shape.
    """
    _check("blank_void", motion, wp.float32, 3, 1)
    _check("blank_void", depth, wp.float32, 2, 0)
    if motion.shape[:2] != depth.shape:
        raise ValueError(f"blank_void needs one size, got motion {list(motion.shape)} and depth {list(depth.shape)}.")
    wp.launch(_blank_void_kernel, dim=depth.shape, inputs=[depth], outputs=[motion], device=depth.device)


def _check(owner: str, array: wp.array, dtype: type, ndim: int, channels: int) -> None:
    if array.dtype is not dtype or array.ndim != ndim or (channels and array.shape[2] < channels):
        wanted = "[H, W]" if ndim == 2 else f"[H, W, {channels} or more]"
        raise ValueError(f"{owner} needs {dtype.__name__} {wanted}, got {array.dtype.__name__} {list(array.shape)}.")


__all__ = ["blank_void", "take_bytes", "take_depth", "take_floats"]
