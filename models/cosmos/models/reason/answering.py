"""Asking a Reason model: free text, or a choice read from the scores of the allowed first words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch  # noqa: TID253
from torch import Tensor, nn  # noqa: TID253

from cosmos.models.reason.frames import Budget, fit_size, to_patches
from cosmos.models.reason.loading import LoadedReason
from cosmos.models.reason.talk import THINK_END, TalkError, compose, lead_in
from cosmos.models.runtime import plain_attention, transformers_class

Watch = Callable[[], None]
"""Called before every layer; what it raises ends the answer."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Look:
    """What the model is shown."""

    frames: np.ndarray
    """uint8, shape [n, H, W, 3]."""
    times: Sequence[float]
    """Time of each frame in the clip [s]."""
    budget: Budget
    """How many pixels they may cost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How words are drawn."""

    max_words: int
    """Most tokens that are written."""
    temperature: float
    """0 always takes the likeliest."""
    top_p: float = 0.95
    """Draw from the likeliest tokens that make up this share."""
    top_k: int = 0
    """Draw from this many; 0 from all."""
    seed: int = 0
    """Decides the draw."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """How likely each allowed answer is."""

    shares: Mapping[str, float]
    """Answer -> its share among the allowed ones; they add up to 1."""
    mass: float
    """Probability that the model gives to the allowed answers together."""
    raw: str
    """What it wrote before, and the likeliest next words as they are."""


class Answering(Protocol):
    """A model that answers questions about pictures, whatever engine runs it."""

    @property
    def sha256(self) -> str:
        """One hash over the weights."""
        ...

    @property
    def generation(self) -> int:
        """1 or 2, see `cosmos.models.reason.talk`."""
        ...

    @property
    def pixels_of_token(self) -> int:
        """Pixels that one token costs, over all the frames that it covers."""
        ...

    def write(self, look: Look, question: str, *, think: bool, sampling: Sampling, watch: Watch) -> str:
        """Return what the model writes, as it is."""
        ...

    def choose(
        self, look: Look, question: str, choices: Sequence[str], *, think: bool, sampling: Sampling, watch: Watch
    ) -> Choice:
        """Score each allowed answer by the probability of its first token."""
        ...

    def close(self) -> None:
        """Give its memory back; it answers nothing more."""
        ...


class Reasoner:
    """A loaded model that answers questions about pictures.

    Args:
        loaded: The model.
    """

    def __init__(self, loaded: LoadedReason) -> None:
        self._loaded = loaded

    @property
    def sha256(self) -> str:
        """One hash over the weights."""
        return self._loaded.sha256

    @property
    def generation(self) -> int:
        """1 or 2, see `cosmos.models.reason.talk`."""
        return self._loaded.generation

    @property
    def pixels_of_token(self) -> int:
        """Pixels that one token costs, over all the frames that it covers."""
        eye = self._loaded.eye
        return eye.token**2 * eye.temporal

    def write(self, look: Look, question: str, *, think: bool, sampling: Sampling, watch: Watch) -> str:
        """Return what the model writes, as it is.

        Raises:
            TalkError: If the question holds marks of the model, or the text did not end within ``max_words``.
        """
        loaded = self._loaded
        inputs = self.inputs(look, question, think=think)
        with self._watched(watch), plain_attention(loaded.device), torch.inference_mode():
            text, ended = self._generate(inputs, sampling, stop=())
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
            choices: Allowed answers, each one token long, e.g. ``("1", "2", "3", "4", "5")``.
            think: Whether the model reasons first.
            sampling: How the thought is drawn.
            watch: Called before every layer.

        Raises:
            TalkError: If the question holds marks of the model, the thought does not end, or a choice is no token.
        """
        loaded = self._loaded
        ids = {choice: token_ids(loaded.tokenizer, choice) for choice in choices}
        inputs = self.inputs(look, question, think=think)
        raw = ""
        with self._watched(watch), plain_attention(loaded.device), torch.inference_mode():
            if think:
                raw, ended = self._generate(inputs, sampling, stop=(THINK_END,))
                if not ended or not raw.rstrip().endswith(THINK_END):
                    raise TalkError(f"its thought did not end within {sampling.max_words} tokens: {raw[-200:]!r}")
            raw += lead_in(loaded.generation, think=think)
            scores = self._next(self._longer(inputs, raw))
        shares = scores.softmax(dim=-1)
        found = {choice: float(shares[tokens].sum()) for choice, tokens in ids.items()}
        likeliest = "".join(loaded.tokenizer.decode([int(shares.argmax())]))
        return choice_of(found, raw + likeliest)

    def close(self) -> None:
        """Nothing more to give back: the net goes when nobody holds it."""

    def inputs(self, look: Look, question: str, *, think: bool) -> dict[str, Any]:
        """Return what the net is given: tokens, patches, their grid, and what is a picture."""
        loaded = self._loaded
        eye = loaded.eye
        count, height, width = look.frames.shape[:3]
        size = fit_size(height, width, count, eye, look.budget)
        patches, grid = to_patches(look.frames, eye, size, loaded.device)
        times = [*look.times, *[look.times[-1]] * (-count % eye.temporal)]
        middles = [
            (times[first] + times[first + eye.temporal - 1]) / 2.0 for first in range(0, len(times), eye.temporal)
        ]
        tokens = int(grid[0, 1] * grid[0, 2]) // eye.merge**2
        chat = compose(
            loaded.tokenizer, question, generation=loaded.generation, think=think, tokens=tokens, times=middles
        )
        ids = torch.tensor([loaded.tokenizer(chat)["input_ids"]], device=loaded.device)
        inputs = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "pixel_values_videos": patches.to(loaded.model.dtype),
            "video_grid_thw": grid,
            "mm_token_type_ids": self._kinds(ids),
        }
        if loaded.generation == 1:
            span = look.times[-1] - look.times[0]
            step = span / (count - 1) if count > 1 and span > 0.0 else 1.0
            inputs["second_per_grid_ts"] = torch.tensor([eye.temporal * step], device=loaded.device)
        return inputs

    def _kinds(self, ids: Tensor) -> Tensor:
        """Return 2 where a token stands for pictures of a video, else 0."""
        return torch.where(ids == self._loaded.model.config.video_token_id, 2, 0)

    def _longer(self, inputs: Mapping[str, Any], text: str) -> dict[str, Any]:
        """Return the inputs with a text behind them."""
        if not text:
            return dict(inputs)
        more = torch.tensor([self._loaded.tokenizer(text)["input_ids"]], device=self._loaded.device)
        ids = torch.cat([inputs["input_ids"], more], dim=1)
        return {
            **inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": self._kinds(ids)
        }  # fmt: skip

    def _next(self, inputs: Mapping[str, Any]) -> Tensor:
        """Return the scores of the token after the inputs, float32 [vocabulary]."""
        scores: Tensor = self._loaded.model(**inputs, logits_to_keep=1, use_cache=False).logits
        return scores[0, -1].float()

    def _generate(self, inputs: Mapping[str, Any], sampling: Sampling, stop: tuple[str, ...]) -> tuple[str, bool]:
        """Return what the model writes and whether it came to its end, or to a text that stops it."""
        loaded = self._loaded
        model, tokenizer = loaded.model, loaded.tokenizer
        drawn = {"do_sample": False} if sampling.temperature == 0.0 else {
            "do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k
        }  # fmt: skip
        ends = _end_tokens(model, tokenizer)
        settings = transformers_class("GenerationConfig")(
            max_new_tokens=sampling.max_words,
            eos_token_id=ends,
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else ends[0],
            **drawn,
        )
        if stop:
            settings.stop_strings = list(stop)
        devices = [loaded.device] if loaded.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(sampling.seed)
            made = model.generate(**inputs, generation_config=settings, **({"tokenizer": tokenizer} if stop else {}))
        new = made[0, inputs["input_ids"].shape[1] :].tolist()
        text = tokenizer.decode(new, skip_special_tokens=True)
        return text, bool(new) and (new[-1] in ends or any(mark in text for mark in stop))

    @contextmanager
    def _watched(self, watch: Watch) -> Iterator[None]:
        """Call a function before each layer of the net, pictures and words alike."""
        layers = [
            layer
            for name, module in self._loaded.model.named_modules()
            if isinstance(module, nn.ModuleList) and name.rsplit(".", 1)[-1] in ("layers", "blocks")
            for layer in module
        ]
        handles = [layer.register_forward_pre_hook(lambda *_: watch()) for layer in layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def choice_of(found: Mapping[str, float], raw: str) -> Choice:
    """Return a choice from the probability of each allowed answer, and what was written."""
    mass = sum(found.values())
    shares = {choice: value / max(mass, 1e-30) for choice, value in found.items()}
    return Choice(shares=shares, mass=min(1.0, mass), raw=raw)


def token_ids(tokenizer: Any, choice: str) -> list[int]:
    """Return the single tokens that mean a choice: as it is, and with a blank before it."""
    found = [tokenizer(text)["input_ids"] for text in (choice, f" {choice}")]
    single = sorted({ids[0] for ids in found if len(ids) == 1})
    if not single:
        raise TalkError(f"the choice {choice!r} is no single token of this model")
    return single


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Return the tokens that end a text."""
    given = model.generation_config.eos_token_id
    ends = set(given if isinstance(given, list) else [given]) | {tokenizer.eos_token_id}
    return sorted(token for token in ends if token is not None)


__all__ = ["Answering", "Choice", "Look", "Reasoner", "Sampling", "Watch", "choice_of", "token_ids"]
