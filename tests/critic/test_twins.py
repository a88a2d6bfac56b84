from dataclasses import replace

import cv2
import numpy as np
import pytest

from cosmos.bridge.critic.checks.explained import unexplained, unlike, unplain
from cosmos.bridge.critic.checks.likeness import (
    Place,
    View,
    _again,
    _correlated,
    covered,
    in_scraps,
    measure,
)
from cosmos.bridge.critic.consistency import ConsistencyCritic
from new_light import lit

ROBOT, CRATE = 5, 3


def likeness(world, rgb, **how):
    verdict = ConsistencyCritic().judge(world.request(**how), world.result(rgb))
    found = [finding for finding in verdict.findings if finding.check == "duplicated"]
    return next(m.value for m in verdict.measurements if m.check == "duplicated"), found


def with_twin(world, rgb, thing, by):
    """Draw a thing a second time, ``by`` pixels to the left."""
    twice = rgb.copy()
    for t in range(len(rgb)):
        ys, xs = np.nonzero(world.ids[t] == thing)
        inside = xs - by >= 0
        twice[t, ys[inside], xs[inside] - by] = rgb[t, ys[inside], xs[inside]]
    return twice


def test_what_is_unexplained_matches_weighted_least_squares_in_float64():
    rng = np.random.default_rng(2)
    source = rng.uniform(0, 255, (23, 31, 3)).astype(np.float32)
    result = (0.5 * source + rng.normal(0, 20, source.shape)).astype(np.float32)
    weight = (rng.random((23, 31)) > 0.3).astype(np.float32)
    got = unexplained(source, result, weight, side=9, noise=1e-3)
    for y, x in ((11, 15), (8, 20), (14, 6)):
        cut = slice(y - 4, y + 5), slice(x - 4, x + 5)
        root = np.sqrt(weight[cut].ravel().astype(np.float64))[:, None]
        columns = np.concatenate([source[cut].reshape(-1, 3), np.ones((81, 1))], axis=1).astype(np.float64)
        fit = np.linalg.lstsq(columns * root, result[cut].reshape(-1, 3) * root, rcond=None)[0]
        error = ((result[y, x] - np.append(source[y, x], 1.0) @ fit) ** 2).sum() * weight[y, x]
        assert got[y, x] == pytest.approx(error, rel=2e-3, abs=0.05)


def test_what_lies_in_snow_is_explained_by_a_function_of_its_own():
    """Oracle: least squares in float64 over the pixels of the window that are in snow, or bare, like the one asked."""
    rng = np.random.default_rng(12)
    source = rng.uniform(0, 255, (23, 31, 3)).astype(np.float32)
    snow = (np.mgrid[:23, :31][0] + rng.integers(0, 3, (23, 31)) < 12).astype(np.float32)
    result = np.where(snow[..., None] > 0.0, 0.1 * source + 200.0, 0.4 * source).astype(np.float32)
    result += rng.normal(0, 8, source.shape).astype(np.float32)
    weight = (rng.random((23, 31)) > 0.2).astype(np.float32)
    told = unexplained(source, result, weight, side=11, noise=1e-3, snow=snow)
    assert told.sum() < 0.5 * unexplained(source, result, weight, side=11, noise=1e-3).sum()
    for y, x in ((10, 15), (12, 20), (11, 6), (14, 9)):
        cut = slice(y - 5, y + 6), slice(x - 5, x + 6)
        like = weight[cut].ravel() * (snow[cut].ravel() == snow[y, x])
        root = np.sqrt(like.astype(np.float64))[:, None]
        columns = np.concatenate([source[cut].reshape(-1, 3), np.ones((121, 1))], axis=1).astype(np.float64)
        fit = np.linalg.lstsq(columns * root, result[cut].reshape(-1, 3) * root, rcond=None)[0]
        error = ((result[y, x] - np.append(source[y, x], 1.0) @ fit) ** 2).sum() * weight[y, x]
        assert told[y, x] == pytest.approx(error, rel=5e-3, abs=0.1)


def test_any_affine_change_of_colour_explains_all_and_a_plane_is_plain():
    rng = np.random.default_rng(3)
    source = rng.uniform(0, 255, (20, 20, 3)).astype(np.float32)
    result = source @ np.array([[0.2, 0.1, 0.3], [0.5, -0.4, 0.0], [0.1, 0.2, 0.3]], np.float32) + 30.0
    mask = np.ones((20, 20), bool)
    assert unlike(source, result, mask) < 1e-3 < 1e3 < unplain(mask, result)[0]
    assert unexplained(source, result, mask.astype(np.float32), side=9, noise=1e-3).max() < 1.0
    y, x = np.mgrid[:20, :20]
    plane = np.stack([3.0 * x + y, 100.0 - 2.0 * y, 0.0 * x + 7.0], axis=-1).astype(np.float32)
    assert unplain(mask, plane)[0] < 1e-3


@pytest.mark.parametrize("repeated", [0.0, 1.0])
def test_what_anything_else_explains_as_well_is_no_twin(repeated):
    """A copy that the source shows as well, however badly a repaint and a plane explain it."""
    rng = np.random.default_rng(9)
    source = cv2.GaussianBlur(rng.uniform(0, 255, (64, 96, 3)), (0, 0), 1.2).astype(np.float32)
    thing = np.zeros((64, 96), np.int32)
    thing[20:40, 10:30] = 1
    result = source.copy()
    result[20:40, 60:80] = source[20:40, 10:30]
    view = View(number=0, scale=1, source=(1.0 - repeated) * source + repeated * result, result=result, thing=thing,
                weight=np.ones((64, 96), np.float32))  # fmt: skip
    told = measure(view, Place(owner=1, away=(0, 50)), dark=12.0).measured
    assert told["least"] == min(told["source"], told["repainted"], told["plain"], 1.0)
    assert told["least"] < 0.2 if repeated else told["least"] == 1.0


@pytest.mark.parametrize("by", [(0.4, -0.3), (-0.5, 0.5), (0.9, 0.2)])
def test_a_twin_between_whole_pixels_fits_as_well(by):
    rng = np.random.default_rng(6)
    own = cv2.GaussianBlur(rng.uniform(0, 255, (40, 40, 3)).astype(np.float32), (0, 0), 1.5) * 3.0
    shift = np.array([[1.0, 0.0, by[0]], [0.0, 1.0, by[1]]])
    there = cv2.warpAffine(own, shift, (40, 40), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    there[18:20, 5:35] = 255.0
    core = np.zeros((40, 40), bool)
    core[4:-4, 4:-4] = True
    whole = np.median(((there - own)[core] ** 2).sum(axis=1))
    assert _again(there, own, core) < 0.02 * whole


@pytest.mark.parametrize("upright", [True, False])
def test_a_post_is_found_again_though_it_was_sought_farther_along_itself(upright):
    """At half the size a post hardly tells where along itself it fits: the search may be several px off."""
    rng = np.random.default_rng(4)
    source = cv2.GaussianBlur(rng.uniform(0, 255, (96, 96, 3)), (0, 0), 2.0).astype(np.float32)
    thing, result = np.zeros((96, 96), np.int32), source.copy()
    thing[16:80, 20:28] = 1
    result[16:80, 60:68] = source[16:80, 20:28]
    if not upright:
        source, result, thing = (np.ascontiguousarray(np.swapaxes(part, 0, 1)) for part in (source, result, thing))
    weight = np.ones((96, 96), np.float32)
    view = View(number=0, scale=1, source=source, result=result, thing=thing, weight=weight)
    told = measure(view, Place(owner=1, away=(7, 40) if upright else (40, 7)), dark=12.0)
    assert told is not None and told.at == ((48, 64) if upright else (64, 48))
    assert told.measured["least"] == 1.0


def test_what_the_source_explains_is_not_looked_at_closely():
    rng = np.random.default_rng(5)
    source = cv2.GaussianBlur(rng.uniform(0, 255, (64, 96, 3)), (0, 0), 1.2).astype(np.float32)
    thing = np.zeros((64, 96), np.int32)
    thing[20:40, 10:30] = 1
    view = View(number=0, scale=1, source=source, result=0.5 * source + 40.0, thing=thing,
                weight=np.ones((64, 96), np.float32))  # fmt: skip
    assert measure(view, Place(owner=1, away=(0, 50)), dark=12.0) is None


def test_likeness_is_the_correlation_of_colours():
    rng = np.random.default_rng(8)
    left = rng.uniform(0, 255, (200, 3)).astype(np.float32)
    right = (0.3 * left + rng.normal(0, 30, left.shape) + (90.0, 20.0, 5.0)).astype(np.float32)
    columns = [(colors - colors.mean(axis=0)).astype(np.float64).ravel() for colors in (left, right)]
    assert _correlated(left, right) == pytest.approx(np.arctanh(np.corrcoef(*columns)[0, 1]), abs=1e-4)
    assert _correlated(left, np.full_like(left, 7.0)) == 0.0
    assert np.isfinite(_correlated(left, left))


def test_the_rim_of_a_thing_covers_nothing_of_a_smaller_picture():
    mask = np.zeros((40, 60), np.uint8)
    mask[9:30, 13:34] = 1
    share, (y, x) = covered(mask, (20, 30))
    core = np.zeros((40, 60))
    core[10:29, 14:33] = 1
    want = core.reshape(20, 2, 30, 2).mean(axis=(1, 3))
    rows, columns = np.nonzero(want)
    assert (y, x) == (rows.min(), columns.min())
    np.testing.assert_allclose(share, want[y : rows.max() + 1, x : columns.max() + 1], atol=1e-6)
    thin = np.zeros((40, 60), np.uint8)
    thin[5:35, 20] = 1
    assert covered(thin, (20, 30))[0].sum() == pytest.approx(30 / 4)


def test_what_is_seen_through_a_fence_is_in_scraps():
    whole = np.zeros((40, 60), np.uint8)
    whole[5:35, 10:50] = 1
    fenced = whole.copy()
    fenced[:, 20::10] = 0
    assert not in_scraps(whole, 0.75) and in_scraps(fenced, 0.75)


@pytest.mark.parametrize("thing, by", [(ROBOT, 70), (CRATE, -60), (ROBOT, -45)])
def test_a_twin_is_found_under_another_light(world, thing, by):
    value, found = likeness(world, with_twin(world, lit(world.rgb), thing, by))
    assert found and found[0].instance == thing and value > 1.0
    assert likeness(world, lit(world.rgb))[0] < -2.0


def test_a_thing_that_the_source_shows_twice_is_no_twin(world):
    twice = replace(world, rgb=with_twin(world, world.rgb, ROBOT, 70))
    value, found = likeness(twice, lit(twice.rgb))
    assert not found and value < -2.0


def test_darkness_is_no_twin_of_a_dark_thing(world):
    """A thing that night makes black is not seen again in every black corner."""
    black = lit(world.rgb)
    for t in range(len(black)):
        black[t][world.ids[t] == ROBOT] = 4
        cv2.ellipse(black[t], (60, 100), (17, 22), 0, 0, 360, (5, 4, 4), -1)
    assert likeness(world, black)[0] < -2.0


def test_where_there_are_no_ids_it_is_said(world):
    verdict = ConsistencyCritic().judge(world.request(drop=("instance_ids",)), world.result(world.rgb))
    assert [finding.kind for finding in verdict.findings if finding.check == "duplicated"] == ["unchecked"]


@pytest.mark.parametrize("size", [(32, 6000), (400, 33)])
def test_strips_of_pictures_are_searched(draw_world, layers_without, size):
    strip = draw_world(layers_without(), frames=3, height=size[0], width=size[1])
    value, found = likeness(strip, strip.rgb)
    assert value < -2.0 and not found


def test_a_crate_in_place_of_another_crate_is_no_twin(world):
    """Where the labels say that one of its kind stands, another look of that one is no invention."""
    rgb = lit(world.rgb)
    for t in range(len(rgb)):
        ys, xs = np.nonzero(world.ids[t] == CRATE)
        other = np.argwhere(world.ids[t] == 4).min(axis=0) - (ys.min(), xs.min())
        rgb[t, ys + other[0], xs + other[1]] = rgb[t, ys, xs]
    request = world.request()
    for kinds, found in ((("crate", "crate"), False), (("crate", "barrel"), True)):
        labels = {3: {"class": kinds[0]}, 4: {"class": kinds[1]}}
        instances = {key: replace(one, labels=labels.get(key, {})) for key, one in request.clip.instances.items()}
        labelled = replace(request, clip=replace(request.clip, instances=instances))
        verdict = ConsistencyCritic().judge(labelled, world.result(rgb))
        assert any(f.check == "duplicated" and f.instance == CRATE for f in verdict.findings) == found


def test_a_twin_before_something_large_of_its_kind_is_found(world):
    """A tree before a wood hides little of it, and is not one of its trees."""
    request, rgb = world.request(), with_twin(world, lit(world.rgb), CRATE, -60)
    behind = np.unique(world.ids[0][np.roll(world.ids[0] == CRATE, 60, axis=1)])
    kinds = {key: {"class": "tree"} for key in (CRATE, *behind.tolist())}
    instances = {key: replace(one, labels=kinds.get(key, {})) for key, one in request.clip.instances.items()}
    labelled = replace(request, clip=replace(request.clip, instances=instances))
    verdict = ConsistencyCritic().judge(labelled, world.result(rgb))
    assert any(f.check == "duplicated" and f.instance == CRATE for f in verdict.findings)
