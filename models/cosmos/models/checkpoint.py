"""Checkpoints as they are published: a folder a module, safetensors only, checked before anything is loaded.

Names and shapes of every tensor are compared with the module that the configuration describes, built on torch's meta
device, so that a wrong, renamed, truncated or missing file is refused before it costs memory.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from safetensors import SafetensorError, safe_open
from torch import nn  # noqa: TID253

from cosmos.models.fp8 import store_in_fp8
from cosmos.models.placement import place
from cosmos.models.runtime import diffusers_class
from cosmos.models.spec import read_config
from cosmos.models.weights import WeightsError

_SAMPLE = 1 << 16
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK")


def weight_files(folder: Path, stem: str = "diffusion_pytorch_model") -> list[Path]:
    """Return the weight files of a module: one file, or the shards that its index names.

    Args:
        folder: Folder of the module.
        stem: Name of the files before ``.safetensors``.

    Raises:
        WeightsError: If there are none, or a shard is missing.
    """
    index = folder / f"{stem}.safetensors.index.json"
    if index.is_file():
        shards = _index_of(index)
        files = [folder / name for name in sorted(set(shards.values()))]
    else:
        files = [folder / f"{stem}.safetensors"]
    for file in files:
        if not file.is_file():
            what = "shard" if index.is_file() else "weight file"
            raise WeightsError(f"The {what} {file} is missing; fetch the checkpoint again.")
    return files


def _index_of(index: Path) -> Mapping[str, str]:
    try:
        shards = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"The shard index {index} cannot be read ({error}); fetch the checkpoint again.") from error
    if not isinstance(shards, dict) or not all(isinstance(name, str) for name in shards.values()):
        raise WeightsError(f"The shard index {index} holds no map of tensors to files; fetch the checkpoint again.")
    if any(Path(name).name != name for name in shards.values()):
        raise WeightsError(f"The shard index {index} points outside of its folder; do not use this checkpoint.")
    return shards


def read_header(file: Path) -> dict[str, tuple[int, ...]]:
    """Read names and shapes of a safetensors file, and check that it is whole.

    Raises:
        WeightsError: If it is no safetensors file (for one: a renamed pickle) or is truncated.
    """
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            start = stream.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
            if 8 + length > size:
                if start[:2] in _PICKLES:
                    raise WeightsError(f"{file} is a pickle, not safetensors; only safetensors are loaded.")
                raise WeightsError(f"{file} is truncated or no safetensors file; fetch the checkpoint again.")
            header = json.loads(stream.read(length))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file} is no safetensors file ({error}); fetch the checkpoint again.") from error
    try:
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}
        end = max((entry["data_offsets"][1] for entry in tensors.values()), default=0)
        shapes = {name: tuple(entry["shape"]) for name, entry in tensors.items()}
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise WeightsError(f"{file} has a damaged safetensors header; fetch the checkpoint again.") from error
    if 8 + length + end != size:
        raise WeightsError(f"{file} has {size} bytes, its header says {8 + length + end}; fetch the checkpoint again.")
    return shapes


def build_on_meta(folder: Path, class_name: str) -> nn.Module:
    """Build a diffusers module from its ``config.json`` without memory for its weights.

    Raises:
        WeightsError: If the configuration is missing, of another class, or describes no module.
    """
    try:
        config = read_config(folder / "config.json")
    except ValueError as error:
        raise WeightsError(f"{error} Give the folder of a published checkpoint.") from error
    if config.get("_class_name") != class_name:
        raise WeightsError(
            f"{folder} holds a {config.get('_class_name')!r}, not a {class_name}; give the folder of that module."
        )
    try:
        with torch.device("meta"):
            kind = diffusers_class(class_name)
            return kind.from_config(without_sections(kind, config))
    except (TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        raise WeightsError(f"{folder / 'config.json'} describes no {class_name}: {error}.") from error


def without_sections(kind: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration without what other programs wrote into it: whole sections that a net does not take.

    Args:
        kind: Class of the net, which would warn of each with all its contents.
        config: Its configuration.
    """
    taken = inspect.signature(kind.__init__).parameters
    return {name: value for name, value in config.items() if name in taken or not isinstance(value, dict)}


def load_module(
    folder: Path,
    class_name: str,
    *,
    device: torch.device,
    dtype: torch.dtype,
    rebuild: Callable[[nn.Module], None] | None = None,
    fp8: bool = False,
    waiting: str | None = None,
) -> Any:
    """Load a diffusers module of a published layout.

    Args:
        folder: Folder with ``config.json`` and the weights.
        class_name: Name of its class in diffusers.
        device: Where to put it.
        dtype: Type of its floating-point weights; modules that diffusers keeps in float32 stay so.
        rebuild: Computes the buffers that no checkpoint holds, given the module.
        fp8: Store the large linear layers in 8 bits; the device never holds them wider.
        waiting: Name of its list of blocks, which then wait in main memory until they run; empty for a net without,
            which can stand aside as a whole; ``None`` for one that stays on the device.

    Returns:
        The module, in evaluation mode, without gradients; it owns its memory, and no state dict shares it.

    Raises:
        WeightsError: If a file or the configuration is wrong; nothing stays loaded.
    """
    module = build_on_meta(folder, class_name)
    files = weight_files(folder)
    _compare({name: shape for file in files for name, shape in read_header(file).items()}, module, folder)
    kept = tuple(getattr(module, "_keep_in_fp32_modules", None) or ())
    state = {}
    try:
        for file in files:
            with safe_open(
                file, framework="pt", device="cpu" if fp8 or waiting is not None else str(device)
            ) as tensors:
                for name in tensors.keys():  # noqa: SIM118 - not a mapping
                    tensor = tensors.get_tensor(name)
                    if tensor.is_floating_point():
                        keep = any(part in kept for part in name.split("."))
                        tensor = tensor.to(torch.float32 if keep else dtype)
                    state[name] = tensor
    except SafetensorError as error:
        raise WeightsError(f"The weights in {folder} cannot be read ({error}); fetch the checkpoint again.") from error
    module.load_state_dict(state, assign=True)
    del state
    if fp8:
        store_in_fp8(module)
    if rebuild is not None:
        rebuild(module)
    empty = [name for name, buffer in module.named_buffers() if buffer.is_meta]
    if empty:
        raise WeightsError(f"{class_name} in {folder} needs the buffer {empty[0]!r}, which no weight file gives.")
    module.eval().requires_grad_(False)
    place(module, device, blocks=None if waiting is None else list(getattr(module, waiting)) if waiting else [])
    return module


def _compare(found: Mapping[str, tuple[int, ...]], module: nn.Module, folder: Path) -> None:
    """Refuse weights whose names or shapes are not those of the module."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    missing, extra = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if missing or extra:
        what = f"lack {missing[0]!r}" if missing else f"have {extra[0]!r}, which it does not know"
        raise WeightsError(
            f"The weights in {folder} do not fit its config.json: of {len(wanted)} tensors {len(missing)} are missing "
            f"and {len(extra)} are foreign (they {what}); fetch the checkpoint again."
        )
    for name, shape in wanted.items():
        if found[name] != shape:
            raise WeightsError(
                f"The weight {name!r} in {folder} is {list(found[name])}, its config.json says {list(shape)}; "
                "configuration and weights are of different models."
            )


def identity_of(files: list[Path]) -> str:
    """Return a short fingerprint of files, from their names, sizes, first and last bytes; cheap for any size.

    It tells versions of a checkpoint apart; it is no proof against tampering.
    """
    digest = hashlib.sha256()
    for file in sorted(files):
        size = file.stat().st_size
        digest.update(f"{file.name}:{size}\n".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(_SAMPLE))
            stream.seek(max(0, size - _SAMPLE))
            digest.update(stream.read(_SAMPLE))
    return digest.hexdigest()[:32]


def parameter_count(module: Any) -> int:
    """Count the parameters of a module, also of one on the meta device."""
    return sum(parameter.numel() for parameter in module.parameters())


__all__ = [
    "build_on_meta",
    "identity_of",
    "load_module",
    "parameter_count",
    "read_header",
    "weight_files",
    "without_sections",
]
