"""Shares with their intervals, as the measures of the embedded reasoner print them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927)."""
    if count == 0:
        return 0.0, 1.0
    z, share = 1.96, hits / count
    middle, half = share + z * z / (2 * count), z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, (middle - half) / (1 + z * z / count)), min(1.0, (middle + half) / (1 + z * z / count))


def share(hits: Sequence[bool], chance: float) -> dict[str, Any]:
    """Return a share with its interval, beside chance."""
    low, high = wilson(sum(hits), len(hits))
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


__all__ = ["mean_interval", "most_frequent", "share", "wilson"]
