import cv2
import numpy as np
import pytest
import warp as wp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cosmos.bridge.kernels import checks, edges
from cosmos.bridge.kernels.edges import EDGE_PRESETS, edge_thresholds, edges_to_control

SHAPES = [(2, 61, 83), (1, 1, 1), (1, 1, 9), (1, 7, 1), (2, 2, 2), (1, 3, 130)]


def soft_noise(shape, seed=0):
    """Colour noise smoothed until lines grow long: many weak pixels hang on few strong ones."""
    video = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    return np.stack([cv2.GaussianBlur(frame, (0, 0), 1.3) for frame in video]) if min(shape[1:]) > 3 else video


def canny(video, low, high):
    return np.stack([np.repeat(cv2.Canny(frame, low, high)[..., None], 3, axis=-1) for frame in video])


def with_warp(video, low, high, device):
    out = wp.full(video.shape, 77, dtype=wp.uint8, device=device)
    edges._edges_with_warp(wp.array(video, dtype=wp.uint8, device=device), low, high, out)
    return out.numpy()


@pytest.mark.parametrize("preset", sorted(EDGE_PRESETS))
@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernel_is_bit_identical_to_cv2(device, shape, preset):
    video = soft_noise(shape)
    np.testing.assert_array_equal(with_warp(video, *EDGE_PRESETS[preset], device), canny(video, *EDGE_PRESETS[preset]))


@pytest.mark.parametrize("preset", sorted(EDGE_PRESETS))
def test_the_launcher_is_bit_identical_to_cv2(device, preset):
    video = soft_noise((2, 40, 53), seed=1)
    control = edges_to_control(wp.array(video, dtype=wp.uint8, device=device), preset=preset)
    np.testing.assert_array_equal(control.numpy(), canny(video, *EDGE_PRESETS[preset]))


def test_the_presets_are_those_of_transfer():
    assert EDGE_PRESETS["medium"] == (100, 200)
    assert EDGE_PRESETS["very_low"] == EDGE_PRESETS["none"] == (20, 50)
    assert [EDGE_PRESETS[name] for name in ("low", "high", "very_high")] == [(50, 100), (200, 300), (300, 400)]


@given(
    frame=hnp.arrays(
        np.uint8, st.tuples(st.just(1), st.integers(1, 9), st.integers(1, 9), st.just(3)), elements=st.integers(0, 255)
    ),
    low=st.integers(0, 400),
    gap=st.integers(0, 400),
)
@settings(deadline=None, max_examples=120)
def test_any_small_picture_is_bit_identical(frame, low, gap):
    np.testing.assert_array_equal(with_warp(frame, low, low + gap, "cpu"), canny(frame, low, low + gap))


def test_a_weak_line_is_followed_to_its_end(device):
    """A faint serpentine, bright at one end only: growth must walk all of it, against the launch order as well."""
    frame = np.zeros((1, 64, 64, 3), np.uint8)
    for turn, row in enumerate(range(4, 60, 8)):
        frame[0, row : row + 4, 4:60] = 45
        if turn:
            column = 4 if turn % 2 else 56
            frame[0, row - 8 : row, column : column + 4] = 45
    for flipped in (frame, np.ascontiguousarray(frame[:, ::-1, ::-1])):
        faint = canny(flipped, 60, 400)
        assert not faint.any()  # nothing starts a line
        started = flipped.copy()
        spot = np.argwhere(started[0, ..., 0])[0]
        started[0, spot[0] : spot[0] + 4, spot[1] : spot[1] + 4] = 200
        wanted = canny(started, 60, 400)
        assert (wanted[..., 0] > 0).sum() > 600
        np.testing.assert_array_equal(with_warp(started, 60, 400, device), wanted)


def test_two_runs_are_equal(device):
    video = soft_noise((1, 50, 70), seed=3)
    np.testing.assert_array_equal(with_warp(video, 30, 120, device), with_warp(video, 30, 120, device))


def test_strided_video_is_read_as_it_is(device):
    video = soft_noise((3, 30, 40), seed=4)
    cut = wp.array(video, dtype=wp.uint8, device=device)[1:, 3:, 5:33]
    assert not cut.is_contiguous
    np.testing.assert_array_equal(edges_to_control(cut, preset="low").numpy(), canny(video[1:, 3:, 5:33], 50, 100))


def test_without_cv2_the_kernel_draws_the_same(monkeypatch):
    video = soft_noise((1, 20, 30), seed=5)
    monkeypatch.setattr(edges, "find_cv2", lambda: None)
    control = edges_to_control(wp.array(video, dtype=wp.uint8, device="cpu"), low=40, high=90)
    np.testing.assert_array_equal(control.numpy(), canny(video, 40, 90))


def test_cv2_is_found_where_it_is_installed():
    assert checks.find_cv2() is cv2


def test_own_thresholds_are_rounded_down():
    assert edge_thresholds("medium", 10.9, 20.2) == (10, 20)
    video = soft_noise((1, 20, 30), seed=6)
    control = edges_to_control(wp.array(video, dtype=wp.uint8, device="cpu"), low=40.7, high=90.2)
    np.testing.assert_array_equal(control.numpy(), canny(video, 40.7, 90.2))


@pytest.mark.parametrize(
    ("settings_", "match"),
    [
        ({"preset": "soft"}, "knows the presets .*'soft'"),
        ({"low": 10.0}, "low and high, or neither"),
        ({"low": 30.0, "high": 20.0}, "0 <= low <= high"),
        ({"low": -1.0, "high": 20.0}, "0 <= low <= high"),
        ({"low": np.nan, "high": 20.0}, "0 <= low <= high"),
    ],
)
def test_other_settings_are_refused(device, settings_, match):
    with pytest.raises(ValueError, match=match):
        edges_to_control(wp.zeros((1, 2, 2, 3), dtype=wp.uint8, device=device), **settings_)


def test_other_arrays_are_refused(device):
    with pytest.raises(ValueError, match="got float32"):
        edges_to_control(wp.zeros((1, 2, 2, 3), dtype=wp.float32, device=device))
    with pytest.raises(ValueError, match=r"got uint8 \[1, 2, 2, 4\]"):
        edges_to_control(wp.zeros((1, 2, 2, 4), dtype=wp.uint8, device=device))
    with pytest.raises(ValueError, match="needs out as"):
        out = wp.zeros((1, 2, 3, 3), dtype=wp.uint8, device=device)
        edges_to_control(wp.zeros((1, 2, 2, 3), dtype=wp.uint8, device=device), out=out)
