"""Points as triangles: each point of a UsdGeomPoints is a small ball, told apart by its id where it has one."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.usd.curves import authored_widths
from cosmos.bridge.render.usd.geometry import Surface, spread
from cosmos.bridge.render.usd.normals import unit
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.polygon_mesh import primvar_arrays, read_points, vectors

if TYPE_CHECKING:
    from pxr import Usd

_MANY_TRIANGLES = 500_000
"""A prim takes the finest ball that stays below this."""
_MOST_TIMES = 1000
"""Times at which points are looked for; later ones are not drawn, and said."""


@functools.lru_cache
def ball(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points [V, 3] and triangles [F, 3] of a ball of radius one: 8, 20, 80 or 320 faces at level 0, 1, 2, 3.

    It has the area of the sphere, so that its silhouette is as large on the mean (Cauchy: the mean shadow of a convex
    body is a quarter of its area).
    """
    if level == 0:
        points = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)], np.float64)
        faces = np.array([(x, y, z)[:: 1 if parity else -1] for x, y, z, parity in _OCTANTS])
    else:
        points, faces = _icosahedron()
        for _ in range(level - 1):
            points, faces = _halved(points, faces)
    a, b, c = (points[faces[:, k]] for k in range(3))
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum()
    return points * np.sqrt(4.0 * np.pi / area), faces


_OCTANTS = [(x, 2 + y, 4 + z, (x + y + z) % 2 == 0) for x in (0, 1) for y in (0, 1) for z in (0, 1)]


def _icosahedron() -> tuple[np.ndarray, np.ndarray]:
    """Return an icosahedron of radius one with its poles on Z, faces counter-clockwise."""
    turn = np.arange(5) * (2.0 * np.pi / 5.0)
    height = 1.0 / np.sqrt(5.0)
    rings = [
        np.stack([np.cos(turn + shift), np.sin(turn + shift), np.full(5, sign * 0.5)], axis=1) * (2.0 * height)
        for shift, sign in ((0.0, 1.0), (np.pi / 5.0, -1.0))
    ]
    points = np.concatenate([[(0.0, 0.0, 1.0)], *rings, [(0.0, 0.0, -1.0)]])
    k, after = np.arange(5), (np.arange(5) + 1) % 5
    upper, lower = 1 + k, 6 + k
    faces = [
        np.stack([np.zeros(5, int), upper, 1 + after], axis=1),
        np.stack([upper, lower, 1 + after], axis=1),
        np.stack([1 + after, lower, 6 + after], axis=1),
        np.stack([np.full(5, 11), 6 + after, lower], axis=1),
    ]
    return points, np.concatenate(faces)


def _halved(points: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut each triangle into four, the new points on the sphere."""
    edges = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    unique, index = np.unique(edges, axis=0, return_inverse=True)
    middle = index.reshape(-1, 3) + len(points)
    a, b, c = faces.T
    ab, bc, ca = middle.T
    cut = [np.stack(corners, axis=1) for corners in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    return np.concatenate([points, unit(points[unique].mean(1))]), np.concatenate(cut)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cloud:
    """A prim of points: one ball for each point that is there at some time."""

    prim: Usd.Prim
    scale: float
    """Metres per stage unit."""
    ids: Optional[np.ndarray]
    """int64 [K], id of each ball in ascending order; ``None`` where points are known by their place in the list."""
    count: int
    """Number of balls."""
    level: int
    """How fine a ball is."""

    def slots(self, time: Usd.TimeCode, count: int) -> np.ndarray:
        """Return the ball of each of ``count`` points at a time, int64; -1 for none."""
        if self.ids is None:
            return np.where(np.arange(count) < self.count, np.arange(count), -1)
        ids = _ids(self.prim, time)
        if ids is None or len(ids) != count:
            return np.full(count, -1)
        place = np.minimum(np.searchsorted(self.ids, ids), self.count - 1)
        return np.where(self.ids[place] == ids, place, -1)

    def number(self, time: Usd.TimeCode) -> int:
        """Return how many points there are at a time."""
        return len(self.prim.GetAttribute("points").Get(time) or ())

    def read(self, time: Usd.TimeCode) -> np.ndarray:
        """Return the points in the prim's own space [m], float32 [V, 3]; balls that are not there have no size."""
        centers, radii = self.place(time)
        shape, _ = ball(self.level)
        return (centers[:, None] + shape * radii[:, None, None]).reshape(-1, 3).astype(np.float32)

    def place(self, time: Usd.TimeCode) -> tuple[np.ndarray, np.ndarray]:
        """Return centre and radius [m] of each ball; those that are not there lie in another, with radius 0."""
        from pxr import UsdGeom

        points = read_points(UsdGeom.PointBased(self.prim), time, self.scale)
        widths = fitting_widths(self.prim, time, len(points)) * self.scale
        slots = self.slots(time, len(points))
        there = (slots >= 0) & np.isfinite(points).all(-1)
        rest = points[there][0] if there.any() else np.full(3, np.nan)
        centers, radii = np.tile(rest.astype(np.float64), (self.count, 1)), np.zeros(self.count)
        centers[slots[there]], radii[slots[there]] = points[there], 0.5 * widths[there]
        return centers, radii


def fitting_widths(prim: Usd.Prim, time: Usd.TimeCode, count: int) -> np.ndarray:
    """Return the diameter of each of ``count`` points, float64; one stage unit where there are none that fit."""
    widths, _ = authored_widths(prim, time)
    if len(widths) not in (1, count) or not np.isfinite(widths).all():
        widths = np.ones(1)
    return np.abs(np.broadcast_to(widths, count))


def _ids(prim: Usd.Prim, time: Usd.TimeCode) -> Optional[np.ndarray]:
    value = prim.GetAttribute("ids").Get(time)
    return None if value is None or not len(value) else np.array(value, np.int64)


def gather(prim: Usd.Prim, time: Usd.TimeCode, scale: float, notes: Notes) -> Optional[Cloud]:
    """Find how many points a prim has over all times; ``None`` where it never has one."""
    from pxr import Usd, UsdGeom

    path, attribute = str(prim.GetPath()), UsdGeom.PointBased(prim).GetPointsAttr()
    times: list[Any] = [time]
    if attribute.ValueMightBeTimeVarying():
        samples = attribute.GetTimeSamples()
        if len(samples) > _MOST_TIMES:
            notes.add(f"Points with more than {_MOST_TIMES} time samples keep the number of the first ones", path)
        times += [Usd.TimeCode(sample) for sample in samples[:_MOST_TIMES]]
    values = [attribute.Get(moment) for moment in times]
    count = max(0 if value is None else len(value) for value in values)
    known = [_ids(prim, moment) for moment in times] if len(times) > 1 else []
    by_id = bool(known) and all(
        ids is not None and len(ids) == len(value or ()) for ids, value in zip(known, values, strict=True)
    )
    ids = np.unique(np.concatenate([ids for ids in known if ids is not None])) if by_id else None
    count = count if ids is None else len(ids)
    if not count:
        notes.add("Points without positions are left out", path)
        return None
    faces = [8, 20, 80, 320]
    level = next((k for k in (3, 2, 1) if count * faces[k] <= _MANY_TRIANGLES), 0)
    return Cloud(prim=prim, scale=scale, ids=ids, count=count, level=level)


def read_cloud(cloud: Cloud, time: Usd.TimeCode, notes: Notes) -> Optional[Surface]:
    """Make a ball of each point.

    Args:
        cloud: As ``gather`` found it.
        time: When.
        notes: Told what is left out, or drawn otherwise than authored.

    Returns:
        The triangles, balls that are not there yet very small; ``None`` where no point is finite.
    """
    prim, path = cloud.prim, str(cloud.prim.GetPath())
    centers, radii = cloud.place(time)
    if not np.isfinite(centers).all():
        notes.add("Points of which none is finite at the first time are left out", path)
        return None
    _say_what_is_odd(cloud, time, notes)
    there = radii > 0.0
    small = 1e-3 * (float(radii[there].min()) if there.any() else 1.0)
    shape, faces = ball(cloud.level)
    num, size = len(shape), cloud.count
    points = (centers[:, None] + shape * np.where(there, radii, small)[:, None, None]).reshape(-1, 3)
    triangles = (faces[None] + np.arange(size)[:, None, None] * num).reshape(-1, 3).astype(np.int32)
    owners = np.repeat(np.arange(size), len(faces))
    corners = np.repeat(owners[:, None], 3, axis=1)
    normals = np.broadcast_to(unit(shape)[faces], (size, len(faces), 3, 3)).reshape(-1, 3, 3)
    uv_primvars, color_primvar = primvar_arrays(prim, time, notes)
    slots = cloud.slots(time, cloud.number(time))
    uvs = {}
    for name, (values, interpolation) in uv_primvars.items():
        array = _at_balls(values, interpolation, slots, size, corners)
        if array is None:
            notes.add("Primvars with too few values are not used", path)
        else:
            uvs[name] = np.nan_to_num(array)
    colors = None
    if color_primvar and color_primvar.HasAuthoredValue() and color_primvar.GetInterpolation() != "constant":
        flat = vectors(color_primvar.ComputeFlattened(time))
        if len(flat) > 1:
            colors = _at_balls(flat, color_primvar.GetInterpolation(), slots, size, corners)
            if colors is None:
                notes.add("displayColor with too few values is not used", path)
    return Surface(
        points=points.astype(np.float32),
        triangles=triangles,
        corners=corners,
        faces=owners,
        normals=np.ascontiguousarray(normals, np.float32),
        uvs=uvs,
        colors=None if colors is None else np.nan_to_num(colors, nan=0.5),
    )


def _say_what_is_odd(cloud: Cloud, time: Usd.TimeCode, notes: Notes) -> None:
    from pxr import UsdGeom

    path = str(cloud.prim.GetPath())
    points = read_points(UsdGeom.PointBased(cloud.prim), time, cloud.scale)
    widths, _ = authored_widths(cloud.prim, time)
    if len(widths) not in (1, len(points)) or not np.isfinite(widths).all():
        notes.add("Curves and points without widths that fit are drawn one stage unit wide", path)
    if not np.isfinite(points).all():
        notes.add("Points that are not finite are left out one by one", path)


def _at_balls(
    values: np.ndarray, interpolation: str, slots: np.ndarray, size: int, corners: np.ndarray
) -> Optional[np.ndarray]:
    """Return a primvar of the points at the corners of their balls; balls that are not there take the first value."""
    if len(values) < len(slots) and len(values) > 1 and interpolation != "constant":
        return None
    each = np.broadcast_to(values[0], (size, *values.shape[1:])).copy()
    if len(values) >= len(slots) and interpolation != "constant":
        each[slots[slots >= 0]] = values[: len(slots)][slots >= 0]
    return np.asarray(spread(each, "vertex", corners, corners, corners[:, 0]), np.float32)


__all__ = ["Cloud", "ball", "gather", "read_cloud"]
