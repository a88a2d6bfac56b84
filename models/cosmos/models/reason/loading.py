"""From a folder of the published layout to a loaded Reason model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from safetensors import SafetensorError

from cosmos.models.checkpoint import read_header, weight_files
from cosmos.models.reason.frames import Eye, read_eye
from cosmos.models.reason.talk import Generation
from cosmos.models.runtime import probe_attention, quiet_transformers, transformers_class
from cosmos.models.spec import read_config
from cosmos.models.weights import WeightsError, combined_sha256, first_line

_CLASSES: dict[str, tuple[str, Generation]] = {
    "qwen2_5_vl": ("Qwen2_5_VLForConditionalGeneration", 1),
    "qwen3_vl": ("Qwen3VLForConditionalGeneration", 2),
    "cosmos3_omni": ("Cosmos3OmniForConditionalGeneration", 2),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LoadedReason:
    """A model with its tokenizer, and what it came from."""

    model: Any
    """The net, in evaluation mode."""
    tokenizer: Any
    """Its tokenizer, with the chat template."""
    eye: Eye
    """How it wants its pictures."""
    generation: Generation
    """Form of its chat."""
    device: torch.device
    """Where it is."""
    sha256: str
    """One hash over its weights."""


def load_reason(folder: Path, *, device: str, dtype: torch.dtype) -> LoadedReason:
    """Load Cosmos Reason1, Reason2 or the Cosmos 3 reasoner.

    Args:
        folder: Folder with ``config.json``, the weights and the tokenizer.
        device: Torch device.
        dtype: Type of the weights.

    Raises:
        WeightsError: If anything is missing, damaged or of another kind; nothing stays loaded.
        RuntimeError: If the device cannot run the attention that the net needs, or is out of memory.
    """
    place = torch.device(device)
    kind, generation = kind_of(folder)
    name = _CLASSES[kind][0]
    eye = read_eye(folder)
    files = weight_files(folder, "model")
    for file in files:
        read_header(file)
    probe_attention(place, dtype)
    try:
        with quiet_transformers():
            model, loading = transformers_class(name).from_pretrained(
                folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
            )
        tokenizer = transformers_class("AutoTokenizer").from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise WeightsError(f"The Reason model in {folder} cannot be loaded ({first_line(error)}).") from error
    wrong = sorted({*loading["missing_keys"], *map(str, loading["mismatched_keys"])} - {"lm_head.weight"})
    if wrong:
        raise WeightsError(
            f"The Reason model in {folder} lacks {len(wrong)} weights, among them {wrong[0]!r}; fetch it again."
        )
    if not getattr(tokenizer, "chat_template", None):
        raise WeightsError(f"The tokenizer in {folder} has no chat template; fetch the checkpoint again.")
    return LoadedReason(
        model=model.to(place).eval().requires_grad_(False),
        tokenizer=tokenizer,
        eye=eye,
        generation=generation,
        device=place,
        sha256=combined_sha256(files),
    )


def kind_of(folder: Path) -> tuple[str, Generation]:
    """Return which model a folder holds, and the form of its chat.

    Raises:
        WeightsError: If it holds none of the known ones.
    """
    try:
        config = read_config(folder / "config.json")
    except ValueError as error:
        raise WeightsError(f"{error} Give the folder of a Reason checkpoint.") from error
    kind = str(config.get("model_type"))
    if kind not in _CLASSES:
        raise WeightsError(f"{folder} holds a {kind!r}; a Reason model is one of {', '.join(_CLASSES)}.")
    return kind, _CLASSES[kind][1]


__all__ = ["LoadedReason", "kind_of", "load_reason"]
