import numpy as np
import pytest
import warp as wp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cosmos.bridge.kernels.layout import join_channels, shared_streams, tensor_to_video, video_to_tensor

torch = pytest.importorskip("torch")


def every_byte(device):
    """All 256 levels, at an odd size."""
    video = np.resize(np.arange(256, dtype=np.uint8), (3, 11, 13, 3))
    return video, wp.array(video, dtype=wp.uint8, device=device)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_byte_survives_the_round_trip(device, dtype):
    video, array = every_byte(device)
    tensor = video_to_tensor(array, dtype=dtype)
    assert tensor.dtype == getattr(torch, dtype)
    assert tuple(tensor.shape) == (1, 3, 3, 11, 13)
    assert tensor.is_contiguous()
    np.testing.assert_array_equal(tensor_to_video(tensor).numpy(), video)


@given(video=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=4, max_dims=4, max_side=5)))
@settings(deadline=None, max_examples=40)
def test_any_small_video_survives_the_round_trip(video):
    tensor = video_to_tensor(wp.array(video, dtype=wp.uint8, device="cpu"), dtype="bfloat16")
    np.testing.assert_array_equal(tensor_to_video(tensor).numpy(), video)


def test_levels_match_numpy_in_float64(device):
    video, array = every_byte(device)
    wanted = (video.astype(np.float64) / 127.5 - 1.0).transpose(3, 0, 1, 2)[None]
    np.testing.assert_allclose(video_to_tensor(array).cpu().numpy(), wanted, atol=1e-7)


@given(values=hnp.arrays(np.float32, (1, 1, 2, 3, 4), elements=st.floats(-3.0, 3.0, width=32)))
@settings(deadline=None, max_examples=40)
def test_any_tensor_is_rounded_and_clamped(values):
    wanted = np.floor((np.clip(values.astype(np.float64), -1.0, 1.0) + 1.0) * 127.5 + 0.5)
    video = tensor_to_video(torch.from_numpy(values)).numpy()
    np.testing.assert_allclose(video.astype(int), wanted[0].transpose(1, 2, 3, 0), atol=1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_strided_tensors_and_videos_are_read_as_they_are(device, dtype):
    video, array = every_byte(device)
    torch_device = wp.device_to_torch(wp.get_device(device))
    tensor = torch.from_numpy(video).to(torch_device).permute(3, 0, 1, 2)[None].to(dtype) / 127.5 - 1.0
    cut = tensor[:, :, ::2, 1:, ::3]
    assert not cut.is_contiguous()
    np.testing.assert_allclose(tensor_to_video(cut).numpy().astype(int), video[::2, 1:, ::3].astype(int), atol=1)
    strided = array[:, 1:, 2:]
    assert not strided.is_contiguous
    np.testing.assert_array_equal(tensor_to_video(video_to_tensor(strided)).numpy(), video[:, 1:, 2:])


def test_the_tensor_outlives_the_video(device):
    video, array = every_byte(device)
    tensor = video_to_tensor(array)
    del array
    np.testing.assert_array_equal(tensor_to_video(tensor).numpy(), video)


def test_a_tensor_with_gradient_is_detached():
    tensor = torch.zeros((1, 3, 1, 2, 2), requires_grad=True)
    assert tensor_to_video(tensor).numpy().shape == (1, 2, 2, 3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_refused(device, value):
    tensor = torch.zeros((1, 3, 2, 3, 5), device=wp.device_to_torch(wp.get_device(device)))
    tensor[0, 1, 1, 2, 4] = value
    with pytest.raises(ValueError, match="NaN or inf"):
        tensor_to_video(tensor)


@pytest.mark.parametrize(
    ("tensor", "match"),
    [
        (torch.zeros((2, 3, 1, 2, 2)), "batch of 2"),
        (torch.zeros((3, 1, 2, 2)), r"got torch.float32 \[3, 1, 2, 2\]"),
        (torch.zeros((1, 3, 1, 2, 2), dtype=torch.uint8), "got torch.uint8"),
        (torch.zeros((1, 3, 0, 2, 2)), "not empty"),
        (np.zeros((1, 3, 1, 2, 2), np.float32), "got ndarray"),
    ],
)
def test_other_tensors_are_refused(tensor, match):
    with pytest.raises(ValueError, match=match):
        tensor_to_video(tensor)


def test_other_videos_are_refused(device):
    with pytest.raises(ValueError, match="got float32"):
        video_to_tensor(wp.zeros((1, 2, 2, 3), dtype=wp.float32, device=device))
    with pytest.raises(ValueError, match=r"got uint8 \[2, 2, 3\]"):
        video_to_tensor(wp.zeros((2, 2, 3), dtype=wp.uint8, device=device))
    with pytest.raises(ValueError, match="ndarray; wrap it"):
        video_to_tensor(np.zeros((1, 2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match="float64"):
        video_to_tensor(wp.zeros((1, 2, 2, 3), dtype=wp.uint8, device=device), dtype="float64")


def test_torch_and_warp_share_one_stream(device):
    """On the CPU there is none; on CUDA torch's current stream is Warp's, and is what it was afterwards."""
    if device == "cpu":
        with shared_streams(device, device):
            assert tensor_to_video(video_to_tensor(wp.zeros((1, 2, 2, 3), dtype=wp.uint8, device=device))).shape[0] == 1
        return
    before = torch.cuda.current_stream(wp.device_to_torch(device))
    with torch.cuda.stream(torch.cuda.Stream(wp.device_to_torch(device))), shared_streams(device):
        shared = torch.cuda.current_stream(wp.device_to_torch(device))
        assert shared.cuda_stream == wp.get_stream(device).cuda_stream
    assert torch.cuda.current_stream(wp.device_to_torch(device)) == before


@pytest.mark.parametrize("channels", [(3, 3, 4, 1), (1,), (5, 2)])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (70, 130)])
def test_channels_are_laid_side_by_side(device, size, channels):
    parts = [np.random.default_rng(many).integers(0, 256, (*size, many), dtype=np.uint8) for many in channels]
    out = wp.zeros((*size, sum(channels)), dtype=wp.uint8, device=device)
    join_channels([wp.array(part, dtype=wp.uint8, device=device) for part in parts], out)
    np.testing.assert_array_equal(out.numpy(), np.concatenate(parts, axis=-1))


def test_channels_that_do_not_add_up_are_refused(device):
    part, out = (wp.zeros((4, 5, many), dtype=wp.uint8, device=device) for many in (3, 7))
    with pytest.raises(ValueError, match=r"contiguous out \[4, 5, 7\] on .*, got \[\[4, 5, 3\], \[4, 5, 3\]\]"):
        join_channels([part, part], out)
    with pytest.raises(ValueError, match="needs uint8"):
        join_channels([part, wp.zeros((4, 4, 4), dtype=wp.uint8, device=device)], out)
