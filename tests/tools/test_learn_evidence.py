import numpy as np
import pytest

from learn_evidence import Row, Sample, fit, folds, of_clip, table


def test_the_fit_finds_the_log_odds_of_two_normal_clouds_however_many_there_are_of_each():
    """Two clouds of one spread have log odds that are linear: (b - a) x / s^2, and 0 half way between them."""
    rng = np.random.default_rng(0)
    good, bad = np.array([1.0, -2.0]), np.array([2.0, -1.5])
    columns = np.concatenate([rng.normal(good, 1.0, (40000, 2)), rng.normal(bad, 1.0, (8000, 2))])
    weights, offset = fit(columns, np.arange(48000) >= 40000)
    np.testing.assert_allclose(weights, bad - good, atol=0.05)
    assert offset == pytest.approx(-(bad - good) @ (good + bad) / 2.0, abs=0.1)


def test_a_clip_counts_as_the_check_counts_it():
    assert of_clip([1.0, 5.0, 2.0, 3.0]) == pytest.approx(2.5)


def test_folds_never_judge_a_scene_that_they_learnt_from():
    """One scene alone has its sign turned: weights learnt on the others must call its good clips faulty."""
    rng = np.random.default_rng(1)
    samples = []
    for scene in range(10):
        for planted in (False, True):
            turned = -1.0 if scene == 3 else 1.0
            rows = tuple(
                Row(fault=planted, frame=frame, seen={"a": turned * ((3.0 if planted else -3.0) + rng.normal(0, 0.3))})
                for frame in (2, 6)
            )
            samples.append(Sample(scene=f"scene_{scene}", planted=planted, rows=rows))
    good, bad = folds(samples, ["a"])
    assert (good > 0.0).sum() == 1 and (bad < 0.0).sum() == 1 and len(good) == len(bad) == 10
    columns, faulty = table(samples, ["a"])
    assert columns.shape == (40, 1) and faulty.sum() == 20
