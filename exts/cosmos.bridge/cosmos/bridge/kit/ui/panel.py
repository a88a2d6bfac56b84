"""The panel's layout in plain omni.ui; every decision is the model's, every deed the studio's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.critic.registry import names as critic_names
from cosmos.bridge.errors import BridgeError
from cosmos.bridge.kit import compat
from cosmos.bridge.kit.run_queue import QueuedRun
from cosmos.bridge.kit.studio import Studio
from cosmos.bridge.kit.ui.class_table import ClassTable
from cosmos.bridge.kit.ui.fields import Fields
from cosmos.bridge.kit.ui.presets import PRESETS
from cosmos.bridge.kit.ui.queue_table import QueueTable
from cosmos.bridge.kit.ui.state import MEMORIES, PLACES
from cosmos.bridge.kit.ui.style import AMBER, DIM, GAP, GREEN, LABEL, RED, ROW, ink
from cosmos.bridge.kit.ui.widgets import Widgets

TITLE = "Cosmos Bridge"
"""Title of the window and of its menu entry."""
PICTURE = 240
"""Height of the preview [px]."""
_WEIGHTS = (
    ("edge", "Edges", "How strongly the outlines of the picture hold"),
    ("depth", "Depth", "How strongly the depth holds"),
    ("seg", "Segments", "How strongly the shapes of instances hold"),
    ("vis", "Looks", "How strongly the blurred picture holds; 1 keeps its looks"),
)


class Panel:
    """One window: Inputs, Controls, Prompt, Output, Run.

    Texts, values and what is enabled follow the model at once. Rows that come and go are drawn by `settle`, once an
    update of the application, so that no widget is destroyed amid its own callback.
    """

    def __init__(self, studio: Studio) -> None:
        """Build the window and look at the stage."""
        self._studio, self._model = studio, studio.model
        self.ui = Widgets()
        self.window = self.ui.Window(TITLE, width=480, height=960)
        self.window.deferred_dock_in("Property")
        self._fields = Fields(self.ui, self._model)
        self._parts: dict[str, Any] = {}
        self._shown_cameras: Any = None
        self._shown_preview = 0
        with self.window.frame, self.ui.ScrollingFrame(), self.ui.VStack(spacing=GAP, height=0):
            for title, build in (
                ("Inputs", self._inputs),
                ("Controls", self._controls),
                ("Prompt", self._prompt),
                ("Output", self._output),
                ("Run", self._run),
            ):
                with self.ui.CollapsableFrame(title, height=0), self.ui.VStack(spacing=GAP, height=0):
                    build()
        self._model.listen(self.update)
        self._subscription: Any = compat.on_update(self.settle)
        studio.refresh()
        self.settle()

    def update(self) -> None:
        """Bring texts, values and what is enabled to what the model says."""
        if self.window is None:
            return
        model, parts = self._model, self._parts
        self._fields.update()
        self._classes.update()
        self._queue.update()
        why, why_preview = model.why_not(), model.why_not_preview()
        parts["start"].enabled, parts["preview"].enabled = not why, not why_preview
        parts["start"].tooltip, parts["preview"].tooltip = why or "Capture, and run", why_preview or _PREVIEW_HINT
        parts["stop"].enabled = bool(model.busy)
        parts["why"].text = (model.busy and f"Capturing {model.busy}.") or why or "Ready."
        parts["why"].style = ink(AMBER if why and not model.busy else GREEN)
        for name, text in (("notes", "\n".join(model.notes())), ("message", model.message)):
            parts[name].text, parts[name].visible = text, bool(text)
        parts["verdict"].text = model.verdict or "No preview yet."
        parts["whole"].text = model.state.whole_prompt or "Nothing is said yet."
        parts["stage"].text = model.stage.path or ("never saved" if model.stage.opened else "none is open")
        backend = model.backend
        parts["backend_why"].text = f"{'fits' if backend.fits else 'does not fit'}: {backend.why}."
        parts["backend_why"].style = ink(GREEN if backend.fits else RED)

    def settle(self) -> None:
        """Draw the rows that came or went; called at every update of the application."""
        if self.window is None:
            return
        self._studio.watched = bool(self.window.visible)
        self._settle_cameras()
        self._classes.settle()
        self._queue.settle()
        texture = self._studio.texture
        if texture is not None and self._shown_preview != self._studio.num_previews:
            self._shown_preview = self._studio.num_previews
            self._parts["picture"].clear()
            fit = compat.need("omni.ui.IwpFillPolicy.IWP_PRESERVE_ASPECT_FIT")
            with self._parts["picture"]:
                self.ui.ImageWithProvider(texture.provider, fill_policy=fit, height=PICTURE)

    def close(self) -> None:
        """Take the window away; safe to call twice."""
        window, self.window, self._subscription = self.window, None, None
        self._studio.watched = False
        if window is not None:
            window.destroy()

    def _inputs(self) -> None:
        ui, fields = self.ui, self._fields
        with fields.row("Stage"):
            self._parts["stage"] = ui.Label("", elided_text=True, identifier="stage", style=dict(DIM))
            ui.button("Refresh", "refresh", self._studio.refresh, "Look at the stage again", width=64, height=ROW)
        with ui.HStack(height=0, spacing=GAP):
            ui.Label("Cameras", width=LABEL, height=ROW, tooltip="Each gets a clip of its own")
            self._parts["cameras"] = ui.VStack(spacing=2, height=0)
        with fields.row("Size [px]", "1280 x 704 is what Transfer likes best"):
            fields.number("width", "Width")
            ui.Label("x", width=8)
            fields.number("height", "Height")
            ui.Label("Frames", width=48, tooltip="93 is what Transfer likes best")
            fields.number("num_frames")

    def _controls(self) -> None:
        for kind, label, hint in _WEIGHTS:
            self._fields.slider(kind, label, hint)
        self.ui.Separator(height=5)
        with self.ui.HStack(height=ROW, spacing=GAP):
            self._fields.tick("live_shares", "Count the classes in sight", "In a small picture of the first camera")
        self._classes = ClassTable(self.ui, self._model)

    def _prompt(self) -> None:
        ui, fields = self.ui, self._fields
        fields.text("prompt", "Prompt", "What the results should look like", multiline=True)
        for group, names in PRESETS.items():
            with fields.row(group.capitalize(), f"Adds words about the {group}"):
                fields.choice(group, tuple(names), f"Adds words about the {group}")
        fields.text("negative_prompt", "Not", "What they should not look like; not every backend listens")
        with ui.HStack(height=0, spacing=GAP):
            ui.Label("Asks for", width=LABEL, height=ROW - 4, style=dict(DIM))
            self._parts["whole"] = ui.say(identifier="whole", style=dict(DIM))

    def _output(self) -> None:
        ui, fields = self.ui, self._fields
        fields.text("output_dir", "Folder", "Each take gets a folder of its own in it")
        with fields.row("Write"):
            fields.tick("write_stage", "Results layer", "A layer that can lie over the stage, removable in one step")
            fields.tick("write_report", "Report", "One HTML page with pictures, verdicts and reasons")
        with fields.row("Backend", "What makes the pictures"):
            fields.choice("transfer", tuple(row.name for row in self._model.backends), "What makes the pictures")
        with ui.HStack(height=0, spacing=GAP):
            ui.Spacer(width=LABEL)
            self._parts["backend_why"] = ui.say(identifier="backend_why")
        with fields.row("Model runs", "Where the model runs: in this process, or in one of its own"):
            fields.choice("placement", PLACES, "In this process, or in a worker: another device, another Python")
            ui.Label("GB", width=24, tooltip="Memory of the model's device, whose profile is taken")
            fields.choice("memory", MEMORIES, "Memory of the model's device [GB], whose profile is taken")
            fields.tick("fall_back", "fall back", "Take the next smaller profile when memory runs out")
        fields.text(
            "transfer_device", "Model device", "Of the model alone, such as cuda:1; empty takes that of the run"
        )
        fields.text(
            "worker_python", "Worker Python", "Of the worker, where the backend's packages are; empty takes Kit's own"
        )
        with fields.row("Seed"):
            fields.number("seed")
            fields.tick("seed_locked", "locked", "Every start takes the same seed")
            ui.Label("Variants", width=52, tooltip="Results a camera, each with a seed of its own")
            fields.number("variants")
        with fields.row("Critic", "Who says whether a result may be used"):
            fields.choice("critic", critic_names(), "Who says whether a result may be used")
            ui.Label("Attempts", width=56, tooltip="Tries a clip gets while the critic says no")
            fields.number("max_attempts")
        fields.slider("min_score", "Least score", "What scores less is rejected, and tried again")

    def _run(self) -> None:
        ui, studio = self.ui, self._studio
        with ui.HStack(height=ROW + 6, spacing=GAP):
            big: dict[str, Any] = {"height": ROW + 6}
            self._parts["preview"] = ui.button("Preview now", "preview", studio.preview, _PREVIEW_HINT, **big)
            self._parts["start"] = ui.button("Start", "start", studio.start, **big)
            self._parts["stop"] = ui.button("Stop", "stop", studio.stop, "End after the current frame", **big)
        self._parts["why"] = ui.say(identifier="why", name="status")
        self._parts["notes"] = ui.say(identifier="notes", name="notes", style=dict(DIM))
        self._parts["message"] = ui.say(identifier="message", name="message", style=ink(AMBER))
        self._preview_picture()
        ui.Separator(height=5)
        with ui.HStack(height=ROW, spacing=GAP):
            ui.Label("Runs")
            ui.button("Clear", "clear", studio.clear, "Take runs that are over off the list", width=64, height=ROW)
        self._queue = QueueTable(ui, studio, self._bake)
        with ui.HStack(height=ROW + 2, spacing=GAP):
            copy = self._copy
            ui.button("Copy as Python", "copy_python", lambda: copy(self._model.script), "For the Script Editor")
            ui.button("Copy as CLI", "copy_cli", lambda: copy(self._model.command_line), "Without Omniverse")
            ui.button("Self-test", "selftest", studio.selftest, "Ask this machine, calibrate depth and motion")
        with ui.HStack(height=ROW + 2, spacing=GAP):
            ui.Label("File", width=30, tooltip="JSON of these fields, or the layer to bake to")
            self._file = ui.StringField(identifier="settings_file", tooltip="JSON of these fields, or layer to bake to")
            ui.button("Save", "save", lambda: self._with_file(self._model.save), width=52)
            ui.button("Load", "load", lambda: self._with_file(self._model.load), width=52)
            ui.button("Reset", "reset", self._model.reset, width=52)

    def _preview_picture(self) -> None:
        ui, studio = self.ui, self._studio
        self._parts["picture"] = ui.Frame(height=0, identifier="picture")
        with ui.HStack(height=ROW, spacing=GAP):
            ui.Label("Before | after", width=LABEL)
            wiper = ui.FloatSlider(min=0.0, max=1.0, identifier="wipe", tooltip="Before left of it, after right")
            wiper.model.set_value(studio.wipe)
            wiper.model.add_value_changed_fn(
                lambda model: studio.set_wipe(min(max(model.get_value_as_float(), 0.0), 1.0))
            )
            ui.button("In viewport", "overlay", studio.toggle_overlay, "Lay it over the viewport", width=84, height=ROW)
        self._parts["verdict"] = ui.say(identifier="verdict", style=dict(DIM))

    def _settle_cameras(self) -> None:
        stage, chosen = self._model.stage, self._model.state.cameras
        if self._shown_cameras == (stage.opened, stage.cameras, chosen):
            return
        self._shown_cameras = (stage.opened, stage.cameras, chosen)
        frame = self._parts["cameras"]
        frame.clear()
        with frame:
            if not stage.cameras:
                words = "The stage has no camera." if stage.opened else "No stage is open."
                self.ui.say(words, style=ink(AMBER))
            for camera in stage.cameras:
                with self.ui.HStack(height=ROW, spacing=GAP):
                    box = self.ui.CheckBox(width=ROW, identifier=f"camera:{camera}")
                    box.model.set_value(camera in chosen)
                    box.model.add_value_changed_fn(
                        lambda model, camera=camera: self._model.set_camera(camera, model.get_value_as_bool())
                    )
                    self.ui.Label(camera, elided_text=True, tooltip=camera)

    def _bake(self, run: QueuedRun) -> None:
        target = self._file.model.get_value_as_string().strip()
        if not target.lower().endswith((".usda", ".usdc", ".usd")):
            self._model.say("Write the path of the layer to bake to, ending in .usda, into the file field first.")
            return
        self._studio.bake(run, target)

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


_PREVIEW_HINT = "One small frame of the first camera"


def open_panel(panel: Optional[Panel], studio: Studio) -> Panel:
    """Return the panel, shown; a new one where there is none."""
    if panel is None or panel.window is None:
        return Panel(studio)
    panel.window.visible = True
    return panel


__all__ = ["PICTURE", "TITLE", "Panel", "open_panel"]
