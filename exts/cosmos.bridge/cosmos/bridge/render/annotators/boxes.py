"""Annotators with one row a labelled thing: 2D and 3D boxes, and how much of it is hidden."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from cosmos.bridge.render.annotators.options import Shot
from cosmos.bridge.render.annotators.things import FIRST, Thing

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
    found = local_boxes(shot, [shot.things.items[row] for row in rows])
    seen = [index for index, (_, low, _) in enumerate(found) if np.isfinite(low).all()]
    data = np.zeros(len(seen), BOX_3D_DTYPE)
    if seen:
        own, low, high = (np.stack([found[index][part] for index in seen]) for part in range(3))
        for axis, name in enumerate("xyz"):
            data[f"{name}_min"], data[f"{name}_max"] = low[:, axis] / shot.unit, high[:, axis] / shot.unit
        matrices = np.swapaxes(own, 1, 2).copy()
        matrices[:, 3, :3] /= shot.unit
        data["transform"] = matrices
    return _table(shot, data, rows[seen])


def local_boxes(shot: Shot, things: Sequence[Thing]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return the pose (own space to world [m], column vectors), least and greatest corner [m] of each thing.

    Corners hold the corners of the parts' own boxes, as USD's bounds do; NaN where no part is visible.
    """
    if not things:
        return []
    details, known = shot.details("bounding_box_3d"), shot.frame.poses
    own = details.prim_poses([thing.prim_path for thing in things])
    for row, thing in enumerate(things):
        if not _has_inverse(own[row]):  # a point of an instancer is no prim, and a flat thing has no way back
            leaf = np.asarray(known[thing.members[0]])
            own[row] = leaf if _has_inverse(leaf) else np.eye(4)
    counts = [len(thing.members) for thing in things]
    members = [key for thing in things for key in thing.members]
    ends, axes = details.local_bounds(members), np.arange(3)
    picks = np.array(list(product((0, 1), repeat=3)))
    corners = np.ones((len(members), 8, 4))
    corners[..., :3] = ends[:, picks, axes]
    into = np.repeat(np.linalg.inv(own), counts, axis=0) @ np.stack([np.asarray(known[key]) for key in members])
    local = np.einsum("mij,mkj->mki", into, corners)[..., :3]
    there = np.isfinite(local).all(axis=(1, 2))[:, None]
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    low = np.minimum.reduceat(np.where(there, local.min(axis=1), np.inf), starts)
    high = np.maximum.reduceat(np.where(there, local.max(axis=1), -np.inf), starts)
    seen = np.isfinite(low)
    return list(zip(own, np.where(seen, low, np.nan), np.where(seen, high, np.nan), strict=True))


def _has_inverse(matrix: np.ndarray) -> bool:
    return bool(np.isfinite(matrix).all() and abs(np.linalg.det(matrix[:3, :3])) > 1e-30)


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
    "local_boxes",
    "loose",
    "occlusion",
    "solid",
    "solid_around",
    "tight",
]
