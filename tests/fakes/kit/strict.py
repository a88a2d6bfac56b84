"""Strictness: objects and modules with declared members only, which note what cosmos.bridge touches."""

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

VERSIONS = ("4.2", "4.5", "5.0", "5.1", "6.0", "6.2")


@dataclass(frozen=True)
class Profile:
    """One version of Isaac Sim [8.1]."""

    version: str
    kit: str
    replicator: str
    empty_first: str
    """How the first frames look: ``missing`` arrays of shape (0,), or ``zero`` [3.3]."""
    final_frame_standalone: bool
    """Whether ``on_final_frame`` comes in a standalone script: not before Replicator 1.12.22 [2.2]."""
    step_waits: bool
    """Whether ``orchestrator.step`` knows ``wait_for_render`` [5]."""
    set_data_array: bool = True

    def has(self, since: str) -> bool:
        return VERSIONS.index(self.version) >= VERSIONS.index(since)


PROFILES = {
    profile.version: profile
    for profile in (
        Profile("4.2", "106.1.0", "1.11.20", "zero", False, False),
        Profile("4.5", "106.5.0", "1.11.35", "zero", False, False),
        Profile("5.0", "107.3.1", "1.12.16", "missing", False, False),
        Profile("5.1", "107.3.3", "1.12.27", "missing", True, True),
        Profile("6.0", "110.1.1", "1.13.25", "missing", True, True),
        Profile("6.2", "110.4.0", "1.13.27", "missing", True, True),
    )
}


class Watch:
    """Which profile is on, and what was touched from within cosmos.bridge."""

    profile: Profile = PROFILES["5.1"]
    touched: ClassVar[set[str]] = set()


def from_bridge(depth: int = 2) -> bool:
    frame = sys._getframe(depth)
    return str(frame.f_globals.get("__name__", "")).startswith("cosmos.bridge")


def touch(name: str, depth: int = 3) -> None:
    if from_bridge(depth):
        Watch.touched.add(name)


class Strict:
    """An object of Kit. ``kit_name`` is its dotted name; ``since`` tells members that are younger than 4.2."""

    kit_name = ""
    since: ClassVar[dict[str, str]] = {}

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name in ("kit_name", "since"):
            return object.__getattribute__(self, name)
        known = type(self)
        if not Watch.profile.has(known.since.get(name, "4.2")):
            raise AttributeError(f"{known.kit_name}.{name} comes with Isaac Sim {known.since[name]}.")
        try:
            value = object.__getattribute__(self, name)
        except AttributeError:
            raise AttributeError(
                f"The double of {known.kit_name} knows no {name!r}; the fact sheet names none."
            ) from None
        if from_bridge():
            Watch.touched.add(f"{known.kit_name}.{name}")
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if from_bridge():
            raise AttributeError(f"Nobody may set {type(self).kit_name}.{name}.")
        object.__setattr__(self, name, value)


class StrictModule(ModuleType):
    """A module of Kit with the members it was given."""

    def __init__(self, name: str, since: dict[str, str] | None = None, file: str = "", **members: Any) -> None:
        super().__init__(name)
        if file:
            self.__file__ = file
        object.__setattr__(self, "_since", since or {})
        self.__path__: list[str] = []
        for key, value in members.items():
            object.__setattr__(self, key, value)

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_"):
            return super().__getattribute__(name)
        young = super().__getattribute__("_since").get(name, "4.2")
        if not Watch.profile.has(young):
            raise AttributeError(f"{self.__name__}.{name} comes with Isaac Sim {young}.")
        value = super().__getattribute__(name)
        if from_bridge() and not isinstance(value, ModuleType):
            Watch.touched.add(f"{self.__name__}.{name}")
        return value

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"The double of {self.__name__} knows no {name!r}; the fact sheet names none.")
