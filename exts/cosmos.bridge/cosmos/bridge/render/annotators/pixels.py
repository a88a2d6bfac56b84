"""Annotators with one value a pixel: colour, distance, normals, motion and segmentations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.render.annotators.options import Shot
from cosmos.bridge.render.annotators.sight import darken, distances, widen
from cosmos.bridge.render.annotators.survey import survey
from cosmos.bridge.render.annotators.things import FIRST

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
    return distances(shot.bands, shot.frame.camera, shot.buffer("depth"), shot.unit)


def normals(shot: Shot) -> np.ndarray:
    """World normals, float32 [H, W, 4]: xyz, then 1; zero where no hit."""
    return widen(shot.bands, shot.buffer("normals"), 1.0)


def motion_vectors(shot: Shot) -> np.ndarray:
    """Previous minus current position [px], float32 [H, W, 4]: +x moved left, +y moved up; zw are 0."""
    return widen(shot.bands, shot.buffer("motion"), 0.0)


def semantic_segmentation(shot: Shot) -> dict[str, Any]:
    """Semantic id or its colour at each pixel; info ``idToLabels``."""
    counted = [key for key, labels in shot.labels.items() if labels]
    table = np.full(max((1, *shot.labels)) + 1, 1, np.uint32)
    table[[0, *counted]] = [0, *counted]
    found = survey(shot.bands, shot.buffer("semantic_ids"), table, beyond=1)
    named = {key: dict(shot.labels[key]) for key in found.present if key > 1 and shot.labels.get(key)}
    names = {key: json.dumps(value, sort_keys=True) for key, value in named.items()}
    meanings: dict[int, Any] = {0: {"class": "BACKGROUND"}, 1: {"class": "UNLABELLED"}, **named}
    present = [key if key in named or key == 0 else 1 for key in found.present]
    return _segmentation(shot, found.shown, present, names, {"idToLabels": meanings})


def instance_segmentation(shot: Shot) -> dict[str, Any]:
    """Labelled thing at each pixel; info ``idToLabels`` (prim paths) and ``idToSemantics``."""
    found, things = shot.thing_survey, shot.things
    present = np.flatnonzero(found.pixels).tolist()
    keys = [key for key in present if key >= FIRST]
    paths = {key: things.items[key - FIRST].prim_path for key in keys}
    semantics = {key: dict(things.items[key - FIRST].labels) for key in keys}
    special = {key: {"class": name} for key, name in _SPECIAL.items()}
    tables: dict[str, dict[int, Any]] = {
        "idToLabels": {**_SPECIAL, **paths},
        "idToSemantics": {**special, **semantics},
    }
    return _segmentation(shot, wp.clone(found.shown), present, paths, tables)


def instance_id_segmentation(shot: Shot) -> dict[str, Any]:
    """Drawn leaf prim at each pixel, labelled or not; info ``idToLabels`` (prim paths)."""
    instances, present = shot.frame.instances, shot.thing_survey.present
    paths = {key: instances[key].prim_path if key in instances else f"/unknown[{key}]" for key in present if key > 0}
    ids = wp.clone(shot.buffer("instance_ids"))
    return _segmentation(shot, ids, present, paths, {"idToLabels": {0: "BACKGROUND", **paths}}, leaves=True)


def _segmentation(
    shot: Shot,
    ids: wp.array,
    present: Iterable[int],
    names: Mapping[int, str],
    tables: Mapping[str, Mapping[int, Any]],
    *,
    leaves: bool = False,
) -> dict[str, Any]:
    """Return ids, in memory of their own, or colours with their tables, whose keys are ids or colours as text."""
    if not shot.options.colorize:
        return {"data": ids.numpy(), "info": {name: dict(table) for name, table in tables.items()}}
    present = set(present)
    colors: dict[int, Rgba] = {0: _BACKGROUND} if leaves else {0: _BACKGROUND, 1: _UNLABELLED}
    for key, name in names.items():
        colors[key] = _free(shot.options.color_of(name), colors)
    info = {
        name: {str(colors[key]): value for key, value in table.items() if key in present}
        for name, table in tables.items()
    }
    return {"data": paint(ids.numpy(), colors), "info": info}


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
    return darken(shot.bands, shot.frame.camera, colored, shot.buffer("normals"))


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
