"""What is asked of the controls: how each is made, one frozen spec a kind, and where and when each acts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Optional, Union

import numpy as np

from cosmos.bridge.types import ControlKind


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeSpec:
    """Canny edges of the picture."""

    kind: ClassVar[ControlKind] = ControlKind.EDGE

    preset: Literal["none", "very_low", "low", "medium", "high", "very_high"] = "medium"
    """The higher, the fewer edges."""
    low: Optional[float] = None
    """Gradient above which a line goes on; replaces the preset, together with ``high``."""
    high: Optional[float] = None
    """Gradient above which a line starts."""

    def __post_init__(self) -> None:
        if (self.low is None) != (self.high is None):
            raise ValueError(f"EdgeSpec needs low and high, or neither, got low={self.low}, high={self.high}.")
        if self.low is not None and self.high is not None and not 0.0 <= self.low <= self.high:
            raise ValueError(f"EdgeSpec needs 0 <= low <= high, got low={self.low}, high={self.high}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthSpec:
    """Inverse depth, near is bright."""

    kind: ClassVar[ControlKind] = ControlKind.DEPTH

    near: Optional[float] = None
    """Depth drawn white [m]; ``None`` together with ``far`` takes the range of the whole clip."""
    far: Optional[float] = None
    """Depth drawn black [m]."""

    def __post_init__(self) -> None:
        if (self.near is None) != (self.far is None):
            raise ValueError(f"DepthSpec needs near and far, or neither, got near={self.near}, far={self.far}.")
        if self.near is not None and self.far is not None and not 0.0 < self.near < self.far < float("inf"):
            raise ValueError(f"DepthSpec needs 0 < near < far [m], got near={self.near}, far={self.far}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class SegSpec:
    """A colour an instance."""

    kind: ClassVar[ControlKind] = ControlKind.SEG

    shaded: bool = False
    """Darken surfaces that turn away from a fixed light, so that form shows; needs normals."""
    mapping: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)
    """Label, ``car`` or ``taxonomy:car``, -> its colour ``(r, g, b)``: then a colour a class, not an instance, and what
    is not named is black, as Replicator's ``segmentation_mapping`` has it."""

    def __post_init__(self) -> None:
        for label, color in self.mapping.items():
            if not all(0 <= part <= 255 for part in color):
                raise ValueError(f"SegSpec.mapping needs colours in 0..255, got {label!r}: {tuple(color)}.")


@dataclass(frozen=True, kw_only=True, slots=True)
class VisSpec:
    """The picture, blurred."""

    kind: ClassVar[ControlKind] = ControlKind.VIS

    preset: Literal["very_low", "low", "medium", "high", "very_high"] = "medium"
    """The higher, the more blur."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HdMapSpec:
    """Lanes, poles and boxes as the source draws them."""

    kind: ClassVar[ControlKind] = ControlKind.HDMAP


@dataclass(frozen=True, kw_only=True, slots=True)
class LidarSpec:
    """LiDAR points as the source draws them."""

    kind: ClassVar[ControlKind] = ControlKind.LIDAR


ControlSpec = Union[EdgeSpec, DepthSpec, SegSpec, VisSpec, HdMapSpec, LidarSpec]


def default_specs() -> tuple[ControlSpec, ...]:
    """One spec for each kind that can be derived from any clip, with the settings Transfer was trained on."""
    return EdgeSpec(), DepthSpec(), SegSpec(), VisSpec()


Keys = tuple[tuple[int, float], ...]
"""Key frames in time: (frame, value in [0, 1]), ascending; linear in between, constant outside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """A part of the picture.

    ``classes``, ``prims`` and ``instances`` add up; ``box`` and ``mask`` cut away from that, or from the whole
    picture where none of the three is given. Each class, prim and instance must occur in the clip.
    """

    classes: tuple[str, ...] = ()
    """Semantic labels, of any taxonomy."""
    prims: tuple[str, ...] = ()
    """Globs on prim paths; each means the prims it matches and everything below them."""
    instances: tuple[int, ...] = ()
    """Instance ids."""
    box: Optional[tuple[float, float, float, float]] = None
    """``(x0, y0, x1, y1)`` [px], or in [0, 1] of width and height where ``normalized``."""
    normalized: bool = False
    """Whether ``box`` is in fractions of the picture."""
    mask: Optional[str] = None
    """File, .npy, picture or video, of the clip's size; white applies fully."""
    mask_array: Optional[np.ndarray] = field(default=None, compare=False, repr=False)
    """The mask itself, bool, uint8, uint16 or float, shape [H, W] or [T, H, W]; instead of ``mask``."""

    def __post_init__(self) -> None:
        _check_area("Area", self)


@dataclass(frozen=True, kw_only=True, slots=True)
class Region(Area):
    """A part of the picture with weights of its own."""

    edge: Optional[float] = None
    """Weight of the Canny edges inside, in [0, 1]; ``None`` leaves it as it is around the region."""
    depth: Optional[float] = None
    """Weight of the depth video inside."""
    seg: Optional[float] = None
    """Weight of the instance colours inside."""
    vis: Optional[float] = None
    """Weight of the blurred picture inside."""
    hdmap: Optional[float] = None
    """Weight of the map projection inside."""
    lidar: Optional[float] = None
    """Weight of the range image inside."""
    keys: Keys = ()
    """Key frames of how much of the region applies; none applies it fully throughout."""

    def __post_init__(self) -> None:
        targets = [getattr(self, str(kind)) for kind in ControlKind]
        if all(target is None for target in targets):
            kinds = ", ".join(str(kind) for kind in ControlKind)
            raise ValueError(f"Region needs a weight for at least one of {kinds}, got none.")
        _check_weights("Region", self)
        _check_keys("Region.keys", self.keys)
        _check_area("Region", self)


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightSpec:
    """How strongly each control acts, where and when: a weight for everywhere, then regions on top, then a fade."""

    edge: float = 0.0
    """Weight of the Canny edges outside all regions, in [0, 1]."""
    depth: float = 0.0
    """Weight of the depth video."""
    seg: float = 0.0
    """Weight of the instance colours."""
    vis: float = 0.0
    """Weight of the blurred picture."""
    hdmap: float = 0.0
    """Weight of the map projection."""
    lidar: float = 0.0
    """Weight of the range image."""
    regions: tuple[Region, ...] = ()
    """Parts with other weights; a later one lies on top of an earlier one."""
    keys: Keys = ()
    """Key frames of a factor on all weights, regions included."""

    def __post_init__(self) -> None:
        _check_weights("WeightSpec", self)
        _check_keys("WeightSpec.keys", self.keys)


def _check_area(owner: str, area: Area) -> None:
    box = area.box
    if area.mask is not None and area.mask_array is not None:
        raise ValueError(f"{owner} takes mask or mask_array, got both; leave one out.")
    if box is not None and not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError(f"{owner}.box must be (x0, y0, x1, y1) with x0 < x1 and y0 < y1, got {box}.")
    if area.normalized and box is not None and not all(0.0 <= edge <= 1.0 for edge in box):
        raise ValueError(f"{owner}.box must lie in [0, 1] where normalized, got {box}.")


def _check_weights(owner: str, spec: Union[Region, WeightSpec]) -> None:
    for kind in ControlKind:
        weight = getattr(spec, str(kind))
        if weight is not None and not 0.0 <= weight <= 1.0:
            raise ValueError(f"{owner}.{kind} must lie in [0, 1], got {weight!r}.")


def _check_keys(owner: str, keys: Sequence[tuple[int, float]]) -> None:
    frames = [frame for frame, _ in keys]
    if frames != sorted(set(frames)) or any(frame < 0 for frame in frames):
        raise ValueError(f"{owner} needs frames >= 0 in ascending order, got {frames}.")
    if not all(0.0 <= value <= 1.0 for _, value in keys):
        raise ValueError(f"{owner} needs values in [0, 1], got {[value for _, value in keys]}.")


__all__ = [
    "Area",
    "ControlSpec",
    "DepthSpec",
    "EdgeSpec",
    "HdMapSpec",
    "Keys",
    "LidarSpec",
    "Region",
    "SegSpec",
    "VisSpec",
    "WeightSpec",
    "default_specs",
]
