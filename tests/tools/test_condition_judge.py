"""The judge of conditions: names weather that the quick renderer draws, orders distances, and learns from shares."""

import json

import cv2
import numpy as np
import pytest
import torch  # noqa: TID253

import evaluate_transfer
import train_condition_judge
from condition_judge import NAMES, STATISTICS, ConditionJudge, Eyes, statistics
from transfer_conditions import CONDITIONS, distances
from transfer_samples import opened, sample_of

SIZE = (144, 256)
SEED = 950_000


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def stage():
    with opened(SEED, SIZE, 2) as stage:
        yield stage


@pytest.fixture(scope="module")
def judge():
    return ConditionJudge()


def test_it_names_weather_that_another_way_of_drawing_shows(stage, judge):
    """Neither the net's pictures nor the path tracer's: quick shading, which it never saw."""
    still, named = stage.still(), {}
    sample = sample_of(still, "overcast", still.clip.rgb.numpy())
    for name in ("dense fog", "dust", "night", "night snow"):
        drawn = stage.renderer.render(
            stage.camera, stage.times[0], size=SIZE, look=stage.look(name, stage.seed), particles=False
        )
        shown = drawn.rgb.numpy().copy()
        (named[name],) = judge.name(still.clip.rgb.numpy()[0], sample.hints[0].numpy(), [shown])
    assert named == {name: name for name in named}


def test_the_distance_grows_with_the_change_and_is_alike_both_ways(stage, judge):
    frame = stage.clip.rgb.numpy()[0]
    noise = np.random.default_rng(0).normal(0.0, 1.0, frame.shape)
    noisy = [np.clip(frame + level * noise, 0, 255).astype(np.uint8) for level in (0.0, 6.0, 20.0)]
    blurred = [frame, *(cv2.GaussianBlur(frame, (0, 0), sigma) for sigma in (0.7, 2.0))]
    for row in (noisy, blurred):
        none, little, much = (judge.distance(frame, frame, other) for other in row)
        assert none == 0.0 and 0.01 < little < much
        assert judge.distance(frame, row[2], frame) == pytest.approx(much, rel=1e-5)


def test_statistics_are_those_of_the_regions(stage):
    """Ground, near and far, against plain masks of the true depth and normals in float64."""
    clip = stage.clip
    frame, hints = clip.rgb.numpy()[0], sample_of(stage.still(), "overcast", clip.rgb.numpy()[:1]).hints[0].numpy()
    told = statistics(frame, 255 - frame, hints).reshape(-1, 16)
    camera, depth = clip.cameras[0], clip.depth.numpy()[0].astype(np.float64)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    (fx, _, cx), (_, fy, cy), _ = camera.intrinsics
    away = depth * np.sqrt(1.0 + ((x - cx) / fx) ** 2 + ((y - cy) / fy) ** 2)
    up = clip.normals.numpy()[0][..., 2 if clip.up_axis == "Z" else 1] > 0.7
    regions = [~np.isfinite(depth)]
    for low, high in ((0.0, 4.0), (4.0, 10.0), (10.0, 25.0), (25.0, np.inf)):
        regions += [np.isfinite(depth) & (away >= low) & (away < high) & side for side in (up, ~up)]
    weights = np.array([0.2126, 0.7152, 0.0722])
    luma, inverse = frame @ weights / 255.0, (255 - frame) @ weights / 255.0
    assert told.size == STATISTICS and sum(row[0] for row in told) >= 4
    for row, region in zip(told, regions, strict=True):
        if region.mean() < 0.004:
            continue
        assert row[1] ** 2 == pytest.approx(region.mean(), abs=0.002)
        assert row[5] == pytest.approx(np.log(luma[region].mean() + 0.02), abs=0.02)
        assert row[6] == pytest.approx(inverse[region].std(), abs=0.01)
        np.testing.assert_allclose(row[12:14], np.percentile(inverse[region], (10, 90)), atol=0.02)


def test_a_pair_counts_for_the_conditions_that_are_near():
    for name, conditions in CONDITIONS.items():
        values = {key: getattr(conditions, key) for key in conditions.__dataclass_fields__}
        share = train_condition_judge.shares_of(json.dumps({"conditions": values}))
        assert distances(values)[name] == 0.0
        assert share.sum() == pytest.approx(1.0) and NAMES[int(share.argmax())] == name
    between = {**values, "sun_elevation": 27.0, "dust": 0.0}  # half way from clear day to golden hour
    share = dict(zip(NAMES, train_condition_judge.shares_of(json.dumps({"conditions": between})), strict=True))
    assert sorted(share, key=lambda name: -share[name])[:2] in (
        ["clear day", "golden hour"],
        ["golden hour", "clear day"],
    )


def test_eyes_and_mind_learn_what_they_are_shown(tmp_path):
    """Two conditions that differ by brightness alone; stages that were kept apart are named too."""
    rng = np.random.default_rng(1)
    looks = []
    for seed in range(7):
        frame = rng.integers(60, 120, (32, 48, 3), dtype=np.uint8)
        pictures = {name: frame // 3 if name == "night" else frame for name in ("night", "clear day")}
        path = tmp_path / f"{seed:06d}.npz"
        np.savez(path, rgb=frame, hints=np.full((32, 48, 14), 200, np.uint8), **pictures)
        looks.append(path)
    pair = tmp_path / "000100_00.npz"
    np.savez(
        pair,
        rgb=frame,
        target=frame // 3,
        hints=np.full((32, 48, 14), 200, np.uint8),
        about=np.array(json.dumps({"conditions": {**_plain(), "sun_elevation": -13.0}})),
    )
    torch.manual_seed(0)
    mind, held_out = train_condition_judge.train_mind(Eyes().eval(), [pair], looks[:5], looks[5:], steps=60, seed=0)
    assert held_out["all"] == held_out["night"] == held_out["clear day"] == 1.0 and not mind.training


def _plain():
    conditions = CONDITIONS["clear day"]
    return {key: getattr(conditions, key) for key in conditions.__dataclass_fields__}


def test_the_tables_count_what_the_judge_named():
    rows = []
    for picture, right, level in (("model", 9, 0.55), ("relit, no net", 6, 0.3), ("input unchanged", 1, 0.2),
                                  ("classic baseline", 5, 0.4), ("target", 11, 0.5)):  # fmt: skip
        for index, condition in enumerate(NAMES):
            named = condition if index < right else NAMES[index - 1]
            matched = condition if index < min(12, right + 1) else NAMES[index - 1]
            physics = {"light": level, "contrast_far": level, "light_snow": level, "light_roofed": float("nan")}
            rows.append(
                {"scene": 1, "picture": picture, "condition": condition, "distance": 0.25}
                | {"named": named, "matched": matched}
                | physics
            )
    rows += [row | {"scene": 2, "named": None, "matched": None} for row in rows]
    table = evaluate_transfer.looks_lines(rows)
    assert "12 on 1 stages" in table[1] and "of the 12 whose" in table[1] and "of the 11 whose" in table[1]
    assert "| model | 83.3% (55% to 95%) | 83.3% | 75.0% (47% to 91%) | 81.8% | 0.250 |" in table
    assert "| target | 100.0% (76% to 100%) | 100.0% | 91.7% (65% to 99%) | 100.0% | 0.250 |" in table
    lit = evaluate_transfer.light_ratios(rows)
    assert set(lit) == set(NAMES) and all(np.allclose(ratios, [1.1, 1.1]) for ratios in lit.values())
    physical = evaluate_transfer.physics_lines(rows)
    assert "| light of upward faces where snow lies | 1.10 | 0.60 | 0.40 | 0.80 |" in physical
    assert "| light of upward faces under a roof, while it snows | nan | nan | nan | nan |" in physical
