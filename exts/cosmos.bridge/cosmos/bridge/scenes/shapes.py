"""Polygon shapes with texture coordinates: the clay that every authored scene is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Vector = Sequence[float] | np.ndarray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shape:
    """A polygon mesh, Z up, front faces counter-clockwise; texture coordinates run in metres."""

    points: np.ndarray
    """float32 [V, 3] [m]."""
    counts: np.ndarray
    """int32 [F], corners of each face."""
    indices: np.ndarray
    """int32 [C], the points of all corners, face by face."""
    uvs: np.ndarray
    """float32 [C, 2], metres along the surface, so that one texture keeps one grain everywhere."""
    normals: np.ndarray
    """float32 [C, 3], unit."""

    def moved(self, offset: Vector = (0.0, 0.0, 0.0), *, yaw: float = 0.0, pitch: float = 0.0) -> Shape:
        """Return the shape pitched around X, then turned around Z [deg], then shifted by ``offset`` [m]."""
        turn = _rotation(yaw, pitch)
        return Shape(
            points=(self.points @ turn.T + np.asarray(offset, dtype=np.float32)).astype(np.float32),
            counts=self.counts,
            indices=self.indices,
            uvs=self.uvs,
            normals=(self.normals @ turn.T).astype(np.float32),
        )


def _rotation(yaw: float, pitch: float) -> np.ndarray:
    a, b = np.radians(yaw), np.radians(pitch)
    turn = np.array([[np.cos(a), -np.sin(a), 0.0], [np.sin(a), np.cos(a), 0.0], [0.0, 0.0, 1.0]])
    tilt = np.array([[1.0, 0.0, 0.0], [0.0, np.cos(b), -np.sin(b)], [0.0, np.sin(b), np.cos(b)]])
    return (turn @ tilt).astype(np.float32)


def merge(shapes: Sequence[Shape]) -> Shape:
    """Join shapes into one."""
    starts = np.cumsum([0, *(len(shape.points) for shape in shapes)])
    return Shape(
        points=np.concatenate([shape.points for shape in shapes]),
        counts=np.concatenate([shape.counts for shape in shapes]),
        indices=np.concatenate([shape.indices + start for shape, start in zip(shapes, starts, strict=False)]).astype(
            np.int32
        ),
        uvs=np.concatenate([shape.uvs for shape in shapes]),
        normals=np.concatenate([shape.normals for shape in shapes]),
    )


def _flat(points: np.ndarray, faces: Sequence[Sequence[int]]) -> Shape:
    """A flat-shaded shape; texture coordinates project each face along its normal."""
    points = np.asarray(points, dtype=np.float32)
    uvs, normals = [], []
    for face in faces:
        corners = points[list(face)].astype(np.float64)
        ahead = np.roll(corners, -1, axis=0)
        normal = np.cross(corners, ahead).sum(axis=0)  # Newell's method: also right for concave faces
        normal /= max(float(np.linalg.norm(normal)), 1.0e-12)
        if abs(normal[2]) > 0.9:
            right, up = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
        else:
            right = np.cross([0.0, 0.0, 1.0], normal)
            right /= np.linalg.norm(right)
            up = np.cross(normal, right)
        uvs.append(np.stack([corners @ right, corners @ up], axis=1))
        normals.append(np.repeat(normal[None], len(face), axis=0))
    return Shape(
        points=points,
        counts=np.array([len(face) for face in faces], dtype=np.int32),
        indices=np.concatenate([np.asarray(face) for face in faces]).astype(np.int32),
        uvs=np.concatenate(uvs).astype(np.float32),
        normals=np.concatenate(normals).astype(np.float32),
    )


_CUBE = np.array(
    [[x, y, z] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)],
    dtype=np.float32,
)
_CUBE_FACES = ((0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (1, 3, 7, 5), (0, 4, 6, 2))
_CUBE_INDICES = np.array(_CUBE_FACES, dtype=np.int32).ravel()
_CUBE_NORMALS = np.repeat(
    np.array([[0, 0, -1], [0, 0, 1], [0, -1, 0], [0, 1, 0], [1, 0, 0], [-1, 0, 0]], dtype=np.float32), 4, axis=0
)
# For each face the axes and signs that u and v follow, seen from outside with Z up.
_CUBE_U = np.repeat(
    np.array([[1, 0, 0], [1, 0, 0], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]], np.float32), 4, axis=0
)
_CUBE_V = np.repeat(np.array([[0, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]], np.float32), 4, axis=0)


def box(size: Vector, at: Vector = (0.0, 0.0, 0.0), *, yaw: float = 0.0, fit: bool = False) -> Shape:
    """Make a box that stands on ``at``: the middle of its bottom face.

    Args:
        size: Length along x, y, z [m].
        at: Middle of the bottom face [m].
        yaw: Turn around Z [deg].
        fit: Stretch one texture over each side face (a label, a window) instead of metres along the surface.
    """
    extent = np.asarray(size, dtype=np.float32)
    corners = _CUBE[_CUBE_INDICES]
    scale = np.float32(1.0) if fit else extent
    uvs = np.stack(
        [((corners + 0.5) * scale * _CUBE_U).sum(axis=1), ((corners + 0.5) * scale * _CUBE_V).sum(axis=1)], axis=1
    )
    if fit:
        uvs -= np.floor(uvs.reshape(6, 4, 2).min(axis=1)).repeat(4, axis=0)
    shape = Shape(
        points=_CUBE * extent + np.array([0.0, 0.0, extent[2] / 2.0], dtype=np.float32),
        counts=np.full(6, 4, dtype=np.int32),
        indices=_CUBE_INDICES,
        uvs=uvs.astype(np.float32),
        normals=_CUBE_NORMALS,
    )
    return shape.moved(at, yaw=yaw)


def quad(width: float, height: float, *, fit: bool = True) -> Shape:
    """Make an upright rectangle in the xz plane that faces -Y and stands on the origin.

    Args:
        width: Length along x [m].
        height: Length along z [m].
        fit: Stretch one texture over it; else texture coordinates run in metres.
    """
    half = width / 2.0
    points = np.array([[-half, 0, 0], [half, 0, 0], [half, 0, height], [-half, 0, height]], dtype=np.float32)
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=np.float32)
    return Shape(
        points=points,
        counts=np.array([4], dtype=np.int32),
        indices=np.arange(4, dtype=np.int32),
        uvs=uvs if fit else uvs * np.array([width, height], dtype=np.float32),
        normals=np.tile(np.array([0, -1, 0], dtype=np.float32), (4, 1)),
    )


def ground(width: float, depth: float, at: Vector = (0.0, 0.0, 0.0), *, cells: int = 1) -> Shape:
    """Make a horizontal rectangle around ``at`` that faces up, cut into ``cells`` x ``cells`` quads."""
    xs = np.linspace(-width / 2.0, width / 2.0, cells + 1)
    ys = np.linspace(-depth / 2.0, depth / 2.0, cells + 1)
    grid = np.stack([*np.meshgrid(xs, ys), np.zeros((cells + 1, cells + 1))], axis=-1).reshape(-1, 3)
    low = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)[None, :]).ravel()
    indices = np.stack([low, low + 1, low + cells + 2, low + cells + 1], axis=1).ravel().astype(np.int32)
    points = (grid + np.asarray(at)).astype(np.float32)
    return Shape(
        points=points,
        counts=np.full(cells * cells, 4, dtype=np.int32),
        indices=indices,
        uvs=points[indices, :2],
        normals=np.tile(np.array([0, 0, 1], dtype=np.float32), (len(indices), 1)),
    )


def turned(profile: Sequence[tuple[float, float]], *, sides: int = 16, smooth: bool = True) -> Shape:
    """Turn a profile around Z: cylinders, cones, bottles, lamp heads.

    Args:
        profile: ``(radius, z)`` from bottom to top [m]; a radius of 0 closes the end, else it gets a cap.
        sides: Faces around.
        smooth: Shade round along the turn; the profile itself keeps its edges.
    """
    rings = np.asarray(profile, dtype=np.float64)
    angles = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate(
        [np.concatenate([circle * radius, np.full((sides, 1), z)], axis=1) for radius, z in rings]
    ).astype(np.float32)
    after = np.roll(np.arange(sides), -1)
    counts: list[int] = []
    indices: list[np.ndarray] = []
    uvs: list[np.ndarray] = []
    normals: list[np.ndarray] = []
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(rings, axis=0), axis=1))])
    around = 2.0 * np.pi * max(float(rings[:, 0].max()), 1.0e-6) * np.arange(sides + 1) / sides
    middle = np.stack([np.cos(angles + np.pi / sides), np.sin(angles + np.pi / sides)], axis=1)
    for ring in range(len(rings) - 1):
        low, high = ring * sides, (ring + 1) * sides
        quads = np.stack([low + np.arange(sides), low + after, high + after, high + np.arange(sides)], axis=1)
        slope = rings[ring + 1] - rings[ring]
        out = np.array([slope[1], -slope[0]]) / max(float(np.linalg.norm(slope)), 1.0e-12)
        left = circle if smooth else middle
        right = circle[after] if smooth else middle
        corner = np.stack([left, right, right, left], axis=1)
        normals.append(np.concatenate([corner * out[0], np.full((sides, 4, 1), out[1])], axis=2).reshape(-1, 3))
        us = np.stack([around[:-1], around[1:], around[1:], around[:-1]], axis=1)
        vs = np.broadcast_to([along[ring], along[ring], along[ring + 1], along[ring + 1]], (sides, 4))
        uvs.append(np.stack([us, vs], axis=2).reshape(-1, 2))
        indices.append(quads.ravel())
        counts += [4] * sides
    for ring, sign in ((0, -1.0), (len(rings) - 1, 1.0)):
        if rings[ring, 0] > 0.0:
            order = np.arange(sides) if sign > 0 else np.arange(sides)[::-1]
            indices.append(ring * sides + order)
            normals.append(np.tile([0.0, 0.0, sign], (sides, 1)))
            uvs.append(circle[order] * rings[ring, 0])
            counts.append(sides)
    return Shape(
        points=points,
        counts=np.array(counts, dtype=np.int32),
        indices=np.concatenate(indices).astype(np.int32),
        uvs=np.concatenate(uvs).astype(np.float32),
        normals=np.concatenate(normals).astype(np.float32),
    )


def cylinder(radius: float, height: float, at: Vector = (0.0, 0.0, 0.0), *, sides: int = 16) -> Shape:
    """Make an upright cylinder that stands on ``at``."""
    return turned([(radius, 0.0), (radius, height)], sides=sides).moved(at)


def beam(start: Vector, end: Vector, radius: float, *, sides: int = 8) -> Shape:
    """Make a round bar from ``start`` to ``end`` [m]."""
    a, b = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    length = float(np.linalg.norm(b - a))
    direction = (b - a) / max(length, 1.0e-12)
    yaw = np.degrees(np.arctan2(direction[1], direction[0])) + 90.0
    pitch = np.degrees(np.arccos(np.clip(direction[2], -1.0, 1.0)))
    return turned([(radius, 0.0), (radius, length)], sides=sides).moved(a, yaw=yaw, pitch=pitch)


def extruded(outline: Sequence[tuple[float, float]], height: float) -> Shape:
    """Pull an outline upwards.

    Args:
        outline: Corners ``(x, y)`` [m], counter-clockwise seen from above; may be concave.
        height: Length along z [m].
    """
    n = len(outline)
    points = np.array([[x, y, z] for z in (0.0, height) for x, y in outline], dtype=np.float32)
    sides = [(i, (i + 1) % n, n + (i + 1) % n, n + i) for i in range(n)]
    return _flat(points, [*sides, tuple(range(n - 1, -1, -1)), tuple(range(n, 2 * n))])


def profile_bar(outline: Sequence[tuple[float, float]], width: float) -> Shape:
    """Pull an upright outline sideways: car bodies, roofs, kerbs, ramps.

    Args:
        outline: Corners ``(x, z)`` [m], counter-clockwise seen from -Y; may be concave.
        width: Length along y [m]; the bar is centred on y = 0.
    """
    n, half = len(outline), width / 2.0
    points = np.array([[x, y, z] for y in (-half, half) for x, z in outline], dtype=np.float32)
    sides = [(i, n + i, n + (i + 1) % n, (i + 1) % n) for i in range(n)]
    return _flat(points, [*sides, tuple(range(n)), tuple(range(2 * n - 1, n - 1, -1))])


def stairs(width: float, rise: float, run: float, steps: int) -> Shape:
    """Make ``steps`` solid stairs that climb along +X, ``width`` along y [m]."""
    return merge([box((run, width, rise * (i + 1)), (run * (i + 0.5), 0.0, 0.0)) for i in range(steps)])


def blob(radius: Vector, seed: int, *, roughness: float = 0.18, rows: int = 7, sides: int = 10) -> Shape:
    """Make a lumpy ellipsoid around the origin: tree crowns, bushes, rocks, snow heaps."""
    rng = np.random.default_rng(seed)
    theta = np.linspace(0.0, np.pi, rows + 1)
    phi = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)
    unit = np.stack(
        [
            np.sin(theta)[:, None] * np.cos(phi),
            np.sin(theta)[:, None] * np.sin(phi),
            np.repeat(-np.cos(theta)[:, None], sides, axis=1),
        ],
        axis=-1,
    )
    lump = 1.0 + roughness * rng.uniform(-1.0, 1.0, (rows + 1, sides, 1))
    lump[0], lump[-1] = 1.0, 1.0
    points = (unit * lump * np.asarray(radius)).reshape(-1, 3).astype(np.float32)
    faces = []
    for row in range(rows):
        for side in range(sides):
            a, b = row * sides + side, row * sides + (side + 1) % sides
            faces.append((a, b, b + sides, a + sides))
    indices = np.array(faces, dtype=np.int32).ravel()
    smooth = unit.reshape(-1, 3) / np.asarray(radius)
    smooth /= np.linalg.norm(smooth, axis=1, keepdims=True)
    around = np.stack([np.tile(phi, rows + 1), np.repeat(theta, sides)], axis=1) * float(np.mean(radius))
    return Shape(
        points=points,
        counts=np.full(len(faces), 4, dtype=np.int32),
        indices=indices,
        uvs=around[indices].astype(np.float32),
        normals=smooth[indices].astype(np.float32),
    )


__all__ = [
    "Shape", "Vector", "beam", "blob", "box", "cylinder", "extruded", "ground", "merge", "profile_bar", "quad",
    "stairs", "turned",
]  # fmt: skip
