"""Cameras: UsdGeomCamera to intrinsics and pose."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from cosmos.bridge.errors import SourceError
from cosmos.bridge.types import Camera

if TYPE_CHECKING:
    from pxr import Usd


def read_camera(prim: Usd.Prim, time: Usd.TimeCode, scale: float, size: tuple[int, int]) -> Camera:
    """Read a camera as Kit draws it: the horizontal aperture spans the width, pixels are square.

    Args:
        prim: A UsdGeomCamera.
        time: When.
        scale: Metres per stage unit.
        size: (height, width) [px].

    Raises:
        SourceError: If it is orthographic, lacks aperture, focal length or depth range, or cannot be inverted.
    """
    from pxr import Gf, UsdGeom

    camera, path = UsdGeom.Camera(prim), prim.GetPath()
    if camera.GetProjectionAttr().Get(time) == UsdGeom.Tokens.orthographic:
        raise SourceError(f"Camera {path} is orthographic, which is not drawn; choose or author a perspective camera.")
    focal = float(camera.GetFocalLengthAttr().Get(time))
    aperture = float(camera.GetHorizontalApertureAttr().Get(time))
    if not (focal > 0.0 and aperture > 0.0 and math.isfinite(focal) and math.isfinite(aperture)):
        raise SourceError(
            f"Camera {path} has focal length {focal:g} and horizontal aperture {aperture:g}; both must be positive."
        )
    height, width = size
    pixels = width / aperture
    shift_x = float(camera.GetHorizontalApertureOffsetAttr().Get(time))
    shift_y = float(camera.GetVerticalApertureOffsetAttr().Get(time))
    world = UsdGeom.XformCache(time).GetLocalToWorldTransform(prim)
    if not np.isfinite(np.array(world)).all() or abs(np.linalg.det(np.array(world)[:3, :3])) < 1e-12:
        raise SourceError(
            f"Camera {path} has a transform without inverse at time {time}; author one without zero scale."
        )
    frustum = Gf.Frustum()
    frustum.SetPositionAndRotationFromMatrix(world)  # drops scale and mirroring, as USD's own cameras do
    cam_to_world = np.array(frustum.ComputeViewInverse()).T
    cam_to_world[:3, 3] *= scale
    near, far = _clipping(camera, time, scale)
    return Camera(
        prim_path=str(path),
        height=height,
        width=width,
        intrinsics=intrinsics_matrix(focal * pixels, width / 2.0 - shift_x * pixels, height / 2.0 + shift_y * pixels),
        cam_to_world=cam_to_world,
        near=near,
        far=far,
    )


def intrinsics_matrix(focal: float, center_x: float, center_y: float) -> np.ndarray:
    """Return the matrix of a lens with square pixels, all in pixels, float64 [3, 3]."""
    return np.array([[focal, 0.0, center_x], [0.0, focal, center_y], [0.0, 0.0, 1.0]])


def _clipping(camera: object, time: Usd.TimeCode, scale: float) -> tuple[float, float]:
    """Return near and far [m]; the schema's own (1, 1000000) is of centimetres and does not count as said."""
    attribute = camera.GetClippingRangeAttr()  # type: ignore[attr-defined]
    if not attribute.HasAuthoredValue():
        return 0.01, 1.0e6
    near, far = (float(value) * scale for value in attribute.Get(time))
    near = max(near, 1e-4)  # 0 says that nothing is cut off in front
    if not near < far:
        raise SourceError(
            f"Camera {attribute.GetPrimPath()} clips at {tuple(attribute.Get(time))}; far must exceed near."
        )
    return near, far


__all__ = ["intrinsics_matrix", "read_camera"]
