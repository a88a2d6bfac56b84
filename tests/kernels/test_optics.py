"""A camera with faults, against float64 NumPy and OpenCV, in linear light."""

import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.optics import Optics, see_through

SIZE = (48, 64)
SIGMA = 0.6 * 0.011 * SIZE[0]


def light_of(levels):
    v = levels / 255.0
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)


def levels_of(light):
    v = np.clip(light, 0.0, 1.0)
    return 255.0 * np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055)


def pictures(frames=2):
    noise = np.random.default_rng(3).integers(20, 200, (frames, *SIZE, 3))
    noise[:, 10:14, 20:26] = 255
    return noise.astype(np.uint8)


def seen(device, optics, *, given=None, times=None, motion=None, seed=5):
    given = pictures() if given is None else given
    array = wp.array(given, dtype=wp.uint8, device=device)
    times = np.zeros(len(given)) if times is None else times
    moved = None if motion is None else wp.array(motion, dtype=wp.float32, device=device)
    see_through(array, optics=optics, times=times, seed=seed, motion=moved)
    return array.numpy()


def test_a_good_camera_changes_nothing(device):
    np.testing.assert_array_equal(seen(device, Optics()), pictures())
    still = seen(device, Optics(motion_blur=1.0), motion=np.zeros((2, *SIZE, 2), np.float32))
    np.testing.assert_array_equal(still, pictures())
    np.testing.assert_array_equal(seen(device, Optics(motion_blur=1.0)), pictures())


def test_a_defocus_is_a_gaussian_of_the_light(device):
    got = seen(device, Optics(defocus=0.6)).astype(float)
    for frame, picture in zip(got, pictures(), strict=True):
        size = 2 * int(np.ceil(3 * SIGMA)) + 1
        want = cv2.GaussianBlur(light_of(picture), (size, size), SIGMA, borderType=cv2.BORDER_REPLICATE)
        assert np.abs(frame - levels_of(want)).max() <= 0.51


def test_motion_blurs_along_the_motion_and_not_across(device):
    motion = np.zeros((2, *SIZE, 2), np.float32)
    motion[..., 0] = 8.0
    got = seen(device, Optics(motion_blur=0.5), motion=motion)
    light = light_of(pictures())
    across, down = np.abs(np.diff(light_of(got), axis=2)).mean(), np.abs(np.diff(light_of(got), axis=1)).mean()
    assert across < 0.4 * np.abs(np.diff(light, axis=2)).mean() and down > 1.3 * across
    taps = 2 * 4 + 3
    want = np.zeros_like(light)
    for share in (np.arange(taps) + 0.5) / taps - 0.5:
        x = np.clip(np.arange(SIZE[1]) + 4.0 * share, 0, SIZE[1] - 1)
        left = np.floor(x).astype(int)
        part = (x - left)[:, None]
        want += light[:, :, left] * (1 - part) + light[:, :, np.minimum(left + 1, SIZE[1] - 1)] * part
    assert np.abs(got - levels_of(want / taps)).max() <= 0.51


def test_a_blurred_edge_stays_where_it_is(device):
    edge = np.full((1, *SIZE, 3), 40, np.uint8)
    edge[:, :, 31:] = 200
    motion = np.full((1, *SIZE, 2), (6.0, 0.0), np.float32)
    got = light_of(seen(device, Optics(defocus=1.0, motion_blur=1.0), given=edge, motion=motion)[0, 20, :, 0])
    half = 0.5 * (got[0] + got[-1])
    place = np.argmax(got > half)
    crossing = place - 1 + (half - got[place - 1]) / (got[place] - got[place - 1])
    assert crossing == pytest.approx(30.5, abs=0.1)


def test_motion_that_nobody_knows_blurs_nothing(device):
    motion = np.full((2, *SIZE, 2), np.nan, np.float32)
    motion[:, :10] = np.inf
    np.testing.assert_array_equal(seen(device, Optics(motion_blur=1.0), motion=motion), pictures())


def test_dirt_and_drops_veil_and_follow_seed_and_time(device):
    dirty = seen(device, Optics(lens_dirt=1.0))
    assert light_of(dirty).mean() < light_of(pictures()).mean() and (dirty != pictures()).mean() > 0.5
    assert (dirty != seen(device, Optics(lens_dirt=1.0), seed=6)).any()
    drops = Optics(lens_drops=1.0)
    early, late = seen(device, drops), seen(device, drops, times=np.array([40.0, 40.0]))
    assert 0.02 < (early != pictures()).any(-1).mean() < 0.7 and (early != late).any()


def test_frames_made_apart_are_those_made_together(device):
    optics = Optics(defocus=0.3, lens_dirt=0.5, lens_drops=0.5)
    whole = seen(device, optics, times=np.array([0.0, 4.0]))
    np.testing.assert_array_equal(seen(device, optics, given=pictures()[1:], times=np.array([4.0])), whole[1:])


def test_bad_input_gets_a_sentence(device):
    with pytest.raises(ValueError, match="defocus must lie in"):
        Optics(defocus=1.5)
    with pytest.raises(ValueError, match="needs motion"):
        seen(device, Optics(motion_blur=1.0), motion=np.zeros((2, 3, 3, 2), np.float32))
    with pytest.raises(ValueError, match="a time a frame"):
        seen(device, Optics(defocus=1.0), times=np.zeros(3))
