"""Weight maps: where a region lies, blending, capping, and resampling to the token grid of a model."""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

from typing import Optional, Sequence

import numpy as np
import warp as wp

from cosmos.bridge.kernels.checks import check_array, check_same_device, prepare_out
from cosmos.bridge.kernels.segmentation import ids_as_uint32

wp.set_module_options({"enable_backward": False})


@wp.func
def _holds(sorted_ids: wp.array(dtype=wp.uint32, ndim=1), wanted: wp.uint32):
    low = wp.int32(0)
    high = wp.int32(sorted_ids.shape[0])
    while low < high:
        middle = (low + high) // 2
        if sorted_ids[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    if low == sorted_ids.shape[0]:  # on its own: older Warps read both sides of `and`
        return False
    return sorted_ids[low] == wanted


@wp.kernel
def _select_ids_kernel(
    # in
    ids: wp.array3d(dtype=wp.uint32),
    sorted_ids: wp.array(dtype=wp.uint32, ndim=1),
    # in and out
    coverage: wp.array3d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    if _holds(sorted_ids, ids[t, y, x]):
        coverage[t, y, x] = 1.0


@wp.kernel
def _limit_to_box_kernel(
    # in
    x0: wp.float32,
    y0: wp.float32,
    x1: wp.float32,
    y1: wp.float32,
    # in and out
    coverage: wp.array3d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    px = wp.float32(x) + 0.5
    py = wp.float32(y) + 0.5
    if px < x0 or px >= x1 or py < y0 or py >= y1:
        coverage[t, y, x] = 0.0


@wp.kernel
def _limit_to_mask_kernel(
    # in
    mask: wp.array3d(dtype=wp.float32),
    # in and out
    coverage: wp.array3d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    coverage[t, y, x] = coverage[t, y, x] * mask[wp.min(t, mask.shape[0] - 1), y, x]


@wp.kernel
def _blend_kernel(
    # in
    coverage: wp.array3d(dtype=wp.float32),
    strengths: wp.array(dtype=wp.float32, ndim=1),
    target: wp.float32,
    # in and out
    weights: wp.array3d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    share = coverage[t, y, x] * strengths[t]
    weights[t, y, x] = (1.0 - share) * weights[t, y, x] + share * target


@wp.kernel
def _fade_kernel(
    # in
    strengths: wp.array(dtype=wp.float32, ndim=1),
    # in and out
    weights: wp.array3d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    weights[t, y, x] = weights[t, y, x] * strengths[t]


@wp.kernel
def _inspect_kernel(
    # in
    weights: wp.array3d(dtype=wp.float32),
    # out
    flags_out: wp.array(dtype=wp.int32, ndim=1),
):
    t, y, x = wp.tid()
    weight = weights[t, y, x]
    if not (weight >= 0.0 and weight <= 1.0):  # NaN too
        flags_out[1] = 1
    elif weight > 0.0:
        flags_out[0] = 1


@wp.kernel
def _cap_kernel(
    # in and out
    stack: wp.array4d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    total = float(0.0)
    for k in range(stack.shape[0]):
        total += stack[k, t, y, x]
    if total > 1.0:
        for k in range(stack.shape[0]):
            stack[k, t, y, x] = stack[k, t, y, x] / total


@wp.func
def _source_position(index: wp.int32, source: wp.int32, target: wp.int32):
    position = (wp.float32(index) + 0.5) * (wp.float32(source) / wp.float32(target)) - 0.5
    return wp.clamp(position, 0.0, wp.float32(source - 1))


@wp.kernel
def _to_tokens_kernel(
    # in
    weights: wp.array3d(dtype=wp.float32),
    # out
    tokens_out: wp.array3d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    first = wp.int32(0)
    ft = float(0.0)
    if t > 0:
        first = wp.int32(1)
        ft = _source_position(t - 1, weights.shape[0] - 1, tokens_out.shape[0] - 1)
    fy = _source_position(y, weights.shape[1], tokens_out.shape[1])
    fx = _source_position(x, weights.shape[2], tokens_out.shape[2])
    total = float(0.0)
    for k in range(8):
        dt = k // 4
        dy = (k // 2) % 2
        dx = k % 2
        st = wp.int32(wp.floor(ft))
        sy = wp.int32(wp.floor(fy))
        sx = wp.int32(wp.floor(fx))
        wt = ft - wp.float32(st)
        wy = fy - wp.float32(sy)
        wx = fx - wp.float32(sx)
        if dt == 0:
            wt = 1.0 - wt
        if dy == 0:
            wy = 1.0 - wy
        if dx == 0:
            wx = 1.0 - wx
        if wt * wy * wx > 0.0:
            st = wp.min(first + st + dt, weights.shape[0] - 1)
            sy = wp.min(sy + dy, weights.shape[1] - 1)
            sx = wp.min(sx + dx, weights.shape[2] - 1)
            total += wt * wy * wx * weights[st, sy, sx]
    tokens_out[t, y, x] = total


def select_ids(ids: wp.array, wanted: Sequence[int], *, out: wp.array) -> wp.array:
    """Set a coverage map to 1 wherever one of the wanted ids lies; leave the rest of it alone.

    Args:
        ids: uint32 or int32 (same bits), shape [T, H, W].
        wanted: Ids to select.
        out: Coverage, float32, shape [T, H, W]; changed and returned.

    Raises:
        ValueError: If an array does not fit.
    """
    check_array("select_ids", "ids", ids, dtypes=("uint32", "int32"), ndim=3)
    out = prepare_out("select_ids", out, ids.shape, wp.float32, ids.device)
    table = wp.array(np.unique(np.asarray(wanted, dtype=np.uint32)), dtype=wp.uint32, device=ids.device)
    wp.launch(_select_ids_kernel, dim=ids.shape, inputs=[ids_as_uint32(ids), table], outputs=[out], device=ids.device)
    return out


def limit_to_box(coverage: wp.array, box: Sequence[float]) -> wp.array:
    """Set a coverage map to 0 for pixels whose centre lies outside a box.

    Args:
        coverage: float32, shape [T, H, W]; changed and returned.
        box: ``(x0, y0, x1, y1)`` [px]; ``x1`` and ``y1`` lie outside.

    Raises:
        ValueError: If ``coverage`` does not fit.
    """
    check_array("limit_to_box", "coverage", coverage, dtypes=("float32",), ndim=3)
    inputs = [float(edge) for edge in box]
    wp.launch(_limit_to_box_kernel, dim=coverage.shape, inputs=inputs, outputs=[coverage], device=coverage.device)
    return coverage


def limit_to_mask(coverage: wp.array, mask: wp.array) -> wp.array:
    """Multiply a coverage map by a mask.

    Args:
        coverage: float32, shape [T, H, W]; changed and returned.
        mask: float32 in [0, 1], shape [T, H, W], or [1, H, W] for one that stands still.

    Raises:
        ValueError: If an array does not fit.
    """
    check_array("limit_to_mask", "coverage", coverage, dtypes=("float32",), ndim=3)
    check_array("limit_to_mask", "mask", mask, dtypes=("float32",), ndim=3)
    check_same_device("limit_to_mask", coverage=coverage, mask=mask)
    if mask.shape[1:] != coverage.shape[1:] or mask.shape[0] not in (1, coverage.shape[0]):
        raise ValueError(
            f"limit_to_mask needs a mask {list(coverage.shape)} [T, H, W] or one frame of it, got {list(mask.shape)}."
        )
    wp.launch(_limit_to_mask_kernel, dim=coverage.shape, inputs=[mask], outputs=[coverage], device=coverage.device)
    return coverage


def blend_weights(weights: wp.array, coverage: wp.array, strengths: Sequence[float], target: float) -> wp.array:
    """Pull a weight map towards ``target`` where a region lies: ``w + c s (target - w)``.

    Args:
        weights: float32, shape [T, H, W]; changed and returned.
        coverage: Where the region lies, float32 in [0, 1], shape [T, H, W].
        strengths: How much of it applies in each frame, in [0, 1], length T.
        target: Weight inside the region, in [0, 1].

    Raises:
        ValueError: If an array does not fit.
    """
    check_array("blend_weights", "weights", weights, dtypes=("float32",), ndim=3)
    check_array("blend_weights", "coverage", coverage, dtypes=("float32",), ndim=3)
    check_same_device("blend_weights", weights=weights, coverage=coverage)
    if weights.shape != coverage.shape:
        raise ValueError(f"blend_weights needs one shape, got {list(weights.shape)} and {list(coverage.shape)}.")
    inputs = [coverage, _frame_strengths("blend_weights", strengths, weights), float(target)]
    wp.launch(_blend_kernel, dim=weights.shape, inputs=inputs, outputs=[weights], device=weights.device)
    return weights


def fade_weights(weights: wp.array, strengths: Sequence[float]) -> wp.array:
    """Multiply each frame of a weight map by a number.

    Args:
        weights: float32, shape [T, H, W]; changed and returned.
        strengths: One factor a frame, length T.

    Raises:
        ValueError: If an array does not fit.
    """
    check_array("fade_weights", "weights", weights, dtypes=("float32",), ndim=3)
    inputs = [_frame_strengths("fade_weights", strengths, weights)]
    wp.launch(_fade_kernel, dim=weights.shape, inputs=inputs, outputs=[weights], device=weights.device)
    return weights


def _frame_strengths(owner: str, strengths: Sequence[float], weights: wp.array) -> wp.array:
    values = np.asarray(strengths, dtype=np.float32)
    if values.shape != (weights.shape[0],):
        raise ValueError(f"{owner} needs one strength a frame, {weights.shape[0]} in all, got {list(values.shape)}.")
    return wp.array(values, dtype=wp.float32, device=weights.device)


def inspect_weights(weights: wp.array) -> tuple[bool, bool]:
    """Look whether a weight map has anything above 0, and whether anything in it is outside [0, 1] or NaN.

    Args:
        weights: float32, shape [T, H, W].

    Returns:
        ``(any_above_zero, any_outside)``.

    Raises:
        ValueError: If ``weights`` does not fit.
    """
    check_array("inspect_weights", "weights", weights, dtypes=("float32",), ndim=3)
    flags = wp.zeros(2, dtype=wp.int32, device=weights.device)
    wp.launch(_inspect_kernel, dim=weights.shape, inputs=[weights], outputs=[flags], device=weights.device)
    above, outside = flags.numpy()
    return bool(above), bool(outside)


def cap_stack(stack: wp.array) -> wp.array:
    """Divide the weights of each site by their sum where it is above 1.

    Args:
        stack: float32 in [0, 1], shape [K, T, H, W], one map a control; changed and returned.

    Raises:
        ValueError: If ``stack`` does not fit.
    """
    check_array("cap_stack", "stack", stack, dtypes=("float32",), ndim=4)
    wp.launch(_cap_kernel, dim=stack.shape[1:], outputs=[stack], device=stack.device)
    return stack


def weights_to_tokens(weights: wp.array, grid: tuple[int, int, int], *, out: Optional[wp.array] = None) -> wp.array:
    """Resample a pixel map to a model's token grid, the first frame on its own, as Transfer 2.5 does.

    Video tokenizers give the first frame a token of its own and share one among the next four, so frame 0 becomes
    token row 0 and frames 1 to T-1 become rows 1 to t-1, both trilinear with pixel centres at +0.5
    (``align_corners=False``). Capped maps stay capped: each token is a mean of sites.

    Args:
        weights: float32, shape [T, H, W].
        grid: ``(t, h, w)`` of the tokens; ``t > 1`` exactly where ``T > 1``.
        out: Tokens to fill, float32, shape [t, h, w]; allocated when ``None``.

    Raises:
        ValueError: If the grid and the map do not go together, or an array does not fit.
    """
    check_array("weights_to_tokens", "weights", weights, dtypes=("float32",), ndim=3)
    if len(grid) != 3 or min(grid) < 1 or (grid[0] > 1) != (weights.shape[0] > 1):
        raise ValueError(
            f"weights_to_tokens needs a grid (t, h, w) of at least 1 x 1 x 1, with t > 1 exactly where T > 1, "
            f"got {tuple(grid)} for a map {list(weights.shape)}."
        )
    out = prepare_out("weights_to_tokens", out, grid, wp.float32, weights.device)
    wp.launch(_to_tokens_kernel, dim=tuple(grid), inputs=[weights], outputs=[out], device=weights.device)
    return out


__all__ = [
    "blend_weights",
    "cap_stack",
    "fade_weights",
    "inspect_weights",
    "limit_to_box",
    "limit_to_mask",
    "select_ids",
    "weights_to_tokens",
]
