"""Guards by name; a name costs nothing until it is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module

from cosmos.bridge.errors import ModelError, ModelNotInstalledError
from cosmos.bridge.guard.base import Guard

GUARDS: Mapping[str, tuple[str, str]] = {
    "blocklist": ("cosmos.bridge.guard.blocklist:BlocklistGuard", "headless"),
    "cosmos": ("cosmos.bridge.guard.cosmos:CosmosGuard", "guard"),
    "off": ("cosmos.bridge.guard.off:OffGuard", "headless"),
}
"""Name -> (import string, extra that brings its packages)."""


def names() -> tuple[str, ...]:
    """List the guards there are."""
    return tuple(GUARDS)


def create(name: str) -> Guard:
    """Make a guard.

    Args:
        name: One of ``names()``.

    Raises:
        ModelError: If there is no guard of this name.
        ModelNotInstalledError: If its packages are missing.
    """
    if name not in GUARDS:
        near = difflib.get_close_matches(name, GUARDS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ModelError(f"There is no guard {name!r}{hint}; there is {', '.join(GUARDS)}.")
    target, extra = GUARDS[name]
    module, _, attribute = target.partition(":")
    try:
        guard: Guard = getattr(import_module(module), attribute)()
    except ImportError as error:
        others = ", ".join(other for other in GUARDS if other != name)
        raise ModelNotInstalledError(
            f'The guard {name} needs {error.name}: pip install "cosmos-bridge[{extra}]", or choose another: {others}.'
        ) from error
    return guard


__all__ = ["GUARDS", "create", "names"]
