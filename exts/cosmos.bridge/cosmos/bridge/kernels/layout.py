"""Layout: uint8 video at rest to the normalised torch tensor of the models, and back, without a copy in between."""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

import warp as wp

from cosmos.bridge.kernels.checks import check_array
from cosmos.bridge.kernels.runs import launch_runs

if TYPE_CHECKING:
    import torch

wp.set_module_options({"enable_backward": False})


@wp.kernel
def _video_to_tensor_kernel(
    # in
    video: wp.array4d(dtype=wp.uint8),
    # out
    tensor_out: wp.array4d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    for c in range(video.shape[3]):
        tensor_out[c, t, y, x] = wp.float32(video[t, y, x, c]) / 127.5 - 1.0


@wp.func_native("""
    const int many = pixels_out.shape[1], channels = part.shape[1];
    const unsigned char* from = (const unsigned char*)part.data;
    unsigned char* to = (unsigned char*)pixels_out.data + offset;
    auto put = [&](const int count) {
        for (int i = begin; i < end; ++i)
            for (int c = 0; c < count; ++c) to[(size_t)i * many + c] = from[(size_t)i * count + c];
    };
    if (channels == 3) put(3);
    else if (channels == 4) put(4);
    else put(channels);
""")
def _put_pixels(
    begin: wp.int32,
    end: wp.int32,
    part: wp.array(dtype=wp.uint8, ndim=2),
    offset: wp.int32,
    pixels_out: wp.array(dtype=wp.uint8, ndim=2),
):
    """Write the channels of some pixels beside others; both arrays are contiguous."""


@wp.kernel
def _put_channels_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    part: wp.array2d(dtype=wp.uint8),
    offset: wp.int32,
    # out
    pixels_out: wp.array2d(dtype=wp.uint8),
):
    begin = (first + wp.tid()) * run
    _put_pixels(begin, wp.min(begin + run, count), part, offset, pixels_out)


@wp.func_native("""
    const int channels = video_out.shape[3], lanes = 64;
    unsigned char* to = (unsigned char*)video_out.data;
    int broken = 0;
    for (int block = begin; block < end; block += lanes) {
        const int many = end - block < lanes ? end - block : lanes;
        for (int c = 0; c < channels; ++c) {
            const float* from = (const float*)tensor.data + (size_t)c * count + block;
            unsigned char levels[lanes];
            for (int k = 0; k < many; ++k) {
                const float value = from[k];
                const bool sound = value >= -3.4028235e38f && value <= 3.4028235e38f;
                const float within = value < -1.0f ? -1.0f : value > 1.0f ? 1.0f : value;
                broken |= !sound;
                levels[k] = sound ? (unsigned char)(int)((within + 1.0f) * 127.5f + 0.5f) : 0;
            }
            for (int k = 0; k < many; ++k) to[(size_t)(block + k) * channels + c] = levels[k];
        }
    }
    if (broken) broken_out.data[0] = 1;
""")
def _put_levels(
    begin: wp.int32,
    end: wp.int32,
    count: wp.int32,
    tensor: wp.array4d(dtype=wp.float32),
    video_out: wp.array4d(dtype=wp.uint8),
    broken_out: wp.array(dtype=wp.int32, ndim=1),
):
    """Write the levels of some of ``count`` pixels, of all frames in a row; both arrays are contiguous."""


@wp.kernel
def _tensor_to_video_kernel(
    # in
    first: wp.int32,
    run: wp.int32,
    count: wp.int32,
    tensor: wp.array4d(dtype=wp.float32),
    # out
    video_out: wp.array4d(dtype=wp.uint8),
    broken_out: wp.array(dtype=wp.int32, ndim=1),
):
    begin = (first + wp.tid()) * run
    _put_levels(begin, wp.min(begin + run, count), count, tensor, video_out, broken_out)


def _on_torch_stream(device: Any) -> AbstractContextManager:
    """Let Warp work on torch's current CUDA stream, so that neither reads what the other has not yet written."""
    if not device.is_cuda:
        return nullcontext()
    import torch

    stream = wp.stream_from_torch(torch.cuda.current_stream(wp.device_to_torch(device)))
    return wp.ScopedStream(stream, sync_enter=True, sync_exit=True)


@contextmanager
def shared_streams(*devices: Any) -> Iterator[None]:
    """Let torch work on Warp's own stream of some CUDA devices, so that either finds what the other wrote.

    A stream that torch made does not wait for Warp's, nor Warp's for it; and Warp frees its memory in the order of its
    own stream, which is why torch comes to Warp's and not the other way round.

    Args:
        devices: Warp devices or their names; those that are no CUDA device need nothing.
    """
    with ExitStack() as stack:
        for device in {str(wp.get_device(device)): wp.get_device(device) for device in devices}.values():
            if device.is_cuda:
                import torch

                before, shared = torch.cuda.current_stream(wp.device_to_torch(device)), wp.stream_to_torch(device)
                shared.wait_stream(before)
                stack.callback(before.wait_stream, shared)
                stack.enter_context(torch.cuda.stream(shared))
        yield


def video_to_tensor(video: wp.array, *, dtype: Literal["float32", "bfloat16"] = "float32") -> "torch.Tensor":
    """Turn a uint8 video into a tensor in [-1, 1], ``level / 127.5 - 1``, channels first.

    ``tensor_to_video`` gives the same bytes back from either dtype. The tensor owns its memory.

    Args:
        video: uint8, shape [T, H, W, C]; need not be contiguous.
        dtype: Type of the tensor.

    Returns:
        Tensor on the device of ``video``, shape [1, C, T, H, W], contiguous.

    Raises:
        ValueError: If ``video`` does not fit, or ``dtype`` is another one.
    """
    check_array("video_to_tensor", "video", video, dtypes=("uint8",), ndim=4)
    if dtype not in ("float32", "bfloat16"):
        raise ValueError(f'video_to_tensor needs dtype "float32" or "bfloat16", got {dtype!r}.')
    import torch

    frames, height, width, channels = video.shape
    device = wp.device_to_torch(video.device)
    tensor = torch.empty((channels, frames, height, width), dtype=torch.float32, device=device)
    with _on_torch_stream(video.device):
        wp.launch(
            _video_to_tensor_kernel,
            dim=(frames, height, width),
            inputs=[video],
            outputs=[wp.from_torch(tensor)],
            device=video.device,
        )
    return tensor.to(getattr(torch, dtype))[None]


def tensor_to_video(tensor: "torch.Tensor") -> wp.array:
    """Turn a tensor in [-1, 1] into a uint8 video: the inverse of ``video_to_tensor``, rounded, clamped outside.

    Args:
        tensor: float32, bfloat16 or float16, shape [1, C, T, H, W]; need not be contiguous.

    Returns:
        uint8, shape [T, H, W, C], on the device of ``tensor``; the caller owns it.

    Raises:
        ValueError: If ``tensor`` is another thing, empty, or holds NaN or inf: a model that gives them has failed.
    """
    import torch

    if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point() or tensor.ndim != 5 or not tensor.numel():
        got = f"{tensor.dtype} {list(tensor.shape)}" if isinstance(tensor, torch.Tensor) else type(tensor).__name__
        raise ValueError(f"tensor_to_video needs a floating-point tensor [1, C, T, H, W] that is not empty, got {got}.")
    if tensor.shape[0] != 1:
        raise ValueError(
            f"tensor_to_video takes one video at a time, got a batch of {tensor.shape[0]}; index it first."
        )
    source = wp.from_torch(tensor.detach()[0].float().contiguous(), requires_grad=False)
    channels, frames, height, width = source.shape
    video = wp.empty((frames, height, width, channels), dtype=wp.uint8, device=source.device)
    broken = wp.zeros(1, dtype=wp.int32, device=source.device)
    with _on_torch_stream(source.device):
        inputs = [source, video, broken]
        launch_runs(_tensor_to_video_kernel, frames * height * width, inputs, device=source.device, run=1024)
    if broken.numpy()[0]:
        raise ValueError("tensor_to_video got NaN or inf among its values; the model that made them has failed.")
    return video


def join_channels(parts: Sequence[wp.array], out: wp.array) -> None:
    """Lay the channels of pictures side by side; many times faster than to concatenate along the last axis.

    Args:
        parts: Pictures, uint8, shape [H, W, c] each, on the device of ``out``.
        out: Picture to fill, uint8, shape [H, W, C], contiguous; C is the sum of the parts' channels.

    Raises:
        ValueError: If dtypes or shapes do not go together.
    """
    shapes = [tuple(part.shape) for part in parts]
    alike = all(len(shape) == 3 and shape[:2] == tuple(out.shape[:2]) for shape in shapes) and out.ndim == 3
    alike &= all(part.dtype == wp.uint8 and part.device == out.device for part in (*parts, out))
    if not alike or sum(shape[2] for shape in shapes) != out.shape[2] or not out.is_contiguous:
        raise ValueError(
            f"join_channels needs uint8 [H, W, c] that add up to a contiguous out {list(out.shape)} on {out.device}, "
            f"got {[list(shape) for shape in shapes]}."
        )
    offset, pixels = 0, out.shape[0] * out.shape[1]
    filled = out.reshape((pixels, out.shape[2]))
    for part, shape in zip(parts, shapes, strict=True):
        flat = part.contiguous().reshape((pixels, shape[2]))
        launch_runs(_put_channels_kernel, pixels, [flat, offset, filled], device=out.device, run=1024, fewest=1 << 17)
        offset += shape[2]


__all__ = ["join_channels", "shared_streams", "tensor_to_video", "video_to_tensor"]
