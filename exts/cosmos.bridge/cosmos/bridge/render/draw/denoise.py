"""A joint filter for traced pictures: light is averaged along surfaces, as far as its own noise lets it look alike.

Edge-avoiding wavelets (H. Dammertz et al. 2010) on light without the surfaces' colour, with the tolerance in brightness
taken from each pixel's own variance (C. Schied et al. 2017, without their history).
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any

import warp as wp

from cosmos.bridge.kernels.display import luma
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.surface import Surfaces

wp.set_module_options({"enable_backward": False})

_PASSES = 4


@wp.func
def _bare(color: wp.vec3):
    """A surface's colour that light can be divided by."""
    return wp.vec3(wp.max(color[0], 0.02), wp.max(color[1], 0.02), wp.max(color[2], 0.02))


@wp.kernel
def _split_kernel(
    first: wp.int32,
    samples: wp.float32,
    total: wp.array(dtype=wp.vec3),
    squares: wp.array(dtype=wp.float32),
    colors: wp.array(dtype=wp.vec3),
    light_out: wp.array(dtype=wp.vec3),
    variance_out: wp.array(dtype=wp.float32),
):
    """Mean light without the surface's colour, and the variance of that mean."""
    i = first + wp.tid()
    color = _bare(colors[i] / samples)
    mean = total[i] / samples
    light_out[i] = wp.cw_div(mean, color)
    brightness = luma(mean)
    spread = wp.max(squares[i] / samples - brightness * brightness, 0.0) / samples
    scale = luma(color)
    variance_out[i] = spread / (scale * scale)


@wp.func
def _calm(variance: wp.array(dtype=wp.float32), x: wp.int32, y: wp.int32, width: wp.int32, height: wp.int32):
    """Variance around a pixel: a 3 x 3 binomial mean."""
    total = wp.float32(0.0)
    whole = wp.float32(0.0)
    for dy in range(-1, 2):
        for dx in range(-1, 2):
            if x + dx >= 0 and x + dx < width and y + dy >= 0 and y + dy < height:
                w = 1.0 / (wp.float32(1 + wp.abs(dx)) * wp.float32(1 + wp.abs(dy)))
                total += variance[(y + dy) * width + x + dx] * w
                whole += w
    return total / whole


@wp.kernel
def _smooth_kernel(
    first: wp.int32,
    width: wp.int32,
    step: wp.int32,
    home: Surfaces,
    light: wp.array(dtype=wp.vec3),
    variance: wp.array(dtype=wp.float32),
    light_out: wp.array(dtype=wp.vec3),
    variance_out: wp.array(dtype=wp.float32),
):
    """One pass of the wavelet: 5 x 5 taps, ``step`` pixels apart."""
    i = first + wp.tid()
    light_out[i] = light[i]
    variance_out[i] = variance[i]
    if home.triangles[i] < 0:
        return
    y = i // width
    x = i - y * width
    height = light.shape[0] // width
    p = home.positions[i]
    n = home.normals[i]
    brightness = luma(light[i])
    bright = 1.0 / (4.0 * wp.sqrt(_calm(variance, x, y, width, height)) + 1.0e-6)
    off = 1.0 / (home.gloss[i][3] * wp.float32(step) + 1.0e-4)
    total = light[i] * 0.140625
    spread = variance[i] * 0.019775390625
    whole = wp.float32(0.140625)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            qx = x + dx * step
            qy = y + dy * step
            inside = qx >= 0 and qx < width and qy >= 0 and qy < height
            if inside and (dx != 0 or dy != 0):
                j = qy * width + qx
                if home.triangles[j] >= 0:
                    alike = wp.pow(wp.max(wp.dot(n, home.normals[j]), 0.0), 32.0)
                    away = wp.abs(wp.dot(n, home.positions[j] - p)) * off
                    apart = wp.abs(luma(light[j]) - brightness) * bright
                    w = alike * wp.exp(-away - apart)
                    # B3 spline: 3/8, 1/4, 1/16.
                    w = w * (0.375 - 0.140625 * wp.float32(dx * dx) + 0.015625 * wp.float32(dx * dx * dx * dx))
                    w = w * (0.375 - 0.140625 * wp.float32(dy * dy) + 0.015625 * wp.float32(dy * dy * dy * dy))
                    total += light[j] * w
                    spread += variance[j] * w * w
                    whole += w
    light_out[i] = total / whole
    variance_out[i] = spread / (whole * whole)


@wp.kernel
def _join_kernel(
    first: wp.int32,
    samples: wp.float32,
    light: wp.array(dtype=wp.vec3),
    colors: wp.array(dtype=wp.vec3),
    total_out: wp.array(dtype=wp.vec3),
):
    i = first + wp.tid()
    total_out[i] = wp.cw_mul(light[i], _bare(colors[i] / samples)) * samples


def denoise(bands: Bands, width: int, samples: int, traced: tuple[wp.array, wp.array, wp.array], home: Any) -> wp.array:
    """Return the traced sum without most of its noise, shape [H W].

    Args:
        bands: Where to launch.
        width: Of the picture [px].
        samples: Paths a pixel.
        traced: Sums over the paths of each pixel: radiance, its luminance squared, the colour of what was met first.
        home: Surfaces at the pixel centres.
    """
    total, squares, colors = traced
    count, device = len(total), bands.device
    lights = [wp.empty(count, dtype=wp.vec3, device=device) for _ in range(2)]
    variances = [wp.empty(count, dtype=wp.float32, device=device) for _ in range(2)]
    whole = float(samples)
    bands.launch(_split_kernel, count, [whole, total, squares, colors, lights[0], variances[0]], chunk=4096)
    for number in range(_PASSES):
        now, after = number % 2, 1 - number % 2
        inputs = [width, 1 << number, home, lights[now], variances[now], lights[after], variances[after]]
        bands.launch(_smooth_kernel, count, inputs, chunk=1024)
    cleaned = wp.empty(count, dtype=wp.vec3, device=device)
    bands.launch(_join_kernel, count, [whole, lights[_PASSES % 2], colors, cleaned], chunk=4096)
    return cleaned


__all__ = ["denoise"]
