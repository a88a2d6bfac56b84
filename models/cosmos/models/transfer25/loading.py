"""From a folder of the published layout to the loaded nets of Transfer2.5.

The layout is that of NVIDIA's repository, one folder a revision: ``general`` holds the pipeline (transformer, vae,
scheduler, tokenizer, text_encoder), ``controlnet/edge|depth|seg|blur`` each one branch. The distilled model, which
NVIDIA publishes in a format of its own, lies beside as ``distilled/transformer`` and ``distilled/controlnet/edge``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch  # noqa: TID253

from cosmos.models.checkpoint import load_module, weight_files
from cosmos.models.runtime import probe_attention
from cosmos.models.spec import read_config
from cosmos.models.transfer25.sampling import Transfer25
from cosmos.models.transfer25.text import PromptEncoder
from cosmos.models.weights import WeightsError, combined_sha256

BRANCH_FOLDERS = {"edge": "edge", "depth": "depth", "seg": "seg", "vis": "blur"}
"""Hint -> folder of its branch; the published repository calls vis blur."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Loaded25:
    """Nets, prompt encoder and what they came from."""

    nets: Transfer25
    """The nets."""
    encoder: PromptEncoder
    """Reads prompts; its weights are loaded only while it works."""
    sha256: str
    """One hash over transformer, autoencoder and branches."""


def find_branches(folder: Path) -> tuple[str, ...]:
    """List the hints whose branches lie in a folder."""
    return tuple(
        kind for kind, name in BRANCH_FOLDERS.items() if (folder / "controlnet" / name / "config.json").is_file()
    )


def load_transfer25(
    folder: Path,
    *,
    device: str,
    dtype: torch.dtype,
    cache: Path | None,
    branches: tuple[str, ...] = (),
    vae_tiling: bool = False,
    fp8: bool = False,
    distilled: bool = False,
    cpu_offload: bool = False,
) -> Loaded25:
    """Load the nets.

    Args:
        folder: Folder with ``general`` and ``controlnet``.
        device: Torch device.
        dtype: Type of the weights.
        cache: Folder for prompt embeddings.
        branches: Hints to load; empty loads every branch that is there.
        vae_tiling: Whether the autoencoder works in tiles, which needs less memory.
        fp8: Whether the large linear layers are stored in 8 bits.
        distilled: Whether to load the distilled transformer and its branches.
        cpu_offload: Whether the blocks of transformer, branches and text encoder wait in main memory until they run.

    Raises:
        WeightsError: If anything is missing, damaged or of another kind; nothing stays loaded.
        RuntimeError: If the device cannot run the attention that the nets need, or is out of memory.
    """
    general, place = folder / "general", torch.device(device)
    nets_folder = folder / "distilled" if distilled else folder
    if distilled and not (nets_folder / "transformer").is_dir():
        raise WeightsError(
            f"The distilled model is not in {nets_folder}; NVIDIA publishes it in a format of its own "
            "(distilled/general/edge), which diffusers' convert_cosmos_to_diffusers.py turns into transformer and "
            "controlnet/edge."
        )
    there = find_branches(nets_folder)
    wanted = branches or there
    absent = [kind for kind in wanted if kind not in there]
    if absent or not wanted:
        raise WeightsError(
            f"The branch {' and '.join(absent) or 'of any hint'} is not in {nets_folder / 'controlnet'}, which holds "
            f"{', '.join(there) or 'none'}; fetch it with: cosmos-bridge models fetch cosmos-transfer2.5"
        )
    probe_attention(place, dtype)
    try:
        scheduler = read_config(general / "scheduler" / "scheduler_config.json")
    except ValueError as error:
        raise WeightsError(f"{error} Give the folder of the published checkpoint.") from error
    parts = [nets_folder / "transformer" if distilled else general / "transformer", general / "vae"]
    transformer = load_module(
        parts[0],
        "CosmosTransformer3DModel",
        device=place,
        dtype=dtype,
        fp8=fp8,
        waiting="transformer_blocks" if cpu_offload else None,
    )
    vae = load_module(parts[1], "AutoencoderKLWan", device=place, dtype=dtype, waiting="" if cpu_offload else None)
    if vae_tiling:
        vae.enable_tiling()
    nets = {}
    for kind in wanted:
        parts.append(nets_folder / "controlnet" / BRANCH_FOLDERS[kind])
        nets[kind] = load_module(
            parts[-1],
            "CosmosControlNetModel",
            device=place,
            dtype=dtype,
            fp8=fp8,
            waiting="control_blocks" if cpu_offload else None,
        )
    _check_fit(transformer.config, {kind: net.config for kind, net in nets.items()}, parts[0])
    return Loaded25(
        nets=Transfer25(transformer=transformer, branches=nets, vae=vae, scheduler=scheduler),
        encoder=PromptEncoder(general, cache, cpu_offload=cpu_offload),
        sha256=combined_sha256([file for part in parts for file in weight_files(part)]),
    )


def _check_fit(config: Any, branches: dict[str, Any], folder: Path) -> None:
    """Refuse branches that were made for another transformer."""
    width = config["num_attention_heads"] * config["attention_head_dim"]
    every, layers = config["controlnet_block_every_n"], config["num_layers"]
    if not every:
        raise WeightsError(f"The transformer in {folder} takes no control; give one of Transfer2.5.")
    for kind, own in branches.items():
        if own["model_channels"] != width or own["n_controlnet_blocks"] != -(-layers // every):
            raise WeightsError(
                f"The branch {kind} has {own['n_controlnet_blocks']} blocks of {own['model_channels']} channels, the "
                f"transformer takes {-(-layers // every)} of {width}; give branches of the same model."
            )


__all__ = ["BRANCH_FOLDERS", "Loaded25", "find_branches", "load_transfer25"]
