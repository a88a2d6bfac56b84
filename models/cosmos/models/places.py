"""Where fetched checkpoints and cached embeddings lie on this machine."""

from __future__ import annotations

import os
from pathlib import Path

HOME_VARIABLE = "COSMOS_BRIDGE_HOME"
"""Environment variable that moves both elsewhere."""


def home() -> Path:
    """Return the folder of everything that is fetched or cached: $COSMOS_BRIDGE_HOME, else the user's cache."""
    given = os.environ.get(HOME_VARIABLE)
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cosmos-bridge"


def checkpoint_folder(model: str) -> Path:
    """Return where a fetched checkpoint lies, whether or not it is there."""
    return home() / "checkpoints" / model


def embedding_folder(model: str) -> Path:
    """Return where the prompt embeddings of a model are cached."""
    return home() / "embeddings" / model


def chunk_folder(model: str) -> Path:
    """Return where finished chunks of a model's unfinished clips are kept."""
    return home() / "chunks" / model


__all__ = ["HOME_VARIABLE", "checkpoint_folder", "chunk_folder", "embedding_folder", "home"]
