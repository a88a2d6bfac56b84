"""Numbers in prompts: how far one sees, by Koschmieder's law, and how high the sun stands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos.models.embedded.clock import sun_by_clock
from cosmos.models.embedded.conditions import Conditions, extinction, with_sight
from cosmos.models.embedded.measures import take_measures


@pytest.mark.parametrize(
    ("prompt", "sight"),
    [
        ("visibility 80 m", 80.0),
        ("80 metres of visibility at noon", 80.0),
        ("you can see about eighty meters in the fog", 80.0),
        ("visibility of two hundred and fifty metres", 250.0),
        ("half a kilometre of visibility", 500.0),
        ("fog, vis 0.2 miles", 321.868),
        ("visibility less than 50 metres", 40.0),
        ("visibility over 1.5 km", 1875.0),
        ("MOR 60 m, RVR 60 m", 60.0),
        ("you can see maybe 600 metres", 600.0),
        ("visibility reduced to several hundred metres", 400.0),
        ("runway visual range 150 m", 150.0),
        ("visibility 50-100 m", 75.0),
        ("visibility between 50 and 150 metres", 100.0),
        ("fog, visibility twenty-five metres", 25.0),
        ("blizzard with 30 feet visibility", 9.144),
        ("the world fades out around 90 m in mist", 90.0),
        ("RVR under 75, airport shut", 60.0),
        ("RVR: 350", 350.0),
    ],
)
def test_sight_is_read_in_metres(prompt, sight):
    assert take_measures(prompt)[1].sight == pytest.approx(sight, rel=1e-5)


@pytest.mark.parametrize(
    ("prompt", "name", "value"),
    [
        ("dust_intensity=0.9", "dust", 0.9),
        ("Fog: 0.35, night", "fog", 0.35),
        ("snow_level = .5", "snow", 0.5),
        ("rain=1.0", "rain", 1.0),
        ("fog: 80 m", "fog", None),
        ("rain: 0.5 mm/h", "rain", None),
        ("overcast=0", "overcast", 0.0),
    ],
)
def test_a_strength_may_be_a_setting(reader, prompt, name, value):
    said = getattr(take_measures(prompt)[1], name)
    assert said == value or (name == "rain" and value is None and 0.0 < said < 0.36)
    if value is not None:
        assert getattr(reader.read(prompt).conditions, name) == pytest.approx(value)


@pytest.mark.parametrize(
    ("prompt", "distance"),
    [
        ("trucks are ghosts at 80 m", 80.0),
        ("ten metres and then nothing", 10.0),
        ("the gate 20 m off is gone", 20.0),
        ("the far bank is swallowed after a hundred yards", 91.44),
        ("two cars 20 m apart", None),
        ("a forklift 12 m ahead of the camera", None),
        ("a mast 40 m high", None),
        ("wind of 25 m/s", None),
        ("60 km/h at most", None),
        ("a 2 m gap", None),
    ],
)
def test_a_length_may_be_how_far_one_sees_or_what_a_thing_measures(prompt, distance):
    measures = take_measures(prompt)[1]
    assert measures.distance == (distance and pytest.approx(distance)) and measures.sight is None


def test_where_fog_is_read_a_length_is_how_far_one_sees(reader):
    for prompt, metres in (("fog, trucks are ghosts at 80 m", 80.0), ("thick fog, 20 m and then a white wall", 20.0)):
        reading = reader.read(prompt)
        assert reading.conditions.fog == pytest.approx(with_sight(Conditions(), metres, dust=False).fog, abs=1e-6)
        assert not {"80", "20"} & set(reading.unknown)
    assert reader.read("fog, a person 30 m ahead of us", seed=3).conditions.fog < 0.45
    placed = [reader.read(f"thick fog, two cars {metres} m apart", seed=3).conditions.fog for metres in (10, 300)]
    assert placed[0] == pytest.approx(placed[1], abs=0.1)
    assert reader.read("two cars, the second is a ghost of the first, 80 m").conditions.dust == 0.0


@pytest.mark.parametrize(
    ("prompt", "elevation"),
    [
        ("sun 6 degrees above the horizon", 6.0),
        ("solar elevation around 48\u00b0, zero cloud cover", 48.0),
        ("the sun stands four degrees below the horizon", -4.0),
        ("sun elevation minus three degrees", -3.0),
        ("sun elevation -12.5 deg", -12.5),
        ("sun_elevation: -3, fog", -3.0),
        ("the sun is 6 degrees above the horizon, going down under a bridge", 6.0),
        ("the sun goes down 6 degrees above the horizon under clouds", 6.0),
        ("Sun elevation=41.5", 41.5),
    ],
)
def test_the_height_of_the_sun_is_read_in_degrees(prompt, elevation):
    assert take_measures(prompt)[1].elevation == elevation


@pytest.mark.parametrize(
    ("prompt", "name", "low", "high"),
    [
        ("1 mm/h of drizzle", "rain", 0.15, 0.36),
        ("rain at 5 mm per hour", "rain", 0.42, 0.7),
        ("50 mm of rain per hour", "rain", 0.9, 1.0),
        ("0.5 cm of snow per hour", "snow", 0.15, 0.45),
        ("2 cm an hour, flakes straight down", "snow", 0.46, 0.8),
        ("10 cm per hour, gusts 70 km/h", "snow", 0.81, 1.0),
        ("2 in/h of snow", "snow", 0.81, 1.0),
        ("snow, 20 mm/h", "snow", 0.46, 0.8),
        ("3 oktas of cumulus", "overcast", 0.375, 0.375),
        ("8/8 okta stratus", "overcast", 1.0, 1.0),
        ("cloudiness = 0.35", "overcast", 0.349, 0.351),
    ],
)
def test_amounts_are_as_strong_as_meteorologists_call_them(reader, prompt, name, low, high):
    assert low <= getattr(reader.read(prompt).conditions, name) <= high


@pytest.mark.parametrize(
    ("prompt", "low", "high"),
    [
        ("22:40, forklift in the yard", -90.0, -20.0),
        ("6:50 am on the ring road", 1.0, 6.0),
        ("kerb at 18:00", 2.0, 8.0),
        ("7 p.m. at the gate", -8.0, -3.0),
        ("10 am in January", 15.0, 22.0),  # 47 degrees of latitude have 17, the almanac's 45 have 18
        ("10 am in June", 50.0, 60.0),
        ("1400 local", 40.0, 46.0),
        ("12:00, apron", 60.0, 82.0),
        ("21:30 in late June", -14.0, -6.0),
        ("two in the morning", -90.0, -20.0),
        ("nine a.m.", 20.0, 30.0),
        ("eight p.m.", -90.0, -12.0),
        ("nine o'clock in the morning", 20.0, 30.0),
        ("four in the afternoon", 20.0, 30.0),
        ("eleven at night", -90.0, -20.0),
    ],
)
def test_clock_times_are_heights_of_the_sun(reader, prompt, low, high):
    assert low <= sun_by_clock(prompt) <= high
    assert max(low, -18.0) - 0.1 <= reader.read(prompt).conditions.sun_elevation <= max(high, -17.9)


@pytest.mark.parametrize("prompt", ["a 16:9 picture", "1:10 scale model", "2 m ahead", "it may rain", "gate 1400"])
def test_other_numbers_are_no_clock(prompt):
    assert sun_by_clock(prompt) is None


def test_a_named_hour_counts_before_the_clock(reader):
    assert reader.read("sunset at 20:30").conditions.sun_elevation > 0.0
    assert reader.read("night shift, 18:00, pitch dark").conditions.sun_elevation < -8.0


@pytest.mark.parametrize(
    "prompt",
    [
        "a truck 20 m ahead",
        "half a metre of snow",
        "ten degrees in the shade",
        "",
        "five robots",
        "8k photo, 35 mm",
        "-",
    ],
)
def test_other_numbers_are_neither(prompt):
    measures = take_measures(prompt)[1]
    assert measures.sight is None and measures.elevation is None


def test_words_without_numbers_stay_as_they_are():
    for prompt in (
        "dense fog at dusk",
        "20\u00b0C in the yard",
        "two robots in the hall",
        "8 pallets, noon",
        "half a metre of snow",
    ):
        assert take_measures(prompt)[0] == prompt


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=6),
            st.sampled_from(("sun", "visibility", "fog", "see", "m", "km", "degrees", "minus", "half", "a", "hundred")),
            st.sampled_from(("and", "-3", "0", "1.5", "99999999999", "\u0663", ",", ".")),
        ),
        max_size=14,
    )
)
def test_any_words_give_finite_measures_and_keep_what_is_no_number(words):
    left, measures = take_measures(" ".join(words))
    assert measures.sight is None or np.isfinite(measures.sight)
    assert measures.elevation is None or np.isfinite(measures.elevation)
    for word in ("sun", "visibility", "fog", "see"):
        assert left.split().count(word) == " ".join(words).split().count(word)


@pytest.mark.parametrize("sight", [12.0, 30.0, 80.0, 400.0])
@pytest.mark.parametrize("weather", [{}, {"rain": 0.6}, {"snow": 0.5, "dust": 0.05}])
def test_fog_leaves_the_sight_that_is_asked(sight, weather):
    """Koschmieder (1924): what is left of contrast at the sight is 2 %, which is an optical depth of 3.9."""
    seen = with_sight(Conditions(**weather), sight, dust=False)
    if extinction(Conditions(**weather)) * sight < 3.9:
        assert extinction(seen) * sight == pytest.approx(3.9, rel=1e-6)
    assert with_sight(Conditions(dust=0.3), 60.0, dust=True).fog == 0.0
    assert extinction(with_sight(Conditions(), 60.0, dust=True)) * 60.0 == pytest.approx(3.9, rel=1e-6)
    assert with_sight(Conditions(), 2.0, dust=False).fog == 1.0


def test_the_reader_paints_what_the_numbers_say(reader):
    for seed in range(3):
        fog = reader.read("dense fog at noon, visibility 40 m", seed=seed)
        assert np.isclose(extinction(fog.conditions) * 40.0, 3.9, rtol=1e-5) and not fog.unknown
        sun = reader.read("sun 4\u00b0 below the horizon, street", seed=seed)
        assert sun.conditions.sun_elevation == pytest.approx(-4.0, abs=1e-5) and not sun.unknown
        storm = reader.read("sandstorm, visibility 60 m", seed=seed).conditions
        assert storm.dust > 0.4 and storm.fog == 0.0
    assert reader.read("a car 20 m ahead, clear day").conditions.fog == 0.0
    assert reader.read("visibility 40 m", guidance=0.0).conditions.fog < 0.05
