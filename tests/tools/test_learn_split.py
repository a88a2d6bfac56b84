import numpy as np
import pytest

import learn_split


def test_the_regression_finds_the_weights_that_made_the_examples():
    rng = np.random.default_rng(3)
    features = rng.normal((1.0, 0.5, 0.0), (0.6, 0.2, 0.4), (20_000, 3))
    truth = np.array([-1.0, 3.0, -2.0, 5.0])
    odds = truth[0] + features @ truth[1:]
    gone = rng.random(len(odds)) > 1.0 / (1.0 + np.exp(-odds))
    got = learn_split.regress(features, gone)
    assert got == pytest.approx(truth, abs=0.25)


def test_the_table_tells_how_many_fall_below_each_bar():
    rng = np.random.default_rng(5)
    rows = [
        learn_split.Example(
            clip=f"clip{number % 40}", scene=f"scene{number % 20}", faulty=bool(gone),
            features=(float(rng.normal(1.6 if gone else 0.1, 0.1)), 1.5, 0.0),
        )
        for number, gone in enumerate(rng.random(600) < 0.3)
    ]  # fmt: skip
    bars = [line.split() for line in learn_split.table(rows).splitlines()[1:]]
    assert [float(bar) for bar, *_ in bars] == list(learn_split.BARS)
    assert all(float(found.rstrip("%")) > 95.0 and good == "0.0%" for _, found, good in bars[1:])
