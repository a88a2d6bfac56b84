import pytest

from cosmos.bridge.errors import JobCancelled, SinkError
from cosmos.bridge.jobs import StopSignal
from cosmos.bridge.runs.ledger import read_ledger
from cosmos.bridge.sinks.manifest import read_manifest
from fake_line import ScriptedCritic, TintModel, attempts_in


def test_a_soft_stop_finishes_the_clip_and_resume_the_rest(config, make_bridge):
    stop = StopSignal()

    def progress(stage, done, total):
        if stage == "transfer":
            stop.finish()

    first = make_bridge(config).augment(progress, stop)
    assert (first.accepted, first.remaining) == (1, 1)
    model = TintModel()
    second = make_bridge(config, transfer=model).augment(resume=True)
    assert (second.accepted, second.remaining, len(model.requests)) == (2, 0, 1)
    assert second.complete


def test_a_hard_stop_loses_only_the_clip_at_work(config, make_bridge, tmp_path):
    stop, seen = StopSignal(), []

    def progress(stage, done, total):
        stop.check()
        seen.append(stage)
        if seen.count("write") == 3:
            stop.abort()

    with pytest.raises(JobCancelled):
        make_bridge(config).augment(progress, stop)
    assert not (tmp_path / "out" / "clip_0000").exists()
    summary = make_bridge(config).augment(resume=True)
    assert summary.complete
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_resume_gives_the_same_pixels_as_one_go(config, make_bridge, tmp_path):
    critic = ScriptedCritic(lambda request: request.prompt == "rain" or request.seed > 0)
    whole = make_bridge(config.replace(out=str(tmp_path / "whole")), critic=critic).augment()
    stop = StopSignal()
    make_bridge(config, critic=critic).augment(lambda stage, done, total: stop.finish(), stop)
    parts = make_bridge(config, critic=critic).augment(resume=True)
    for name in ("clip_0000/augmented.mp4", "clip_0001/augmented.mp4", "rejected/clip_0001_attempt1/augmented.mp4"):
        assert (whole.out / name).read_bytes() == (parts.out / name).read_bytes()


def test_resume_goes_on_after_the_attempts_made(config, make_bridge):
    class Killed(BaseException):
        pass

    critic = ScriptedCritic(lambda request: request.seed > 0)
    model = TintModel()

    def die(request):
        if len(model.requests) == 2:
            raise Killed
        return False

    model.fails_on = die
    with pytest.raises(Killed):
        make_bridge(config, transfer=model, critic=critic).augment()
    after = TintModel()
    summary = make_bridge(config, transfer=after, critic=critic).augment(resume=True)
    assert after.requests[0].seed == model.requests[1].seed  # attempt 2 of the first clip, not attempt 1 again
    assert attempts_in(summary.out) == {"clip_0000": [False, True], "clip_0001": [False, True]}


def test_a_clip_the_ledger_missed_is_adopted(config, make_bridge, tmp_path):
    make_bridge(config).augment()
    ledger = tmp_path / "out" / "ledger.jsonl"
    ledger.write_bytes(b"".join(ledger.read_bytes().splitlines(keepends=True)[:1]))
    model = TintModel()
    summary = make_bridge(config, transfer=model).augment(resume=True)
    assert summary.complete
    assert not model.requests


def test_failed_clips_are_tried_again_on_resume(config, make_bridge, tmp_path):
    make_bridge(config, transfer=TintModel(fails_on=lambda request: request.prompt == "rain")).augment()
    summary = make_bridge(config).augment(resume=True)
    assert (summary.accepted, summary.failed) == (2, 0)
    outcomes = [e["outcome"] for e in read_ledger(tmp_path / "out" / "ledger.jsonl") if e["event"] == "settled"]
    assert outcomes == ["failed", "accepted", "accepted"]


def test_resume_of_a_finished_run_changes_nothing(config, make_bridge):
    done = make_bridge(config).augment()
    before = {path: path.read_bytes() for path in done.out.rglob("*.mp4")}
    model = TintModel()
    again = make_bridge(config, transfer=model).augment(resume=True)
    assert again.complete
    assert not model.requests
    assert not model.loaded
    assert {path: path.read_bytes() for path in done.out.rglob("*.mp4")} == before


def test_two_processes_never_share_a_folder(config, make_bridge, tmp_path):
    from cosmos.bridge.runs.folder import reopen_run

    make_bridge(config).augment()
    with reopen_run(tmp_path / "out")[1], pytest.raises(SinkError, match="Another process is at work"):
        make_bridge(config).augment(resume=True)


def test_the_command_of_the_first_run_stays(config, make_bridge, tmp_path):
    stop = StopSignal()
    make_bridge(config).augment(lambda stage, done, total: stop.finish(), stop, command="cosmos-bridge augment x")
    make_bridge(config).augment(resume=True, command="cosmos-bridge resume out")
    assert read_manifest(tmp_path / "out")["run"]["command"] == "cosmos-bridge augment x"
