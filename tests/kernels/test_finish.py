"""The last pass: what it adds, where, and what it leaves alone."""

import numpy as np
import pytest
import warp as wp

import finish_oracle
from cosmos.bridge.kernels.finish import Finish, finish_pictures, vignette_shade

SHAPE = (2, 60, 90, 3)


def finished(device, finish, *, painted=80, source=200, frame=0, **buffers):
    pictures = wp.array(np.full(SHAPE, painted, np.uint8), dtype=wp.uint8, device=device)
    types = {"falling": wp.uint8}
    buffers = {
        name: wp.array(value, dtype=types.get(name, wp.float32), device=device) for name, value in buffers.items()
    }
    finish_pictures(
        pictures,
        source=wp.array(np.full(SHAPE, source, np.uint8), dtype=wp.uint8, device=device),
        finish=finish,
        times=(np.arange(2) + frame) / 24.0,
        first_frame=frame,
        **buffers,
    )
    return pictures.numpy()


@pytest.mark.parametrize("known", [False, True])
def test_the_pass_is_that_of_float64(device, known):
    """Each number of the last pass by NumPy: flakes, streaks, where they fall, vignette, grain, and what is kept."""
    rng = np.random.default_rng(3)
    painted, source = (rng.integers(0, 256, SHAPE, dtype=np.uint8) for _ in range(2))
    depth = rng.uniform(0.5, 30.0, SHAPE[:3]).astype(np.float32)
    depth[:, :5], depth[:, 5:9] = np.inf, 0.0
    kept = np.clip(rng.normal(0.0, 0.6, SHAPE[:3]), 0.0, 1.0).astype(np.float32)
    falling = rng.integers(0, 256, (2, 5, 4, 6), dtype=np.uint8) if known else None
    finish, times = Finish(snow=0.7, rain=0.9, light=0.8, noise=0.3, vignette=0.6, seed=11), np.array([0.25, 0.5])
    wanted = finish_oracle.finished(painted, source, finish, times, 5, depth, kept, falling)
    pictures = wp.array(painted, dtype=wp.uint8, device=device)
    finish_pictures(
        pictures,
        source=wp.array(source, dtype=wp.uint8, device=device),
        finish=finish,
        times=times,
        first_frame=5,
        depth=wp.array(depth, dtype=wp.float32, device=device),
        kept=wp.array(kept, dtype=wp.float32, device=device),
        falling=None if falling is None else wp.array(falling, dtype=wp.uint8, device=device),
    )
    error = np.abs(pictures.numpy() - wanted)
    # A place within rounding of the edge of a cell of noise may fall into the next one.
    assert (error > 0.51).mean() < 2e-3 and error.mean() < 0.27, (np.quantile(error, 0.999), error.mean())


@pytest.mark.parametrize("width", [1, 15, 16, 17, 63])
def test_rows_of_any_length_are_finished(device, width):
    """Sixteen pixels at a time, the last of a row with fewer."""
    finish = Finish(snow=1.0, rain=1.0, noise=0.5, vignette=0.5, seed=7)
    painted = np.full((1, 9, width, 3), 90, np.uint8)
    pictures = wp.array(painted, dtype=wp.uint8, device=device)
    finish_pictures(pictures, source=pictures, finish=finish, times=np.array([1.0]), first_frame=2)
    depth, kept = np.full((1, 9, width), np.inf), np.zeros((1, 9, width))
    wanted = finish_oracle.finished(painted, painted, finish, np.array([1.0]), 2, depth, kept, None)
    assert (np.abs(pictures.numpy() - wanted) > 0.51).mean() < 0.02


def test_nothing_asked_changes_nothing(device):
    assert (finished(device, Finish()) == 80).all()


def test_flakes_brighten_fall_and_follow_the_seed(device):
    one = finished(device, Finish(snow=0.8, light=1.0, seed=1))
    assert (one >= 80).all() and (one > 120).mean() > 0.005
    assert (one[0] != one[1]).any()
    np.testing.assert_array_equal(one, finished(device, Finish(snow=0.8, light=1.0, seed=1)))
    assert (one != finished(device, Finish(snow=0.8, light=1.0, seed=2))).any()


def test_frames_made_in_two_batches_are_those_of_one(device):
    whole = finished(device, Finish(snow=0.6, rain=0.4, noise=0.5, seed=3))
    later = finished(device, Finish(snow=0.6, rain=0.4, noise=0.5, seed=3), frame=1)
    np.testing.assert_array_equal(whole[1], later[0])


def test_what_falls_at_night_is_no_dirt_before_bright_ground(device):
    """Flakes as dark as the hour looked like grey specks before lying snow."""
    shown = {}
    for level in (40, 230):
        for kind in ({"snow": 1.0}, {"rain": 1.0}):
            drawn = finished(device, Finish(light=0.4, seed=3, **kind), painted=level)
            assert drawn.min() >= level and drawn.max() > level, (level, kind)
            shown[(level, *kind)] = drawn.max()
    assert shown[40, "snow"] == pytest.approx(40 + 0.75 * (0.4 * 255 - 40), abs=1.0)
    assert shown[230, "snow"] == pytest.approx(230 + 0.75 * 0.15 * 25, abs=1.0)


def test_near_things_hide_what_falls_behind_them(device):
    near = finished(device, Finish(snow=1.0, rain=1.0, seed=1), depth=np.full(SHAPE[:3], 1.0))
    far = finished(device, Finish(snow=1.0, rain=1.0, seed=1), depth=np.full(SHAPE[:3], np.inf))
    assert (near == 80).all() and (far > 80).any()


def test_nothing_falls_under_a_roof(device):
    falling = np.full((2, 5, 4, 6), 255, np.uint8)
    falling[..., :3] = 0  # the left half, at any depth
    finish = Finish(snow=1.0, rain=1.0, seed=1)
    everywhere = finished(device, finish)
    part = finished(device, finish, falling=falling)
    assert (part[:, :, :38] == 80).all() and (everywhere[:, :, :38] > 80).any()
    np.testing.assert_array_equal(part[:, :, 53:], everywhere[:, :, 53:])
    falling[..., :3], falling[:, 2:] = 255, 0  # nothing beyond the second layer, 3.2 m away
    near, far = (finished(device, finish, falling=falling, depth=np.full(SHAPE[:3], z)) for z in (4.2, np.inf))
    np.testing.assert_array_equal(near, far)
    np.testing.assert_array_equal(near, finished(device, finish, depth=np.full(SHAPE[:3], 4.2)))


def test_the_vignette_darkens_the_corners_only(device):
    out = finished(device, Finish(vignette=1.0))[0, ..., 0]
    assert out[30, 45] == 80 and out[0, 0] < 45
    np.testing.assert_array_equal(out, out[::-1, ::-1])


def test_the_shade_is_what_the_pass_multiplies_by(device):
    out = finished(device, Finish(vignette=0.7))[0, ..., 0]
    shade = vignette_shade(SHAPE[1:3], 0.7)
    np.testing.assert_array_equal(out, np.floor(80.0 * shade + 0.5))
    np.testing.assert_array_equal(vignette_shade((5, 9), 0.0), np.ones((5, 9), np.float32))


def test_grain_has_no_mean(device):
    out = finished(device, Finish(noise=1.0, seed=4)).astype(float)
    assert abs(out.mean() - 80.0) < 1.0 and out.std() > 4.0


def test_kept_pixels_are_the_source_to_the_bit(device):
    kept = np.zeros(SHAPE[:3])
    kept[:, :, 45:] = 1.0
    out = finished(device, Finish(snow=1.0, noise=1.0, vignette=1.0, seed=5), kept=kept)
    assert (out[:, :, 45:] == 200).all() and (out[:, :, :45] < 200).mean() > 0.9


def test_what_does_not_fit_is_refused(device):
    pictures = wp.zeros(SHAPE, dtype=wp.uint8, device=device)
    with pytest.raises(ValueError, match="source"):
        finish_pictures(pictures, source=pictures[:1], finish=Finish(), times=np.zeros(2), first_frame=0)
    with pytest.raises(ValueError, match="time a frame"):
        finish_pictures(pictures, source=pictures, finish=Finish(), times=np.zeros(3), first_frame=0)
    with pytest.raises(ValueError, match="kept"):
        kept = wp.zeros((2, 3, 4), dtype=wp.float32, device=device)
        finish_pictures(pictures, source=pictures, finish=Finish(), times=np.zeros(2), first_frame=0, kept=kept)
