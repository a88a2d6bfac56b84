"""Prompt embeddings of Transfer2.5, computed once and kept on disk, so that the encoder need not stay in memory.

The encoder is Cosmos-Reason1-7B, a Qwen2.5-VL: 16.6 GB in bfloat16 for one prompt. An embedding is the hidden states
of all its layers, each normalised and joined: 512 tokens of 28 x 3584 numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor  # noqa: TID253

from cosmos.models.checkpoint import identity_of, read_header, weight_files
from cosmos.models.placement import place
from cosmos.models.runtime import plain_attention, quiet_transformers, release, transformers_class
from cosmos.models.weights import WeightsError, first_line

TEXT_TOKENS = 512
"""Tokens that the model was trained to read; longer prompts are cut, shorter ones padded."""

_SYSTEM = "You are a helpful assistant who will provide prompts to an image generator."


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Embedding:
    """What the model reads of one prompt."""

    states: Tensor
    """Joined hidden states, shape [1, 512, layers * width]."""
    cut: int
    """Tokens of the prompt beyond what is read."""


class PromptEncoder:
    """Turns prompts into embeddings; loads the encoder only for prompts that the cache does not hold.

    Args:
        folder: Folder with ``text_encoder`` and ``tokenizer``.
        cache: Folder for embeddings; ``None`` keeps none on disk.
        cpu_offload: Whether the encoder's layers wait in main memory until they run.
    """

    def __init__(self, folder: Path, cache: Path | None, *, cpu_offload: bool = False) -> None:
        self._folder = folder
        self._cpu_offload = cpu_offload
        self._cache = cache
        self._identity = ""

    def embed(self, prompts: tuple[str, ...], *, device: torch.device, dtype: torch.dtype) -> dict[str, Embedding]:
        """Return the embedding of each prompt; the encoder is released before this returns.

        Args:
            prompts: Texts; equal ones are computed once.
            device: Where to compute and where to put the embeddings.
            dtype: Type of the encoder and of the embeddings.

        Raises:
            WeightsError: If a prompt is not cached and the encoder is missing or damaged.
        """
        found = {prompt: self._read(prompt, device, dtype) for prompt in dict.fromkeys(prompts)}
        missing = [prompt for prompt, embedding in found.items() if embedding is None]
        if missing:
            made = self._compute(missing, device, dtype)
            for prompt, embedding in made.items():
                self.keep(prompt, embedding, dtype)
                found[prompt] = embedding
        return {prompt: embedding for prompt, embedding in found.items() if embedding is not None}

    def lacks(self, prompts: tuple[str, ...], dtype: torch.dtype) -> bool:
        """Whether the encoder itself is needed for some of these prompts."""
        return any(self._read(prompt, torch.device("cpu"), dtype) is None for prompt in prompts)

    def keep(self, prompt: str, embedding: Embedding, dtype: torch.dtype) -> None:
        """Put an embedding into the cache on disk, if there is one.

        Args:
            prompt: The text.
            embedding: What the encoder made of it, in ``dtype``.
            dtype: Type that it will be asked for in.
        """
        path = self._path(prompt, dtype)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        save_file({"states": embedding.states.contiguous().cpu(), "cut": torch.tensor(embedding.cut)}, part)
        part.replace(path)

    def _compute(self, prompts: list[str], device: torch.device, dtype: torch.dtype) -> dict[str, Embedding]:
        """Load the encoder, embed, and let it go."""
        encoder, tokenizer = self._load(device, dtype)
        try:
            with plain_attention(device), torch.inference_mode():
                return {prompt: _embed(encoder, tokenizer, prompt, device, dtype) for prompt in prompts}
        finally:
            del encoder
            release(device)

    def _load(self, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
        folder = self._folder / "text_encoder"
        if not (folder / "config.json").is_file():
            raise WeightsError(
                f"The prompt is not in the embedding cache and {folder} is missing; fetch the text encoder."
            )
        for file in weight_files(folder, "model"):
            read_header(file)
        try:
            with quiet_transformers():
                encoder, loading = transformers_class("Qwen2_5_VLForConditionalGeneration").from_pretrained(
                    folder, dtype=dtype, local_files_only=True, use_safetensors=True, output_loading_info=True
                )
            tokenizer = transformers_class("AutoTokenizer").from_pretrained(
                self._folder / "tokenizer", local_files_only=True
            )
        except (OSError, ValueError, RuntimeError, KeyError, SafetensorError) as error:
            raise WeightsError(f"The text encoder in {folder} cannot be loaded ({first_line(error)}).") from error
        wrong = sorted({*loading["missing_keys"], *map(str, loading["mismatched_keys"])} - {"lm_head.weight"})
        if wrong:
            raise WeightsError(
                f"The text encoder in {folder} lacks {len(wrong)} weights, among them {wrong[0]!r}; fetch it again."
            )
        encoder.eval().requires_grad_(False)
        place(encoder, device, blocks=list(encoder.model.language_model.layers) if self._cpu_offload else None)
        return encoder, tokenizer

    def _path(self, prompt: str, dtype: torch.dtype) -> Path | None:
        if self._cache is None:
            return None
        if not self._identity:
            self._identity = self._read_identity()
        key = json.dumps([self._identity, prompt, TEXT_TOKENS, str(dtype)], ensure_ascii=False)
        return self._cache / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors"

    def _read_identity(self) -> str:
        """Tell versions of encoder and tokenizer apart; kept beside the cache so that it outlives the encoder."""
        folder = self._folder / "text_encoder"
        kept = self._cache / "encoder.txt" if self._cache is not None else None
        if not folder.is_dir():
            if kept is not None and kept.is_file():
                return kept.read_text(encoding="utf-8").strip()
            raise WeightsError(f"There is no text encoder in {folder} and no embedding cache; fetch the text encoder.")
        tokenizer = [file for file in (self._folder / "tokenizer").glob("*") if file.is_file()]
        identity = identity_of([folder / "config.json", *weight_files(folder, "model"), *tokenizer])
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(identity, encoding="utf-8")
        return identity

    def _read(self, prompt: str, device: torch.device, dtype: torch.dtype) -> Embedding | None:
        path = self._path(prompt, dtype)
        if path is None or not path.is_file():
            return None
        try:
            tensors = load_file(path, device=str(device))
            return Embedding(states=tensors["states"], cut=int(tensors["cut"]))
        except (SafetensorError, KeyError):  # a run was killed while writing on a disk without atomic rename
            return None


def default_negative_prompt() -> str:
    """Return the negative prompt of the published pipeline, for requests that give none."""
    text: str = import_module("diffusers.pipelines.cosmos.pipeline_cosmos2_5_transfer").DEFAULT_NEGATIVE_PROMPT
    return text


def _embed(encoder: Any, tokenizer: Any, prompt: str, device: torch.device, dtype: torch.dtype) -> Embedding:
    """Embed one prompt as Transfer2.5 was trained: every layer's states, normalised over their width, joined."""
    talk = [
        {"role": role, "content": [{"type": "text", "text": text}]}
        for role, text in (("system", _SYSTEM), ("user", prompt))
    ]
    whole = _ids(tokenizer, talk)
    ids = _ids(tokenizer, talk, max_length=TEXT_TOKENS, truncation=True, padding="max_length")
    hidden = encoder(torch.tensor([ids], device=device), output_hidden_states=True).hidden_states[1:]
    states = [(x - x.mean(dim=-1, keepdim=True)) / (x.std(dim=-1, keepdim=True) + 1e-8) for x in hidden]
    return Embedding(states=torch.cat(states, dim=-1).to(dtype), cut=max(0, len(whole) - TEXT_TOKENS))


def _ids(tokenizer: Any, talk: list[dict[str, Any]], **settings: Any) -> list[int]:
    ids = tokenizer.apply_chat_template(
        talk, tokenize=True, add_generation_prompt=False, add_vision_id=False, **settings
    )
    return list(ids if isinstance(ids, list) else ids["input_ids"])


__all__ = ["TEXT_TOKENS", "Embedding", "PromptEncoder", "default_negative_prompt"]
