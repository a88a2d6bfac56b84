import math

import pytest

from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.outcome import Outcome, conclude, measured, spans
from cosmos.bridge.critic.thresholds import THRESHOLDS
from cosmos.bridge.types import Finding


def verdict_of(*outcomes):
    return conclude(outcomes, thresholds=THRESHOLDS, limits=Limits(), critic="consistency", costs={})


@pytest.mark.parametrize(
    ("frames", "text"),
    [([], ""), ([4], "4"), ([3, 1, 2, 7], "1-3, 7"), (range(0, 40, 2), "0, 2, 4, 6, 8, 10, 12, ...")],
)
def test_spans_writes_ranges(frames, text):
    assert spans(frames) == text


@pytest.mark.parametrize("check", list(THRESHOLDS))
def test_quality_falls_from_best_over_the_bar_to_zero(check):
    bar = THRESHOLDS[check]
    assert bar.passes(bar.best) and bar.quality(bar.best) == 1.0
    assert bar.passes(bar.value) and bar.quality(bar.value) >= 0.5
    worse = bar.value - 10.0 if bar.better == "higher" else bar.value + 100.0
    assert not bar.passes(worse) and bar.quality(worse) == 0.0
    assert not bar.passes(math.nan) and bar.quality(math.nan) == 0.0
    assert bar.reason.endswith(".")


def test_no_proof_is_no_pass():
    verdict = verdict_of(Outcome(measurements=(measured(THRESHOLDS, "blank_frames", 0.0),)))
    assert not verdict.accepted and verdict.score < 0.5 and verdict.findings[0].kind == "unchecked"


def test_warning_does_not_refuse():
    warning = Finding(kind="geometry", check="edge_f1", severity="warning", text="F1 is low.")
    verdict = verdict_of(
        Outcome(measurements=(measured(THRESHOLDS, "edges_kept", 1.0),), findings=(warning,), proof=True)
    )
    assert verdict.accepted and verdict.score == 1.0 and verdict.findings == (warning,)


def test_capping_never_hides_a_rejection():
    findings = tuple(
        Finding(kind="flicker", check="flicker_level", severity="reject", text=f"{i}.", value=10.0 + i)
        for i in range(60)
    )
    verdict = verdict_of(Outcome(findings=findings, proof=True))
    assert not verdict.accepted and len(verdict.findings) == Limits().max_findings + 1
    assert verdict.findings[-1].severity == "reject" and verdict.findings[-1].text.startswith("36 more")
