"""Learn what tells a thing that is cut in two from one that is whole, for ``critic/evidence.py``.

``python tools/learn_split.py --clips 720`` makes the clips for choosing bars with the embedded model (those for proving
are left alone), cuts every thing that is seen well in two, one at a time, and fits a logistic regression of what its
bands say against what the most suspect bands of all things of the good clips say. It prints the weights, and, with the
scenes split into eight parts each of which is judged by weights learnt on the others, how many faults lie beyond each
bar beside how many good clips do. Where a thing is most likely cut is chosen by the weights as they are: put the new
ones in and learn again until they stay.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import warp as wp

from cosmos.bridge.calibrate.making import make_suite
from cosmos.bridge.calibrate.store import load_pair
from cosmos.bridge.calibrate.suite import ClipPlan, plan_suite
from cosmos.bridge.critic.checks.boundaries import BoundarySweep
from cosmos.bridge.critic.checks.colors import kept_share
from cosmos.bridge.critic.checks.prompt import snowed
from cosmos.bridge.critic.checks.split import cut_of, well_seen
from cosmos.bridge.critic.faults import Subject
from cosmos.bridge.critic.faults.change import seen
from cosmos.bridge.critic.faults.things import split
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.thresholds import THRESHOLDS
from cosmos.bridge.critic.truth import Truth, chunks
from cosmos.bridge.transfer.registry import create as create_transfer
from cosmos.bridge.types import TransferRequest, TransferResult

PARTS = 8
NAMES = ("band", "ends", "steep")
"""Names of the weights."""
STRENGTH = 0.3
"""Share of a thing that is cut out of it."""
BARS = (3.5, 3.0, 2.7, 2.4, 2.0)
"""Bars that are looked at [nats]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One thing of one clip."""

    clip: str
    """Name of the clip."""
    scene: str
    """Clips of one scene share it."""
    faulty: bool
    """Whether it was cut."""
    features: tuple[float, ...]
    """What speaks for its being cut, in the order of ``NAMES``."""


def look(request: TransferRequest, result: TransferResult, truth: Truth) -> dict[str, tuple[float, ...]]:
    """Return the features of each thing of a clip, by path."""
    limits = Limits()
    sweep = BoundarySweep(truth, THRESHOLDS, limits, kept=kept_share(request), snowed=snowed(request, result))
    for chunk in chunks(request.clip, result.rgb, truth, limits.chunk):
        sweep.add(chunk)
    _, sights = sweep.seen()
    cuts = {owner: cut_of(sight, limits) for owner, sight in sights.items() if well_seen(sight, limits)}
    return {
        truth.things[owner].prim_path: tuple(getattr(cut, weight) for weight in NAMES)
        for owner, cut in cuts.items()
        if cut is not None
    }


def examples(plan: ClipPlan, path: Path, most: int) -> Iterator[Example]:
    """Yield every thing of a good clip, and up to ``most`` that are cut, one at a time."""
    request, result = load_pair(path)
    truth = Truth.of(request.clip)
    for features in look(request, result, truth).values():
        yield Example(clip=plan.name, scene=plan.scene, faulty=False, features=features)
    subject = Subject.of(request, result)
    rng = np.random.default_rng(zlib.crc32(plan.name.encode()))
    changes = (change for change in split(subject, rng, STRENGTH) if seen(subject, change))
    for _, change in zip(range(most), changes, strict=False):
        if change.rgb is None:
            continue
        pixels = wp.array(np.ascontiguousarray(change.rgb), dtype=wp.uint8, device="cpu")
        found = look(request, replace(result, rgb=pixels), truth).get(change.things[0].path)
        if found is not None:
            yield Example(clip=plan.name, scene=plan.scene, faulty=True, features=found)


def regress(
    features: np.ndarray,
    good: np.ndarray,
    *,
    ridge: float = 1.0,
    rounds: int = 40,
) -> np.ndarray:
    """Fit the log of the odds of a fault by Newton's method; returns base and weights, shape [1 + N].

    Args:
        features: float64, shape [K, N].
        good: Whether each shows no fault, bool, shape [K]; both kinds occur.
        ridge: Draws the weights of standardised features to 0.
        rounds: Steps of the method.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    columns = np.column_stack([np.ones(len(features)), (features - mean) / spread])
    faulty, draw = (~good).astype(np.float64), ridge * np.eye(columns.shape[1])
    draw[0, 0] = 1e-6
    weights = np.zeros(columns.shape[1])
    for _ in range(rounds):
        chance = 1.0 / (1.0 + np.exp(-np.clip(columns @ weights, -30.0, 30.0)))
        slope = columns.T @ (chance - faulty) + draw @ weights
        bend = (columns * (chance * (1.0 - chance))[:, None]).T @ columns + draw
        weights = weights - np.linalg.solve(bend, slope)
    scaled = weights[1:] / spread
    return np.concatenate([[weights[0] - float(scaled @ mean)], scaled])


def table(rows: Sequence[Example]) -> str:
    """Tell, at several bars, how many faults and how many good clips lie beyond."""
    features, faulty = np.array([row.features for row in rows]), np.array([row.faulty for row in rows])
    scenes = {scene: turn % PARTS for turn, scene in enumerate(dict.fromkeys(row.scene for row in rows))}
    part = np.array([scenes[row.scene] for row in rows])
    evidence = np.zeros(len(rows))
    for turn in range(PARTS):
        if (part == turn).any():
            weights = regress(features[part != turn], ~faulty[part != turn])
            evidence[part == turn] = weights[0] + features[part == turn] @ weights[1:]
    clips = np.array([row.clip for row in rows])
    worst = [evidence[(clips == clip) & ~faulty].max() for clip in dict.fromkeys(clips[~faulty].tolist())]
    lines = ["bar [nats]     faults found  good clips beyond (before haze is thought of)"]
    for bar in BARS:
        lines.append(f"{bar:10.1f} {(evidence[faulty] > bar).mean():10.1%} {np.mean(np.array(worst) > bar):10.1%}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=720, help="clips of the suite; one scene in three is learnt from")
    parser.add_argument("--most", type=int, default=6, help="faults that are planted in a clip, at most")
    parser.add_argument("--work", type=Path, default=Path("training/faults"), help="folder of clips")
    args = parser.parse_args()
    wp.config.quiet = True
    plans = [plan for plan in plan_suite(args.clips) if plan.part == "tune"]
    clips = make_suite(plans, args.work / "clips", create_transfer("embedded"), device="cpu", tell=print)
    rows = [row for plan, path in clips for row in examples(plan, path, args.most)]
    weights = regress(np.array([row.features for row in rows]), ~np.array([row.faulty for row in rows]))
    good, faulty = (sum(row.faulty == kind for row in rows) for kind in (False, True))
    print(f"{good} good things, {faulty} that are cut, of {len(clips)} clips")
    print(dict(zip(("base", *NAMES), np.round(weights, 2).tolist(), strict=True)))
    print(table(rows))


if __name__ == "__main__":
    main()
