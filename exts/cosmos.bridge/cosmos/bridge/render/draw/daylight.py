"""Sun, moon and sky colour by the sun's elevation, and the stage's own sun and dome as a sky."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Optional

import numpy as np
import warp as wp

from cosmos.bridge.render.draw.atlas import mean_color
from cosmos.bridge.render.draw.sky import Air
from cosmos.bridge.render.scene import Light, Pose, Scene
from cosmos.bridge.types import Look
from cosmos.bridge.types.look import haze_extinction

_ELEVATIONS = (-18.0, -12.0, -6.0, -2.0, 0.0, 3.0, 8.0, 20.0, 45.0, 90.0)
_KEYS = {
    # Linear Rec. 709 radiance against a noon sun of irradiance 10; drawn after photographs of clear skies.
    "zenith": (
        (0.0006, 0.0011, 0.0028),
        (0.0016, 0.0030, 0.0082),
        (0.0280, 0.0560, 0.1500),
        (0.0800, 0.1300, 0.3000),
        (0.1200, 0.1800, 0.3800),
        (0.1500, 0.2300, 0.4600),
        (0.1700, 0.2900, 0.5800),
        (0.2300, 0.4500, 0.9600),
        (0.2400, 0.4900, 1.0800),
        (0.2400, 0.5000, 1.1200),
    ),
    "horizon": (
        (0.0018, 0.0023, 0.0042),
        (0.0060, 0.0078, 0.0160),
        (0.1100, 0.1050, 0.1700),
        (0.4000, 0.2700, 0.2600),
        (0.6200, 0.4000, 0.3000),
        (0.8000, 0.5600, 0.3900),
        (0.8800, 0.7400, 0.6000),
        (1.1500, 1.3000, 1.4500),
        (1.0500, 1.3500, 1.6500),
        (1.0200, 1.3500, 1.7000),
    ),
    "glow": (
        (0.0000, 0.0000, 0.0000),
        (0.0250, 0.0130, 0.0100),
        (0.3200, 0.1400, 0.0600),
        (1.2000, 0.4300, 0.1200),
        (2.0000, 0.7200, 0.1900),
        (2.3000, 1.0000, 0.3300),
        (2.0000, 1.2000, 0.5800),
        (1.3000, 1.1000, 0.8000),
        (1.0000, 0.9500, 0.8500),
        (0.9000, 0.9000, 0.8500),
    ),
    "sun": (
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
        (0.70, 0.24, 0.06),
        (2.60, 1.20, 0.42),
        (5.20, 3.30, 1.75),
        (7.80, 6.40, 4.70),
        (8.80, 8.00, 6.80),
        (9.20, 8.60, 7.60),
    ),
}
NIGHT_ELEVATION = -6.0
"""Below this elevation of the sun lamps are lit [deg]."""
_MOON_LIGHT = np.array([0.030, 0.040, 0.062])


def direction_of(elevation: float, azimuth: float, y_up: bool) -> np.ndarray:
    """Return the unit vector to a point of the sky, in stage axes.

    Args:
        elevation: Angle above the horizon [deg].
        azimuth: Angle around the up axis from +X, counter-clockwise seen from above [deg].
        y_up: Whether +Y is up; else +Z.
    """
    e, a = math.radians(elevation), math.radians(azimuth)
    x, y, up = math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)
    return np.array([x, up, -y] if y_up else [x, y, up])


def _key(name: str, elevation: float) -> np.ndarray:
    table = np.array(_KEYS[name])
    return np.array([np.interp(elevation, _ELEVATIONS, table[:, channel]) for channel in range(3)])


def _luma(color: np.ndarray) -> float:
    return float(np.dot(color, (0.2126, 0.7152, 0.0722)))


def _vec(values: Any) -> wp.vec3:
    return wp.vec3(*(float(value) for value in values))


def _mix(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    return np.asarray(a) * (1.0 - share) + np.asarray(b) * share


def _haze_height(look: Look) -> float:
    """Return the scale height of the haze [m]: thick fog lies low, thin haze reaches high."""
    return 30.0 + 44.0 * (1.0 - look.fog)


def _sun_through(haze: float, height: float, elevation: float) -> float:
    """Return the share of the sun's light that still comes from about its place after the haze.

    Beer-Lambert over the whole layer (density falls by e every ``height``); drops scatter four fifths of what they meet
    so little aside that it still counts as direct (delta scaling, Joseph et al. 1976).
    """
    slope = max(math.sin(math.radians(elevation)), 0.15)
    return math.exp(-0.2 * haze * height / slope)


def _veil(sky_light: np.ndarray, ground: np.ndarray, sun: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the light that haze scatters towards the eye, and what it adds looking straight into the sun.

    The source function of a scattering medium lit by sky above, ground below and sun, albedo 0.97: half of the sun's
    light goes everywhere alike, half into a lobe cos^8 of the angle to the sun, whose mean over the sphere is 1/18.
    """
    even = 0.97 * (0.5 * sky_light + 0.5 * ground + 0.5 * sun / (4.0 * math.pi))
    return even, 0.97 * 0.5 * 18.0 * sun / (4.0 * math.pi)


def teacher_air(look: Look, *, y_up: bool, floor: float, openness: float) -> Any:
    """Return the sky and air of a Look; exposure is left at 1 for the light meter.

    Args:
        look: Time of day and weather.
        y_up: Whether +Y is up.
        floor: Height of the ground relative to the world's origin [m].
        openness: Share of the sky that the stage lets in, in [0, 1].
    """
    elevation = look.sun_elevation
    cover = min(1.0, look.overcast + 0.75 * look.rain + 0.7 * look.snow + 0.55 * look.fog)
    clouds = min(1.0, look.overcast + 0.75 * look.rain + 0.7 * look.snow)
    fog, dust = haze_extinction(fog=look.fog, rain=look.rain, snow=look.snow, dust=look.dust, openness=openness)
    height = _haze_height(look)
    zenith, horizon, glow, sun = (_key(name, elevation) for name in ("zenith", "horizon", "glow", "sun"))
    moonlit = elevation < NIGHT_ELEVATION
    toward = direction_of(max(elevation, 0.6), look.sun_azimuth, y_up)
    if moonlit:
        toward = direction_of(38.0, look.sun_azimuth + 130.0, y_up)
        sun = _MOON_LIGHT * np.interp(elevation, (-12.0, NIGHT_ELEVATION), (1.0, 0.35))
    thinned = (1.0 - clouds) ** 1.6 * _sun_through(fog, height, 38.0 if moonlit else elevation)
    grey_sky = np.full(3, 0.35 * _luma(zenith) + 0.65 * _luma(horizon)) * np.array([0.96, 1.0, 1.06])
    grey_sky *= 1.0 + 0.9 * min(1.0, _luma(sun) / 10.0) - 0.25 * look.rain
    zenith, horizon = _mix(zenith, grey_sky * 1.12, cover), _mix(horizon, grey_sky * 0.9, cover)
    tint = np.array([0.78, 0.58, 0.36])
    dust_share = min(1.0, 0.9 * look.dust)
    zenith, horizon = (_mix(sky, tint * 1.25 * _luma(sky), dust_share) for sky in (zenith, horizon))
    sun = _mix(sun, sun * tint, dust_share) * thinned * (1.0 - 0.55 * look.dust)
    glow = glow * (1.0 - 0.92 * cover)
    sky_light = 0.55 * zenith + 0.45 * horizon + 0.05 * glow
    air = Air()
    air.y_up, air.zenith, air.horizon, air.glow = int(y_up), _vec(zenith), _vec(horizon), _vec(glow)
    air.sun, air.sun_color, air.sun_radius = _vec(toward), _vec(sun), 0.006 + 0.06 * cover
    shown = elevation > -0.5 or moonlit
    air.disk = _vec(sun * (60.0 if moonlit else 18.0) * (thinned if shown else 0.0))
    air.ground = _vec(
        0.22 * np.array([1.0, 0.96, 0.9]) * (sky_light + sun * max(0.0, toward[1 if y_up else 2]) / math.pi)
    )
    air.clouds = 0.12 + 0.3 * (look.seed % 7) / 7.0 * (1.0 - cover) + 0.85 * cover
    light = _mix(horizon, sun / math.pi + zenith, 0.55 * (1.0 - cover)) + 0.35 * glow
    air.cloud_light, air.cloud_shade = _vec(light * 1.12), _vec(_mix(zenith, horizon, 0.6) * (0.85 - 0.15 * cover))
    air.stars = float(np.interp(elevation, (-12.0, -7.0), (1.0, 0.0))) * (1.0 - cover)
    air.dome, air.dome_color, air.dome_axes = -1, _vec((0.0, 0.0, 0.0)), wp.mat33(*np.eye(3).reshape(-1).tolist())
    air.sky_light, air.open, air.fill = _vec(sky_light), openness, _vec((0.0, 0.0, 0.0))
    dim = 0.25 + 0.75 * openness  # (as in trace_path: haze outside lies under the whole sky)
    even, towards_sun = _veil(sky_light, np.array(air.ground), sun)
    veil = _mix(even, np.full(3, _luma(even)), 0.6)  # drops scatter all colours alike
    dusty = tint * _luma(even) * 1.25
    share = dust / max(fog + dust, 1e-9)
    air.haze, air.haze_color = fog + dust, _vec(_mix(veil, dusty, share) * dim)
    air.haze_glow = _vec((towards_sun * (1.0 - 0.6 * look.dust) + 0.1 * glow * (1.0 - cover)) * dim)
    air.haze_tint = _vec(_mix(np.ones(3), tint / tint.max(), share))
    air.haze_height, air.floor = height, floor
    air.detail, air.seed, air.vignette = look.detail, look.seed & 0x7FFFFFFF, look.vignette
    air.wet, air.snow = look.rain, look.snow
    air.exposure, air.headlight, air.bounce, air.sun_shadow = 1.0, 0.0, 1.0, 1
    return air


def sun_of(lights: Sequence[Light]) -> Optional[int]:
    """Return the index of the strongest distant light; ``None`` where there is none."""
    distant = [index for index, light in enumerate(lights) if light.kind == "distant"]
    return max(distant, key=lambda item: max(lights[item].irradiance), default=None)


def dome_axes(light: Light, light_to_world: np.ndarray) -> np.ndarray:
    """Return the rotation from world directions to those of a dome's image (+Y its top, +Z its middle), [3, 3]."""
    axes = np.asarray(light_to_world, dtype=np.float64)[:3, :3]
    turn = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]) if light.pole == "Z" else np.eye(3)
    axes = axes @ turn
    return np.asarray(np.linalg.inv(axes / np.maximum(np.linalg.norm(axes, axis=0), 1e-12)), dtype=np.float32)


def stage_air(scene: Scene, pose: Pose, *, floor: float) -> Any:
    """Return the plain sky of the simulation look, lit as the stage says; without any light a sky and a sun are added.

    Args:
        scene: The stage.
        pose: Where its lights are.
        floor: Height of the ground relative to the world's origin [m].
    """
    y_up = scene.up_axis == "Y"
    air = Air()
    air.y_up, air.floor, air.open = int(y_up), floor, 1.0
    air.dome, air.dome_color, air.dome_axes = -1, _vec((0.0, 0.0, 0.0)), wp.mat33(*np.eye(3).reshape(-1).tolist())
    lights = pose.lights or scene.lights
    domes = [index for index, light in enumerate(lights) if light.kind == "dome"]
    sun, toward, radius = np.zeros(3), direction_of(50.0, 35.0, y_up), 0.005
    sky = np.zeros(3)
    air.sun_shadow = 1
    if not lights:
        sun, sky = np.array([3.0, 2.85, 2.6]), np.array([0.42, 0.5, 0.6])
    index = sun_of(lights)
    if index is not None:
        axes = np.asarray(pose.light_to_world[index], dtype=np.float64)[:3, :3]
        sun = np.asarray(lights[index].irradiance, dtype=np.float64)
        toward = axes[:, 2] / max(float(np.linalg.norm(axes[:, 2])), 1e-12)
        radius = math.tan(math.radians(min(60.0, max(0.2, lights[index].size[0])) * 0.5))
        air.sun_shadow = int(lights[index].shadow)
    if domes:
        index = next((item for item in domes if lights[item].texture >= 0), domes[0])
        sky = np.sum([np.asarray(lights[item].color, dtype=np.float64) for item in domes], axis=0)
        if lights[index].texture >= 0:
            color = np.asarray(lights[index].color, dtype=np.float64)
            air.dome, air.dome_color = lights[index].texture, _vec(color)
            air.dome_axes = wp.mat33(*dome_axes(lights[index], pose.light_to_world[index]).reshape(-1).tolist())
            sky = color * mean_color(scene.textures[lights[index].texture])
    elif any(light.kind == "distant" for light in lights):
        sky = np.array([0.05, 0.055, 0.06]) * _luma(sun)
    air.sun, air.sun_color, air.sun_radius = _vec(toward), _vec(sun), radius
    air.zenith, air.horizon, air.ground = _vec(sky * (0.8, 0.92, 1.1)), _vec(sky * 1.1), _vec(sky * 0.45)
    air.sky_light, air.haze_height = _vec(sky), 100.0
    air.exposure = 1.0
    return air


def plain_sky(air: Any, lights: Sequence[Light]) -> None:
    """Give ``air`` the sky that lights say and no other: as bright everywhere as a dome without an image, else black.

    The interactive picture shades such a dome from horizon to zenith, and adds a faint sky to a lone sun.
    """
    if not lights:
        return
    sky = np.zeros(3)
    for light in lights:
        if light.kind == "dome" and light.texture < 0:
            sky += light.color
    air.zenith, air.horizon, air.ground = _vec(sky), _vec(sky), _vec(sky)


__all__ = ["NIGHT_ELEVATION", "direction_of", "dome_axes", "plain_sky", "stage_air", "sun_of", "teacher_air"]
