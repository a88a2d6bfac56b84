"""What the embedded reasoner is asked and what it answers: a closed vocabulary, and both ways between facts and words.

A fact sheet of a clip becomes the text to learn; a text that the net wrote becomes a fact sheet again, or is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EVENTS = ("teleport", "vanish", "appear", "float", "penetrate", "recolour")
"""What cannot be: jumping elsewhere, vanishing, coming from nothing, hanging in the air, passing through matter,
changing colour."""
WEATHER = ("clear", "fog", "rain", "snow", "night")
"""Weather by name."""
ORDERS = ("a", "b", "c", "d")
"""Spatial puzzle: a as it was, b left and right halves swapped, c top and bottom halves swapped, d both."""
QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "physics": ("can", "this", "happen", "?"),
    "time": ("which", "way", "runs", "time", "?"),
    "order": ("in", "which", "order", "are", "the", "parts", "?"),
    "weather": ("which", "weather", "is", "it", "?"),
    "caption": ("what", "happens", "?"),
}
"""Task -> the question as the net reads it."""

COLOURS = ("red", "green", "blue", "yellow", "white", "black", "orange", "purple")
"""Colours by name."""
SHAPES = ("ball", "box", "can", "cone")
"""Shapes by name."""
_VERBS = {"rest": "rests", "roll": "rolls", "drop": "falls", "throw": "flies", "push": "pushes"}
_PLACES = tuple(f"{row}-{column}" for row in ("upper", "lower") for column in ("left", "middle", "right"))
_DIRECTIONS = ("left", "right", "nowhere")
SETTINGS = ("indoors", "outdoors")
"""Where a scene is; read from it, but said in no answer."""
READINGS: Mapping[str, tuple[str, ...]] = {
    "weather": WEATHER,
    "setting": SETTINGS,
    "time": ("forward", "backward"),
    "order": ORDERS,
    "colour": COLOURS,
    "shape": SHAPES,
    "motion": tuple(_VERBS),
    "direction": _DIRECTIONS,
}
"""What the trunk reads from a clip, and the words or facts that each may be."""
CAPTION: Mapping[str, tuple[str, ...]] = {
    "weather": WEATHER, "colour": COLOURS, "shape": SHAPES, "motion": tuple(_VERBS.values()),
    "direction": _DIRECTIONS,
}  # fmt: skip
"""Slots of a caption, in order, and the words that each may hold."""
_FRAMES = tuple(str(frame) for frame in range(8))
_MARKS = ("<pad>", "<start>", "<end>", "<think>", "</think>", "<answer>", "</answer>")

VOCABULARY: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *_MARKS, *(word for question in QUESTIONS.values() for word in question), *EVENTS, *WEATHER, *ORDERS,
            *COLOURS, *SHAPES, *_VERBS.values(), *_PLACES, *_DIRECTIONS, *_FRAMES, "possible", "impossible",
            "forward", "backward", "there", "and", "at", "frame", "moves", "as", "it", "must", "many", "things", ".",
            "ground", "below", "above", "middle", "whole", "cut", "air", "shows", "slows", "speeds", "up", "down",
            *SETTINGS,
        )
    )
)  # fmt: skip
"""Every word; its index is its token."""
TOKEN: Mapping[str, int] = {word: index for index, word in enumerate(VOCABULARY)}
"""Word -> token."""


class AnswerError(ValueError):
    """What the net wrote is no answer to the question."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A parsed answer."""

    task: str
    """Which question it answers."""
    verdict: str
    """``possible``, ``impossible``, ``forward``, ``backward``, a letter, a weather, or ``caption``."""
    event: str = ""
    """What cannot be, of ``EVENTS``."""
    thing: str = ""
    """Colour and shape of the body it is about."""
    place: str = ""
    """Where in the picture."""
    frame: int = -1
    """In which of the pictures that the net saw; -1 where it names none."""
    caption: str = ""
    """What happens, in words."""
    think: str = ""
    """The thought before the answer."""


def place_of(at: Sequence[float]) -> str:
    """Name a place in the picture, given as shares of height and width."""
    row = "upper" if at[0] < 0.5 else "lower"
    return f"{row}-{('left', 'middle', 'right')[min(2, int(3.0 * at[1]))]}"


def direction_of(way: Sequence[Any]) -> str:
    """Name where something goes, from its places over time."""
    seen = [place for place in way if place is not None]
    if len(seen) < 2 or abs(seen[-1][1] - seen[0][1]) < 0.06:
        return "nowhere"
    return "right" if seen[-1][1] > seen[0][1] else "left"


def text_of(task: str, fact: Mapping[str, Any]) -> list[str]:
    """Return the thought and the answer to learn, as words.

    Args:
        task: One of ``QUESTIONS``.
        fact: What is true of the clip: event, frame, motion, colour, shape, at, way (or ``direction``), bodies,
            weather, setting, and for the other tasks ``backward`` and ``order``.
    """
    think, answer = _WRITERS[task](fact)
    return ["<think>", *think, "</think>", "<answer>", *answer, "</answer>"]


def parse(task: str, words: Sequence[str]) -> Answer:
    """Read what the net wrote, strictly.

    Raises:
        AnswerError: If it is not a thought and an answer of this task's form, from the first word to the last.
    """
    text = " ".join(words)
    if list(words[:1]) != ["<think>"] or list(words[-1:]) != ["</answer>"]:
        raise AnswerError(f"{text!r} does not go from <think> to </answer>.")
    if words.count("</think>") != 1 or words.count("<answer>") != 1:
        raise AnswerError(f"{text!r} does not hold one thought and one answer.")
    middle = list(words).index("</think>")
    if words[middle + 1] != "<answer>":
        raise AnswerError(f"{text!r} puts words between thought and answer.")
    return _READERS[task](list(words[middle + 2 : -1]), " ".join(words[1:middle]), text)


def _thing(fact: Mapping[str, Any]) -> list[str]:
    return [fact["colour"], fact["shape"]]


def _direction(fact: Mapping[str, Any]) -> str:
    return str(fact["direction"]) if "direction" in fact else direction_of(fact["way"])


def _scene(fact: Mapping[str, Any]) -> list[str]:
    words = ["there"]
    for number, (colour, shape) in enumerate(fact["bodies"]):
        words += [*(["and"] if number else []), colour, shape]
    return [*words, "."]


def _write_physics(fact: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    if not fact["bodies"]:
        return ["many", "things", ".", "it", "moves", "as", "it", "must", "."], ["possible"]
    where = [*_thing(fact), place_of(fact["at"]), "frame", str(fact["frame"])]
    if fact["event"] == "none":
        seen = [*_thing(fact), _VERBS[fact["motion"]], _direction(fact), "."]
        return [*_scene(fact), *seen, "it", "moves", "as", "it", "must", "."], ["possible"]
    return [*_scene(fact), fact["event"], "at", *where, "."], ["impossible", fact["event"], *where]


def _write_time(fact: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    fast = fact["motion"] in ("drop", "throw")
    pace = ["up" if fact["backward"] else "down"] if fast else ["speeds" if fact["backward"] else "slows"]
    return [*_thing(fact), *pace, "."], ["backward" if fact["backward"] else "forward"]


def _write_order(fact: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    index = ORDERS.index(fact["order"])
    upright = "below" if index < 2 else "above"
    return ["ground", upright, "middle", "cut" if index % 2 else "whole", "."], [fact["order"]]


def _write_weather(fact: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    return ["air", "shows", fact["weather"], "."], [fact["weather"]]


def _write_caption(fact: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    moves = [_VERBS[fact["motion"]], _direction(fact)]
    return _scene(fact), [fact["weather"], *_thing(fact), *moves]


def _read_physics(words: list[str], think: str, text: str) -> Answer:
    if words == ["possible"]:
        return Answer(task="physics", verdict="possible", think=think)
    good = (
        len(words) == 7 and words[0] == "impossible" and words[1] in EVENTS and words[2] in COLOURS
        and words[3] in SHAPES and words[4] in _PLACES and words[5] == "frame" and words[6] in _FRAMES
    )  # fmt: skip
    if not good:
        raise AnswerError(f"{text!r} answers neither possible nor impossible, what, where and when.")
    return Answer(
        task="physics", verdict="impossible", event=words[1], thing=" ".join(words[2:4]), place=words[4],
        frame=int(words[6]), think=think,
    )  # fmt: skip


def _read_one_of(task: str, choices: Sequence[str]) -> Any:
    def read(words: list[str], think: str, text: str) -> Answer:
        if len(words) != 1 or words[0] not in choices:
            raise AnswerError(f"{text!r} answers none of {', '.join(choices)}.")
        return Answer(task=task, verdict=words[0], think=think)

    return read


def _read_caption(words: list[str], think: str, text: str) -> Answer:
    slots = tuple(CAPTION.values())
    if len(words) != len(slots) or not all(word in slot for word, slot in zip(words, slots, strict=False)):
        raise AnswerError(f"{text!r} names no {', '.join(CAPTION)}.")
    return Answer(task="caption", verdict="caption", thing=" ".join(words[1:3]), caption=" ".join(words), think=think)


CHOICES: Mapping[str, tuple[str, ...]] = {
    "physics": ("possible", "impossible"),
    "time": ("forward", "backward"),
    "order": ORDERS,
    "weather": WEATHER,
}
"""Task -> the words that may stand first in its answer."""

_WRITERS = {
    "physics": _write_physics, "time": _write_time, "order": _write_order, "weather": _write_weather,
    "caption": _write_caption,
}  # fmt: skip
_READERS = {
    "physics": _read_physics, "caption": _read_caption,
    **{task: _read_one_of(task, CHOICES[task]) for task in ("time", "order", "weather")},
}  # fmt: skip

__all__ = [
    "CAPTION",
    "CHOICES",
    "COLOURS",
    "EVENTS",
    "ORDERS",
    "QUESTIONS",
    "READINGS",
    "SETTINGS",
    "SHAPES",
    "TOKEN",
    "VOCABULARY",
    "WEATHER",
    "Answer",
    "AnswerError",
    "direction_of",
    "parse",
    "place_of",
    "text_of",
]
