"""One row a semantic class of the stage: its share of the picture, and weights of its own."""

from __future__ import annotations

from typing import Any

from cosmos.bridge.kit.ui.model import PanelModel
from cosmos.bridge.kit.ui.state import KINDS
from cosmos.bridge.kit.ui.style import AMBER, DIM, GAP, GREY, ROW, ink

MOST_ROWS = 8
"""Rows that are seen at once; the others are scrolled to."""
_OWN, _SHARE, _WEIGHT = 26, 48, 54


class ClassTable:
    """The rows; they are drawn anew by `settle` alone, so that no widget goes while it is held."""

    def __init__(self, ui: Any, model: PanelModel) -> None:
        """Make an empty place for the rows in what is being built.

        Args:
            ui: Widgets.
            model: What is shown and changed.
        """
        self._ui, self._model = ui, model
        self._frame = ui.VStack(spacing=2, height=0)
        self._sliders: dict[tuple[str, str], Any] = {}
        self._shares: dict[str, Any] = {}
        self._shown: Any = None
        self._quiet = False

    def update(self) -> None:
        """Bring the values to what the model says."""
        self._quiet = True
        try:
            for (label, kind), slider in self._sliders.items():
                own = self._model.state.classes.get(label)
                slider.enabled = own is not None
                slider.model.set_value(float(getattr(own if own is not None else self._model.state, kind)))
        finally:
            self._quiet = False
        for row in self._model.stage.classes:
            if row.label in self._shares:
                self._shares[row.label].text = "-" if row.share is None else f"{row.share:.1%}"

    def settle(self) -> None:
        """Draw the rows anew where there are others."""
        stage = self._model.stage
        shown = (stage.opened, tuple(row.label for row in stage.classes), frozenset(self._model.state.classes))
        if shown == self._shown:
            return
        self._shown, self._sliders, self._shares = shown, {}, {}
        self._frame.clear()
        with self._frame:
            if stage.classes:
                self._draw()
            elif stage.opened:
                self._ui.say("No semantic labels on the stage: weights act everywhere alike.", style=ink(AMBER))
            else:
                self._ui.say("The classes of the stage stand here once one is open.", style=dict(DIM))
        self.update()

    def _draw(self) -> None:
        own = self._model.state.classes
        rows = sorted(self._model.stage.classes, key=lambda row: row.label not in own)
        with self._ui.HStack(height=ROW - 4, spacing=GAP):
            self._ui.Label("own", width=_OWN, style=dict(DIM))
            self._ui.Label("class", style=dict(DIM))
            self._ui.Label("share", width=_SHARE, style=dict(DIM))
            for kind in KINDS:
                self._ui.Label(kind, width=_WEIGHT, style=dict(DIM))
            self._ui.Spacer(width=10)
        height = min(len(rows), MOST_ROWS) * (ROW + 2) + (ROW // 2 if len(rows) > MOST_ROWS else 0)
        with self._ui.ScrollingFrame(height=height), self._ui.VStack(spacing=2, height=0):
            for row in rows:
                self._draw_row(row.label)

    def _draw_row(self, label: str) -> None:
        own = self._model.state.classes.get(label)
        with self._ui.HStack(height=ROW, spacing=GAP):
            box = self._ui.CheckBox(width=_OWN, identifier=f"class:{label}", tooltip="Give it weights of its own")
            box.model.set_value(own is not None)
            box.model.add_value_changed_fn(lambda model: self._model.set_class(label, own=model.get_value_as_bool()))
            self._ui.Label(label, elided_text=True, tooltip=label)
            self._shares[label] = self._ui.Label(
                "-", width=_SHARE, identifier=f"share:{label}", style=ink(GREY), tooltip="Share of the picture"
            )
            for kind in KINDS:
                slider = self._ui.FloatSlider(
                    width=_WEIGHT, min=0.0, max=1.0, identifier=f"class:{label}:{kind}", enabled=own is not None
                )
                self._sliders[label, kind] = slider
                slider.model.set_value(float(getattr(own if own is not None else self._model.state, kind)))
                slider.model.add_value_changed_fn(lambda model, kind=kind: self._heard(label, kind, model))
            self._ui.Spacer(width=10)

    def _heard(self, label: str, kind: str, model: Any) -> None:
        if not self._quiet and label in self._model.state.classes:
            self._model.set_class(label, kind, round(min(max(model.get_value_as_float(), 0.0), 1.0), 3))


__all__ = ["MOST_ROWS", "ClassTable"]
