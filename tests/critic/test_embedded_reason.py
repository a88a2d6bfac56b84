import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))

from cosmos.bridge.critic.base import Answers, Critic, Unloads
from cosmos.bridge.critic.registry import create
from cosmos.bridge.errors import ConfigError, ModelWeightsError, VerdictParseError
from tiny_small_reason import TINY, drawn_clip, export_small, taught_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return taught_folder(tmp_path_factory.mktemp("small"))


def shown(world, event):
    """A result of the size of the world that shows a drawn clip in its first and last window."""
    clip, _ = drawn_clip(event)
    frames = [clip[min(7, round(t * 7 / (len(world.rgb) - 1)))] for t in range(len(world.rgb))]
    size = world.rgb.shape[2], world.rgb.shape[1]
    return world.result(np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_NEAREST) for frame in frames]))


def test_says_what_cannot_be_where_and_when(world, folder):
    critic = create("embedded-reason", {"weights": str(folder)})
    assert isinstance(critic, Critic) and isinstance(critic, Answers) and isinstance(critic, Unloads)
    seen = []
    verdict = critic.judge(world.request(), shown(world, "vanish"), lambda *told: seen.append(told))
    assert not verdict.accepted and verdict.score < 0.5 and seen[-1] == ("judge", 1, 1)
    (finding,) = verdict.findings
    assert finding.kind == "physics" and finding.check == "vanish" and finding.severity == "reject"
    assert finding.text.startswith("The red box at lower-") and "vanishes in frame" in finding.text
    assert 5 <= finding.frames[0] <= 7  # the fifth of eight pictures of twelve frames
    assert verdict.raw.startswith("frames 0-11: <think>") and verdict.raw.endswith("</answer>")
    good = critic.judge(world.request(), shown(world, "none"))
    assert good.accepted and good.score > 0.5 and good.measurements[0].passed and not good.findings
    critic.unload()
    critic.unload()


def test_only_what_the_weights_claim_refuses(world, folder, tmp_path):
    import json
    import shutil

    shutil.copytree(folder, tmp_path / "w")
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "w" / "config.json").write_text(json.dumps({**config, "claims": ["physics", "teleport"]}))
    critic = create("embedded-reason", {"weights": str(tmp_path / "w")})
    assert critic.judge(world.request(), shown(world, "vanish")).accepted
    assert not critic.judge(world.request(), shown(world, "teleport")).accepted
    assert critic.tasks == ("physics",)


@pytest.mark.parametrize(
    "claims,text",
    [
        ([], "Something vanishes between frames 0 and 11"),
        (["colour", "frame"], "Something red vanishes in frame "),
        (["shape", "place"], "The box at lower-"),
        (["colour", "shape"], "The red box vanishes between frames 0 and 11"),
    ],
)
def test_a_finding_says_what_the_weights_claim_and_no_more(world, folder, tmp_path, claims, text):
    import json
    import shutil

    shutil.copytree(folder, tmp_path / "w")
    config = json.loads((folder / "config.json").read_text())
    (tmp_path / "w" / "config.json").write_text(json.dumps({**config, "claims": ["physics", "vanish", *claims]}))
    (finding,) = (
        create("embedded-reason", {"weights": str(tmp_path / "w")})
        .judge(world.request(), shown(world, "vanish"))
        .findings
    )
    assert finding.text.startswith(text)
    assert ("red" in finding.text, "box" in finding.text) == ("colour" in claims, "shape" in claims)
    assert (len(finding.frames) == 1) is ("frame" in claims)


def test_the_threshold_decides(world, folder):
    strict = create("embedded-reason", {"weights": str(folder), "threshold": 1.0})
    assert strict.judge(world.request(), shown(world, "vanish")).accepted


@pytest.mark.parametrize("fault", ["black", "one frame less", "other size"])
def test_what_cannot_be_judged_is_refused(world, folder, fault):
    broken = {"black": np.zeros_like(world.rgb), "one frame less": world.rgb[1:], "other size": world.rgb[:, ::2, ::2]}
    verdict = create("embedded-reason", {"weights": str(folder)}).judge(
        world.request(), world.result(np.ascontiguousarray(broken[fault]))
    )
    assert not verdict.accepted and verdict.score < 0.5 and verdict.rationale.endswith(".")


def test_nonsense_is_an_error_and_never_a_pass(world, tmp_path):
    import torch

    from cosmos.models.reason_small.net import ReasonNet

    torch.manual_seed(1)
    critic = create("embedded-reason", {"weights": str(export_small(ReasonNet(TINY).eval(), tmp_path))})
    with pytest.raises(VerdictParseError, match="embedded-reason gave no answer"):
        critic.judge(world.request(), shown(world, "none"))
    with pytest.raises(VerdictParseError, match="embedded-reason gave no answer"):
        critic.ask(world.rgb, 24.0, "physics")


def test_answers_questions(world, folder):
    critic = create("embedded-reason", {"weights": str(folder)})
    clip, _ = drawn_clip("none")
    assert critic.ask(clip, 10.0, "caption").endswith("<answer> clear red box rolls right </answer>")
    with pytest.raises(ConfigError, match="knows no task 'driving'; it knows physics"):
        critic.ask(clip, 10.0, "driving")


def test_wrong_options_and_weights_are_refused(world, tmp_path):
    with pytest.raises(ConfigError, match=r"threshold must lie in \[0, 1\]"):
        create("embedded-reason", {"threshold": 2.0})
    with pytest.raises(ConfigError, match="windows must lie in"):
        create("embedded-reason", {"windows": 0})
    with pytest.raises(ModelWeightsError, match="cannot be read"):
        create("embedded-reason", {"weights": str(tmp_path)}).judge(world.request(), world.result(world.rgb))
