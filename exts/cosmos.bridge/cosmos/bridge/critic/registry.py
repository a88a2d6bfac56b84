"""Critics by name; a name costs nothing until it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from cosmos.bridge.critic.base import Critic
from cosmos.bridge.errors import ConfigError, ModelNotInstalledError

CRITICS: Mapping[str, tuple[str, str]] = {
    "consistency": ("cosmos.bridge.critic.consistency:ConsistencyCritic", "headless"),
}
"""Name -> (import string, extra that brings its packages)."""


def names() -> tuple[str, ...]:
    """List the critics there are."""
    return tuple(CRITICS)


def create(name: str, **settings: Any) -> Critic:
    """Make a critic.

    Args:
        name: One of ``names()``.
        settings: Handed to the critic's constructor.

    Raises:
        ConfigError: If there is no critic of this name.
        ModelNotInstalledError: If its packages are missing.
    """
    if name not in CRITICS:
        raise ConfigError(f"There is no critic {name!r}; there is {', '.join(CRITICS)}.")
    target, extra = CRITICS[name]
    module, _, attribute = target.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
    except ImportError as error:
        raise ModelNotInstalledError(f'{name} needs {error.name}: pip install "cosmos-bridge[{extra}]".') from error
    return factory(**settings)


__all__ = ["CRITICS", "create", "names"]
