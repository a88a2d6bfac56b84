"""Curves as triangles: BasisCurves, NurbsCurves and HermiteCurves as tubes, or as ribbons where they have normals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.usd.geometry import Surface
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.polygon_mesh import primvar_arrays, read_points, vectors
from cosmos.bridge.render.usd.stencils import Strand, basis_strand, nurbs_strand
from cosmos.bridge.render.usd.tubes import ribbon_points, strip_triangles, tube_points

if TYPE_CHECKING:
    from pxr import Usd

CURVES = ("BasisCurves", "NurbsCurves", "HermiteCurves")
"""Type names that ``read_curves`` knows."""
_LEVELS = ((8, 12), (6, 8), (4, 6), (2, 4), (1, 3))
"""(samples a segment, sides), from fine to coarse."""
_MANY_TRIANGLES = 500_000
"""A prim takes the finest level that stays below this."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Bundle:
    """Strands of one prim that share a stencil."""

    strand: Strand
    curves: np.ndarray
    """int64 [C], which curves of the prim."""
    first: np.ndarray
    """int64 [C], first control point of each."""
    first_end: np.ndarray
    """int64 [C], first segment end of each, among the ends of all curves of the prim."""

    def at_points(self, values: np.ndarray) -> np.ndarray:
        """Return a value of each control point [V, ...] at the samples, float64 [C, M, ...]."""
        index = self.first[:, None, None] + self.strand.index
        return np.einsum("mk,cmk...->cm...", self.strand.weight, values[index].astype(np.float64))

    def at_ends(self, values: np.ndarray) -> np.ndarray:
        """Return a value of each segment end at the samples, linear between them, float64 [C, M, ...]."""
        strand = self.strand
        low = np.minimum(strand.place.astype(np.int64), strand.segments - 1)
        high = (low + 1) % strand.segments if strand.closed else low + 1
        share = (strand.place - low).reshape(-1, *([1] * (values.ndim - 1)))
        below, above = (values[self.first_end[:, None] + end].astype(np.float64) for end in (low, high))
        return np.asarray(below + share * (above - below))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Curves:
    """A prim of curves whose counts are known: what makes its points at any time."""

    prim: Usd.Prim
    scale: float
    """Metres per stage unit."""
    bundles: tuple[Bundle, ...]
    sides: int
    """Points of a ring; 2 for ribbons."""
    num_points: int
    """Control points of all curves."""
    num_curves: int
    num_ends: int
    """Ends of segments of all curves."""

    def read(self, time: Usd.TimeCode) -> np.ndarray:
        """Return the points in the prim's own space [m], float32 [V, 3]; empty where they no longer fit the counts."""
        rings = self.rings(time)
        if rings is None:
            return np.zeros((0, 3), np.float32)
        return np.concatenate([points.reshape(-1, 3) for points, _ in rings]).astype(np.float32)

    def rings(self, time: Usd.TimeCode) -> Optional[list[tuple[np.ndarray, np.ndarray]]]:
        """Return points and normals, [C, M, sides, 3], of each bundle; ``None`` where there is nothing to place."""
        control = control_points(self.prim, time, self.scale)
        if len(control) != self.num_points or not np.isfinite(control).all():
            return None
        widths = self._widths(time)
        facing = self._facing(time) if self.sides == 2 else None
        made = []
        for bundle in self.bundles:
            points, radius = bundle.at_points(control), 0.5 * self.spread(bundle, *widths)
            closed = bundle.strand.closed
            if facing is None:
                made.append(tube_points(points, radius, self.sides, closed))
            else:
                made.append(ribbon_points(points, radius, self.spread(bundle, *facing), closed))
        return made

    def spread(self, bundle: Bundle, values: np.ndarray, interpolation: str) -> np.ndarray:
        """Bring a primvar that fits to the samples of a bundle, float64 [C, M, ...]."""
        samples = (len(bundle.first), len(bundle.strand.place))
        if interpolation == "constant":
            return np.broadcast_to(values[0].astype(np.float64), (*samples, *values.shape[1:]))
        if interpolation == "uniform":
            each = values[bundle.curves].astype(np.float64)
            return np.broadcast_to(each[:, None], (*samples, *values.shape[1:]))
        return bundle.at_points(values) if interpolation == "vertex" else bundle.at_ends(values)

    def fit(self, values: np.ndarray, interpolation: str) -> Optional[str]:
        """Return the interpolation that as many values can have, the authored one before others; ``None`` for none."""
        sizes = {
            "constant": 1,
            "uniform": self.num_curves,
            "vertex": self.num_points,
            "varying": self.num_ends,
        }
        authored = "varying" if interpolation == "faceVarying" else interpolation
        if authored == "constant" and len(values):
            return authored
        order = [authored, *sizes]
        return next((name for name in order if sizes.get(name) == len(values)), None)

    def _widths(self, time: Usd.TimeCode) -> tuple[np.ndarray, str]:
        """Return the diameters [m] and their interpolation; a stage unit where there are none that fit."""
        values, interpolation = authored_widths(self.prim, time)
        fitting = self.fit(values, interpolation)
        if fitting is None or not np.isfinite(values).all():
            return np.full(1, self.scale), "constant"
        return np.abs(values) * self.scale, fitting

    def _facing(self, time: Usd.TimeCode) -> tuple[np.ndarray, str]:
        """Return the normals of ribbons and their interpolation; +Z where there are none that fit."""
        values, interpolation = _authored_normals(self.prim, time)
        fitting = self.fit(values, interpolation)
        if fitting is None or not np.isfinite(values).all():
            return np.array([[0.0, 0.0, 1.0]]), "constant"
        return values, fitting


def control_points(prim: Usd.Prim, time: Usd.TimeCode, scale: float) -> np.ndarray:
    """Return the control points of curves [m], float32 [V, 3], those of Hermite curves as Bezier ones."""
    from pxr import UsdGeom

    points = read_points(UsdGeom.PointBased(prim), time, scale)
    if prim.GetTypeName() != "HermiteCurves":
        return points
    slopes = vectors(prim.GetAttribute("tangents").Get(time)) * np.float32(scale)
    if len(slopes) != len(points) or not len(points):
        return np.zeros((0, 3), np.float32)
    # p, p + m/3 | p' - m'/3, p', p' + m'/3 | ...; what stands before a strand's first and after its last point is idle.
    return np.stack([points - slopes / 3.0, points, points + slopes / 3.0], axis=1).reshape(-1, 3)


def authored_widths(prim: Usd.Prim, time: Usd.TimeCode) -> tuple[np.ndarray, str]:
    """Return ``primvars:widths``, else ``widths``, float64 [N] in stage units, and the interpolation; maybe empty."""
    from pxr import UsdGeom

    primvar = UsdGeom.PrimvarsAPI(prim).GetPrimvar("widths")
    if primvar and primvar.HasAuthoredValue():
        values, interpolation = primvar.ComputeFlattened(time), primvar.GetInterpolation()
    else:
        attribute = prim.GetAttribute("widths")
        values, interpolation = attribute.Get(time), attribute.GetMetadata("interpolation") or "vertex"
    array = np.array(() if values is None else values)
    return (array.astype(np.float64) if array.ndim == 1 and array.dtype.kind == "f" else np.zeros(0)), interpolation


def _authored_normals(prim: Usd.Prim, time: Usd.TimeCode) -> tuple[np.ndarray, str]:
    from pxr import UsdGeom

    primvar = UsdGeom.PrimvarsAPI(prim).GetPrimvar("normals")
    if primvar and primvar.HasAuthoredValue():
        return vectors(primvar.ComputeFlattened(time)), primvar.GetInterpolation()
    attribute = UsdGeom.PointBased(prim).GetNormalsAttr()
    return vectors(attribute.Get(time)), attribute.GetMetadata("interpolation") or "vertex"


def _strands(prim: Usd.Prim, counts: np.ndarray, time: Usd.TimeCode, per_segment: int) -> list[tuple[Any, np.ndarray]]:
    """Return (stencil or ``None``, which curves have it) over all curves of a prim."""
    kinds = [(int(count), np.flatnonzero(counts == count)) for count in np.unique(counts)]
    if prim.GetTypeName() == "BasisCurves":
        form = {name: str(prim.GetAttribute(name).Get(time)) for name in ("basis", "wrap")}
        kind = str(prim.GetAttribute("type").Get(time))
        return [(basis_strand(count, kind=kind, per_segment=per_segment, **form), curves) for count, curves in kinds]
    if prim.GetTypeName() == "HermiteCurves":
        made = []
        for count, curves in kinds:
            strand = basis_strand(3 * count - 2, kind="cubic", basis="bezier", wrap="", per_segment=per_segment)
            if strand is not None:
                strand = Strand(
                    index=strand.index + 1,
                    weight=strand.weight,
                    place=strand.place,
                    segments=strand.segments,
                    closed=False,
                )
            made.append((strand, curves))
        return made
    return _nurbs_strands(prim, counts, time, per_segment)


def _nurbs_strands(
    prim: Usd.Prim, counts: np.ndarray, time: Usd.TimeCode, per_segment: int
) -> list[tuple[Any, np.ndarray]]:
    """Return a stencil for each curve of a NurbsCurves prim."""

    def read(name: str, dtype: Any) -> np.ndarray:
        value = prim.GetAttribute(name).Get(time)
        return np.array(() if value is None else value, dtype)

    orders, knots, ranges = read("order", np.int64), read("knots", np.float64), read("ranges", np.float64)
    weights = read("pointWeights", np.float64)
    if len(orders) != len(counts) or len(knots) != int((counts + orders).sum()):
        return [(None, np.arange(len(counts)))]
    weights = weights if len(weights) == int(counts.sum()) else np.ones(int(counts.sum()))
    ranges = ranges if ranges.shape == (len(counts), 2) else np.tile([-np.inf, np.inf], (len(counts), 1))
    made, point, knot = [], 0, 0
    for curve, (count, order) in enumerate(zip(counts.tolist(), orders.tolist(), strict=True)):
        own_knots, own_weights = knots[knot : knot + count + order], weights[point : point + count]
        span = (float(ranges[curve][0]), float(ranges[curve][1]))
        made.append(
            (nurbs_strand(count, order, own_knots, own_weights, span, per_segment=per_segment), np.array([curve]))
        )
        point, knot = point + count, knot + count + order
    return made


def arrange(prim: Usd.Prim, time: Usd.TimeCode, scale: float, notes: Notes) -> Optional[Curves]:
    """Lay out how the samples of a prim's curves follow from its control points; ``None`` where that cannot be."""
    path = str(prim.GetPath())
    value = prim.GetAttribute("curveVertexCounts").Get(time)
    counts = np.array(() if value is None else value, np.int64)
    control = control_points(prim, time, scale)
    hermite = prim.GetTypeName() == "HermiteCurves"
    if not len(counts) or not len(control):
        notes.add("Curves without points or counts are left out", path)
        return None
    if counts.min() < 0 or int(counts.sum()) * (3 if hermite else 1) != len(control):
        notes.add("Curves whose curveVertexCounts do not add up to their points are left out", path)
        return None
    if not np.isfinite(control).all():
        notes.add("Curves with NaN or infinite points are left out", path)
        return None
    ribbon = len(_authored_normals(prim, time)[0]) > 0
    for per_segment, sides in _LEVELS:
        strands = _strands(prim, counts, time, per_segment)
        sides = 2 if ribbon else sides
        faces = sum(2 * sides * len(strand.place) * len(curves) for strand, curves in strands if strand is not None)
        if faces <= _MANY_TRIANGLES:
            break
    if any(strand is None for strand, _ in strands):
        notes.add("Strands whose numbers of points, knots and orders make no curve are left out", path)
    made = [(strand, curves) for strand, curves in strands if strand is not None]
    if not made:
        return None
    first = (np.cumsum(counts) - counts) * (3 if hermite else 1)
    ends = np.zeros(len(counts), np.int64)
    for strand, curves in made:
        ends[curves] = strand.segments + (0 if strand.closed else 1)
    first_end = np.cumsum(ends) - ends
    return Curves(
        prim=prim,
        scale=scale,
        bundles=tuple(
            Bundle(strand=strand, curves=curves, first=first[curves], first_end=first_end[curves])
            for strand, curves in made
        ),
        sides=sides,
        num_points=len(control),
        num_curves=len(counts),
        num_ends=int(ends.sum()),
    )


def read_curves(curves: Curves, time: Usd.TimeCode, notes: Notes) -> Optional[Surface]:
    """Tessellate curves.

    Args:
        curves: As ``arrange`` laid them out.
        time: When.
        notes: Told what is drawn otherwise than authored.

    Returns:
        The triangles; uvs are ``st`` along and around where the prim has none. ``None`` where nothing can be placed.
    """
    rings = curves.rings(time)
    if rings is None:
        return None
    prim, path = curves.prim, str(curves.prim.GetPath())
    widths, interpolation = authored_widths(prim, time)
    if curves.fit(widths, interpolation) is None or not np.isfinite(widths).all():
        notes.add("Curves and points without widths that fit are drawn one stage unit wide", path)
    uv_primvars, color_primvar = primvar_arrays(prim, time, notes)
    parts: list[_Part] = []
    offset = 0
    for bundle, (points, normals) in zip(curves.bundles, rings, strict=True):
        parts.append(_part(curves, bundle, points, normals, offset))
        offset += points[..., 0].size
    triangles = np.concatenate([part.triangles for part in parts]).astype(np.int32)
    uvs = {"st": np.concatenate([part.uvs for part in parts])}
    for name, (values, interpolation) in uv_primvars.items():
        array = _corner_values(curves, parts, values, interpolation)
        if array is None:
            notes.add("Primvars with too few values are not used", path)
        else:
            uvs[name] = np.nan_to_num(array)
    colors = None
    if color_primvar and color_primvar.HasAuthoredValue() and color_primvar.GetInterpolation() != "constant":
        flat = color_primvar.ComputeFlattened(time)
        if flat is not None and len(flat) > 1:
            colors = _corner_values(curves, parts, vectors(flat), color_primvar.GetInterpolation())
            if colors is None:
                notes.add("displayColor with too few values is not used", path)
    return Surface(
        points=np.concatenate([points.reshape(-1, 3) for points, _ in rings]).astype(np.float32),
        triangles=triangles,
        corners=np.zeros(triangles.shape, np.int64),
        faces=np.concatenate([part.faces for part in parts]),
        normals=np.concatenate([part.normals for part in parts]),
        uvs=uvs,
        colors=None if colors is None else np.nan_to_num(colors, nan=0.5),
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Part:
    """The triangles of one bundle."""

    bundle: Bundle
    triangles: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray
    faces: np.ndarray
    samples: np.ndarray
    """int64 [F, 3], sample of each corner among those of the bundle."""


def _part(curves: Curves, bundle: Bundle, points: np.ndarray, normals: np.ndarray, offset: int) -> _Part:
    strands, samples, sides = points.shape[:3]
    closed = bundle.strand.closed
    local, around = strip_triangles(strands, samples, sides, closed)
    flat = points.reshape(-1, 3)
    corner_normals = normals.reshape(-1, 3)[local]
    lids = around[:, 0] < 0
    if lids.any():
        a, b, c = (flat[local[lids, k]] for k in range(3))
        facing = np.cross(b - a, c - a)
        length = np.maximum(np.linalg.norm(facing, axis=-1, keepdims=True), 1e-300)
        corner_normals[lids] = (facing / length)[:, None]
    sample = local // sides
    place = bundle.strand.place[sample % samples]
    wraps = closed & (sample % samples == 0) & (sample % samples < (sample % samples).max(1, keepdims=True) - 1)
    along = np.where(wraps, bundle.strand.segments, place) / bundle.strand.segments
    across = np.maximum(around, 0) / max(sides if sides > 2 else 1, 1)
    return _Part(
        bundle=bundle,
        triangles=local + offset,
        normals=corner_normals.astype(np.float32),
        uvs=np.stack([across, along], axis=-1).astype(np.float32),
        faces=bundle.curves[local[:, 0] // (samples * sides)],
        samples=sample,
    )


def _corner_values(curves: Curves, parts: list[_Part], values: np.ndarray, interpolation: str) -> Optional[np.ndarray]:
    """Return a primvar at each corner, float32 [F, 3, ...]; ``None`` where it does not fit."""
    fitting = curves.fit(values, interpolation)
    if fitting is None:
        return None
    made = []
    for part in parts:
        spread = curves.spread(part.bundle, values, fitting)
        made.append(spread.reshape(-1, *values.shape[1:])[part.samples])
    return np.concatenate(made).astype(np.float32)


__all__ = ["CURVES", "Bundle", "Curves", "arrange", "authored_widths", "read_curves"]
