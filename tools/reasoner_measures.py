"""Shares with their intervals, as the measures of the embedded reasoner print them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from cosmos.bridge.calibrate.roc import Rate


def share(hits: Sequence[bool], chance: float) -> dict[str, Any]:
    """Return a share with its interval, beside chance."""
    low, high = Rate(hits=sum(hits), count=len(hits)).interval
    return {"count": len(hits), "share": sum(hits) / max(1, len(hits)), "interval": [low, high], "chance": chance}


def mean_interval(told: Sequence[dict[str, Any]]) -> list[float]:
    """Return the 95 % interval of the mean of independent shares, spread as if each had two hits and misses more."""
    likely = [(row["share"] * row["count"] + 2.0) / (row["count"] + 4.0) for row in told]
    spread = sum(p * (1.0 - p) / (row["count"] + 4.0) for p, row in zip(likely, told, strict=True))
    middle, half = sum(row["share"] for row in told) / len(told), 1.96 * math.sqrt(spread) / len(told)
    return [max(0.0, middle - half), min(1.0, middle + half)]


def most_frequent(true: Sequence[Any]) -> float:
    """Return how often the best answer is right that is always the same; the chance of a task."""
    return max((list(true).count(answer) for answer in set(true)), default=0) / max(1, len(true))


__all__ = ["mean_interval", "most_frequent", "share"]
