"""``CosmosBridgeWriter``: a Replicator writer whose frames go into the line, not into files for another machine."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

from cosmos.bridge import __version__
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.jobs import JobState
from cosmos.bridge.kit import compat
from cosmos.bridge.kit.annotators import wanted_annotators
from cosmos.bridge.kit.packages import missing_packages
from cosmos.bridge.kit.run_queue import QueuedRun, RunQueue
from cosmos.bridge.kit.script import writer_script
from cosmos.bridge.kit.session import CaptureSession, SessionSettings
from cosmos.bridge.kit.settings import read_settings
from cosmos.bridge.kit.take import UNSAVED, Surroundings, Take
from cosmos.bridge.runs.summary import RunSummary
from cosmos.bridge.sinks.base import Sink
from cosmos.bridge.sinks.stage_facts import StageFacts
from cosmos.bridge.sources.open_layers import OpenLayers

LIVE: weakref.WeakSet[Any] = weakref.WeakSet()
"""Writers that were initialised and are not closed."""


class CosmosBridgeWriter(compat.need("omni.replicator.core.Writer")):  # type: ignore[misc]
    """Captures takes of one or several render products and runs each through the line, in a worker.

    Replicator calls ``write()`` on the main thread: frames are copied there, and nothing more. Conversion, the model
    and the files are the business of worker threads; ``on_final_frame``, ``next_clip`` and ``poll`` only hand over.
    """

    _paused_at: Optional[float]

    def __init__(
        self,
        output_dir: Optional[str] = None,
        backend: Any = None,
        segmentation_mapping: Optional[Mapping[str, Any]] = None,
        use_instance_id: bool = True,
        canny_threshold_low: Optional[float] = None,
        canny_threshold_high: Optional[float] = None,
        *,
        prompt: Any = None,
        num_frames: Optional[int] = None,
        fps: Optional[float] = None,
        first_take: int = 0,
        max_pending: Optional[int] = None,
        relight: bool = True,
        on_run: Optional[Callable[[QueuedRun], None]] = None,
        on_take: Optional[Callable[[Take], None]] = None,
        sink_of: Optional[Callable[[Take], Sink]] = None,
        queue: Optional[RunQueue] = None,
        **line: Any,
    ) -> None:
        """Initialise; Replicator calls this through ``initialize()``, and may do so again on the same object.

        Args:
            output_dir: Folder of the takes; ignored when a backend is given, as CosmosWriter has it.
            backend: A Replicator backend on a local disk; its ``output_dir`` counts, and it gets Replicator's metadata.
            segmentation_mapping: Label -> ``(r, g, b, a)`` or id: colours of ``seg``; labelled prims are instances.
            use_instance_id: Whether instances are leaf prims, labelled or not; else the deepest labelled prims.
            canny_threshold_low: Gradient above which a line of ``edge`` goes on; as ``medium`` when both are ``None``.
            canny_threshold_high: Gradient above which a line starts.
            prompt: What results should look like: one text, several, or a name for each text.
            num_frames: Frames of a take; ``None`` cuts at ``next_clip()`` and at the end of generation.
            fps: Frames a second; ``None`` measures them.
            first_take: Number of the first take, for a folder that holds some already.
            max_pending: Takes that may wait for the model before capture pauses; the setting when ``None``.
            relight: Whether a model that draws by the stage's light gets it, where the saved stage shows the same.
            on_run: Called on the main thread with each run that ended.
            on_take: Gets each take instead of the line, and nothing is written: for previews.
            sink_of: Gives a further sink for a take, which gets every attempt at it, on the thread that works.
            queue: Where takes are run, for several writers in a row; the writer's own when ``None``.
            **line: Any other setting of ``BridgeConfig``, as in a config file: ``weights``, ``transfer``, ``critic``,
                ``sinks``, ``seed``, ``variants``, ``retry``, ``device``, ``controls``, ...

        Raises:
            ConfigError: If a setting is unknown, missing or wrong, or packages that write results are not installed.
        """
        self.close()
        _check_packages()
        given = {name: value for name, value in locals().items() if name in _KEYWORDS and value is not None}
        self.version, self.backend = __version__, backend
        self.data_structure, self._frame_id = "renderProduct", 0
        wanted = wanted_annotators(use_instance_id=use_instance_id and not segmentation_mapping)
        settings = read_settings()
        session_settings = SessionSettings(
            output_dir=_folder_of(output_dir, backend),
            line=_line_of(prompt, segmentation_mapping, (canny_threshold_low, canny_threshold_high), line),
            num_frames=num_frames,
            fps=fps,
            first_take=first_take,
            max_pending=settings.max_pending if max_pending is None else max_pending,
            calibration=settings.calibration,
            relight=relight,
        )
        self.annotators = compat.get_annotators(wanted, "cuda" if _renders_for_cuda(line.get("device")) else "cpu")
        self._queue, self._owns_queue = queue or RunQueue(), queue is None
        self._session = CaptureSession(
            session_settings,
            tuple(request.name for request in wanted),
            _look_around,
            queue=self._queue,
            command=writer_script({**given, **line}),
            hold=self._hold,
            release=self._release,
            on_take=on_take,
            keep_models=queue is None,
            sink_of=sink_of,
        )
        self._on_run, self._paused_at = on_run, None
        self._subscriptions = [compat.on_update(self.poll), compat.on_stage_closing(self._cut)]
        LIVE.add(self)

    @property
    def runs(self) -> tuple[QueuedRun, ...]:
        """Runs of this writer, one a take."""
        return self._session.runs

    @property
    def num_captured(self) -> int:
        """Frames captured since ``initialize()``, over all takes; empty ones do not count."""
        return self._session.num_captured

    @property
    def ready(self) -> bool:
        """Whether the next frame can be captured without waiting for the model."""
        return self._queue.pending < self._session.settings.max_pending

    def write(self, data: Mapping[str, Any]) -> None:
        """Copy one frame of every render product; Replicator calls this on the main thread.

        Raises:
            SourceError: If it cannot be used; the take then fails as a whole and says why.
        """
        self._session.record(data)
        self._frame_id = self._session.num_open

    def next_clip(self) -> Optional[QueuedRun]:
        """Cut: hand what was captured to the worker and begin the next take; ``None`` where nothing was captured."""
        self._frame_id = 0
        return self._session.next_clip()

    def on_final_frame(self) -> None:
        """Cut; Replicator calls this once a product when generation stops, and only the first call finds work."""
        self.next_clip()

    def poll(self) -> None:
        """Tell of runs that ended and let capture go on; called at every update of the application."""
        for run in self._session.poll():
            if run.state is JobState.DONE:
                compat.log(f"{run.name}: {_told(run.job.result())}")
            else:
                compat.warn(f"{run.name} {run.state}: {run.error}")
            if self._on_run is not None:
                self._on_run(run)

    def flush(
        self, pump: Optional[Callable[[], None]] = None, timeout: Optional[float] = None
    ) -> tuple[RunSummary, ...]:
        """Cut, and wait until every take is written; call it before a script ends, for Kit may end without a goodbye.

        Args:
            pump: Called again and again meanwhile; give ``simulation_app.update``, or Kit's hang detector wakes after
                two minutes.
            timeout: Longest wait [s].

        Returns:
            What each take's run did.

        Raises:
            BridgeError: What the first run that failed says.
            TimeoutError: If a run is still at work after ``timeout``.
        """
        try:
            return self._session.flush(pump, timeout)
        finally:
            self.poll()

    async def flush_async(self) -> tuple[RunSummary, ...]:
        """Cut, and wait until every take is written, while the application goes on; see `flush`."""
        self._session.next_clip()
        app = compat.need("omni.kit.app.get_app")()
        while any(not run.over for run in self._session.runs):
            await app.next_update_async()
        self.poll()
        return tuple(run.job.result() for run in self._session.runs)

    def wait_until_ready(self, pump: Optional[Callable[[], None]] = None) -> None:
        """Wait until there is room for another take; call it between takes in a script.

        Args:
            pump: Called again and again meanwhile, e.g. ``simulation_app.update``.
        """
        while not self._queue.wait_below(self._session.settings.max_pending, 0.02 if pump is not None else 0.5):
            if pump is not None:
                pump()
        self.poll()

    def replace_run(self, old: QueuedRun, new: QueuedRun) -> None:
        """Count a run that is tried again in place of the one that ended badly."""
        self._session.replace(old, new)

    def cancel(self, *, now: bool = False) -> None:
        """Stop the runs: those that wait are dropped, the one at work ends after its clip, or ``now``."""
        for run in self._session.runs:
            if not run.over:
                self._queue.cancel(run, now=now)

    def detach(self) -> None:
        """Cut, and take the writer off its render products; what was captured is still written."""
        self._cut()
        super().detach()

    def close(self) -> None:
        """Cancel what is pending and end every thread and subscription; safe to call at any time, and twice."""
        session, self._subscriptions = self.__dict__.pop("_session", None), []
        if session is None:
            return
        lost = [run.name for run in session.runs if not run.over and run in self._queue.runs]
        session.close()
        if self._owns_queue and not self._queue.close():
            compat.warn("A run did not end in time; it is at work in a daemon thread still.")
        if lost:
            compat.warn(f"Closed before they were written: {', '.join(lost)}; call flush() first to keep them.")
        LIVE.discard(self)

    def _cut(self) -> None:
        if "_session" in self.__dict__:
            self.next_clip()

    def _hold(self) -> None:
        timeline = compat.timeline()
        self._paused_at = None
        if timeline.is_playing():
            timeline.pause()
            self._paused_at = float(timeline.get_current_time())
        compat.log("Capture pauses until the model has caught up.")

    def _release(self) -> None:
        timeline, paused_at, self._paused_at = compat.timeline(), self._paused_at, None
        if paused_at is not None and not timeline.is_playing() and timeline.get_current_time() == paused_at:
            timeline.play()  # unless somebody stopped or moved it meanwhile


_KEYWORDS = ("output_dir", "segmentation_mapping", "use_instance_id", "canny_threshold_low", "canny_threshold_high",
             "prompt", "num_frames", "fps", "first_take", "max_pending", "relight")  # fmt: skip


def close_all() -> None:
    """Close every writer that was initialised and is not closed."""
    for writer in list(LIVE):
        writer.close()


def _check_packages() -> None:
    lacking = missing_packages()
    if lacking:
        raise ConfigError(lacking)


def _folder_of(output_dir: Optional[str], backend: Any) -> str:
    if backend is None:
        return output_dir or ""
    folder = getattr(backend, "output_dir", None)
    if not folder or "://" in str(folder):
        raise ConfigError(
            f"The backend {type(backend).__name__} has no folder on a local disk; leave it out and give output_dir."
        )
    return str(folder)


def _line_of(
    prompt: Any,
    mapping: Optional[Mapping[str, Any]],
    canny: tuple[Optional[float], Optional[float]],
    line: Mapping[str, Any],
) -> dict[str, Any]:
    """Return settings of BridgeConfig for the keywords that CosmosWriter has, laid over the others."""
    if prompt is None and "prompts" not in line:
        raise ConfigError("CosmosBridgeWriter needs prompt=...; say what the results should look like.")
    made = dict(line) if prompt is None else {**line, "prompts": prompt}
    controls = {key: dict(value) for key, value in dict(made.get("controls") or {}).items()}
    if canny != (None, None):
        if None in canny:
            raise ConfigError("canny_threshold_low and canny_threshold_high go together; give both, or neither.")
        controls["edge"] = {**controls.get("edge", {}), "low": float(canny[0] or 0.0), "high": float(canny[1] or 0.0)}
    if mapping:
        colors = {str(label): _color(label, value) for label, value in mapping.items()}
        controls["seg"] = {**controls.get("seg", {}), "mapping": colors}
    return {**made, "controls": controls} if controls else made


def _color(label: str, value: Any) -> list[int]:
    """Return the colour of a mapping's value: ``(r, g, b, a)``, or an id, whose bytes are the colour."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32:
        return [value >> shift & 255 for shift in (0, 8, 16)]
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) in (3, 4):
        return [int(part) for part in value[:3]]
    raise ConfigError(f"segmentation_mapping of {label!r} must be an id or (r, g, b, a), got {value!r}.")


def _renders_for_cuda(device: Optional[str]) -> bool:
    """Return whether annotators can stay where they were rendered."""
    import warp as wp

    return bool(wp.is_cuda_available()) and not str(device or "").startswith("cpu")


def _look_around(cameras: tuple[str, ...], layered: bool) -> Surroundings:
    """Read what a take must know of the stage, on the main thread; ``layered`` asks for layers that no file holds."""
    stage = compat.open_stage()
    layer = stage.GetRootLayer()
    path = layer.identifier if "://" in layer.identifier else layer.realPath or layer.identifier
    path = UNSAVED if layer.anonymous else path
    facts = StageFacts.of(stage, path, cameras)
    start = float(compat.timeline().get_current_time()) * facts.time_codes_per_second
    changed = path == UNSAVED or any(layer.dirty for layer in stage.GetLayerStack(False))
    return Surroundings(stage=facts, start_code=start, layers=OpenLayers.of(stage) if layered and changed else None)


def _told(summary: RunSummary) -> str:
    where = summary.report or summary.out
    return f"{summary.accepted} of {summary.planned} accepted, {summary.rejected} rejected; see {where}"


__all__ = ["LIVE", "CosmosBridgeWriter", "close_all"]
