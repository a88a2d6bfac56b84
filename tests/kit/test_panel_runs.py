"""Runs of the panel, from Start to the verdict: captured, queued, cancelled, tried again, looked at."""

import json
import threading
import webbrowser
from dataclasses import replace

import cv2
import numpy as np

from cosmos.bridge.jobs import JobState
from kit.scene import CAMERAS, SIZE, write_scene


def verdict_texts(out):
    """What the critic said of the first clip, read from the record by hand."""
    (record,) = out.rglob("clip.json")
    findings = json.loads(record.read_text())["verdict"]["findings"]
    return [finding["text"] for finding in findings if finding["kind"] != "unchecked"]


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


def test_results_are_shown_baked_and_opened(desk, monkeypatch, tmp_path):
    it = desk(stage=write_scene(tmp_path / "own.usda"))  # baking changes its root layer, which others share by path
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


def test_a_stage_that_closes_amid_a_capture_ends_it(desk):
    it = desk()
    it.ready(num_frames=500)
    it.click("start")
    it.wait(lambda: "frame 4 of 500" in it.text("why"))
    it.machine.context.close_stage()
    it.wait(lambda: not it.model.busy)
    assert it.text("why") == "Open a stage first." and it.machine.replicator.products == {}


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
