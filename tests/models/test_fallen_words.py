"""Whether rain and snow fall or only lie, as people write it, through the shipped reader."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

LIES = (
    "just after rain", "dusk after the rain", "after a heavy shower", "wet street at night", "a wet cobblestone street",
    "the road is still damp", "it has just stopped raining", "the rain has stopped, evening light", "puddles, overcast",
    "slightly wet", "wet", "wet asphlat", "it is wet but not raining", "wet street, no rain", "Wet street; sunny.",
)  # fmt: skip
FALLS = (
    "rain", "light rain", "drizzle", "heavy rain at noon", "rain and puddles", "wet street in heavy rain",
    "a storm, flooded street", "rainy weather, wet road", "puddles while it rains", "it is raining on the wet road",
)  # fmt: skip
SNOW_LIES = (
    "deep snow", "snow on the roofs", "snow-covered road", "a blanket of snow", "fresh snow, sunny", "frost",
    "the ground is covered with snow", "snow but no falling snow", "snow, but no flakes", "buried in snow",
    "snow on the ground but no snow falling", "winter, snow on the road", "it has stopped snowing",
)  # fmt: skip
SNOW_FALLS = (
    "snow",
    "light snow",
    "blizzard",
    "deep snow, it is snowing",
    "heavy snowfall",
    "falling snow",
    "snowfall",
)


@pytest.mark.parametrize(
    ("prompts", "weather", "falls"),
    [(LIES, "rain", False), (FALLS, "rain", True), (SNOW_LIES, "snow", False), (SNOW_FALLS, "snow", True)],
    ids=("wet", "rain", "snow lies", "snow falls"),
)
def test_what_lies_need_not_fall(reader, prompts, weather, falls):
    readings = {prompt: reader.read(prompt) for prompt in prompts}
    assert [prompt for prompt, reading in readings.items() if reading.wishes.falls != falls] == []
    assert [prompt for prompt, reading in readings.items() if getattr(reading.conditions, weather) <= 0.0] == []
    assert {prompt: reading.unknown for prompt, reading in readings.items() if reading.unknown} == {}


def test_the_air_is_no_wish_of_what_is_seen(reader):
    assert not reader.read("wet street").wishes.any and reader.read("wet street, red cars").wishes.any
    assert not reader.read("wet street, red cars", guidance=0.5).wishes.falls


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(("wet", "snow", "rain", "after", "on", "the", "street", "puddles", ",", "no", "but"))))
def test_any_order_of_such_words_is_read(reader, words):
    reader.read(" ".join(words))
