"""What backends and critics with fetched weights share: where a checkpoint lies, on which device, errors as ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import clear_frames
from typing import TYPE_CHECKING, Optional, Protocol, runtime_checkable

from cosmos.bridge.errors import ModelError, ModelMemoryError, ModelNotInstalledError, ModelWeightsError

if TYPE_CHECKING:
    import torch


@runtime_checkable
class NeedsWeights(Protocol):
    """A model or critic whose weights may be missing."""

    def require_weights(self) -> None:
        """Raise ModelWeightsError where the weights are not there; costs next to nothing."""
        ...


def require_weights(*parts: object) -> None:
    """Refuse, before any work, models and critics whose weights are not there.

    Raises:
        ModelWeightsError: If some are missing; the sentence names the ways to get them.
    """
    for part in parts:
        if isinstance(part, NeedsWeights):
            part.require_weights()


def pick_device(name: str, device: Optional[str]) -> str:
    """Return the torch device to load onto; ``None`` picks CUDA where there is one.

    Raises:
        ModelError: If CUDA is asked for and absent.
    """
    import torch

    wanted = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"{name} was asked to run on {wanted!r}, but torch sees no CUDA device; use 'cpu'.")
    return wanted


def pick_dtype(given: Optional[str], device: str) -> torch.dtype:
    """Return the type to compute in; ``None`` takes bfloat16 on CUDA and float32 on the CPU."""
    import torch

    dtype: torch.dtype = getattr(torch, given or ("bfloat16" if device.startswith("cuda") else "float32"))
    return dtype


def dtype_text(dtype: torch.dtype, *, fp8: bool) -> str:
    """Return how a provenance names the type that a model computed in."""
    name = str(dtype).removeprefix("torch.")
    return f"{name}, weights in float8_e4m3fn" if fp8 else name


def find_checkpoint(name: str, given: Optional[str], part: str, *, option: str = "transfer_options.weights") -> Path:
    """Return the folder of a checkpoint: that of the user, or else the fetched one.

    Args:
        name: Name of the backend.
        given: Folder that the user named.
        part: Folder or file that it must hold.
        option: Setting that names the folder.

    Raises:
        ModelWeightsError: If it is not there; the sentence names the ways to get it.
    """
    from cosmos.models.places import checkpoint_folder

    folder = checkpoint_folder(name) if given is None else Path(given)
    if not (folder / part).exists():
        raise ModelWeightsError(
            f"There is no checkpoint of {name} in {folder} ({part} is expected there); name its folder with "
            f"{option}, or run: cosmos-bridge models fetch {name}"
        )
    return folder


def revision_of(name: str, given: Optional[str], piece: str) -> str:
    """Return the published revision of a piece, with its commit where the checkpoint was fetched.

    Raises:
        ModelWeightsError: If the lock beside the checkpoint is damaged.
    """
    from cosmos.models.fetching import read_lock
    from cosmos.models.places import checkpoint_folder
    from cosmos.models.published import PUBLISHED
    from cosmos.models.weights import WeightsError

    published = next(found for found in PUBLISHED[name].pieces if found.folder == piece).revision
    try:
        pieces = read_lock(checkpoint_folder(name) if given is None else Path(given)).get("pieces", {})
    except WeightsError as error:
        raise ModelWeightsError(str(error)) from error
    commit = pieces.get(piece, {}).get("commit", "")
    return f"{published}@{commit}" if commit else published


@contextmanager
def as_model_errors(name: str, device: str, cure: str, *, extra: str = "cosmos") -> Iterator[None]:
    """Turn what goes wrong while a model is loaded or runs into errors of ours; they hold no net that was half loaded.

    Args:
        name: Name of the backend.
        device: Where it runs.
        cure: What to do when memory runs out.
        extra: Extra of the distribution that brings its packages.

    Raises:
        ModelNotInstalledError: For a package that is missing.
        ModelWeightsError: For weights that are missing or wrong.
        ModelMemoryError: For memory that is not enough.
        ModelError: For a device that cannot.
    """
    from cosmos.models.weights import WeightsError

    try:
        yield
    except ImportError as error:
        package = error.name or "diffusers"
        raise ModelNotInstalledError(f'{name} needs {package}: pip install "cosmos-bridge[{extra}]".') from error
    except WeightsError as error:
        clear_frames(error.__traceback__)
        raise ModelWeightsError(str(error)) from error
    except RuntimeError as error:
        clear_frames(error.__traceback__)
        if "memory" in str(error).lower():
            raise ModelMemoryError(f"{name} does not fit {device}: {error}; {cure}.") from error
        raise ModelError(f"{name} cannot run on {device!r}: {error}.") from error


__all__ = [
    "NeedsWeights",
    "as_model_errors",
    "dtype_text",
    "find_checkpoint",
    "pick_device",
    "pick_dtype",
    "require_weights",
    "revision_of",
]
