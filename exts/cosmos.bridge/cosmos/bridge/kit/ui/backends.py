"""Which Transfer backends can run a request here, and why the others cannot; nothing is loaded to find out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Optional

from cosmos.bridge.config import BridgeConfig
from cosmos.bridge.errors import BridgeError
from cosmos.bridge.offload import OffloadPolicy
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.transfer.registry import TransferBackend, backends, create


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendRow:
    """One backend as the panel lists it."""

    name: str
    """Name in the registry."""
    fits: bool
    """Whether a run could start."""
    why: str
    """What it runs on, or what is in the way."""
    reads: str = "everything"
    """What of a prompt acts."""
    large: bool = False
    """Whether it fills a device, so that no second one goes beside it."""


def backend_rows(
    num_frames: int, size: tuple[int, int], config: Optional[BridgeConfig] = None
) -> tuple[BackendRow, ...]:
    """Judge every backend.

    Args:
        num_frames: Frames of a clip.
        size: Height and width [px].
        config: What is asked of it; ``None`` judges packages, weights and memory alone.
    """
    return tuple(_row(backend, num_frames, size, config) for backend in backends())


def _row(
    backend: TransferBackend, num_frames: int, size: tuple[int, int], config: Optional[BridgeConfig]
) -> BackendRow:
    obstacle = next(_obstacles(backend, num_frames, size, config), "")
    return BackendRow(
        name=backend.name,
        fits=not obstacle,
        why=obstacle or backend.hardware,
        reads=backend.reads,
        large=backend.cuda_gb > 0.0,
    )


def _obstacles(
    backend: TransferBackend, num_frames: int, size: tuple[int, int], config: Optional[BridgeConfig]
) -> Iterator[str]:
    """Yield what is in the way, what is quickest to find first."""
    from cosmos.bridge.runs.fit import check_spec
    from cosmos.bridge.runs.memory import check_fit
    from cosmos.bridge.transfer.profiles import ladder

    offload = OffloadPolicy() if config is None else config.offload
    missing = [name for name in backend.packages if find_spec(name) is None]
    if missing and offload.python is None:  # a worker with a Python of its own says itself what that one lacks
        extra = "kit" if backend.extra == "headless" else backend.extra  # headless would replace Kit's own USD and Warp
        yield f'{", ".join(missing)} is missing: python.sh -m pip install "cosmos-bridge[{extra}]"'
    if backend.fetched:
        from cosmos.models.places import checkpoint_folder

        if not checkpoint_folder(backend.name).is_dir():
            yield f"its weights are not here: cosmos-bridge models fetch {backend.name}"
    try:
        if offload.memory is not None or offload.fall_back:
            ladder(backend.name, offload.memory)
    except BridgeError as error:
        yield str(error).rstrip(".")
    if backend.cuda_gb:
        largest, needed = _largest_device(), offload.memory or backend.cuda_gb
        if largest < needed:
            found = f"the largest here has {largest:.0f} GB" if largest else "there is none"
            yield f"it needs a CUDA device of {needed:.0f} GB, and {found}"
    try:
        check_fit(num_frames, size, None)
        if config is not None:
            check_spec(_spec(backend.name), config.replace(transfer=backend.name))
    except BridgeError as error:
        yield str(error).rstrip(".")


def _largest_device() -> float:
    """Return the memory of the largest CUDA device [GB]; 0 where there is none."""
    import warp as wp

    return max((device.total_memory / 1e9 for device in wp.get_cuda_devices()), default=0.0)


@lru_cache(maxsize=16)
def _spec(name: str) -> TransferSpec:
    """Return what a backend can do, which never changes."""
    return create(name).spec


__all__ = ["BackendRow", "backend_rows"]
