"""Ask a critic about good clips and the same clips with planted faults; keep what it answers."""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Optional

from cosmos.bridge.calibrate.making import Tell, claimed
from cosmos.bridge.calibrate.store import load_pair
from cosmos.bridge.calibrate.suite import ClipPlan
from cosmos.bridge.critic.base import Critic
from cosmos.bridge.critic.faults import FAULTS, Planted, Subject, plant
from cosmos.bridge.errors import PlantError, SourceError, VerdictParseError
from cosmos.bridge.types import TransferRequest, TransferResult, Verdict

GOOD = "good"
"""Stands for no fault."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One clip, good or with one planted fault, and what a critic said."""

    clip: str
    """Name of the clip."""
    scene: str
    """Clips of one scene share it."""
    part: str
    """``tune`` or ``prove``."""
    fault: str
    """Kind of the fault, or ``good``."""
    strength: float = 0.0
    """Its strength."""
    area: float = 0.0
    """Pixels of the thing it befalls; 0 for whole pictures."""
    accepted: bool
    """What the critic said."""
    score: float
    """What it scored, in [0, 1]."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Check -> clip's value, of everything that was measured."""
    failed: tuple[str, ...] = ()
    """Checks with a rejecting finding."""
    named: Optional[bool] = None
    """Whether a rejecting finding names an instance that the fault befalls; ``None`` where it befalls none."""
    timed: Optional[bool] = None
    """Whether a rejecting finding names a frame that the fault touches; ``None`` without a rejecting finding."""
    seconds: float = 0.0
    """CPU time of the verdict [s]."""
    mute: bool = False
    """Whether the critic gave no verdict at all; that is never a pass, and never a find."""

    @property
    def found(self) -> bool:
        """Whether the critic said no; a critic that says nothing finds nothing."""
        return not self.accepted and not self.mute


def run_trials(
    critic: Critic,
    clips: Sequence[tuple[ClipPlan, Path]],
    folder: Path,
    *,
    faults: Iterable[str] = tuple(FAULTS),
    all_strengths: bool = True,
    key: str = "",
    again: bool = False,
    tell: Optional[Tell] = None,
) -> list[Trial]:
    """Try a critic on clips; what is there already is read, what another process tries is left to it.

    Args:
        critic: Who is tried.
        clips: Plans with the files that `make_suite` made.
        folder: Where answers are kept, one file a clip.
        faults: Kinds to plant.
        all_strengths: Whether each fault is planted at all its strengths, or at the first alone.
        key: Distinguishes settings of the critic; answers of another key are not read.
        again: Whether to ask again what was asked before.
        tell: Told one line a clip, with the time that is left.

    Raises:
        PlantError: If there is no such fault.
        SourceError: If a clip's file is damaged.
    """
    wanted = [(kind, strength) for kind in faults for strength in _strengths(kind, all_strengths)]
    folder.mkdir(parents=True, exist_ok=True)
    asked = hashlib.sha256(json.dumps([key, wanted]).encode()).hexdigest()[:10]
    files = [folder / f"{path.stem}.{critic.name}.{asked}.json" for _, path in clips]
    todo = [index for index, file in enumerate(files) if again or not file.exists()]
    began, done = time.perf_counter(), 0
    for index in todo:
        plan, path = clips[index]
        with claimed(files[index]) as mine:
            if not mine or (files[index].exists() and not again):
                continue
            trials = _try_clip(critic, plan, path, wanted)
            partial = files[index].with_name(f"{files[index].name}.{os.getpid()}.partial")
            partial.write_text(json.dumps([asdict(trial) for trial in trials]), encoding="utf-8")
            os.replace(partial, files[index])
        done += 1
        if tell is not None:
            left = (time.perf_counter() - began) / done * (len(todo) - todo.index(index) - 1)
            found = sum(trial.found for trial in trials[1:])
            tell(f"tried {plan.name}: {found} of {len(trials) - 1} faults found, about {left:.0f} s left")
    return [trial for file in files if file.exists() for trial in read_trials(file)]


def read_trials(path: Path) -> list[Trial]:
    """Read the answers about one clip.

    Raises:
        SourceError: If the file is damaged.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [Trial(**{**row, "failed": tuple(row["failed"])}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SourceError(f"{path} holds no answers of a critic ({error}); delete it and ask again.") from error


def _strengths(kind: str, every: bool) -> tuple[float, ...]:
    if kind not in FAULTS:
        raise PlantError(f"There is no fault {kind!r}; there is {', '.join(FAULTS)}.")
    return FAULTS[kind].strengths if every else FAULTS[kind].strengths[:1]


def _try_clip(critic: Critic, plan: ClipPlan, path: Path, wanted: Sequence[tuple[str, float]]) -> list[Trial]:
    request, result = load_pair(path)
    about: dict[str, Any] = {"clip": plan.name, "scene": plan.scene, "part": plan.part}
    trials = [Trial(**about, fault=GOOD, **_ask(critic, request, result))]
    subject = Subject.of(request, result)
    seed = zlib.crc32(plan.name.encode())
    for kind, strength in wanted:
        try:
            planted = plant(kind, subject, seed=seed, strength=strength)
        except PlantError:
            continue
        answer = _ask(critic, replace(request, clip=planted.clip), planted.result, planted)
        trials.append(Trial(**about, fault=kind, strength=strength, area=planted.area, **answer))
    return trials


def _ask(
    critic: Critic, request: TransferRequest, result: TransferResult, planted: Optional[Planted] = None
) -> dict[str, Any]:
    """Judge one clip; an answer that is no verdict is a rejection that found nothing."""
    began = time.process_time()
    try:
        verdict = critic.judge(request, result)
    except VerdictParseError:
        return {"accepted": False, "score": 0.0, "seconds": time.process_time() - began, "mute": True}
    rejecting = [finding for finding in verdict.findings if finding.severity == "reject"]
    answer: dict[str, Any] = {
        "accepted": verdict.accepted,
        "score": verdict.score,
        "values": _values(verdict),
        "failed": tuple(sorted({finding.check for finding in rejecting} - {"more"})),
        "seconds": time.process_time() - began,
    }
    if planted is not None and planted.ids:
        answer["named"] = any(finding.instance in planted.ids for finding in rejecting)
    if planted is not None and rejecting:
        touched = set(planted.frames)
        answer["timed"] = any(not finding.frames or touched & set(finding.frames) for finding in rejecting)
    return answer


def _values(verdict: Verdict) -> dict[str, float]:
    """Return check -> value, turned so that larger is worse."""
    return {
        item.check: item.value if item.better == "lower" else -item.value
        for item in verdict.measurements
        if item.value == item.value
    }


__all__ = ["GOOD", "Trial", "read_trials", "run_trials"]
