import json

import numpy as np
import pytest

from cosmos.bridge.cli.main import main
from cosmos.bridge.sinks.video import write_video
from tiny_small_reason import drawn_clip, taught_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return taught_folder(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    clip, _ = drawn_clip("none")
    write_video(path, np.repeat(np.repeat(clip, 2, 1), 2, 2), fps=10.0)
    return path


def test_a_video_is_asked_about(folder, video, capsys):
    words = ["ask", str(video), "--critic", "embedded-reason", "--set", f'weights="{folder}"']
    assert main([*words, "--task", "caption"]) == 0
    assert capsys.readouterr().out.strip().endswith("<answer> clear red box rolls right </answer>")
    assert main([*words, "--task", "physics", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["critic"] == "embedded-reason" and told["answer"].endswith("<answer> possible </answer>")


@pytest.mark.parametrize(
    "words,sentence",
    [
        (["--task", "sing"], "knows no task 'sing'; it knows physics"),
        (["--critic", "consistency"], "consistency measures and does not answer questions; ask one of embedded-reason"),
        (["--critic", "nobody"], "There is no critic 'nobody'"),
        (["--set", "windows=0"], r"windows must lie in"),
    ],
)
def test_wrong_questions_are_refused_in_a_sentence(folder, video, capsys, words, sentence):
    weights = [] if "--critic" in words else ["--set", f'weights="{folder}"']
    assert main(["ask", str(video), *weights, *words]) == 2
    assert sentence in capsys.readouterr().err
