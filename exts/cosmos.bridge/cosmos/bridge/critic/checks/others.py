"""What is usual among the other things of a clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

_NEAR = 2.0
"""Depth below which nearness no longer tells much [m]."""
_STEADY = 0.5
"""Sum of squared deviations of the logarithms of depths at which a slope counts half."""


def median_of_others(values: Mapping[int, float], owners: Iterable[int], *, alone: float) -> dict[int, float]:
    """Return, for each thing, the median of the values of all others.

    Args:
        values: Thing -> value; not NaN.
        owners: Things that are asked for, with a value of their own or without.
        alone: What stands for the median where there is no other thing.
    """
    order = sorted(values, key=lambda owner: values[owner])
    ranked, rank = [values[owner] for owner in order], {owner: i for i, owner in enumerate(order)}
    found = {}
    for owner in owners:
        mine, count = rank.get(owner, len(order)), len(order) - (owner in rank)
        middle = [ranked[i + (i >= mine)] for i in {(count - 1) // 2, count // 2}] if count else [alone]
        found[owner] = float(sum(middle) / len(middle))
    return found


def at_depth_of_others(
    values: Mapping[int, float], depths: Mapping[int, float], owners: Iterable[int], *, alone: float
) -> dict[int, float]:
    """Return, for each thing, what the others lead one to expect at its depth.

    Haze, falling snow and the end of a lamp's reach take the more the farther away a thing is: a line by least squares
    (ridge) through the values of all others over the logarithm of their depth, which may fall, but not rise, with it.

    Args:
        values: Thing -> value; not NaN.
        depths: Thing -> depth [m], >= 0, of all in ``values`` and ``owners``.
        owners: Things that are asked for, with a value of their own or without.
        alone: What stands for it where there is no other thing.

    Returns:
        From 0 to the greatest value of the others; ``alone`` where there are none.
    """
    place = {owner: i for i, owner in enumerate(values)}
    known = np.array(list(values.values()), np.float64)
    depth = np.log(np.array([depths[owner] for owner in values], np.float64) + _NEAR)
    rest, found = np.ones(len(known), bool), {}
    for owner in owners:
        if owner in place:
            rest[place[owner]] = False
        if rest.any():
            others, off = known[rest], depth[rest] - depth[rest].mean()
            slope = min(float(off @ others) / (float(off @ off) + _STEADY), 0.0)
            value = float(others.mean()) + slope * float(np.log(depths[owner] + _NEAR) - depth[rest].mean())
            found[owner] = min(max(value, 0.0), max(float(others.max()), 0.0))
        else:
            found[owner] = alone
        if owner in place:
            rest[place[owner]] = True
    return found


__all__ = ["at_depth_of_others", "median_of_others"]
