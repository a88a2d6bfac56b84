"""Reference quality: paths of light a second of one core, in the warehouse's own light and on the street at night."""

import functools

import bars
import warp as wp
from bars import Bar, best_seconds
from bench_render import CAMERA, renderer

from cosmos.bridge import scenes
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Look

SIZE, SAMPLES = (176, 320), 8


@functools.lru_cache(maxsize=1)
def street(device: str) -> Renderer:
    """The street, which has two dozen lamps."""
    return Renderer(scenes.street(), device=device)


class _Paths(Bar):
    """Paths traced a CPU second; the frame's other work counts against them."""

    unit = "paths/s"
    look = None

    def place(self) -> Renderer:
        return renderer(bars.DEVICE)

    def measure(self):
        drawn = self.place()
        camera = drawn.camera(CAMERA, 0.0, size=SIZE)

        def draw(index):
            drawn.render(camera, 0.0, look=self.look, quality="reference", samples=SAMPLES, seed=index)
            wp.synchronize_device(bars.DEVICE)

        draw(0)
        wall, cost = best_seconds(draw, budget=self.budget)
        paths = SAMPLES * SIZE[0] * SIZE[1]
        remark = f"a CPU second; 1280x704 at 64 samples: {64 * 1280 * 704 * cost / paths:.0f} s of CPU"
        return paths / cost, f"{remark}, {paths / wall:.3g} paths/s on {drawn.threads} threads"


class PathsWarehouse(_Paths):
    """Sun, sky and the lamps of the hall."""

    title = "reference, warehouse in its own light"


class PathsStreet(_Paths):
    """Two dozen lamps at night."""

    title, look = "reference, street at night", Look(sun_elevation=-10.0)

    def place(self) -> Renderer:
        return street(bars.DEVICE)


BARS = (PathsWarehouse, PathsStreet)
