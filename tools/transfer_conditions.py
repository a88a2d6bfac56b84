"""The 12 conditions that the embedded model is measured under, and prompts for them that no template writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from cosmos.models.embedded.conditions import Conditions

CONDITIONS = {
    "clear day": Conditions(sun_elevation=48.0, sun_bearing=240.0),
    "golden hour": Conditions(sun_elevation=6.0, sun_bearing=110.0),
    "dusk": Conditions(sun_elevation=-3.0, sun_bearing=200.0),
    "night": Conditions(sun_elevation=-13.0, sun_bearing=80.0),
    "overcast": Conditions(sun_elevation=40.0, overcast=0.9),
    "fog": Conditions(sun_elevation=40.0, fog=0.5, overcast=0.3),
    "dense fog": Conditions(sun_elevation=40.0, fog=0.85),
    "rain": Conditions(sun_elevation=35.0, rain=0.6, overcast=0.8),
    "snow": Conditions(sun_elevation=35.0, snow=0.65, overcast=0.8),
    "heavy snow": Conditions(sun_elevation=30.0, snow=0.95, overcast=0.9),
    "night snow": Conditions(sun_elevation=-13.0, snow=0.65, overcast=0.8),
    "dust": Conditions(sun_elevation=40.0, dust=0.6),
}
WORDINGS = {
    "clear day": (
        "a fine day with the sun out",
        "bright and clear, early afternoon light",
        "cloudless, sun high",
        "blue skies at lunchtime",
        "a bright cloudless day, crisp shadows",
        "sunny and dry, middle of the day",
    ),
    "golden hour": (
        "the last warm sun of the day",
        "sunrise glow",
        "low evening sunlight over the yard",
        "shortly before sunset, orange light",
        "the sun is low and everything glows",
        "early in the morning with long shadows",
    ),
    "dusk": (
        "it is getting dark, the sun has set",
        "first light before the sun is up",
        "in the twilight",
        "the sun is gone, the sky still glows",
        "blue hour in the yard",
        "just before dawn",
    ),
    "night": (
        "a moonlit yard, 1 am",
        "late in the night",
        "dark, midnight, under the lamps",
        "three in the morning, only the lamps are on",
        "in the dead of night",
        "nighttime, dark sky with stars",
    ),
    "overcast": (
        "grey day under a cloudy sky",
        "dull, clouds everywhere",
        "heavy cloud cover, flat light",
        "no sun, thick grey clouds",
        "a gloomy cloudy afternoon",
        "cloudy and dull, soft shadows",
    ),
    "fog": (
        "a foggy scene, low visibility",
        "the yard lies in fog",
        "fog on the road",
        "foggy morning at the depot",
        "the fog came in from the sea",
        "drive through fog",
    ),
    "dense fog": (
        "very thick fog",
        "so foggy, extremely dense fog",
        "heavy dense fog, near-zero visibility",
        "fog so thick you see nothing",
        "extremely thick fog in the yard",
        "poor visibility, dense fog everywhere",
    ),
    "rain": (
        "it is raining on the street",
        "a rainy day, wet, puddles on the asphalt",
        "rain falling, showers",
        "wet street, rain keeps falling",
        "rainy weather with puddles",
        "showers over the parking lot",
    ),
    "snow": (
        "snow lies on the ground",
        "a snowy winter yard",
        "the road is covered in snow",
        "fresh snow on everything",
        "it snows, the ground is white",
        "winter, the yard is snowy",
    ),
    "heavy snow": (
        "deep snow in a blizzard",
        "snowstorm, a lot of snow",
        "thick snow, heavy snowfall",
        "a blizzard hits the depot",
        "snowed in, very deep snow",
        "heavy snowfall in a snowstorm",
    ),
    "night snow": (
        "snow at night",
        "midnight, snowy road",
        "a dark winter night, covered in snow",
        "2 am and it is snowing",
        "snowfall after dark",
        "a snowy street under lamps at midnight",
    ),
    "dust": (
        "sandstorm",
        "a dust storm over the desert yard",
        "thick dust clouds in the air",
        "thick dust in the air, desert",
        "a sandstorm rolls over the depot",
        "brown haze, very dusty",
    ),
}
"""Prompts that the caption templates do not write, for the reader's accuracy."""

MEANT = {
    **CONDITIONS,
    "fog": replace(CONDITIONS["fog"], fog=0.3, overcast=0.0),
    "dense fog": replace(CONDITIONS["dense fog"], fog=0.6),
}
"""The conditions as words mean them: fog of 79 m of sight, dense fog of 21 m; pictures are judged in twice as much."""

_WIDTHS = {"sun_elevation": 12.0, "overcast": 0.45, "fog": 0.25, "rain": 0.3, "snow": 0.25, "dust": 0.3}


def distances(values: Mapping[str, Any], kinds: Mapping[str, Conditions] = CONDITIONS) -> dict[str, float]:
    """Return how far conditions, as a mapping, are from each of the 12, squared; about 1 can just be told apart."""
    return {
        name: float(sum(((values[key] - getattr(of, key)) / width) ** 2 for key, width in _WIDTHS.items()))
        for name, of in kinds.items()
    }


def nearest(conditions: Conditions) -> str:
    """Return the name of the condition that is nearest, as words mean it."""
    far = distances(asdict(conditions), MEANT)
    return min(far, key=lambda name: far[name])


__all__ = ["CONDITIONS", "WORDINGS", "distances", "nearest"]
