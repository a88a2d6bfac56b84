"""A long clip that was stopped goes on where it was, and its pictures are those of a run that was not."""

import os
import time

import numpy as np
import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from backends import CASES, half_map
from cosmos.bridge.transfer.kept import KeptChunk, KeptChunks, key_of
from cosmos.bridge.types import ControlWeights
from cosmos.models.noise import PartNoise
from cosmos.models.places import chunk_folder
from fake_clips import make_clip, make_controls

FRAMES, STEPS = 12, 6
"""Three chunks of 5 frames that share one, in two steps each."""


@pytest.fixture(params=[case for case in CASES if case.options], ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture(scope="module")
def clip():
    return make_clip((36, 50), FRAMES)


def stop_at(step):
    def tell(stage, done, total):
        assert total == STEPS
        if done == step:
            raise KeyboardInterrupt

    return tell


def files(case):
    folder = chunk_folder(case.name)
    return sorted(folder.rglob("*.safetensors")) if folder.is_dir() else []


def test_a_clip_that_was_stopped_goes_on_where_it_was(kept, case, clip):
    model, told = kept.model(case), []
    want = model.transfer(case.ask(clip))
    assert files(case) == [] and not any("were there" in note for note in want.provenance.notes)
    with pytest.raises(KeyboardInterrupt):
        model.transfer(case.ask(clip), stop_at(5))  # the first step of the third chunk
    assert [file.name for file in files(case)] == ["chunk_0000.safetensors", "chunk_0001.safetensors"]
    got = model.transfer(case.ask(clip), lambda *step: told.append(step[1]))
    assert told == [5, 6]  # and not one step before
    np.testing.assert_array_equal(got.rgb.numpy(), want.rgb.numpy())
    assert got.provenance.effective["seams"] == want.provenance.effective["seams"]
    assert "2 of 3 chunks were there from a run that was stopped." in got.provenance.notes
    assert files(case) == []


def test_what_is_damaged_is_made_again_and_another_request_finds_nothing(kept, case, clip):
    model, told = kept.model(case), []
    want = model.transfer(case.ask(clip)).rgb.numpy()
    with pytest.raises(KeyboardInterrupt):
        model.transfer(case.ask(clip), stop_at(5))
    model.transfer(case.ask(clip, seed=4), lambda *step: told.append(step[1]))
    assert told == [1, 2, 3, 4, 5, 6]
    last = files(case)[-1]
    last.write_bytes(last.read_bytes()[:-9])
    told.clear()
    np.testing.assert_array_equal(model.transfer(case.ask(clip), lambda *step: told.append(step[1])).rgb.numpy(), want)
    assert told == [3, 4, 5, 6]


def test_nothing_is_kept_where_it_is_not_wanted_or_cannot_be(kept, case, clip, monkeypatch, tmp_path):
    model = case.create(kept.folder(case), keep_chunks=False)
    with pytest.raises(KeyboardInterrupt):
        model.transfer(case.ask(clip), stop_at(5))
    assert files(case) == []
    (tmp_path / "chunks").write_text("no folder")
    want = kept.model(case).transfer(case.ask(clip))
    kept.model(case).transfer(case.ask(clip))  # embeddings are cached now, where they can be
    monkeypatch.setattr("cosmos.models.places.chunk_folder", lambda name: tmp_path / "chunks" / name)
    got = kept.model(case).transfer(case.ask(clip))
    assert any(
        note.startswith("Finished chunks could not be kept while the clip was made (") for note in got.provenance.notes
    )
    np.testing.assert_array_equal(got.rgb.numpy(), want.rgb.numpy())


def test_all_that_decides_the_pictures_decides_the_key(clip):
    def ask(**changed):
        return CASES[0].ask(changed.pop("clip", clip), **{"weights": ControlWeights(edge=0.5, depth=0.5), **changed})

    base = key_of(ask(), {"sha256": "a"})
    assert key_of(ask(), {"sha256": "a"}) == base
    others = [
        ask(seed=9),
        ask(prompt="rain"),
        ask(num_steps=3),
        ask(weights=ControlWeights(edge=0.5, depth=half_map(clip))),
        ask(weights=ControlWeights(edge=0.5, depth=half_map(clip, 0.5))),
        ask(preserve=half_map(clip)),
        ask(controls=make_controls(clip, seed=6)),
        ask(clip=make_clip((36, 50), FRAMES - 1)),
    ]
    keys = {base, key_of(ask(), {"sha256": "b"}), *(key_of(other, {"sha256": "a"}) for other in others)}
    assert len(keys) == len(others) + 2


def test_noise_of_a_part_does_not_ask_whether_those_before_were_drawn():
    whole, late = PartNoise(5), PartNoise(5)
    drawn = [whole(index, (2, 3)) for index in range(4)]
    assert (late(2, (2, 3)) == drawn[2]).all() and (late(3, (2, 3)) == drawn[3]).all()
    assert (drawn[0] != drawn[1]).any()


def test_what_nobody_came_back_for_is_removed(tmp_path, clip):
    old, new = (tmp_path / name for name in ("old", "new"))
    old.mkdir(), new.mkdir()
    os.utime(old, (time.time() - 8 * 24 * 3600,) * 2)
    chunk = KeptChunk(frames=torch.zeros(1, 2, 2, 3, dtype=torch.uint8), tail=torch.zeros(1, 3, 1, 2, 2), seam=0.0)
    kept = KeptChunks(tmp_path, "mine")
    kept.keep(0, chunk)
    assert not old.exists() and new.exists() and not kept.trouble and len(list(tmp_path.rglob("chunk_*"))) == 1
