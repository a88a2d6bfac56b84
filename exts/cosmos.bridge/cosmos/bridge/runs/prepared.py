"""What the clips of a camera are made from: its source as the config names it, read once, its controls and weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from cosmos.bridge.config import BridgeConfig
from cosmos.bridge.runs.clock import Clock
from cosmos.bridge.runs.fit import weighted_kinds
from cosmos.bridge.runs.opened import OpenSource
from cosmos.bridge.sources.base import FrameSource, read_clip
from cosmos.bridge.types import EXTRA_BUFFERS, Clip, ControlSignals, ControlWeights, Progress

if TYPE_CHECKING:
    import warp as wp


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prepared:
    """A clip of a camera with what steers it."""

    clip: Clip
    """The simulated clip; whoever prepared it closes it."""
    controls: ControlSignals
    """Its controls."""
    weights: ControlWeights
    """Their weights in a first attempt."""
    preserve: Optional[wp.array]
    """Where the source stays as it is, float32 in [0, 1], shape [T, H, W]; ``None`` for nowhere."""


def prepare(config: BridgeConfig, source: FrameSource, clock: Clock, progress: Progress) -> Prepared:
    """Read a source once, close it, and make its controls and weights.

    Args:
        config: Which controls and weights, and what is preserved.
        source: Source of one camera; closed, whatever happens.
        clock: Measures reading and deriving.
        progress: Told each step.

    Raises:
        SourceError: If the frames cannot be read.
        ControlError: If a control cannot be derived from them.
    """
    from cosmos.bridge.controls import derive_controls
    from cosmos.bridge.controls.regions import region_coverage
    from cosmos.bridge.controls.weights import build_weights

    with clock("read"):
        try:
            clip = read_clip(source, progress)
        finally:
            source.close()
    with clock("derive"):
        weights = default_weights(clip) if config.weights is None else build_weights(clip, config.weights)
        controls = derive_controls(clip, specs=config.controls.specs(), kinds=weights.kinds)
        area = config.preserve
        preserve = None if area is None else region_coverage(clip, area, "preserve")
    return Prepared(clip=clip, controls=controls, weights=weights, preserve=preserve)


def default_weights(clip: Clip) -> ControlWeights:
    """Return the weights for a user who named none: edge and depth half each, vis where there is no depth."""
    return ControlWeights(edge=0.5, vis=0.5) if clip.depth is None else ControlWeights(edge=0.5, depth=0.5)


def source_of(config: BridgeConfig) -> OpenSource:
    """Return what opens the source that a config names, drawn as it says."""

    def open_named(camera: Optional[str]) -> FrameSource:
        from cosmos.bridge.sources import open_source

        drawing: dict[str, Any] = {}
        if config.quality == "reference":
            drawing = {
                "quality": "reference",
                "samples": config.samples,
                "seed": config.seed,
                "denoise": config.denoise,
            }
        return open_source(
            config.source,
            camera=camera,
            frames=config.frames,
            size=config.size,
            device=None if config.offload.placement == "batch" else config.device,  # that host's is not known here
            look=config.look,
            untrusted=config.untrusted or None,
            lit_by=config.lit_by or None,
            **drawing,
            **_drawn_besides(config),
        )

    return open_named


def _drawn_besides(config: BridgeConfig) -> dict[str, Any]:
    """Return what the source must draw for the controls that cannot be derived from its buffers."""
    from cosmos.bridge.sources import STAGE_ENDINGS

    kinds = tuple(kind for kind in weighted_kinds(config.weights) if kind in EXTRA_BUFFERS)
    if not kinds:
        return {}
    if Path(config.source).suffix.lower() not in STAGE_ENDINGS:
        return {"controls": kinds}  # recorded pictures are as they are
    styles = {"lidar": config.controls.lidar, "hdmap": config.controls.hdmap}
    return {"controls": kinds, **{kind: styles[kind] for kind in kinds}}


__all__ = ["Prepared", "default_weights", "prepare", "source_of"]
