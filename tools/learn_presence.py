"""Learn what tells a thing that is there from one that was taken away, for ``critic/evidence.py``.

``python tools/learn_presence.py --clips 720`` makes the clips for choosing bars with the embedded model (those for
proving are left alone), takes every thing that is seen well out of them, one at a time, and fits a logistic regression
of what outlines and colours say of it against what they say of all things of the good clips. It prints the weights,
and, with the scenes split into eight parts each of which is judged by weights learnt on the others, how many things
that are gone fall below each bar beside how many good clips do.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

import numpy as np
import warp as wp

from cosmos.bridge.calibrate.making import make_suite
from cosmos.bridge.calibrate.store import load_pair
from cosmos.bridge.calibrate.suite import ClipPlan, plan_suite
from cosmos.bridge.critic.checks.boundaries import BoundarySweep
from cosmos.bridge.critic.checks.colors import kept_share
from cosmos.bridge.critic.checks.kept import Presence, presences
from cosmos.bridge.critic.checks.outlines import leads_of
from cosmos.bridge.critic.checks.prompt import snowed
from cosmos.bridge.critic.faults import Subject
from cosmos.bridge.critic.faults.change import seen
from cosmos.bridge.critic.faults.things import removed
from cosmos.bridge.critic.thresholds import THRESHOLDS, Limits
from cosmos.bridge.critic.truth import Truth, chunks
from cosmos.bridge.transfer.registry import create as create_transfer
from cosmos.bridge.types import TransferRequest, TransferResult

PARTS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One thing of one clip."""

    clip: str
    """Name of the clip."""
    scene: str
    """Clips of one scene share it."""
    gone: bool
    """Whether it was taken away."""
    features: tuple[float, float, float]
    """Structure, that of the others, and outline."""


def look(request: TransferRequest, result: TransferResult, truth: Truth) -> dict[str, Presence]:
    """Return what speaks for each thing of a clip, by path."""
    limits = Limits()
    sweep = BoundarySweep(truth, THRESHOLDS, limits, kept=kept_share(request), snowed=snowed(request, result))
    for chunk in chunks(request.clip, result.rgb, truth, limits.chunk):
        sweep.add(chunk)
    outlines, sights = sweep.seen()
    if outlines is None:
        return {}
    found = presences(sights, leads_of(outlines, truth, limits), limits)
    return {truth.things[owner].prim_path: presence for owner, presence in found.items()}


def examples(plan: ClipPlan, path: Path, most: int) -> Iterator[Example]:
    """Yield every thing of a good clip, and up to ``most`` that were taken away, one at a time."""
    request, result = load_pair(path)
    truth = Truth.of(request.clip)

    def example(presence: Presence, gone: bool) -> Example:
        features = presence.structure, presence.others, presence.outline
        return Example(clip=plan.name, scene=plan.scene, gone=gone, features=features)

    yield from (example(presence, False) for presence in look(request, result, truth).values())
    subject = Subject.of(request, result)
    rng = np.random.default_rng(zlib.crc32(plan.name.encode()))
    changes = (change for change in removed(subject, rng, 1.0) if seen(subject, change))
    for _, change in zip(range(most), changes, strict=False):
        if change.rgb is None:
            continue
        pixels = wp.array(np.ascontiguousarray(change.rgb), dtype=wp.uint8, device="cpu")
        presence = look(request, replace(result, rgb=pixels), truth).get(change.things[0].path)
        if presence is not None:
            yield example(presence, True)


def regress(
    features: np.ndarray,
    gone: np.ndarray,
    *,
    counts: Optional[np.ndarray] = None,
    ridge: float = 1.0,
    rounds: int = 40,
) -> np.ndarray:
    """Fit the log of the odds of being there by Newton's method; returns base and weights, shape [1 + N].

    Args:
        features: float64, shape [K, N].
        gone: Whether each was taken away, bool, shape [K]; both kinds occur.
        counts: How much each counts, float64, shape [K]; ``None`` is 1.
        ridge: Draws the weights of standardised features to 0.
        rounds: Steps of the method.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    columns = np.column_stack([np.ones(len(features)), (features - mean) / spread])
    there, draw = (~gone).astype(np.float64), ridge * np.eye(columns.shape[1])
    draw[0, 0] = 1e-6
    weights, counts = np.zeros(columns.shape[1]), np.ones(len(gone)) if counts is None else counts
    for _ in range(rounds):
        chance = 1.0 / (1.0 + np.exp(-np.clip(columns @ weights, -30.0, 30.0)))
        slope = columns.T @ (counts * (chance - there)) + draw @ weights
        bend = (columns * (counts * chance * (1.0 - chance))[:, None]).T @ columns + draw
        weights = weights - np.linalg.solve(bend, slope)
    scaled = weights[1:] / spread
    return np.concatenate([[weights[0] - float(scaled @ mean)], scaled])


def table(rows: Sequence[Example]) -> str:
    """Tell, at several bars, how many things that are gone and how many good clips fall below."""
    features, gone = np.array([row.features for row in rows]), np.array([row.gone for row in rows])
    scenes = {scene: turn % PARTS for turn, scene in enumerate(dict.fromkeys(row.scene for row in rows))}
    part = np.array([scenes[row.scene] for row in rows])
    evidence = np.zeros(len(rows))
    for turn in range(PARTS):
        if (part == turn).any():
            weights = regress(features[part != turn], gone[part != turn])
            evidence[part == turn] = weights[0] + features[part == turn] @ weights[1:]
    clips = np.array([row.clip for row in rows])
    worst = [evidence[(clips == clip) & ~gone].min() for clip in dict.fromkeys(clips[~gone].tolist())]
    lines = ["bar [nats]  gone found  good clips below (before haze is thought of)"]
    for bar in (-1.5, -1.0, -0.8, -0.6, -0.4, 0.0):
        lines.append(f"{bar:10.1f} {(evidence[gone] < bar).mean():10.1%} {np.mean(np.array(worst) < bar):10.1%}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=720, help="clips of the suite; one scene in three is learnt from")
    parser.add_argument("--most", type=int, default=6, help="things that are taken out of a clip, at most")
    parser.add_argument("--work", type=Path, default=Path("training/faults"), help="folder of clips")
    args = parser.parse_args()
    wp.config.quiet = True
    plans = [plan for plan in plan_suite(args.clips) if plan.part == "tune"]
    clips = make_suite(plans, args.work / "clips", create_transfer("embedded"), device="cpu", tell=print)
    rows = [row for plan, path in clips for row in examples(plan, path, args.most)]
    weights = regress(np.array([row.features for row in rows]), np.array([row.gone for row in rows]))
    there, gone = (sum(row.gone == kind for row in rows) for kind in (False, True))
    print(f"{there} things that are there, {gone} that are gone, of {len(clips)} clips")
    print(dict(zip(("base", "structure", "others", "outline"), np.round(weights, 2).tolist(), strict=True)))
    print(table(rows))


if __name__ == "__main__":
    main()
