"""What one family of checks brings home, and how all of it becomes a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cosmos.bridge.critic.thresholds import Limits, Threshold
from cosmos.bridge.types import Finding, Measurement, Severity, Verdict

_RANK: Mapping[Severity, int] = {"reject": 0, "warning": 1, "note": 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Measurements and findings of one family of checks."""

    measurements: tuple[Measurement, ...] = ()
    """What could be measured."""
    findings: tuple[Finding, ...] = ()
    """What was noticed, and what could not be checked."""
    proof: bool = False
    """Whether this family held the result against the labels, so that an empty list of faults means something."""


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
    outcomes: Iterable[Outcome], *, thresholds: Mapping[str, Threshold], limits: Limits, critic: str, seconds: float
) -> Verdict:
    """Weigh all outcomes; a clip is accepted if nothing rejects it and at least one family proved something."""
    outcomes = tuple(outcomes)
    order = list(thresholds)
    measurements = sorted((m for o in outcomes for m in o.measurements), key=lambda m: order.index(m.check))
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    if not any(outcome.proof for outcome in outcomes) and not any(f.severity == "reject" for f in findings):
        text = (
            "Nothing could be held against the labels (no visible boundary or usable buffer), so the clip is refused."
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
        more = f" ({len(rejecting) - 1} more rejecting findings)" if len(rejecting) > 1 else ""
        rationale = f"{rejecting[0].text}{more}"
    else:
        skipped = sorted({finding.check for finding in findings if finding.kind == "unchecked"})
        rationale = f"{len(measurements)} checks against simulator truth passed" + (
            f"; not checked: {', '.join(skipped)}." if skipped else "."
        )
    return Verdict(
        accepted=accepted,
        score=score,
        critic=critic,
        findings=tuple(findings),
        measurements=tuple(measurements),
        rationale=rationale,
        seconds=seconds,
    )


__all__ = ["Outcome", "conclude", "measured", "spans", "unchecked"]
