"""The prompt reader: the shipped weights on prompts, and what no training can promise on tiny ones."""

import numpy as np
import pytest
import torch  # noqa: TID253

from cosmos.models.embedded.captions import (
    bare,
    named_ranges,
    neutral_words,
    own_words,
    sample_conditions,
    split_words,
    vocabulary,
)
from cosmos.models.embedded.clock import sun_by_clock
from cosmos.models.embedded.measures import Measures, take_measures
from cosmos.models.embedded.text import PromptReader
from cosmos.models.embedded.text_encoder import TextEncoder
from cosmos.models.embedded.typing_errors import nearest_word
from cosmos.models.embedded.wordings import HOURS, LENS, WEATHER
from cosmos.models.spec import TextEncoderConfig


def look(reader, prompt, **settings):
    return reader.read(prompt, **settings).conditions


def test_the_demo_prompts_are_read_as_what_they_say(reader):
    day, night = look(reader, "clear day"), look(reader, "a clear night in the loading yard")
    fog, snow = look(reader, "dense fog in the morning"), look(reader, "heavy snow, overcast")
    rain, golden = look(reader, "rain at night, wet asphalt"), look(reader, "golden hour, photorealistic")
    assert day.sun_elevation > 25 and max(day.fog, day.rain, day.snow, day.overcast) < 0.2
    assert night.sun_elevation < -7 and max(night.fog, night.rain, night.snow) < 0.1
    assert fog.fog > 0.45 and 8 < fog.sun_elevation < 35
    assert snow.snow > 0.6 and snow.overcast > 0.5 and snow.fog < 0.2
    assert rain.rain > 0.35 and rain.sun_elevation < -7
    assert 0 < golden.sun_elevation < 12


@pytest.mark.parametrize(
    ("prompt", "name", "low", "high"),
    [
        ("dusk", "sun_elevation", -6.0, -1.0),
        ("the twilight", "sun_elevation", -6.0, -1.0),
        ("Dawn, photorealistic", "sun_elevation", -6.0, -1.0),
        ("noon", "sun_elevation", 60.0, 82.0),
        ("twiligth", "sun_elevation", -6.0, -1.0),  # a typing error
        ("dusk, shortly after sunset", "sun_elevation", -6.0, -1.0),
        ("fog", "fog", 0.2, 0.4),
        ("thick fog, night", "fog", 0.45, 0.75),
        ("film grain", "noise", 0.15, 0.35),
    ],
)
def test_a_wording_by_itself_means_what_its_captions_meant(reader, prompt, name, low, high):
    values = [getattr(look(reader, prompt, seed=seed), name) for seed in range(8)]
    assert low <= min(values) and max(values) <= high and len(set(values)) > 1


@pytest.mark.parametrize(
    ("prompt", "heard"),
    [
        ("snow at night, no fog", ["snow", "at", "night"]),
        ("fog, visibility 80 m", ["fog", "visibility"]),
        ("qwertzuiop rain", ["rain"]),
        ("Turn the sunny street into a snowy one", ["a", "snowy", "one"]),
    ],
)
def test_the_encoder_is_told_what_rules_leave(reader, prompt, heard):
    assert reader.heard(prompt) == heard


def test_every_wording_by_itself_lies_in_its_range(reader):
    for name, scale in {"sun_elevation": HOURS, **WEATHER, **LENS}.items():
        for low, high, wordings in scale:
            for wording in wordings:
                bands = {band[1:] for band in named_ranges()[bare(split_words(wording))]}
                told = take_measures(wording)[1] != Measures() or sun_by_clock(wording) is not None
                if len(bands) == 1 and not told:  # else the number says it
                    assert low - 1e-6 <= getattr(look(reader, wording, seed=3), name) <= high + 1e-6, wording


@pytest.mark.parametrize(
    ("prompt", "name", "least"),
    [
        ("It should be a typical foggy autumn day at the crossing.", "fog", 0.2),
        ("The far end of the farm track fades into fog.", "fog", 0.2),
        ("misty day", "fog", 0.06),
        ("a robot on a snowy slope behind the barn", "snow", 0.45),
        ("dusty air", "dust", 0.15),
    ],
)
def test_weather_named_among_other_words_is_there(reader, prompt, name, least):
    assert all(getattr(look(reader, prompt, seed=seed), name) >= least for seed in range(6))


@pytest.mark.parametrize(
    ("prompt", "low", "high"),
    [
        ("A low sun just above the rooftops throws long shadows down the road.", 2.0, 10.0),
        ("dark asphalt, sunset", 2.0, 10.0),
        ("The truck comes home in the blue hour with its lights on.", -6.0, -1.0),
        ("twilight sky over the yard, no sun visible", -6.0, -1.0),
    ],
)
def test_an_hour_named_among_other_words_is_that_hour(reader, prompt, low, high):
    looks = [look(reader, prompt, seed=seed) for seed in range(6)]
    assert all(low <= one.sun_elevation <= high and one.overcast == 0.0 for one in looks)


def test_weather_of_which_no_word_speaks_is_not_there(reader):
    for seed in range(6):
        night = look(reader, "The truck waits at the loading dock at two in the morning.", seed=seed)
        assert night.sun_elevation < -8.0 and not any((night.fog, night.rain, night.snow, night.dust, night.overcast))
        dark = look(reader, "highway in complete darkness, only tail lights visible", seed=seed)
        assert dark.sun_elevation < -8.0 and not any((dark.rain, dark.snow))


def test_where_no_word_speaks_of_the_hour_it_is_day(reader):
    for prompt in (
        "fog", "a robot with a gripper waits beside the fence", "snow on crates",
        "8 robots 2 m apart on a long conveyor",
        "three pallets at the top of a short ramp", "the third of nine trucks is left standing",
    ):  # fmt: skip
        assert all(35.0 <= look(reader, prompt, seed=seed).sun_elevation <= 60.0 for seed in range(6))


def test_common_words_ask_for_no_weather(reader):
    for prompt in (
        "deep pit, late parcels, boots on the floor",
        "mirrors and tyres on a shelf",
        "the end of the row, 3 m",
    ):
        drawn = look(reader, prompt)
        assert not any((drawn.fog, drawn.rain, drawn.snow, drawn.dust)), prompt


def test_words_that_speak_of_weather_are_its_own():
    words = own_words()
    assert "fog" in words["fog"] and "clouds" in words["overcast"] and "night" in words["sun_elevation"]
    kinds = list(words)
    assert all(not words[a] & words[b] for a in kinds for b in kinds if a != b)
    assert not any(each & neutral_words() for each in words.values())


def test_clauses_that_say_different_things_hold_nothing(reader, monkeypatch):
    prompts = ("noon, midnight", "light fog, dense fog")
    held = [look(reader, prompt, seed=1) for prompt in prompts]
    monkeypatch.setattr(PromptReader, "_hold", lambda self, vector, chances, prompt, seed: (vector, set()))
    assert [look(reader, prompt, seed=1) for prompt in prompts] == held


def test_stronger_words_mean_more(reader):
    for name, words in (("fog", ("light fog", "fog", "dense fog")), ("snow", ("light snow", "snow", "heavy snow"))):
        means = [np.mean([getattr(look(reader, word, seed=s), name) for s in range(6)]) for word in words]
        assert means == sorted(means) and means[2] - means[0] > 0.25


def test_what_is_not_there_is_not_made(reader):
    assert look(reader, "a clear day without snow").snow < 0.1
    assert look(reader, "it is not raining, noon").rain < 0.1


def test_a_prompt_without_conditions_is_a_plain_day(reader):
    for prompt in ("a photo of a forklift", "qwertz zuiop", "!!!"):
        plain = look(reader, prompt)
        assert plain.sun_elevation > 20 and max(plain.fog, plain.snow, plain.rain, plain.dust) < 0.15


def test_the_seed_draws_from_what_is_left_open_and_nothing_else(reader):
    looks = [look(reader, "fog", seed=seed) for seed in range(8)]
    assert np.std([item.fog for item in looks]) > 0.02
    assert np.std([item.sun_bearing for item in looks]) > 20.0
    assert max(item.snow for item in looks) < 0.1
    assert look(reader, "fog", seed=3) == look(reader, "fog", seed=3)


def test_a_negative_prompt_takes_back(reader):
    asked = look(reader, "snow and fog", seed=2)
    without = look(reader, "snow and fog", negative="fog", seed=2)
    assert asked.fog > 0.2 and without.fog < 0.05 and without.snow == pytest.approx(asked.snow, abs=1e-6)
    assert look(reader, "night", negative="night", seed=2).sun_elevation > 20.0


def test_guidance_scales_from_the_plain_day(reader):
    strengths = [look(reader, "snow", guidance=g, seed=1).snow for g in (0.0, 0.5, 1.0)]
    assert strengths[0] < 0.1 < strengths[1] < strengths[2]


def test_typing_errors_are_mended_and_told_and_strangers_reported(reader):
    reading = reader.read("a cyberpunk wharehouse in the fogg with raim and blzzard")
    assert reading.unknown == ("cyberpunk", "fogg", "raim") and ("blzzard", "blizzard") in reading.corrected
    assert ("wharehouse", "warehouse") in reading.corrected
    assert reading.conditions.snow > 0.6


@pytest.mark.parametrize(
    ("typed", "right"),
    [("nigth", "night"), ("strom", "storm"), ("overcst", "overcast"), ("snwo", "snow"), ("rian", "rain")],
)
def test_typing_errors_that_are_made_often_are_mended_too(reader, typed, right):
    wrong, meant = reader.read(f"a street, {typed}"), reader.read(f"a street, {right}")
    assert wrong.corrected == ((typed, right),) and not wrong.unknown
    assert wrong.conditions == meant.conditions


def test_four_letters_are_mended_where_two_are_swapped_alone():
    known = ("rain", "snow", "dusk")
    assert [nearest_word(word, known) for word in ("rian", "snwo", "raim", "dust", "desk", "rai")] == [
        "rain",
        "snow",
        *[None] * 4,
    ]


@pytest.mark.parametrize("prompt", ["雪の夜", "ночь", "🌧️🌧️", "Schneefall über Köln"])
def test_other_scripts_and_pictographs_are_reported(reader, prompt):
    assert reader.read(prompt).unknown


def test_what_would_take_other_things_is_not_claimed(reader):
    """The stage decides how busy a street is; a picture of the same stage cannot."""
    assert reader.read("a busy street at night").unknown == ("busy",)
    assert reader.read("a rainy street, empty and quiet").unknown == ("empty", "quiet")


def test_long_prompts_are_cut_and_counted(reader):
    reading = reader.read("night, snow, " + "fog and dust, " * 500)
    assert reading.cut > 100
    assert reader.read("a photo of a forklift in a warehouse " * 30 + "at night").cut == 0


def test_every_caption_is_made_of_known_words():
    known, rng = set(vocabulary()), np.random.default_rng(0)
    for _ in range(300):
        conditions, caption, _ = sample_conditions(rng)
        assert set(split_words(caption)) <= known
        assert -18.0 <= conditions.sun_elevation <= 90.0
    assert neutral_words() < known


def test_an_unknown_or_empty_row_gives_finite_numbers():
    encoder = TextEncoder(TextEncoderConfig(words=20, width=8, heads=2, layers=1, length=6)).eval()
    for ids in (torch.zeros((2, 3), dtype=torch.int64), torch.ones((1, 1), dtype=torch.int64)):
        mean, log_std, bands = encoder(ids)
        assert torch.isfinite(mean).all() and torch.isfinite(log_std).all() and torch.isfinite(bands).all()
