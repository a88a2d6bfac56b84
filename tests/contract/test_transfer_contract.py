"""What every Transfer backend of the registry holds to, whatever it paints.

A new backend enters by its name in the registry; nothing here is written for one of them.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch  # noqa: TID253
import warp as wp

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from cosmos.bridge.config import OffloadPolicy
from cosmos.bridge.errors import ConfigError, JobCancelled, ModelError
from cosmos.bridge.transfer.base import TransferModel
from cosmos.bridge.transfer.registry import BACKENDS, create, names
from cosmos.bridge.types import ControlKind, ControlWeights, TransferRequest
from fake_clips import make_clip, make_controls


def _tiny25(folder):
    pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")
    from tiny_cosmos import write_tiny_transfer25

    return {"weights": str(write_tiny_transfer25(folder)), "chunk_frames": 5, "cache_embeddings": False}


def _tiny_sim(folder):
    pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")
    from tiny_cosmos import streaming, write_tiny_cosmos3

    return {"weights": str(write_tiny_cosmos3(folder, memory=streaming()))}


def _tiny3(folder):
    return {**_tiny_sim(folder), "chunk_frames": 5, "attention": "weighted"}


OPTIONS = {"cosmos-transfer2.5": _tiny25, "cosmos3": _tiny3, "cosmos3-sim-transfer": _tiny_sim}
"""Backend whose weights are fetched -> writes tiny ones of the same layout and returns the options to use them."""


@pytest.fixture(scope="module", params=[*names(), "identity in a worker"])
def make(request, tmp_path_factory):
    """Makes the backend anew, with tiny weights where it ships none."""
    torch.set_num_threads(1)
    if request.param not in names():
        return lambda: create("identity", None, OffloadPolicy(placement="worker"))
    write = OPTIONS.get(request.param)
    options = {} if write is None else write(tmp_path_factory.mktemp("weights"))
    return lambda: create(request.param, options)


@pytest.fixture(scope="module")
def model(make):
    model = make()
    model.load("cpu")
    ask.num_steps = None if model.spec.num_steps == model.spec.max_steps else min(2, model.spec.max_steps)
    ask.weights = {"edge": 0.5, "depth": 0.5} if "weights" in BACKENDS[model.spec.name].uses else {"edge": 1.0}
    yield model
    model.unload()


def ask(clip=None, **changes):
    clip = clip or make_clip()
    fields = {"weights": ControlWeights(**ask.weights), "prompt": "snow at night", "seed": 3, **changes}
    fields.setdefault("num_steps", ask.num_steps)
    controls = fields.pop("controls", None) or make_controls(clip)
    return TransferRequest(clip=clip, controls=controls, **fields)


ask.num_steps, ask.weights = 1, {"edge": 1.0}


def test_it_is_a_transfer_model_and_knows_itself_before_loading(model, make):
    fresh = make()
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
    clip = make_clip(size, frames) if min(size) > 8 else make_clip((36, 50), frames)
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
    clip = make_clip(buffers=())
    weights = {"edge": 0.5, "vis": 0.3} if len(ask.weights) > 1 else {"vis": 1.0}
    result = model.transfer(ask(clip, weights=ControlWeights(**weights)))
    assert result.rgb.shape == clip.rgb.shape


def test_several_weighted_controls_work_or_are_refused_with_who_can(model):
    request = ask(weights=ControlWeights(edge=0.25, depth=0.75))
    if "weights" in BACKENDS[model.spec.name].uses:
        assert model.transfer(request).provenance.requested["weights"] == {"edge": 0.25, "depth": 0.75}
    else:
        with pytest.raises(ModelError, match=r"got edge=0\.25, depth=0\.75; .*cosmos-transfer2\.5"):
            model.transfer(request)


def test_controls_it_does_not_know_are_refused_by_name(model):
    for kind in ControlKind:
        request = ask(weights=ControlWeights(**{str(kind): 1.0}))
        if kind in model.spec.controls:
            model.transfer(request)
        else:
            with pytest.raises(ModelError, match=str(kind)):
                model.transfer(request)


def test_an_option_it_does_not_know_is_refused_by_name(model):
    with pytest.raises(ConfigError, match="wieghts"):
        create(model.spec.name, {"wieghts": "/data"})


def test_keeping_parts_of_the_source_works_or_is_refused_by_name(model):
    clip = make_clip()
    half = np.zeros(clip.rgb.shape[:3], np.float32)
    half[:, :, : clip.width // 2] = 1.0
    request = ask(clip, preserve=wp.array(half, dtype=wp.float32, device="cpu"))
    if model.spec.name == "identity" or model.spec.preserve:
        kept = model.transfer(request).rgb.numpy()
        assert model.spec.name == "identity" or (kept != model.transfer(ask(clip)).rgb.numpy()).any()
    else:
        with pytest.raises(ModelError, match=r"cannot preserve.*cosmos-transfer2\.5 can"):
            model.transfer(request)


def test_the_registry_and_the_spec_tell_the_same(model):
    backend = BACKENDS[model.spec.name]
    said = [name for name in ("negative_prompt", "guidance", "preserve", "overlap") if getattr(model.spec, name)]
    said += ["num_steps"] * (model.spec.num_steps != model.spec.max_steps)
    assert model.spec.name == "identity" or set(backend.controls) == set(map(str, model.spec.controls))
    assert sorted({*backend.uses} - {"weights"}) == sorted(said) and backend.licence == model.spec.licence


def test_more_steps_than_it_has_are_refused(model):
    with pytest.raises(ModelError, match="num_steps"):
        model.transfer(ask(num_steps=model.spec.max_steps + 1))


def test_progress_counts_up_to_its_total_and_may_cancel(model):
    told = []
    model.transfer(ask(), progress=lambda stage, done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] > 1 and len({total for _, total in told}) == 1
    assert [done for done, _ in told] == sorted({done for done, _ in told})

    def stop(stage, done, total):
        raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        model.transfer(ask(), progress=stop)
    model.transfer(ask())  # a cancelled job leaves the model usable


def test_the_provenance_says_what_ran(model):
    # Other numbers of steps may have weights, and so a revision, of their own.
    request = ask(num_steps=None) if model.spec.num_steps == 1 else ask()
    provenance = model.transfer(request).provenance
    assert (provenance.model, provenance.revision) == (model.spec.name, model.spec.revision)
    assert provenance.requested["prompt"] == "snow at night" and provenance.requested["seed"] == 3
    assert provenance.requested["weights"] == ask.weights
    assert provenance.seconds > 0.0 and provenance.device == "cpu" and provenance.versions
    assert provenance.peak_bytes > 0


def test_unloading_twice_is_safe_and_loading_again_gives_the_same(model, make):
    fresh = make()
    fresh.load("cpu")
    before = fresh.transfer(ask()).rgb.numpy()
    fresh.unload()
    fresh.unload()
    fresh.load("cpu")
    np.testing.assert_array_equal(fresh.transfer(ask()).rgb.numpy(), before)
    fresh.unload()
