"""Annotators with one row a labelled thing: 2D and 3D boxes, and how much of it is hidden."""

from __future__ import annotations

from typing import Any

import numpy as np

from cosmos.bridge.render.annotators.options import Shot
from cosmos.bridge.render.annotators.things import FIRST

BOX_2D_DTYPE = np.dtype(
    [
        ("semanticId", "<u4"),
        ("x_min", "<i4"),
        ("y_min", "<i4"),
        ("x_max", "<i4"),
        ("y_max", "<i4"),
        ("occlusionRatio", "<f4"),
    ]
)
"""Row of ``bounding_box_2d_tight`` and ``_loose``; x_max and y_max are inclusive."""
BOX_3D_DTYPE = np.dtype(
    [
        ("semanticId", "<u4"),
        *((f"{axis}_{end}", "<f4") for end in ("min", "max") for axis in "xyz"),
        ("transform", "<f4", (4, 4)),
        ("occlusionRatio", "<f4"),
    ]
)
"""Row of ``bounding_box_3d``; ``transform`` takes row vectors from the prim's own space to the world."""
OCCLUSION_DTYPE = np.dtype([("instanceId", "<u4"), ("semanticId", "<u4"), ("occlusionRatio", "<f4")])
"""Row of ``occlusion``; instanceId is that of ``instance_segmentation``."""


def tight(shot: Shot) -> dict[str, Any]:
    """Boxes of the pixels that are seen; what is hidden altogether has no row."""
    return _flat(shot, shot.visible)


def loose(shot: Shot) -> dict[str, Any]:
    """Boxes of the pixels that would be seen if nothing stood before; what is out of view has no row."""
    return _flat(shot, _whole(shot))


def _whole(shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    """Return unoccluded pixels and boxes that hold the visible ones too."""
    (alone, around), (seen, inside) = shot.unoccluded, shot.visible
    boxes = np.where(alone[:, None] > 0, around, inside)
    both = (alone > 0) & (seen > 0)
    boxes[both, :2] = np.minimum(around[both, :2], inside[both, :2])
    boxes[both, 2:] = np.maximum(around[both, 2:], inside[both, 2:])
    return np.maximum(alone, seen), boxes


def _flat(shot: Shot, found: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    pixels, boxes = found
    rows = np.nonzero(pixels > 0)[0]
    data = np.zeros(len(rows), BOX_2D_DTYPE)
    for column, name in enumerate(("x_min", "y_min", "x_max", "y_max")):
        data[name] = boxes[rows, column]
    return _table(shot, data, rows)


def _table(shot: Shot, data: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    """Fill in what all boxes share, and describe the rows."""
    things = [shot.things.items[row] for row in rows]
    data["semanticId"] = [thing.semantic_id for thing in things]
    data["occlusionRatio"] = shot.occlusion[rows]
    info = {
        "bboxIds": rows.astype(np.uint32),
        "idToLabels": {thing.semantic_id: dict(thing.labels) for thing in things},
        "primPaths": [thing.prim_path for thing in things],
    }
    return {"data": data, "info": info}


def solid(shot: Shot) -> dict[str, Any]:
    """Boxes along the axes of each prim in view, hidden or not."""
    return _solid(shot, np.nonzero(_whole(shot)[0] > 0)[0])


def solid_around(shot: Shot) -> dict[str, Any]:
    """Boxes along the axes of each visible prim of the stage, in view or not; occlusionRatio is NaN out of view."""
    return _solid(shot, np.arange(len(shot.things)))


def _solid(shot: Shot, rows: np.ndarray) -> dict[str, Any]:
    own, low, high = shot.solids(rows)
    seen = np.isfinite(low).all(axis=1)
    data = np.zeros(int(seen.sum()), BOX_3D_DTYPE)
    for axis, name in enumerate("xyz"):
        data[f"{name}_min"], data[f"{name}_max"] = low[seen, axis] / shot.unit, high[seen, axis] / shot.unit
    matrices = np.swapaxes(own[seen], 1, 2).copy()
    matrices[:, 3, :3] /= shot.unit
    data["transform"] = matrices
    return _table(shot, data, rows[seen])


def occlusion(shot: Shot) -> np.ndarray:
    """Hidden share of each thing in view, of dtype OCCLUSION_DTYPE."""
    rows = np.nonzero(_whole(shot)[0] > 0)[0]
    data = np.zeros(len(rows), OCCLUSION_DTYPE)
    data["instanceId"] = rows + FIRST
    data["semanticId"] = [shot.things.items[row].semantic_id for row in rows]
    data["occlusionRatio"] = shot.occlusion[rows]
    return data


__all__ = [
    "BOX_2D_DTYPE",
    "BOX_3D_DTYPE",
    "OCCLUSION_DTYPE",
    "loose",
    "occlusion",
    "solid",
    "solid_around",
    "tight",
]
