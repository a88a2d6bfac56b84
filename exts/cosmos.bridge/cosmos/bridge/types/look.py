"""The look of a picture: time of day, weather and sensor, each a number that composes with the others."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """What the weather teacher draws. Strengths lie in [0, 1]; 0 leaves the effect out."""

    sun_elevation: float = 45.0
    """Angle of the sun above the horizon [deg], in [-18, 90]; below -6 it is night and lamps are lit."""
    sun_azimuth: float = 30.0
    """Direction of the sun around the up axis [deg], counter-clockwise from +X seen from above."""
    overcast: float = 0.0
    """Cloud cover: softens and greys the sun."""
    fog: float = 0.0
    """Extinction by depth; 1 leaves about 8 m of sight."""
    rain: float = 0.0
    """Streaks, darker wet surfaces, reflecting ground."""
    snow: float = 0.0
    """Cover of upward faces, and flakes."""
    dust: float = 0.0
    """Brownish haze by depth."""
    detail: float = 1.0
    """Strength of procedural surface detail (grain, wear) fixed to the surfaces."""
    exposure: float = 0.0
    """[EV]."""
    noise: float = 0.0
    """Sensor noise."""
    vignette: float = 0.2
    """Darkening towards the rim."""
    lens_dirt: float = 0.0
    """Smudges on the lens that veil what is behind them and glow in the light; drops as well when it rains."""
    lamps: float = 1.0
    """Strength of the stage's lamps and of what glows by itself, where they are lit, in [0, 4]; the exposure stays, so
    less is darker."""
    lamp_warmth: float = 0.0
    """Colour of the stage's lamps, in [-1, 1]: 1 is warm as 2,500 K, -1 cold as 10,000 K; brightness stays."""
    seed: int = 0
    """Decides materials, flakes, streaks and smudges."""

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if not math.isfinite(value):
                raise ValueError(f"Look.{item.name} must be a finite number, got {value!r}.")
            if item.name in ("sun_elevation", "sun_azimuth", "exposure", "seed"):
                continue
            least, most = {"lamps": (0.0, 4.0), "lamp_warmth": (-1.0, 1.0)}.get(item.name, (0.0, 1.0))
            if not least <= value <= most:
                raise ValueError(f"Look.{item.name} must lie in [{least:g}, {most:g}], got {value!r}.")
        if not -18.0 <= self.sun_elevation <= 90.0:
            raise ValueError(f"Look.sun_elevation must lie in [-18, 90] [deg], got {self.sun_elevation!r}.")


def haze_extinction(*, fog: float, rain: float, snow: float, dust: float, openness: float = 1.0) -> tuple[float, float]:
    """Return the extinction of fog (with the veil of falling rain and snow) and of dust [1/m].

    Koschmieder (1924): 3.9 / visibility; a fog of 1 leaves 8 m of sight, a dust of 1 leaves 30 m.

    Args:
        fog: As in `Look`, in [0, 1].
        rain: As in `Look`, in [0, 1].
        snow: As in `Look`, in [0, 1].
        dust: As in `Look`, in [0, 1].
        openness: Share of the sky that is open to rain and snow, in [0, 1]; 0 under a roof.
    """
    veil = 3.9 / (8.0 * fog**-1.9) if fog > 0.0 else 0.0
    veil += (0.010 * rain + 0.012 * snow) * openness + 0.0002
    return veil, 3.9 / (30.0 * dust**-1.4) if dust > 0.0 else 0.0


__all__ = ["Look", "haze_extinction"]
