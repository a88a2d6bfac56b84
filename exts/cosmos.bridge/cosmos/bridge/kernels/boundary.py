"""Boundaries: colour gradients of a video, the edges in them, how well they lie on given pixels under small shifts."""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

from typing import Optional

import warp as wp

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _color_gradient_kernel(
    # in
    video: wp.array4d(dtype=wp.uint8),
    # out
    gradient_out: wp.array4d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    left = wp.max(x - 1, 0)
    right = wp.min(x + 1, video.shape[2] - 1)
    above = wp.max(y - 1, 0)
    below = wp.min(y + 1, video.shape[1] - 1)
    strongest = float(-1.0)
    best_x = float(0.0)
    best_y = float(0.0)
    for c in range(video.shape[3]):
        a = int(video[t, above, left, c])
        b = int(video[t, above, right, c])
        d = int(video[t, below, left, c])
        e = int(video[t, below, right, c])
        gx = b - a + e - d + 2 * (int(video[t, y, right, c]) - int(video[t, y, left, c]))
        gy = d - a + e - b + 2 * (int(video[t, below, x, c]) - int(video[t, above, x, c]))
        power = float(gx * gx + gy * gy)
        if power > strongest:
            strongest = power
            best_x = float(gx)
            best_y = float(gy)
    gradient_out[t, y, x, 0] = best_x * 0.125
    gradient_out[t, y, x, 1] = best_y * 0.125


@wp.func
def _between(lengths: wp.array3d(dtype=wp.float32), t: wp.int32, y: wp.float32, x: wp.float32):
    top = wp.floor(y)
    left = wp.floor(x)
    v = y - top
    u = x - left
    i = wp.clamp(int(top), 0, lengths.shape[1] - 1)
    j = wp.clamp(int(left), 0, lengths.shape[2] - 1)
    below = wp.clamp(int(top) + 1, 0, lengths.shape[1] - 1)
    right = wp.clamp(int(left) + 1, 0, lengths.shape[2] - 1)
    first = lengths[t, i, j] * (1.0 - u) + lengths[t, i, right] * u
    second = lengths[t, below, j] * (1.0 - u) + lengths[t, below, right] * u
    return first * (1.0 - v) + second * v


@wp.kernel
def _lengths_kernel(
    # in
    gradient: wp.array4d(dtype=wp.float32),
    # out
    lengths_out: wp.array3d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    dx = gradient[t, y, x, 0]
    dy = gradient[t, y, x, 1]
    lengths_out[t, y, x] = wp.sqrt(dx * dx + dy * dy)


@wp.kernel
def _ridges_kernel(
    # in
    gradient: wp.array4d(dtype=wp.float32),
    lengths: wp.array3d(dtype=wp.float32),
    faint: wp.float32,
    full: wp.float32,
    # out
    edges_out: wp.array4d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    length = lengths[t, y, x]
    edge_x = float(0.0)
    edge_y = float(0.0)
    if length >= faint:
        dx = gradient[t, y, x, 0] / length
        dy = gradient[t, y, x, 1] / length
        ahead = _between(lengths, t, float(y) + dy, float(x) + dx)
        behind = _between(lengths, t, float(y) - dy, float(x) - dx)
        if length >= 0.98 * wp.max(ahead, behind):
            share = wp.min(length / full, 1.0)
            edge_x = dx * share
            edge_y = dy * share
    edges_out[t, y, x, 0] = edge_x
    edges_out[t, y, x, 1] = edge_y


@wp.kernel
def _widen_kernel(
    # in
    ridges: wp.array4d(dtype=wp.float32),
    beside: wp.float32,
    # out
    edges_out: wp.array4d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    edge_x = ridges[t, y, x, 0]
    edge_y = ridges[t, y, x, 1]
    strongest = edge_x * edge_x + edge_y * edge_y
    for k in range(4):
        step = 1 - 2 * (k % 2)
        i = wp.clamp(y + step * (k // 2), 0, ridges.shape[1] - 1)
        j = wp.clamp(x + step * (1 - k // 2), 0, ridges.shape[2] - 1)
        near_x = ridges[t, i, j, 0] * beside
        near_y = ridges[t, i, j, 1] * beside
        power = near_x * near_x + near_y * near_y
        if power > strongest:
            strongest = power
            edge_x = near_x
            edge_y = near_y
    edges_out[t, y, x, 0] = edge_x
    edges_out[t, y, x, 1] = edge_y


@wp.kernel
def _shift_scores_kernel(
    # in
    gradient: wp.array4d(dtype=wp.float32),
    sites: wp.array2d(dtype=wp.int32),
    normals: wp.array2d(dtype=wp.float32),
    ceilings: wp.array(dtype=wp.float32, ndim=1),
    segments: wp.array(dtype=wp.int32, ndim=1),
    radius: wp.int32,
    # out
    scores_out: wp.array3d(dtype=wp.float32),
):
    s, j, i = wp.tid()
    dy = j - radius
    dx = i - radius
    total = float(0.0)
    for k in range(segments[s], segments[s + 1]):
        t = sites[k, 0]
        y = wp.clamp(sites[k, 1] + dy, 0, gradient.shape[1] - 1)
        x = wp.clamp(sites[k, 2] + dx, 0, gradient.shape[2] - 1)
        across = wp.abs(gradient[t, y, x, 0] * normals[k, 0] + gradient[t, y, x, 1] * normals[k, 1])
        total += wp.min(across, ceilings[k])
    scores_out[s, j, i] = total


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
    wp.launch(_color_gradient_kernel, dim=shape[:3], inputs=[video], outputs=[out], device=video.device)
    return out


def thin_edges(
    gradient: wp.array, *, faint: float, full: float, beside: float = 0.5, out: Optional[wp.array] = None
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
    out = wp.empty_like(gradient) if out is None else out
    if out.dtype != wp.float32 or out.shape != gradient.shape or out.ptr == gradient.ptr:
        raise ValueError(
            f"out must be float32 {list(gradient.shape)} of its own, got {out.dtype.__name__} {out.shape}."
        )
    ridges = wp.empty_like(gradient)
    shape = gradient.shape[:3]
    lengths = wp.empty(shape, dtype=wp.float32, device=gradient.device)
    wp.launch(_lengths_kernel, dim=shape, inputs=[gradient], outputs=[lengths], device=gradient.device)
    inputs = [gradient, lengths, faint, full]
    wp.launch(_ridges_kernel, dim=shape, inputs=inputs, outputs=[ridges], device=gradient.device)
    wp.launch(_widen_kernel, dim=shape, inputs=[ridges, beside], outputs=[out], device=gradient.device)
    return out


def shift_scores(
    gradient: wp.array, sites: wp.array, normals: wp.array, ceilings: wp.array, segments: wp.array, *, radius: int
) -> wp.array:
    """Sum the gradient across given boundary pixels, for every small shift of the picture.

    ``scores[s, j, i]`` is the sum over the sites ``k`` of segment ``s`` of
    ``min(|normal_k . gradient(site_k + shift)|, ceiling_k)`` with ``shift = (j - radius, i - radius)`` [px] (down,
    right): it peaks at the shift by which the boundary has moved. The ceilings keep few strong edges from outvoting
    the rest of a boundary.

    Args:
        gradient: Gradients, float32, shape [T, H, W, 2]; the rim is replicated.
        sites: ``(frame, y, x)`` of each boundary pixel, sorted by segment, int32, shape [K, 3]; inside the video.
        normals: ``(x, y)`` across the boundary, times the weight of the pixel, float32, shape [K, 2].
        ceilings: Most that each site may add, >= 0, float32, shape [K].
        segments: First site of each segment and, last, K; int32, ascending, shape [S + 1].
        radius: Largest shift [px], >= 0.

    Returns:
        float32, shape [S, 2 * radius + 1, 2 * radius + 1].

    Raises:
        ValueError: If dtypes or shapes do not fit, or ``radius < 0``.
    """
    if radius < 0:
        raise ValueError(f"shift_scores needs radius >= 0 [px], got {radius!r}.")
    for what, array, dtype, tail in (
        ("gradient", gradient, wp.float32, (2,)),
        ("sites", sites, wp.int32, (3,)),
        ("normals", normals, wp.float32, (2,)),
        ("ceilings", ceilings, wp.float32, ()),
        ("segments", segments, wp.int32, ()),
    ):
        ndim = {"gradient": 4, "sites": 2, "normals": 2}.get(what, 1)
        if array.dtype != dtype or array.ndim != ndim or tuple(array.shape[array.ndim - len(tail) :]) != tail:
            got = f"{array.dtype.__name__} {list(array.shape)}"
            raise ValueError(
                f"shift_scores needs {what} as {dtype.__name__} with {ndim} axes ending in {tail}, got {got}."
            )
    if not sites.shape[0] == normals.shape[0] == ceilings.shape[0] or segments.shape[0] < 1:
        raise ValueError(
            f"shift_scores needs a normal and a ceiling a site and at least one segment bound, got {sites.shape[0]} "
            f"sites, {normals.shape[0]} normals, {ceilings.shape[0]} ceilings and {segments.shape[0]} bounds."
        )
    side = 2 * radius + 1
    out = wp.empty((segments.shape[0] - 1, side, side), dtype=wp.float32, device=gradient.device)
    inputs = [gradient, sites, normals, ceilings, segments, int(radius)]
    wp.launch(_shift_scores_kernel, dim=out.shape, inputs=inputs, outputs=[out], device=gradient.device)
    return out


__all__ = ["color_gradient", "shift_scores", "thin_edges"]
