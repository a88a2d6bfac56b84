"""The line: read a clip, derive its controls, guard, transfer, guard, judge, retry, write."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.config import BridgeConfig, OffloadPolicy
from cosmos.bridge.critic.base import Critic, Unloads
from cosmos.bridge.errors import ControlError, GuardRefusal, ModelError, SourceError, VerdictParseError
from cosmos.bridge.fetched import require_weights
from cosmos.bridge.guard.base import Guard
from cosmos.bridge.jobs import CLIPS, Job, StopSignal
from cosmos.bridge.runs.clock import Clock
from cosmos.bridge.runs.fit import check_spec
from cosmos.bridge.runs.gates import allowed, held_to, whole
from cosmos.bridge.runs.opened import Opened, OpenSource
from cosmos.bridge.runs.plan import PlannedClip, plan_clips
from cosmos.bridge.runs.prepared import Prepared, default_weights, prepare, source_of
from cosmos.bridge.runs.record import RunRecord
from cosmos.bridge.runs.remedy import Earlier, find_remedy, raise_weights
from cosmos.bridge.runs.summary import RunSummary
from cosmos.bridge.transfer.base import TransferModel
from cosmos.bridge.transfer.registry import default_guard
from cosmos.bridge.types import (
    Augmentation,
    Clip,
    ControlSignals,
    ControlWeights,
    Progress,
    TransferRequest,
    Verdict,
)

if TYPE_CHECKING:
    import warp as wp

    from cosmos.bridge.sinks.base import Sink
    from cosmos.bridge.sinks.stage_facts import StageFacts


class Bridge:
    """Runs one config from source to sinks.

    Args:
        config: What to do.
        open_source: Opens the source of a camera; ``None`` opens what ``config.source`` names.
        transfer: Transfer model; ``None`` takes the one that ``config.transfer`` names.
        guard: Guard; ``None`` takes the one that ``config.guard`` names.
        critic: Critic; ``None`` takes the one that ``config.critic`` names.
        stage: What is known of a stage that an application has open; ``None`` lets the stage sink open the source.
        sinks: Further sinks, which get every attempt as well.

    Raises:
        ModelError: If a named model does not exist or is not installed.
    """

    def __init__(
        self,
        config: BridgeConfig,
        *,
        open_source: Optional[OpenSource] = None,
        transfer: Optional[TransferModel] = None,
        guard: Optional[Guard] = None,
        critic: Optional[Critic] = None,
        stage: Optional[StageFacts] = None,
        sinks: Sequence[Sink] = (),
    ) -> None:
        self.config, self._stage, self._sinks = config, stage, tuple(sinks)
        self._open_source = open_source or source_of(config)
        self._transfer = transfer or _create("transfer", config.transfer, config.transfer_options, config.offload)
        self._guard = guard or _create("guard", config.guard or default_guard(config.transfer))
        self._critic = critic or _create("critic", config.critic, config.critic_options)

    def beside(self, config: BridgeConfig, **parts: Any) -> Bridge:
        """Return a bridge for another clip of the same settings, with the models of this one; close either of them."""
        return Bridge(config, transfer=self._transfer, guard=self._guard, critic=self._critic, **parts)

    def start(self, *, resume: bool = False, command: str = "") -> Job[RunSummary]:
        """Run on a thread of its own; see `augment`."""
        return Job(lambda progress, stop: self.augment(progress, stop, resume=resume, command=command)).start()

    def augment(
        self,
        progress: Optional[Progress] = None,
        stop: Optional[StopSignal] = None,
        *,
        resume: bool = False,
        command: str = "",
    ) -> RunSummary:
        """Make every clip of the plan and write it; with the placement ``batch`` make its folder ready to be resumed.

        Args:
            progress: Told the part of the line and its steps, and ``("clips", done, planned)``.
            stop: Asked before each clip and at each step whether to go on.
            resume: Go on in an out folder that holds an earlier run of this config.
            command: Shell command that reproduces the run, for the report.

        Raises:
            SourceError: If the source, a camera or the frames cannot be read.
            ModelError: If the Transfer model cannot do what the config asks.
            SinkError: If the out folder is taken or cannot be written; what was written before stays valid.
            JobCancelled: If the stop signal aborted the clip at work.
        """
        stop, clock, tell = stop or StopSignal(), Clock(), progress or _silent
        with Opened(self._open_source) as opened:
            plan, described = plan_clips(self.config), self._preflight(opened, check_out=not resume, weights=not resume)
            with RunRecord(
                self.config,
                plan,
                described,
                clock,
                resume=resume,
                command=command,
                stage=self._stage,
                sinks=self._sinks,
            ) as record:
                tell(CLIPS, record.num_settled, len(plan))
                if self._hands_over:
                    return record.finish()
                if record.open_clips():
                    require_weights(self._transfer, self._critic)
                    with clock("load"):
                        self._transfer.load(self.config.offload.device or self.config.device)
                for camera, clips in groupby(record.open_clips(), key=lambda planned: planned.camera):
                    if stop.finishing:
                        break
                    try:
                        prepared = prepare(self.config, opened.take(camera), clock, tell)
                    except (SourceError, ControlError) as error:
                        record.fail_camera(clips, error)
                        continue
                    tell(CLIPS, record.num_settled, len(plan))
                    with closing(prepared.clip):
                        for planned in clips:
                            if stop.finishing:
                                break
                            self._make(planned, prepared, record, clock, tell)
                            tell(CLIPS, record.num_settled, len(plan))
                return record.finish()

    def preflight(self, *, check_out: bool = True) -> Mapping[str, Mapping[str, Any]]:
        """Check all that can be checked before any work, and return what each camera's source says of itself.

        Args:
            check_out: Also refuse an out folder that is taken.

        Raises:
            SourceError: If the source, a camera or the frames cannot be read.
            ConfigError: If there is no such device.
            ModelError: If the config asks the Transfer model for what it cannot do, a clip can never fit the memory, or
                weights of the model or the critic are missing.
            SinkError: If the out folder is taken or cannot be written.
        """
        with Opened(self._open_source) as opened:
            return self._preflight(opened, check_out=check_out)

    def attempts(
        self,
        planned: PlannedClip,
        clip: Clip,
        controls: ControlSignals,
        weights: ControlWeights,
        *,
        preserve: Optional[wp.array] = None,
        earlier: Sequence[Earlier] = (),
        clock: Optional[Clock] = None,
        progress: Optional[Progress] = None,
    ) -> Iterator[Augmentation]:
        """Try one clip until the critic accepts it or the retry policy ends; yield every attempt.

        Args:
            planned: Name, prompt and seed.
            clip: Simulated clip.
            controls: Its controls.
            weights: Their weights in the first attempt.
            preserve: Where the source stays as it is, float32 in [0, 1], shape [T, H, W].
            earlier: Attempts that an earlier call made; the first to make is the one after them.
            clock: Measures the parts of the line.
            progress: Told each step.

        Raises:
            GuardRefusal: If a guard refuses the prompt or a result.
            ModelError: If the Transfer model cannot do it.
        """
        clock, policy, config = clock or Clock(), self.config.retry, self.config
        with clock("guard"):
            prompt_report = allowed(self._guard.screen_prompt(planned.prompt.text))
        with clock("load"):
            self._transfer.load(config.offload.device or config.device)
        request, remedy = self._first_request(planned, clip, controls, weights, preserve), ""
        for attempt, made in enumerate(earlier, start=1):
            request, remedy = self._after(request, made.verdict, made.effective, planned.seed_of(attempt + 1))
        for attempt in range(len(earlier) + 1, policy.max_attempts + 1):
            tell = progress if attempt == 1 or progress is None else _again(progress, attempt)
            with clock("transfer"):
                result = whole(request, self._transfer.transfer(request, tell))
            with clock("guard"):
                result, video_report = self._guard.screen_video(result)
            allowed(video_report)
            with clock("judge"):
                verdict = held_to(self._critic.judge(request, result, tell), config.min_score)
            yield Augmentation(
                name=planned.name,
                request=request,
                result=result,
                verdict=verdict,
                guard_reports=(prompt_report, video_report),
                attempt=attempt,
                max_attempts=policy.max_attempts,
                remedy=remedy,
                tags={
                    "prompt": planned.prompt.name,
                    "variant": str(planned.variant),
                    "camera": clip.cameras[0].prim_path,
                },
            )
            if verdict.accepted:
                return
            request, remedy = self._after(request, verdict, result.provenance.effective, planned.seed_of(attempt + 1))

    def preview(self, progress: Optional[Progress] = None) -> Augmentation:
        """Make the first attempt at the first clip of the plan, and write nothing; raises as `augment` does."""
        tell, planned = progress or _silent, plan_clips(self.config)[0]
        with Opened(self._open_source) as opened:
            self._preflight(opened, check_out=False)
            made = prepare(self.config, opened.take(planned.camera), Clock(), tell)
        parts = made.clip, made.controls, made.weights
        return next(self.attempts(planned, *parts, preserve=made.preserve, progress=tell))

    def judge(self, progress: Optional[Progress] = None) -> Iterator[Augmentation]:
        """Judge again what lies in the out folder, attempt by attempt; nothing there is changed.

        The source is read anew, and each result from its video, which is compressed: a score may differ a little.

        Raises:
            ModelWeightsError: If the weights of the critic are missing.
            SourceError: If the source or a video cannot be read.
            SinkError: If the folder holds no run, or a record in it is damaged.
        """
        from cosmos.bridge.runs.reread import read_result, read_said
        from cosmos.bridge.sinks.manifest import read_manifest

        tell, out = progress or _silent, Path(self.config.out)
        require_weights(self._critic)
        kept = {clip["name"]: clip["attempts"] for clip in read_manifest(out)["clips"] if clip["attempts"]}
        plan = [planned for planned in plan_clips(self.config) if planned.name in kept]
        with Opened(self._open_source) as opened:
            for camera, clips in groupby(plan, key=lambda planned: planned.camera):
                made = prepare(self.config, opened.take(camera), Clock(), tell)
                with closing(made.clip):
                    for planned in clips:
                        request = self._first_request(planned, made.clip, made.controls, made.weights, made.preserve)
                        for entry in sorted(kept[planned.name], key=lambda entry: entry["attempt"]):
                            result = read_result(out / entry["folder"], device=made.clip.rgb.device)
                            verdict = held_to(self._critic.judge(request, result, tell), self.config.min_score)
                            yield Augmentation(
                                name=planned.name,
                                request=request,
                                result=result,
                                verdict=verdict,
                                attempt=entry["attempt"],
                                remedy=entry.get("remedy", ""),
                            )
                            said, seed = read_said(out / entry["folder"]), planned.seed_of(entry["attempt"] + 1)
                            request = self._after(request, said.verdict, said.effective, seed)[0]

    def close(self) -> None:
        """Free the Transfer model and that of the critic; safe to call twice."""
        self._transfer.unload()
        if isinstance(self._critic, Unloads):
            self._critic.unload()

    def __enter__(self) -> Bridge:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()

    @property
    def _hands_over(self) -> bool:
        """Whether the run is only made ready here, for a batch host whose devices are not known here."""
        return self.config.offload.placement == "batch"

    def _first_request(
        self,
        planned: PlannedClip,
        clip: Clip,
        controls: ControlSignals,
        weights: ControlWeights,
        preserve: Optional[wp.array],
    ) -> TransferRequest:
        return TransferRequest(
            clip=clip,
            controls=controls,
            weights=weights,
            prompt=planned.prompt.text,
            negative_prompt=self.config.negative_prompt,
            seed=planned.seed_of(1),
            num_steps=self.config.num_steps,
            guidance=self.config.guidance,
            preserve=preserve,
        )

    def _after(
        self, request: TransferRequest, verdict: Verdict, effective: Mapping[str, Any], seed: int
    ) -> tuple[TransferRequest, str]:
        """Return the request after a rejected one, as the retry policy says, and what is different about it."""
        policy = self.config.retry
        if policy.change == "cause":
            remedy = find_remedy(request, verdict, effective, self._transfer.spec, gain=policy.weight_gain, seed=seed)
            return remedy.request, remedy.text
        if policy.change == "seed":
            return replace(request, seed=seed), f"The seed changes to {seed}."
        weights = raise_weights(request.weights, policy.weight_gain) or request.weights
        text = f"The geometry weights rise by {policy.weight_gain:g} everywhere, and the seed changes to {seed}."
        return replace(request, seed=seed, weights=weights), text

    def _preflight(self, opened: Opened, *, check_out: bool, weights: bool = True) -> Mapping[str, Mapping[str, Any]]:
        from cosmos.bridge.runs.folder import check_out as refuse_taken
        from cosmos.bridge.runs.memory import check_device, check_fit

        if not self._hands_over:
            check_device(self.config.device)
            if weights:
                require_weights(self._transfer, self._critic)
        check_spec(self._transfer.spec, self.config)
        if check_out:
            refuse_taken(Path(self.config.out), Path(self.config.source))
        described = {}
        for camera in self.config.cameras or (None,):
            described[camera or ""] = told = opened.describe(camera)
            if not self._hands_over:
                check_fit(told["num_frames"], told.get("size") or (1, 1), self.config.device)
        return described

    def _make(
        self,
        planned: PlannedClip,
        prepared: Prepared,
        record: RunRecord,
        clock: Clock,
        progress: Progress,
    ) -> None:
        """Make one clip and settle it in the record."""
        earlier = record.begin(planned)
        try:
            for augmentation in self.attempts(
                planned,
                prepared.clip,
                prepared.controls,
                prepared.weights,
                preserve=prepared.preserve,
                earlier=earlier,
                clock=clock,
                progress=progress,
            ):
                record.write(augmentation, progress)
        except GuardRefusal as refusal:
            record.settle(planned, "refused", refusal)
        except (ModelError, VerdictParseError) as error:
            record.settle(planned, "failed", error)
        else:
            record.settle(planned)


def augment(
    source: str | os.PathLike[str],
    *,
    prompt: str | Sequence[str] | Mapping[str, str],
    out: str | os.PathLike[str],
    progress: Optional[Progress] = None,
    **settings: Any,
) -> RunSummary:
    """Turn a USD stage, mp4 or folder into checked photoreal clips.

    Args:
        source: USD stage, mp4, or folder of CosmosWriter or BasicWriter.
        prompt: What the result should look like: one text, several, or a name for each text.
        out: Folder for the results; it must be empty or absent.
        progress: Told each step.
        **settings: Any other setting of `BridgeConfig`, as in a config file (``size="704x1280"``, ``seed=7``).

    Raises:
        BridgeError: See `Bridge.augment`; ConfigError for an unknown or wrong setting.
    """
    plain = {"source": os.path.abspath(source), "out": os.fspath(out), "prompts": prompt, **settings}
    with Bridge(BridgeConfig.from_mapping(plain)) as bridge:
        return bridge.augment(progress)


def resume(
    out: str | os.PathLike[str],
    *,
    device: Optional[str] = None,
    offload: Optional[OffloadPolicy] = None,
    progress: Optional[Progress] = None,
) -> RunSummary:
    """Finish the run whose results lie in ``out``, from its saved config and its ledger.

    Args:
        out: Folder of the run.
        device: Device of this host; ``None`` takes the saved one.
        offload: Where the Transfer model runs on this host; ``None`` takes what was saved.
        progress: Told each step.

    Raises:
        SourceError: If the folder holds no run.
        BridgeError: See `Bridge.augment`.
    """
    from cosmos.bridge.runs.folder import saved_config

    with Bridge(saved_config(Path(out), device=device, offload=offload)) as bridge:
        return bridge.augment(progress, resume=True)


def _create(room: str, name: str, *settings: Any) -> Any:
    """Make a named object from a room's registry, which imports only what that name needs."""
    from importlib import import_module

    return import_module(f"cosmos.bridge.{room}.registry").create(name, *settings)


def _again(progress: Progress, attempt: int) -> Progress:
    """Tell the attempt in brackets after each stage's name."""

    def tell(stage: str, done: int, total: int) -> None:
        name, _, more = stage.partition(" (")
        progress(f"{name} (attempt {attempt}{', ' + more if more else ')'}", done, total)

    return tell


def _silent(stage: str, done: int, total: int) -> None:
    """Take progress that nobody asked for."""


__all__ = ["Bridge", "OpenSource", "augment", "default_weights", "resume"]
