"""A view of a stage without camera: three-quarter, as near as its corners allow, inside where there are walls."""

from __future__ import annotations

import math
from typing import Optional

import numpy as np

from cosmos.bridge.render.scene import Pose, Scene
from cosmos.bridge.render.usd.cameras import intrinsics_matrix
from cosmos.bridge.types import Camera

AUTO_CAMERA = "/cosmos_bridge/auto_camera"
"""prim_path of the camera that ``frame_camera`` makes."""
_FOCAL, _WIDE_FOCAL, _APERTURE = 24.0, 15.0, 20.955
_AZIMUTH, _ELEVATION = 38.0, 24.0
_MOST_WALL_TRIANGLES = 400_000
"""Walls with more triangles than this are not looked for."""


def frame_camera(scene: Scene, pose: Pose, size: tuple[int, int]) -> Camera:
    """Make a camera that sees what is visible from a three-quarter angle, somewhat from above.

    Wide flat instances (a floor, a terrain) do not count towards what must be in view, unless there is nothing else.

    Args:
        scene: What to look at.
        pose: Where it is.
        size: (height, width) [px].
    """
    rows = np.flatnonzero(pose.visible)
    rows = rows if len(rows) else np.arange(len(scene.drawn))
    boxes = _world_boxes(scene, pose, rows)
    up = 1 if scene.up_axis == "Y" else 2
    corners = boxes[_worth_framing(boxes, up)]
    center = (corners.min((0, 1)) + corners.max((0, 1))) / 2.0
    axes = _three_quarter(scene.up_axis == "Y")
    height, width = size
    focal = min(width, height * 1.6) * _FOCAL / _APERTURE
    offset, distance = _fit((corners.reshape(-1, 3) - center) @ axes, np.array([width, height]) * 0.46 / focal)
    distance = max(distance, 1e-5)
    position = center + axes[:, :2] @ offset + axes[:, 2] * distance
    inside = _inside_the_walls(scene, pose, rows, boxes, position)
    if inside is not None:
        position, focal = inside, min(width, height * 1.6) * _WIDE_FOCAL / _APERTURE
    cam_to_world = np.eye(4)
    cam_to_world[:3, :3] = axes
    cam_to_world[:3, 3] = position
    return Camera(
        prim_path=AUTO_CAMERA,
        height=height,
        width=width,
        intrinsics=intrinsics_matrix(focal, width / 2.0, height / 2.0),
        cam_to_world=cam_to_world,
        near=min(0.01, distance * 1e-3),
        far=max(1.0e6, distance * 1e3),
    )


def _three_quarter(y_up: bool) -> np.ndarray:
    """Return the camera's axes in the world as columns: right, up, back."""
    azimuth, elevation = math.radians(_AZIMUTH), math.radians(_ELEVATION)
    across, along = math.cos(elevation) * math.sin(azimuth), math.cos(elevation) * math.cos(azimuth)
    if y_up:
        back, world_up = np.array([across, math.sin(elevation), along]), np.array([0.0, 1.0, 0.0])
    else:
        back, world_up = np.array([across, -along, math.sin(elevation)]), np.array([0.0, 0.0, 1.0])
    right = np.cross(world_up, back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back], axis=1)


def _fit(points: np.ndarray, tangents: np.ndarray) -> tuple[np.ndarray, float]:
    """Return where a camera that looks along -Z must stand, [x, y] and z, to see all points as large as can be.

    A point is in view where ``|x - camera_x| <= tangent_x * (camera_z - z)``, and so for y: each axis bounds camera_z
    from below, and is centred between its two outermost points.
    """
    high = (points[:, :2] + tangents * points[:, 2:]).max(0)
    low = (points[:, :2] - tangents * points[:, 2:]).min(0)
    return (high + low) / 2.0, float(((high - low) / (2.0 * tangents)).max())


def _world_boxes(scene: Scene, pose: Pose, rows: np.ndarray) -> np.ndarray:
    """Return the corners of the box of each instance in ``rows`` in the world, shape [K, 8, 3]."""
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


def _inside_the_walls(
    scene: Scene, pose: Pose, rows: np.ndarray, boxes: np.ndarray, position: np.ndarray
) -> Optional[np.ndarray]:
    """Return a place before the wall that stands between the camera and most of the things; ``None`` if none does.

    Walls are instances that span most of the scene along two axes or more; things are all others.
    """
    extent = boxes.max(1) - boxes.min(1)
    whole = boxes.max((0, 1)) - boxes.min((0, 1))
    wall = (extent > 0.6 * np.maximum(whole, 1e-9)).sum(-1) >= 2
    things = (boxes[~wall].min(1) + boxes[~wall].max(1)) / 2.0
    triangles = _world_triangles(scene, pose, rows[wall])
    if not len(things) or not len(triangles):
        return None
    hits = np.array([_first_hit(thing, position, triangles) for thing in things[:: max(1, len(things) // 32)]])
    if (hits < 1.0).mean() <= 0.5:
        return None
    center = (things.min(0) + things.max(0)) / 2.0
    return np.asarray(center + (position - center) * (0.9 * min(_first_hit(center, position, triangles), 1.0)))


def _world_triangles(scene: Scene, pose: Pose, rows: np.ndarray) -> np.ndarray:
    """Return the triangles of some instances in the world, shape [F, 3, 3]; none where there are too many."""
    meshes = [scene.meshes[index] for index in scene.mesh_of[rows]]
    if not meshes or sum(len(mesh.triangles) for mesh in meshes) > _MOST_WALL_TRIANGLES:
        return np.zeros((0, 3, 3))
    placed = [
        (mesh.points[mesh.triangles].astype(np.float64) @ matrix[:3, :3].T) + matrix[:3, 3]
        for mesh, matrix in zip(meshes, pose.local_to_world[rows], strict=True)
    ]
    return np.concatenate(placed)


def _first_hit(start: np.ndarray, end: np.ndarray, triangles: np.ndarray) -> float:
    """Return where a segment first meets a triangle, in (0, 1]; inf where it does not.

    Moeller and Trumbore, Fast Minimum Storage Ray/Triangle Intersection, 1997.
    """
    ray, origin = end - start, start - triangles[:, 0]
    edge1, edge2 = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    across = np.cross(ray, edge2)
    scale = (edge1 * across).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (origin * across).sum(-1) / scale
        turned = np.cross(origin, edge1)
        v = (turned @ ray) / scale
        t = (edge2 * turned).sum(-1) / scale
        met = (u >= 0.0) & (v >= 0.0) & (u + v <= 1.0) & (t > 1e-9) & (t <= 1.0)
    return float(t[met].min()) if met.any() else math.inf


__all__ = ["AUTO_CAMERA", "frame_camera"]
