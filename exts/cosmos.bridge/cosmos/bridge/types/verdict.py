"""What guards and critics say, and the whole outcome of one attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Optional

import numpy as np

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


WHOLE_FRAME = -1
"""Instance of a score that concerns a whole frame."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scores:
    """What every check measured of every frame and instance, one row a number; NumPy arrays of one length K."""

    checks: tuple[str, ...]
    """Names that ``check`` counts."""
    check: np.ndarray
    """Index into ``checks``, int16, shape [K]."""
    frame: np.ndarray
    """Frame number, int32, shape [K]."""
    instance: np.ndarray
    """Instance id, or ``WHOLE_FRAME``, int64, shape [K]."""
    value: np.ndarray
    """What was measured, in the unit of the check, float32, shape [K]."""
    passed: np.ndarray
    """Whether that frame and instance meet the bar of the check, bool, shape [K]."""

    def __post_init__(self) -> None:
        lengths = {len(array) for array in (self.check, self.frame, self.instance, self.value, self.passed)}
        if len(lengths) != 1:
            raise ValueError(f"Scores needs arrays of one length, got lengths {sorted(lengths)}.")


LabelState = Literal["survives", "rederive", "dropped", "unknown"]
"""What becomes of a label on the new picture: still true; to be made again from it; false; nobody knows."""
LABEL_STATES: tuple[LabelState, ...] = ("survives", "rederive", "dropped", "unknown")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CarriedLabel:
    """What becomes of one kind of label, frame by frame and instance by instance."""

    kind: str
    """Label kind, e.g. ``box_2d``."""
    state: np.ndarray
    """Index into ``LABEL_STATES``, uint8, shape [T, N]; N is 1 for a kind that belongs to a whole frame."""
    check: np.ndarray
    """Check that decided, as index into ``CarriedLabels.checks``, -1 for none, int16, shape [T, N]."""
    score: np.ndarray
    """What that check measured, in its unit, NaN for none, float32, shape [T, N]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class CarriedLabels:
    """Which labels of the source still hold on the result, and which check says so."""

    checks: tuple[str, ...]
    """Names of the checks."""
    instances: np.ndarray
    """Instance ids of the columns, int64, shape [N]."""
    labels: tuple[CarriedLabel, ...]
    """One item a label kind."""
    rules: Mapping[str, Mapping[str, Any]]
    """Label kind -> the rule it was decided by, as plain values."""


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
    costs: Mapping[str, float] = field(default_factory=dict, compare=False)
    """Family of checks -> what it cost [s]."""
    scores: Optional[Scores] = field(default=None, compare=False, repr=False)
    """Every number of every frame and instance; ``None`` from a critic that has none."""
    carried: Optional[CarriedLabels] = field(default=None, compare=False, repr=False)
    """What becomes of each label; ``None`` from a critic that does not look at labels one by one."""

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
    remedy: str = ""
    """What this attempt does differently from the one before, and why; empty for the first."""
    tags: dict[str, str] = field(default_factory=dict)
    """Free labels of the run: prompt name, variant."""


__all__ = [
    "LABEL_STATES",
    "WHOLE_FRAME",
    "Augmentation",
    "CarriedLabel",
    "CarriedLabels",
    "Finding",
    "FindingKind",
    "GuardReport",
    "LabelState",
    "Measurement",
    "Scores",
    "Severity",
    "Verdict",
]
