"""Whether a clip can fit the memory of a device, judged before it is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.errors import ConfigError, ModelMemoryError

BYTES_PER_PIXEL = 41
"""Least memory of a clip a pixel and frame [bytes]: colour 3, depth 4, normals 12, two ids 8, motion 8, result 3, one
control 3. A model takes more; what is refused by this number alone can never fit."""


def check_device(device: Optional[str]) -> Any:
    """Return Warp's device of a name.

    Raises:
        ConfigError: If there is no such device.
    """
    import warp as wp

    try:
        if str(device).startswith("cuda") and not wp.is_cuda_available():
            raise ValueError(device)  # asked for "cuda" without one, Warp prints errors of its own first
        return wp.get_device(device)
    except (ValueError, RuntimeError) as error:
        have = ", ".join(str(item) for item in wp.get_devices())
        raise ConfigError(f"There is no device {device!r}; there is {have}.") from error


def check_fit(num_frames: int, size: tuple[int, int], device: Optional[str]) -> None:
    """Refuse a clip whose buffers alone are larger than the free memory of the device.

    Args:
        num_frames: Frames of the clip.
        size: Height and width [px].
        device: Warp's name of the device; ``None`` is Warp's preferred one.

    Raises:
        ConfigError: If there is no such device.
        ModelMemoryError: If the clip can never fit.
    """
    chosen = check_device(device)
    free = int(chosen.free_memory) if chosen.is_cuda else free_memory()
    need = num_frames * size[0] * size[1] * BYTES_PER_PIXEL
    if free is not None and need > free:
        raise ModelMemoryError(
            f"A clip of {num_frames} frames at {size[0]}x{size[1]} needs at least {need / 1e9:.1f} GB, but {chosen} "
            f"has {free / 1e9:.1f} GB free; ask for fewer frames or a smaller size."
        )


def free_memory() -> Optional[int]:
    """Return the memory this process can still take [bytes]; ``None`` where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        try:
            return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, OSError, ValueError):
            return None
    try:
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / name).read_text(encoding="ascii").strip() for name in ("memory.max", "memory.current"))
        return min(free, max(0, int(limit) - int(used)))
    except (OSError, ValueError):
        return free


__all__ = ["BYTES_PER_PIXEL", "check_device", "check_fit", "free_memory"]
