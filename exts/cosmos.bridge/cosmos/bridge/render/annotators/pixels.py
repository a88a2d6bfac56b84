"""Annotators with one value a pixel: colour, distance, normals, motion and segmentations."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from cosmos.bridge.render.annotators.options import Shot, present_ids
from cosmos.bridge.render.annotators.things import FIRST
from cosmos.bridge.types import Orthographic

Rgba = tuple[int, int, int, int]

_BACKGROUND: Rgba = (0, 0, 0, 0)
_UNLABELLED: Rgba = (0, 0, 0, 255)
_SPECIAL = {0: "BACKGROUND", 1: "UNLABELLED"}


def _with_fourth(array: np.ndarray, fourth: Any) -> np.ndarray:
    """Append channels until there are four, in one dtype."""
    missing = 4 - array.shape[-1]
    filled = np.full((*array.shape[:-1], missing), fourth, array.dtype)
    return np.concatenate([array, filled], axis=-1)


def rgb(shot: Shot) -> np.ndarray:
    """Tone-mapped colour, uint8 [H, W, 4], alpha 255."""
    return _with_fourth(shot.need("rgb"), 255)


def hdr_color(shot: Shot) -> np.ndarray:
    """Scene-linear colour before tone mapping, exposed, float16 [H, W, 4], alpha 1."""
    linear = shot.details("HdrColor").linear().numpy()
    return _with_fourth(np.clip(linear, 0.0, 65504.0).astype(np.float16), 1.0)


def to_plane(shot: Shot) -> np.ndarray:
    """Distance to the image plane, float32 [H, W], inf where no hit."""
    return np.asarray(shot.need("depth") / np.float32(shot.unit))


def to_camera(shot: Shot) -> np.ndarray:
    """Distance to the camera's place, float32 [H, W], inf where no hit."""
    away = shot.reach
    if isinstance(shot.frame.camera.lens, Orthographic):
        away = np.linalg.norm(shot.rays[0] + shot.rays[1] * away[..., None], axis=-1)
    return np.where(np.isnan(away), np.inf, away / shot.unit).astype(np.float32)


def normals(shot: Shot) -> np.ndarray:
    """World normals, float32 [H, W, 4]: xyz, then 1; zero where no hit."""
    return _with_fourth(shot.need("normals"), 1.0)


def motion_vectors(shot: Shot) -> np.ndarray:
    """Previous minus current position [px], float32 [H, W, 4]: +x moved left, +y moved up; zw are 0."""
    return _with_fourth(shot.need("motion"), 0.0)


def semantic_segmentation(shot: Shot) -> dict[str, Any]:
    """Semantic id or its colour at each pixel; info ``idToLabels``."""
    ids = shot.need("semantic_ids")
    present = present_ids(ids)
    labels = {key: shot.labels.get(key, {}) for key in present if key > 1}
    named = {key: dict(value) for key, value in labels.items() if value}
    ids = _keep(ids, present, named)
    names = {key: json.dumps(value, sort_keys=True) for key, value in named.items()}
    meanings: dict[int, Any] = {0: {"class": "BACKGROUND"}, 1: {"class": "UNLABELLED"}, **named}
    return _segmentation(shot, ids, names, {"idToLabels": meanings})


def instance_segmentation(shot: Shot) -> dict[str, Any]:
    """Labelled thing at each pixel; info ``idToLabels`` (prim paths) and ``idToSemantics``."""
    ids, things = shot.thing_ids, shot.things
    present = [key for key in present_ids(ids) if key >= FIRST]
    paths = {key: things.items[key - FIRST].prim_path for key in present}
    semantics = {key: dict(things.items[key - FIRST].labels) for key in present}
    special = {key: {"class": name} for key, name in _SPECIAL.items()}
    tables: dict[str, dict[int, Any]] = {
        "idToLabels": {**_SPECIAL, **paths},
        "idToSemantics": {**special, **semantics},
    }
    return _segmentation(shot, ids, paths, tables)


def instance_id_segmentation(shot: Shot) -> dict[str, Any]:
    """Drawn leaf prim at each pixel, labelled or not; info ``idToLabels`` (prim paths)."""
    ids, instances = shot.need("instance_ids"), shot.frame.instances
    present = [key for key in present_ids(ids) if key > 0]
    paths = {key: instances[key].prim_path if key in instances else f"/unknown[{key}]" for key in present}
    return _segmentation(shot, ids, paths, {"idToLabels": {0: "BACKGROUND", **paths}}, leaves=True)


def _keep(ids: np.ndarray, present: list[int], kept: Mapping[int, Any]) -> np.ndarray:
    """Turn ids without a label that counts into 1, unlabelled."""
    if all(key in kept for key in present if key > 1):
        return ids
    table = np.array([key if key == 0 or key in kept else 1 for key in present], np.uint32)
    return np.asarray(table[np.searchsorted(np.array(present), ids)])


def _segmentation(
    shot: Shot,
    ids: np.ndarray,
    names: Mapping[int, str],
    tables: Mapping[str, Mapping[int, Any]],
    *,
    leaves: bool = False,
) -> dict[str, Any]:
    """Return ids or colours with their tables, whose keys are ids or colours as text."""
    if not shot.options.colorize:
        return {"data": np.array(ids, np.uint32), "info": {name: dict(table) for name, table in tables.items()}}
    present = set(present_ids(ids))
    colors: dict[int, Rgba] = {0: _BACKGROUND} if leaves else {0: _BACKGROUND, 1: _UNLABELLED}
    for key, name in names.items():
        colors[key] = _free(shot.options.color_of(name), colors)
    info = {
        name: {str(colors[key]): value for key, value in table.items() if key in present}
        for name, table in tables.items()
    }
    return {"data": paint(ids, colors), "info": info}


def _free(color: tuple[int, int, int], taken: Mapping[int, Rgba]) -> Rgba:
    """Return a colour, or the next one that no id of this picture has yet."""
    code, used = int.from_bytes(bytes(color), "big"), set(taken.values())
    while (found := (*code.to_bytes(3, "big"), 255)) in used:
        code = (code + 1) % 2**24
    red, green, blue, alpha = found
    return red, green, blue, alpha


def paint(ids: np.ndarray, colors: Mapping[int, Rgba]) -> np.ndarray:
    """Return the colour of each id, uint8 [H, W, 4]."""
    keys = np.array(sorted(colors), dtype=np.int64)
    table = np.array([colors[int(key)] for key in keys], dtype=np.uint8)
    return np.asarray(table[np.searchsorted(keys, ids.astype(np.int64))])


def shaded(colored: np.ndarray, shot: Shot) -> np.ndarray:
    """Darken colours where the surface turns away from the camera, uint8 [H, W, 4]."""
    turned = shot.need("normals") @ shot.frame.camera.cam_to_world[:3, :3].astype(np.float32)
    facing = np.nan_to_num(np.abs(np.einsum("hwc,hwc->hw", shot.rays[1], turned)))
    result = colored.copy()
    result[..., :3] = np.rint(colored[..., :3] * (0.35 + 0.65 * facing)[..., None])
    return result


__all__ = [
    "hdr_color",
    "instance_id_segmentation",
    "instance_segmentation",
    "motion_vectors",
    "normals",
    "paint",
    "rgb",
    "semantic_segmentation",
    "shaded",
    "to_camera",
    "to_plane",
]
