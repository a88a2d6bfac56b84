import cv2
import numpy as np
import pytest

from cosmos.bridge.critic.checks.traits import Zones, ends, grain, traits


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_zones_are_told_by_the_distance_to_the_outline():
    mask = np.zeros((40, 50), bool)
    mask[12:28, 15:33] = True
    y, x = np.mgrid[:40, :50]
    out = np.maximum(np.maximum(12 - y, y - 27), np.maximum(15 - x, x - 32))
    zones = Zones.of(mask)
    np.testing.assert_array_equal(zones.inner, out < 0)
    np.testing.assert_array_equal(zones.rim, (out == 0) | (out == 1))
    np.testing.assert_array_equal(zones.ring, (out > 2) & (out <= 6))
    thin = np.zeros((40, 50), bool)
    thin[10:30, 20] = True
    np.testing.assert_array_equal(Zones.of(thin).inner, thin)


def test_what_ends_at_an_outline_is_told_from_what_does_not(rng):
    place = np.zeros((40, 50), bool)
    place[12:28, 15:33] = True
    zones, noise = Zones.of(place), rng.normal(0, 3, (3, 40, 50)).astype(np.float32)
    assert abs(ends(noise, zones)["edge"]) < 0.2
    there, beside = (noise + np.float32(40.0) * mask for mask in (place, np.roll(place, (6, 6), axis=(0, 1))))
    assert ends(there, zones)["edge"] > 0.6 > ends(beside, zones)["edge"]
    nowhere = ends(noise, Zones.of(np.ones_like(place)))
    assert nowhere["edge"] == 0.0 and np.isnan(nowhere["ends_around"])


@pytest.mark.parametrize("cut", [False, True])
def test_traits_are_the_means_of_numpy_in_float64(rng, cut):
    """``cut``: the place lies at the rim of the picture, so less is around it."""
    source, result = (rng.uniform(0, 255, (34, 38, 3)).astype(np.float32) for _ in range(2))
    error, own = rng.normal(0, 9, (3, 34, 38)).astype(np.float32), rng.uniform(0, 255, (20, 24, 3)).astype(np.float32)
    shape = np.ones((20, 24), bool)
    shape[:6, :5] = False
    mask = np.zeros((34, 38), bool)
    y, x = (0, 0) if cut else (7, 7)
    mask[y : y + 20, x : x + 24] = shape
    zones = Zones.of(mask)
    told = traits(source, result, error, mask, own, shape)
    square = (error.astype(np.float64) ** 2).sum(axis=0)
    for name, zone in (("error", zones.inner), ("error_rim", zones.rim), ("error_around", zones.ring)):
        assert told[name] == pytest.approx(np.log(square[zone].mean() + 10.0), abs=1e-4)
    assert told["light"] == pytest.approx(result.max(axis=-1)[mask].mean(), rel=1e-4)
    assert told["light_source"] == pytest.approx(source.max(axis=-1)[mask].mean(), rel=1e-4)
    assert told["light_around"] == pytest.approx(result.max(axis=-1)[zones.ring].mean(), rel=1e-4)
    assert told["light_thing"] == pytest.approx(own.max(axis=-1)[shape].mean(), rel=1e-4)
    for name, picture in (("contrast", result), ("contrast_source", source)):
        off = picture[zones.inner].mean(axis=0) - picture[zones.ring].mean(axis=0)
        assert told[name] == pytest.approx(np.log(np.linalg.norm(off) + 1.0), abs=1e-3)
    assert told["area"] == pytest.approx(np.log(450.0)) and told["tall"] == pytest.approx(np.log(20 / 24))
    eroded = cv2.erode(mask.astype(np.uint8), np.ones((3, 3)), borderValue=0).sum()
    assert told["thin"] == pytest.approx(1.0 - eroded / 450.0)


def test_where_the_place_fills_the_picture_nothing_is_known_of_what_is_around(rng):
    picture, whole = rng.uniform(0, 255, (20, 24, 3)).astype(np.float32), np.ones((20, 24), bool)
    told = traits(picture, picture, np.zeros((3, 20, 24), np.float32), whole, picture, whole)
    unknown = {name for name, value in told.items() if np.isnan(value)}
    assert unknown == {"error_around", "ends_around", "light_around", "contrast", "contrast_source"}


def test_grain_is_the_median_of_the_second_differences(rng):
    picture = rng.integers(0, 256, (40, 50, 3)).astype(np.uint8)
    grey = picture.astype(np.float64) @ (0.299, 0.587, 0.114)
    inner = grey[1:-1, 1:-1]
    second = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4.0 * inner
    assert grain(picture) == pytest.approx(np.median(np.abs(second)), rel=0.05)
