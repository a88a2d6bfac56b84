"""Cosmos Reason as a critic: a vision-language model that looks at the result and answers closed questions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Optional

import numpy as np

from cosmos.bridge.critic.fit import blank_of, misfit_of
from cosmos.bridge.critic.rubric import GROUPS, RUBRICS, TASKS, Rubric, label_rubrics, prompt_rubrics
from cosmos.bridge.errors import ConfigError, ModelError, VerdictParseError
from cosmos.bridge.fetched import as_model_errors, find_checkpoint, pick_device, pick_dtype, revision_of
from cosmos.bridge.types import Clip, Finding, Measurement, Progress, TransferRequest, TransferResult, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from cosmos.models.reason.answering import Answering, Choice, Look, Sampling

_ENGINES = ("transformers", "vllm")
_LEAST_LABEL = 0.01
"""Share of a picture that a class must fill before its absence means anything."""
_MOST_LABELS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasonOptions:
    """What one run may set; ``critic_options`` in a config."""

    weights: Optional[str] = None
    """Folder of the checkpoint; ``None`` takes the fetched one."""
    device: Optional[str] = None
    """Torch device; ``None`` picks CUDA where there is one."""
    engine: str = "transformers"
    """What runs the model, in this process: ``transformers``, or ``vllm`` where it is installed."""
    dtype: Optional[str] = None
    """``bfloat16``, ``float16`` or ``float32``; ``None`` takes bfloat16 on CUDA and float32 on the CPU."""
    rubrics: tuple[str, ...] = ("possible", "physics", "artefacts", "prompt")
    """What is asked: ``possible``, ``physics``, ``artefacts``, ``prompt``, ``labels``."""
    fps: float = 4.0
    """Frames a second that the model looks at, > 0."""
    least_frames: int = 8
    """Fewest frames, where the clip has them; short clips are looked at frame by frame."""
    most_frames: int = 256
    """Most frames."""
    least_tokens: int = 128
    """Fewest picture tokens of a clip; smaller pictures are enlarged."""
    most_tokens: int = 4096
    """Most picture tokens of a clip, which decide memory and time; as many as NVIDIA's examples allow."""
    think: Optional[bool] = None
    """Whether the model reasons before it answers; ``None`` as its generation was trained: Reason1 does."""
    trials: int = 2
    """Looks at each question, in [1, 16]; frames and the order of choices change, and the worst counts."""
    least_mass: float = 0.5
    """Probability, in [0, 1], that the allowed answers must have together; below it the answer is none."""
    max_words: int = 1024
    """Most tokens of a thought or a free answer."""
    timeout: float = 600.0
    """Most time for one question [s]."""
    seed: int = 0
    """Decides how thoughts are drawn."""

    def __post_init__(self) -> None:
        strange = [name for name in self.rubrics if name not in GROUPS]
        if strange or not self.rubrics:
            raise ConfigError(f"rubrics must name some of {', '.join(GROUPS)}, got {list(self.rubrics)}.")
        if self.engine not in _ENGINES:
            raise ConfigError(f"engine must be one of {', '.join(_ENGINES)}, got {self.engine!r}.")
        if self.dtype not in (None, "bfloat16", "float16", "float32"):
            raise ConfigError(f"dtype must be bfloat16, float16 or float32, got {self.dtype!r}.")
        for name, low, high in (
            ("fps", 0.01, 1000.0), ("least_frames", 1, 768), ("most_frames", self.least_frames, 768),
            ("least_tokens", 1, 65536), ("most_tokens", self.least_tokens, 1_000_000), ("trials", 1, 16),
            ("least_mass", 0.0, 1.0), ("max_words", 1, 32768), ("timeout", 0.001, 1e6),
        ):  # fmt: skip
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"{name} must lie in [{low:g}, {high:g}], got {getattr(self, name)!r}.")


class _ReasonCritic:
    """Judges by closed questions; loads its model at the first one.

    The model sees the result alone, so it finds what looks wrong, not what no longer fits the labels. Its probabilities
    decide, not its words: an answer outside of the allowed ones raises VerdictParseError and never passes.

    Args:
        options: What a run may set; ``None`` takes the defaults.
    """

    Options: ClassVar[type[ReasonOptions]] = ReasonOptions
    name: ClassVar[str] = ""
    tasks: ClassVar[tuple[str, ...]] = tuple(TASKS)

    def __init__(self, options: Optional[ReasonOptions] = None) -> None:
        self._options = options or ReasonOptions()
        self._reasoner: Optional[Answering] = None

    def require_weights(self) -> Path:
        """Return the folder of the checkpoint.

        Raises:
            ModelWeightsError: If it is not there.
        """
        return find_checkpoint(self.name, self._options.weights, "config.json", option="critic_options.weights")

    def judge(self, request: TransferRequest, result: TransferResult, progress: Optional[Progress] = None) -> Verdict:
        """Ask every rubric about a result.

        Args:
            request: What was asked; its prompt and the classes of its labels become questions where a run wants it.
            result: What came.
            progress: Told ``("judge", questions answered, questions)``; may raise ``JobCancelled``, within a layer.

        Raises:
            VerdictParseError: If an answer is none of the allowed ones; the message holds what the model wrote.
            ModelError: If the model is missing or damaged, does not fit the device, or does not answer in time.
        """
        began = time.perf_counter()
        misfit = misfit_of(request, result)
        if misfit is not None:
            return self._verdict([misfit], [], [], [], began)
        frames = result.rgb.numpy()
        blank = blank_of(frames)
        if blank is not None:
            return self._verdict([blank], [], [], [], began)
        rubrics = self._rubrics(request)
        findings, measurements, raws, worths = [], [], [], []
        if not rubrics:
            text = "The prompt asks for nothing that a rubric knows and there is no other rubric, so nothing was asked."
            findings.append(Finding(kind="unchecked", check="rubrics", severity="reject", text=text))
        for done, rubric in enumerate(rubrics):
            worth, said, raw = self._ask_rubric(rubric, frames, request.clip.fps, progress, done, len(rubrics))
            passed = worth >= rubric.bar
            unit = f"of {len(rubric.options)}" if rubric.scale else ""
            value, bar = (1.0 + share * (len(rubric.options) - 1) if rubric.scale else share
                          for share in (worth, rubric.bar))  # fmt: skip
            measurements.append(
                Measurement(check=rubric.name, value=value, threshold=bar, better="higher", unit=unit, passed=passed)
            )
            if not passed:
                text = f"{self.name} says {said!r} to {rubric.name!r}: {value:.2f} {unit}".rstrip() + f" < {bar:.2f}."
                findings.append(
                    Finding(
                        kind=rubric.kind, check=rubric.name, severity=rubric.severity, text=text, value=value,
                        threshold=bar,
                    )
                )  # fmt: skip
            if rubric.severity == "reject":
                worths.append(worth)
            raws.append(raw)
            if progress is not None:
                progress("judge", done + 1, len(rubrics))
        return self._verdict(findings, measurements, worths, raws, began)

    def ask(self, frames: np.ndarray, fps: float, task: str, progress: Optional[Progress] = None) -> str:
        """Answer a free question about a video.

        Args:
            frames: uint8, shape [T, H, W, 3].
            fps: Its frames a second.
            task: ``caption``, ``action`` (the next one of a robot) or ``driving``.
            progress: Called before every layer; may raise.

        Returns:
            The answer without the thought.

        Raises:
            ConfigError: If there is no such task.
            VerdictParseError: If the answer has not the form that was asked for.
            ModelError: As in ``judge``.
        """
        from cosmos.models.reason.talk import TalkError, split_answer

        if task not in TASKS:
            raise ConfigError(f"There is no task {task!r}; there is {', '.join(TASKS)}.")
        reasoner, think = self._load(), self._thinks()
        watch = self._watch(task, progress, 0, 1)
        text = ""
        try:
            with self._errors():
                look = self._look(frames, fps, 0)
                text = reasoner.write(look, TASKS[task], think=think, sampling=self._sampling(0), watch=watch)
            return split_answer(text, generation=self._generation(), think=think)[1]
        except TalkError as error:
            raise VerdictParseError(
                f"{self.name} gave no answer to {task!r}: {error}. It wrote: {text[:500]!r}"
            ) from error

    def unload(self) -> None:
        """Free the weights; safe to call twice."""
        if self._reasoner is not None:
            self._reasoner.close()
        self._reasoner = None
        import torch

        from cosmos.models.runtime import release

        release(torch.device("cuda" if torch.cuda.is_available() else "cpu"))

    def _rubrics(self, request: TransferRequest) -> list[Rubric]:
        """Return the questions that this run wants about this request."""
        found: list[Rubric] = []
        for name in self._options.rubrics:
            if name in RUBRICS:
                found.append(RUBRICS[name])
            elif name == "prompt":
                found.extend(prompt_rubrics(request.prompt))
            else:
                found.extend(label_rubrics(_visible_classes(request.clip)))
        return found

    def _ask_rubric(
        self, rubric: Rubric, frames: np.ndarray, fps: float, progress: Optional[Progress], done: int, total: int
    ) -> tuple[float, str, str]:
        """Return the worst worth over all trials, the likeliest answer of that trial, and all that was written."""
        from cosmos.models.reason.talk import TalkError

        reasoner, worst, said, raws = self._load(), 2.0, "", []
        for trial in range(self._options.trials):
            asked = rubric.asked(trial)
            watch = self._watch(rubric.name, progress, done, total)
            try:
                with self._errors():
                    choice = reasoner.choose(
                        self._look(frames, fps, trial),
                        asked.text,
                        tuple(asked.worth),
                        think=self._thinks(),
                        sampling=self._sampling(trial),
                        watch=watch,
                    )
            except TalkError as error:
                raise VerdictParseError(f"{self.name} gave no answer to {rubric.name!r}: {error}.") from error
            self._check_mass(rubric, choice)
            worth = sum(share * asked.worth[name] for name, share in choice.shares.items())
            raws.append(f"{rubric.name}, trial {trial + 1}: {json.dumps(_rounded(choice.shares))} {choice.raw}")
            if worth < worst:
                worst, said = worth, asked.meaning[max(choice.shares, key=lambda name: choice.shares[name])]
        return min(1.0, max(0.0, worst)), said, "\n".join(raws)

    def _check_mass(self, rubric: Rubric, choice: Choice) -> None:
        """Refuse an answer that is hardly one of the allowed ones."""
        if not choice.mass >= self._options.least_mass:
            raise VerdictParseError(
                f"{self.name} gave no answer to {rubric.name!r}: the allowed answers have {choice.mass:.0%} of its "
                f"probability, {self._options.least_mass:.0%} is asked for; it goes on with {choice.raw[-200:]!r}."
            )

    def _load(self) -> Answering:
        """Return the model, loaded at the first call."""
        if self._reasoner is None:
            folder = self.require_weights()
            device = pick_device(self.name, self._options.device)
            dtype = pick_dtype(self._options.dtype, device)
            with self._errors(device):
                if self._options.engine == "vllm":
                    self._reasoner = self._load_vllm(folder, device, dtype)
                else:
                    from cosmos.models.reason.answering import Reasoner
                    from cosmos.models.reason.loading import load_reason

                    self._reasoner = Reasoner(load_reason(folder, device=device, dtype=dtype))
        return self._reasoner

    def _load_vllm(self, folder: Path, device: str, dtype: torch.dtype) -> Answering:
        """Return the model in vLLM, with memory for the longest question that the options allow."""
        from cosmos.models.reason.vllm_engine import VllmLimits, load_vllm

        options = self._options
        limits = VllmLimits(tokens=options.most_tokens, frames=options.most_frames, words=options.max_words)
        return load_vllm(folder, device=device, dtype=dtype, limits=limits)

    def _errors(self, device: str = "the device") -> Any:
        cure = "lower critic_options.most_tokens, or take a smaller model"
        extra = "vllm" if self._options.engine == "vllm" else "cosmos"
        return as_model_errors(self.name, device, cure, extra=extra)

    def _generation(self) -> Any:
        return self._load().generation

    def _thinks(self) -> bool:
        return self._generation() == 1 if self._options.think is None else self._options.think

    def _look(self, frames: np.ndarray, fps: float, trial: int) -> Look:
        from cosmos.models.reason.answering import Look
        from cosmos.models.reason.frames import Budget, pick_frames

        height, width = frames.shape[1:3]
        if max(height, width) > 200 * min(height, width):
            raise ModelError(f"{self.name} takes no pictures of {height} x {width}, 200 times as long as wide; crop.")

        options, reasoner = self._options, self._load()
        picked = pick_frames(
            len(frames), fps, wanted_fps=options.fps, least=options.least_frames, most=options.most_frames, phase=trial
        )
        pixels = reasoner.pixels_of_token
        return Look(
            frames=frames[picked],
            times=tuple(index / fps for index in picked),
            budget=Budget(least=options.least_tokens * pixels, most=options.most_tokens * pixels),
        )

    def _sampling(self, trial: int) -> Sampling:
        from cosmos.models.reason.answering import Sampling

        think = self._thinks()
        return Sampling(
            max_words=self._options.max_words,
            temperature=0.6 if think else 0.7,
            top_p=0.95 if think else 0.8,
            top_k=0 if think else 20,
            seed=self._options.seed + trial,
        )

    def _watch(self, what: str, progress: Optional[Progress], done: int, total: int) -> Callable[[], None]:
        """Return what ends an answer: too much time, or whoever follows the progress."""
        end = time.monotonic() + self._options.timeout

        def watch() -> None:
            if time.monotonic() > end:
                raise ModelError(
                    f"{self.name} did not answer {what!r} within {self._options.timeout:g} s; raise "
                    "critic_options.timeout, lower critic_options.most_tokens, or take a faster device."
                )
            if progress is not None:
                progress("judge", done, total)

        return watch

    def _verdict(
        self,
        findings: list[Finding],
        measurements: list[Measurement],
        worths: list[float],
        raws: list[str],
        began: float,
    ) -> Verdict:
        rejecting = [finding for finding in findings if finding.severity == "reject"]
        findings.sort(key=lambda finding: finding.severity != "reject")
        score = min(worths, default=1.0 if measurements else 0.0)
        seconds = time.perf_counter() - began
        return Verdict(
            accepted=not rejecting,
            score=min(score, 0.49) if rejecting else score,
            critic=self.name,
            findings=tuple(findings),
            measurements=tuple(measurements),
            rationale=rejecting[0].text if rejecting else f"{self.name} has no doubt in {len(measurements)} questions.",
            raw="\n".join([self._about(), *raws]) if raws else "",
            seconds=seconds,
            costs={self.name: seconds},
        )

    def _about(self) -> str:
        """Return which model answered and how it looked, as one line of JSON."""
        revision = revision_of(self.name, self._options.weights, "")
        told = {"model": self.name, "revision": revision, "weights_sha256": self._load().sha256}
        return json.dumps({**told, **asdict(self._options)})


class CosmosReason1(_ReasonCritic):
    """Cosmos-Reason1-7B."""

    name = "cosmos-reason1"


class CosmosReason2(_ReasonCritic):
    """Cosmos-Reason2-8B."""

    name = "cosmos-reason2"


class CosmosReason2Small(_ReasonCritic):
    """Cosmos-Reason2-2B."""

    name = "cosmos-reason2-2b"


class Cosmos3Reasoner(_ReasonCritic):
    """The reasoner of Cosmos3-Nano."""

    name = "cosmos3-reasoner"


def _visible_classes(clip: Clip) -> list[str]:
    """Return the labelled classes that fill enough of the middle frame, largest first."""
    if clip.semantic_ids is None:
        return []
    ids = clip.semantic_ids.numpy()[clip.num_frames // 2]
    found, counts = np.unique(ids, return_counts=True)
    shares: dict[str, float] = {}
    for identity, count in zip(found.tolist(), counts.tolist(), strict=True):
        for label in clip.labels.get(identity, {}).values():
            if label.upper() not in ("BACKGROUND", "UNLABELLED"):
                shares[label] = shares.get(label, 0.0) + count / ids.size
    large = [label for label, share in shares.items() if share >= _LEAST_LABEL]
    return sorted(large, key=lambda label: -shares[label])[:_MOST_LABELS]


def _rounded(shares: Mapping[str, float]) -> dict[str, float]:
    return {name: round(share, 4) for name, share in shares.items()}


__all__ = ["Cosmos3Reasoner", "CosmosReason1", "CosmosReason2", "CosmosReason2Small", "ReasonOptions"]
