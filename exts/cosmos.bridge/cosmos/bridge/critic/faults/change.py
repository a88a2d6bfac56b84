"""What planting a fault changes, and whether anybody could see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Optional

import numpy as np

from cosmos.bridge.critic.faults.subject import Subject, Thing
from cosmos.bridge.types import Clip, TransferResult

VISIBLE_LEVELS, VISIBLE_PIXELS = 12, 40
"""A planted fault must change at least so many pixels of a frame by at least so many levels."""
VISIBLE_MEAN = 10.0
"""Where a thing is gone, there twice or stands where it did not, so much must change on average [levels].

Sensors make noise of 2 to 3 levels and people tell 3 to 5 apart side by side: what changes less, as a thing in dense
fog or darkness does, cannot be seen.
"""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Change:
    """One way to plant a fault: new pictures, or new labels."""

    frames: tuple[int, ...]
    """Frames it touches."""
    rgb: Optional[np.ndarray] = None
    """New pictures, uint8 [T, H, W, 3]."""
    clip: Optional[Clip] = None
    """Clip with new labels."""
    things: tuple[Thing, ...] = ()
    """What it befalls; empty for whole pictures."""
    where: Optional[np.ndarray] = None
    """What the thing left or covers, bool [T, H, W], where all of it must change visibly."""
    levels: float = VISIBLE_LEVELS
    """By how much a pixel must change to count as changed [levels]; less for what shows by its rhythm."""


Planter = Callable[[Subject, np.random.Generator, float], Iterator[Change]]
"""Yields ways to plant a fault of a strength, in a random order; the first that can be seen is taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One kind of planted fault."""

    kind: str
    """Name, e.g. ``moved``."""
    told: str
    """What it does, in a few words with ``{strength}``."""
    unit: str
    """Unit of the strength; empty where there is none."""
    strengths: tuple[float, ...]
    """Strengths it is tried at; the first is the one that bars are set for."""
    plant: Planter
    """How."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Planted:
    """A clip with one known fault."""

    kind: str
    """Which fault."""
    clip: Clip
    """The clip; with other labels than the good one where the labels are the fault, else the same object."""
    result: TransferResult
    """The result; with other pictures than the good one where they are the fault."""
    frames: tuple[int, ...]
    """Frames it touches."""
    ids: tuple[int, ...]
    """Instance ids that it befalls; empty for whole pictures."""
    prim_path: str
    """Labelled prim that it befalls first; empty for whole pictures."""
    area: float
    """Pixels of that prim in a frame, on average; 0 for whole pictures."""
    strength: float
    """How strong, in the fault's unit."""


def seen(subject: Subject, change: Change) -> bool:
    """Whether the change can be seen in at least half of its frames (and in one at least).

    That is measured between the good picture and the faulty one alone; no critic has a say in it.
    """
    if change.rgb is None:
        return True
    counts, means = [], []
    for frame in change.frames:
        difference = np.abs(change.rgb[frame].astype(np.int16) - subject.rgb[frame]).max(axis=-1)
        counts.append(int((difference >= change.levels).sum()))
        if change.where is not None:
            means.append(float(difference[change.where[frame]].mean()) if change.where[frame].any() else 0.0)
    if not counts or np.median(counts) < VISIBLE_PIXELS:
        return False
    return not means or bool(np.median(means) >= VISIBLE_MEAN)


__all__ = ["VISIBLE_LEVELS", "VISIBLE_MEAN", "VISIBLE_PIXELS", "Change", "Fault", "Planted", "Planter", "seen"]
