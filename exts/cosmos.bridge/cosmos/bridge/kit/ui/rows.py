"""Parts of the panel: fields bound to the state, the table of classes, the table of runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cosmos.bridge.kit.run_queue import QueuedRun
from cosmos.bridge.kit.ui.model import PanelModel
from cosmos.bridge.kit.ui.state import KINDS
from cosmos.bridge.kit.ui.verdict_view import VerdictRow, verdict_rows

_LABEL = 90
_ROW = 22
_TABLE = 180
"""Height of the table of classes [px]; it scrolls."""


class Fields:
    """Widgets of single fields of the state; a change goes to the model, and what the model says comes back."""

    def __init__(self, ui: Any, model: PanelModel) -> None:
        self._ui, self._model = ui, model
        self._bound: list[Callable[[], None]] = []
        self._quiet = False

    def text(self, name: str, label: str, hint: str, *, multiline: bool = False) -> None:
        """Add a line, or several lines, of text."""
        with self._ui.HStack(height=66 if multiline else _ROW):
            self._ui.Label(label, width=_LABEL, tooltip=hint)
            widget = self._ui.StringField(identifier=name, tooltip=hint, multiline=multiline)
        self._bind(name, widget.model, "get_value_as_string")

    def number(self, name: str, label: str, low: int, high: int, hint: str = "") -> None:
        """Add a whole number; what lies outside is put to the nearest end."""
        with self._ui.HStack(height=_ROW):
            self._ui.Label(label, width=_LABEL, tooltip=hint)
            widget = self._ui.IntField(identifier=name, tooltip=hint or f"{low} to {high}")
        self._bind(name, widget.model, "get_value_as_int", lambda value: min(max(value, low), high))

    def slider(self, name: str, label: str, hint: str) -> None:
        """Add a weight in [0, 1]."""
        with self._ui.HStack(height=_ROW):
            self._ui.Label(label, width=_LABEL, tooltip=hint)
            widget = self._ui.FloatSlider(identifier=name, min=0.0, max=1.0, tooltip=hint)
        self._bind(name, widget.model, "get_value_as_float", lambda value: round(min(max(value, 0.0), 1.0), 3))

    def tick(self, name: str, label: str, hint: str) -> None:
        """Add a yes or no."""
        with self._ui.HStack(height=_ROW):
            self._ui.Label(label, width=_LABEL, tooltip=hint)
            widget = self._ui.CheckBox(identifier=name, tooltip=hint, width=_ROW)
        self._bind(name, widget.model, "get_value_as_bool")

    def choice(self, name: str, label: str, options: tuple[str, ...], hint: str) -> None:
        """Add one of several."""
        with self._ui.HStack(height=_ROW):
            self._ui.Label(label, width=_LABEL, tooltip=hint)
            widget = self._ui.ComboBox(0, *options, identifier=name, tooltip=hint)
        index = widget.model.get_item_value_model()
        self._bind(name, index, "get_value_as_int", lambda at: options[at], options.index)

    def update(self) -> None:
        """Show what the state says."""
        self._quiet = True
        try:
            for show in self._bound:
                show()
        finally:
            self._quiet = False

    def _bind(
        self,
        name: str,
        value: Any,
        getter: str,
        inward: Callable[[Any], Any] = lambda value: value,
        outward: Callable[[Any], Any] = lambda value: value,
    ) -> None:
        def heard(changed: Any) -> None:
            if not self._quiet:
                self._model.set(**{name: inward(getattr(changed, getter)())})

        value.add_value_changed_fn(heard)
        self._bound.append(lambda: value.set_value(outward(getattr(self._model.state, name))))


class ClassTable:
    """One row a semantic class: share of the picture, and weights of its own."""

    def __init__(self, ui: Any, model: PanelModel) -> None:
        self._ui, self._model = ui, model
        with ui.ScrollingFrame(height=_TABLE):
            self._frame = ui.VStack(spacing=2)
        self._sliders: dict[tuple[str, str], Any] = {}
        self._shown: Any = None
        self._quiet = False

    def update(self) -> None:
        """Draw the rows anew where other rows are there; a slider that is held stays as it is."""
        self._draw_rows()
        self._quiet = True
        try:
            for (label, kind), slider in self._sliders.items():
                own = self._model.state.classes.get(label)
                slider.model.set_value(float(getattr(own if own is not None else self._model.state, kind)))
        finally:
            self._quiet = False

    def _draw_rows(self) -> None:
        shown = (self._model.stage.opened, self._model.stage.classes, frozenset(self._model.state.classes))
        if shown == self._shown:
            return
        self._sliders = {}
        self._shown = shown
        self._frame.clear()
        with self._frame:
            if not self._model.stage.classes:
                self._ui.Label(
                    "No semantic labels on the stage: weights act everywhere alike.", height=_ROW, word_wrap=True
                )
                return
            with self._ui.HStack(height=_ROW):
                for text, width in (("own", 34), ("class", 120), ("share", 50), *((kind, 54) for kind in KINDS)):
                    self._ui.Label(text, width=width)
            for row in self._model.stage.classes:
                self._row(row.label, "-" if row.share is None else f"{row.share:.1%}")

    def _row(self, label: str, share: str) -> None:
        own = self._model.state.classes.get(label)
        with self._ui.HStack(height=_ROW):
            box = self._ui.CheckBox(width=34, identifier=f"class:{label}", tooltip="Give it weights of its own")
            box.model.set_value(own is not None)
            box.model.add_value_changed_fn(lambda model: self._model.set_class(label, own=model.get_value_as_bool()))
            self._ui.Label(label, width=120)
            self._ui.Label(share, width=50, tooltip="Share of the picture in the last preview")
            for kind in KINDS:
                slider = self._ui.FloatSlider(
                    width=54, min=0.0, max=1.0, identifier=f"class:{label}:{kind}", enabled=own is not None
                )
                self._sliders[label, kind] = slider
                slider.model.set_value(float(getattr(own if own is not None else self._model.state, kind)))
                slider.model.add_value_changed_fn(lambda model, kind=kind: self._heard(label, kind, model))

    def _heard(self, label: str, kind: str, model: Any) -> None:
        if not self._quiet:
            self._model.set_class(label, kind, round(model.get_value_as_float(), 3))


class QueueTable:
    """One row a run, with what can be done with it, and its verdicts."""

    def __init__(
        self, ui: Any, studio: Any, bake: Callable[[QueuedRun], None], show_picture: Callable[[Path], None]
    ) -> None:
        self._ui, self._studio, self._bake, self._show_picture = ui, studio, bake, show_picture
        self._frame = ui.VStack(spacing=4)
        self._bars: list[tuple[Any, Any]] = []
        self._shown: Any = None

    def update(self, runs: tuple[QueuedRun, ...]) -> None:
        """Draw the rows; only texts and bars change while a run is at work."""
        rows = self._studio.model.rows(runs)
        shape = tuple((id(row.run), row.can_cancel, row.can_retry, row.has_results) for row in rows)
        if shape != self._shown:
            self._shown, self._bars = shape, []
            self._frame.clear()
            with self._frame:
                if not rows:
                    self._ui.Label("Nothing was started yet.", height=_ROW)
                for index, row in enumerate(rows):
                    self._draw(index, row)
        for (label, bar), row in zip(self._bars, rows, strict=True):
            label.text = row.text
            bar.model.set_value(row.share)

    def _draw(self, index: int, row: Any) -> None:
        label = self._ui.Label(row.text, height=_ROW, word_wrap=True, identifier=f"run:{index}:text")
        bar = self._ui.ProgressBar(height=14)
        self._bars.append((label, bar))
        run, studio = row.run, self._studio
        actions = [
            ("Cancel", row.can_cancel, lambda: studio.cancel(run)),
            ("Retry", row.can_retry, lambda: studio.retry(run)),
            ("Open folder", row.has_results, lambda: open_folder(run.out)),
            ("Show on stage", row.has_layer, lambda: studio.show(run)),
            ("Bake to layer...", row.has_layer, lambda: self._bake(run)),
        ]
        with self._ui.HStack(height=24, spacing=4):
            for text, possible, clicked in actions:
                if possible:
                    name = f"run:{index}:{text.split()[0].lower()}"
                    self._ui.Button(text, identifier=name, clicked_fn=clicked, height=24)
        if row.has_results and run.over:
            for verdict in verdict_rows(run.out):
                self._verdict(index, verdict)

    def _verdict(self, index: int, row: VerdictRow) -> None:
        score = "" if row.score is None else f" {row.score:.2f}"
        with self._ui.HStack(height=_ROW):
            self._ui.Label(f"{row.badge}{score}", width=_LABEL, name=f"badge_{row.badge}")
            self._ui.Label(f"{row.clip} {row.camera}", width=180)
        for reason in row.reasons[:3]:
            self._ui.Label(reason, height=_ROW, word_wrap=True, name="reason")
        picture = row.picture
        if picture is not None:
            with self._ui.HStack(height=24):
                self._ui.Button(
                    "Side by side",
                    identifier=f"run:{index}:picture:{row.clip}",
                    clicked_fn=lambda: self._show_picture(picture),
                    height=24,
                    tooltip=str(picture),
                )


def open_folder(folder: Path) -> None:
    """Open a folder in the file browser of the desktop."""
    if sys.platform == "win32":
        os.startfile(folder)
    else:
        subprocess.Popen(["open" if sys.platform == "darwin" else "xdg-open", str(folder)])


__all__ = ["ClassTable", "Fields", "QueueTable", "open_folder"]
