"""What every backend records of a transfer: settings, versions, memory."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmos.bridge.types import TransferRequest

if TYPE_CHECKING:
    import warp as wp

_DISTRIBUTIONS = {"warp": "warp-lang", "torch": "torch", "safetensors": "safetensors"}


def settings_of(request: TransferRequest) -> dict[str, Any]:
    """Return the settings of a request as plain values; a weight map becomes its mean."""
    weights: dict[str, Any] = {}
    for kind, weight in request.weights.items():
        if isinstance(weight, (int, float)):
            if weight > 0.0:
                weights[str(kind)] = float(weight)
        else:
            weights[str(kind)] = {"map_mean": _mean(weight)}
    return {
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "num_steps": request.num_steps,
        "guidance": request.guidance,
        "overlap": request.overlap,
        "weights": weights,
        "preserve": None if request.preserve is None else {"map_mean": _mean(request.preserve)},
    }


def _mean(values: wp.array) -> float:
    return round(float(values.numpy().mean()), 4)


def versions(*packages: str) -> dict[str, str]:
    """Return the version of each package that is installed."""
    return {package: _version_of(package) for package in packages}


@lru_cache(maxsize=64)
def _version_of(package: str) -> str:
    """Return the version of one package; looking it up costs as much as a small frame."""
    try:
        return version(_DISTRIBUTIONS.get(package, package))
    except PackageNotFoundError:
        # Inside Kit, packages come without a distribution.
        return str(getattr(sys.modules.get(package), "__version__", "unknown"))


def restart_peak(device: str) -> None:
    """Count the peak memory of a CUDA device from now on; that of a process cannot be restarted."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: str) -> int:
    """Return the peak memory of a CUDA device by torch, or else of the process [bytes]; 0 where it is not told."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated(device))
    try:
        # Linux counts in ru_maxrss what the parent held when it began this process.
        told = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in told if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # not on Windows
        return 0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


__all__ = ["peak_bytes", "restart_peak", "settings_of", "versions"]
