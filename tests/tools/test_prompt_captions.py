"""Whole prompts that the reader learns from: which there are, and what each is drawn as."""

from collections import Counter

import numpy as np

from cosmos.models.embedded.conditions import STRENGTHS
from cosmos.models.embedded.wordings import HOURS
from prompt_captions import plain_prompts, whole_prompts
from transfer_conditions import HARD_WORDINGS, IDLE_WORDINGS, WORDINGS, WORKING_WORDINGS

ASKED = (WORDINGS, HARD_WORDINGS, WORKING_WORDINGS)


def test_prompts_that_say_nothing_of_light_are_others_than_those_of_the_evaluation():
    plain = plain_prompts()
    assert len(set(plain)) == len(plain) > 1500
    assert not {prompt.lower() for prompt in plain} & {prompt.lower() for prompt in IDLE_WORDINGS}
    assert not set(plain) & {prompt.text for prompt in whole_prompts()}


def test_each_is_there_once_and_none_but_of_few_words_is_asked_in_the_evaluation():
    texts = [prompt.text for prompt in whole_prompts()]
    assert len(texts) == len(set(texts)) > 10000
    asked = {prompt.lower() for told in ASKED for prompts in told.values() for prompt in prompts}
    assert not [text for text in texts if text.lower() in asked and len(text.split()) > 2]


def test_all_hours_and_kinds_of_weather_are_spoken_of():
    prompts = whole_prompts()
    hours = Counter(prompt.hour for prompt in prompts)
    assert set(hours) == {tuple(band[:2]) for band in HOURS} and min(hours.values()) >= 50
    kinds = Counter(name for prompt in prompts for name in prompt.weather)
    assert set(kinds) == {"overcast", "fog", "rain", "snow", "dust"} and min(kinds.values()) >= 100


def test_a_look_is_drawn_within_its_bands():
    for seed, prompt in enumerate(whole_prompts()):
        drawn = prompt.draw(np.random.default_rng(seed))
        assert prompt.hour[0] <= drawn.sun_elevation <= prompt.hour[1]
        for name in STRENGTHS:
            if name in prompt.weather:
                assert prompt.weather[name][0] <= getattr(drawn, name) <= prompt.weather[name][1]
            elif name == "overcast" and {"rain", "snow"} & prompt.weather.keys():
                assert drawn.overcast >= 0.6
            elif name in ("overcast", "fog", "rain", "snow", "dust"):
                assert getattr(drawn, name) == 0.0
