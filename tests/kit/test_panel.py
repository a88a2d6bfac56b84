"""The panel as a person uses it: every control is clicked, and must change the request or the state."""

import argparse
import json
import shlex
import threading
import webbrowser
from dataclasses import replace

import cv2
import numpy as np

from cosmos.bridge.config import BridgeConfig
from cosmos.bridge.jobs import JobState
from kit.scene import CAMERAS, SIZE
from kit.ui import Window


def verdict_texts(out):
    """What the critic said of the first clip, read from the record by hand."""
    (record,) = out.rglob("clip.json")
    findings = json.loads(record.read_text())["verdict"]["findings"]
    return [finding["text"] for finding in findings if finding["kind"] != "unchecked"]


FIELDS = {
    "width": 640, "height": 352, "num_frames": 24, "edge": 0.25, "depth": 0.1, "seg": 0.3, "vis": 0.9,
    "prompt": "fog", "negative_prompt": "blur", "output_dir": "results", "write_stage": False, "write_report": False,
    "seed": 7, "seed_locked": False, "variants": 3, "max_attempts": 5, "min_score": 0.75, "live_shares": True,
}  # fmt: skip
CHOICES = {"weather": "rain", "light": "night", "material": "worn", "transfer": "identity"}


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


def test_start_captures_runs_and_gives_everything_back(desk):
    it = desk()
    it.ready()
    on_play = it.machine.settings.get("/omni/replicator/captureOnPlay")
    it.put("seed_locked", False)
    it.capture()
    (run,) = it.studio.queue.runs
    assert run.state is JobState.DONE and run.summary.accepted == 1
    assert it.text("run:0:text").startswith("1 of 1 accepted, in ")
    assert it.words().count("accepted") == 2  # the run, and its clip
    assert it.machine.replicator.products == {} and it.machine.replicator.attached == {}
    assert it.machine.settings.get("/omni/replicator/captureOnPlay") == on_play
    assert it.model.state.seed == 1  # another one next time
    assert not it.machine.context.get_stage().GetRootLayer().dirty
    shown = cv2.imread(str(run.out / "frames" / "clip_0000" / "0000.png"))[..., ::-1]
    np.testing.assert_array_equal(shown, it.machine.feed.frame(CAMERAS[0], 2.0, (SIZE[1], SIZE[0]))["rgb"][..., :3])


def test_results_are_shown_baked_and_opened(desk, monkeypatch):
    it = desk()
    it.ready()
    it.capture()
    stage, opened = it.machine.context.get_stage(), []
    it.click("run:0:show")
    assert stage.GetPrimAtPath("/CosmosBridge/clip_0000") and not stage.GetRootLayer().dirty
    it.machine.commands.undo()
    it.click("run:0:bake")
    assert "ending in .usda" in it.text("message")
    it.put("settings_file", str(it.tmp_path / "baked.usda"))
    it.click("run:0:bake")
    assert stage.GetPrimAtPath("/CosmosBridge/clip_0000") and (it.tmp_path / "baked.usda").is_file()
    it.machine.commands.undo()
    out = it.studio.queue.runs[0].out
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or len(opened) == 1)
    it.click("run:0:open")
    assert opened == [out.resolve().as_uri()] and not it.text("message").startswith("This desktop")
    it.click("run:0:open")
    assert it.text("message") == f"This desktop opens no folders; the results are in {out}."


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


def test_a_run_is_cancelled_and_tried_again(desk, monkeypatch):
    from cosmos.bridge.transfer.identity import IdentityTransfer

    plain, go = IdentityTransfer.transfer, threading.Event()

    def slow(self, request, progress=None):
        while not go.wait(0.005):
            progress("transfer", 1, 3)
        return plain(self, request, progress)

    monkeypatch.setattr(IdentityTransfer, "transfer", slow)
    it = desk()
    it.ready()
    it.click("start")
    it.wait(lambda: it.studio.queue.runs and "transfer 1 of 3" in it.text("run:0:text"))
    it.click("run:0:cancel")
    it.wait(lambda: not it.studio.queue.pending)
    it.machine.update(3)
    assert "The job was aborted" in it.text("run:0:text") and "cancelled" in it.words()
    go.set()
    it.click("run:0:retry")
    it.wait(lambda: not it.studio.queue.pending)
    it.machine.update(3)
    assert it.studio.queue.runs[0].summary.accepted == 1


def test_starting_again_goes_on_in_the_same_folder(desk):
    it = desk()
    it.ready()
    it.capture()
    it.capture()
    assert [run.out.name for run in it.studio.queue.runs] == ["take_0000", "take_0001"]
    assert [run.summary.accepted for run in it.studio.queue.runs] == [1, 1]
    assert it.studio._writers == []  # neither models nor frames are held once nothing can be tried again
    it.click("clear")
    assert it.studio.queue.runs == () and "Nothing was started yet." in it.words()


def test_a_take_finds_no_second_model_beside_its_own(desk, monkeypatch):
    from cosmos.bridge.transfer.identity import IdentityTransfer

    loaded = []
    monkeypatch.setattr(IdentityTransfer, "load", lambda self, device=None: self in loaded or loaded.append(self))
    monkeypatch.setattr(IdentityTransfer, "unload", lambda self: self in loaded and loaded.remove(self))
    it = desk()
    it.ready()
    it.click("preview")
    it.wait(lambda: it.studio.num_previews)
    assert len(loaded) == 1
    held = []
    plain = IdentityTransfer.transfer
    monkeypatch.setattr(IdentityTransfer, "transfer", lambda *given: held.append(len(loaded)) or plain(*given))
    it.capture()
    assert held == [1] and loaded == []
    it.model.max_pending = 9
    count = len(it.studio.queue.runs)
    for more in (1, 2, 3):  # one after the other in line
        it.click("start")
        it.wait(lambda more=more: not it.model.busy and len(it.studio.queue.runs) == count + more)
    it.wait(lambda: not it.studio.queue.pending)
    assert held == [1] * 4 and loaded == []


def test_takes_that_wait_hold_the_next_start_back(desk, monkeypatch):
    from cosmos.bridge.transfer.identity import IdentityTransfer

    plain, go = IdentityTransfer.transfer, threading.Event()
    monkeypatch.setattr(IdentityTransfer, "transfer", lambda *given: go.wait(10) and plain(*given))
    it = desk()
    it.ready(num_frames=1)
    for count in (1, 2):
        it.click("start")
        it.wait(lambda count=count: len(it.studio.queue.runs) == count and not it.model.busy)
    it.machine.update(2)
    it.model.changed()
    assert it.text("why") == "2 takes wait for the model already; let one end, or cancel it."
    assert it.text("run:1:text") == "number 1 in line" and not it.widget("start").enabled
    it.click("run:1:cancel")
    it.machine.update(2)
    assert len(it.studio.queue.runs) == 1 and it.text("why") == "Ready."
    go.set()
    it.wait(lambda: not it.studio.queue.pending)


def test_least_score_rejects_what_the_critic_let_pass(desk, monkeypatch):
    from cosmos.bridge.critic.consistency import ConsistencyCritic

    judge = ConsistencyCritic.judge
    monkeypatch.setattr(ConsistencyCritic, "judge", lambda *given: replace(judge(*given), score=0.6))
    it = desk()
    it.ready(min_score=0.65, max_attempts=1)
    it.capture()
    (run,) = it.studio.queue.runs
    assert run.summary.rejected == 1
    (reason,) = [widget.text for widget in it.root._walk() if widget.name == "reason"][-1:]
    assert "The score 0.60 is below the wanted 0.65" in reason


def test_verdicts_are_looked_at_moment_by_moment(desk):
    it = desk()
    it.ready(num_frames=5)
    it.capture()
    out = it.studio.queue.runs[0].out / "clip_0000" / "preview"

    def shown():
        (row,) = it.widget("run:0:clip_0000:pictures")._children
        return [image._url for image in row._children]

    assert shown() == [str(out / "source_0002.jpg"), str(out / "augmented_0002.jpg")]
    it.put("run:0:clip_0000:moment", 4)
    assert shown() == [str(out / "source_0004.jpg"), str(out / "augmented_0004.jpg")]
    assert it.text("run:0:clip_0000:frame") == "frame 4"
    it.put("wipe", 1.0)
    it.click("run:0:clip_0000:wipe")
    (image,) = it.widget("picture")._children
    want = cv2.imread(str(out / "source_0004.jpg"))[..., ::-1]
    np.testing.assert_array_equal(image._provider._picture[..., :3], want)


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


def test_stop_ends_the_capture_and_keeps_what_is_there(desk):
    it = desk()
    it.ready(num_frames=500)
    it.click("start")
    it.wait(lambda: "frame 5 of 500" in it.text("why"))
    assert not it.widget("start").enabled and "Capture is at work" in it.widget("start").tooltip
    it.click("stop")
    it.wait(lambda: it.studio.queue.runs and not it.studio.queue.pending)
    assert it.studio.queue.runs[0].summary.accepted == 1


def test_rejected_results_carry_their_reasons(desk, monkeypatch):
    from cosmos.bridge.transfer.identity import IdentityTransfer

    plain = IdentityTransfer.transfer

    def blank(self, request, progress=None):
        result = plain(self, request, progress)
        result.rgb.zero_()
        return result

    monkeypatch.setattr(IdentityTransfer, "transfer", blank)
    it = desk()
    it.ready(max_attempts=1)
    it.capture()
    assert "0 of 1 accepted, 1 rejected" in it.text("run:0:text")
    badges = [widget.text for widget in it.root._walk() if widget.name == "badge_rejected"]
    reasons = [widget.text for widget in it.root._walk() if widget.name == "reason"]
    assert badges == ["rejected"] * 2 and reasons == verdict_texts(it.studio.queue.runs[0].out)[:3]


def test_faults_of_replicator_are_told_and_nothing_stays(desk, monkeypatch):
    it = desk()
    it.ready()
    it.machine.replicator.warm_up = 10_000  # a renderer that never gives a picture
    it.click("start")
    it.wait(lambda: it.text("message"))
    assert "no picture in 30 frames" in it.text("message")
    assert it.machine.replicator.products == {} and it.machine.replicator.attached == {} and not it.model.busy


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


def test_a_stage_that_closes_amid_a_capture_ends_it(desk):
    it = desk()
    it.ready(num_frames=500)
    it.click("start")
    it.wait(lambda: "frame 4 of 500" in it.text("why"))
    it.machine.context.close_stage()
    it.wait(lambda: not it.model.busy)
    assert it.text("why") == "Open a stage first." and it.machine.replicator.products == {}


def test_fifty_times_on_and_off_leave_nothing(kit):
    machine = kit("6.0", ui=True)
    threads, alive = threading.active_count(), machine.alive()
    for round in range(50):
        extension = machine.enable()
        machine.menu.click("Tools", "Replicator", "Cosmos Bridge")
        if round % 2:
            machine.update()
            extension.open_panel()
        machine.disable()
        assert (threading.active_count(), machine.alive()) == (threads, alive)
    assert Window.opened == [] and machine.menu.items == {"Tools": []} and machine.menu.actions == {}
    import omni.replicator.core as rep

    assert rep.WriterRegistry.get_writers() == {} and machine.problems() == []


def test_shutting_down_amid_a_capture_and_a_preview_ends_both(desk):
    it = desk()
    it.ready(num_frames=500)
    it.click("preview")
    it.wait(lambda: it.model.verdict or it.studio._preview)
    it.click("start")
    it.wait(lambda: "frame 3 of 500" in it.text("why"))
    it.machine.disable()
    it.machine.update(3)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cosmos-bridge")]
    assert it.machine.replicator.attached == {} and it.machine.replicator.products == {} and it.machine.alive() == 0


def test_a_headless_application_has_no_panel_and_needs_none(kit):
    machine = kit("5.1")
    machine.enable()
    assert machine.menu.items == {} and machine.problems() == []
