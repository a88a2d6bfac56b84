"""The light of a clip's stage under another look: what a relit picture, a white ball and a mirror ball would show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Protocol

from cosmos.bridge.types.look import Look

if TYPE_CHECKING:
    import warp as wp

FALLING_SHAPE = (5, 18, 32)
"""Layers, rows and columns of `LightMaps.falling`."""
FALLING_FIRST, FALLING_RATIO = 1.8, 1.75
"""Depth of the first layer of `LightMaps.falling` [m], and how many times as deep each next one is."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PixelEdges:
    """The pixels of a picture that hold an edge, K of them, and what the S samples of each show.

    Pixels are numbered row by row: ``y W + x``.
    """

    pixels: wp.array
    """Their numbers, each once, int32, shape [K]."""
    lenders: wp.array
    """Of each sample the number of a pixel, it or one beside it, whose centre shows the same surface; -2 - k where its
    earlier sample k shows the same, and -1 where nobody does, int32, shape [K, S]."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class LightMaps:
    """Light at every pixel of one frame, all exposed alike. Borrows memory that is valid until the probe's next maps.

    On film sets a white and a mirror ball are held into the scene for the same end (Debevec 1998).
    """

    relit: wp.array
    """The frame's own matter under the light and in the air of the look, sRGB, uint8, shape [H, W, 3]. Light of
    lamps that the air scatters is left out here and in the others: ``glow`` tells it."""
    white: wp.array
    """What a matt white surface would show there, as uneven as snow where that falls, sRGB, uint8, shape [H, W, 3];
    black where nothing is met."""
    mirror: wp.array
    """What a mirror would show there, sRGB, uint8, shape [H, W, 3]; black where nothing is met or no rain falls."""
    air: wp.array
    """What the air before it adds, sRGB, and which share of light it lets pass, uint8, shape [H, W, 4]; the sky and 0
    where nothing is met."""
    glow: wp.array
    """Light that haze scatters from lamps towards the camera, as the sRGB level of ``x / (1 + x)`` for a radiance ``x``
    exposed as all else and before the tone curve, uint8, shape [H, W, 3]; black where none glows."""
    open: wp.array
    """Which share of what falls from the sky arrives there and, of snow, stays on the facet, uint8, shape [H, W]; 0
    where no rain or snow falls."""
    falling: wp.array
    """Which share of what falls is in the air before the camera, uint8, shape ``FALLING_SHAPE``: layers that lie
    ``FALLING_FIRST`` times powers of ``FALLING_RATIO`` deep [m], each in cells of the picture; 0 where neither rain nor
    snow falls."""
    edges: Optional[PixelEdges] = None
    """Where ``relit`` is mixed from samples; ``None`` where nobody knows, as where clear things stand before others."""


class LightProbe(Protocol):
    """Tells the light of a clip's frames under any look."""

    def light(self, frame: int, look: Look) -> LightMaps:
        """Return the maps of a frame.

        Args:
            frame: Index of the frame in the clip.
            look: Time of day and air; what weather does to surfaces (wetness, snow, wear) is left out.

        Raises:
            SourceError: If the probe is closed.
        """
        ...

    def close(self) -> None:
        """Release what the probe holds; safe to call twice."""
        ...


__all__ = ["FALLING_FIRST", "FALLING_RATIO", "FALLING_SHAPE", "LightMaps", "LightProbe", "PixelEdges"]
