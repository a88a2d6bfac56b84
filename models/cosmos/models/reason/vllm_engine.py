"""The same questions through vLLM instead of transformers, in this process: an engine to choose, never one to need.

Pictures are picked, scaled and timed as for transformers and handed over as they are, so that both engines see the same
tokens. One question runs at a time, step by step, so that it can be ended between two words.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch  # noqa: TID253

from cosmos.models.checkpoint import read_header, weight_files
from cosmos.models.reason.answering import Choice, Look, Sampling, Watch, choice_of, token_ids
from cosmos.models.reason.frames import Eye, fit_size, read_eye, scale_frames
from cosmos.models.reason.loading import kind_of
from cosmos.models.reason.talk import THINK_END, Generation, TalkError, compose, lead_in
from cosmos.models.runtime import quiet_transformers, transformers_class
from cosmos.models.weights import WeightsError, combined_sha256, first_line

_ARCHITECTURES = {
    "qwen2_5_vl": "Qwen2_5_VLForConditionalGeneration",
    "qwen3_vl": "Qwen3VLForConditionalGeneration",
}
_QUESTION_TOKENS, _STAMP_TOKENS = 2048, 16
_TICKS = 1_000_000
"""Ticks a second in which vLLM is told the times of frames."""
_CACHE_MARGIN = 1.25


@dataclass(frozen=True, kw_only=True, slots=True)
class VllmLimits:
    """The longest question; vLLM sets memory aside for it when it loads."""

    tokens: int
    """Most picture tokens."""
    frames: int
    """Most frames."""
    words: int
    """Most tokens that are written."""


class VllmReasoner:
    """A model in vLLM that answers questions about pictures, as `cosmos.models.reason.answering.Reasoner` does.

    Args:
        llm: vLLM's ``LLM``.
        tokenizer: Of the checkpoint, with the chat template.
        eye: How the model wants its pictures.
        generation: Form of its chat.
        sha256: One hash over its weights.
    """

    def __init__(self, llm: Any, tokenizer: Any, eye: Eye, generation: Generation, sha256: str) -> None:
        self._llm, self._tokenizer, self._eye = llm, tokenizer, eye
        self._generation: Generation = generation
        self._sha256 = sha256

    @property
    def sha256(self) -> str:
        """One hash over the weights."""
        return self._sha256

    @property
    def generation(self) -> int:
        """1 or 2, see `cosmos.models.reason.talk`."""
        return self._generation

    @property
    def pixels_of_token(self) -> int:
        """Pixels that one token costs, over all the frames that it covers."""
        return self._eye.token**2 * self._eye.temporal

    def write(self, look: Look, question: str, *, think: bool, sampling: Sampling, watch: Watch) -> str:
        """Return what the model writes, as it is.

        Raises:
            TalkError: If the question holds marks of the model, or the text did not end within ``max_words``.
            RuntimeError: If vLLM refuses the question.
        """
        text, ended = self._text(self._run(self.prompt(look, question, think=think), self._params(sampling), watch))
        if not ended:
            raise TalkError(f"it did not end within {sampling.max_words} tokens: {text[-200:]!r}")
        return text

    def choose(
        self, look: Look, question: str, choices: Sequence[str], *, think: bool, sampling: Sampling, watch: Watch
    ) -> Choice:
        """Score each allowed answer by the probability of its first token, after a thought where one is asked for.

        Args:
            look: What is shown.
            question: The question, with the choices told in it.
            choices: Allowed answers, each one token long.
            think: Whether the model reasons first.
            sampling: How the thought is drawn.
            watch: Called before every step of the engine.

        Raises:
            TalkError: If the question holds marks of the model, the thought does not end, or a choice is no token.
            RuntimeError: If vLLM refuses the question.
        """
        ids = {choice: token_ids(self._tokenizer, choice) for choice in choices}
        prompt = self.prompt(look, question, think=think)
        raw = ""
        if think:
            raw, ended = self._text(self._run(prompt, self._params(sampling, stop=[THINK_END]), watch))
            if not ended or not raw.rstrip().endswith(THINK_END):
                raise TalkError(f"its thought did not end within {sampling.max_words} tokens: {raw[-200:]!r}")
        raw += lead_in(self._generation, think=think)
        more = self._tokenizer(raw)["input_ids"] if raw else []
        longer = {**prompt, "prompt_token_ids": [*prompt["prompt_token_ids"], *more]}
        asked = sorted({token for tokens in ids.values() for token in tokens})
        scored = import_module("vllm").SamplingParams(max_tokens=1, temperature=0.0, logprob_token_ids=asked)
        answer = self._run(longer, scored, watch).outputs[0]
        shares = {token: math.exp(found.logprob) for token, found in answer.logprobs[0].items()}
        likeliest = "".join(self._tokenizer.decode(list(answer.token_ids)))
        return choice_of({choice: sum(shares[token] for token in ids[choice]) for choice in choices}, raw + likeliest)

    def prompt(self, look: Look, question: str, *, think: bool) -> dict[str, Any]:
        """Return what vLLM is given: the chat with one place for the video, the scaled frames, and their times."""
        eye = self._eye
        count, height, width = look.frames.shape[:3]
        pad = -count % eye.temporal
        frames = scale_frames(look.frames, fit_size(height, width, count, eye, look.budget))
        if pad:
            frames = frames.repeat([1] * (count - 1) + [1 + pad], axis=0)
        chat = compose(self._tokenizer, question, generation=self._generation, think=think, tokens=None, times=())
        return {
            "prompt_token_ids": self._tokenizer(chat)["input_ids"],
            "multi_modal_data": {"video": [(frames, self._times(look, pad))]},
            "mm_processor_kwargs": {"do_resize": False, "do_sample_frames": False},
        }

    def close(self) -> None:
        """End the engine and give its memory back."""
        self._llm.llm_engine.engine_core.shutdown()
        self._llm = None
        import_module("vllm.distributed").cleanup_dist_env_and_memory()

    def _times(self, look: Look, pad: int) -> dict[str, Any]:
        """Return the times of frames as vLLM wants them: stamps in ticks, or the spacing of evenly spread ones."""
        times = [*look.times, *[look.times[-1]] * pad]
        told = {"video_backend": "none", "do_sample_frames": False}
        if self._generation == 1:
            count = len(look.times)
            span = look.times[-1] - look.times[0]
            step = span / (count - 1) if count > 1 and span > 0.0 else 1.0
            return {
                **told, "fps": 1.0 / step, "duration": step * len(times), "total_num_frames": len(times),
                "frames_indices": list(range(len(times))),
            }  # fmt: skip
        stamps = [round(time * _TICKS) for time in times]
        return {
            **told, "fps": float(_TICKS), "duration": times[-1], "total_num_frames": stamps[-1] + 1,
            "frames_indices": stamps,
        }  # fmt: skip

    def _params(self, sampling: Sampling, stop: Sequence[str] = ()) -> Any:
        return import_module("vllm").SamplingParams(
            max_tokens=sampling.max_words,
            temperature=sampling.temperature,
            top_p=sampling.top_p if sampling.temperature > 0.0 else 1.0,
            top_k=sampling.top_k,
            seed=sampling.seed,
            stop=list(stop),
            include_stop_str_in_output=True,
        )

    def _text(self, output: Any) -> tuple[str, bool]:
        """Return what was written, and whether it came to its end or to a text that stops it."""
        answer = output.outputs[0]
        text = self._tokenizer.decode(list(answer.token_ids), skip_special_tokens=True)
        return text, answer.finish_reason == "stop"

    def _run(self, prompt: Mapping[str, Any], params: Any, watch: Watch) -> Any:
        """Answer one question, step by step; whatever ends it early takes it out of the engine."""
        engine = self._llm.llm_engine
        try:
            asked = self._llm.enqueue(dict(prompt), params, use_tqdm=False)
        except ValueError as error:
            raise RuntimeError(f"vLLM refuses the question ({first_line(error)})") from error
        done = None
        try:
            while engine.has_unfinished_requests():
                watch()
                for output in engine.step():
                    done = output if output.finished else done
        finally:
            if done is None:
                engine.abort_request(asked, internal=True)
        if done is None:
            raise RuntimeError("vLLM dropped the question without an answer")
        return done


def load_vllm(folder: Path, *, device: str, dtype: torch.dtype, limits: VllmLimits) -> VllmReasoner:
    """Load Cosmos Reason1 or Reason2 into vLLM, in this process.

    Args:
        folder: Folder of the published layout, with the files of its processor.
        device: Torch device; vLLM runs on the kind of device that it was built for, CUDA on the first visible one.
        dtype: Type of the weights.
        limits: The longest question.

    Raises:
        ImportError: If vLLM is not installed.
        WeightsError: If anything is missing, damaged or of a kind that vLLM does not read, as the Cosmos 3 reasoner.
        RuntimeError: If vLLM was built for another device, or has not the memory.
    """
    vllm = import_module("vllm")
    built = import_module("vllm.platforms").current_platform.device_type
    place = torch.device(device)
    if place.type != built or place.index:
        raise RuntimeError(
            f"this vLLM runs on {'the first visible CUDA device' if built == 'cuda' else built} alone; set "
            "critic_options.device to that, or critic_options.engine to 'transformers'"
        )
    kind, generation = kind_of(folder)
    if kind not in _ARCHITECTURES:
        raise WeightsError(
            f"vLLM reads a {kind!r} from its unified checkpoint alone, and {folder} holds only the reasoner; leave "
            "critic_options.engine at 'transformers'."
        )
    eye, files = read_eye(folder), weight_files(folder, "model")
    for file in files:
        read_header(file)
    try:
        with quiet_transformers():
            tokenizer = transformers_class("AutoTokenizer").from_pretrained(folder, local_files_only=True)
            text = transformers_class("AutoConfig").from_pretrained(folder, local_files_only=True).get_text_config()
        longest = _longest(limits, eye, text.max_position_embeddings)
        with _in_this_process():
            llm = vllm.LLM(
                model=str(folder),
                dtype=str(dtype).removeprefix("torch."),
                max_model_len=longest,
                max_num_seqs=1,
                limit_mm_per_prompt={"image": 0, "video": 1},
                kv_cache_memory_bytes=_cache_bytes(text, longest, dtype),
                skip_mm_profiling=True,
                mm_processor_cache_gb=0,
                enforce_eager=True,
                hf_overrides={"architectures": [_ARCHITECTURES[kind]]},
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"vLLM cannot load the Reason model in {folder} ({first_line(error)}).") from error
    return VllmReasoner(llm, tokenizer, eye, generation, combined_sha256(files))


def _longest(limits: VllmLimits, eye: Eye, most: int) -> int:
    """Return the most tokens of a question with its answer."""
    steps = -(-limits.frames // eye.temporal)
    return min(most, limits.tokens + _STAMP_TOKENS * steps + _QUESTION_TOKENS + limits.words)


def _cache_bytes(text: Any, tokens: int, dtype: torch.dtype) -> int:
    """Return the memory for keys and values of so many tokens, with a margin for the blocks that vLLM cuts it into."""
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    each = 2 * text.num_hidden_layers * text.num_key_value_heads * head * dtype.itemsize
    return int(_CACHE_MARGIN * each * (tokens + 1024))


@contextmanager
def _in_this_process() -> Iterator[None]:
    """Let vLLM run its engine here while it is made: a second process could neither be ended nor share the device."""
    name = "VLLM_ENABLE_V1_MULTIPROCESSING"
    before = os.environ.get(name)
    os.environ[name] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


__all__ = ["VllmLimits", "VllmReasoner", "load_vllm"]
