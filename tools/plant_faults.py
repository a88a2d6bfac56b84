"""Publish what a critic finds: good clips of all our scenes, known faults planted in them, ROC curves and tables.

``python tools/plant_faults.py --clips 200`` makes the clips with the embedded model (once; any number of processes may
share the folder), asks the critic about each clip as it is and with each fault, puts the tables into docs/critic.md and
the curves into docs/images/critic_roc.svg. One scene in three is for choosing bars; only the others are published.
``--first 240`` begins with another clip of the same endless suite: for clips that nobody has looked at yet.
``--sheet FILE`` writes a picture of every fault beside the good frame instead, to be looked at.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import warp as wp

from cosmos.bridge.calibrate.making import make_suite
from cosmos.bridge.calibrate.plots import roc_svg
from cosmos.bridge.calibrate.store import load_pair
from cosmos.bridge.calibrate.suite import ClipPlan, plan_suite
from cosmos.bridge.calibrate.tables import by_check, by_size, summary
from cosmos.bridge.calibrate.trials import Trial, run_trials
from cosmos.bridge.critic.faults import FAULTS, Subject, plant
from cosmos.bridge.critic.registry import create as create_critic
from cosmos.bridge.errors import PlantError
from cosmos.bridge.transfer.registry import create as create_transfer
from publish import put_between

DOCS = Path(__file__).resolve().parents[1] / "exts" / "cosmos.bridge" / "docs"
SIZE = (144, 256)


def page(trials: Sequence[Trial], weights: str) -> str:
    """Return the section of docs/critic.md."""
    prove = [trial for trial in trials if trial.part == "prove"]
    return "\n\n".join(
        (
            f"Clips of {SIZE[1]}x{SIZE[0]} by the embedded model (weights {weights}), of scenes no bar was chosen on.",
            summary(prove, goals=True),
            "![ROC curves, a panel a fault](images/critic_roc.svg)",
            "Each check alone: what it rejects at its bar, and the area under its own ROC curve.",
            by_check(prove),
            "By size of the thing (pixels at that size of picture):",
            by_size(prove),
        )
    )


def sheet(clips: Sequence[tuple[ClipPlan, Path]], path: Path) -> None:
    """Draw each fault once: the good frame, the faulty one, and where they differ."""
    subjects = [(plan, Subject.of(*load_pair(file))) for plan, file in clips[:12]]
    rows = []
    for number, kind in enumerate(FAULTS):
        for plan, subject in subjects[number % len(subjects) :] + subjects:
            try:
                planted = plant(kind, subject, seed=number)
            except PlantError:
                continue
            frame = planted.frames[len(planted.frames) // 2]
            good, bad = subject.rgb[frame], planted.result.rgb.numpy()[frame]
            row = np.concatenate([good, bad, cv2.absdiff(good, bad)], axis=1)
            text = f"{kind}, frame {frame}, {planted.prim_path} in {plan.name}"
            cv2.putText(row, text, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 0), 1, cv2.LINE_AA)
            rows.append(row)
            break
    half = -(-len(rows) // 2)
    rows += [np.zeros_like(rows[0])] * (2 * half - len(rows))
    columns = [np.concatenate(rows[start : start + half]) for start in (0, half)]
    cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(columns, axis=1), cv2.COLOR_RGB2BGR))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=200, help="clips of the suite, those for choosing bars included")
    parser.add_argument("--first", type=int, default=0, help="number of the first of them, even: a scene has two clips")
    parser.add_argument("--critic", default="consistency", help="whom to ask")
    parser.add_argument("--faults", default=",".join(FAULTS), help="faults to plant, comma between")
    parser.add_argument("--all-strengths", action="store_true", help="plant weaker and stronger faults as well")
    parser.add_argument("--work", type=Path, default=Path("training/faults"), help="folder of clips and answers")
    parser.add_argument("--again", action="store_true", help="ask again what was answered before")
    parser.add_argument("--only-make", action="store_true", help="make the clips and stop")
    parser.add_argument("--sheet", type=Path, help="write a picture of the faults and stop")
    args = parser.parse_args()
    wp.config.quiet = True
    transfer = create_transfer("embedded")
    if args.first < 0 or args.first % 2:
        parser.error(f"--first takes an even number from 0 on, got {args.first}: two clips share a scene")
    plans = plan_suite(args.first + args.clips)[args.first :]
    clips = make_suite(plans, args.work / "clips", transfer, size=SIZE, device="cpu", tell=say)
    if args.sheet is not None:
        sheet(clips, args.sheet)
    if args.sheet is not None or args.only_make:
        return
    trials = run_trials(
        create_critic(args.critic), clips, args.work / "answers", faults=args.faults.split(","),
        all_strengths=args.all_strengths, again=args.again, tell=say,
    )  # fmt: skip
    put_between(DOCS / "critic.md", "faults", page(trials, transfer.spec.revision))
    prove = [trial for trial in trials if trial.part == "prove"]
    svg = roc_svg(prove, title=f"What the {args.critic} critic finds")
    (DOCS / "images" / "critic_roc.svg").write_text(svg, encoding="utf-8")


def say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
