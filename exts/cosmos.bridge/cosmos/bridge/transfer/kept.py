"""Finished chunks of a long clip, on disk until it is done: a run that was stopped or killed goes on from there."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmos.bridge.transfer.footprint import settings_of
from cosmos.bridge.types import TransferRequest

if TYPE_CHECKING:
    import torch
    import warp as wp

    from cosmos.models.chunks import Chunk

_STALE = 7 * 24 * 3600.0
"""Age after which chunks that nobody came back for are removed [s]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class KeptChunk:
    """One finished chunk."""

    frames: torch.Tensor
    """Its frames of the clip, sRGB, uint8, shape [n, H, W, 3]."""
    tail: torch.Tensor
    """Its last frames as the net gave them, which the next chunk is begun with, shape [1, 3, overlap, H', W']."""
    seam: float
    """How it meets the chunk before [8-bit levels]; 0 for the first."""


class KeptChunks:
    """The finished chunks of one request.

    Args:
        folder: Folder of all requests of a backend.
        key: What decides the pictures, from `key_of`.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._all, self._folder = folder, folder / key
        self.trouble = ""
        """Why chunks could not be kept; empty where they could."""

    def read(self, chunks: tuple[Chunk, ...]) -> list[KeptChunk]:
        """Return the chunks that are there, from the first one on; a damaged one ends them, and is made again."""
        from safetensors import SafetensorError, safe_open

        found: list[KeptChunk] = []
        for chunk in chunks:
            path = self._path(chunk.index)
            if not path.is_file():
                break
            try:
                with safe_open(path, framework="pt", device="cpu") as tensors:
                    seam = float(tensors.metadata()["seam"])
                    found.append(
                        KeptChunk(frames=tensors.get_tensor("frames"), tail=tensors.get_tensor("tail"), seam=seam)
                    )
            except (SafetensorError, OSError, KeyError, TypeError, ValueError):
                break
        return found

    def keep(self, index: int, chunk: KeptChunk) -> None:
        """Write a chunk; a disk that is full or closed is told by `trouble` and stops nothing."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = self._path(index)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._sweep()
            self._folder.mkdir(parents=True, exist_ok=True)
            tensors = {"frames": chunk.frames.contiguous(), "tail": chunk.tail.contiguous().cpu()}
            save_file(tensors, part, metadata={"seam": repr(chunk.seam)})
            part.replace(path)
        except (OSError, SafetensorError) as error:
            self.trouble = str(error).splitlines()[0]
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def drop(self) -> None:
        """Remove the chunks; safe to call twice."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # others lie beside it
            self._all.rmdir()

    def _path(self, index: int) -> Path:
        return self._folder / f"chunk_{index:04d}.safetensors"

    def _sweep(self) -> None:
        """Remove what nobody came back for."""
        if not self._all.is_dir():
            return
        for other in self._all.iterdir():
            with suppress(OSError):
                if other != self._folder and time.time() - other.stat().st_mtime > _STALE:
                    shutil.rmtree(other, ignore_errors=True)


def key_of(request: TransferRequest, model: Mapping[str, Any]) -> str:
    """Return a hash of all that decides the pictures.

    Args:
        request: The request, with every pixel of its controls, maps and, where it is preserved, its source.
        model: What else does: weights, options, device, type; plain values.
    """
    clip, digest = request.clip, hashlib.sha256()
    told = {
        "model": dict(model),
        "settings": settings_of(request),
        "clip": [clip.num_frames, clip.height, clip.width, clip.fps],
    }
    digest.update(json.dumps(told, sort_keys=True, default=str).encode())
    arrays: dict[str, wp.array] = {f"control {kind}": request.controls[kind].video for kind in request.weights.kinds}
    arrays |= {
        f"map {kind}": weight for kind, weight in request.weights.items() if not isinstance(weight, (int, float))
    }
    if request.preserve is not None:
        arrays |= {"preserve": request.preserve, "source": clip.rgb}
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}:".encode())
        for frame in range(array.shape[0]):
            digest.update(array[frame].numpy().tobytes())
    return digest.hexdigest()


__all__ = ["KeptChunk", "KeptChunks", "key_of"]
