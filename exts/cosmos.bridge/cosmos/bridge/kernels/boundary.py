"""Boundaries: colour gradients of a video, and the edges in them."""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

from typing import Optional

import warp as wp

from cosmos.bridge.kernels.runs import launch_runs

wp.set_module_options({"enable_backward": False})

_RUN = 1024
"""Pixels that one thread of a CPU launch works on: rows of them are taken many at a time."""


@wp.func_native("""
    const int channels = video.shape[3], width = video.shape[2], height = video.shape[1];
    for (int i = begin; i < end;) {
        const int row = i / width, start = i - row * width, t = row / height, y = row - t * height;
        const int stop = end - i < width - start ? start + end - i : width;
        const unsigned char* here = (const unsigned char*)video.data + (size_t)t * video.strides[0]
            + (size_t)y * video.strides[1];
        const unsigned char* above = y > 0 ? here - video.strides[1] : here;
        const unsigned char* below = y < height - 1 ? here + video.strides[1] : here;
        float* out = (float*)((char*)gradient_out.data + (size_t)t * gradient_out.strides[0]
            + (size_t)y * gradient_out.strides[1]);
        auto pixel = [&](int x, int left, int right, const int count) {
            int strongest = -1, best_x = 0, best_y = 0;
            for (int c = 0; c < count; ++c) {
                const int l = left * count + c, m = x * count + c, r = right * count + c;
                const int a = above[l], b = above[r], d = below[l], e = below[r];
                const int gx = b - a + e - d + 2 * ((int)here[r] - (int)here[l]);
                const int gy = d - a + e - b + 2 * ((int)below[m] - (int)above[m]);
                const int power = gx * gx + gy * gy;
                best_x = power > strongest ? gx : best_x;
                best_y = power > strongest ? gy : best_y;
                strongest = power > strongest ? power : strongest;
            }
            out[2 * x] = (float)best_x * 0.125f;
            out[2 * x + 1] = (float)best_y * 0.125f;
        };
        auto pixels = [&](const int count) {
            if (start == 0) pixel(0, 0, width > 1 ? 1 : 0, count);
            const int first = start > 1 ? start : 1, last = stop < width - 1 ? stop : width - 1;
            for (int x = first; x < last; ++x) pixel(x, x - 1, x + 1, count);
            if (stop == width && width > 1) pixel(width - 1, width - 2, width - 1, count);
        };
        if (channels == 3) pixels(3);
        else if (channels == 2) pixels(2);
        else pixels(channels);
        i += stop - start;
    }
""")
def _fill_gradient(
    begin: wp.int32,
    end: wp.int32,
    video: wp.array(dtype=wp.uint8, ndim=4),
    gradient_out: wp.array(dtype=wp.float32, ndim=4),
):
    """Fill the gradients of some pixels, which lie one after the other, with their channels side by side."""


@wp.kernel
def _color_gradient_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    video: wp.array4d(dtype=wp.uint8),
    # out
    gradient_out: wp.array4d(dtype=wp.float32),
):
    begin = (first + wp.tid()) * run
    _fill_gradient(begin, wp.min(begin + run, count), video, gradient_out)


@wp.func_native("""
    const float* pair = (const float*)gradient.data;
    float* out = (float*)lengths_out.data;
    for (int i = begin; i < end; ++i) out[i] = sqrtf(pair[2 * i] * pair[2 * i] + pair[2 * i + 1] * pair[2 * i + 1]);
""")
def _fill_lengths(
    begin: wp.int32,
    end: wp.int32,
    gradient: wp.array(dtype=wp.float32, ndim=1),
    lengths_out: wp.array(dtype=wp.float32, ndim=1),
):
    """Fill the lengths of some gradients, which lie one after the other."""


@wp.kernel
def _lengths_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    gradient: wp.array(dtype=wp.float32, ndim=1),
    # out
    lengths_out: wp.array(dtype=wp.float32, ndim=1),
):
    begin = (first + wp.tid()) * run
    _fill_lengths(begin, wp.min(begin + run, count), gradient, lengths_out)


@wp.func_native("""
    const int width = lengths.shape[2], height = lengths.shape[1];
    const float* steep = (const float*)gradient.data;
    const float* all = (const float*)lengths.data;
    float* out = (float*)edges_out.data;
    for (int i = begin; i < end;) {
        const int row = i / width, start = i - row * width, y = row % height;
        const int stop = end - i < width - start ? start + end - i : width;
        const float* here = all + (size_t)row * width;
        const float* below = y < height - 1 ? here + width : here;
        const float* above = y > 0 ? here - width : here;
        const float* from = steep + (size_t)row * 2 * width;
        float* to = out + (size_t)row * 2 * width;
        auto pixel = [&](int x, int left, int right) {
            const float middle = here[x], west = here[left], east = here[right], north = above[x], south = below[x];
            const float north_west = above[left], north_east = above[right];
            const float south_west = below[left], south_east = below[right];
            const float length = middle > 0.0f ? middle : 1.0f;
            const float dx = from[2 * x] / length, dy = from[2 * x + 1] / length;
            const float u = fabsf(dx), v = fabsf(dy);
            const bool right_on = dx >= 0.0f, down_on = dy >= 0.0f;
            const float side = right_on ? east : west, other_side = right_on ? west : east;
            const float level = down_on ? south : north, other_level = down_on ? north : south;
            const float next_east = down_on ? south_east : north_east, next_west = down_on ? south_west : north_west;
            const float back_east = down_on ? north_east : south_east, back_west = down_on ? north_west : south_west;
            const float corner = right_on ? next_east : next_west, back = right_on ? back_west : back_east;
            const float ahead = (middle * (1.0f - u) + side * u) * (1.0f - v) + (level * (1.0f - u) + corner * u) * v;
            const float behind = (middle * (1.0f - u) + other_side * u) * (1.0f - v)
                + (other_level * (1.0f - u) + back * u) * v;
            const float share = middle < full ? middle / full : 1.0f;
            const bool on = (middle >= faint) & (middle >= 0.98f * ahead) & (middle >= 0.98f * behind);
            to[2 * x] = on ? dx * share : 0.0f;
            to[2 * x + 1] = on ? dy * share : 0.0f;
        };
        if (start == 0) pixel(0, 0, width > 1 ? 1 : 0);
        const int first = start > 1 ? start : 1, last = stop < width - 1 ? stop : width - 1;
        for (int x = first; x < last; ++x) pixel(x, x - 1, x + 1);
        if (stop == width && width > 1) pixel(width - 1, width - 2, width - 1);
        i += stop - start;
    }
""")
def _fill_ridges(
    begin: wp.int32,
    end: wp.int32,
    gradient: wp.array(dtype=wp.float32, ndim=4),
    lengths: wp.array(dtype=wp.float32, ndim=3),
    faint: wp.float32,
    full: wp.float32,
    edges_out: wp.array(dtype=wp.float32, ndim=4),
):
    """Fill some pixels, of all frames in a row, with their edge: as long as any 1 px ahead and behind (bilinear)."""


@wp.kernel
def _ridges_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    gradient: wp.array4d(dtype=wp.float32),
    lengths: wp.array3d(dtype=wp.float32),
    faint: wp.float32,
    full: wp.float32,
    # out
    edges_out: wp.array4d(dtype=wp.float32),
):
    begin = (first + wp.tid()) * run
    _fill_ridges(begin, wp.min(begin + run, count), gradient, lengths, faint, full, edges_out)


@wp.func_native("""
    const int width = ridges.shape[2], height = ridges.shape[1];
    const float* data = (const float*)ridges.data;
    float* out = (float*)edges_out.data;
    for (int i = begin; i < end;) {
        const int row = i / width, start = i - row * width, y = row % height;
        const int stop = end - i < width - start ? start + end - i : width;
        const float* here = data + (size_t)row * 2 * width;
        const float* below = y < height - 1 ? here + 2 * width : here;
        const float* above = y > 0 ? here - 2 * width : here;
        float* to = out + (size_t)row * 2 * width;
        auto pixel = [&](int x, int left, int right) {
            float edge_x = here[2 * x], edge_y = here[2 * x + 1];
            float strongest = edge_x * edge_x + edge_y * edge_y;
            const float* rows[4] = {here + 2 * right, here + 2 * left, below + 2 * x, above + 2 * x};
            for (int k = 0; k < 4; ++k) {
                const float near_x = rows[k][0] * beside, near_y = rows[k][1] * beside;
                const float power = near_x * near_x + near_y * near_y;
                const bool more = power > strongest;
                strongest = more ? power : strongest;
                edge_x = more ? near_x : edge_x;
                edge_y = more ? near_y : edge_y;
            }
            to[2 * x] = edge_x;
            to[2 * x + 1] = edge_y;
        };
        if (start == 0) pixel(0, 0, width > 1 ? 1 : 0);
        const int first = start > 1 ? start : 1, last = stop < width - 1 ? stop : width - 1;
        for (int x = first; x < last; ++x) pixel(x, x - 1, x + 1);
        if (stop == width && width > 1) pixel(width - 1, width - 2, width - 1);
        i += stop - start;
    }
""")
def _fill_wide(
    begin: wp.int32,
    end: wp.int32,
    ridges: wp.array(dtype=wp.float32, ndim=4),
    beside: wp.float32,
    edges_out: wp.array(dtype=wp.float32, ndim=4),
):
    """Fill some pixels, of all frames in a row, with the strongest of their ridge and the four beside it."""


@wp.kernel
def _widen_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    ridges: wp.array4d(dtype=wp.float32),
    beside: wp.float32,
    # out
    edges_out: wp.array4d(dtype=wp.float32),
):
    begin = (first + wp.tid()) * run
    _fill_wide(begin, wp.min(begin + run, count), ridges, beside, edges_out)


def color_gradient(video: wp.array, *, out: Optional[wp.array] = None) -> wp.array:
    """Take the Sobel gradient of the colour channel that changes most, pixel by pixel.

    Args:
        video: uint8, shape [T, H, W, C]; the rim is replicated.
        out: Gradients to fill; allocated when ``None``.

    Returns:
        ``(d/dx, d/dy)`` [levels/px] (Sobel 3 x 3 divided by 8), float32, shape [T, H, W, 2].

    Raises:
        ValueError: If the video is of another dtype or shape, or ``out`` does not fit.
    """
    if video.dtype != wp.uint8 or video.ndim != 4:
        raise ValueError(f"color_gradient needs uint8 [T, H, W, C], got {video.dtype.__name__} {list(video.shape)}.")
    shape = (*video.shape[:3], 2)
    out = wp.empty(shape, dtype=wp.float32, device=video.device) if out is None else out
    if out.dtype != wp.float32 or tuple(out.shape) != shape:
        raise ValueError(f"out must be float32 {list(shape)}, got {out.dtype.__name__} {list(out.shape)}.")
    filled = out if out.is_contiguous else wp.empty(shape, dtype=wp.float32, device=video.device)
    pixels = shape[0] * shape[1] * shape[2]
    launch_runs(_color_gradient_kernel, pixels, [video.contiguous(), filled], device=video.device, run=_RUN)
    if filled is not out:
        wp.copy(out, filled)
    return out


def gradient_lengths(gradient: wp.array) -> wp.array:
    """Take the length of every gradient.

    Args:
        gradient: Gradients [levels/px], float32, shape [T, H, W, 2].

    Returns:
        Lengths [levels/px], float32, shape [T, H, W], on the same device.

    Raises:
        ValueError: If dtype or shape do not fit.
    """
    if gradient.dtype != wp.float32 or gradient.ndim != 4 or gradient.shape[3] != 2:
        raise ValueError(
            f"gradient_lengths needs float32 [T, H, W, 2], got {gradient.dtype.__name__} {list(gradient.shape)}."
        )
    lengths = wp.empty(gradient.shape[:3], dtype=wp.float32, device=gradient.device)
    inputs = [gradient.contiguous().flatten(), lengths.flatten()]
    launch_runs(_lengths_kernel, lengths.size, inputs, device=gradient.device, run=_RUN)
    return lengths


def thin_edges(
    gradient: wp.array,
    *,
    faint: float,
    full: float,
    beside: float = 0.5,
    lengths: Optional[wp.array] = None,
    out: Optional[wp.array] = None,
) -> wp.array:
    """Thin gradients to edges one pixel wide, whose strength hardly depends on contrast (Canny 1986, without linking).

    A pixel is on an edge where the gradient is at least ``faint`` and no shorter than 1 px ahead and behind along
    itself (bilinear, 2 % tolerance). The four pixels beside an edge take the strongest of
    it, ``beside`` times as strong.

    Args:
        gradient: Gradients [levels/px], float32, shape [T, H, W, 2]; the rim is replicated.
        faint: Shortest gradient that counts [levels/px], > 0.
        full: Gradient from which on an edge has full strength [levels/px], >= ``faint``.
        beside: Strength of the pixels beside an edge, in [0, 1].
        lengths: What `gradient_lengths` gives of them, where that is known, shape [T, H, W].
        out: Edges to fill, not ``gradient`` itself; allocated when ``None``.

    Returns:
        Direction of the gradient times the strength of the edge in [0, 1], float32, shape [T, H, W, 2].

    Raises:
        ValueError: If dtype, shape or numbers do not fit.
    """
    if gradient.dtype != wp.float32 or gradient.ndim != 4 or gradient.shape[3] != 2:
        raise ValueError(
            f"thin_edges needs float32 [T, H, W, 2], got {gradient.dtype.__name__} {list(gradient.shape)}."
        )
    if not (0.0 < faint <= full and 0.0 <= beside <= 1.0):
        raise ValueError(
            f"thin_edges needs 0 < faint <= full and beside in [0, 1], got faint {faint!r}, full {full!r} and beside "
            f"{beside!r}."
        )
    if lengths is not None and (lengths.dtype != wp.float32 or lengths.shape != gradient.shape[:3]):
        raise ValueError(
            f"lengths must be float32 {list(gradient.shape[:3])}, got {lengths.dtype.__name__} {list(lengths.shape)}."
        )
    out = wp.empty_like(gradient) if out is None else out
    if out.dtype != wp.float32 or out.shape != gradient.shape or out.ptr == gradient.ptr:
        raise ValueError(
            f"out must be float32 {list(gradient.shape)} of its own, got {out.dtype.__name__} {out.shape}."
        )
    device, gradient = gradient.device, gradient.contiguous()
    ridges = wp.empty(gradient.shape, dtype=wp.float32, device=device)
    lengths = gradient_lengths(gradient) if lengths is None else lengths.contiguous()
    pixels = lengths.size
    inputs = [gradient, lengths, float(faint), float(full), ridges]
    launch_runs(_ridges_kernel, pixels, inputs, device=device, run=_RUN)
    filled = out if out.is_contiguous else wp.empty(gradient.shape, dtype=wp.float32, device=device)
    launch_runs(_widen_kernel, pixels, [ridges, float(beside), filled], device=device, run=_RUN)
    if filled is not out:
        wp.copy(out, filled)
    return out


__all__ = ["color_gradient", "gradient_lengths", "thin_edges"]
