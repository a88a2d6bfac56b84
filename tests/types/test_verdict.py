import pytest

from cosmos.bridge.types import Finding, Verdict


def make_finding(severity):
    return Finding(kind="flicker", check="flicker_along_motion", severity=severity, text="It flickers.")


def test_a_verdict_with_warnings_may_be_accepted():
    verdict = Verdict(accepted=True, score=0.8, critic="consistency", findings=(make_finding("warning"),))
    assert verdict.findings[0].instance is None


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_outside_is_refused(score):
    with pytest.raises(ValueError, match="score must lie in"):
        Verdict(accepted=False, score=score, critic="c")


def test_a_rejecting_finding_cannot_be_accepted():
    with pytest.raises(ValueError, match="cannot be accepted"):
        Verdict(accepted=True, score=0.8, critic="c", findings=(make_finding("reject"),))
