"""What a run did, in counts that add up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """Counts and paths of a run; ``planned`` is the sum of the five outcomes."""

    out: Path
    """Folder of the results."""
    planned: int
    """Clips the config asks for."""
    accepted: int
    """Clips the critic let pass."""
    rejected: int
    """Clips whose every attempt the critic refused; kept apart under ``rejected/``."""
    refused: int
    """Clips a guard refused."""
    failed: int
    """Clips that ended in an error."""
    remaining: int
    """Clips not made yet; ``cosmos-bridge resume`` makes them."""
    attempts: int
    """Results that were generated and judged, the rejected ones included."""
    rejected_attempts: int
    """Results among them that the critic refused."""
    seconds: float
    """Wall time of this call [s]."""
    stage_seconds: dict[str, float] = field(default_factory=dict)
    """Wall time by part of the line [s]: read, derive, load, guard, transfer, judge, write."""
    manifest: Optional[Path] = None
    """The dataset's manifest."""
    stage: Optional[Path] = None
    """The annotated stage."""
    report: Optional[Path] = None
    """The HTML report."""
    notes: tuple[str, ...] = ()
    """What the user should know, one sentence each."""

    @property
    def complete(self) -> bool:
        """Whether every planned clip was accepted."""
        return self.accepted == self.planned

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        names = [name for name in self.__dataclass_fields__ if name not in ("out", "manifest", "stage", "report")]
        plain: dict[str, Any] = {name: getattr(self, name) for name in names}
        for name in ("out", "manifest", "stage", "report"):
            value = getattr(self, name)
            plain[name] = None if value is None else str(value)
        plain["notes"] = list(self.notes)
        plain["stage_seconds"] = {name: round(seconds, 3) for name, seconds in self.stage_seconds.items()}
        plain["seconds"] = round(self.seconds, 3)
        return plain


__all__ = ["RunSummary"]
