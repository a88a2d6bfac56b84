"""Conditions: what a look is, as numbers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos.bridge.types.look import haze_extinction
from cosmos.models.embedded.conditions import (
    READ_FIELDS,
    STRENGTHS,
    STYLE_DIM,
    Conditions,
    extinction,
    from_read_vector,
    style_vector,
    to_read_vector,
)

UNIT = st.floats(0.05, 1.0)
LOOKS = st.builds(
    Conditions,
    sun_elevation=st.floats(-18.0, 90.0),
    sun_bearing=st.floats(0.0, 359.9),
    overcast=UNIT,
    fog=UNIT,
    rain=UNIT,
    snow=UNIT,
    dust=UNIT,
    exposure=st.floats(-2.0, 2.0),
    noise=UNIT,
    vignette=UNIT,
)


@settings(max_examples=60, deadline=None)
@given(LOOKS)
def test_reading_back_what_was_written_gives_the_same(look):
    vector = to_read_vector(look, bearing_said=True)
    assert vector.shape == (len(READ_FIELDS),)
    back = from_read_vector(vector, bearing=0.0)
    for name in ("sun_elevation", "overcast", "fog", "rain", "snow", "dust", "exposure", "noise", "vignette"):
        written = getattr(look, name)
        if name in ("fog", "rain", "snow", "dust") and written < 0.15 - 1e-6:
            assert getattr(back, name) == 0.0  # a trace that nobody asked for
        elif (name in STRENGTHS and abs(written - 0.15) > 1e-6 and written > 0.04 + 1e-6) or name not in STRENGTHS:
            assert getattr(back, name) == pytest.approx(written, abs=1e-4)
    turn = math.radians(back.sun_bearing - look.sun_bearing)
    assert math.cos(turn) == pytest.approx(1.0, abs=1e-5)


def test_an_unsaid_bearing_is_the_one_that_was_given():
    vector = to_read_vector(Conditions(sun_bearing=40.0), bearing_said=False)
    assert from_read_vector(vector, bearing=123.0).sun_bearing == 123.0


def test_what_lies_beyond_the_ranges_is_clamped_and_residue_is_no_weather():
    vector = to_read_vector(Conditions(), bearing_said=False)
    vector[READ_FIELDS.index("fog")], vector[READ_FIELDS.index("snow")] = 3.0, 0.03
    vector[READ_FIELDS.index("sun_elevation")], vector[READ_FIELDS.index("exposure")] = -9.0, 9.0
    look = from_read_vector(vector, bearing=0.0)
    assert (look.fog, look.snow, look.sun_elevation, look.exposure) == (1.0, 0.0, -18.0, 2.0)


@settings(max_examples=40, deadline=None)
@given(LOOKS)
def test_the_style_is_finite_of_order_one_and_knows_no_lens(look):
    style = style_vector(look)
    assert style.shape == (STYLE_DIM,) and np.isfinite(style).all() and np.abs(style).max() <= 2.0
    other = Conditions(**{f: getattr(look, f) for f in look.__slots__ if f not in ("noise", "vignette")})
    np.testing.assert_array_equal(style, style_vector(other))


@pytest.mark.parametrize(
    ("field", "value"), [("fog", 1.2), ("snow", -0.1), ("sun_elevation", -30.0), ("exposure", 3.0)]
)
def test_numbers_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"Conditions.{field}"):
        Conditions(**{field: value})


@settings(max_examples=40, deadline=None)
@given(fog=st.floats(0.0, 1.0), rain=st.floats(0.0, 1.0), snow=st.floats(0.0, 1.0), dust=st.floats(0.0, 1.0))
def test_the_extinction_is_that_of_the_renderers_teacher(fog, rain, snow, dust):
    ours = extinction(Conditions(fog=fog, rain=rain, snow=snow, dust=dust))
    # Under open sky. As a power the teacher's own law, 3.9 / (8 f ** -1.9), loses nothing but divisions by zero.
    its = sum(haze_extinction(fog=max(fog, 1e-9), rain=rain, snow=snow, dust=max(dust, 1e-9)))
    assert ours == pytest.approx(its, rel=1e-6, abs=1e-9)
