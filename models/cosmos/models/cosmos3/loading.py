"""From a folder of the published layout to the loaded nets of Cosmos 3: transformer, vae and text_tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch  # noqa: TID253

from cosmos.models.checkpoint import load_module, weight_files
from cosmos.models.runtime import probe_attention, transformers_class
from cosmos.models.spec import read_config
from cosmos.models.weights import WeightsError, combined_sha256

SYSTEM = (
    "You are a helpful assistant that generates images or videos following the user's instructions"
    " and control signals (edge maps, blur, depth, or segmentation)."
)
"""System prompt that the model was trained with for control-to-video."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Loaded3:
    """Nets, tokenizer and what they came from."""

    transformer: Any
    """A ``Cosmos3OmniTransformer``."""
    vae: Any
    """An ``AutoencoderKLWan`` of the Wan2.2 kind."""
    tokenizer: Any
    """The tokenizer."""
    scheduler: dict[str, Any]
    """Configuration of the published scheduler; empty where a checkpoint has none."""
    sha256: str
    """One hash over transformer and autoencoder."""

    def tokens(self, prompt: str) -> list[int]:
        """Return the tokens of a prompt for control-to-video, with those that begin the pictures."""
        told = self.tokenizer.apply_chat_template(
            [{"role": "system", "content": SYSTEM}, {"role": "user", "content": prompt}],
            tokenize=True,
            add_generation_prompt=True,
            add_vision_id=False,
            return_dict=True,
        )
        start = self.tokenizer.convert_tokens_to_ids("<|vision_start|>")
        return [*told["input_ids"], self.tokenizer.eos_token_id, start]


def load_cosmos3(
    folder: Path, *, device: str, dtype: torch.dtype, fp8: bool = False, cpu_offload: bool = False
) -> Loaded3:
    """Load the nets.

    Args:
        folder: Folder with ``transformer``, ``vae`` and ``text_tokenizer``.
        device: Torch device.
        dtype: Type of the weights.
        fp8: Whether the large linear layers are stored in 8 bits.
        cpu_offload: Whether the transformer's layers wait in main memory until they run.

    Raises:
        WeightsError: If anything is missing, damaged or of another kind; nothing stays loaded.
        RuntimeError: If the device cannot run the attention that the nets need, or is out of memory.
    """
    place = torch.device(device)
    probe_attention(place, dtype, grouped=True)
    try:
        tokenizer = transformers_class("AutoTokenizer").from_pretrained(
            folder / "text_tokenizer", local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"The tokenizer in {folder / 'text_tokenizer'} cannot be loaded; fetch it again.") from error

    def fill(module: Any) -> None:
        config = module.config
        module.rotary_emb = type(module.rotary_emb)(
            head_dim=config.head_dim, rope_theta=config.rope_theta, rope_axes_dim=config.rope_axes_dim
        ).to(place)

    vae = load_module(
        folder / "vae", "AutoencoderKLWan", device=place, dtype=dtype, waiting="" if cpu_offload else None
    )
    transformer = load_module(
        folder / "transformer",
        "Cosmos3OmniTransformer",
        device=place,
        dtype=dtype,
        rebuild=fill,
        fp8=fp8,
        waiting="layers" if cpu_offload else None,
    )
    if transformer.config.latent_channel != vae.config.z_dim:
        raise WeightsError(
            f"The transformer in {folder} takes {transformer.config.latent_channel} latent channels, the autoencoder "
            f"gives {vae.config.z_dim}; give nets of the same model."
        )
    schedule = folder / "scheduler" / "scheduler_config.json"
    try:
        scheduler = read_config(schedule) if schedule.is_file() else {}
    except ValueError as error:
        raise WeightsError(f"{error} Fetch the checkpoint again.") from error
    files = [*weight_files(folder / "transformer"), *weight_files(folder / "vae")]
    return Loaded3(
        transformer=transformer, vae=vae, tokenizer=tokenizer, scheduler=scheduler, sha256=combined_sha256(files)
    )


__all__ = ["SYSTEM", "Loaded3", "load_cosmos3"]
