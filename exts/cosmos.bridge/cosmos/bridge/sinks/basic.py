"""Annotators of single frames as files, under the names and in the formats of Replicator's BasicWriter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np

from cosmos.bridge.errors import ConfigError, SinkError
from cosmos.bridge.sinks.files import cannot_write
from cosmos.bridge.types import Camera, Frame, Instance

_BACKGROUND = (0, 0, 0, 0)
_FOCAL_LENGTH = 24.0

BOX_DTYPE = np.dtype(
    [
        ("semanticId", "<u4"),
        ("x_min", "<i4"),
        ("y_min", "<i4"),
        ("x_max", "<i4"),
        ("y_max", "<i4"),
        ("occlusionRatio", "<f4"),
    ]
)
"""Row of ``bounding_box_2d_tight``; x_max and y_max are inclusive, as Replicator has them."""


Files = dict[str, bytes]
ColorOf = Callable[[str], tuple[int, int, int]]
OwnerOf = Callable[[str], str]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Naming:
    """How things are coloured and grouped."""

    color_of: ColorOf
    owner_of: OwnerOf


class BasicFiles:
    """Writes chosen annotators of each frame: ``rgb_0000.png``, ``distance_to_image_plane_0000.npy``, ...

    Lengths are metres (``metersPerSceneUnit`` is 1), whatever the stage's unit. Ids are colourised, as BasicWriter does
    unless told otherwise: the colour of an instance is made from its prim path, the colour of a label from its text.

    ``instance_segmentation`` and boxes mean whole labelled things: all prims below one labelled prim are one instance.

    Args:
        folder: Folder for the files; made if absent.
        annotators: Names of annotators.
        color_of: Prim path or label -> ``(r, g, b)``.
        owner_of: Prim path -> path of the nearest labelled prim at or above it; ``None`` takes the path itself.

    Raises:
        ConfigError: If an annotator is unknown.
        SinkError: If the folder cannot be made.
    """

    def __init__(
        self, folder: Path, annotators: Iterable[str], *, color_of: ColorOf, owner_of: Optional[OwnerOf] = None
    ) -> None:
        self._writers = {name: _WRITERS[check_annotator(name)] for name in annotators}
        self._folder, self._naming = folder, _Naming(color_of=color_of, owner_of=owner_of or _itself)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error

    def write(self, frame: Frame, index: int) -> int:
        """Write one frame; return the number of bytes.

        Raises:
            SinkError: If the source does not give what an annotator needs, or a file cannot be written.
        """
        total = 0
        for name, writer in self._writers.items():
            for suffix, content in writer(frame, self._naming).items():
                stem, _, ending = suffix.rpartition(".")
                path = self._folder / f"{name}{stem}_{index:04d}.{ending}"
                try:
                    path.write_bytes(content)
                except OSError as error:
                    path.unlink(missing_ok=True)
                    raise cannot_write(path, error) from error
                total += len(content)
        return total


def check_annotator(name: str) -> str:
    """Return the name of an annotator that can be written.

    Raises:
        ConfigError: If it is unknown; the sentence lists those that are known.
    """
    if name not in _WRITERS:
        raise ConfigError(f"There is no annotator {name!r}; there are {', '.join(_WRITERS)}.")
    return name


def _rgb(frame: Frame, naming: _Naming) -> Files:
    rgb = frame.rgb.numpy()
    return {".png": _png(np.concatenate([rgb, np.full_like(rgb[..., :1], 255)], axis=-1))}


def _to_plane(frame: Frame, naming: _Naming) -> Files:
    return {".npy": _npy(_need(frame, "depth"))}


def _to_camera(frame: Frame, naming: _Naming) -> Files:
    depth, matrix = _need(frame, "depth"), frame.camera.intrinsics
    y, x = np.mgrid[0 : depth.shape[0], 0 : depth.shape[1]]
    across, down = (x + 0.5 - matrix[0, 2]) / matrix[0, 0], (y + 0.5 - matrix[1, 2]) / matrix[1, 1]
    return {".npy": _npy((depth * np.sqrt(1.0 + across**2 + down**2)).astype(np.float32))}


def _normals(frame: Frame, naming: _Naming) -> Files:
    normals = _need(frame, "normals")
    colors = np.rint((normals * 0.5 + 0.5) * 255.0).astype(np.uint8)
    return {".png": _png(np.concatenate([colors, np.full_like(colors[..., :1], 255)], axis=-1))}


def _motion(frame: Frame, naming: _Naming) -> Files:
    motion = _need(frame, "motion")
    return {".npy": _npy(np.concatenate([motion, np.zeros_like(motion)], axis=-1))}


def _semantics(frame: Frame, naming: _Naming) -> Files:
    ids = _need(frame, "semantic_ids")
    colors = {0: _BACKGROUND}
    labels: dict[str, Mapping[str, str]] = {str(_BACKGROUND): {"class": "BACKGROUND"}}
    for key in np.unique(ids):
        if key == 0:
            continue
        label = dict(frame.labels.get(int(key), {"class": "UNLABELLED"}))
        color = _free(naming.color_of(json.dumps(label, sort_keys=True)), colors)
        colors[int(key)] = color
        labels[str(color)] = label
    return {".png": _png(_paint(ids, colors)), "_labels.json": _json(labels)}


def _instance_ids(frame: Frame, naming: _Naming) -> Files:
    ids = _need(frame, "instance_ids")
    colors, paths, _ = _instance_tables(frame.instances, ids, naming)
    return {".png": _png(_paint(ids, colors)), "_mapping.json": _json(paths)}


def _instances(frame: Frame, naming: _Naming) -> Files:
    ids, owners = _labelled(frame, naming)
    colors, paths, semantics = _instance_tables(owners, ids, naming)
    return {
        ".png": _png(_paint(ids, colors)),
        "_mapping.json": _json(paths),
        "_semantics_mapping.json": _json(semantics),
    }


def _labelled(frame: Frame, naming: _Naming) -> tuple[np.ndarray, dict[int, Instance]]:
    """Return the ids of whole labelled things, and what they are; each takes the lowest id of its parts."""
    ids = _need(frame, "instance_ids")
    first: dict[str, int] = {}
    owners: dict[int, Instance] = {}
    keys, values = [0], [0]
    for key in sorted(frame.instances):
        instance = frame.instances[key]
        path = naming.owner_of(instance.prim_path)
        if instance.labels:
            owner = first.setdefault(path, key)
            owners.setdefault(owner, replace(instance, prim_path=path))
            keys.append(key)
            values.append(owner)
    table, places = np.array(values, dtype=np.uint32), np.array(keys, dtype=np.int64)
    found = np.minimum(np.searchsorted(places, ids.astype(np.int64)), len(places) - 1)
    return np.where(places[found] == ids, table[found], np.uint32(0)), owners


def _camera(frame: Frame, naming: _Naming) -> Files:
    return {".json": _json(describe_camera(frame.camera))}


def _boxes(frame: Frame, naming: _Naming) -> Files:
    ids, owners = _labelled(frame, naming)
    rows, labels, paths = [], {}, []
    for key in np.unique(ids[ids > 0]):
        instance = owners[int(key)]
        y, x = np.nonzero(ids == key)
        rows.append((instance.semantic_id, x.min(), y.min(), x.max(), y.max(), np.nan))
        labels[str(instance.semantic_id)] = dict(instance.labels)
        paths.append(instance.prim_path)
    boxes = np.array(rows, dtype=BOX_DTYPE)
    return {".npy": _npy(boxes), "_labels.json": _json(labels), "_prim_paths.json": _json(paths)}


_WRITERS: dict[str, Callable[[Frame, _Naming], Files]] = {
    "rgb": _rgb,
    "distance_to_image_plane": _to_plane,
    "distance_to_camera": _to_camera,
    "normals": _normals,
    "motion_vectors": _motion,
    "semantic_segmentation": _semantics,
    "instance_segmentation": _instances,
    "instance_id_segmentation": _instance_ids,
    "camera_params": _camera,
    "bounding_box_2d_tight": _boxes,
}

ANNOTATORS = tuple(_WRITERS)
"""Every annotator that can be written."""


def describe_camera(camera: Camera) -> dict[str, Any]:
    """Return a camera as ``camera_params`` has it: row vectors, world to camera, for a nominal focal length of 24.

    The aperture follows from the focal length and the intrinsics, so that ``fx = focal / (aperture_x / width)``.
    """
    fx, fy = camera.intrinsics[0, 0], camera.intrinsics[1, 1]
    cx, cy = camera.intrinsics[0, 2], camera.intrinsics[1, 2]
    aperture = [_FOCAL_LENGTH * camera.width / fx, _FOCAL_LENGTH * camera.height / fy]
    near, far = camera.near, camera.far
    projection = np.zeros((4, 4))
    projection[0, 0], projection[1, 1] = 2.0 * fx / camera.width, 2.0 * fy / camera.height
    projection[2, 0], projection[2, 1] = 1.0 - 2.0 * cx / camera.width, 2.0 * cy / camera.height - 1.0
    projection[2, 2], projection[2, 3] = -(far + near) / (far - near), -1.0
    projection[3, 2] = -2.0 * far * near / (far - near)
    view = np.linalg.inv(camera.cam_to_world).T
    return {
        "cameraAperture": aperture,
        "cameraApertureOffset": [
            (camera.width / 2.0 - cx) / camera.width * aperture[0],
            (cy - camera.height / 2.0) / camera.height * aperture[1],
        ],
        "cameraFisheyeLensP": [],
        "cameraFocalLength": _FOCAL_LENGTH,
        "cameraModel": "pinhole",
        "cameraNearFar": [near, far],
        "cameraProjection": projection.ravel().tolist(),
        "cameraViewTransform": view.ravel().tolist(),
        "metersPerSceneUnit": 1.0,
        "renderProductResolution": [camera.width, camera.height],
    }


def _instance_tables(
    instances: Mapping[int, Instance], ids: np.ndarray, naming: _Naming
) -> tuple[dict[int, tuple[int, int, int, int]], dict[str, str], dict[str, Mapping[str, str]]]:
    """Return id -> colour, colour -> prim path and colour -> labels of the instances in a picture."""
    colors, paths = {0: _BACKGROUND}, {str(_BACKGROUND): "BACKGROUND"}
    semantics: dict[str, Mapping[str, str]] = {str(_BACKGROUND): {"class": "BACKGROUND"}}
    for key in np.unique(ids):
        if key == 0:
            continue
        instance = instances.get(int(key))
        path = f"/unknown[{key}]" if instance is None else instance.prim_path
        color = _free(naming.color_of(path), colors)
        colors[int(key)], paths[str(color)] = color, path
        semantics[str(color)] = dict(instance.labels) if instance is not None else {}
    return colors, paths, semantics


def _itself(prim_path: str) -> str:
    return prim_path


def _free(color: tuple[int, int, int], taken: Mapping[int, tuple[int, int, int, int]]) -> tuple[int, int, int, int]:
    """Return a colour, or the next one that no id of this picture has yet."""
    code, used = int.from_bytes(bytes(color), "big"), set(taken.values())
    while (found := (*code.to_bytes(3, "big"), 255)) in used:
        code = (code + 1) % 2**24
    red, green, blue, alpha = found
    return red, green, blue, alpha


def _paint(ids: np.ndarray, colors: Mapping[int, tuple[int, int, int, int]]) -> np.ndarray:
    keys = np.array(sorted(colors), dtype=np.int64)
    table = np.array([colors[int(key)] for key in keys], dtype=np.uint8)
    return table[np.searchsorted(keys, ids.astype(np.int64))]


def _need(frame: Frame, name: str) -> np.ndarray:
    buffer: Optional[Any] = getattr(frame, name)
    if buffer is None:
        raise SinkError(f"The source gives no {name}; leave out the annotators that need it.")
    array: np.ndarray = buffer.numpy()
    return array.view(np.uint32) if array.dtype == np.int32 else array


def _png(pixels: np.ndarray) -> bytes:
    import cv2

    order = [2, 1, 0, 3]
    ok, encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[..., order]))
    if not ok:
        raise SinkError(f"A picture of {list(pixels.shape)} cannot be written as PNG; choose another size.")
    return bytes(encoded.tobytes())


def _npy(array: np.ndarray) -> bytes:
    import io

    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _json(values: Any) -> bytes:
    return json.dumps(values, indent=2, ensure_ascii=False).encode("utf-8")


__all__ = ["ANNOTATORS", "BOX_DTYPE", "BasicFiles", "check_annotator", "describe_camera"]
