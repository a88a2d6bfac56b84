import numpy as np
import pytest

import learn_things
from cosmos.bridge.critic.evidence import THINGS


def example(rng, scene, fault):
    """Each fault raises one measure; one more is unknown half of the time, and says nothing."""
    high = 0 if not fault else 1 + list(learn_things.KINDS).index(fault)
    seen = {f"sign{i}": float(rng.normal(6.0 * (i == high), 1.0)) for i in range(1, 5)}
    seen["none"] = float("nan") if rng.random() < 0.5 else 1.0
    return learn_things.Example(clip=f"clip{scene}", scene=f"scene{scene}", fault=fault, path="/World/A", seen=seen)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    return [example(rng, scene, fault) for scene in range(60) for fault in ("", "", "", *learn_things.KINDS)]


def test_every_fault_is_learnt_and_the_odds_that_ship_know_all_of_them(rows):
    learnt = learn_things.learn(rows, "a test")
    assert set(learnt.kinds) == set(learn_things.KINDS.values()) == set(THINGS.kinds)
    for fault, kind in learn_things.KINDS.items():
        odds = learnt.log_odds(kind, [row.seen for row in rows if row.fault in ("", fault)])
        faulty = np.array([row.fault == fault for row in rows if row.fault in ("", fault)])
        assert np.quantile(odds[faulty], 0.1) > 0.0 > np.quantile(odds[~faulty], 0.98)
    assert THINGS.reason.startswith("Learnt by tools/learn_things.py from")


def test_the_table_judges_each_scene_by_the_others(rows):
    lines = learn_things.table(rows).splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == 2 * list(learn_things.KINDS)
    kept = next(line for line in lines if line.split()[0] == "removed")
    assert "60 things: " in kept and float(kept.rsplit(" ", 1)[1]) > 0.98
    moved = [line for line in lines if line.split()[0] == "moved"]
    assert float(moved[1].rsplit(" ", 1)[1]) > 0.98 > float(moved[0].rsplit(" ", 1)[1])
