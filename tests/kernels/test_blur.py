import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels import blur
from cosmos.bridge.kernels.blur import BLUR_PRESETS, bilateral_filter, blur_to_control


def picture(shape, seed=0):
    """Blocks and noise: edges that the filter must keep, and detail that it must not."""
    rng = np.random.default_rng(seed)
    frames, height, width = shape
    blocks = rng.integers(0, 256, (frames, -(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    video = blocks.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width].astype(int)
    return np.clip(video + rng.integers(-20, 21, video.shape), 0, 255).astype(np.uint8)


def with_warp(video, device, diameter=30, sigma_color=150.0, sigma_space=100.0):
    out = wp.empty(video.shape, dtype=wp.uint8, device=device)
    array = wp.array(video, dtype=wp.uint8, device=device)
    blur._bilateral_with_warp(array, diameter, sigma_color, sigma_space, out)
    return out.numpy().astype(int)


def antialiased_cubic(frame, size):
    torch = pytest.importorskip("torch")
    planes = torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1)[None].float()
    resized = torch.nn.functional.interpolate(planes, size=size, mode="bicubic", antialias=True)
    return resized[0].clamp(0.0, 255.0).round().permute(1, 2, 0).numpy().astype(np.uint8)


def ladder_with_cv2_and_torch(frame, preset):
    step = BLUR_PRESETS[preset]
    height, width = frame.shape[:2]
    small = cv2.resize(frame, (width // step.downscale, height // step.downscale), interpolation=cv2.INTER_AREA)
    smooth = cv2.bilateralFilter(small, 30, 150.0, 100.0)
    smooth = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
    coarse = antialiased_cubic(smooth, (height // step.downup, width // step.downup))
    return antialiased_cubic(coarse, (height, width))


@pytest.mark.parametrize("shape", [(2, 41, 63), (1, 1, 1), (1, 1, 9), (1, 9, 1), (1, 3, 2)])
@pytest.mark.parametrize("numbers", [(30, 150.0, 100.0), (5, 20.0, 3.0), (1, 50.0, 50.0)])
def test_the_bilateral_kernel_is_within_one_level_of_cv2(device, shape, numbers):
    video = picture(shape)
    wanted = np.stack([cv2.bilateralFilter(frame, *numbers, borderType=cv2.BORDER_REPLICATE) for frame in video])
    np.testing.assert_allclose(with_warp(video, device, *numbers), wanted.astype(int), atol=1)


def test_away_from_the_rim_the_bilateral_filter_is_that_of_transfer(device):
    """Transfer calls cv2 with its default rim; 15 pixels inwards the rim is out of reach."""
    video = picture((1, 50, 60), seed=1)
    wanted = cv2.bilateralFilter(video[0], 30, 150.0, 100.0).astype(int)
    filtered = bilateral_filter(
        wp.array(video, dtype=wp.uint8, device=device), diameter=30, sigma_color=150.0, sigma_space=100.0
    )
    np.testing.assert_allclose(filtered.numpy()[0, 15:-15, 15:-15].astype(int), wanted[15:-15, 15:-15], atol=1)


def test_without_cv2_the_kernel_gives_the_same(monkeypatch):
    video = wp.array(picture((1, 20, 31), seed=2), dtype=wp.uint8, device="cpu")
    with_cv2 = blur_to_control(video).numpy().astype(int)
    monkeypatch.setattr(blur, "find_cv2", lambda: None)
    np.testing.assert_allclose(blur_to_control(video).numpy().astype(int), with_cv2, atol=1)


@pytest.mark.parametrize("preset", sorted(BLUR_PRESETS))
def test_the_whole_ladder_follows_cv2_and_torch_away_from_the_rim(device, preset):
    video = picture((1, 176, 208), seed=3)
    control = blur_to_control(wp.array(video, dtype=wp.uint8, device=device), preset=preset).numpy()[0]
    rim = 15 * BLUR_PRESETS[preset].downscale + 4 * BLUR_PRESETS[preset].downup
    rim = min(rim, 80)
    wanted = ladder_with_cv2_and_torch(video[0], preset).astype(int)
    difference = np.abs(control.astype(int) - wanted)[rim:-rim, rim:-rim]
    assert difference.size
    assert difference.max() <= 2  # each step is within one level of its oracle; roundings of four steps meet
    assert (difference > 1).mean() < 0.002


@pytest.mark.parametrize("preset", sorted(BLUR_PRESETS))
def test_a_flat_picture_stays_as_it_is(device, preset):
    video = wp.full((2, 33, 47, 3), 131, dtype=wp.uint8, device=device)
    np.testing.assert_array_equal(blur_to_control(video, preset=preset).numpy(), 131)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 5), (1, 3, 2), (1, 17, 1)])
def test_tiny_pictures_work(device, shape):
    video = picture(shape)
    for preset in BLUR_PRESETS:
        control = blur_to_control(wp.array(video, dtype=wp.uint8, device=device), preset=preset).numpy()
        assert control.shape == video.shape
        assert video.min() <= control.mean() <= video.max()


def test_a_chunk_gives_the_frames_of_the_whole(device):
    video = wp.array(picture((3, 24, 32), seed=4), dtype=wp.uint8, device=device)
    np.testing.assert_array_equal(blur_to_control(video).numpy()[1:2], blur_to_control(video[1:2]).numpy())


def test_strided_video_is_read_as_it_is(device):
    video = picture((2, 30, 40), seed=5)
    cut = wp.array(video, dtype=wp.uint8, device=device)[:, 3:, 5:33]
    assert not cut.is_contiguous
    whole = wp.array(np.ascontiguousarray(video[:, 3:, 5:33]), dtype=wp.uint8, device=device)
    np.testing.assert_array_equal(blur_to_control(cut).numpy(), blur_to_control(whole).numpy())


def test_others_are_refused(device):
    video = wp.zeros((1, 4, 4, 3), dtype=wp.uint8, device=device)
    with pytest.raises(ValueError, match=r"knows the presets .*'none'"):
        blur_to_control(video, preset="none")
    with pytest.raises(ValueError, match="got float32"):
        blur_to_control(wp.zeros((1, 4, 4, 3), dtype=wp.float32, device=device))
    with pytest.raises(ValueError, match="needs out as"):
        blur_to_control(video, out=wp.zeros((1, 4, 5, 3), dtype=wp.uint8, device=device))
    with pytest.raises(ValueError, match="diameter >= 1"):
        bilateral_filter(video, diameter=0, sigma_color=1.0, sigma_space=1.0)
    with pytest.raises(ValueError, match=r"\[T, H, W, 3\]"):
        bilateral_filter(
            wp.zeros((1, 4, 4, 1), dtype=wp.uint8, device=device), diameter=3, sigma_color=1, sigma_space=1
        )
