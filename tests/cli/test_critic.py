import json

import pytest

from cosmos.bridge.cli.main import main
from cosmos.bridge.config import load_config
from cosmos.bridge.scenes import warehouse


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


def calibrate(work, *more):
    return main(
        ["critic", "calibrate", "--transfer", "identity", "--clips", "1", "--frames", "3", "--size", "72x128",
         "--device", "cpu", "--work", str(work), "--faults", "frame_blank,camera_shifted", *more]
    )  # fmt: skip


def test_calibrate_prints_what_the_critic_finds_and_goes_on_where_it_was(work, capsys, tmp_path):
    assert calibrate(work, "--plots", str(tmp_path / "roc.svg")) == 0
    out, err = capsys.readouterr()
    assert "1 good clip of 1 scene; false alarms: 0 = 0.0 %" in out
    assert "| a frame is blank (`frame_blank`) |  | 1 | 100.0 %" in out and "`blank_frames`" in out
    assert "made clip 1 of 1" in err and "tried 0000_warehouse" in err
    assert (tmp_path / "roc.svg").read_text().startswith("<svg")
    assert calibrate(work, "--json") == 0
    out, err = capsys.readouterr()
    assert "made clip" not in err and "tried" not in err
    assert {trial["fault"] for trial in json.loads(out)["trials"]} == {"good", "frame_blank", "camera_shifted"}


def test_settings_reach_the_critic(work, capsys):
    assert calibrate(work, "--set", "thresholds.flicker_level=999", "--set", "thresholds.edges_kept=-1", "--json") == 0
    loose = json.loads(capsys.readouterr().out)["trials"]
    assert calibrate(work, "--json") == 0
    plain = json.loads(capsys.readouterr().out)["trials"]
    failed = [next(trial["failed"] for trial in trials if trial["fault"] == "frame_blank") for trials in (loose, plain)]
    assert "flicker_level" not in failed[0] and "flicker_level" in failed[1]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--critic", "oracle"), "There is no critic 'oracle'"),
        (("--faults", "melted"), "--faults knows removed,"),
        (("--clips", "0"), "clips >= 1, got 0"),
        (("--prompt", "fog"), "--prompt goes with --source"),
        (("--size", "big"), "size must be HEIGHTxWIDTH"),
        (("--set", "thresholds.x=1"), "no check 'x'"),
        (("--false-alarms", "2"), "--false-alarms must lie in [0, 1), got 2"),
        (("--bars", "bars.json"), "of 1 clips it has 1, so ask for --clips 60 or more"),
    ],
)
def test_wrong_words_get_one_sentence(work, capsys, more, told):
    assert calibrate(work, *more) == 2
    assert told in capsys.readouterr().err


def test_too_few_clips_for_bars_are_told_before_any_is_made(tmp_path, capsys):
    assert calibrate(tmp_path, "--bars", str(tmp_path / "bars.json"), "--clips", "50") == 2
    err = capsys.readouterr().err
    assert "of 50 clips it has 18, so ask for --clips 60 or more" in err and "made clip" not in err
    assert not list(tmp_path.iterdir())


def test_every_clip_of_an_own_stage_counts(tmp_path, capsys):
    warehouse(tmp_path / "own.usda", num_frames=4)
    code = main(
        ["critic", "calibrate", "--source", str(tmp_path / "own.usda"), "--prompt", "fog", "--prompt", "night",
         "--transfer", "identity", "--clips", "2", "--frames", "3", "--size", "72x128", "--device", "cpu",
         "--work", str(tmp_path / "work"), "--faults", "frame_blank", "--debug"]
    )  # fmt: skip
    assert code == 0 and "2 good clips of" in capsys.readouterr().out


def test_own_stage_is_tried(stage, tmp_path, capsys):
    code = main(
        ["critic", "calibrate", "--source", str(stage), "--prompt", "a dark night", "--transfer", "identity",
         "--clips", "1", "--frames", "3", "--size", "48x64", "--device", "cpu", "--work", str(tmp_path),
         "--faults", "frame_blank"]
    )  # fmt: skip
    out, err = capsys.readouterr()
    assert code == 2 and "its views show too little; left out" in err and not out
    assert "No good clip could be made, so nothing was tried" in err


def test_list_names_critics_and_faults(capsys):
    assert main(["critic", "list"]) == 0
    out = capsys.readouterr().out
    assert "consistency" in out and "moved             a thing stands elsewhere (4, 2, 8 px)" in out


def test_bars_are_settings_that_load(tmp_path):
    from cosmos.bridge.calibrate.bars import Bars
    from cosmos.bridge.calibrate.roc import Rate

    none = Rate(hits=0, count=1)
    bars = Bars(critic="consistency", thresholds={"flicker_level": 9.87654}, min_score=0.0, before=none, after=none,
                proven=none)  # fmt: skip
    path = tmp_path / "bars.json"
    path.write_text(json.dumps(bars.to_settings()))
    config = load_config(path, {"source": "a.usd", "out": "b", "prompts": "day"})
    assert config.critic_options == {"thresholds": {"flicker_level": 9.877}}
