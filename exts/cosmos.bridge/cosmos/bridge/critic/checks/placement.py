"""Is each thing where, and as, its label says: not displaced, mirrored, or of another size?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np

from cosmos.bridge.critic.checks.agreement import shift_gains
from cosmos.bridge.critic.checks.boundaries import BoundarySweep, unseen
from cosmos.bridge.critic.checks.kept import OutlineLead, conclude_kept
from cosmos.bridge.critic.checks.likeness import reduced
from cosmos.bridge.critic.checks.others import at_depth_of_others
from cosmos.bridge.critic.checks.outlines import IN_PLACE as NEAR
from cosmos.bridge.critic.checks.outlines import Outlines, leads_of
from cosmos.bridge.critic.checks.patterns import (
    DISTANCES,
    FULL,
    IN_PLACE,
    MIRRORED,
    SHIFTS,
    SIZES,
    Ground,
    pattern,
    reaching,
)
from cosmos.bridge.critic.checks.presence import Sight
from cosmos.bridge.critic.checks.signs import UNKNOWN, signs_of
from cosmos.bridge.critic.evidence import THINGS
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Chunk, Truth

_SMALLEST = 32
"""Least height and width of a picture in which patterns are compared [px]."""
_RIM = 0.2
"""Share of a thing's box that may lie on the rim of the picture: what is cut may rightly look like another part."""
_WHOLE = 0.5
"""Share of the pixels at which a thing is expected that must be its own before another size of it is told."""
_MOST = 0.6
"""Beyond so much for or against, shares of a pattern say no more."""
_CHANGED = -0.1
"""Least that a change of it explains more: beyond that it is as surely not mirrored as can be."""
_ALIKE = 2.0
"""What a share of a pattern counts beside one of the outline, where both are displaced alike."""
_STEADY = 20.0
"""Outline pixels a frame at which an outline counts half [px]."""
_WORDS = {
    "displaced": "does not stand where its label says",
    "resized": "is not of the size that its label says",
    "mirrored": "does not look as its label says",
}
"""Kind of fault in `THINGS` -> what is said of the thing."""
_PATTERNS = ("pattern", "usual_pattern", "shown", "mirrored", "sized", "displaced")
"""What its pattern tells of a thing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """What one frame shows of one thing."""

    frame: int
    """Frame number."""
    gains: np.ndarray
    """What its pattern explains at every shift [pattern^2], float64, shape [K]."""
    changed: np.ndarray
    """What it explains in place when changed, shape [5]."""
    energy: float
    """All that there is to explain in place."""
    area: int
    """Its own pixels."""
    size: int
    """Pixels at which it is expected: with its outline."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Fit:
    """How a thing's pattern fits the result over the clip; shares of the pattern in place."""

    kept: float
    """Share explained in place."""
    changed: tuple[float, ...]
    """What it explains more in place for each change."""
    more: np.ndarray
    """What it explains more at every shift, in ``[-_MOST, _MOST]``, float64, shape [K]."""
    shown: float
    """How strong the result's pattern is there, of the strongest."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Measured:
    """What was measured of the things of a clip that can be judged."""

    signs: Mapping[int, Mapping[str, float]]
    """Thing -> all that speaks for or against it, as `THINGS` weighs it."""
    words: Mapping[int, str]
    """Thing -> what its pattern tells, in words; of those whose pattern was compared."""
    sights: Mapping[int, Sight]
    """Thing -> what was seen of it in colours."""
    leads: Mapping[int, OutlineLead]
    """Thing -> what its outline says, of those that have one."""


class PlacementSweep:
    """Weighs, thing by thing, how source and result fit in place against how they fit elsewhere or changed.

    Three kinds of evidence are joined by a multinomial logistic regression (`PLACED`): structure and outline, as
    `BoundarySweep` saw them, and the pattern inside, which is compared in one frame of ``twin_step`` under shifts of
    up to 6 px, mirrored, and up to 1.4 times larger or smaller, in pictures reduced to about ``usual_width``. What went
    elsewhere takes outline and pattern to the same place. What other things of the clip keep of theirs is what may be
    expected.
    """

    family = "placement"

    def __init__(
        self,
        truth: Truth,
        boundaries: BoundarySweep,
        num_frames: int,
        thresholds: Mapping[str, Threshold],
        limits: Limits,
        *,
        drowned: bool = False,
    ) -> None:
        self._truth, self._boundaries, self._thresholds, self._limits = truth, boundaries, thresholds, limits
        self._drowned, self._cut = drowned, dict[int, float]()
        self._first = min(2, num_frames - 1)
        self._searched, self._scale = 0, 1
        self._looks: dict[int, list[_Look]] = {}

    def add(self, chunk: Chunk) -> None:
        """Take the new frames of a chunk in; one in ``twin_step`` is compared."""
        if chunk.thing is None or min(chunk.thing.shape[1:]) < _SMALLEST:
            return
        for number in chunk.frames:
            if number >= self._first and (number - self._first) % self._limits.twin_step == 0:
                self._look(chunk, number)
                self._searched += 1

    def _look(self, chunk: Chunk, number: int) -> None:
        """Compare one frame."""
        row, limits, count = number - chunk.first + chunk.halo, self._limits, len(self._truth.things)
        thing = chunk.thing[row]  # type: ignore[index]
        self._scale = max(1, min(round(thing.shape[1] / limits.usual_width), min(thing.shape) // _SMALLEST))
        cut = (slice(self._scale // 2, None, self._scale),) * 2
        thing = thing[cut]
        source, result = (reduced(video[row], thing.shape) for video in (chunk.source, chunk.result))
        areas = np.bincount(thing.ravel(), minlength=count)
        single = self._truth.single & (areas < limits.max_share * thing.size)
        owner = reaching(thing, None if chunk.depth is None else chunk.depth[row][cut], single)
        hidden = np.bincount(thing[unseen(result, limits)], minlength=count)
        large = (areas >= limits.min_area) & (areas >= limits.min_share * thing.size)
        cut_off = _cut_off(thing, count)
        for one in np.flatnonzero(large).tolist():
            self._cut[one] = max(self._cut.get(one, 0.0), float(cut_off[one]))
        judged = np.flatnonzero(single & large & (2 * hidden < areas) & (cut_off <= _RIM))
        if not len(judged):
            return
        ground = Ground(pattern(source), pattern(result), owner, count)
        sites = max(limits.pattern_sites // 3, min(limits.pattern_sites, limits.frame_sites // len(judged)))
        for one in judged.tolist():
            if ground.size(one) < limits.min_area:  # all but covered by the outlines of what is nearer
                continue
            gains, changed = ground.gains(one, sites)
            look = _Look(
                frame=number, gains=gains, changed=changed, energy=ground.energy(one), area=int(areas[one]),
                size=ground.size(one),
            )  # fmt: skip
            self._looks.setdefault(one, []).append(look)

    def measured(self) -> Measured:
        """Return what was measured of each thing that can be judged.

        What enough pixels do not tell of, in colours or across its outline, is not judged.
        """
        limits, sights = self._limits, self._boundaries.sights()
        judged = {owner: sight for owner, sight in sights.items() if sight.pixels + sight.pairs >= limits.min_sight}
        told = {thing: looks for thing, looks in self._looks.items() if 2 * len(looks) > self._searched}
        fits = {thing: _fit(looks) for thing, looks in told.items() if thing in judged}
        depths = {thing: judged[thing].depth for thing in fits}
        usual = at_depth_of_others({thing: fit.kept for thing, fit in fits.items()}, depths, fits, alone=UNKNOWN)
        seen = self._boundaries.outlines()
        leads = {} if seen is None else leads_of(seen, self._truth, limits)
        ways = self._ways(seen, fits)
        words: dict[int, str] = {}
        signs = signs_of(judged, drowned=self._drowned)
        for thing, row in signs.items():
            row.update(_outlined(leads.get(thing)), cut=self._cut.get(thing, 0.0))
            if thing not in fits:
                row.update(dict.fromkeys(_PATTERNS, UNKNOWN))
                continue
            fit, at = fits[thing], int(np.where(IN_PLACE, -np.inf, ways[thing]).argmax())
            row.update(
                pattern=fit.kept,
                usual_pattern=usual[thing],
                shown=fit.shown,
                mirrored=min(max(fit.changed[MIRRORED], _CHANGED), _MOST),
                sized=min(max(*(fit.changed[size] for size in SIZES), _CHANGED), _MOST),
                displaced=min(max(float(ways[thing][at]), -1.5), 1.5),
            )
            words[thing] = _told(fit, usual[thing], at, self._scale * float(DISTANCES[at]))
        return Measured(signs=signs, words=words, sights=judged, leads=leads)

    def _ways(self, seen: Optional[Outlines], fits: Mapping[int, _Fit]) -> dict[int, np.ndarray]:
        """How much better outline and pattern of each thing fit together at every shift than in place, shape [K]."""
        ways = {thing: _ALIKE * fit.more for thing, fit in fits.items()}
        rows = {} if seen is None else {thing: mine for thing, mine in seen.rows().items() if thing in ways}
        if seen is None or not rows:
            return ways
        scores = (
            np.stack([values[mine].sum(axis=0) for mine in rows.values()]) for values in (seen.source, seen.result)
        )
        gains, own = shift_gains(*scores, limits=self._limits, near=NEAR)
        radius = self._limits.search_radius
        down, right = np.clip(self._scale * SHIFTS, -radius, radius).T + radius  # beyond it outlines tell no more
        for i, (thing, mine) in enumerate(rows.items()):
            sites = float(own[i]) / len(mine)
            ways[thing] += np.clip(gains[i, down, right], -1.5, 1.0) * sites / (sites + _STEADY)
        return ways

    def conclude(self) -> Outcome:
        """Hold what was measured of every thing against the bars."""
        seen = self.measured()
        kept = conclude_kept(seen.signs, seen.sights, seen.leads, self._truth, self._thresholds, self._limits)
        return Outcome.join((kept, self._placed(seen)))

    def _placed(self, seen: Measured) -> Outcome:
        """Hold the log odds of every thing being displaced or changed against the bar."""
        bar = self._thresholds["instance_placed"]
        if not seen.words:
            text = (
                "Things that are displaced, mirrored or of another size were not looked for: there are no instance "
                "ids, or no thing is seen whole, large and bright enough."
            )
            return Outcome(findings=(unchecked("instance_placed", text),))
        odds, kinds = THINGS.any_odds(tuple(_WORDS), list(seen.signs.values()))
        findings = []
        for thing, value, kind in zip(seen.signs, odds.tolist(), kinds, strict=True):
            if not bar.passes(value):
                looks = self._looks.get(thing, [])
                off = [look.frame for look in looks if _fit([look]).kept < 0.5 * seen.signs[thing]["usual_pattern"]]
                some = off if 0 < 2 * len(off) < len(looks) else []  # else it may be so in those between as well
                frames = some or [look.frame for look in looks] or seen.sights[thing].frames.tolist()
                words = seen.words.get(thing, "its outline agrees better elsewhere")
                text = (
                    f"{self._truth.name(thing)} {_WORDS[kind]}: {words} (frames {spans(frames)}); "
                    f"the log odds of that are {value:.1f}, {bar.value:g} is allowed."
                )
                findings.append(bar.finding("instance_placed", text, value, some, self._truth.things[thing]))
        worst = measured(self._thresholds, "instance_placed", float(odds.max()))
        return Outcome(measurements=(worst,), findings=tuple(findings), proof=True)


def _outlined(lead: Optional[OutlineLead]) -> dict[str, float]:
    """What the outline of a thing says, as `THINGS` weighs it."""
    if lead is None:
        return dict.fromkeys(("agreement", "lead", "expected", "margin", "roundness", "sites"), UNKNOWN)
    return {
        "agreement": lead.agreement,
        "lead": lead.lead,
        "expected": lead.expected,
        "margin": lead.margin,
        "roundness": lead.roundness,
        "sites": float(np.log1p(lead.sites)),
    }


def _told(fit: _Fit, usual: float, at: int, far: float) -> str:
    """Say how much of a thing's pattern is found in place, and what explains the result better, ``far`` [px] away."""
    here = f"{100 * max(fit.kept, 0.0):.0f} % of its pattern is found in place, {100 * usual:.0f} % of others'"
    change, more = int(np.argmax(fit.changed)), float(fit.more[at])
    if max(fit.changed) > max(more, 0.02):
        size = "when it is mirrored" if change == MIRRORED else f"at {SIZES[change]:.1f} times its size"
        return f"{here}, and {100 * max(fit.changed):.0f} % more {size}"
    where = f"{far:.1f} px away"
    return f"{here}, and {100 * more:.0f} % more {where}" if more > 0.02 else f"{here}, elsewhere best {where}"


def _fit(looks: list[_Look]) -> _Fit:
    """Add up what the frames show of one thing."""
    gains = np.sum([look.gains for look in looks], axis=0)
    changed = np.sum([look.changed for look in looks], axis=0)
    energy = max(sum(look.energy for look in looks), 1e-6)
    here = float(gains[IN_PLACE].max())
    more = [float(value - here) / energy for value in changed]
    if sum(look.area for look in looks) < _WHOLE * sum(look.size for look in looks):
        for size in SIZES:
            more[size] = min(more[size], 0.0)
    return _Fit(
        kept=here / energy,
        changed=tuple(more),
        more=np.clip((gains - here) / energy, -_MOST, _MOST),
        shown=float(np.sqrt(energy / (3.0 * FULL**2 * max(sum(look.size for look in looks), 1)))),
    )


def _cut_off(thing: np.ndarray, count: int) -> np.ndarray:
    """Share of each thing's bounding box whose outline is on the rim of the picture, shape [count]."""
    touching = sum(np.bincount(line, minlength=count) for line in (thing[0], thing[-1], thing[:, 0], thing[:, -1]))
    sides = np.zeros(count)
    for axis, size in enumerate(thing.shape):
        lines = np.zeros((count, size), bool)
        lines[thing, np.expand_dims(np.arange(size), 1 - axis)] = True
        sides += np.where(lines.any(axis=1), size - lines[:, ::-1].argmax(axis=1) - lines.argmax(axis=1), 0)
    return np.asarray(touching / np.maximum(2.0 * sides, 1.0))


__all__ = ["PlacementSweep"]
