"""What joined evidence weighs, as data: learnt from good clips and planted faults, none of those that prove it."""

from __future__ import annotations

from dataclasses import dataclass


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


PRESENCE = PresenceWeights(base=-0.42, structure=6.4, others=-0.93, outline=8.88)
"""As ``tools/learn_presence.py`` printed them."""


__all__ = ["PRESENCE", "PresenceWeights"]
