"""What is usual among the other things of a clip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


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


__all__ = ["median_of_others"]
