"""The prompt reader: words in, the conditions they ask for out, with what they leave open.

A small transformer trained from scratch on our own captions reads a prompt into a Gaussian over the numbers of
``Conditions``: "fog" has a mean strength and a spread. The seed draws from that spread, so two seeds of one prompt are
two different foggy days. Words outside of the vocabulary are reported, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from cosmos.models.embedded.captions import (
    CLAUSE_END,
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
from cosmos.models.embedded.wish_reading import WishReading, read_wishes
from cosmos.models.embedded.wishes import Wishes
from cosmos.models.spec import TextEncoderConfig

_PAD, _UNKNOWN = 0, 1
_TURNED = re.compile(r"\b(?:turn|change|transform|convert|make)\b[^,.;:!?]*?\binto\b", re.IGNORECASE)
"""What is to become something else: "turn the sunny street into" a snowy one."""
_SUN_UP = re.compile(r"\bsun\b(?:(?!\b(?:not|set|gone|down|below|under)\b)[^,.;:!?]){0,30}\babove\b", re.IGNORECASE)
"""A sun that stands above something."""
_DARKEST, _LOWEST = -8.0, 2.0
"""Heights [degrees]: what is read as lower is night and no low sun; the least of a sun that is up."""
_FOREIGN = re.compile(r"\S*[^\x00-\x7f]\S*")
_SILENT = frozenset(split_words("but also yet still then please let so nothing"))
"""Words outside of the vocabulary that ask for nothing."""
_Ranges = dict[str, set[tuple[float, float]]]
_SKY = ("overcast", "fog", "rain", "snow", "dust")
_WEATHER = (*_SKY, "noise")
_NEAR = 12.0
"""Degrees by which the hour that is read may miss that of a wording among other words, which then counts."""
_CLOUDED = 0.8
"""Cover of the clouds that rain and snow of some amount fall from, where nothing is said of them."""
_DAY = (35.0, 60.0)
"""Heights of the sun where no hour is named [degrees]."""


class TextEncoder(nn.Module):
    """Word ids to mean and log standard deviation of each read field."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.words, config.width, padding_idx=_PAD)
        self.places = nn.Parameter(torch.randn(1, config.length, config.width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, 2 * config.width, dropout=0.1, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, 2 * len(READ_FIELDS))

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Read prompts.

        Args:
            ids: Word ids, int64, shape [B, L]; 0 pads.

        Returns:
            Mean and log standard deviation, each of shape [B, len(READ_FIELDS)].
        """
        pad = ids == _PAD
        # A prompt without a known word still needs one place to look at.
        pad = pad & ~(pad.all(dim=1, keepdim=True) & (torch.arange(ids.shape[1], device=ids.device) == 0))
        x = self.words(ids) + self.places[:, : ids.shape[1]]
        x = self.norm(self.layers(x, src_key_padding_mask=pad))
        keep = (~pad)[..., None].to(x.dtype)
        mean, log_std = self.out((x * keep).sum(1) / keep.sum(1)).chunk(2, dim=-1)
        return mean, log_std.clamp(-4.0, 1.0)


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


class PromptReader:
    """Turns prompts into conditions.

    Args:
        encoder: A trained encoder.
        vocabulary: Word of each embedding row from 2 on.
    """

    def __init__(self, encoder: TextEncoder, vocabulary: tuple[str, ...]) -> None:
        self._encoder = encoder.eval()
        self._rows = {word: row + 2 for row, word in enumerate(vocabulary)}
        self._neutral = neutral_words()

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
        mean, std = self._encode(words)
        neutral, _ = self._encode([])
        vector = mean + 0.8 * std * np.clip(rng.standard_normal(len(mean)), -1.25, 1.25)
        vector, named = self._hold(vector, prompt, seed)
        low = READ_FIELDS.index("sun_elevation")
        if _SUN_UP.search(prompt) and _DARKEST < 45.0 * vector[low] < _LOWEST:
            vector[low] = _LOWEST / 45.0
        for negation in absent:
            vector, wishes, done = self._without(vector, wishes, negation, prompt, neutral)
            unknown += () if done else (negation.said,)
        hours = self._ranges(without_clock(prompt))
        if measures.elevation is None and not any("sun_elevation" in part for part in hours):
            measures = replace(measures, elevation=sun_by_clock(said))
        vector, named = _measured(vector, named, measures)
        vector = neutral + guidance * (vector - neutral)
        if negative.strip():
            negative, doubled = take_negations(negative)  # who writes "no fog" there means the same as "fog"
            taken, negative = _take_wishes(", ".join((negative, *(" ".join(one.words) for one in doubled))))
            wishes, unknown = wishes.without(taken.wishes), [*unknown, *taken.not_understood]
            away, more_unknown, more_corrected, more_cut = self._look_up(negative)
            unknown, corrected, cut = unknown + more_unknown, corrected + more_corrected, cut + more_cut
            avoid, spread = self._encode(away)
            named_away = {name for ranges in self._ranges(negative) for name in ranges} or set(READ_FIELDS)
            vector = _steer_away(vector, self._hold(avoid, negative, seed)[0], spread, neutral, named_away)
        bearing = float(rng.uniform(60.0, 300.0))
        return Reading(
            conditions=from_read_vector(vector, bearing=bearing, named=named),
            unknown=tuple(dict.fromkeys(unknown)),
            corrected=tuple(dict.fromkeys(corrected)),
            cut=cut,
            wishes=wishes.guided(guidance),
        )

    def _hold(self, vector: np.ndarray, prompt: str, seed: int) -> tuple[np.ndarray, set[str]]:
        """Hold each attribute that a clause names by itself to what that wording means; return which were named.

        The encoder learnt whole captions; of a word alone it makes too much ("dusk" became night). What it reads
        outside is drawn anew from the wording's range, as in its captions; clauses that contradict hold nothing, but an
        hour by itself ("sunset, the dark road") counts before words among others.
        Weather that is named among other words ("a typical foggy autumn day") is there, as strong as read or stronger;
        of the hours that are named so, the one that is nearest to what was read counts, if it is near;
        weather of which no word speaks is not, but for clouds in rain and snow, and the hour is then day.
        """
        rng = np.random.default_rng([seed, 0x401D])
        alone, among = self._ranges(prompt)
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
            if len(ranges) == 1 and held[field] < low:
                held[field] = rng.uniform(low, high)
            names.add(name)
        hours = among.get("sun_elevation", set()) if "sun_elevation" not in alone else set()
        if hours:
            field = READ_FIELDS.index("sun_elevation")
            read = 45.0 * held[field]
            miss, low, high = min((max(low - read, read - high, 0.0), low, high) for low, high in hours)
            if 0.0 < miss <= _NEAR:
                held[field] = rng.uniform(low, high) / 45.0
        spoken = {word for words in self._clauses(prompt) for word in words}
        there = {name for name, words in own_words().items() if words & spoken} | set(alone) | set(among)
        if there & {"rain", "snow"}:
            there.add("overcast")
        for name in set(_SKY) - there:
            held[READ_FIELDS.index(name)] = 0.0
        if "sun_elevation" not in there:
            field, (low, high) = READ_FIELDS.index("sun_elevation"), (value / 45.0 for value in _DAY)
            if not low <= held[field] <= high:
                held[field] = rng.uniform(low, high)
        return held, names

    def _clauses(self, text: str) -> list[list[str]]:
        """Return the words of each clause, typing errors mended."""
        rows = tuple(self._rows)
        return [
            [word if word in self._rows else _nearest(word, rows) or word for word in split_words(clause)]
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
        return [self._rows.get(word, _UNKNOWN) for word in words]

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
                if word in UNHEEDED - heeded:
                    unknown.append(typed(word))
                continue
            near = _nearest(word, tuple(self._rows))
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
    def _encode(self, words: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of each read field."""
        ids = torch.tensor([self.ids(words) or [_UNKNOWN]], dtype=torch.int64)
        mean, log_std = self._encoder(ids)
        return mean[0].double().numpy(), log_std[0].exp().double().numpy()


def _take_wishes(text: str) -> tuple[WishReading, str]:
    """Read what a text wishes by rules; return that and the text that is left for the encoder."""
    plain = text.translate(PLAIN_MARKS)
    wished = read_wishes(split_clauses(_FOREIGN.sub(" ", plain)), nearest=_nearest)
    if not wished.used:
        return wished, text
    return wished, " ".join((*wished.rest, *_FOREIGN.findall(plain)))


def _measured(vector: np.ndarray, named: set[str], measures: Measures) -> tuple[np.ndarray, set[str]]:
    """Put the numbers of a prompt into a read vector; return that and the attributes that the prompt names."""
    conditions, changed = from_read_vector(vector, bearing=0.0, named=named), set[str]()
    if measures.elevation is not None:
        height = min(max(measures.elevation, -18.0), 90.0)
        conditions, changed = replace(conditions, sun_elevation=height), {"sun_elevation"}
    for name in ("rain", "snow", "overcast"):
        if (amount := getattr(measures, name)) is not None:
            conditions, changed = replace(conditions, **{name: amount}), changed | {name}
    if {"rain", "snow"} & changed and conditions.overcast == 0.0:
        conditions, changed = replace(conditions, overcast=_CLOUDED), changed | {"overcast"}
    if measures.sight is not None:
        dust = conditions.dust > conditions.fog
        conditions, changed = with_sight(conditions, measures.sight, dust=dust), changed | {"dust" if dust else "fog"}
    said, vector = to_read_vector(conditions, bearing_said=False), vector.copy()
    for name in changed:
        vector[READ_FIELDS.index(name)] = said[READ_FIELDS.index(name)]
    return vector, named | changed


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


@lru_cache(maxsize=4096)
def _nearest(word: str, vocabulary: tuple[str, ...]) -> str | None:
    """Return the one known word that is a typing error away, if there is just one."""
    if len(word) < 5:
        return None
    near = [other for other in vocabulary if len(other) >= 4 and _one_edit_apart(word, other)]
    return near[0] if len(near) == 1 else None


def _one_edit_apart(a: str, b: str) -> bool:
    """Whether one letter more, less, other, or two neighbours swapped turn ``a`` into ``b``."""
    if abs(len(a) - len(b)) > 1:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    tails = ((a[start + 1 :], b[start + 1 :]), (a[start + 1 :], b[start:]), (a[start:], b[start + 1 :]))
    swapped = a[start : start + 2] == b[start : start + 2][::-1] and a[start + 2 :] == b[start + 2 :]
    return swapped or any(x == y for x, y in tails)


__all__ = ["PromptReader", "Reading", "TextEncoder"]
