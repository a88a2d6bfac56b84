import numpy as np
import pytest

import learn_presence


def test_the_regression_finds_the_weights_that_made_the_examples():
    rng = np.random.default_rng(3)
    features = rng.normal((1.0, 0.5, 0.0), (0.6, 0.2, 0.4), (20_000, 3))
    truth = np.array([-1.0, 3.0, -2.0, 5.0])
    odds = truth[0] + features @ truth[1:]
    gone = rng.random(len(odds)) > 1.0 / (1.0 + np.exp(-odds))
    got = learn_presence.regress(features, gone)
    assert got == pytest.approx(truth, abs=0.25)


def test_the_table_tells_how_many_fall_below_each_bar():
    rng = np.random.default_rng(5)
    rows = [
        learn_presence.Example(
            clip=f"clip{number % 40}", scene=f"scene{number % 20}", faulty=bool(gone),
            features=(float(rng.normal(0.1 if gone else 1.6, 0.1)), 1.5, 0.0),
        )
        for number, gone in enumerate(rng.random(600) < 0.3)
    ]  # fmt: skip
    lines = learn_presence.table(rows, learn_presence.LESSONS["PRESENCE"]).splitlines()[1:]
    assert all(line.split()[1] == "100.0%" and line.split()[2] == "0.0%" for line in lines[2:])
