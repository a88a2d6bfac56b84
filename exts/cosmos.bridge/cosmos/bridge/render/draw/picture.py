"""From samples to the 8-bit picture: which pixels need more samples, and how samples become bytes."""

from __future__ import annotations

import warp as wp

from cosmos.bridge.kernels.display import srgb_looked_up
from cosmos.bridge.kernels.surface_noise import lattice
from cosmos.bridge.render.draw.fast import fast_options
from cosmos.bridge.render.draw.surface import Surfaces

wp.set_module_options(fast_options())


@wp.func
def _differs(home: Surfaces, i: wp.int32, triangle: wp.int32, depth: wp.float32, owners: wp.array(dtype=wp.int32)):
    """Whether a sub-sample of another triangle sees another thing than its pixel's centre, or it around a corner."""
    centre = home.triangles[i]
    if triangle < 0 or centre < 0:
        return True
    if owners[triangle] != owners[centre]:
        return True
    return wp.abs(depth - home.depths[i]) > 3.0 * home.gloss[i][3] + 0.002 * depth


@wp.func
def _holds_edge(
    i: wp.int32,
    width: wp.int32,
    side: wp.int32,
    fine_triangles: wp.array2d(dtype=wp.int32),
    fine_depths: wp.array2d(dtype=wp.float32),
    owners: wp.array(dtype=wp.int32),
    home: Surfaces,
):
    y = i // width
    x = i - y * width
    centre = home.triangles[i]
    for row in range(side * y, side * y + side):
        for column in range(side * x, side * x + side):
            triangle = fine_triangles[row, column]
            if triangle != centre:  # noqa: SIM102 - the depth of most is never read, which older Warps would in one `if`
                if _differs(home, i, triangle, fine_depths[row, column], owners):
                    return True
    if centre < 0:
        return False
    n = home.normals[i]
    left = i - wp.min(x, 1)
    above = i - wp.min(y, 1) * width
    if home.triangles[left] >= 0 and wp.dot(n, home.normals[left]) < 0.8:
        return True
    return home.triangles[above] >= 0 and wp.dot(n, home.normals[above]) < 0.8


@wp.kernel
def mark_edges_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    width: wp.int32,
    side: wp.int32,
    fine_triangles: wp.array2d(dtype=wp.int32),
    fine_depths: wp.array2d(dtype=wp.float32),
    owners: wp.array(dtype=wp.int32),
    home: Surfaces,
    marks_out: wp.array(dtype=wp.uint8),
):
    """Mark the pixels whose ``side`` x ``side`` sub-samples do not all see what the centre sees."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        mark = wp.uint8(0)
        if _holds_edge(i, width, side, fine_triangles, fine_depths, owners, home):
            mark = wp.uint8(1)
        marks_out[i] = mark


@wp.kernel
def fill_fine_kernel(
    first: wp.int32,
    width: wp.int32,
    side: wp.int32,
    pixels: wp.array(dtype=wp.int32),
    fine_triangles: wp.array2d(dtype=wp.int32),
    fine_depths: wp.array2d(dtype=wp.float32),
    surfaces: Surfaces,
):
    """Four samples for each marked pixel: all of 2 x 2, or those of 4 x 4 no two of which share a row or a column."""
    s = first + wp.tid()
    i = pixels[s // 4]
    k = s % 4
    down = k
    right = (2 * k + 1) % 5
    if side == 2:
        down = k // 2
        right = k % 2
    row = side * (i // width) + down
    column = side * (i % width) + right
    reach = 1.0 / wp.float32(side)
    surfaces.image[s] = wp.vec2((wp.float32(column) + 0.5) * reach, (wp.float32(row) + 0.5) * reach)
    surfaces.triangles[s] = fine_triangles[row, column]
    surfaces.depths[s] = fine_depths[row, column]


@wp.kernel
def average_kernel(
    first: wp.int32,
    pixels: wp.array(dtype=wp.int32),
    fine: wp.array(dtype=wp.vec3),
    colors_out: wp.array(dtype=wp.vec3),
):
    """Replace the colour of each marked pixel by the mean of its four samples."""
    s = first + wp.tid()
    colors_out[pixels[s]] = (fine[4 * s] + fine[4 * s + 1] + fine[4 * s + 2] + fine[4 * s + 3]) * 0.25


@wp.kernel
def encode_kernel(
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    width: wp.int32,
    curve: wp.array(dtype=wp.float32),  # of ``srgb_table``
    colors: wp.array(dtype=wp.vec3),
    noise: wp.float32,
    seed: wp.uint32,
    frame: wp.int32,
    rgb_out: wp.array3d(dtype=wp.uint8),
):
    """Display-linear colour to sRGB bytes, with sensor noise (shot and read noise, one draw a channel)."""
    begin = (first + wp.tid()) * run
    for i in range(begin, wp.min(begin + run, count)):
        y = i // width
        x = i - y * width
        for channel in range(3):
            value = srgb_looked_up(curve, colors[i][channel])
            if noise > 0.0:
                a = lattice(x, y, frame * 4 + channel, seed)
                b = lattice(y, x, frame * 4 + channel, seed ^ wp.uint32(911))
                value += (a + b - 1.0) * noise * (0.035 + 0.05 * (1.0 - value))
            rgb_out[y, x, channel] = wp.uint8(wp.clamp(value, 0.0, 1.0) * 255.0 + 0.5)


__all__ = ["average_kernel", "encode_kernel", "fill_fine_kernel", "mark_edges_kernel"]
