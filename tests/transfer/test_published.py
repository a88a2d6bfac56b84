"""What NVIDIA's backends share: all that can be set reaches the nets, or is refused with who can."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from backends import CASES, half_map, inputs_of, write_other
from cosmos.bridge.errors import ConfigError, ModelError, ModelMemoryError
from cosmos.bridge.types import ControlKind, ControlWeights, TransferRequest
from fake_clips import make_clip, make_controls


def every(table):
    """Parametrise by backend and by each name of one of its tables."""
    named = [(case, name) for case in CASES for name in getattr(case, table)]
    return pytest.mark.parametrize(("case", "name"), named, ids=[f"{case.name}-{name}" for case, name in named])


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


@pytest.fixture
def folder(kept, case):
    return kept.folder(case)


@pytest.fixture
def model(kept, case):
    return kept.model(case)


@pytest.fixture
def clip(kept, case):
    return kept.clip(case)


@every("fields")
def test_every_field_of_a_request_reaches_the_nets_or_is_refused_with_who_can(kept, case, name):
    change, model, clip = case.fields[name], kept.model(case), kept.clip(case)
    beside = change.beside(clip)
    asked = case.ask(clip, **{**beside, **change.new(clip)})
    if change.refused:
        with pytest.raises(ModelError, match=change.refused):
            model.transfer(asked)
        return
    plain = inputs_of(model, case.ask(clip, **beside)) if beside else kept.plain(case)
    assert inputs_of(model, asked) != plain


@every("settings")
def test_every_option_reaches_the_nets(kept, case, tmp_path, name):
    change, clip = case.settings[name], kept.clip(case)
    if name == "vae_tiling":  # tiles are of 256 px
        clip = make_clip((272, 40), 1)
    request = case.ask(clip, **change.beside(clip))
    plain = kept.plain(case)
    if name == "vae_tiling" or change.beside(clip):
        plain = inputs_of(kept.model(case), request)
    other = write_other(case, tmp_path) if name == "weights" else tmp_path
    assert inputs_of(case.create(kept.folder(case), **change.new(other)), request) != plain


def test_the_same_request_gives_the_nets_the_same(kept, case, model, clip):
    assert inputs_of(model, case.ask(clip)) == kept.plain(case)


def test_no_field_and_no_option_is_left_out_above(case, model):
    assert set(case.fields) == {item.name for item in fields(TransferRequest)}
    assert {*case.settings, *case.elsewhere} == {item.name for item in fields(type(model).Options)}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"weights": ControlWeights()}, "needs a control, but all weights are 0; give one"),
        (
            {"weights": ControlWeights(lidar=1.0)},
            "does not know the control lidar; it knows edge, depth, .*; embedded can be taught",
        ),
        ({"num_steps": 201}, "num_steps"),
        ({"guidance": 11.0}, "guidance"),
    ],
)
def test_what_none_of_them_can_do_is_refused(case, model, clip, changes, sentence):
    with pytest.raises(ModelError, match=f"^{case.name} .*{sentence}"):
        model.transfer(case.ask(clip, **changes))


def test_a_control_under_another_name_is_refused(case, model, clip):
    controls = make_controls(clip)
    depth = controls[ControlKind.DEPTH].video
    swapped = [replace(signal, video=depth) if signal.kind == ControlKind.SEG else signal for signal in controls]
    asked = case.ask(clip, controls=replace(controls, signals=tuple(swapped)), weights=ControlWeights(seg=1.0))
    with pytest.raises(ModelError, match="The seg control is a grey gradient, as depth is"):
        model.transfer(asked)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"chunk_frames": 92}, r"chunk_frames must be 4k \+ 1 and at least 5, got 92; take \d+"),
        ({"chunk_frames": 1}, "at least 5, got 1"),
        ({"overlap": 0}, r"overlap must lie in \[1, 4\], got 0"),
        ({"dtype": "float16"}, r"transfer_options\.dtype must be one of"),
        ({"wieghts": "x"}, "'wieghts' is no setting in transfer_options; the nearest is 'weights'"),
    ],
)
def test_a_wrong_option_is_refused(case, folder, given, sentence):
    if not set(given) <= {*case.settings, "wieghts"}:
        sentence = "is no setting in transfer_options"
    with pytest.raises(ConfigError, match=sentence):
        case.create(folder, **given)


def test_maps_that_do_not_fit_are_refused(case, model, clip):
    outside = case.ask(clip, weights=ControlWeights(edge=half_map(clip, 2.0)))
    with pytest.raises(ModelError, match=r"map of edge must lie in \[0, 1\]|not maps; cosmos-transfer2\.5|edge=a map"):
        model.transfer(outside)


def test_running_out_of_memory_is_a_sentence_and_leaves_the_model_usable(case, model, clip, monkeypatch):
    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    before = model.transfer(case.ask(clip)).rgb.numpy()
    with monkeypatch.context() as patch:
        for layer in (torch.nn.Conv3d, torch.nn.Linear):
            patch.setattr(layer, "forward", full)
        with pytest.raises(ModelMemoryError, match=r"does not fit cpu: CUDA out of memory.*; .*(too much|smaller)"):
            model.transfer(case.ask(clip))
    np.testing.assert_array_equal(model.transfer(case.ask(clip)).rgb.numpy(), before)
