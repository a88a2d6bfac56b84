"""Edge control: Canny edges, bit for bit those of ``cv2.Canny`` with the L1 gradient.

Source: J. Canny, A Computational Approach to Edge Detection, PAMI 1986; details (integer Sobel with replicated rim,
strongest channel, sector limits in 15-bit fixed point, zero magnitude outside the picture) are those of OpenCV, so that
the control equals what Transfer was trained on.
"""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

import math
from typing import Mapping, Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.checks import check_array, find_cv2, prepare_out

wp.set_module_options({"enable_backward": False})

EDGE_PRESETS: Mapping[str, tuple[int, int]] = {
    "none": (20, 50),
    "very_low": (20, 50),
    "low": (50, 100),
    "medium": (100, 200),
    "high": (200, 300),
    "very_high": (300, 400),
}
"""Preset -> (low, high) threshold of the L1 gradient, as NVIDIA's Transfer names them; higher leaves fewer edges."""

_TAN_22 = wp.constant(13573)  # tan(22.5 deg) in 15-bit fixed point
_WEAK = wp.constant(wp.uint8(1))
_STRONG = wp.constant(wp.uint8(255))


@wp.func
def _level(rgb: wp.array4d(dtype=wp.uint8), t: wp.int32, y: wp.int32, x: wp.int32, c: wp.int32):
    return wp.int32(rgb[t, wp.clamp(y, 0, rgb.shape[1] - 1), wp.clamp(x, 0, rgb.shape[2] - 1), c])


@wp.kernel
def _gradient_kernel(
    # in
    rgb: wp.array4d(dtype=wp.uint8),
    # out
    gradient_out: wp.array4d(dtype=wp.int16),
):
    t, y, x = wp.tid()
    best = wp.int32(-1)
    best_x = wp.int32(0)
    best_y = wp.int32(0)
    for c in range(3):
        a = _level(rgb, t, y - 1, x - 1, c)
        b = _level(rgb, t, y - 1, x, c)
        d = _level(rgb, t, y - 1, x + 1, c)
        e = _level(rgb, t, y, x - 1, c)
        f = _level(rgb, t, y, x + 1, c)
        g = _level(rgb, t, y + 1, x - 1, c)
        h = _level(rgb, t, y + 1, x, c)
        i = _level(rgb, t, y + 1, x + 1, c)
        dx = (d + 2 * f + i) - (a + 2 * e + g)
        dy = (g + 2 * h + i) - (a + 2 * b + d)
        magnitude = wp.abs(dx) + wp.abs(dy)
        if magnitude > best:
            best = magnitude
            best_x = dx
            best_y = dy
    gradient_out[t, y, x, 0] = wp.int16(best_x)
    gradient_out[t, y, x, 1] = wp.int16(best_y)


@wp.func
def _magnitude(gradient: wp.array4d(dtype=wp.int16), t: wp.int32, y: wp.int32, x: wp.int32):
    m = wp.int32(0)
    if y >= 0 and y < gradient.shape[1] and x >= 0 and x < gradient.shape[2]:
        m = wp.abs(wp.int32(gradient[t, y, x, 0])) + wp.abs(wp.int32(gradient[t, y, x, 1]))
    return m


@wp.kernel
def _thin_kernel(
    # in
    gradient: wp.array4d(dtype=wp.int16),
    low: wp.int32,
    high: wp.int32,
    # out
    mark_out: wp.array3d(dtype=wp.uint8),
):
    t, y, x = wp.tid()
    mark = wp.uint8(0)
    m = _magnitude(gradient, t, y, x)
    if m > low:
        dx = wp.int32(gradient[t, y, x, 0])
        dy = wp.int32(gradient[t, y, x, 1])
        steep = wp.abs(dy) * 32768
        limit = wp.abs(dx) * _TAN_22
        kept = bool(False)
        if steep < limit:
            kept = m > _magnitude(gradient, t, y, x - 1) and m >= _magnitude(gradient, t, y, x + 1)
        elif steep > limit + wp.abs(dx) * 65536:
            kept = m > _magnitude(gradient, t, y - 1, x) and m >= _magnitude(gradient, t, y + 1, x)
        else:
            s = wp.int32(1)
            if (dx < 0) != (dy < 0):
                s = wp.int32(-1)
            kept = m > _magnitude(gradient, t, y - 1, x - s) and m > _magnitude(gradient, t, y + 1, x + s)
        if kept:
            mark = _WEAK
            if m > high:
                mark = _STRONG
    mark_out[t, y, x] = mark


@wp.kernel
def _grow_kernel(
    # in and out
    mark: wp.array3d(dtype=wp.uint8),
    changed_out: wp.array(dtype=wp.int32, ndim=1),
):
    # A strong pixel walks along weak neighbours and makes them strong; branches are left to the next sweep. The set
    # of pixels reached in the end does not depend on the order of the walks, so races are harmless.
    t, y, x = wp.tid()
    if mark[t, y, x] == _STRONG:
        cy = wp.int32(y)
        cx = wp.int32(x)
        walking = wp.int32(1)
        while walking == 1:
            walking = 0
            ny = wp.int32(0)
            nx = wp.int32(0)
            for k in range(9):
                py = wp.clamp(cy + k // 3 - 1, 0, mark.shape[1] - 1)
                px = wp.clamp(cx + k % 3 - 1, 0, mark.shape[2] - 1)
                if walking == 0 and mark[t, py, px] == _WEAK:
                    walking = 1
                    ny = py
                    nx = px
            if walking == 1:
                mark[t, ny, nx] = _STRONG
                changed_out[0] = 1
                cy = ny
                cx = nx


@wp.kernel
def _mark_to_control_kernel(
    # in
    mark: wp.array3d(dtype=wp.uint8),
    # out
    control_out: wp.array4d(dtype=wp.uint8),
):
    t, y, x = wp.tid()
    level = wp.uint8(0)
    if mark[t, y, x] == _STRONG:
        level = _STRONG
    for c in range(3):
        control_out[t, y, x, c] = level


def _edges_with_warp(rgb: wp.array, low: int, high: int, out: wp.array) -> None:
    shape, device = rgb.shape[:3], rgb.device
    gradient = wp.empty((*shape, 2), dtype=wp.int16, device=device)
    mark = wp.empty(shape, dtype=wp.uint8, device=device)
    changed = wp.zeros(1, dtype=wp.int32, device=device)
    wp.launch(_gradient_kernel, dim=shape, inputs=[rgb], outputs=[gradient], device=device)
    wp.launch(_thin_kernel, dim=shape, inputs=[gradient, low, high], outputs=[mark], device=device)
    while True:
        changed.zero_()
        wp.launch(_grow_kernel, dim=shape, outputs=[mark, changed], device=device)
        if changed.numpy()[0] == 0:
            break
    wp.launch(_mark_to_control_kernel, dim=shape, inputs=[mark], outputs=[out], device=device)


def _edges_with_cv2(cv2, rgb: wp.array, low: int, high: int, out: wp.array) -> None:
    frames, control = rgb.numpy(), out.numpy()
    for frame, drawn in zip(frames, control, strict=True):
        drawn[...] = cv2.Canny(np.ascontiguousarray(frame), low, high, L2gradient=False)[..., None]


def edges_to_control(
    rgb: wp.array,
    *,
    preset: str = "medium",
    low: Optional[float] = None,
    high: Optional[float] = None,
    out: Optional[wp.array] = None,
) -> wp.array:
    """Draw the Canny edges of each frame, white on black; bit-identical to ``cv2.Canny`` on the RGB frame.

    On CUDA the host waits for the device once per growth sweep, so the call cannot be captured in a CUDA graph.

    Args:
        rgb: sRGB video, uint8, shape [T, H, W, 3].
        preset: Name in ``EDGE_PRESETS``; used where ``low`` and ``high`` are ``None``.
        low: Gradient (L1 norm of the 3x3 Sobel, 0..2040) above which a line goes on; rounded down.
        high: Gradient above which a line starts; rounded down.
        out: Video to fill, uint8 0 or 255, shape [T, H, W, 3]; allocated on the device of ``rgb`` when ``None``.

    Raises:
        ValueError: If the preset is unknown, only one threshold is given, not ``0 <= low <= high``, or an array does
            not fit.
    """
    check_array("edges_to_control", "rgb", rgb, dtypes=("uint8",), ndim=4, channels=3)
    lower, upper = edge_thresholds(preset, low, high)
    out = prepare_out("edges_to_control", out, rgb.shape, wp.uint8, rgb.device)
    cv2 = None if rgb.device.is_cuda else find_cv2()
    if cv2 is None:
        _edges_with_warp(rgb, lower, upper, out)
    else:
        _edges_with_cv2(cv2, rgb, lower, upper, out)
    return out


def edge_thresholds(preset: str, low: Optional[float] = None, high: Optional[float] = None) -> tuple[int, int]:
    """Resolve a preset, or a pair of own thresholds, to whole numbers.

    Raises:
        ValueError: If the preset is unknown, only one threshold is given, or not ``0 <= low <= high``.
    """
    if (low is None) != (high is None):
        raise ValueError(f"edges_to_control needs low and high, or neither, got low={low!r}, high={high!r}.")
    if low is None or high is None:
        if preset not in EDGE_PRESETS:
            raise ValueError(f"edges_to_control knows the presets {sorted(EDGE_PRESETS)}, got {preset!r}.")
        return EDGE_PRESETS[preset]
    if not 0.0 <= low <= high <= 1.0e6:
        raise ValueError(f"edges_to_control needs 0 <= low <= high, got low={low!r}, high={high!r}.")
    return math.floor(low), math.floor(high)


__all__ = ["EDGE_PRESETS", "edge_thresholds", "edges_to_control"]
