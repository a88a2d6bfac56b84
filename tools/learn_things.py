"""Learn what tells a thing that stands and looks as its label says from one that does not, for ``critic/things.json``.

``python tools/learn_things.py --clips 3600`` makes the clips for choosing bars with the embedded model (those for
proving are left alone), takes things of each away, moves, scales and mirrors one, and fits the odds of each of these
(`boosting`) by all that is measured of those, and of all things of the good clips. It writes the odds, and prints, with
the scenes split into parts each of which is judged by what was learnt on the others, the share of each fault that lies
beyond the worst good clips. Processes that are started beside it with ``--only-look`` share the work.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import warp as wp

from boosting import fit_kinds
from cosmos.bridge.calibrate.making import make_suite
from cosmos.bridge.calibrate.roc import area_under
from cosmos.bridge.calibrate.store import load_pair
from cosmos.bridge.calibrate.suite import ClipPlan, plan_suite
from cosmos.bridge.critic.checks.boundaries import BoundarySweep
from cosmos.bridge.critic.checks.colors import kept_share
from cosmos.bridge.critic.checks.placement import PlacementSweep
from cosmos.bridge.critic.checks.prompt import drowns, snowed
from cosmos.bridge.critic.faults import Planted, Subject, plant
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.thresholds import THRESHOLDS
from cosmos.bridge.critic.trees import Learnt
from cosmos.bridge.critic.truth import Truth, chunks
from cosmos.bridge.errors import PlantError
from cosmos.bridge.transfer.registry import create as create_transfer
from cosmos.bridge.types import TransferRequest, TransferResult
from gathering import gather
from plant_faults import SIZE

FILE = Path(__file__).resolve().parents[1] / "exts/cosmos.bridge/cosmos/bridge/critic/things.json"
KINDS = {"removed": "gone", "moved": "displaced", "scaled": "resized", "mirrored": "mirrored"}
"""Fault -> what that means for the thing."""
TURNS = {"removed": 3}
"""Fault -> how often it is planted in a clip, where that is not once."""
LESS = {"mirrored": 1.0}
"""Kind -> what is taken off its log odds [nats]: good clips look most like it, lit from another side."""
PARTS = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One thing of one clip."""

    clip: str
    """Name of the clip."""
    scene: str
    """Clips of one scene share it."""
    fault: str
    """What befell it; empty for a thing of a good clip."""
    path: str
    """Path of the thing."""
    seen: dict[str, float]
    """What was measured of it."""


def look(request: TransferRequest, result: TransferResult) -> dict[str, dict[str, float]]:
    """Return what was measured of each thing of a clip, by path."""
    limits, truth = Limits(), Truth.of(request.clip)
    boundaries = BoundarySweep(truth, THRESHOLDS, limits, kept=kept_share(request), snowed=snowed(request, result))
    sweep = PlacementSweep(truth, boundaries, request.clip.num_frames, THRESHOLDS, limits, drowned=drowns(result))
    for chunk in chunks(request.clip, result.rgb, truth, limits.chunk):
        boundaries.add(chunk)
        sweep.add(chunk)
    return {truth.things[thing].prim_path: dict(row) for thing, row in sweep.measured().signs.items()}


def planted(subject: Subject, name: str, fault: str) -> Iterator[Planted]:
    """Plant a fault in a clip, each time in another thing."""
    known: set[tuple[int, ...]] = set()
    for turn in range(TURNS.get(fault, 1)):
        try:
            found = plant(fault, subject, seed=zlib.crc32(name.encode()) + 7919 * turn)
        except PlantError:
            return
        if found.ids not in known:
            known.add(found.ids)
            yield found


def examples(plan: ClipPlan, path: Path) -> Iterator[Example]:
    """Yield every thing of a good clip, and each that a fault befell."""
    request, result = load_pair(path)
    subject = Subject.of(request, result)
    for name, seen in look(request, result).items():
        yield Example(clip=plan.name, scene=plan.scene, fault="", path=name, seen=seen)
    for fault in KINDS:
        for one in planted(subject, plan.name, fault):
            found = look(request, replace(result, rgb=one.result.rgb))
            if one.prim_path in found:
                seen = found[one.prim_path]
                yield Example(clip=plan.name, scene=plan.scene, fault=fault, path=one.prim_path, seen=seen)


def learn(rows: Sequence[Example], reason: str) -> Learnt:
    """Fit the odds of each kind."""
    names, numbers = tuple(sorted(rows[0].seen)), {kind: i for i, kind in enumerate(KINDS.values(), start=1)}
    kind = np.array([numbers[KINDS[row.fault]] if row.fault else 0 for row in rows])
    learnt = fit_kinds(names, np.array([[row.seen[name] for name in names] for row in rows]), kind, numbers, reason)
    kinds = {
        name: (replace(line, offset=line.offset - LESS.get(name, 0.0)),
               replace(forest, offset=forest.offset - LESS.get(name, 0.0)))
        for name, (line, forest) in learnt.kinds.items()
    }  # fmt: skip
    return replace(learnt, kinds=kinds)


def table(rows: Sequence[Example]) -> str:
    """Tell how many of each fault lie beyond the worst good clips, judged by what was learnt on other scenes."""
    part = np.array([zlib.crc32(row.scene.encode()) % PARTS for row in rows])
    kept, placed = np.zeros(len(rows)), np.zeros(len(rows))
    for turn in range(PARTS):
        learnt = learn([row for row, of in zip(rows, part, strict=True) if of != turn], "")
        seen = [row.seen for row, of in zip(rows, part, strict=True) if of == turn]
        kept[part == turn] = learnt.log_odds("gone", seen)
        placed[part == turn] = learnt.any_odds(tuple(KINDS.values())[1:], seen)[0]
    clips, faults, lines = np.array([row.clip for row in rows]), np.array([row.fault for row in rows]), []
    for check, odds in (("instance_kept", kept), ("instance_placed", placed)):
        good = odds[faults == ""]
        order = np.argsort(clips[faults == ""], kind="stable")
        starts = np.flatnonzero(clips[faults == ""][order] != np.roll(clips[faults == ""][order], 1))
        worst = np.sort(np.maximum.reduceat(good[order], starts))[::-1]
        bars = [worst[min(len(worst) - 1, round(share * len(worst)))] for share in (0.0025, 0.005, 0.01)]
        lines.append(f"{check}: log odds that 0.25, 0.5 and 1 % of {len(worst)} good clips exceed: {np.round(bars, 2)}")
        for fault in KINDS:
            mine = odds[faults == fault]
            told = ", ".join(f"{np.mean(mine > bar):.1%}" for bar in bars)
            lines.append(f"  {fault:9s} {len(mine)} things: {told} beyond; area {area_under(worst, mine):.4f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=3600, help="clips of the suite; one scene in three is learnt from")
    parser.add_argument(
        "--work", type=Path, default=Path("training/faults"), help="folder of clips, and of what is seen"
    )
    parser.add_argument("--only-look", action="store_true", help="look at clips and stop")
    args = parser.parse_args()
    wp.config.quiet = True
    plans = [plan for plan in plan_suite(args.clips) if plan.part == "tune"]
    clips = make_suite(plans, args.work / "clips", create_transfer("embedded"), size=SIZE, device="cpu", tell=print)
    rows = gather(clips, args.work / "things", examples, Example)
    if args.only_look:
        return
    counts = ", ".join(f"{sum(row.fault == fault for row in rows)} {fault}" for fault in KINDS)
    good = sum(not row.fault for row in rows)
    told = f"{good} things of {len(clips)} good clips for choosing bars, and {counts}."
    reason = f"Learnt by tools/learn_things.py from {told}"
    print(reason)
    learn(rows, reason).save(FILE)
    print(table(rows))


if __name__ == "__main__":
    main()
