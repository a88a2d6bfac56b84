"""What groups of instances would cover if nothing stood before them: every fragment counts, the nearest or not."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
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


@wp.kernel
def _cover_kernel(
    first: wp.int32,
    picked: wp.array(dtype=wp.int32),  # triangles of this batch
    boxes: wp.array(dtype=wp.vec4i),  # [F]: x0, x1, y0, y1 of each triangle, half-open
    groups: wp.array(dtype=wp.int32),  # [N]: slot of each instance in this batch
    corners: wp.array(dtype=wp.vec4i),  # [G]: x0, y0, width and first byte of each slot's mask
    world: WorldArrays,
    points: wp.array(dtype=wp.vec3),  # the world's, in camera space
    view: View,
    masks_out: wp.array(dtype=wp.uint8),
):
    # Several threads may write one byte, but all write 1.
    f = picked[first + wp.tid()]
    box = boxes[f]
    corner = corners[groups[world.instances[f]]]
    plane = plane_of(world, f, points, view)
    na = plane.na
    if na == 0.0:
        return
    ea = plane.ea
    eb = plane.eb
    ec = plane.ec
    n = plane.n
    for y in range(box[2], box[3]):
        dy = (view.cy - (wp.float32(y) + 0.5)) / view.fy
        ra = ea[1] * dy - ea[2]
        rb = eb[1] * dy - eb[2]
        rc = ec[1] * dy - ec[2]
        rn = n[1] * dy - n[2]
        row = corner[3] + (y - corner[1]) * corner[2] - corner[0]
        for x in range(box[0], box[1]):
            dx = (wp.float32(x) + 0.5 - view.cx) / view.fx
            if ea[0] * dx + ra >= 0.0 and eb[0] * dx + rb >= 0.0 and ec[0] * dx + rc >= 0.0:
                nd = n[0] * dx + rn
                if nd != 0.0:
                    t = na / nd
                    if t >= view.near and t <= view.far:
                        solid = True
                        if world.clear == 1:
                            solid = is_seen(
                                world, f, wp.transform_point(view.camera_to_world, wp.vec3(dx, dy, -1.0) * t)
                            )
                        if solid:
                            masks_out[row + x] = wp.uint8(1)


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


def silhouettes(bands: Bands, world: World, view: Any, groups: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how many pixels each group of instances covers alone, and the box of these pixels.

    A pixel counts where the ray through its centre meets a drawn side of the group between near and far. Pinholes are
    rasterised, other lenses see by rays, which miss what lies within a hundredth of a millimetre behind another thing.

    Args:
        bands: Where to launch.
        world: The placed world.
        view: The camera.
        groups: Group of each instance, -1 for none, int, shape [N].
        count: Number of groups.

    Returns:
        Pixels, int64, shape [G]; inclusive boxes x_min, y_min, x_max, y_max [px], int32, shape [G, 4], -1 where empty.
    """
    find = _rasterised if view.lens == int(PINHOLE) else _cast
    return find(bands, world, view, np.asarray(groups, np.int64), count)


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


def _rasterised(bands: Bands, world: World, view: Any, groups: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Find silhouettes by drawing every triangle into the mask of its group, which is as large as the group's box."""
    pixels, extents = np.zeros(count, np.int64), np.full((count, 4), -1, np.int32)
    raster = Rasteriser(world, bands)
    inside = raster.bound(view) > 0
    bounds = raster.boxes.numpy()[: world.num_triangles]
    owners = groups[world.arrays.instances.numpy()]
    faces = np.nonzero(inside & (owners >= 0))[0]
    faces = faces[np.argsort(owners[faces], kind="stable")]
    present, starts = np.unique(owners[faces], return_index=True)
    if not len(present):
        return pixels, extents
    low = np.minimum.reduceat(bounds[faces][:, (0, 2)], starts)
    high = np.maximum.reduceat(bounds[faces][:, (1, 3)], starts)
    areas = np.prod((high - low).astype(np.int64), axis=1)
    ends = np.append(starts[1:], len(faces))
    for batch in _batches(areas):
        rows = np.arange(batch.start, batch.stop)
        offsets = np.concatenate(([0], np.cumsum(areas[rows])))
        slot_of = np.full(count + 1, -1, np.int32)
        slot_of[present[rows]] = np.arange(len(rows))
        slots = slot_of[groups]  # -1 takes the last entry, which is -1
        corners = np.stack([low[rows, 0], low[rows, 1], (high - low)[rows, 0], offsets[:-1]], axis=1)
        masks = wp.zeros(int(offsets[-1]), dtype=wp.uint8, device=bands.device)
        picked = wp.array(faces[starts[rows[0]] : ends[rows[-1]]].astype(np.int32), dtype=wp.int32, device=bands.device)
        inputs = [
            picked,
            raster.boxes,
            wp.array(slots, dtype=wp.int32, device=bands.device),
            wp.array(np.ascontiguousarray(corners, np.int32), dtype=wp.vec4i, device=bands.device),
            world.arrays,
            raster.points,
            view,
            masks,
        ]
        bands.launch(_cover_kernel, len(picked), inputs, chunk=256)
        covered = masks.numpy()
        for slot, row in enumerate(rows):
            wide, high_ = (int(size) for size in high[row] - low[row])
            mask = covered[offsets[slot] : offsets[slot + 1]].reshape(high_, wide)
            pixels[present[row]], extents[present[row]] = _measure(mask, int(low[row, 0]), int(low[row, 1]))
    return pixels, extents


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
