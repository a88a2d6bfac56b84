"""Resize and letterbox: one resampling kernel driven by weight tables, and an exact inverse crop for the labels."""

# mypy: disable-error-code="misc"
# (wp.tid() gives as many indices as the launch has axes)

import math
from dataclasses import dataclass
from typing import Any, Literal, Optional

import numpy as np
import warp as wp

from cosmos.bridge.kernels.checks import check_array, dtype_name, prepare_out

wp.set_module_options({"enable_backward": False})

ResizeMode = Literal["area", "linear", "cubic", "nearest"]
RESIZE_MODES: tuple[str, ...] = ("area", "linear", "cubic", "nearest")

_LINES_BYTES = 64 * 2**20
_DTYPES = {"uint8": wp.uint8, "float32": wp.float32, "uint32": wp.uint32, "int32": wp.int32}


@wp.kernel
def _nearest_kernel(
    # in
    video: wp.array4d(dtype=Any),
    rows: wp.array(dtype=wp.int32, ndim=1),
    columns: wp.array(dtype=wp.int32, ndim=1),
    # out
    video_out: wp.array4d(dtype=Any),
):
    t, y, x = wp.tid()
    for c in range(video.shape[3]):
        video_out[t, y, x, c] = video[t, rows[y], columns[x], c]


@wp.kernel
def _rows_of_bytes_kernel(
    # in
    video: wp.array4d(dtype=wp.uint8),
    starts: wp.array(dtype=wp.int32, ndim=1),
    weights: wp.array2d(dtype=wp.float32),
    # out
    lines_out: wp.array4d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    for c in range(video.shape[3]):
        total = float(0.0)
        for k in range(weights.shape[1]):
            total += weights[y, k] * wp.float32(video[t, starts[y] + k, x, c])
        lines_out[t, y, x, c] = total


@wp.kernel
def _rows_of_floats_kernel(
    # in
    video: wp.array4d(dtype=wp.float32),
    starts: wp.array(dtype=wp.int32, ndim=1),
    weights: wp.array2d(dtype=wp.float32),
    # out
    lines_out: wp.array4d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    for c in range(video.shape[3]):
        total = float(0.0)
        for k in range(weights.shape[1]):
            if weights[y, k] != 0.0:  # a table row ends in zeros, and zero times inf is NaN
                total += weights[y, k] * video[t, starts[y] + k, x, c]
        lines_out[t, y, x, c] = total


@wp.kernel
def _columns_to_bytes_kernel(
    # in
    lines: wp.array4d(dtype=wp.float32),
    starts: wp.array(dtype=wp.int32, ndim=1),
    weights: wp.array2d(dtype=wp.float32),
    # out
    video_out: wp.array4d(dtype=wp.uint8),
):
    t, y, x = wp.tid()
    for c in range(lines.shape[3]):
        total = float(0.0)
        for k in range(weights.shape[1]):
            total += weights[x, k] * lines[t, y, starts[x] + k, c]
        video_out[t, y, x, c] = wp.uint8(wp.clamp(wp.rint(total), 0.0, 255.0))


@wp.kernel
def _columns_to_floats_kernel(
    # in
    lines: wp.array4d(dtype=wp.float32),
    starts: wp.array(dtype=wp.int32, ndim=1),
    weights: wp.array2d(dtype=wp.float32),
    # out
    video_out: wp.array4d(dtype=wp.float32),
):
    t, y, x = wp.tid()
    for c in range(lines.shape[3]):
        total = float(0.0)
        for k in range(weights.shape[1]):
            if weights[x, k] != 0.0:
                total += weights[x, k] * lines[t, y, starts[x] + k, c]
        video_out[t, y, x, c] = total


def _cubic(distance: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution with a = -0.5 (R. Keys, IEEE ASSP 1981, eq. 15)."""
    d = np.abs(distance)
    near = (1.5 * d - 2.5) * d * d + 1.0
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.where(d < 1.0, near, np.where(d < 2.0, far, 0.0))


def resize_table(source: int, target: int, mode: ResizeMode) -> tuple[np.ndarray, np.ndarray]:
    """Make the taps of one axis: output pixel ``i`` is ``sum_k weights[i, k] * input[start[i] + k]``.

    Pixel centres lie at +0.5, so every mode keeps the picture in place. ``area`` averages the covered pixels
    (it equals ``linear`` where the axis grows), ``linear`` and the growing ``cubic`` repeat the rim, the shrinking
    ``cubic`` is widened by the factor against aliasing, ``nearest`` takes the pixel that holds the centre.

    Args:
        source: Length of the axis [px].
        target: Wanted length [px].
        mode: Filter.

    Returns:
        ``start`` int32, shape [target], and ``weights`` float64, shape [target, K], rows summing to 1.
    """
    scale = source / target
    if mode == "nearest":
        start = np.minimum((2 * np.arange(target) + 1) * source // (2 * target), source - 1)
        return start.astype(np.int32), np.ones((target, 1))
    centers = (np.arange(target) + 0.5) * scale
    if mode == "area" and scale > 1.0:
        low, high = centers - 0.5 * scale, centers + 0.5 * scale
        first = np.floor(low + 1e-9).astype(np.int64)
        taps = first[:, None] + np.arange(math.ceil(scale) + 1)
        weights = np.clip(np.minimum(high[:, None], taps + 1.0) - np.maximum(low[:, None], taps), 0.0, None)
        weights[weights < 1e-9] = 0.0
    elif mode == "cubic":
        stretch = max(scale, 1.0)
        first = np.floor(centers - 2.0 * stretch + 0.5).astype(np.int64)
        taps = first[:, None] + np.arange(math.ceil(4.0 * stretch) + 1)
        weights = _cubic((taps + 0.5 - centers[:, None]) / stretch)
        weights[(taps < 0) | (taps >= source)] = 0.0  # antialiased bicubic drops taps outside and normalises
    else:
        first = np.floor(centers - 0.5).astype(np.int64)
        taps = first[:, None] + np.arange(2)
        weights = np.clip(1.0 - np.abs(taps + 0.5 - centers[:, None]), 0.0, None)
    count = min(taps.shape[1], source)
    start = np.clip(taps[:, 0], 0, source - count)
    table = np.zeros((target, count))
    slots = np.clip(np.clip(taps, 0, source - 1) - start[:, None], 0, count - 1)
    np.add.at(table, (np.arange(target)[:, None], slots), weights)
    return start.astype(np.int32), table / table.sum(axis=1, keepdims=True)


def resize_video(
    video: wp.array, size: tuple[int, int], *, mode: ResizeMode = "area", out: Optional[wp.array] = None
) -> wp.array:
    """Resize each frame; pixel centres stay where they are, so that labels resized with it stay aligned.

    Oracles: ``area`` (shrinking) and ``linear`` are those of cv2 within 1 level, ``cubic`` is the antialiased bicubic
    of torch, ``nearest`` is cv2's INTER_NEAREST_EXACT.

    Args:
        video: uint8 or float32, shape [T, H, W, C] or [T, H, W]; with ``nearest`` also uint32 and int32 (ids). NaN and
            inf spread to the pixels that read them: resize depth with ``nearest``.
        size: Wanted ``(height, width)`` [px].
        mode: ``area``, ``linear``, ``cubic`` or ``nearest``.
        out: Video to fill; allocated on the device of ``video`` when ``None``.

    Raises:
        ValueError: If the mode is unknown, ``size`` is below 1 x 1, ids are not resized with ``nearest``, or an array
            does not fit.
    """
    if mode not in RESIZE_MODES:
        raise ValueError(f"resize_video knows the modes {list(RESIZE_MODES)}, got {mode!r}.")
    dtypes = tuple(_DTYPES) if mode == "nearest" else ("uint8", "float32")
    ndim = 3 if isinstance(video, wp.array) and video.ndim == 3 else 4
    check_array("resize_video", "video", video, dtypes=dtypes, ndim=ndim)
    height, width = (int(length) for length in size)
    if height < 1 or width < 1:
        raise ValueError(f"resize_video needs a size of at least 1 x 1 [px], got {height} x {width}.")
    shape = (video.shape[0], height, width, *video.shape[3:])
    dtype = _DTYPES[dtype_name(video)]
    out = prepare_out("resize_video", out, shape, dtype, video.device)
    source, target = _with_channels(video), _with_channels(out)
    tables = [resize_table(source.shape[axis], length, mode) for axis, length in ((1, height), (2, width))]
    starts = [wp.array(start, dtype=wp.int32, device=video.device) for start, _ in tables]
    dim = shape[:3]
    if mode == "nearest":
        if dtype is not wp.uint8:  # two overloads of the kernel are enough: bytes and words
            source, target = source.view(wp.uint32), target.view(wp.uint32)
        wp.launch(_nearest_kernel, dim=dim, inputs=[source, *starts], outputs=[target], device=video.device)
        return out
    _resample(source, target, starts, [wp.array(table, dtype=wp.float32, device=video.device) for _, table in tables])
    return out


def _resample(source: wp.array, target: wp.array, starts: list[wp.array], weights: list[wp.array]) -> None:
    """Resample rows, then columns, in blocks of frames so that the float lines in between stay small."""
    frames, height, width, channels = target.shape
    rows, columns = _rows_of_bytes_kernel, _columns_to_bytes_kernel
    if source.dtype is not wp.uint8:
        rows, columns = _rows_of_floats_kernel, _columns_to_floats_kernel
    block = min(max(_LINES_BYTES // (4 * height * source.shape[2] * channels), 1), frames)
    lines = wp.empty((block, height, source.shape[2], channels), dtype=wp.float32, device=source.device)
    for first in range(0, frames, block):
        count = min(block, frames - first)
        part, drawn = source[first : first + count], target[first : first + count]
        dim = (count, height, source.shape[2])
        wp.launch(rows, dim=dim, inputs=[part, starts[0], weights[0]], outputs=[lines], device=source.device)
        dim = (count, height, width)
        wp.launch(columns, dim=dim, inputs=[lines, starts[1], weights[1]], outputs=[drawn], device=source.device)


def _with_channels(video: wp.array) -> wp.array:
    """View [T, H, W] as [T, H, W, 1], whatever its strides."""
    if video.ndim == 4:
        return video
    view = wp.array(
        ptr=video.ptr,
        dtype=video.dtype,
        shape=(*video.shape, 1),
        strides=(*video.strides, video.strides[-1]),
        device=video.device,
    )
    view._keep_alive = video
    return view


@dataclass(frozen=True, kw_only=True)
class Letterbox:
    """Where a picture lies inside a larger one that was padded to a wanted size."""

    source: tuple[int, int]
    """Size before, ``(height, width)`` [px]."""
    size: tuple[int, int]
    """Size after, ``(height, width)`` [px]."""
    top: int
    """First row of the picture in the padded one [px]."""
    left: int
    """First column [px]."""
    height: int
    """Rows of the picture in the padded one [px]."""
    width: int
    """Columns [px]."""

    @classmethod
    def fit(cls, source: tuple[int, int], size: tuple[int, int], *, enlarge: bool = True) -> "Letterbox":
        """Scale ``source`` to the largest picture of its aspect that ``size`` holds, and centre it.

        Args:
            source: ``(height, width)`` [px].
            size: ``(height, width)`` [px].
            enlarge: Whether a smaller picture grows; if not it is only padded, and comes back bit for bit.

        Raises:
            ValueError: If a length is below 1.
        """
        if min(*source, *size) < 1:
            raise ValueError(f"Letterbox needs sizes of at least 1 x 1 [px], got {source} into {size}.")
        scale = min(size[0] / source[0], size[1] / source[1])
        scale = scale if enlarge else min(scale, 1.0)
        height = min(max(round(source[0] * scale), 1), size[0])
        width = min(max(round(source[1] * scale), 1), size[1])
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        return cls(source=source, size=size, top=top, left=left, height=height, width=width)

    @property
    def scaled(self) -> bool:
        """Whether the picture was resized at all."""
        return (self.height, self.width) != self.source

    def crop(self, video: wp.array) -> wp.array:
        """View the picture inside a padded video [T, H, W, ...]; no copy.

        Raises:
            ValueError: If the video has not the padded size.
        """
        if tuple(video.shape[1:3]) != self.size:
            raise ValueError(f"Letterbox.crop needs a video of size {self.size}, got {tuple(video.shape[1:3])} [H, W].")
        return video[:, self.top : self.top + self.height, self.left : self.left + self.width]


def letterbox(
    video: wp.array, size: tuple[int, int], *, mode: ResizeMode = "area", enlarge: bool = True, fill: int = 0
) -> tuple[wp.array, Letterbox]:
    """Fit a video into a size without changing its aspect; the rest is filled.

    Args:
        video: As for ``resize_video``.
        size: Wanted ``(height, width)`` [px].
        mode: Filter where the picture must be scaled; ``nearest`` for ids and depth.
        enlarge: Whether a smaller picture grows.
        fill: Value of the bars.

    Returns:
        The padded video, and where the picture lies in it.

    Raises:
        ValueError: As for ``resize_video``.
    """
    ndim = 3 if isinstance(video, wp.array) and video.ndim == 3 else 4
    check_array("letterbox", "video", video, dtypes=tuple(_DTYPES), ndim=ndim)
    box = Letterbox.fit((video.shape[1], video.shape[2]), (int(size[0]), int(size[1])), enlarge=enlarge)
    padded = wp.full((video.shape[0], *box.size, *video.shape[3:]), fill, dtype=video.dtype, device=video.device)
    picture = resize_video(video, (box.height, box.width), mode=mode) if box.scaled else video
    wp.copy(box.crop(padded), picture)
    return padded, box


def unletterbox(video: wp.array, box: Letterbox, *, mode: ResizeMode = "linear") -> wp.array:
    """Take the picture out of a padded video and give it its size back; the inverse of ``letterbox``.

    Where the box did not scale, the pixels come back bit for bit.

    Args:
        video: Padded video, shape [T, H, W] or [T, H, W, C], of size ``box.size``.
        box: What ``letterbox`` returned.
        mode: Filter where the picture was scaled; ``nearest`` for ids and depth.

    Raises:
        ValueError: If the video has not the padded size, or as for ``resize_video``.
    """
    picture = box.crop(video)
    if box.scaled:
        return resize_video(picture, box.source, mode=mode)
    whole = wp.empty(tuple(picture.shape), dtype=video.dtype, device=video.device)
    wp.copy(whole, picture)
    return whole


__all__ = [
    "RESIZE_MODES",
    "Letterbox",
    "ResizeMode",
    "letterbox",
    "resize_table",
    "resize_video",
    "unletterbox",
]
