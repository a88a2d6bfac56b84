"""Other lights for the plain look of random stages, as users' own stages have them.

The random stages share one kind of daylight: a bright dome under which shadows are faint. Users' stages have a sun
alone, a dim dome, or no light at all, and their pictures then show dark shadows where the asked look has none. Only
what the picture starts from changes: a look brings its own sky and sun.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pxr import Usd

_SUN, _SKY = "/World/Lights/Sun", "/World/Lights/Sky"


def draw_source_light(stage: Usd.Stage, rng: np.random.Generator) -> str:
    """Light a random stage another way, or leave it as it is; lamps stay.

    Args:
        stage: A stage of ``scenes.random``, changed in place.
        rng: Draws.

    Returns:
        Which light was drawn: ``authored``, ``harsh``, ``sun alone``, ``none``, ``dome`` or ``soft sun``.
    """
    kinds = ("authored", "harsh", "sun alone", "none", "dome", "soft sun")
    kind = str(rng.choice(kinds, p=(0.3, 0.25, 0.15, 0.1, 0.1, 0.1)))
    elevation, azimuth = float(rng.uniform(8.0, 75.0)), float(rng.uniform(0.0, 360.0))
    sun, dome, warmth = float(rng.uniform(2.0, 5.0)), float(rng.uniform(0.5, 1.5)), float(rng.uniform(0.0, 1.0))
    sky_dimmed, angle = float(np.exp(rng.uniform(np.log(0.03), np.log(0.5)))), float(rng.uniform(2.0, 15.0))
    if kind != "authored":
        _remove(stage)
    if kind in ("harsh", "sun alone", "soft sun"):
        color = (1.0, 1.0 - 0.25 * warmth, 1.0 - 0.5 * warmth)
        _sun(stage, intensity=sun, color=color, angle=angle if kind == "soft sun" else 0.53,
             elevation=elevation, azimuth=azimuth)  # fmt: skip
    if kind in ("harsh", "dome", "soft sun"):
        _dome(stage, intensity=sky_dimmed * dome if kind == "harsh" else dome)
    return kind


def light_by_sun_alone(stage: Usd.Stage) -> None:
    """Take a stage's sky away and light it by a sun 30 degrees high, from the left of +Y, whose shadows are dark."""
    _remove(stage)
    _sun(stage, intensity=3.5, color=(1.0, 0.95, 0.9), angle=0.53, elevation=30.0, azimuth=200.0)


def _remove(stage: Usd.Stage) -> None:
    for path in (_SUN, _SKY):
        if stage.GetPrimAtPath(path):
            stage.RemovePrim(path)


def _sun(
    stage: Usd.Stage, *, intensity: float, color: tuple[float, float, float], angle: float, elevation: float,
    azimuth: float,
) -> None:  # fmt: skip
    from pxr import Gf, UsdGeom, UsdLux

    light = UsdLux.DistantLight.Define(stage, _SUN)
    light.CreateIntensityAttr(intensity)
    light.CreateColorAttr(Gf.Vec3f(*color))
    light.CreateAngleAttr(angle)
    light.CreateNormalizeAttr(True)  # the intensity is what reaches a surface that faces the sun
    UsdGeom.Xformable(light).AddRotateXYZOp().Set(Gf.Vec3f(0.0, 90.0 - elevation, azimuth))


def _dome(stage: Usd.Stage, *, intensity: float) -> None:
    from pxr import UsdLux

    UsdLux.DomeLight.Define(stage, _SKY).CreateIntensityAttr(intensity)


__all__ = ["draw_source_light", "light_by_sun_alone"]
