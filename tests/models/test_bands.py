"""Bands of the hour and of each kind of weather: which one a value lies in, and what is drawn from the likeliest."""

import numpy as np
import pytest

from cosmos.models.embedded.bands import BANDS, COUNT, SLICES, bands_of, settle
from cosmos.models.embedded.conditions import READ_FIELDS, Conditions, to_read_vector


def read(**values):
    return to_read_vector(Conditions(**values), bearing_said=False).astype(np.float64)


def test_each_value_lies_in_its_band_or_is_nearest_to_it():
    assert list(bands_of(read(sun_elevation=-13.0, snow=0.6, overcast=0.9))) == [0, 2, 0, 0, 2, 0]
    assert list(bands_of(read(sun_elevation=5.0, fog=0.3, dust=0.2))) == [2, 0, 2, 0, 0, 1]
    assert list(bands_of(read(sun_elevation=33.0, rain=0.38, overcast=0.6))) == [4, 2, 0, 1, 0, 0]
    for name, bands in BANDS.items():
        for band, (low, high) in enumerate(bands):
            vector = read()
            vector[READ_FIELDS.index(name)] = 0.5 * (low + high)
            assert bands_of(vector)[list(BANDS).index(name)] == band


def test_bands_lie_one_after_another():
    assert [part.start for part in SLICES.values()] == [0, *(part.stop for part in SLICES.values())][:-1]
    assert list(SLICES.values())[-1].stop == COUNT == sum(map(len, BANDS.values()))


@pytest.mark.parametrize("seed", range(5))
def test_what_lies_outside_of_the_likeliest_band_is_drawn_from_it(seed):
    chances = {name: np.full(len(bands), 0.1) for name, bands in BANDS.items()}
    chances["snow"][3] = chances["fog"][0] = chances["sun_elevation"][0] = chances["overcast"][2] = 0.6
    before = read(sun_elevation=45.0, snow=0.4, fog=0.3, overcast=0.8)
    after = settle(before, chances, np.random.default_rng(seed))
    assert bands_of(after)[0] == 0 and after[READ_FIELDS.index("fog")] == 0.0
    assert 0.82 <= after[READ_FIELDS.index("snow")] <= 1.0
    assert after[READ_FIELDS.index("overcast")] == before[READ_FIELDS.index("overcast")]  # lies in its band
    assert before[READ_FIELDS.index("snow")] == pytest.approx(0.4)  # what was given is not changed
