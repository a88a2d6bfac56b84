"""What groups of instances would cover if nothing stood before them: every fragment counts, the nearest or not."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined, empty-body, call-overload"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.matter import is_seen
from cosmos.bridge.render.draw.planes import corner_and_normal
from cosmos.bridge.render.draw.raster import Rasteriser, depth_on, edges_of, pinhole_ray, plane_of
from cosmos.bridge.render.draw.view import PINHOLE, View, world_ray
from cosmos.bridge.render.draw.world import World, WorldArrays

wp.set_module_options({"enable_backward": False})

_ROOM = 1 << 26
"""Most bytes of masks that are held at a time."""


@wp.func_native("""
    // Rounding keeps a linear function monotonous, so what is inside along a row is one interval. Its ends are found
    // for several rows at a time; they are off by less than a hundredth of a pixel: near a column the edges decide.
    const float a[3] = {ea[0], eb[0], ec[0]}, b[3] = {ea[1], eb[1], ec[1]}, c[3] = {ea[2], eb[2], ec[2]};
    const float cx = view.cx, cy = view.cy, fx = view.fx, fy = view.fy;
    for (int top = y0; top < y1; top += 16) {
        int begins[16], ends[16], near[16];
        for (int k = 0; k < 16; ++k) {
            const float dy = (cy - ((float)(top + k) + 0.5f)) / fy;
            float low = (float)x0 - 0.5f, high = (float)x1 - 0.5f;
            for (int e = 0; e < 3; ++e) {
                const float rest = b[e] * dy - c[e];
                const float u = cx - fx * (rest / a[e]) - 0.5f;
                low = ((a[e] > 0.0f) & (u > low)) ? u : low;
                high = ((a[e] < 0.0f) & (u < high)) ? u : high;
                high = ((a[e] == 0.0f) & !(rest >= 0.0f)) ? -1.0f : high;
            }
            low = low < (float)x1 ? low : (float)x1;
            high = high > (float)x0 - 1.5f ? high : (float)x0 - 1.5f;
            begins[k] = (int)ceilf(low);
            ends[k] = (int)floorf(high);
            const int left = fabsf(floorf(low + 0.5f) - low) < 0.01f;
            const int right = fabsf(floorf(high + 0.5f) - high) < 0.01f;
            near[k] = left | (right << 1);
        }
        unsigned* row = (unsigned*)bits.data + word + (top - y0) * words;
        for (int k = 0; k < 16 && top + k < y1; ++k, row += words) {
            int begin = begins[k], end = ends[k];
            if (near[k]) {
                const float dy = (cy - ((float)(top + k) + 0.5f)) / fy;
                if (near[k] & 1) while (begin > x0 && begin > begins[k] - 2) --begin;
                if (near[k] & 2) while (end < x1 - 1 && end < ends[k] + 2) ++end;
                for (; begin <= end; ++begin) {
                    const float dx = ((float)begin + 0.5f - cx) / fx;
                    bool in = true;
                    for (int e = 0; e < 3; ++e) in &= !(a[e] > 0.0f) | (a[e] * dx + (b[e] * dy - c[e]) >= 0.0f);
                    if (in) break;
                }
                for (; end >= begin; --end) {
                    const float dx = ((float)end + 0.5f - cx) / fx;
                    bool in = true;
                    for (int e = 0; e < 3; ++e) in &= !(a[e] < 0.0f) | (a[e] * dx + (b[e] * dy - c[e]) >= 0.0f);
                    if (in) break;
                }
            }
            if (begin > end) continue;
            const int last = end >> 5;
            unsigned mask = 0xffffffffu << (begin & 31);
            for (int at = begin >> 5; at <= last; ++at) {
                if (at == last) mask &= 0xffffffffu >> (31 - (end & 31));
            #if defined(__CUDA_ARCH__)
                atomicOr(row + at, mask);
            #else
                row[at] |= mask;
            #endif
                mask = 0xffffffffu;
            }
        }
    }
""")
def _set_rows(
    ea: wp.vec3,
    eb: wp.vec3,
    ec: wp.vec3,
    view: View,
    x0: wp.int32,
    x1: wp.int32,
    y0: wp.int32,
    y1: wp.int32,
    word: wp.int32,
    words: wp.int32,
    bits: wp.array(dtype=wp.uint32),
):
    """Set the bits of what lies inside three edges; column 0 of row y0 is at ``word``, and a row has ``words``."""


@wp.func_native("""
    unsigned* at = (unsigned*)bits.data + word + (x >> 5);
    #if defined(__CUDA_ARCH__)
        atomicOr(at, 1u << (x & 31));
    #else
        *at |= 1u << (x & 31);
    #endif
""")
def _set_bit(bits: wp.array(dtype=wp.uint32), word: wp.int32, x: wp.int32):
    """Set the bit of column x in the row of bits that starts at ``word``."""


@wp.func_native("""
    const unsigned* row = (const unsigned*)bits.data + word;
    int count = 0, least = -1, greatest = -1;
    for (int at = 0; at < length; ++at) {
        const unsigned some = row[at];
        if (some == 0) continue;
    #if defined(__CUDA_ARCH__)
        count += __popc(some);
        const int low = __ffs(some) - 1, high = 31 - __clz(some);
    #else
        count += __builtin_popcount(some);
        const int low = __builtin_ctz(some), high = 31 - __builtin_clz(some);
    #endif
        if (least < 0) least = 32 * at + low;
        greatest = 32 * at + high;
    }
    return wp::vec_t<3, wp::int32>(count, least, greatest);
""")
def _measure_bits(bits: wp.array(dtype=wp.uint32), word: wp.int32, length: wp.int32) -> wp.vec3i:
    """Number of bits set in a row of words, and the columns of the first and the last; -1 where there is none."""


@wp.kernel
def _cover_kernel(
    row_start: wp.int32,
    row_end: wp.int32,
    run: wp.int32,
    picked: wp.array(dtype=wp.int32),  # triangles of this batch
    boxes: wp.array(dtype=wp.vec4i),  # [F]: x0, x1, y0, y1 of each triangle, half-open
    careful: wp.int32,  # whether the triangles have holes
    groups: wp.array(dtype=wp.int32),  # [N]: slot of each instance in this batch
    corners: wp.array(dtype=wp.vec4i),  # [G]: first row, first column / 32, words a row and first word of each mask
    world: WorldArrays,
    points: wp.array(dtype=wp.vec3),  # the world's, in camera space
    view: View,
    bits_out: wp.array(dtype=wp.uint32),
):
    # A row belongs to one thread, or its bits are set atomically.
    for index in range(wp.tid() * run, wp.min((wp.tid() + 1) * run, picked.shape[0])):
        f = picked[index]
        box = boxes[f]
        y0 = wp.max(box[2], row_start)
        y1 = wp.min(box[3], row_end)
        if y0 >= y1:
            continue
        a = points[world.triangles[3 * f]]
        zb = points[world.triangles[3 * f + 1]][2]
        zc = points[world.triangles[3 * f + 2]][2]
        between = -wp.max(a[2], wp.max(zb, zc)) >= view.near and -wp.min(a[2], wp.min(zb, zc)) <= view.far
        corner = corners[groups[world.instances[f]]]
        word = corner[3] + (y0 - corner[0]) * corner[2] - corner[1]
        if between and careful == 0:
            ea, eb, ec = edges_of(world, f, points)
            side = wp.sign(wp.dot(ea, a))
            _set_rows(ea * side, eb * side, ec * side, view, box[0], box[1], y0, y1, word, corner[2], bits_out)
            continue
        plane = plane_of(world, f, points, view)
        for y in range(y0, y1):
            for x in range(box[0], box[1]):
                ray = pinhole_ray(view, x, y)
                t = depth_on(plane, ray)
                solid = t > 0.0 and t >= view.near and t <= view.far
                if solid and careful == 1:
                    solid = is_seen(world, f, wp.transform_point(view.camera_to_world, ray * t))
                if solid:
                    _set_bit(bits_out, word + (y - y0) * corner[2], x)


@wp.kernel
def _measure_kernel(
    first: wp.int32,
    rows: wp.array(dtype=wp.vec2i),  # [R]: first word and number of words
    bits: wp.array(dtype=wp.uint32),
    spans_out: wp.array(dtype=wp.vec3i),  # [R]: number of columns, the first and the last
):
    r = first + wp.tid()
    spans_out[r] = _measure_bits(bits, rows[r][0], rows[r][1])


@wp.kernel
def _cast_through_kernel(
    first: wp.int32,
    groups: wp.array(dtype=wp.int32),  # [N]: slot of each instance in this batch, -1 for none
    words: wp.int32,  # of a row; each belongs to one thread
    world: WorldArrays,
    view: View,
    bits_out: wp.array(dtype=wp.uint32),
):
    item = first + wp.tid()
    y = item // words
    begin = (item - y * words) * 32
    for x in range(begin, wp.min(begin + 32, view.width)):
        start, direction, length = world_ray(view, wp.float32(x) + 0.5, wp.float32(y) + 0.5)
        travelled = view.near * length
        for _layer in range(4096):
            if length == 0.0:
                break
            left = view.far * length - travelled
            query = wp.mesh_query_ray(world.mesh, start + direction * travelled, direction, left)
            if not query.result:
                break
            f = query.face
            slot = groups[world.instances[f]]
            if slot >= 0:
                side = world.sides[world.instances[f]]
                _a, n = corner_and_normal(world, f)
                faced = side == 0 or wp.float32(side) * wp.dot(n, direction) < 0.0
                if faced and is_seen(world, f, start + direction * (travelled + query.t)):
                    _set_bit(bits_out, (slot * view.height + y) * words, x)
            travelled = travelled + query.t + 1.0e-5 * (1.0 + travelled)


def silhouettes(
    bands: Bands, world: World, view: Any, groups: np.ndarray, count: int, raster: Rasteriser
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many pixels each group of instances covers alone, and the box of these pixels.

    A pixel counts where the ray through its centre meets a drawn side of the group between near and far. Pinholes are
    rasterised, other lenses see by rays, which miss what lies within a hundredth of a millimetre behind another thing.

    Args:
        bands: Where to launch.
        world: The placed world.
        view: The camera.
        groups: Group of each instance, -1 for none, int, shape [N].
        count: Number of groups.
        raster: The world's rasteriser; cheapest right after it drew the same view.

    Returns:
        Pixels, int64, shape [G]; inclusive boxes x_min, y_min, x_max, y_max [px], int32, shape [G, 4], -1 where empty.
    """
    groups = np.asarray(groups, np.int64)
    if view.lens == int(PINHOLE):
        return _rasterised(bands, world, view, groups, count, raster)
    return _cast(bands, world, view, groups, count)


def _cast(bands: Bands, world: World, view: Any, groups: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Find silhouettes by rays, with a mask of the whole picture for each group."""
    pixels, extents = np.zeros(count, np.int64), np.full((count, 4), -1, np.int32)
    arrays, words = world.ray_ready(), (view.width + 31) // 32
    size = view.height * words
    for batch in _batches(np.full(count, 4 * size)):
        if not len(batch):
            continue
        slots = np.where((groups >= batch.start) & (groups < batch.stop), groups - batch.start, -1)
        bits = wp.zeros(len(batch) * size, dtype=wp.uint32, device=bands.device)
        inputs = [wp.array(slots.astype(np.int32), dtype=wp.int32, device=bands.device), words, arrays, view, bits]
        bands.launch(_cast_through_kernel, size, inputs, chunk=8)
        even = np.ones(len(batch), np.int64)
        places = (np.arange(len(batch)) * size, even * words, even * view.height)
        rows = slice(batch.start, batch.stop)
        pixels[rows], extents[rows] = _measured(bands, bits, places, (0 * even, 0 * even))
    return pixels, extents


def _rasterised(
    bands: Bands, world: World, view: Any, groups: np.ndarray, count: int, raster: Rasteriser
) -> tuple[np.ndarray, np.ndarray]:
    """Find silhouettes by drawing every triangle into the mask of its group, which is as large as the group's box."""
    pixels, extents = np.zeros(count, np.int64), np.full((count, 4), -1, np.int32)
    owners = groups[world.arrays.instances.numpy()]
    faces = np.flatnonzero((raster.bound(view) > 0) & (owners >= 0))
    faces = faces[np.argsort(owners[faces], kind="stable")]
    if not len(faces):
        return pixels, extents
    owners = owners[faces]
    starts = np.concatenate(([0], np.flatnonzero(owners[1:] != owners[:-1]) + 1))
    present, boxes = owners[starts], np.ascontiguousarray(raster.boxes.numpy()[faces].T)
    low = np.stack([np.minimum.reduceat(boxes[side], starts) for side in (0, 2)], axis=1)
    high = np.stack([np.maximum.reduceat(boxes[side], starts) for side in (1, 3)], axis=1)
    first = low[:, 0] >> 5
    wide, tall = ((high[:, 0] - 1) >> 5) - first + 1, (high - low)[:, 1]
    ends = np.append(starts[1:], len(faces))
    for batch in _batches(4 * wide.astype(np.int64) * tall):
        rows = np.arange(batch.start, batch.stop)
        words = wide[rows] * tall[rows]
        begin = np.cumsum(words) - words
        slot_of = np.full(count + 1, -1, np.int32)
        slot_of[present[rows]] = np.arange(len(rows))
        slots = slot_of[groups]  # -1 takes the last entry, which is -1
        corners = np.stack([low[rows, 1], first[rows], wide[rows], begin], axis=1)
        bits = wp.zeros(int(words.sum()), dtype=wp.uint32, device=bands.device)
        arrays = [
            wp.array(slots, dtype=wp.int32, device=bands.device),
            wp.array(np.ascontiguousarray(corners, np.int32), dtype=wp.vec4i, device=bands.device),
            world.arrays,
            raster.points,
            view,
            bits,
        ]
        picked = faces[starts[rows[0]] : ends[rows[-1]]]
        clear = np.zeros(len(picked), bool) if world.see_through is None else world.see_through[picked]
        for careful in (0, 1):
            raster.draw_rows(_cover_kernel, picked[clear == careful], view.height, [careful, *arrays])
        places = (begin, wide[rows], tall[rows])
        pixels[present[rows]], extents[present[rows]] = _measured(bands, bits, places, (low[rows, 1], 32 * first[rows]))
    return pixels, extents


def _measured(
    bands: Bands, bits: wp.array, places: tuple[np.ndarray, ...], corners: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Count and box the pixels of masks.

    Args:
        bands: Where to launch.
        bits: The masks.
        places: First word, words a row and rows of each mask, each of shape [G].
        corners: First row and first column of each mask in the picture [px], each of shape [G].

    Returns:
        Pixels [G], and inclusive boxes x_min, y_min, x_max, y_max [px], [G, 4]; -1 where empty.
    """
    begin, wide, tall = places
    tops = np.cumsum(tall) - tall
    own = np.repeat(np.arange(len(tall)), tall)
    down = np.arange(len(own)) - tops[own]
    rows = np.stack([begin[own] + down * wide[own], wide[own]], axis=1)
    rows = wp.array(np.ascontiguousarray(rows, np.int32), dtype=wp.vec2i, device=bands.device)
    spans = wp.empty(len(own), dtype=wp.vec3i, device=bands.device)
    bands.launch(_measure_kernel, len(own), [rows, bits, spans], chunk=1024)
    return _join(spans.numpy(), down, tops, *corners)


def _join(
    spans: np.ndarray, down: np.ndarray, tops: np.ndarray, top: np.ndarray, left: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Add up the rows of each mask.

    Args:
        spans: Number of columns, the first and the last of each row, shape [R, 3].
        down: How far each row lies below the first of its mask, shape [R].
        tops: Where the rows of each mask begin, shape [G].
        top: Row of the picture at which each mask begins [px], shape [G].
        left: Column of the picture at which each mask begins [px], shape [G].

    Returns:
        Pixels [G], and inclusive boxes x_min, y_min, x_max, y_max [px], [G, 4]; -1 where empty.
    """
    full, large = spans[:, 0] > 0, np.iinfo(np.int32).max
    pixels = np.add.reduceat(spans[:, 0].astype(np.int64), tops)
    sides = (
        left + np.minimum.reduceat(np.where(full, spans[:, 1], large - 65536), tops),
        top + np.minimum.reduceat(np.where(full, down, large - 65536), tops),
        left + np.maximum.reduceat(spans[:, 2], tops),
        top + np.maximum.reduceat(np.where(full, down, -1), tops),
    )
    return pixels, np.where((pixels > 0)[:, None], np.stack(sides, axis=1), -1)


def _batches(areas: np.ndarray) -> list[range]:
    """Split consecutive groups so that the masks of each part fit the room, or are one mask."""
    parts, start, room = [], 0, 0
    for row, area in enumerate(areas):
        if row > start and room + int(area) > _ROOM:
            parts.append(range(start, row))
            start, room = row, 0
        room += int(area)
    return [*parts, range(start, len(areas))]


__all__ = ["silhouettes"]
