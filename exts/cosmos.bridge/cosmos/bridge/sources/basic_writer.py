"""Folders of Replicator's BasicWriter (and of ``cosmos-bridge render``): ``rgb_0000.png``, ``normals_0000.png``, ..."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.sources.layouts import (
    RawFrame,
    check_run,
    files_of,
    pack_colors,
    read_array,
    read_picture,
    read_rgb,
    relabel,
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
    "camera_params": (".json",),
    "hdmap": (".png",),
    "lidar": (".png",),
}
_TUPLE = re.compile(r"^\s*\(?\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)?\s*$")

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
        for name in ("semantic_segmentation_labels", "instance_segmentation_mapping",
                     "instance_segmentation_semantics_mapping", "instance_id_segmentation_mapping"):  # fmt: skip
            beside = folder / re.sub("_(labels|mapping|semantics_mapping)$", "", name)
            self._files[name] = self._files[name] or files_of(beside, name, (".json",))
        self._files = {name: files for name, files in self._files.items() if files}
        for name, files in self._files.items():
            check_run(name, self.numbers, files, folder)
        first = read_rgb(self._rgb[self.numbers[0]])
        self.size = (first.shape[0], first.shape[1])
        self._semantics = _Allocator({"BACKGROUND": 0, "UNLABELLED": 1}, first_free=2)
        self._things = _Allocator({"BACKGROUND": 0}, first_free=1)

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
            lens = self._read_camera(number)
            yield RawFrame(number=number, buffers=buffers, labels=labels, instances=instances, **lens)

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
            key: _label(entry) for key, entry in _json_of(self._file("semantic_segmentation_labels", number)).items()
        }
        values, tell = _ids(file, self.size, named)
        table: dict[int, int] = {}
        labels: dict[int, Mapping[str, str]] = {}
        texts = {tell(key): label for key, label in named.items()}
        for value in sorted(np.unique(values).tolist(), key=lambda v: (str(texts.get(v, "")), v)):
            label = texts.get(value) or ({"class": "BACKGROUND"} if value == 0 else {"class": f"id {value:#x}"})
            only = label.get("class", "")
            key = only.upper() if only.upper() in ("BACKGROUND", "UNLABELLED") else json.dumps(label, sort_keys=True)
            table[value] = self._semantics.id_of(key)
            labels[table[value]] = label
        buffers["semantic_ids"] = relabel(values, table)
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
            meanings = {tell(key): _label(entry) for key, entry in entries.items()}
        table, instances = {}, {}
        for value in sorted(np.unique(values).tolist(), key=lambda v: (paths.get(v, ""), v)):
            path = paths.get(value, "BACKGROUND" if value == 0 else f"/instance/id_{value:08x}")
            nothing = path.upper() in ("BACKGROUND", "INVALID", "UNLABELLED")
            table[value] = self._things.id_of("BACKGROUND" if nothing else path)
            if table[value]:
                labels = meanings.get(value, {})
                free = {key: text for key, text in labels.items() if text.upper() not in ("BACKGROUND", "UNLABELLED")}
                instances[table[value]] = Instance(
                    id=table[value], prim_path=path, labels=free, semantic_id=self._meaning(labels)
                )
        buffers["instance_ids"] = relabel(values, table)
        return instances

    def _meaning(self, labels: Mapping[str, str]) -> int:
        """Return the semantic id of these labels where the semantic pictures showed it, else 1 (unlabelled)."""
        return self._semantics.known(json.dumps(dict(labels), sort_keys=True), 1)

    def _read_camera(self, number: int) -> dict[str, Any]:
        file = self._file("camera_params", number)
        if file is None:
            return {}
        return _camera(_json_of(file), file, self.size)


class _Allocator:
    """Gives each name a small id that stays the same in all frames."""

    def __init__(self, fixed: Mapping[str, int], *, first_free: int) -> None:
        self._ids, self._next = dict(fixed), first_free

    def id_of(self, name: str) -> int:
        if name not in self._ids:
            self._ids[name] = self._next
            self._next += 1
        return self._ids[name]

    def known(self, name: str, default: int) -> int:
        return self._ids.get(name, default)


def _json_of(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"File {file} cannot be read as JSON ({error}); write it again.") from error
    if not isinstance(entries, dict):
        raise SourceError(f"File {file} must hold a JSON object, got a {type(entries).__name__}; write it again.")
    return entries


def _label(entry: Any) -> dict[str, str]:
    """Return ``{taxonomy: label}``; a bare string is a class."""
    if isinstance(entry, dict):
        return {str(key): str(text) for key, text in entry.items()}
    return {"class": str(entry)}


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
        match = _TUPLE.match(key)
        if match:
            red, green, blue, alpha = (int(part) for part in match.groups())
            if colored and image.shape[2] == 4 and _is_opaque_black(key):
                return int(_OPAQUE_BLACK)
            return red | green << 8 | blue << 16 | (0 if colored else alpha << 24)
        try:
            return int(key)
        except ValueError as error:
            raise SourceError(
                f"The labels beside {file} have the key {key!r}, which is neither an id nor a colour; write them again."
            ) from error

    return values, tell


def _is_opaque_black(key: str) -> bool:
    match = _TUPLE.match(key)
    return match is not None and match.groups() == ("0", "0", "0", "255")


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


def _camera(params: Mapping[str, Any], file: Path, size: tuple[int, int]) -> dict[str, Any]:
    """Turn ``camera_params`` (row vectors, world to camera, scene units) into intrinsics and a pose in metres."""
    model = str(params.get("cameraModel") or "pinhole")
    if model != "pinhole":
        raise SourceError(
            f"File {file} tells of a {model} lens, but folders are read with pinholes only; read the stage itself."
        )
    try:
        unit = float(params.get("metersPerSceneUnit", 1.0))
        view = np.array(params["cameraViewTransform"], dtype=np.float64).reshape(4, 4)
        wide, high = (int(value) for value in params.get("renderProductResolution", (size[1], size[0])))
        near, far = (float(value) * unit for value in params.get("cameraNearFar", (0.0, 0.0)))
        pose = np.linalg.inv(view.T)
        intrinsics = _intrinsics(params, wide, high)
    except (KeyError, TypeError, ValueError, np.linalg.LinAlgError) as error:
        raise SourceError(f"File {file} is no camera_params of BasicWriter ({error!r}); write it again.") from error
    if (high, wide) != size:
        raise SourceError(f"File {file} is for {high} x {wide} pixels, but the pictures are {size[0]} x {size[1]}.")
    pose[:3, 3] *= unit
    if not (np.isfinite(pose).all() and np.isfinite(intrinsics).all() and intrinsics[0, 0] > 0.0 < intrinsics[1, 1]):
        raise SourceError(f"File {file} describes a camera without a finite pose and a positive focal length.")
    clipping = (near, far) if 0.0 < near < far and np.isfinite(far) else None
    return {"intrinsics": intrinsics, "cam_to_world": pose, "clipping": clipping}


def _intrinsics(params: Mapping[str, Any], wide: int, high: int) -> np.ndarray:
    if "cameraProjection" in params:
        projection = np.array(params["cameraProjection"], dtype=np.float64).reshape(4, 4)
        fx, fy = projection[0, 0] * wide / 2.0, projection[1, 1] * high / 2.0
        cx, cy = wide / 2.0 * (1.0 - projection[2, 0]), high / 2.0 * (1.0 + projection[2, 1])
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    focal = float(params["cameraFocalLength"]) / float(params["cameraAperture"][0]) * wide
    return np.array([[focal, 0.0, wide / 2.0], [0.0, focal, high / 2.0], [0.0, 0.0, 1.0]])


__all__ = ["BasicWriterClip", "is_basic_folder"]
