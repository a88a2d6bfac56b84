"""What NVIDIA publishes: where each checkpoint lies, under which licence, and the shapes of its nets.

Revisions are branches of the repositories; the lock file beside what was fetched pins its commit and hashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """One revision of one repository, fetched into one folder."""

    folder: str
    """Folder below that of the checkpoint; empty is the checkpoint itself."""
    repo: str
    """Repository on the hub."""
    revision: str
    """Branch, tag or commit."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Published:
    """A checkpoint that a backend runs."""

    name: str
    """Name of the backend."""
    licence: str
    """Licence name of the weights."""
    gated: bool
    """Whether the hub asks to accept the licence first."""
    pieces: tuple[Piece, ...]
    """What to fetch."""


_TRANSFER25 = "nvidia/Cosmos-Transfer2.5-2B"

PUBLISHED: Mapping[str, Published] = {
    checkpoint.name: checkpoint
    for checkpoint in (
        Published(
            name="cosmos-transfer2.5",
            licence="NVIDIA Open Model License",
            gated=True,
            pieces=(
                Piece(folder="general", repo=_TRANSFER25, revision="diffusers/general"),
                *(
                    Piece(
                        folder=f"controlnet/{name}", repo=_TRANSFER25, revision=f"diffusers/controlnet/general/{name}"
                    )
                    for name in ("edge", "depth", "seg", "blur")
                ),
            ),
        ),
        Published(
            name="cosmos3",
            licence="OpenMDW-1.1",
            gated=False,
            pieces=(Piece(folder="", repo="nvidia/Cosmos3-Nano", revision="main"),),
        ),
        Published(
            name="cosmos3-sim-transfer",
            licence="as its model card says",
            gated=True,
            pieces=(Piece(folder="", repo="nvidia/Cosmos3-Nano-Sim-Transfer", revision="main"),),
        ),
        *(
            Published(
                name=name,
                licence=licence,
                gated=gated,
                pieces=(Piece(folder="", repo=f"nvidia/{repo}", revision="main"),),
            )
            for name, repo, licence, gated in (
                ("cosmos-reason1", "Cosmos-Reason1-7B", "NVIDIA Open Model License", True),
                ("cosmos-reason2", "Cosmos-Reason2-8B", "NVIDIA Open Model License", True),
                ("cosmos-reason2-2b", "Cosmos-Reason2-2B", "NVIDIA Open Model License", True),
                ("cosmos3-reasoner", "Cosmos3-Nano-Reasoner", "OpenMDW-1.1", False),
            )
        ),
    )
}
"""Name -> checkpoint."""

_SHARED_25: Mapping[str, Any] = {
    "num_attention_heads": 16,
    "attention_head_dim": 128,
    "mlp_ratio": 4.0,
    "text_embed_dim": 1024,
    "adaln_lora_dim": 256,
    "max_size": (128, 240, 240),
    "patch_size": (1, 2, 2),
    "rope_scale": (1.0, 3.0, 3.0),
    "extra_pos_embed_type": None,
    "use_crossattn_projection": True,
    "crossattn_proj_in_channels": 100352,
    "encoder_hidden_states_channels": 1024,
    "img_context_dim_in": 1152,
    "img_context_dim_out": 2048,
}

TRANSFER25_TRANSFORMER: Mapping[str, Any] = {
    **_SHARED_25,
    "in_channels": 17,
    "out_channels": 16,
    "num_layers": 28,
    "concat_padding_mask": True,
    "controlnet_block_every_n": 7,
    "img_context_num_tokens": 256,
}
"""Constructor values of the published transformer, as NVIDIA's converter writes them."""

TRANSFER25_BRANCH: Mapping[str, Any] = {
    **_SHARED_25,
    "n_controlnet_blocks": 4,
    "in_channels": 130,
    "latent_channels": 18,
    "model_channels": 2048,
}
"""Constructor values of each published control branch."""

TRANSFER25_TEXT_PARAMETERS = 8_292_166_656
"""Parameters of the published text encoder, Qwen2.5-VL-7B."""

TRANSFER25_SECONDS: Mapping[str, float] = {"H100 PCIe": 264.0, "H100 NVL": 446.0, "H20": 684.0, "B200": 92.0}
"""GPU -> seconds that NVIDIA publishes for 93 frames of 1280 x 704 with seg control [s]."""

COSMOS3_TRANSFORMER: Mapping[str, Any] = {}
"""Constructor values of Cosmos3-Nano and its streaming model: those that diffusers builds by default."""

COSMOS3_VAE: Mapping[str, Any] = {
    "base_dim": 160,
    "decoder_base_dim": 256,
    "z_dim": 48,
    "dim_mult": [1, 2, 4, 4],
    "num_res_blocks": 2,
    "attn_scales": [],
    "temperal_downsample": [False, True, True],
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "is_residual": True,
    "scale_factor_spatial": 16,
    "scale_factor_temporal": 4,
    "latents_mean": [0.0] * 48,
    "latents_std": [1.0] * 48,
}
"""Constructor values of Cosmos 3's autoencoder, Wan2.2; mean and deviation are not those of the checkpoint."""

COSMOS3_SECONDS: Mapping[str, float] = {"H100": 240.0, "H200": 240.0, "B200": 117.0, "RTX PRO 6000": 392.0}
"""GPU -> seconds that NVIDIA publishes for 189 frames of 720 x 1280 from text with Cosmos3-Nano in diffusers [s]."""

SIM_TRANSFER_SECONDS: Mapping[str, float] = {"half an RTX PRO 6000 (MIG 2g.48gb), compiled": 0.917}
"""GPU -> seconds that Isaac Lab publishes for 4 frames of 640 x 640 with a window of 8 [s]."""

__all__ = [
    "COSMOS3_SECONDS",
    "COSMOS3_TRANSFORMER",
    "COSMOS3_VAE",
    "PUBLISHED",
    "SIM_TRANSFER_SECONDS",
    "TRANSFER25_BRANCH",
    "TRANSFER25_SECONDS",
    "TRANSFER25_TEXT_PARAMETERS",
    "TRANSFER25_TRANSFORMER",
    "Piece",
    "Published",
]
