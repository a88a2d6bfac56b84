"""What the self-test asks and finds: one fact a question, and the report of all."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Optional


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One question and what this machine says."""

    name: str
    """What is asked."""
    ok: Optional[bool]
    """Whether it is as relied on; ``None`` where it could not be told, or is for information."""
    found: str
    """What was found."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a self-test found."""

    facts: tuple[Fact, ...]
    """In the order they were asked."""
    calibration: dict[str, Any] = field(default_factory=dict)
    """Settings that were measured and kept."""

    @property
    def failed(self) -> tuple[Fact, ...]:
        """Facts that are not as relied on."""
        return tuple(fact for fact in self.facts if fact.ok is False)

    def table(self) -> str:
        """Return the facts as lines."""
        marks = {True: "ok  ", False: "FAIL", None: "info"}
        wide = max(len(fact.name) for fact in self.facts)
        return "\n".join(f"{marks[fact.ok]}  {fact.name:{wide}}  {fact.found}" for fact in self.facts)

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


__all__ = ["Fact", "Report"]
