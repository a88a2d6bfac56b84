"""Batches and losses for the embedded reasoner: one look at a clip, two questions about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch  # noqa: TID253
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.reason_small.net import ReasonNet, question_tokens
from cosmos.models.reason_small.words import EVENTS, ORDERS, READINGS, TOKEN, direction_of, text_of

_ANSWER_WEIGHT = 4.0
"""How much more the words of an answer count than those of the thought."""
_CLEAR = 0.1
"""Share of the clear clips that teach the weather."""
_UNKNOWN = -100
_SHOWN = 0.6
"""Share of the plays in which the net is shown where to look closely; in the rest it finds that by itself."""
_ASIDE = 5.0
"""How far beside the body it is shown, one standard deviation [px]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Batch:
    """Clips with questions."""

    clips: Tensor
    """uint8, [B, T, 3, H, W]."""
    words: Tensor
    """Questions, thoughts and answers as tokens, [Q B, L]; questions of clip b in rows b, B + b, ..."""
    weights: Tensor
    """How much each next word counts, [Q B, L - 1]."""
    event: Tensor
    """Index of the event, 0 for none, -100 where it is not asked; [B]."""
    frame: Tensor
    """Frame of the event, -100 where there is none; [B]."""
    place: Tensor
    """Cell of the main body in each frame, the last for absent, -100 where it is not known; [B, T]."""
    spots: Tensor
    """Where the main body is in each frame, x and y in [-1, 1], and whether it is seen; NaN where it is not told;
    [B, T, 3]."""
    readings: Mapping[str, Tensor]
    """For each of ``READINGS`` which of its words is true, -100 where it is not asked or cannot be told; [B]."""


def make_batch(
    rng: np.random.Generator, clips: np.ndarray, facts: Sequence[Mapping[str, Any]], *, length: int
) -> Batch:
    """Turn clips into a batch: draw tasks, and reverse, cut or mirror pictures as they need it.

    Args:
        rng: Decides.
        clips: uint8, [B, T, H, W, 3]; left as they are.
        facts: What is true of each.
        length: Most words.
    """
    rows: tuple[list[tuple[str, list[str]]], ...] = ([], [])
    seen, places, events, frames, readings, spots = [], [], [], [], [], []
    for clip, fact in zip(clips, facts, strict=True):
        clip, fact, tasks = vary(rng, clip, dict(fact))
        seen.append(clip)
        for number, task in enumerate(tasks):
            rows[number].append((task, text_of(task, fact)))
        asked = "physics" in tasks
        readings.append(readings_of(fact, tasks))
        if fact["weather"] == "clear" and rng.random() > _CLEAR:  # most plays are, and would teach that all are
            readings[-1]["weather"] = _UNKNOWN
        events.append((EVENTS.index(fact["event"]) + 1 if fact["event"] != "none" else 0) if asked else -100)
        frames.append(fact["frame"] if asked and fact["event"] != "none" else -100)
        known = bool(fact["bodies"]) and "order" not in tasks
        places.append(cells_of(fact, clip.shape) if known else [_UNKNOWN] * len(clip))
        shown = known and rng.random() < _SHOWN
        spots.append(spots_of(rng, fact, clip.shape) if shown else np.full((len(clip), 3), np.nan))
    words, weights = rows_of([*rows[0], *rows[1]], length)
    return Batch(
        clips=torch.from_numpy(np.ascontiguousarray(np.stack(seen).transpose(0, 1, 4, 2, 3))),
        words=words,
        weights=weights,
        event=torch.tensor(events),
        frame=torch.tensor(frames),
        place=torch.tensor(places),
        spots=torch.from_numpy(np.stack(spots)).float(),
        readings={name: torch.tensor([told[name] for told in readings]) for name in READINGS},
    )


def readings_of(fact: Mapping[str, Any], tasks: Sequence[str]) -> dict[str, int]:
    """Return the index of the true word of each reading; -100 where it is not asked or cannot be told."""
    told: dict[str, str] = {"weather": fact["weather"]}
    if "order" not in tasks:
        told["setting"] = fact["setting"]
    if "time" in tasks:
        told["time"] = "backward" if fact["backward"] else "forward"
    if "order" in tasks:
        told["order"] = fact["order"]
    elif fact["bodies"]:
        told["shape"] = fact["shape"]
        told["colour"] = fact["colour"]  # of what changes it, the one that it had
        if fact["event"] == "none":
            told["direction"] = direction_of(fact["way"])
            told["motion"] = fact["motion"] if not fact.get("backward") else ""
    return {name: words.index(told[name]) if told.get(name) else _UNKNOWN for name, words in READINGS.items()}


def vary(
    rng: np.random.Generator, clip: np.ndarray, fact: dict[str, Any]
) -> tuple[np.ndarray, dict[str, Any], tuple[str, str]]:
    """Draw what is asked of a clip, and change clip and fact to fit: mirrored, backwards, cut, in other light."""
    if rng.random() < 0.5:
        clip, fact = mirror(clip, fact)
    clip, fact = shift(rng, clip, fact)
    if fact["event"] == "still":
        return light(rng, clip), fact, ("weather", "weather")
    tasks = ("physics", "weather")
    draw = rng.random()
    if fact["bodies"]:
        tasks = ("physics", "caption" if fact["event"] == "none" and rng.random() < 0.7 else "weather")
        if fact["event"] == "none" and fact["one_way"] and draw < 0.45:
            clip, fact, tasks = *turn_time(rng, clip, fact), ("time", "weather")
    if draw > 0.85:
        order = str(rng.choice(ORDERS))
        clip, fact, tasks = cut(clip, order), {**fact, "order": order}, ("order", "weather")
    return light(rng, clip), fact, tasks


def mirror(clip: np.ndarray, fact: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """Swap left and right."""
    way = [None if at is None else [at[0], 1.0 - at[1]] for at in fact["way"]]
    return clip[:, :, ::-1], {**fact, "at": [fact["at"][0], 1.0 - fact["at"][1]], "way": way}


def shift(rng: np.random.Generator, clip: np.ndarray, fact: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """Move all pictures by the same few pixels, with their edges repeated."""
    height, width = clip.shape[1:3]
    down, right = (int(rng.integers(-edge // 16, edge // 16 + 1)) for edge in (height, width))
    rows = np.clip(np.arange(height) - down, 0, height - 1)
    columns = np.clip(np.arange(width) - right, 0, width - 1)

    def moved(at: Sequence[float]) -> list[float]:
        row, column = at[0] + down / height, at[1] + right / width
        return [min(0.999, max(0.0, row)), min(0.999, max(0.0, column))]

    way = [None if at is None else moved(at) for at in fact["way"]]
    return clip[:, rows[:, None], columns], {**fact, "at": moved(fact["at"]), "way": way}


def still(picture: np.ndarray, weather: str, setting: str, frames: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Make a clip of one picture, uint8 [H, W, 3], of which weather and setting are known, with its fact sheet."""
    fact = {
        "event": "still", "weather": weather, "setting": setting, "bodies": [], "at": [0.5, 0.5], "way": [], "frame": 0,
    }  # fmt: skip
    return np.repeat(picture[None], frames, axis=0), fact


def turn_time(rng: np.random.Generator, clip: np.ndarray, fact: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """Play half of the clips backwards."""
    backward = bool(rng.random() < 0.5)
    if not backward:
        return clip, {**fact, "backward": False}
    return clip[::-1], {**fact, "backward": True, "way": fact["way"][::-1]}


def cut(clip: np.ndarray, order: str) -> np.ndarray:
    """Put the quarters of each picture in another order."""
    index, (height, width) = ORDERS.index(order), clip.shape[1:3]
    if index % 2:
        clip = np.roll(clip, width // 2, axis=2)
    return np.roll(clip, height // 2, axis=1) if index >= 2 else clip


def light(rng: np.random.Generator, clip: np.ndarray) -> np.ndarray:
    """Change brightness, contrast and the balance of colours a little, the same in every picture; add noise."""
    gain = rng.uniform(0.75, 1.3) * rng.uniform(0.93, 1.07, 3)
    noise = rng.normal(0.0, rng.uniform(0.0, 4.0), clip.shape[1:]) if rng.random() < 0.5 else 0.0
    return np.clip(clip * gain + noise + rng.uniform(-12, 12), 0, 255).astype(np.uint8)


def to_input(clips: Tensor) -> Tensor:
    """Bring uint8 pictures to [-1, 1]."""
    return clips.float() / 127.5 - 1.0


def loss_of(net: ReasonNet, batch: Batch, *, words: bool = True) -> tuple[Tensor, dict[str, float]]:
    """Return the loss and its parts; ``words`` says whether the decoder learns too, which costs as much as the rest."""
    seen = net.see(to_input(batch.clips), batch.spots)
    event = _known(seen.event, batch.event)
    frame = _known(seen.frame, batch.frame)
    place = _known(seen.place.flatten(0, 1), batch.place.flatten())
    parts = {"event": event, "frame": frame, "place": place}
    loss = event + 0.3 * frame + place
    for name, scores in seen.readings.items():
        parts[name] = _known(scores, batch.readings[name])
        loss = loss + 0.3 * parts[name]
    if words:
        parts["words"] = _word_loss(net, seen.tokens, batch)
        loss = loss + parts["words"]
    return loss, {name: float(part.detach()) for name, part in parts.items()}


def _word_loss(net: ReasonNet, tokens: Tensor, batch: Batch) -> Tensor:
    """Cross entropy of each next word, weighted."""
    questions = len(batch.words) // len(batch.clips)
    scores = net.write(tokens.repeat(questions, 1, 1), batch.words[:, :-1])
    each = functional.cross_entropy(scores.flatten(0, 1).float(), batch.words[:, 1:].flatten(), reduction="none")
    weights = batch.weights.flatten()
    return (each * weights).sum() / weights.sum().clamp(min=1.0)


def _known(scores: Tensor, target: Tensor) -> Tensor:
    """Cross entropy over the rows whose target is known."""
    rows = target != _UNKNOWN
    if not bool(rows.any()):
        return scores.sum() * 0.0
    return functional.cross_entropy(scores[rows].float(), target[rows])


def cells_of(fact: Mapping[str, Any], shape: tuple[int, ...]) -> list[int]:
    """Return the cell of the main body in each frame; the number after the last cell where it is not seen."""
    rows, columns = shape[1] // 16, shape[2] // 16
    cells = []
    for at in fact["way"]:
        if at is None:
            cells.append(rows * columns)
        else:
            cells.append(min(rows - 1, int(at[0] * rows)) * columns + min(columns - 1, int(at[1] * columns)))
    return cells


def spots_of(rng: np.random.Generator, fact: Mapping[str, Any], shape: tuple[int, ...]) -> np.ndarray:
    """Return where to look closely in each frame, a little beside the main body: x, y in [-1, 1], seen; [T, 3]."""
    aside = 2.0 * _ASIDE * rng.normal(size=(len(fact["way"]), 2)) / np.array([shape[2], shape[1]])
    return np.array(
        [
            (0.0, 0.0, 0.0) if at is None else (2.0 * at[1] - 1.0 + right, 2.0 * at[0] - 1.0 + down, 1.0)
            for at, (right, down) in zip(fact["way"], aside, strict=True)
        ]
    )


def rows_of(asked: Sequence[tuple[str, list[str]]], length: int) -> tuple[Tensor, Tensor]:
    """Write questions with their texts into rows of tokens, and say how much each next word counts."""
    words, weights = np.zeros((len(asked), length), np.int64), np.zeros((len(asked), length - 1), np.float32)
    longest = 0
    for row, (task, text) in enumerate(asked):
        question, answer = question_tokens(task), text.index("<answer>")
        tokens = [*question, *(TOKEN[word] for word in text)]
        if len(tokens) > length:
            raise ValueError(f"A text of {len(tokens)} words does not fit a net of {length}: {' '.join(text)}.")
        words[row, : len(tokens)] = tokens
        start = len(question)
        weights[row, start - 1 : len(tokens) - 1] = 1.0
        weights[row, start + answer : len(tokens) - 1] = _ANSWER_WEIGHT
        longest = max(longest, len(tokens))
    return torch.from_numpy(words[:, :longest]), torch.from_numpy(weights[:, : longest - 1])


__all__ = [
    "Batch",
    "cells_of",
    "cut",
    "light",
    "loss_of",
    "make_batch",
    "mirror",
    "readings_of",
    "rows_of",
    "shift",
    "spots_of",
    "still",
    "to_input",
    "turn_time",
    "vary",
]
