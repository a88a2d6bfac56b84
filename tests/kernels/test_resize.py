import cv2
import numpy as np
import pytest
import warp as wp
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos.bridge.kernels import resize
from cosmos.bridge.kernels.resize import Letterbox, letterbox, resize_table, resize_video, unletterbox

SHAPES = [(2, 41, 63), (1, 1, 1), (1, 2, 3), (1, 30, 1)]
SMALLER = [(20, 31), (13, 17), (40, 62), (1, 1), (41, 63), (7, 63)]
SIZES = [*SMALLER, (97, 140), (5, 90)]
SIDE = st.integers(1, 40)


def noise(shape, dtype=np.uint8):
    rng = np.random.default_rng(sum(shape))
    return (rng.random((*shape, 3)) * 255.0).astype(dtype)


def to_warp(video, device):
    return wp.array(video, dtype={"uint8": wp.uint8, "float32": wp.float32}[str(video.dtype)], device=device)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_linear_is_that_of_cv2(device, shape, size, dtype):
    video = noise(shape, dtype)
    wanted = np.stack([cv2.resize(frame, size[::-1], interpolation=cv2.INTER_LINEAR) for frame in video])
    resized = resize_video(to_warp(video, device), size, mode="linear").numpy()
    np.testing.assert_allclose(resized.astype(float), wanted.astype(float), atol=1 if dtype == np.uint8 else 1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("size", SMALLER)
def test_shrinking_by_area_is_that_of_cv2(device, size, dtype):
    video = noise((2, 41, 63), dtype)
    wanted = np.stack([cv2.resize(frame, size[::-1], interpolation=cv2.INTER_AREA) for frame in video])
    resized = resize_video(to_warp(video, device), size, mode="area").numpy()
    np.testing.assert_allclose(resized.astype(float), wanted.astype(float), atol=1 if dtype == np.uint8 else 1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("shape", SHAPES)
def test_cubic_is_the_antialiased_one_of_torch(device, shape, size):
    torch = pytest.importorskip("torch")
    video = noise(shape)
    planes = torch.from_numpy(video).permute(0, 3, 1, 2).float()
    wanted = torch.nn.functional.interpolate(planes, size=size, mode="bicubic", antialias=True).clamp(0.0, 255.0)
    resized = resize_video(to_warp(video, device), size, mode="cubic").numpy()
    np.testing.assert_allclose(resized.astype(float), wanted.permute(0, 2, 3, 1).numpy(), atol=0.51)


@pytest.mark.parametrize("size", [(20, 31), (13, 17), (97, 140), (123, 189), (1, 1)])
def test_nearest_is_the_exact_one_of_cv2(device, size):
    video = noise((2, 41, 63))
    wanted = np.stack([cv2.resize(frame, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT) for frame in video])
    np.testing.assert_array_equal(resize_video(to_warp(video, device), size, mode="nearest").numpy(), wanted)


@pytest.mark.parametrize("dtype", ["uint32", "int32", "float32"])
def test_nearest_keeps_ids_and_inf(device, dtype):
    ids = np.array([[[0, 1, 2**31 - 1], [7, 8, 9]]], dtype)
    if dtype == "float32":
        ids[0, 0, 1], ids[0, 1, 1] = np.inf, np.nan
    array = wp.array(ids, dtype=getattr(wp, dtype), device=device)
    resized = resize_video(array, (4, 6), mode="nearest").numpy()
    np.testing.assert_array_equal(resized, ids.repeat(2, axis=1).repeat(2, axis=2))
    cut = resize_video(array[:, :, 1:], (2, 2), mode="nearest").numpy()
    np.testing.assert_array_equal(cut, ids[:, :, 1:])


def test_inf_and_nan_stay_where_they_are_read(device):
    depth = np.ones((1, 4, 8), np.float32)
    depth[0, 0, 0], depth[0, 3, 7] = np.inf, np.nan
    resized = resize_video(to_warp(depth, device), (2, 4), mode="area").numpy()[0]
    assert np.isposinf(resized[0, 0])
    assert np.isnan(resized[1, 3])
    inner = np.ones((2, 4), bool)
    inner[0, 0] = inner[1, 3] = False
    np.testing.assert_allclose(resized[inner], 1.0)


@given(source=SIDE, target=SIDE, mode=st.sampled_from(["area", "linear", "cubic", "nearest"]))
@settings(deadline=None, max_examples=200)
def test_every_table_is_a_mean_of_pixels_inside(source, target, mode):
    start, weights = resize_table(source, target, mode)
    assert start.shape == (target,)
    assert start.min() >= 0
    assert start.max() + weights.shape[1] <= source or weights.shape[1] == 1
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-12)
    if mode != "cubic":
        assert (weights >= 0.0).all()
    if source == target:
        np.testing.assert_allclose(weights[np.arange(target), np.arange(target) - start], 1.0)


@given(source=st.tuples(SIDE, SIDE), size=st.tuples(SIDE, SIDE), enlarge=st.booleans())
@settings(deadline=None, max_examples=100)
def test_a_letterbox_lies_inside_and_comes_back(source, size, enlarge):
    box = Letterbox.fit(source, size, enlarge=enlarge)
    assert 0 <= box.top <= box.top + box.height <= size[0]
    assert 0 <= box.left <= box.left + box.width <= size[1]
    assert box.height == size[0] or box.width == size[1] or not enlarge
    ids = np.arange(source[0] * source[1], dtype=np.uint32).reshape(1, *source) + 1
    padded, same = letterbox(wp.array(ids, dtype=wp.uint32, device="cpu"), size, mode="nearest", enlarge=enlarge)
    assert same == box
    back = unletterbox(padded, box, mode="nearest").numpy()
    assert back.shape == ids.shape
    assert back.all()  # nothing of the bars comes back
    if not box.scaled:
        np.testing.assert_array_equal(back, ids)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_padding_alone_comes_back_bit_for_bit(device, dtype):
    video = noise((2, 13, 21), dtype)
    padded, box = letterbox(to_warp(video, device), (32, 32), enlarge=False, fill=9)
    assert not box.scaled
    assert padded.numpy()[0, 0, 0, 0] == 9
    np.testing.assert_array_equal(unletterbox(padded, box).numpy(), video)
    np.testing.assert_array_equal(box.crop(padded).numpy(), video)


def test_labels_stay_on_the_picture(device):
    """A bright block and its ids go through the same box; their outlines must not part."""
    ids = np.zeros((1, 60, 100), np.uint32)
    ids[0, 20:40, 30:70] = 5
    video = np.repeat((ids > 0).astype(np.uint8)[..., None] * 255, 3, axis=-1)
    small, box = letterbox(to_warp(video, device), (36, 64), mode="area")
    marks, same = letterbox(wp.array(ids, dtype=wp.uint32, device=device), (36, 64), mode="nearest")
    assert same == box
    assert ((small.numpy()[..., 0] > 127) != (marks.numpy() == 5)).mean() < 0.01
    back = unletterbox(small, box).numpy()[0, ..., 0] > 127
    assert (back != (ids[0] > 0)).mean() < 0.01


def test_strided_video_is_read_as_it_is(device):
    video = noise((2, 30, 40))
    cut = to_warp(video, device)[:, 3:, 5:33]
    assert not cut.is_contiguous
    whole = to_warp(np.ascontiguousarray(video[:, 3:, 5:33]), device)
    for mode in ("area", "linear", "cubic", "nearest"):
        wanted = resize_video(whole, (11, 50), mode=mode).numpy()
        np.testing.assert_array_equal(resize_video(cut, (11, 50), mode=mode).numpy(), wanted)


@pytest.mark.parametrize("mode", ["area", "linear", "cubic"])
def test_blocks_of_frames_join_without_a_seam(device, mode, monkeypatch):
    video = to_warp(noise((5, 20, 30)), device)
    whole = resize_video(video, (9, 50), mode=mode).numpy()
    monkeypatch.setattr(resize, "_LINES_BYTES", 2 * 4 * 9 * 30 * 3)  # two frames a block, one is left over
    np.testing.assert_array_equal(resize_video(video, (9, 50), mode=mode).numpy(), whole)


def test_out_is_filled_and_returned(device):
    out = wp.zeros((1, 4, 6, 3), dtype=wp.uint8, device=device)
    assert resize_video(wp.full((1, 2, 3, 3), 8, dtype=wp.uint8, device=device), (4, 6), out=out) is out
    assert (out.numpy() == 8).all()


def test_others_are_refused(device):
    video = wp.zeros((1, 4, 4, 3), dtype=wp.uint8, device=device)
    ids = wp.zeros((1, 4, 4), dtype=wp.uint32, device=device)
    with pytest.raises(ValueError, match=r"knows the modes .*'lanczos'"):
        resize_video(video, (2, 2), mode="lanczos")
    with pytest.raises(ValueError, match="uint8 or float32"):
        resize_video(ids, (2, 2), mode="linear")
    with pytest.raises(ValueError, match="at least 1 x 1"):
        resize_video(video, (0, 2))
    with pytest.raises(ValueError, match="needs out as"):
        resize_video(video, (2, 2), out=wp.zeros((1, 2, 3, 3), dtype=wp.uint8, device=device))
    with pytest.raises(ValueError, match="float64"):
        letterbox(wp.zeros((1, 4, 4), dtype=wp.float64, device=device), (2, 2))
    with pytest.raises(ValueError, match="at least 1 x 1"):
        letterbox(video, (0, 2))
    with pytest.raises(ValueError, match=r"size \(8, 8\), got \(4, 4\)"):
        Letterbox.fit((4, 4), (8, 8)).crop(video)
