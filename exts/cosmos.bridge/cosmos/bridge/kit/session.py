"""A capture session: takes go in, each becomes a run of the one line, and capture pauses before memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.bridge import Bridge
from cosmos.bridge.config import BridgeConfig
from cosmos.bridge.errors import ConfigError, SourceError
from cosmos.bridge.jobs import StopSignal
from cosmos.bridge.kit.annotators import Calibration
from cosmos.bridge.kit.recorder import PATIENCE, LookAround, Recorder
from cosmos.bridge.kit.run_queue import QueuedRun, RunQueue
from cosmos.bridge.kit.take import Take
from cosmos.bridge.runs.folder import CONFIG_NAME
from cosmos.bridge.runs.summary import RunSummary
from cosmos.bridge.sinks.base import Sink
from cosmos.bridge.sinks.stage_facts import StageFacts
from cosmos.bridge.sources.opener import LIVE
from cosmos.bridge.transfer.registry import relights
from cosmos.bridge.types import Progress

GRACE = 16
"""Frames of a new take that are taken before capture is made to wait: those that the renderer had in flight."""
NOT_OURS = (
    "source",
    "out",
    "cameras",
    "frames",
    "size",
    "look",
    "lit_by",
    "untrusted",
    "quality",
    "samples",
    "denoise",
)
"""Settings of `BridgeConfig` that say what is drawn; inside Kit the render products say that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionSettings:
    """What decides a session."""

    output_dir: str
    """Folder of the takes; each gets ``take_0000`` and so on in it."""
    line: Mapping[str, Any]
    """Settings of `BridgeConfig` as in a config file, without those of the source: prompts, weights, transfer, ..."""
    num_frames: Optional[int] = None
    """Frames of a take; ``None`` cuts only where ``next_clip()`` or the end of generation says."""
    fps: Optional[float] = None
    """Frames a second; ``None`` measures them by the reference times."""
    first_take: int = 0
    """Number of the first take, >= 0."""
    max_pending: int = 2
    """Takes that may wait for the model, the one at work included, before capture pauses; >= 1."""
    calibration: Calibration = field(default_factory=Calibration)
    """What the self-test measured."""
    relight: bool = True
    """Whether a model that draws by the stage's light gets it, where the saved stage shows what was captured."""

    def __post_init__(self) -> None:
        if not self.output_dir:
            raise ConfigError("CosmosBridgeWriter needs output_dir, or a backend with one; say where results go.")
        if self.num_frames is not None and self.num_frames < 1:
            raise ConfigError(f"num_frames must be at least 1, got {self.num_frames}; leave it out for no limit.")
        if self.fps is not None and not 0.0 < self.fps < 100_000.0:
            raise ConfigError(f"fps must be a positive number, got {self.fps!r}; leave it out to measure it.")
        if self.first_take < 0:
            raise ConfigError(f"first_take must be at least 0, got {self.first_take}.")
        if self.max_pending < 1:
            raise ConfigError(f"max_pending must be at least 1, got {self.max_pending}.")
        foreign = sorted(set(NOT_OURS) & set(self.line))
        if foreign:
            raise ConfigError(
                f"CosmosBridgeWriter takes no {', '.join(foreign)}: cameras and sizes are those of its products, "
                "and the look is the stage's own."
            )
        if self.config_of("check", (), "check").offload.placement == "batch":
            raise ConfigError(
                "offload.placement 'batch' needs a source that another host can read, but frames that are captured "
                "live are gone by then; take 'here' or 'worker'."
            )

    def config_of(self, source: str, cameras: tuple[str, ...], take: str) -> BridgeConfig:
        """Return the config of a take.

        Raises:
            ConfigError: If a setting is unknown or refused.
        """
        out = str(Path(self.output_dir) / take)
        return BridgeConfig.from_mapping({**self.line, "source": source, "out": out, "cameras": list(cameras)})


class CaptureSession:
    """Captures takes and runs them. `record`, `next_clip` and `poll` belong to the main thread and never wait long."""

    def __init__(
        self,
        settings: SessionSettings,
        annotators: tuple[str, ...],
        look_around: LookAround,
        *,
        queue: RunQueue,
        command: str = "",
        hold: Callable[[], None] = lambda: None,
        release: Callable[[], None] = lambda: None,
        on_take: Optional[Callable[[Take], None]] = None,
        sink_of: Optional[Callable[[Take], Sink]] = None,
        keep_models: bool = True,
    ) -> None:
        """Start with nothing captured.

        Args:
            settings: What decides the session.
            annotators: Names of the annotators that count.
            look_around: Tells of the stage at the first frame of each take.
            queue: Where takes are run; the caller closes it.
            command: Words that reproduce a run, for its report.
            hold: Asks whoever makes frames to pause, since the model is behind.
            release: Lets them go on.
            on_take: Gets each take instead of the line, and nothing is written; for previews.
            keep_models: Whether the models stay loaded between takes; not where other sessions load their own.
            sink_of: Gives a further sink for a take, which gets every attempt at it.
        """
        self.settings, self.queue = settings, queue
        self._recorder = Recorder(
            annotators,
            look_around,
            calibration=settings.calibration,
            fps=settings.fps,
            device=settings.line.get("device"),
            first_take=settings.first_take,
            relight=settings.relight and relights(settings.config_of("check", (), "check").transfer),
        )
        self._command, self._hold, self._release, self._on_take = command, hold, release, on_take
        self._sink_of = sink_of
        self._bridge: Optional[Bridge] = None
        self._keep_models = keep_models
        self._runs: list[QueuedRun] = []
        self._told: set[int] = set()
        self.num_captured = 0
        self._held = False

    @property
    def runs(self) -> tuple[QueuedRun, ...]:
        """Runs of this session, in the order of their takes."""
        return tuple(self._runs)

    @property
    def held(self) -> bool:
        """Whether capture was asked to pause."""
        return self._held

    @property
    def num_open(self) -> int:
        """Frames in the take that is open."""
        return self._recorder.take.count if self._recorder.take is not None else 0

    @property
    def skipped(self) -> int:
        """Frames that came empty while the renderer warmed up."""
        return self._recorder.skipped

    def record(self, payload: Mapping[str, Any]) -> None:
        """Take one frame of every product.

        Raises:
            SourceError: If it cannot be used, or the model stays behind for too long; the take then fails as a whole.
        """
        take = self._recorder.take
        crowded = take is not None and take.count >= GRACE
        if take is not None and crowded and not self.queue.wait_below(self.settings.max_pending, PATIENCE):
            take.fault = take.fault or (
                f"{take.name} is not whole: {self.settings.max_pending} takes waited for the model; step no further "
                "until writer.ready, or raise max_pending."
            )
            raise SourceError(take.fault)
        take = self._recorder.record(payload)
        self.num_captured += take is not None
        if take is not None and self.settings.num_frames == take.count:
            self.next_clip()

    def next_clip(self) -> Optional[QueuedRun]:
        """Cut: what was captured since the last cut becomes a run; ``None`` where nothing was."""
        take = self._recorder.cut()
        if take is None:
            return None
        if self._on_take is not None:
            self._on_take(take)
            return None
        run = QueuedRun(take.name, Path(self.settings.output_dir) / take.name, self._work_of(take))
        self._runs.append(self.queue.add(run))
        if self.queue.pending >= self.settings.max_pending and not self._held:
            self._held = True
            self._hold()
        return run

    def poll(self) -> tuple[QueuedRun, ...]:
        """Let capture go on where there is room again; return the runs that ended since the last call."""
        if self._held and self.queue.pending < self.settings.max_pending:
            self._held = False
            self._release()
        over = tuple(run for run in self._runs if run.over and id(run) not in self._told)
        self._told.update(id(run) for run in over)
        return over

    def flush(
        self, pump: Optional[Callable[[], None]] = None, timeout: Optional[float] = None
    ) -> tuple[RunSummary, ...]:
        """Cut, and wait until every run of this session is over.

        Args:
            pump: Called again and again meanwhile, e.g. ``simulation_app.update``; nothing is when ``None``.
            timeout: Longest wait [s].

        Returns:
            What each run did, in order.

        Raises:
            TimeoutError: If a run is still at work after ``timeout``.
            BridgeError: What the first run that failed says.
        """
        import time

        self.next_clip()
        deadline = None if timeout is None else time.monotonic() + timeout
        while any(not run.over for run in self._runs):
            if pump is not None:
                pump()
            first = next((run for run in self._runs if not run.over), None)
            if first is not None:
                first.job.wait(0.02 if pump is not None else 0.2)
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"A take is still at work after {timeout:g} s; wait longer.")
        return tuple(run.job.result() for run in self._runs)

    def replace(self, old: QueuedRun, new: QueuedRun) -> None:
        """Count a run that is tried again in place of the one that failed."""
        self._runs[self._runs.index(old)] = new

    def close(self) -> None:
        """Cancel what is pending, end the threads, free the model and the pictures; safe to call twice."""
        self._recorder.close()
        for run in self._runs:
            if not run.over:
                self.queue.cancel(run, now=True)
        for run in self._runs:
            if not run.over and run.job.progress.seconds > 0.0:
                run.job.wait(PATIENCE)
        if self._bridge is not None:
            self._bridge.close()
            self._bridge = None
        if self._held:
            self._held = False
            self._release()

    def _bridge_of(self, config: BridgeConfig, take: Take, stage: Optional[StageFacts]) -> Bridge:
        """Return the line of a take; all takes share the models of the first, made on the thread that works."""
        sinks = () if self._sink_of is None else (self._sink_of(take),)
        parts: dict[str, Any] = {"open_source": take.source, "stage": stage, "sinks": sinks}
        if self._bridge is None:
            self._bridge = Bridge(config, **parts)
            return self._bridge
        return self._bridge.beside(config, **parts)

    def _work_of(self, take: Take) -> Callable[[Progress, StopSignal], RunSummary]:
        def work(progress: Progress, stop: StopSignal) -> RunSummary:
            while not take.wait(0.1):
                stop.check()
            stage = take.surroundings.stage
            config = self.settings.config_of(f"{LIVE}{stage.path}", take.cameras, take.name)
            bridge = self._bridge_of(config, take, stage if take.surroundings.saved else None)
            resume = (Path(config.out) / CONFIG_NAME).is_file()
            try:
                summary = bridge.augment(progress, stop, resume=resume, command=self._command)
            finally:
                take.put_out()
                if not self._keep_models:
                    bridge.close()
            if not summary.failed and not summary.remaining:
                take.forget()
            return summary

        return work


__all__ = ["GRACE", "NOT_OURS", "CaptureSession", "SessionSettings"]
