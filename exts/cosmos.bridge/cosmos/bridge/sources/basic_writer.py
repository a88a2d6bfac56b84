"""Folders of Replicator's BasicWriter (and of ``cosmos-bridge render``): ``rgb_0000.png``, ``normals_0000.png``, ..."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.sources.camera_params import read_camera_params
from cosmos.bridge.sources.identities import Identities, boxed, id_of_key, label_of, rgba_of_key
from cosmos.bridge.sources.layouts import (
    RawFrame,
    check_run,
    files_of,
    pack_colors,
    read_array,
    read_picture,
    read_rgb,
    unbroken,
)
from cosmos.bridge.types import EXTRA_BUFFERS, Instance

_KNOWN: Mapping[str, tuple[str, ...]] = {
    "distance_to_image_plane": (".npy",),
    "distance_to_camera": (".npy",),
    "normals": (".npy", ".png"),
    "motion_vectors": (".npy",),
    "semantic_segmentation": (".png", ".npy"),
    "semantic_segmentation_labels": (".json",),
    "instance_segmentation": (".png", ".npy"),
    "instance_segmentation_mapping": (".json",),
    "instance_segmentation_semantics_mapping": (".json",),
    "instance_id_segmentation": (".png", ".npy"),
    "instance_id_segmentation_mapping": (".json",),
    "bounding_box_3d": (".npy",),
    "bounding_box_3d_prim_paths": (".json",),
    "camera_params": (".json",),
    "hdmap": (".png",),
    "lidar": (".png",),
}

_OPAQUE_BLACK = np.uint32(255 << 24)
"""Value of what is unlabelled in a colourised picture."""


def is_basic_folder(folder: Path) -> bool:
    """Tell whether a folder holds ``rgb_0000.png`` files, flat or in ``rgb/``."""
    return bool(files_of(folder, "rgb"))


class BasicWriterClip:
    """One camera's folder of BasicWriter."""

    kind = "basic_writer"
    fps: float | None = None

    def __init__(self, folder: Path) -> None:
        """Find the files.

        Raises:
            SourceError: If frames are missing, or the first picture cannot be read.
        """
        self.folder = folder
        self._rgb = files_of(folder, "rgb")
        if not self._rgb:
            raise SourceError(f"Folder {folder} holds no rgb_0000.png; point at a folder that BasicWriter wrote.")
        self.numbers = unbroken(self._rgb, folder)
        self._files = {name: files_of(folder, name, endings) for name, endings in _KNOWN.items()}
        for name in ("semantic_segmentation_labels", "instance_segmentation_mapping", "bounding_box_3d_prim_paths",
                     "instance_segmentation_semantics_mapping", "instance_id_segmentation_mapping"):  # fmt: skip
            beside = folder / re.sub("_(labels|mapping|semantics_mapping|prim_paths)$", "", name)
            self._files[name] = self._files[name] or files_of(beside, name, (".json",))
        self._files = {name: files for name, files in self._files.items() if files}
        for name, files in self._files.items():
            check_run(name, self.numbers, files, folder)
        first = read_rgb(self._rgb[self.numbers[0]])
        self.size = (first.shape[0], first.shape[1])
        self._identities = Identities()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, one sentence each."""
        if "distance_to_camera" in self._files and "distance_to_image_plane" not in self._files:
            return ("Depth was computed from distance_to_camera through the lens.",)
        return ()

    @property
    def extras(self) -> tuple[str, ...]:
        """Which further controls the files hold."""
        return tuple(name for name in EXTRA_BUFFERS if name in self._files)

    def read(self, numbers: range | tuple[int, ...]) -> Iterator[RawFrame]:
        """Yield the frames of these numbers in order.

        Raises:
            SourceError: If a file cannot be read, or differs in size from the first picture.
        """
        for number in numbers:
            buffers: dict[str, np.ndarray] = {"rgb": read_rgb(self._rgb[number], size=self.size)}
            for name in EXTRA_BUFFERS:
                file = self._file(name, number)
                if file is not None:
                    buffers[name] = read_rgb(file, size=self.size)
            self._read_geometry(number, buffers)
            labels = self._read_semantics(number, buffers)
            instances = self._read_instances(number, buffers)
            instances, poses = self._read_boxes(number, instances)
            lens = self._read_camera(number)
            yield RawFrame(number=number, buffers=buffers, labels=labels, instances=instances, poses=poses, **lens)

    def _file(self, name: str, number: int) -> Path | None:
        return self._files[name][number] if name in self._files else None

    def _read_geometry(self, number: int, buffers: dict[str, np.ndarray]) -> None:
        for name, buffer in (("distance_to_image_plane", "depth"), ("distance_to_camera", "distance_to_camera")):
            file = self._file(name, number)
            if file is not None and "depth" not in buffers:
                depth = read_array(file, size=self.size).astype(np.float32)
                buffers[buffer] = np.where(np.isfinite(depth) & (depth > 0.0), depth, np.float32(np.inf))
        file = self._file("normals", number)
        if file is not None:
            buffers["normals"] = _normals(file, self.size)
        file = self._file("motion_vectors", number)
        if file is not None:
            motion = read_array(file, size=self.size)
            if motion.ndim != 3 or motion.shape[2] < 2:
                raise SourceError(f"Array {file} must have shape [H, W, 2 or more], got {list(motion.shape)}.")
            buffers["motion"] = np.ascontiguousarray(motion[..., :2], dtype=np.float32)

    def _read_semantics(self, number: int, buffers: dict[str, np.ndarray]) -> dict[int, Mapping[str, str]]:
        file = self._file("semantic_segmentation", number)
        if file is None:
            return {}
        named = {
            key: label_of(entry) for key, entry in _json_of(self._file("semantic_segmentation_labels", number)).items()
        }
        values, tell = _ids(file, self.size, named)
        texts = {tell(key): label for key, label in named.items()}
        buffers["semantic_ids"], labels = self._identities.label_picture(values, texts)
        return labels

    def _read_instances(self, number: int, buffers: dict[str, np.ndarray]) -> dict[int, Instance]:
        name = "instance_segmentation" if "instance_segmentation" in self._files else "instance_id_segmentation"
        file = self._file(name, number)
        if file is None:
            return {}
        named = _json_of(self._file(f"{name}_mapping", number))
        values, tell = _ids(file, self.size, named)
        paths = {tell(key): str(entry) for key, entry in named.items()}
        meanings = {}
        if name == "instance_segmentation":
            entries = _json_of(self._file(f"{name}_semantics_mapping", number))
            meanings = {tell(key): label_of(entry) for key, entry in entries.items()}
        buffers["instance_ids"], instances = self._identities.thing_picture(values, paths, meanings)
        return instances

    def _read_boxes(
        self, number: int, instances: dict[int, Instance]
    ) -> tuple[dict[int, Instance], dict[int, np.ndarray]]:
        """Give instances the bounds and poses of ``bounding_box_3d``, where camera_params tell its unit."""
        names = ("bounding_box_3d", "bounding_box_3d_prim_paths", "camera_params")
        file, named, params = (self._file(name, number) for name in names)
        if file is None or named is None or params is None:
            return instances, {}
        paths = _read_json(named)
        try:
            boxes = np.load(file, allow_pickle=False)
            return boxed(instances, paths, boxes, float(_json_of(params).get("metersPerSceneUnit", 1.0)))
        except (OSError, ValueError, TypeError, EOFError, IndexError) as error:
            raise SourceError(
                f"Array {file} is no bounding_box_3d of BasicWriter ({error}); write it again."
            ) from error

    def _read_camera(self, number: int) -> dict[str, Any]:
        file = self._file("camera_params", number)
        if file is None:
            return {}
        return read_camera_params(_json_of(file), f"File {file}", self.size)


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"File {file} cannot be read as JSON ({error}); write it again.") from error


def _json_of(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    entries = _read_json(file)
    if not isinstance(entries, dict):
        raise SourceError(f"File {file} must hold a JSON object, got a {type(entries).__name__}; write it again.")
    return entries


def _ids(file: Path, size: tuple[int, int], keys: Iterable[str]) -> tuple[np.ndarray, Any]:
    """Read a segmentation as uint32 values, and how a key of its JSON file becomes such a value.

    A colourised picture packs red, green and blue, and keeps opaque black apart where ``keys`` name it, for Replicator
    paints what is unlabelled so; a plain one holds ids, whose keys are numbers or, with RTX, the four
    bytes of the id in little-endian order as ``(r, g, b, a)``.
    """
    image = read_array(file, size=size) if file.suffix == ".npy" else read_picture(file, size=size)
    colored = image.ndim == 3
    if colored and image.dtype != np.uint8:
        raise SourceError(
            f"Segmentation {file} has {image.shape[2]} channels of {image.dtype}; write ids or 8-bit colours."
        )
    if not colored and image.dtype.kind not in "iu":
        raise SourceError(f"Segmentation {file} holds {image.dtype}; write whole numbers or 8-bit colours.")
    values = pack_colors(image) if colored else image.astype(np.uint32)
    if colored and image.shape[2] == 4 and any(_is_opaque_black(key) for key in keys):
        values = np.where((values == 0) & (image[..., 3] == 255), _OPAQUE_BLACK, values)

    def tell(key: str) -> int:
        if colored and image.shape[2] == 4 and _is_opaque_black(key):
            return int(_OPAQUE_BLACK)
        try:
            return id_of_key(key) & (0xFFFFFF if colored and rgba_of_key(key) else 0xFFFFFFFF)
        except ValueError as error:
            raise SourceError(
                f"The labels beside {file} have the key {key!r}, which is neither an id nor a colour; write them again."
            ) from error

    return values, tell


def _is_opaque_black(key: str) -> bool:
    return rgba_of_key(key) == (0, 0, 0, 255)


def _normals(file: Path, size: tuple[int, int]) -> np.ndarray:
    """Read normals as float32 [H, W, 3]; zero where there is no surface."""
    if file.suffix == ".npy":
        array = read_array(file, size=size)
        if array.ndim != 3 or array.shape[2] < 3:
            raise SourceError(f"Array {file} must have shape [H, W, 3 or 4], got {list(array.shape)}.")
        normals = np.array(array[..., :3], dtype=np.float32)
    else:
        normals = read_rgb(file, size=size).astype(np.float32) / np.float32(127.5) - np.float32(1.0)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    surface = (length > 0.5) & (length < 1.5)  # the corners of the colour cube are no directions
    return np.where(surface, normals / np.maximum(length, 1.0e-6), 0.0).astype(np.float32)


__all__ = ["BasicWriterClip", "is_basic_folder"]
