"""Transfer backends by name; a name costs nothing until it is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module

from cosmos.bridge.errors import ModelError, ModelNotInstalledError
from cosmos.bridge.transfer.base import TransferModel


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferBackend:
    """What is known of a backend before anything of it is imported."""

    name: str
    """Name in the registry."""
    target: str
    """``module:class``."""
    extra: str
    """Extra of the distribution that brings its packages."""
    licence: str
    """Licence name of its weights."""
    hardware: str
    """What it runs on, in one line."""


BACKENDS: Mapping[str, TransferBackend] = {
    backend.name: backend
    for backend in (
        TransferBackend(
            name="embedded",
            target="cosmos.bridge.transfer.embedded:EmbeddedTransfer",
            extra="headless",
            licence="Apache-2.0",
            hardware="any CPU; CUDA where there is one",
        ),
        TransferBackend(
            name="identity",
            target="cosmos.bridge.transfer.identity:IdentityTransfer",
            extra="headless",
            licence="Apache-2.0",
            hardware="any CPU or CUDA device",
        ),
    )
}
"""Name -> backend."""


def names() -> tuple[str, ...]:
    """List the backends there are."""
    return tuple(BACKENDS)


def backends() -> tuple[TransferBackend, ...]:
    """List what is known of each backend."""
    return tuple(BACKENDS.values())


def create(name: str) -> TransferModel:
    """Make a backend; its weights stay where they are until ``load``.

    Args:
        name: One of ``names()``.

    Raises:
        ModelError: If there is no backend of this name.
        ModelNotInstalledError: If its packages are missing.
    """
    if name not in BACKENDS:
        near = difflib.get_close_matches(name, BACKENDS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ModelError(f"There is no transfer {name!r}{hint}; there is {', '.join(BACKENDS)}.")
    backend = BACKENDS[name]
    module, _, attribute = backend.target.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
    except ImportError as error:
        raise ModelNotInstalledError(
            f'{name} needs {error.name}: pip install "cosmos-bridge[{backend.extra}]".'
        ) from error
    model: TransferModel = factory()
    return model


__all__ = ["BACKENDS", "TransferBackend", "backends", "create", "names"]
