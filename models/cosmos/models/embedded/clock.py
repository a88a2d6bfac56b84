"""Clock times in a prompt, "22:40", "6:50 am in March", "1400 local", "two in the morning", as the height of the sun.

It is that of 45 degrees latitude in the middle of the month, or at an equinox where no month is said, by Cooper's
formula for the sun's declination (1969) and its hour angle (Duffie and Beckman, Solar Engineering, chapter 1), the sun
highest at half past twelve.
"""

from __future__ import annotations

import math
import re
from typing import Optional

_LATITUDE, _NOON = 45.0, 12.5
"""Degrees; hours."""
_ABOUT_NOON, _HIGH = 0.75, 68.0
"""Hours around that in which the sun stands so high [degrees] where no month is said: who writes 12:00 means noon."""
_TIME = re.compile(
    r"(?<![\d.:/])(?:(?P<hour>[01]?\d|2[0-3])[:h](?P<minute>[0-5]\d)(?![\d:])|(?P<full>1[0-2]|[1-9])(?=\s*[ap]\.?m\b)"
    r"|(?P<four>(?:[01]\d|2[0-3])[0-5]\d)(?=\s*(?:local|hours|hrs|z)\b))\s*(?P<half>[ap])?(?(half)\.?m\b)(?!\s*scale)",
    re.IGNORECASE,
)
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SPOKEN = re.compile(
    rf"\b(?P<hour>{'|'.join(_WORDS)})(?: o'clock)? "
    r"(?:in the (?P<part>morning|afternoon|evening)|at (?P<night>night)|(?P<half>[ap])\.?m)\b",
    re.IGNORECASE,
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = re.compile(rf"\b(?:in|of|on|early|mid|late)[ -](?:\d+ )?({'|'.join(_MONTHS)})[a-z]*\b", re.IGNORECASE)
"""A month behind a word that tells it from "may"."""


def sun_by_clock(text: str) -> Optional[float]:
    """Return how high the sun stands [degrees] at the last clock time of a prompt; ``None`` where it has none."""
    hour: Optional[float] = None
    for found in _TIME.finditer(text):
        if found["four"]:
            hour = int(found["four"][:2]) + int(found["four"][2:]) / 60.0
            continue
        hour = int(found["hour"] or found["full"]) + int(found["minute"] or 0) / 60.0
        if found["half"] and hour < 13.0:
            hour = hour % 12.0 + (12.0 if found["half"].lower() == "p" else 0.0)
    for found in _SPOKEN.finditer(text):
        hour = float(_WORDS.index(found["hour"].lower()) + 1)
        late = (found["part"] or found["half"] or "morning").lower() in ("afternoon", "evening", "p")
        hour = hour % 12.0 + (12.0 if late or (found["night"] and hour > 5.0) else 0.0)
    if hour is None:
        return None
    month = _MONTH.search(text)
    if month is None and abs(hour - _NOON) <= _ABOUT_NOON:
        return _HIGH
    day = 80.0 if month is None else 30.4 * (_MONTHS.index(month[1].lower()) + 0.5)
    declination = math.radians(23.45 * math.sin(2.0 * math.pi * (284.0 + day) / 365.0))
    latitude, angle = math.radians(_LATITUDE), math.radians(15.0 * (hour - _NOON))
    height = math.sin(latitude) * math.sin(declination)
    height += math.cos(latitude) * math.cos(declination) * math.cos(angle)
    return math.degrees(math.asin(max(-1.0, min(1.0, height))))


def without_clock(text: str) -> str:
    """Return a prompt without its clock times."""
    return _SPOKEN.sub(" ", _TIME.sub(" ", text))


__all__ = ["sun_by_clock", "without_clock"]
