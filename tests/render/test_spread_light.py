"""Light is carried from one cell of each block to the others along a surface, and to no other; judged by NumPy."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.frugal import LAMP_MARK, LIGHT_MARK, SUN_MARK, spread_light_kernel
from cosmos.bridge.render.draw.light_grid import Gathered
from cosmos.bridge.render.draw.surface import make_surfaces

wp.config.quiet = True

ROWS, COLUMNS, STEP = 9, 12, 2


def spread(device, positions, normals, light, sun, small=None):
    """Lit and gathered light, sun and marks of every cell, after the first of each 2 x 2 was lit."""
    width, count = COLUMNS * STEP, ROWS * STEP * COLUMNS * STEP
    surfaces = make_surfaces(count, wp.get_device(device))
    surfaces.triangles.fill_(0)
    gloss = np.zeros((count, 4), np.float32)
    gloss[:, 3] = 0.01
    for name, values in (("positions", positions), ("normals", normals), ("gloss", gloss)):
        getattr(surfaces, name).assign(values.reshape(count, -1).astype(np.float32))

    def cells(dtype, values=None):
        made = wp.zeros(ROWS * COLUMNS, dtype=dtype, device=device)
        if values is not None:
            made.assign(values)
        return made

    lit, gathered = cells(wp.vec3, light[..., :3].reshape(-1, 3)), cells(Gathered, light.reshape(-1, 6))
    outputs = [cells(kind) for kind in (wp.vec3, Gathered, wp.float32, wp.uint8)]
    few = cells(wp.uint8, None if small is None else small.reshape(-1).astype(np.uint8))
    inputs = [surfaces, width, STEP, COLUMNS, ROWS, 2, lit, gathered, cells(wp.vec2i), cells(wp.float32), few]
    blocks = -(-ROWS // 2) * -(-COLUMNS // 2)
    Bands(device, 1).launch_runs(spread_light_kernel, blocks, [*inputs, cells(wp.float32, sun.reshape(-1)), *outputs])
    return [made.numpy().reshape(ROWS, COLUMNS, -1) for made in outputs]


@pytest.fixture
def floor():
    """Positions and normals of each pixel of a flat floor, light of each cell, a sun that shines everywhere."""
    y, x = np.mgrid[0 : ROWS * STEP, 0 : COLUMNS * STEP].astype(float)
    positions = np.stack([0.01 * x, 0.01 * y, np.zeros_like(x)], axis=-1)
    normals = np.broadcast_to((0.0, 0.0, 1.0), positions.shape)
    light = np.random.default_rng(5).uniform(0.2, 1.0, (ROWS, COLUMNS, 6)).astype(np.float32)
    return positions, normals, light, np.ones((ROWS, COLUMNS), np.float32)


def test_light_between_cells_of_one_surface_is_bilinear(device, floor):
    _, _, light, _ = floor
    lit, gathered, sun, marks = spread(device, *floor)
    rows, columns = np.arange(ROWS - 1), np.arange(COLUMNS - 2)  # within the lit cells
    by_row = np.stack([np.interp(rows, np.arange(0, ROWS, 2), c) for c in light[::2].reshape(5, -1).T])
    half = by_row.T.reshape(len(rows), COLUMNS, 6)[:, ::2]
    expected = np.stack([[np.interp(columns, np.arange(0, COLUMNS, 2), c) for c in row.T] for row in half])
    np.testing.assert_allclose(gathered[:-1, :-2], expected.transpose(0, 2, 1), atol=4e-3)
    np.testing.assert_array_equal(lit, gathered[..., :3])
    assert (marks == 0).all() and (sun == 1.0).all()


def test_a_cell_alone_on_its_surface_is_marked(device, floor):
    positions, normals, light, sun = floor
    normals = normals.copy()
    normals[:, 3 * STEP : 4 * STEP] = (1.0, 0.0, 0.0)  # a pole one cell wide, between the lit columns
    marks = spread(device, positions, normals, light, sun)[3][..., 0]
    expected = np.zeros((ROWS, COLUMNS), int)
    expected[:, 3] = int(LIGHT_MARK)
    np.testing.assert_array_equal(marks, expected)


def test_cells_of_a_small_surface_look_for_lamps_themselves(device, floor):
    positions, normals, light, sun = floor
    normals = normals.copy()
    normals[:, 3 * STEP : 6 * STEP] = (1.0, 0.0, 0.0)  # a post three cells wide, the middle one of them lit
    small = np.zeros((ROWS, COLUMNS), bool)
    small[::2, 4] = True
    marks = spread(device, positions, normals, light, sun, small)[3][..., 0]
    expected = np.zeros((ROWS, COLUMNS), int)
    expected[:, 3:6] = int(LAMP_MARK)
    np.testing.assert_array_equal(marks, expected)


def test_cells_near_the_rim_of_a_shadow_look_for_the_sun_themselves(device, floor):
    positions, normals, light, sun = floor
    sun = sun.copy()
    sun[:, 8:] = 0.0
    agreed, marks = (made[..., 0] for made in spread(device, positions, normals, light, sun)[2:])
    rim = slice(4, 10)  # blocks from which a lit cell in light and one in shadow lie within two blocks
    assert (marks[:, rim] == int(SUN_MARK)).all() and (agreed[:, rim] < 0.0).all()
    assert (agreed[:, :4] == 1.0).all() and (agreed[:, 10:] == 0.0).all()
    assert (marks[:, :4] == 0).all() and (marks[:, 10:] == 0).all()
