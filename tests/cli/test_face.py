"""The three lines of Python, on a real stage."""

import os

import pytest

import cosmos.bridge as cb


def test_three_lines_make_a_clip(stage, tmp_path):
    summary = cb.augment(stage, prompt="rain", out=tmp_path / "out", transfer="identity", frames="0:3", size="36x64")
    assert (summary.accepted, summary.planned) == (1, 1)
    assert summary.report.is_file()
    assert summary.stage.is_file()


def test_prompts_may_have_names(stage, tmp_path, monkeypatch):
    monkeypatch.chdir(stage.parent)
    summary = cb.augment(
        stage.name, prompt={"wet": "rain", "white": "snow"}, out="out", transfer="identity", frames="0:2", size="9x16"
    )
    assert summary.planned == 2
    config = cb.load_config("out/config.json")
    assert [prompt.name for prompt in config.prompts] == ["wet", "white"]
    assert os.path.isabs(config.source)  # so that resume works from any folder


def test_a_run_is_resumed_from_python(stage, tmp_path):
    done = cb.augment(stage, prompt="rain", out=tmp_path / "out", transfer="identity", frames="0:2", size="9x16")
    again = cb.resume(tmp_path / "out")
    assert (again.accepted, again.attempts) == (done.accepted, done.attempts)


def test_an_unknown_setting_names_the_nearest(stage, tmp_path):
    with pytest.raises(cb.ConfigError, match="'sed' is no setting; the nearest is 'seed'"):
        cb.augment(stage, prompt="rain", out=tmp_path / "out", sed=3)


def test_a_job_can_be_watched_and_stopped(stage, tmp_path):
    config = cb.BridgeConfig.from_mapping(
        {
            "source": str(stage),
            "out": str(tmp_path / "out"),
            "prompts": ["rain"],
            "variants": 50,
            "transfer": "identity",
            "frames": "0:2",
            "size": "9x16",
        }
    )
    with cb.Bridge(config) as bridge:
        job = bridge.start()
        job.cancel()
        summary = job.result(timeout=60)
    assert summary.remaining > 0
    assert job.state is cb.JobState.DONE
