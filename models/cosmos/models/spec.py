"""What a shipped net is, read from the ``config.json`` beside its weights."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class TransferNetConfig:
    """Shape of the embedded Transfer net."""

    channels: tuple[int, ...] = (40, 80, 128, 160)
    """Channels of the trunk, finest scale first; each scale halves the size."""
    blocks: int = 2
    """Residual blocks a scale and direction."""
    features: int = 20
    """Channels that the trunk hands to the head."""
    head: int = 16
    """Channels of the full-resolution head."""
    hints: int = 23
    """Channels of the light and wear hints that it sees, the first of all."""
    maps: int = 14
    """Channels of the light maps: relit, white, mirror and air of three each, how clear the air is, what is open."""
    style: int = 14
    """Length of the style vector."""
    controls: tuple[str, ...] = ("edge", "depth", "seg", "vis")
    """Control branches, in order."""
    coarse: int = 2
    """Size ratio of picture to trunk where none is asked for."""
    draft: bool = False
    """Whether the trunk also sees a draft: a noisy coarse picture, which further steps make clear."""

    def __post_init__(self) -> None:
        if len(self.channels) < 2 or min(self.channels) < 1 or self.blocks < 1:
            raise ValueError(f"TransferNetConfig needs two scales or more and a block or more, got {self}.")
        if "depth" not in self.controls:
            raise ValueError(f"TransferNetConfig.controls must hold depth, got {list(self.controls)}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class TextEncoderConfig:
    """Shape of the prompt reader."""

    words: int = 6144
    """Rows of the embedding; row 0 is padding, row 1 a word it does not know."""
    width: int = 96
    """Channels."""
    layers: int = 2
    """Transformer layers."""
    heads: int = 4
    """Attention heads."""
    length: int = 64
    """Most words read."""


def read_config(path: Path) -> dict[str, Any]:
    """Read a ``config.json``.

    Raises:
        ValueError: If it is no JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"The model configuration {path} cannot be read: {error}.") from error
    if not isinstance(config, dict):
        raise ValueError(f"The model configuration {path} must hold a JSON object, got {type(config).__name__}.")
    return config


def from_mapping(kind: type[Any], mapping: dict[str, Any]) -> Any:
    """Build a configuration from plain values; lists become tuples.

    Raises:
        ValueError: If a key is not a field of ``kind``.
    """
    known = {item.name for item in fields(kind)}
    unknown = sorted(set(mapping) - known)
    if unknown:
        raise ValueError(f"{kind.__name__} has no {unknown}; it has {sorted(known)}.")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in mapping.items()})


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a configuration as plain JSON values."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(config).items()}


__all__ = ["TextEncoderConfig", "TransferNetConfig", "from_mapping", "read_config", "to_mapping"]
