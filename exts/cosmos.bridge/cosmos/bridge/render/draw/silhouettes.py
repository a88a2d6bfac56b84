"""What groups of instances would cover if nothing stood before them: every fragment counts, the nearest or not."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined, empty-body"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.matter import is_seen
from cosmos.bridge.render.draw.raster import Rasteriser, plane_of
from cosmos.bridge.render.draw.view import PINHOLE, View, pixel_ray, pixel_start
from cosmos.bridge.render.draw.world import World, WorldArrays

wp.set_module_options({"enable_backward": False})

_ROOM = 1 << 26
"""Most bytes of masks that are held at a time."""


@wp.func_native("""
    unsigned* row = (unsigned*)bits.data + word;
    const int last = x1 - 1;
    for (int at = x0 >> 5; at <= last >> 5; ++at) {
        unsigned mask = 0xffffffffu;
        if (at == x0 >> 5) mask &= 0xffffffffu << (x0 & 31);
        if (at == last >> 5) mask &= 0xffffffffu >> (31 - (last & 31));
    #if defined(__CUDA_ARCH__)
        atomicOr(row + at, mask);
    #else
        row[at] |= mask;
    #endif
    }
""")
def _set_bits(bits: wp.array(dtype=wp.uint32), word: wp.int32, x0: wp.int32, x1: wp.int32):
    """Set the bits of columns x0 to x1 (half-open, not empty) in the row of bits that starts at ``word``."""


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


@wp.func
def _crossing(a: wp.float32, rest: wp.float32, falls: wp.int32, x0: wp.int32, x1: wp.int32, view: View):
    """First column of [x0, x1] from which on an edge ``a dx + rest`` is (or, where it ``falls``, is not) inside.

    Rounding keeps a linear function monotonous, so what is inside along a row is one interval. The quotient is off by
    less than a hundredth of a pixel; nearer to a column than some of these the edge itself decides.
    """
    u = view.cx - view.fx * (rest / a) - 0.5
    if not (u > wp.float32(x0) - 1.0):
        return x0
    if not (u < wp.float32(x1)):
        return x1
    x = wp.int32(wp.floor(u + 0.5))
    over = wp.float32(x) - u
    if wp.abs(over) < 0.05:
        inside = a * ((wp.float32(x) + 0.5 - view.cx) / view.fx) + rest >= 0.0
        if inside == (falls == 1):
            x += 1
    elif over < 0.0:
        x += 1
    return wp.clamp(x, x0, x1)


@wp.func
def _narrow(span: wp.vec2i, a: wp.float32, rest: wp.float32, view: View):
    """Columns of a half-open span that lie inside an edge."""
    if a > 0.0:
        return wp.vec2i(_crossing(a, rest, 0, span[0], span[1], view), span[1])
    if a < 0.0:
        return wp.vec2i(span[0], _crossing(a, rest, 1, span[0], span[1], view))
    if a == 0.0 and rest >= 0.0:
        return span
    return wp.vec2i(span[1], span[1])


@wp.kernel
def _cover_kernel(
    row_start: wp.int32,
    row_end: wp.int32,
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
    f = picked[wp.tid()]
    box = boxes[f]
    y0 = wp.max(box[2], row_start)
    y1 = wp.min(box[3], row_end)
    if y0 >= y1:
        return
    plane = plane_of(world, f, points, view)
    na = plane.na
    if na == 0.0:
        return
    corner = corners[groups[world.instances[f]]]
    ea = plane.ea
    eb = plane.eb
    ec = plane.ec
    n = plane.n
    za = points[world.triangles[3 * f]][2]
    zb = points[world.triangles[3 * f + 1]][2]
    zc = points[world.triangles[3 * f + 2]][2]
    between = -wp.max(za, wp.max(zb, zc)) >= view.near and -wp.min(za, wp.min(zb, zc)) <= view.far
    for y in range(y0, y1):
        dy = (view.cy - (wp.float32(y) + 0.5)) / view.fy
        ra = ea[1] * dy - ea[2]
        rb = eb[1] * dy - eb[2]
        rc = ec[1] * dy - ec[2]
        span = _narrow(wp.vec2i(box[0], box[1]), ea[0], ra, view)
        span = _narrow(_narrow(span, eb[0], rb, view), ec[0], rc, view)
        x0 = span[0]
        x1 = span[1]
        word = corner[3] + (y - corner[0]) * corner[2] - corner[1]
        if between and careful == 0:
            if x0 < x1:
                _set_bits(bits_out, word, x0, x1)
        else:
            rn = n[1] * dy - n[2]
            for x in range(x0, x1):
                dx = (wp.float32(x) + 0.5 - view.cx) / view.fx
                nd = n[0] * dx + rn
                if nd != 0.0:
                    t = na / nd
                    solid = t >= view.near and t <= view.far
                    if solid and careful == 1:
                        solid = is_seen(world, f, wp.transform_point(view.camera_to_world, wp.vec3(dx, dy, -1.0) * t))
                    if solid:
                        _set_bits(bits_out, word, x, x + 1)


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
    world: WorldArrays,
    view: View,
    masks_out: wp.array2d(dtype=wp.uint8),  # [G, H * W]
):
    item = first + wp.tid()
    y = item // view.width
    x = item - y * view.width
    ray = pixel_ray(view, wp.float32(x) + 0.5, wp.float32(y) + 0.5)
    length = wp.length(ray)
    if length == 0.0:
        return
    direction = wp.normalize(wp.transform_vector(view.camera_to_world, ray))
    start = wp.transform_point(view.camera_to_world, pixel_start(view, wp.float32(x) + 0.5, wp.float32(y) + 0.5))
    travelled = view.near * length
    for _layer in range(4096):
        query = wp.mesh_query_ray(world.mesh, start + direction * travelled, direction, view.far * length - travelled)
        if not query.result:
            return
        f = query.face
        slot = groups[world.instances[f]]
        if slot >= 0:
            side = world.sides[world.instances[f]]
            a = world.points[world.triangles[3 * f]]
            n = wp.cross(world.points[world.triangles[3 * f + 1]] - a, world.points[world.triangles[3 * f + 2]] - a)
            faced = side == 0 or wp.float32(side) * wp.dot(n, direction) < 0.0
            if faced and is_seen(world, f, start + direction * (travelled + query.t)):
                masks_out[slot, item] = wp.uint8(1)
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
    size = view.width * view.height
    arrays = world.ray_ready()
    for batch in _batches(np.full(count, size)):
        slots = np.where((groups >= batch.start) & (groups < batch.stop), groups - batch.start, -1)
        masks = wp.zeros((max(1, len(batch)), size), dtype=wp.uint8, device=bands.device)
        inputs = [wp.array(slots.astype(np.int32), dtype=wp.int32, device=bands.device), arrays, view, masks]
        bands.launch(_cast_through_kernel, size, inputs)
        for group, mask in zip(batch, masks.numpy().reshape(-1, view.height, view.width), strict=False):
            pixels[group], extents[group] = _measure(mask, 0, 0)
    return pixels, extents


def _measure(mask: np.ndarray, left: int, top: int) -> tuple[int, tuple[int, int, int, int]]:
    """Count and box the pixels of a mask whose corner lies at ``left``, ``top``."""
    across, down = np.nonzero(mask.any(axis=0))[0], np.nonzero(mask.any(axis=1))[0]
    if not len(across):
        return 0, (-1, -1, -1, -1)
    box = (left + int(across[0]), top + int(down[0]), left + int(across[-1]), top + int(down[-1]))
    return int(mask.sum(dtype=np.int64)), box


def _rasterised(
    bands: Bands, world: World, view: Any, groups: np.ndarray, count: int, raster: Rasteriser
) -> tuple[np.ndarray, np.ndarray]:
    """Find silhouettes by drawing every triangle into the mask of its group, which is as large as the group's box."""
    pixels, extents = np.zeros(count, np.int64), np.full((count, 4), -1, np.int32)
    inside = raster.bound(view) > 0
    bounds = raster.boxes.numpy()[: world.num_triangles]
    owners = groups[world.arrays.instances.numpy()]
    faces = np.flatnonzero(inside & (owners >= 0))
    faces = faces[np.argsort(owners[faces], kind="stable")]
    present, starts = np.unique(owners[faces], return_index=True)
    if not len(present):
        return pixels, extents
    boxes = bounds[faces]
    low = np.minimum.reduceat(boxes[:, (0, 2)], starts)
    high = np.maximum.reduceat(boxes[:, (1, 3)], starts)
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
        tops = np.cumsum(tall[rows]) - tall[rows]
        own = np.repeat(np.arange(len(rows)), tall[rows])
        down = np.arange(len(own)) - tops[own]
        places = np.stack([begin[own] + down * wide[rows][own], wide[rows][own]], axis=1)
        spans = wp.empty(len(own), dtype=wp.vec3i, device=bands.device)
        places = wp.array(np.ascontiguousarray(places, np.int32), dtype=wp.vec2i, device=bands.device)
        bands.launch(_measure_kernel, len(own), [places, bits, spans], chunk=1024)
        pixels[present[rows]], extents[present[rows]] = _join(spans.numpy(), down, tops, low[rows, 1], 32 * first[rows])
    return pixels, extents


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
