"""Draws the colour picture of a frame: samples, slow light, shading, edges, bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import warp as wp

from cosmos.bridge.render.bands import Bands
from cosmos.bridge.render.daylight import NIGHT_ELEVATION, stage_air, teacher_air
from cosmos.bridge.render.lamps import make_lamps
from cosmos.bridge.render.light import gather_light_kernel, smooth_light_kernel
from cosmos.bridge.render.look import Look
from cosmos.bridge.render.meter import Reading, measure
from cosmos.bridge.render.particles import draw_particles_kernel, roof_kernel
from cosmos.bridge.render.picture import (
    average_kernel,
    encode_kernel,
    fill_centres_kernel,
    fill_fine_kernel,
    mark_edges_kernel,
)
from cosmos.bridge.render.scene import Pose, Scene
from cosmos.bridge.render.shade import LightGrid, shade_kernel
from cosmos.bridge.render.surface import Surfaces, read_surfaces_kernel
from cosmos.bridge.render.visibility import Visibility, make_view
from cosmos.bridge.render.world import World
from cosmos.bridge.types import Camera

_SMALL_PICTURE = 100_000
"""Up to this many pixels slow light is gathered at every pixel; above, at every second one a side."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Effort:
    """How many rays are spent."""

    gather: int
    lamp: int
    sun: int


_SIMULATION = _Effort(gather=4, lamp=1, sun=1)
_TEACHER = _Effort(gather=6, lamp=1, sun=4)


def _luma(color: Any) -> float:
    return 0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2]


def _make_surfaces(count: int, device: Any) -> Any:
    surfaces = Surfaces()
    surfaces.image = wp.empty(count, dtype=wp.vec2, device=device)
    surfaces.triangles = wp.empty(count, dtype=wp.int32, device=device)
    surfaces.depths = wp.empty(count, dtype=wp.float32, device=device)
    for name in ("positions", "geometric", "normals", "base", "emissive"):
        setattr(surfaces, name, wp.zeros(count, dtype=wp.vec3, device=device))
    surfaces.gloss = wp.zeros(count, dtype=wp.vec4, device=device)
    return surfaces


class Painter:
    """Colours what Visibility found; keeps scratch memory and light-meter readings between frames."""

    def __init__(self, scene: Scene, world: World, atlas: Any, visibility: Visibility, bands: Bands):
        """Prepare for one scene."""
        self._scene, self._world, self._atlas, self._visibility, self._bands = scene, world, atlas, visibility, bands
        self.notes = () if scene.lights else ("The stage has no light; a sky and a sun were added.",)
        self._readings: dict[Any, Reading] = {}
        self._homes: dict[tuple[int, int], Any] = {}
        self._floor: Optional[float] = None
        brightest = max((max(item.emissive) for item in scene.materials), default=0.0)
        self._emission = 1.0 / max(1.0, brightest)

    def floor(self) -> float:
        """Return the height of the ground relative to the world's origin [m]: the lowest tenth of a percent."""
        if self._floor is None:
            axis = 1 if self._scene.up_axis == "Y" else 2
            heights = self._world.arrays.points.numpy()[:, axis]
            self._floor = float(np.percentile(heights, 0.1)) if len(heights) else 0.0
        return self._floor

    def _distant(self) -> tuple[int, ...]:
        found = [index for index, light in enumerate(self._scene.lights) if light.kind == "distant"]
        return tuple(sorted(found, key=lambda item: -max(self._scene.lights[item].color))[:1])

    def _reading(self, air: Any, lamps: Any, cameras: list[Camera], key: Any) -> Reading:
        if key not in self._readings:
            if len(self._readings) > 256:
                self._readings.clear()
            views = [make_view(camera, self._world.origin) for camera in cameras]
            self._readings[key] = measure(self._world, air, lamps, views)
        return self._readings[key]

    def _simulation(self, pose: Pose, cameras: list[Camera]) -> tuple[Any, Any]:
        """Return air and lamps of the stage itself, exposed."""
        air, _note = stage_air(self._scene, pose, floor=self.floor(), openness=1.0)
        lamps = make_lamps(self._scene, pose, self._world.origin, self._bands.device, skip=self._distant())
        reading = self._reading(air, lamps, cameras, cameras[0].prim_path)
        levels = (_luma(air.sun_color), _luma(air.sky_light), 1.0)
        air.open = reading.openness
        air.exposure = (3.4 + 0.4 * (1.0 - air.open)) / reading.key(*levels)
        fill = 0.3 * reading.mean(*levels) * (1.0 - 0.6 * air.open)
        air.fill = wp.vec3(fill, fill, fill)
        air.emission = self._emission / air.exposure
        return air, lamps

    def _teacher(self, look: Look, pose: Pose, cameras: list[Camera]) -> tuple[Any, Any]:
        """Return air and lamps of a look, exposed."""
        y_up = self._scene.up_axis == "Y"
        draft = teacher_air(look, y_up=y_up, floor=self.floor(), openness=1.0)
        distant = tuple(index for index, light in enumerate(self._scene.lights) if light.kind == "distant")
        lamps = make_lamps(self._scene, pose, self._world.origin, self._bands.device, skip=distant)
        reading = self._reading(draft, lamps, cameras, (cameras[0].prim_path, look.sun_elevation, look.sun_azimuth))
        open_share = reading.openness
        air = teacher_air(look, y_up=y_up, floor=self.floor(), openness=open_share)
        night = look.sun_elevation < NIGHT_ELEVATION
        bright = float(np.percentile(reading.lamps, 75.0)) if len(reading.lamps) else 0.0
        gain = 0.0
        if bright > 1e-9 and (night or open_share < 0.45):
            gain = (0.9 if night and open_share >= 0.45 else 3.0) / bright
        lamps = make_lamps(
            self._scene, pose, self._world.origin, self._bands.device, gain=max(gain, 1e-12), skip=distant
        )
        if night:
            air.headlight = 18.0 if gain == 0.0 else 6.0
        levels = (_luma(air.sun_color), _luma(air.sky_light), gain)
        air.limit = 0.8 * reading.key(*levels)
        key, fill = reading.key(*levels), 0.3 * reading.mean(*levels) * (1.0 - 0.6 * open_share)
        air.fill = wp.vec3(fill, fill, fill)
        dim = float(np.interp(look.sun_elevation, (-12.0, -6.0, 0.0, 15.0), (0.42, 0.55, 0.8, 1.0)))
        dim = dim + (1.0 - dim) * (1.0 - open_share) * 0.8
        if night:
            key = max(key, 0.07)
        air.exposure = (4.4 + 0.4 * (1.0 - open_share)) * dim * 2.0**look.exposure / key
        air.emission = self._emission * (2.5 if night or open_share < 0.45 else 1.0) / air.exposure
        return air, lamps

    def paint(
        self,
        camera: Camera,
        view: Any,
        seen: tuple[wp.array, wp.array],
        pose: Pose,
        look: Optional[Look],
        cameras: list[Camera],
        *,
        rgb: wp.array,
        particles: bool,
    ) -> None:
        """Fill ``rgb``.

        Args:
            camera: Camera of the frame.
            view: The same for kernels.
            seen: Triangles and depths at pixel centres.
            pose: Where lights are.
            look: Look, or ``None`` for the stage's own light.
            cameras: Where the light meter looks from.
            rgb: uint8, shape [H, W, 3].
            particles: Whether flakes and streaks are drawn.
        """
        world = self._world.ray_ready()
        if look is None:
            air, lamps = self._simulation(pose, cameras)
        else:
            air, lamps = self._teacher(look, pose, cameras)
        effort = _SIMULATION if look is None else _TEACHER
        width, count = camera.width, camera.width * camera.height
        home = self._home(camera)
        bands = self._bands
        bands.launch(fill_centres_kernel, count, [width, *seen, home], chunk=4096)
        bands.launch(read_surfaces_kernel, count, [world, self._atlas, air, view, home], chunk=1024)
        grid = self._gather(world, air, lamps, home, camera, effort)
        colors = wp.empty(count, dtype=wp.vec3, device=bands.device)
        inputs = [world, self._atlas, air, lamps, view, grid, home]
        bands.launch(shade_kernel, count, [*inputs, home, effort.sun, colors], chunk=512)
        self._refine_edges(camera, home, inputs, effort, colors)
        if look is not None and particles:
            self._draw_particles(camera, pose, look, air, seen[1], colors)
        noise = 0.0 if look is None else look.noise
        seed = 0 if look is None else look.seed & 0x7FFFFFFF
        frame = round(pose.time_code * 8.0) & 0xFFFFF
        bands.launch(encode_kernel, count, [width, colors, noise, seed, frame, rgb], chunk=4096)

    def _draw_particles(
        self, camera: Camera, pose: Pose, look: Look, air: Any, depths: wp.array, colors: wp.array
    ) -> None:
        """Lay falling snow and rain over the picture, where the stage is open to the sky."""
        outdoors = float(np.interp(air.open, (0.25, 0.5), (0.0, 1.0)))
        snow, rain = look.snow * outdoors, look.rain * outdoors
        if snow <= 0.0 and rain <= 0.0:
            return
        nearest = 25.0 if self._sheltered(camera) else 0.0
        glow = 0.03 * air.headlight
        light = [(air.haze_color[axis] + 0.5 * air.sky_light[axis] + glow) * 0.8 * air.exposure for axis in range(3)]
        size = (camera.width, camera.height)
        time = pose.time_code / self._scene.fps
        inputs = [*size, depths, nearest, time, snow, rain, look.seed & 0x7FFFFFFF, wp.vec3(*light), colors]
        self._bands.launch(draw_particles_kernel, camera.width * camera.height, inputs, chunk=1024)

    def _sheltered(self, camera: Camera) -> bool:
        """Return whether the camera stands under a roof."""
        eye = np.asarray(camera.cam_to_world)[:3, 3] - self._world.origin
        blocked = wp.zeros(1, dtype=wp.int32, device=self._bands.device)
        up = wp.vec3(0.0, 1.0, 0.0) if self._scene.up_axis == "Y" else wp.vec3(0.0, 0.0, 1.0)
        inputs = [self._world.ray_ready(), wp.vec3(*eye.tolist()), up, blocked]
        wp.launch(roof_kernel, dim=1, inputs=inputs, device=self._bands.device)
        return bool(blocked.numpy()[0])

    def _home(self, camera: Camera) -> Any:
        key = (camera.height, camera.width)
        if key not in self._homes:
            self._homes[key] = _make_surfaces(camera.height * camera.width, self._bands.device)
        return self._homes[key]

    def _gather(self, world: Any, air: Any, lamps: Any, home: Any, camera: Camera, effort: _Effort) -> Any:
        step = 1 if camera.width * camera.height <= _SMALL_PICTURE else 2
        columns, rows = math.ceil(camera.width / step), math.ceil(camera.height / step)
        device, cells = self._bands.device, columns * rows
        lit, gathered = (wp.empty(cells, dtype=kind, device=device) for kind in (wp.vec3, wp.vec4))
        grid = LightGrid()
        grid.step, grid.columns, grid.rows, grid.width = step, columns, rows, camera.width
        grid.lit, grid.gathered = (wp.empty(cells, dtype=kind, device=device) for kind in (wp.vec3, wp.vec4))
        rays = [world, self._atlas, air, lamps, home, camera.width, step, columns, effort.gather, effort.lamp]
        self._bands.launch(gather_light_kernel, cells, [*rays, lit, gathered], chunk=512)
        smoothing = [home, camera.width, step, columns, rows, lit, gathered, grid.lit, grid.gathered]
        self._bands.launch(smooth_light_kernel, cells, smoothing, chunk=1024)
        return grid

    def _refine_edges(self, camera: Camera, home: Any, inputs: list, effort: _Effort, colors: wp.array) -> None:
        """Shade four samples in each pixel that holds an edge."""
        bands, width, count = self._bands, camera.width, camera.width * camera.height
        device = bands.device
        fine_view = make_view(camera, self._world.origin, scale=2)
        triangles = wp.empty((2 * camera.height, 2 * width), dtype=wp.int32, device=device)
        depths = wp.empty((2 * camera.height, 2 * width), dtype=wp.float32, device=device)
        self._visibility.find(fine_view, depths, triangles)
        marks = wp.empty(count, dtype=wp.uint8, device=device)
        owners = self._world.arrays.instances
        bands.launch(mark_edges_kernel, count, [width, triangles, depths, owners, home, marks], chunk=4096)
        marked = np.nonzero(marks.numpy())[0].astype(np.int32)
        if not len(marked):
            return
        pixels = wp.array(marked, dtype=wp.int32, device=device)
        samples = 4 * len(marked)
        fine = _make_surfaces(samples, device)
        bands.launch(fill_fine_kernel, samples, [width, pixels, triangles, depths, fine], chunk=4096)
        world, atlas, air, _lamps, view, _grid, _home = inputs
        bands.launch(read_surfaces_kernel, samples, [world, atlas, air, view, fine], chunk=1024)
        shaded = wp.empty(samples, dtype=wp.vec3, device=device)
        bands.launch(shade_kernel, samples, [*inputs, fine, effort.sun, shaded], chunk=512)
        bands.launch(average_kernel, len(marked), [pixels, shaded, colors], chunk=4096)


__all__ = ["Painter"]
