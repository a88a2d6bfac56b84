"""Checkpoints of NVIDIA's models with random weights in the published layout, for `measure_published.py`.

Memory and time do not depend on what the weights are, so that a machine can be measured without fetching any. The
published shapes take 6 GB (Transfer2.5) and 32 GB (Cosmos 3) of disk; shards are written one at a time.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from safetensors.torch import save_file

from cosmos.models.published import COSMOS3_TRANSFORMER, COSMOS3_VAE, TRANSFER25_BRANCH, TRANSFER25_TRANSFORMER
from cosmos.models.runtime import diffusers_class, transformers_class

SHARD = 4 << 30
"""Most bytes of a file of weights."""
_WIDTH, _CHANNELS = 4, 128

_SMALL_25: Mapping[str, Any] = {
    "num_attention_heads": _WIDTH, "attention_head_dim": 32, "text_embed_dim": 64, "adaln_lora_dim": 16,
    "crossattn_proj_in_channels": 128, "encoder_hidden_states_channels": 64,
    "img_context_dim_in": 32, "img_context_dim_out": _CHANNELS,
}  # fmt: skip
_SMALL_3: Mapping[str, Any] = {
    "head_dim": 32, "hidden_size": _CHANNELS, "intermediate_size": 256, "num_attention_heads": _WIDTH,
    "num_key_value_heads": 2, "num_hidden_layers": 6, "vocab_size": 300, "rope_axes_dim": [8, 4, 4],
}  # fmt: skip

SHAPES: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "published": {
        "transformer25": TRANSFER25_TRANSFORMER,
        "branch25": TRANSFER25_BRANCH,
        "vae25": {},
        "transformer3": COSMOS3_TRANSFORMER,
        "vae3": COSMOS3_VAE,
    },
    "small": {
        "transformer25": {
            **TRANSFER25_TRANSFORMER, **_SMALL_25, "num_layers": 8, "controlnet_block_every_n": 2,
            "img_context_num_tokens": 8,
        },
        "branch25": {**TRANSFER25_BRANCH, **_SMALL_25, "model_channels": _CHANNELS},
        "vae25": {"base_dim": 16, "num_res_blocks": 1},
        "transformer3": {**COSMOS3_TRANSFORMER, **_SMALL_3},
        "vae3": {**COSMOS3_VAE, "base_dim": 16, "decoder_base_dim": 16, "num_res_blocks": 1},
    },
}  # fmt: skip
"""Name -> net -> constructor values; small ones have the same classes."""


def write_checkpoint(name: str, folder: Path, shapes: str) -> Path:
    """Write what a backend loads.

    Args:
        name: Name of the backend.
        folder: Where to put it.
        shapes: One of SHAPES.
    """
    configs = SHAPES[shapes]
    if name == "cosmos-transfer2.5":
        general = folder / "general"
        write_net(general / "transformer", "CosmosTransformer3DModel", configs["transformer25"], seed=1)
        write_net(general / "vae", "AutoencoderKLWan", configs["vae25"], seed=2)
        write_net(folder / "controlnet" / "edge", "CosmosControlNetModel", configs["branch25"], seed=3)
        _scheduler().save_pretrained(general / "scheduler")
        return folder
    write_net(folder / "transformer", "Cosmos3OmniTransformer", configs["transformer3"], seed=4)
    write_net(folder / "vae", "AutoencoderKLWan", configs["vae3"], seed=5)
    _tokenizer().save_pretrained(folder / "text_tokenizer")
    _scheduler().save_pretrained(folder / "scheduler")
    return folder


def write_net(folder: Path, class_name: str, config: Mapping[str, Any], *, seed: int) -> None:
    """Write one net: its configuration, and weights in bfloat16 drawn from a seed, in shards with their index."""
    kind = diffusers_class(class_name)
    with torch.device("meta"):
        net = kind(**config)
    folder.mkdir(parents=True, exist_ok=True)
    net.save_config(folder)
    shards, held, names = [], 0, []
    for entry, tensor in net.state_dict().items():
        size = 2 * tensor.numel()
        if names and held + size > SHARD:
            shards.append(names)
            names, held = [], 0
        names.append(entry)
        held += size
    shards.append(names)
    state, draw = net.state_dict(), torch.Generator().manual_seed(seed)
    files = {}
    for index, names in enumerate(shards, start=1):
        file = f"diffusion_pytorch_model-{index:05d}-of-{len(shards):05d}.safetensors"
        save_file(dict(_weights(state, names, draw)), folder / file)
        files |= dict.fromkeys(names, file)
    index = {"metadata": {}, "weight_map": files}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")


def _weights(state: Mapping[str, Any], names: list[str], draw: torch.Generator) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield small weights, and ones for what scales, so that numbers stay numbers through all layers."""
    for name in names:
        shape = tuple(state[name].shape)
        if name.endswith("gamma") or ("norm" in name and name.endswith("weight") and len(shape) == 1):
            yield name, torch.ones(shape, dtype=torch.bfloat16)
        else:
            yield name, torch.empty(shape, dtype=torch.bfloat16).normal_(0.0, 0.02, generator=draw)


def _scheduler() -> Any:
    return diffusers_class("UniPCMultistepScheduler")(
        use_flow_sigmas=True, flow_shift=10.0, prediction_type="flow_prediction"
    )


def _tokenizer() -> Any:
    """Make a tokenizer of bytes with the special tokens that a chat needs."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(byte) for byte in plain] + [chr(256 + index) for index in range(256 - len(plain))]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>"]
    chat = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    made = transformers_class("Qwen2Tokenizer")(
        vocab={token: index for index, token in enumerate([*letters, *special])},
        merges=[],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        chat_template=chat,
    )
    token = transformers_class("AddedToken")
    made.add_tokens([token(text, special=True, normalized=False) for text in special])
    return made


__all__ = ["SHAPES", "write_checkpoint", "write_net"]
