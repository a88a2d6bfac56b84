"""Cosmos Reason with its real classes at tiny size and random weights, saved in the published layout."""

import json
from pathlib import Path

import torch  # noqa: TID253

from cosmos.models.runtime import transformers_class
from tiny_cosmos import SPECIALS, make_tokenizer

CHAT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% for c in m.content %}"
    "{% if c.type == 'video' %}<|vision_start|><|video_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LINE_BREAK = make_tokenizer()("\n")["input_ids"][0]
GENERATION = {"qwen2_5_vl": 1, "qwen3_vl": 2, "cosmos3_omni": 2}
_TEXT = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "bos_token_id": 256,
    "eos_token_id": 258,
    "pad_token_id": 256,
}
_IDS = {"image_token_id": 261, "video_token_id": 262, "vision_start_token_id": 259, "vision_end_token_id": 260}


def _config(kind, head):
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [head // 8, head // 8, head // 4]}
    text = {**_TEXT, "hidden_size": 4 * head, "rope_parameters": rope}
    if kind == "qwen2_5_vl":
        vision = {
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 4 * head,
            "fullatt_block_indexes": [1],
            "window_size": 56,
            "tokens_per_second": 2,
        }
        return transformers_class("Qwen2_5_VLConfig")(text_config=text, vision_config=vision, **_IDS)
    text = {**text, "head_dim": head, "rope_parameters": {**rope, "mrope_interleaved": True}}
    vision = {
        "depth": 3,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": 4 * head,
        "patch_size": 16,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
    }
    name = "Qwen3VLConfig" if kind == "qwen3_vl" else "Cosmos3OmniConfig"
    return transformers_class(name)(text_config=text, vision_config=vision, **_IDS)


def make_reason(kind, seed=5, head=8):
    """A random net of a family; sharpened, so that its answers depend on what it sees."""
    torch.manual_seed(seed)
    name = {"qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL", "cosmos3_omni": "Cosmos3Omni"}[kind]
    net = transformers_class(f"{name}ForConditionalGeneration")(_config(kind, head)).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3.0)
    return net


def write_tiny_reason(folder: Path, kind: str, *, answer: str = "", shards: bool = False, head: int = 8) -> Path:
    """Write a checkpoint as it is published.

    Args:
        folder: Where to.
        kind: Model type.
        answer: One character that the net always says next, whatever it sees; empty leaves it random.
        shards: Whether the weights come in several files.
        head: Width of an attention head; vLLM has none of 8 on the CPU.
    """
    net = make_reason(kind, head=head)
    tokenizer = make_tokenizer()
    tokenizer.chat_template = CHAT
    if answer:
        _teach(net, tokenizer(answer)["input_ids"][0])
    net.save_pretrained(folder, max_shard_size="60KB" if shards else "5GB")
    tokenizer.save_pretrained(folder)
    patch = 14 if kind == "qwen2_5_vl" else 16
    clip = kind == "qwen2_5_vl"
    eye = {
        "patch_size": patch,
        "merge_size": 2,
        "temporal_patch_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073] if clip else [0.5, 0.5, 0.5],
        "image_std": [0.26862954, 0.26130258, 0.27577711] if clip else [0.5, 0.5, 0.5],
    }
    name = "preprocessor_config.json" if clip else "video_preprocessor_config.json"
    (folder / name).write_text(json.dumps(eye))
    return folder


def complete_processor(folder: Path, kind: str) -> Path:
    """Add the processor files that published checkpoints have; transformers needs torchvision for them."""
    tokenizer = transformers_class("AutoTokenizer").from_pretrained(folder)
    eye = json.loads(next(folder.glob("*preprocessor_config.json")).read_text())
    clip = kind == "qwen2_5_vl"
    video = transformers_class("Qwen2VLVideoProcessor" if clip else "Qwen3VLVideoProcessor")(**eye)
    transformers_class("Qwen2_5_VLProcessor" if clip else "Qwen3VLProcessor")(
        image_processor=transformers_class("Qwen2VLImageProcessor")(**eye),
        tokenizer=tokenizer,
        video_processor=video,
        chat_template=tokenizer.chat_template,
    ).save_pretrained(folder)
    return folder


def _teach(net, token):
    """Let the net say one token after a line break, whatever it sees: its layers pass on the last word alone."""
    inner = net.model.language_model
    with torch.no_grad():
        for layer in inner.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        net.lm_head.weight.zero_()
        last = inner.norm(inner.embed_tokens.weight[LINE_BREAK])
        net.lm_head.weight[token] = 2.0 * last


def learn_script(net, reasoner, look, question, script, *, steps=150):
    """Train the net until it writes a script for one question, with stock PyTorch; ends with the end token."""
    inputs = reasoner.inputs(look, question, think=True)
    more = torch.tensor([[*reasoner.tokenizer(script)["input_ids"], 258]])
    ids = torch.cat([inputs["input_ids"], more], dim=1)
    labels = torch.cat([torch.full_like(inputs["input_ids"], -100), more], dim=1)
    kinds = torch.where(ids == 262, 2, 0)
    inputs = {**inputs, "input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": kinds}
    net.requires_grad_(True)
    adam = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(steps):
        loss = net(**inputs, labels=labels).loss
        if float(loss.detach()) < 0.02:
            break
        adam.zero_grad()
        loss.backward()
        adam.step()
    net.requires_grad_(False)
    return float(loss.detach())


__all__ = ["CHAT", "GENERATION", "SPECIALS", "complete_processor", "learn_script", "make_reason", "write_tiny_reason"]
