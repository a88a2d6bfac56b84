"""All that speaks for or against a thing standing where its label says, by the names that `THINGS` weighs."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from cosmos.bridge.critic.checks.others import at_depth_of_others, median_of_others
from cosmos.bridge.critic.checks.presence import Match, Sight
from cosmos.bridge.critic.checks.split import band_structures

_FAINT = 1.0
"""Added to differences before their ratio is taken [levels, or levels/px]."""
_BAND = 8.0
"""Fewest pixels of a band that tell its structure."""
UNKNOWN = float("nan")


def structure(match: Match) -> float:
    """Fisher's z of the correlation of the result with the source; no light, haze or paint changes it."""
    return float(np.arctanh(min(max(match.explained, 0.0), 0.97) ** 0.5))


def signs_of(sights: Mapping[int, Sight], *, drowned: bool) -> dict[int, dict[str, float]]:
    """Return what colours say of each thing that is seen.

    ``structure``, ``soft`` and ``rim`` are Fisher's z of sharp gradients, of blurred ones and of differences across the
    outline; ``*_left`` the logarithm of how strong they are in the result over what its light makes of the source's;
    ``usual_*`` medians of the other things; the rest tells how far all this may be trusted.

    Args:
        sights: What was seen of each thing.
        drowned: Whether haze or a snowy night was understood.
    """
    own = {owner: _own(sight) for owner, sight in sights.items()}
    free = [owner for owner, sight in sights.items() if sight.kept < 0.5]
    found = {owner: {**signs, "drowned": float(drowned)} for owner, signs in own.items()}
    for name in ("structure", "soft", "rim", "rim_left"):
        usual = median_of_others({owner: own[owner][name] for owner in free}, own, alone=UNKNOWN)
        for owner, value in usual.items():
            found[owner][f"usual_{name}"] = value
    depths = {owner: sight.depth for owner, sight in sights.items()}
    due = at_depth_of_others({owner: own[owner]["structure"] for owner in free}, depths, own, alone=UNKNOWN)
    for owner, value in due.items():
        found[owner]["due"] = value
    return found


def _own(sight: Sight) -> dict[str, float]:
    """What is told by a thing's own pixels."""
    bands = band_structures(sight, _BAND)
    return {
        "structure": structure(sight.sharp),
        "weakest_band": float(bands.min()) if len(bands) else UNKNOWN,
        "middle_band": float(np.median(bands)) if len(bands) else UNKNOWN,
        "soft": structure(sight.soft),
        "rim": structure(sight.rim) if sight.pairs else UNKNOWN,
        "left": _left(sight.sharp, sight.lit),
        "soft_left": _left(sight.soft, sight.lit),
        "rim_left": _left(sight.rim, sight.lit) if sight.pairs else UNKNOWN,
        "contrast": math.log(sight.sharp.source + _FAINT),
        "rim_contrast": math.log(sight.rim.source + _FAINT) if sight.pairs else UNKNOWN,
        "lit": math.log(sight.lit),
        "dark": sight.dark,
        "noise": sight.noise,
        "depth": math.log(sight.depth + 1.0),
        "pixels": math.log(sight.pixels + 1.0),
        "area": math.log(sight.area + 1.0),
        "pairs": math.log(sight.pairs + 1.0),
        "thin": sight.pairs / max(sight.area, 1.0),
        "piece": sight.piece,
        "snowed": sight.snowed,
        "kept": sight.kept,
    }


def _left(match: Match, lit: float) -> float:
    """How strong the result's differences are over what its light makes of the source's, as a logarithm."""
    return math.log((match.result + _FAINT) / (lit * match.source + _FAINT))


__all__ = ["UNKNOWN", "signs_of", "structure"]
