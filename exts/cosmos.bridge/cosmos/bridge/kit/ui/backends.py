"""Which Transfer backends can run here, and why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from cosmos.bridge.errors import BridgeError
from cosmos.bridge.transfer.registry import TransferBackend, backends

_PACKAGES = {"headless": ("torch", "safetensors"), "cosmos": ("torch", "diffusers", "transformers")}


@dataclass(frozen=True, kw_only=True, slots=True)
class BackendRow:
    """One backend as the panel lists it."""

    name: str
    """Name in the registry."""
    fits: bool
    """Whether a run could start."""
    why: str
    """What it runs on, or what is in the way."""


def backend_rows(num_frames: int, size: tuple[int, int]) -> tuple[BackendRow, ...]:
    """Judge every backend for a clip, without loading any.

    Args:
        num_frames: Frames of the clip.
        size: Height and width [px].
    """
    return tuple(_row(backend, num_frames, size) for backend in backends())


def _row(backend: TransferBackend, num_frames: int, size: tuple[int, int]) -> BackendRow:
    why = _obstacle(backend, num_frames, size)
    return BackendRow(name=backend.name, fits=not why, why=why or backend.hardware)


def _obstacle(backend: TransferBackend, num_frames: int, size: tuple[int, int]) -> str:
    from cosmos.bridge.runs.memory import check_fit

    if backend.name != "identity":
        missing = [name for name in _PACKAGES.get(backend.extra, ()) if find_spec(name) is None]
        if missing:
            return f'{", ".join(missing)} is not installed: python.sh -m pip install "cosmos-bridge[{backend.extra}]"'
    if backend.fetched:
        from cosmos.models.places import checkpoint_folder

        if not checkpoint_folder(backend.name).is_dir():
            return f"its weights are not here: cosmos-bridge models fetch {backend.name}"
        import warp as wp

        if not wp.is_cuda_available():
            return f"it needs {backend.hardware}, and there is none"
    try:
        check_fit(num_frames, size, None)
    except BridgeError as error:
        return str(error)
    return ""


__all__ = ["BackendRow", "backend_rows"]
