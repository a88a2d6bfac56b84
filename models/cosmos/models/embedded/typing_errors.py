"""Words that were mistyped: the known word that is one error away."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=4096)
def nearest_word(word: str, vocabulary: tuple[str, ...]) -> str | None:
    """Return the one known word that is a typing error away, if there is just one; of four letters, two swapped."""
    if len(word) < 4:
        return None
    alike = _one_edit_apart if len(word) > 4 else _swapped
    near = [other for other in vocabulary if len(other) >= 4 and alike(word, other)]
    return near[0] if len(near) == 1 else None


def _one_edit_apart(a: str, b: str) -> bool:
    """Whether one letter more, less, other, or two neighbours swapped turn ``a`` into ``b``."""
    if abs(len(a) - len(b)) > 1:
        return False
    start = _first_other(a, b)
    tails = ((a[start + 1 :], b[start + 1 :]), (a[start + 1 :], b[start:]), (a[start:], b[start + 1 :]))
    return _swapped(a, b) or any(x == y for x, y in tails)


def _swapped(a: str, b: str) -> bool:
    """Whether two neighbours swapped turn ``a`` into ``b``."""
    start = _first_other(a, b)
    return a[start : start + 2] == b[start : start + 2][::-1] and a[start + 2 :] == b[start + 2 :]


def _first_other(a: str, b: str) -> int:
    """Return the place of the first letter that differs."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


__all__ = ["nearest_word"]
