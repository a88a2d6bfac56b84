from dataclasses import replace

import cv2
import numpy as np
import pytest
import warp as wp
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos.bridge.kernels.reproject import fetch_along_motion, project_points, seen_before, unproject_depth
from cosmos.bridge.types import Camera, OpenCvFisheye


def arrays(device, previous, motion):
    return wp.array(previous, dtype=wp.uint8, device=device), wp.array(motion, dtype=wp.float32, device=device)


def fetch_numpy(previous, motion):
    """Bilinear lookup in float64; the test's own oracle for any number of channels."""
    n, height, width = previous.shape[:3]
    out, inside = np.zeros(previous.shape), np.zeros((n, height, width), np.uint8)
    for i, y, x in np.ndindex(n, height, width):
        u, v = x + float(motion[i, y, x, 0]), y + float(motion[i, y, x, 1])
        if not (np.isfinite([u, v]).all() and 0 <= u <= width - 1 and 0 <= v <= height - 1):
            continue
        inside[i, y, x] = 1
        x0, y0 = int(u), int(v)
        x1, y1, s, t = min(x0 + 1, width - 1), min(y0 + 1, height - 1), u - x0, v - y0
        pictures = previous[i].astype(np.float64)
        out[i, y, x] = (1 - t) * ((1 - s) * pictures[y0, x0] + s * pictures[y0, x1]) + t * (
            (1 - s) * pictures[y1, x0] + s * pictures[y1, x1]
        )
    return out, inside


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 1, 9, 3), (2, 7, 1, 1), (3, 13, 17, 3), (1, 6, 5, 4)])
def test_fetch_matches_numpy(device, shape):
    rng = np.random.default_rng(3)
    previous = rng.integers(0, 256, shape, dtype=np.uint8)
    motion = rng.normal(0.0, 3.0, (*shape[:3], 2)).astype(np.float32)
    motion[..., 0, :] = 0.0
    fetched, inside = fetch_along_motion(*arrays(device, previous, motion))
    expected, expected_inside = fetch_numpy(previous, motion)
    np.testing.assert_array_equal(inside.numpy(), expected_inside)
    np.testing.assert_allclose(fetched.numpy().astype(float), expected, atol=0.502)


@pytest.mark.parametrize("step", [2, 3, 40])
def test_fetch_of_some_rows_and_columns_alone(device, step):
    rng = np.random.default_rng(6)
    previous = rng.integers(0, 256, (2, 11, 26, 3), dtype=np.uint8)
    motion = rng.normal(0.0, 3.0, (2, 11, 26, 2)).astype(np.float32)
    previous_array, motion_array = arrays(device, previous, motion)
    fetched, inside = fetch_along_motion(previous_array, motion_array, step=step)
    expected, expected_inside = fetch_numpy(previous, motion)
    np.testing.assert_array_equal(inside.numpy(), expected_inside[:, ::step, ::step])
    np.testing.assert_allclose(fetched.numpy().astype(float), expected[:, ::step, ::step], atol=0.502)
    np.testing.assert_array_equal(seen_before(motion_array, step=step).numpy(), expected_inside[:, ::step, ::step])


def test_fetch_matches_cv2_remap(device):
    rng = np.random.default_rng(4)
    previous = cv2.GaussianBlur(rng.integers(0, 256, (48, 80, 3), dtype=np.uint8), (0, 0), 1.0)
    motion = np.stack(np.broadcast_arrays(rng.uniform(-4, 4), rng.uniform(-4, 4, (48, 80))), axis=-1).astype(np.float32)
    y, x = np.mgrid[:48, :80].astype(np.float32)
    fetched, inside = fetch_along_motion(*arrays(device, previous[None], motion[None]))
    expected = cv2.remap(previous, x + motion[..., 0], y + motion[..., 1], cv2.INTER_LINEAR)
    seen = inside.numpy()[0] == 1
    # cv2 rounds the place to 1/32 px.
    np.testing.assert_allclose(fetched.numpy()[0][seen].astype(int), expected[seen].astype(int), atol=3)


def test_fetch_is_black_where_motion_leads_nowhere(device):
    motion = np.zeros((1, 2, 3, 2), np.float32)
    motion[0, 0, :, 0] = (np.nan, np.inf, -50.0)
    fetched, inside = fetch_along_motion(*arrays(device, np.full((1, 2, 3, 3), 200, np.uint8), motion))
    np.testing.assert_array_equal(inside.numpy()[0], [[0, 0, 0], [1, 1, 1]])
    assert fetched.numpy()[0, 0].max() == 0 and fetched.numpy()[0, 1].min() == 200


def test_fetch_takes_views_and_out(device):
    rng = np.random.default_rng(5)
    wide = rng.integers(0, 256, (2, 6, 16, 3), dtype=np.uint8)
    view = wp.array(wide, dtype=wp.uint8, device=device)[:, :, ::2]
    motion = wp.zeros((2, 6, 8, 2), dtype=wp.float32, device=device)
    out = wp.zeros((2, 6, 8, 3), dtype=wp.uint8, device=device)
    fetched, _ = fetch_along_motion(view, motion, out=out)
    assert fetched is out
    np.testing.assert_array_equal(out.numpy(), wide[:, :, ::2])


def test_fetch_refuses_what_does_not_fit(device):
    previous, motion = arrays(device, np.zeros((1, 4, 5, 3), np.uint8), np.zeros((1, 4, 5, 2), np.float32))
    with pytest.raises(ValueError, match=r"previous as uint8 \[N, H, W, C\], got float32 \[1, 4, 5, 2\]"):
        fetch_along_motion(motion, motion)
    with pytest.raises(ValueError, match=r"motion as float32 \[1, 4, 5, 2\], got float32 \[1, 4, 4, 2\]"):
        fetch_along_motion(previous, motion[:, :, :4])
    with pytest.raises(ValueError, match=r"fetch_along_motion needs step >= 1 \[px\], got 0"):
        fetch_along_motion(previous, motion, step=0)
    with pytest.raises(ValueError, match="needs out as uint8"):
        fetch_along_motion(previous, motion, out=previous[:, :2])


def test_seen_before_knows_rim_occlusion_and_depth(device):
    motion = np.zeros((1, 1, 5, 2), np.float32)
    motion[0, 0, :, 0] = (-1.0, 1.0, 1.0, 0.0, np.nan)
    ids_before, ids = np.array([[[1, 1, 1, 2, 2]]], np.uint32), np.array([[[1, 1, 2, 2, 2]]], np.uint32)
    before, now = np.array([[[4, 4, 4, 9.0, 9]]], np.float32), np.array([[[4, 4, 9, 5.0, 9]]], np.float32)

    def on(array, dtype):
        return wp.array(array, dtype=dtype, device=device)

    pair = {"previous_ids": on(ids_before, wp.uint32), "ids": on(ids, wp.uint32)}
    depths = {"previous_depth": on(before, wp.float32), "depth": on(now, wp.float32)}
    m = on(motion, wp.float32)
    np.testing.assert_array_equal(seen_before(m).numpy()[0, 0], [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(seen_before(m, **pair).numpy()[0, 0], [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(seen_before(m, **pair, **depths).numpy()[0, 0], [0, 1, 1, 0, 0])
    hidden = {**pair, "previous_ids": on(np.full_like(ids, 7), wp.uint32)}
    assert seen_before(m, **hidden).numpy().max() == 0


def test_seen_before_compares_sky_and_signed_ids(device):
    depth = np.array([[[np.inf, np.inf, 3.0, np.nan]]], np.float32)
    before = np.array([[[np.inf, 3.0, np.inf, np.nan]]], np.float32)
    ids = wp.array(np.full((1, 1, 4), -5, np.int32), dtype=wp.int32, device=device)
    seen = seen_before(
        wp.zeros((1, 1, 4, 2), dtype=wp.float32, device=device),
        previous_ids=ids,
        ids=ids,
        previous_depth=wp.array(before, dtype=wp.float32, device=device),
        depth=wp.array(depth, dtype=wp.float32, device=device),
    )
    np.testing.assert_array_equal(seen.numpy()[0, 0], [1, 0, 0, 1])


def test_seen_before_refuses_half_a_pair_and_bad_tolerance(device):
    motion = wp.zeros((1, 2, 2, 2), dtype=wp.float32, device=device)
    depth = wp.zeros((1, 2, 2), dtype=wp.float32, device=device)
    with pytest.raises(ValueError, match="one without the other"):
        seen_before(motion, depth=depth)
    with pytest.raises(ValueError, match="tolerance >= 0, got -1"):
        seen_before(motion, depth=depth, previous_depth=depth, tolerance=-1)
    with pytest.raises(ValueError, match=r"needs motion as float32 \[N, H, W, 2\]"):
        seen_before(depth)
    with pytest.raises(ValueError, match=r"needs depth as float32 \[1, 2, 2\], got float32 \[1, 2, 1\]"):
        seen_before(motion, depth=depth[:, :, :1], previous_depth=depth)


def camera(height=9, width=13, seed=0):
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    pose = np.eye(4)
    pose[:3, :3] = q * np.sign(np.linalg.det(q))
    pose[:3, 3] = rng.uniform(-1.0e4, 1.0e4, 3)
    lens = np.array([[31.0, 0, width / 2 + 0.3], [0, 29.0, height / 2 - 0.2], [0, 0, 1]])
    return Camera(prim_path="/Camera", height=height, width=width, intrinsics=lens, cam_to_world=pose)


def test_project_points_matches_the_camera_formula(device):
    view = camera()
    points = np.random.default_rng(1).uniform(-20, 20, (50, 3)) + view.cam_to_world[:3, 3]
    q = (np.linalg.inv(view.cam_to_world) @ np.c_[points, np.ones(50)].T).T
    fx, fy, cx, cy = view.intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]]
    front = -q[:, 2] > 0
    expected = np.c_[fx * q[:, 0] / -q[:, 2] + cx, cy - fy * q[:, 1] / -q[:, 2], -q[:, 2]]
    expected[~front, :2] = np.nan
    assert 0 < front.sum() < 50
    np.testing.assert_allclose(project_points(wp.array(points, dtype=wp.vec3d, device=device), view).numpy(), expected)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**20), distance=st.floats(0.015625, 1.0e5, width=32))
def test_unprojected_pixels_project_back_onto_their_centres(seed, distance):
    view = camera(4, 6, seed)
    depth = wp.full((4, 6), distance, dtype=wp.float32, device="cpu")
    pixels = project_points(unproject_depth(depth, view).flatten(), view).numpy().reshape(4, 6, 3)
    y, x = np.mgrid[:4, :6] + 0.5
    np.testing.assert_allclose(pixels, np.stack([x, y, np.full((4, 6), distance)], axis=-1), rtol=1e-5, atol=1e-4)


def test_unproject_gives_nan_where_nothing_is_hit(device):
    depth = np.array([[1.0, np.inf, np.nan, 0.0, -2.0]], np.float32)
    points = unproject_depth(wp.array(depth, dtype=wp.float32, device=device), camera(1, 5)).numpy()
    np.testing.assert_array_equal(np.isnan(points).any(axis=-1)[0], [False, True, True, True, True])


def test_projection_refuses_other_sizes_and_dtypes(device):
    with pytest.raises(ValueError, match=r"needs depth as float32 \[9, 13\], got float32 \[9, 12\]"):
        unproject_depth(wp.zeros((9, 12), dtype=wp.float32, device=device), camera())
    with pytest.raises(ValueError, match=r"points as vec3d \[N\], got vec3f"):
        project_points(wp.zeros(4, dtype=wp.vec3f, device=device), camera())
    wide = replace(camera(), lens=OpenCvFisheye())
    with pytest.raises(ValueError, match="has the lens OpenCV fisheye, but only pinholes are reprojected"):
        project_points(wp.zeros(4, dtype=wp.vec3d, device=device), wide)
