"""How each control is made: one frozen spec a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Optional, Union

from cosmos.bridge.types import ControlKind


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeSpec:
    """Canny edges of the picture."""

    kind: ClassVar[ControlKind] = ControlKind.EDGE

    preset: str = "medium"
    """none, very_low, low, medium, high or very_high: the higher, the fewer edges."""
    low: Optional[float] = None
    """Gradient above which a line goes on; replaces the preset, together with ``high``."""
    high: Optional[float] = None
    """Gradient above which a line starts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthSpec:
    """Inverse depth, near is bright."""

    kind: ClassVar[ControlKind] = ControlKind.DEPTH

    near: Optional[float] = None
    """Depth drawn white [m]; ``None`` together with ``far`` takes the range of the whole clip."""
    far: Optional[float] = None
    """Depth drawn black [m]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SegSpec:
    """A colour an instance."""

    kind: ClassVar[ControlKind] = ControlKind.SEG

    shaded: bool = False
    """Darken surfaces that turn away from a fixed light, so that form shows; needs normals."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VisSpec:
    """The picture, blurred."""

    kind: ClassVar[ControlKind] = ControlKind.VIS

    preset: str = "medium"
    """very_low, low, medium, high or very_high."""


ControlSpec = Union[EdgeSpec, DepthSpec, SegSpec, VisSpec]


def default_specs() -> tuple[ControlSpec, ...]:
    """One spec for each kind that can be derived, with the settings Transfer was trained on."""
    return EdgeSpec(), DepthSpec(), SegSpec(), VisSpec()


__all__ = ["ControlSpec", "DepthSpec", "EdgeSpec", "SegSpec", "VisSpec", "default_specs"]
