"""Learn how the consistency critic weighs what speaks for an invention: a regression on good and on planted clips.

``python tools/learn_evidence.py --clips 240`` plants inventions in those clips of tools/plant_faults.py on which bars
may be chosen (one scene in three), gathers what the check measures of every candidate, fits log odds that it shows
the fault, and prints them as they stand in critic/evidence.py. Five folds over the scenes tell what that is worth on
clips that the fit has not seen.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import warp as wp

from cosmos.bridge.calibrate.making import make_suite
from cosmos.bridge.calibrate.store import load_pair
from cosmos.bridge.calibrate.suite import plan_suite
from cosmos.bridge.critic.checks.colors import kept_share
from cosmos.bridge.critic.checks.inventions import InventionSweep
from cosmos.bridge.critic.evidence import EVIDENCE
from cosmos.bridge.critic.faults import Planted, Subject, plant
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.thresholds import THRESHOLDS
from cosmos.bridge.critic.truth import Truth, chunks
from cosmos.bridge.errors import PlantError
from cosmos.bridge.transfer.registry import create as create_transfer
from cosmos.bridge.types import TransferRequest, TransferResult
from learn_split import regress
from plant_faults import SIZE

LIMIT = 12.0
"""Beyond so much for or against, a candidate counts no more [nats]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One candidate."""

    fault: bool
    """Whether it is the planted fault."""
    frame: int
    """Frame it is seen in."""
    seen: Mapping[str, float]
    """What was measured of it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """Candidates of one clip, good or with a planted fault."""

    scene: str
    """Clips of one scene share it."""
    planted: bool
    """Whether the fault is there."""
    rows: tuple[Row, ...]
    """Candidates; of a planted clip, those that are not the fault are left out of the fit."""


def changed(subject: Subject, planted: Planted | None) -> np.ndarray:
    """Where a fault changed the picture visibly, bool [T, H, W]; nowhere in a good clip."""
    if planted is None:
        return np.zeros(subject.ids.shape, bool)
    difference: np.ndarray = np.abs(planted.result.rgb.numpy().astype(np.int16) - subject.rgb).max(axis=-1)
    return difference > 6


def inventions(
    request: TransferRequest, result: TransferResult, subject: Subject, planted: Planted | None
) -> Iterator[Row]:
    """Yield the strangest patch of every frame; the fault is where the picture was changed."""
    truth, where = Truth.of(request.clip), changed(subject, planted)
    sweep = InventionSweep(request.clip.num_frames, kept_share(request), THRESHOLDS, Limits())
    for chunk in chunks(request.clip, result.rgb, truth, Limits().chunk):
        sweep.add(chunk)
    for frame, (y, x), seen in sweep.seen:
        fault = bool(where[frame, max(0, y - 6) : y + 7, max(0, x - 6) : x + 7].mean() > 0.3)
        yield Row(fault=fault, frame=frame, seen=seen)


def of_clip(odds: Sequence[float]) -> float:
    """Log odds of a clip that something is invented, as the check takes them, of those of its candidates."""
    return median(odds)


def gather(clips: int, seeds: int, work: Path) -> list[Sample]:
    """Measure candidates of all tuning clips, good and with the fault planted ``seeds`` times."""
    plans = [plan for plan in plan_suite(clips) if plan.part == "tune"]
    made = make_suite(plans, work / "clips", create_transfer("embedded"), size=SIZE, device="cpu")
    samples = []
    for plan, path in made:
        request, result = load_pair(path)
        subject = Subject.of(request, result)
        samples.append(Sample(scene=plan.scene, planted=False, rows=tuple(inventions(request, result, subject, None))))
        for turn in range(seeds):
            try:
                planted = plant("invented", subject, seed=zlib.crc32(plan.name.encode()) + turn)
            except PlantError:
                break
            rows = tuple(inventions(request, planted.result, subject, planted))
            samples.append(Sample(scene=plan.scene, planted=True, rows=rows))
        print(plan.name, flush=True)
    return samples


def fit(columns: np.ndarray, faulty: np.ndarray) -> tuple[np.ndarray, float]:
    """Fit the log odds of a fault, without any preference for the kind that occurs more often.

    Args:
        columns: What was measured, float64, shape [K, N].
        faulty: bool, shape [K]; both kinds occur.

    Returns:
        Weights, shape [N], and offset.
    """
    base, *weights = regress(columns, ~faulty)
    return np.array(weights), float(base - np.log(faulty.sum() / (~faulty).sum()))


def table(samples: list[Sample], names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Stack the candidates to learn from: all of good clips, the fault itself of the others."""
    rows = [row for sample in samples for row in sample.rows if row.fault == sample.planted]
    return np.array([[row.seen[name] for name in names] for row in rows]), np.array([row.fault for row in rows])


def folds(samples: list[Sample], names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Log odds of each good and each planted clip, by weights learnt on the other four fifths of the scenes."""
    scenes = sorted({sample.scene for sample in samples})
    best: dict[bool, list[float]] = {False: [], True: []}
    for turn in range(5):
        mine = set(scenes[turn::5])
        weights, offset = fit(*table([sample for sample in samples if sample.scene not in mine], names))
        for sample in samples:
            if sample.scene in mine:
                odds = [float(np.dot(weights, [row.seen[name] for name in names])) + offset for row in sample.rows]
                best[sample.planted].append(of_clip(np.clip(odds, -LIMIT, LIMIT).tolist()))
    return np.array(best[False]), np.array(best[True])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--clips", type=int, default=240, help="clips of the suite, of which one scene in three is used"
    )
    parser.add_argument("--seeds", type=int, default=3, help="how often the fault is planted in each clip")
    parser.add_argument("--work", type=Path, default=Path("training/faults"), help="folder of the clips")
    args = parser.parse_args()
    wp.config.quiet = True
    samples = gather(args.clips, args.seeds, args.work)
    names = list(EVIDENCE["invented"].weights)
    good, bad = folds(samples, names)
    area = np.mean((bad[:, None] > good) + 0.5 * (bad[:, None] == good))
    found = ", ".join(f"{100 * np.mean(bad > bar):.1f} % above {bar:.2f}" for bar in np.sort(good)[::-1][:3])
    print(
        f"{len(good)} good clips, {len(bad)} planted; five folds: area under the ROC of clips {area:.4f}, found {found}"
    )
    weights, offset = fit(*table(samples, names))
    print({name: round(float(weight), 2) for name, weight in zip(names, weights, strict=True)}, round(offset, 2))


if __name__ == "__main__":
    main()
