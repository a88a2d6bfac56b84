"""Whether a prompt says that rain or snow falls, or only that it lies there: "wet street", "after rain", "deep snow".

The learnt reader tells how much of it there is; whether flakes and drops are in the air is read here by rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from cosmos.models.embedded.captions import split_words
from cosmos.models.embedded.wish_words import BARE, GROUND_NOUNS

_SURFACE = "(?:" + "|".join(sorted({*GROUND_NOUNS, *BARE, "lane", "kerb", "leaves", "grass", "roofs", "roof"})) + ")"
_WET = "(?:wet|damp|moist|soaked|drenched|flooded|slippery|slick)"
_SPELL = (
    "(?:rains?|rainfall|rainstorm|drizzle|showers?|downpour|cloudburst|storm|thunderstorm|"
    "snow|snowfall|snowstorm|blizzard)"
)
_SNOW = "(?:snow|frost)"
_MEASURE = "(?:layer|blanket|coat|film|carpet|patches|traces|centimetres?|centimeters?|cm|metres?|dusting|rest|remains)"
_LIES = re.compile(
    r"\b(?:"
    + "|".join(
        (
            rf"after (?:\w+ ){{0,3}}?{_SPELL}",
            rf"{_SPELL} (?:has |had |have |is |was )?(?:just |already )?(?:stopped|ended|passed|ceased|over|gone)",
            r"(?:stopped|ceased|finished|done|quit) (?:raining|snowing|drizzling)",
            r"(?:rained|snowed) (?:\w+ )?(?:earlier|before|overnight|recently|yesterday|night)",
            rf"{_WET}(?: \w+)? {_SURFACE}",
            rf"{_WET} (?:with|from|by|after) (?:\w+ )?rain",
            rf"{_SURFACE} (?:is |are |still |slightly |a |bit |very |all |and )*{_WET}",
            rf"(?:is|are|everything|still) (?:still |slightly |a bit |very |all )?{_WET}",
            r"rain soaked|snowed (?:in|over|under)|rain ?water|rain on the ground",
            r"puddles?(?: of rain)?|standing water|aquaplaning|hydroplaning",
            rf"{_SNOW} covered|frosted|frosty|frost|hoarfrost|rime|slush|{_SNOW} cover",
            rf"(?:covered|buried|white|dusted|powdered) (?:in|with|by|under) (?:\w+ )?{_SNOW}",
            rf"{_SNOW} (?:lies |lying |lay )?(?:on|along|over) (?:the |all )?\w+",
            rf"{_SNOW} lies",
            rf"{_MEASURE} of (?:\w+ )?{_SNOW}",
            rf"(?:deep|fresh|packed|thick|thin|old|melting|lying|untouched|dirty|knee deep) {_SNOW}",
            rf"(?:tracks|footprints|driving|tyres needed) (?:in|on) the {_SNOW}",
        )
    )
    + r")\b"
)
_ON_THE_LENS = re.compile(r"\b\w+ (?:\w+ )?on (?:the |my )?(?:camera )?(?:lens|camera|windscreen|windshield|glass)\b")
_BARE_WET = re.compile(rf"(?:slightly |still |very |a bit |rather |all |everything )*{_WET}")
_FALLS = frozenset(
    split_words(
        "rain rains raining rainy rainfall rainstorm raindrops drizzle drizzling drizzly mizzle shower downpour "
        "showers pouring pour storm stormy thunderstorm cloudburst monsoon deluge spitting sprinkle sprinkling "
        "umbrella umbrellas wipers drops heavens lashing pelting teeming hammering snow snows snowing snowfall "
        "snowflakes snowflake flakes flake flurries blizzard snowstorm falling falls fall"
    )
)
_IN_THE_AIR = frozenset(
    split_words("falling fall falls flakes flake snowflakes snowflake raindrops drops streaks raining snowing")
)


def only_lies(clauses: Iterable[Sequence[str]]) -> bool:
    """Whether a prompt speaks of rain or snow that lies and of none that falls.

    Args:
        clauses: The words of each clause, in lower case, hyphens split.
    """
    lies = falls = False
    for words in clauses:
        said = _ON_THE_LENS.sub(" ", " ".join(words))
        rest, found = _LIES.subn(" ", said)
        if _BARE_WET.fullmatch(said.strip()):
            rest, found = "", 1
        lies, falls = lies or found > 0, falls or not _FALLS.isdisjoint(rest.split())
    return lies and not falls


def names_what_falls(words: Iterable[str]) -> bool:
    """Whether words speak of flakes or drops in the air, not of what they leave: "falling snow", "snowflakes"."""
    return not _IN_THE_AIR.isdisjoint(words)


__all__ = ["names_what_falls", "only_lies"]
