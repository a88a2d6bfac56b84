"""Critics by name; a name costs nothing until it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Optional

from cosmos.bridge.critic.base import Critic
from cosmos.bridge.errors import ConfigError, ModelNotInstalledError
from cosmos.bridge.settings import from_plain

CRITICS: Mapping[str, tuple[str, str]] = {
    "consistency": ("cosmos.bridge.critic.consistency:ConsistencyCritic", "headless"),
}
"""Name -> (import string, extra that brings its packages)."""


def names() -> tuple[str, ...]:
    """List the critics there are."""
    return tuple(CRITICS)


def create(name: str, options: Optional[Mapping[str, Any]] = None) -> Critic:
    """Make a critic.

    Args:
        name: One of ``names()``.
        options: Settings of that critic alone, as plain values; its ``Options`` class says which there are.

    Raises:
        ConfigError: If there is no critic of this name, or it does not know an option or refuses its value.
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
    if not options:
        plain: Critic = factory()
        return plain
    kind = getattr(factory, "Options", None)
    if kind is None:
        raise ConfigError(f"{name} takes no critic_options, got {', '.join(options)}; leave them out.")
    made: Critic = factory(from_plain(kind, options, "critic_options"))
    return made


__all__ = ["CRITICS", "create", "names"]
