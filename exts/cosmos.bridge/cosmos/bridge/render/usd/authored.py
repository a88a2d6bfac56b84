"""Authored values as numbers: the value where it is one, else the default, and said."""

from __future__ import annotations

import math
from typing import Any

from cosmos.bridge.render.usd.notes import Notes

_SENTENCE = "Inputs that are no finite numbers keep their default"


def number(value: Any, default: float, notes: Notes, path: str) -> float:
    """Return an authored number, or the default where it is missing, of another type, or not finite."""
    if value is None:
        return default
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        return float(value)
    notes.add(_SENTENCE, path)
    return default


def vector(value: Any, default: tuple[float, ...], notes: Notes, path: str) -> tuple[float, ...]:
    """Return as many authored numbers as the default has, or the default where they are not that many finite ones."""
    if value is None:
        return default
    numbers = tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) else ()
    if len(numbers) >= len(default) and all(isinstance(it, (int, float)) and math.isfinite(it) for it in numbers):
        return tuple(float(part) for part in numbers[: len(default)])
    notes.add(_SENTENCE, path)
    return default


def color(value: Any, default: tuple[float, float, float], notes: Notes, path: str) -> tuple[float, float, float]:
    """Return an authored colour, or the default where it is missing, of another type, or not finite."""
    if value is None:
        return default
    numbers = tuple(value) if hasattr(value, "__len__") and not isinstance(value, str) and len(value) >= 3 else ()
    if numbers and all(isinstance(part, (int, float)) and math.isfinite(part) for part in numbers):
        return (float(numbers[0]), float(numbers[1]), float(numbers[2]))
    notes.add(_SENTENCE, path)
    return default


__all__ = ["color", "number", "vector"]
