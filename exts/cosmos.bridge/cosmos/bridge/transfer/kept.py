"""What is painted of a long clip, on disk until it is done: a run that was stopped or killed goes on from there."""

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
from typing import TYPE_CHECKING, Any, Optional

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


class KeptParts:
    """The finished parts of one request, by number.

    Args:
        folder: Folder of all requests of a backend.
        key: What decides the pictures, from `key_of`.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._all, self._folder = folder, folder / key
        self.trouble = ""
        """Why parts could not be kept; empty where they could."""

    def drop(self) -> None:
        """Remove the parts; safe to call twice."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with suppress(OSError):  # others lie beside it
            self._all.rmdir()

    def notes(self, done: int, total: int, what: str) -> tuple[str, ...]:
        """Say what the user should know of parts that were there, and of those that could not be kept.

        Args:
            done: Parts that were there.
            total: Parts of the clip.
            what: What a part is, in the plural.
        """
        notes = []
        if done:
            notes.append(f"{done} of {total} {what} were there from a run that was stopped.")
        if self.trouble:
            notes.append(f"Finished {what} could not be kept while the clip was made ({self.trouble}).")
        return tuple(notes)

    def _load(self, index: int, *names: str) -> Optional[tuple[list[torch.Tensor], Mapping[str, str]]]:
        """Return tensors and metadata of a part; ``None`` where it is missing or damaged."""
        from safetensors import SafetensorError, safe_open

        path = self._path(index)
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                return [file.get_tensor(name) for name in names], file.metadata() or {}
        except (SafetensorError, OSError):
            return None

    def _save(self, index: int, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
        """Write a part; a disk that is full or closed is told by `trouble` and stops nothing."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        path = self._path(index)
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._sweep()
            self._folder.mkdir(parents=True, exist_ok=True)
            whole = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
            save_file(whole, part, metadata=dict(metadata))
            part.replace(path)
        except (OSError, SafetensorError) as error:
            self.trouble = str(error).splitlines()[0]
            with suppress(OSError):
                part.unlink(missing_ok=True)

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


class KeptChunks(KeptParts):
    """The finished chunks of one request."""

    def read(self, chunks: tuple[Chunk, ...]) -> list[KeptChunk]:
        """Return the chunks that are there, from the first one on; a damaged one ends them, and is made again."""
        found: list[KeptChunk] = []
        for chunk in chunks:
            part = self._load(chunk.index, "frames", "tail")
            if part is None:
                break
            (frames, tail), told = part
            try:
                seam = float(told["seam"])
            except (KeyError, ValueError):
                break
            found.append(KeptChunk(frames=frames, tail=tail, seam=seam))
        return found

    def keep(self, index: int, chunk: KeptChunk) -> None:
        """Write a chunk; a disk that is full or closed is told by `trouble` and stops nothing."""
        self._save(index, {"frames": chunk.frames, "tail": chunk.tail}, {"seam": repr(chunk.seam)})


class KeptLatents(KeptParts):
    """The painted latents of one request's stream, from which pictures and memory are made again as they were."""

    def __init__(self, folder: Path, key: str) -> None:
        super().__init__(folder, key)
        self.done = 0
        """Pieces that were there, from the first one on."""

    def read(self, index: int) -> Optional[torch.Tensor]:
        """Return the latents of a piece; ``None`` from the first one on that is missing or damaged."""
        part = self._load(index, "latents") if index == self.done else None
        if part is None:
            return None
        self.done += 1
        return part[0][0]

    def keep(self, index: int, latents: torch.Tensor) -> None:
        """Write the latents of a piece; trouble with the disk stops nothing."""
        self._save(index, {"latents": latents}, {})


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


__all__ = ["KeptChunk", "KeptChunks", "KeptLatents", "KeptParts", "key_of"]
