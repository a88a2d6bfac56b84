"""From scene light to display light."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.srgb import LINEAR_OF_BYTE, linear_to_srgb

wp.set_module_options({"enable_backward": False})

_STEPS = wp.constant(4096)
"""Steps of the table of the sRGB curve."""


@wp.func
def luma(color: wp.vec3):
    """Brightness of a linear colour (ITU-R BT.709)."""
    return 0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2]


@wp.func
def aces(color: wp.vec3):
    """Scene-linear to display-linear: the ACES RRT and sRGB ODT as fitted by S. Hill (2016)."""
    r = 0.59719 * color[0] + 0.35458 * color[1] + 0.04823 * color[2]
    g = 0.07600 * color[0] + 0.90834 * color[1] + 0.01566 * color[2]
    b = 0.02840 * color[0] + 0.13383 * color[1] + 0.83777 * color[2]
    r = (r * (r + 0.0245786) - 0.000090537) / (r * (0.983729 * r + 0.4329510) + 0.238081)
    g = (g * (g + 0.0245786) - 0.000090537) / (g * (0.983729 * g + 0.4329510) + 0.238081)
    b = (b * (b + 0.0245786) - 0.000090537) / (b * (0.983729 * b + 0.4329510) + 0.238081)
    return wp.vec3(
        wp.clamp(1.60475 * r - 0.53108 * g - 0.07367 * b, 0.0, 1.0),
        wp.clamp(-0.10208 * r + 1.10813 * g - 0.00605 * b, 0.0, 1.0),
        wp.clamp(-0.00327 * r - 0.07276 * g + 1.07602 * b, 0.0, 1.0),
    )


@wp.func
def _unbent(value: wp.float32):
    """Solve the curve's fraction for the value that it bends to ``value``."""
    v = wp.clamp(value, 0.0, 0.98)
    a = 1.0 - 0.983729 * v
    b = 0.0245786 - 0.4329510 * v
    c = -0.000090537 - 0.238081 * v
    return (-b + wp.sqrt(wp.max(0.0, b * b - 4.0 * a * c))) / (2.0 * a)


@wp.func
def aces_inverse(color: wp.vec3):
    """Display-linear to scene-linear: undoes ``aces``; what it clipped comes back at its edge, nothing below 0."""
    r = _unbent(0.643038 * color[0] + 0.311187 * color[1] + 0.045775 * color[2])
    g = _unbent(0.059269 * color[0] + 0.931436 * color[1] + 0.009295 * color[2])
    b = _unbent(0.005962 * color[0] + 0.063929 * color[1] + 0.930118 * color[2])
    return wp.vec3(
        wp.max(0.0, 1.764741 * r - 0.675778 * g - 0.088963 * b),
        wp.max(0.0, -0.147028 * r + 1.160252 * g - 0.013224 * b),
        wp.max(0.0, -0.036337 * r - 0.162436 * g + 1.198773 * b),
    )


@wp.func
def linear_of(level: wp.float32):
    """Levels of sRGB to display-linear, both in [0, 1] (IEC 61966-2-1)."""
    v = wp.clamp(level, 0.0, 1.0)
    if v <= 0.04045:
        return v / 12.92
    return wp.pow((v + 0.055) / 1.055, 2.4)


@wp.func
def srgb_of(value: wp.float32):
    """Display-linear to sRGB, both in [0, 1] (IEC 61966-2-1)."""
    v = wp.clamp(value, 0.0, 1.0)
    if v <= 0.0031308:
        return 12.92 * v
    return 1.055 * wp.pow(v, 0.41666667) - 0.055


def srgb_table(device: Any) -> wp.array:
    """Return what ``srgb_looked_up`` reads: the curve at even steps, float32, shape [_STEPS + 1]."""
    curve = linear_to_srgb(np.linspace(0.0, 1.0, _STEPS + 1))
    return wp.array(curve.astype(np.float32), dtype=wp.float32, device=device)


@lru_cache(maxsize=8)
def display_tables(device: str) -> tuple[wp.array, wp.array]:
    """Return the display-linear value of each byte of sRGB, float32, shape [256], and ``srgb_table``."""
    return wp.array(LINEAR_OF_BYTE.astype(np.float32), dtype=wp.float32, device=device), srgb_table(device)


@wp.func
def srgb_looked_up(table: wp.array(dtype=wp.float32), value: wp.float32):
    """As ``srgb_of``, within a hundredth of a byte, for less than a power costs."""
    place = wp.clamp(value, 0.0, 1.0) * wp.float32(_STEPS)
    step = wp.clamp(wp.int32(place), 0, _STEPS - 1)  # whatever a broken colour becomes
    low = table[step]
    return low + (table[step + 1] - low) * (place - wp.float32(step))


__all__ = ["aces", "aces_inverse", "display_tables", "linear_of", "luma", "srgb_looked_up", "srgb_of", "srgb_table"]
