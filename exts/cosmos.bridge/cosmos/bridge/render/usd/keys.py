"""Places that go straight from key to key: USD says where they are at the keys, NumPy where between them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from cosmos.bridge.render.usd.transforms import Transforms, may_move, world_rows

if TYPE_CHECKING:
    from pxr import Usd

MOST_KEYS = 8
"""Time samples of a prim above which USD is asked at each time, as for all that does not go straight."""


_OFTEN = 3
"""Times that are asked for before keys are looked for, which costs as much as a few of them."""


class Courses:
    """Where moving prims are at any time."""

    def __init__(self, stage: Usd.Stage, prims: list[Usd.Prim], transforms: Transforms) -> None:
        self._stage, self._prims, self._transforms = stage, prims, transforms
        self._version, self._asked = -1, 0
        self._keys: list[Keys] = []
        self._others = np.zeros(0, np.int64)

    def at(self, time: Usd.TimeCode) -> np.ndarray:
        """Return prim space to world, row vectors, stage units, [K, 4, 4]; it is the cache's time afterwards."""
        cache = self._transforms.at(time)
        if self._version != self._transforms.version:  # the stage was edited
            self._version, self._asked, self._keys = self._transforms.version, 0, []
            self._others = np.arange(len(self._prims))
        self._asked += 1
        if self._asked == _OFTEN:
            self._keys = _find_keys(self._stage, self._prims, cache)
            others = np.ones(len(self._prims), bool)
            for keys in self._keys:
                others[keys.rows] = False
            self._others = np.flatnonzero(others)
            cache = self._transforms.at(time)
        matrices = np.empty((len(self._prims), 4, 4))
        matrices[self._others] = world_rows(cache, [self._prims[row] for row in self._others.tolist()])
        for keys in self._keys:
            matrices[keys.rows] = keys.at(float(time.GetValue()))
        return matrices


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Keys:
    """Prims that have their keys at the same times."""

    rows: np.ndarray
    """int64 [K], which of the prims asked for they are."""
    times: tuple[float, ...]
    """Ascending, S of them."""
    matrices: np.ndarray
    """float64 [S, K, 4, 4], prim space to world, row vectors, stage units."""

    def at(self, time: float) -> np.ndarray:
        """Return the matrices at a time, [K, 4, 4]; those of the first and last key hold before and after."""
        after = bisect_right(self.times, time)
        if after == 0 or after == len(self.times):
            return np.asarray(self.matrices[max(after - 1, 0)])
        start, end = self.times[after - 1 : after + 1]
        share = (time - start) / (end - start)
        if share == 0.0:
            return np.asarray(self.matrices[after - 1])
        return np.asarray((1.0 - share) * self.matrices[after - 1] + share * self.matrices[after])


def _find_keys(stage: Usd.Stage, prims: list[Usd.Prim], cache: Any) -> list[Keys]:
    """Find the prims whose matrix is linear in time between a few keys: one translation or matrix moves, alone.

    Args:
        stage: Theirs.
        prims: Any.
        cache: UsdGeom.XformCache; its time is changed.
    """
    from pxr import Usd

    groups: dict[tuple[float, ...], list[int]] = {}
    if stage.GetInterpolationType() == Usd.InterpolationTypeLinear:
        above: dict[Any, bool] = {}
        for row, prim in enumerate(prims):
            parent = prim.GetParent()
            path = parent.GetPath()
            if path not in above:
                above[path] = may_move(parent)
            times = None if above[path] else _key_times(prim)
            if times is not None:
                groups.setdefault(times, []).append(row)
    found = []
    for times, rows in groups.items():
        matrices = np.empty((len(times), len(rows), 4, 4))
        for index, time in enumerate(times):
            cache.SetTime(Usd.TimeCode(time))
            for column, row in enumerate(rows):
                matrices[index, column] = cache.GetLocalToWorldTransform(prims[row])
        found.append(Keys(rows=np.array(rows, np.int64), times=times, matrices=matrices))
    return found


def _key_times(prim: Usd.Prim) -> Optional[tuple[float, ...]]:
    """Return the times of a prim's keys, or ``None`` where it does not go straight between a few of them."""
    from pxr import Usd, UsdGeom

    ops = [op for op in UsdGeom.Xformable(prim).GetOrderedXformOps() if op.MightBeTimeVarying()]
    straight = (UsdGeom.XformOp.TypeTranslate, UsdGeom.XformOp.TypeTransform)
    if len(ops) != 1 or ops[0].GetOpType() not in straight or ops[0].IsInverseOp():
        return None
    attribute = ops[0].GetAttr()
    if ops[0].GetPrecision() != UsdGeom.XformOp.PrecisionDouble or attribute.GetNumTimeSamples() > MOST_KEYS:
        return None
    if attribute.GetResolveInfo().GetSource() != Usd.ResolveInfoSourceTimeSamples:
        return None
    times = tuple(attribute.GetTimeSamples())
    # A blocked sample gives no value: USD then holds the one before.
    return times if all(attribute.Get(Usd.TimeCode(time)) is not None for time in times) else None


__all__ = ["MOST_KEYS", "Courses"]
