"""Streams of a model in a process of its own: the pictures of this process, in any order, and their loss told."""

import gc
import os
import signal

import numpy as np
import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.bridge.config import OffloadPolicy
from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import ControlKind
from fake_clips import make_clip, make_controls
from tiny_cosmos import streaming, write_tiny_cosmos3

NAME = "cosmos3-sim-transfer"


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    torch.set_num_threads(1)
    folder = write_tiny_cosmos3(tmp_path_factory.mktemp("sim"), memory=streaming())
    return {"weights": str(folder)}


@pytest.fixture(scope="module")
def worker(options):
    model = create(NAME, options, OffloadPolicy(placement="worker"))
    model.load("cpu")
    yield model
    model.unload()


def paint(stream, video, sizes):
    got, first = [], 0
    for size in sizes:
        got.append(stream.push(video[first : first + size].contiguous()).numpy())
        first += size
        yield got
    yield [*got, stream.finish().numpy()]


def test_streams_in_turns_give_the_pictures_of_this_process(options, worker):
    video = make_controls(make_clip((36, 50), 7))[ControlKind.DEPTH].video
    here = create(NAME, options)
    here.load("cpu")
    want = {}
    for seed in (3, 4):
        *_, parts = paint(here.open("snow", guard="off", control="depth", seed=seed, fps=24.0), video, (1, 4, 2))
        want[seed] = parts
    streams = {
        seed: worker.open("snow", guard="off", control=ControlKind.DEPTH, seed=seed, fps=24.0) for seed in (3, 4)
    }
    turns = [paint(streams[seed], video, (1, 4, 2)) for seed in (3, 4)]
    for last in zip(*turns, strict=True):
        got = last
    for seed, parts in zip((3, 4), got, strict=True):
        assert [len(part) for part in parts] == [1, 4, 0, 2] == [len(part) for part in want[seed]]
        for one, other in zip(parts, want[seed], strict=True):
            np.testing.assert_array_equal(one, other)
    assert (want[3][1] != want[4][1]).any()


def test_every_step_of_a_stream_is_told_and_may_stop_it(worker):
    video = make_controls(make_clip((36, 50), 7))[ControlKind.DEPTH].video
    stream, told, stop = worker.open("snow", guard="off", control="depth", seed=3, fps=24.0), [], KeyError("enough")
    stream.push(video[:5].contiguous(), progress=lambda *step: told.append(step))
    assert told == [("transfer", step, 8) for step in range(1, 9)]
    stream.push(video[5:].contiguous())
    stream.finish(progress=lambda *step: told.append(step))
    assert told[8:] == [("transfer", step, 4) for step in range(1, 5)]

    def tell(*step):
        told.append(step)
        raise stop

    before, other = worker.pid, worker.open("snow", guard="off", control="depth")
    with pytest.raises(KeyError) as caught:
        other.push(video[:5].contiguous(), progress=tell)
    assert caught.value is stop and len(told) == 13 and worker.pid == before


def test_what_a_stream_refuses_is_told_as_here(worker):
    with pytest.raises(ModelError, match="does not know the control fog"):
        worker.open("snow", guard="off", control="fog")
    with pytest.raises(ModelError, match="got no frame"):
        worker.open("snow", guard="off", control="depth").finish()


def test_a_stream_that_nobody_holds_is_forgotten(worker):
    first, second = worker.open("snow", guard="off", control="depth"), worker.open("snow", guard="off", control="depth")
    number = first.number
    del first
    gc.collect()
    assert number in worker._dropped and second.number not in worker._dropped
    second.push(make_controls(make_clip((36, 50), 1))[ControlKind.DEPTH].video)
    assert not worker._dropped
    with pytest.raises(RuntimeError, match=f"KeyError: {number}"):
        worker._ask("finish", {"stream": number, "listened": False})


def test_a_stream_ends_with_its_worker(worker):
    video = make_controls(make_clip((36, 50), 1))[ControlKind.DEPTH].video
    stream = worker.open("snow", guard="off", control="depth")
    stream.push(video)
    os.kill(worker.pid, signal.SIGKILL)
    worker._child.process.wait()
    with pytest.raises(ModelError, match="stream is gone and its frames with it; open another"):
        stream.push(video)
