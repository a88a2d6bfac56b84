import numpy as np
import pytest
import warp as wp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cosmos.bridge.kernels.depth import depth_range, depth_to_control

FINITE = st.floats(2.0**-10, 2.0**14, width=32)
ANY_DEPTH = st.one_of(FINITE, st.floats(width=32, allow_nan=True, allow_infinity=True))


def control_in_float64(depth, near, far):
    valid = np.isfinite(depth) & (depth > 0.0)
    z = np.clip(np.where(valid, depth, far).astype(np.float64), near, far)
    level = (1.0 / z - 1.0 / far) / (1.0 / near - 1.0 / far) * 255.0
    return np.repeat(np.where(valid, np.floor(level + 0.5), 0.0)[..., None], 3, axis=-1).astype(int)


def to_warp(depth, device="cpu"):
    return wp.array(depth, dtype=wp.float32, device=device)


@pytest.mark.parametrize("shape", [(3, 7, 5), (1, 1, 1), (2, 1, 9), (2, 9, 1), (1, 64, 65)])
def test_fixed_range_matches_numpy(device, shape):
    depth = np.random.default_rng(7).uniform(0.2, 60.0, shape).astype(np.float32)
    control = depth_to_control(to_warp(depth, device), near=0.5, far=50.0)
    np.testing.assert_allclose(control.numpy().astype(int), control_in_float64(depth, 0.5, 50.0), atol=1)


@pytest.mark.parametrize("shape", [(3, 7, 5), (2, 1, 9), (1, 64, 65)])
def test_clip_range_matches_numpy_and_is_that_of_the_whole_clip(device, shape):
    depth = np.random.default_rng(8).uniform(0.2, 60.0, shape).astype(np.float32)
    depth[0] *= 10.0  # frame 0 alone decides the far end
    near, far = depth_range(to_warp(depth, device))
    assert (near, far) == (depth.min(), depth.max())
    control = depth_to_control(to_warp(depth, device)).numpy().astype(int)
    np.testing.assert_allclose(control, control_in_float64(depth, near, far), atol=1)
    assert control.max() == 255
    assert control.min() == 0


def test_what_was_not_hit_is_black_and_does_not_move_the_range(device):
    depth = np.full((2, 3, 4), 5.0, np.float32)
    depth[0, 0] = [0.0, np.inf, np.nan, -2.0]
    depth[1, 1, 1] = 2.0
    depth[1, 2, 2] = 1e-42  # below the smallest normal number
    assert depth_range(to_warp(depth, device)) == (2.0, 5.0)
    control = depth_to_control(to_warp(depth, device)).numpy()
    assert (control[0, 0] == 0).all()
    assert (control[1, 2, 2] == 0).all()
    assert (control[1, 1, 1] == 255).all()
    fixed = depth_to_control(to_warp(depth, device), near=1.0, far=10.0).numpy()
    assert (fixed[0, 0] == 0).all()
    assert (fixed[0, 1] > 0).all()


def test_a_clip_without_any_hit_is_black(device):
    depth = to_warp(np.full((2, 3, 3), np.inf, np.float32), device)
    assert depth_range(depth) is None
    assert not depth_to_control(depth).numpy().any()


def test_a_clip_of_one_depth_is_white_where_it_was_hit(device):
    depth = np.full((2, 3, 3), 4.0, np.float32)
    depth[1, 0, 0] = np.inf
    control = depth_to_control(to_warp(depth, device)).numpy()
    assert (control[1, 0, 0] == 0).all()
    assert (control[0] == 255).all()


@given(depth=hnp.arrays(np.float32, (2, 3, 4), elements=ANY_DEPTH))
@settings(deadline=None, max_examples=80)
def test_nearer_is_never_darker(depth):
    for limits in ({}, {"near": 0.5, "far": 50.0}):
        level = depth_to_control(to_warp(depth), **limits).numpy()[..., 0].ravel()
        valid = np.isfinite(depth.ravel()) & (depth.ravel() >= 1.1754944e-38)
        ordered = level[valid][np.argsort(depth.ravel()[valid], kind="stable")].astype(int)
        assert (np.diff(ordered) <= 0).all()
        assert not level[~valid].any()


def test_strided_depth_is_read_as_it_is(device):
    depth = np.random.default_rng(9).uniform(0.2, 60.0, (3, 8, 10)).astype(np.float32)
    cut = to_warp(depth, device)[:, 1:7, 3:]
    assert not cut.is_contiguous
    np.testing.assert_array_equal(
        depth_to_control(cut).numpy(), depth_to_control(to_warp(depth[:, 1:7, 3:].copy(), device)).numpy()
    )


def test_out_is_filled_and_returned(device):
    depth = to_warp(np.full((1, 2, 2), 3.0, np.float32), device)
    out = wp.zeros((1, 2, 2, 3), dtype=wp.uint8, device=device)
    assert depth_to_control(depth, near=1.0, far=9.0, out=out) is out
    assert out.numpy().all()


@pytest.mark.parametrize("limits", [(0.0, 5.0), (5.0, 5.0), (6.0, 5.0), (-1.0, 5.0), (1.0, np.inf), (np.nan, 5.0)])
def test_an_impossible_range_is_refused(device, limits):
    depth = wp.ones((1, 2, 2), dtype=wp.float32, device=device)
    with pytest.raises(ValueError, match="0 < near < far"):
        depth_to_control(depth, near=limits[0], far=limits[1])


def test_half_a_range_is_refused(device):
    with pytest.raises(ValueError, match="near and far, or neither"):
        depth_to_control(wp.ones((1, 2, 2), dtype=wp.float32, device=device), near=1.0)


def test_other_arrays_are_refused(device):
    with pytest.raises(ValueError, match=r"needs depth as float32 \[T, H, W\]"):
        depth_to_control(wp.ones((1, 2, 2), dtype=wp.float64, device=device))
    with pytest.raises(ValueError, match=r"got float32 \[2, 2\]"):
        depth_range(wp.ones((2, 2), dtype=wp.float32, device=device))
    with pytest.raises(ValueError, match="got list"):
        depth_range([[1.0]])
    depth = wp.ones((1, 2, 2), dtype=wp.float32, device=device)
    with pytest.raises(ValueError, match=r"needs out as uint8 \[1, 2, 2, 3\]"):
        depth_to_control(depth, out=wp.ones((1, 2, 2, 4), dtype=wp.uint8, device=device))
    with pytest.raises(ValueError, match="needs out as a Warp array"):
        depth_to_control(depth, out=np.ones((1, 2, 2, 3), np.uint8))
