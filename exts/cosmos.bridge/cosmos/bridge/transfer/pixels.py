"""Do the pixels of a control show what its name says? A wrong one would steer a model without a word."""

from __future__ import annotations

import numpy as np

from cosmos.bridge.errors import ModelError
from cosmos.bridge.types import ControlKind, ControlSignal

_GREY_SPREAD = 24
"""Most that the channels of a grey pixel may differ, which lossy video makes them do [levels]."""
_SHARE = 0.98
"""Share of the pixels that must comply."""
_COLORS = 1024
"""Most colours of a segmentation, in steps of 8 levels a channel; a natural picture fills more."""


def check_pixels(signal: ControlSignal) -> None:
    """Refuse a control whose pixels cannot be what its kind says.

    Looks at the first, the middle and the last frame. Edges are black and white, depth is grey, instance colours are
    few or flat and not all grey; a blurred picture may be anything.

    Raises:
        ModelError: If they are something else; the sentence says what they look like.
    """
    frames = signal.video.shape[0]
    shown = np.stack([signal.video[index].numpy() for index in sorted({0, frames // 2, frames - 1})]).astype(np.int16)
    fault = _FAULTS.get(signal.kind)
    seen = fault(shown) if fault is not None else ""
    if seen:
        raise ModelError(f"The {signal.kind} control {seen}; give the video that its name says, or the right name.")


def _edge_fault(shown: np.ndarray) -> str:
    level = shown.mean(axis=-1)
    between = (level > 64) & (level < 192)
    if _grey_share(shown) < _SHARE:
        return "has colours, but edges are white on black"
    if between.mean() > 0.25:
        return "has grey areas, as depth has, but edges are white on black"
    return ""


def _depth_fault(shown: np.ndarray) -> str:
    return "has colours, but depth is grey" if _grey_share(shown) < _SHARE else ""


def _seg_fault(shown: np.ndarray) -> str:
    grey = _grey_share(shown)
    levels = len(np.unique(shown.mean(axis=-1).astype(np.int16) // 8))
    if grey > 0.999 and levels > 2:
        return "is a grey gradient, as depth is, but instances have colours"
    flat = np.abs(np.diff(shown, axis=2)).max(axis=-1) <= 8
    red, green, blue = np.moveaxis(shown.astype(np.int32) // 8, -1, 0)
    colors = len(np.unique((red << 10) | (green << 5) | blue))
    if colors > _COLORS and flat.mean() < 0.5:
        return f"has {colors} colours and few flat areas, as a picture has, but an instance has one colour"
    return ""


def _grey_share(shown: np.ndarray) -> float:
    return float(((shown.max(axis=-1) - shown.min(axis=-1)) <= _GREY_SPREAD).mean())


_FAULTS = {ControlKind.EDGE: _edge_fault, ControlKind.DEPTH: _depth_fault, ControlKind.SEG: _seg_fault}

__all__ = ["check_pixels"]
