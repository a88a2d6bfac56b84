"""Measure the embedded Transfer model on stages that training never saw.

``python tools/evaluate_transfer.py --scenes 24`` renders short sequences of held-out random stages, and of places of
kinds that training never sees (``unseen_stages.py``), under conditions of every kind, runs the model on them, and
prints each number beside that of "input unchanged", of a classic baseline (colour transfer and depth fog that know the
target's statistics) and of "relit, no net": the light map that the model starts from where the stage can be asked.
Targets are path-traced. Writes ``evaluation.json`` and ``sheet.jpg`` beside the weights and puts the tables into
``MODEL_CARD.md``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from condition_compare import ComparingJudge
from condition_judge import ConditionJudge
from cosmos.bridge.calibrate.roc import Rate
from cosmos.models.embedded.conditions import extinction
from cosmos.models.embedded.sampling import EmbeddedModel, load_embedded
from transfer_checks import GIVEN, half_kept, looks, prompted, two_seeds
from transfer_conditions import (
    CONDITIONS,
    HARD_WORDINGS,
    IDLE_WORDINGS,
    WORDINGS,
    WORKING_WORDINGS,
    is_plain_day,
    nearest,
)
from transfer_metrics import (
    boundary_displacement,
    classic_baseline,
    edge_f1,
    luma,
    motion_residual,
    psnr,
    shows_through,
    ssim,
)
from transfer_samples import Sample, Stage, opened, paint, sample_of
from unseen_stages import AUTHORED, UNSEEN

WEIGHTS = Path(__file__).resolve().parents[1] / "models" / "weights" / "transfer-small"
FRAMES = 3
KINDS = {"street, warehouse, table top": AUTHORED, "quarry, tunnel": UNSEEN}
"""Stages of kinds that training never sees: with surfaces that it knows, and with others."""
_COMPARED = ("relit, no net", "input unchanged", "classic baseline")
_SUN_ALONE = "model, source lit by a sun alone"
_NAMED = ("matched", "named")
"""What the judge that compares, and the one that sees no drawings, take a picture for."""


def measure(out: np.ndarray, sample: Sample) -> dict[str, float]:
    """Return every metric of one output against its target."""
    ids, motion = sample.clip.instance_ids.numpy(), sample.clip.motion.numpy()
    residual = [
        [motion_residual(p[t], p[t - 1], motion[t], (ids[t], ids[t - 1])) for t in range(1, FRAMES)]
        for p in (out, sample.target)
    ]
    return {
        "psnr": float(np.mean([psnr(a, b) for a, b in zip(out, sample.target, strict=True)])),
        "ssim": float(np.mean([ssim(a, b) for a, b in zip(out, sample.target, strict=True)])),
        "edge_f1_0px": edge_f1(out[0], sample.target[0], 0),
        "edge_f1_1px": edge_f1(out[0], sample.target[0], 1),
        "luma": float(luma(out).mean()),
        "residual": float(np.mean(residual[0])),
        "residual_target": float(np.mean(residual[1])),
        "displaced": histogram(boundary_displacement(out[0], sample.target[0], ids[0])),
    }


def mean(rows: list[dict[str, Any]], key: str) -> float:
    """Return the mean of a number over rows; those without it do not count."""
    return float(np.nanmean([row[key] for row in rows]))


def histogram(values: np.ndarray) -> list[int]:
    """Count values in steps of 0.05, up to 8."""
    counts, _ = np.histogram(np.minimum(values, 7.99), bins=160, range=(0.0, 8.0))
    return [int(count) for count in counts]


def quantile(rows: list[dict[str, Any]], share: float) -> float:
    """Return a quantile of the displacements of all rows together."""
    counts = np.sum([row["displaced"] for row in rows], axis=0).cumsum()
    return float(0.05 * (np.searchsorted(counts, share * counts[-1]) + 0.5))


def reader_accuracy(model: EmbeddedModel, wordings: Mapping[str, Sequence[str]] = WORDINGS) -> tuple[float, list[str]]:
    """Return the share of new wordings whose nearest condition is the right one, and what was misread."""
    wrong, count = [], 0
    for kind, prompts in wordings.items():
        for prompt in prompts:
            count += 1
            read = nearest(model.reader.read(prompt, seed=0).conditions)
            if read != kind:
                wrong.append(f"{prompt!r} as {read} instead of {kind}")
    return 1.0 - len(wrong) / count, wrong


def measure_reader(model: EmbeddedModel) -> dict[str, Any]:
    """Return how well each set of new prompts is understood, and how many that ask for nothing leave the day plain."""
    right, wrong = reader_accuracy(model)
    plain = [is_plain_day(model.reader.read(prompt, seed=0).conditions) for prompt in IDLE_WORDINGS]
    return {
        "reader_accuracy": right,
        "reader_wrong": wrong,
        "hard_reader_accuracy": reader_accuracy(model, HARD_WORDINGS)[0],
        "working_reader_accuracy": reader_accuracy(model, WORKING_WORDINGS)[0],
        "idle_left_plain": sum(plain) / len(plain),
    }


def evaluate(
    weights: Path, model: EmbeddedModel, seeds: range, size: tuple[int, int], samples: int, named: int
) -> tuple[dict[str, Any], list[Any]]:
    """Measure all held-out scenes, and name the conditions of ``named``; return numbers and some pictures."""
    rows: dict[str, list[dict[str, Any]]] = {}
    result: dict[str, Any] = {"rows": rows, "kinds": {}, "looks": [], "two_seeds": [], "half": []}
    judge, comparing, sheet = ConditionJudge(), ComparingJudge(), []
    said = progress(max(named, len(seeds)) + sum(len(places) for places in KINDS.values()))
    for number, seed in enumerate(seeds):
        said(f"stage {seed}")
        with opened(seed, size, FRAMES) as stage:
            if stage is None:
                continue
            targets = {condition: stage.target(condition, samples) for condition in chosen(number)}
            add_likeness(rows, sheet, model, stage, seed, targets)
            result["looks"] += [{"scene": seed} | row for row in looks(model, judge, comparing, stage, targets)]
            result["two_seeds"].append({"scene": seed} | two_seeds(model, judge, stage, "overcast"))
            result["half"].append({"scene": seed} | half_kept(weights, stage, "heavy snow at dusk"))
    for seed in range(seeds.stop, seeds.start + named):
        said(f"stage {seed}")
        with opened(seed, size, 1) as stage:
            if stage is not None and stage.lies_open():
                result["looks"] += [{"scene": seed} | row for row in looks(model, judge, comparing, stage, {})]
    for kind, places in KINDS.items():
        for number, (name, make) in enumerate(places.items()):
            said(name)
            with opened(number, size, FRAMES, authored=make()) as stage:
                if stage is not None:
                    targets = {condition: stage.target(condition, samples) for condition in chosen(number)}
                    add_likeness(result["kinds"].setdefault(kind, {}), sheet, model, stage, name, targets)
    return result | measure_reader(model), sheet


def progress(count: int) -> Callable[[str], None]:
    """Return what says which of so many stages is begun, and about how long the rest takes by those that are done."""
    start, numbers = time.monotonic(), itertools.count()

    def say(what: str) -> None:
        done = next(numbers)
        left = f", about {(time.monotonic() - start) / done * (count - done) / 60.0:.0f} min left" if done else ""
        print(f"{what}, {done + 1} of {count}{left}", file=sys.stderr, flush=True)

    return say


def chosen(number: int) -> list[str]:
    """Return the conditions that a stage is measured under, so that all take their turn."""
    return [list(CONDITIONS)[(4 * number + step) % len(CONDITIONS)] for step in range(4)]


def add_likeness(
    rows: dict[str, list[dict[str, Any]]],
    sheet: list[Any],
    model: EmbeddedModel,
    stage: Stage,
    scene: int | str,
    targets: dict[str, np.ndarray],
) -> None:
    """Add what is measured of each picture of a stage against its targets, and the first frames to the sheet."""
    for condition, target in targets.items():
        sample = sample_of(stage, condition, target)
        outs = outputs(model, sample)
        outs[_SUN_ALONE] = paint(model, replace(sample, clip=stage.sun_alone), CONDITIONS[condition], GIVEN)
        sources = stage.clip.rgb.numpy(), stage.sun_alone.rgb.numpy()
        shown = shows_through(sources, (outs["model"], outs[_SUN_ALONE]))
        for name, out in outs.items():
            about = {"condition": condition, "scene": scene, "target_luma": float(luma(target).mean()), "shown": shown}
            rows.setdefault(name, []).append(about | measure(out, sample))
        sheet.append((condition, scene, sample.clip.rgb.numpy()[0], outs["model"][0], target[0]))


def outputs(model: EmbeddedModel, sample: Sample) -> dict[str, np.ndarray]:
    """Return what the model makes of a sample, told it in several ways, and what it is compared with."""
    conditions, source, depth = CONDITIONS[sample.condition], sample.clip.rgb.numpy(), sample.clip.depth.numpy()
    subsets = {
        "model": GIVEN,
        "model, all four": {"edge": 0.25, "depth": 0.35, "seg": 0.15, "vis": 0.25},
        "model, edge only": {"edge": 1.0},
        "model, depth only": {"depth": 1.0},
    }
    outs = {name: paint(model, sample, conditions, weights) for name, weights in subsets.items()}
    outs["model, prompt alone"] = paint(model, sample, prompted(model, sample.condition), GIVEN)
    outs["model, no stage to ask"] = paint(model, sample, conditions, GIVEN, maps=False)
    outs["relit, no net"] = sample.relit()
    outs["input unchanged"] = source
    air = extinction(conditions)
    fitted = [classic_baseline(*views, air) for views in zip(source, sample.target, depth, strict=True)]
    return outs | {"classic baseline": np.stack(fitted)}


def summary_tables(result: dict[str, Any]) -> str:
    """Return the numbers as markdown."""
    lines = [
        "| picture | PSNR [dB] | SSIM | edge F1, 0 px | 1 px | boundaries displaced, median / p95 [px] | luma error | "
        "change on surfaces (target 1) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, rows in result["rows"].items():
        error = np.mean([abs(row["luma"] - row["target_luma"]) for row in rows])
        ratio = np.nanmean([row["residual"] for row in rows]) / np.nanmean([row["residual_target"] for row in rows])
        means = {key: np.nanmean([row[key] for row in rows]) for key in ("psnr", "ssim", "edge_f1_0px", "edge_f1_1px")}
        lines.append(
            f"| {name} | {means['psnr']:.1f} | {means['ssim']:.3f} | {means['edge_f1_0px']:.2f} | "
            f"{means['edge_f1_1px']:.2f} | {quantile(rows, 0.5):.2f} / {quantile(rows, 0.95):.2f} | {error:.3f} | "
            f"{ratio:.2f} |"
        )
    lines += [
        "",
        "| condition | PSNR [dB] | relit | input | baseline | light over the target's, mean ± deviation | stages |",
        "|---|---|---|---|---|---|---|",
    ]
    lit = light_ratios(result["looks"])
    for kind in CONDITIONS:
        rows = {
            name: [row for row in result["rows"][name] if row["condition"] == kind] for name in ("model", *_COMPARED)
        }
        cells = [f"{mean(own, 'psnr'):.1f}" for own in rows.values()]
        cells += [f"{np.mean(lit[kind]):.2f} ± {np.std(lit[kind]):.2f}", str(len(lit[kind]))]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    lines += kinds_lines(result) + looks_lines(result["looks"]) + physics_lines(result["looks"])
    seeds, half = result["two_seeds"], result["half"]
    least = min(row["distance"] for row in seeds)
    kept = max(row["kept"] for row in half)
    lines += [
        "",
        f"Two seeds, same overcast day: perceptual distance {mean(seeds, 'distance'):.3f} (least of {len(seeds)} "
        f"stages {least:.3f}), levels {mean(seeds, 'change'):.1%} apart; edge F1 at 1 px against the first's target "
        f"{mean(seeds, 'edge_f1'):.2f} and {mean(seeds, 'edge_f1_other'):.2f}.",
        f"Lit by a sun alone, the source shows dark shadows; {mean(result['rows']['model'], 'shown'):.1%} of the "
        f"difference shows through in what is painted (1 would be all; log of the luma, by least squares).",
        f"Left half vis 1, right half seg 1, heavy snow at dusk: the left half moves by {kept:.2%} at most (bar 2 %), "
        f"the right one by {mean(half, 'painted'):.0%}.",
        f"Prompts in new words read as the right one of 12 conditions: {result['reader_accuracy']:.1%}, of those "
        f"written as at work {result['working_reader_accuracy']:.1%}, of those that were to be hard "
        f"{result['hard_reader_accuracy']:.1%}. Of those that say nothing of light and weather, "
        f"{result['idle_left_plain']:.1%} leave the day plain.",
    ]
    lines += [f"- misread: {wrong}" for wrong in result["reader_wrong"]]
    return "\n".join(lines)


def light_ratios(rows: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return the mean luma of the model's pictures over that of their targets, of each stage, by condition."""
    target = {(row["scene"], row["condition"]): row["light"] for row in rows if row["picture"] == "target"}
    ratios: dict[str, list[float]] = {kind: [] for kind in CONDITIONS}
    for row in rows:
        if row["picture"] == "model":
            ratios[row["condition"]].append(row["light"] / target[row["scene"], row["condition"]])
    return ratios


def kinds_lines(result: dict[str, Any]) -> list[str]:
    """Return a table of the same metrics on stages of other kinds than those that training sees."""
    groups = {"random, of other seeds": result["rows"], **result["kinds"]}
    lines = [
        "",
        "| stages | pairs | PSNR [dB]: model | relit | input | baseline | SSIM: model | relit | edge F1, 1 px | "
        "boundaries, median / p95 [px] | change on surfaces |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, rows in groups.items():
        cells = [f"{mean(rows[name], 'psnr'):.1f}" for name in ("model", *_COMPARED)]
        cells += [f"{mean(rows[name], 'ssim'):.3f}" for name in ("model", "relit, no net")]
        own = rows["model"]
        change = mean(own, "residual") / mean(own, "residual_target")
        places = f"{quantile(own, 0.5):.2f} / {quantile(own, 0.95):.2f}"
        lines.append(
            f"| {kind} | {len(own)} | {' | '.join(cells)} | {mean(own, 'edge_f1_1px'):.2f} | {places} | {change:.2f} |"
        )
    return lines


def looks_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return a table of which pictures the judges name rightly, and how far from the target they look."""
    under_sky = [row for row in rows if row["named"]]
    told = [row for row in under_sky if row["picture"] == "target"]
    known = {key: {(r["scene"], r["condition"]) for r in told if r[key] == r["condition"]} for key in _NAMED}
    stages = len({row["scene"] for row in told})
    lines = [
        "",
        f"| picture | condition named rightly by comparing, of 12 on {stages} stages under the sky (95 % interval) | "
        f"of the {len(known['matched'])} whose target is | without drawings | of the "
        f"{len(known['named'])} whose target is | perceptual distance to the target |",
        "|---|---|---|---|---|---|",
    ]
    for picture in dict.fromkeys(row["picture"] for row in rows):
        cells = []
        for key in _NAMED:
            right = {
                (r["scene"], r["condition"]): r[key] == r["condition"] for r in under_sky if r["picture"] == picture
            }
            low, high = Rate(hits=sum(right.values()), count=len(right)).interval
            both = [right[place] for place in known[key]]
            cells.append(f"{np.mean(list(right.values())):.1%} ({low:.0%} to {high:.0%})" if right else "-")
            cells.append(f"{np.mean(both):.1%}" if both else "-")
        distance = np.mean([row["distance"] for row in rows if row["picture"] == picture])
        lines.append(f"| {picture} | {' | '.join(cells)} | {distance:.3f} |")
    return lines


def physics_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return a table of what is measured physically, output over target; 1 is right."""
    lines = ["", "| measured, over the target's | model | relit | input | baseline |", "|---|---|---|---|---|"]
    for title, key, kinds in (
        ("light of a night", "light", ("night", "night snow")),
        ("contrast beyond 15 m in fog and dust", "contrast_far", ("fog", "dust")),
        ("light of upward faces where snow lies", "light_snow", ("snow", "heavy snow", "night snow")),
        ("light of upward faces under a roof, while it snows", "light_roofed", ("snow", "heavy snow", "night snow")),
    ):
        totals = {}
        for picture in ("model", "relit, no net", "input unchanged", "classic baseline", "target"):
            values = [r[key] for r in rows if r["picture"] == picture and r["condition"] in kinds]
            found = [value for value in values if not np.isnan(value)]
            totals[picture] = float(np.mean(found)) if found else float("nan")
        cells = [f"{total / totals['target']:.2f}" for picture, total in totals.items() if picture != "target"]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def draw_sheet(sheet: list[Any], path: Path) -> None:
    """Draw input, model and target side by side, one random stage a condition, then each other place."""
    first: dict[str, Any] = {}
    for entry in sheet:
        first.setdefault(entry[1] if isinstance(entry[1], str) else entry[0], entry)
    tiles = []
    for kind, scene, source, out, target in first.values():
        strip = np.hstack([cv2.resize(p, (256, 144), interpolation=cv2.INTER_AREA) for p in (source, out, target)])
        tile = cv2.copyMakeBorder(strip, 20, 4, 2, 2, cv2.BORDER_CONSTANT, value=(255,) * 3)
        caption = f"{kind}, {scene}: input, model, target"
        cv2.putText(tile, caption, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (40, 44, 52), 1, cv2.LINE_AA)
        tiles.append(tile)
    if len(tiles) % 2:
        tiles.append(np.full_like(tiles[0], 255))
    rows = [np.hstack(tiles[i : i + 2]) for i in range(0, len(tiles), 2)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def put_into_card(card: Path, tables: str) -> None:
    """Replace what stands between the card's two marks."""
    text = card.read_text(encoding="utf-8")
    begin, end = "<!-- evaluation -->", "<!-- /evaluation -->"
    if begin not in text or end not in text:
        raise ValueError(f"{card} needs the marks {begin} and {end}.")
    head, tail = text.split(begin)[0], text.split(end)[1]
    card.write_text(f"{head}{begin}\n{tables}\n{end}{tail}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument(
        "--named", type=int, default=24, help="scenes whose conditions are named, those of --scenes first"
    )
    parser.add_argument("--first-scene", type=int, default=950_000)
    parser.add_argument("--size", default="144x256", help="height x width [px]")
    parser.add_argument("--samples", type=int, default=16, help="paths a pixel of a target")
    parser.add_argument("--out", type=Path, help="folder for the results; that of the weights when not given")
    args = parser.parse_args()
    height, width = (int(part) for part in args.size.split("x"))
    out = args.out or args.weights
    out.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    model = load_embedded(args.weights, "cpu")
    seeds = range(args.first_scene, args.first_scene + args.scenes)
    result, sheet = evaluate(args.weights, model, seeds, (height, width), args.samples, args.named)
    result |= {
        "sha256": model.sha256,
        "size": [height, width],
        "samples": args.samples,
        "seconds": round(time.monotonic() - start, 1),
    }
    (out / "evaluation.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
    draw_sheet(sheet, out / "sheet.jpg")
    tables = summary_tables(result)
    print(tables)
    if (out / "MODEL_CARD.md").exists():
        put_into_card(out / "MODEL_CARD.md", tables)


if __name__ == "__main__":
    main()
