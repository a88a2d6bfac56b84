"""A Sim-Transfer clip that was stopped goes on where it was, and its pictures are those of a run that was not."""

import os
import signal

import numpy as np
import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.bridge.config import OffloadPolicy
from cosmos.bridge.errors import JobCancelled, ModelError
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import ControlWeights, TransferRequest
from cosmos.models.places import chunk_folder
from fake_clips import make_clip, make_controls
from tiny_cosmos import CHUNKWISE, streaming, write_tiny_cosmos3

NAME = "cosmos3-sim-transfer"
KINDS = {"framewise": ({}, 7), "chunkwise": (CHUNKWISE, 4)}
"""Kind of export -> what differs in it, and pieces of a clip of 23 frames; the framewise one forgets some of it."""


@pytest.fixture(scope="module", params=KINDS)
def made(request, tmp_path_factory):
    """A backend's options, its pieces, and the pictures and steps of a run that was not stopped."""
    torch.set_num_threads(1)
    changes, pieces = KINDS[request.param]
    folder = write_tiny_cosmos3(tmp_path_factory.mktemp(request.param), memory=streaming(**changes))
    options, told = {"weights": str(folder)}, []
    whole = create(NAME, {**options, "keep_chunks": False}).transfer(ask(), lambda *step: told.append(step))
    assert told == [("transfer", step, 4 * pieces) for step in range(1, 4 * pieces + 1)]
    return options, pieces, whole


def ask(**changes):
    clip = make_clip((36, 50), 23)
    settings = {"weights": ControlWeights(depth=1.0), "prompt": "snow", "seed": 3, **changes}
    return TransferRequest(clip=clip, controls=make_controls(clip), **settings)


def stop_at(step):
    def tell(stage, done, total):
        if done == step:
            raise JobCancelled("enough")

    return tell


def stopped(model, step, **changes):
    with pytest.raises(JobCancelled):
        model.transfer(ask(**changes), stop_at(step))
    return sorted(chunk_folder(NAME).rglob("*.safetensors"))


@pytest.mark.parametrize("step", [5, 10, 14])
def test_a_clip_that_was_stopped_goes_on_where_it_was(made, step):
    options, pieces, want = made
    files, told = stopped(create(NAME, options), step), []
    done = (step - 1) // 4
    assert [file.name for file in files] == [f"chunk_{piece:04d}.safetensors" for piece in range(done)]
    got = create(NAME, options).transfer(ask(), lambda *given: told.append(given))  # as another process would
    assert told == [("transfer", number, 4 * pieces) for number in range(4 * done + 1, 4 * pieces + 1)]
    np.testing.assert_array_equal(got.rgb.numpy(), want.rgb.numpy())
    assert f"{done} of {pieces} pieces were there from a run that was stopped." in got.provenance.notes
    assert got.provenance.effective == want.provenance.effective
    assert not chunk_folder(NAME).exists()


def test_what_is_kept_is_little_and_not_the_memory_of_the_stream(made):
    """48 channels of a 16th of the size, in float32, for each latent frame."""
    files = stopped(create(NAME, made[0]), 6)
    assert 48 * 4 * 4 * 4 <= files[0].stat().st_size <= 48 * 4 * 4 * 4 + 500
    create(NAME, made[0]).transfer(ask())


def test_what_is_damaged_is_painted_again_and_another_request_finds_nothing(made):
    options, pieces, want = made
    model, told = create(NAME, options), []

    def note(*step):
        told.append(step[1])

    files = stopped(model, 14)
    for changes in ({"seed": 4}, {"prompt": "rain"}):
        told.clear()
        model.transfer(ask(**changes), note)
        assert told[0] == 1
    files[1].write_bytes(files[1].read_bytes()[:-9])
    told.clear()
    np.testing.assert_array_equal(model.transfer(ask(), note).rgb.numpy(), want.rgb.numpy())
    assert told == list(range(5, 4 * pieces + 1))


def test_nothing_is_kept_where_it_is_not_wanted_or_cannot_be(made, monkeypatch, tmp_path):
    options, _, want = made
    assert stopped(create(NAME, {**options, "keep_chunks": False}), 10) == []
    (tmp_path / "chunks").write_text("no folder")
    monkeypatch.setattr("cosmos.models.places.chunk_folder", lambda name: tmp_path / "chunks" / name)
    got = create(NAME, options).transfer(ask())
    assert any(note.startswith("Finished pieces could not be kept while") for note in got.provenance.notes)
    np.testing.assert_array_equal(got.rgb.numpy(), want.rgb.numpy())


def test_a_clip_whose_worker_was_killed_goes_on_in_the_next_one(made):
    options, pieces, want = made
    worker, told = create(NAME, options, OffloadPolicy(placement="worker")), []
    worker.load("cpu")

    def kill(stage, done, total):
        if done == 10:
            os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(ModelError, match=r"was killed .*the same one goes on from what it had kept on disk"):
        worker.transfer(ask(), kill)
    got = worker.transfer(ask(), lambda *step: told.append(step[1]))
    worker.unload()
    assert told == list(range(9, 4 * pieces + 1))
    np.testing.assert_array_equal(got.rgb.numpy(), want.rgb.numpy())
