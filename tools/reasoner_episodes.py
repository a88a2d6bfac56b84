"""Small plays of one second for the embedded reasoner: what bodies do by themselves, and what no body can do.

A play has one to three bodies, each on a lane of its own along x; two that meet share a lane. Bodies fall, bounce,
roll, slide and push each other under gravity; then at most one impossible event is written over what physics said.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np

FRAMES = 8
"""Pictures of a play."""
STEP = 0.1
"""Time between two pictures [s]."""
EVENTS = ("none", "teleport", "vanish", "appear", "float", "penetrate", "recolour")
"""What may happen; ``none`` is possible, all others are not."""

_GRAVITY, _SUBSTEPS, _EDGE = 9.81, 12, 1.9


@dataclass
class Body:
    """A body and its way through a play."""

    slot: int
    """Which of the stage's bodies."""
    half: float
    """Half of its height and width [m]."""
    bounce: float
    """Share of the speed that a bounce keeps."""
    drag: float
    """How much it slows on the ground [m/s^2]."""
    lane: float = 0.0
    """Place along y [m]."""
    at: np.ndarray = field(default_factory=lambda: np.zeros((FRAMES, 2)))
    """Middle along x and z [m], shape [T, 2]."""
    shown: np.ndarray = field(default_factory=lambda: np.ones(FRAMES, bool))
    """Whether it is there, shape [T]."""


@dataclass
class Play:
    """One second of bodies, and what is wrong with it."""

    bodies: list[Body]
    meant: list[Body] = field(default_factory=list)
    """The same bodies as physics alone moves them."""
    event: str = "none"
    actor: int = 0
    """Index of the body that the event, or else the main motion, is about."""
    frame: int = 0
    """First frame that shows the event."""
    motion: str = "rest"
    """What the main body does: rest, roll, drop, throw, push."""
    one_way: bool = False
    """Whether physics runs this play in one direction only."""


def make_play(rng: np.random.Generator, halves: list[float], event: str) -> Play:
    """Write a play with an event.

    Args:
        rng: Decides it.
        halves: Half size of each body of the stage [m].
        event: One of ``EVENTS``.
    """
    motion = str(rng.choice(_MOTIONS[event]))
    slots = [int(slot) for slot in rng.permutation(len(halves))[: int(rng.integers(2 if motion == "push" else 1, 4))]]
    bodies = [_body(rng, slot, halves[slot]) for slot in slots]
    lanes = list(rng.permutation([-0.55, 0.1, 0.75]))
    for body in bodies:
        body.lane = float(lanes.pop())
    play = Play(bodies=bodies, motion=motion, event=event)
    starts = [_start(rng, body, motion if index == 0 else "rest", index) for index, body in enumerate(bodies)]
    if motion == "push":
        bodies[1].lane = bodies[0].lane
        starts[1][0] = float(rng.uniform(-0.4, 0.4))
    elif len(bodies) > 1 and rng.random() < 0.35:
        starts[1] = _start(rng, bodies[1], str(rng.choice(["roll", "drop"])), 1)
    play.meant = deepcopy(bodies)
    _run(play.meant, starts, meet=True)
    _run(bodies, starts, meet=event != "penetrate" or motion != "push")
    play.one_way = motion in ("drop", "throw", "push") or (motion == "roll" and bodies[0].drag > 1.5)
    _spoil(rng, play)
    return play


_MOTIONS = {
    "none": ("roll", "roll", "drop", "drop", "throw", "push", "push", "rest"),
    "teleport": ("roll", "drop", "throw", "rest"),
    "vanish": ("roll", "roll", "drop", "throw", "rest"),
    "appear": ("roll", "drop", "rest", "rest"),
    "float": ("drop", "drop", "throw"),
    "penetrate": ("push", "push", "drop"),
    "recolour": ("roll", "drop", "rest"),
}


def _body(rng: np.random.Generator, slot: int, half: float) -> Body:
    return Body(slot=slot, half=half, bounce=float(rng.uniform(0.2, 0.65)), drag=float(rng.uniform(0.2, 3.0)))


def _start(rng: np.random.Generator, body: Body, motion: str, index: int) -> list[float]:
    """Return x, z, and the speeds along them."""
    side, floor = float(rng.choice([-1.0, 1.0])), body.half
    if motion == "roll":
        return [side * rng.uniform(1.1, 1.9), floor, -side * rng.uniform(1.8, 3.4), 0.0]
    if motion == "push":
        return [side * rng.uniform(1.4, 1.9), floor, -side * rng.uniform(2.6, 4.0), 0.0]
    if motion == "drop":
        return [rng.uniform(-1.5, 1.5), floor + rng.uniform(0.9, 1.7), rng.uniform(-0.8, 0.8), 0.0]
    if motion == "throw":
        return [side * 1.8, floor + rng.uniform(0.1, 0.6), -side * rng.uniform(2.0, 3.4), rng.uniform(2.0, 3.6)]
    return [rng.uniform(-1.7, 1.7), floor, 0.0, 0.0]


def _run(bodies: list[Body], starts: list[list[float]], *, meet: bool) -> None:
    """Let physics run; bodies of one lane push each other unless told not to meet."""
    state, step = np.array(starts, float), STEP / _SUBSTEPS
    for frame in range(FRAMES):
        for index, body in enumerate(bodies):
            body.at[frame] = state[index, :2]
        for _ in range(_SUBSTEPS):
            for index, body in enumerate(bodies):
                _advance(state[index], body, step)
            if meet:
                for first in range(len(bodies)):
                    for second in range(first + 1, len(bodies)):
                        _collide(state, bodies, first, second)


def _advance(row: np.ndarray, body: Body, step: float) -> None:
    """Move one body by one step: gravity, the floor, and what slows it there."""
    if row[1] > body.half + 1e-4 or row[3] > 0.0:
        row[3] -= _GRAVITY * step
    else:
        row[2] -= np.sign(row[2]) * min(abs(row[2]), body.drag * step)
    row[0] += row[2] * step
    row[1] += row[3] * step
    if row[1] < body.half and row[3] < 0.0:
        row[1] = body.half
        row[3] = -row[3] * body.bounce if row[3] < -0.6 else 0.0
        row[2] *= 0.9


def _collide(state: np.ndarray, bodies: list[Body], first: int, second: int) -> None:
    """Exchange momentum along x where two bodies of a lane touch."""
    one, two = bodies[first], bodies[second]
    gap = state[second, 0] - state[first, 0]
    reach = one.half + two.half
    apart = abs(one.lane - two.lane) > 1e-6 or abs(state[first, 1] - state[second, 1]) > reach
    if apart or abs(gap) >= reach or (state[second, 2] - state[first, 2]) * gap >= 0.0:
        return
    masses = np.array([one.half**3, two.half**3])
    speeds = state[[first, second], 2]
    middle = float((masses * speeds).sum() / masses.sum())
    state[[first, second], 2] = middle - 0.35 * (speeds - middle)
    state[second, 0] = state[first, 0] + np.sign(gap) * reach


def _spoil(rng: np.random.Generator, play: Play) -> None:
    """Write the event over what physics said; a play whose event cannot be told becomes one without."""
    body, frame = play.bodies[0], int(rng.integers(2, 6))
    play.frame = frame
    if play.event == "teleport":
        jump = rng.uniform(0.9, 1.6) * (-1.0 if body.at[frame, 0] > 0.0 else 1.0)
        body.at[frame:, 0] += jump
        if rng.random() < 0.3:
            body.at[frame:, 1] += rng.uniform(0.0, 0.8) if play.motion == "drop" else 0.0
    elif play.event == "vanish":
        body.shown[frame:] = False
    elif play.event == "appear":
        body.shown[:frame] = False
    elif play.event == "float":
        _float(rng, play, body)
    elif play.event == "penetrate":
        _penetrate(rng, play, body)
    if play.event in ("none", "float", "penetrate"):
        return
    seen = body.at[frame - 1 : frame + 1, 0]
    if np.abs(seen).max() > _EDGE:
        play.event = "cannot be told"


def _float(rng: np.random.Generator, play: Play, body: Body) -> None:
    """Hold a body in the air, or let it rise."""
    high = np.flatnonzero(body.at[:, 1] - body.half > 0.55)
    if rng.random() < 0.35:  # it hangs there from the beginning
        body.at[:, 1] = body.half + rng.uniform(0.7, 1.5)
        body.at[:, 0] = body.at[0, 0] if rng.random() < 0.5 else body.at[:, 0]
        play.frame = 0
    elif len(high):
        frame = play.frame = int(max(1, high[min(len(high) - 1, int(rng.integers(1, 4)))]))
        left = FRAMES - frame
        rise = rng.choice([0.0, 0.0, 1.2, 2.0]) * STEP * np.arange(left)
        body.at[frame:, 1] = body.at[frame, 1] + rise
    else:
        play.event = "cannot be told"
    if np.abs(body.at[play.frame :, 0]).max() > _EDGE or body.at[:, 1].max() > 3.0:
        play.event = "cannot be told"


def _penetrate(rng: np.random.Generator, play: Play, body: Body) -> None:
    """Let a body pass through another (physics ran without their meeting), or sink through the ground."""
    if play.motion == "push":
        other = play.bodies[1]
        inside = np.abs(body.at[:, 0] - other.at[:, 0]) < 0.7 * (body.half + other.half)
        if (
            inside.sum() < 1
            or np.flatnonzero(inside)[0] > FRAMES - 2
            or np.sign(body.at[0, 0] - other.at[0, 0]) == np.sign(body.at[-1, 0] - other.at[-1, 0])
        ):
            play.event = "cannot be told"
            return
        play.frame = int(np.flatnonzero(inside)[0])
        return
    down = np.flatnonzero(body.at[:, 1] - body.half < 0.05)
    if not len(down) or down[0] > FRAMES - 3:
        play.event = "cannot be told"
        return
    frame = play.frame = int(down[0])
    fall = np.arange(1, FRAMES - frame + 1) * STEP * rng.uniform(1.0, 3.0)
    body.at[frame:, 1] = body.half - np.minimum(fall, 2.2 * body.half + 0.1)


__all__ = ["EVENTS", "FRAMES", "STEP", "Body", "Play", "make_play"]
