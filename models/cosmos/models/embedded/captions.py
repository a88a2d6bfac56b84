"""Captions for looks, in many wordings: what the prompt reader is trained on and where its vocabulary comes from.

A caption names what is there; weather that it does not name is absent, an hour that it does not name is day. So the
same rule holds for a user's prompt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from cosmos.models.embedded.conditions import Conditions
from cosmos.models.embedded.wordings import (
    ABSENT,
    BEARING,
    CLEAR,
    GLUE,
    HOURS,
    LENS,
    PATTERNS,
    PLACES,
    STYLES,
    THINGS,
    WEATHER,
    WEATHERS,
)

UNHEEDED = frozenset(("busy", "empty", "quiet", "o'clock"))
"""Known words that mean nothing but inside of a wording.

The first three ask for more or fewer things than the stage has, which no picture of the same stage can show.
"""
_OFTEN, _OWN = 4, 0.6
"""Wordings of a thing in which a word stands that speaks of it, and their least share of all in which it does."""
CLAUSE_END = re.compile(r"[,.;:!?()\n]+")
"""What ends a clause of a prompt."""
LEADING = frozenset(("a", "an", "the", "in", "at", "on", "by", "with", "under", "it", "is", "during"))
"""Words that only lead to the next one."""

_WORD = re.compile(r"[a-z]+(?:['-][a-z]+)*|\d+")


def split_words(text: str) -> list[str]:
    """Return the words of a text in lower case, "car's" as "car"; hyphens split, numbers stay, all else is dropped."""
    return [part.removesuffix("'s") for word in _WORD.findall(text.lower()) for part in word.split("-")]


COMMON = frozenset(
    split_words(
        "about above after ago almost alone already amount amounts ankle apart april balls band bank banks bats "
        "before begin beginning begins begun below block bonnet boots brake break breaks broken bumper can't caps "
        "card carpet cement centimetre centimetres climbing climbs closed cm coloured cranes dead deep depth drop "
        "dropped effect eleven end ends enough eye faces fair fairly fills first five floating flying forty four "
        "fully getting giant goes h half hanging height hill hundred inches kicked lake lean left lengths lifts local "
        "lonely long longer lose loses lying mad mars matter mirror mirrored mirrors mostly nearest nearly next nine "
        "object odd office our partway per pitch point poking pre prints quarter range rate rear rings row running "
        "san scenario second seconds sees severe sheep sheet sheets short shortest shortly showing shut simpsons sits "
        "sleepers soon ss stand standard stands stray stretch strikes stuck take tea teeth then thirty three throws "
        "ticket tint top totally touching tucked twelve twice tyres uniform waist wear what wheel whips work"
    )
)
"""Words that stand in wordings of one thing mostly and speak of it among its other words only."""


def vocabulary() -> list[str]:
    """Return every word that a caption can hold, sorted."""
    phrases: list[str] = [*CLEAR, *PLACES, *THINGS, *STYLES, GLUE]
    for scale in (HOURS, *WEATHER.values(), *LENS.values(), BEARING):
        phrases += [wording for _, _, wordings in scale for wording in wordings]
    for wordings in ABSENT.values():
        phrases += wordings
    return sorted({word for phrase in phrases for word in split_words(phrase)} | {str(hour) for hour in range(1, 13)})


def condition_phrases() -> list[str]:
    """Return every wording of light, weather and lens, and of the manner of a picture."""
    phrases: list[str] = [*CLEAR, *STYLES]
    for scale in (HOURS, *WEATHER.values(), *LENS.values(), BEARING):
        phrases += [wording for _, _, wordings in scale for wording in wordings]
    return [*phrases, *(wording for wordings in ABSENT.values() for wording in wordings)]


def split_clauses(text: str) -> list[str]:
    """Return the words of a text as ``split_words`` does, with "," where a clause ends."""
    clauses = [split_words(clause) for clause in CLAUSE_END.split(text)]
    return [part for clause in clauses if clause for part in (*clause, ",")]


def bare(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words of a clause, "gray" as "grey", without those that only lead to the next one."""
    return tuple("grey" if word == "gray" else word for word in words if word not in LEADING)


def find_wordings(words: Sequence[str]) -> list[tuple[int, tuple[str, ...]]]:
    """Return the wordings in a clause from left to right, as place and bare words; each takes as many as it can."""
    found, first, named = list[tuple[int, tuple[str, ...]]](), 0, named_ranges()
    longest = _longest()
    while first < len(words):
        stop, said, kept = first, tuple[str, ...](), tuple[str, ...]()
        for end in range(first, len(words) if words[first] not in LEADING else first):
            kept = (*kept, *bare(words[end : end + 1]))
            if len(kept) > longest:
                break
            if kept in named:
                stop, said = end + 1, kept
        if said:
            found.append((first, said))
        first = max(stop, first + 1)
    return found


@lru_cache(maxsize=1)
def named_ranges() -> dict[tuple[str, ...], tuple[tuple[str, float, float], ...]]:
    """Return what each wording means by itself: its bare words -> attribute, lowest and highest value, of each."""
    found: dict[tuple[str, ...], tuple[tuple[str, float, float], ...]] = {}
    for name, scale in {"sun_elevation": HOURS, **WEATHER, **LENS}.items():
        for low, high, wordings in scale:
            for wording in wordings:
                words = bare(split_words(wording))
                if (name, low, high) not in found.get(words, ()):
                    found[words] = (*found.get(words, ()), (name, low, high))
    return found


@lru_cache(maxsize=1)
def _longest() -> int:
    """Return how many words the longest wording has."""
    return max(map(len, named_ranges()))


@lru_cache(maxsize=1)
def own_words() -> dict[str, frozenset[str]]:
    """Return the words that speak of the hour and of each kind of weather.

    Those are words that stand in several wordings of it, and in few of anything else.
    """
    scales = {"sun_elevation": HOURS, "bearing": BEARING, **LENS, **WEATHER}
    counts = {
        name: Counter(word for _, _, said in scale for one in said for word in set(split_words(one)))
        for name, scale in scales.items()
    }
    counts["clear"] = Counter(word for one in CLEAR for word in set(split_words(one)))
    total, common = sum(counts.values(), Counter[str]()), neutral_words() | LEADING | COMMON
    return {
        name: frozenset(
            word
            for word, count in counts[name].items()
            if count >= max(_OFTEN, _OWN * total[word]) and word not in common and not word[0].isdigit()
        )
        for name in ("sun_elevation", *WEATHER)
    }


def noun_words() -> frozenset[str]:
    """Return the words that places and things are called by."""
    return frozenset(word for phrase in (*PLACES, *THINGS) for word in split_words(phrase)) - LEADING


def neutral_words() -> frozenset[str]:
    """Return the words that name things, places and manners, and never a condition."""
    return frozenset(word for phrase in (*PLACES, *THINGS, *STYLES, GLUE) for word in split_words(phrase))


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How often looks of each kind are drawn; each row sums to 1."""

    hours: tuple[float, ...]
    """Night, dusk, golden hour, morning, day, noon."""
    weather: tuple[float, ...]
    """One for each of the kinds of weather that come together."""


ASKED = Shares(
    hours=(0.2, 0.1, 0.15, 0.15, 0.28, 0.12),
    weather=(0.34, 0.13, 0.14, 0.12, 0.1, 0.05, 0.04, 0.03, 0.03, 0.02),
)
"""As people ask: what captions are read by."""
PAINTED = Shares(
    hours=(0.22, 0.18, 0.2, 0.1, 0.2, 0.1),
    weather=(0.26, 0.09, 0.19, 0.18, 0.1, 0.06, 0.03, 0.04, 0.02, 0.03),
)
"""More of what is hard to paint, dusk, rain and snow, and less of fog, which hides nearly all."""


def sample_conditions(rng: np.random.Generator, shares: Shares = ASKED) -> tuple[Conditions, str, bool]:
    """Draw a look and one of its captions.

    Returns:
        The conditions, a caption that names them, and whether the caption tells where the sun stands.
    """
    hour = HOURS[rng.choice(len(HOURS), p=shares.hours)]
    conditions = Conditions(
        sun_elevation=rng.uniform(hour[0], hour[1]), sun_bearing=rng.uniform(0.0, 360.0), vignette=0.2
    )
    said: list[str] = []
    for name in WEATHERS[rng.choice(len(WEATHERS), p=shares.weather)]:
        scale = WEATHER[name]
        low, high, wordings = scale[int(rng.integers(len(scale)))]
        conditions = replace(conditions, **{name: rng.uniform(low, high)})
        said.append(str(rng.choice(wordings)))
    if conditions.rain > 0.1 or conditions.snow > 0.1:
        if rng.random() < 0.8:
            conditions = replace(conditions, overcast=max(conditions.overcast, rng.uniform(0.6, 1.0)))
        elif conditions.overcast == 0.0:
            said.append(str(rng.choice(CLEAR[:5])))
    short = rng.random() < 0.3
    if not said and not short:
        said.append(str(rng.choice(CLEAR)))
    if rng.random() < 0.18:
        absent = str(rng.choice([name for name in ABSENT if getattr(conditions, name) == 0.0]))
        said.append(str(rng.choice(ABSENT[absent])))
    for name, scale in LENS.items():
        if rng.random() < 0.08:
            low, high, wordings = scale[int(rng.integers(len(scale)))]
            conditions = replace(conditions, **{name: rng.uniform(low, high)})
            said.append(str(rng.choice(wordings)))
    bearing_said = rng.random() < 0.15
    if bearing_said:
        low, high, wordings = BEARING[int(rng.integers(len(BEARING)))]
        conditions = replace(conditions, sun_bearing=rng.uniform(low, high) % 360.0)
        said.append(str(rng.choice(wordings)))
    if short:
        # People write "fog", and mean it.
        unsaid_hour = 35.0 <= conditions.sun_elevation <= 60.0 and bool(said)
        words = said if unsaid_hour else [*said, str(rng.choice(hour[2]))]
        rng.shuffle(words)
        return conditions, str(rng.choice((" ", ", "))).join(words), bearing_said
    unsaid_hour = 35.0 <= conditions.sun_elevation <= 60.0 and rng.random() < 0.5
    return conditions, _write(rng, "" if unsaid_hour else str(rng.choice(hour[2])), said), bearing_said


def _write(rng: np.random.Generator, hour: str, said: list[str]) -> str:
    """Compose one caption, in one of many word orders."""
    rng.shuffle(said)
    glue = str(rng.choice((", ", " and ", " with ", ", ", "; ")))
    text = str(rng.choice(PATTERNS)).format(
        style=rng.choice(STYLES), place=rng.choice(PLACES), thing=rng.choice(THINGS), hour=hour,
        weather=glue.join(said),
    )  # fmt: skip
    return text if rng.random() < 0.75 else _drop_words(rng, text, set(split_words(" ".join((hour, *said)))))


def _drop_words(rng: np.random.Generator, text: str, keep: set[str]) -> str:
    """Leave out some of the words that carry no condition, as hurried people do."""
    return " ".join(word for word in split_words(text) if word in keep or rng.random() < 0.5)


__all__ = [
    "ASKED",
    "CLAUSE_END",
    "COMMON",
    "LEADING",
    "PAINTED",
    "UNHEEDED",
    "Shares",
    "bare",
    "condition_phrases",
    "find_wordings",
    "named_ranges",
    "neutral_words",
    "noun_words",
    "own_words",
    "sample_conditions",
    "split_clauses",
    "split_words",
    "vocabulary",
]
