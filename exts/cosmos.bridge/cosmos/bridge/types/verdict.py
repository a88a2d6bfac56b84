"""What guards and critics say, and the whole outcome of one attempt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Optional

from cosmos.bridge.types.transfer import TransferRequest, TransferResult

FindingKind = Literal["flicker", "geometry", "label", "physics", "artefact", "prompt", "unchecked"]
Severity = Literal["note", "warning", "reject"]


@dataclass(frozen=True, kw_only=True, slots=True)
class GuardReport:
    """What a guard saw, and which posture was asked for and really ran."""

    allowed: bool
    """False is a refusal."""
    stage: Literal["prompt", "video"]
    """What was screened."""
    requested: str
    """Guard that was asked for."""
    effective: str
    """Guard that really ran."""
    categories: tuple[str, ...] = ()
    """Reasons of a refusal."""
    faces_blurred: int = 0
    """Faces pixelated in a video; frames with one, where the guard does not count faces."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurement:
    """One number of one check, with the bar it is held to."""

    check: str
    """Name of the check, e.g. ``edges_kept``."""
    value: float
    """What was measured; NaN where it could not be."""
    threshold: float
    """The bar."""
    better: Literal["higher", "lower"]
    """Which side of the bar passes."""
    unit: str
    """Unit, empty for a ratio."""
    passed: bool
    """Whether the bar is met."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing a critic noticed, down to frames and instance."""

    kind: FindingKind
    """Family of the fault."""
    check: str
    """Name of the check that noticed it."""
    severity: Severity
    """``reject`` alone is enough to refuse the clip."""
    text: str
    """One sentence with the numbers."""
    frames: tuple[int, ...] = ()
    """Frames it shows in; empty means the whole clip."""
    instance: Optional[int] = None
    """Instance id, where it concerns one."""
    prim_path: str = ""
    """Path of that instance."""
    value: float = float("nan")
    """What was measured."""
    threshold: float = float("nan")
    """The bar it missed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether a result may be used, why, and by which numbers."""

    accepted: bool
    """May be used as data."""
    score: float
    """In [0, 1]; 1 is flawless."""
    critic: str
    """Who judged."""
    findings: tuple[Finding, ...] = ()
    """What was noticed, worst first."""
    measurements: tuple[Measurement, ...] = ()
    """Every number that was measured, passed or not."""
    rationale: str = ""
    """The reason in one or two sentences."""
    raw: str = ""
    """The unparsed answer of a language model; empty for model-free checks."""
    seconds: float = 0.0
    """What judging cost [s]."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"Verdict.score must lie in [0, 1], got {self.score!r}.")
        if self.accepted and any(finding.severity == "reject" for finding in self.findings):
            raise ValueError("A Verdict with a rejecting finding cannot be accepted.")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Augmentation:
    """One attempt, from request to verdict; what sinks write."""

    name: str
    """Name of the clip in the output, e.g. ``clip_0003``."""
    request: TransferRequest
    """What was asked, with the source clip and its controls."""
    result: TransferResult
    """What came."""
    verdict: Verdict
    """What the critic says."""
    guard_reports: tuple[GuardReport, ...] = ()
    """What the guards say."""
    attempt: int = 1
    """1 for the first try."""
    max_attempts: int = 1
    """Tries that the retry policy allowed."""
    tags: dict[str, str] = field(default_factory=dict)
    """Free labels of the run: prompt name, variant."""


__all__ = ["Augmentation", "Finding", "FindingKind", "GuardReport", "Measurement", "Severity", "Verdict"]
