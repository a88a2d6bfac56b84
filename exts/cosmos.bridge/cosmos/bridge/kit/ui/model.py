"""What the panel knows and decides; it needs no Kit, and tells whoever listens that something changed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.config import BridgeConfig, read_settings
from cosmos.bridge.errors import BridgeError, ConfigError
from cosmos.bridge.kit.packages import missing_packages
from cosmos.bridge.kit.run_queue import QueuedRun
from cosmos.bridge.kit.ui.backends import BackendRow, backend_rows
from cosmos.bridge.kit.ui.presets import AS_IT_IS
from cosmos.bridge.kit.ui.queue_rows import QueueRow, queue_rows
from cosmos.bridge.kit.ui.state import KINDS, RANGES, ClassWeights, PanelState
from cosmos.bridge.kit.ui.words import as_command, as_python
from cosmos.bridge.settings import from_plain, to_plain

BackendFinder = Callable[[int, tuple[int, int], Optional[BridgeConfig]], tuple[BackendRow, ...]]

WARM_UP = 30
"""Frames that may come empty after attaching before capture gives up."""
_TAKE = re.compile(r"take_(\d+)")
_FITTING = ("num_frames", "height", "width", "negative_prompt", "classes", *KINDS, "offload")


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassRow:
    """One semantic class of the stage."""

    label: str
    """The label."""
    share: Optional[float] = None
    """Share of the picture's pixels, in [0, 1]; ``None`` before the first count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StageView:
    """What the panel shows of the open stage."""

    path: str = ""
    """File of the stage; empty while it was never saved."""
    opened: bool = False
    """Whether a stage is open."""
    cameras: tuple[str, ...] = ()
    """Prim paths of its cameras."""
    classes: tuple[ClassRow, ...] = ()
    """Its semantic classes."""


class PanelModel:
    """State, stage, messages and rows of the panel."""

    def __init__(self, state: Optional[PanelState] = None, *, find_backends: BackendFinder = backend_rows) -> None:
        """Start with a stage that is not there.

        Args:
            state: Fields; the defaults when ``None``.
            find_backends: Judges every backend for frames, height and width, and a config.
        """
        self.state = state or PanelState()
        self.stage = StageView()
        self.busy, self.message, self.verdict = "", "", ""
        self.pending, self.max_pending = 0, 2
        self._taken: dict[str, int] = {}
        self._find_backends = find_backends
        self._listeners: list[Callable[[], None]] = []
        self.backends = self._judge_backends()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call back after every change."""
        self._listeners.append(listener)

    def changed(self) -> None:
        """Tell the listeners."""
        for listener in list(self._listeners):
            listener()

    def set(self, **fields: Any) -> None:
        """Change fields of the state; a value that is refused leaves the state as it was and is told."""
        before = self.state
        try:
            self.state = replace(self.state, **fields)
        except ConfigError as error:
            self.say(str(error))
            return
        if any(getattr(before, name) != getattr(self.state, name) for name in _FITTING):
            self.backends = self._judge_backends()
        self.changed()

    def set_camera(self, camera: str, chosen: bool) -> None:
        """Choose a camera, or leave it out; cameras stay in the order of the stage."""
        wanted = {*self.state.cameras, camera} if chosen else set(self.state.cameras) - {camera}
        self.set(cameras=tuple(path for path in self.stage.cameras if path in wanted))

    def set_class(self, label: str, kind: Optional[str] = None, weight: float = 0.0, *, own: bool = True) -> None:
        """Give a class a weight of its own, or take all of its own away."""
        current = self.state.classes.get(label)
        if own and current is None:
            current = ClassWeights(**{name: getattr(self.state, name) for name in KINDS})
        if own and current is not None and kind is not None:
            current = replace(current, **{kind: weight})
        self.set(classes=self.state.with_class(label, current if own else None).classes)

    def look(self, stage: StageView) -> None:
        """Take note of the stage; what it no longer has is no longer chosen."""
        self.stage = stage
        labels = {row.label for row in stage.classes}
        cameras = tuple(path for path in self.state.cameras if path in stage.cameras)
        if not cameras and len(stage.cameras) == 1:
            cameras = stage.cameras
        self.set(cameras=cameras, classes={label: own for label, own in self.state.classes.items() if label in labels})

    def say(self, message: str) -> None:
        """Show a sentence."""
        self.message = message
        self.changed()

    def work(self, busy: str) -> None:
        """Say what is being captured; empty when nothing is."""
        self.busy = busy
        self.changed()

    def share_out(self, shares: Mapping[str, float]) -> None:
        """Take note of how much of the picture each class covers; the first count puts the largest first."""
        rows = [replace(row, share=shares.get(row.label, 0.0)) for row in self.stage.classes]
        if any(row.share is None for row in self.stage.classes):
            rows.sort(key=lambda row: -(row.share or 0.0))
        if tuple(rows) != self.stage.classes:
            self.stage = replace(self.stage, classes=tuple(rows))
            self.changed()

    def why_not(self) -> str:
        """Return why Start is disabled, in one sentence; empty where it is not."""
        state, stage = self.state, self.stage
        lacking = missing_packages()
        reasons = (
            (bool(lacking), lacking),
            (not stage.opened, "Open a stage first."),
            (not stage.cameras, "The stage has no camera; add one, then Refresh."),
            (not state.cameras, "Choose at least one camera."),
            (not state.whole_prompt, "Write a prompt, or choose a preset."),
            (not state.output_dir.strip(), "Choose an output folder."),
            (Path(state.output_dir).is_file(), f"{state.output_dir} is a file; choose a folder."),
            (bool(self.busy), f"Capture is at work: {self.busy}."),
            (
                self.pending >= self.max_pending,
                f"{self.pending} takes wait for the model already; let one end, or cancel it.",
            ),
        )
        for is_so, sentence in reasons:
            if is_so:
                return sentence
        for name, (low, high) in RANGES.items():
            if not low <= getattr(state, name) <= high:
                return f"{name} must lie in {low} to {high}, got {getattr(state, name)}."
        try:
            self.config()
        except BridgeError as error:
            return str(error)
        backend = self.backend
        return "" if backend.fits else f"{backend.name} does not fit: {backend.why}."

    def why_not_preview(self) -> str:
        """Return why Preview is disabled; it needs no output folder, and runs beside takes where the device allows."""
        if self.pending and self.backend.large:
            return f"{self.state.transfer} fills the device; preview when the takes are done."
        other = PanelModel(replace(self.state, output_dir="preview"), find_backends=lambda *_: self.backends)
        other.stage, other.busy = self.stage, self.busy
        return other.why_not()

    @property
    def backend(self) -> BackendRow:
        """The chosen backend."""
        chosen = next((row for row in self.backends if row.name == self.state.transfer), None)
        return chosen or BackendRow(name=self.state.transfer, fits=False, why="there is no such backend")

    def notes(self) -> tuple[str, ...]:
        """Return what a person should know before starting, one sentence each."""
        state, stage = self.state, self.stage
        chosen = state.material != AS_IT_IS
        hidden = [row.label for row in stage.classes if row.label in state.classes and row.share == 0.0]
        notes = (
            (
                stage.opened and bool(stage.cameras) and not stage.classes,
                "Nothing on the stage is labelled: weights act everywhere alike, and the critic cannot tell labels.",
            ),
            (
                state.write_stage and stage.opened and not stage.path,
                "The stage was never saved, so no results layer can lie over it.",
            ),
            (
                chosen and self.backend.reads not in ("everything", "nothing"),
                f"{state.transfer} reads {self.backend.reads}; words about material do not act.",
            ),
            (self.backend.reads == "nothing", f"{state.transfer} keeps the pictures as they are, for trying out."),
            (
                bool(hidden),
                f"Not in sight now: {', '.join(hidden)}; a class that no frame shows ends the run of that camera.",
            ),
        )
        return tuple(sentence for is_so, sentence in notes if is_so)

    def config(self, source: str = "check") -> BridgeConfig:
        """Return the config of the state.

        Raises:
            ConfigError: If a setting is refused.
        """
        state = self.state
        return BridgeConfig.from_mapping(
            {**state.line(), "source": source, "out": state.output_dir or "out", "cameras": list(state.cameras)}
        )

    def keywords(self) -> dict[str, Any]:
        """Return what the writer is initialised with."""
        line = self.state.line()
        prompts = line.pop("prompts")
        return {
            "output_dir": self.state.output_dir,
            "prompt": prompts[0],
            "num_frames": self.state.num_frames,
            "first_take": self.next_take(),
            **line,
            "sinks": self.state.sinks(saved=bool(self.stage.path)),
        }

    def next_take(self) -> int:
        """Return the number of the next take: one more than the folder holds, and than those that wait."""
        folder, least = Path(self.state.output_dir), self._taken.get(self.state.output_dir, 0)
        if not self.state.output_dir or not folder.is_dir():
            return least
        found = (_TAKE.fullmatch(item.name) for item in folder.iterdir())
        return max([least, *(int(match[1]) + 1 for match in found if match)])

    def script(self) -> str:
        """Return Python that does what Start does."""
        return as_python(self.state, self.keywords(), warm_up=WARM_UP)

    def command_line(self) -> str:
        """Return the command that does the same without Omniverse.

        Raises:
            ConfigError: If the stage was never saved, so that no command can find it.
        """
        if not self.stage.path:
            raise ConfigError("The stage was never saved, so no command can find it; save it first.")
        return as_command(self.state, self.stage.path)

    def started(self, folder: str, take: int) -> None:
        """Go on to the next take, with another seed unless it is locked.

        Args:
            folder: Output folder of the take that was captured.
            take: Its number.
        """
        self._taken[folder] = take + 1
        if not self.state.seed_locked:
            self.set(seed=self.state.seed + self.state.variants)

    def to_json(self) -> str:
        """Return the state as JSON."""
        return json.dumps(to_plain(self.state), indent=2, ensure_ascii=False) + "\n"

    def take_plain(self, plain: Mapping[str, Any]) -> None:
        """Take a state of plain values; unknown keys are refused, as everywhere.

        Raises:
            ConfigError: If a value is refused.
        """
        self.state = from_plain(PanelState, plain)
        self.backends = self._judge_backends()
        self.look(self.stage)

    def save(self, path: Path) -> None:
        """Write the state as JSON.

        Raises:
            ConfigError: If the file cannot be written.
        """
        try:
            path.write_text(self.to_json(), encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror}); choose another file.") from error
        self.say(f"Saved to {path}.")

    def load(self, path: Path) -> None:
        """Read a state that was saved.

        Raises:
            ConfigError: If the file cannot be read, or a value is refused.
        """
        self.take_plain(read_settings(path))
        self.say(f"Loaded {path}.")

    def reset(self) -> None:
        """Go back to the defaults; a stage's only camera is chosen again."""
        self.take_plain({})

    def rows(self, runs: Iterable[QueuedRun]) -> tuple[QueueRow, ...]:
        """Return the rows of the queue."""
        return queue_rows(runs)

    def _judge_backends(self) -> tuple[BackendRow, ...]:
        state = self.state
        try:
            config = replace(state, prompt=state.prompt.strip() or "check").line()
            asked = BridgeConfig.from_mapping({**config, "source": "check", "out": "check"})
        except BridgeError:  # what is refused is told by why_not, whatever the backend
            asked = None
        return self._find_backends(state.num_frames, (state.height, state.width), asked)


__all__ = ["WARM_UP", "ClassRow", "PanelModel", "StageView"]
