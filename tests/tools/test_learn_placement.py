import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

import learn_placement
from cosmos.bridge.critic.evidence import PLACED


def test_weights_of_several_kinds_are_those_of_the_likelihood_at_its_greatest():
    rng = np.random.default_rng(3)
    kind = rng.integers(0, 4, 400)
    features = rng.normal(size=(400, 3)) * (1.0, 5.0, 0.2) + 0.7 * np.eye(4)[kind][:, 1:] * (1.0, 5.0, 0.2)
    counts = np.where(kind == 2, 0.3, 1.0)
    got = learn_placement.regress_kinds(features, kind, counts, ridge=1.0)
    mean, spread = features.mean(axis=0), features.std(axis=0)

    def cost(weights):
        table = weights.reshape(3, 4)
        odds = np.column_stack([np.zeros(400), table[:, 0] + (features - mean) / spread @ table[:, 1:].T])
        told = odds[np.arange(400), kind] - logsumexp(odds, axis=1)
        return -(counts * told).sum() + 0.5 * (table[:, 1:] ** 2).sum()

    best = minimize(cost, np.zeros(12), method="BFGS", options={"gtol": 1e-6}).x.reshape(3, 4)
    want = best[:, 1:] / spread
    np.testing.assert_allclose(got[:, 1:], want, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(got[:, 0], best[:, 0] - want @ mean, rtol=1e-3, atol=1e-3)


def test_every_fault_that_is_learnt_from_is_weighed():
    assert set(learn_placement.KINDS.values()) == set(PLACED)
    assert set(learn_placement.COUNTS) <= set(learn_placement.KINDS)
    assert all(tuple(kind.weights) == learn_placement.NAMES for kind in PLACED.values())


def test_the_table_judges_each_scene_by_the_others():
    rng = np.random.default_rng(4)
    rows = [
        learn_placement.Example(
            clip=f"clip{scene}",
            scene=f"scene{scene}",
            fault=fault,
            seen=tuple(rng.normal(3.0 * (0 if not fault else 1 + list(learn_placement.KINDS).index(fault)), 0.1, 8)),
        )
        for scene in range(16)
        for fault in ("", *learn_placement.KINDS)
    ]
    lines = learn_placement.table(rows).splitlines()
    assert lines[0].startswith("worst good clips of 16:")
    assert [line.split()[0] for line in lines[1:]] == list(learn_placement.KINDS)
    assert all("area 1.0000" in line for line in lines[1:])
    with pytest.raises(KeyError):
        learn_placement.fit([learn_placement.Example(clip="a", scene="a", fault="painted", seen=(0.0,) * 8)])
