"""Annotators of single frames as files, under the names and in the formats of Replicator's BasicWriter."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cosmos.bridge.errors import ConfigError, SinkError
from cosmos.bridge.sinks.files import cannot_write, plain

Files = dict[str, bytes]
"""Ending of a file name, such as ``_labels.json``, -> content."""


class BasicFiles:
    """Writes annotators of each frame: ``rgb_0000.png``, ``distance_to_image_plane_0000.npy``, ...

    What BasicWriter has no file for gets one in the same manner; ``docs/annotators.md`` lists them all.

    Args:
        folder: Folder for the files; made if absent.

    Raises:
        SinkError: If the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_write(folder, error) from error

    def write(self, annotations: Mapping[str, Any], index: int) -> int:
        """Write one frame; return the number of bytes.

        Args:
            annotations: Annotator -> what ``render.annotators.annotate`` gives of it.
            index: Number of the frame in file names.

        Raises:
            ConfigError: If there is no file format for an annotator.
            SinkError: If a file cannot be written.
        """
        total = 0
        for name, given in annotations.items():
            if name not in _FORMATS:
                raise ConfigError(f"There is no file format for {name!r}; there is one for {', '.join(_FORMATS)}.")
            for suffix, content in _FORMATS[name](given).items():
                stem, _, ending = suffix.rpartition(".")
                path = self._folder / f"{name}{stem}_{index:04d}.{ending}"
                try:
                    path.write_bytes(content)
                except OSError as error:
                    path.unlink(missing_ok=True)
                    raise cannot_write(path, error) from error
                total += len(content)
        return total


def _picture(pixels: np.ndarray) -> Files:
    return {".png": _png(pixels)}


def _array(array: np.ndarray) -> Files:
    return {".npy": _npy(array)}


def _normals(normals: np.ndarray) -> Files:
    colors = np.rint((normals * 0.5 + 0.5) * 255.0).astype(np.uint8)
    colors[..., 3] = 255
    return {".png": _png(colors)}


def _image(data: np.ndarray) -> Files:
    """Store colours, or ids in 16 bits where they fit, as PNG; other ids as they are."""
    if data.dtype == np.uint8:
        return {".png": _png(data)}
    return {".png": _png(data.astype(np.uint16))} if data.max(initial=0) < 1 << 16 else {".npy": _npy(data)}


def _semantics(given: Mapping[str, Any]) -> Files:
    return {**_image(given["data"]), "_labels.json": _json(given["info"]["idToLabels"])}


def _instance_ids(given: Mapping[str, Any]) -> Files:
    return {**_image(given["data"]), "_mapping.json": _json(given["info"]["idToLabels"])}


def _instances(given: Mapping[str, Any]) -> Files:
    return {**_instance_ids(given), "_semantics_mapping.json": _json(given["info"]["idToSemantics"])}


def _boxes(given: Mapping[str, Any]) -> Files:
    info = given["info"]
    return {
        ".npy": _npy(given["data"]),
        "_labels.json": _json(info["idToLabels"]),
        "_prim_paths.json": _json(info["primPaths"]),
    }


def _values(values: Mapping[str, Any]) -> Files:
    return {".json": _json(plain(values))}


def _points(given: Mapping[str, Any]) -> Files:
    info = given["info"]
    return {
        ".npy": _npy(given["data"]),
        "_rgb.npy": _npy(info["pointRgb"].reshape(-1, 4)),
        "_normals.npy": _npy(info["pointNormals"].reshape(-1, 4)),
        "_semantic.npy": _npy(info["pointSemantic"]),
        "_instance.npy": _npy(info["pointInstance"]),
    }


def _scan(given: Mapping[str, Any]) -> Files:
    info = given["info"]
    named = {name: info[name] for name in ("elevations", "azimuths", "transform")}
    return {
        ".npy": _npy(given["data"]),
        ".png": _png(info["picture"]),
        "_points.npy": _npy(info["points"]),
        "_intensity.npy": _npy(info["intensity"]),
        "_semantic.npy": _npy(info["semantic"]),
        "_instance.npy": _npy(info["instance"]),
        "_params.json": _json(plain(named)),
    }


_FORMATS: dict[str, Callable[[Any], Files]] = {
    "rgb": _picture,
    "HdrColor": _array,
    "distance_to_camera": _array,
    "distance_to_image_plane": _array,
    "normals": _normals,
    "motion_vectors": _array,
    "semantic_segmentation": _semantics,
    "instance_segmentation": _instances,
    "instance_id_segmentation": _instance_ids,
    "shaded_semantic_segmentation": _semantics,
    "shaded_instance_segmentation": _instances,
    "shaded_instance_id_segmentation": _instance_ids,
    "bounding_box_2d_tight": _boxes,
    "bounding_box_2d_loose": _boxes,
    "bounding_box_3d": _boxes,
    "bounding_box_3d_360": _boxes,
    "occlusion": _array,
    "camera_params": _values,
    "pointcloud": _points,
    "lidar": _scan,
    "hdmap": _picture,
}


def _png(pixels: np.ndarray) -> bytes:
    import cv2

    ordered = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    ok, encoded = cv2.imencode(".png", np.ascontiguousarray(ordered))
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


__all__ = ["BasicFiles"]
