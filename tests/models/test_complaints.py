"""What a prompt tells of an earlier picture is not what it asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosmos.models.embedded.complaints import asked_for


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        ("The last one came out gloomy. I want sunshine.", "I want sunshine."),
        ("Why so dark? Back off to early dusk.", "Back off to early dusk."),
        ("You gave me twilight, but I wanted the sun up", "I wanted the sun up"),
        ("Not night. Your draft was pitch black. Sun 3.5 degrees up.", "Not night. Sun 3.5 degrees up."),
        ("Less fog than last time! Only a hint.", "Less fog than last time! Only a hint."),
        ("Rain as in the previous clip, please.", "Rain as in the previous clip, please."),
        ("Why is it so clean?!", "Why is it so clean?!"),
        ("fog", "fog"),
        ("", ""),
    ],
)
def test_what_an_earlier_picture_was_like_is_left_out(prompt, asked):
    assert asked_for(prompt) == asked


@given(st.text())
def test_any_text_is_left_or_cut_at_its_sentences(text):
    asked, letters = asked_for(text), iter(text)
    assert all(letter in letters for letter in asked) and (asked.strip() or not text.strip())


def test_the_gloom_of_an_earlier_picture_is_not_asked_for(reader):
    for seed in range(4):
        wanted = reader.read("Why so gloomy? Clear blue sky over the yard, sun at noon.", seed=seed).conditions
        assert wanted.overcast < 0.2 and wanted.sun_elevation > 35
