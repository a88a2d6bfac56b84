"""Ctrl-C and kill: the ledger stays valid, nothing half-written counts, and resume finishes the run."""

import json
import signal
import time
from functools import partial

import pytest

from cosmos.bridge.runs.ledger import read_ledger
from cosmos.bridge.sinks.manifest import read_manifest


def _start(spawn, stage, out):
    return spawn(
        *("augment", stage, "--frames", "0:8", "--size", "36x64", "--camera", "/World/Camera"),
        *("--transfer", "identity", "--variants", "3", "--prompt", "rain", "--prompt", "snow", "--out", out),
    )


def _wait_for_clip(child, out):
    """Wait until the ledger says that a first clip is there."""
    ledger = out / "ledger.jsonl"
    while not (ledger.exists() and b"settled" in ledger.read_bytes()):
        assert child.poll() is None, child.communicate()
        time.sleep(0.01)


def _finish(cli, out):
    entries = read_ledger(out / "ledger.jsonl")
    assert all(entry["event"] in ("started", "settled") for entry in entries)
    code, told, err = cli("resume", out, "--json")
    assert code == 0, err
    assert json.loads(told)["accepted"] == 6
    code, told, _ = cli("verify", out)
    assert code == 0, told
    assert not list(out.rglob("*.partial"))


def test_the_first_ctrl_c_finishes_the_clip(spawn, cli, stage, tmp_path):
    out = tmp_path / "out"
    child = _start(spawn, stage, out)
    _wait_for_clip(child, out)
    child.send_signal(signal.SIGINT)
    told, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "Finishing the clip at work" in err
    assert "remaining" in told
    counts = read_manifest(out)["counts"]
    assert 0 < counts["accepted"] < 6
    assert counts["accepted"] == len([path for path in out.glob("clip_*") if path.is_dir()])
    _finish(cli, out)


def test_the_second_ctrl_c_stops_now(spawn, cli, stage, tmp_path):
    out = tmp_path / "out"
    child = _start(spawn, stage, out)
    _wait_for_clip(child, out)
    child.send_signal(signal.SIGINT)
    time.sleep(0.12)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "Traceback" not in err
    _finish(cli, out)


@pytest.mark.parametrize("delay", [0.0, 0.15])
def test_a_kill_at_any_moment_loses_at_most_the_clip_at_work(spawn, cli, stage, tmp_path, delay):
    out = tmp_path / "out"
    child = _start(spawn, stage, out)
    _wait_for_clip(child, out)
    time.sleep(delay)
    child.kill()
    child.wait(timeout=60)
    assert read_manifest(out)["counts"]["accepted"] >= 1
    _finish(cli, out)


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8])
def test_ctrl_c_while_python_imports_is_one_sentence(spawn, stage, tmp_path, delay):
    # Before the program's own first line Python alone decides what is said.
    child = _start(partial(spawn, announce=True), stage, tmp_path / "out")
    assert child.stdout.readline() == "begun\n"
    time.sleep(delay + 0.02)  # the entry imports three small modules
    child.send_signal(signal.SIGINT)
    told, err = child.communicate(timeout=60)
    assert child.returncode == 130, (told, err)
    assert "Traceback" not in err
    assert "nterrupted" in err or "Finishing" in err
