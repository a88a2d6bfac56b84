"""The rasteriser of the CPU: opaque triangles into depths, near ones first, skipping what lies behind whole tiles.

A row band belongs to one thread, which draws its triangles one after the other, so plain reads and writes are safe;
not for CUDA. A triangle is passed over in a tile only where it lies behind the farthest pixel of the tile: what is seen
depends neither on the order nor on the bands.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined, call-overload"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.planes import plane_from
from cosmos.bridge.render.draw.view import ORTHOGRAPHIC, View
from cosmos.bridge.render.draw.world import World, WorldArrays

wp.set_module_options({"enable_backward": False})

FAR_AWAY = wp.constant(wp.float32(1.0e30))
"""Depth of a pixel that sees nothing; finite, so that fast arithmetic stays safe."""

TILE = 8
"""Side of a tile [px]; bands start at multiples of it."""
_TILE = wp.constant(wp.int32(TILE))
_LARGE = wp.constant(wp.int32(256))
"""Pixels of a bounding box from which a triangle is drawn tile by tile."""
_SLACK = wp.constant(wp.float32(2.0e-6))
"""Share of a sum's terms by which its rounded value may be off."""


@wp.struct
class Plane:
    """One triangle in camera space as linear functions of a ray (x, y, -1); their common factor is the depth's."""

    ea: wp.vec3  # edge functions, >= 0 inside
    eb: wp.vec3
    ec: wp.vec3
    n: wp.vec3  # normal, not unit
    na: wp.float32  # distance from the eye times the normal's length; depth = na / (n . ray)


@wp.func
def ordered_cross(i: wp.int32, p: wp.vec3, j: wp.int32, q: wp.vec3):
    """Cross product that is exactly antisymmetric, so that neighbours agree on their common edge."""
    if i < j:
        return wp.cross(p, q)
    return -wp.cross(q, p)


@wp.func
def edges_of(world: WorldArrays, f: wp.int32, points: wp.array(dtype=wp.vec3)):
    """Edge functions of triangle ``f``, of which all are >= 0 or all <= 0 inside; ``points`` are in camera space."""
    i = world.triangles[3 * f]
    j = world.triangles[3 * f + 1]
    k = world.triangles[3 * f + 2]
    a = points[i]
    b = points[j]
    c = points[k]
    return ordered_cross(j, b, k, c), ordered_cross(k, c, i, a), ordered_cross(i, a, j, b)


@wp.func
def plane_of(world: WorldArrays, f: wp.int32, points: wp.array(dtype=wp.vec3), view: View):
    """Triangle ``f`` in camera space; ``points`` are the world's points in camera space.

    Its plane is taken from world space, whose points have not been rounded once more by turning.
    """
    found = plane_from(world, f, view.eye)
    plane = Plane()
    plane.n = wp.transform_vector(view.world_to_camera, wp.vec3(found[0], found[1], found[2]))
    plane.na = found[3]
    if view.lens == ORTHOGRAPHIC:  # the same plane after the map of parallel.as_pinhole
        depth = plane.n[2]
        plane.n = wp.vec3(plane.n[0], plane.n[1], view.limit * depth + plane.na)
        plane.na = -depth
    sign = wp.sign(plane.na)
    ea, eb, ec = edges_of(world, f, points)
    plane.ea = sign * ea
    plane.eb = sign * eb
    plane.ec = sign * ec
    return plane


@wp.func
def pinhole_ray(view: View, x: wp.int32, y: wp.int32):
    """The ray of a pinhole through a pixel's centre, one metre deep."""
    return wp.vec3((wp.float32(x) + 0.5 - view.cx) / view.fx, (view.cy - wp.float32(y) - 0.5) / view.fy, -1.0)


@wp.func
def depth_on(plane: Plane, ray: wp.vec3):
    """Depth at which a ray meets a triangle, -1 where it misses."""
    nd = wp.dot(plane.n, ray)
    if nd != 0.0 and wp.dot(plane.ea, ray) >= 0.0 and wp.dot(plane.eb, ray) >= 0.0 and wp.dot(plane.ec, ray) >= 0.0:
        return plane.na / nd
    return wp.float32(-1.0)


@wp.func
def _grow(box: wp.vec4, p: wp.vec3, view: View):
    u = view.cx - view.fx * p[0] / p[2]
    v = view.cy + view.fy * p[1] / p[2]
    return wp.vec4(wp.min(box[0], u), wp.max(box[1], u), wp.min(box[2], v), wp.max(box[3], v))


@wp.func
def _grow_by_edge(box: wp.vec4, p: wp.vec3, q: wp.vec3, limit: wp.float32, view: View):
    """Extend ``box`` by the end ``p`` and by the crossing of the near plane ``z = limit`` on the edge ``p q``."""
    grown = box
    if p[2] <= limit:
        grown = _grow(grown, p, view)
    if (p[2] <= limit) != (q[2] <= limit):
        s = (limit - p[2]) / (q[2] - p[2])
        grown = _grow(grown, wp.vec3(p[0] + s * (q[0] - p[0]), p[1] + s * (q[1] - p[1]), limit), view)
    return grown


@wp.kernel
def _to_camera_kernel(first: wp.int32, points: wp.array(dtype=wp.vec3), view: View, out: wp.array(dtype=wp.vec3)):
    i = first + wp.tid()
    p = wp.transform_point(view.world_to_camera, points[i])
    if view.lens == ORTHOGRAPHIC:  # of parallel.as_pinhole
        share = 1.0 / (view.limit + p[2])
        p = wp.vec3(p[0] * share, p[1] * share, -share)
    out[i] = p


@wp.kernel
def _bound_kernel(
    first: wp.int32,
    world: WorldArrays,
    points: wp.array(dtype=wp.vec3),
    view: View,
    boxes_out: wp.array(dtype=wp.vec4i),
    nearest_out: wp.array(dtype=wp.float32),
    kinds_out: wp.array(dtype=wp.uint8),
):
    """Box in pixels, least depth and kind (0 not in the picture, 1 small, 2 large) of each triangle."""
    f = first + wp.tid()
    kinds_out[f] = wp.uint8(0)
    side = world.sides[world.instances[f]]
    if side < -1:
        return
    a = points[world.triangles[3 * f]]
    b = points[world.triangles[3 * f + 1]]
    c = points[world.triangles[3 * f + 2]]
    limit = -view.near
    highest = wp.max(a[2], wp.max(b[2], c[2]))
    if wp.min(a[2], wp.min(b[2], c[2])) > limit:
        return
    if side != 0 and wp.float32(side) * wp.dot(wp.cross(b - a, c - a), a) >= 0.0:
        return
    box = wp.vec4(1.0e30, -1.0e30, 1.0e30, -1.0e30)
    if highest <= limit:
        box = _grow(_grow(_grow(box, a, view), b, view), c, view)
    else:
        box = _grow_by_edge(box, a, b, limit, view)
        box = _grow_by_edge(box, b, c, limit, view)
        box = _grow_by_edge(box, c, a, limit, view)
    width = wp.float32(view.width)
    height = wp.float32(view.height)
    # Pixels whose centre lies in the box, with room for rounding; most tiny triangles hold none.
    x0 = wp.int32(wp.clamp(wp.ceil(box[0] - 0.52), 0.0, width))
    x1 = wp.int32(wp.clamp(wp.floor(box[1] - 0.48) + 1.0, 0.0, width))
    y0 = wp.int32(wp.clamp(wp.ceil(box[2] - 0.52), 0.0, height))
    y1 = wp.int32(wp.clamp(wp.floor(box[3] - 0.48) + 1.0, 0.0, height))
    if x1 > x0 and y1 > y0:
        boxes_out[f] = wp.vec4i(x0, x1, y0, y1)
        nearest_out[f] = wp.max(view.near, -highest) * 0.99999
        kinds_out[f] = wp.uint8(1)
        if (x1 - x0) * (y1 - y0) > _LARGE:
            kinds_out[f] = wp.uint8(2)


@wp.func_native("""
    float* __restrict depth = (float*)((char*)depths.data + (size_t)y * depths.strides[0]);
    int* __restrict triangle = (int*)((char*)triangles.data + (size_t)y * triangles.strides[0]);
    for (int x = 0; x < depths.shape[1]; ++x) depth[x] = 1.0e30f;  // FAR_AWAY
    for (int x = 0; x < depths.shape[1]; ++x) triangle[x] = -1;
""")
def _clear(y: wp.int32, depths: wp.array2d(dtype=wp.float32), triangles: wp.array2d(dtype=wp.int32)):
    """See nothing in a row. Written so that a compiler vectorises."""


@wp.kernel
def _clear_kernel(
    first: wp.int32,
    depths_out: wp.array2d(dtype=wp.float32),
    triangles_out: wp.array2d(dtype=wp.int32),
    tiles_out: wp.array2d(dtype=wp.float32),
):
    y = first + wp.tid()
    _clear(y, depths_out, triangles_out)
    if y % _TILE == 0:
        for column in range(tiles_out.shape[1]):
            tiles_out[y // _TILE, column] = FAR_AWAY


@wp.func_native("""
    const float na = plane.na, near = view.near, far = view.far;
    const float a0 = plane.ea[0], b0 = plane.eb[0], c0 = plane.ec[0], n0 = plane.n[0];
    float dy, ra, rb, rc, rn;
    float* __restrict depth;
    int* __restrict triangle;
    auto begin = [&](int y) {
        depth = (float*)((char*)depths.data + (size_t)y * depths.strides[0]) + x0;
        triangle = (int*)((char*)triangles.data + (size_t)y * triangles.strides[0]) + x0;
        dy = (view.cy - ((float)y + 0.5f)) / view.fy;
        ra = plane.ea[1] * dy - plane.ea[2], rb = plane.eb[1] * dy - plane.eb[2];
        rc = plane.ec[1] * dy - plane.ec[2], rn = plane.n[1] * dy - plane.n[2];
    };
    auto draw = [&](int k, int deepest) {  // depths are positive: their bits sort as they do
        const float dx = ((float)(x0 + k) + 0.5f - view.cx) / view.fx;
        const float t = na / (n0 * dx + rn);
        const float old = depth[k];
        const int before = triangle[k];
        const bool inside = (a0 * dx + ra >= 0.0f) & (b0 * dx + rb >= 0.0f) & (c0 * dx + rc >= 0.0f);
        const bool nearer = (t < old) | ((t == old) & (f < before));
        const bool drawn = inside & nearer & (t >= near) & (t <= far);
        const float now = drawn ? t : old;
        depth[k] = now;
        triangle[k] = drawn ? f : before;
        int bits;
        memcpy(&bits, &now, 4);
        return bits > deepest ? bits : deepest;
    };
    int most = 0;
    if (x1 - x0 == 8) {  // a row whose length is known takes one instruction for all its pixels
        int deepest[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        for (int y = y0; y < y1; ++y) {
            begin(y);
            for (int k = 0; k < 8; ++k) deepest[k] = draw(k, deepest[k]);
        }
        for (int k = 0; k < 8; ++k) most = deepest[k] > most ? deepest[k] : most;
    } else {
        for (int y = y0; y < y1; ++y) {
            begin(y);
            for (int k = 0; k < x1 - x0; ++k) most = draw(k, most);
        }
    }
    float farthest;
    memcpy(&farthest, &most, 4);
    return farthest;
""")
def _fill(
    plane: Plane,
    f: wp.int32,
    view: View,
    x0: wp.int32,
    x1: wp.int32,
    y0: wp.int32,
    y1: wp.int32,
    depths: wp.array2d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
) -> wp.float32:
    """Draw triangle ``f`` into a rectangle; return its greatest depth after. Written so that a compiler vectorises."""


@wp.func
def _most(e: wp.vec3, x0: wp.float32, x1: wp.float32, y0: wp.float32, y1: wp.float32):
    """Greatest value of ``e . (x, y, -1)`` over a rectangle."""
    return wp.max(e[0] * x0, e[0] * x1) + wp.max(e[1] * y0, e[1] * y1) - e[2]


@wp.func
def _size(e: wp.vec3, x: wp.float32, y: wp.float32):
    """Sum of the terms' sizes of ``e . (x, y, -1)``."""
    return wp.abs(e[0]) * x + wp.abs(e[1]) * y + wp.abs(e[2])


@wp.kernel
def _draw_large_kernel(
    row_start: wp.int32,
    row_end: wp.int32,
    run: wp.int32,
    drawn: wp.array(dtype=wp.int32),
    boxes: wp.array(dtype=wp.vec4i),
    nearest: wp.array(dtype=wp.float32),
    world: WorldArrays,
    points: wp.array(dtype=wp.vec3),
    view: View,
    tiles: wp.array2d(dtype=wp.float32),
    depths: wp.array2d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
):
    """Draw triangles tile by tile, and keep the greatest depth of each tile they draw into."""
    for index in range(wp.tid() * run, wp.min((wp.tid() + 1) * run, drawn.shape[0])):
        f = drawn[index]
        box = boxes[f]
        top = wp.max(box[2], row_start)
        bottom = wp.min(box[3], row_end)
        if top >= bottom:
            continue
        plane = plane_of(world, f, points, view)
        na = plane.na
        if na == 0.0:
            continue
        ea = plane.ea
        eb = plane.eb
        ec = plane.ec
        closeness = plane.n / na  # inverse depth as a function of the ray
        reach_x = wp.max(view.cx, wp.float32(view.width) - view.cx) / view.fx
        reach_y = wp.max(view.cy, wp.float32(view.height) - view.cy) / view.fy
        slack_a = _SLACK * _size(ea, reach_x, reach_y)
        slack_b = _SLACK * _size(eb, reach_x, reach_y)
        slack_c = _SLACK * _size(ec, reach_x, reach_y)
        slack_w = _SLACK * _size(closeness, reach_x, reach_y)
        least = nearest[f]
        for row in range(top // _TILE, (bottom + _TILE - 1) // _TILE):
            y_low = row * _TILE
            y_high = wp.min(y_low + _TILE, row_end)
            dy0 = (view.cy - (wp.float32(y_high) - 0.5)) / view.fy
            dy1 = (view.cy - (wp.float32(y_low) + 0.5)) / view.fy
            for column in range(box[0] // _TILE, (box[1] + _TILE - 1) // _TILE):
                farthest = tiles[row, column]
                x_low = column * _TILE
                x_high = wp.min(x_low + _TILE, view.width)
                dx0 = (wp.float32(x_low) + 0.5 - view.cx) / view.fx
                dx1 = (wp.float32(x_high) - 0.5 - view.cx) / view.fx
                closest = _most(closeness, dx0, dx1, dy0, dy1) + slack_w
                hidden = least > farthest or closest * farthest < 1.0
                if (
                    not hidden
                    and _most(ea, dx0, dx1, dy0, dy1) >= -slack_a
                    and _most(eb, dx0, dx1, dy0, dy1) >= -slack_b
                    and _most(ec, dx0, dx1, dy0, dy1) >= -slack_c
                ):
                    tiles[row, column] = _fill(plane, f, view, x_low, x_high, y_low, y_high, depths, triangles)


@wp.kernel
def _draw_small_kernel(
    row_start: wp.int32,
    row_end: wp.int32,
    run: wp.int32,
    drawn: wp.array(dtype=wp.int32),
    boxes: wp.array(dtype=wp.vec4i),
    nearest: wp.array(dtype=wp.float32),
    world: WorldArrays,
    points: wp.array(dtype=wp.vec3),
    view: View,
    tiles: wp.array2d(dtype=wp.float32),
    depths: wp.array2d(dtype=wp.float32),
    triangles: wp.array2d(dtype=wp.int32),
):
    """Draw triangles pixel by pixel, but those that lie behind every tile they touch."""
    for index in range(wp.tid() * run, wp.min((wp.tid() + 1) * run, drawn.shape[0])):
        f = drawn[index]
        box = boxes[f]
        y0 = wp.max(box[2], row_start)
        y1 = wp.min(box[3], row_end)
        if y0 >= y1:
            continue
        least = nearest[f]
        hidden = bool(True)
        for row in range(y0 // _TILE, (y1 + _TILE - 1) // _TILE):
            for column in range(box[0] // _TILE, (box[1] + _TILE - 1) // _TILE):
                if least <= tiles[row, column]:
                    hidden = bool(False)
        if hidden:
            continue
        plane = plane_of(world, f, points, view)
        na = plane.na
        if na == 0.0:
            continue
        _fill(plane, f, view, box[0], box[1], y0, y1, depths, triangles)


class Rasteriser:
    """Draws the opaque triangles of a world as a pinhole sees them; keeps its scratch memory between frames."""

    def __init__(self, world: World, bands: Bands):
        """Make room for the triangles of ``world``."""
        self._world, self._bands = world, bands
        room, device = max(1, world.num_triangles), bands.device
        self.boxes = wp.empty(room, dtype=wp.vec4i, device=device)
        """Columns and rows ``x0, x1, y0, y1`` of each triangle in the picture [px]."""
        self._nearest = wp.empty(room, dtype=wp.float32, device=device)
        self._kinds = wp.zeros(room, dtype=wp.uint8, device=device)
        self.points = wp.empty(len(world.arrays.points), dtype=wp.vec3, device=device)
        """The world's points in camera space of the picture drawn last [m]."""
        self._tiles: dict[tuple[int, int], wp.array] = {}
        self._bound: tuple[Any, int] = (None, -1)

    def draw(self, view: Any, depths: wp.array, triangles: wp.array) -> np.ndarray:
        """Fill ``depths`` and ``triangles`` with what is nearest of the opaque triangles.

        Args:
            view: Pinhole view, or ``parallel.as_pinhole`` of an orthographic one.
            depths: Distance to the image plane [m], float32, shape [height, width]; FAR_AWAY where nothing is.
            triangles: int32, shape [height, width]; -1 where nothing is.

        Returns:
            Triangles in the picture that may be seen through and are not drawn, shape [K].
        """
        bands, world = self._bands, self._world
        shape = (-(-view.height // TILE), -(-view.width // TILE))
        if shape not in self._tiles:
            self._tiles[shape] = wp.empty(shape, dtype=wp.float32, device=bands.device)
        tiles, arrays = self._tiles[shape], world.arrays
        bands.launch(_clear_kernel, view.height, [depths, triangles, tiles], chunk=64)
        kinds = self.bound(view)
        left_out = np.zeros(0, dtype=np.int64)
        if world.see_through is not None:
            left_out = np.flatnonzero((kinds > 0) & world.see_through)
            kinds = np.where(world.see_through, np.uint8(0), kinds)
        large = np.flatnonzero(kinds == 2)
        large = large[np.argsort(self._nearest.numpy()[large], kind="stable")]
        for kernel, drawn in ((_draw_large_kernel, large), (_draw_small_kernel, np.flatnonzero(kinds == 1))):
            inputs = [self._nearest, arrays, self.points, view, tiles, depths, triangles]
            self.draw_rows(kernel, drawn, view.height, inputs)
        return left_out

    def bound(self, view: Any) -> np.ndarray:
        """Fill ``points`` and, of the triangles in the picture, ``boxes``; they last until another view is drawn.

        Returns:
            0 for a triangle that is not in the picture, 1 for a small, 2 for a large one; uint8, shape [F].
        """
        bands, world, arrays = self._bands, self._world, self._world.arrays
        if self._bound[0] is not view or self._bound[1] != world.version:
            self._bound = (view, world.version)
            bands.launch(_to_camera_kernel, len(self.points), [arrays.points, view, self.points], chunk=4096)
            bounds = [arrays, self.points, view, self.boxes, self._nearest, self._kinds]
            bands.launch(_bound_kernel, world.num_triangles, bounds, chunk=4096)
        return np.asarray(self._kinds.numpy()[: world.num_triangles])

    def draw_rows(self, kernel: Any, drawn: np.ndarray, height: int, inputs: list) -> None:
        """Launch ``kernel`` on the triangles ``drawn`` in bands of rows; each band belongs to one thread.

        On the CPU one item of a launch works through all triangles: to start an item takes as long as a small triangle.
        """
        if len(drawn) == 0:
            return
        bands = self._bands
        bands.load(kernel)
        rows = -(-height // TILE)
        count = min(bands.threads * 2, rows) if bands.threads > 1 else 1
        edges = [min(height, TILE * (rows * band // count)) for band in range(count + 1)]
        order = wp.array(drawn.astype(np.int32), dtype=wp.int32, device=bands.device, copy=False)
        run = 1 if bands.device.is_cuda else len(drawn)
        bands.run(kernel, [(len(drawn) // run, band) for band in pairwise(edges)], [run, order, self.boxes, *inputs])


__all__ = ["FAR_AWAY", "Plane", "Rasteriser", "depth_on", "edges_of", "pinhole_ray", "plane_of"]
