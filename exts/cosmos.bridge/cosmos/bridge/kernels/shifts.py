"""How well the edges of a video lie on given pixels, under every small shift."""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

import warp as wp

from cosmos.bridge.kernels.runs import launch_runs

wp.set_module_options({"enable_backward": False})


@wp.func_native("""
    const int lanes = 16, side = scores_out.shape[2];
    const int width = gradient.shape[2], height = gradient.shape[1];
    const int s = item / side, j = item - s * side;
    const int* places = (const int*)sites.data;
    const float* across = (const float*)normals.data;
    float* out = (float*)scores_out.data + (size_t)item * side;
    for (int first = 0; first < side; first += lanes) {
        float total[lanes];
        for (int k = 0; k < lanes; ++k) total[k] = 0.0f;
        for (int site = segments.data[s]; site < segments.data[s + 1]; ++site) {
            const int low = places[3 * site + 1] + j - radius, y = low < 0 ? 0 : low < height ? low : height - 1;
            const float* row = (const float*)gradient.data + ((size_t)places[3 * site] * height + y) * 2 * width;
            const float nx = across[2 * site], ny = across[2 * site + 1], most = ceilings.data[site];
            const int start = places[3 * site + 2] + first - radius;
            if (start >= 0 && start + lanes <= width) {
                for (int k = 0; k < lanes; ++k) {
                    const float found = fabsf(row[2 * (start + k)] * nx + row[2 * (start + k) + 1] * ny);
                    total[k] += found < most ? found : most;
                }
                continue;
            }
            for (int k = 0; k < lanes; ++k) {
                const int x = start + k < 0 ? 0 : start + k < width ? start + k : width - 1;
                const float found = fabsf(row[2 * x] * nx + row[2 * x + 1] * ny);
                total[k] += found < most ? found : most;
            }
        }
        for (int k = 0; k < lanes && first + k < side; ++k) out[first + k] = total[k];
    }
""")
def _sum_row(
    item: wp.int32,
    gradient: wp.array(dtype=wp.float32, ndim=4),
    sites: wp.array(dtype=wp.int32, ndim=2),
    normals: wp.array(dtype=wp.float32, ndim=2),
    ceilings: wp.array(dtype=wp.float32, ndim=1),
    segments: wp.array(dtype=wp.int32, ndim=1),
    radius: wp.int32,
    scores_out: wp.array(dtype=wp.float32, ndim=3),
):
    """Fill one row of the scores of a segment; sixteen shifts to the side at a time."""


@wp.kernel
def _shift_scores_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    gradient: wp.array4d(dtype=wp.float32),
    sites: wp.array2d(dtype=wp.int32),
    normals: wp.array2d(dtype=wp.float32),
    ceilings: wp.array(dtype=wp.float32, ndim=1),
    segments: wp.array(dtype=wp.int32, ndim=1),
    radius: wp.int32,
    # out
    scores_out: wp.array3d(dtype=wp.float32),
):
    begin = (first + wp.tid()) * run
    for item in range(begin, wp.min(begin + run, count)):
        _sum_row(item, gradient, sites, normals, ceilings, segments, radius, scores_out)


@wp.func_native("""
    const int width = gradient.shape[2], height = gradient.shape[1];
    const int* places = (const int*)sites.data;
    const float* across = (const float*)normals.data;
    const float* steep = (const float*)gradient.data;
    const float* around = (const float*)strength.data;
    float* out = (float*)peaks_out.data;
    for (int k = begin; k < end; ++k) {
        const int y = places[3 * k + 1], x = places[3 * k + 2];
        const int left = x > 0 ? x - 1 : 0, right = x < width - 1 ? x + 1 : x;
        const float nx = across[2 * k], ny = across[2 * k + 1];
        float peak = 0.0f;
        for (int step = -1; step <= 1; ++step) {
            const int row = y + step < 0 ? 0 : y + step < height ? y + step : height - 1;
            const size_t line = ((size_t)places[3 * k] * height + row) * width;
            const size_t near[3] = {line + left, line + x, line + right};
            for (int i = 0; i < 3; ++i) {
                const float along = fabsf(steep[2 * near[i]] * nx + steep[2 * near[i] + 1] * ny);
                const float share = along / (around[near[i]] + noise);
                peak = share > peak ? share : peak;
            }
        }
        out[k] = peak;
    }
""")
def _fill_peaks(
    begin: wp.int32,
    end: wp.int32,
    gradient: wp.array(dtype=wp.float32, ndim=4),
    strength: wp.array(dtype=wp.float32, ndim=3),
    sites: wp.array(dtype=wp.int32, ndim=2),
    normals: wp.array(dtype=wp.float32, ndim=2),
    noise: wp.float32,
    peaks_out: wp.array(dtype=wp.float32, ndim=1),
):
    """Fill the peaks of some sites."""


@wp.kernel
def _near_peaks_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    gradient: wp.array4d(dtype=wp.float32),
    strength: wp.array3d(dtype=wp.float32),
    sites: wp.array2d(dtype=wp.int32),
    normals: wp.array2d(dtype=wp.float32),
    noise: wp.float32,
    # out
    peaks_out: wp.array(dtype=wp.float32, ndim=1),
):
    begin = (first + wp.tid()) * run
    _fill_peaks(begin, wp.min(begin + run, count), gradient, strength, sites, normals, noise, peaks_out)


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
    given = [array.contiguous() for array in (gradient, sites, normals, ceilings, segments)]
    rows = out.shape[0] * side
    launch_runs(_shift_scores_kernel, rows, [*given, int(radius), out], device=gradient.device, run=1, fewest=128)
    return out


def near_peaks(gradient: wp.array, strength: wp.array, sites: wp.array, normals: wp.array, *, noise: float) -> wp.array:
    """Take the strongest gradient along the normal within 1 px of each boundary pixel, over the strength there.

    Args:
        gradient: Gradients [levels/px], float32, shape [T, H, W, 2]; the rim is replicated.
        strength: What each is held against [levels/px], float32, >= 0, shape [T, H, W].
        sites: ``(frame, y, x)`` of each boundary pixel, int32, shape [K, 3]; inside the video.
        normals: ``(x, y)`` across the boundary, of length 1, float32, shape [K, 2].
        noise: Added to the strength, so that noise stays small [levels/px], > 0.

    Returns:
        float32, shape [K].

    Raises:
        ValueError: If dtypes or shapes do not fit, or ``noise <= 0``.
    """
    if not noise > 0.0:
        raise ValueError(f"near_peaks needs noise > 0 [levels/px], got {noise!r}.")
    count = sites.shape[0]
    for what, array, dtype, shape in (
        ("gradient", gradient, wp.float32, (*strength.shape, 2)),
        ("strength", strength, wp.float32, tuple(gradient.shape[:3])),
        ("sites", sites, wp.int32, (count, 3)),
        ("normals", normals, wp.float32, (count, 2)),
    ):
        if array.dtype != dtype or tuple(array.shape) != shape:
            got = f"{array.dtype.__name__} {list(array.shape)}"
            raise ValueError(f"near_peaks needs {what} as {dtype.__name__} {list(shape)}, got {got}.")
    out = wp.empty(count, dtype=wp.float32, device=gradient.device)
    given = [array.contiguous() for array in (gradient, strength, sites, normals)]
    launch_runs(_near_peaks_kernel, count, [*given, float(noise), out], device=gradient.device, run=256)
    return out


__all__ = ["near_peaks", "shift_scores"]
