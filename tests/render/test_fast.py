"""Fast arithmetic must not lose a hit: rays along the axes, whose slabs divide by zero, judged by Embree."""

import embreex.mesh_construction
import embreex.rtcore_scene
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.render.draw.fast import fast_options

wp.config.quiet = True
wp.set_module_options(fast_options())

FACES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


@wp.kernel
def _cast_kernel(
    mesh: wp.uint64,
    starts: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    blocked_out: wp.array(dtype=wp.int32),
    ways_out: wp.array(dtype=wp.float32),
):
    i = wp.tid()
    if wp.mesh_query_ray_anyhit(mesh, starts[i], directions[i], 1.0e5):
        blocked_out[i] = 1
    query = wp.mesh_query_ray(mesh, starts[i], directions[i], 60.0)
    ways_out[i] = 1.0e30
    if query.result:
        ways_out[i] = query.t


@pytest.fixture(scope="module")
def boxes():
    """Points and triangles of boxes whose faces lie on a lattice of half metres."""
    rng = np.random.default_rng(0)
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
    faces = np.array([t for a, b, c, d in FACES for t in ((a, b, c), (a, c, d))])
    places = [(x, y, rng.integers(0, 4) / 2) for x in range(-6, 6) for y in range(-6, 6) if rng.random() < 0.5]
    points = [corners * rng.integers(1, 3, 3) / 2 + place for place in places]
    triangles = [faces + 8 * number for number in range(len(places))]
    return np.concatenate(points).astype(np.float32), np.concatenate(triangles).astype(np.int32)


@pytest.mark.parametrize("between", [True, False])
def test_rays_along_the_axes_hit_what_embree_hits(boxes, between):
    points, triangles = boxes
    rng = np.random.default_rng(1)
    count = 20000
    starts = rng.integers(-14, 14, (count, 3)) / 2 + 0.25 if between else rng.uniform(-7.0, 7.0, (count, 3))
    directions = np.eye(3)[rng.integers(0, 3, count)] * rng.choice((-1.0, 1.0), (count, 1))
    starts, directions = starts.astype(np.float32), (directions + 0.0).astype(np.float32)
    scene = embreex.rtcore_scene.EmbreeScene()
    embreex.mesh_construction.TriangleMesh(scene, np.ascontiguousarray(points[triangles]))
    hits = scene.run(starts, directions, output=True)
    mesh = wp.Mesh(
        points=wp.array(points, dtype=wp.vec3, device="cpu"),
        indices=wp.array(triangles.ravel(), dtype=wp.int32, device="cpu"),
    )
    blocked = wp.zeros(count, dtype=wp.int32, device="cpu")
    ways = wp.zeros(count, dtype=wp.float32, device="cpu")
    rays = [wp.array(array, dtype=wp.vec3, device="cpu") for array in (starts, directions)]
    wp.launch(_cast_kernel, dim=count, inputs=[mesh.id, *rays, blocked, ways], device="cpu")
    found = hits["primID"] >= 0
    assert 0.02 < found.mean() < 0.5
    np.testing.assert_array_equal(blocked.numpy() == 1, found)
    np.testing.assert_array_equal(ways.numpy() < 1.0e29, found)
    np.testing.assert_allclose(ways.numpy()[found], hits["tfar"][found], atol=1e-5)
