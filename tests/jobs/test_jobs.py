import threading
import time

import pytest

from cosmos.bridge.errors import JobCancelled
from cosmos.bridge.jobs import CLIPS, Job, JobState, StopSignal


def test_a_job_delivers_its_result():
    job = Job(lambda progress, stop: 42)
    assert job.state is JobState.WAITING
    assert job.start().result(timeout=5) == 42
    assert job.state is JobState.DONE


def test_a_job_delivers_its_error():
    def work(progress, stop):
        raise KeyError("lost")

    job = Job(work).start()
    with pytest.raises(KeyError, match="lost"):
        job.result(timeout=5)
    assert job.state is JobState.FAILED


def test_a_job_works_on_a_thread_of_its_own():
    assert Job(lambda progress, stop: threading.get_ident()).start().result(5) != threading.get_ident()


def test_a_job_starts_once():
    job = Job(lambda progress, stop: None).start()
    with pytest.raises(RuntimeError, match="starts once"):
        job.start()
    job.result(5)


def test_a_result_that_is_not_there_yet_times_out():
    gate = threading.Event()
    job = Job(lambda progress, stop: gate.wait(5)).start()
    with pytest.raises(TimeoutError, match="still"):
        job.result(timeout=0.01)
    gate.set()
    assert job.result(5)


def test_progress_is_seen_from_outside():
    gate, seen = threading.Event(), threading.Event()

    def work(progress, stop):
        progress(CLIPS, 0, 4)
        progress("render", 3, 24)
        seen.set()
        gate.wait(5)

    job = Job(work).start()
    seen.wait(5)
    snapshot = job.progress
    gate.set()
    job.result(5)
    assert (snapshot.stage, snapshot.done, snapshot.total) == ("render", 3, 24)
    assert (snapshot.clips_done, snapshot.clips_total, snapshot.eta) == (0, 4, None)
    assert snapshot.seconds > 0


def test_the_estimate_follows_the_pace_of_the_clips():
    snapshots = []

    def work(progress, stop):
        progress(CLIPS, 1, 5)  # 1 clip was there before: it must not count as fast
        time.sleep(0.2)  # reading the camera must not count as slow
        for done in (1, 2, 3):
            progress(CLIPS, done, 5)
            time.sleep(0.05)

    job = Job(work)
    job.listen(snapshots.append)
    job.start().result(5)
    assert snapshots[1].eta is None
    assert snapshots[3].eta == pytest.approx(0.1, abs=0.06)


def test_the_estimate_of_a_stage_follows_the_pace_of_its_steps(monkeypatch):
    now, snapshots = [100.0], []
    monkeypatch.setattr("cosmos.bridge.jobs.time.monotonic", lambda: now[0])

    def work(progress, stop):
        for stage, done, at in (
            ("read", 10, 110.0),
            ("transfer", 10, 120.0),  # another stage begins, wherever its count stands
            ("transfer (chunk 1 of 2)", 12, 126.0),  # 3 s a step, 8 steps to go
            ("transfer (chunk 2 of 2)", 16, 138.0),  # a chunk is no stage of its own
            ("transfer", 1, 150.0),  # the next clip
        ):
            now[0] = at
            progress(stage, done, 20)

    job = Job(work)
    job.listen(snapshots.append)
    job.start().result(5)
    assert [snapshot.stage_eta for snapshot in snapshots] == [None, None, 24.0, 12.0, None]


def test_the_estimate_of_a_stage_runs_down_while_a_step_lasts(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("cosmos.bridge.jobs.time.monotonic", lambda: now[0])
    gate, seen = threading.Event(), threading.Event()

    def work(progress, stop):
        progress("transfer", 0, 10)
        now[0] = 110.0
        progress("transfer", 1, 10)
        now[0] = 114.0
        seen.set()
        gate.wait(5)

    job = Job(work).start()
    seen.wait(5)
    assert job.progress.stage_eta == 86.0
    gate.set()
    job.result(5)


def test_an_estimate_that_is_used_up_is_none(monkeypatch):
    now, snapshots = [100.0], []
    monkeypatch.setattr("cosmos.bridge.jobs.time.monotonic", lambda: now[0])

    def work(progress, stop):
        progress(CLIPS, 0, 2)
        now[0] = 110.0
        progress(CLIPS, 1, 2)
        for at, done in ((118.0, 0), (119.0, 1), (121.0, 3)):
            now[0] = at
            progress("transfer", done, 3)

    job = Job(work)
    job.listen(snapshots.append)
    job.start().result(5)
    assert [snapshot.eta for snapshot in snapshots] == [None, 10.0, 2.0, 1.0, None]
    assert [snapshot.stage_eta for snapshot in snapshots] == [None, None, None, 2.0, None]


def test_cancel_asks_to_finish_and_cancel_now_aborts():
    asked, gate = [], threading.Event()

    def work(progress, stop):
        gate.wait(5)
        asked.append(stop.finishing)
        while True:
            progress("work", 0, 0)
            time.sleep(0.001)

    job = Job(work).start()
    job.cancel()
    gate.set()
    time.sleep(0.02)
    assert job.state is JobState.RUNNING
    job.cancel(now=True)
    with pytest.raises(JobCancelled, match="aborted on request"):
        job.result(timeout=5)
    assert asked == [True]
    assert job.state is JobState.CANCELLED


def test_listeners_hear_each_step_in_order():
    heard = []
    job = Job(lambda progress, stop: [progress("work", step, 3) for step in range(3)])
    job.listen(lambda snapshot: heard.append(snapshot.done))
    job.start().result(5)
    assert heard == [0, 1, 2]


def test_a_stop_signal_is_quiet_until_asked():
    stop = StopSignal()
    stop.check()
    assert not stop.finishing
    stop.finish()
    stop.check()
    assert stop.finishing
    assert not stop.aborting
