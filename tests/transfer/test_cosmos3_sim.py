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
from tiny_cosmos import write_tiny_cosmos3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch.set_num_threads(1)
    return write_tiny_cosmos3(tmp_path_factory.mktemp("sim"), memory={"kv_window": 3, "attention_sink": 1})


@pytest.fixture(scope="module")
def model(folder):
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


@pytest.mark.parametrize("sizes", [[1] * 23, [23], [5, 1, 9, 2, 6], [4, 4, 4, 4, 4, 3]])
def test_a_stream_gives_the_pictures_of_the_clip_however_its_frames_come(model, clip, plain, sizes):
    video = make_controls(clip)[ControlKind.DEPTH].video
    stream, got, first = model.open("snow", control="depth", seed=3, fps=clip.fps), [], 0
    for size in sizes:
        got.append(stream.push(video[first : first + size].contiguous()).numpy())
        first += size
        ready = sum(len(part) for part in got)
        assert ready == (1 + (first - 1) // 4 * 4)  # as early as the model allows
    got.append(stream.finish().numpy())
    np.testing.assert_array_equal(np.concatenate(got), plain)
    assert stream.finish().shape[0] == 0


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
    stream, video = (
        model.open("snow", control="depth", seed=3, fps=clip.fps),
        make_controls(clip)[ControlKind.DEPTH].video,
    )
    told.clear()
    pictures = stream.push(video[:11].contiguous(), lambda stage, done, total: told.append((done, total)))
    assert told == [(step, 12) for step in range(1, 13)] and pictures.shape[0] == 9


def test_streams_share_the_model_and_do_not_meet(model, clip, plain):
    video = make_controls(clip)[ControlKind.DEPTH].video
    one, two = (model.open("snow", control="depth", seed=seed, fps=clip.fps) for seed in (3, 4))
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
    assert provenance.effective["window"] == 3 and provenance.effective["sinks"] == 1
    assert provenance.effective["size"] == [64, 64] and provenance.effective["weights"] == {"depth": 1.0}
    assert "trained on 480 x 832" in " ".join(provenance.notes) and len(provenance.weights_sha256) == 64
    assert provenance.dtype == "float32"


def test_what_a_stream_cannot_take_is_refused(model, clip):
    controls = make_controls(clip)
    with pytest.raises(ModelError, match="does not know the control fog"):
        model.open("snow", control="fog")
    with pytest.raises(ModelError, match="needs a prompt, a seed >= 0 and fps > 0"):
        model.open(" ", control="depth")
    with pytest.raises(ModelError, match="got no frame"):
        model.open("snow", control="depth").finish()
    with pytest.raises(ModelError, match="The seg control is a grey gradient"):
        model.open("snow", control="seg").push(controls[ControlKind.DEPTH].video)
    stream = model.open("snow", control="depth")
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
