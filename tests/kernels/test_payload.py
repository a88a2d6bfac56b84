import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.payload import take_bytes, take_depth, take_floats

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


def test_other_arrays_are_refused(device):
    with pytest.raises(ValueError, match=r"take_bytes needs uint8 \[H, W, 3 or more\], got uint8 \[2, 2, 2\]"):
        take_bytes(wp.zeros((2, 2, 2), dtype=wp.uint8, device=device))
    with pytest.raises(ValueError, match=r"take_depth needs float32 \[H, W\]"):
        take_depth(wp.zeros((2, 2, 1), dtype=wp.float32, device=device))
    with pytest.raises(ValueError, match="1 to 3 channels"):
        take_floats(wp.zeros((2, 2, 4), dtype=wp.float32, device=device), scale=(1, 1, 1, 1))
