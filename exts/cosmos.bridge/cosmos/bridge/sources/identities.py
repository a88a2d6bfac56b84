"""Replicator's ids, which may differ from frame to frame, as small ids that mean the same in every frame."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cosmos.bridge.types import Instance

Labels = Mapping[str, str]

_NOTHING = ("BACKGROUND", "UNLABELLED")
_TUPLE = re.compile(r"^\s*\(?\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)?\s*$")


class Identities:
    """Gives each set of labels, and each prim path, one id for a whole clip."""

    def __init__(self) -> None:
        self._semantics: dict[str, int] = {"BACKGROUND": 0, "UNLABELLED": 1}
        self._things: dict[str, int] = {"BACKGROUND": 0}

    def label_picture(self, values: np.ndarray, named: Mapping[int, Labels]) -> tuple[np.ndarray, dict[int, Labels]]:
        """Rewrite a semantic picture.

        Args:
            values: What the renderer gave, uint32, shape [H, W].
            named: Such a value -> its labels; one that is missing is named after itself.

        Returns:
            Ids, uint32, shape [H, W], and the labels of those that occur; 0 background, 1 unlabelled.
        """
        present, places = compact(values)
        labels: dict[int, Labels] = {}
        table = np.zeros(len(present), np.uint32)
        for value, slot in _in_order(present, named):
            label = named.get(value) or {"class": "BACKGROUND" if value == 0 else f"id {value:#x}"}
            only = label.get("class", "").upper()
            key = only if only in _NOTHING else _key(label)
            table[slot] = self._semantics.setdefault(key, len(self._semantics))
            labels[int(table[slot])] = label
        return table[places], labels

    def thing_picture(
        self, values: np.ndarray, paths: Mapping[int, str], meanings: Mapping[int, Labels]
    ) -> tuple[np.ndarray, dict[int, Instance]]:
        """Rewrite an instance picture.

        Args:
            values: What the renderer gave, uint32, shape [H, W].
            paths: Such a value -> prim path; one that is missing gets a path of its own.
            meanings: Such a value -> labels of that prim, where they are known.

        Returns:
            Ids, uint32, shape [H, W], and the instances that occur; 0 is background.
        """
        present, places = compact(values)
        instances: dict[int, Instance] = {}
        table = np.zeros(len(present), np.uint32)
        for value, slot in _in_order(present, paths):
            path = paths.get(value, "BACKGROUND" if value == 0 else f"/instance/id_{value:08x}")
            nothing = path.upper() in ("BACKGROUND", "INVALID", "UNLABELLED")
            key = table[slot] = self._things.setdefault("BACKGROUND" if nothing else path, len(self._things))
            if key:
                labels = meanings.get(value, {})
                free = {kind: text for kind, text in labels.items() if text.upper() not in _NOTHING}
                semantic = self._semantics.get(_key(labels), 1)
                instances[int(key)] = Instance(id=int(key), prim_path=path, labels=free, semantic_id=semantic)
        return table[places], instances


def label_of(entry: Any) -> dict[str, str]:
    """Return ``{taxonomy: label}``; a bare string is a class."""
    if isinstance(entry, Mapping):
        return {str(key): str(text) for key, text in entry.items()}
    return {"class": str(entry)}


def rgba_of_key(key: Any) -> tuple[int, int, int, int] | None:
    """Return the four bytes of a key such as ``(12, 0, 0, 0)``, text or tuple; ``None`` for any other key."""
    match = _TUPLE.match(str(key))
    if match is None:
        return None
    red, green, blue, alpha = (int(part) for part in match.groups())
    return red, green, blue, alpha


def id_of_key(key: Any) -> int:
    """Return the id that a key of ``idToLabels`` stands for: a number, or its bytes in little-endian order.

    Raises:
        ValueError: If it is neither.
    """
    rgba = rgba_of_key(key)
    if rgba is not None:
        return rgba[0] | rgba[1] << 8 | rgba[2] << 16 | rgba[3] << 24
    return int(key) & 0xFFFFFFFF


def compact(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values that occur, ascending, and for each pixel the index into them.

    Args:
        values: uint32, any shape.
    """
    if values.size and int(values.max()) < 1 << 20:
        present = np.bincount(values.ravel()) > 0
        return np.flatnonzero(present).astype(np.uint32), (np.cumsum(present) - 1)[values]
    present, places = np.unique(values, return_inverse=True)
    return present, places.reshape(values.shape)


def boxed(
    instances: Mapping[int, Instance], paths: Iterable[str], boxes: np.ndarray, unit: float
) -> tuple[dict[int, Instance], dict[int, np.ndarray]]:
    """Give each instance that ``bounding_box_3d`` knows by its path its bounds and its pose [m].

    Args:
        instances: Instance id -> what it is.
        paths: Path of each box.
        boxes: The annotator's structs, shape [K].
        unit: Metres in one unit of theirs.

    Returns:
        The instances with bounds, and poses, local to world, float64, shape [4, 4].
    """
    rows = {str(path): row for path, row in zip(paths, boxes, strict=False)}
    placed, poses = dict(instances), {}
    for key, instance in instances.items():
        row = rows.get(instance.prim_path)
        if row is None:
            continue
        pose = np.array(row["transform"], np.float64).reshape(4, 4).T
        pose[:3, 3] *= unit
        low, high = ([float(row[f"{axis}_{end}"]) * unit for axis in "xyz"] for end in ("min", "max"))
        placed[key], poses[key] = replace(instance, bounds=np.array([low, high])), pose
    return placed, poses


def _key(labels: Labels) -> str:
    return json.dumps(dict(labels), sort_keys=True)


def _in_order(present: np.ndarray, names: Mapping[int, Any]) -> list[tuple[int, int]]:
    """Return (value, slot) in an order that names decide, so that ids do not depend on the renderer's numbers."""
    values = [(int(value), slot) for slot, value in enumerate(present)]
    return sorted(values, key=lambda item: (str(names.get(item[0], "")), item[0]))


__all__ = ["Identities", "Labels", "boxed", "compact", "id_of_key", "label_of", "rgba_of_key"]
