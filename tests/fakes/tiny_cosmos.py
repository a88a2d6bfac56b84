"""NVIDIA's Cosmos models with their real classes at tiny size and random weights, saved in the published layouts."""

import json
import os
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: TID253

from cosmos.models.runtime import diffusers_class, transformers_class

SPECIALS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>")
SPECIALS += ("<|video_pad|>",)
CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.content is string %}{{ m.content }}{% else %}{% for c in m.content %}{{ c.text }}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
BRANCHES = ("edge", "depth", "seg", "blur")


def make_tokenizer():
    """A Qwen2 tokenizer that knows bytes and the special tokens."""
    byte_chars = [*range(33, 127), *range(161, 173), *range(174, 256)]
    chars = [chr(b) for b in byte_chars] + [chr(256 + i) for i in range(256 - len(byte_chars))]
    vocabulary = {char: index for index, char in enumerate([*chars, *SPECIALS])}
    tokenizer = transformers_class("Qwen2Tokenizer")(
        vocab=vocabulary,
        merges=[],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        chat_template=CHAT,
    )
    added = transformers_class("AddedToken")
    tokenizer.add_tokens([added(token, special=True, normalized=False) for token in SPECIALS])
    return tokenizer


def make_text_encoder():
    """A Qwen2.5-VL of two layers of 16 channels."""
    torch.manual_seed(11)
    config = transformers_class("Qwen2_5_VLConfig")(
        text_config={
            "vocab_size": 300,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]},
            "bos_token_id": 256,
            "eos_token_id": 258,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
            "fullatt_block_indexes": [0],
        },
        image_token_id=261,
        video_token_id=262,
        vision_start_token_id=259,
        vision_end_token_id=260,
    )
    return transformers_class("Qwen2_5_VLForConditionalGeneration")(config).eval()


def _sharpen(module, gain=3.0):
    """Let a random net speak up, so that tests can hear it."""
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "proj" in name and parameter.ndim > 1:
                parameter.mul_(gain)
    return module.eval()


COMMON_25 = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "mlp_ratio": 2.0,
    "text_embed_dim": 32,
    "adaln_lora_dim": 8,
    "rope_scale": (1.0, 3.0, 3.0),
    "extra_pos_embed_type": None,
    "use_crossattn_projection": True,
    "crossattn_proj_in_channels": 32,
    "encoder_hidden_states_channels": 32,
    "img_context_dim_in": 24,
    "img_context_dim_out": 32,
}


def make_transformer25(seed=1):
    """A Transfer2.5 transformer of four layers of 32 channels."""
    torch.manual_seed(seed)
    return _sharpen(
        diffusers_class("CosmosTransformer3DModel")(
            in_channels=17,
            out_channels=16,
            num_layers=4,
            concat_padding_mask=True,
            controlnet_block_every_n=2,
            img_context_num_tokens=8,
            **COMMON_25,
        )
    )


def make_branch25(seed):
    """A control branch of two blocks."""
    torch.manual_seed(seed)
    return _sharpen(
        diffusers_class("CosmosControlNetModel")(
            n_controlnet_blocks=2, in_channels=130, latent_channels=18, model_channels=32, **COMMON_25
        )
    )


def make_vae25():
    """A Wan2.1 autoencoder of four channels."""
    torch.manual_seed(3)
    return diffusers_class("AutoencoderKLWan")(
        base_dim=4,
        z_dim=16,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.01 * i for i in range(16)],
        latents_std=[0.5 + 0.02 * i for i in range(16)],
    ).eval()


def make_scheduler25():
    """The scheduler as published."""
    return diffusers_class("UniPCMultistepScheduler")(
        use_karras_sigmas=True,
        use_flow_sigmas=True,
        prediction_type="flow_prediction",
        sigma_max=200.0,
        sigma_min=0.01,
    )


def write_tiny_transfer25(folder: Path, *, shards: bool = False) -> Path:
    """Write the whole of Transfer2.5: the pipeline and all four branches."""
    size = "60KB" if shards else "5GB"
    general = folder / "general"
    make_transformer25().save_pretrained(general / "transformer", max_shard_size=size)
    make_vae25().save_pretrained(general / "vae")
    make_scheduler25().save_pretrained(general / "scheduler")
    make_text_encoder().save_pretrained(general / "text_encoder", max_shard_size=size)
    make_tokenizer().save_pretrained(general / "tokenizer")
    for seed, name in enumerate(BRANCHES, start=20):
        make_branch25(seed).save_pretrained(folder / "controlnet" / name)
    return folder


def write_tiny_distilled25(folder: Path) -> Path:
    """Add the distilled model to Transfer2.5: a transformer and an edge branch of its own."""
    make_transformer25(seed=2).save_pretrained(folder / "distilled" / "transformer")
    make_branch25(30).save_pretrained(folder / "distilled" / "controlnet" / "edge")
    return folder


def make_transformer3():
    """A Cosmos 3 transformer of three layers of 32 channels, with grouped heads."""
    torch.manual_seed(31)
    return _sharpen(
        diffusers_class("Cosmos3OmniTransformer")(
            head_dim=16,
            hidden_size=32,
            intermediate_size=48,
            num_attention_heads=4,
            num_key_value_heads=2,
            num_hidden_layers=3,
            latent_channel=48,
            latent_patch_size=2,
            patch_latent_dim=192,
            vocab_size=300,
            rope_axes_dim=[4, 2, 2],
        ),
        gain=1.5,
    )


def make_vae3():
    """A Wan2.2 autoencoder of four channels."""
    torch.manual_seed(33)
    return diffusers_class("AutoencoderKLWan")(
        base_dim=4,
        decoder_base_dim=4,
        z_dim=48,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        in_channels=12,
        out_channels=12,
        patch_size=2,
        is_residual=True,
        scale_factor_spatial=16,
        scale_factor_temporal=4,
        latents_mean=[0.0] * 48,
        latents_std=[1.0] * 48,
    ).eval()


def streaming(**changes):
    """What NVIDIA's exporter writes of a framewise Sim-Transfer with a short memory, changed; None leaves one out."""
    section = {
        "attention_mode": "three_way",
        "base_fps": 24.0,
        "checkpoint_id": "tiny",
        "chunk_size": 1,
        "conditioning": {
            "emphasize_control_in_prompt": True,
            "hints": ["edge", "blur", "depth", "seg"],
            "mode": "control_video",
            "no_eviction": False,
            "share_vision_temporal_positions": True,
            "system_prompt_id": "cosmos3_transfer_v1",
            "transfer_control_attention_mode": "causal_control_with_rgb_history",
        },
        "enable_fps_modulation": True,
        "fixed_step_sampler_config": {
            "num_train_timesteps": 1000,
            "sample_type": "sde",
            "t_list": [1.0, 0.9375, 0.8333333333333334, 0.625],
        },
        "latent_patch_size": 2,
        "schema_version": 1,
        "sink_frames": 1,
        "temporal_compression_factor": 4,
        "temporal_modality_margin": 15000,
        "unified_3d_mrope_reset_spatial_ids": True,
        "video_temporal_causal": True,
        "window_frames": 4,
    }
    conditioning = {**section["conditioning"], **changes.pop("conditioning", {})}
    whole = {**section, "conditioning": conditioning, **changes}
    return {name: value for name, value in whole.items() if value is not None}


CHUNKWISE = {"chunk_size": 2, "sink_frames": 0, "window_frames": 96, "conditioning": {"no_eviction": True}}
"""What differs in a chunkwise one."""


def write_tiny_cosmos3(folder: Path, *, memory: dict | None = None, shards: bool = False) -> Path:
    """Write Cosmos 3 in the published layout; with a memory, from `streaming`, it is a streaming export."""
    make_transformer3().save_pretrained(folder / "transformer", max_shard_size="60KB" if shards else "5GB")
    make_vae3().save_pretrained(folder / "vae")
    make_tokenizer().save_pretrained(folder / "text_tokenizer")
    diffusers_class("UniPCMultistepScheduler")(
        use_flow_sigmas=True, flow_shift=10.0, prediction_type="flow_prediction"
    ).save_pretrained(folder / "scheduler")
    if memory is not None:
        path = folder / "transformer" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "cosmos3_nano_sim_bimanual": memory}))
    return folder
