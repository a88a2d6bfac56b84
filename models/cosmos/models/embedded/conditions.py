"""What the light, the weather and the lens are like: the numbers between a prompt and a picture."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditions:
    """One look of the world. Strengths lie in [0, 1]; 0 leaves the effect out."""

    sun_elevation: float = 45.0
    """Angle of the sun above the horizon [deg], in [-18, 90]; below -6 it is night."""
    sun_bearing: float = 30.0
    """Direction of the sun against the camera's first view direction [deg]; 0 ahead, 90 on the left, 180 behind."""
    overcast: float = 0.0
    """Cloud cover."""
    fog: float = 0.0
    """Extinction by depth."""
    rain: float = 0.0
    """Wet ground and streaks."""
    snow: float = 0.0
    """Cover of upward faces, and flakes."""
    dust: float = 0.0
    """Brownish haze."""
    exposure: float = 0.0
    """[EV], in [-2, 2]."""
    noise: float = 0.0
    """Sensor noise."""
    vignette: float = 0.2
    """Darkening towards the rim."""

    def __post_init__(self) -> None:
        for name in STRENGTHS:
            value = getattr(self, name)
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"Conditions.{name} must lie in [0, 1], got {value!r}.")
        if not -18.0 <= self.sun_elevation <= 90.0:
            raise ValueError(f"Conditions.sun_elevation must lie in [-18, 90] [deg], got {self.sun_elevation!r}.")
        if not -2.0 <= self.exposure <= 2.0:
            raise ValueError(f"Conditions.exposure must lie in [-2, 2] [EV], got {self.exposure!r}.")


STRENGTHS = ("overcast", "fog", "rain", "snow", "dust", "noise", "vignette")
"""Fields of Conditions that lie in [0, 1]."""

READ_FIELDS = (*(item.name for item in fields(Conditions) if item.name != "sun_bearing"), "bearing_cos", "bearing_sin")
"""What the text encoder reads, in order; the bearing as a vector, so that "unsaid" can be its origin."""

STYLE_DIM = 14
"""Length of ``style_vector``."""

STYLE_RAIN, STYLE_SNOW = 9, 10
"""Places of rain and snow in the style vector, which the net is told pixel by pixel: where they reach."""


def to_read_vector(conditions: Conditions, *, bearing_said: bool) -> np.ndarray:
    """Return the numbers that the text encoder learns to read, each of order 1, float32, shape [len(READ_FIELDS)]."""
    bearing = math.radians(conditions.sun_bearing)
    said = 1.0 if bearing_said else 0.0
    values = {item.name: float(getattr(conditions, item.name)) for item in fields(conditions)}
    values["sun_elevation"] /= 45.0
    values["bearing_cos"], values["bearing_sin"] = said * math.cos(bearing), said * math.sin(bearing)
    return np.array([values[name] for name in READ_FIELDS], dtype=np.float32)


def from_read_vector(vector: np.ndarray, *, bearing: float, named: Collection[str] = ()) -> Conditions:
    """Return the conditions of a read vector, clamped to their ranges.

    Args:
        vector: Numbers in the order of ``READ_FIELDS``.
        bearing: Sun bearing [deg] where the vector leaves it unsaid.
        named: Attributes that the prompt names by themselves: a little of them is meant.
    """
    values = {name: float(value) for name, value in zip(READ_FIELDS, vector, strict=True)}
    along, across = values.pop("bearing_cos"), values.pop("bearing_sin")
    if math.hypot(along, across) > 0.5:
        bearing = math.degrees(math.atan2(across, along))
    values["sun_elevation"] = min(90.0, max(-18.0, values["sun_elevation"] * 45.0))
    values["exposure"] = min(2.0, max(-2.0, values["exposure"]))
    for name in STRENGTHS:
        # The encoder's residue around zero is no weather: a few flakes in a golden hour would be seen.
        least = 0.15 if name in ("fog", "rain", "snow", "dust") and name not in named else 0.04
        values[name] = 0.0 if values[name] < least else min(1.0, values[name])
    return Conditions(sun_bearing=bearing % 360.0, **values)


def style_vector(conditions: Conditions) -> np.ndarray:
    """Return what the net is told of the conditions, float32, shape [STYLE_DIM], each number of order 1.

    Noise and vignette are drawn after the net, so they are absent.
    """
    elevation, bearing = math.radians(conditions.sun_elevation), math.radians(conditions.sun_bearing)
    low = math.cos(elevation)
    return np.array(
        [
            math.sin(elevation),
            conditions.sun_elevation / 45.0 - 0.5,
            _ramp(conditions.sun_elevation, -10.0, -2.0),
            _ramp(conditions.sun_elevation, -2.0, 6.0),
            _ramp(conditions.sun_elevation, 4.0, 20.0),
            low * math.cos(bearing),
            low * math.sin(bearing),
            conditions.overcast,
            conditions.fog,
            conditions.rain,
            conditions.snow,
            conditions.dust,
            conditions.exposure,
            math.sqrt(conditions.fog),
        ],
        dtype=np.float32,
    )


_FOG, _DUST = 3.9 / 8.0, 3.9 / 30.0
"""Extinction of the densest fog and dust [1/m]."""


def extinction(conditions: Conditions) -> float:
    """Return the extinction of the air [1/m]: the law of the renderer's teacher, which the net was trained on.

    Koschmieder (1924): 3.9 / visibility; a fog of 1 leaves 8 m of sight, a dust of 1 leaves 30 m.
    """
    fog = _FOG * conditions.fog**1.9 + 0.010 * conditions.rain + 0.012 * conditions.snow + 0.0002
    return fog + _DUST * conditions.dust**1.4


def with_sight(conditions: Conditions, sight: float, *, dust: bool) -> Conditions:
    """Return conditions in which one sees ``sight`` [m] far, by their fog or ``dust``; other weather stays as it is.

    Where that hides more by itself, or what is asked is beyond the densest fog or dust, they come as near as they can.
    """
    rest = extinction(replace(conditions, dust=0.0) if dust else replace(conditions, fog=0.0))
    missing = max(3.9 / max(sight, 1.0) - rest, 0.0)
    if dust:
        return replace(conditions, dust=min((missing / _DUST) ** (1.0 / 1.4), 1.0))
    return replace(conditions, fog=min((missing / _FOG) ** (1.0 / 1.9), 1.0))


def _ramp(value: float, low: float, high: float) -> float:
    """Return 0 below ``low``, 1 above ``high``, smooth between."""
    x = min(1.0, max(0.0, (value - low) / (high - low)))
    return x * x * (3.0 - 2.0 * x)


__all__ = [
    "READ_FIELDS",
    "STRENGTHS",
    "STYLE_DIM",
    "STYLE_RAIN",
    "STYLE_SNOW",
    "Conditions",
    "extinction",
    "from_read_vector",
    "style_vector",
    "to_read_vector",
    "with_sight",
]
