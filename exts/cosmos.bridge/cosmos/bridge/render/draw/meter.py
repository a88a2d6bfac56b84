"""Light meter: how bright what a camera looks at is, so that exposure is set once and holds for a whole clip."""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import warp as wp

from cosmos.bridge.kernels.display import luma
from cosmos.bridge.kernels.surface_noise import mix_bits, unit_of
from cosmos.bridge.render.draw.glow import lamp_glow
from cosmos.bridge.render.draw.lamp import Lamps, lamp_irradiance, lamp_vector
from cosmos.bridge.render.draw.light import blocked, by_cosine, face_normal, frame_x, sun_along
from cosmos.bridge.render.draw.ranks import percentile
from cosmos.bridge.render.draw.rays import hit_along
from cosmos.bridge.render.draw.sky import Air, z_up
from cosmos.bridge.render.draw.view import View, pixel_ray, pixel_start
from cosmos.bridge.render.draw.world import World, WorldArrays

wp.set_module_options({"enable_backward": False})

_ROWS, _COLUMNS = 16, 24
_SKY_RAYS = 24


@wp.func
def _sight(view: View, i: wp.int32, rows: wp.int32, columns: wp.int32):
    """Where a spot is seen from, and which way, not normalised: 0 outside the lens."""
    u = (wp.float32(i % columns) + 0.5) / wp.float32(columns) * wp.float32(view.width)
    v = (wp.float32(i // columns) + 0.5) / wp.float32(rows) * wp.float32(view.height)
    ray = pixel_ray(view, u, v)
    start = wp.transform_point(view.camera_to_world, pixel_start(view, u, v))
    return start, wp.transform_vector(view.camera_to_world, ray)


@wp.kernel
def _glow_kernel(
    first: wp.int32,
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    view: View,
    rows: wp.int32,
    columns: wp.int32,
    glow_out: wp.array(dtype=wp.float32),
):
    """Per spot: luminance that haze scatters from lamps into the lens; -1 outside of it."""
    i = first + wp.tid()
    glow_out[i] = wp.float32(-1.0)
    start, ray = _sight(view, i, rows, columns)
    if wp.length_sq(ray) == 0.0:
        return
    d = wp.normalize(ray)
    face, far = hit_along(world, start + d * view.near, d, 1.0e4)
    if face < 0:
        far = wp.float32(1.0e5)
    draw = wp.vec2(unit_of(mix_bits(wp.uint32(2 * i))), unit_of(mix_bits(wp.uint32(2 * i + 1))))
    lit, _whole = lamp_glow(world, air, lamps, start, d, view.near + far, draw)
    glow_out[i] = luma(lit)


@wp.kernel
def _measure_kernel(
    first: wp.int32,
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    view: View,
    rows: wp.int32,
    columns: wp.int32,
    sky_rays: wp.int32,
    reading_out: wp.array(dtype=wp.vec4),
):
    """Per spot: distance [m] (0: sky, -1: outside the lens), openness, sun by its cosine, lamps' irradiance."""
    i = first + wp.tid()
    reading_out[i] = wp.vec4(-1.0, 0.0, 0.0, 0.0)
    start, ray = _sight(view, i, rows, columns)
    if wp.length_sq(ray) == 0.0:
        return
    reading_out[i] = wp.vec4(0.0, 0.0, 0.0, 0.0)
    d = wp.normalize(ray)
    face, far = hit_along(world, start + d * view.near, d, 1.0e4)
    if face < 0:
        return
    n = face_normal(world, face, d)
    p = start + d * (view.near + far) + n * (2.0e-3 + 2.0e-4 * far)
    across = frame_x(n)
    clear = wp.float32(0.0)
    for r in range(sky_rays):
        s = (wp.float32(r) + unit_of(mix_bits(wp.uint32(i * 64 + r)))) / wp.float32(sky_rays)
        angle = 2.3999632 * wp.float32(r) + wp.float32(i)
        w = by_cosine(n, across, s, angle)
        if z_up(air, w)[2] > 0.0 and not blocked(world, p, w, 1.0e4):
            clear += 1.0
    sun = wp.max(0.0, wp.dot(n, air.sun))
    if sun > 0.0 and sun_along(world, air, p, air.sun) < 0.5:
        sun = wp.float32(0.0)
    lit = wp.float32(0.0)
    for k in range(lamps.count):
        part = lamp_irradiance(lamps, k, p, n)
        to = lamp_vector(lamps, k, p)
        reach = wp.length(to)
        if wp.max(part[0], wp.max(part[1], part[2])) > 0.0 and not blocked(world, p, to / reach, reach * 0.99 - 0.03):
            lit += 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2]
    reading_out[i] = wp.vec4(view.near + far, clear / wp.float32(sky_rays), sun, lit)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reading:
    """What the meter saw, one row a spot that met the scene."""

    distances: np.ndarray
    """Of the spots from the camera [m], shape [K]."""
    sky_spots: int
    """How many further spots met the sky."""
    sky: np.ndarray
    """Cosine-weighted share of directions that leave the scene upwards, in [0, 1], shape [K]."""
    sun: np.ndarray
    """Cosine to the sun, 0 in shadow, shape [K]."""
    lamps: np.ndarray
    """Luminous irradiance of the lamps as given, shape [K]."""

    @property
    def openness(self) -> float:
        """How far under the open sky this is: 1 outdoors, 0 in a closed room."""
        return float(np.clip(1.45 * self.sky.mean(), 0.0, 1.0)) if len(self.sky) else 1.0

    def veiled(self, haze: float, height: float) -> float:
        """Return the mean share of the picture that haze hides, in [0, 1].

        Args:
            haze: Extinction at the ground [1/m].
            height: Scale height of the haze [m]; the sky counts as eight of it.
        """
        hidden = float((1.0 - np.exp(-haze * self.distances)).sum())
        hidden += self.sky_spots * float(1.0 - np.exp(-haze * height * 8.0))
        return hidden / max(1, len(self.distances) + self.sky_spots)

    def mean(self, sun: float, sky: float, lamps: float) -> float:
        """Return the mean irradiance; arguments as in ``key``."""
        if not len(self.sky):
            return 0.0
        return float((self.sun * sun + np.pi * self.sky * sky + self.lamps * lamps).mean())

    def key(self, sun: float, sky: float, lamps: float, headlight: float = 0.0) -> float:
        """Return the irradiance to expose for: between the typical and the bright spots.

        Args:
            sun: Luminous irradiance of the sun.
            sky: Luminous mean radiance of the sky.
            lamps: Factor on the lamps' irradiance.
            headlight: Intensity of the lamps beside the camera.
        """
        if not len(self.sky):
            return max(1e-6, 0.6 * sun + np.pi * sky)
        total = self.sun * sun + np.pi * self.sky * sky + self.lamps * lamps
        total = total + 0.5 * headlight / (self.distances**2 + 9.0)
        total = total + 0.25 * total.mean() + 1e-9  # bounced light
        typical = np.exp(0.65 * np.log(total).mean() + 0.35 * np.log(percentile(total, 80.0)))
        return float(max(typical, 0.32 * percentile(total, 92.0)))


def measure(world: World, air: Any, lamps: Any, views: list) -> Reading:
    """Read the light on what ``views`` look at, under the sun of ``air`` and the given lamps."""
    arrays, device = world.ray_ready(), world.device
    readings = []
    for view in views:
        reading = wp.empty(_ROWS * _COLUMNS, dtype=wp.vec4, device=device)
        inputs = [arrays, air, lamps, view, _ROWS, _COLUMNS, _SKY_RAYS, reading]
        world.bands.launch(_measure_kernel, _ROWS * _COLUMNS, inputs, chunk=32)
        readings.append(reading)
    rows = np.concatenate([reading.numpy() for reading in readings]).astype(np.float64)
    sky_spots = int((rows[:, 0] == 0.0).sum())
    rows = rows[rows[:, 0] > 0.0]
    return Reading(distances=rows[:, 0], sky_spots=sky_spots, sky=rows[:, 1], sun=rows[:, 2], lamps=rows[:, 3])


def measure_glow(world: World, air: Any, lamps: Any, views: list) -> float:
    """Return the mean luminance that haze scatters from lamps into ``views``, before exposure.

    A spot counts at most as what is white by the exposure of ``air``: beside a lamp, far more than that would darken
    all the rest.
    """
    arrays, device = world.ray_ready(), world.device
    found = []
    for view in views:
        glow = wp.empty(_ROWS * _COLUMNS, dtype=wp.float32, device=device)
        inputs = [arrays, air, lamps, view, _ROWS, _COLUMNS, glow]
        world.bands.launch(_glow_kernel, _ROWS * _COLUMNS, inputs, chunk=32)
        found.append(glow)
    spots = np.concatenate([glow.numpy() for glow in found]).astype(np.float64)
    spots = np.minimum(spots[spots >= 0.0], 1.0 / max(air.exposure, 1e-12))
    return float(spots.mean()) if len(spots) else 0.0


__all__ = ["Reading", "measure", "measure_glow"]
