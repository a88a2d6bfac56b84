"""Is each thing still where its label says? Outlines and colours, joined into one evidence a thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from cosmos.bridge.critic.checks.others import at_depth_of_others, median_of_others
from cosmos.bridge.critic.checks.presence import Sight
from cosmos.bridge.critic.evidence import PRESENCE
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, ScoreRows, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Truth

_CHECK = "instance_kept"
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
    sites: float
    """Visible outline pixels a frame [px]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Presence:
    """What speaks for one thing being there; the features of the regression."""

    structure: float
    """Fisher's z of the correlation of its gradients with the source's."""
    others: float
    """Median of that of the other things whose light is free."""
    due: float
    """What theirs leads one to expect at its depth."""
    outline: float
    """Lead of its outline, by how many pixels tell it; 0 without."""

    @property
    def evidence(self) -> float:
        """Log of the odds that it is there [nats]."""
        colors = PRESENCE.structure * self.structure + PRESENCE.others * self.others + PRESENCE.due * self.due
        return PRESENCE.base + colors + PRESENCE.outline * self.outline


def presences(
    sights: Mapping[int, Sight], leads: Mapping[int, OutlineLead], limits: Limits, *, least: Optional[int] = None
) -> dict[int, Presence]:
    """Return the features of each thing that enough pixels speak of, and that snow was not asked to lie on.

    Args:
        sights: What was seen of each thing in colours.
        leads: What the outlines say, of those that have one.
        limits: How to measure.
        least: Fewest pixels that are enough [px]; ``None`` takes ``min_sight``.
    """
    least = limits.min_sight if least is None else least
    told = {
        owner: float(np.arctanh(min(sight.explained, 0.97) ** 0.5))
        for owner, sight in sights.items()
        if sight.pixels >= least and not sight.snowed_over(limits)
    }
    free = {owner: structure for owner, structure in told.items() if sights[owner].kept < 0.5}
    others, found = median_of_others(free, told, alone=0.0), {}
    due = at_depth_of_others(free, {owner: sights[owner].depth for owner in told}, told, alone=0.0)
    for owner, structure in told.items():
        lead = leads.get(owner)
        found[owner] = Presence(
            structure=structure,
            others=others[owner],
            due=due[owner],
            outline=0.0 if lead is None else _weighed(lead.lead, lead.sites),
        )
    return found


def _weighed(lead: float, sites: float) -> float:
    """Lead of an outline, the less the fewer pixels tell it."""
    return min(max(lead, -1.5), 1.0) * sites / (sites + 20.0)


def conclude_kept(
    sights: Mapping[int, Sight],
    leads: Mapping[int, OutlineLead],
    truth: Truth,
    thresholds: Mapping[str, Threshold],
    limits: Limits,
) -> Outcome:
    """Hold the evidence of every thing that is seen well enough against the bar.

    What snow was asked to lie on proves nothing, nor does what haze may hide, by what it leaves of the others.

    Args:
        sights: What was seen of each thing in colours.
        leads: What the outlines say, of those that have one.
        truth: The instances of the clip.
        thresholds: The bars.
        limits: How to measure.
    """
    bar = thresholds[_CHECK]
    found = presences(sights, leads, limits)
    told = [owner for owner in found if _ought(owner, sights, found, limits)]
    if not told:
        text = "Vanished instances could not be looked for: hardly any structure of the source shows in the result."
        return Outcome(findings=(unchecked(_CHECK, text),))
    worst, findings, rows = float("inf"), [], []
    for owner in sorted(told):
        sight, presence, lead = sights[owner], found[owner], leads.get(owner)
        value, frames, values = _over_time(presence, lead, sight, bar, limits)
        worst = min(worst, value)
        rows.append(ScoreRows.of(bar, _CHECK, frames, truth.things[owner].id, values))
        if bar.passes(value):
            continue
        gone = frames if rows[-1].passed.all() else frames[~rows[-1].passed]
        text = (
            f"{truth.name(owner)} is not where its label says in {len(gone)} of {len(frames)} frames "
            f"({spans(gone.tolist())}): the source's structure explains {100.0 * sight.explained:.0f} % of what is "
            f"seen there{_outline(lead)}; an evidence of {value:.1f} nats, at least {bar.value:.1f} are needed."
        )
        findings.append(bar.finding(_CHECK, text, value, gone.tolist(), truth.things[owner]))
    return Outcome(
        measurements=(measured(thresholds, _CHECK, worst),), findings=tuple(findings), scores=tuple(rows), proof=True
    )


def _ought(owner: int, sights: Mapping[int, Sight], found: Mapping[int, Presence], limits: Limits) -> bool:
    """Whether a thing ought to show: what is kept does, and what lies as near as haze leaves its edges visible.

    The logarithm of the contrast (gradient over brightness) that haze leaves falls linearly with depth (Koschmieder
    1924): a line through the others that clearly show, and through all contrast at no depth. Far beyond the farthest
    of them that line is no proof where most is lost of those gradients that are the source's own, not flakes: what no
    lamp reaches is less than it says.
    """
    sight = sights[owner]
    clear = [sights[other] for other, presence in found.items()
             if other != owner and presence.evidence >= limits.clear_evidence and sights[other].kept < 0.5]  # fmt: skip
    if sight.kept >= 0.5 or not clear:
        return sight.kept >= 0.5
    depth = np.array([0.0, *(other.depth for other in clear)])
    own = [other.result * max(other.explained, 0.0) ** 0.5 for other in clear]
    share = _left(sight.depth, depth, [_contrast(other, gradient) for other, gradient in zip(clear, own, strict=True)])
    if share < limits.lost_contrast and sight.depth > limits.beyond_clear * float(depth.max()):
        return False
    share = _left(sight.depth, depth, [_contrast(other, other.result) for other in clear])
    return share * sight.lit * sight.source >= limits.visible_gradient


def _contrast(sight: Sight, gradient: float) -> float:
    """Logarithm of the share of the source's contrast that gradients of the result on a thing are."""
    return float(np.log((gradient + _FAINT) / (sight.source + _FAINT) / sight.lit))


def _left(at: float, depth: np.ndarray, contrasts: Sequence[float]) -> float:
    """Share of the contrast that haze leaves at a depth, by logarithms of it at others; the first depth is 0."""
    left, off = np.array([0.0, *contrasts]), depth - depth.mean()
    slope = min(float(off @ (left - left.mean())) / max(float(off @ off), 1e-6), 0.0)
    return float(np.exp(float(left.mean()) + slope * (at - float(depth.mean()))))


def _over_time(
    presence: Presence, lead: OutlineLead | None, sight: Sight, bar: Threshold, limits: Limits
) -> tuple[float, np.ndarray, np.ndarray]:
    """Evidence over the clip, or where it is least in half of it; frames; and the evidence of each of these."""
    if lead is None:
        return presence.evidence, sight.frames, np.full(len(sight.frames), presence.evidence)
    single = [replace(presence, outline=_weighed(float(value), lead.sites)).evidence for value in lead.leads]
    values, value = np.array(single), presence.evidence
    gone = values < bar.value
    if max(min(2, len(gone)), limits.gone_share * len(gone)) <= gone.sum() < len(gone):
        value = min(value, float(np.median(values[gone])) + limits.part_evidence)
    return value, lead.frames, values


def _outline(lead: OutlineLead | None) -> str:
    if lead is None:
        return ""
    return f", its outline agrees by {lead.agreement:.2f} with the source's, that of others by {lead.expected:.2f}"


__all__ = ["OutlineLead", "Presence", "conclude_kept", "presences"]
