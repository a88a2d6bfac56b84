"""Measure the embedded Transfer model on stages that training never saw.

``python tools/evaluate_transfer.py --scenes 24`` renders short sequences of held-out random stages under conditions of
every kind, runs the model on them, and prints each number beside that of "input unchanged", of a classic baseline
(colour transfer and depth fog that know the target's statistics) and of "relit, no net": the light map that the model
starts from where the stage can be asked. Targets are path-traced. Writes ``evaluation.json`` and ``sheet.jpg`` beside
the weights and puts the tables into ``MODEL_CARD.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch  # noqa: TID253
import warp as wp

from cosmos.bridge import scenes
from cosmos.bridge.controls import derive_controls
from cosmos.bridge.kernels.layout import tensor_to_video, video_to_tensor
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.transfer.light import clip_hints, ground_height, look_of, view_azimuth
from cosmos.bridge.types import Clip, gather
from cosmos.models.embedded.conditions import Conditions, extinction
from cosmos.models.embedded.sampling import EmbeddedModel, PaintInputs, load_embedded
from make_training_data import light_maps, target_of, usable
from transfer_conditions import CONDITIONS, WORDINGS, nearest
from transfer_metrics import boundary_displacement, classic_baseline, edge_f1, luma, motion_residual, psnr, ssim

WEIGHTS = Path(__file__).resolve().parents[1] / "models" / "weights" / "transfer-small"
FRAMES = 3


@dataclass(kw_only=True)
class Sample:
    """One held-out sequence under one look."""

    condition: str
    clip: Clip
    target: np.ndarray
    """Reference pictures, uint8 [T, H, W, 3]."""
    light: wp.array
    wear: wp.array
    maps: np.ndarray
    """Light maps, uint8 [T, H, W, 14]."""


def render_samples(seed: int, kinds: list[str], size: tuple[int, int], samples: int) -> Iterator[Sample]:
    """Render one scene under some conditions, targets with ``samples`` paths a pixel."""
    renderer = Renderer(scenes.random(seed, num_frames=8))
    try:
        camera, start = renderer.scene.camera_paths[0], renderer.scene.start_time
        times = [start + step for step in range(FRAMES)]
        before = [
            (renderer.camera(camera, max(start, time - 1.0), size=size), max(start, time - 1.0)) for time in times
        ]
        clip = gather(
            (renderer.render(camera, t, size=size, previous=p) for t, p in zip(times, before, strict=True)),
            fps=24.0,
            num_frames=FRAMES,
        )
        if not usable(clip):
            return
        for kind in kinds:
            conditions, look_seed = CONDITIONS[kind], 7 * (1000 + seed)
            azimuth = view_azimuth(clip.cameras[0], clip.up_axis) + conditions.sun_bearing
            look = look_of(conditions, azimuth=azimuth, seed=look_seed)
            target = np.stack([target_of(renderer, camera, t, size=size, look=look, samples=samples) for t in times])
            maps = np.stack([light_maps(renderer, camera, t, size=size, look=look) for t in times])
            hints = clip_hints(
                clip,
                range(FRAMES),
                conditions=conditions,
                azimuth=azimuth,
                ground=ground_height(clip),
                seed=look_seed,
                anchor=tuple(renderer._world.origin),
            )
            yield Sample(condition=kind, clip=clip, target=target, light=hints[0], wear=hints[1], maps=maps)
    finally:
        renderer.close()


def paint(
    model: EmbeddedModel, sample: Sample, conditions: Conditions, weights: dict[str, float], *, maps: bool = True
) -> np.ndarray:
    """Run the model on a sample, with or without its light maps; uint8 [T, H, W, 3]."""
    controls = derive_controls(sample.clip)
    total = max(1.0, sum(weights.values()))
    shape = (1, 1, *sample.clip.depth.shape)
    inputs = PaintInputs(
        rgb=video_to_tensor(sample.clip.rgb),
        controls={str(s.kind): video_to_tensor(s.video) for s in controls if weights.get(str(s.kind), 0.0) > 0.0},
        weights={kind: torch.full(shape, weight / total) for kind, weight in weights.items() if weight > 0.0},
        hints=torch.cat([wp.to_torch(sample.light), wp.to_torch(sample.wear)], dim=-1).permute(3, 0, 1, 2)[None],
        maps=torch.from_numpy(sample.maps).permute(3, 0, 1, 2)[None].float() / 127.5 - 1.0 if maps else None,
    )
    return tensor_to_video(model.paint(inputs, conditions)).numpy()


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
        **physics(out, sample.clip),
        **{f"{name}_target": value for name, value in physics(sample.target, sample.clip).items()},
    }


def physics(pictures: np.ndarray, clip: Clip) -> dict[str, float]:
    """Return what weather does to light: mean luma of the picture and of upward faces, contrast beyond 15 m."""
    level, depth, normals = luma(pictures), clip.depth.numpy(), clip.normals.numpy()
    up = normals[..., 2 if clip.up_axis == "Z" else 1] > 0.8
    far = np.isfinite(depth) & (depth > 15.0)
    return {
        "light": float(level.mean()),
        "light_up": float(level[up].mean()) if up.mean() > 0.02 else float("nan"),
        "contrast_far": float(level[far].std()) if far.mean() > 0.02 else float("nan"),
    }


def histogram(values: np.ndarray) -> list[int]:
    """Count values in steps of 0.05, up to 8."""
    counts, _ = np.histogram(np.minimum(values, 7.99), bins=160, range=(0.0, 8.0))
    return [int(count) for count in counts]


def quantile(rows: list[dict[str, Any]], share: float) -> float:
    """Return a quantile of the displacements of all rows together."""
    counts = np.sum([row["displaced"] for row in rows], axis=0).cumsum()
    return float(0.05 * (np.searchsorted(counts, share * counts[-1]) + 0.5))


def reader_accuracy(model: EmbeddedModel) -> tuple[float, list[str]]:
    """Return the share of new wordings whose nearest condition is the right one, and what was misread."""
    wrong, count = [], 0
    for kind, prompts in WORDINGS.items():
        for prompt in prompts:
            count += 1
            read = nearest(model.reader.read(prompt, seed=0).conditions)
            if read != kind:
                wrong.append(f"{prompt!r} as {read} instead of {kind}")
    return 1.0 - len(wrong) / count, wrong


def evaluate(
    model: EmbeddedModel, seeds: range, size: tuple[int, int], samples: int
) -> tuple[dict[str, Any], list[Any]]:
    """Measure all held-out scenes; return the numbers and some pictures."""
    rows: dict[str, list[dict[str, Any]]] = {}
    sheet = []
    given = {"edge": 0.5, "depth": 0.5}
    subsets = {
        "model": given,
        "model, all four": {"edge": 0.25, "depth": 0.35, "seg": 0.15, "vis": 0.25},
        "model, edge only": {"edge": 1.0},
        "model, depth only": {"depth": 1.0},
    }
    kinds = list(CONDITIONS)
    for number, seed in enumerate(seeds):
        chosen = [kinds[(4 * number + step) % len(kinds)] for step in range(4)]
        for sample in render_samples(seed, chosen, size, samples):
            conditions, depth = CONDITIONS[sample.condition], sample.clip.depth.numpy()
            source = sample.clip.rgb.numpy()
            outs = {name: paint(model, sample, conditions, weights) for name, weights in subsets.items()}
            read = replace(model.reader.read(sample.condition, seed=0).conditions, sun_bearing=conditions.sun_bearing)
            outs["model, prompt alone"] = paint(model, sample, read, given)
            outs["model, no stage to ask"] = paint(model, sample, conditions, given, maps=False)
            outs["relit, no net"] = sample.maps[..., :3]
            outs["input unchanged"] = source
            outs["classic baseline"] = np.stack(
                [classic_baseline(source[t], sample.target[t], depth[t], extinction(conditions)) for t in range(FRAMES)]
            )
            for name, out in outs.items():
                rows.setdefault(name, []).append(
                    {"condition": sample.condition, "scene": seed, "target_luma": float(luma(sample.target).mean())}
                    | measure(out, sample)
                )
            sheet.append((sample.condition, seed, source[0], outs["model"][0], sample.target[0]))
    accuracy, wrong = reader_accuracy(model)
    return {"rows": rows, "reader_accuracy": accuracy, "reader_wrong": wrong}, sheet


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
        "| condition | PSNR [dB] | relit | input | baseline | mean luma | target's |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in CONDITIONS:
        cells = []
        for name, key in (
            ("model", "psnr"), ("relit, no net", "psnr"), ("input unchanged", "psnr"), ("classic baseline", "psnr"),
            ("model", "luma"), ("model", "target_luma"),
        ):  # fmt: skip
            values = [row[key] for row in result["rows"][name] if row["condition"] == kind]
            cells.append(f"{np.mean(values):.1f}" if key == "psnr" else f"{np.mean(values):.3f}")
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    lines += physics_lines(result["rows"])
    lines += ["", f"Prompts in new words read as the right one of 12 conditions: {result['reader_accuracy']:.0%}."]
    lines += [f"- misread: {wrong}" for wrong in result["reader_wrong"]]
    return "\n".join(lines)


def physics_lines(rows: dict[str, list[dict[str, Any]]]) -> list[str]:
    """Return a table of what is measured physically, output over target; 1 is right."""
    lines = ["", "| measured, over the target's | model | input | baseline |", "|---|---|---|---|"]
    for title, key, kinds in (
        ("light of a night", "light", ("night", "night snow")),
        ("contrast beyond 15 m in fog and dust", "contrast_far", ("fog", "dust")),
        ("light of upward faces in snow", "light_up", ("snow", "heavy snow")),
    ):
        cells = []
        for name in ("model", "input unchanged", "classic baseline"):
            pairs = [(r[key], r[f"{key}_target"]) for r in rows[name] if r["condition"] in kinds]
            cells.append(f"{np.nanmean([a for a, _ in pairs]) / np.nanmean([b for _, b in pairs]):.2f}")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def draw_sheet(sheet: list[Any], path: Path) -> None:
    """Draw input, model and target side by side, one scene a condition."""
    chosen: dict[str, Any] = {}
    for entry in sheet:
        chosen.setdefault(entry[0], entry)
    tiles = []
    for kind, _, source, out, target in chosen.values():
        strip = np.hstack([cv2.resize(p, (256, 144), interpolation=cv2.INTER_AREA) for p in (source, out, target)])
        cv2.putText(strip, f"{kind}: input | model | target", (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 3)
        cv2.putText(strip, f"{kind}: input | model | target", (6, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (255,) * 3, 1)
        tiles.append(strip)
    if len(tiles) % 2:
        tiles.append(np.zeros_like(tiles[0]))
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
    result, sheet = evaluate(model, seeds, (height, width), args.samples)
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
