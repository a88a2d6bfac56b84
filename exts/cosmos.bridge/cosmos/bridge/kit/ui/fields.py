"""Widgets of single fields of the state; a change goes to the model, and what the model says comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cosmos.bridge.kit.ui.model import PanelModel
from cosmos.bridge.kit.ui.state import RANGES
from cosmos.bridge.kit.ui.style import GAP, LABEL, ROW


class Fields:
    """Every field that was added, bound to the model."""

    def __init__(self, ui: Any, model: PanelModel) -> None:
        self._ui, self._model = ui, model
        self._bound: list[Callable[[], None]] = []
        self._quiet = False

    def row(self, label: str, hint: str = "") -> Any:
        """Return a row that begins with a label; further widgets go into it."""
        stack = self._ui.HStack(height=ROW, spacing=GAP)
        with stack:
            self._ui.Label(label, width=LABEL, tooltip=hint)
        return stack

    def text(self, name: str, label: str, hint: str, *, multiline: bool = False) -> None:
        """Add a line, or several lines, of text."""
        with self._ui.HStack(height=3 * ROW if multiline else ROW, spacing=GAP):
            self._ui.Label(label, width=LABEL, tooltip=hint)
            widget = self._ui.StringField(identifier=name, tooltip=hint, multiline=multiline)
        self._bind(name, widget.model, "get_value_as_string")

    def number(self, name: str, hint: str = "") -> None:
        """Add a whole number; it may lie outside its range while it is typed, and then Start says so."""
        low, high = RANGES[name]
        widget = self._ui.IntField(identifier=name, tooltip=hint or f"{low} to {high}")
        self._bind(name, widget.model, "get_value_as_int")

    def slider(self, name: str, label: str, hint: str) -> None:
        """Add a number in [0, 1]."""
        with self.row(label, hint):
            widget = self._ui.FloatSlider(identifier=name, min=0.0, max=1.0, tooltip=hint)
        self._bind(name, widget.model, "get_value_as_float", lambda value: round(min(max(value, 0.0), 1.0), 3))

    def tick(self, name: str, label: str, hint: str) -> None:
        """Add a yes or no, with its label behind it."""
        widget = self._ui.CheckBox(identifier=name, tooltip=hint, width=ROW)
        self._ui.Label(label, tooltip=hint)
        self._bind(name, widget.model, "get_value_as_bool")

    def choice(self, name: str, options: tuple[str, ...], hint: str) -> None:
        """Add one of several."""
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


__all__ = ["Fields"]
