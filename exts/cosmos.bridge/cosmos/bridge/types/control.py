"""What steers Transfer: control videos, and how strongly each acts where and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    import warp as wp


class ControlKind(str, Enum):
    """The modalities that Transfer models know."""

    EDGE = "edge"
    """Canny edges of the picture."""
    DEPTH = "depth"
    """Inverse depth, near is bright."""
    SEG = "seg"
    """A colour an instance."""
    VIS = "vis"
    """The picture, blurred; Cosmos 3 calls it blur."""
    HDMAP = "hdmap"
    """Projected lanes, poles and boxes."""
    LIDAR = "lidar"
    """A range image."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ControlSignal:
    """One control video."""

    kind: ControlKind
    """What it shows."""
    video: wp.array
    """uint8, shape [T, H, W, 3]."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How it was made (preset, thresholds, near and far [m]); plain values, recorded in the manifest."""

    def __post_init__(self) -> None:
        shape, dtype = tuple(self.video.shape), getattr(self.video.dtype, "__name__", str(self.video.dtype))
        if len(shape) != 4 or shape[3] != 3 or dtype != "uint8":
            raise ValueError(f"ControlSignal.video must be uint8 [T, H, W, 3], got {dtype} {list(shape)}.")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ControlSignals:
    """The control videos of one clip, at most one a kind, all of one shape."""

    signals: tuple[ControlSignal, ...]
    """In the order of ControlKind."""

    def __post_init__(self) -> None:
        kinds = [signal.kind for signal in self.signals]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"ControlSignals holds at most one video a kind, got {[str(kind) for kind in kinds]}.")
        if len({tuple(signal.video.shape) for signal in self.signals}) > 1:
            shapes = {str(signal.kind): list(signal.video.shape) for signal in self.signals}
            raise ValueError(f"ControlSignals must share one shape, got {shapes}.")
        order = list(ControlKind)
        object.__setattr__(self, "signals", tuple(sorted(self.signals, key=lambda signal: order.index(signal.kind))))

    def __iter__(self) -> Iterator[ControlSignal]:
        return iter(self.signals)

    def __contains__(self, kind: ControlKind) -> bool:
        return any(signal.kind == kind for signal in self.signals)

    def __getitem__(self, kind: ControlKind) -> ControlSignal:
        for signal in self.signals:
            if signal.kind == kind:
                return signal
        raise KeyError(f"No {kind} control here; there is {[str(signal.kind) for signal in self.signals]}.")

    @property
    def kinds(self) -> tuple[ControlKind, ...]:
        """The kinds that are present."""
        return tuple(signal.kind for signal in self.signals)


Weight = Union[float, "wp.array"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ControlWeights:
    """How strongly each control steers Transfer; 0 leaves it out.

    A weight is a number in [0, 1], or a map, float32 in [0, 1], shape [T, H, W]. Where the weights of one site
    sum to more than 1 they are divided by their sum (``cosmos.bridge.controls.cap_weights``); below 1 they stay.
    """

    edge: Weight = 0.0
    """Weight of the Canny edges."""
    depth: Weight = 0.0
    """Weight of the depth video."""
    seg: Weight = 0.0
    """Weight of the instance colours."""
    vis: Weight = 0.0
    """Weight of the blurred picture: 1 keeps the appearance."""
    hdmap: Weight = 0.0
    """Weight of the map projection."""
    lidar: Weight = 0.0
    """Weight of the range image."""

    def __post_init__(self) -> None:
        maps = {}
        for kind, weight in self.items():
            if isinstance(weight, (int, float)):
                if not 0.0 <= weight <= 1.0:
                    raise ValueError(f"ControlWeights.{kind} must lie in [0, 1], got {weight!r}.")
            elif len(weight.shape) != 3 or getattr(weight.dtype, "__name__", "") != "float32":
                raise ValueError(
                    f"ControlWeights.{kind} must be a number or a float32 map [T, H, W], "
                    f"got {weight.dtype} {list(weight.shape)}."
                )
            else:
                maps[str(kind)] = tuple(weight.shape)
        if len(set(maps.values())) > 1:
            raise ValueError(f"ControlWeights maps must share one shape, got {maps}.")

    def items(self) -> Iterator[tuple[ControlKind, Weight]]:
        """Each kind with its weight."""
        for item in fields(self):
            yield ControlKind(item.name), getattr(self, item.name)

    def __getitem__(self, kind: ControlKind) -> Weight:
        return getattr(self, str(kind))

    @property
    def kinds(self) -> tuple[ControlKind, ...]:
        """The kinds that have a map or a weight above 0."""
        return tuple(kind for kind, weight in self.items() if not isinstance(weight, (int, float)) or weight > 0.0)


__all__ = ["ControlKind", "ControlSignal", "ControlSignals", "ControlWeights", "Weight"]
