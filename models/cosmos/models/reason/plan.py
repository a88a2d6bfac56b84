"""What a look of a Reason model needs on a GPU, counted on its real net before any weight is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch  # noqa: TID253

from cosmos.models.checkpoint import parameter_count
from cosmos.models.planning import GIB, RESERVE
from cosmos.models.reason.frames import Budget, Eye, fit_size
from cosmos.models.runtime import transformers_class
from cosmos.models.spec import read_config
from cosmos.models.weights import WeightsError

_QWEN3_EYE: Mapping[str, Any] = {"num_heads": 16, "patch_size": 16, "num_position_embeddings": 2304}
_QWEN3_8B: Mapping[str, Any] = {
    "model_type": "qwen3_vl",
    "text_config": {
        "vocab_size": 151936, "hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 36,
        "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    },
    "vision_config": {
        **_QWEN3_EYE, "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "out_hidden_size": 4096,
        "deepstack_visual_indexes": [8, 16, 24],
    },
}  # fmt: skip
PUBLISHED_SHAPES: Mapping[str, Mapping[str, Any]] = {
    "cosmos-reason1": {
        "model_type": "qwen2_5_vl",
        "text_config": {
            "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
            "num_attention_heads": 28, "num_key_value_heads": 4,
        },
        "vision_config": {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 3584},
    },
    "cosmos-reason2": _QWEN3_8B,
    "cosmos-reason2-2b": {
        "model_type": "qwen3_vl",
        "tie_word_embeddings": True,
        "text_config": {
            "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 28,
            "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True,
        },
        "vision_config": {
            **_QWEN3_EYE, "depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "out_hidden_size": 2048,
            "deepstack_visual_indexes": [5, 11, 17],
        },
    },
    "cosmos3-reasoner": _QWEN3_8B,
}  # fmt: skip
"""Name -> shape of the published net, as far as it matters here (those of the Qwen models that they were made from)."""

_NAMES = {"qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL", "cosmos3_omni": "Cosmos3Omni"}
_TEXT_TOKENS = 400
"""Tokens of a question with its system prompt, about."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReasonPlan:
    """What one question about one clip needs in bfloat16."""

    parameters: int
    """Of the whole net."""
    weights: float
    """Memory of the net [GiB]."""
    tokens: int
    """Tokens of pictures and question."""
    cache: float
    """Memory of keys and values while a thought is written [GiB]."""
    work: float
    """Memory of what the widest layer makes of all tokens, and of the pictures [GiB]."""
    petaflops: float
    """Operations of one look without a thought, two a parameter and token [1e15]."""

    @property
    def needed(self) -> float:
        """Memory that a device must have free [GiB]."""
        return self.weights + self.cache + self.work + RESERVE

    def verdict(self, memory: float) -> str:
        """Say in a sentence whether a device of this much free memory [GiB] holds it."""
        if memory >= self.needed:
            return f"fits ({self.needed:.1f} GiB needed)"
        if memory >= self.weights + RESERVE:
            return f"does not fit with {self.tokens} tokens ({self.needed:.1f} GiB needed); lower most_tokens"
        return f"does not fit, because the weights alone take {self.weights:.1f} GiB"


def plan_reason(
    name: str, *, size: tuple[int, int], num_frames: int, most_tokens: int = 4096, words: int = 1024,
    folder: Path | None = None,
) -> ReasonPlan:  # fmt: skip
    """Count what a look needs.

    Args:
        name: One of ``PUBLISHED_SHAPES``.
        size: Height and width of the clip [px].
        num_frames: Frames that are looked at.
        most_tokens: Most picture tokens, as the critic's option.
        words: Tokens of a thought.
        folder: Checkpoint whose configuration is read; ``None`` takes the published shape.

    Raises:
        WeightsError: If the folder's configuration is missing or of another kind.
        ValueError: If the size or a number is impossible.
    """
    if min(*size, num_frames, most_tokens, words) < 1:
        raise ValueError(f"A look needs a size, frames, tokens and words above 0, got {size}, {num_frames}.")
    shape = dict(PUBLISHED_SHAPES[name])
    if folder is not None:
        try:
            shape = read_config(folder / "config.json")
        except ValueError as error:
            raise WeightsError(f"{error} Give the folder of a Reason checkpoint.") from error
    kind = str(shape.pop("model_type", ""))
    if kind not in _NAMES:
        raise WeightsError(f"{folder} holds a {kind!r}; a Reason model is one of {', '.join(_NAMES)}.")
    config = transformers_class(f"{_NAMES[kind]}Config").from_dict(shape)
    with torch.device("meta"):
        net = transformers_class(f"{_NAMES[kind]}ForConditionalGeneration")(config)
    parameters, text, vision = parameter_count(net), config.text_config, config.vision_config
    eye = Eye(patch=vision.patch_size, merge=2, temporal=2, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    pixels = eye.token**2 * eye.temporal
    tall, wide = fit_size(*size, num_frames, eye, Budget(least=128 * pixels, most=most_tokens * pixels))
    patches = -(-num_frames // 2) * (tall // eye.patch) * (wide // eye.patch)
    tokens = patches // 4 + _TEXT_TOKENS
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    cache = (tokens + words) * text.num_hidden_layers * text.num_key_value_heads * head * 2 * 2
    widest = max(
        tokens * (3 * text.intermediate_size + 3 * text.hidden_size),
        patches * (3 * vision.intermediate_size + 3 * vision.hidden_size),
    )
    return ReasonPlan(
        parameters=parameters,
        weights=2 * parameters / GIB,
        tokens=tokens,
        cache=cache / GIB,
        work=(2 * widest + 4 * num_frames * 3 * tall * wide) / GIB,
        petaflops=2 * parameters * tokens / 1e15,
    )


__all__ = ["PUBLISHED_SHAPES", "ReasonPlan", "plan_reason"]
