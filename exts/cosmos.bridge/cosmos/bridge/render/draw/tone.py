"""From scene light to display light."""

from __future__ import annotations

import warp as wp

wp.set_module_options({"enable_backward": False})


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
def srgb_of(value: wp.float32):
    """Display-linear to sRGB, both in [0, 1] (IEC 61966-2-1)."""
    v = wp.clamp(value, 0.0, 1.0)
    if v <= 0.0031308:
        return 12.92 * v
    return 1.055 * wp.pow(v, 0.41666667) - 0.055


__all__ = ["aces", "srgb_of"]
