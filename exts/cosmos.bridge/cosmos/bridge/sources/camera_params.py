"""Replicator's ``camera_params`` as a lens and a pose in metres."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cosmos.bridge.errors import SourceError


def read_camera_params(params: Mapping[str, Any], where: str, size: tuple[int, int]) -> dict[str, Any]:
    """Turn ``camera_params`` (row vectors, world to camera, scene units) into intrinsics and a pose in metres.

    Args:
        params: What the annotator gave.
        where: Where it came from, for the error.
        size: Height and width [px] of the pictures.

    Returns:
        ``intrinsics`` [px], ``cam_to_world`` [m] and ``clipping`` (near, far [m], or ``None``).

    Raises:
        SourceError: If the lens is no pinhole, a value is missing or not finite, or it is for another size.
    """
    model = str(params.get("cameraModel") or "pinhole")
    if model != "pinhole":
        raise SourceError(
            f"{where} tells of a {model} lens, but recorded frames are read with pinholes only; read the stage itself."
        )
    try:
        unit = float(params.get("metersPerSceneUnit", 1.0))
        view = np.array(params["cameraViewTransform"], dtype=np.float64).reshape(4, 4)
        wide, high = (int(value) for value in params.get("renderProductResolution", (size[1], size[0])))
        near, far = (float(value) * unit for value in params.get("cameraNearFar", (0.0, 0.0)))
        pose = np.linalg.inv(view.T)
        intrinsics = _intrinsics(params, wide, high)
    except KeyError as error:
        raise SourceError(f"{where} lacks {error.args[0]}, which BasicWriter writes; write it again.") from error
    except (TypeError, ValueError, np.linalg.LinAlgError) as error:
        raise SourceError(f"{where} is no camera_params of BasicWriter ({error}); write it again.") from error
    if (high, wide) != size:
        raise SourceError(f"{where} is for {high} x {wide} pixels, but the pictures are {size[0]} x {size[1]}.")
    pose[:3, 3] *= unit
    if not (np.isfinite(pose).all() and np.isfinite(intrinsics).all() and intrinsics[0, 0] > 0.0 < intrinsics[1, 1]):
        raise SourceError(f"{where} describes a camera without a finite pose and a positive focal length.")
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


__all__ = ["read_camera_params"]
