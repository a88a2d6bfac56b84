"""What a prompt says in numbers: how far one sees, how high the sun stands, how much falls, how much sky is covered.

"Visibility 80 m", "you can see about eighty metres in the fog", "sun 6 degrees above the horizon", "4 mm/h", "10 cm an
hour" and "7 oktas" are exact, so rules read them; the learnt reader knows the wordings around them. English only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Optional

import numpy as np

from cosmos.models.embedded.captions import CLAUSE_END, split_words

_ONES = {
    word: number
    for number, word in enumerate(
        split_words(
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
            "seventeen eighteen nineteen"
        )
    )
}
_TENS = {
    word: 10 * (number + 2)
    for number, word in enumerate(split_words("twenty thirty forty fifty sixty seventy eighty ninety"))
}
_MANY = {"couple": 2.0, "few": 3.0, "several": 4.0}
"""How many hundred a few are."""
_LENGTHS = {
    "m": 1.0, "metre": 1.0, "metres": 1.0, "meter": 1.0, "meters": 1.0, "km": 1000.0, "kilometre": 1000.0,
    "kilometres": 1000.0, "kilometer": 1000.0, "kilometers": 1000.0, "ft": 0.3048, "foot": 0.3048, "feet": 0.3048,
    "yard": 0.9144, "yards": 0.9144, "mile": 1609.34, "miles": 1609.34,
}  # fmt: skip
"""Unit -> metres."""
_ANGLES = frozenset(("degree", "degrees", "deg"))
_SIGHT = frozenset(("visibility", "vis", "sight", "mor", "rvr", "viewing", "visual", "optical"))
"""Words that speak of how far one sees."""
_ABOUT = frozenset(
    split_words("about maybe roughly only some around perhaps just up to for beyond past a as far almost")
)
"""Words between "see" and how far that is."""
_SEE = frozenset(
    split_words(
        "see sees seeing range visible ahead gone fade fades fading faded vanish vanishes disappear disappears lost "
        "dissolve dissolves swallowed swallows cut invisible erased beyond reads readable"
    )
)
"""Words that do so where a word for what hides the rest stands in the prompt."""
_VEILS = frozenset(
    split_words(
        "fog foggy mist misty haze hazy dust dusty sandstorm sand blizzard whiteout smog haar vapour vapor murk veil"
    )
)
_SHOWS = _SEE | frozenset(
    split_words(
        "see view show shows showing appear appears appearing emerge emerges ghost ghosts ghostly outline outlines "
        "silhouette silhouettes blur blurs blurred smudge smear pale grey gray milky nothing everything all ends "
        "hide hides hiding hidden lose loses swallow eat eats eating wall drown drowns disappearing vanishing fading "
        "dissolving melts limit limited best max survive survives guess guesses blank whole make out"
    )
)
"""Words by which a thing that stands so far away tells how far one sees."""
_PLACED = frozenset(split_words("ahead away off in from behind left right before beside above below over under north"))
"""Words after a length that tells where a thing stands."""
_SIZED = frozenset(split_words("apart long high tall wide deep thick height altitude up per tower mast boom of by"))
"""Words after a length that is of a thing."""
_NEAREST, _FARTHEST = 5.0, 3000.0
"""Lengths [m] that may be how far one sees."""
_SUN = frozenset(("sun", "solar", "sunlight"))
_UNDER, _MINUS = frozenset(("below", "under", "beneath")), frozenset(("minus", "negative"))
_LESS, _MORE = frozenset(("below", "under", "less", "max", "maximum")), frozenset(("over", "above", "more", "least"))
_TOKEN = re.compile(r"(?<!\d)-?\d+(?:\.\d+)?|[a-z]+(?:'[a-z]+)*|[,.;:!?()\n]", re.IGNORECASE)
_SETTING = re.compile(
    r"\b(sun|solar)[ _]+(?:elevation|altitude|angle)\s*[:=]?\s*(-?\d+(?:\.\d+)?)(?![\d.]*\s*(?:deg|m\b))", re.IGNORECASE
)
"""A height of the sun without its unit: "sun_elevation: -3"."""
_RVR = re.compile(
    r"\b(rvr|mor)( (?:of|is|at|under|below|less than|over|above))?\s*[:=]?\s*(\d{2,4})(?!\d)(?! ?[a-z:])", re.I
)
"""A visual range without its unit, which is the metre (ICAO Annex 3): "RVR under 75"."""
_RATE = re.compile(
    r"(\d+(?:\.\d+)?) ?(mm|cm|in|inch|inches)(?: of (?:rain|snow|fresh snow))? ?(?:/|per|an|a) ?(?:h|hr|hour)\b",
    re.IGNORECASE,
)
_RAIN = ((0.3, 2.5, 7.6, 50.0), (0.15, 0.36, 0.72, 1.0))
"""Rain [mm/h], light below the second and heavy above the third (AMS, Glossary of Meteorology), and its strength."""
_SNOW = ((0.3, 1.0, 4.0, 10.0), (0.15, 0.46, 0.81, 1.0))
"""Snow [cm/h] and its strength."""
_INCH = 2.54
_OKTAS = re.compile(r"\b([0-8])(?: ?/ ?8)? ?-?oktas?\b", re.IGNORECASE)
_COVER = re.compile(
    r"\bcloud(?:iness| fraction| cover| coverage)\s*[:=]?\s*(?:of |at )?(0\.\d+|1\.0+)\b", re.IGNORECASE
)
_STRENGTH = re.compile(
    r"\b(fog|rain|snow|dust|overcast)(?:[ _-](?:intensity|density|amount|strength|level))?\s*[:=]\s*"
    r"(0?\.\d+|[01](?:\.0+)?)(?![\d.]*\s*(?:%|m\b|mm|cm|k))",
    re.IGNORECASE,
)
"""A strength as a setting: "dust_intensity=0.9"."""
_LEFT_OF = 0.8
"""What "less than" leaves of a number; "more than" divides by it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """Numbers of a prompt."""

    sight: Optional[float] = None
    """How far one sees [m]."""
    distance: Optional[float] = None
    """A length [m] that is how far one sees if the other words speak of fog or dust: "trucks are ghosts at 80 m"."""
    elevation: Optional[float] = None
    """Height of the sun [degrees]."""
    fog: Optional[float] = None
    """Strength of fog, in [0, 1]."""
    rain: Optional[float] = None
    """Strength of rain, in [0, 1]."""
    snow: Optional[float] = None
    """Strength of snow, in [0, 1]."""
    dust: Optional[float] = None
    """Strength of dust, in [0, 1]."""
    overcast: Optional[float] = None
    """Share of the sky that clouds cover."""


@dataclass(frozen=True, slots=True)
class _Number:
    value: float
    first: int
    end: int
    """Tokens from the first to the one before the end, the unit included."""
    unit: str


def take_measures(text: str) -> tuple[str, Measures]:
    """Part a prompt into its words and its numbers.

    Args:
        text: A prompt.

    Returns:
        The prompt with blanks in place of lengths and angles that were read, itself where there are none; and what
        all numbers say. Of several numbers for one thing the last counts.
    """
    plain = _SETTING.sub(r"\1 elevation \2 degrees", text.replace("\u00b0", " degrees "))
    plain = _RVR.sub(r"\1\2 \3 m", plain)
    matches = list(_TOKEN.finditer(plain))
    words = [match[0].lower() for match in matches]
    veiled = not _VEILS.isdisjoint(words)
    sight: Optional[float] = None
    distance: Optional[float] = None
    elevation: Optional[float] = None
    kept = list(plain)
    for first, end in _clauses(words):
        said = set(words[first:end])
        for number in _numbers(words, first, end):
            if number.unit in _LENGTHS and (
                said & _SIGHT or (veiled and said & _SEE - _PLACED) or _is_seen(words, number.first)
            ):
                sight = abs(_bounded(number, words[first : number.first])) * _LENGTHS[number.unit]
            elif number.unit in _ANGLES and said & _SUN and "latitude" not in said:
                below = "horizon" in said and "above" not in said and said & _UNDER
                minus = number.first > first and words[number.first - 1] in _MINUS
                elevation = -abs(number.value) if below or minus else number.value
            else:
                if number.unit in _LENGTHS and _may_be_sight(
                    plain[matches[number.end - 1].end() :], words, number, said
                ):
                    distance = number.value * _LENGTHS[number.unit]
                continue
            begin, last = matches[number.first].start(), matches[number.end - 1].end()
            kept[begin:last] = " " * (last - begin)
    read = sight is not None or elevation is not None
    return "".join(kept) if read else text, Measures(
        sight=sight, distance=distance, elevation=elevation, **_amounts(text)
    )


def _amounts(text: str) -> dict[str, float]:
    """Return how strong what falls so much an hour is, how much of the sky is covered, and strengths as settings."""
    found = dict[str, float]()
    snows = "snow" in text.lower() or "flake" in text.lower()
    for value, unit in _RATE.findall(text):
        rate = float(value) / 10.0 if unit.lower() == "mm" else float(value)
        rate *= _INCH if unit.lower().startswith("in") else 1.0  # [cm/h]
        falls = snows or (unit.lower() != "mm" and "rain" not in text.lower())
        (rates, strengths), amount = (_SNOW, rate) if falls else (_RAIN, 10.0 * rate)
        found["snow" if falls else "rain"] = float(np.interp(np.log(max(amount, 1e-3)), np.log(rates), strengths))
    for value in _OKTAS.findall(text):
        found["overcast"] = int(value) / 8.0
    for value in _COVER.findall(text):
        found["overcast"] = float(value)
    for name, value in _STRENGTH.findall(text):
        found[name.lower()] = float(value)
    return found


def _clauses(words: Sequence[str]) -> list[tuple[int, int]]:
    """Return the first word and the end of each clause."""
    ends = [place for place, word in enumerate(words) if CLAUSE_END.fullmatch(word)]
    return [(first, end) for first, end in zip((0, *(end + 1 for end in ends)), (*ends, len(words)), strict=True)]


def _numbers(words: Sequence[str], first: int, end: int) -> list[_Number]:
    """Return the numbers of a clause that a unit follows; the mean of two with "to", "and" or a dash between."""
    found, place = list[_Number](), first
    while place < end:
        value, after = _number_at(words, place, end)
        if value is not None and after < end and (words[after] in _LENGTHS or words[after] in _ANGLES):
            begin = place - 2 if place - 2 >= first and words[place - 1] in ("to", "and") else place - 1
            if begin >= first and words[begin].lstrip("-")[:1].isdigit():
                value, place = (float(words[begin]) + value) / 2.0, begin
            found.append(_Number(value, place, after + 1, words[after]))
            after += 1
        place = max(after, place + 1)
    return found


def _is_seen(words: Sequence[str], place: int) -> bool:
    """Whether the number at a word is how far one sees: "you can see about 100 m", not "you see a car 100 m ahead"."""
    while place > 0 and words[place - 1] in _ABOUT:
        place -= 1
    return place > 0 and words[place - 1] in ("see", "sees")


def _may_be_sight(rest: str, words: Sequence[str], number: _Number, said: Set[str]) -> bool:
    """Whether a length before the rest of a text may be how far one sees, and is not the size or place of a thing."""
    after = words[number.end : number.end + 1]
    if rest[:1] == "/" or not _SIZED.isdisjoint(after):
        return False
    if not _NEAREST <= number.value * _LENGTHS[number.unit] <= _FARTHEST:
        return False
    return _PLACED.isdisjoint(after) or not _SHOWS.isdisjoint(said - _PLACED)


def _number_at(words: Sequence[str], place: int, end: int) -> tuple[Optional[float], int]:
    """Return the number that begins at a word, in digits or words, and where it ends; ``None`` where none does."""
    word = words[place]
    if word.lstrip("-")[:1].isdigit():
        return float(word), place + 1
    if word == "half" and words[place + 1 : place + 2] == ["a"]:
        return 0.5, place + 2
    if word in _MANY and words[place + 1 : place + 2] in (["hundred"], ["thousand"]):
        value, after = _number_at(words, place + 1, end)
        return _MANY[word] * (value or 0.0), after
    total, begun = 0, False
    while place < end:
        word = words[place]
        if word in _ONES or word in _TENS:
            total, begun = total + _ONES.get(word, _TENS.get(word, 0)), True
        elif word in ("hundred", "thousand"):
            total, begun = max(total, 1) * (100 if word == "hundred" else 1000), True
        elif not (begun and word == "and"):
            break
        place += 1
    return (float(total), place) if begun else (None, place)


def _bounded(number: _Number, before: Sequence[str]) -> float:
    """Return the value of a number, a little less or more where the words before it say so."""
    near = set(before[-3:])
    if near & _LESS:
        return number.value * _LEFT_OF
    return number.value / _LEFT_OF if near & _MORE else number.value


__all__ = ["Measures", "take_measures"]
