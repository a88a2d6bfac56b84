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
from cosmos.models.reason_small.words import EVENTS, ORDERS, TOKEN, text_of

_ANSWER_WEIGHT = 4.0
"""How much more the words of an answer count than those of the thought."""
_NO_PLACE = -100


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
    seen, places, events, frames = [], [], [], []
    for clip, fact in zip(clips, facts, strict=True):
        clip, fact, tasks = vary(rng, clip, dict(fact))
        seen.append(clip)
        for number, task in enumerate(tasks):
            rows[number].append((task, text_of(task, fact)))
        asked = "physics" in tasks
        events.append((EVENTS.index(fact["event"]) + 1 if fact["event"] != "none" else 0) if asked else -100)
        frames.append(fact["frame"] if asked and fact["event"] != "none" else -100)
        places.append(
            cells_of(fact, clip.shape) if fact["bodies"] and "order" not in tasks else [_NO_PLACE] * len(clip)
        )
    words, weights = rows_of([*rows[0], *rows[1]], length)
    return Batch(
        clips=torch.from_numpy(np.ascontiguousarray(np.stack(seen).transpose(0, 1, 4, 2, 3))),
        words=words,
        weights=weights,
        event=torch.tensor(events),
        frame=torch.tensor(frames),
        place=torch.tensor(places),
    )


def vary(
    rng: np.random.Generator, clip: np.ndarray, fact: dict[str, Any]
) -> tuple[np.ndarray, dict[str, Any], tuple[str, str]]:
    """Draw what is asked of a clip, and change clip and fact to fit: mirrored, backwards, cut, in other light."""
    if rng.random() < 0.5:
        clip, fact = mirror(clip, fact)
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


def loss_of(net: ReasonNet, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """Return the loss and its parts."""
    seen = net.see(to_input(batch.clips))
    questions = len(batch.words) // len(batch.clips)
    scores = net.write(seen.tokens.repeat(questions, 1, 1), batch.words[:, :-1])
    each = functional.cross_entropy(scores.flatten(0, 1).float(), batch.words[:, 1:].flatten(), reduction="none")
    weights = batch.weights.flatten()
    words = (each * weights).sum() / weights.sum().clamp(min=1.0)
    event = _known(seen.event, batch.event)
    frame = _known(seen.frame, batch.frame)
    place = _known(seen.place.flatten(0, 1), batch.place.flatten())
    parts = {"words": words, "event": event, "frame": frame, "place": place}
    return words + 0.5 * event + 0.3 * frame + 0.3 * place, {name: float(part.detach()) for name, part in parts.items()}


def _known(scores: Tensor, target: Tensor) -> Tensor:
    """Cross entropy over the rows whose target is known."""
    rows = target != _NO_PLACE
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
    "rows_of",
    "to_input",
    "turn_time",
    "vary",
]
