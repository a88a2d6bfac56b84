import json

from cosmos.bridge.cli.demo import CAMERA, PROMPTS


def test_the_demo_shows_day_night_fog_and_snow():
    names = {prompt.name for prompt in PROMPTS}
    assert {"clear-day", "night", "fog", "snow"} <= names
    assert len(PROMPTS) >= 4


def test_the_demo_does_the_main_job_and_finishes_itself(cli, tmp_path):
    out = tmp_path / "demo"
    words = ["demo", "--out", out, "--frames", "2", "--size", "36x64", "--transfer", "identity"]
    code, told, err = cli(*words, "--json")
    assert code in (0, 4), err  # two tiny frames may fail a check; they are counted all the same
    summary = json.loads(told)
    assert summary["planned"] == len(PROMPTS)
    assert summary["accepted"] + summary["rejected"] == len(PROMPTS)
    for name in ("report.html", "manifest.json", "stage.usda", "scene/warehouse.usda"):
        assert (out / name).is_file(), name
    assert json.loads((out / "config.json").read_text())["cameras"] == [CAMERA]
    before = (out / "manifest.json").read_bytes()
    again, told, err = cli(*words)
    assert again == code
    assert "finishing it" in err
    assert f"Open {out / 'report.html'}" in told
    assert (out / "manifest.json").read_bytes() == before
