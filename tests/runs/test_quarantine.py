import json

import numpy as np
import pytest

from cosmos.bridge.cli.main import main
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.runs.check import check_run
from cosmos.bridge.runs.quarantine import quarantined, release, reopen
from cosmos.bridge.runs.reread import read_attempts, read_result
from cosmos.bridge.sinks.manifest import read_manifest
from cosmos.bridge.types import Finding, Measurement, Verdict
from fake_line import DrawnSource, ScriptedCritic, TintModel


class Rainless(ScriptedCritic):
    """Rejects rain, with numbers, some of them not known."""

    def judge(self, request, result, progress=None):
        if request.prompt != "rain":
            return Verdict(accepted=True, score=0.9, critic="rainless", rationale="All is well.")
        wet = Finding(kind="physics", check="wet", severity="reject", text="It rains.", frames=(1, 2), instance=1)
        measured = Measurement(check="wet", value=7.5, threshold=1.0, better="lower", unit="mm", passed=False)
        unknown = Measurement(check="muddy", value=float("nan"), threshold=1.0, better="higher", unit="", passed=False)
        score = 0.2 if request.seed == 0 else 0.3
        return Verdict(accepted=False, score=score, critic="rainless", findings=(wet,),
                       measurements=(measured, unknown), rationale="It rains.")  # fmt: skip


@pytest.fixture
def run(config, make_bridge):
    return make_bridge(config, critic=Rainless()).augment().out


def test_the_rejected_clip_is_listed_with_its_attempts(run):
    (clip,) = quarantined(run)
    assert (clip.name, clip.reason, len(clip.attempts)) == ("clip_0000", "It rains.", 2)


def test_verdicts_are_read_as_they_were_written(run):
    first, second = read_attempts(run, "clip_0000")
    assert first.verdict.findings[0].frames == (1, 2) and np.isnan(first.verdict.findings[0].value)
    assert first.verdict.measurements[0].value == 7.5 and np.isnan(first.verdict.measurements[1].value)
    assert (first.verdict.score, second.verdict.score) == (0.2, 0.3)
    assert read_attempts(run, "clip_0099") == ()


def test_a_release_moves_the_best_attempt_and_keeps_its_verdict(run, capsys):
    assert main(["quarantine", "release", str(run), "clip_0000", "--why", "rain is fine here"]) == 0
    assert "clip_0000 counts as accepted" in capsys.readouterr().out
    clip = read_manifest(run)["clips"][0]
    assert clip["status"] == "accepted" and [a["accepted"] for a in clip["attempts"]] == [False, True]
    record = json.loads((run / "clip_0000" / "clip.json").read_text())
    assert record["accepted"] and record["released"]["why"] == "rain is fine here"
    assert not record["verdict"]["accepted"] and record["attempt"] == 2
    assert not (run / "rejected" / "clip_0000_attempt2").exists()
    assert check_run(run).problems == () and quarantined(run) == ()
    assert read_manifest(run)["counts"]["accepted"] == 2
    with pytest.raises(ConfigError, match="is rejected; there is nothing to do"):
        release(run, "clip_0000", "again")


def test_a_named_attempt_is_released(run):
    release(run, "clip_0000", "I say so", attempt=1)
    assert json.loads((run / "clip_0000" / "clip.json").read_text())["attempt"] == 1
    assert check_run(run).problems == ()


def test_a_retry_gives_further_attempts_and_another_outcome(run, make_bridge):
    config = reopen(run, (), more=2)
    assert config.retry.max_attempts == 4
    model = TintModel()
    summary = make_bridge(config, transfer=model, critic=ScriptedCritic()).augment(resume=True)
    assert (summary.accepted, summary.rejected, len(model.requests)) == (2, 0, 1)
    attempts = read_manifest(run)["clips"][0]["attempts"]
    assert [entry["attempt"] for entry in attempts] == [1, 2, 3] and attempts[-1]["accepted"]
    assert check_run(run).problems == ()


def test_wrong_asks_are_one_sentence(run):
    for act, told in (
        (lambda: release(run, "clip_0001", "x"), "clip_0001 is no rejected clip; there is clip_0000"),
        (lambda: release(run, "clip_0000", " "), "needs a reason"),
        (lambda: release(run, "clip_0000", "x", attempt=9), "has the attempts 1, 2, got 9"),
        (lambda: reopen(run, (), more=0), "at least once, got 0"),
    ):
        with pytest.raises(ConfigError, match=told):
            act()
    assert main(["explain", str(run), "clip_0009"]) == 2
    assert main(["explain", str(run), "clip_0000/x"]) == 2


def test_the_list_tells_what_each_attempt_changed_and_what_comes_next(run, capsys):
    assert main(["quarantine", "list", str(run)]) == 0
    said = capsys.readouterr()
    assert "clip_0000  2 attempts  It rains." in said.out and "1 clip rejected" in said.out
    second = next(line for line in said.out.splitlines() if "attempt2" in line)
    assert "score 0.30" in second and "the seed changes to" in second
    assert f"cosmos-bridge explain {run} clip_0000" in said.err
    assert f"cosmos-bridge quarantine retry {run}" in said.err


def test_explain_takes_the_folder_of_a_clip(run, capsys):
    for folder, said in (("clip_0001", "attempt 1: accepted"), ("rejected/clip_0000_attempt2", "attempt 2: rejected")):
        assert main(["explain", str(run / folder)]) == 0
        out = capsys.readouterr().out
        assert said in out and out.count("\nattempt ") == 1
    assert main(["explain", str(run)]) == 2
    assert f"{run} is a run; name one of its clips too: clip_0000, clip_0001." in capsys.readouterr().err


def test_explain_says_a_finding_once(run, capsys):
    assert main(["explain", str(run), "clip_0000/1"]) == 0
    body = capsys.readouterr().out.split("\n", 1)[1]
    assert body.count("It rains.") == 1


def test_explain_tells_findings_numbers_and_what_changed(run, capsys):
    assert main(["explain", str(run), "clip_0000"]) == 0
    out = capsys.readouterr().out
    assert "clip_0000 is rejected: It rains." in out and "attempt 2: rejected, score 0.30 by rainless" in out
    assert "changed   The check wet rejected the attempt before. No setting is to blame: the seed changes to" in out
    assert "  MISSED    wet         7.5  (at most 1 mm)\n" in out
    assert "  MISSED    muddy   unknown  (at least 1)\n" in out
    assert main(["explain", str(run), "clip_0001", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["status"] == "accepted"


def test_the_judge_command_says_how_far_it_is(run, capsys, make_bridge, config, monkeypatch):
    class Slow(Rainless):
        def judge(self, request, result, progress=None):
            progress("judge", 1, 4)
            return super().judge(request, result)

    again = make_bridge(config, critic=Slow())
    monkeypatch.setattr("cosmos.bridge.bridge.Bridge", lambda config: again)
    assert main(["judge", str(run)]) == 0
    told = capsys.readouterr()
    assert "3 attempts judged" in told.out
    assert [f"clip {number}/3: judge 1/4" in told.err for number in (1, 2, 3)] == [True] * 3
    assert main(["judge", str(run), "--json"]) == 0
    assert "judge 1/4" not in capsys.readouterr().err


def test_the_judge_command_says_what_usd_remarks_once_and_plainly(run, capfd, make_bridge, config, monkeypatch):
    from pxr import Tf

    class Remarking(Rainless):
        def judge(self, request, result, progress=None):
            Tf.Warn("A texture is missing.")
            return super().judge(request, result)

    again = make_bridge(config, critic=Remarking())
    monkeypatch.setattr("cosmos.bridge.bridge.Bridge", lambda config: again)
    assert main(["judge", str(run)]) == 0
    told = capfd.readouterr().err
    assert told.count("A texture is missing.") == 1 and "note: USD says: A texture is missing." in told


def test_judging_again_asks_for_the_same_and_changes_nothing(run, config, make_bridge):
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    asked = []

    class Noting(Rainless):
        def judge(self, request, result, progress=None):
            asked.append(request)
            return super().judge(request, result)

    critic = Noting()
    verdicts = [(made.name, made.attempt, made.verdict.accepted) for made in make_bridge(config, critic=critic).judge()]
    assert verdicts == [("clip_0000", 1, False), ("clip_0000", 2, False), ("clip_0001", 1, True)]
    seeds = [entry["seed"] for clip in read_manifest(run)["clips"] for entry in clip["attempts"]]
    assert [request.seed for request in asked] == seeds
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()} == before


def test_a_result_is_read_from_its_video(run):
    result = read_result(run / "clip_0001", device="cpu")
    assert tuple(result.rgb.shape) == (4, 24, 32, 3) and result.provenance.model == "tint"


def test_a_result_of_odd_size_is_read_as_it_was_judged(config, make_bridge):
    """Its video has a row and a column more, since yuv420p needs even sizes."""
    asked = []

    class Noting(Rainless):
        def judge(self, request, result, progress=None):
            asked.append((tuple(request.clip.rgb.shape), result.rgb.numpy()))
            return super().judge(request, result)

    odd = {"open_source": lambda camera: DrawnSource(camera, size=(23, 31)), "critic": Noting()}
    make_bridge(config, **odd).augment()
    painted = [pixels for _, pixels in asked]
    asked.clear()
    list(make_bridge(config, **odd).judge())
    assert [pixels.shape for _, pixels in asked] == [shape for shape, _ in asked] == [(4, 23, 31, 3)] * len(painted)
    for before, after in zip(painted, (pixels for _, pixels in asked), strict=True):
        assert np.abs(before.astype(int) - after).mean() < 4.0  # compressed
