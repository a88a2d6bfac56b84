"""Learn what tells a thing that stands and looks as its label says from one that does not, for ``critic/evidence.py``.

``python tools/learn_placement.py --clips 2400`` makes the clips for choosing bars with the embedded model (those for
proving are left alone), moves, scales and mirrors a thing of each, takes one away, and fits a multinomial
logistic regression of what structure, outlines and patterns say of those against what they say of all things of the
good clips. It prints the weights, and, with the scenes split into parts each of which is judged by weights learnt on
the others, the share of each fault that lies beyond the worst good clips.
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
from cosmos.bridge.calibrate.roc import area_under
from cosmos.bridge.calibrate.store import load_pair
from cosmos.bridge.calibrate.suite import ClipPlan, plan_suite
from cosmos.bridge.critic.checks.boundaries import BoundarySweep
from cosmos.bridge.critic.checks.colors import kept_share
from cosmos.bridge.critic.checks.placement import PlacementSweep
from cosmos.bridge.critic.checks.prompt import snowed
from cosmos.bridge.critic.evidence import PLACED
from cosmos.bridge.critic.faults import Subject, plant
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.thresholds import THRESHOLDS
from cosmos.bridge.critic.truth import Truth, chunks
from cosmos.bridge.errors import PlantError
from cosmos.bridge.transfer.registry import create as create_transfer
from cosmos.bridge.types import TransferRequest, TransferResult
from learn_presence import PARTS

CHECK = "instance_placed"
KINDS = {"removed": "gone", "moved": "displaced", "scaled": "resized", "mirrored": "mirrored"}
"""Fault -> what that means for the thing, as named in `PLACED`."""
COUNTS = {"scaled": 0.3, "mirrored": 0.1}
"""Fault -> how much one counts, where that is not 1: good clips look most like these, which are rarer."""
NAMES = tuple(PLACED["gone"].weights)
"""What is measured of a thing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One thing of one clip."""

    clip: str
    """Name of the clip."""
    scene: str
    """Clips of one scene share it."""
    fault: str
    """What befell it; empty for a thing of a good clip."""
    seen: tuple[float, ...]
    """What was measured of it, in the order of the weights."""


def look(request: TransferRequest, result: TransferResult) -> dict[str, tuple[float, ...]]:
    """Return what was measured of each thing of a clip, by path."""
    limits, truth = Limits(), Truth.of(request.clip)
    boundaries = BoundarySweep(truth, THRESHOLDS, limits, kept=kept_share(request), snowed=snowed(request, result))
    sweep = PlacementSweep(truth, boundaries, request.clip.num_frames, THRESHOLDS, limits)
    for chunk in chunks(request.clip, result.rgb, truth, limits.chunk):
        boundaries.add(chunk)
        sweep.add(chunk)
    return {
        truth.things[thing].prim_path: tuple(row[name] for name in NAMES)
        for thing, (row, _) in sweep.measured().items()
    }


def examples(plan: ClipPlan, path: Path, seeds: int) -> Iterator[Example]:
    """Yield every thing of a good clip, and each that a fault befell."""
    request, result = load_pair(path)
    subject = Subject.of(request, result)
    for seen in look(request, result).values():
        yield Example(clip=plan.name, scene=plan.scene, fault="", seen=seen)
    for fault in KINDS:
        known: set[tuple[int, ...]] = set()
        for turn in range(seeds):
            try:
                planted = plant(fault, subject, seed=zlib.crc32(plan.name.encode()) + 7919 * turn)
            except PlantError:
                break
            if planted.ids in known:
                continue
            known.add(planted.ids)
            found = look(request, replace(result, rgb=planted.result.rgb))
            names = {request.clip.instances[key].owner or request.clip.instances[key].prim_path for key in planted.ids}
            for name in sorted(names & set(found)):
                yield Example(clip=plan.name, scene=plan.scene, fault=fault, seen=found[name])


def fit(rows: Sequence[Example]) -> np.ndarray:
    """Offset and weights of the log odds of each kind of fault against none, shape [K, 1 + N]."""
    kinds = list(PLACED)
    return regress_kinds(
        np.array([row.seen for row in rows]),
        np.array([1 + kinds.index(KINDS[row.fault]) if row.fault else 0 for row in rows]),
        np.array([COUNTS.get(row.fault, 1.0) for row in rows]),
    )


def regress_kinds(features: np.ndarray, kind: np.ndarray, counts: np.ndarray, *, ridge: float = 1.0) -> np.ndarray:
    """Fit a multinomial logistic regression by Newton's method; returns offsets and weights, shape [K, 1 + N].

    Args:
        features: float64, shape [M, N].
        kind: What each is, 0 to K, shape [M]; all of them occur.
        counts: How much each counts, shape [M].
        ridge: Draws the weights of standardised features to 0.
    """
    mean, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    columns = np.column_stack([np.ones(len(features)), (features - mean) / spread])
    size, kinds = columns.shape[1], int(kind.max())
    draw = np.kron(np.eye(kinds), np.diag([1e-6] + [ridge] * (size - 1)))
    weights = np.zeros(kinds * size)
    for _ in range(40):
        odds = np.exp(np.clip(columns @ weights.reshape(kinds, size).T, -30.0, 30.0))
        chance = odds / (1.0 + odds.sum(axis=1, keepdims=True))
        off = counts[:, None] * (chance - (kind[:, None] == np.arange(1, kinds + 1)))
        bend = draw.copy()
        for i, j in np.ndindex(kinds, kinds):
            shared = counts * chance[:, i] * ((i == j) - chance[:, j])
            bend[i * size : (i + 1) * size, j * size : (j + 1) * size] += (columns * shared[:, None]).T @ columns
        weights = weights - 0.9 * np.linalg.solve(bend, (off.T @ columns).ravel() + draw @ weights)
    scaled = weights.reshape(kinds, size)[:, 1:] / spread
    return np.column_stack([weights.reshape(kinds, size)[:, 0] - scaled @ mean, scaled])


def table(rows: Sequence[Example]) -> str:
    """Tell how many of each fault lie beyond the worst good clips, judged by weights learnt on other scenes."""
    scenes = {scene: turn % PARTS for turn, scene in enumerate(dict.fromkeys(row.scene for row in rows))}
    part, seen = np.array([scenes[row.scene] for row in rows]), np.array([row.seen for row in rows])
    odds = np.zeros(len(rows))
    for turn in range(PARTS):
        weights = fit([row for row in rows if scenes[row.scene] != turn])
        odds[part == turn] = np.log(np.exp(weights[:, 0] + seen[part == turn] @ weights[:, 1:].T).sum(axis=1))
    clips, faults = np.array([row.clip for row in rows]), np.array([row.fault for row in rows])
    worst = np.sort([odds[(clips == clip) & (faults == "")].max() for clip in dict.fromkeys(clips[faults == ""])])[::-1]
    bars = (worst[0], worst[1], THRESHOLDS[CHECK].value)
    lines = [f"worst good clips of {len(worst)}: {', '.join(f'{value:.2f}' for value in worst[:5])}"]
    for fault in KINDS:
        mine = odds[faults == fault]
        told = ", ".join(f"{np.mean(mine > bar):.1%} above {bar:.2f}" for bar in bars)
        lines.append(f"{fault:9s} {len(mine)} things: {told}; area {area_under(worst, mine):.4f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=720, help="clips of the suite; one scene in three is learnt from")
    parser.add_argument("--seeds", type=int, default=1, help="how often each fault is planted in a clip")
    parser.add_argument("--work", type=Path, default=Path("training/faults"), help="folder of clips")
    args = parser.parse_args()
    wp.config.quiet = True
    plans = [plan for plan in plan_suite(args.clips) if plan.part == "tune"]
    clips = make_suite(plans, args.work / "clips", create_transfer("embedded"), device="cpu", tell=print)
    rows = [row for plan, path in clips for row in examples(plan, path, args.seeds)]
    print(f"{sum(not row.fault for row in rows)} things in place, {sum(bool(row.fault) for row in rows)} not")
    for kind, weights in zip(PLACED, np.round(fit(rows), 2).tolist(), strict=True):
        print(kind, {"offset": weights[0], **dict(zip(NAMES, weights[1:], strict=True))})
    print(table(rows))


if __name__ == "__main__":
    main()
