"""Edges of the interactive picture: a sub-sample takes the colour of a neighbouring pixel that shows the same face.

Only what no centre nearby shows, such as a wire thinner than a pixel, is read and shaded anew.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

import warp as wp

from cosmos.bridge.render.draw.surface import Surfaces
from cosmos.bridge.render.draw.world import WorldArrays

wp.set_module_options({"enable_backward": False})


@wp.func
def _shows(world: WorldArrays, home: Surfaces, i: wp.int32, f: wp.int32, depth: wp.float32):
    """Whether the centre of pixel ``i`` shows triangle ``f``, or one beside it that lies as flat."""
    there = home.triangles[i]
    if there == f:
        return True
    if there < 0 or f < 0:  # on its own: older Warps read both sides of `or`
        return False
    if world.instances[there] != world.instances[f]:
        return False
    if wp.abs(depth - home.depths[i]) > 4.0 * home.gloss[i][3] + 0.002 * depth:
        return False
    a = world.points[world.triangles[3 * f]]
    b = world.points[world.triangles[3 * f + 1]]
    c = world.points[world.triangles[3 * f + 2]]
    normal = wp.cross(b - a, c - a)
    cosine = wp.dot(normal, home.geometric[i])
    return cosine * cosine > 0.9 * wp.dot(normal, normal)


@wp.func
def _lender(
    s: wp.int32,
    i: wp.int32,
    width: wp.int32,
    side: wp.int32,
    fine_triangles: wp.array2d(dtype=wp.int32),
    fine_depths: wp.array2d(dtype=wp.float32),
    world: WorldArrays,
    home: Surfaces,
):
    """A pixel next to ``i`` that shows what sample ``s`` of ``i`` shows; -1 where there is none."""
    k = s % (side * side)
    y = i // width
    x = i - y * width
    height = home.triangles.shape[0] // width
    down = k // side
    right = k % side
    f = fine_triangles[side * y + down, side * x + right]
    depth = fine_depths[side * y + down, side * x + right]
    # The pixel itself, the three on the sample's side, then the other five.
    towards_y = 2 * (2 * down // side) - 1
    towards_x = 2 * (2 * right // side) - 1
    found = wp.int32(-1)
    order = wp.int32(0)
    while order < 9 and found < 0:
        dy = order // 3
        dx = order % 3
        if dy == 1:
            dy = towards_y
        elif dy == 2:
            dy = -towards_y
        if dx == 1:
            dx = towards_x
        elif dx == 2:
            dx = -towards_x
        yy = y + dy
        xx = x + dx
        if yy >= 0 and yy < height and xx >= 0 and xx < width:
            j = yy * width + xx
            if _shows(world, home, j, f, depth):
                found = j
        order += 1
    return found


@wp.func
def _alike(world: WorldArrays, f: wp.int32, depth: wp.float32, e: wp.int32, before: wp.float32):
    """Whether two samples of one pixel show one triangle, or two of one thing that lie about as deep."""
    if e == f:
        return True
    if e < 0 or f < 0:
        return False
    if world.instances[e] != world.instances[f]:
        return False
    return wp.abs(depth - before) < 0.002 * depth


@wp.kernel
def find_lenders_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    width: wp.int32,
    side: wp.int32,
    pixels: wp.array(dtype=wp.int32),
    fine_triangles: wp.array2d(dtype=wp.int32),
    fine_depths: wp.array2d(dtype=wp.float32),
    world: WorldArrays,
    home: Surfaces,
    lenders_out: wp.array(dtype=wp.int32),
):
    """Pixel whose colour each of the ``side`` x ``side`` samples of each marked pixel may take.

    Samples of one triangle in a pixel take the same. Where there is none, -2 - k if an earlier sample k of the pixel
    shows the same thing, else -1.
    """
    begin = (first + wp.tid()) * run
    each = side * side
    for item in range(begin, wp.min(begin + run, count)):
        i = pixels[item]
        row = i // width * side
        column = (i - i // width * width) * side
        for k in range(each):
            s = each * item + k
            f = fine_triangles[row + k // side, column + k % side]
            depth = fine_depths[row + k // side, column + k % side]
            lender = wp.int32(-1)
            found = wp.bool(False)
            m = k - 1
            while m >= 0 and not found:  # most samples of a pixel show what the one before them shows
                if fine_triangles[row + m // side, column + m % side] == f:
                    lender = lenders_out[each * item + m]
                    if lender == -1:
                        lender = -2 - m
                    found = True
                m -= 1
            if not found:
                lender = _lender(s, i, width, side, fine_triangles, fine_depths, world, home)
                if lender < 0:
                    for m in range(k):
                        e = fine_triangles[row + m // side, column + m % side]
                        if lender == -1 and _alike(world, f, depth, e, fine_depths[row + m // side, column + m % side]):
                            lender = -2 - m
            lenders_out[s] = lender


@wp.kernel
def fill_samples_kernel(
    first: wp.int32,
    width: wp.int32,
    side: wp.int32,
    pixels: wp.array(dtype=wp.int32),
    samples: wp.array(dtype=wp.int32),
    fine_triangles: wp.array2d(dtype=wp.int32),
    fine_depths: wp.array2d(dtype=wp.float32),
    surfaces: Surfaces,
):
    """Those ``samples`` of the marked pixels that nobody lends to."""
    m = first + wp.tid()
    s = samples[m]
    i = pixels[s // (side * side)]
    k = s % (side * side)
    row = side * (i // width) + k // side
    column = side * (i % width) + k % side
    reach = 1.0 / wp.float32(side)
    surfaces.image[m] = wp.vec2((wp.float32(column) + 0.5) * reach, (wp.float32(row) + 0.5) * reach)
    surfaces.triangles[m] = fine_triangles[row, column]
    surfaces.depths[m] = fine_depths[row, column]


@wp.kernel
def mix_samples_kernel(
    first: wp.int32,
    each: wp.int32,
    lenders: wp.array(dtype=wp.int32),
    slots: wp.array(dtype=wp.int32),
    colors: wp.array(dtype=wp.vec3),
    shaded: wp.array(dtype=wp.vec3),
    mixed_out: wp.array(dtype=wp.vec3),
):
    """Mean of the samples of each marked pixel, ``each`` of one, lent or shaded."""
    m = first + wp.tid()
    total = wp.vec3(0.0, 0.0, 0.0)
    for k in range(each):
        s = each * m + k
        while lenders[s] < -1:
            s = each * m - 2 - lenders[s]
        if lenders[s] >= 0:
            total += colors[lenders[s]]
        else:
            total += shaded[slots[s]]
    mixed_out[m] = total * (1.0 / wp.float32(each))


@wp.kernel
def put_back_kernel(
    first: wp.int32,
    pixels: wp.array(dtype=wp.int32),
    mixed: wp.array(dtype=wp.vec3),
    colors_out: wp.array(dtype=wp.vec3),
):
    """Write the mixed colours, once none of them is read any more."""
    m = first + wp.tid()
    colors_out[pixels[m]] = mixed[m]


__all__ = ["fill_samples_kernel", "find_lenders_kernel", "mix_samples_kernel", "put_back_kernel"]
