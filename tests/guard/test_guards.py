"""The guards: what passes, what does not, and which posture is reported."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.errors import ModelError
from cosmos.bridge.guard.base import Guard
from cosmos.bridge.guard.blocklist import BLOCKED
from cosmos.bridge.guard.registry import create, names
from cosmos.bridge.types import Provenance, TransferResult


@pytest.fixture(params=[name for name in names() if name != "cosmos"])
def guard(request):
    return create(request.param)


def test_every_guard_passes_weather_and_names_itself(guard):
    assert isinstance(guard, Guard)
    report = guard.screen_prompt("heavy snow at night over a warehouse with shooting stars")
    assert report.allowed and report.stage == "prompt" and report.requested == guard.name
    assert not report.categories


def test_videos_pass_unchanged_and_the_posture_says_they_were_not_looked_at(guard):
    provenance = Provenance(
        model="m", revision="1", weights_sha256="", licence="", dtype="", device="cpu", seconds=0.0, peak_bytes=0
    )
    result = TransferResult(rgb=wp.array(np.zeros((1, 2, 2, 3), np.uint8), device="cpu"), provenance=provenance)
    seen, report = guard.screen_video(result)
    assert seen is result and report.allowed and report.stage == "video" and report.effective == "off"


@pytest.mark.parametrize("word", [word for words in BLOCKED.values() for word in words])
def test_every_blocked_word_is_refused_with_its_reason(word):
    report = create("blocklist").screen_prompt(f"a street at night, {word.upper()}!")
    assert not report.allowed
    assert any(word in BLOCKED[reason] for reason in report.categories)


@pytest.mark.parametrize("text", ["n4ked people", "nüde", "G0RE", "a suicide\nbomber", "self-harm", "mass  shooting"])
def test_other_spellings_are_refused(text):
    assert not create("blocklist").screen_prompt(text).allowed


@pytest.mark.parametrize("text", ["Sussex yard", "a gored-looking barrel", "explicitly sunny", "assembly line, noon"])
def test_words_that_hold_a_blocked_one_pass(text):
    assert create("blocklist").screen_prompt(text).allowed


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(ModelError, match=r"'blocklst' \(did you mean 'blocklist'\?\)"):
        create("blocklst")
