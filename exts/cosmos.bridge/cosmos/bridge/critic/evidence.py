"""What joined evidence weighs, as data: learnt from good clips and planted faults, none of those that prove it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """A logistic regression: the logarithm of the odds of a fault is a weighted sum of what was measured."""

    weights: Mapping[str, float]
    """Name of what was measured -> its weight [nats per unit of it]."""
    offset: float
    """Log odds where all of it is 0 [nats]; without any preference for either side."""
    limit: float
    """Beyond so much for or against, nothing more is learnt from the same sums [nats]."""
    reason: str
    """What it was learnt from, and with what."""

    def log_odds(self, measured: Mapping[str, float]) -> float:
        """Weigh what was measured [nats]; above 0 the fault is the likelier explanation.

        Raises:
            KeyError: If a value is missing.
        """
        total = self.offset + sum(weight * measured[name] for name, weight in self.weights.items())
        return min(max(total, -self.limit), self.limit) if math.isfinite(total) else -self.limit


EVIDENCE: Mapping[str, Evidence] = {
    "duplicated": Evidence(
        weights={
            "source": 2.56,
            "repainted": 1.17,
            "plain": 1.27,
            "edge": 5.16,
            "alike": 1.65,
            "size": 2.19,
            "lit": 0.52,
        },
        offset=-8.91,
        limit=12.0,
        reason="Learnt by tools/learn_evidence.py from the likeliest places of 800 good clips for choosing bars, and "
        "from 1524 planted twins.",
    ),
    "invented": Evidence(
        weights={
            "tint": 3.48,
            "hue": 6.12,
            "edges": 2.61,
            "usual_tint": -0.33,
            "usual_hue": -1.25,
            "usual_edges": -3.21,
        },
        offset=-28.9,
        limit=20.0,
        reason="Learnt by tools/learn_evidence.py from the strangest patches of 240 good clips for choosing bars, and "
        "of 320 with a planted thing.",
    ),
}
"""Check -> how its evidence is weighed."""


PLACED: Mapping[str, Evidence] = {
    "gone": Evidence(
        weights={
            "structure": -5.62,
            "others": 1.72,
            "outline": -11.4,
            "expected": 4.66,
            "usual": 1.53,
            "mirrored": 9.16,
            "sized": 0.85,
            "displaced": 0.81,
        },
        offset=-1.78,
        limit=20.0,
        reason="Learnt by tools/learn_placement.py from 7975 things of 800 good clips for choosing bars, and from "
        "305 that were taken away.",
    ),
    "displaced": Evidence(
        weights={
            "structure": -2.88,
            "others": 0.96,
            "outline": -2.15,
            "expected": 1.59,
            "usual": 3.31,
            "mirrored": 1.94,
            "sized": -3.58,
            "displaced": 8.37,
        },
        offset=-2.82,
        limit=20.0,
        reason="Learnt by tools/learn_placement.py from 7975 things of 800 good clips for choosing bars, and from "
        "396 that were moved by 4 px.",
    ),
    "resized": Evidence(
        weights={
            "structure": -2.22,
            "others": 1.61,
            "outline": -5.88,
            "expected": 2.4,
            "usual": 1.38,
            "mirrored": 6.76,
            "sized": 18.74,
            "displaced": 1.2,
        },
        offset=-3.21,
        limit=20.0,
        reason="Learnt by tools/learn_placement.py from 7975 things of 800 good clips for choosing bars, and from "
        "188 that were made larger or smaller, each of which counts 0.3.",
    ),
    "mirrored": Evidence(
        weights={
            "structure": -1.86,
            "others": 2.15,
            "outline": -4.17,
            "expected": 0.64,
            "usual": 0.84,
            "mirrored": 26.87,
            "sized": -2.32,
            "displaced": 0.69,
        },
        offset=-3.39,
        limit=20.0,
        reason="Learnt by tools/learn_placement.py from 7975 things of 800 good clips for choosing bars, and from "
        "198 that were mirrored, each of which counts 0.1: a round thing lit from its other side looks like one.",
    ),
}
"""What may have befallen a thing that does not stand or look as its label says -> its odds against being in place."""


def any_odds(kinds: Mapping[str, Evidence], measured: Mapping[str, float]) -> tuple[float, str]:
    """Weigh what was measured by a multinomial logistic regression.

    Args:
        kinds: Name of each fault that excludes the others -> its odds against there being none.
        measured: What was measured.

    Returns:
        Log odds of there being any of them [nats], and which is the likeliest.

    Raises:
        KeyError: If a value is missing.
    """
    odds = {kind: evidence.log_odds(measured) for kind, evidence in kinds.items()}
    return math.log(sum(math.exp(value) for value in odds.values())), max(odds, key=lambda kind: odds[kind])


@dataclass(frozen=True, kw_only=True, slots=True)
class PresenceWeights:
    """Logistic regression of a thing being there against its having been taken away [nats].

    Learnt by ``tools/learn_presence.py``: every thing of the good clips of the part for choosing bars against each
    that can be taken out of them.
    """

    base: float
    """Evidence where nothing speaks."""
    structure: float
    """Weight of the correlation of the thing's gradients with the source's, as Fisher's z: no light changes it."""
    others: float
    """Weight of the median of the other things' z: snow, night and haze weaken all of them."""
    outline: float
    """Weight of its outline's agreement, less half of the others' and what it agrees better elsewhere."""


PRESENCE = PresenceWeights(base=-0.11, structure=5.93, others=-1.13, outline=9.88)
"""As ``tools/learn_presence.py`` printed them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitWeights:
    """Logistic regression of a thing being cut in two against its being whole [nats].

    Learnt by ``tools/learn_presence.py``: the band of each thing of the good clips that looks most like a cut against
    that of things through which one was made.
    """

    base: float
    """Evidence where nothing speaks."""
    band: float
    """Weight of the correlation of gradients with the source's in its bands, as Fisher's z, on average."""
    ends: float
    """Weight of that of the weaker of the two ends."""
    steep: float
    """Weight of the logarithm of the gradients that the ends lead one to expect in the band, and 1 [levels/px]."""


SPLIT = SplitWeights(base=-1.3, band=-9.68, ends=3.45, steep=1.11)
"""As ``tools/learn_presence.py`` printed them."""


__all__ = ["EVIDENCE", "PLACED", "PRESENCE", "SPLIT", "Evidence", "PresenceWeights", "SplitWeights", "any_odds"]
