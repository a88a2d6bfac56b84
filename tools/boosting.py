"""Fit the learnt odds of ``critic/trees.py``: a ridge logistic regression, and trees boosted by scikit-learn."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from cosmos.bridge.critic.trees import Forest, Learnt, Line
from learn_split import regress

MOST = 3.0
"""Standard deviations beyond which a feature says no more in the regression."""
RIDGE = 3.0
"""Draws its weights to 0."""


def fit_line(rows: np.ndarray, faulty: np.ndarray) -> Line:
    """Fit a regression; the good rows say what is usual.

    Args:
        rows: Features, float64, shape [M, N], NaN where unknown.
        faulty: bool, shape [M]; both kinds occur.
    """
    good = np.where(np.isnan(rows[~faulty]), np.nanmean(rows[~faulty], axis=0), rows[~faulty])
    line = Line(
        usual=good.mean(axis=0), spread=good.std(axis=0) + 1e-6, most=MOST, offset=0.0, weights=np.zeros(rows.shape[1])
    )
    offset, *weights = regress(line.standard(rows), ~faulty, ridge=RIDGE)
    return Line(usual=line.usual, spread=line.spread, most=MOST, offset=float(offset), weights=np.array(weights))


def fit_forest(rows: np.ndarray, faulty: np.ndarray) -> Forest:
    """Boost trees of eight leaves; arguments as of `fit_line`."""
    boosted = HistGradientBoostingClassifier(
        max_iter=150, learning_rate=0.06, max_leaf_nodes=8, l2_regularization=5.0, min_samples_leaf=30,
        early_stopping=False, random_state=0,
    ).fit(rows, faulty)  # fmt: skip
    trees = [trees[0].nodes for trees in boosted._predictors]
    starts = np.cumsum([0] + [len(nodes) for nodes in trees[:-1]])
    nodes = np.concatenate(trees)
    first = np.repeat(starts, [len(nodes) for nodes in trees])
    leaf, own = nodes["is_leaf"].astype(bool), np.arange(len(nodes))
    return Forest(
        offset=float(boosted._baseline_prediction.ravel()[0]),
        roots=starts.astype(np.int64),
        feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
        threshold=np.where(leaf, 0.0, nodes["num_threshold"]),
        unknown_left=nodes["missing_go_to_left"].astype(bool),
        left=np.where(leaf, own, nodes["left"] + first),
        right=np.where(leaf, own, nodes["right"] + first),
        value=np.where(leaf, nodes["value"], 0.0),
    )


def fit_kinds(
    names: tuple[str, ...], rows: np.ndarray, kind: np.ndarray, kinds: Mapping[str, int], reason: str
) -> Learnt:
    """Fit each kind of fault against none.

    Args:
        names: Names of the features.
        rows: float64, shape [M, N].
        kind: What each row is, 0 for none, shape [M].
        kinds: Name of each fault -> its number in ``kind``.
        reason: What it is learnt from.
    """
    fitted = {}
    for name, number in kinds.items():
        mine = (kind == 0) | (kind == number)
        fitted[name] = fit_line(rows[mine], kind[mine] > 0), fit_forest(rows[mine], kind[mine] > 0)
    return Learnt(names=names, kinds=fitted, reason=reason)
