"""The panel as a person uses it: every control is clicked, and must change the request or the state."""

import argparse
import json
import shlex

import numpy as np
import pytest

from cosmos.bridge.config import BridgeConfig
from kit.scene import CAMERAS, SIZE

FIELDS = {
    "width": 640, "height": 352, "num_frames": 24, "edge": 0.25, "depth": 0.1, "seg": 0.3, "vis": 0.9,
    "prompt": "fog", "negative_prompt": "blur", "output_dir": "results", "write_stage": False, "write_report": False,
    "seed": 7, "seed_locked": False, "variants": 3, "max_attempts": 5, "min_score": 0.75, "live_shares": True,
    "transfer_device": "cuda:1", "worker_python": "/opt/cosmos/bin/python", "fall_back": True,
}  # fmt: skip
CHOICES = {
    "weather": "rain",
    "light": "night",
    "material": "worn",
    "transfer": "identity",
    "placement": "worker",
    "memory": "24",
}


def test_every_field_reaches_the_request(desk):
    it = desk()
    it.put(f"camera:{CAMERAS[0]}", True)
    for name, value in FIELDS.items():
        before, keywords = getattr(it.model.state, name), it.model.keywords()
        it.put(name, value)
        assert getattr(it.model.state, name) == value != before
        elsewhere = name in ("width", "height", "seed_locked", "live_shares")
        assert elsewhere or it.model.keywords() != keywords, name
    assert "(640, 352)" in it.model.script()
    for name, value in CHOICES.items():
        keywords = it.model.keywords()
        it.choose(name, value)
        assert getattr(it.model.state, name) == value and it.model.keywords() != keywords
    assert it.model.keywords()["prompt"] == "fog, rain, puddles, at night, worn surfaces, scuffed paint"
    assert it.model.keywords()["retry"] == {"max_attempts": 5}
    assert it.model.keywords()["offload"] == {
        "placement": "worker", "device": "cuda:1", "python": "/opt/cosmos/bin/python", "memory": 24, "fall_back": True,
    }  # fmt: skip


def test_classes_of_the_stage_get_weights_of_their_own(desk):
    it = desk()
    assert [row.label for row in it.model.stage.classes] == ["crate", "floor"]
    assert not it.widget("class:crate:vis").enabled
    it.put("class:crate", True)
    slider = it.widget("class:crate:vis")
    assert slider.enabled
    slider.model.set_value(1.0)
    assert it.widget("class:crate:vis") is slider  # a slider that is held is not taken away
    regions = it.model.keywords()["weights"]["regions"]
    assert regions == [{"classes": ["crate"], "edge": 0.5, "depth": 0.5, "seg": 0.0, "vis": 1.0}]
    for kind in ("edge", "depth", "seg"):
        it.put(f"class:crate:{kind}", 0.125)
    own = it.model.keywords()["weights"]["regions"][0]
    assert (own["edge"], own["depth"], own["seg"], own["vis"]) == (0.125, 0.125, 0.125, 1.0)
    it.put("class:crate", False)
    assert "regions" not in it.model.keywords()["weights"]


def test_start_says_why_it_cannot_until_it_can(desk):
    pytest.importorskip("torch")
    it = desk()
    heard = []
    steps = (
        (lambda: None, "Choose at least one camera."),
        (lambda: it.put(f"camera:{CAMERAS[1]}", True), "Write a prompt, or choose a preset."),
        (lambda: it.choose("weather", "fog"), "Choose an output folder."),
        (lambda: it.put("output_dir", str(it.tmp_path)), "Ready."),
        (lambda: [it.put(kind, 0.0) for kind in ("edge", "depth")], "weights gives every control 0"),
        (lambda: it.put("vis", 1.0), "Ready."),
        (lambda: it.put("width", 1), "width must lie in 16 to 8192, got 1."),
        (lambda: it.put("width", 128), "Ready."),
        (lambda: it.choose("transfer", "cosmos-transfer2.5"), "cosmos-transfer2.5 does not fit: "),
    )
    for do, words in steps:
        do()
        heard.append(it.text("why"))
        assert words in heard[-1]
        assert it.widget("start").enabled == (words == "Ready.")
    it.studio.start()
    assert "does not fit" in it.text("message")


def test_an_empty_application_says_so(desk):
    it = desk(stage=None)
    assert "No stage is open." in it.words() and it.text("why") == "Open a stage first."
    it.machine.context.new_stage()
    it.click("refresh")
    assert "The stage has no camera." in it.words()
    assert any("No semantic labels" in text for text in it.words())
    assert it.model.why_not() == "The stage has no camera; add one, then Refresh."


def test_preview_shows_before_and_after_and_fills_in_the_shares(desk):
    it = desk()
    it.ready()
    it.click("preview")
    it.wait(lambda: it.model.verdict)
    image = next(child for child in it.widget("picture")._children)
    shown = image._provider._picture
    assert shown is not None and shown.shape[2] == 4
    shares = {row.label: row.share for row in it.model.stage.classes}
    assert shares["floor"] > shares["crate"] > 0.005
    assert f"{shares['floor']:.1%}" in it.words()
    it.put("wipe", 0.0)
    after = image._provider._picture.copy()
    it.put("wipe", 0.75)
    assert not np.array_equal(after, image._provider._picture)
    it.click("overlay")
    assert it.machine.viewport._frames["cosmos.bridge.overlay"]._children
    it.click("overlay")
    assert not it.machine.viewport._frames["cosmos.bridge.overlay"]._children
    assert it.studio.queue.runs == () and not (it.tmp_path / "out").exists()  # a preview writes nothing


def test_overlay_without_a_preview_says_what_to_do(desk):
    it = desk()
    it.click("overlay")
    assert it.text("message") == "Make a preview first."


def test_shares_are_live_while_the_window_is_open(desk):
    it = desk(live_shares=True)
    it.put(f"camera:{CAMERAS[0]}", True)
    it.machine.update(3)
    front = it.text("share:crate")
    assert front.endswith("%") and it.model.stage.classes[0].label == "floor"  # the largest first
    it.put(f"camera:{CAMERAS[0]}", False)
    it.put(f"camera:{CAMERAS[1]}", True)
    it.machine.update(3)
    assert it.text("share:crate") != front
    it.extension._panel.window.visible = False
    it.machine.update(2)
    assert it.machine.replicator.products == {} and it.machine.replicator.polled == []
    it.extension.open_panel()
    it.machine.update(2)
    assert len(it.machine.replicator.products) == 1
    it.put("live_shares", False)
    it.machine.update()
    assert it.machine.replicator.products == {}


def test_a_fault_of_the_counting_ends_the_counting_only(desk, monkeypatch):
    from kit.replicator import Annotator

    def broken(self, *_):
        raise RuntimeError("no such AOV")

    monkeypatch.setattr(Annotator, "attach", broken)
    it = desk(live_shares=True)
    it.put(f"camera:{CAMERAS[0]}", True)
    it.machine.update(3)
    assert it.text("message") == "Shares are counted no more: no such AOV"
    assert not it.widget("live_shares").model.get_value_as_bool()
    assert it.machine.replicator.products == {}


def test_another_stage_is_seen_by_itself(desk, tmp_path):
    it = desk(stage=None)
    from kit.scene import write_scene

    it.machine.context.open_stage(str(write_scene(tmp_path / "late.usda")))
    it.machine.update(2)
    assert it.model.stage.cameras == CAMERAS and it.widget(f"camera:{CAMERAS[0]}")


def test_fields_come_back_when_the_panel_is_opened_again(desk):
    it = desk()
    it.put("prompt", "last time")
    it.machine.disable()
    it.open()
    assert it.widget("prompt").model.get_value_as_string() == "last time"
    it.machine.disable()
    it.machine.settings.set("/persistent/exts/cosmos.bridge/panel", '{"promt": 1}')
    it.open()
    assert "cannot be brought back: 'promt' is no setting" in it.text("message")


def test_copied_python_does_what_start_does(desk):
    it = desk()
    it.ready(num_frames=2)
    it.put("class:crate", True)
    it.click("copy_python")
    source = it.machine.clipboard.text
    names = {}
    body = "\n".join(f"    {line}" for line in source.splitlines())
    exec(f"async def script():\n{body}\n    return writer", names)
    writer = it.machine.run(names["script"]())
    (summary,) = [run.summary for run in writer.runs]
    made = BridgeConfig.from_mapping(json.loads((summary.out / "config.json").read_text()))
    want = it.model.config(made.source).replace(out=made.out, sinks=made.sinks)
    assert made == want and summary.accepted == 1
    writer.close()


def test_copied_command_means_the_same_config(desk, scene):
    from cosmos.bridge.cli.augment import add_parser, config_of

    it = desk()
    it.ready(edge=0.3, seg=0.2, negative_prompt="", max_attempts=4, seed=9, variants=2)
    it.put("class:crate", True)
    it.put("class:crate:vis", 1.0)
    it.put("write_report", False)
    it.choose("placement", "worker")
    it.put("worker_python", "/opt/my python")
    it.put("fall_back", True)
    it.click("copy_cli")
    words = shlex.split(it.machine.clipboard.text)
    assert words[:2] == ["cosmos-bridge", "augment"]
    parser = add_parser(argparse.ArgumentParser().add_subparsers())
    config = config_of(parser.parse_args(words[2:]))
    want = it.model.config(str(scene))
    assert config == want.replace(size=SIZE, frames=range(3), sinks=("dataset", "stage"))


def test_the_copied_command_runs(desk, capsys):
    from cosmos.bridge.cli.main import main
    from cosmos.bridge.sinks.manifest import read_manifest

    it = desk()
    it.ready(num_frames=2)
    it.put("class:crate", True)
    it.click("copy_cli")
    assert main(shlex.split(it.machine.clipboard.text)[1:]) == 0
    assert "1 clip planned: 1 accepted" in capsys.readouterr().out
    assert read_manifest(it.tmp_path / "out")["counts"]["accepted"] == 1


def test_settings_are_saved_loaded_and_reset(desk):
    it = desk()
    it.click("save")
    assert "path of a JSON file" in it.text("message")
    it.ready(seed=11)
    it.put("class:floor", True)
    it.put("class:floor:seg", 0.75)
    state, file = it.model.state, it.tmp_path / "panel.json"
    it.put("settings_file", str(file))
    it.click("save")
    it.click("reset")
    assert it.model.state.seed == 0 and it.widget("prompt").model.get_value_as_string() == ""
    it.click("load")
    assert it.model.state == state
    assert it.widget("prompt").model.get_value_as_string() == "a rainy night"
    assert it.widget("class:floor:seg").model.get_value_as_float() == 0.75
    file.write_text('{"promt": "x"}')
    it.click("load")
    assert "'promt' is no setting" in it.text("message") and it.model.state == state
    it.put("settings_file", str(it.tmp_path / "no" / "such.json"))
    it.click("save")
    assert "cannot be written" in it.text("message")


def test_the_self_test_tells_what_it_found_and_keeps_the_calibration(desk):
    it = desk(motion=(-1.0, 1.0))
    it.click("selftest")
    it.wait(lambda: "Self-test" in it.text("message"))
    assert "all holds" in it.text("message")
    assert it.machine.settings.get("/persistent/exts/cosmos.bridge/motion_scale_x") == -1.0
    it.machine.context.close_stage()
    it.click("selftest")
    assert "needs an open stage" in it.text("message")


def test_a_headless_application_has_no_panel_and_needs_none(kit):
    machine = kit("5.1")
    machine.enable()
    assert machine.menu.items == {} and machine.problems() == []
