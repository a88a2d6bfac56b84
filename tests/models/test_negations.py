"""What a prompt forbids: sentences as people write them, through the shipped reader."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosmos.models.embedded.negations import take_negations


def read(reader, prompt, **settings):
    """Return the weather that a prompt is read as, by name, its hour, and what was not understood."""
    reading = reader.read(prompt, **settings)
    weather = {name for name in ("fog", "rain", "snow", "dust") if getattr(reading.conditions, name) > 0.0}
    weather |= {"overcast"} if reading.conditions.overcast > 0.25 else set()
    sun = reading.conditions.sun_elevation
    return weather, "night" if sun < -7 else "dusk" if sun < 0 else "day", reading.unknown


@pytest.mark.parametrize(
    "prompt",
    [
        "no fog", "no heavy snow", "without any rain", "no more fog", "never foggy", "do not add snow",
        "don't make it foggy", "don\u2019t make it foggy", "dont make it foggy", "it shouldn't rain",
        "It ISN'T foggy", "neither rain nor snow", "no rain, snow or fog", "without rain and fog", "fog-free",
        "don't add fog and snow", "not overcast", "not at night", "it isn't night", "not dark", "no rain or snow",
        "not at dusk or at night", "avoid fog", "free of snow", "no dust storm", "fog isn't wanted",
        "snow is not falling", "the street isn't wet", "not a cloud in the sky", "dry, no puddles",
        "no longer raining", "no fog. no snow; no rain", "no rain\nno fog", "must not be foggy",
        "without dust", "no dust",
    ],
)  # fmt: skip
def test_what_is_forbidden_is_not_made(reader, prompt):
    for seed in range(4):
        assert read(reader, prompt, seed=seed) == (set(), "day", ())


@pytest.mark.parametrize(
    ("prompt", "weather", "hour"),
    [
        ("snow without fog", {"snow"}, "day"),
        ("fog, no snow", {"fog"}, "day"),
        ("heavy rain but no fog", {"rain"}, "day"),
        ("make it snowy, not foggy", {"snow"}, "day"),
        ("no snow in the rain", {"rain"}, "day"),
        ("overcast, no snow", {"overcast"}, "day"),
        ("no fog and heavy snow", {"snow"}, "day"),
        ("no rain, snow", {"snow"}, "day"),
        ("no fog or snow at night", set(), "night"),
        ("fog-free night", set(), "night"),
        ("not night, at dusk", set(), "dusk"),
        ("do not show any rain at night", set(), "night"),
        ("not only fog but also snow", {"fog", "snow"}, "day"),
        ("no sun", {"overcast"}, "day"),
        ("no shadows", {"overcast"}, "day"),
        ("no daylight", set(), "night"),
        ("fog, not dense fog", {"fog"}, "day"),
        ("rainy no fog night", {"rain"}, "night"),
        ("no heavy clouds dusk", set(), "dusk"),
        ("no dust dusk", set(), "dusk"),
        ("without snow and at dusk", set(), "dusk"),
        ("rain without snow and dusk", {"rain"}, "dusk"),
    ],
)
def test_what_stands_beside_it_stays_asked(reader, prompt, weather, hour):
    for seed in range(4):
        made, when, unknown = read(reader, prompt, seed=seed)
        assert weather <= made <= weather | {"overcast"} and when == hour and unknown == ()


@pytest.mark.parametrize(
    ("prompt", "weather"),
    [
        ("I can hardly see my hand through this fog", "fog"),
        ("barely visible in dense fog", "fog"),
        ("the cars are not visible through the heavy rain", "rain"),
        ("you can't see the end of the street in the snow", "snow"),
    ],
)
def test_what_takes_the_sight_stays_asked(reader, prompt, weather):
    assert all(getattr(reader.read(prompt, seed=seed).conditions, weather) > 0.25 for seed in range(4))


@pytest.mark.parametrize(
    "prompt",
    [
        "fog, you can't see the kerb",
        "so foggy that one cannot see the truck ahead",
        "you can barely see the gate for fog",
    ],
)
def test_what_nobody_can_see_is_no_thing_that_shall_not_be(reader, prompt):
    assert take_negations(prompt) == (prompt, ())
    assert read(reader, prompt)[0] == {"fog"}
    assert read(reader, "I can't see any fog")[0] == set()


@pytest.mark.parametrize(
    ("prompt", "weather", "hour"),
    [
        ("zero clouds, zero rain, night", set(), "night"),
        ("it is not dark yet", set(), "dusk"),
        ("not quite dark", set(), "dusk"),
        ("the sun barely above the roofs", set(), "day"),
        ("a day with no sun", {"overcast"}, "day"),
        ("no daylight left", set(), "night"),
        ("turn this sunny noon into a night with fog", {"fog"}, "night"),
        ("a gray day at the yard", {"overcast"}, "day"),
        ("containers under a grey rainy sky", {"rain", "overcast"}, "day"),
        ("twilight, no sun", set(), "dusk"),
    ],
)
def test_what_is_not_quite_so_is_read_as_people_mean_it(reader, prompt, weather, hour):
    assert read(reader, prompt)[:2] == (weather, hour)


@pytest.mark.parametrize(
    "prompt", ["not very foggy", "not too foggy", "hardly any fog", "not a lot of fog", "less fog"]
)
def test_not_much_of_it_is_a_little(reader, prompt):
    assert all(0.05 < reader.read(prompt, seed=seed).conditions.fog < 0.2 for seed in range(4))


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("no people at night", "no people"),
        ("no people dusk", "no people"),
        ("a street, don\u2019t blink", "don\u2019t blink"),
        ("wouldn't", "wouldn't"),
        ("rain but not heavy", "not heavy"),
        ("fog at five o\u2019clock", "o\u2019clock"),
        ("fog at five o'clock", "o'clock"),
    ],
)
def test_what_cannot_be_done_is_told_in_the_words_of_the_user(reader, prompt, unknown):
    assert unknown in reader.read(prompt).unknown and "t" not in reader.read(prompt).unknown


def test_wishes_are_forbidden_as_well(reader):
    for prompt in ("no red cars", "don't paint the cars red", "no cobblestone street", "no dirty lens", "no rust"):
        reading = reader.read(prompt)
        assert not reading.wishes.any and reading.unknown == ()
    assert reader.read("no lamps").wishes.lamps == reader.read("the lamps are not on").wishes.lamps == 0.0
    for prompt in ("red cars, no cobblestone street", "no fog red cars"):
        assert [wish.of for wish in reader.read(prompt).wishes.surfaces] == ["car"]


def test_grain_and_vignette_can_be_forbidden(reader):
    assert reader.read("no grain").conditions.noise == reader.read("no noise").conditions.noise == 0.0
    assert reader.read("no vignette").conditions.vignette == 0.0 < reader.read("fog").conditions.vignette


def test_a_negative_prompt_takes_back_what_it_names_and_nothing_beside(reader):
    for negative in ("snow", "no snow"):
        assert read(reader, "snow, overcast", negative=negative)[0] == {"overcast"}


_WORDS = (
    "no not don't isn\u2019t without neither nor or and , . but free - of very too only fog snow night red cars wanted "
    "hardly do at dense clouds \u0130 \u96ea a lot"
)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_WORDS.split()), max_size=12), st.sampled_from([" ", ""]))
def test_any_words_are_parted_and_what_is_left_stays_in_its_place(words, glue):
    text = glue.join(words)
    asked, negations = take_negations(text)
    assert len(asked) == len(text) and all(kept in (" ", ",", was) for kept, was in zip(asked, text, strict=True))
    assert all(negation.said and negation.said.split()[0] in text for negation in negations)


@pytest.mark.parametrize(
    "prompt", ["", "night, heavy snow", "a worker's van", "freedom avenue, notes", "snow \u2014 fog"]
)
def test_a_prompt_that_forbids_nothing_is_left_as_it_is(prompt):
    assert take_negations(prompt) == (prompt, ())
