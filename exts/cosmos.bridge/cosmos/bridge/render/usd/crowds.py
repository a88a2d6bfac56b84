"""The points of point instancers as rows of a scene, instancers inside prototypes included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.usd.instancers import InstancerTrack, Slots, read_slots
from cosmos.bridge.render.usd.labels import Labels, inherit
from cosmos.bridge.render.usd.meshes import MeshLibrary, Piece, bound_materials
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.rows import NO_COLOR, Rows
from cosmos.bridge.render.usd.walk import Found, walk

if TYPE_CHECKING:
    from pxr import Usd


@dataclass(frozen=True, kw_only=True, slots=True)
class _Prototype:
    """What one prototype is drawn as."""

    root: Usd.Prim
    mesh: Optional[int]
    """Its shapes joined; ``None`` where it has none of its own."""
    labels: Labels
    moves: bool
    """Whether its own place changes with time."""
    instancers: list[Found]
    """Point instancers in it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Outside:
    """Where an instancer is drawn: once, or at each of the points that draw its prototype."""

    base: Optional[Usd.Prim]
    paths: list[str]
    """What the path of the instancer begins with at each place, length L."""
    labels: list[Labels]
    colors: list[tuple[float, float, float]]
    gates: tuple[Usd.Attribute, ...]
    above: tuple[str, ...]
    """Paths of the instancers around it."""


class Crowds:
    """Adds point instancers to the rows of a scene."""

    def __init__(self, rows: Rows, meshes: MeshLibrary, time: Usd.TimeCode, notes: Notes) -> None:
        self._rows, self._meshes, self._time, self._notes = rows, meshes, time, notes
        self._prototypes: dict[str, Optional[_Prototype]] = {}

    def add(self, found: Found) -> Optional[InstancerTrack]:
        """Add each point of an instancer of the stage as one instance; ``None`` for one that is left out."""
        outside = _Outside(base=None, paths=[""], labels=[{}], colors=[NO_COLOR], gates=(), above=())
        return self._add(found, str(found.prim.GetPath()), outside)

    def _add(self, found: Found, name: str, outside: _Outside) -> Optional[InstancerTrack]:
        """Add an instancer; ``name`` is what its path ends with."""
        from pxr import UsdGeom

        path = str(found.prim.GetPath())
        if path in outside.above:
            self._notes.add("Point instancers that are drawn by themselves are left out there", path)
            return None
        instancer = UsdGeom.PointInstancer(found.prim)
        slots = read_slots(instancer, self._time, self._notes)
        if slots is None:
            return None
        targets = instancer.GetPrototypesRel().GetForwardedTargets()
        prototypes = [self._prototype(found.prim.GetStage().GetPrimAtPath(target), path) for target in targets]
        gates = (*outside.gates, *found.traits.gates)
        self._rows.reserve(len(outside.paths) * len(slots.keys), path)
        colors = self._colors(found.prim, slots)
        labels = [
            [
                inherit(around, {**found.traits.labels, **prototype.labels}) if prototype else {}
                for prototype in prototypes
            ]
            for around in outside.labels
        ]
        rows = np.full((len(outside.paths), len(slots.keys)), -1, np.int64)
        for place, before in enumerate(outside.paths):
            for slot, (key, index) in enumerate(zip(slots.keys.tolist(), slots.prototypes.tolist(), strict=True)):
                prototype = prototypes[index]
                if prototype is not None and prototype.mesh is not None:
                    color = outside.colors[place] if colors is None else colors[slot]
                    point = f"{before}{name}[{key}]"
                    look = (prototype.mesh, -1, color)
                    rows[place, slot] = self._rows.add(point, point, labels[place][index], gates, look)
        nested = []
        for index, prototype in enumerate(prototypes):
            for inner in prototype.instancers if prototype else ():
                made = self._nest(inner, prototype, index, (slots, name, gates, path, labels, colors), outside)
                nested += [made] if made else []
        moves = found.traits.moves or slots.moves or any(prototype.moves for prototype in prototypes if prototype)
        return InstancerTrack(
            slots=slots,
            base=outside.base,
            rows=rows,
            nested=tuple(nested),
            moves=moves or any(track.moves for _, track in nested),
        )

    def _nest(
        self, inner: Found, prototype: Any, index: int, around: tuple[Any, ...], outside: _Outside
    ) -> Optional[tuple[np.ndarray, InstancerTrack]]:
        """Add an instancer that lies in a prototype, at each point that draws the prototype."""
        slots, name, gates, path, labels, colors = around
        mine = np.flatnonzero(slots.prototypes == index)
        keys = slots.keys[mine].tolist()
        if not keys:
            return None
        self._rows.reserve(len(outside.paths) * len(keys), path)
        inside = str(inner.prim.GetPath())[len(str(prototype.root.GetParent().GetPath()).rstrip("/")) :]
        places = range(len(outside.paths))
        track = self._add(
            inner,
            inside,
            _Outside(
                base=prototype.root,
                paths=[f"{outside.paths[place]}{name}[{key}]" for place in places for key in keys],
                labels=[labels[place][index] for place in places for _ in keys],
                colors=[outside.colors[place] if colors is None else colors[slot] for place in places for slot in mine],
                gates=gates,
                above=(*outside.above, path),
            ),
        )
        return None if track is None else (mine, track)

    def _colors(self, prim: Usd.Prim, slots: Slots) -> Optional[list[tuple[float, float, float]]]:
        """Return displayColor of each slot, where the instancer has one a point."""
        from pxr import UsdGeom

        primvar = UsdGeom.PrimvarsAPI(prim).GetPrimvar("displayColor")
        values = primvar.ComputeFlattened(self._time) if primvar and primvar.HasAuthoredValue() else None
        points = slots.points(self._time)
        if values is None or len(values) != len(slots.instancer.GetProtoIndicesAttr().Get(self._time) or ()):
            return None
        return [
            (float(values[point][0]), float(values[point][1]), float(values[point][2])) if point >= 0 else NO_COLOR
            for point in points.tolist()
        ]

    def _prototype(self, root: Usd.Prim, instancer: str) -> Optional[_Prototype]:
        """Read a prototype once; ``None`` where nothing is drawn."""
        if not root:
            self._notes.add("Point instancers with a prototype that does not exist are drawn without it", instancer)
            return None
        path = str(root.GetPath())
        if path not in self._prototypes:
            self._prototypes[path] = self._read(root)
        return self._prototypes[path]

    def _read(self, root: Usd.Prim) -> Optional[_Prototype]:
        from pxr import UsdGeom

        cache = UsdGeom.XformCache(self._time)
        found = walk(root, cache, self._notes, prototype=True)
        for skeleton in found.skeletons:
            self._meshes.skins.add(skeleton.prim)
        for light in found.lights:
            self._notes.add("Lights in a prototype are left out", str(light.prim.GetPath()))
        pieces, labels = [], dict(found.gprims[0].traits.labels) if found.gprims else {}
        for item, bound in zip(found.gprims, bound_materials([item.prim for item in found.gprims]), strict=True):
            matrix = np.array(cache.ComputeRelativeTransform(item.prim, root)[0])
            traits = item.traits
            pieces.append(
                Piece(
                    prim=item.prim,
                    bound=bound,
                    matrix=matrix,
                    root=root if traits.moves else None,
                    gates=traits.gates,
                    primvars=traits.primvars,
                )
            )
            labels = labels or dict(traits.labels)
        mesh = self._meshes.add_merged(str(root.GetPath()), pieces)
        if mesh is None and not found.instancers:
            return None
        own = UsdGeom.Xformable(root)
        return _Prototype(
            root=root,
            mesh=mesh,
            labels=labels,
            moves=bool(own) and own.TransformMightBeTimeVarying(),
            instancers=found.instancers,
        )


__all__ = ["Crowds"]
