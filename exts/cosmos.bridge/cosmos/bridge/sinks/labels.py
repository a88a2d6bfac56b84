"""What is where, as plain values: labels, tight 2D boxes, 3D boxes, cameras."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Optional

import numpy as np

from cosmos.bridge.sinks.carried import Carried
from cosmos.bridge.sinks.files import plain
from cosmos.bridge.types import Clip


def tight_boxes(ids: np.ndarray) -> dict[int, tuple[int, int, int, int, int]]:
    """Return the tight box of every id of one frame, background (0) left out.

    Args:
        ids: uint32 (int32 accepted, same bits), shape [H, W].

    Returns:
        Id -> ``(x_min, y_min, x_max, y_max, pixels)`` [px]; the box is half-open, so its width is ``x_max - x_min``.
    """
    values, inverse = _compact(np.ascontiguousarray(ids).view(np.uint32))
    height, width = ids.shape
    rows = np.broadcast_to(np.arange(height)[:, None], ids.shape)
    columns = np.broadcast_to(np.arange(width)[None, :], ids.shape)
    y_min, y_max, x_min, x_max = (np.zeros(len(values), dtype=np.int64) for _ in range(4))
    # Of several writes to one slot the last one stays, so the scan order makes the minimum or the maximum.
    y_max[inverse.ravel()] = rows.ravel()
    y_min[inverse.ravel()[::-1]] = rows.ravel()[::-1]
    x_max[inverse.T.ravel()] = columns.T.ravel()
    x_min[inverse.T.ravel()[::-1]] = columns.T.ravel()[::-1]
    pixels = np.bincount(inverse.ravel(), minlength=len(values))
    return {
        int(value): (int(x_min[i]), int(y_min[i]), int(x_max[i]) + 1, int(y_max[i]) + 1, int(pixels[i]))
        for i, value in enumerate(values)
        if value != 0
    }


def _compact(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted ids that occur, and for each pixel the index into them."""
    top = int(ids.max()) if ids.size else 0
    if top > 0xFFFF:
        values, inverse = np.unique(ids, return_inverse=True)
        return values, inverse.reshape(ids.shape)
    present = np.zeros(top + 1, dtype=bool)
    present[ids] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[ids]


def describe_labels(clip: Clip, encodings: dict[str, str], carried: Carried) -> dict[str, Any]:
    """Return what each id means.

    Args:
        clip: The simulated clip.
        encodings: Folder of id pictures -> how they store an id.
        carried: What became of each label on the result.
    """
    return {
        "encodings": encodings,
        "semantics": {str(key): plain(labels) for key, labels in sorted(clip.labels.items())},
        "instances": {
            str(key): {
                "prim_path": instance.prim_path,
                "semantic_id": instance.semantic_id,
                "labels": plain(instance.labels),
                "bounds_m": plain(instance.bounds),
                "carried": carried.over_time("class", key),
            }
            for key, instance in sorted(clip.instances.items())
        },
    }


def describe_boxes(clip: Clip, ids: Optional[np.ndarray], carried: Carried) -> dict[str, Any]:
    """Return 2D and 3D boxes of each frame.

    2D boxes come from the pixels that are visible; how much of a thing is hidden is not said. 3D boxes are the
    instance's own bounds under its pose; an instance without bounds or without a pose has none.

    Args:
        clip: The simulated clip.
        ids: Instance ids, shape [T, H, W]; ``None`` leaves the 2D boxes out.
        carried: What became of each label on the result.
    """
    frames: list[dict[str, Any]] = []
    for t in range(clip.num_frames):
        frame: dict[str, Any] = {"time_code": float(clip.time_codes[t])}
        if ids is not None:
            frame["boxes_2d"] = [
                {"instance": key, "box": list(box[:4]), "pixels": box[4], "carried": carried.of("box_2d", t, key)}
                for key, box in tight_boxes(ids[t]).items()
            ]
        frames.append(frame)
    return {
        "convention_2d": "tight box of the visible pixels, [x_min, y_min, x_max, y_max) in pixels, origin top left",
        "convention_3d": "axis-aligned bounds in the instance's own space (labels.json, bounds_m), carried by "
        "local_to_world: row-major 4x4 for column vectors, metres, world axes of the stage; one matrix if the "
        "instance stands still, else one a frame, null where it is not there",
        "up_axis": clip.up_axis,
        "frames": frames,
        "boxes_3d": [
            {**_solid_box(key, clip.poses[key]), "carried": carried.over_time("box_3d", key)} for key in _solid(clip)
        ],
    }


def _solid(clip: Clip) -> list[int]:
    """Return the instances that have bounds and, at some time, a pose."""
    return [
        key
        for key, instance in sorted(clip.instances.items())
        if instance.bounds is not None and key in clip.poses and np.isfinite(clip.poses[key]).all(axis=(1, 2)).any()
    ]


def _solid_box(key: int, poses: np.ndarray) -> dict[str, Any]:
    moves = not (poses == poses[:1]).all()  # NaN differs from itself: not always there counts as moving
    if not moves:
        return {"instance": key, "moves": False, "local_to_world": plain(poses[0])}
    there = np.isfinite(poses).all(axis=(1, 2))
    matrices = [plain(pose) if seen else None for pose, seen in zip(poses, there, strict=True)]
    return {"instance": key, "moves": True, "local_to_world": matrices}


def describe_cameras(clip: Clip, carried: Carried) -> dict[str, Any]:
    """Return lens and pose of each frame."""
    return {
        "convention": "cam_to_world: row-major 4x4 for column vectors, metres; the camera looks along -Z with +Y up; "
        "u = fx x / -z + cx, v = cy - fy y / -z, pixel centres at +0.5, origin top left; where lens is not pinhole, "
        "its plane stands for x / -z, y / -z",
        "up_axis": clip.up_axis,
        "prim_path": clip.cameras[0].prim_path,
        "height": clip.height,
        "width": clip.width,
        "fps": clip.fps,
        "frames": [
            {
                "time_code": float(clip.time_codes[t]),
                "intrinsics": plain(camera.intrinsics),
                "cam_to_world": plain(camera.cam_to_world),
                "near_m": camera.near,
                "far_m": camera.far,
                "carried": carried.of("camera", t),
                "lens": {"name": camera.lens.name, **asdict(camera.lens)},
            }
            for t, camera in enumerate(clip.cameras)
        ],
    }


__all__ = ["describe_boxes", "describe_cameras", "describe_labels", "tight_boxes"]
