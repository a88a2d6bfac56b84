"""Clips of Replicator's CosmosWriter: ``clip_0000/{rgb,shaded_seg,segmentation,depth,edges}/<name>_0000.png``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.sources.layouts import (
    RawFrame,
    check_run,
    numbered_files,
    pack_colors,
    read_picture,
    read_rgb,
    relabel,
    unbroken,
)
from cosmos.bridge.sources.video import frame_rate
from cosmos.bridge.types import Instance

NEAR, FAR = 0.1, 100.0
"""Range of its depth pictures [m]; the writer has no setting for it."""
_MARKS = ("shaded_seg", "segmentation", "edges", "depth")


def is_cosmos_clip(folder: Path) -> bool:
    """Tell whether a folder looks like one clip of CosmosWriter."""
    return (folder / "rgb").is_dir() and any((folder / name).is_dir() for name in _MARKS)


def decode_depth(level: np.ndarray) -> np.ndarray:
    """Turn its 8-bit log depth into distances to the camera [m], float32; black (100 m and more, or no hit) is inf."""
    share = 1.0 - level.astype(np.float64) / 255.0
    distance = NEAR * (FAR / NEAR) ** share
    return np.where(level == 0, np.inf, distance).astype(np.float32)


class CosmosWriterClip:
    """One clip folder of CosmosWriter."""

    kind = "cosmos_writer"

    def __init__(self, folder: Path) -> None:
        """Find the files.

        Raises:
            SourceError: If frames are missing, or the first picture cannot be read.
        """
        self.folder = folder
        self._files = {
            name: numbered_files(folder / name, name, (".png",)) for name in ("rgb", "depth", "segmentation")
        }
        if not self._files["rgb"]:
            raise SourceError(f"Folder {folder} holds no rgb/rgb_0000.png; point at a clip that CosmosWriter wrote.")
        self.numbers = unbroken(self._files["rgb"], folder)
        for name in ("depth", "segmentation"):
            if self._files[name]:
                check_run(name, self.numbers, self._files[name], folder)
        first = read_rgb(self._files["rgb"][self.numbers[0]])
        self.size = (first.shape[0], first.shape[1])
        video = folder / "rgb.mp4"
        self.fps = frame_rate(video) if video.is_file() else None
        self._ids: dict[int, int] = {0: 0}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, one sentence each."""
        notes = []
        if self._files["depth"]:
            notes.append(
                "CosmosWriter's depth has 8 bits on a log scale from 0.1 to 100 m, so a step is 2.7 % of the distance, "
                "and nothing is known beyond 100 m."
            )
        if self._files["segmentation"]:
            notes.append("CosmosWriter keeps no names, so each segmentation colour is an instance without a label.")
        return tuple(notes)

    def read(self, numbers: range | tuple[int, ...]) -> Iterator[RawFrame]:
        """Yield the frames of these numbers in order."""
        for number in numbers:
            buffers = {"rgb": read_rgb(self._files["rgb"][number], size=self.size)}
            if self._files["depth"]:
                level = read_picture(self._files["depth"][number], size=self.size)
                buffers["distance_to_camera"] = decode_depth(level if level.ndim == 2 else level[..., 0])
            if self._files["segmentation"]:
                colors = pack_colors(read_rgb(self._files["segmentation"][number], size=self.size))
                for color in np.unique(colors).tolist():
                    self._ids.setdefault(color, len(self._ids))
                buffers["instance_ids"] = relabel(colors, self._ids)
            yield RawFrame(number=number, buffers=buffers, instances=self._instances())

    def _instances(self) -> dict[int, Instance]:
        named = {}
        for color, number in self._ids.items():
            if number:
                red, green, blue = color & 255, (color >> 8) & 255, (color >> 16) & 255
                named[number] = Instance(id=number, prim_path=f"/segmentation/color_{red:02x}{green:02x}{blue:02x}")
        return named


__all__ = ["FAR", "NEAR", "CosmosWriterClip", "decode_depth", "is_cosmos_clip"]
