"""Noise that stays on surfaces: told by motion vectors, new where something comes into view, the same in any pieces."""

from types import SimpleNamespace

import numpy as np
import pytest

from cosmos.bridge.transfer.anchored import AnchoredNoise, gaussians

SIZE, RATIO = (12, 20), 2


class Buffer:
    def __init__(self, frames):
        self.frames = frames

    def __getitem__(self, index):
        return SimpleNamespace(numpy=lambda: self.frames[index])


def clip_of(motions, ids=None):
    """A clip as far as the noise asks it; motions (x, y) in pixels, of the whole picture or of each pixel."""
    shape = (SIZE[0] * RATIO, SIZE[1] * RATIO, 2)
    frames = [np.broadcast_to(np.asarray(motion, np.float32), shape) for motion in motions]
    return SimpleNamespace(motion=Buffer(frames), instance_ids=None if ids is None else Buffer(ids))


def drawn(clip, frames, seed=3):
    noise = AnchoredNoise(seed, SIZE, RATIO)
    return [noise.next(clip, frame) for frame in range(frames)]


def test_numbers_are_standard_normal_and_apart():
    grid = np.stack(np.meshgrid(np.arange(200), np.arange(200), indexing="ij"), axis=-1)
    born = np.zeros((200, 200), dtype=np.int64)
    one = gaussians(3, born, grid)
    assert one.shape == (3, 200, 200) and one.dtype == np.float32
    ordered = np.sort(one.reshape(-1).astype(np.float64))
    from statistics import NormalDist

    shares = (np.arange(len(ordered)) + 0.5) / len(ordered)
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        found = ordered[np.searchsorted(shares, share)]
        assert abs(found - NormalDist().inv_cdf(share)) < 0.03
    others = [gaussians(4, born, grid), gaussians(3, born + 1, grid), gaussians(3, born, grid + 1), np.roll(one, 1, 0)]
    for other in others:
        assert abs(np.corrcoef(one.reshape(-1), other.reshape(-1))[0, 1]) < 0.02
    np.testing.assert_array_equal(one, gaussians(3, born, grid))
    np.testing.assert_array_equal(gaussians(3, born, grid + 1)[:, :-1, :-1], one[:, 1:, 1:])


def test_without_motion_all_frames_draw_the_same():
    frames = drawn(SimpleNamespace(motion=None, instance_ids=None), 3)
    np.testing.assert_array_equal(frames[0], frames[2])
    assert (frames[0] != drawn(SimpleNamespace(motion=None, instance_ids=None), 1, seed=4)[0]).mean() > 0.99


def test_whole_sites_move_as_the_surface_does():
    """Previous minus current: +4 px across is two sites to the left, frame by frame; what enters is new."""
    frames = drawn(clip_of([(4.0, -2.0)] * 4), 4)
    for step in range(1, 4):
        rows, columns = step, 2 * step
        np.testing.assert_array_equal(frames[step][:, rows:, : SIZE[1] - columns], frames[0][:, :-rows, columns:])
    entered = frames[3][:, 0]
    assert not np.isin(entered, np.concatenate([frame.reshape(-1) for frame in frames[:3]])).any()


def test_parts_of_a_site_add_up():
    """A quarter of a site a frame: after eight frames it has moved by two, and never by more than half a site off."""
    frames = drawn(clip_of([(0.25 * RATIO, 0.0)] * 13), 13)
    for step in range(1, 13):
        moved = int(np.floor(0.25 * step + 0.5))
        np.testing.assert_array_equal(frames[step][:, :, : SIZE[1] - 4], frames[0][:, :, moved : SIZE[1] - 4 + moved])


def test_what_another_thing_hid_is_new():
    shape = (SIZE[0] * RATIO, SIZE[1] * RATIO)
    before, now = np.ones(shape, np.uint32), np.ones(shape, np.uint32)
    before[:, :10] = 2
    frames = drawn(clip_of([(0.0, 0.0)] * 2, [before, now]), 2)
    np.testing.assert_array_equal(frames[1][:, :, 5:], frames[0][:, :, 5:])
    assert (frames[1][:, :, :5] != frames[0][:, :, :5]).all()


@pytest.mark.parametrize("wild", [np.nan, np.inf, -1e30])
def test_motion_that_is_no_number_brings_new_noise(wild):
    frames = drawn(clip_of([(0.0, 0.0), (wild, 0.0)]), 2)
    assert np.isfinite(frames[1]).all() and (frames[1] != frames[0]).all()
