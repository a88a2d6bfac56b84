"""What every Transfer backend of the registry holds to, whatever it paints.

A new backend enters by its name in the registry; nothing here is written for one of them.
"""

import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID253
import warp as wp

from cosmos.bridge.errors import JobCancelled, ModelError
from cosmos.bridge.transfer.base import TransferModel
from cosmos.bridge.transfer.registry import create, names
from cosmos.bridge.types import ControlKind, ControlWeights, TransferRequest

_SPEC = spec_from_file_location("transfer_clips", Path(__file__).parents[1] / "transfer" / "conftest.py")
clips = module_from_spec(_SPEC)
sys.modules["transfer_clips"] = clips
_SPEC.loader.exec_module(clips)


@pytest.fixture(scope="module", params=names())
def model(request):
    torch.set_num_threads(1)
    model = create(request.param)
    model.load("cpu")
    yield model
    model.unload()


def ask(clip=None, **changes):
    clip = clip or clips.make_clip()
    fields = {"weights": ControlWeights(edge=0.5, depth=0.5), "prompt": "snow at night", "seed": 3, **changes}
    controls = fields.pop("controls", None) or clips.make_controls(clip)
    return TransferRequest(clip=clip, controls=controls, **fields)


def test_it_is_a_transfer_model_and_knows_itself_before_loading(model):
    fresh = create(model.spec.name)
    assert isinstance(fresh, TransferModel)
    assert fresh.spec == model.spec
    assert fresh.spec.name in names() and fresh.spec.licence and fresh.spec.revision
    assert 1 <= fresh.spec.num_steps <= fresh.spec.max_steps


def test_the_same_request_gives_the_same_pixels(model):
    first, second = (model.transfer(ask()).rgb.numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("size", [(36, 50), (17, 33), (1, 1), (64, 9)])
@pytest.mark.parametrize("frames", [1, 3])
def test_frames_and_size_come_back_as_they_went_in(model, size, frames):
    clip = clips.make_clip(size, frames) if min(size) > 8 else clips.make_clip((36, 50), frames)
    if min(size) <= 8:
        corner = clip.rgb[:, : size[0], : size[1]].contiguous()
        camera = replace(clip.cameras[0], height=size[0], width=size[1])
        clip = replace(
            clip, cameras=(camera,) * frames, rgb=corner, depth=None, normals=None, instance_ids=None, poses={}
        )
    result = model.transfer(ask(clip))
    assert tuple(result.rgb.shape) == (frames, *size, 3) and result.rgb.dtype == wp.uint8


def test_the_result_owns_its_memory_and_the_clip_stays_as_it_was(model):
    request = ask()
    before = request.clip.rgb.numpy().copy()
    result = model.transfer(request)
    result.rgb.fill_(0)
    np.testing.assert_array_equal(request.clip.rgb.numpy(), before)


def test_a_clip_of_pictures_alone_works(model):
    clip = clips.make_clip(buffers=())
    result = model.transfer(ask(clip, weights=ControlWeights(edge=0.5, vis=0.3)))
    assert result.rgb.shape == clip.rgb.shape


def test_controls_it_does_not_know_are_refused_by_name(model):
    for kind in ControlKind:
        request = ask(weights=ControlWeights(**{str(kind): 1.0}))
        if kind in model.spec.controls:
            model.transfer(request)
        else:
            with pytest.raises(ModelError, match=str(kind)):
                model.transfer(request)


def test_more_steps_than_it_has_are_refused(model):
    with pytest.raises(ModelError, match="num_steps"):
        model.transfer(ask(num_steps=model.spec.max_steps + 1))


def test_progress_counts_up_to_the_frames_and_may_cancel(model):
    told = []
    model.transfer(ask(), progress=lambda stage, done, total: told.append((done, total)))
    frames = ask().clip.num_frames
    assert told[-1] == (frames, frames)
    assert [done for done, _ in told] == sorted({done for done, _ in told})

    def stop(stage, done, total):
        raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        model.transfer(ask(), progress=stop)
    model.transfer(ask())  # a cancelled job leaves the model usable


def test_the_provenance_says_what_ran(model):
    request = ask(weights=ControlWeights(edge=0.25, depth=0.75))
    provenance = model.transfer(request).provenance
    assert (provenance.model, provenance.revision) == (model.spec.name, model.spec.revision)
    assert provenance.requested["prompt"] == "snow at night" and provenance.requested["seed"] == 3
    assert provenance.requested["weights"] == {"edge": 0.25, "depth": 0.75}
    assert provenance.seconds > 0.0 and provenance.device == "cpu" and provenance.versions
    assert provenance.peak_bytes > 0


def test_unloading_twice_is_safe_and_loading_again_gives_the_same(model):
    fresh = create(model.spec.name)
    fresh.load("cpu")
    before = fresh.transfer(ask()).rgb.numpy()
    fresh.unload()
    fresh.unload()
    fresh.load("cpu")
    np.testing.assert_array_equal(fresh.transfer(ask()).rgb.numpy(), before)
    fresh.unload()
