"""The 12 conditions that the embedded model is measured under, and prompts for them that no template writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cosmos.models.embedded.conditions import Conditions

CONDITIONS = {
    "clear day": Conditions(sun_elevation=48.0, sun_bearing=240.0),
    "golden hour": Conditions(sun_elevation=6.0, sun_bearing=110.0),
    "dusk": Conditions(sun_elevation=-3.0, sun_bearing=200.0),
    "night": Conditions(sun_elevation=-13.0, sun_bearing=80.0),
    "overcast": Conditions(sun_elevation=40.0, overcast=0.9),
    "fog": Conditions(sun_elevation=40.0, fog=0.5, overcast=0.3),
    "dense fog": Conditions(sun_elevation=40.0, fog=0.85),
    "rain": Conditions(sun_elevation=35.0, rain=0.6, overcast=0.8),
    "snow": Conditions(sun_elevation=35.0, snow=0.65, overcast=0.8),
    "heavy snow": Conditions(sun_elevation=30.0, snow=0.95, overcast=0.9),
    "night snow": Conditions(sun_elevation=-13.0, snow=0.65, overcast=0.8),
    "dust": Conditions(sun_elevation=40.0, dust=0.6),
}


def _prompts(name: str) -> dict[str, list[str]]:
    asked: dict[str, list[str]] = json.loads(Path(__file__).with_name(f"{name}.json").read_text("utf-8"))
    return asked


WORDINGS = _prompts("transfer_wordings")
"""Prompts for each, by two writers who knew the conditions and neither wordings nor rules."""
HARD_WORDINGS = _prompts("transfer_hard_wordings")
"""The same by two others, who were asked not to make it easy: questions, complaints and consequences, numbers, errors,
and in two thirds of them not the condition's own name."""
WORKING_WORDINGS = _prompts("transfer_working_wordings")
"""The same by two others, as people write at work: much else besides, places, tasks, counts, distances, colours."""
IDLE_WORDINGS: Sequence[str] = json.loads(Path(__file__).with_name("transfer_idle_wordings.json").read_text("utf-8"))
"""Prompts by one more writer that say nothing of light and weather, a third with words that might."""

MEANT = {
    **CONDITIONS,
    "fog": replace(CONDITIONS["fog"], fog=0.3, overcast=0.0),
    "dense fog": replace(CONDITIONS["dense fog"], fog=0.6),
}
"""The conditions as words mean them: fog of 79 m of sight, dense fog of 21 m; pictures are judged in twice as much."""

_DAY = (18.0, 80.0)
"""Heights of the sun that words for a day, without its hour, allow [degrees]."""
_SLIGHT = 0.1
"""Strength of weather that nobody sees."""
_WIDTHS = {"sun_elevation": 12.0, "overcast": 0.45, "fog": 0.25, "rain": 0.3, "snow": 0.25, "dust": 0.3}


def is_plain_day(conditions: Conditions) -> bool:
    """Return whether they are what a prompt means that says nothing of light and weather."""
    weather = (conditions.overcast, conditions.fog, conditions.rain, conditions.snow, conditions.dust)
    return max(weather) <= _SLIGHT and _DAY[0] <= conditions.sun_elevation <= _DAY[1]


def distances(values: Mapping[str, Any]) -> dict[str, float]:
    """Return how far conditions, as a mapping, are from each of the 12, squared; about 1 can just be told apart."""
    return {
        name: float(sum(((values[key] - getattr(of, key)) / width) ** 2 for key, width in _WIDTHS.items()))
        for name, of in CONDITIONS.items()
    }


def nearest(conditions: Conditions) -> str:
    """Return the name of the condition that is nearest, as words mean it.

    By day any height of the sun is as good. Weather counts by the root of its strength, as the net is told it: half way
    between two conditions is where the wordings of one end and those of the other begin.
    """
    height = min(max(conditions.sun_elevation, _DAY[0]), _DAY[1])

    def far(of: Conditions) -> float:
        wanted = height if of.sun_elevation >= _DAY[0] else of.sun_elevation
        squared = ((conditions.sun_elevation - wanted) / _WIDTHS["sun_elevation"]) ** 2
        squared += ((conditions.overcast - of.overcast) / _WIDTHS["overcast"]) ** 2
        for name in ("fog", "rain", "snow", "dust"):
            squared += ((getattr(conditions, name) ** 0.5 - getattr(of, name) ** 0.5) / _WIDTHS[name]) ** 2
        return squared

    return min(MEANT, key=lambda name: far(MEANT[name]))


__all__ = [
    "CONDITIONS",
    "HARD_WORDINGS",
    "IDLE_WORDINGS",
    "MEANT",
    "WORDINGS",
    "WORKING_WORDINGS",
    "distances",
    "is_plain_day",
    "nearest",
]
