"""What a prompt says shall not be: "no fog", "don't make it foggy", "neither rain nor snow", "hardly any snow".

The learnt reader met four wordings of absence and takes others for wishes, so all are read here by rules, and taken
out of what it sees. English only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cosmos.models.embedded.captions import LEADING, find_wordings, named_ranges, noun_words, split_words
from cosmos.models.embedded.wish_words import COLORS, MATERIAL_WORDS, WEAR

PLAIN_MARKS = str.maketrans(
    {"\u2013": "-", "\u2014": "-", "\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2026": "."}
)
"""Typographic marks -> those of a plain keyboard, one for one."""

_WITH_NOT = split_words("do does did is are was were has have had should would could can must will need might")
_SHORT = frozenset(f"{word}{end}" for word in (*_WITH_NOT, "ca", "wo", "ai") for end in ("n't", "nt"))
_COMMANDS = frozenset(split_words("without neither nor avoid avoiding exclude excluding don't dont never"))
"""Negations that hold for both sides of an "and"."""
_HARD = frozenset(("no", "not", "non", "cannot")) | _SHORT | _COMMANDS
_NONE_OF = frozenset(split_words("cloud clouds rain snow fog mist haze dust precipitation"))
"""What "zero" negates; "zero visibility" is thick fog."""
_STATES_OF_NOTHING = frozenset(split_words("wet foggy misty hazy snowy icy frozen rainy cloudy dusty falling"))
"""What "nothing" negates: "nothing wet"; "nothing but white" is snow or fog."""
_SOFT = frozenset(("hardly", "barely", "scarcely", "less"))
"""These leave a little."""
_DEGREES = frozenset(split_words("very too so that overly really extremely heavily particularly much many"))
"""After "not", these leave a little as well."""
_ONLY = frozenset(("only", "just", "merely", "necessarily"))
"""After "not", no negation: "not only fog but also snow"."""
_FILLERS = LEADING | frozenset(
    split_words(
        "any more longer be been being make add use put have has get let show see there to of sign signs hint hints "
        "trace traces left visible actual all please want so too very much many that really paint turn look looking "
        "like"
    )
)
"""Words of what is negated that name nothing."""
_STOPS = frozenset(
    split_words(
        "but though although yet instead rather except however because while when where which who from as at in on "
        "during under by with over near inside outside beside behind around through then after before it there"
    )
)
"""Words behind what is negated that begin something else."""
_ABLE = frozenset(split_words("see tell make keep drive breathe"))
"""What one cannot do in bad weather: "you can't see the kerb" speaks of fog, and not of a kerb that shall not be."""
_WHERE = frozenset(split_words("above below past over there"))
"""After "barely" and its like, a place and nothing that a little of may be: "the sun is barely above the roofs"."""
_STATES = frozenset(split_words("wanted needed there present visible allowed desired welcome falling on around"))
"""What alone behind a negation speaks of what stands before it: "fog is not wanted"."""
_FREE = frozenset(split_words("fog snow rain dust cloud mist haze noise ice frost"))
_INSTEAD = {
    "sun": "overcast", "sunshine": "overcast", "sunlight": "overcast", "direct sunlight": "overcast",
    "sunny": "overcast", "shadows": "overcast", "shadow": "overcast", "hard shadows": "overcast",
    "blue sky": "overcast", "clear sky": "overcast", "day": "night", "daytime": "night", "daylight": "night",
    "lamps": "lamps off", "lights": "lamps off", "street lamps": "lamps off", "street lights": "lamps off",
    "artificial light": "lamps off", "artificial lights": "lamps off",
    "dark yet": "dusk", "quite dark": "dusk", "quite dark yet": "dusk", "fully dark": "dusk", "fully dark yet": "dusk",
}  # fmt: skip
"""What is negated -> what is asked by that."""
LIGHTER = {"overcast": "light clouds", "fog": "light fog", "rain": "light rain", "snow": "light snow",
           "dust": "light dust", "noise": "slight noise"}  # fmt: skip
"""Attribute -> the wording of a little of it."""
_SPELLINGS = {"cloud": "clouds", "puddle": "puddles", "grain": "grainy", "noise": "noisy", "dust": "dusty",
              "darkness": "dark", "drop": "rain", "drops": "rain", "snowflakes": "snow", "raindrops": "rain",
              "rust": "rusty", "dirt": "dirty", "stains": "stained", "scratches": "scratched",
              "wear": "worn"}  # fmt: skip
"""Word of what is negated -> the wording that means the same."""

_NOUNS = noun_words()
_WISHES = frozenset((*COLORS, *MATERIAL_WORDS, *WEAR))
"""Words that wishes begin with."""
_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)*|[,.;:!?()\n]+|\d+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Negation:
    """One thing that shall not be."""

    said: str
    """The user's words for it, with the negation."""
    words: tuple[str, ...]
    """What is negated, in lower case."""
    soft: bool = False
    """Whether a little of it may be: "not very foggy"."""

    @property
    def instead(self) -> str:
        """What is asked by it, where that is more than absence: "no sun" asks for clouds."""
        return _INSTEAD.get(" ".join(word for word in self.words if word not in _FILLERS), "")


@dataclass(frozen=True, slots=True)
class _Token:
    word: str
    start: int
    end: int

    @property
    def ends_clause(self) -> bool:
        return not self.word[0].isalnum()


def take_negations(text: str) -> tuple[str, tuple[Negation, ...]]:
    """Part a prompt into what it asks and what it says shall not be.

    Args:
        text: A prompt, as the user wrote it.

    Returns:
        The prompt with a comma and blanks in place of every negation, itself where it has none; and the negations in
        their order.
    """
    parser = _Parser(text)
    found = tuple(parser.read())
    kept = list(text)
    for start, end in parser.taken:
        kept[start:end] = "," + " " * (end - start - 1)
    return "".join(kept), found


class _Parser:
    """Goes through the words once, from negation to negation."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [
            _Token(match[0].lower(), match.start(), match.end())
            for match in _TOKEN.finditer(text.translate(PLAIN_MARKS))
        ]
        self.taken: list[tuple[int, int]] = []

    def read(self) -> Iterator[Negation]:
        place = 0
        while place < len(self._tokens):
            length, kind = self._negation_at(place)
            if kind == "none":
                self._take(place, place + length)
            elif kind == "free":
                yield self._behind(place)
            elif length:
                scope, end = self._scope(place + length, both=kind == "both")
                yield from self._negated(place, length, scope, soft=kind == "soft")
                length = end - place
            place += max(1, length)

    def _word(self, place: int) -> str:
        return self._tokens[place].word if 0 <= place < len(self._tokens) else "."

    def _negation_at(self, place: int) -> tuple[int, str]:
        """Return how many words from here on negate, 0 if none does, and how."""
        word, first = self._word(place), place
        if word == "free":
            hyphen = place > 0 and self._text[self._tokens[place - 1].end : self._tokens[place].start] in (
                "-",
                "\u2013",
            )
            if self._word(place + 1) == "of":
                return 2, "both"
            return (1, "free") if hyphen or self._word(place - 1) in _FREE else (0, "")
        if word in _WITH_NOT and self._word(place + 1) == "not":
            place += 1
        after = self._word(place + 1)
        if self._unable(first, place):
            return 0, ""
        if word in _SOFT:
            plain = after in _WHERE or (word == "less" and after == "than")
            return (0, "") if plain else (1, "soft")
        none_of = (word == "zero" and after in _NONE_OF) or (word == "nothing" and after in _STATES_OF_NOTHING)
        if self._word(place) not in _HARD and not none_of:
            return 0, ""
        if self._word(place) == "not" and after in _ONLY:
            return place + 2 - first, "none"
        if (
            self._word(place) != "no"
            and after in _DEGREES
            and (after != "too" or self._word(place + 2) not in ("dark", "bright"))
        ):
            return place + 2 - first, "soft"
        if self._word(place) != "no" and (after, self._word(place + 2), self._word(place + 3)) == ("a", "lot", "of"):
            return place + 4 - first, "soft"
        commands = self._word(place) in _COMMANDS or (word == "do" and place > first)
        return place + 1 - first, "both" if commands else "one"

    def _unable(self, first: int, last: int) -> bool:
        """Whether "cannot" or "can hardly" says what nobody could do: "can't see the kerb", but not "can't see any"."""
        word = self._word(last)
        can = self._word(first if first < last else first - 1) in ("can", "could") and (word == "not" or word in _SOFT)
        can = can or word in ("cannot", "can't", "cant", "couldn't", "couldnt")
        return can and self._word(last + 1) in _ABLE and self._word(last + 2) != "any"

    def _scope(self, start: int, *, both: bool) -> tuple[list[tuple[int, int]], int]:
        """Return what is negated from a word on, item by item, and its end."""
        items, begin, place, named = list[tuple[int, int]](), start, start, False
        while place < len(self._tokens):
            token = self._tokens[place]
            joins = token.word == "or" or (token.word == "," and self._lists(place))
            joins = joins or (token.word == "and" and both and self._carries(begin, place))
            if joins:
                items, begin, named = [*items, (begin, place)], place + 1, False
            elif self._ends(place, named=named):
                break
            else:
                named = named or token.word not in _FILLERS or self._veiled(place)
            place += 1
        place = self._before_another(begin, place)
        return [*items, (begin, place)], place

    def _before_another(self, first: int, end: int) -> int:
        """Return where something else begins without a word between: "no fog sunshine", "no fog red cars"."""
        words = [self._word(at) for at in range(first, end)]
        named, wordings = named_ranges(), self._wordings(first, end)
        if not wordings:
            return end
        if _NOUNS.intersection(words[: wordings[0][0]]):
            return first + wordings[0][0]  # "no people dusk"
        attributes, past = {name for name, _, _ in named[wordings[0][1]]}, wordings[0][0] + len(wordings[0][1])
        others = [at for at, part in wordings[1:] if attributes.isdisjoint(name for name, _, _ in named[part])]
        others += [at for at in range(past, len(words)) if words[at] in _WISHES]
        return first + min(others, default=end - first)

    def _carries(self, first: int, place: int) -> bool:
        """Whether an "and" goes on with what is negated: "without rain and fog", not "without rain and at dusk"."""
        if self._word(place + 1) in _STOPS:
            return False
        last = place + 1
        while last < len(self._tokens) and not self._tokens[last].ends_clause and self._word(last) not in ("and", "or"):
            last += 1
        before, after = (
            any(name == "sun_elevation" for _, part in self._wordings(*run) for name, _, _ in named_ranges()[part])
            for run in ((first, place), (place + 1, last))
        )
        return before or not after

    def _wordings(self, first: int, last: int) -> list[tuple[int, tuple[str, ...]]]:
        return find_wordings(_spelled([self._word(at) for at in range(first, last)]))

    def _ends(self, place: int, *, named: bool) -> bool:
        """Whether a word ends what is negated; one that names something must stand before "at" or "but"."""
        if self._tokens[place].ends_clause or self._word(place) == "and":
            return True
        stops = self._word(place) in _STOPS and not (self._word(place) == "yet" and not self._word(place + 1).isalnum())
        return named and (stops or self._negation_at(place)[0] > 0)

    def _veiled(self, place: int) -> bool:
        """Whether sight is what is negated, not what takes it: "hardly visible in dense fog"."""
        return self._word(place) == "visible" and self._word(place + 1) in _STOPS

    def _lists(self, comma: int) -> bool:
        """Whether a comma parts a list that ends in "or": "no rain, snow or fog"."""
        for place in range(comma + 1, min(comma + 12, len(self._tokens))):
            word = self._word(place)
            if word == "or":
                return True
            if (word != "," and self._tokens[place].ends_clause) or word in _STOPS or self._negation_at(place)[0]:
                return False
        return False

    def _negated(self, place: int, length: int, scope: list[tuple[int, int]], *, soft: bool) -> Iterator[Negation]:
        begin, end = place, scope[-1][1]
        head = self._said(place, place + length)
        only = [self._word(at) for at in range(*scope[0])]
        if len(scope) == 1 and only and set(only) <= _STATES:
            while begin > 0 and not (
                self._tokens[begin - 1].ends_clause or self._word(begin - 1) in ("and", "but", "or")
            ):
                begin -= 1
            subject = tuple(self._word(at) for at in range(begin, place))
            yield Negation(said=self._said(begin, end), words=subject, soft=soft)
        else:
            for number, (first, last) in enumerate(scope):
                if first == last and number > 0:
                    continue  # "no fog or"
                said = self._said(place, last) if number == 0 else f"{head} {self._said(first, last)}"
                yield Negation(said=said, words=tuple(self._word(at) for at in range(first, last)), soft=soft)
        self._take(begin, end)

    def _behind(self, place: int) -> Negation:
        """Return the negation of "fog-free"."""
        self._take(place - 1, place + 1)
        return Negation(said=self._said(place - 1, place + 1), words=(self._word(place - 1),))

    def _said(self, first: int, last: int) -> str:
        return " ".join(self._text[self._tokens[first].start : self._tokens[last - 1].end].split())

    def _take(self, first: int, last: int) -> None:
        """Take words out, and an "and" or "but" that would dangle beside them."""
        first -= first > 0 and self._word(first - 1) in ("and", "but", "with")
        last += self._word(last) in ("and", "but")
        self.taken.append((self._tokens[first].start, self._tokens[last - 1].end))


def wording(negation: Negation) -> str:
    """Return the words of what is negated, as wordings of light and weather spell them."""
    return " ".join(_spelled(negation.words))


def _spelled(words: Sequence[str]) -> list[str]:
    known = {at for first, part in find_wordings(words) for at in range(first, first + len(part))}
    return [word if at in known else _SPELLINGS.get(word, word) for at, word in enumerate(words)]


__all__ = ["LIGHTER", "PLAIN_MARKS", "Negation", "take_negations", "wording"]
