"""Masks from files: one picture or video that says where a region lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cosmos.bridge.errors import ControlError

_VIDEO = (".mp4", ".mov", ".mkv", ".avi", ".webm")
_PICTURE = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


def read_mask(path: str | Path) -> np.ndarray:
    """Read a mask file; white applies fully, black not at all.

    Args:
        path: ``.npy``, a picture, or a video; colour is turned to grey.

    Returns:
        As stored: bool, uint8, uint16 or float, shape [H, W] or [T, H, W]. ``mask_to_float`` scales it.

    Raises:
        ControlError: If the file is missing, of another kind, or cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise ControlError(f"The mask {path} does not exist; give a .npy, picture or video file.")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        try:
            return np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ControlError(f"The mask {path} is no readable .npy array: {error}") from error
    if suffix in _PICTURE:
        return _read_picture(path)
    if suffix in _VIDEO:
        return _read_video(path)
    raise ControlError(f"The mask {path} has the ending {suffix!r}; give .npy, {', '.join(_PICTURE + _VIDEO)}.")


def mask_to_float(mask: np.ndarray, shape: tuple[int, int, int], name: str) -> np.ndarray:
    """Scale a mask to float32 in [0, 1] and give it a time axis.

    Args:
        mask: bool, uint8 (255 is 1), uint16 (65535 is 1) or float in [0, 1]; shape [H, W], [1, H, W] or [T, H, W].
        shape: ``(T, H, W)`` of the clip.
        name: What to call it in an error.

    Returns:
        float32 in [0, 1], shape [1, H, W] or [T, H, W], contiguous.

    Raises:
        ControlError: If dtype, shape or range is another.
    """
    mask = np.asarray(mask)
    mask = mask[None] if mask.ndim == 2 else mask
    frames, *size = mask.shape if mask.ndim == 3 else (0, 0, 0)
    if tuple(size) != shape[1:] or frames not in (1, shape[0]):
        raise ControlError(
            f"The mask {name} must have the clip's size {list(shape)} [T, H, W], or one frame of it, "
            f"got {list(mask.shape)}; resize it first."
        )
    full = {"b": 1.0, "u": 255.0 if mask.dtype == np.uint8 else 65535.0, "f": 1.0}.get(mask.dtype.kind)
    if full is None or mask.dtype.itemsize > (2 if mask.dtype.kind == "u" else 8):
        raise ControlError(f"The mask {name} must be bool, uint8, uint16 or float, got {mask.dtype}.")
    scaled = np.ascontiguousarray(mask, dtype=np.float32) / np.float32(full)
    if not ((scaled >= 0.0) & (scaled <= 1.0)).all():
        raise ControlError(f"The mask {name} must lie in [0, 1], but it has values outside, or NaN.")
    return scaled


def _read_picture(path: Path) -> np.ndarray:
    try:
        import cv2
    except ImportError as error:
        raise ControlError(
            f'Reading the mask {path} needs OpenCV: pip install "cosmos-bridge[headless]", or give a .npy file.'
        ) from error
    picture = cv2.imdecode(np.fromfile(path, dtype=np.uint8), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if picture is None:
        raise ControlError(f"The mask {path} is no readable picture; give another file.")
    return np.asarray(picture)


def _read_video(path: Path) -> np.ndarray:
    try:
        import av
    except ImportError as error:
        raise ControlError(
            f'Reading the mask {path} needs PyAV: pip install "cosmos-bridge[headless]", or give a .npy file.'
        ) from error
    frames: list[Any] = []
    try:
        with av.open(str(path)) as container:
            # RGB first: it undoes the video's limited range, which plain grey would keep at 16..235.
            frames = [frame.to_ndarray(format="rgb24").max(axis=2) for frame in container.decode(video=0)]
    except (av.FFmpegError, IndexError) as error:
        raise ControlError(f"The mask {path} is no readable video: {error}") from error
    if not frames:
        raise ControlError(f"The mask {path} has no frames; give another file.")
    return np.stack(frames)


__all__ = ["mask_to_float", "read_mask"]
