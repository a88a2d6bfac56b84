"""Learn what tells a thing that is seen a second time from a likeness by chance, for ``critic/twins.json``.

``python tools/learn_twins.py --clips 3600`` makes the clips for choosing bars with the embedded model (those for
proving are left alone), draws things of each a second time, and fits the odds that a place shows a thing again
(`boosting`) by all that the check measures of every place that it looks at. It writes the odds, and prints, with the
scenes split into parts each of which is judged by what was learnt on the others, the share of clips with a twin that
lies beyond the worst good ones. Processes that are started beside it with ``--only-look`` share the work.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import warp as wp

from boosting import fit_kinds
from cosmos.bridge.calibrate.making import make_suite
from cosmos.bridge.calibrate.roc import area_under
from cosmos.bridge.calibrate.store import load_pair
from cosmos.bridge.calibrate.suite import ClipPlan, plan_suite
from cosmos.bridge.critic.checks import twins
from cosmos.bridge.critic.checks.colors import kept_share
from cosmos.bridge.critic.checks.prompt import snowed
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

TURNS = 2
"""How often a twin is planted in each clip."""
PARTS = 6
SEARCHED = 2
"""Frames of a clip of the suite that are searched for twins."""
NEAR = 6.0
"""So far from the middle of what changed a place may be that shows the twin, across a thing [px]; along a long one a
fifth of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One place of one clip."""

    clip: str
    """Name of the clip, and of what was planted there."""
    scene: str
    """Clips of one scene share it."""
    planted: bool
    """Whether a twin is there; of such a clip, places that are not its own are left out of the fit."""
    fault: bool
    """Whether it shows the twin."""
    thing: int
    """Thing that may be seen again there."""
    frame: int
    """Frame."""
    seen: dict[str, float]
    """What was measured."""


def look(request: TransferRequest, result: TransferResult, planted: Planted | None) -> Iterator[dict[str, object]]:
    """Yield every place that is looked at where no place is left aside as unlikely; see `Row`."""
    truth = Truth.of(request.clip)
    changed = None
    if planted is not None:
        changed = np.abs(planted.result.rgb.numpy().astype(np.int16) - result.rgb.numpy()).max(axis=-1) > 6
        result = planted.result
    snow, count = snowed(request, result), request.clip.num_frames
    sweep = twins.TwinSweep(
        truth, kept_share(request), count, THRESHOLDS, Limits(), snowed=snow, weigh=lambda rows: [0.0] * len(rows)
    )
    for chunk in chunks(request.clip, result.rgb, truth, Limits().chunk):
        sweep.add(chunk)
    for thing, frame, seen in sweep.seen:
        own = planted is not None and planted.prim_path == truth.things[thing].prim_path
        fault = bool(own and changed is not None and _shows(changed[frame], seen.at))
        yield {"thing": thing, "frame": frame, "fault": fault, "seen": dict(seen.measured)}


def _shows(changed: np.ndarray, at: tuple[int, int]) -> bool:
    """Whether a place is where a frame changed, bool [H, W]."""
    there = np.argwhere(changed)
    if not len(there):
        return False
    first, last = there.min(axis=0), there.max(axis=0)
    off, size = np.abs(0.5 * (first + last) - at), last - first + 1
    return bool((off <= np.where(size >= 3 * size[::-1], np.maximum(NEAR, 0.2 * size), NEAR)).all())


def examples(plan: ClipPlan, path: Path) -> Iterator[Row]:
    """Yield every place of a good clip, and of each with a planted twin."""
    request, result = load_pair(path)
    subject = Subject.of(request, result)
    some: list[Planted | None] = [None]
    for turn in range(TURNS):
        try:
            some.append(plant("duplicated", subject, seed=zlib.crc32(plan.name.encode()) + turn))
        except PlantError:
            break
    for turn, planted in enumerate(some):
        found = list(look(request, result, planted))
        clip, there = f"{plan.name}.{turn}", planted is not None
        for row in found or [{"thing": 0, "frame": 0, "fault": False, "seen": {}}]:
            yield Row(clip=clip, scene=plan.scene, planted=there, **row)  # type: ignore[arg-type]


def learn(rows: Sequence[Row], reason: str) -> Learnt:
    """Fit the odds: every place of good clips against those that show the twin of the others."""
    rows = [row for row in rows if row.seen and row.fault == row.planted]
    names = tuple(sorted(rows[0].seen))
    seen = np.array([[row.seen[name] for name in names] for row in rows])
    return fit_kinds(names, seen, np.array([int(row.fault) for row in rows]), {"duplicated": 1}, reason)


def of_clips(rows: Sequence[Row], odds: Sequence[float]) -> dict[str, tuple[bool, float]]:
    """Return whether a twin was planted in each clip, and its log odds as the check takes them."""
    best: dict[str, dict[int, dict[int, float]]] = {row.clip: {} for row in rows}
    for row, value in zip(rows, odds, strict=True):
        if row.seen:
            frames = best[row.clip].setdefault(row.thing, {})
            frames[row.frame] = max(value, frames.get(row.frame, -np.inf))
    values = {
        clip: max((twins.clearest(list(frames.values()), SEARCHED) for frames in things.values()), default=-np.inf)
        for clip, things in best.items()
    }
    return {row.clip: (row.planted, max(values[row.clip], -twins.LIMIT)) for row in rows}


def judged(rows: Sequence[Row]) -> np.ndarray:
    """Log odds of each place by what was learnt on the other scenes."""
    part, odds = np.array([zlib.crc32(row.scene.encode()) % PARTS for row in rows]), np.full(len(rows), -twins.LIMIT)
    known = np.array([bool(row.seen) for row in rows])
    for turn in range(PARTS):
        mine = known & (part == turn)
        if mine.any():
            learnt = learn([row for row, of in zip(rows, part, strict=True) if of != turn], "")
            seen = [row.seen for row, of in zip(rows, mine, strict=True) if of]
            odds[mine] = np.clip(learnt.log_odds("duplicated", list(seen)), -twins.LIMIT, twins.LIMIT)
    return odds


def table(rows: Sequence[Row], odds: Sequence[float]) -> str:
    """Tell how many clips with a twin lie beyond the worst good ones."""
    clips = of_clips(rows, odds).values()
    good, bad = (np.array([value for planted, value in clips if planted == which]) for which in (False, True))
    bars = np.sort(good)[::-1]
    shares = ", ".join(f"{100 * np.mean(bad > bars[k]):.1f} % above {bars[k]:.2f} ({k})" for k in (1, 3, 6, 12))
    return f"{len(good)} good clips, {len(bad)} with a twin: area {area_under(good, bad):.4f}; found {shares}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--clips", type=int, default=3600, help="clips of the suite, of which one scene in three is used"
    )
    parser.add_argument("--work", type=Path, default=Path("training/faults"), help="folder of the clips")
    parser.add_argument("--only-look", action="store_true", help="share the work of a run that learns")
    args = parser.parse_args()
    wp.config.quiet = True
    plans = [plan for plan in plan_suite(args.clips) if plan.part == "tune"]
    made = make_suite(plans, args.work / "clips", create_transfer("embedded"), size=SIZE, device="cpu")
    rows = gather(list(made), args.work / "twins", examples, Row)
    if args.only_look:
        return
    print(table(rows, judged(rows).tolist()))
    used = [row for row in rows if row.seen and row.fault == row.planted]
    reason = (
        f"Learnt by tools/learn_twins.py --clips {args.clips} from {sum(not row.fault for row in used)} places of "
        f"{len({row.clip for row in rows if not row.planted})} good clips for choosing bars, and from "
        f"{sum(row.fault for row in used)} of planted twins."
    )
    learn(rows, reason).save(twins.FILE)


if __name__ == "__main__":
    main()
