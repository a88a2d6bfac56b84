"""The guard of a stream that is opened by hand: every backend that streams, here and in a worker."""

import gc
from dataclasses import replace

import numpy as np
import pytest
import torch  # noqa: TID253

pytest.importorskip("diffusers", reason="diffusers needs Python 3.11")

from cosmos.bridge.config import OffloadPolicy
from cosmos.bridge.errors import GuardRefusal, ModelError, ModelNotInstalledError
from cosmos.bridge.guard.cosmos import CosmosGuard
from cosmos.bridge.transfer import watch
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import ControlKind
from fake_clips import make_clip, make_controls
from tiny_cosmos import streaming, write_tiny_cosmos3

WAYS = ("embedded", "embedded in a worker", "cosmos3-sim-transfer", "cosmos3-sim-transfer in a worker")


class Checker:
    """A plain object in place of the checker of NVIDIA's package: blurs or blocks the frames of some calls."""

    def __init__(self, *, safe=True, answers=()):
        self.safe, self.answers, self.seen = safe, list(answers), []

    def check_text_safety(self, prompt):
        self.seen.append(prompt)
        return self.safe

    def check_video_safety(self, frames):
        self.seen.append(len(frames))
        answer = self.answers.pop(0) if self.answers else "pass"
        if isinstance(answer, Exception):
            raise answer
        if answer == "blur":
            frames[:, :4, :4] = 9
        return {"none": None, "black": frames * 0}.get(answer, frames)


class Way:
    """One backend in one place, and its stream over a clip of 12 frames in three pieces of pictures each."""

    def __init__(self, name, options):
        name, _, worker = name.partition(" in ")
        self.name = name
        self.model = create(name, options, OffloadPolicy(placement="worker" if worker else "here"))
        self.model.load("cpu")
        self.clip = make_clip((36, 50), 9)
        self.controls = make_controls(self.clip)

    def open(self, prompt="snow", **given):
        named = {} if self.name == "embedded" else {"control": "depth"}
        return self.model.open(prompt, seed=3, fps=self.clip.fps, **named, **given)

    def push(self, stream, first, last):
        if self.name != "embedded":
            video = self.controls[ControlKind.DEPTH].video
            return stream.push(video[first:last].contiguous()).numpy()
        clip = make_clip((36, 50), last - first)
        return stream.push(clip, make_controls(clip)).numpy()


@pytest.fixture(scope="module", params=WAYS)
def way(request, tmp_path_factory, tiny_folder):
    torch.set_num_threads(1)
    folder = tiny_folder
    if not request.param.startswith("embedded"):
        folder = write_tiny_cosmos3(tmp_path_factory.mktemp("sim"), memory=streaming())
    way = Way(request.param, {"weights": str(folder)})
    yield way
    way.model.unload()


def test_the_guard_sees_the_prompt_and_all_pictures_and_says_what_it_did(way):
    free = way.open(guard="off")
    want = [way.push(free, *ends) for ends in ((0, 1), (1, 5), (5, 9))]
    checker = Checker(answers=["pass", "blur", "blur"])
    stream = way.open(guard=CosmosGuard(checker))
    assert checker.seen == ["snow"]
    (asked,) = stream.guard_reports
    assert (asked.stage, asked.requested, asked.effective) == ("prompt", "cosmos", "word list, Qwen3Guard")
    got = [way.push(stream, *ends) for ends in ((0, 1), (1, 5), (5, 9))]
    assert checker.seen == ["snow", 1, 4, 4]
    np.testing.assert_array_equal(got[0], want[0])
    for mine, plain in zip(got[1:], want[1:], strict=True):
        assert (mine[:, :4, :4] == 9).all()
        np.testing.assert_array_equal(mine[:, 4:], plain[:, 4:])
    video = stream.guard_reports[1]
    assert (video.stage, video.requested, video.effective, video.faces_blurred) == ("video", "cosmos", "face blur", 8)
    assert [report.effective for report in free.guard_reports] == ["off", "off"]
    assert stream.finish().shape[0] == 0 and checker.seen == ["snow", 1, 4, 4]  # there is nothing to look at


@pytest.mark.parametrize("answer", ["none", "black", RuntimeError("no models")], ids=str)
def test_pictures_that_are_refused_do_not_come_out_and_end_the_stream(way, answer):
    stream = way.open(guard=CosmosGuard(Checker(answers=["pass", answer])))
    way.push(stream, 0, 1)
    with pytest.raises(GuardRefusal, match="refused the video"):
        way.push(stream, 1, 5)
    report = stream.guard_reports[1]
    assert not report.allowed and report.effective == ("failed" if isinstance(answer, Exception) else "face blur")
    with pytest.raises(GuardRefusal, match=r"ended when the guard .* refused it; open another"):
        way.push(stream, 5, 9)
    if way.name != "embedded":
        with pytest.raises(GuardRefusal, match="open another"):
            stream.finish()
    way.push(way.open(guard="off"), 0, 1)  # the model itself is as usable as before


def test_a_prompt_that_is_refused_opens_nothing(way):
    with pytest.raises(GuardRefusal, match=r"refused the prompt \(unsafe prompt\); change the prompt"):
        way.open(guard=CosmosGuard(Checker(safe=False)))
    with pytest.raises(GuardRefusal, match=r"The guard blocklist refused the prompt \(gore\)"):
        way.open("a massacre", guard="blocklist")
    with pytest.raises(ModelError, match=r"no guard 'blocklst' \(did you mean 'blocklist'\?\)"):
        way.open(guard="blocklst")


def test_without_a_choice_the_licence_chooses(way, monkeypatch):
    """That of Sim-Transfer is not known to us, so that it is taken for one that asks for NVIDIA's guardrail."""
    if way.name == "embedded":
        assert [report.effective for report in way.open().guard_reports] == ["blocklist"]
        with pytest.raises(GuardRefusal):
            way.open("a massacre")
        return
    monkeypatch.setattr("cosmos.bridge.guard.cosmos.importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelNotInstalledError, match=r"cosmos-bridge\[guard\].*choose another: blocklist, off"):
        way.open()
    asked = []
    monkeypatch.setattr(watch, "create", lambda name: asked.append(name) or CosmosGuard(Checker()))
    assert way.open().guard_reports[0].requested == "cosmos" and asked == ["cosmos"]


def test_streams_share_a_guard_while_one_of_them_lives(way, monkeypatch):
    made = []
    monkeypatch.setattr(watch, "create", lambda name: made.append(name) or CosmosGuard(Checker()))
    one, two = way.open(guard="cosmos"), way.open(guard="cosmos")
    assert made == ["cosmos"]
    del one
    gc.collect()
    three = way.open(guard="cosmos")
    assert made == ["cosmos"] and two.guard_reports == three.guard_reports
    del two, three
    gc.collect()
    assert "cosmos" not in watch._MADE


def test_a_refusal_of_one_view_ends_that_stream_alone(tiny_folder):
    model = create("embedded", {"weights": str(tiny_folder)})
    clip = make_clip((36, 50), 1)
    other = replace(clip, cameras=(replace(clip.cameras[0], prim_path="/World/Other"),))
    good, bad = (
        model.open("snow", fps=clip.fps, guard=guard) for guard in ("off", CosmosGuard(Checker(answers=["none"])))
    )
    with pytest.raises(GuardRefusal, match="refused the video"):
        model.push_all([(good, clip, make_controls(clip), None), (bad, other, make_controls(other), None)])
    with pytest.raises(GuardRefusal, match="open another"):
        model.push_all([(good, clip, make_controls(clip), None), (bad, other, make_controls(other), None)])
    assert good.push(clip, make_controls(clip)).shape[0] == 1
