"""The runs: badge, progress, time that is left, what can be done with each, and its verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cosmos.bridge.errors import BridgeError
from cosmos.bridge.kit.run_queue import QueuedRun
from cosmos.bridge.kit.ui.queue_rows import QueueRow
from cosmos.bridge.kit.ui.style import DIM, GAP, RED, ROW, ink
from cosmos.bridge.kit.ui.verdict_view import VerdictView
from cosmos.bridge.kit.ui.verdicts import verdict_rows


class QueueTable:
    """The rows; they are drawn anew by `settle` alone."""

    def __init__(self, ui: Any, studio: Any, bake: Callable[[QueuedRun], None]) -> None:
        """Make an empty place for the rows in what is being built.

        Args:
            ui: Widgets.
            studio: Does what the buttons say.
            bake: Asked to bake the results of a run.
        """
        self._ui, self._studio, self._bake = ui, studio, bake
        self._frame = ui.VStack(spacing=GAP, height=0)
        self._live: dict[int, tuple[Any, Any, Any]] = {}
        self._shown: Any = None

    def update(self) -> None:
        """Bring texts and bars to what the runs say."""
        for row in self._rows():
            if id(row.run) in self._live:
                text, bar, left = self._live[id(row.run)]
                text.text, left.text = row.text, row.left
                bar.model.set_value(row.share)

    def settle(self) -> None:
        """Draw the rows anew where another run, or another state of one, is to be shown."""
        rows = self._rows()
        shown = tuple((id(row.run), row.badge, row.can_retry, row.has_results, row.has_layer) for row in rows)
        if shown == self._shown:
            return
        self._shown, self._live = shown, {}
        self._frame.clear()
        with self._frame:
            if not rows:
                self._ui.say("Nothing was started yet.", style=dict(DIM))
            for index, row in enumerate(rows):
                self._draw(index, row)
                self._ui.Separator(height=5)

    def _rows(self) -> tuple[QueueRow, ...]:
        found: tuple[QueueRow, ...] = self._studio.model.rows(self._studio.queue.runs)
        return found

    def _draw(self, index: int, row: QueueRow) -> None:
        ui, run = self._ui, row.run
        with ui.HStack(height=0, spacing=GAP):
            ui.badge(row.badge)
            ui.Label(run.name, width=70, height=ROW)
            style = ink(RED) if row.badge == "failed" else {}
            text = ui.say(row.text, identifier=f"run:{index}:text", style=style, height=ROW)
        if row.can_cancel:
            with ui.HStack(height=ROW - 4, spacing=GAP):
                bar = ui.ProgressBar(height=ROW - 4, identifier=f"run:{index}:bar")
                left = ui.Label(row.left, width=170, style=dict(DIM), identifier=f"run:{index}:left")
            bar.model.set_value(row.share)
            self._live[id(run)] = text, bar, left
        self._draw_actions(index, row)
        if run.over and row.has_results:
            self._draw_verdicts(index, run)

    def _draw_actions(self, index: int, row: QueueRow) -> None:
        run, studio = row.run, self._studio
        actions = (
            ("Cancel", row.can_cancel, lambda: studio.cancel(run), "Stop at the next step; clips that are done stay"),
            ("Retry", row.can_retry, lambda: studio.retry(run), "With the frames that were captured"),
            ("Open folder", row.has_results, lambda: studio.open_folder(run), str(run.out)),
            ("Show on stage", row.has_layer, lambda: studio.show(run), "Under the session layer; Ctrl+Z undoes it"),
            ("Bake to layer...", row.has_layer, lambda: self._bake(run), "To the layer in the file field below"),
        )
        if not any(possible for _, possible, _, _ in actions):
            return
        with self._ui.HStack(height=ROW + 2, spacing=GAP):
            for text, possible, clicked, hint in actions:
                if possible:
                    self._ui.button(text, f"run:{index}:{text.split()[0].lower()}", clicked, hint)

    def _draw_verdicts(self, index: int, run: QueuedRun) -> None:
        try:
            for verdict in verdict_rows(run.out):
                VerdictView(self._ui, self._studio, f"run:{index}:{verdict.clip}", verdict)
        except BridgeError as error:
            self._ui.say(str(error), style=ink(RED))


__all__ = ["QueueTable"]
