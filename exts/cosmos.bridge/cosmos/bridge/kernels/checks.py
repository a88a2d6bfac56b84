"""What every launcher asks of its arrays before a kernel may touch them."""

import functools
from types import ModuleType
from typing import Any, Optional, Sequence

import warp as wp

_NAMES = {3: "[T, H, W]", 4: "[T, H, W, C]"}


def dtype_name(array: Any) -> str:
    """Name of the dtype of a Warp array, e.g. ``uint8``; the class name of anything else."""
    return getattr(getattr(array, "dtype", type(array)), "__name__", type(array).__name__)


def check_array(
    owner: str, name: str, array: Any, *, dtypes: Sequence[str], ndim: int, channels: Optional[int] = None
) -> None:
    """Refuse anything but a non-empty Warp array of one of ``dtypes`` with ``ndim`` axes.

    Args:
        owner: Launcher that asks, named in the message.
        name: Argument that is checked.
        array: What came.
        dtypes: Accepted dtype names.
        ndim: Number of axes, 3 for [T, H, W] or 4 for [T, H, W, C].
        channels: Length of the last axis, where it is fixed.

    Raises:
        ValueError: If the array is another thing, has another dtype or shape, or is empty.
    """
    if not isinstance(array, wp.array):
        raise ValueError(
            f"{owner} needs {name} as a Warp array, got {type(array).__name__}; wrap it with wp.array(...)."
        )
    wanted = f"{' or '.join(dtypes)} {_NAMES[ndim] if channels is None else f'[T, H, W, {channels}]'}"
    shape = tuple(array.shape)
    if (
        dtype_name(array) not in dtypes
        or len(shape) != ndim
        or (channels is not None and shape[-1] != channels)
        or min(shape) < 1
    ):
        raise ValueError(
            f"{owner} needs {name} as {wanted} with at least 1 element, got {dtype_name(array)} {list(shape)}."
        )


def prepare_out(owner: str, out: Optional[wp.array], shape: Sequence[int], dtype: Any, device: Any) -> wp.array:
    """Return ``out`` once it is known to fit, or a new array where it is ``None``.

    Args:
        owner: Launcher that asks, named in the message.
        out: Array to fill, or ``None``.
        shape: Shape it must have.
        dtype: Warp dtype it must have.
        device: Device it must be on.

    Raises:
        ValueError: If ``out`` has another shape, dtype or device.
    """
    if out is None:
        return wp.empty(tuple(shape), dtype=dtype, device=device)
    wanted = f"{dtype.__name__} {list(shape)} on {device}"
    if not isinstance(out, wp.array):
        raise ValueError(f"{owner} needs out as a Warp array {wanted}, got {type(out).__name__}.")
    if tuple(out.shape) != tuple(shape) or dtype_name(out) != dtype.__name__ or str(out.device) != str(device):
        raise ValueError(f"{owner} needs out as {wanted}, got {dtype_name(out)} {list(out.shape)} on {out.device}.")
    return out


def check_same_device(owner: str, **arrays: Any) -> None:
    """Refuse arrays that lie on different devices.

    Raises:
        ValueError: If they do; the message names each array's device.
    """
    devices = {name: str(array.device) for name, array in arrays.items()}
    if len(set(devices.values())) > 1:
        raise ValueError(f"{owner} needs its arrays on one device, got {devices}; copy them with array.to(device).")


@functools.lru_cache(maxsize=1)
def find_cv2() -> Optional[ModuleType]:
    """Return cv2 where it is installed: on CPU it gives the same pixels as the kernels, faster."""
    try:
        import cv2
    except ImportError:
        return None
    return cv2


def lanes_of(device: Any) -> int:
    """Threads that share an image row in a reduction: many on CUDA for coalesced reads, one on CPU."""
    return 64 if device.is_cuda else 1


__all__ = ["check_array", "check_same_device", "dtype_name", "find_cv2", "lanes_of", "prepare_out"]
