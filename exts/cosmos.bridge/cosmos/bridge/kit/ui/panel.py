"""The panel's layout in plain omni.ui; every decision is the model's, every deed the studio's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.errors import BridgeError
from cosmos.bridge.kit import compat
from cosmos.bridge.kit.run_queue import QueuedRun
from cosmos.bridge.kit.studio import Studio
from cosmos.bridge.kit.ui.rows import ClassTable, Fields, QueueTable
from cosmos.bridge.kit.ui.state import KINDS, PRESETS

TITLE = "Cosmos Bridge"
"""Title of the window and of its menu entry."""
_WEIGHT_HINTS = {
    "edge": "How strongly the outlines of the picture hold",
    "depth": "How strongly the depth holds",
    "seg": "How strongly the shapes of instances hold",
    "vis": "1 keeps the looks of the picture",
}


class Panel:
    """One window: Inputs, Controls, Prompt, Output, Run."""

    def __init__(self, studio: Studio) -> None:
        """Build the window and look at the stage."""
        self._studio, self._model = studio, studio.model
        self.ui = _Ui()
        self.window = self.ui.Window(TITLE, width=460, height=900)
        self._fields = Fields(self.ui, self._model)
        self._parts: dict[str, Any] = {}
        self._shown_preview = 0
        with self.window.frame, self.ui.ScrollingFrame(), self.ui.VStack(spacing=4):
            for title, build in (
                ("Inputs", self._inputs),
                ("Controls", self._controls),
                ("Prompt", self._prompt),
                ("Output", self._output),
                ("Run", self._run),
            ):
                with self.ui.CollapsableFrame(title), self.ui.VStack(spacing=4):
                    build()
        self._model.listen(self.update)
        studio.refresh()

    def update(self) -> None:
        """Bring every widget to what the model says."""
        if self.window is None:
            return
        model, parts = self._model, self._parts
        self._fields.update()
        self._draw_cameras()
        self._classes.update()
        self._queue.update(self._studio.queue.runs)
        why, why_preview = model.why_not(), model.why_not_preview()
        parts["start"].enabled, parts["preview"].enabled = not why, not why_preview
        parts["start"].tooltip, parts["preview"].tooltip = why, why_preview
        parts["stop"].enabled = bool(model.busy)
        parts["why"].text = model.busy or why or "Ready."
        parts["message"].text = model.message
        parts["verdict"].text = model.verdict or "No preview yet."
        chosen = next((row for row in model.backends if row.name == model.state.transfer), None)
        parts["backend_why"].text = (
            "" if chosen is None else f"{'fits' if chosen.fits else 'does not fit'}: {chosen.why}"
        )
        texture = self._studio.texture
        if texture is not None and self._shown_preview != self._studio.num_previews:
            self._shown_preview = self._studio.num_previews
            parts["picture"].clear()
            fit = compat.need("omni.ui.IwpFillPolicy.IWP_PRESERVE_ASPECT_FIT")
            with parts["picture"]:
                self.ui.ImageWithProvider(texture.provider, fill_policy=fit, height=220)

    def close(self) -> None:
        """Take the window away; safe to call twice."""
        window, self.window = self.window, None
        if window is not None:
            window.destroy()

    def _inputs(self) -> None:
        with self.ui.HStack(height=22):
            self.ui.Label("Cameras", width=90, tooltip="Each gets a clip of its own")
            self._button("Refresh", "refresh", self._studio.refresh, "Look at the stage again")
        self._parts["cameras"] = self.ui.VStack(spacing=2)
        self._shown_cameras: Any = None
        self._fields.number("width", "Width [px]", 16, 4096)
        self._fields.number("height", "Height [px]", 16, 4096)
        self._fields.number("num_frames", "Frames", 1, 10_000, "93 is what Transfer likes best")

    def _controls(self) -> None:
        for kind in KINDS:
            self._fields.slider(kind, kind, _WEIGHT_HINTS[kind])
        self.ui.Label("Classes with weights of their own", height=22)
        self._classes = ClassTable(self.ui, self._model)

    def _prompt(self) -> None:
        self._fields.text("prompt", "Prompt", "What the results should look like", multiline=True)
        self._fields.text("negative_prompt", "Not", "What they should not look like; not every backend listens")
        for group, names in PRESETS.items():
            self._fields.choice(group, group.capitalize(), tuple(names), f"Adds words about the {group}")

    def _output(self) -> None:
        self._fields.text("output_dir", "Folder", "Each take gets a folder of its own in it")
        self._fields.tick("write_stage", "Results layer", "A layer that can lie over the stage, removable in one step")
        self._fields.tick("write_report", "Report", "One HTML page with pictures, verdicts and reasons")

    def _run(self) -> None:
        names = tuple(row.name for row in self._model.backends)
        self._fields.choice("transfer", "Backend", names, "What makes the pictures")
        self._parts["backend_why"] = self.ui.Label("", height=22, word_wrap=True, identifier="backend_why")
        self._fields.number("seed", "Seed", 0, 2**31 - 1)
        self._fields.tick("seed_locked", "Seed locked", "Every start takes the same seed")
        self._fields.number("variants", "Variants", 1, 100, "Results a camera, each with a seed of its own")
        self._fields.number("max_attempts", "Attempts", 1, 100, "Tries while the critic says no")
        with self.ui.HStack(height=28, spacing=4):
            self._parts["preview"] = self._button(
                "Preview now", "preview", self._studio.preview, "One small frame of the first camera"
            )
            self._parts["start"] = self._button("Start", "start", self._studio.start)
            self._parts["stop"] = self._button("Stop", "stop", self._studio.stop, "End after the current frame")
        self._parts["why"] = self.ui.Label("", height=22, word_wrap=True, identifier="why", name="status")
        self._parts["message"] = self.ui.Label("", height=22, word_wrap=True, identifier="message", name="message")
        self._preview_picture()
        self.ui.Label("Runs", height=22)
        self._queue = QueueTable(self.ui, self._studio, self._bake, self._show_picture)
        with self.ui.HStack(height=24, spacing=4):
            self._button("Copy as Python", "copy_python", lambda: self._copy(self._model.script))
            self._button("Copy as CLI", "copy_cli", lambda: self._copy(self._model.command_line))
            self._button("Self-test", "selftest", self._studio.selftest, "Ask this machine, calibrate depth and motion")
        with self.ui.HStack(height=24, spacing=4):
            self._file = self.ui.StringField(identifier="settings_file", tooltip="JSON file of these settings")
            self._button("Save", "save", lambda: self._with_file(self._model.save))
            self._button("Load", "load", lambda: self._with_file(self._model.load))
            self._button("Reset", "reset", self._model.reset)

    def _preview_picture(self) -> None:
        self._parts["picture"] = self.ui.Frame(height=220, identifier="picture")
        with self.ui.HStack(height=22, spacing=4):
            self.ui.Label("Before | after", width=90)
            wiper = self.ui.FloatSlider(min=0.0, max=1.0, identifier="wipe", tooltip="Before left of it, after right")
            wiper.model.set_value(self._studio.wipe)
            wiper.model.add_value_changed_fn(lambda model: self._studio.set_wipe(model.get_value_as_float()))
            self._button("In viewport", "overlay", self._studio.toggle_overlay, "Lay the preview over the viewport")
        self._parts["verdict"] = self.ui.Label("", height=22, word_wrap=True, identifier="verdict")

    def _draw_cameras(self) -> None:
        shown = (self._model.stage, self._model.state.cameras)
        if self._shown_cameras == shown:
            return
        self._shown_cameras = shown
        frame = self._parts["cameras"]
        frame.clear()
        with frame:
            if not self._model.stage.opened:
                self.ui.Label("No stage is open.", height=22)
            elif not self._model.stage.cameras:
                self.ui.Label("The stage has no camera.", height=22)
            for camera in self._model.stage.cameras:
                with self.ui.HStack(height=22):
                    box = self.ui.CheckBox(width=22, identifier=f"camera:{camera}")
                    box.model.set_value(camera in self._model.state.cameras)
                    box.model.add_value_changed_fn(
                        lambda model, camera=camera: self._model.set_camera(camera, model.get_value_as_bool())
                    )
                    self.ui.Label(camera)

    def _bake(self, run: QueuedRun) -> None:
        target = self._file.model.get_value_as_string().strip()
        if not target.lower().endswith((".usda", ".usdc", ".usd")):
            self._model.say("Write the path of the layer to bake to, ending in .usda, into the file field first.")
            return
        self._studio.bake(run, target)

    def _show_picture(self, path: Path) -> None:
        self._parts["picture"].clear()
        with self._parts["picture"]:
            self.ui.Image(str(path), height=220)

    def _copy(self, write: Callable[[], str]) -> None:
        copy = compat.find("omni.kit.clipboard.copy")
        try:
            text = write()
        except BridgeError as error:
            self._model.say(str(error))
            return
        if copy is None:
            compat.log(text)
            self._model.say("This application has no clipboard, so the text stands in the log.")
            return
        copy(text)
        self._model.say("Copied.")

    def _with_file(self, work: Callable[[Path], None]) -> None:
        path = self._file.model.get_value_as_string().strip()
        try:
            if not path:
                self._model.say("Write the path of a JSON file into the field first.")
            else:
                work(Path(path))
        except BridgeError as error:
            self._model.say(str(error))

    def _button(self, text: str, identifier: str, clicked: Callable[[], Any], tooltip: str = "") -> Any:
        return self.ui.Button(text, identifier=identifier, clicked_fn=clicked, tooltip=tooltip, height=24)


class _Ui:
    """The widgets of omni.ui that the panel uses, each looked up by name."""

    def __getattr__(self, name: str) -> Any:
        return compat.need(f"omni.ui.{name}")


def open_panel(panel: Optional[Panel], studio: Studio) -> Panel:
    """Return the panel, shown; a new one where there is none."""
    if panel is None or panel.window is None:
        return Panel(studio)
    panel.window.visible = True
    return panel


__all__ = ["TITLE", "Panel", "open_panel"]
