"""From a clip to its control videos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.controls.palette import PALETTE_NAME, color_of, palette
from cosmos.bridge.controls.specs import (
    ControlSpec,
    DepthSpec,
    EdgeSpec,
    HdMapSpec,
    LidarSpec,
    SegSpec,
    VisSpec,
    default_specs,
)
from cosmos.bridge.errors import ControlError
from cosmos.bridge.types import Clip, ControlKind, ControlSignal, ControlSignals, UpAxis

if TYPE_CHECKING:
    import warp as wp

_NEEDS = {
    ControlKind.EDGE: "rgb",
    ControlKind.DEPTH: "depth",
    ControlKind.SEG: "instance_ids",
    ControlKind.VIS: "rgb",
    ControlKind.HDMAP: "hdmap",
    ControlKind.LIDAR: "lidar",
}
_SHADE_LIGHT: dict[UpAxis, tuple[float, float, float]] = {"Z": (0.45, 0.3, 0.84), "Y": (0.45, 0.84, 0.3)}


def available_kinds(clip: Clip) -> tuple[ControlKind, ...]:
    """The kinds that ``derive_controls`` can make from the buffers this clip has."""
    return tuple(kind for kind, buffer in _NEEDS.items() if getattr(clip, buffer) is not None)


def derive_controls(
    clip: Clip, specs: Optional[Iterable[ControlSpec]] = None, kinds: Optional[Iterable[ControlKind | str]] = None
) -> ControlSignals:
    """Make the control videos of a clip, on the clip's device.

    Args:
        clip: Rendered clip; rgb makes edge and vis, depth makes depth, instance_ids makes seg; hdmap and lidar are
                taken as they are.
        specs: How to make them, at most one a kind; ``None`` is ``default_specs()``.
        kinds: Which to make; ``None`` makes one for each spec. A kind without a spec gets its default.

    Raises:
        ControlError: If the clip lacks a buffer, a kind cannot be derived or comes twice, or a setting is wrong.
    """
    chosen: dict[ControlKind, ControlSpec] = {}
    for spec in default_specs() if specs is None else specs:
        if spec.kind in chosen:
            raise ControlError(f"derive_controls takes one spec a kind, got two for {spec.kind}; leave one out.")
        chosen[spec.kind] = spec
    if kinds is not None:
        defaults = {spec.kind: spec for spec in (*default_specs(), HdMapSpec(), LidarSpec())}
        wanted = [_known_kind(kind) for kind in kinds]
        chosen = {kind: chosen.get(kind) or defaults[kind] for kind in wanted}
    return ControlSignals(signals=tuple(_derive(clip, spec) for spec in chosen.values()))


def _known_kind(kind: ControlKind | str) -> ControlKind:
    if str(kind) not in {str(known) for known in _NEEDS}:
        raise ControlError(
            f"derive_controls can make {[str(known) for known in _NEEDS]}, got {str(kind)!r}; name one of them."
        )
    return ControlKind(str(kind))


def _derive(clip: Clip, spec: ControlSpec) -> ControlSignal:
    _buffer(clip, _NEEDS[spec.kind], str(spec.kind))
    make: Callable[[Clip, Any], tuple[wp.array, dict[str, Any]]] = _MAKERS[spec.kind]
    try:
        video, settings = make(clip, spec)
    except ValueError as error:
        raise ControlError(f"The {spec.kind} control cannot be made: {error}") from error
    return ControlSignal(kind=spec.kind, video=video, settings=settings)


def _buffer(clip: Clip, name: str, wanted_by: str) -> wp.array:
    buffer = getattr(clip, name)
    if buffer is None:
        raise ControlError(
            f"The {wanted_by} control needs the clip's {name}, which its source did not give; "
            f"read {name} as well, or leave {wanted_by} out."
        )
    return buffer


def _make_edge(clip: Clip, spec: EdgeSpec) -> tuple[wp.array, dict[str, Any]]:
    from cosmos.bridge.kernels.edges import edge_thresholds, edges_to_control

    low, high = edge_thresholds(spec.preset, spec.low, spec.high)
    video = edges_to_control(clip.rgb, preset=spec.preset, low=spec.low, high=spec.high)
    return video, {"preset": spec.preset if spec.low is None else "custom", "low": low, "high": high}


def _make_depth(clip: Clip, spec: DepthSpec) -> tuple[wp.array, dict[str, Any]]:
    from cosmos.bridge.kernels.depth import depth_range, depth_to_control

    settings: dict[str, Any] = {"mapping": "inverse", "range": "fixed", "near": spec.near, "far": spec.far}
    if spec.near is None and spec.far is None:
        limits = depth_range(clip.depth)
        near, far = limits if limits is not None else (None, None)
        settings = {"mapping": "inverse", "range": "clip", "near": near, "far": far}
    return depth_to_control(clip.depth, near=spec.near, far=spec.far), settings


def _make_seg(clip: Clip, spec: SegSpec) -> tuple[wp.array, dict[str, Any]]:
    from cosmos.bridge.kernels.segmentation import ids_to_control, shade_control

    if spec.mapping:
        ids = _buffer(clip, "semantic_ids", "seg with a mapping")
        video = ids_to_control(ids, _mapped_colors(clip, spec.mapping))
    else:
        colors = {key: color_of(instance.prim_path) for key, instance in clip.instances.items()}
        video = ids_to_control(clip.instance_ids, colors, others=palette())
    if spec.shaded:
        normals = _buffer(clip, "normals", "shaded seg")
        shade_control(video, normals, light=_SHADE_LIGHT[clip.up_axis])
    used = {"mapping": {label: list(color) for label, color in spec.mapping.items()}} if spec.mapping else {}
    return video, {"palette": "mapping" if used else PALETTE_NAME, "shaded": spec.shaded, **used}


def _mapped_colors(clip: Clip, mapping: Mapping[str, tuple[int, int, int]]) -> dict[int, tuple[int, int, int]]:
    """Return the colour of each semantic id that a mapping names; a label may be one of several, split by commas.

    Raises:
        ControlError: If a label never occurs.
    """
    named = {label if ":" in label else f"class:{label}": color for label, color in mapping.items()}
    colors: dict[int, tuple[int, int, int]] = {}
    missing = dict.fromkeys(named)
    there: set[str] = set()
    for key, labels in clip.labels.items():
        for taxonomy, text in labels.items():
            for label in (f"{taxonomy}:{part.strip()}" for part in text.split(",")):
                there.add(label)
                missing.pop(label, None)
                if label in named and key > 1:
                    colors.setdefault(key, named[label])
    if missing and not colors:
        raise ControlError(
            f"No label of the seg mapping occurs in the clip ({', '.join(missing)}); it has {', '.join(sorted(there))}."
        )
    return colors


def _make_vis(clip: Clip, spec: VisSpec) -> tuple[wp.array, dict[str, Any]]:
    from dataclasses import asdict

    from cosmos.bridge.kernels.blur import BLUR_PRESETS, blur_to_control

    video = blur_to_control(clip.rgb, preset=spec.preset)
    return video, {"preset": spec.preset, **asdict(BLUR_PRESETS[spec.preset])}


def _take(clip: Clip, spec: HdMapSpec | LidarSpec) -> tuple[wp.array, dict[str, Any]]:
    return getattr(clip, _NEEDS[spec.kind]), {"drawn_by": "source"}


_MAKERS: dict[ControlKind, Callable[..., tuple[wp.array, dict[str, Any]]]] = {
    ControlKind.EDGE: _make_edge,
    ControlKind.DEPTH: _make_depth,
    ControlKind.SEG: _make_seg,
    ControlKind.VIS: _make_vis,
    ControlKind.HDMAP: _take,
    ControlKind.LIDAR: _take,
}


__all__ = ["available_kinds", "derive_controls"]
