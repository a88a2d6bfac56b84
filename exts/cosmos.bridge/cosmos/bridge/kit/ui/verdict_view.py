"""Verdicts on the screen: a badge, why, and before and after side by side, moment by moment."""

from __future__ import annotations

from typing import Any

from cosmos.bridge.kit.ui.style import DIM, GAP, GREY, ROW, ink
from cosmos.bridge.kit.ui.verdicts import VerdictRow

MOST_REASONS = 3
"""Reasons that are shown; the report has all."""
PICTURE = 130
"""Height of the pictures [px]."""


class VerdictView:
    """One clip of a run."""

    def __init__(self, ui: Any, studio: Any, key: str, row: VerdictRow) -> None:
        """Draw into what is being built.

        Args:
            ui: Widgets.
            studio: Does what the buttons say.
            key: What makes the names of the widgets distinct.
            row: What is shown.
        """
        self._ui, self._studio, self._row, self._moment = ui, studio, row, len(row.moments) // 2
        with ui.HStack(height=ROW, spacing=GAP):
            ui.badge(row.badge)
            score = "" if row.score is None else f"{row.score:.2f}  "
            attempt = f", attempt {row.attempt}" if row.attempt > 1 else ""
            ui.Label(f"{score}{row.clip}  {row.camera}{attempt}", elided_text=True, tooltip=row.camera)
        for reason in row.reasons[:MOST_REASONS]:
            ui.say(reason, name="reason")
        more = len(row.reasons) - MOST_REASONS
        if more > 0:
            ui.say(f"{more} more; see the report.", style=dict(DIM))
        if row.unchecked:
            ui.say(f"Not checked: {' '.join(row.unchecked)}", style=ink(GREY), name="unchecked")
        if row.moments:
            self._draw_pictures(key)

    def _draw_pictures(self, key: str) -> None:
        ui, moments = self._ui, self._row.moments
        self._frame = ui.Frame(height=PICTURE, identifier=f"{key}:pictures")
        self.settle()
        with ui.HStack(height=ROW, spacing=GAP):
            self._told = ui.Label("", width=70, style=dict(DIM), identifier=f"{key}:frame")
            slider = ui.IntSlider(
                min=0, max=max(len(moments) - 1, 1), identifier=f"{key}:moment", tooltip="Which moment is shown"
            )
            slider.enabled = len(moments) > 1
            slider.model.set_value(self._moment)
            slider.model.add_value_changed_fn(lambda model: self._choose(model.get_value_as_int()))
            ui.button(
                "Under the wiper", f"{key}:wipe", self._compare, "Compare with the wiper above", width=110, height=ROW
            )
        self._tell()

    def settle(self) -> None:
        """Draw the two pictures of the moment."""
        ui, moment = self._ui, self._row.moments[self._moment]
        self._frame.clear()
        with self._frame, ui.HStack(spacing=GAP):
            ui.Image(str(moment.before), height=PICTURE)
            ui.Image(str(moment.after), height=PICTURE)

    def _choose(self, moment: int) -> None:
        self._moment = min(max(moment, 0), len(self._row.moments) - 1)
        self._tell()
        self.settle()

    def _tell(self) -> None:
        self._told.text = f"frame {self._row.moments[self._moment].frame}"

    def _compare(self) -> None:
        moment = self._row.moments[self._moment]
        self._studio.compare(moment.before, moment.after)


__all__ = ["MOST_REASONS", "PICTURE", "VerdictView"]
