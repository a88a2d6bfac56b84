from dataclasses import replace

import cv2
import numpy as np
import pytest

from cosmos.bridge.critic.checks.boundaries import BoundarySweep
from cosmos.bridge.critic.checks.patterns import IN_PLACE, MIRRORED, SHIFTS, Ground, pattern, reaching
from cosmos.bridge.critic.checks.placement import PlacementSweep
from cosmos.bridge.critic.consistency import ConsistencyCritic, ConsistencyOptions
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.thresholds import THRESHOLDS
from cosmos.bridge.critic.truth import Truth, chunks
from new_light import lit

CRATE, ROBOT, BOLT = 3, 5, 6


def placed(world, rgb, **how):
    """Log odds of the worst thing, and what was found."""
    verdict = ConsistencyCritic().judge(world.request(**how), world.result(rgb))
    found = [finding for finding in verdict.findings if finding.check == "instance_placed"]
    return next((m.value for m in verdict.measurements if m.check == "instance_placed"), None), found


def with_changed(world, rgb, thing, matrix_of):
    """Take a thing out, fill its place, and draw it again through a matrix that its box ``(x0, y0, x1, y1)`` gives."""
    changed = rgb.copy()
    for t in range(len(rgb)):
        mask = (world.ids[t] == thing).astype(np.uint8)
        x, y, wide, high = cv2.boundingRect(mask)
        matrix = matrix_of(x, y, x + wide, y + high)
        hole = cv2.dilate(mask, np.ones((5, 5), np.uint8))
        empty = cv2.inpaint(rgb[t], hole, 4.0, cv2.INPAINT_TELEA)
        size = (mask.shape[1], mask.shape[0])
        there = cv2.warpAffine(mask, matrix, size, flags=cv2.INTER_NEAREST) > 0
        there &= world.depth[t] >= world.depth[t][mask > 0].min()
        drawn = cv2.warpAffine(rgb[t], matrix, size, flags=cv2.INTER_LINEAR)
        changed[t] = np.where(there[..., None], drawn, empty)
    return changed


def shifted(right, down):
    return lambda *box: np.array([[1.0, 0.0, right], [0.0, 1.0, down]])


def mirror(x0, y0, x1, y1):
    return np.array([[-1.0, 0.0, x0 + x1 - 1.0], [0.0, 1.0, 0.0]])


def larger(x0, y0, x1, y1):
    return np.array([[1.4, 0.0, -0.4 * 0.5 * (x0 + x1)], [0.0, 1.4, -0.4 * y1]])


def speckled(world, seed=3):
    """The default world with stripes across the crate and robot, which no mirror or shift leaves as they are."""
    rng = np.random.default_rng(seed)
    rgb = world.rgb.copy()
    noise = cv2.GaussianBlur(rng.standard_normal((80, 80)).astype(np.float32), (0, 0), 1.8)
    noise *= 45.0 / noise.std()
    for t in range(len(rgb)):
        for thing in (CRATE, ROBOT):
            ys, xs = np.nonzero(world.ids[t] == thing)
            paint = noise[ys - ys.min(), xs - xs.min()][:, None]
            rgb[t, ys, xs] = np.clip(rgb[t, ys, xs] + paint, 0, 255).astype(np.uint8)
    return rgb


def test_a_pattern_matches_float64_and_forgets_light_and_contrast():
    rng = np.random.default_rng(1)
    picture = rng.uniform(0, 255, (21, 27, 3))
    got = pattern(picture.astype(np.float32))
    for y, x in ((8, 9), (12, 20), (14, 6)):
        cut = picture[y - 6 : y + 7, x - 6 : x + 7]
        high = np.empty((7, 7, 3))
        for j in range(7):
            for i in range(7):
                high[j, i] = cut[j + 3, i + 3] - cut[j : j + 7, i : i + 7].reshape(-1, 3).mean(axis=0)
        strength = np.sqrt((high**2).sum(axis=-1).mean() / 3.0)
        np.testing.assert_allclose(got[y, x], 10.0 * high[3, 3] / (strength + 4.0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(pattern(0.3 * picture + 90.0), got, atol=2.5)
    assert not pattern(np.full((9, 9, 3), 77.0)).any()


def gain_in_float64(source, result, owner, thing, rows, columns, at_rows, at_columns):
    """What stays unexplained without a thing less what stays with it at some pixels, by least squares."""
    without = (result.astype(np.float64) ** 2).sum(axis=-1)
    plain = without.copy()
    for other in np.unique(owner):
        mask = owner == other
        a, b = source[mask].astype(np.float64), result[mask].astype(np.float64)
        fit = np.linalg.solve(a.T @ a + np.eye(3) * len(a), a.T @ b)
        without[mask] = ((b - a @ fit) ** 2).sum(axis=1)
    worst = cv2.blur(plain, (5, 5)) / np.maximum(cv2.blur(without, (5, 5)), 1e-3)
    without = np.where(owner == thing, plain, without * np.minimum(worst, 1.0))
    a, b = source[at_rows, at_columns].astype(np.float64), result[rows, columns].astype(np.float64)
    shared = a.T @ b
    left = (b**2).sum() - (shared * np.linalg.solve(a.T @ a + np.eye(3) * len(a), shared)).sum()
    return without[rows, columns].sum() - left


def test_gains_match_least_squares_in_float64():
    rng = np.random.default_rng(2)
    source, result = (rng.normal(0, 8, (48, 56, 3)).astype(np.float32) for _ in range(2))
    owner = np.zeros((48, 56), np.int32)
    owner[18:30, 20:37] = 1
    result[18 + 3 : 30 + 3, 20 - 1 : 37 - 1] = source[18:30, 20:37] @ rng.normal(0, 1, (3, 3)).astype(np.float32)
    ground = Ground(source, result, owner, 2)
    gains, changed = ground.gains(1, 10_000)
    rows, columns = np.nonzero(owner == 1)
    for number in range(0, len(SHIFTS), 7):
        down, right = SHIFTS[number]
        want = gain_in_float64(source, result, owner, 1, rows + down, columns + right, rows, columns)
        assert gains[number] == pytest.approx(want, rel=2e-3, abs=20.0)
    assert tuple(SHIFTS[gains.argmax()]) == (3, -1)
    want = max(
        gain_in_float64(source, result, owner, 1, rows + down, 56 - columns + right, rows, columns)
        for down, right in SHIFTS[IN_PLACE]
    )
    assert changed[MIRRORED] == pytest.approx(want, rel=2e-3, abs=20.0)
    assert ground.size(1) == len(rows)
    assert ground.energy(1) == pytest.approx((result[owner == 1].astype(np.float64) ** 2).sum(), rel=1e-5)


def test_fewer_sites_tell_the_same_on_average():
    rng = np.random.default_rng(4)
    source = rng.normal(0, 8, (64, 64, 3)).astype(np.float32)
    owner = np.zeros((64, 64), np.int32)
    owner[16:48, 16:48] = 1
    all_of_them, some = (Ground(source, 0.5 * source, owner, 2).gains(1, sites)[0] for sites in (4096, 200))
    np.testing.assert_allclose(some[IN_PLACE].max(), all_of_them[IN_PLACE].max(), rtol=0.15)


def test_a_thing_reaches_over_what_is_not_nearer():
    thing, depth = np.zeros((20, 20), np.int32), np.full((20, 20), 9.0, np.float32)
    thing[8:12, 8:12], depth[8:12, 8:12] = 1, 5.0
    thing[8:12, 12:15], depth[8:12, 12:15] = 2, 2.0
    depth[4:8] = np.nan
    got = reaching(thing, depth, np.array([False, True, True]))
    diamond = cv2.dilate((thing > 0).astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), iterations=2)
    np.testing.assert_array_equal(got > 0, diamond > 0)
    assert (got[8:12, 10:12] == 2).all() and (got[8:12, 6:10] == 1).all()
    alone = reaching(thing, depth, np.array([False, True, False]))
    np.testing.assert_array_equal(alone[thing == 2], 2)
    np.testing.assert_array_equal(reaching(thing, None, np.zeros(3, bool)), thing)


@pytest.mark.parametrize("by", [(4, 0), (0, -4), (-3, 3), (7, 0)])
def test_a_thing_that_stands_elsewhere_is_named_under_another_light(world, by):
    value, found = placed(world, with_changed(world, lit(world.rgb), CRATE, shifted(*by)))
    assert [finding.instance for finding in found] == [CRATE] and value == found[0].value > 1.5
    assert "px away" in found[0].text and world.path(CRATE) in found[0].text
    assert placed(world, lit(world.rgb))[0] < 0.0


@pytest.mark.parametrize("change, told", [(mirror, "mirrored"), (larger, "its size")])
def test_a_mirrored_or_larger_thing_is_named(world, change, told):
    rgb = speckled(world)
    bad = with_changed(world, lit(rgb), CRATE, change)
    value, found = placed(world, bad, source=rgb)
    assert [finding.instance for finding in found] == [CRATE] and value > 1.5
    assert told in found[0].text
    assert placed(world, lit(rgb), source=rgb)[0] < 0.0


def test_night_and_noise_alone_displace_nothing(world):
    black = (world.rgb * 0.03).astype(np.uint8)
    assert [finding.kind for finding in placed(world, black)[1]] == ["unchecked"]
    rng = np.random.default_rng(6)
    grain = np.clip(world.rgb + rng.normal(0, 12, world.rgb.shape), 0, 255).astype(np.uint8)
    assert placed(world, grain)[0] < 0.0


def test_what_cannot_be_told_is_said(world, draw_world, layers_without):
    _, found = placed(world, world.rgb, drop=("instance_ids",))
    assert [finding.kind for finding in found] == ["unchecked"]
    only_small = draw_world([layer for layer in layers_without() if layer.id in (10, BOLT)])
    value, found = placed(only_small, only_small.rgb)
    assert value is None and [finding.kind for finding in found] == ["unchecked"]


def test_one_frame_and_no_depth_suffice(draw_world, layers_without):
    still = draw_world(layers_without(), frames=1)
    bad = with_changed(still, lit(still.rgb), CRATE, shifted(4, 0))
    assert placed(still, bad, drop=("depth", "motion"))[1][0].instance == CRATE
    assert not placed(still, lit(still.rgb), drop=("depth", "motion"))[1]


def test_what_the_rim_of_the_picture_cuts_is_not_judged(draw_world, layers_without):
    cut = draw_world(layers_without(i3=(-52.0, 0.0)), frames=3)
    x = np.nonzero(cut.ids[1] == CRATE)[1]
    assert x.min() == 0 and len(x) > 400
    bad = with_changed(cut, lit(cut.rgb), CRATE, shifted(5, 0))
    assert CRATE not in [finding.instance for finding in placed(cut, bad)[1]]


@pytest.mark.parametrize("posts, judged", [((50.0,), True), ((42.0, 58.0), False)])
def test_what_posts_cut_in_two_is_judged_by_its_colours_and_what_is_in_scraps_is_not(
    draw_world, layers_without, layer_type, posts, judged
):
    row = [layer_type(20 + i, f"/World/Post_{i}", 2.0, (x, 60.0), (60, 8), (1.5, 0.0), (30, 30, 30))
           for i, x in enumerate(posts)]  # fmt: skip
    cut = draw_world([*layers_without(), *row], frames=6)
    truth, limits = Truth.of(cut.request().clip), Limits()
    boundaries = BoundarySweep(truth, THRESHOLDS, limits)
    sweep = PlacementSweep(truth, boundaries, 6, THRESHOLDS, limits)
    for chunk in chunks(cut.request().clip, cut.result(lit(cut.rgb)).rgb, truth, limits.chunk):
        boundaries.add(chunk)
        sweep.add(chunk)
    crate = next(i for i, thing in enumerate(truth.things) if thing.id == CRATE)
    rows = sweep.measured().signs
    assert crate not in boundaries.seen()[1] and (crate in rows) == judged
    assert not judged or rows[crate]["structure"] > 1.0  # as measured on it, not what stands for the unknown


def test_wider_pictures_are_compared_at_the_usual_width(world):
    rgb = speckled(world)
    moved = with_changed(replace(world, rgb=rgb), rgb, CRATE, shifted(4.0, 0.0))
    twice = {name: getattr(world, name).repeat(2, axis=1).repeat(2, axis=2) for name in ("ids", "depth", "motion")}
    wide = replace(world, rgb=rgb.repeat(2, axis=1).repeat(2, axis=2), **twice | {"motion": 2.0 * twice["motion"]})
    critic = ConsistencyCritic(ConsistencyOptions(limits=Limits(usual_width=rgb.shape[2])))
    verdict = critic.judge(wide.request(), wide.result(moved.repeat(2, axis=1).repeat(2, axis=2)))
    named = [finding for finding in verdict.findings if finding.check == "instance_placed"]
    assert CRATE in {finding.instance for finding in named}
    assert any("8.0 px away" in finding.text for finding in named if finding.instance == CRATE)
    good = critic.judge(wide.request(), wide.result(wide.rgb))
    assert not [finding for finding in good.findings if finding.check == "instance_placed"]
