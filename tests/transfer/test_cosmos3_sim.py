"""The Sim-Transfer backend: clips and streams, and what it alone refuses."""

from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: TID253
import warp as wp

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.bridge.errors import ConfigError, ModelError
from cosmos.bridge.transfer.cosmos3_sim import CosmosSimTransfer, SimTransferOptions
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import ControlKind, ControlWeights, TransferRequest
from fake_clips import make_clip, make_controls
from tiny_cosmos import CHUNKWISE, streaming, write_tiny_cosmos3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    return write_tiny_cosmos3(tmp_path_factory.mktemp("sim"), memory=streaming())


@pytest.fixture(scope="module")
def model(folder):
    model = CosmosSimTransfer(SimTransferOptions(weights=str(folder)))
    model.load("cpu")
    yield model
    model.unload()


@pytest.fixture(scope="module")
def chunkwise(tmp_path_factory):
    """The same weights, two latent frames at a time, nothing forgotten."""
    folder = write_tiny_cosmos3(tmp_path_factory.mktemp("chunkwise"), memory=streaming(**CHUNKWISE))
    model = CosmosSimTransfer(SimTransferOptions(weights=str(folder)))
    model.load("cpu")
    yield model
    model.unload()


@pytest.fixture(scope="module")
def clip():
    return make_clip((36, 50), 23)


@pytest.fixture(scope="module")
def plain(model, clip):
    return model.transfer(ask(clip)).rgb.numpy()


def ask(clip, **changes):
    settings = {"weights": ControlWeights(depth=1.0), "prompt": "snow", "seed": 3, **changes}
    controls = settings.pop("controls", None) or make_controls(clip)
    return TransferRequest(clip=clip, controls=controls, **settings)


def open_like(model, clip, **changes):
    """Open the stream of the plain request."""
    settings = {
        "control": "depth",
        "seed": 3,
        "fps": clip.fps,
        "num_frames": clip.num_frames,
        "guard": "off",
        **changes,
    }
    return model.open("snow", **settings)


@pytest.mark.parametrize("sizes", [[1] * 23, [23], [5, 1, 9, 2, 6], [4, 4, 4, 4, 4, 3]])
@pytest.mark.parametrize("at_once", [4, 8])
def test_a_stream_gives_the_pictures_of_the_clip_however_its_frames_come(request, clip, plain, sizes, at_once):
    model = request.getfixturevalue("model" if at_once == 4 else "chunkwise")
    video = make_controls(clip)[ControlKind.DEPTH].video
    stream, got, first = open_like(model, clip), [], 0
    for size in sizes:
        got.append(stream.push(video[first : first + size].contiguous()).numpy())
        first += size
        ready = sum(len(part) for part in got)
        assert ready == 1 + (first - 1) // at_once * at_once  # as early as the model allows
    got.append(stream.finish().numpy())
    want = plain if at_once == 4 else model.transfer(ask(clip)).rgb.numpy()
    np.testing.assert_array_equal(np.concatenate(got), want)
    assert stream.finish().shape[0] == 0
    assert at_once == 4 or (want[1:] != plain[1:]).any()


def test_a_chunkwise_clip_is_filled_up_and_cut(chunkwise, clip):
    """Its first frames are those of a longer one: the model never sees what is to come, but for one chunk."""
    longer = make_clip((36, 50), 25)
    controls = make_controls(longer)
    cut = replace(controls, signals=tuple(replace(signal, video=signal.video[:23].contiguous()) for signal in controls))
    shared = {"prompt": '{"duration": "1s"}'}  # the prompt tells the length of the clip, unless it says itself
    whole = chunkwise.transfer(ask(longer, controls=controls, **shared)).rgb.numpy()
    short = chunkwise.transfer(ask(clip, controls=cut, **shared)).rgb.numpy()
    np.testing.assert_array_equal(short[:17], whole[:17])
    assert short.shape[0] == 23 and (short[17:] != whole[17:23]).any()


def test_every_step_of_every_latent_frame_is_told_and_may_stop_it(model, clip, plain):
    told = []
    model.transfer(ask(clip), progress=lambda *step: told.append(step))
    assert told == [("transfer", step, 28) for step in range(1, 29)]  # 23 frames are 1 + 4 * 5 + 2: seven latent frames

    def stop(stage, done, total):
        told.append(done)
        raise KeyboardInterrupt

    told.clear()
    with pytest.raises(KeyboardInterrupt):
        model.transfer(ask(clip), progress=stop)
    assert told == [1]
    stream, video = open_like(model, clip), make_controls(clip)[ControlKind.DEPTH].video
    told.clear()
    pictures = stream.push(video[:11].contiguous(), lambda stage, done, total: told.append((done, total)))
    assert told == [(step, 12) for step in range(1, 13)] and pictures.shape[0] == 9
    with pytest.raises(KeyboardInterrupt):
        stream.push(video[11:].contiguous(), stop)
    for again in (lambda: stream.push(video[:1].contiguous()), stream.finish):
        with pytest.raises(ModelError, match="was stopped in the midst of its work, and ended; open another"):
            again()


def test_streams_share_the_model_and_do_not_meet(model, clip, plain):
    video = make_controls(clip)[ControlKind.DEPTH].video
    one, two = (open_like(model, clip, seed=seed) for seed in (3, 4))
    pictures = []
    for first in range(0, 20, 5):
        pictures.append(one.push(video[first : first + 5].contiguous()).numpy())
        two.push(video[first : first + 5].contiguous())
    got = np.concatenate(pictures)
    np.testing.assert_array_equal(got, plain[: len(got)])


def test_the_colours_of_the_clip_do_not_reach_the_pictures(model, clip, plain):
    black = replace(clip, rgb=wp.zeros_like(clip.rgb))
    np.testing.assert_array_equal(model.transfer(ask(black, controls=make_controls(clip))).rgb.numpy(), plain)


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ({"depth": 0.5}, r"exactly one control, at weight 1, got depth=0\.5; embedded or .*can weigh several"),
        ({"depth": 1.0, "edge": 1.0}, r"got edge=1\.0, depth=1\.0"),
    ],
)
def test_other_weights_than_one_control_are_refused(model, clip, weights, sentence):
    with pytest.raises(ModelError, match=sentence):
        model.transfer(ask(clip, weights=ControlWeights(**weights)))


def test_the_provenance_tells_what_ran(model, clip):
    provenance = model.transfer(ask(clip)).provenance
    assert [provenance.effective[name] for name in ("chunk", "window", "sinks")] == [1, 4, 1]
    assert provenance.effective["prompt"] == (
        "snow. The video is 1.0 seconds long and is of 24 FPS. This video is of 36x50 resolution. Follow the depth "
        "control video precisely: shape, contour, silhouette, position, and motion of every visible structure must "
        "align with the depth signal at every frame."
    )
    assert provenance.effective["size"] == [64, 64] and provenance.effective["weights"] == {"depth": 1.0}
    assert "trained on 480 x 832" in " ".join(provenance.notes) and len(provenance.weights_sha256) == 64
    assert provenance.dtype == "float32"


def test_a_clip_longer_than_those_it_was_trained_on_is_told(model, chunkwise, monkeypatch):
    monkeypatch.setattr("cosmos.bridge.transfer.cosmos3_sim._TRAINED_FRAMES", 5)
    monkeypatch.setattr("cosmos.bridge.transfer.cosmos3_sim._TRAINED_CHUNKWISE", 6)
    for backend, frames, told in ((model, 5, 0), (model, 6, 5), (chunkwise, 6, 0), (chunkwise, 7, 6)):
        notes = " ".join(backend.transfer(ask(make_clip((36, 50), frames))).provenance.notes)
        assert (f"trained on {told} frames; later ones may drift" in notes) if told else "may drift" not in notes


def test_the_prompt_is_what_the_model_was_trained_to_read(folder, clip):
    """In words that SGLang's and vLLM-Omni's ports of NVIDIA's runtime write too."""

    def told(kind="depth", prompt="snow", **options):
        model = CosmosSimTransfer(SimTransferOptions(weights=str(folder), **options))
        one = make_clip((36, 50), 1)
        return model.transfer(ask(one, prompt=prompt, weights=ControlWeights(**{kind: 1.0}))).provenance.effective[
            "prompt"
        ]

    assert told(complete_prompts=False, name_control=False) == "snow"
    assert told(name_control=False) == "snow. This image is of 36x50 resolution."
    assert told("vis", complete_prompts=False).startswith("snow Follow the blur control video precisely: ")
    assert told(prompt='{"scene": "x"}', name_control=False) == (
        '{"scene": "x", "duration": "0s", "fps": 24.0, "resolution": {"H": 36, "W": 50}, "aspect_ratio": "4,3"}'
    )


@pytest.mark.parametrize("changed", [{"num_frames": 999}, {"seed": 4}, {"fps": 12.0}, {"control": "edge"}], ids=str)
def test_what_a_stream_is_opened_with_reaches_its_pictures(model, clip, plain, changed):
    """The control alone by its name in the prompt, as black frames may be of any."""
    black = wp.zeros((5, 36, 50, 3), dtype=wp.uint8, device="cpu")
    want, got = (open_like(model, clip, **given).push(black).numpy() for given in ({}, changed))
    assert (got != want).any()
    video = make_controls(clip)[ControlKind.DEPTH].video[:5].contiguous()
    np.testing.assert_array_equal(open_like(model, clip).push(video).numpy(), plain[:5])


def test_a_control_that_a_checkpoint_was_not_trained_on_is_refused(tmp_path, clip):
    folder = write_tiny_cosmos3(tmp_path, memory=streaming(conditioning={"hints": ["edge", "blur"]}))
    model = create("cosmos3-sim-transfer", {"weights": str(folder)})
    with pytest.raises(ModelError, match="was not trained on depth; it knows edge, vis"):
        open_like(model, clip)
    with pytest.raises(ModelError, match="was not trained on depth; it knows edge, vis"):
        model.transfer(ask(clip))


def test_what_a_stream_cannot_take_is_refused(model, clip):
    controls = make_controls(clip)
    with pytest.raises(ModelError, match="does not know the control fog"):
        open_like(model, clip, control="fog")
    for wrong in ({"seed": -1}, {"fps": 0.0}, {"fps": float("nan")}, {"fps": float("inf")}, {"num_frames": 0}):
        with pytest.raises(ModelError, match="needs a prompt, a seed >= 0, fps > 0 and a frame or more, got 'snow'"):
            open_like(model, clip, **wrong)
    with pytest.raises(ModelError, match="needs a prompt"):
        model.open(" ", control="depth")
    with pytest.raises(ModelError, match="got no frame"):
        open_like(model, clip).finish()
    with pytest.raises(ModelError, match="The seg control is a grey gradient"):
        open_like(model, clip, control="seg").push(controls[ControlKind.DEPTH].video)
    stream = open_like(model, clip)
    stream.push(controls[ControlKind.DEPTH].video)
    with pytest.raises(ModelError, match=r"paints frames of \[36, 50, 3\] \[H, W, 3\], got \[36, 40, 3\]"):
        stream.push(wp.zeros((1, 36, 40, 3), dtype=wp.uint8, device="cpu"))


@pytest.mark.parametrize(
    ("plain_options", "sentence"),
    [({"window": 0}, "window must be 1 or more"), ({"sinks": -1}, "sinks must be 0 or more"), ({"steps": 4}, "steps")],
)
def test_a_wrong_option_is_refused(plain_options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        create("cosmos3-sim-transfer", plain_options)
