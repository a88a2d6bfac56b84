import cv2
import numpy as np
import pytest

from cosmos.bridge.critic.checks.presence import Match
from cosmos.bridge.critic.checks.rims import Rims


def scene(seed=3):
    """Two things before a background that lies behind the first and before the second; noise in all pictures."""
    rng = np.random.default_rng(seed)
    thing = np.zeros((48, 64), np.int32)
    thing[10:30, 12:26], thing[15:40, 40:44] = 1, 2
    depth = np.full(thing.shape, 5.0, np.float32)
    depth[thing == 1], depth[thing == 2] = 3.0, 8.0
    source = rng.uniform(40.0, 60.0, (*thing.shape, 3)).astype(np.float32)
    source[thing == 1] += (60.0, 20.0, -10.0)
    result = (0.5 * source[..., ::-1] + rng.normal(80.0, 3.0, source.shape)).astype(np.float32)
    return thing, depth, np.ascontiguousarray(source), np.ascontiguousarray(result)


def naive(thing, depth, source, result, hidden, owner):
    """Differences to all pixels 3 px away in four directions that are not of the thing and not before it, float64."""
    soft = [cv2.GaussianBlur(picture, (0, 0), 1.2).astype(np.float64) for picture in (source, result)]
    rows = []
    for y, x in np.argwhere(thing == owner):
        for v, u in ((y, x + 3), (y, x - 3), (y + 3, x), (y - 3, x)):
            if not (0 <= v < thing.shape[0] and 0 <= u < thing.shape[1]) or thing[v, u] == owner:
                continue
            if depth[v, u] < 0.98 * depth[y, x] or (hidden[v, u] and hidden[y, x]):
                continue
            rows.append(np.concatenate([picture[v, u] - picture[y, x] for picture in soft]))
    return np.array(rows).reshape(-1, 6)


@pytest.mark.parametrize("dark", [False, True])
def test_sums_are_those_of_every_pair_across_the_outline_in_float64(dark):
    thing, depth, source, result = scene()
    hidden = np.zeros(thing.shape, bool)
    hidden[:20] = dark
    rims = Rims(3)
    rims.add(thing, depth, (source, result), hidden, np.array([False, True, True]))
    rows = naive(thing, depth, source, result, hidden, 1)
    assert rims.pairs.tolist() == [0, len(rows), 0]  # the second lies behind, the background was not asked for
    np.testing.assert_allclose(rims.products[1], rows.T @ rows, rtol=1e-4)
    left = rows[:, 3:] - rows[:, :3] @ np.linalg.lstsq(rows[:, :3], rows[:, 3:], rcond=None)[0]
    match = Match.each(rims.products, rims.pairs)[1]
    assert match.explained == pytest.approx(1.0 - (left**2).sum() / (rows[:, 3:] ** 2).sum(), abs=0.005)
    assert match.source == pytest.approx(np.sqrt((rows[:, :3] ** 2).sum() / len(rows)), rel=1e-4)


def test_without_depth_both_sides_of_an_outline_speak_and_what_is_gone_leaves_little():
    thing, depth, source, result = scene()
    gone = cv2.inpaint(result.clip(0, 255).astype(np.uint8), (thing == 1).astype(np.uint8), 4.0, cv2.INPAINT_TELEA)
    hidden, large = np.zeros(thing.shape, bool), np.array([False, True, True])
    there, lost = Rims(3), Rims(3)
    there.add(thing, None, (source, result), hidden, large)
    lost.add(thing, None, (source, gone.astype(np.float32)), hidden, large)
    assert there.pairs[2] == len(naive(thing, np.ones_like(depth), source, result, hidden, 2)) > 0
    before, after = (Match.each(rims.products, rims.pairs)[1] for rims in (there, lost))
    assert before.explained > 0.8 > 0.4 > after.explained and after.result < 0.4 * before.result
