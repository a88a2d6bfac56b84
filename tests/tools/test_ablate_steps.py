"""The ablation of steps: means and ratios as told, nothing measured twice, other weights measured anew."""

import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import ablate_steps
from ablate_steps import Row, ablate, rows_of, table_of

ROWS = [Row(name="at once", folder=Path("a"), steps=1), Row(name="teacher", folder=Path("b"), steps=4)]
SCALE = {"psnr": 10.0, "residual_target": 0.5}


def measured(row, scene, value, weights="new"):
    names = ("psnr", "ssim", "edge_f1", "distance", "residual", "residual_target", "apart", "spread")
    about = {"name": row.name, "steps": row.steps, "weights": weights, "scene": scene, "condition": "snow"}
    return about | {name: value * SCALE.get(name, 0.1) for name in names}


def test_the_table_has_means_of_the_latest_weights_and_the_cost_of_each_row():
    found = [measured(ROWS[0], 1, 9.0, "old"), measured(ROWS[0], 1, 1.0), measured(ROWS[0], 2, 3.0)]
    found += [measured(ROWS[1], 1, 1.0), measured(ROWS[1], 2, 1.0)]
    for row, seconds in zip(ROWS, (0.1, 0.25), strict=True):
        found.append({"name": row.name, "steps": row.steps, "weights": "new", "scene": 1, "seconds": seconds})
    first, second = (line.strip("| ").split(" | ") for line in table_of(ROWS, found).splitlines()[2:])
    assert first[:5] == ["at once", "1", "20.00", "0.2000", "0.200"]
    assert first[5:] == ["0.2000", "0.20", "0.2000 / 20.00%", "100", "1.00"]
    assert second[:3] == ["teacher", "4", "10.00"] and second[-2:] == ["250", "0.40"]


def test_rows_name_the_steps_of_the_teacher_and_a_student_where_there_is_one():
    rows = rows_of(Path("a"), Path("b"), None)
    assert [(row.name, row.steps) for row in rows][1:6] == [("teacher", steps) for steps in (1, 2, 4, 8, 16)]
    assert [row.steps for row in rows if not row.lit] == [1, 1, 2, 4, 8]
    assert len(rows_of(Path("a"), Path("b"), Path("c"))) == len(rows) + 2


def test_what_is_kept_is_not_measured_again(tmp_path, monkeypatch):
    calls, sha = [], {"a": "1" * 64, "b": "2" * 64}

    @contextmanager
    def opened(seed, size, frames):
        drawn = SimpleNamespace(
            size=size, clip=None, target=lambda condition, samples: np.zeros((1, 2, 2, 3), np.uint8)
        )
        yield None if seed == 2 else drawn

    monkeypatch.setattr(ablate_steps, "opened", opened)
    monkeypatch.setattr(ablate_steps, "load_embedded", lambda folder, device: SimpleNamespace(sha256=sha[str(folder)]))
    monkeypatch.setattr(ablate_steps, "sample_of", lambda stage, condition, target: condition)
    monkeypatch.setattr(ablate_steps, "ConditionJudge", lambda: None)
    monkeypatch.setattr(ablate_steps, "seconds_of", lambda rows, scene, size: [0.5] * len(rows))
    monkeypatch.setattr(
        ablate_steps, "measure", lambda model, judge, sample, row: calls.append(sample) or {"psnr": 1.0}
    )

    def run():
        calls.clear()
        return ablate(ROWS, range(1, 4), (8, 16), 2, tmp_path / "targets", tmp_path / "ablation.json")

    found = run()
    assert len(calls) == 2 * 2 * 4 and found == json.loads((tmp_path / "ablation.json").read_text())
    assert len(list((tmp_path / "targets").iterdir())) == 8
    assert len(run()) == len(found) and not calls
    sha["b"] = "3" * 64
    assert len(run()) == len(found) + 8 and len(calls) == 8


def test_two_seeds_are_measured_by_their_noise_alone(monkeypatch):
    """Spread: the deviation of one seed's pictures from another's, by square root of two."""
    painted = {0: np.full((3, 4, 6, 3), 100, np.uint8), 1: np.full((3, 4, 6, 3), 100, np.uint8)}
    painted[1][:, :, ::2] = 120
    monkeypatch.setattr(ablate_steps, "paint", lambda *given, maps, steps, seed: painted[seed])
    buffer = SimpleNamespace(numpy=lambda: np.zeros((3, 4, 6, 2), np.float32))
    ids = SimpleNamespace(numpy=lambda: np.ones((3, 4, 6), np.uint32))
    rgb = SimpleNamespace(numpy=lambda: painted[0])
    clip = SimpleNamespace(instance_ids=ids, motion=buffer, rgb=rgb)
    sample = SimpleNamespace(condition="snow", clip=clip, target=painted[0])
    judge = SimpleNamespace(distance=lambda frame, a, b: float(np.abs(a.astype(float) - b).mean()))
    told = ablate_steps.measure(None, judge, sample, ROWS[1])
    assert told["psnr"] == 60.0 and told["residual"] == 0.0 and told["apart"] == pytest.approx(10.0)
    assert told["spread"] == pytest.approx(10.0 / np.sqrt(2.0) / 255.0)
