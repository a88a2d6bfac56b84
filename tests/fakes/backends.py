"""NVIDIA's backends with tiny weights, and a change of every field and option of each, for tests of what they share.

A field or option that is added without a change here fails the tests that list them.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253
import warp as wp
from safetensors.torch import load_file, save_file

from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import ControlWeights, TransferRequest
from fake_clips import make_clip, make_controls
from tiny_cosmos import streaming, write_tiny_cosmos3, write_tiny_transfer25


@dataclass(frozen=True, kw_only=True, eq=False)
class Change:
    """A change of one field of a request, or of one option."""

    new: Callable[..., Mapping[str, Any]]
    """Given the clip (or a folder of other weights), what is changed."""
    refused: str = ""
    """Sentence by which the backend refuses it; empty where it must reach the nets."""
    beside: Callable[[Any], Mapping[str, Any]] = lambda clip: {}
    """Given the clip, fields that both requests have."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One backend."""

    name: str
    """Name in the registry."""
    write: Callable[[Path], Path]
    """Writes its tiny weights."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options that suit a small clip."""
    frames: int = 7
    """Frames of a clip that makes it go on after its first piece."""
    plain: Mapping[str, Any] = field(default_factory=dict)
    """Fields of its plain request, beyond clip and controls."""
    fields: Mapping[str, Change]
    """Field of a request -> a change of it."""
    settings: Mapping[str, Change]
    """Option -> a change of it."""
    elsewhere: tuple[str, ...] = ("cpu_offload",)
    """Options that change nothing of what the nets are given, tested on their own."""
    transformer: str
    """Folder of the transformer."""

    def create(self, folder, **changed):
        """Make the backend."""
        return create(self.name, {"weights": str(folder), **self.options, **changed})

    def ask(self, source, **changed):
        """Make its plain request of a clip, changed."""
        fields = {"clip": source, "prompt": "snow", "seed": 3, **self.plain, **changed}
        controls = fields.pop("controls", None) or make_controls(fields["clip"])
        return TransferRequest(controls=controls, **fields)


def half_map(clip, value=1.0):
    """A map over the left half of a clip."""
    weights = np.zeros(clip.rgb.shape[:3], np.float32)
    weights[:, :, : clip.width // 2] = value
    return wp.array(weights, dtype=wp.float32, device="cpu")


def inputs_of(model, request):
    """Return a hash of all that the innermost layers of a backend's nets are given for a request."""
    model.load("cpu")
    loaded, seen = model._loaded, hashlib.sha256()
    found = vars(loaded.nets) if hasattr(loaded, "nets") else {"0": loaded.transformer, "1": loaded.vae}
    nets = [net for value in found.values() for net in (value.values() if isinstance(value, dict) else [value])]

    def note(net, args, kwargs):
        values = [*args, *kwargs.values()]
        while values:
            value = values.pop()
            if isinstance(value, (list, tuple)):
                values += value
            elif isinstance(value, torch.Tensor):
                seen.update(value.detach().float().numpy().tobytes())
            elif isinstance(value, (int, float)):
                seen.update(repr(value).encode())

    layers = [
        layer for net in nets if isinstance(net, torch.nn.Module) for layer in net.modules() if not [*layer.children()]
    ]
    hooks = [layer.register_forward_pre_hook(note, with_kwargs=True) for layer in layers]
    try:
        model.transfer(request)
    finally:
        for hook in hooks:
            hook.remove()
    return seen.hexdigest()


def write_other(case, folder):
    """Write the weights of a backend with its transformer's a little larger."""
    case.write(folder)
    file = next((folder / case.transformer).glob("*.safetensors"))
    save_file({name: value * 1.1 for name, value in load_file(file).items()}, file)
    return folder


def _inverted(clip):
    return wp.array(255 - clip.rgb.numpy(), dtype=wp.uint8, device="cpu")


def _change(**fields):
    return Change(new=lambda given: fields)


FIELDS = {
    "controls": Change(new=lambda clip: {"controls": make_controls(clip, seed=6)}),
    "prompt": _change(prompt="rain"),
    "negative_prompt": _change(negative_prompt="rain"),
    "seed": _change(seed=4),
    "num_steps": _change(num_steps=3),
    "guidance": _change(guidance=2.0),
    "overlap": _change(overlap=2),
}
CANNOT_PRESERVE = Change(
    new=lambda clip: {"preserve": half_map(clip)},
    refused=r"cannot preserve parts of the source; cosmos-transfer2\.5 can",
)
RATE = Change(new=lambda clip: {"clip": replace(clip, fps=10.0)})
SETTINGS = {
    "weights": Change(new=lambda folder: {"weights": str(folder)}),
    "dtype": _change(dtype="bfloat16"),
    "fp8": _change(fp8=True),
}
CHUNKS = {
    **SETTINGS,
    "chunk_frames": _change(chunk_frames=9),
    "overlap": _change(overlap=2),
    "vae_tiling": _change(vae_tiling=True),
}

CASES = (
    Case(
        name="cosmos-transfer2.5",
        write=write_tiny_transfer25,
        options={"chunk_frames": 5},
        plain={"weights": ControlWeights(edge=0.5, depth=0.5), "num_steps": 2},
        fields={
            **FIELDS,
            "clip": Change(
                new=lambda clip: {"clip": replace(clip, rgb=_inverted(clip)), "controls": make_controls(clip)},
                beside=lambda clip: {"preserve": half_map(clip)},  # its pictures act where they are preserved
            ),
            "weights": _change(weights=ControlWeights(edge=0.5, depth=0.25)),
            "preserve": Change(new=lambda clip: {"preserve": half_map(clip)}),
        },
        settings={
            **CHUNKS,
            "schedule": _change(schedule="karras"),
            "preserve_steps": Change(
                new=lambda folder: {"preserve_steps": 1}, beside=lambda clip: {"preserve": half_map(clip)}
            ),
            "block_gains": _change(block_gains={"edge": [0.5, 1.0]}),
        },
        elsewhere=("branches", "cache_embeddings", "cpu_offload", "distilled", "keep_chunks"),
        transformer="general/transformer",
    ),
    Case(
        name="cosmos3",
        write=write_tiny_cosmos3,
        options={"chunk_frames": 5},
        plain={"weights": ControlWeights(edge=0.5, depth=0.5), "num_steps": 2},
        fields={
            **FIELDS,
            "clip": RATE,
            "weights": _change(weights=ControlWeights(edge=0.5, depth=0.5, seg=0.5)),
            "preserve": CANNOT_PRESERVE,
        },
        settings={
            **CHUNKS,
            "control_guidance": _change(control_guidance=1.0),
            "attention": _change(attention="weighted"),
            "shift": _change(shift=3.0),
            "complete_prompts": _change(complete_prompts=False),
        },
        elsewhere=("cpu_offload", "keep_chunks"),
        transformer="transformer",
    ),
    Case(
        name="cosmos3-sim-transfer",
        frames=21,
        write=lambda folder: write_tiny_cosmos3(folder, memory=streaming()),
        plain={"weights": ControlWeights(depth=1.0)},
        fields={
            **FIELDS,
            "clip": RATE,
            "weights": _change(weights=ControlWeights(seg=1.0)),
            "negative_prompt": replace(
                FIELDS["negative_prompt"],
                refused=r"cannot read a negative prompt; .*cosmos-transfer2\.5 or cosmos3 can",
            ),
            "guidance": replace(
                FIELDS["guidance"], refused=r"cannot use guidance; .*cosmos-transfer2\.5 or cosmos3 can"
            ),
            "num_steps": replace(
                FIELDS["num_steps"],
                refused=r"paints in 4 steps, got num_steps=3; .*cosmos-transfer2\.5 or cosmos3 can take others",
            ),
            "preserve": CANNOT_PRESERVE,
            "overlap": replace(FIELDS["overlap"], refused=r"cannot overlap chunks; cosmos-transfer2\.5 or cosmos3 can"),
        },
        settings={
            **SETTINGS,
            "window": _change(window=3),
            "sinks": _change(sinks=0),
            "complete_prompts": _change(complete_prompts=False),
            "name_control": _change(name_control=False),
        },
        elsewhere=("cpu_offload", "keep_chunks"),
        transformer="transformer",
    ),
)
"""The backends."""


class Kept:
    """What is made once a backend: weights on disk, a loaded model, a clip, what its plain request gives the nets."""

    def __init__(self, make_folder):
        self.folder = cache(lambda case: case.write(make_folder(case.name)))
        self.model = cache(lambda case: case.create(self.folder(case)))
        self.clip = cache(lambda case: make_clip((36, 50), case.frames))
        self.plain = cache(lambda case: inputs_of(self.model(case), case.ask(self.clip(case))))
