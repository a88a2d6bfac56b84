"""Implicit shapes as triangles: cube, sphere, cylinder, cone, capsule and plane, each with smooth normals and uvs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.usd.geometry import Surface
from cosmos.bridge.render.usd.normals import unit

if TYPE_CHECKING:
    from pxr import Usd

_AROUND = 48
"""Segments of a full turn."""
_RINGS = 24
"""Segments from pole to pole of a sphere."""

# Rotation of the shape's own axes to those of the stage. Widths of a Plane lie along Z, X, X, as its schema has it.
_AXES = {
    "X": np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [1.0, 0.0, 0.0]]),
    "Y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "Z": np.eye(3),
}

IMPLICIT = ("Cube", "Sphere", "Cylinder", "Cylinder_1", "Cone", "Capsule", "Capsule_1", "Plane")
"""Type names that ``read_gprim`` knows."""
SIZES = ("size", "radius", "height", "width", "length", "radiusTop", "radiusBottom", "axis")
"""Attributes that ``gprim_key`` reads."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImplicitPoints:
    """Points of an implicit shape whose sizes change with time."""

    prim: Usd.Prim
    scale: float
    """Metres per stage unit."""

    def read(self, time: Usd.TimeCode) -> np.ndarray:
        """Return the points in the shape's own space [m], float32 [V, 3]; empty where a size is not finite."""
        surface = read_gprim(gprim_key(self.prim, time, self.scale))
        return np.zeros((0, 3), np.float32) if surface is None else surface.points


def read_gprim(key: tuple[str, str, tuple[float, ...]]) -> Optional[Surface]:
    """Tessellate an implicit shape.

    Args:
        key: Kind, axis and sizes [m], of ``gprim_key``.

    Returns:
        The surface; ``None`` where a size is below zero or not finite.
    """
    kind, axis, sizes = key
    if not np.isfinite(sizes).all() or min(sizes) < 0.0:
        return None
    return _turned(_SHAPES[kind](*sizes), axis)


def gprim_key(prim: Usd.Prim, time: Usd.TimeCode, scale: float) -> tuple[str, str, tuple[float, ...]]:
    """Return (kind, axis, sizes [m]) of an implicit shape."""

    def size(name: str) -> float:
        return float(prim.GetAttribute(name).Get(time)) * scale

    kind = str(prim.GetTypeName())
    axis = str(prim.GetAttribute("axis").Get(time)) if prim.HasAttribute("axis") else "Z"
    if kind == "Cube":
        return "Cube", "Z", (size("size"),)
    if kind == "Sphere":
        return "Sphere", "Z", (size("radius"),)
    if kind == "Plane":
        return "Plane", axis, (size("width"), size("length"))
    if kind == "Cone":
        return "Tube", axis, (size("height"), size("radius"), 0.0)
    radii = ("radiusBottom", "radiusTop") if kind.endswith("_1") else ("radius", "radius")
    shape = "Capsule" if kind.startswith("Capsule") else "Tube"
    return shape, axis, (size("height"), size(radii[0]), size(radii[1]))


def _turned(surface: Surface, axis: str) -> Surface:
    """Bring a surface made along Z to another axis."""
    turn = _AXES.get(axis, _AXES["Z"]).T
    return Surface(
        points=np.ascontiguousarray(surface.points @ turn, dtype=np.float32),
        triangles=surface.triangles,
        corners=surface.corners,
        faces=surface.faces,
        normals=np.ascontiguousarray(surface.normals @ turn, dtype=np.float32),
        uvs=surface.uvs,
    )


def _surface(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> Surface:
    """Join parts of (points [n, 3], normals [n, 3], uvs [n, 2], triangles [f, 3]), less triangles without area."""
    offset, points, normals, uvs, triangles = 0, [], [], [], []
    for part_points, part_normals, part_uvs, part_triangles in parts:
        points.append(part_points)
        normals.append(part_normals)
        uvs.append(part_uvs)
        triangles.append(part_triangles + offset)
        offset += len(part_points)
    all_points = np.concatenate(points).astype(np.float32)
    index = np.concatenate(triangles).astype(np.int32)
    a, b, c = (all_points[index[:, k]].astype(np.float64) for k in range(3))
    twice_area = np.linalg.norm(np.cross(b - a, c - a), axis=-1)
    index = index[twice_area > 1e-9 * max(float(twice_area.max(initial=0.0)), 1e-300)]
    return Surface(
        points=all_points,
        triangles=index,
        corners=np.zeros(index.shape, np.int64),
        faces=np.zeros(len(index), np.int64),
        normals=np.concatenate(normals)[index].astype(np.float32),
        uvs={"st": np.concatenate(uvs)[index].astype(np.float32)},
    )


def _grid(rows: int, columns: int) -> np.ndarray:
    """Return the triangles of a grid of points, row by row; counter-clockwise where columns x rows points outwards."""
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None, :]).reshape(-1)
    lower = np.stack([first, first + 1, first + columns + 1], axis=1)
    upper = np.stack([first, first + columns + 1, first + columns], axis=1)
    return np.concatenate([lower, upper])


def _cube(size: float) -> Surface:
    half = size / 2.0
    parts = []
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]])
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = np.zeros(3)
            normal[axis] = sign
            # Sides keep world up (Z) as the image's up; top and bottom take Y.
            up = np.array([0.0, 1.0, 0.0]) if axis == 2 else np.array([0.0, 0.0, 1.0])
            points = square[:, :1] * np.cross(up, normal) + square[:, 1:] * up + normal
            parts.append((points * half, np.tile(normal, (4, 1)), (square + 1.0) / 2.0, _grid(2, 2)))
    return _surface(parts)


def _plane(width: float, length: float) -> Surface:
    square = np.array([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]])
    points = np.concatenate([square * (width, length), np.zeros((4, 1))], axis=1)
    return _surface([(points, np.tile([0.0, 0.0, 1.0], (4, 1)), square + 0.5, _grid(2, 2))])


def _revolve(radius: np.ndarray, height: np.ndarray, slope: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, ...]:
    """Turn a profile (from bottom to top) around Z; ``slope`` is its outward normal (radial, axial), shape [R, 2]."""
    angle = np.linspace(0.0, 2.0 * np.pi, _AROUND + 1)
    angle[-1] = 0.0
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points = np.concatenate(
        [radius[:, None, None] * around[None], np.broadcast_to(height[:, None, None], (len(radius), _AROUND + 1, 1))],
        -1,
    )
    normals = np.concatenate(
        [slope[:, None, :1] * around[None], np.broadcast_to(slope[:, None, 1:], (len(radius), _AROUND + 1, 1))], axis=-1
    )
    u = np.broadcast_to(np.linspace(0.0, 1.0, _AROUND + 1)[None, :], points.shape[:2])
    uvs = np.stack([u, np.broadcast_to(v[:, None], u.shape)], axis=-1)
    return points.reshape(-1, 3), unit(normals.reshape(-1, 3)), uvs.reshape(-1, 2), _grid(len(radius), _AROUND + 1)


def _cap(radius: float, height: float, sign: float) -> tuple[np.ndarray, ...]:
    """A disk that faces along ``sign`` * Z."""
    angle = np.linspace(0.0, 2.0 * np.pi, _AROUND, endpoint=False)
    around = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    flat = np.concatenate([np.zeros((1, 2)), around])
    points = np.concatenate([flat * radius, np.full((len(flat), 1), height)], axis=1)
    rim = 1 + np.arange(_AROUND)
    triangles = np.stack([np.zeros(_AROUND, int), rim, 1 + np.arange(1, _AROUND + 1) % _AROUND], axis=1)
    if sign < 0.0:
        triangles = triangles[:, ::-1]
    return points, np.tile([0.0, 0.0, sign], (len(flat), 1)), flat * (0.5 * sign, 0.5) + 0.5, triangles


def _sphere(radius: float) -> Surface:
    polar = np.linspace(-0.5 * np.pi, 0.5 * np.pi, _RINGS + 1)
    slope = np.stack([np.cos(polar), np.sin(polar)], axis=1)
    slope[[0, -1], 0] = 0.0
    return _surface([_revolve(radius * slope[:, 0], radius * slope[:, 1], slope, np.linspace(0.0, 1.0, _RINGS + 1))])  # type: ignore[list-item]


def _tube(height: float, bottom: float, top: float) -> Surface:
    """A cylinder or cone: side wall and the caps that have a radius."""
    rows = 2 if bottom == top else 9
    fraction = np.linspace(0.0, 1.0, rows)
    slope = np.tile(unit(np.array([[height, bottom - top]])), (rows, 1))
    parts = [_revolve(bottom + (top - bottom) * fraction, height * (fraction - 0.5), slope, fraction)]
    parts += [_cap(bottom, -height / 2.0, -1.0)] if bottom > 0.0 else []
    parts += [_cap(top, height / 2.0, 1.0)] if top > 0.0 else []
    return _surface(parts)  # type: ignore[arg-type]


def _capsule(height: float, bottom: float, top: float) -> Surface:
    """Two half spheres and the wall between their rims."""
    lower = np.linspace(-0.5 * np.pi, 0.0, _RINGS // 2 + 1)
    upper = np.linspace(0.0, 0.5 * np.pi, _RINGS // 2 + 1)
    polar = np.concatenate([lower, upper])
    slope = np.stack([np.cos(polar), np.sin(polar)], axis=1)
    slope[[0, -1], 0] = 0.0
    radius = np.where(np.arange(len(polar)) < len(lower), bottom, top)
    middle = np.where(np.arange(len(polar)) < len(lower), -height / 2.0, height / 2.0)
    along = middle + radius * slope[:, 1]
    span = max(float(along[-1] - along[0]), 1e-12)
    return _surface([_revolve(radius * slope[:, 0], along, slope, (along - along[0]) / span)])  # type: ignore[list-item]


_SHAPES: dict[str, Any] = {"Cube": _cube, "Sphere": _sphere, "Plane": _plane, "Tube": _tube, "Capsule": _capsule}

__all__ = ["IMPLICIT", "SIZES", "ImplicitPoints", "gprim_key", "read_gprim"]
