"""The prompt reader: words in, the conditions they ask for out, with what they leave open.

A small transformer trained from scratch on our own captions reads a prompt into a Gaussian over the numbers of
``Conditions``: "fog" has a mean strength and a spread. The seed draws from that spread, so two seeds of one prompt are
two different foggy days. Words outside of the vocabulary are reported, never guessed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch  # noqa: TID253

from cosmos.models.embedded.bands import SLICES, settle
from cosmos.models.embedded.captions import (
    CLAUSE_END,
    COMMON,
    LEADING,
    UNHEEDED,
    bare,
    find_wordings,
    named_ranges,
    neutral_words,
    own_words,
    split_clauses,
    split_words,
)
from cosmos.models.embedded.clock import sun_by_clock, without_clock
from cosmos.models.embedded.complaints import asked_for
from cosmos.models.embedded.conditions import (
    READ_FIELDS,
    STRENGTHS,
    Conditions,
    from_read_vector,
    to_read_vector,
    with_sight,
)
from cosmos.models.embedded.fallen_words import names_what_falls, only_lies
from cosmos.models.embedded.measures import Measures, take_measures
from cosmos.models.embedded.negations import LIGHTER, PLAIN_MARKS, Negation, take_negations, wording
from cosmos.models.embedded.text_encoder import UNKNOWN, TextEncoder
from cosmos.models.embedded.typing_errors import nearest_word
from cosmos.models.embedded.wish_reading import WishReading, read_wishes
from cosmos.models.embedded.wishes import Wishes
from cosmos.models.embedded.wordings import HOURS

_TURNED = re.compile(r"\b(?:turn|change|transform|convert|make)\b[^,.;:!?]*?\binto\b", re.IGNORECASE)
"""What is to become something else: "turn the sunny street into" a snowy one."""
_SUN_UP = re.compile(r"\bsun\b(?:(?!\b(?:not|set|gone|down|below|under)\b)[^,.;:!?]){0,30}\babove\b", re.IGNORECASE)
"""A sun that stands above something."""
_DARKEST, _LOWEST = -8.0, 2.0
"""Heights [degrees]: what is read as lower is night and no low sun; the least of a sun that is up."""
_FOREIGN = re.compile(r"\S*[^\x00-\x7f]\S*")
_SILENT = frozenset(split_words("but also yet still then please let so nothing rvr mor"))
"""Words outside of the vocabulary that ask for nothing."""
_Ranges = dict[str, set[tuple[float, float]]]
_SKY = ("overcast", "fog", "rain", "snow", "dust")
_WEATHER = (*_SKY, "noise")
_HINTED = 0.05
"""Chance from which on an hour that is named among other words counts."""
_CLOUDED = 0.8
"""Cover of the clouds that rain and snow of some amount fall from, where nothing is said of them."""
_DAY = (35.0, 60.0)
"""Heights of the sun where no hour is named [degrees]."""
_BY_DAY = 4
"""Place of that band."""
_SURE = 0.95
"""Chance from which on what the encoder heard counts without a word that speaks of it by itself: "the next truck is
swallowed up"."""
_UNHEARD = 0.2
"""Chance of weather up to which a word for it among others is taken for something else: "a storm drain"."""
_VEILED = 0.1
"""Strength of fog or dust from which on a length may be how far one sees."""
MAGNITUDES = (13, 20, 35, 60, 100, 170, 300, 1000)
"""A number that has no row of its own is heard as the largest of these that it reaches."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a prompt was read as."""

    conditions: Conditions
    """The look that the seed drew from what the prompt leaves open."""
    unknown: tuple[str, ...]
    """Words that are not in the vocabulary, in their order, each once."""
    corrected: tuple[tuple[str, str], ...]
    """Words taken for a known one, with that one."""
    cut: int
    """Words beyond the reader's length, not read."""
    wishes: Wishes = field(default_factory=Wishes)
    """What is wished of surfaces, things, lamps and the lens."""


class Heard(NamedTuple):
    """What the encoder makes of words."""

    mean: np.ndarray
    """Of each read field."""
    std: np.ndarray
    """Standard deviation of each read field."""
    chances: Mapping[str, np.ndarray]
    """Read field -> chance of each of its bands."""


class PromptReader:
    """Turns prompts into conditions.

    Args:
        encoder: A trained encoder.
        vocabulary: Word of each embedding row from 2 on.
        overheard: Words of the rows after those: known from whole prompts, where they stood beside what was asked for.
            They help to tell what is meant, but ask for nothing, so they are reported like unknown ones.
    """

    def __init__(self, encoder: TextEncoder, vocabulary: tuple[str, ...], overheard: tuple[str, ...] = ()) -> None:
        self._encoder = encoder.eval()
        self._rows = {word: row + 2 for row, word in enumerate((*vocabulary, *overheard))}
        self._vocabulary, self._overheard = vocabulary, frozenset(overheard)
        self._neutral = neutral_words()
        self._speaking = frozenset(vocabulary) - self._neutral - LEADING - COMMON - frozenset(map(str, range(100)))

    def read(self, prompt: str, *, negative: str = "", guidance: float = 1.0, seed: int = 0) -> Reading:
        """Read a prompt.

        Args:
            prompt: What the picture should look like.
            negative: What it should not look like; conditions that it names are taken back.
            guidance: 1 takes the prompt as it is; 0 is the look of an empty prompt; more exaggerates.
            seed: Draws from what the prompt leaves open.
        """
        rng = np.random.default_rng([seed, 0x5EED])
        said = _TURNED.sub("", prompt)
        prompt, measures = take_measures(said)
        prompt, absent = self._resolved(*take_negations(prompt))
        falls = not only_lies(self._clauses(prompt))
        wished, prompt = _take_wishes(prompt)
        words, unknown, corrected, cut = self._look_up(prompt)
        unknown, corrected = [*wished.not_understood, *unknown], [*wished.corrected, *corrected]
        wishes = replace(wished.wishes, falls=falls)
        heard, neutral = self._encode(words), self._encode([]).mean
        vector = heard.mean + 0.8 * heard.std * np.clip(rng.standard_normal(len(heard.mean)), -1.25, 1.25)
        vector = settle(vector, heard.chances, rng)
        vector, named = self._hold(vector, heard.chances, prompt, seed)
        low = READ_FIELDS.index("sun_elevation")
        if _SUN_UP.search(prompt) and _DARKEST < 45.0 * vector[low] < _LOWEST:
            vector[low] = _LOWEST / 45.0
        for negation in absent:
            vector, wishes, done = self._without(vector, wishes, negation, prompt, neutral)
            unknown += () if done else (negation.said,)
        hours = self._ranges(without_clock(prompt))
        if measures.elevation is None and not any("sun_elevation" in part for part in hours):
            measures = replace(measures, elevation=sun_by_clock(said))
        vector, named, seen = _measured(vector, named, measures)
        if seen:
            unknown = [word for word in unknown if not word.isdigit()]
        vector = neutral + guidance * (vector - neutral)
        if negative.strip():
            negative, doubled = take_negations(negative)  # who writes "no fog" there means the same as "fog"
            taken, negative = _take_wishes(", ".join((negative, *(" ".join(one.words) for one in doubled))))
            wishes, unknown = wishes.without(taken.wishes), [*unknown, *taken.not_understood]
            away, more_unknown, more_corrected, more_cut = self._look_up(negative)
            unknown, corrected, cut = unknown + more_unknown, corrected + more_corrected, cut + more_cut
            avoid = self._encode(away)
            named_away = {name for ranges in self._ranges(negative) for name in ranges} or set(READ_FIELDS)
            held, _ = self._hold(avoid.mean, avoid.chances, negative, seed)
            vector = _steer_away(vector, held, avoid.std, neutral, named_away)
        bearing = float(rng.uniform(60.0, 300.0))
        return Reading(
            conditions=from_read_vector(vector, bearing=bearing, named=named),
            unknown=tuple(dict.fromkeys(unknown)),
            corrected=tuple(dict.fromkeys(corrected)),
            cut=cut,
            wishes=wishes.guided(guidance),
        )

    def _hold(
        self, vector: np.ndarray, chances: Mapping[str, np.ndarray], prompt: str, seed: int
    ) -> tuple[np.ndarray, set[str]]:
        """Hold each attribute that a clause names by itself to what that wording means; return which were named.

        The encoder learnt whole captions; of a word alone it makes too much ("dusk" became night). What it reads
        outside is drawn anew from the wording's range, as in its captions; clauses that contradict hold nothing, but an
        hour by itself ("sunset, the dark road") counts before words among others.
        Weather that is named among other words ("a typical foggy autumn day") is there, as strong as read or stronger;
        of the hours that are named so, the likeliest counts, if it is not out of the question;
        what is told of an earlier picture is not named;
        weather of which no word speaks is there only if it was clearly read, but for clouds in rain and snow, and an
        hour of which none does is then day.
        """
        rng = np.random.default_rng([seed, 0x401D])
        alone, among = self._ranges(asked_for(prompt))
        held, names = vector.copy(), set()
        for name, ranges in alone.items():
            field, scale = READ_FIELDS.index(name), 45.0 if name == "sun_elevation" else 1.0
            agreed = ranges if name == "sun_elevation" else ranges | among.get(name, set())
            low, high = (value / scale for value in next(iter(ranges)))
            if len(agreed) != 1:
                continue
            names.add(name)
            if not low <= held[field] <= high:
                held[field] = rng.uniform(low, high)
        for name in (name for name in _WEATHER if name in among):
            field, ranges = READ_FIELDS.index(name), among[name] | alone.get(name, set())
            low, high = next(iter(ranges))
            heard = name not in chances or 1.0 - chances[name][0] > _UNHEARD
            if len(ranges) == 1 and held[field] < low and heard:
                held[field] = rng.uniform(low, high)
            names.add(name)
        hours = among.get("sun_elevation", set()) if "sun_elevation" not in alone else set()
        if hours:
            field, bands = READ_FIELDS.index("sun_elevation"), [band[:2] for band in HOURS]
            chance, low, high = max((chances["sun_elevation"][bands.index(hour)], *hour) for hour in hours)
            if chance >= _HINTED and not low <= 45.0 * held[field] <= high:
                held[field] = rng.uniform(low, high) / 45.0
        spoken = {word for words in self._clauses(prompt) for word in words}
        there = {name for name, words in own_words().items() if words & spoken} | set(alone) | set(among)
        if there & {"rain", "snow"}:
            there.add("overcast")
        sure = _SURE if spoken & self._speaking else math.inf
        for name in set(_SKY) - there:
            if 1.0 - chances[name][0] < sure:
                held[READ_FIELDS.index(name)] = 0.0
        if "sun_elevation" not in there and chances["sun_elevation"][_BY_DAY] > 1.0 - sure:
            field, (low, high) = READ_FIELDS.index("sun_elevation"), (value / 45.0 for value in _DAY)
            if not low <= held[field] <= high:
                held[field] = rng.uniform(low, high)
        return held, names

    def _clauses(self, text: str) -> list[list[str]]:
        """Return the words of each clause, typing errors mended."""
        known = self._vocabulary
        return [
            [word if word in self._rows else nearest_word(word, known) or word for word in split_words(clause)]
            for clause in CLAUSE_END.split(text.translate(PLAIN_MARKS))
        ]

    def _ranges(self, text: str) -> tuple[_Ranges, _Ranges]:
        """Return the ranges that a text names of each attribute: in clauses of one wording alone, and in others."""
        named, alone, among = named_ranges(), _Ranges(), _Ranges()
        for words in self._clauses(text):
            parts = [part for _, part in find_wordings(words)]
            said = alone if parts == [bare(words)] else among
            for name, low, high in (one for part in parts for one in named[part]):
                said.setdefault(name, set()).add((low, high))
        return alone, among

    def _negated(self, negation: Negation) -> _Ranges:
        alone, among = self._ranges(wording(negation))
        return {**among, **alone}

    def _resolved(self, prompt: str, negations: Sequence[Negation]) -> tuple[str, list[Negation]]:
        """Put what a negation asks for into the prompt, clouds for "no sun"; return that and the other negations."""
        absent: list[Negation] = []
        alone, among = self._ranges(prompt)
        hours = alone.get("sun_elevation", set()) | among.get("sun_elevation", set())
        if any(high < 0.0 for _, high in hours):  # "twilight, no sun" speaks of no clouds
            negations = [one for one in negations if one.instead != "overcast"]
        for negation in negations:
            some = [LIGHTER[name] for name in self._negated(negation) if negation.soft and name in LIGHTER]
            asked = negation.instead or ", ".join(some)
            prompt, absent = (f"{prompt}, {asked}", absent) if asked else (prompt, [*absent, negation])
        return prompt, absent

    def _without(
        self, vector: np.ndarray, wishes: Wishes, negation: Negation, prompt: str, neutral: np.ndarray
    ) -> tuple[np.ndarray, Wishes, bool]:
        """Take back what a negation names; return whether that could be done.

        What the prompt names as well, it keeps: "a sunny day, but no sun" cannot be had; "snow, but no snow falling"
        takes it out of the air.
        """
        taken, _ = _take_wishes(wording(negation))
        negated, vector = self._negated(negation), vector.copy()
        alone, among = self._ranges(prompt)
        clash = False
        for name, ranges in negated.items():
            kept = alone.get(name, set()) | among.get(name, set())
            clash = clash or any(low < high_ and low_ < high for low, high in ranges for low_, high_ in kept)
            if not kept:
                field = READ_FIELDS.index(name)
                vector[field] = 0.0 if name in STRENGTHS else neutral[field]
        asked = (alone.keys() | among.keys()) & (negated.keys() or {"rain", "snow"}) & {"rain", "snow"}
        if asked and negated.keys() <= asked and (names_what_falls(negation.words) or not wishes.falls):
            return vector, replace(wishes.without(taken.wishes), falls=False), True
        return vector, wishes.without(taken.wishes), not clash and bool(negated or taken.used)

    def heard(self, prompt: str) -> list[str]:
        """Return the words of a prompt that the encoder is told: what rules read is left out, as is what is unknown."""
        prompt, _ = take_measures(_TURNED.sub("", prompt))
        prompt, _ = self._resolved(*take_negations(prompt))
        return self._look_up(_take_wishes(prompt)[1])[0]

    def ids(self, words: list[str]) -> list[int]:
        """Return the row of each word; unknown words have row 1."""
        return [self._rows.get(word, UNKNOWN) for word in words]

    def _look_up(self, text: str) -> tuple[list[str], list[str], list[tuple[str, str]], int]:
        """Split a text into known words, unknown words, corrections, and the number of words beyond the length."""
        known: list[str] = []
        unknown: list[str] = []
        corrected: list[tuple[str, str]] = []
        # What no key of a plain keyboard writes (other scripts, pictographs) cannot be in the vocabulary.
        said, text = text.lower(), text.translate(PLAIN_MARKS)
        unknown += [part.strip(".,;:!?\"'()") for part in _FOREIGN.findall(text)]
        words = split_words(_FOREIGN.sub(" ", text))

        def typed(word: str) -> str:
            return word if word in said else word.replace("'", "\u2019")

        heeded = {word for _, part in find_wordings(words) for word in part}
        for word in words:
            if word in self._rows:
                known.append(word)
                if word in (UNHEEDED - heeded) | (self._overheard - _SILENT):
                    unknown.append(typed(word))
                continue
            if word.isdigit():
                known.append(magnitude(word))
                unknown.append(word)
                continue
            near = nearest_word(word, self._vocabulary)
            if near is None:
                unknown += () if word in _SILENT else (typed(word),)
            else:
                known.append(near)
                corrected.append((word, near))
        if len(known) > self._encoder.config.length:
            # Words of things and places go first: they carry no condition.
            known = [word for word in known if word not in self._neutral]
        cut = max(0, len(known) - self._encoder.config.length)
        return known[: self._encoder.config.length], unknown, corrected, cut

    @torch.inference_mode()
    def _encode(self, words: list[str]) -> Heard:
        """Return what the encoder makes of words."""
        ids = torch.tensor([self.ids(words) or [UNKNOWN]], dtype=torch.int64)
        mean, log_std, scores = (values[0].double() for values in self._encoder(ids))
        chances = {name: scores[part].softmax(0).numpy() for name, part in SLICES.items()}
        return Heard(mean.numpy(), log_std.exp().numpy(), chances)


def _take_wishes(text: str) -> tuple[WishReading, str]:
    """Read what a text wishes by rules; return that and the text that is left for the encoder."""
    plain = text.translate(PLAIN_MARKS)
    wished = read_wishes(split_clauses(_FOREIGN.sub(" ", plain)), nearest=nearest_word)
    if not wished.used:
        return wished, text
    return wished, " ".join((*wished.rest, *_FOREIGN.findall(plain)))


def _measured(vector: np.ndarray, named: set[str], measures: Measures) -> tuple[np.ndarray, set[str], bool]:
    """Put the numbers of a prompt into a read vector.

    Returns:
        That, the attributes that the prompt names, and whether a length was taken for how far one sees.
    """
    conditions, changed = from_read_vector(vector, bearing=0.0, named=named), set[str]()
    if measures.elevation is not None:
        height = min(max(measures.elevation, -18.0), 90.0)
        conditions, changed = replace(conditions, sun_elevation=height), {"sun_elevation"}
    for name in _SKY:
        if (amount := getattr(measures, name)) is not None:
            conditions, changed = replace(conditions, **{name: amount}), changed | {name}
    if {"rain", "snow"} & changed and conditions.overcast == 0.0:
        conditions, changed = replace(conditions, overcast=_CLOUDED), changed | {"overcast"}
    seen = measures.sight is None and measures.distance is not None and max(conditions.fog, conditions.dust) > _VEILED
    sight = measures.distance if seen else measures.sight
    if sight is not None:
        dust = conditions.dust > conditions.fog
        conditions, changed = with_sight(conditions, sight, dust=dust), changed | {"dust" if dust else "fog"}
    said, vector = to_read_vector(conditions, bearing_said=False), vector.copy()
    for name in changed:
        vector[READ_FIELDS.index(name)] = said[READ_FIELDS.index(name)]
    return vector, named | changed, seen


def _steer_away(
    vector: np.ndarray, avoid: np.ndarray, std: np.ndarray, neutral: np.ndarray, among: Collection[str]
) -> np.ndarray:
    """Take back what a negative prompt names of the conditions ``among``; it is read as ``avoid``, spread ``std``."""
    vector = vector.copy()
    for place, name in enumerate(READ_FIELDS):
        if name not in among:
            continue
        if name in _WEATHER:
            vector[place] *= 1.0 - min(1.0, max(0.0, (avoid[place] - 0.1) / 0.1))
        elif name in ("sun_elevation", "exposure"):
            named = abs(avoid[place] - neutral[place]) > 0.3
            close = abs(vector[place] - avoid[place]) < 0.35 + std[place]
            if named and close:
                vector[place] = neutral[place]
    return vector


def magnitude(number: str) -> str:
    """Return the word that stands for numbers of about this size."""
    return f"#{max((least for least in MAGNITUDES if least <= int(number[:9])), default=MAGNITUDES[0])}"


__all__ = ["MAGNITUDES", "Heard", "PromptReader", "Reading", "magnitude"]
