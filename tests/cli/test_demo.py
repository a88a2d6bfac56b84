import json
from contextlib import closing

from cosmos.bridge.bridge import Bridge
from cosmos.bridge.cli.demo import CAMERA, PROMPTS, config_of
from cosmos.bridge.cli.main import build_parser
from cosmos.bridge.runs.clock import Clock
from cosmos.bridge.runs.opened import Opened
from cosmos.bridge.runs.plan import plan_clips
from cosmos.bridge.runs.prepared import prepare, source_of
from cosmos.bridge.scenes.warehouse import warehouse


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


def test_every_prompt_of_the_demo_is_accepted_at_its_size_at_the_first_attempt(tmp_path):
    args = build_parser().parse_args(["demo", "--out", str(tmp_path)])
    config = config_of(args).replace(source=str(tmp_path / "warehouse.usda"), frames=range(0, args.frames, 5))
    warehouse(tmp_path / "warehouse.usda", num_frames=48)
    with Opened(source_of(config)) as opened:
        made = prepare(config, opened.take(CAMERA), Clock(), lambda stage, done, total: None)
    verdicts = {}
    with closing(made.clip), Bridge(config) as bridge:
        for planned in plan_clips(config):
            first = next(bridge.attempts(planned, made.clip, made.controls, made.weights))
            verdicts[planned.prompt.name] = first.verdict
    assert list(verdicts) == [prompt.name for prompt in PROMPTS]
    assert {name: verdict.rationale for name, verdict in verdicts.items() if not verdict.accepted} == {}
