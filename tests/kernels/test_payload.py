import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.payload import blank_void, take_bytes, take_depth, take_floats

SIZES = [(1, 1), (5, 7), (33, 64)]


@pytest.mark.parametrize("size", SIZES)
def test_bytes_lose_their_last_channel(device, size):
    wide = np.random.default_rng(1).integers(0, 256, (*size, 4), dtype=np.uint8)
    narrow = take_bytes(wp.array(wide, dtype=wp.uint8, device=device))
    np.testing.assert_array_equal(narrow.numpy(), wide[..., :3])


@pytest.mark.parametrize("size", SIZES)
def test_floats_are_scaled_and_junk_becomes_nothing(device, size):
    wide = np.random.default_rng(2).normal(0, 9, (*size, 4)).astype(np.float32)
    wide.reshape(-1)[::5] = np.nan
    wide.reshape(-1)[::7] = -np.inf
    made = take_floats(wp.array(wide, dtype=wp.float32, device=device), scale=(2.0, -0.5)).numpy()
    want = wide[..., :2].astype(np.float64) * [2.0, -0.5]
    np.testing.assert_allclose(made, np.where(np.isfinite(want), want, 0.0), rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_only_distances_in_front_are_hits(device, size):
    distance = np.random.default_rng(3).uniform(-1, 9, size).astype(np.float32)
    distance.ravel()[::3] = np.nan
    distance.ravel()[::4] = np.inf
    distance.ravel()[-1] = 0.0
    made = take_depth(wp.array(distance, dtype=wp.float32, device=device), scale=0.01).numpy()
    hit = np.isfinite(distance) & (distance > 0)
    np.testing.assert_allclose(made, np.where(hit, distance * np.float32(0.01), np.inf), rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_where_nothing_is_hit_nothing_moves(device, size):
    generator = np.random.default_rng(4)
    motion, depth = generator.normal(0, 9, (*size, 2)).astype(np.float32), generator.uniform(1, 9, size)
    depth = depth.astype(np.float32)
    depth.ravel()[::3], depth.ravel()[1::5] = np.inf, np.nan
    made = wp.array(motion, dtype=wp.float32, device=device)
    blank_void(made, wp.array(depth, dtype=wp.float32, device=device))
    np.testing.assert_array_equal(made.numpy(), np.where(np.isfinite(depth)[..., None], motion, 0.0))


def test_other_arrays_are_refused(device):
    with pytest.raises(ValueError, match=r"blank_void needs one size, got motion \[2, 3, 2\] and depth \[2, 2\]"):
        blank_void(
            wp.zeros((2, 3, 2), dtype=wp.float32, device=device), wp.zeros((2, 2), dtype=wp.float32, device=device)
        )
    with pytest.raises(ValueError, match=r"take_bytes needs uint8 \[H, W, 3 or more\], got uint8 \[2, 2, 2\]"):
        take_bytes(wp.zeros((2, 2, 2), dtype=wp.uint8, device=device))
    with pytest.raises(ValueError, match=r"take_depth needs float32 \[H, W\]"):
        take_depth(wp.zeros((2, 2, 1), dtype=wp.float32, device=device))
    with pytest.raises(ValueError, match="1 to 3 channels"):
        take_floats(wp.zeros((2, 2, 4), dtype=wp.float32, device=device), scale=(1, 1, 1, 1))
