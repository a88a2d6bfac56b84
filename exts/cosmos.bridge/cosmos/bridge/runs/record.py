"""The record of a run at work: ledger, sinks and counts, kept in step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.config import BridgeConfig
from cosmos.bridge.errors import BridgeError, ConfigError, JobCancelled
from cosmos.bridge.runs.clock import Clock
from cosmos.bridge.runs.folder import CONFIG_NAME, create_run, discard_run, reopen_run
from cosmos.bridge.runs.ledger import Ledger, Outcome
from cosmos.bridge.runs.plan import PlannedClip
from cosmos.bridge.runs.remedy import Earlier
from cosmos.bridge.runs.summary import RunSummary
from cosmos.bridge.types import Augmentation, Progress

if TYPE_CHECKING:
    from cosmos.bridge.sinks.base import Sink
    from cosmos.bridge.sinks.dataset import DatasetSink
    from cosmos.bridge.sinks.stage_facts import StageFacts

STAGE_SUFFIXES = (".usd", ".usda", ".usdc", ".usdz")
_FINAL = ("accepted", "rejected", "refused")


class RunRecord:
    """Opens the out folder, hands attempts to the sinks, and settles clips in the ledger.

    The dataset's manifest is what counts: every other sink is written before it, and may be written again, and the
    ledger after it; a clip that a kill left between the two is adopted from the manifest when the run is resumed.

    Args:
        config: Config of the run.
        plan: Every clip of the run.
        sources: What each camera's source says of itself.
        clock: Measures the parts of the line.
        resume: Go on in the folder of an earlier run.
        command: Shell command that reproduces the run.
        stage: What the stage sink needs to know of a stage that an application has open; ``None`` opens the source.
        sinks: Further sinks, which get every attempt as well.

    Raises:
        ConfigError: If a sink does not fit the source.
        SinkError: If the folder is taken, or cannot be written.
    """

    def __init__(
        self,
        config: BridgeConfig,
        plan: tuple[PlannedClip, ...],
        sources: Mapping[str, Mapping[str, Any]],
        clock: Clock,
        *,
        resume: bool = False,
        command: str = "",
        stage: Optional[StageFacts] = None,
        sinks: Sequence[Sink] = (),
    ) -> None:
        self._stage, self._more_sinks = stage, tuple(sinks)
        self._config, self._plan, self._sources, self._clock = config, plan, sources, clock
        self._resumed, self._out = resume, Path(config.out)
        self._command = command or f"cosmos-bridge augment --config {self._out / CONFIG_NAME} --out NEW_FOLDER"
        self._names = fitting_sinks(config)
        self._model_notes: dict[str, dict[str, None]] = {}
        self._sinks: Optional[tuple[DatasetSink, tuple[Sink, ...]]] = None
        self._ledger: Ledger = reopen_run(self._out)[1] if resume else create_run(config)
        with ExitStack() as on_failure:
            on_failure.callback(self._ledger.close)
            self._attempts = self._adopt()
            on_failure.pop_all()

    def __enter__(self) -> RunRecord:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        nothing_made = not self._resumed and not self._ledger.entries
        self._ledger.close()
        if nothing_made and isinstance(error, BridgeError) and not isinstance(error, JobCancelled):
            discard_run(self._out)

    @property
    def num_settled(self) -> int:
        """Clips that are over, well or badly."""
        return len(self._ledger.settled())

    def open_clips(self) -> tuple[PlannedClip, ...]:
        """Return the clips that are still to be made, in the order of the plan; failed ones are tried again."""
        settled = self._ledger.settled()
        return tuple(planned for planned in self._plan if settled.get(planned.name) not in _FINAL)

    def begin(self, planned: PlannedClip) -> tuple[Earlier, ...]:
        """Note that a clip is at work; return the attempts that were made at it before.

        Raises:
            SinkError: If the record of one of them is damaged.
        """
        from cosmos.bridge.runs.reread import read_attempts

        self._ledger.append("started", planned.name, seed=planned.seed, prompt=planned.prompt.name)
        if not self._attempts.get(planned.name):
            return ()
        return read_attempts(self._out, planned.name)

    def write(self, augmentation: Augmentation, progress: Progress) -> None:
        """Hand an attempt to every sink.

        Raises:
            SinkError: If a sink cannot write it whole.
        """
        with self._clock("write"):
            dataset, others = self._open_sinks()
            for sink in others:
                sink.write(augmentation, progress)
            dataset.write(augmentation, progress)
        self._attempts.setdefault(augmentation.name, []).append(augmentation.verdict.accepted)
        for note in augmentation.result.provenance.notes:
            self._model_notes.setdefault(note, {})[augmentation.tags["prompt"]] = None

    def settle(self, planned: PlannedClip, outcome: Optional[Outcome] = None, why: Optional[Exception] = None) -> None:
        """Say how a clip ended; without an outcome its last attempt decides."""
        if outcome in ("refused", "failed"):
            tags = {"prompt": planned.prompt.name, "variant": str(planned.variant), "camera": planned.camera or ""}
            self._open_sinks()[0].record(planned.name, outcome, str(why), tags=tags)
        if outcome is None:
            outcome = "accepted" if any(self._attempts.get(planned.name, ())) else "rejected"
        details = {} if why is None else {"why": str(why), "kind": type(why).__name__}
        self._ledger.settle(planned.name, outcome, **details)

    def fail_camera(self, clips: Iterable[PlannedClip], why: BridgeError) -> None:
        """Settle every clip of a camera that cannot be read as failed.

        Raises:
            BridgeError: ``why`` itself while no clip was made yet: then nothing is lost by stopping.
        """
        if not self._ledger.entries:
            raise why
        for planned in clips:
            self.settle(planned, "failed", why)

    def finish(self) -> RunSummary:
        """Close the sinks, write the report, and count.

        Raises:
            SinkError: If a sink cannot be finished.
        """
        from cosmos.bridge.sinks.report import write_report

        report = None
        with self._clock("write"):
            dataset, others = self._open_sinks()
            for sink in (*others, dataset):
                sink.close()
            if "report" in self._names:
                report = write_report(self._out)
        return self._summary(dataset.counts(), report)

    def _open_sinks(self) -> tuple[DatasetSink, tuple[Sink, ...]]:
        """Open the sinks with the first clip, so that a run that never gets that far leaves no file."""
        if self._sinks is None:
            from cosmos.bridge import __version__
            from cosmos.bridge.sinks.dataset import DatasetSink

            others: tuple[Sink, ...] = self._more_sinks
            if "stage" in self._names:
                from cosmos.bridge.sinks.stage import StageSink

                others = (
                    *others,
                    StageSink(self._out, stage_path=self._stage or self._config.source),
                )
            run = {
                "planned": len(self._plan),
                "command": self._command,
                "source": self._sources,
                "notes": self._source_notes(),
                "config": self._config.to_mapping(),
                "version": __version__,
            }
            self._sinks = DatasetSink(self._out, run=run), others
        return self._sinks

    def _adopt(self) -> dict[str, list[bool]]:
        """Return clip name -> accepted, attempt by attempt, of an earlier run; settle what its kill left unsaid.

        The words that reproduce the run stay those of its first command.
        """
        if not self._resumed or not (self._out / "manifest.json").exists():
            return {}
        from cosmos.bridge.sinks.manifest import read_manifest

        manifest = read_manifest(self._out)
        self._command = manifest["run"].get("command") or self._command
        settled, attempts = self._ledger.settled(), {}
        for clip in manifest["clips"]:
            attempts[clip["name"]] = [bool(entry["accepted"]) for entry in clip["attempts"]]
            status = clip["status"]
            final = status in ("accepted", "refused")
            if final and settled.get(clip["name"]) != status:
                self._ledger.settle(clip["name"], status)
        return attempts

    def _source_notes(self) -> list[str]:
        return list(dict.fromkeys(note for source in self._sources.values() for note in source["notes"]))

    def _told_by_models(self) -> Iterator[str]:
        """Say what models noted, with the names of the prompts it is about where that is not all of them."""
        everywhere = {planned.prompt.name for planned in self._plan}
        for note, prompts in self._model_notes.items():
            yield note if prompts.keys() == everywhere else f"{', '.join(prompts)}: {note}"

    def _summary(self, counts: Mapping[str, int], report: Optional[Path]) -> RunSummary:
        outcomes = list(self._ledger.settled().values())
        stage = self._out / "stage.usda"
        why: dict[str, str] = {}
        for entry in self._ledger.entries:
            if entry["event"] == "settled":
                why[entry["clip"]] = entry.get("why", "")
        return RunSummary(
            out=self._out,
            planned=len(self._plan),
            accepted=outcomes.count("accepted"),
            rejected=outcomes.count("rejected"),
            refused=outcomes.count("refused"),
            failed=outcomes.count("failed"),
            remaining=len(self._plan) - len(outcomes),
            attempts=counts["attempts"],
            rejected_attempts=counts["rejected_attempts"],
            seconds=self._clock.elapsed,
            stage_seconds=dict(self._clock.seconds),
            manifest=self._out / "manifest.json",
            stage=stage if stage.is_file() else None,
            report=report,
            notes=(
                *self._source_notes(),
                *self._told_by_models(),
                *(f"{name}: {reason}" for name, reason in why.items() if reason),
            ),
        )


def fitting_sinks(config: BridgeConfig) -> tuple[str, ...]:
    """Return the names of the sinks of a config.

    Raises:
        ConfigError: If the stage layer is asked for and the source is no USD stage.
    """
    is_stage = Path(config.source).suffix.lower() in STAGE_SUFFIXES
    if config.sinks is None:
        return ("dataset", "stage", "report") if is_stage else ("dataset", "report")
    if "stage" in config.sinks and not is_stage:
        raise ConfigError(f"The sink 'stage' needs a USD stage as source, got {config.source}; leave it out of sinks.")
    return tuple(config.sinks)


__all__ = ["STAGE_SUFFIXES", "RunRecord", "fitting_sinks"]
