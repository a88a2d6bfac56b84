"""Every control of the panel, found in the tree and not in a list, is used and must change the request or the state."""

import json
import threading

import pytest
from pxr import Usd, UsdGeom  # noqa: TID253

from kit.scene import CAMERAS

ACTIVE = ("Button", "CheckBox", "ComboBox", "FloatSlider", "IntSlider", "IntField", "StringField")
LAST = ("overlay", "reset", "load", "run:1:retry", "run:2:cancel", "clear", "selftest")
"""What takes others away, or sets them back, comes last."""


def controls(it):
    """Return identifier -> widget of everything that can be used now."""
    found = [widget for widget in it.root._walk() if type(widget).__name__ in ACTIVE and widget.enabled]
    assert all(widget.identifier for widget in found), [widget for widget in found if not widget.identifier]
    assert len({widget.identifier for widget in found}) == len(found)
    return {widget.identifier: widget for widget in found}


def use(it, identifier):
    """Do with a widget what a person does with it."""
    widget = it.widget(identifier)
    kind = type(widget).__name__
    if kind == "Button":
        widget._click()
    elif kind == "ComboBox":
        index = widget.model.get_item_value_model()
        index.set_value((index.get_value_as_int() + 1) % len(widget._items))
    elif kind == "CheckBox":
        widget.model.set_value(not widget.model.get_value_as_bool())
    elif kind == "StringField":
        widget.model.set_value(str(it.tmp_path / "panel.json") if identifier == "settings_file" else "something else")
    elif kind == "FloatSlider":
        widget.model.set_value(0.25 if widget.model.get_value_as_float() != 0.25 else 0.75)
    else:
        widget.model.set_value(widget.model.get_value_as_int() + 1)
    it.machine.update()


def seen(it, opened):
    """Return all that a control may change: state, request, stage, runs, clipboard, pictures, windows."""
    machine, studio, stage = it.machine, it.studio, it.machine.context.get_stage()
    overlay = machine.viewport._frames.get("cosmos.bridge.overlay")
    provider = studio.texture.provider if studio.texture is not None else None
    return (
        it.model.state,
        it.model.message,
        it.model.busy,
        it.model.verdict,
        it.widget("settings_file").model.get_value_as_string(),
        machine.clipboard.text,
        tuple((id(run), run.state) for run in studio.queue.runs),
        tuple(stage.GetSessionLayer().subLayerPaths),
        len(provider._uploads) if provider is not None else 0,
        len(overlay._children) if overlay is not None else 0,
        tuple(widget._url for widget in it.root._walk() if type(widget).__name__ == "Image"),
        tuple(opened),
        it.model.stage,
        it.studio._preview is not None,
    )


def fill(it, monkeypatch):
    """Bring the panel to a state where all there is can be used: a run that is done, one that failed, one at work."""
    from cosmos.bridge.errors import ModelError
    from cosmos.bridge.transfer.identity import IdentityTransfer

    plain, go, fail = IdentityTransfer.transfer, threading.Event(), threading.Event()

    def transfer(self, request, progress=None):
        if fail.is_set():
            raise ModelError("the model is out of order.")
        while not go.wait(0.005):
            progress("transfer", 1, 3)
        return plain(self, request, progress)

    monkeypatch.setattr(IdentityTransfer, "transfer", transfer)
    it.ready()
    it.put("class:crate", True)
    go.set()
    it.capture()
    fail.set()
    it.capture()
    fail.clear()
    go.clear()
    it.click("preview")
    it.wait(lambda: it.studio._preview is not None)
    go.set()
    it.wait(lambda: it.studio.num_previews)
    go.clear()
    it.click("start")
    it.wait(lambda: len(it.studio.queue.runs) == 3 and not it.model.busy)
    it.wait(lambda: "transfer" in it.text("run:2:text"))
    return go


@pytest.mark.parametrize("version", ["4.2", "6.2"])
def test_every_control_does_something(desk, monkeypatch, version):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or True)
    from cosmos.bridge.critic.registry import CRITICS

    monkeypatch.setitem(CRITICS, "second", CRITICS["consistency"])  # or there is nothing to choose
    it = desk(version)
    go = fill(it, monkeypatch)
    filled, idle = it.model.to_json(), []
    names = sorted(controls(it), key=lambda name: LAST.index(name) if name in LAST else -1)
    assert {"run:0:show", "run:0:bake", "run:0:open", *LAST} <= set(names) and len(names) > 50
    for name in names:
        it.model.take_plain(json.loads(filled))
        it.machine.update()
        it.model.message = ""
        if name == "load":
            (it.tmp_path / "panel.json").write_text('{"prompt": "from the file"}')
        if name == "refresh":
            stage = it.machine.context.get_stage()
            with Usd.EditContext(stage, stage.GetSessionLayer()):
                UsdGeom.Camera.Define(stage, "/World/New")
        if name == "selftest":
            go.set()  # it runs the line
        before = seen(it, opened)
        use(it, name)
        it.wait(lambda: not it.model.busy)
        if seen(it, opened) == before:
            idle.append(name)
    assert idle == [] and not it.machine.context.get_stage().GetRootLayer().dirty
    assert it.machine.problems() == []
    it.wait(lambda: not it.studio.queue.pending)


def test_stop_can_be_used_while_capture_is_at_work_and_then_only(desk):
    it = desk()
    it.ready(num_frames=500)
    assert "stop" not in controls(it) and "start" in controls(it)
    it.click("start")
    it.wait(lambda: "frame 2 of 500" in it.text("why"))
    assert "stop" in controls(it) and "start" not in controls(it)
    use(it, "stop")
    it.wait(lambda: not it.model.busy)
    assert "stop" not in controls(it)
    it.wait(lambda: not it.studio.queue.pending)


def test_a_row_of_a_class_can_be_used_once_it_has_weights_of_its_own(desk):
    it = desk()
    assert not {name for name in controls(it) if name.startswith("class:crate:")}
    use(it, "class:crate")
    assert len({name for name in controls(it) if name.startswith("class:crate:")}) == 4
    assert {f"camera:{camera}" for camera in CAMERAS} <= set(controls(it))
