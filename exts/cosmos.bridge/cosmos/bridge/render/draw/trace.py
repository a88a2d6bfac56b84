"""Reference quality: path-traced global illumination, sample by sample, in the light of the stage or of a look.

Every path starts in its own place of a pixel; `trace_path` tells where it goes. A path depends on its
pixel, sample number and seed alone, so that threads, bands and pauses change nothing.
"""

# mypy: disable-error-code="operator, index, arg-type, attr-defined"
# Inside kernels, warp's stubs know vectors only loosely.

from __future__ import annotations

from typing import Any, Optional

import warp as wp

from cosmos.bridge.kernels.display import aces, luma
from cosmos.bridge.kernels.surface_noise import mix_bits
from cosmos.bridge.render.draw.atlas import Atlas
from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.lamp import Lamps
from cosmos.bridge.render.draw.sky import Air
from cosmos.bridge.render.draw.trace_body import highlight_table
from cosmos.bridge.render.draw.trace_draws import draw_pair
from cosmos.bridge.render.draw.trace_lights import make_sky_map
from cosmos.bridge.render.draw.trace_path import Tracing, path_light
from cosmos.bridge.render.draw.view import View, pixel_ray, pixel_side, pixel_start
from cosmos.bridge.render.draw.world import WorldArrays
from cosmos.bridge.render.scene import Scene
from cosmos.bridge.types import Progress

wp.set_module_options({"enable_backward": False})

MAX_BOUNCES = 12
"""Times that a path scatters at most; roulette ends most of them sooner."""
_MOST_STEPS = 96
_CEILING = 2.5
"""Most that light of a later bounce may bring to one sample, in exposed light, of which about 1 is white."""


@wp.kernel
def trace_kernel(
    first: wp.int32,
    world: WorldArrays,
    atlas: Atlas,
    air: Air,
    lamps: Lamps,
    view: View,
    tracing: Tracing,
    sample_start: wp.int32,
    samples: wp.int32,
    total_out: wp.array(dtype=wp.vec3),
    squares_out: wp.array(dtype=wp.float32),
    colors_out: wp.array(dtype=wp.vec3),
):
    """Add ``samples`` more paths to each pixel's sums: radiance, its luminance squared, colour of what was met."""
    i = first + wp.tid()
    y = i // view.width
    x = i - y * view.width
    pixel = mix_bits(wp.uint32(i) + mix_bits(tracing.seed + wp.uint32(77)))
    total = total_out[i]
    squares = squares_out[i]
    colors = colors_out[i]
    for k in range(samples):
        sample = wp.uint32(sample_start + k)
        jitter = draw_pair(sample, pixel, 0)
        u = wp.float32(x) + jitter[0]
        v = wp.float32(y) + jitter[1]
        ray = pixel_ray(view, u, v)
        length = wp.length(ray)
        if length > 0.0:
            direction = wp.normalize(wp.transform_vector(view.camera_to_world, ray))
            start = wp.transform_point(view.camera_to_world, pixel_start(view, u, v)) + direction * (view.near * length)
            reach = wp.min((view.far - view.near) * length, 1.0e6)
            width = pixel_side(view, view.near) * 0.5
            spread = (pixel_side(view, 1.0) - pixel_side(view, 0.0)) / length * 0.5
            light, color = path_light(
                world, atlas, air, lamps, tracing, start, direction, reach, spread, width, sample, pixel
            )
            total += light
            squares += luma(light) * luma(light)
            colors += color
    total_out[i] = total
    squares_out[i] = squares
    colors_out[i] = colors


@wp.kernel
def expose_kernel(
    first: wp.int32,
    air: Air,
    view: View,
    share: wp.float32,
    toned: wp.int32,
    total: wp.array(dtype=wp.vec3),
    color_out: wp.array(dtype=wp.vec3),
):
    """Mean radiance of each pixel to display-linear colour in [0, 1]; to exposed light where not ``toned``."""
    i = first + wp.tid()
    ox = (wp.float32(i % view.width) + 0.5) / wp.float32(view.width) - 0.5
    oy = (wp.float32(i // view.width) + 0.5) / wp.float32(view.height) - 0.5
    rim = wp.max(0.0, 1.0 - air.vignette * 1.6 * (ox * ox + oy * oy))
    color = total[i] * (share * air.exposure * rim)
    if toned == 1:
        color = aces(color)
    color_out[i] = color


class PathTracer:
    """Traces pictures of one scene; keeps what all of them share."""

    def __init__(self, scene: Scene, bands: Bands):
        """Prepare for one scene."""
        self._scene, self._bands = scene, bands
        self._table = wp.array(highlight_table(), dtype=wp.vec2, device=bands.device)
        self._skies: dict[int, Any] = {}

    def _sky(self, texture: int) -> Any:
        if texture not in self._skies:
            image = self._scene.textures[texture] if texture >= 0 else None
            self._skies[texture] = make_sky_map(image, self._bands.device)
        return self._skies[texture]

    def trace(
        self,
        world: Any,
        atlas: Any,
        air: Any,
        lamps: Any,
        view: Any,
        *,
        samples: int,
        seed: int,
        progress: Optional[Progress] = None,
    ) -> tuple[wp.array, wp.array, wp.array]:
        """Return sums over ``samples`` paths of each pixel, shape [H W]: radiance, its luminance squared, colour met.

        Args:
            world: Arrays with a ray hierarchy.
            atlas: Materials and textures.
            air: Sky and sun.
            lamps: Local lights.
            view: Camera.
            samples: Paths a pixel.
            seed: Decides the paths.
            progress: Told ("samples", done, all) between samples; what it raises ends the work.
        """
        tracing = Tracing()
        tracing.table, tracing.sky = self._table, self._sky(air.dome)
        tracing.seed, tracing.bounces, tracing.steps = (seed ^ (seed >> 31)) & 0x7FFFFFFF, MAX_BOUNCES, _MOST_STEPS
        tracing.ceiling = _CEILING / max(air.exposure, 1e-12)
        turn = view.camera_to_world
        aim = [-0.06 * turn[axis, 1] - turn[axis, 2] for axis in range(3)]
        length = sum(part * part for part in aim) ** 0.5
        tracing.camera_down = wp.vec3(*(part / length for part in aim))
        tracing.eye = wp.vec3(*(turn[axis, 3] for axis in range(3)))
        count = view.width * view.height
        sums = tuple(wp.zeros(count, dtype=kind, device=self._bands.device) for kind in (wp.vec3, wp.float32, wp.vec3))
        for done in range(samples):
            inputs = [world, atlas, air, lamps, view, tracing, done, 1, *sums]
            self._bands.launch(trace_kernel, count, inputs, chunk=128)
            if progress is not None:
                progress("samples", done + 1, samples)
        return sums

    def expose(self, air: Any, view: Any, total: wp.array, samples: int, colors: wp.array, *, toned: bool) -> None:
        """Fill ``colors`` with the picture of a sum over ``samples`` paths: display-linear, or exposed light."""
        inputs = [air, view, 1.0 / samples, int(toned), total, colors]
        self._bands.launch(expose_kernel, view.width * view.height, inputs, chunk=4096)


__all__ = ["MAX_BOUNCES", "PathTracer", "trace_kernel"]
