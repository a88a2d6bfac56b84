"""What the panel knows and decides; it needs no Kit, and tells whoever listens that something changed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.config import BridgeConfig
from cosmos.bridge.errors import BridgeError, ConfigError
from cosmos.bridge.jobs import JobState
from cosmos.bridge.kit.run_queue import QueuedRun
from cosmos.bridge.kit.script import writer_script
from cosmos.bridge.kit.ui.backends import BackendRow, backend_rows
from cosmos.bridge.kit.ui.state import KINDS, ClassWeights, PanelState
from cosmos.bridge.settings import from_plain, to_plain

BackendFinder = Callable[[int, tuple[int, int]], tuple[BackendRow, ...]]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassRow:
    """One semantic class of the stage."""

    label: str
    """The label."""
    share: Optional[float] = None
    """Share of the picture's pixels in the last preview; ``None`` before the first."""


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


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueRow:
    """One run as the panel lists it."""

    run: QueuedRun
    """The run."""
    text: str
    """Name, state, and what it does or why it ended."""
    share: float
    """Part that is done, in [0, 1]."""
    can_cancel: bool
    """Whether it can be cancelled."""
    can_retry: bool
    """Whether it can be tried again."""
    has_results: bool
    """Whether there is something to look at."""
    has_layer: bool
    """Whether there is something to lay over the stage."""


class PanelModel:
    """State, stage, messages and rows of the panel."""

    def __init__(self, state: Optional[PanelState] = None, *, find_backends: BackendFinder = backend_rows) -> None:
        self.state = state or PanelState()
        self.stage = StageView()
        self.busy, self.message = "", ""
        self.verdict = ""
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
        if (before.num_frames, before.height, before.width) != (
            self.state.num_frames,
            self.state.height,
            self.state.width,
        ):
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
        self.state = self.state.with_class(label, current if own else None)
        self.changed()

    def look(self, stage: StageView) -> None:
        """Take note of the stage; what it no longer has is no longer chosen."""
        known = {row.label: row.share for row in self.stage.classes}
        rows = tuple(
            row if row.share is not None else replace(row, share=known.get(row.label)) for row in stage.classes
        )
        self.stage = replace(stage, classes=rows)
        labels = {row.label for row in rows}
        self.state = replace(
            self.state,
            cameras=tuple(path for path in self.state.cameras if path in stage.cameras),
            classes={label: own for label, own in self.state.classes.items() if label in labels},
        )
        if not self.state.cameras and len(stage.cameras) == 1:
            self.state = replace(self.state, cameras=stage.cameras)
        self.changed()

    def say(self, message: str) -> None:
        """Show a sentence."""
        self.message = message
        self.changed()

    def work(self, busy: str) -> None:
        """Say what is being captured; empty when nothing is."""
        self.busy = busy
        self.changed()

    def share_out(self, shares: dict[str, float]) -> None:
        """Take note of how much of the picture each class covers; those with own weights come first, then by size."""
        rows = [replace(row, share=shares.get(row.label, 0.0)) for row in self.stage.classes]
        own = self.state.classes
        rows.sort(key=lambda row: (row.label not in own, -(row.share or 0.0)))
        self.stage = replace(self.stage, classes=tuple(rows))
        self.changed()

    def why_not(self) -> str:
        """Return why Start is disabled, in one sentence; empty where it is not."""
        state, stage = self.state, self.stage
        reasons = (
            (not stage.opened, "Open a stage first."),
            (not stage.cameras, "The stage has no camera; add one, then Refresh."),
            (not state.cameras, "Choose at least one camera."),
            (not state.whole_prompt, "Write a prompt, or choose a preset."),
            (not state.output_dir.strip(), "Choose an output folder."),
            (bool(self.busy), f"Capture is at work: {self.busy}."),
        )
        for is_so, sentence in reasons:
            if is_so:
                return sentence
        backend = next((row for row in self.backends if row.name == state.transfer), None)
        if backend is None:
            return f"There is no backend {state.transfer}."
        if not backend.fits:
            return f"{backend.name} does not fit: {backend.why}."
        try:
            self.config()
        except BridgeError as error:
            return str(error)
        return ""

    def why_not_preview(self) -> str:
        """Return why Preview is disabled; it needs no output folder."""
        if not self.state.output_dir.strip():
            return PanelModel.why_not(_with_folder(self))
        return self.why_not()

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
        sinks = self.state.sinks(saved=bool(self.stage.path))
        return {
            "output_dir": self.state.output_dir,
            "prompt": prompts[0],
            "num_frames": self.state.num_frames,
            **line,
            "sinks": sinks,
        }

    def script(self) -> str:
        """Return Python that does what Start does."""
        state = self.state
        lines = [writer_script(self.keywords(), state.cameras, (state.height, state.width))]
        lines.append(f"for _ in range({state.num_frames} + 1):  # the first frame after attaching is empty")
        lines.append("    await rep.orchestrator.step_async(delta_time=None, pause_timeline=False)")
        lines.append("writer.detach()")
        lines.append("await writer.flush_async()")
        return "\n".join(lines) + "\n"

    def command_line(self) -> str:
        """Return the command that does the same without Omniverse, drawn by the embedded renderer.

        Raises:
            ConfigError: If the stage was never saved, so that no command can find it.
        """
        if not self.stage.path:
            raise ConfigError("The stage was never saved, so no command can find it; save it first.")
        state, line = self.state, self.state.line()
        words = ["cosmos-bridge", "augment", self.stage.path]
        for camera in state.cameras:
            words += ["--camera", camera]
        words += ["--size", f"{state.height}x{state.width}", "--frames", f"0:{state.num_frames}"]
        words += ["--prompt", line["prompts"][0]]
        if "negative_prompt" in line:
            words += ["--negative-prompt", line["negative_prompt"]]
        words += ["--transfer", state.transfer, "--seed", str(state.seed), "--variants", str(state.variants)]
        for kind in KINDS:
            words += ["--set", f"weights.{kind}={line['weights'][kind]}"]
        if line["weights"].get("regions"):
            words += ["--set", f"weights.regions={_inline(line['weights']['regions'])}"]
        words += ["--set", f"retry.max_attempts={state.max_attempts}"]
        words += ["--set", f"sinks={_inline(state.sinks(saved=True))}", "--out", state.output_dir]
        return shlex.join(words)

    def started(self) -> None:
        """Take another seed for the next start, unless it is locked."""
        if not self.state.seed_locked:
            self.set(seed=self.state.seed + self.state.variants)

    def save(self, path: Path) -> None:
        """Write the state as JSON.

        Raises:
            ConfigError: If the file cannot be written.
        """
        try:
            path.write_text(json.dumps(to_plain(self.state), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written ({error.strerror}); choose another file.") from error
        self.say(f"Saved to {path}.")

    def load(self, path: Path) -> None:
        """Read a state that was saved; unknown keys are refused, as everywhere.

        Raises:
            ConfigError: If the file cannot be read, or a value is refused.
        """
        from cosmos.bridge.config import read_settings

        self.state = from_plain(PanelState, read_settings(path))
        self.backends = self._judge_backends()
        self.look(self.stage)
        self.say(f"Loaded {path}.")

    def reset(self) -> None:
        """Go back to the defaults; cameras that the stage has no choice of stay chosen."""
        self.state = PanelState()
        self.look(self.stage)

    def rows(self, runs: Iterable[QueuedRun]) -> tuple[QueueRow, ...]:
        """Return the rows of the queue."""
        return tuple(_row(run) for run in runs)

    def _judge_backends(self) -> tuple[BackendRow, ...]:
        return self._find_backends(self.state.num_frames, (self.state.height, self.state.width))


def _with_folder(model: PanelModel) -> PanelModel:
    """Return a model that differs by an output folder only."""
    other = PanelModel(replace(model.state, output_dir="preview"), find_backends=lambda *_: model.backends)
    other.stage, other.busy = model.stage, model.busy
    return other


def _row(run: QueuedRun) -> QueueRow:
    progress, state = run.progress, run.state
    share, told = 0.0, "waits"
    if state is JobState.RUNNING:
        clips = max(progress.clips_total, 1)
        inner = progress.done / progress.total if progress.total else 0.0
        share = min(1.0, (progress.clips_done + 0.9 * inner) / clips)
        left = "" if progress.eta is None else f", about {progress.eta:.0f} s left"
        told = f"{progress.stage or 'starts'} {progress.done}/{progress.total}"
        told += f", clip {progress.clips_done + 1}/{clips}{left}"
    elif run.summary is not None:
        share, summary = 1.0, run.summary
        told = f"{summary.accepted} of {summary.planned} accepted, {summary.rejected} rejected"
        told += f", {summary.failed} failed" if summary.failed else ""
    elif run.over:
        told = f"{state}: {run.error}"
    failed = state in (JobState.FAILED, JobState.CANCELLED) or bool(run.summary and not run.summary.complete)
    return QueueRow(
        run=run,
        text=f"{run.name}: {told}",
        share=share,
        can_cancel=not run.over,
        can_retry=run.over and failed and not (run.summary and run.summary.rejected == run.summary.planned),
        has_results=(run.out / "manifest.json").is_file(),
        has_layer=bool(run.summary and run.summary.accepted and run.summary.stage),
    )


def _inline(value: Any) -> str:
    """Write plain values as TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


__all__ = ["ClassRow", "PanelModel", "QueueRow", "StageView"]
