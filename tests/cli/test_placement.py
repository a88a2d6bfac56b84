"""Where the Transfer model runs, from the command line: a process of its own, or another host."""

import json
import os
import signal
from pathlib import Path

import pytest

from cosmos.bridge.runs.ledger import read_ledger
from cosmos.bridge.sinks.manifest import read_manifest


def words(stage, out, *more):
    small = ("--frames", "0:3", "--size", "36x64", "--camera", "/World/Camera", "--transfer", "identity")
    return ("augment", stage, *small, "--prompt", "rain", *more, "--out", out)


def pictures(out):
    """Return the lossless pictures by name; two encodings of one video may differ."""
    found = {path.name: path.read_bytes() for path in out.rglob("*.png")}
    assert found
    return found


def test_a_run_in_a_worker_is_the_run_of_this_process(cli, stage, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    assert cli(*words(stage, here))[0] == 0
    code, _, err = cli(*words(stage, there, "--placement", "worker"))
    assert code == 0, err
    assert pictures(here) == pictures(there)
    assert json.loads((there / "config.json").read_text())["offload"]["placement"] == "worker"


def test_the_first_ctrl_c_at_the_terminal_lets_the_worker_finish_its_clip(spawn, cli, stage, tmp_path):
    """The terminal sends it to the whole group; the worker is not of it."""
    out = tmp_path / "out"
    child = spawn(*words(stage, out, "--placement", "worker", "--variants", "40"), start_new_session=True)
    ledger = out / "ledger.jsonl"
    while not (ledger.exists() and b"settled" in ledger.read_bytes()):
        assert child.poll() is None, child.communicate()
    workers = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _parent(pid) == child.pid]
    assert len(workers) == 1
    os.killpg(child.pid, signal.SIGINT)
    told, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    assert "Finishing the clip at work" in err and "Traceback" not in err and "remaining" in told
    assert all(entry["event"] in ("started", "settled") for entry in read_ledger(ledger))
    assert 0 < read_manifest(out)["counts"]["accepted"] < 40 and "failed" not in told
    assert not Path(f"/proc/{workers[0]}").exists()


def _parent(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return -1


def test_a_run_made_ready_here_is_done_by_another_process(spawn, cli, stage, tmp_path):
    out, plain = tmp_path / "out", tmp_path / "plain"
    code, told, err = cli(*words(stage, out, "--placement", "batch", "--device", "cuda:3", "--json"))
    assert code == 0, err  # this machine need not have the device
    summary = json.loads(told)
    assert (summary["planned"], summary["remaining"], summary["attempts"]) == (1, 1, 0)
    assert not read_ledger(out / "ledger.jsonl") and json.loads((out / "config.json").read_text())["device"] == "cuda:3"
    moved = tmp_path / "elsewhere"
    out.rename(moved)
    child = spawn("resume", moved, "--device", "cpu", "--placement", "worker", "--json")
    told, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    assert json.loads(told)["accepted"] == 1 and cli("verify", moved)[0] == 0
    assert cli(*words(stage, plain))[0] == 0
    assert pictures(moved) == pictures(plain)


def test_a_run_that_could_not_be_done_is_not_made_ready(cli, stage, tmp_path):
    out = tmp_path / "out"
    code, _, err = cli(*words(stage, out, "--placement", "batch", "--guidance", "3"))
    assert code == 3 and "identity does not use guidance" in err and not out.exists()
    code, _, err = cli(*words(stage, out, "--placement", "batch", "--dry-run"))
    assert code == 2 and "A dry run measures this machine" in err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--set", "offload.python=/usr/bin/python3"), "offload.python is the Python of a worker"),
        (("--set", "offload.placement=there"), "offload.placement must be one of 'here', 'worker', 'batch'"),
        (("--set", "offload.device="), "offload.device is empty"),
    ],
)
def test_a_wrong_policy_is_refused(cli, stage, tmp_path, more, sentence):
    code, _, err = cli(*words(stage, tmp_path / "out", *more))
    assert code == 2 and sentence in err
