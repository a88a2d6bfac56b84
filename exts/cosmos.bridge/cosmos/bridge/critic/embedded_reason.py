"""The embedded reasoner as a critic: a small net of our own that says what in a clip cannot be, and where."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Optional

import numpy as np

from cosmos.bridge.critic.fit import blank_of, misfit_of
from cosmos.bridge.errors import ConfigError, ModelWeightsError, VerdictParseError
from cosmos.bridge.types import Finding, Measurement, Progress, TransferRequest, TransferResult, Verdict

if TYPE_CHECKING:
    from cosmos.models.reason_small.sampling import Said, SmallReasoner, Window

_WEIGHTS = "reason-small"
_SAYS: Mapping[str, str] = {
    "teleport": "jumps from one place to another",
    "vanish": "vanishes",
    "appear": "comes from nothing",
    "float": "hangs or rises in the air",
    "penetrate": "passes through something solid",
    "recolour": "changes its colour",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddedReasonOptions:
    """What one run may set; ``critic_options`` in a config."""

    weights: Optional[str] = None
    """Folder of other weights of the same kind; ``None`` takes the shipped ones."""
    threshold: Optional[float] = None
    """Doubt, in [0, 1], from which *impossible* refuses; ``None`` takes that of the weights."""
    windows: int = 12
    """Most windows of 0.8 s that are looked at, in [1, 1000]."""

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0.0 <= self.threshold <= 1.0:
            raise ConfigError(f"threshold must lie in [0, 1], got {self.threshold!r}.")
        if not 1 <= self.windows <= 1000:
            raise ConfigError(f"windows must lie in [1, 1000], got {self.windows!r}.")


class EmbeddedReason:
    """Judges whether what is seen can be; on any CPU, in tenths of a second.

    It sees the result alone, small, and knows a few impossible events; which, and how often it is right on scene kinds
    that it never saw, is in its model card. It refuses only for events that it claims to know.

    Args:
        options: What a run may set; ``None`` takes the defaults.
    """

    Options: ClassVar[type[EmbeddedReasonOptions]] = EmbeddedReasonOptions
    name: ClassVar[str] = "embedded-reason"

    def __init__(self, options: Optional[EmbeddedReasonOptions] = None) -> None:
        self._options = options or EmbeddedReasonOptions()
        self._loaded: Optional[SmallReasoner] = None

    @property
    def tasks(self) -> tuple[str, ...]:
        """What it can be asked: what its weights claim to know.

        Raises:
            ModelWeightsError: If the weights are missing or damaged.
        """
        from cosmos.models.reason_small.words import QUESTIONS

        claims = self._load().claims
        return tuple(task for task in QUESTIONS if task in claims)

    def judge(self, request: TransferRequest, result: TransferResult, progress: Optional[Progress] = None) -> Verdict:
        """Look at every window of a result.

        Args:
            request: What was asked; only its size and frame rate are used.
            result: What came.
            progress: Told ``("judge", windows done, windows)``; may raise ``JobCancelled``.

        Raises:
            VerdictParseError: If what the net wrote is no answer; the message holds it.
            ModelWeightsError: If the weights are missing or damaged.
        """
        from cosmos.models.reason_small.words import AnswerError

        began = time.perf_counter()
        reasoner = self._load()
        bar = reasoner.threshold if self._options.threshold is None else self._options.threshold
        unfit = misfit_of(request, result) or blank_of(result.rgb.numpy())
        if unfit is not None:
            return self._verdict([unfit], (), [], 0.0, began)
        frames = result.rgb.numpy()
        windows = reasoner.windows(len(frames), request.clip.fps, self._options.windows)
        findings, raws, worst = [], [], 0.0
        for done, window in enumerate(windows):
            if progress is not None:
                progress("judge", done, len(windows))
            try:
                (said,) = reasoner.ask(reasoner.shrink(frames[list(window.frames)]), "physics", bar)
            except AnswerError as error:
                raise VerdictParseError(f"{self.name} gave no answer: {error}") from error
            raws.append(f"frames {window.frames[0]}-{window.frames[-1]}: {said.raw}")
            if said.answer.verdict == "impossible" and said.answer.event not in reasoner.claims:
                continue
            worst = max(worst, said.doubt)
            if said.answer.verdict == "impossible":
                findings.append(_finding(said, window, bar, reasoner.claims))
        if progress is not None:
            progress("judge", len(windows), len(windows))
        measured = Measurement(
            check="impossible", value=worst, threshold=bar, better="lower", unit="", passed=not findings
        )
        return self._verdict(findings, (measured,), raws, 1.0 - worst, began)

    def ask(self, frames: np.ndarray, fps: float, task: str, progress: Optional[Progress] = None) -> str:
        """Answer a question about a video, a line for each window.

        Args:
            frames: uint8, shape [T, H, W, 3].
            fps: Its frames a second.
            task: One of ``tasks``.
            progress: Told ``("judge", windows done, windows)``.

        Returns:
            Thought and answer of each window, in ``<think>`` and ``<answer>``, with the frames that they are about.

        Raises:
            ConfigError: If there is no such task.
            VerdictParseError: If what the net wrote is no answer.
        """
        from cosmos.models.reason_small.words import AnswerError

        if task not in self.tasks:
            raise ConfigError(f"{self.name} knows no task {task!r}; it knows {', '.join(self.tasks)}.")
        reasoner, lines = self._load(), []
        windows = reasoner.windows(len(frames), fps, self._options.windows)
        for done, window in enumerate(windows):
            if progress is not None:
                progress("judge", done, len(windows))
            try:
                (said,) = reasoner.ask(reasoner.shrink(frames[list(window.frames)]), task)
            except AnswerError as error:
                raise VerdictParseError(f"{self.name} gave no answer: {error}") from error
            lines.append(f"frames {window.frames[0]}-{window.frames[-1]}: {said.raw}")
        return "\n".join(lines)

    def require_weights(self) -> None:
        """Read the weights, which are small.

        Raises:
            ModelWeightsError: If they are missing or damaged.
        """
        self._load()

    def unload(self) -> None:
        """Free the weights; safe to call twice."""
        self._loaded = None

    def _load(self) -> SmallReasoner:
        if self._loaded is None:
            from cosmos.models.reason_small.sampling import load_small
            from cosmos.models.weights import WeightsError, find_weights

            try:
                folder = find_weights(_WEIGHTS) if self._options.weights is None else Path(self._options.weights)
                self._loaded = load_small(folder)
            except WeightsError as error:
                raise ModelWeightsError(str(error)) from error
        return self._loaded

    def _verdict(
        self,
        findings: list[Finding],
        measurements: tuple[Measurement, ...],
        raws: list[str],
        score: float,
        began: float,
    ) -> Verdict:
        findings.sort(key=lambda finding: -finding.value if np.isfinite(finding.value) else 0.0)
        seconds = time.perf_counter() - began
        return Verdict(
            accepted=not findings,
            score=min(score, 0.49) if findings else score,
            critic=self.name,
            findings=tuple(findings),
            measurements=measurements,
            rationale=findings[0].text if findings else f"{self.name} saw nothing impossible in {len(raws)} looks.",
            raw="\n".join(raws),
            seconds=seconds,
            costs={self.name: seconds},
        )


def _finding(said: Said, window: Window, bar: float, claims: Sequence[str]) -> Finding:
    """Say what cannot be, of which thing, where and when; only as much of it as the weights claim to know."""
    answer = said.answer
    colour, shape = answer.thing.split()
    known = [word for part, word in (("colour", colour), ("shape", shape)) if part in claims]
    thing = f"The {' '.join(known)}" if "shape" in claims else " ".join(["Something", *known])
    where = f" at {answer.place}" if "place" in claims else ""
    frames = (window.frames[min(answer.frame, len(window.frames) - 1)],) if "frame" in claims else ()
    when = f"in frame {frames[0]}" if frames else f"between frames {window.frames[0]} and {window.frames[-1]}"
    return Finding(
        kind="physics",
        check=answer.event,
        severity="reject",
        text=f"{thing}{where} {_SAYS[answer.event]} {when} (doubt {said.doubt:.2f}).",
        frames=frames or tuple(dict.fromkeys(window.frames)),
        value=said.doubt,
        threshold=bar,
    )


__all__ = ["EmbeddedReason", "EmbeddedReasonOptions"]
