"""What is measured of the embedded model besides likeness: told-apart conditions, two seeds, a half that is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import warp as wp

from condition_compare import ComparingJudge
from condition_judge import ConditionJudge
from cosmos.bridge.controls import derive_controls
from cosmos.bridge.transfer.embedded import EmbeddedTransfer
from cosmos.bridge.types import ControlWeights, TransferRequest
from cosmos.models.embedded.conditions import extinction
from cosmos.models.embedded.net import OPEN
from cosmos.models.embedded.sampling import EmbeddedModel
from transfer_conditions import CONDITIONS
from transfer_metrics import classic_baseline, edge_f1, luma
from transfer_samples import Sample, Stage, paint, sample_of

GIVEN = {"edge": 0.5, "depth": 0.5}
"""Weights of the controls where nobody names others."""
PHYSICAL = ("night", "fog", "snow", "heavy snow", "night snow", "dust")
"""Conditions whose light or contrast is measured."""
_FINISHED = ("model", "model, prompt alone", "target")
"""Pictures over which flakes and drops are drawn before the judge names their condition."""
_SAMPLES = 4


def prompted(model: EmbeddedModel, condition: str) -> Any:
    """Return what the model reads in a condition's name; where the sun stands is told."""
    read = model.reader.read(condition, seed=0).conditions
    return replace(read, sun_bearing=CONDITIONS[condition].sun_bearing)


def physics(pictures: np.ndarray, sample: Sample) -> dict[str, float]:
    """Return what weather does to light, as means of luma: of all, of what faces up, of contrast beyond 15 m.

    What faces up is measured in snow, where snow reaches it and where a roof keeps it off; else both are NaN.
    """
    clip, lies_open = sample.clip, sample.maps[..., OPEN] / 255.0
    level, depth, normals = luma(pictures), clip.depth.numpy(), clip.normals.numpy()
    up = normals[..., 2 if clip.up_axis == "Z" else 1] > 0.8
    up &= CONDITIONS[sample.condition].snow > 0.0
    far = np.isfinite(depth) & (depth > 15.0)

    def mean(where: np.ndarray) -> float:
        return float(level[where].mean()) if where.mean() > 0.02 else float("nan")

    return {
        "light": float(level.mean()),
        "light_snow": mean(up & (lies_open > 0.9)),
        "light_roofed": mean(up & (lies_open < 0.1)),
        "contrast_far": float(level[far].std()) if far.mean() > 0.02 else float("nan"),
    }


def looks(
    model: EmbeddedModel,
    judge: ConditionJudge,
    comparing: ComparingJudge,
    stage: Stage,
    known: Mapping[str, np.ndarray],
) -> list[dict[str, Any]]:
    """Paint a stage's first frame under each condition; return what is measured of each picture and of the target.

    Where the stage lies under a roof no condition is named, and only those are painted that are measured physically.

    Args:
        model: The model.
        judge: Names conditions, where the stage lies open, and tells how far pictures are apart.
        comparing: Names them by comparing with quick drawings of the stage.
        stage: The stage.
        known: Condition -> targets that are drawn already.
    """
    still, lies_open, rows = stage.still(), stage.lies_open(), []
    frame, depth = still.clip.rgb.numpy()[0], still.clip.depth.numpy()[0]
    drawings = still.drawings() if lies_open else {}
    for condition, conditions in CONDITIONS.items():
        if not lies_open and condition not in PHYSICAL:
            continue
        target = known[condition][:1] if condition in known else still.target(condition, _SAMPLES)
        sample = sample_of(still, condition, target)
        pictures = {
            "model": paint(model, sample, conditions, GIVEN),
            "model, prompt alone": paint(model, sample, prompted(model, condition), GIVEN),
            "relit, no net": sample.relit(),
            "input unchanged": frame[None],
            "classic baseline": classic_baseline(frame, target[0], depth, extinction(conditions))[None],
            "target": target,
        }
        finished = {
            name: still.finished(condition, picture) if name in _FINISHED else picture
            for name, picture in pictures.items()
        }
        judged = [picture[0] for picture in finished.values()]
        named: list[str | None] = [None] * len(judged)
        matched = list(named)
        if lies_open:
            named = [*judge.name(frame, sample.hints[0].numpy(), judged)]
            matched = [*comparing.name(frame, depth, drawings, judged)]
        for (picture, shown), name, match in zip(pictures.items(), named, matched, strict=True):
            row = {
                "picture": picture,
                "condition": condition,
                "named": name,
                "matched": match,
                "distance": judge.distance(frame, shown[0], target[0]),
            }
            rows.append(row | physics(shown, sample))
    return rows


def two_seeds(model: EmbeddedModel, judge: ConditionJudge, stage: Stage, condition: str) -> dict[str, float]:
    """Paint a first frame by the same conditions and two seeds; return how far apart they are, and their edges."""
    still = stage.still()
    target = still.target(condition, _SAMPLES)
    frame = still.clip.rgb.numpy()[0]
    one, other = (
        paint(model, sample_of(still, condition, target, seed=still.seed + 7 * step), CONDITIONS[condition], GIVEN)[0]
        for step in (0, 1)
    )
    return {
        "distance": judge.distance(frame, one, other),
        "change": float(np.abs(one.astype(float) - other).mean() / 255.0),
        "edge_f1": edge_f1(one, target[0], 1),
        "edge_f1_other": edge_f1(other, target[0], 1),
    }


def half_kept(weights: Path, stage: Stage, prompt: str) -> dict[str, float]:
    """Give vis to the left half of a stage's frames and seg to the right; return how far each half moves, in [0, 1]."""
    clip = stage.clip
    left = np.zeros(clip.depth.shape, np.float32)
    left[:, :, : clip.width // 2] = 1.0
    vis, seg = (wp.array(part, dtype=wp.float32, device=clip.rgb.device) for part in (left, 1.0 - left))
    given = ControlWeights(vis=vis, seg=seg)
    model = EmbeddedTransfer(weights)
    model.load("cpu")
    asked = TransferRequest(
        clip=clip, controls=derive_controls(clip, kinds=given.kinds), weights=given, prompt=prompt, seed=1
    )
    moved = np.abs(model.transfer(asked).rgb.numpy().astype(float) - clip.rgb.numpy()) / 255.0
    model.unload()
    return {"kept": float(moved[left > 0.0].mean()), "painted": float(moved[left == 0.0].mean())}


__all__ = ["GIVEN", "PHYSICAL", "half_kept", "looks", "physics", "prompted", "two_seeds"]
