"""Cameras: UsdGeomCamera to intrinsics and pose, and a view of a stage that has none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.scene import Pose, Scene
from cosmos.bridge.types import Camera

if TYPE_CHECKING:
    from pxr import Usd

AUTO_CAMERA = "/cosmos_bridge/auto_camera"
"""prim_path of the camera that ``frame_camera`` makes."""
_FOCAL, _APERTURE = 24.0, 20.955
_AZIMUTH, _ELEVATION = 38.0, 24.0


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
        intrinsics=_intrinsics(focal * pixels, width / 2.0 - shift_x * pixels, height / 2.0 + shift_y * pixels),
        cam_to_world=cam_to_world,
        near=near,
        far=far,
    )


def _intrinsics(focal: float, center_x: float, center_y: float) -> np.ndarray:
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


def frame_camera(scene: Scene, pose: Pose, size: tuple[int, int]) -> Camera:
    """Make a camera that sees what is visible from a three-quarter angle, somewhat from above.

    Wide flat instances (a floor, a terrain) do not count towards what must be in view, unless there is nothing else.

    Args:
        scene: What to look at.
        pose: Where it is.
        size: (height, width) [px].
    """
    corners = _world_boxes(scene, pose)
    up = 1 if scene.up_axis == "Y" else 2
    corners = corners[_worth_framing(corners, up)]
    low, high = corners.min((0, 1)), corners.max((0, 1))
    center = (low + high) / 2.0
    azimuth, elevation = math.radians(_AZIMUTH), math.radians(_ELEVATION)
    back = np.array(
        [math.cos(elevation) * math.sin(azimuth), -math.cos(elevation) * math.cos(azimuth), math.sin(elevation)]
    )
    world_up = np.array([0.0, 0.0, 1.0])
    if scene.up_axis == "Y":
        back, world_up = np.array([back[0], back[2], -back[1]]), np.array([0.0, 1.0, 0.0])
    right = np.cross(world_up, back)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(back, right), back], axis=1)
    height, width = size
    focal = width * _FOCAL / _APERTURE
    focal = min(focal, focal * height / width * 1.6)
    offset, distance = _fit((corners.reshape(-1, 3) - center) @ axes, np.array([width, height]) * 0.46 / focal)
    distance = max(distance, 0.05)
    cam_to_world = np.eye(4)
    cam_to_world[:3, :3] = axes
    cam_to_world[:3, 3] = center + axes[:, :2] @ offset + back * distance
    return Camera(
        prim_path=AUTO_CAMERA,
        height=height,
        width=width,
        intrinsics=_intrinsics(focal, width / 2.0, height / 2.0),
        cam_to_world=cam_to_world,
        near=min(0.01, distance * 1e-3),
        far=max(1.0e6, distance * 1e3),
    )


def _fit(points: np.ndarray, tangents: np.ndarray) -> tuple[np.ndarray, float]:
    """Return where a camera that looks along -Z must stand, [x, y] and z, to see all points as large as can be.

    A point is in view where ``|x - camera_x| <= tangent_x * (camera_z - z)``, and so for y: each axis bounds camera_z
    from below, and is centred between its two outermost points.
    """
    high = (points[:, :2] + tangents * points[:, 2:]).max(0)
    low = (points[:, :2] - tangents * points[:, 2:]).min(0)
    return (high + low) / 2.0, float(((high - low) / (2.0 * tangents)).max())


def _world_boxes(scene: Scene, pose: Pose) -> np.ndarray:
    """Return the corners of each visible instance's box in the world, shape [K, 8, 3]."""
    rows = np.flatnonzero(pose.visible)
    if not len(rows):
        rows = np.arange(len(scene.drawn))
    bounds = np.array([scene.drawn[row].bounds for row in rows], np.float64)
    pick = np.array([[(k >> axis) & 1 for axis in range(3)] for k in range(8)])
    corners = np.stack([bounds[:, pick[:, axis], axis] for axis in range(3)], axis=-1)
    matrices = pose.local_to_world[rows]
    return np.einsum("kij,knj->kni", matrices[:, :3, :3], corners) + matrices[:, None, :3, 3]


def _worth_framing(corners: np.ndarray, up: int) -> np.ndarray:
    """Return bool [K]: all but flat things that are far wider than the rest."""
    extent = corners.max(1) - corners.min(1)
    wide = np.delete(extent, up, axis=1).max(1)
    flat = extent[:, up] < 0.03 * wide
    kept = ~flat
    if not kept.any():
        return np.ones(len(corners), bool)
    rest = corners[kept]
    reach = float(np.delete(rest.max((0, 1)) - rest.min((0, 1)), up).max())
    return kept | (wide <= 1.5 * max(reach, 1e-9))


__all__ = ["AUTO_CAMERA", "frame_camera", "read_camera"]
