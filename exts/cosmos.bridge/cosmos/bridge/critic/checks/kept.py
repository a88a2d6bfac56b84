"""Is each thing still where its label says? Held against what outlines, colours and patterns say together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cosmos.bridge.critic.checks.presence import Sight
from cosmos.bridge.critic.evidence import THINGS
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Truth

_CHECK = "instance_kept"
_SINGLE = 2.0
"""How many times as much an outline weighs that differs from frame to frame."""
_FAINT = 0.3
"""Added to gradients before their ratio is taken [levels/px]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OutlineLead:
    """What the outline of one thing says of its being there."""

    frames: np.ndarray
    """Frames in which it was seen, int64, shape [K]."""
    leads: np.ndarray
    """Agreement in each, less half of the others' in the clip and less what it agrees better elsewhere, shape [K]."""
    lead: float
    """The same of all frames together."""
    agreement: float
    """Agreement alone: 1 is the source's own, 0 chance."""
    expected: float
    """Median of the others'."""
    margin: float
    """How much better it agrees elsewhere."""
    roundness: float
    """0 for a straight line, 0.5 for a circle."""
    sites: float
    """Visible outline pixels a frame [px]."""


def conclude_kept(
    signs: Mapping[int, Mapping[str, float]],
    sights: Mapping[int, Sight],
    leads: Mapping[int, OutlineLead],
    truth: Truth,
    thresholds: Mapping[str, Threshold],
    limits: Limits,
) -> Outcome:
    """Hold the log of the odds that every thing that is seen is there against the bar.

    Where no haze was understood, what lies behind haze all the same is not judged, by what that leaves of the others.

    Args:
        signs: What was measured of each thing, as `THINGS` weighs it.
        sights: What was seen of each in colours.
        leads: What the outlines say, of those that have one.
        truth: The instances of the clip.
        thresholds: The bars.
        limits: How to measure.
    """
    bar = thresholds[_CHECK]
    there = dict(zip(signs, (-THINGS.log_odds("gone", list(signs.values()))).tolist(), strict=True))
    told = [owner for owner in sorted(signs) if _ought(owner, there, sights, signs, limits)]
    if not told:
        text = (
            "Vanished things could not be looked for: there are no instance ids, or no thing is seen well enough, or "
            "haze hides them all."
        )
        return Outcome(findings=(unchecked(_CHECK, text),))
    worst, findings, rows = float("inf"), [], []
    for owner in told:
        sight, lead = sights[owner], leads.get(owner)
        value, frames, values = _over_time(there[owner], lead, sight, bar, limits)
        worst = min(worst, value)
        rows.append(ScoreRows.of(bar, _CHECK, frames, truth.things[owner].id, values))
        if bar.passes(value):
            continue
        gone = frames if rows[-1].passed.all() else frames[~rows[-1].passed]
        text = (
            f"{truth.name(owner)} is not where its label says in {len(gone)} of {len(frames)} frames "
            f"({spans(gone.tolist())}): the source's structure explains {100.0 * sight.sharp.explained:.0f} % of what "
            f"is seen there{_outline(lead)}; an evidence of {value:.1f} nats, at least {bar.value:.1f} are needed."
        )
        findings.append(bar.finding(_CHECK, text, value, gone.tolist(), truth.things[owner]))
    return Outcome(
        measurements=(measured(thresholds, _CHECK, worst),), findings=tuple(findings), scores=tuple(rows), proof=True
    )


def _ought(
    owner: int,
    there: Mapping[int, float],
    sights: Mapping[int, Sight],
    signs: Mapping[int, Mapping[str, float]],
    limits: Limits,
) -> bool:
    """Whether a thing ought to show: one that is kept does, or that lies as near as haze leaves its edges visible.

    The logarithm of the contrast (gradient over brightness) that haze leaves falls linearly with depth (Koschmieder
    1924): a line through the others that clearly show, and through all contrast at no depth. Haze that was understood
    is among what `THINGS` weighs.
    """
    sight = sights[owner]
    if sight.kept >= 0.5 or signs[owner]["drowned"]:
        return True
    clear = [
        sights[other]
        for other, odds in there.items()
        if other != owner and odds >= limits.clear_evidence and sights[other].kept < 0.5
    ]
    if not clear:
        return False
    depth = np.array([0.0, *(other.depth for other in clear)])
    left = np.array([0.0, *(_contrast(other) for other in clear)])
    off = depth - depth.mean()
    slope = min(float(off @ (left - left.mean())) / max(float(off @ off), 1e-6), 0.0)
    share = float(np.exp(float(left.mean()) + slope * (sight.depth - float(depth.mean()))))
    return share * sight.lit * sight.sharp.source >= limits.shown_gradient


def _contrast(sight: Sight) -> float:
    """Logarithm of the share of the source's contrast that gradients of the result on a thing are."""
    return float(np.log((sight.sharp.result + _FAINT) / (sight.sharp.source + _FAINT) / sight.lit))


def _over_time(
    there: float, lead: OutlineLead | None, sight: Sight, bar: Threshold, limits: Limits
) -> tuple[float, np.ndarray, np.ndarray]:
    """Evidence over the clip, or where it is least in half of it; frames; and the evidence of each of these.

    Single frames differ by their outlines, as the regression alone weighs them, but more surely: colours are told of
    all frames together.
    """
    if lead is None:
        return there, sight.frames, np.full(len(sight.frames), there)
    slopes = THINGS.slopes("gone")
    values = there - _SINGLE * (slopes["lead"] + slopes["agreement"]) * (lead.leads - lead.lead)
    gone = values < bar.value
    if max(min(2, len(gone)), limits.gone_share * len(gone)) <= gone.sum() < len(gone):
        there = min(there, float(np.median(values[gone])) + limits.part_evidence)
    return there, lead.frames, values


def _outline(lead: OutlineLead | None) -> str:
    if lead is None:
        return ""
    return f", its outline agrees by {lead.agreement:.2f} with the source's, that of others by {lead.expected:.2f}"


__all__ = ["OutlineLead", "conclude_kept"]
