"""What joined evidence weighs, as data: learnt from good clips and planted faults, none of those that prove it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cosmos.bridge.critic.trees import Learnt


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


THINGS = Learnt.load(Path(__file__).with_name("things.json"))
"""What befalls a thing: ``gone``, ``displaced``, ``resized``, ``mirrored``; `tools/learn_things.py` writes it."""


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


__all__ = ["EVIDENCE", "SPLIT", "THINGS", "Evidence", "SplitWeights"]
