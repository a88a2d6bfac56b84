"""A model in a process of its own: the same pictures, its errors, its end, and nothing left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.config import OffloadPolicy
from cosmos.bridge.errors import ConfigError, JobCancelled, ModelError
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import ControlWeights, LightMaps, TransferRequest
from cosmos.bridge.types.probe import FALLING_SHAPE
from fake_clips import make_clip, make_controls

WORKER = OffloadPolicy(placement="worker")
PATIENCE = 60.0


def ask(clip=None, **changes):
    clip = clip or make_clip()
    settings = {"weights": ControlWeights(edge=0.5, depth=0.5), "prompt": "snow at night", "seed": 3, **changes}
    return TransferRequest(clip=clip, controls=make_controls(clip), **settings)


@pytest.fixture(scope="module")
def model():
    model = create("identity", None, WORKER)
    model.load("cpu")
    yield model
    model.unload()


@pytest.fixture(scope="module")
def embedded():
    model = create("embedded", None, WORKER)
    model.load("cpu")
    yield model
    model.unload()


def gone(pid):
    """Wait until a process is no more; a zombie without threads is no more."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            if state == "Z" and len(os.listdir(f"/proc/{pid}/task")) == 1:
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.02)
    return False


def test_the_pictures_are_those_of_this_process(embedded):
    request = ask(negative_prompt="fog", guidance=1.5)
    here = create("embedded")
    here.load("cpu")
    want, got = here.transfer(request), embedded.transfer(request)
    np.testing.assert_array_equal(got.rgb.numpy(), want.rgb.numpy())
    told = replace(want.provenance, seconds=0.0, peak_bytes=0)
    effective = {**told.effective, "placement": "worker"}
    assert replace(got.provenance, seconds=0.0, peak_bytes=0) == replace(told, effective=effective)
    assert embedded.spec == here.spec


def test_a_clip_of_a_stage_brings_its_light_along(embedded):
    class Probe:
        def __init__(self):
            self.asked = []

        def light(self, frame, look):
            self.asked.append((frame, look))
            rng = np.random.default_rng(frame)
            names = {"relit": (3,), "white": (3,), "mirror": (3,), "air": (4,), "glow": (3,), "open": ()}
            maps = {name: rng.integers(0, 256, (36, 50, *end)).astype(np.uint8) for name, end in names.items()}
            maps["falling"] = rng.integers(0, 256, FALLING_SHAPE).astype(np.uint8)
            return LightMaps(**{name: wp.array(array, device="cpu") for name, array in maps.items()})

        def close(self):
            pass

    here = create("embedded")
    here.load("cpu")
    clip = make_clip()
    near, far = Probe(), Probe()
    want = here.transfer(ask(replace(clip, probe=near))).rgb.numpy()
    got = embedded.transfer(ask(replace(clip, probe=far))).rgb.numpy()
    np.testing.assert_array_equal(got, want)
    assert near.asked == far.asked and len(far.asked) == clip.num_frames
    assert (want != here.transfer(ask(clip)).rgb.numpy()).any()


def test_progress_arrives_and_may_stop_the_work(model):
    told = []
    model.transfer(ask(), lambda *step: told.append(step))
    assert told == [("transfer", 1, 3), ("transfer", 2, 3), ("transfer", 3, 3)]
    before, stop, steps = model.pid, JobCancelled("enough"), []

    def tell(*step):
        steps.append(step)
        raise stop

    with pytest.raises(JobCancelled) as caught:
        model.transfer(ask(), tell)
    assert caught.value is stop and len(steps) == 1
    clip = make_clip(frames=2)
    np.testing.assert_array_equal(model.transfer(ask(clip)).rgb.numpy(), clip.rgb.numpy())
    assert model.pid == before


def test_its_errors_are_those_of_the_model(embedded):
    with pytest.raises(ModelError, match=r"^embedded paints in .* steps .*, got num_steps=999; "):
        embedded.transfer(ask(num_steps=999))
    with pytest.raises(ModelError, match="torch sees no CUDA device"):
        embedded.load("cuda:7")
    with pytest.raises(ConfigError, match="wieghts"):
        create("embedded", {"wieghts": "/data"}, WORKER)
    with pytest.raises(ModelError, match="identity does not stream; cosmos3-sim-transfer and embedded do"):
        create("identity", {}, WORKER).open("snow")


def test_a_fault_in_it_is_told_with_its_place(embedded):
    clip = make_clip()
    broken = replace(clip, probe=_Probe())
    with pytest.raises(ZeroDivisionError, match="the probe of this process"):
        embedded.transfer(ask(broken))
    with pytest.raises(RuntimeError, match=r"(?s)KeyError: 7, in the worker of embedded:\nTraceback .*_on_push"):
        embedded._ask("push", {"stream": 7, "given": (), "listened": False})
    assert embedded.transfer(ask(clip)).rgb.shape == clip.rgb.shape


class _Probe:
    def light(self, frame, look):
        raise ZeroDivisionError("the probe of this process")

    def close(self):
        pass


def test_a_killed_worker_is_one_error_and_the_next_request_works():
    model, told = create("identity", None, replace(WORKER, python=sys.executable)), []
    model.load("cpu")
    first = model.pid

    def kill(*step):
        told.append(step)
        os.kill(first, signal.SIGKILL)
        assert gone(first)

    with pytest.raises(ModelError, match="worker of identity was killed by SIGKILL, perhaps for want of memory"):
        model.transfer(ask(), kill)
    assert told == [("transfer", 1, 3)]
    clip = make_clip((20, 30), 2)
    np.testing.assert_array_equal(model.transfer(ask(clip)).rgb.numpy(), clip.rgb.numpy())
    assert model.pid != first
    os.kill(model.pid, signal.SIGKILL)  # between two requests nobody needs to know
    assert gone(model.pid) and model.transfer(ask(clip)).rgb.shape == clip.rgb.shape
    model.unload()
    model.unload()
    assert model.pid is None


def test_a_late_answer_becomes_no_other_frame(model):
    """Another voice on the line answers first: of an earlier request, then of an earlier worker."""
    child, real = model._child, model._child.wire.receive
    late = [{"number": model._number, "epoch": child.epoch}, {"number": model._number + 2, "epoch": child.epoch - 1}]

    def receive():
        if late:
            waiting[:] = waiting or [real()]
            return replace(waiting[0], kind="done", body={"rgb": "late", "provenance": None}, **late.pop())
        return waiting.pop() if waiting else real()

    waiting = []
    child.wire.receive = receive
    try:
        clip = make_clip(frames=2)
        np.testing.assert_array_equal(model.transfer(ask(clip)).rgb.numpy(), clip.rgb.numpy())
        assert not late and not waiting
    finally:
        del child.wire.receive


def test_threads_take_turns(model):
    clips, got = [make_clip((8 + 4 * index, 30), 2) for index in range(4)], {}

    def work(index):
        got[index] = model.transfer(ask(clips[index])).rgb.numpy()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, clip in enumerate(clips):
        np.testing.assert_array_equal(got[index], clip.rgb.numpy())


def test_a_wrong_python_is_refused_in_one_sentence(tmp_path):
    policy = replace(WORKER, python=str(tmp_path / "python"))
    with pytest.raises(ConfigError, match=r"There is no Python at .*; name one with offload\.python"):
        create("identity", None, policy).load("cpu")
    foreign = tmp_path / "python"
    foreign.write_text("#!/bin/sh\nexit 3\n")
    foreign.chmod(0o755)
    with pytest.raises(ModelError, match="worker of identity ended with exit code 3 before it was ready"):
        create("identity", None, policy).load("cpu")
    foreign.write_text("no script")
    with pytest.raises(ConfigError, match="cannot be started"):
        create("identity", None, policy).load("cpu")


OWNER = """
import sys, time
from cosmos.bridge.config import OffloadPolicy
from cosmos.bridge.transfer.registry import create
sys.path.insert(0, {fakes!r})
from test_worker import ask
model = create("identity", None, OffloadPolicy(placement="worker"))
model.load("cpu")
print("worker", model.pid, flush=True)
if sys.argv[1] == "working":
    model.transfer(ask(), lambda *step: time.sleep(3600))
time.sleep(3600)
"""


@pytest.mark.parametrize("state", ["working", "waiting"])
def test_no_worker_outlives_its_owner(state):
    here = Path(__file__).resolve().parent
    code = f"import sys; sys.path.insert(0, {str(here)!r})\n" + OWNER.format(fakes=str(here.parent / "fakes"))
    owner = subprocess.Popen([sys.executable, "-c", code, state], stdout=subprocess.PIPE, text=True)
    try:
        worker = next(int(line.split()[1]) for line in owner.stdout if line.startswith("worker "))
        assert Path(f"/proc/{worker}").exists()
        time.sleep(0.2)
    finally:
        owner.kill()
        owner.communicate()
    assert gone(worker)


def test_nothing_is_left_of_workers_that_came_and_went():
    def left():
        return len(os.listdir("/proc/self/fd")), sorted(os.listdir("/dev/shm")), threading.active_count()

    model, before = create("identity", None, WORKER), left()
    for _ in range(3):
        model.load("cpu")
        model.transfer(ask())
        model.unload()
    assert left() == before
    model.load("cpu")
    pid = model.pid
    del model
    assert gone(pid) and left() == before
