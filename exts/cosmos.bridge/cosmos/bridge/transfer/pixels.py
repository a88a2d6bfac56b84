"""Do the pixels of a control show what its name says? A wrong one would steer a model without a word.

What tells the kinds apart, measured on our own scenes and after a lossy codec: edges are thin and white on black, depth
is grey in areas, instances are flat colours with hard borders, a blurred picture has no hard border at all, a map is
lines and boxes on black. A map under the name seg cannot be told from instances.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cosmos.bridge.errors import ModelError
from cosmos.bridge.types import ControlKind, ControlSignal

_SHARE = 0.98
"""Share of the pixels that must comply."""
_COLORS = 1024
"""Most colours of a segmentation, in steps of 8 levels a channel; a natural picture fills more."""
_BLOCK = 8
"""Side of the blocks that are looked at for flatness, as codecs cut them [px]."""


def check_pixels(signal: ControlSignal) -> None:
    """Refuse a control whose pixels cannot be what its kind says.

    Looks at the first, the middle and the last frame. Frames that are black all over pass.

    Raises:
        ModelError: If they are something else; the sentence says what they look like.
    """
    fault = _FAULTS.get(signal.kind)
    if fault is None:
        return
    frames = signal.video.shape[0]
    shown = np.stack([signal.video[index].numpy() for index in sorted({0, frames // 2, frames - 1})])
    seen = fault(_look(shown)) if shown.any() else ""
    if seen:
        raise ModelError(f"The {signal.kind} control {seen}; give the video that its name says, or the right name.")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Look:
    """What frames look like; shares are of all pixels unless said."""

    shown: np.ndarray
    """The frames, int16, shape [T, H, W, 3]."""
    grey: float
    """Share of pixels without colour, but for what a codec adds."""
    greyish: float
    """Share of pixels with little colour."""
    black: float
    """Share of black pixels."""
    middle: float
    """Share of pixels that are neither dark nor bright."""
    lit: float
    """Share of pixels that are not dark."""
    thick: float
    """Share of the lit pixels whose neighbours are all lit."""
    steps: float
    """Share of pixels that differ much from the next one in their row."""
    hard: float
    """Share of these steps that are one pixel wide, as no blur leaves them."""
    flat: float
    """Share of blocks of one colour."""
    textured: float
    """Share of blocks with small differences inside."""
    saturation: float
    """Mean saturation of lit pixels, in [0, 1]."""

    @property
    def lines(self) -> bool:
        """Whether they are thin white lines on black."""
        return self.grey > _SHARE and self.lit > 0.005 and self.middle < 0.1 * self.lit and self.thick < 0.34

    @property
    def bordered(self) -> bool:
        """Whether there are borders that no blurred picture has."""
        return self.steps > 0.002 and self.hard > 0.05

    @property
    def smooth(self) -> bool:
        """Whether there are no such borders, nor many that a codec softened."""
        return not self.bordered and self.steps < 0.02

    def colors(self) -> int:
        """Count the colours in steps of 8 levels a channel."""
        red, green, blue = np.moveaxis(self.shown.astype(np.int32) // 8, -1, 0)
        return int(np.count_nonzero(np.bincount(((red << 10) | (green << 5) | blue).ravel())))

    def levels(self) -> int:
        """Count the levels of grey in steps of 8."""
        return len(np.unique(self.shown.mean(axis=-1).astype(np.int16) // 8))


def _look(frames: np.ndarray) -> _Look:
    """Measure frames, uint8 [T, H, W, 3]; sides that are no multiple of a block repeat their last pixels."""
    rows, columns = (-side % _BLOCK for side in frames.shape[1:3])
    shown = np.pad(frames, ((0, 0), (0, rows), (0, columns), (0, 0)), mode="edge").astype(np.int16)
    brightest = shown.max(axis=-1)
    spread, level, lit = brightest - shown.min(axis=-1), shown.mean(axis=-1), brightest > 48
    step = np.abs(np.diff(shown, axis=2)).max(axis=-1)
    middle = step[:, :, 1:-1]
    big = middle > 24
    alone = big & (3 * np.maximum(step[:, :, :-2], step[:, :, 2:]) < middle)
    count, height, width = lit.shape
    blocks = shown.reshape(count, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, 3)
    ranges = (blocks.max(axis=(2, 4)) - blocks.min(axis=(2, 4))).max(axis=-1)
    return _Look(
        shown=shown,
        grey=float((spread <= 8).mean()),
        greyish=float((spread <= 24).mean()),
        black=float((brightest <= 16).mean()),
        middle=float(((level > 64) & (level < 192)).mean()),
        lit=float(lit.mean()),
        thick=float(_inner(lit).sum() / max(1, lit.sum())),
        steps=float(big.mean()),
        hard=float(alone.sum() / max(1, big.sum())),
        flat=float((ranges <= 4).mean()),
        textured=float(((ranges > 4) & (ranges <= 48)).mean()),
        saturation=float((spread[lit] / brightest[lit]).mean()) if lit.any() else 0.0,
    )


def _inner(lit: np.ndarray) -> np.ndarray:
    """Return where a pixel and its eight neighbours are lit; beyond the frame nothing is."""
    wide = np.pad(lit, ((0, 0), (1, 1), (1, 1)))
    rows = wide[:, :-2] & wide[:, 1:-1] & wide[:, 2:]
    return rows[:, :, :-2] & rows[:, :, 1:-1] & rows[:, :, 2:]


def _edge_fault(look: _Look) -> str:
    if look.greyish < _SHARE:
        return "has colours, but edges are white on black"
    if look.middle > 0.25 or look.thick > 0.6:
        return "has grey areas, as depth has, but edges are white lines on black"
    return ""


def _depth_fault(look: _Look) -> str:
    if look.grey < _SHARE:
        return "has colours, but depth is grey"
    return "is thin white lines on black, as edges are, but depth is areas of grey" if look.lines else ""


def _seg_fault(look: _Look) -> str:
    if look.lines:
        return "is thin white lines on black, as edges are, but instances are flat colours"
    if look.grey > 0.999 and look.levels() > 2:
        return "is a grey gradient, as depth is, but instances have colours"
    colors = look.colors()
    if look.smooth and colors > 64:
        return f"is smooth in {colors} colours, as a blurred picture is, but an instance has one colour"
    textured = look.flat < 0.2 and look.textured > 0.15 and look.saturation < 0.5
    if textured or (colors > _COLORS and look.flat < 0.1 and look.textured > 0.5):
        return f"has {colors} colours and few flat areas, as a picture has, but an instance has one colour"
    return ""


def _vis_fault(look: _Look) -> str:
    if not look.bordered:
        return ""
    if look.lines:
        return "is thin white lines on black, as edges are, but vis is a blurred picture"
    shows = "grey with hard borders, as depth is" if look.grey > 0.999 else "sharp, as instances and plain pictures are"
    return f"is {shows}, but vis is a blurred picture"


def _map_fault(look: _Look) -> str:
    if look.lines and look.lit > 0.05:
        return "is thin white lines on black, as edges are, but a map has colours"
    if look.grey > 0.999 and look.levels() > 4:
        return "is a grey gradient, as depth is, but a map has colours"
    return "fills the picture, but a map is lines and boxes on black" if look.black < 0.25 else ""


_FAULTS: Mapping[ControlKind, Callable[[_Look], str]] = {
    ControlKind.EDGE: _edge_fault,
    ControlKind.DEPTH: _depth_fault,
    ControlKind.SEG: _seg_fault,
    ControlKind.VIS: _vis_fault,
    ControlKind.HDMAP: _map_fault,
}

__all__ = ["check_pixels"]
