"""Before and after in one picture, as the viewport wants it: RGBA, cut by a wiper."""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

from typing import Optional

import warp as wp

from cosmos.bridge.kernels.checks import prepare_out

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _wipe_kernel(
    # in
    before: wp.array3d(dtype=wp.uint8),
    after: wp.array3d(dtype=wp.uint8),
    cut: wp.int32,
    line: wp.int32,
    # out
    picture_out: wp.array3d(dtype=wp.uint8),
):
    y, x = wp.tid()
    for c in range(3):
        level = before[y, x, c]
        if x >= cut:
            level = after[y, x, c]
        if line > 0 and x >= cut - line and x < cut + line:
            level = wp.uint8(255)
        picture_out[y, x, c] = level
    picture_out[y, x, 3] = wp.uint8(255)


def wipe_pictures(before: wp.array, after: wp.array, share: float, *, out: Optional[wp.array] = None) -> wp.array:
    """Show ``before`` left of a wiper and ``after`` right of it.

    Args:
        before: uint8, shape [H, W, 3].
        after: uint8, same shape and device.
        share: Place of the wiper in [0, 1]: 0 shows ``after`` only, 1 ``before`` only, each without a line.
        out: Picture to fill, uint8 RGBA, shape [H, W, 4]; allocated when ``None``.

    Raises:
        ValueError: If the pictures differ in shape or device, or ``share`` lies outside [0, 1].
    """
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"wipe_pictures needs share in [0, 1], got {share!r}.")
    same = before.shape == after.shape and before.device == after.device
    if not same or before.ndim != 3 or before.shape[2] != 3:
        raise ValueError(
            f"wipe_pictures needs two pictures [H, W, 3] on one device, got {list(before.shape)} on {before.device} "
            f"and {list(after.shape)} on {after.device}."
        )
    height, width, _ = before.shape
    out = prepare_out("wipe_pictures", out, (height, width, 4), wp.uint8, before.device)
    line = max(1, width // 480) if 0.0 < share < 1.0 else 0
    wp.launch(
        _wipe_kernel,
        dim=(height, width),
        inputs=[before, after, round(share * width), line],
        outputs=[out],
        device=before.device,
    )
    return out


__all__ = ["wipe_pictures"]
