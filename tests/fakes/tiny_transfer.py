"""A tiny real Transfer model with random weights, written as files, for tests that need no good pictures."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import torch  # noqa: TID253
from safetensors.torch import save_file

from cosmos.models.embedded.captions import vocabulary
from cosmos.models.embedded.net import TransferNet
from cosmos.models.embedded.text_encoder import TextEncoder
from cosmos.models.spec import TextEncoderConfig, TransferNetConfig, to_mapping

CONFIG = TransferNetConfig(channels=(8, 12), blocks=1, features=6, head=8)


def write_tiny_transfer(folder: Path, seed: int = 0, *, most_steps: int = 1) -> Path:
    """Write net, reader and configuration; every layer speaks (trained ones start silent).

    One that takes several steps sees drafts.
    """
    shape = replace(CONFIG, draft=most_steps > 1)
    torch.manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    net = TransferNet(shape)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    words = vocabulary()
    encoder = TextEncoder(TextEncoderConfig(words=len(words) + 2, width=16, heads=2, layers=1, length=24))
    save_file({name: value.half().contiguous() for name, value in net.state_dict().items()}, folder / "net.safetensors")
    save_file({name: value.contiguous() for name, value in encoder.state_dict().items()}, folder / "reader.safetensors")
    reader = {"encoder": to_mapping(encoder.config), "vocabulary": words, "overheard": []}
    (folder / "reader.json").write_text(json.dumps(reader))
    names = ("net.safetensors", "reader.safetensors", "reader.json")
    config = {
        "name": "tiny",
        "revision": f"tiny-{seed}",
        "licence": "Apache-2.0",
        "net": to_mapping(shape),
        "max_steps": most_steps,
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names},
    }
    (folder / "config.json").write_text(json.dumps(config))
    return folder
