"""Control signals: from a clip to edge, depth, seg and vis videos, and where and when each acts."""

from cosmos.bridge.controls.derive import available_kinds, derive_controls
from cosmos.bridge.controls.palette import PALETTE_NAME, color_of, palette
from cosmos.bridge.controls.specs import ControlSpec, DepthSpec, EdgeSpec, SegSpec, VisSpec, default_specs

__all__ = [
    "PALETTE_NAME",
    "ControlSpec",
    "DepthSpec",
    "EdgeSpec",
    "SegSpec",
    "VisSpec",
    "available_kinds",
    "color_of",
    "default_specs",
    "derive_controls",
    "palette",
]
