import numpy as np
import pytest

from cosmos.bridge.critic.checks.explained import residual
from cosmos.bridge.critic.checks.tints import tints
from cosmos.bridge.critic.evidence import EVIDENCE, Evidence

SIZE = (36, 64)


def pictures(seed=4):
    rng = np.random.default_rng(seed)
    return rng.uniform(20, 220, (*SIZE, 3)).astype(np.float32), np.ones(SIZE, np.float32)


def test_tints_match_projections_in_float64():
    source, weight = pictures()
    result = (0.4 * source + np.random.default_rng(5).normal(0, 12, source.shape) + 20).astype(np.float32)
    error, mean = (np.moveaxis(part, 0, -1).astype(np.float64) for part in
                   residual(source, result, weight, side=17, noise=4.0))  # fmt: skip
    across, alone = np.zeros(SIZE), np.zeros(SIZE)
    for place in np.ndindex(SIZE):
        light = mean[place] + 6.0
        both = np.linalg.qr(np.stack([light, np.ones(3)], axis=1))[0]
        alone[place] = ((error[place] - both[:, 0] * (both[:, 0] @ error[place])) ** 2).sum()
        light = light / np.linalg.norm(light)
        sine = np.sqrt(max(1.0 - (light.sum() ** 2) / 3.0, 0.0))
        toward = both[:, 1] @ error[place] * min(sine / 0.1, 1.0)
        across[place] = alone[place] - toward**2
    got = tints(source, result, weight, patch=5)
    for y, x in ((18, 30), (5, 9), (30, 50)):
        cut = slice(y - 2, y + 3), slice(x - 2, x + 3)
        np.testing.assert_allclose(got[1, y, x], np.sqrt(alone[cut].mean()), rtol=2e-3)
        np.testing.assert_allclose(got[0, y, x], np.sqrt(across[cut].mean()), rtol=2e-3)


@pytest.mark.parametrize("change", ["graded", "shadow", "snow"])
def test_light_and_weather_leave_little_and_paint_leaves_much(change):
    source, weight = pictures()
    source[:] = 0.15 * source + (120, 90, 60)
    result = source @ np.array([[0.6, 0.1, 0.0], [0.0, 0.5, 0.1], [0.1, 0.0, 0.7]], np.float32) + 9.0
    painted = result.copy()
    painted[14:22, 28:36] = (30, 160, 200)
    if change == "shadow":
        result[14:22, 28:36] *= 0.35
    if change == "snow":
        result[14:22, 28:36] += 0.7 * (235.0 - result[14:22, 28:36])
    plain, odd = tints(source, result, weight, patch=5)[0, 18, 32], tints(source, painted, weight, patch=5)[0, 18, 32]
    assert plain < 0.25 * odd and odd > 15.0


@pytest.mark.parametrize("seed", range(8))
def test_beside_paint_nothing_is_less_than_nothing(seed):
    """A running sum over a window leaves rounding behind a bright spot, which may lie below 0."""
    source, weight = pictures(seed)
    source, weight = source * np.float32(1e-4), 0.0 * weight
    result = source * np.float32(1.0 + 1e-6)
    result[10:20, 20:30] = np.random.default_rng(seed).uniform(0, 255, (10, 10, 3))
    with np.errstate(invalid="raise"):
        found = tints(source, result, weight, patch=5)
    assert np.isfinite(found).all() and found.min() >= 0.0


def test_what_must_keep_its_colours_is_held_against_the_source_itself():
    source, weight = pictures()
    weight[10:26, 20:44] = 0.0
    result = 0.5 * source
    result[10:26, 20:44] = source[10:26, 20:44]
    assert tints(source, result, weight, patch=5)[:, 18, 32].max() < 0.5
    result[14:22, 28:36] = (200, 30, 160)
    assert tints(source, result, weight, patch=5)[1, 18, 32] > 20.0


def test_log_odds_are_the_weighted_sum_and_are_limited():
    evidence = Evidence(weights={"a": 2.0, "b": -1.0}, offset=0.5, limit=4.0, reason="")
    assert evidence.log_odds({"a": 1.0, "b": 0.25}) == pytest.approx(2.25)
    assert evidence.log_odds({"a": 9.0, "b": 0.0}) == 4.0 and evidence.log_odds({"a": -9.0, "b": 0.0}) == -4.0
    assert evidence.log_odds({"a": np.nan, "b": 0.0}) == -4.0
    with pytest.raises(KeyError):
        evidence.log_odds({"a": 1.0})
    assert all(item.reason and item.weights for item in EVIDENCE.values())
