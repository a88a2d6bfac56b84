"""Control signals: from a clip to its control videos, and where and when each acts."""

from cosmos.bridge.controls.derive import available_kinds, derive_controls
from cosmos.bridge.controls.palette import PALETTE_NAME, color_of, palette
from cosmos.bridge.controls.specs import (
    Area,
    ControlSpec,
    DepthSpec,
    EdgeSpec,
    HdMapSpec,
    Keys,
    LidarSpec,
    Region,
    SegSpec,
    VisSpec,
    WeightSpec,
    default_specs,
)
from cosmos.bridge.controls.weights import build_weights, cap_weights, weights_to_tokens

__all__ = [
    "PALETTE_NAME",
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
    "available_kinds",
    "build_weights",
    "cap_weights",
    "color_of",
    "default_specs",
    "derive_controls",
    "palette",
    "weights_to_tokens",
]
