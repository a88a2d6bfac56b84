"""The reading of wishes by rules, before the learnt reader.

The learnt reader knows light and weather. Phrases such as "cobblestone street", "red cars", "worn forklift", "warm
lamps" or "dirty lens" are read here and taken out of what it sees. Who names a colour or a material makes a wish;
things that are only named ("a street with cars") make none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cosmos.models.embedded import wish_words as words
from cosmos.models.embedded.captions import LEADING, bare
from cosmos.models.embedded.wishes import EVERYTHING, GROUND, WALLS, SurfaceWish, WearWish, Wishes

_LONGEST_IDIOM = max(len(idiom) for idiom in words.IDIOMS)
_NO_NOUN = words.BREAKS | words.NO_NOUN | set(words.COLORS) | set(words.MATERIAL_WORDS)
_LONGEST_PHRASE = max(len(phrase) for phrase in (*words.LENS, *words.LAMPS))


@dataclass(frozen=True, kw_only=True, slots=True)
class WishReading:
    """What was read of a prompt by rules."""

    wishes: Wishes
    """What is wished."""
    rest: tuple[str, ...]
    """The words that are left for the learnt reader, in their order, with "," where a clause ends."""
    used: bool = False
    """Whether any word was read here."""
    not_understood: tuple[str, ...] = ()
    """Wishes that nothing can be done about, in the user's words."""
    corrected: tuple[tuple[str, str], ...] = ()
    """Words that were taken for another one, with that one."""


def read_wishes(parts: Sequence[str], *, nearest: Callable[[str, tuple[str, ...]], str | None]) -> WishReading:
    """Read a prompt.

    Args:
        parts: Its words in lower case, with "," where a clause ends.
        nearest: Returns the one word of a vocabulary that is a typing error away from a word.
    """
    return _Parser(parts, nearest).read()


class _Parser:
    """Goes through the words once, from phrase to phrase."""

    def __init__(self, parts: Sequence[str], nearest: Callable[[str, tuple[str, ...]], str | None]) -> None:
        self._said = list(parts)
        self._corrected: list[tuple[str, str]] = []
        self._words = [self._spelled(word, nearest) for word in parts]
        self._wishes = Wishes()
        self._used = [word == "," for word in parts]
        self._failed: list[str] = []
        self._shared = False

    def read(self) -> WishReading:
        place = 0
        while place < len(self._words):
            idiom = self._idiom_at(place)
            if idiom:
                place += idiom
                continue
            end = self._phrase(place)
            if end > place:
                self._used[place:end] = [not self._shared] * (end - place)
                self._shared = False
            place = max(end, place + 1)
        corrected = [pair for pair in self._corrected if any(self._used[i] and w == pair[0] for i, w in
                                                             enumerate(self._said))]  # fmt: skip
        return WishReading(
            wishes=self._wishes,
            rest=tuple(word for word, used in zip(self._said, self._used, strict=True) if word == "," or not used),
            used=any(used and word != "," for word, used in zip(self._said, self._used, strict=True)),
            not_understood=tuple(dict.fromkeys(self._failed)),
            corrected=tuple(dict.fromkeys(corrected)),
        )

    def _spelled(self, word: str, nearest: Callable[[str, tuple[str, ...]], str | None]) -> str:
        if word in words.KNOWN or word in words.PLAIN:
            return word
        near = nearest(word, words.SPELLED)
        if near is None:
            return word
        self._corrected.append((word, near))
        return near

    def _phrase(self, start: int) -> int:
        """Read the phrase that begins at a word, if one does; return its end, or ``start``."""
        strength, place = self._strength(start)
        if place >= len(self._words) or self._idiom_at(place):
            return start
        for read in (self._lens, self._lamps, self._wear, self._made_of, self._surface, self._is):
            end = read(place, strength)
            if end > place:
                return end
        return start

    def _strength(self, place: int) -> tuple[float, int]:
        strength = 1.0
        while place < len(self._words) and self._words[place] in words.STRENGTHS and not self._idiom_at(place):
            factor = words.STRENGTHS[self._words[place]]
            strength, place = factor if factor != 1.0 else strength, place + 1
        return strength, place

    def _word(self, place: int) -> str:
        return self._words[place] if 0 <= place < len(self._words) else ""

    def _idiom_at(self, place: int) -> int:
        """Return the length of the phrase of light and weather that begins at a word, such as "blue sky"; 0 if none."""
        lengths = range(_LONGEST_IDIOM, 1, -1)
        found = next((n for n in lengths if tuple(self._words[place : place + n]) in words.IDIOMS), 0)
        kept, end = tuple[str, ...](), place
        while end < len(self._words) and len(kept) < _LONGEST_IDIOM and self._words[place] not in LEADING:
            kept, end = (*kept, *bare(self._words[end : end + 1])), end + 1
            if kept in words.LONG_IDIOMS:
                found = max(found, end - place)
        return found

    def _lens(self, place: int, strength: float) -> int:
        """Read blur, dirt and drops."""
        found, end = self._listed(words.LENS, place)
        if found is not None:
            self._wishes = self._with(found[0], min(1.0, found[1] * strength))
        return end

    def _listed(
        self, phrases: Mapping[tuple[str, ...], tuple[str, float]], place: int
    ) -> tuple[tuple[str, float] | None, int]:
        """Return what the longest listed phrase that begins at a word stands for, and its end."""
        for length in range(_LONGEST_PHRASE, 0, -1):
            found = phrases.get(tuple(self._words[place : place + length]))
            if found is not None:
                return found, place + length
        return None, place

    def _lamps(self, place: int, strength: float) -> int:
        """Read "warm lamps", "cold neon light", "lights off", "dimly lit hall"."""
        listed, end = self._listed(words.LAMPS, place)
        if listed is not None:
            self._set_lamps(*listed, strength)
            return end
        end, found, named = place, dict[str, float](), False
        while self._word(end) in words.LAMP_MANNERS or self._word(end) in words.LAMP_KINDS:
            name, value = words.LAMP_MANNERS.get(self._word(end)) or words.LAMP_KINDS[self._word(end)]
            named = named or self._word(end) in words.LAMP_KINDS
            found[name] = found.get(name) or value
            end += 1
        if end == place or self._word(end) not in words.LAMP_NOUNS or self._idiom_at(place):
            return place
        if self._word(end) in ("light", "lighting", "glow") and not named and found.keys() == {"lamps"}:
            return place  # "dim light" and "bright light" may be the day's
        if not any(found.values()):
            return place  # "ceiling lamps" are only named
        for name, value in found.items():
            self._set_lamps(name, value, strength)
        return end + 1

    def _set_lamps(self, name: str, value: float, strength: float) -> None:
        if name == "lamps":  # twice as strong a word is the square of its factor
            value = min(4.0, value**strength) if value > 0.0 else 0.0
        else:
            value = max(-1.0, min(1.0, value * strength))
        self._wishes = self._with(name, value)

    def _with(self, name: str, value: float) -> Wishes:
        changed: dict[str, Any] = {name: value}
        return replace(self._wishes, **changed)

    def _wear(self, place: int, strength: float) -> int:
        """Read "worn", "a rusty forklift", "clean floor"."""
        word = self._word(place)
        if word not in words.WEAR or self._idiom_at(place):
            return place
        wear, end = 1.0 + strength * (words.WEAR[word] - 1.0), place + 1
        of, after = self._noun(end) if self._word(end) not in words.BREAKS else (EVERYTHING, end)
        if of == "?":
            of, after = EVERYTHING, end
        following = self._word(end) in words.COLORS or self._word(end) in words.MATERIAL_WORDS
        if following and of == EVERYTHING:
            of = self._noun_after_manners(end)
            after = end  # the rest is a wish of its own
        said = " ".join(self._said[place : max(after, end)])
        wish = WearWish(of=of, said=said, wear=min(2.0, max(0.0, wear)), rust=word in words.RUST)
        self._wishes = replace(self._wishes, wear=(*self._wishes.wear, wish))
        return after

    def _noun_after_manners(self, place: int) -> str:
        while self._word(place) in words.COLORS or self._word(place) in words.MATERIAL_WORDS:
            place += 1
        of, _ = self._noun(place)
        return EVERYTHING if of == "?" else of

    def _surface(self, place: int, strength: float) -> int:
        """Read "cobblestone street", "red brick walls", "blue forklift", "gravel"."""
        color = material = ""
        end = place
        if self._idiom_at(place):
            return place
        while True:
            word = self._word(end)
            if word in words.COLORS and not color and not self._idiom_at(end):
                color = words.COLORS[word]
            elif word in words.SHADES and self._is_shaded(end):
                pass
            elif word in words.MATERIAL_WORDS and not material:
                material = words.MATERIAL_WORDS[word]
            elif not (end > place and word in words.FILLERS):
                break
            end += 1
        if (not color and not material) or (material == "sand" and self._is_blown(place)):
            return place
        of, after = self._noun(end)
        if of == "?":
            if self._words[place:end] != self._said[place:end]:
                return place  # a guess at a typing error takes a noun beside it
            bare = words.BARE.get(self._word(end - 1), "")
            if not bare or end - place > 2:
                if self._word(end) in words.NO_NOUN and color in ("white", "grey", "black", "brown", "silver"):
                    return place  # "white clouds", "grey day"
                if self._word(end) in words.NO_NOUN:
                    end, self._shared = end + 1, True  # "red sun" cannot be painted, yet tells the hour
                self._failed.append(" ".join(self._said[place:end]))
                return end
            of, after = bare, end
        said = " ".join(self._said[place:after])
        return self._want(of, material, color, said, after)

    def _is_shaded(self, place: int) -> bool:
        """Whether a shade belongs to what follows: "light blue", and "dark asphalt", which tells no hour."""
        following = self._word(place + 1)
        return following in words.COLORS or (self._word(place) == "dark" and following in words.MATERIAL_WORDS)

    def _is_blown(self, place: int) -> bool:
        """Whether the clause of a word speaks of wind or air."""
        first = last = place
        while first > 0 and self._words[first - 1] != ",":
            first -= 1
        while last < len(self._words) and self._words[last] != ",":
            last += 1
        return not words.BLOWN.isdisjoint(self._words[first:last])

    def _want(self, of: str, material: str, color: str, said: str, end: int) -> int:
        """Add a wish, or say that nothing can be done about it."""
        allowed = words.MATERIALS.get(material, ()) if material else (GROUND, WALLS)
        if material and of not in allowed:
            if of in (GROUND, WALLS) or not color:
                self._failed.append(said)
                return end
            material = ""  # "blue metal barrels": the colour can be done, the metal is said not to be
            self._failed.append(said)
        if not material and of in (GROUND, WALLS):
            material = "paint"
        wish = SurfaceWish(of=of, material=material, color=color, said=said)
        others = tuple(old for old in self._wishes.surfaces if old.of != of)
        self._wishes = replace(self._wishes, surfaces=(*others, wish))
        return end

    def _made_of(self, place: int, strength: float) -> int:
        """Read "walls made of red brick", "a street of cobblestone", "ground covered with gravel"."""
        of, after = self._noun(place)
        if of not in (GROUND, WALLS):
            return place
        end = after
        while self._word(end) in words.MADE:
            end += 1
        if end == after or self._word(end - 1) not in ("of", "in", "with", "from", "are", "is", "paved"):
            return place
        start, color = end, ""
        if self._word(end) in words.COLORS and self._word(end + 1) in words.MATERIAL_WORDS:
            color, end = words.COLORS[self._word(end)], end + 1
        if self._word(end) not in words.MATERIAL_WORDS or self._idiom_at(start):
            return place
        if self._noun(end + 1)[0] != "?":
            return place  # "a street with brick houses" speaks of the houses
        material = words.MATERIAL_WORDS[self._word(end)]
        return self._want(of, material, color, " ".join(self._said[place : end + 1]), end + 1)

    def _is(self, place: int, strength: float) -> int:
        """Read "the cars are red", "paint the forklift blue", "the floor is worn"."""
        start = place
        commanded = self._word(place) in words.COMMANDS
        if commanded:
            place += 1
        while self._word(place) in ("the", "all", "every", "each"):
            place += 1
        of, after = self._noun(place)
        if of == "?" or (place == start and self._words[max(0, place - 1)] in words.COLORS):
            return start
        end = after
        if self._word(end) in ("is", "are", "be", "painted") or (commanded and self._word(end) in ("in",)):
            end += 1
            if self._word(end) in ("painted", "all"):
                end += 1
        elif not commanded:
            return start
        more, end = self._strength(end)
        word, following = self._word(end), self._word(end + 1)
        last = following in words.BREAKS
        said = " ".join(self._said[start : end + 1])
        if word in words.COLORS and last:
            return self._want(of, "", words.COLORS[word], said, end + 1)
        if word in words.WEAR and last:
            wear = min(2.0, max(0.0, 1.0 + more * (words.WEAR[word] - 1.0)))
            wish = WearWish(of=of, said=said, wear=wear, rust=word in words.RUST)
            self._wishes = replace(self._wishes, wear=(*self._wishes.wear, wish))
            return end + 1
        return start

    def _noun(self, place: int) -> tuple[str, int]:
        """Return the noun that begins at a word, in the singular, or "?", and its end."""
        word = self._word(place)
        while word in words.SIZES or (word in words.PLACES and self._word(place + 1) in words.GROUND_NOUNS):
            place += 1
            word = self._word(place)
        if word in _NO_NOUN or word.isdigit() or self._idiom_at(place) or self._word(place + 1) in words.LAMP_NOUNS:
            return "?", place
        two = f"{word} {self._word(place + 1)}"
        if two in words.COMPOUNDS:
            return singular(two), place + 2
        for group, of in ((words.GROUND_NOUNS, GROUND), (words.WALL_NOUNS, WALLS), (words.PLACES, EVERYTHING)):
            if word in group:
                if of == GROUND and self._word(place + 1) in ("surface", "tiles"):
                    return of, place + 2
                return of, place + 1
        return singular(word), place + 1


def singular(noun: str) -> str:
    """Return a noun in the singular, by rule."""
    if noun in words.PLURALS:
        return words.PLURALS[noun]
    for ending, one in (("ies", "y"), ("shes", "sh"), ("ches", "ch"), ("xes", "x"), ("sses", "ss")):
        if noun.endswith(ending) and len(noun) > len(ending) + 1:
            return noun[: -len(ending)] + one
    return noun[:-1] if noun.endswith("s") and not noun.endswith("ss") and len(noun) > 3 else noun


__all__ = ["WishReading", "read_wishes", "singular"]
