from dataclasses import replace

import pytest

from cosmos.bridge.critic.registry import create
from cosmos.bridge.critic.voices import Voices
from cosmos.bridge.errors import ConfigError, VerdictParseError
from cosmos.bridge.types import Finding, Measurement, Verdict


class Voice:
    """A critic that says what it was told to."""

    def __init__(self, name, *, score=1.0, says="yes"):
        self.name, self.score, self.says, self.asked, self.unloaded = name, score, says, 0, 0

    def judge(self, request, result, progress=None):
        self.asked += 1
        if self.says == "nonsense":
            raise VerdictParseError(f"{self.name} said nonsense.")
        measured = Measurement(check=self.name, value=1.0, threshold=0.5, better="higher", unit="", passed=True)
        verdict = Verdict(
            accepted=True, score=self.score, critic=self.name, measurements=(measured,), rationale="Fine.", raw="raw",
            seconds=1.0, costs={self.name: 1.0},
        )  # fmt: skip
        if self.says == "yes":
            return verdict
        finding = Finding(kind="physics", check=self.name, severity="reject", text=f"{self.name} says no.")
        return replace(verdict, accepted=False, score=0.2, findings=(finding,), rationale=finding.text)

    def unload(self):
        self.unloaded += 1


def test_all_must_accept_and_the_lowest_score_counts():
    first, second = Voice("one", score=0.9), Voice("two", score=0.7)
    verdict = Voices([first, second]).judge(None, None)
    assert verdict.accepted and verdict.score == 0.7 and verdict.critic == "one+two"
    assert [measurement.check for measurement in verdict.measurements] == ["one", "two"]
    assert verdict.seconds == 2.0 and verdict.costs == {"one": 1.0, "two": 1.0}
    assert verdict.raw == "[one]\nraw\n\n[two]\nraw" and verdict.rationale == "one: Fine. two: Fine."


@pytest.mark.parametrize("refuser", [0, 1])
def test_any_voice_refuses_and_later_ones_are_not_asked(refuser):
    voices = [Voice("one", says="no" if refuser == 0 else "yes"), Voice("two", says="no" if refuser == 1 else "yes")]
    verdict = Voices(voices).judge(None, None)
    assert not verdict.accepted and verdict.score == 0.2
    assert verdict.rationale == f"{voices[refuser].name} says no."
    assert [voice.asked for voice in voices] == [1, refuser]
    unasked = [finding for finding in verdict.findings if finding.kind == "unchecked"]
    assert [finding.text for finding in unasked] == (["two was not asked, since one refused."] if refuser == 0 else [])


def test_one_voice_without_a_verdict_is_no_pass():
    with pytest.raises(VerdictParseError, match="two said nonsense"):
        Voices([Voice("one"), Voice("two", says="nonsense")]).judge(None, None)


def test_all_are_unloaded():
    voices = [Voice("one"), Voice("two")]
    Voices(voices).unload()
    assert [voice.unloaded for voice in voices] == [1, 1]


def test_names_joined_by_plus_make_voices():
    critic = create("consistency+cosmos-reason2", {"cosmos-reason2": {"trials": 3}})
    assert critic.name == "consistency+cosmos-reason2" and critic._critics[1]._options.trials == 3


@pytest.mark.parametrize(
    "name,options,sentence",
    [
        ("consistency+consistency", {}, "names one critic twice"),
        ("consistency+reason", {}, "no critic 'reason'"),
        ("consistency+cosmos-reason2", {"trials": 3}, "a table for each critic, got trials"),
        (
            "consistency+cosmos-reason2",
            {"cosmos-reason2": {"trails": 3}},
            "no setting in critic_options.cosmos",
        ),
    ],
)
def test_wrong_voices_are_refused(name, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        create(name, options)
