"""How colours change along motion: medians over whole pictures and over each thing in them."""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

from __future__ import annotations

from collections.abc import Sequence

import warp as wp

from cosmos.bridge.kernels.runs import launch_runs

wp.set_module_options({"enable_backward": False})


@wp.func_native("""
    const int high = seen.shape[1], wide = seen.shape[2], pixels = high * wide, owners = counts_out.shape[1] - 1;
    int* count = (int*)counts_out.data + (size_t)n * (owners + 1);
    int* place = (int*)places.data + (size_t)n * (owners + 1);
    int* owner_of = (int*)kept.data + (size_t)n * pixels;
    short* off = (short*)differences.data + (size_t)n * 6 * pixels;
    for (int o = 0; o <= owners; ++o) count[o] = 0;
    for (int y = 0; y < high; ++y) {
        const unsigned char* view = (const unsigned char*)seen.data + ((size_t)n * high + y) * wide;
        const char* moves = (const char*)motion.data + (size_t)n * motion.strides[0]
            + (size_t)(y * step) * motion.strides[1];
        const char* ids = (const char*)things.data + (size_t)n * things.strides[0]
            + (size_t)(y * step) * things.strides[1];
        for (int x = 0; x < wide; ++x) {
            const char* move = moves + (size_t)(x * step) * motion.strides[2];
            const float dx = *(const float*)move, dy = *(const float*)(move + motion.strides[3]);
            const bool counts = view[x] != 0 && dx * dx + dy * dy <= farthest * farthest;  // false for NaN as well
            const int owner = counts ? *(const int*)(ids + (size_t)(x * step) * things.strides[2]) : -1;
            owner_of[y * wide + x] = owner;
            if (owner >= 0) ++count[owner];
        }
    }
    int total = 0;
    for (int o = 0; o < owners; ++o) {
        place[o] = total;
        total += count[o];
    }
    count[owners] = total;
    for (int y = 0; y < high; ++y) {
        const unsigned char* now[2] = {
            (const unsigned char*)source.data + (size_t)(n + 1) * source.strides[0]
                + (size_t)(y * step) * source.strides[1],
            (const unsigned char*)result.data + (size_t)(n + 1) * result.strides[0]
                + (size_t)(y * step) * result.strides[1]};
        const unsigned char* then[2] = {
            (const unsigned char*)source_before.data + (size_t)n * 3 * pixels + (size_t)y * 3 * wide,
            (const unsigned char*)result_before.data + (size_t)n * 3 * pixels + (size_t)y * 3 * wide};
        const int across[2] = {(int)source.strides[2] * step, (int)result.strides[2] * step};
        const int each[2] = {(int)source.strides[3], (int)result.strides[3]};
        for (int x = 0; x < wide; ++x) {
            const int owner = owner_of[y * wide + x];
            if (owner < 0) continue;
            const int to = place[owner]++;
            for (int v = 0; v < 2; ++v)
                for (int c = 0; c < 3; ++c)
                    off[(size_t)(3 * v + c) * pixels + to] =
                        (short)((int)now[v][x * across[v] + c * each[v]] - (int)then[v][3 * x + c]);
        }
    }
    int own[4][512], whole[512];
    for (int v = 0; v < 2; ++v) {
        int* levels = (int*)levels_out.data + ((size_t)n * 2 + v) * (owners + 1);
        int* spreads = (int*)spreads_out.data + ((size_t)n * 2 + v) * (owners + 1);
        for (int o = 0; o <= owners; ++o) levels[o] = spreads[o] = 0;
        auto told = [&](const int o, const int* bins, const int least, const int most, const int samples) {
            int middle = least, sum = bins[least + 255];
            while (2 * sum < samples && middle < most) sum += bins[++middle + 255];
            int spread = 0;
            sum = bins[middle + 255];
            while (2 * sum < samples && spread < 510) {
                ++spread;
                if (middle + spread <= most) sum += bins[middle + spread + 255];
                if (middle - spread >= least) sum += bins[middle - spread + 255];
            }
            const int level = levels[o];
            if ((middle < 0 ? -middle : middle) > (level < 0 ? -level : level)) levels[o] = middle;
            if (spread > spreads[o]) spreads[o] = spread;
        };
        for (int c = 0; c < 3 && total > 0; ++c) {
            const short* change = off + (size_t)(3 * v + c) * pixels;
            for (int b = 0; b < 512; ++b) whole[b] = 0;
            int least_of_all = 255, most_of_all = -255, begin = 0;
            for (int o = 0; o < owners; ++o) {
                const int end = begin + count[o];
                if (end == begin) continue;
                short least = 255, most = -255;
                for (int i = begin; i < end; ++i) {
                    least = change[i] < least ? change[i] : least;
                    most = change[i] > most ? change[i] : most;
                }
                for (int k = 0; k < 4; ++k)
                    for (int b = least + 255; b <= most + 255; ++b) own[k][b] = 0;
                for (int i = begin; i < end; ++i) ++own[i & 3][change[i] + 255];  // four: no add waits for the last
                for (int b = least + 255; b <= most + 255; ++b) {
                    own[0][b] += own[1][b] + own[2][b] + own[3][b];
                    whole[b] += own[0][b];
                }
                if (count[o] >= fewest) told(o, own[0], least, most, count[o]);
                least_of_all = least < least_of_all ? least : least_of_all;
                most_of_all = most > most_of_all ? most : most_of_all;
                begin = end;
            }
            told(owners, whole, least_of_all, most_of_all, total);
        }
    }
""")
def _tell_pair(
    n: wp.int32,
    step: wp.int32,
    farthest: wp.float32,
    fewest: wp.int32,
    seen: wp.array(dtype=wp.uint8, ndim=3),
    motion: wp.array(dtype=wp.float32, ndim=4),
    things: wp.array(dtype=wp.int32, ndim=3),
    source: wp.array(dtype=wp.uint8, ndim=4),
    source_before: wp.array(dtype=wp.uint8, ndim=4),
    result: wp.array(dtype=wp.uint8, ndim=4),
    result_before: wp.array(dtype=wp.uint8, ndim=4),
    kept: wp.array(dtype=wp.int32, ndim=2),
    places: wp.array(dtype=wp.int32, ndim=2),
    differences: wp.array(dtype=wp.int16, ndim=3),
    counts_out: wp.array(dtype=wp.int32, ndim=2),
    levels_out: wp.array(dtype=wp.int32, ndim=3),
    spreads_out: wp.array(dtype=wp.int32, ndim=3),
):
    """Sort the changes of one pair of frames by thing, and take medians of each by counting."""


@wp.kernel
def _median_changes_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    step: wp.int32,
    farthest: wp.float32,
    fewest: wp.int32,
    seen: wp.array3d(dtype=wp.uint8),
    motion: wp.array4d(dtype=wp.float32),
    things: wp.array3d(dtype=wp.int32),
    source: wp.array4d(dtype=wp.uint8),
    source_before: wp.array4d(dtype=wp.uint8),
    result: wp.array4d(dtype=wp.uint8),
    result_before: wp.array4d(dtype=wp.uint8),
    # scratch
    kept: wp.array2d(dtype=wp.int32),
    places: wp.array2d(dtype=wp.int32),
    differences: wp.array3d(dtype=wp.int16),
    # out
    counts_out: wp.array2d(dtype=wp.int32),
    levels_out: wp.array3d(dtype=wp.int32),
    spreads_out: wp.array3d(dtype=wp.int32),
):
    begin = (first + wp.tid()) * run
    for n in range(begin, wp.min(begin + run, count)):
        _tell_pair(
            n, step, farthest, fewest, seen, motion, things, source, source_before, result, result_before, kept,
            places, differences, counts_out, levels_out, spreads_out,
        )  # fmt: skip


def median_changes(
    videos: Sequence[wp.array],
    before: Sequence[wp.array],
    *,
    seen: wp.array,
    motion: wp.array,
    things: wp.array,
    count: int,
    farthest: float,
    fewest: int,
    step: int = 1,
) -> tuple[wp.array, wp.array, wp.array]:
    """Take the median change of two videos along motion, and the median deviation from it, by thing and over all.

    Of each channel the lower median is taken; the channel whose colour changes most is told, and the largest deviation.

    Args:
        videos: Two videos, uint8, shape [N + 1, H, W, 3]; their first frames have none before them.
        before: What the others had one frame before, as `fetch_along_motion` gives it, uint8, shape [N, h, w, 3].
        seen: 1 where that was in view, as `seen_before` gives it, uint8, shape [N, h, w].
        motion: Previous minus current position [px], float32, shape [N, H, W, 2].
        things: Thing of each pixel, in [0, ``count``), int32, shape [N, H, W].
        count: How many things there are, >= 1.
        farthest: What moves by more, or by no finite number, does not count [px].
        fewest: Fewest pixels of a thing that is told.
        step: Every ``step``-th row and column was fetched, from the first on.

    Returns:
        Pixels that count, int32 [N, count + 1]; median changes [levels], int32 [N, 2, count + 1]; median deviations
        from them [levels], same shape. The last of the things is the whole picture; those of fewer than ``fewest``
        pixels have 0.

    Raises:
        ValueError: If dtypes, shapes or devices do not fit.
    """
    device, (number, height, width) = seen.device, seen.shape
    large = tuple(motion.shape[:3])
    if len(videos) != 2 or len(before) != 2 or count < 1 or step < 1:
        raise ValueError(
            f"median_changes needs two videos, count >= 1 and step >= 1, got {len(videos)}, {count} and {step}."
        )
    thinned = (large[0], -(-large[1] // step), -(-large[2] // step))
    for what, array, dtype, shape in (
        ("seen", seen, wp.uint8, thinned),
        ("motion", motion, wp.float32, (*large, 2)),
        ("things", things, wp.int32, large),
        *(("a video", video, wp.uint8, (number + 1, *large[1:], 3)) for video in videos),
        *(("a video before", video, wp.uint8, (*thinned, 3)) for video in before),
    ):
        if array.dtype != dtype or tuple(array.shape) != shape or array.device != device:
            raise ValueError(
                f"median_changes needs {what} as {dtype.__name__} {list(shape)} on {device}, got "
                f"{getattr(array.dtype, '__name__', array.dtype)} {list(array.shape)} on {array.device}."
            )
    kept = wp.empty((number, height * width), dtype=wp.int32, device=device)
    places = wp.empty((number, count + 1), dtype=wp.int32, device=device)
    differences = wp.empty((number, 6, height * width), dtype=wp.int16, device=device)
    counts = wp.empty((number, count + 1), dtype=wp.int32, device=device)
    levels, spreads = (wp.empty((number, 2, count + 1), dtype=wp.int32, device=device) for _ in range(2))
    pairs = [array for video, earlier in zip(videos, before, strict=True) for array in (video, earlier.contiguous())]
    inputs = [int(step), float(farthest), int(fewest), seen.contiguous(), motion, things, *pairs]
    scratch = [kept, places, differences]
    launch_runs(
        _median_changes_kernel, number, [*inputs, *scratch, counts, levels, spreads], device=device, run=1, fewest=1
    )
    return counts, levels, spreads


__all__ = ["median_changes"]
