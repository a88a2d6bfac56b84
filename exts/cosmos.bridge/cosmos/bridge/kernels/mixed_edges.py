"""Edges of a painted picture: what painting changed is mixed there from the same samples as the picture it began with.

A painter that works pixel by pixel gives a pixel shared by two things to one of them; where it makes one of the two
white, as snow does, their border becomes a stair. What it changed of each is right beside that border, so a pixel's
change is the mean of those of the pixels that show what its samples show.
"""

# mypy: disable-error-code="misc,operator"
# (wp.tid() gives as many indices as the launch has axes; Warp vectors take scalars)

import warp as wp

from cosmos.bridge.kernels.display import display_tables, srgb_looked_up
from cosmos.bridge.kernels.runs import launch_runs, quick_options
from cosmos.bridge.types import PixelEdges

wp.set_module_options(quick_options())


@wp.func
def _shown(picture: wp.array(dtype=wp.uint8, ndim=2), levels: wp.array(dtype=wp.float32, ndim=1), i: int) -> wp.vec3:
    """Display-linear colour of pixel ``i``."""
    return wp.vec3(levels[wp.int32(picture[i, 0])], levels[wp.int32(picture[i, 1])], levels[wp.int32(picture[i, 2])])


@wp.kernel
def _mix_changes_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    pixels: wp.array(dtype=wp.int32, ndim=1),
    lenders: wp.array(dtype=wp.int32, ndim=2),
    before: wp.array(dtype=wp.uint8, ndim=2),
    after: wp.array(dtype=wp.uint8, ndim=2),
    levels: wp.array(dtype=wp.float32, ndim=1),
    curve: wp.array(dtype=wp.float32, ndim=1),
    # out
    mixed_out: wp.array(dtype=wp.uint8, ndim=2),
):
    begin = (first + wp.tid()) * run
    each = lenders.shape[1]
    for m in range(begin, wp.min(begin + run, count)):
        pixel = pixels[m]
        total = wp.vec3(0.0, 0.0, 0.0)
        last = wp.int32(-1)
        change = wp.vec3(0.0, 0.0, 0.0)
        for k in range(each):
            s = wp.int32(k)
            while lenders[m, s] < -1:
                s = -2 - lenders[m, s]
            lender = lenders[m, s]
            if lender < 0:
                lender = pixel
            if lender != last:  # most samples show what the one before them shows
                change = _shown(after, levels, lender) - _shown(before, levels, lender)
                last = lender
            total += change
        shown = _shown(before, levels, pixel) + total * (1.0 / wp.float32(each))
        for c in range(3):
            mixed_out[m, c] = wp.uint8(srgb_looked_up(curve, shown[c]) * 255.0 + 0.5)


@wp.kernel
def _put_back_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    pixels: wp.array(dtype=wp.int32, ndim=1),
    mixed: wp.array(dtype=wp.uint8, ndim=2),
    # out
    picture_out: wp.array(dtype=wp.uint8, ndim=2),
):
    begin = (first + wp.tid()) * run
    for m in range(begin, wp.min(begin + run, count)):
        for c in range(3):
            picture_out[pixels[m], c] = mixed[m, c]


def mix_edges(picture: wp.array, before: wp.array, edges: PixelEdges) -> None:
    """Mix what was changed of a picture at its edges, in place; other pixels stay as they are.

    Args:
        picture: What was painted, sRGB, uint8, contiguous, shape [H, W, 3].
        before: What it was painted from, with edges already smooth, sRGB in the first three channels, uint8, shape
            [H, W, C].
        edges: Which pixels hold edges, and whose surfaces their samples show.

    Raises:
        ValueError: If the shapes do not go together, or ``picture`` is no contiguous picture.
    """
    shape, told = tuple(picture.shape), tuple(before.shape)
    if len(shape) != 3 or shape[2] != 3 or told[:2] != shape[:2] or len(told) != 3 or told[2] < 3:
        raise ValueError(
            f"mix_edges needs pictures as uint8 [H, W, 3] and [H, W, 3 or more], got {list(shape)} and {list(told)}."
        )
    if not picture.is_contiguous:
        raise ValueError("mix_edges needs a contiguous picture, got a view; pass a copy.")
    count, device = len(edges.pixels), picture.device
    if not count:
        return
    flat, base = (array.contiguous().reshape((-1, array.shape[2])) for array in (picture, before))
    mixed = wp.empty((count, 3), dtype=wp.uint8, device=device)
    inputs = [edges.pixels, edges.lenders, base, flat, *display_tables(str(device)), mixed]
    launch_runs(_mix_changes_kernel, count, inputs, device=device)
    launch_runs(_put_back_kernel, count, [edges.pixels, mixed, flat], device=device)


__all__ = ["mix_edges"]
