"""Point instancers: which points there are over time, in which prototype, and where each is at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.usd.notes import Notes

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom

_PLACING = ("positions", "orientations", "orientationsf", "scales", "velocities", "angularVelocities", "invisibleIds")
_NAMING = ("protoIndices", "ids")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Slots:
    """What can be seen of one instancer over all times: each point of each prototype that it takes."""

    instancer: UsdGeom.PointInstancer
    keys: np.ndarray
    """int64 [S], ascending: ids of points where ``by_id``, else their place in the list."""
    prototypes: np.ndarray
    """int64 [S], index into the instancer's prototypes."""
    by_id: bool
    changing: bool
    """Whether the points or their prototypes are other ones at other times."""
    moves: bool
    """Whether anything that places or hides the points may change with time."""

    def points(self, time: Usd.TimeCode) -> np.ndarray:
        """Return the point that each slot is at a time, its place in the list, int64 [S]; -1 where it is not there."""
        if not self.changing:
            return self.keys
        indices = _array(self.instancer.GetProtoIndicesAttr().Get(time))
        keys = _array(self.instancer.GetIdsAttr().Get(time)) if self.by_id else np.arange(len(indices))
        if len(keys) != len(indices):
            return np.full(len(self.keys), -1, np.int64)
        known = np.unique(self.keys)  # ranks, since ids may be too large to be multiplied
        rank = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        base = int(max(self.prototypes.max(), indices.max(initial=0))) + 1
        mine, now = np.searchsorted(known, self.keys) * base + self.prototypes, rank * base + indices
        place = np.minimum(np.searchsorted(mine, now), len(mine) - 1)
        found = (mine[place] == now) & (known[rank] == keys)
        points = np.full(len(mine), -1, np.int64)
        points[place[found]] = np.flatnonzero(found)
        return points

    def place(self, time: Usd.TimeCode) -> tuple[np.ndarray, np.ndarray]:
        """Return slot to instancer space (row vectors, stage units, [S, 4, 4]) and which are there, bool [S]."""
        instancer = self.instancer
        placed = instancer.ComputeInstanceTransformsAtTime(
            time, time, instancer.IncludeProtoXform, instancer.IgnoreMask
        )
        matrices = np.array(placed, np.float64).reshape(-1, 4, 4)
        points = self.points(time)
        there = (points >= 0) & (points < len(matrices))
        mask = np.array(instancer.ComputeMaskAtTime(time), bool)
        if len(mask) == len(matrices):
            there[there] = mask[points[there]]
        out = np.tile(np.eye(4), (len(points), 1, 1))
        out[there] = matrices[points[there]]
        return out, there


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class InstancerTrack:
    """One PointInstancer and the rows of the pose that it fills; the ones in its prototypes hang below it."""

    slots: Slots
    base: Optional[Usd.Prim]
    """The prototype that it lies in; ``None`` for one of the stage."""
    rows: np.ndarray
    """int64 [L, S], row of each slot for each of the L points outside that it is drawn at; -1 for none."""
    nested: tuple[tuple[np.ndarray, InstancerTrack], ...]
    """(slots that draw it, int64 [K]; the track, whose L is that of this one times K)."""
    moves: bool
    """Whether this, what it stands on or what hangs below it changes with time."""

    def all_rows(self) -> np.ndarray:
        """Return every row that this and what hangs below it fill, int64 [K]."""
        return np.concatenate([self.rows[self.rows >= 0], *(track.all_rows() for _, track in self.nested)])

    def fill(
        self,
        time: Usd.TimeCode,
        cache: Any,
        outside: tuple[np.ndarray, np.ndarray],
        out: tuple[np.ndarray, np.ndarray],
    ) -> None:
        """Place everything at a time.

        Args:
            time: When.
            cache: UsdGeom.XformCache at that time.
            outside: Space of ``base`` to world, row vectors, stage units, [L, 4, 4], and which of them are there [L].
            out: The same for each row of the pose, [N, 4, 4] and [N]; written at ``rows``.
        """
        prim = self.slots.instancer.GetPrim()
        if self.base is None:
            to_base = cache.GetLocalToWorldTransform(prim)
        else:
            to_base = cache.ComputeRelativeTransform(prim, self.base)[0]
        own, present = self.slots.place(time)
        world = (own @ np.array(to_base))[None] @ outside[0][:, None]
        there = outside[1][:, None] & present[None]
        drawn = self.rows >= 0
        out[0][self.rows[drawn]], out[1][self.rows[drawn]] = world[drawn], there[drawn]
        for slots, track in self.nested:
            inner = (world[:, slots].reshape(-1, 4, 4), there[:, slots].reshape(-1))
            track.fill(time, cache, inner, out)


def read_slots(instancer: UsdGeom.PointInstancer, time: Usd.TimeCode, notes: Notes) -> Optional[Slots]:
    """Find the points of an instancer over all times.

    Args:
        instancer: The prim.
        time: The first time.
        notes: Told why an instancer is left out.

    Returns:
        Its slots, or ``None`` where it cannot be drawn.
    """
    from pxr import Tf

    path, prim = str(instancer.GetPath()), instancer.GetPrim()
    count = len(instancer.GetPrototypesRel().GetForwardedTargets())
    indices = _array(instancer.GetProtoIndicesAttr().Get(time))
    positions = instancer.GetPositionsAttr().Get(time)
    changing = any(prim.GetAttribute(name).ValueMightBeTimeVarying() for name in _NAMING)
    if not changing and (positions is None or len(positions) != len(indices) or not len(indices)):
        notes.add("Point instancers whose positions and protoIndices differ in number are left out", path)
        return None
    keys, prototypes, by_id = np.arange(len(indices)), indices, False
    if changing:
        keys, prototypes, by_id = _over_time(instancer, time)
    if len(prototypes) and (prototypes.min() < 0 or int(prototypes.max()) >= count):
        notes.add("Point instancers whose protoIndices point past their prototypes are left out", path)
        return None
    if not len(keys):
        notes.add("Point instancers without points are left out", path)
        return None
    moves = changing or any(
        attribute and attribute.ValueMightBeTimeVarying() for attribute in map(prim.GetAttribute, _PLACING)
    )
    slots = Slots(instancer=instancer, keys=keys, prototypes=prototypes, by_id=by_id, changing=changing, moves=moves)
    try:
        slots.place(time)
    except Tf.ErrorException:
        notes.add("Point instancers with a prototype that USD cannot place are left out", path)
        return None
    return slots


def _over_time(instancer: UsdGeom.PointInstancer, time: Usd.TimeCode) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return (key, prototype) of each slot of an instancer whose points change, and whether keys are ids."""
    from pxr import Usd

    attributes = (instancer.GetProtoIndicesAttr(), instancer.GetIdsAttr())
    samples = sorted({sample for attribute in attributes for sample in attribute.GetTimeSamples()})
    pairs = []
    for moment in [time, *map(Usd.TimeCode, samples)]:
        pairs.append((_array(attributes[0].Get(moment)), _array(attributes[1].Get(moment))))
    by_id = all(len(ids) == len(indices) == len(np.unique(ids)) for indices, ids in pairs)
    named = [np.stack([ids if by_id else np.arange(len(indices)), indices], axis=1) for indices, ids in pairs]
    slots = np.unique(np.concatenate(named), axis=0).reshape(-1, 2)
    return slots[:, 0], slots[:, 1], by_id


def _array(value: Any) -> np.ndarray:
    """Return authored integers as int64 [N]; empty where there are none, or they are of another type."""
    array = np.array(() if value is None else value)
    return array.astype(np.int64) if array.ndim == 1 and array.dtype.kind in "iu" else np.zeros(0, np.int64)


__all__ = ["InstancerTrack", "Slots", "read_slots"]
