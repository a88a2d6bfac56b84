"""What one family of checks brings home, and how all of it becomes a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Optional, Protocol

import numpy as np

from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk
from cosmos.bridge.types import Finding, Measurement, Scores, Severity, Verdict

_RANK: Mapping[Severity, int] = {"reject": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ScoreRows:
    """What one check measured of some frames and instances."""

    check: str
    """Name of the check."""
    frame: np.ndarray
    """Frame numbers, int32, shape [K]."""
    instance: np.ndarray
    """Instance ids, or ``WHOLE_FRAME``, int64, shape [K]."""
    value: np.ndarray
    """What was measured, float32, shape [K]."""
    passed: np.ndarray
    """Whether the bar is met, bool, shape [K]."""

    @classmethod
    def of(
        cls, bar: Threshold, check: str, frame: np.ndarray, instance: np.ndarray | int, value: np.ndarray
    ) -> ScoreRows:
        """Hold values against a bar; one instance id may stand for all rows."""
        return cls(
            check=check,
            frame=np.asarray(frame, np.int32),
            instance=np.broadcast_to(np.asarray(instance, np.int64), np.shape(frame)),
            value=np.asarray(value, np.float32),
            passed=value >= bar.value if bar.better == "higher" else value <= bar.value,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Measurements and findings of one family of checks."""

    measurements: tuple[Measurement, ...] = ()
    """What could be measured."""
    findings: tuple[Finding, ...] = ()
    """What was noticed, and what could not be checked."""
    scores: tuple[ScoreRows, ...] = ()
    """What was measured of each frame and instance."""
    proof: bool = False
    """Whether this family held the result against the labels, so that an empty list of faults means something."""

    @classmethod
    def join(cls, outcomes: Iterable[Outcome]) -> Outcome:
        """Put several outcomes together."""
        outcomes = tuple(outcomes)
        return cls(
            measurements=tuple(item for outcome in outcomes for item in outcome.measurements),
            findings=tuple(item for outcome in outcomes for item in outcome.findings),
            scores=tuple(item for outcome in outcomes for item in outcome.scores),
            proof=any(outcome.proof for outcome in outcomes),
        )


class Sweep(Protocol):
    """One family of checks over the frames of a clip."""

    @property
    def family(self) -> str:
        """Name of the family, under which its cost is told."""
        ...

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in."""
        ...

    def conclude(self) -> Outcome:
        """Hold everything seen against the bars."""
        ...


def measured(thresholds: Mapping[str, Threshold], check: str, value: float) -> Measurement:
    """Hold a value against its bar."""
    bar = thresholds[check]
    return Measurement(
        check=check,
        value=float(value),
        threshold=bar.value,
        better=bar.better,
        unit=bar.unit,
        passed=bar.passes(float(value)),
    )


def unchecked(check: str, text: str, severity: Severity = "note") -> Finding:
    """Say that a check could not be made, and why."""
    return Finding(kind="unchecked", check=check, severity=severity, text=text)


def spans(frames: Iterable[int]) -> str:
    """Write frame numbers as ranges: ``3, 5-9``."""
    runs: list[list[int]] = []
    for frame in sorted(set(frames)):
        if runs and frame == runs[-1][1] + 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    text = [str(first) if first == last else f"{first}-{last}" for first, last in runs]
    return ", ".join(text if len(text) <= 8 else [*text[:7], "..."])


def conclude(
    outcomes: Iterable[Outcome],
    *,
    thresholds: Mapping[str, Threshold],
    limits: Limits,
    critic: str,
    costs: Mapping[str, float],
) -> Verdict:
    """Weigh all outcomes; a clip is accepted if nothing rejects it and at least one family proved something."""
    outcomes = tuple(outcomes)
    order = list(thresholds)
    measurements = sorted((m for o in outcomes for m in o.measurements), key=lambda m: order.index(m.check))
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    if not any(outcome.proof for outcome in outcomes) and not any(f.severity == "reject" for f in findings):
        text = (
            "Nothing could be held against the labels (no visible boundary or usable buffer), so the clip is refused; "
            "look at something that is labelled, in light, and read ids and depth."
        )
        findings.append(unchecked("proof", text, severity="reject"))

    def badness(finding: Finding) -> tuple[int, float, int]:
        bar = thresholds.get(finding.check)
        if bar is None:
            return _RANK[finding.severity], 0.0 if finding.severity == "reject" else 1.0, len(order)
        return _RANK[finding.severity], bar.quality(finding.value), order.index(finding.check)

    findings.sort(key=badness)
    rejecting = [finding for finding in findings if finding.severity == "reject"]
    if len(findings) > limits.max_findings:
        left = findings[limits.max_findings :]
        findings = findings[: limits.max_findings]
        worst: Severity = min((finding.severity for finding in left), key=lambda severity: _RANK[severity])
        checks = ", ".join(sorted({finding.check for finding in left}))
        findings.append(
            Finding(kind=left[0].kind, check="more", severity=worst, text=f"{len(left)} more findings of {checks}.")
        )
    accepted = not rejecting
    deciding = [m for m in measurements if thresholds[m.check].severity == "reject"]
    score = min((thresholds[m.check].quality(m.value) for m in deciding), default=0.0)
    if not accepted:
        score = min(score, 0.49)
        others = len(rejecting) - 1
        more = f" ({others} more rejecting finding{'s' if others > 1 else ''})" if others else ""
        rationale = f"{rejecting[0].text}{more}"
    else:
        skipped = sorted({finding.check for finding in findings if finding.kind == "unchecked"})
        rationale = f"{len(measurements)} checks against the source passed" + (
            f"; not checked: {', '.join(skipped)}." if skipped else "."
        )
    return Verdict(
        accepted=accepted,
        score=score,
        critic=critic,
        findings=tuple(findings),
        measurements=tuple(measurements),
        rationale=rationale,
        seconds=sum(costs.values()),
        costs=dict(costs),
        scores=_table(outcomes),
    )


def _table(outcomes: Iterable[Outcome]) -> Optional[Scores]:
    """Put all rows of all checks into one table; ``None`` without any."""
    rows = [item for outcome in outcomes for item in outcome.scores]
    if not rows:
        return None
    checks = tuple(dict.fromkeys(item.check for item in rows))
    return Scores(
        checks=checks,
        check=np.concatenate([np.full(len(item.frame), checks.index(item.check), np.int16) for item in rows]),
        frame=np.concatenate([item.frame for item in rows]),
        instance=np.concatenate([item.instance for item in rows]),
        value=np.concatenate([item.value for item in rows]),
        passed=np.concatenate([item.passed for item in rows]),
    )


__all__ = ["Outcome", "ScoreRows", "Sweep", "conclude", "measured", "spans", "unchecked"]
