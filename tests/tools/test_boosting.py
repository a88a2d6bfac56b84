import json

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

import boosting
from cosmos.bridge.critic.trees import Learnt
from cosmos.bridge.errors import ModelWeightsError


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(3000, 5)) * (1.0, 4.0, 0.1, 1.0, 2.0)
    odds = 2.0 * rows[:, 0] - 0.5 * rows[:, 1] * (rows[:, 3] > 0.0) + 10.0 * rows[:, 2]
    faulty = rng.random(3000) < 1.0 / (1.0 + np.exp(-odds))
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows, faulty


def test_the_forest_is_the_one_that_scikit_learn_grew(sample):
    rows, faulty = sample
    stock = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.06, max_leaf_nodes=8, l2_regularization=5.0, min_samples_leaf=30,
        early_stopping=False, random_state=0,
    ).fit(rows, faulty)  # fmt: skip
    got = boosting.fit_forest(rows, faulty).log_odds(rows)
    np.testing.assert_allclose(got, stock.decision_function(rows), atol=1e-9)


def test_the_line_is_a_ridge_regression_of_clipped_standard_features(sample):
    rows, faulty = sample
    line = boosting.fit_line(rows, faulty)
    known = np.where(np.isnan(rows), np.nanmean(rows[~faulty], axis=0), rows)
    off = (known - known[~faulty].mean(axis=0)) / known[~faulty].std(axis=0)
    off = np.where(np.isnan(rows), 0.0, np.clip(off, -3.0, 3.0))
    scaled = (off - off.mean(axis=0)) / off.std(axis=0)
    stock = LogisticRegression(C=1.0 / boosting.RIDGE, tol=1e-10, max_iter=1000).fit(scaled, faulty)
    np.testing.assert_allclose(line.log_odds(rows), stock.decision_function(scaled), atol=2e-3)


def test_what_is_written_says_the_same_when_read_and_damage_is_told(sample, tmp_path):
    rows, faulty = sample
    names = tuple("abcde")
    learnt = boosting.fit_kinds(names, rows, np.where(faulty, 2, 0), {"gone": 2}, "a test")
    learnt.save(tmp_path / "odds.json")
    read = Learnt.load(tmp_path / "odds.json")
    measured = [dict(zip(names, row, strict=True)) for row in rows[:200].tolist()]
    np.testing.assert_allclose(read.log_odds("gone", measured), learnt.log_odds("gone", measured), atol=1e-3)
    assert read.names == names and read.reason == "a test" and read.log_odds("gone", []).shape == (0,)
    odds, likeliest = read.any_odds(("gone", "gone"), measured)
    np.testing.assert_allclose(odds, read.log_odds("gone", measured) + np.log(2.0))
    assert set(likeliest) == {"gone"}
    with pytest.raises(KeyError):
        read.log_odds("gone", [{"a": 1.0}])
    told = json.loads((tmp_path / "odds.json").read_text())
    del told["kinds"]["gone"]["line"]["weights"]
    (tmp_path / "odds.json").write_text(json.dumps(told))
    with pytest.raises(ModelWeightsError, match="install the package again"):
        Learnt.load(tmp_path / "odds.json")
    with pytest.raises(ModelWeightsError):
        Learnt.load(tmp_path / "none.json")
