"""What the stage sink must know of the user's stage, so that it need not hold the stage itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from cosmos.bridge.errors import SinkError

_METADATA = ("startTimeCode", "endTimeCode", "kilogramsPerUnit", "colorConfiguration", "renderSettingsPrimPath")

PrimKind = Literal["missing", "prim", "proxy"]


@dataclass(frozen=True, kw_only=True, slots=True)
class StageFacts:
    """A stage in plain values: readable on any thread while an application edits the stage itself."""

    path: str
    """File or URL of its root layer."""
    metres_per_unit: float
    """Metres in one unit."""
    up_axis: Literal["Y", "Z"]
    """World axis that points up."""
    time_codes_per_second: float
    """Rate of its time codes."""
    frames_per_second: float
    """Rate it asks to be played at."""
    default_prim: str
    """Name of the default prim, or of the first; empty for an empty stage."""
    roots: frozenset[str]
    """Names of its root prims."""
    cameras: Mapping[str, PrimKind] = field(default_factory=dict)
    """Camera path -> whether it is there, and whether it lies within an instance; paths left out are missing."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Metadata of the root layer that a layer over it must repeat."""

    @classmethod
    def of(cls, stage: Any, path: str, cameras: Iterable[str] = ()) -> StageFacts:
        """Read an open stage, on the thread that may.

        Args:
            stage: A Usd.Stage.
            path: File or URL of its root layer.
            cameras: Paths of the cameras that clips will come from.
        """
        from pxr import UsdGeom

        root = stage.GetRootLayer().pseudoRoot
        children = stage.GetPseudoRoot().GetChildren()
        default = stage.GetDefaultPrim() or next(iter(children), None)
        return cls(
            path=path,
            metres_per_unit=UsdGeom.GetStageMetersPerUnit(stage),
            up_axis="Y" if str(UsdGeom.GetStageUpAxis(stage)) == "Y" else "Z",
            time_codes_per_second=stage.GetTimeCodesPerSecond(),
            frames_per_second=stage.GetFramesPerSecond(),
            default_prim=default.GetName() if default else "",
            roots=frozenset(prim.GetName() for prim in children),
            cameras={camera: prim_kind(stage, camera) for camera in cameras},
            metadata={key: root.GetInfo(key) for key in _METADATA if root.HasInfo(key)},
        )


def prim_kind(stage: Any, path: str) -> PrimKind:
    """Return whether there is a prim at a path of an open stage, and whether it lies within an instance."""
    from pxr import Sdf

    prim = stage.GetPrimAtPath(path) if Sdf.Path.IsValidPathString(path) else None
    if not prim:
        return "missing"
    return "proxy" if prim.IsInstanceProxy() else "prim"


def open_stage(path: str) -> Any:
    """Open the user's stage for reading.

    Raises:
        SinkError: If it is no USD stage.
    """
    from pxr import Tf, Usd

    try:
        return Usd.Stage.Open(path)
    except Tf.ErrorException as error:
        raise SinkError(f"{path} cannot be opened as a USD stage; give the stage that was rendered.") from error


__all__ = ["PrimKind", "StageFacts", "open_stage", "prim_kind"]
