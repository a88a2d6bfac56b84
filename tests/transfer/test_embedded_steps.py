"""The embedded backend in several steps: weights by their number, a seed that acts, the same in any pieces."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.config import BridgeConfig, Prompt
from cosmos.bridge.errors import ModelError, ModelWeightsError
from cosmos.bridge.runs.fit import check_spec
from cosmos.bridge.transfer.embedded import EmbeddedOptions, EmbeddedTransfer
from cosmos.bridge.types import ControlWeights, TransferRequest
from cosmos.bridge.types.control import ControlSignals
from cosmos.models import weights as shipped
from fake_clips import make_clip, make_controls
from heard import heard_as
from tiny_transfer import write_tiny_transfer

WEIGHTS = ControlWeights(edge=0.4, depth=0.4)


@pytest.fixture(scope="module")
def model(stepping_folder):
    model = EmbeddedTransfer(stepping_folder)
    model.load("cpu")
    yield model
    model.unload()


@pytest.fixture(scope="module")
def moving():
    """A clip whose picture moves by a pixel and a half a frame."""
    clip = make_clip(frames=5)
    motion = np.zeros((5, clip.height, clip.width, 2), np.float32)
    motion[..., 0] = 1.5
    return replace(clip, motion=wp.array(motion, dtype=wp.float32, device="cpu"))


def request(clip, **changes):
    return TransferRequest(
        clip=clip, controls=make_controls(clip), **{"weights": WEIGHTS, "prompt": "snow", "seed": 3, **changes}
    )


def pixels(model, *given, **changes):
    return model.transfer(request(*given, **changes)).rgb.numpy().astype(int)


def part_of(clip, controls, first, stop):
    names = ("rgb", "depth", "normals", "instance_ids", "motion")
    part = replace(
        clip,
        cameras=clip.cameras[first:stop],
        time_codes=clip.time_codes[first:stop],
        poses={key: pose[first:stop] for key, pose in clip.poses.items()},
        **{name: wp.clone(getattr(clip, name)[first:stop]) for name in names},
    )
    signals = tuple(replace(signal, video=wp.clone(signal.video[first:stop])) for signal in controls)
    return part, ControlSignals(signals=signals)


def test_each_number_of_steps_paints_another_picture_and_is_recorded(model, clip):
    made = {steps: model.transfer(request(clip, num_steps=steps)) for steps in (1, 2, 6)}
    for steps, result in made.items():
        assert result.provenance.effective["num_steps"] == steps and result.provenance.revision == "tiny-1"
    one, two, six = (result.rgb.numpy().astype(int) for result in made.values())
    assert (one != two).mean() > 0.1 and (two != six).mean() > 0.1
    np.testing.assert_array_equal(one, pixels(model, clip))  # none named is one


@pytest.mark.parametrize("steps", [1, 4])
def test_the_seed_acts_where_nothing_else_is_drawn(model, tiny_folder, clip, steps, monkeypatch):
    """Without depth there is no wear to draw, and this reader draws nothing: other nets paint any seed alike."""
    from cosmos.models.embedded import text

    read = text.PromptReader.read
    monkeypatch.setattr(text.PromptReader, "_encode", lambda self, words: heard_as())
    monkeypatch.setattr(text.PromptReader, "_hold", lambda self, vector, chances, prompt, seed: (vector, set()))
    monkeypatch.setattr(text.PromptReader, "read", lambda self, prompt, **named: read(self, prompt))
    bare = replace(clip, depth=None, normals=None)
    given = {"weights": ControlWeights(edge=1.0), "num_steps": steps}
    one, again, other = (pixels(model, bare, seed=seed, **given) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).mean() > 0.2
    plain = EmbeddedTransfer(tiny_folder)
    given["num_steps"] = 1
    np.testing.assert_array_equal(pixels(plain, bare, seed=3, **given), pixels(plain, bare, seed=4, **given))


@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1), (2, 3)], ids=str)
def test_a_stream_is_the_whole_clip_to_the_bit(model, moving, sizes):
    controls = make_controls(moving)
    whole = pixels(model, moving, num_steps=3)
    stream, first, got = model.open("snow", weights=WEIGHTS, seed=3, num_steps=3, fps=moving.fps), 0, []
    for size in sizes:
        got.append(stream.push(*part_of(moving, controls, first, first + size)).numpy())
        first += size
    np.testing.assert_array_equal(np.concatenate(got), whole)
    still = replace(moving, motion=None)
    assert (pixels(model, still, num_steps=3)[1:] != whole[1:]).mean() > 0.05  # motion carries the noise


def test_a_vis_weight_of_one_keeps_the_picture_there_to_the_bit(model, clip):
    half = np.zeros(clip.depth.shape, np.float32)
    half[:, :, :25] = 1.0
    vis, seg = (wp.array(part, dtype=wp.float32, device="cpu") for part in (half, 1.0 - half))
    out = pixels(model, clip, weights=ControlWeights(vis=vis, seg=seg), num_steps=3)
    np.testing.assert_array_equal(out[:, :, :25], clip.rgb.numpy()[:, :, :25])
    assert (out[:, :, 25:] != clip.rgb.numpy()[:, :, 25:]).mean() > 0.5


def asked(steps):
    return BridgeConfig(source="stage.usda", out="out", prompts=(Prompt(name="snow", text="snow"),), num_steps=steps)


def test_steps_out_of_range_are_refused_in_a_sentence(model, clip):
    with pytest.raises(ModelError, match=r"paints in 1 to 6 steps with these weights, got num_steps=7"):
        model.transfer(request(clip, num_steps=7))
    for steps in (0, 7):
        with pytest.raises(ModelError, match=rf"1 to 6 steps with these weights, got num_steps={steps}"):
            model.open("snow", num_steps=steps)
    with pytest.raises(ModelError, match=r"at most 6 num_steps, got 9; ask for fewer, or take --transfer cosmos-tr"):
        check_spec(model.spec, asked(9))
    check_spec(model.spec, asked(6))


@pytest.mark.parametrize("beside", [True, False])
def test_progress_counts_the_steps(model, moving, monkeypatch, beside):
    monkeypatch.setattr("cosmos.bridge.transfer.embedded._PIXELS_AT_ONCE", 1)
    if not beside:
        monkeypatch.setattr("cosmos.bridge.transfer.embedded._PIXELS_BESIDE", 0)
    told = []
    model.transfer(request(moving, num_steps=3), lambda *step: told.append(step))
    assert told == [("transfer", done, 15) for done in (range(3, 16, 3) if beside else range(1, 16))]


def test_weights_follow_the_number_of_steps_and_come_when_asked_for(tiny_folder, stepping_folder, clip, monkeypatch):
    folders = {"transfer-small": tiny_folder, "transfer-small-steps": stepping_folder}
    monkeypatch.setattr(shipped, "find_weights", lambda name: folders[name])
    model, given = EmbeddedTransfer(), EmbeddedTransfer(stepping_folder)
    model.load("cpu")
    assert model.spec.num_steps == 1 and model.spec.max_steps == 6 and len(model._nets._loaded) == 1
    once = model.transfer(request(clip))
    assert once.provenance.revision == "tiny-0" and len(model._nets._loaded) == 1
    np.testing.assert_array_equal(once.rgb.numpy(), pixels(EmbeddedTransfer(tiny_folder), clip))
    thrice = model.transfer(request(clip, num_steps=3))
    assert thrice.provenance.revision == "tiny-1" and len(model._nets._loaded) == 2
    assert thrice.provenance.weights_sha256 != once.provenance.weights_sha256
    np.testing.assert_array_equal(thrice.rgb.numpy(), pixels(given, clip, num_steps=3))
    model.unload()
    assert not model._nets._loaded


def test_the_student_paints_one_step_where_it_is_asked_for(tiny_folder, stepping_folder, clip, tmp_path, monkeypatch):
    student = write_tiny_transfer(tmp_path, seed=2, most_steps=2)
    folders = {"transfer-small": tiny_folder, "transfer-small-steps": stepping_folder}
    monkeypatch.setattr(shipped, "find_weights", lambda name: {**folders, "transfer-small-distilled": student}[name])
    model = EmbeddedTransfer(EmbeddedOptions(distilled=True))
    assert model.spec.revision == "tiny-2" and model.spec.max_steps == 6
    once = model.transfer(request(clip))
    assert once.provenance.revision == "tiny-2"
    np.testing.assert_array_equal(once.rgb.numpy(), pixels(EmbeddedTransfer(student), clip))
    assert model.transfer(request(clip, num_steps=2)).provenance.revision == "tiny-1"
    with pytest.raises(ValueError, match="distilled takes shipped weights, got other weights too"):
        EmbeddedOptions(distilled=True, weights=str(student))


def test_a_stream_goes_on_after_its_weights_were_freed(stepping_folder, moving):
    model = EmbeddedTransfer(stepping_folder)
    stream, controls = model.open("snow", weights=WEIGHTS, seed=3, num_steps=2, fps=moving.fps), make_controls(moving)
    first = stream.push(*part_of(moving, controls, 0, 2)).numpy()
    model.unload()
    rest = stream.push(*part_of(moving, controls, 2, 5)).numpy()
    np.testing.assert_array_equal(np.concatenate([first, rest]), pixels(model, moving, num_steps=2))


def test_views_of_other_steps_go_together_as_alone(model, moving):
    controls = make_controls(moving)
    streams = [model.open("snow", weights=WEIGHTS, seed=3, num_steps=steps, fps=moving.fps) for steps in (1, 3)]
    together = model.push_all([(stream, moving, controls, None) for stream in streams])
    for steps, got in zip((1, 3), together, strict=True):
        np.testing.assert_array_equal(got.numpy(), pixels(model, moving, num_steps=steps))


def test_a_configuration_that_says_no_number_of_steps_is_refused(stepping_folder, monkeypatch):
    from cosmos.models.weights import read_weights_config

    told = read_weights_config(stepping_folder)
    monkeypatch.setattr(shipped, "read_weights_config", lambda folder: {**told, "max_steps": "many"})
    with pytest.raises(ModelWeightsError, match="says max_steps 'many', which is no number of steps"):
        EmbeddedTransfer(stepping_folder).spec


def test_what_steps_carry_does_not_grow(model, moving):
    """The noise keeps a place for each of its sites, whatever the number of frames and steps."""
    stream = model.open("snow", weights=WEIGHTS, num_steps=2, fps=moving.fps)
    controls, held = make_controls(moving), []
    for _ in range(2):
        stream.push(moving, controls)
        noise = stream.view._noise
        held.append(sum(part.nbytes for part in vars(noise).values() if isinstance(part, np.ndarray)))
    assert held[0] == held[1] < 100 * 24 * 32
