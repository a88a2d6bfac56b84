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
            "source": 2.34,
            "repainted": -0.52,
            "plain": 0.07,
            "least": 3.37,
            "edge": 5.24,
            "alike": 1.42,
            "size": 1.91,
            "lit": 0.75,
        },
        offset=-7.99,
        limit=12.0,
        reason="Learnt by tools/learn_evidence.py from the likeliest places of 800 good clips for choosing bars, and "
        "from 1568 planted twins.",
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
            "structure": -5.25,
            "others": -0.27,
            "due": 3.06,
            "outline": -10.63,
            "expected": 1.36,
            "usual": 2.22,
            "mirrored": 7.77,
            "sized": 0.0,
            "displaced": 1.89,
        },
        offset=-0.88,
        limit=20.0,
        reason="Learnt by tools/learn_placement.py from 7834 things of 800 good clips for choosing bars, and from "
        "588 that were taken away.",
    ),
    "displaced": Evidence(
        weights={
            "structure": -1.26,
            "others": -0.07,
            "due": 2.41,
            "outline": -2.52,
            "expected": 0.97,
            "usual": 2.51,
            "mirrored": 2.68,
            "sized": -2.39,
            "displaced": 8.65,
        },
        offset=-3.31,
        limit=20.0,
        reason="Learnt by tools/learn_placement.py from 7834 things of 800 good clips for choosing bars, and from "
        "772 that were moved by 4 px.",
    ),
    "resized": Evidence(
        weights={
            "structure": -1.89,
            "others": 0.0,
            "due": 1.8,
            "outline": -5.56,
            "expected": 1.5,
            "usual": 3.05,
            "mirrored": 2.88,
            "sized": 18.81,
            "displaced": 1.89,
        },
        offset=-2.87,
        limit=20.0,
        reason="Learnt by tools/learn_placement.py from 7834 things of 800 good clips for choosing bars, and from "
        "739 that were made larger or smaller, each of which counts 0.3.",
    ),
    "mirrored": Evidence(
        weights={
            "structure": -1.73,
            "others": 0.57,
            "due": 1.86,
            "outline": -3.34,
            "expected": 1.15,
            "usual": 0.4,
            "mirrored": 25.94,
            "sized": -6.13,
            "displaced": 1.39,
        },
        offset=-3.0,
        limit=20.0,
        reason="Learnt by tools/learn_placement.py from 7834 things of 800 good clips for choosing bars, and from "
        "773 that were mirrored, each of which counts 0.1: a round thing lit from its other side looks like one.",
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
    due: float
    """Weight of what theirs leads one to expect at its depth, for they weaken the far ones more."""
    outline: float
    """Weight of its outline's agreement, less half of the others' and what it agrees better elsewhere."""


PRESENCE = PresenceWeights(base=0.5, structure=9.14, others=2.88, due=-5.1, outline=9.14)
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
