"""Is each thing still in one piece, or does something else show through its middle?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np

from cosmos.bridge.critic.checks.presence import BANDS, Sight, explained, slopes
from cosmos.bridge.critic.evidence import SPLIT
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, measured, spans, unchecked
from cosmos.bridge.critic.thresholds import Threshold
from cosmos.bridge.critic.truth import Truth

_CHECK = "instance_split"
_CUTS = tuple((begin, begin + wide) for wide in (3, 4) for begin in range(1, BANDS - wide))
"""Runs of bands that a cut may take, with something left at both ends."""
_WEAK = 0.7
"""Fisher's z of a band from which on it shows the thing itself; the edges of a shadow hide it in one or two."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """What speaks for a thing being cut in two where that is most likely; the features of the regression."""

    band: float
    """Fisher's z of the correlation of gradients with the source's, on average over the bands that are missing."""
    ends: float
    """That of the weaker end."""
    steep: float
    """Logarithm of the gradients that the ends lead one to expect in the band, and 1 [levels/px]."""

    @property
    def evidence(self) -> float:
        """Log of the odds that it is cut [nats]."""
        return SPLIT.base + SPLIT.band * self.band + SPLIT.ends * self.ends + SPLIT.steep * self.steep


def well_seen(sight: Sight, limits: Limits) -> bool:
    """Whether enough pixels of a thing speak for a cut to be looked for, and no snow was asked to lie on it."""
    return sight.pixels >= 2.5 * limits.min_cut and not sight.snowed_over(limits)


def cut_of(sight: Sight, limits: Limits) -> Optional[Cut]:
    """Return the likeliest cut of a thing; ``None`` where no run of bands and both ends have pixels enough."""
    begin, end = np.array(_CUTS).T
    pixels = sight.band_pixels * sight.looked
    single = _told(sight.products, pixels)
    sums = np.concatenate([np.zeros((1, 6, 6)), np.cumsum(sight.products, axis=0)])
    counts = np.concatenate([[0.0], np.cumsum(pixels)])
    middle, many = sums[end] - sums[begin], counts[end] - counts[begin]
    rest, left = np.stack([sums[begin], sums[-1] - sums[end]]), np.stack([counts[begin], counts[-1] - counts[end]])
    ends = _told(rest, left).min(axis=0)
    line = slopes(rest.sum(axis=0), left.sum(axis=0))
    power = (line * (middle[:, :3, :3] @ line)).sum(axis=(-2, -1)) / np.maximum(many, 1.0)
    least = float(limits.min_cut * sight.looked)
    enough = (many >= least) & (left.min(axis=0) >= 0.6 * least)
    weak = (single <= _WEAK) & (pixels >= 0.15 * least)
    cuts = [
        Cut(band=float(single[run].mean()), ends=float(ends[i]), steep=float(np.log1p(np.sqrt(max(power[i], 0.0)))))
        for i, run in enumerate(slice(*cut) for cut in _CUTS)
        if enough[i] and weak[run].all()
    ]
    return max(cuts, key=lambda cut: cut.evidence, default=None)


def band_structures(sight: Sight, least: float) -> np.ndarray:
    """Fisher's z of each band of a thing in which so many pixels speak, float64."""
    told = sight.band_pixels >= least
    return _told(sight.products[told], sight.band_pixels[told] * sight.looked)


def _told(products: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Fisher's z of the correlations that sums of products tell."""
    return np.asarray(np.arctanh(np.minimum(explained(products, pixels), 0.97) ** 0.5))


def conclude_split(
    sights: Mapping[int, Sight], truth: Truth, thresholds: Mapping[str, Threshold], limits: Limits
) -> Outcome:
    """Hold the likeliest cut of every thing that is seen well enough against the bar.

    Args:
        sights: What was seen of each thing in colours.
        truth: The instances of the clip.
        thresholds: The bars.
        limits: How to measure.
    """
    bar = thresholds[_CHECK]
    cuts = {owner: cut_of(sight, limits) for owner, sight in sights.items() if well_seen(sight, limits)}
    found = {owner: cut.evidence for owner, cut in cuts.items() if cut is not None}
    if not cuts:
        text = "Things that are cut in two were not looked for: none is seen well enough."
        return Outcome(findings=(unchecked(_CHECK, text),))
    findings = []
    for owner, value in sorted(found.items()):
        if not bar.passes(value):
            frames = sights[owner].frames.tolist()
            text = (
                f"{truth.name(owner)} is cut in two in frames {spans(frames)}: its ends are where its label says, but "
                f"something else shows between them, by an evidence of {value:.1f} nats; {bar.value:.1f} are allowed."
            )
            findings.append(bar.finding(_CHECK, text, value, frames, truth.things[owner]))
    worst = max(found.values(), default=bar.best)
    return Outcome(measurements=(measured(thresholds, _CHECK, worst),), findings=tuple(findings))


__all__ = ["Cut", "band_structures", "conclude_split", "cut_of", "well_seen"]
