import numpy as np
import pytest
from scipy.optimize import minimize

from learn_evidence import Row, Sample, fit, folds, of_inventions, of_twins, table


def test_the_fit_is_the_least_of_its_loss():
    rng = np.random.default_rng(0)
    columns = rng.normal(0, (1.0, 3.0), (300, 2)) + 2.0
    faulty = columns @ (1.5, -0.4) + rng.normal(0, 1.0, 300) > 3.0
    weights, offset = fit(columns, faulty)
    mean, spread = columns.mean(axis=0), columns.std(axis=0)
    share = np.where(faulty, 0.5 / faulty.mean(), 0.5 / (1.0 - faulty.mean()))

    def loss(beta):
        odds = (columns - mean) / spread @ beta[:2] + beta[2]
        return (share * np.logaddexp(0.0, np.where(faulty, -odds, odds))).sum() + 0.5 * (beta[:2] ** 2).sum()

    best = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-8}).x
    np.testing.assert_allclose(weights, best[:2] / spread, rtol=1e-3)
    assert offset == pytest.approx(best[2] - best[:2] / spread @ mean, rel=1e-3)


def test_a_clip_counts_as_the_check_counts_it():
    rows = [Row(fault=False, frame=frame, thing=thing, seen={}) for thing, frame in ((1, 2), (1, 2), (1, 6), (2, 2))]
    assert of_twins(rows, [1.0, 3.0, 2.0, 11.0]) == pytest.approx(2.5)
    assert of_inventions(rows, [1.0, 5.0, 2.0, 3.0]) == pytest.approx(2.5)
    assert of_twins([], []) == -12.0


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
    good, bad = folds(samples, ["a"], of_inventions)
    assert (good > 0.0).sum() == 1 and (bad < 0.0).sum() == 1 and len(good) == len(bad) == 10
    columns, faulty = table(samples, ["a"])
    assert columns.shape == (40, 1) and faulty.sum() == 20
