"""World transforms of a stage at any time, with what USD resolved for them kept between times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pxr import Usd, UsdGeom


class Transforms:
    """One XformCache for all times, emptied when the stage is edited."""

    def __init__(self, stage: Usd.Stage) -> None:
        from pxr import Tf, Usd, UsdGeom

        self._cache: UsdGeom.XformCache = UsdGeom.XformCache()
        self.version = 0
        """Counts the edits that were noticed; what was kept of another version may be wrong."""
        edited: list[bool] = []
        self._edited = edited  # the callback holds the list, not this object, which can then be let go
        self._notice: Any = Tf.Notice.Register(
            Usd.Notice.ObjectsChanged, lambda notice, sender: edited.append(True), stage
        )

    def at(self, time: Usd.TimeCode) -> UsdGeom.XformCache:
        """Return the cache at a time; it holds until the next call."""
        if self._edited:
            self._edited.clear()
            self._cache.Clear()
            self.version += 1
        self._cache.SetTime(time)
        return self._cache

    def close(self) -> None:
        """Stop listening; safe to call twice."""
        if self._notice is not None:
            self._notice.Revoke()
            self._notice = None


def world_rows(cache: Any, prims: list[Usd.Prim]) -> np.ndarray:
    """Return prim space to world of each prim at the cache's time, row vectors, stage units, float64 [K, 4, 4]."""
    from pxr import Vt

    rows = Vt.Matrix4dArray(list(map(cache.GetLocalToWorldTransform, prims)))
    return np.array(rows, np.float64).reshape(-1, 4, 4)


def may_move(prim: Usd.Prim) -> bool:
    """Return whether the world transform of a prim may change with time."""
    from pxr import UsdGeom

    while prim and not prim.IsPseudoRoot():
        if prim.IsA(UsdGeom.Xformable) and UsdGeom.Xformable(prim).TransformMightBeTimeVarying():
            return True
        prim = prim.GetParent()
    return False


__all__ = ["Transforms", "may_move", "world_rows"]
