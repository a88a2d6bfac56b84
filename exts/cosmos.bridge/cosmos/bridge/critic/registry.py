"""Critics by name; a name costs nothing until it is asked for."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Optional

from cosmos.bridge.critic.base import Critic
from cosmos.bridge.errors import ConfigError, ModelNotInstalledError
from cosmos.bridge.settings import from_plain


@dataclass(frozen=True, kw_only=True, slots=True)
class CriticEntry:
    """What is known of a critic before anything of it is imported."""

    target: str
    """``module:class``."""
    extra: str
    """Extra of the distribution that brings its packages."""
    fetched: bool = False
    """Whether its weights are not shipped and must be fetched first."""
    licence: str = "Apache-2.0"
    """Licence name of its weights."""
    truth: bool = False
    """Whether it holds results against the simulator's buffers; the others see the pictures alone."""


_REASON = "cosmos.bridge.critic.reason"

CRITICS: Mapping[str, CriticEntry] = {
    "consistency": CriticEntry(
        target="cosmos.bridge.critic.consistency:ConsistencyCritic", extra="headless", truth=True
    ),
    "embedded-reason": CriticEntry(target="cosmos.bridge.critic.embedded_reason:EmbeddedReason", extra="headless"),
    "cosmos-reason1": CriticEntry(
        target=f"{_REASON}:CosmosReason1", extra="cosmos", fetched=True, licence="NVIDIA Open Model License"
    ),
    "cosmos-reason2": CriticEntry(
        target=f"{_REASON}:CosmosReason2", extra="cosmos", fetched=True, licence="NVIDIA Open Model License"
    ),
    "cosmos-reason2-2b": CriticEntry(
        target=f"{_REASON}:CosmosReason2Small", extra="cosmos", fetched=True, licence="NVIDIA Open Model License"
    ),
    "cosmos3-reasoner": CriticEntry(
        target=f"{_REASON}:Cosmos3Reasoner", extra="cosmos", fetched=True, licence="OpenMDW-1.1"
    ),
}
"""Name -> critic."""


def names() -> tuple[str, ...]:
    """List the critics there are."""
    return tuple(CRITICS)


def create(name: str, options: Optional[Mapping[str, Any]] = None) -> Critic:
    """Make a critic, or several that judge as one.

    Args:
        name: One of ``names()``, or several joined by ``+``, e.g. ``consistency+cosmos-reason2``.
        options: Settings of that critic alone, as plain values; its ``Options`` class says which there are. For
            several, a table a critic: ``{"consistency": {...}, "cosmos-reason2": {...}}``.

    Raises:
        ConfigError: If there is no critic of this name, or it does not know an option or refuses its value.
        ModelNotInstalledError: If its packages are missing.
    """
    parts = [part.strip() for part in name.split("+")]
    if len(parts) == 1:
        return _create(parts[0], options or {}, "critic_options")
    if len(set(parts)) != len(parts):
        raise ConfigError(f"critic {name!r} names one critic twice; name each once.")
    given = dict(options or {})
    strange = sorted(set(given) - set(parts))
    if strange:
        raise ConfigError(
            f"critic_options of {name!r} must be a table for each critic, got {', '.join(strange)}; "
            f"it has {', '.join(parts)}."
        )
    from cosmos.bridge.critic.voices import Voices

    return Voices([_create(part, given.get(part, {}), f"critic_options.{part}") for part in parts])


def _create(name: str, options: Mapping[str, Any], where: str) -> Critic:
    if name not in CRITICS:
        near = difflib.get_close_matches(name, CRITICS, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigError(f"There is no critic {name!r}{hint}; there is {', '.join(CRITICS)}.")
    entry = CRITICS[name]
    module, _, attribute = entry.target.partition(":")
    try:
        factory = getattr(import_module(module), attribute)
    except ImportError as error:
        raise ModelNotInstalledError(
            f'{name} needs {error.name}: pip install "cosmos-bridge[{entry.extra}]".'
        ) from error
    if not options:
        plain: Critic = factory()
        return plain
    kind = getattr(factory, "Options", None)
    if kind is None:
        raise ConfigError(f"{name} takes no critic_options, got {', '.join(options)}; leave them out.")
    made: Critic = factory(from_plain(kind, options, where))
    return made


__all__ = ["CRITICS", "CriticEntry", "create", "names"]
