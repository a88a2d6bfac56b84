"""What lights a frame: air and lamps for the stage's own light or for a look, exposed by the meter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Optional

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.daylight import NIGHT_ELEVATION, stage_air, sun_of, teacher_air
from cosmos.bridge.render.draw.headlights import find_headlamps, headlights
from cosmos.bridge.render.draw.lamp import has_glow
from cosmos.bridge.render.draw.lamps import make_lamps
from cosmos.bridge.render.draw.meter import Reading, measure, measure_glow
from cosmos.bridge.render.draw.ranks import percentile
from cosmos.bridge.render.draw.view import make_view
from cosmos.bridge.render.draw.world import World
from cosmos.bridge.render.scene import Light, Pose, Scene
from cosmos.bridge.types import Camera, Look

_MOST_READINGS = 256
_VEIL_LEVEL = 0.48
"""Radiance at which a picture of nothing but haze is exposed, before the tone curve."""
_WARM, _COLD = (2.0680, 0.7694, 0.1395), (0.8718, 0.9947, 1.4300)
"""Light of a black body at 2,500 K and at 10,000 K, linear sRGB of luma 1."""
ROOFED = 0.45
"""Below this openness lamps are lit by day, and slow light takes more care."""


def _luma(color: Any) -> float:
    return float(0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2])


def _tint(look: Look) -> np.ndarray:
    """Return what the lamps of a look are multiplied by, linear RGB, shape [3]."""
    if look.lamp_warmth == 0.0:
        return np.full(3, look.lamps)
    tint = np.array(_WARM if look.lamp_warmth > 0.0 else _COLD) ** abs(look.lamp_warmth)
    return look.lamps * tint / _luma(tint)


def _shone(lights: Sequence[Light], look: Look) -> Sequence[Light]:
    """Return lights as strong and as warm as a look's lamps."""
    if look.lamps == 1.0 and look.lamp_warmth == 0.0:
        return lights
    made = []
    for light in lights:
        red, green, blue = (float(level * share) for level, share in zip(light.color, _tint(look), strict=True))
        made.append(replace(light, color=(red, green, blue)))
    return made


def _skipped(index: Optional[int]) -> tuple[int, ...]:
    return () if index is None else (index,)


class Lighting:
    """Decides light and exposure; the meter reads once a camera path (and a sun), so that a clip keeps its exposure."""

    def __init__(self, scene: Scene, start: Pose, world: World):
        """Prepare for one scene; the meter reads at the pose ``start``, whichever frame is drawn first."""
        self._scene, self._start, self._world = scene, start, world
        self._readings: dict[Any, Reading] = {}
        self._glows: dict[Any, float] = {}
        self._floor: Optional[float] = None
        self._lamps_made: Optional[tuple[tuple[Any, ...], Any]] = None
        brightest = max((max(item.emissive) for item in scene.materials), default=0.0)
        self._emission = 1.0 / max(1.0, brightest)
        self._headlamps = find_headlamps(scene)

    @property
    def floor(self) -> float:
        """Height of the ground relative to the world's origin [m]: that of the lowest thousandth of all points."""
        if self._floor is None:
            axis = 1 if self._scene.up_axis == "Y" else 2
            heights = self._world.arrays.points.numpy()[:, axis]
            self._floor = percentile(heights, 0.1) if len(heights) else 0.0
        return self._floor

    def decide(self, look: Optional[Look], pose: Pose, cameras: list[Camera]) -> tuple[Any, Any]:
        """Return air and lamps of a frame.

        Args:
            look: Time of day and weather; the stage's own light when ``None``.
            pose: Where lights are.
            cameras: Where the light meter looks from; readings are kept by the path of the first.
        """
        return self._of_stage(pose, cameras) if look is None else self._of_look(look, pose, cameras)

    def _lamps(self, lights: Sequence[Light], pose: Pose, skip: tuple[int, ...], gain: float = 1.0) -> Any:
        """Return the lamps; made anew only where something about them has changed."""
        asked = (tuple(lights), np.asarray(pose.light_to_world).tobytes(), skip, gain)
        if self._lamps_made is None or self._lamps_made[0] != asked:
            origin, device = self._world.origin, self._world.device
            self._lamps_made = (asked, make_lamps(self._scene, lights, pose, origin, device, gain=gain, skip=skip))
        return self._lamps_made[1]

    def _reading(
        self, air: Callable[[], Any], skip: tuple[int, ...], pose: Pose, cameras: list[Camera], key: Any
    ) -> Reading:
        if key not in self._readings:
            while len(self._readings) >= _MOST_READINGS:
                self._readings.pop(next(iter(self._readings)))
            views = [make_view(camera, self._world.origin) for camera in cameras]
            self._world.place(self._start)
            self._readings[key] = measure(self._world, air(), self._lamps(self._scene.lights, self._start, skip), views)
            self._world.place(pose)
        return self._readings[key]

    def _glow(self, air: Any, skip: tuple[int, ...], gain: float, pose: Pose, cameras: list[Camera]) -> float:
        """Return the mean luminance of lamps' glow in the haze of ``air`` where the meter looks, 0 where none glows."""
        if gain <= 0.0 or air.haze <= 0.0:
            return 0.0
        key = (cameras[0].prim_path, skip, gain, air.haze, air.haze_height, air.exposure, tuple(air.haze_tint))
        if key not in self._glows:
            while len(self._glows) >= _MOST_READINGS:
                self._glows.pop(next(iter(self._glows)))
            self._world.place(self._start)
            lamps, self._glows[key] = self._lamps(self._scene.lights, self._start, skip, gain), 0.0
            if has_glow(air, lamps):
                views = [make_view(camera, self._world.origin) for camera in cameras]
                self._glows[key] = measure_glow(self._world, air, lamps, views)
            self._world.place(pose)
        return self._glows[key]

    def _expose(
        self,
        air: Any,
        brightest: Any,
        reading: Reading,
        lamp_gain: float,
        *,
        brightness: float,
        least: float,
        look: Optional[Look] = None,
        glow: Callable[[], float] = float,
    ) -> None:
        """Set what depends on how much light there is.

        ``brightest`` is the air while every light is at its best; a ``look`` dims or tints lamps whose exposure stays;
        ``glow`` tells what lamps add to the haze, by the exposure without it.
        """
        levels = (_luma(brightest.sun_color), _luma(brightest.sky_light), lamp_gain)
        key = max(reading.key(*levels, air.headlight), least)
        fill = 0.3 * reading.mean(*levels) * (1.0 - 0.6 * reading.openness)
        air.fill, air.limit = wp.vec3(fill, fill, fill), 0.8 * key
        if look is not None and (look.lamps != 1.0 or look.lamp_warmth != 0.0):
            unlit = 0.3 * reading.mean(*levels[:2], 0.0) * (1.0 - 0.6 * reading.openness)
            air.fill = wp.vec3(*(unlit + (fill - unlit) * _tint(look)).tolist())
            air.limit = air.limit * max(1.0, look.lamps)
        hidden = reading.veiled(air.haze, air.haze_height)
        veil = hidden * _luma(air.haze_color)
        for more in (lambda: 0.0, glow):
            shown = (1.0 - hidden) * key + (veil + more()) * brightness / _VEIL_LEVEL
            air.exposure = brightness / max(key, shown)

    def _of_stage(self, pose: Pose, cameras: list[Camera]) -> tuple[Any, Any]:
        air = stage_air(self._scene, pose, floor=self.floor)
        lights = pose.lights or self._scene.lights
        brightest = stage_air(self._scene, replace(pose, lights=()), floor=self.floor) if pose.lights else air
        suns = (sun_of(self._scene.lights), sun_of(lights))
        reading = self._reading(lambda: brightest, _skipped(suns[0]), pose, cameras, cameras[0].prim_path)
        air.open = reading.openness
        self._expose(air, brightest, reading, 1.0, brightness=3.4 + 0.4 * (1.0 - air.open), least=1e-9)
        air.emission = self._emission / air.exposure
        return air, self._lamps(lights, pose, _skipped(suns[1]))

    def _of_look(self, look: Look, pose: Pose, cameras: list[Camera]) -> tuple[Any, Any]:
        y_up, lights = self._scene.up_axis == "Y", self._scene.lights
        skip = tuple(index for index, light in enumerate(lights) if light.kind == "distant")
        key = (cameras[0].prim_path, look.sun_elevation, look.sun_azimuth)

        def draft() -> Any:
            return teacher_air(look, y_up=y_up, floor=self.floor, openness=1.0)

        reading = self._reading(draft, skip, pose, cameras, key)
        air = teacher_air(look, y_up=y_up, floor=self.floor, openness=reading.openness)
        night, roofed = look.sun_elevation < NIGHT_ELEVATION, reading.openness < ROOFED
        bright = percentile(reading.lamps, 75.0) if len(reading.lamps) else 0.0
        gain = 0.0
        if bright > 1e-9 and (night or roofed):
            gain = (3.0 if roofed else 0.9) / bright
        if night:
            air.headlight = 18.0 if gain == 0.0 else 6.0
        dim = float(np.interp(look.sun_elevation, (-12.0, -6.0, 0.0, 15.0), (0.42, 0.55, 0.8, 1.0)))
        dim += (1.0 - dim) * (1.0 - reading.openness) * 0.8
        brightness = (4.4 + 0.4 * (1.0 - reading.openness)) * dim * 2.0**look.exposure
        least, glow = 0.07 if night else 1e-9, partial(self._glow, air, skip, gain, pose, cameras)
        self._expose(air, air, reading, gain, brightness=brightness, least=least, look=look, glow=glow)
        air.emission = look.lamps * self._emission * (2.5 if night or roofed else 1.0) / air.exposure
        shone = _shone(pose.lights or lights, look)
        return air, self._night_lamps(shone, pose, skip, gain) if night else self._lamps(shone, pose, skip, gain)

    def _night_lamps(self, lights: Sequence[Light], pose: Pose, skip: tuple[int, ...], gain: float) -> Any:
        """Return the lamps of the stage and the headlights of its vehicles, which no gain of the others changes."""
        own = tuple(lights)
        added, matrices = headlights(self._scene, pose, self._headlamps)
        if not added:
            return self._lamps(own, pose, skip, gain)
        if gain <= 0.0:
            gain, skip = 1.0, tuple(range(len(own)))
        added = [replace(light, color=(light.color[0] / gain, light.color[1] / gain, light.color[2] / gain))
                 for light in added]  # fmt: skip
        places = np.concatenate([np.asarray(pose.light_to_world, dtype=np.float64).reshape(-1, 4, 4), matrices])
        return self._lamps((*own, *added), replace(pose, light_to_world=places), skip, gain)


def expose_for(air: Any, camera: Camera, look: Optional[Look]) -> None:
    """Brighten what was metered as a camera says, or expose the stage's own light without the meter.

    Args:
        air: Of ``Lighting.decide``; its exposure is changed.
        camera: Camera of the frame.
        look: Look of the frame; its light is not the stage's, so that only ``Camera.exposure`` counts.
    """
    if camera.exposure_scale is not None and look is None:
        air.exposure, air.emission = camera.exposure_scale, 1.0
    else:
        air.exposure = air.exposure * 2.0**camera.exposure


__all__ = ["ROOFED", "Lighting", "expose_for"]
