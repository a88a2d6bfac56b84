"""What steps are worth: ``python tools/ablate_steps.py --scenes 4`` paints held-out stages in 1, 2, 4, 8 and 16 steps.

Each row of the table is a net at a number of steps: the net that was trained to paint at once, the teacher, and the
student that learnt to paint at once what the teacher paints in several steps. Targets are path-traced; those of an
earlier call are taken from ``--targets``, and what was measured of the same weights from ``ablation.json``. The time is
the processor's for a frame of a whole transfer of the first stage, torch on one thread. Writes ``ablation.json`` beside
the teacher's weights, and the table into its model card and the documentation.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253

from condition_judge import ConditionJudge
from cosmos.bridge import scenes
from cosmos.bridge.bridge import default_weights
from cosmos.bridge.controls import derive_controls
from cosmos.bridge.sources import StageSource, read_clip
from cosmos.bridge.transfer.embedded import EmbeddedOptions, EmbeddedTransfer
from cosmos.bridge.types import TransferRequest
from cosmos.models.embedded.sampling import EmbeddedModel, load_embedded
from evaluate_transfer import FRAMES, put_into_card
from transfer_checks import GIVEN
from transfer_conditions import CONDITIONS
from transfer_metrics import edge_f1, motion_residual, psnr, ssim
from transfer_samples import Sample, Stage, opened, paint, sample_of

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "models" / "weights"
DOCUMENT = ROOT / "exts" / "cosmos.bridge" / "docs" / "steps.md"
COUNTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A net at a number of steps."""

    name: str
    folder: Path
    steps: int
    lit: bool = True
    """Whether the stage is asked for its light, as none can be behind an mp4."""


def rows_of(direct: Path, teacher: Path, student: Path | None) -> list[Row]:
    """Return what is compared."""
    rows = []
    for lit, more in ((True, ""), (False, ", no stage to ask")):
        rows.append(Row(name=f"trained to paint at once{more}", folder=direct, steps=1, lit=lit))
        counts = COUNTS if lit else COUNTS[:-1]
        rows += [Row(name=f"teacher{more}", folder=teacher, steps=steps, lit=lit) for steps in counts]
        if student is not None:
            rows.append(Row(name=f"student, distilled{more}", folder=student, steps=1, lit=lit))
    return rows


def measure(model: EmbeddedModel, judge: ConditionJudge, sample: Sample, row: Row) -> dict[str, float]:
    """Return every metric of a sample as a row paints it."""
    conditions = CONDITIONS[sample.condition]
    out, other = (paint(model, sample, conditions, GIVEN, maps=row.lit, steps=row.steps, seed=seed) for seed in (0, 1))
    ids, motion, frame = sample.clip.instance_ids.numpy(), sample.clip.motion.numpy(), sample.clip.rgb.numpy()[0]
    residual, wanted = (
        np.mean([motion_residual(p[t], p[t - 1], motion[t], (ids[t], ids[t - 1])) for t in range(1, FRAMES)])
        for p in (out, sample.target)
    )
    return {
        "psnr": float(np.mean([psnr(a, b) for a, b in zip(out, sample.target, strict=True)])),
        "ssim": float(np.mean([ssim(a, b) for a, b in zip(out, sample.target, strict=True)])),
        "edge_f1": edge_f1(out[0], sample.target[0], 1),
        "distance": judge.distance(frame, out[0], sample.target[0]),
        "residual": float(residual),
        "residual_target": float(wanted),
        "apart": judge.distance(frame, out[0], other[0]),
        "spread": float((out[0].astype(float) - other[0]).std() / np.sqrt(2.0) / 255.0),
    }


def seconds_of(rows: list[Row], scene: int, size: tuple[int, int]) -> list[float]:
    """Return the processor time of a frame of each row's transfer [s]: light maps, hints, net and last pass.

    Rows take turns, and the least of three counts.
    """
    source = StageSource(scenes.random(scene, num_frames=8), frames=range(FRAMES), size=size, device="cpu")
    clip = read_clip(source)
    source.close()
    weights = default_weights(clip)
    asked = TransferRequest(
        clip=clip, controls=derive_controls(clip, kinds=weights.kinds), weights=weights, prompt="overcast"
    )
    models = {row.folder: EmbeddedTransfer(EmbeddedOptions(weights=str(row.folder))) for row in rows}
    for model in models.values():
        model.load("cpu")
        model.transfer(asked)  # loads kernels
    found: list[list[float]] = []
    for _ in range(3):
        found.append([])
        for row in rows:
            start = time.process_time()
            shown = clip if row.lit else replace(clip, probe=None)
            models[row.folder].transfer(replace(asked, clip=shown, num_steps=row.steps))
            found[-1].append((time.process_time() - start) / clip.num_frames)
    clip.close()
    return [min(times) for times in zip(*found, strict=True)]


def target_of(stage: Stage, scene: int, condition: str, samples: int, kept: Path) -> np.ndarray:
    """Return the target of a stage, drawn or kept from an earlier call."""
    path = kept / f"{scene}-{condition.replace(' ', '-')}-{stage.size[0]}x{stage.size[1]}-{samples}.npy"
    if not path.exists():
        kept.mkdir(parents=True, exist_ok=True)
        np.save(path, stage.target(condition, samples))
    target: np.ndarray = np.load(path)
    return target


def ablate(rows: list[Row], seeds: range, size: tuple[int, int], samples: int, kept: Path, log: Path) -> list[Any]:
    """Measure all rows on all stages; what ``log`` holds of the same weights is not measured again."""
    judge, kinds = ConditionJudge(), list(CONDITIONS)
    found: list[dict[str, Any]] = json.loads(log.read_text(encoding="utf-8")) if log.exists() else []
    models = {row.folder: load_embedded(row.folder, "cpu") for row in rows}
    lit = None
    for number, seed in enumerate(seeds):
        with opened(seed, size, FRAMES) as stage:
            if stage is None:
                continue
            lit = lit or seed
            for condition in (kinds[(4 * number + step) % len(kinds)] for step in range(4)):
                sample = sample_of(stage, condition, target_of(stage, seed, condition, samples, kept))
                for row in rows:
                    about = {**about_of(row, models), "scene": seed, "condition": condition}
                    if not any(about.items() <= each.items() for each in found):
                        found.append(about | measure(models[row.folder], judge, sample, row))
            if rows and seed == lit:
                found = [each for each in found if "seconds" not in each]  # times of one call are alike
                for row, seconds in zip(rows, seconds_of(rows, seed, size), strict=True):
                    found.append({**about_of(row, models), "scene": seed, "seconds": seconds})
        if rows:
            log.write_text(json.dumps(found) + "\n", encoding="utf-8")
    return found


def about_of(row: Row, models: dict[Path, EmbeddedModel]) -> dict[str, Any]:
    """Return what tells a row's measurements from those of other rows and weights."""
    return {"name": row.name, "steps": row.steps, "weights": models[row.folder].sha256[:12]}


def table_of(rows: list[Row], found: list[Any]) -> str:
    """Return the means as markdown; of a row whose weights changed, the latest."""
    lines = [
        "| net | steps | PSNR [dB] | SSIM | edge F1, 1 px | perceptual distance | change on surfaces (target 1) | "
        "two seeds: distance / spread | ms a frame | frames/s, of the first row's |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    first = None
    for row in rows:
        mine = [each for each in found if (each["name"], each["steps"]) == (row.name, row.steps)]
        mine = [each for each in mine if each["weights"] == mine[-1]["weights"]]
        cost = next(each["seconds"] for each in mine if "seconds" in each)
        first = first or cost
        mean = {
            key: float(np.nanmean([each[key] for each in mine if key in each]))
            for key in (
                "psnr",
                "ssim",
                "edge_f1",
                "distance",
                "residual",
                "residual_target",
                "apart",
                "spread",
            )
        }
        lines.append(
            f"| {row.name} | {row.steps} | {mean['psnr']:.2f} | {mean['ssim']:.4f} | {mean['edge_f1']:.3f} | "
            f"{mean['distance']:.4f} | {mean['residual'] / mean['residual_target']:.2f} | "
            f"{mean['apart']:.4f} / {mean['spread']:.2%} | {1000 * cost:.0f} | "
            f"{first / cost:.2f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--direct", type=Path, default=SHIPPED / "transfer-small")
    parser.add_argument("--teacher", type=Path, default=SHIPPED / "transfer-small-steps")
    parser.add_argument("--student", type=Path, help="folder of the student's weights; left out when not given")
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--first-scene", type=int, default=950_000)
    parser.add_argument("--size", default="144x256", help="height x width [px]")
    parser.add_argument("--samples", type=int, default=16, help="paths a pixel of a target")
    parser.add_argument("--targets", type=Path, default=Path("training/targets"), help="where targets are kept")
    parser.add_argument("--draw", action="store_true", help="draw the targets that are not kept yet, and stop")
    parser.add_argument("--out", type=Path, help="folder for the results; that of the teacher when not given")
    args = parser.parse_args()
    torch.set_num_threads(1)  # the time is that of one thread
    height, width = (int(part) for part in args.size.split("x"))
    seeds = range(args.first_scene, args.first_scene + args.scenes)
    rows, out = [] if args.draw else rows_of(args.direct, args.teacher, args.student), args.out or args.teacher
    out.mkdir(parents=True, exist_ok=True)
    found = ablate(rows, seeds, (height, width), args.samples, args.targets, out / "ablation.json")
    if args.draw:
        return
    table = table_of(rows, found)
    print(table)
    for document in (out / "MODEL_CARD.md", DOCUMENT) if args.out is None else ():
        put_into_card(document, table)


if __name__ == "__main__":
    main()
