"""Vis control (Cosmos 3: blur): the picture without its detail, by NVIDIA's preset ladder.

Shrink, bilateral filter, grow, then once down and up again bicubically.
"""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

import functools
from dataclasses import dataclass
from typing import Mapping, Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.checks import check_array, find_cv2, prepare_out
from cosmos.bridge.kernels.resize import resize_video

wp.set_module_options({"enable_backward": False})


@dataclass(frozen=True, kw_only=True)
class BlurPreset:
    """One step of the ladder."""

    downscale: int
    """Factor by which the picture shrinks before the bilateral filter."""
    downup: int
    """Factor of the bicubic down and up afterwards."""
    diameter: int = 30
    """Diameter of the bilateral filter [px of the shrunk picture]."""
    sigma_color: float = 150.0
    """Spread of the colour distance [levels, sum over the channels]."""
    sigma_space: float = 100.0
    """Spread of the pixel distance [px of the shrunk picture]."""


BLUR_PRESETS: Mapping[str, BlurPreset] = {
    "very_low": BlurPreset(downscale=1, downup=4),
    "low": BlurPreset(downscale=4, downup=4),
    "medium": BlurPreset(downscale=2, downup=10),
    "high": BlurPreset(downscale=1, downup=16),
    "very_high": BlurPreset(downscale=4, downup=16),
}
"""Preset -> numbers, as NVIDIA's Transfer names them."""


@wp.kernel
def _bilateral_kernel(
    # in
    video: wp.array4d(dtype=wp.uint8),
    radius: wp.int32,
    space_weights: wp.array2d(dtype=wp.float32),
    color_weights: wp.array(dtype=wp.float32, ndim=1),
    # out
    video_out: wp.array4d(dtype=wp.uint8),
):
    t, y, x = wp.tid()
    r0 = wp.int32(video[t, y, x, 0])
    g0 = wp.int32(video[t, y, x, 1])
    b0 = wp.int32(video[t, y, x, 2])
    red = float(0.0)
    green = float(0.0)
    blue = float(0.0)
    total = float(0.0)
    for j in range(-radius, radius + 1):
        py = wp.clamp(y + j, 0, video.shape[1] - 1)
        for i in range(-radius, radius + 1):
            space = space_weights[j + radius, i + radius]
            if space > 0.0:
                px = wp.clamp(x + i, 0, video.shape[2] - 1)
                r = wp.int32(video[t, py, px, 0])
                g = wp.int32(video[t, py, px, 1])
                b = wp.int32(video[t, py, px, 2])
                weight = space * color_weights[wp.abs(r - r0) + wp.abs(g - g0) + wp.abs(b - b0)]
                red += weight * wp.float32(r)
                green += weight * wp.float32(g)
                blue += weight * wp.float32(b)
                total += weight
    video_out[t, y, x, 0] = wp.uint8(wp.rint(red / total))
    video_out[t, y, x, 1] = wp.uint8(wp.rint(green / total))
    video_out[t, y, x, 2] = wp.uint8(wp.rint(blue / total))


@functools.lru_cache(maxsize=8)
def _bilateral_tables(diameter: int, sigma_color: float, sigma_space: float) -> tuple[int, np.ndarray, np.ndarray]:
    """Radius, weight by pixel offset (0 outside the disc) and weight by colour distance 0..765."""
    radius = max(diameter // 2, 1)
    offsets = np.arange(-radius, radius + 1, dtype=np.float64)
    squared = offsets[:, None] ** 2 + offsets[None, :] ** 2
    space = np.where(squared <= radius * radius, np.exp(-0.5 * squared / sigma_space**2), 0.0)
    color = np.exp(-0.5 * (np.arange(3 * 255 + 1) / sigma_color) ** 2)
    return radius, space.astype(np.float32), color.astype(np.float32)


def _bilateral_with_warp(video: wp.array, diameter: int, sigma_color: float, sigma_space: float, out: wp.array) -> None:
    radius, space, color = _bilateral_tables(diameter, sigma_color, sigma_space)
    device = video.device
    inputs = [
        video,
        radius,
        wp.array(space, dtype=wp.float32, device=device),
        wp.array(color, dtype=wp.float32, device=device),
    ]
    wp.launch(_bilateral_kernel, dim=video.shape[:3], inputs=inputs, outputs=[out], device=device)


def _bilateral_with_cv2(
    cv2, video: wp.array, diameter: int, sigma_color: float, sigma_space: float, out: wp.array
) -> None:
    for frame, filtered in zip(video.numpy(), out.numpy(), strict=True):
        filtered[...] = cv2.bilateralFilter(
            np.ascontiguousarray(frame), diameter, sigma_color, sigma_space, borderType=cv2.BORDER_REPLICATE
        )


def bilateral_filter(
    video: wp.array, *, diameter: int, sigma_color: float, sigma_space: float, out: Optional[wp.array] = None
) -> wp.array:
    """Smooth each frame but not across strong edges, as ``cv2.bilateralFilter`` with a replicated rim does.

    Source: C. Tomasi and R. Manduchi, Bilateral Filtering for Gray and Color Images, ICCV 1998; colour distance is the
    sum over the channels, as in OpenCV. CPU with cv2 and Warp differ by 1 level at most.

    Args:
        video: uint8, shape [T, H, W, 3].
        diameter: Diameter of the neighbourhood [px], >= 1.
        sigma_color: Spread of the colour distance [levels], > 0.
        sigma_space: Spread of the pixel distance [px], > 0.
        out: Video to fill, not ``video`` itself; allocated on the device of ``video`` when ``None``.

    Raises:
        ValueError: If a number is out of range or an array does not fit.
    """
    check_array("bilateral_filter", "video", video, dtypes=("uint8",), ndim=4, channels=3)
    if diameter < 1 or not sigma_color > 0.0 or not sigma_space > 0.0:
        raise ValueError(
            "bilateral_filter needs diameter >= 1, sigma_color > 0 and sigma_space > 0, "
            f"got {diameter!r}, {sigma_color!r} and {sigma_space!r}."
        )
    out = prepare_out("bilateral_filter", out, video.shape, wp.uint8, video.device)
    cv2 = None if video.device.is_cuda else find_cv2()
    if cv2 is None:
        _bilateral_with_warp(video, diameter, sigma_color, sigma_space, out)
    else:
        _bilateral_with_cv2(cv2, video, diameter, sigma_color, sigma_space, out)
    return out


def blur_to_control(rgb: wp.array, *, preset: str = "medium", out: Optional[wp.array] = None) -> wp.array:
    """Blur each frame to its colours and large shapes, by the preset ladder of ``BLUR_PRESETS``.

    The numbers are pixels and do not follow the resolution, as in Transfer 2.5: the smaller the picture, the less is
    left of it. Cosmos 3 scales them by its longest side over 720; an adapter for it must do the same. Nothing is
    random, so a chunk of a clip gives the same frames as the whole.

    Args:
        rgb: sRGB video, uint8, shape [T, H, W, 3].
        preset: Name in ``BLUR_PRESETS``.
        out: Video to fill, uint8, shape [T, H, W, 3]; allocated on the device of ``rgb`` when ``None``.

    Raises:
        ValueError: If the preset is unknown or an array does not fit.
    """
    check_array("blur_to_control", "rgb", rgb, dtypes=("uint8",), ndim=4, channels=3)
    if preset not in BLUR_PRESETS:
        raise ValueError(f"blur_to_control knows the presets {sorted(BLUR_PRESETS)}, got {preset!r}.")
    step = BLUR_PRESETS[preset]
    size = tuple(rgb.shape[1:3])
    out = prepare_out("blur_to_control", out, rgb.shape, wp.uint8, rgb.device)
    small = resize_video(rgb, _shrunk(size, step.downscale), mode="area") if step.downscale > 1 else rgb
    smooth = bilateral_filter(small, diameter=step.diameter, sigma_color=step.sigma_color, sigma_space=step.sigma_space)
    if step.downscale > 1:
        smooth = resize_video(smooth, size, mode="linear")
    coarse = resize_video(smooth, _shrunk(size, step.downup), mode="cubic")
    return resize_video(coarse, size, mode="cubic", out=out)


def _shrunk(size: tuple[int, int], factor: int) -> tuple[int, int]:
    return max(size[0] // factor, 1), max(size[1] // factor, 1)


__all__ = ["BLUR_PRESETS", "BlurPreset", "bilateral_filter", "blur_to_control"]
