"""Changes of a picture mixed at its edges, against a mean over samples in float64."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.mixed_edges import mix_edges
from cosmos.bridge.types import PixelEdges

wp.config.quiet = True


def linear(levels):
    v = np.asarray(levels, np.float64) / 255.0
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def bytes_of(light):
    v = np.clip(light, 0.0, 1.0)
    return 255.0 * np.where(v <= 0.0031308, 12.92 * v, 1.055 * np.maximum(v, 1e-9) ** (1.0 / 2.4) - 0.055)


def edges_of(pixels, lenders, device):
    return PixelEdges(
        pixels=wp.array(np.asarray(pixels, np.int32), dtype=wp.int32, device=device),
        lenders=wp.array(np.asarray(lenders, np.int32), dtype=wp.int32, device=device),
    )


def mixed(device, picture, before, edges):
    out = wp.array(picture, dtype=wp.uint8, device=device)
    mix_edges(out, wp.array(before, dtype=wp.uint8, device=device), edges)
    return out.numpy()


@pytest.mark.parametrize("channels", [3, 14])
@pytest.mark.parametrize("count", [1, 700])
def test_a_change_is_the_mean_of_those_of_the_lenders(device, count, channels):
    rng = np.random.default_rng(3)
    height, width, samples = 31, 47, 16
    picture = rng.integers(0, 256, (height, width, 3)).astype(np.uint8)
    before = rng.integers(0, 256, (height, width, channels)).astype(np.uint8)
    pixels = rng.permutation(height * width)[:count]
    lenders = rng.integers(0, height * width, (count, samples))
    got = mixed(device, picture, before, edges_of(pixels, lenders, device)).reshape(-1, 3)
    base = linear(before[..., :3]).reshape(-1, 3)
    change = linear(picture).reshape(-1, 3) - base
    expected = picture.reshape(-1, 3).astype(float)
    expected[pixels] = bytes_of(base[pixels] + change[lenders].mean(axis=1))
    assert np.abs(got - expected).max() < 0.52  # half a level, and a hundredth of the looked-up curve
    others = np.setdiff1d(np.arange(height * width), pixels)
    np.testing.assert_array_equal(got[others], picture.reshape(-1, 3)[others])


def test_a_sample_follows_an_earlier_one_and_else_is_the_pixels_own(device):
    picture, before = np.zeros((1, 3, 3), np.uint8), np.full((1, 3, 3), 80, np.uint8)
    picture[0] = [[80] * 3, [200] * 3, [120] * 3]
    # Samples 1 and 2 show what sample 0 shows, which is pixel 2; nobody lends to sample 3.
    got = mixed(device, picture, before, edges_of([1], [[2, -2, -3, -1]], device))
    assert np.abs(got[0, 1] - bytes_of(0.75 * linear(120) + 0.25 * linear(200))).max() < 0.52


def test_without_edges_nothing_changes(device):
    picture = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    none = edges_of(np.empty(0), np.empty((0, 16)), device)
    np.testing.assert_array_equal(mixed(device, picture, picture[::-1].copy(), none), picture)


@pytest.mark.parametrize("shape", [(2, 4, 2), (4, 2, 3), (8, 3)])
def test_pictures_must_go_together(shape):
    some = edges_of([0], [[1]], "cpu")
    with pytest.raises(ValueError, match=r"mix_edges needs pictures as uint8 .* got \[2, 4, 3\] and"):
        mixed("cpu", np.zeros((2, 4, 3), np.uint8), np.zeros(shape, np.uint8), some)


def test_a_view_is_refused():
    picture = wp.zeros((4, 4, 3), dtype=wp.uint8, device="cpu")
    with pytest.raises(ValueError, match="mix_edges needs a contiguous picture"):
        mix_edges(picture[:, ::2], wp.zeros((4, 2, 3), dtype=wp.uint8, device="cpu"), edges_of([0], [[1]], "cpu"))
