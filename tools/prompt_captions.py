"""Whole prompts as people write them and what they mean: captions that no template makes, for the prompt reader.

They lie in ``prompt_captions.json``, by writers who knew the bands of each scale and no other wording; each tells the
hour, day where none is said, and the kinds of weather that it means. ``plain_prompts.json`` holds prompts that say
nothing of light and weather, though a third of their words might ("a storm drain", "a snow shovel on the wall").
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cosmos.models.embedded.conditions import Conditions
from cosmos.models.embedded.wordings import HOURS, WEATHER

_HOURS = ("night", "dusk", "golden", "morning", "day", "noon")
_STRENGTHS = {
    "overcast": ("cloud_some", "cloud_full"),
    "fog": ("fog_light", "fog_mid", "fog_dense"),
    "rain": ("rain_light", "rain_mid", "rain_heavy"),
    "snow": ("snow_light", "snow_mid", "snow_heavy"),
    "dust": ("dust_light", "dust_heavy"),
}
_CLOUDED = (0.6, 1.0)
"""Cover of the clouds that rain and snow fall from, where nothing is said of them."""


class WholePrompt(NamedTuple):
    """A prompt and its bands."""

    text: str
    hour: tuple[float, float]
    """Lowest and highest elevation of the sun [degrees]."""
    weather: dict[str, tuple[float, float]]
    """Lowest and highest strength of each kind that it means."""

    def draw(self, rng: np.random.Generator) -> Conditions:
        """Draw a look that it means."""
        drawn = Conditions(sun_elevation=rng.uniform(*self.hour), vignette=0.2)
        drawn = replace(drawn, **{name: rng.uniform(*band) for name, band in self.weather.items()})
        if {"rain", "snow"} & self.weather.keys() and "overcast" not in self.weather:
            drawn = replace(drawn, overcast=rng.uniform(*_CLOUDED))
        return drawn


def whole_prompts() -> list[WholePrompt]:
    """Return all of them."""
    bands = {
        key: (name, WEATHER[name][place][:2]) for name, keys in _STRENGTHS.items() for place, key in enumerate(keys)
    }
    told = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    return [
        WholePrompt(
            text=one["prompt"],
            hour=HOURS[_HOURS.index(one["hour"])][:2],
            weather=dict(bands[key] for key in one["weather"]),
        )
        for one in told
    ]


def plain_prompts() -> list[str]:
    """Return prompts that say nothing of light and weather, and so mean a clear day."""
    prompts: list[str] = json.loads(Path(__file__).with_name("plain_prompts.json").read_text(encoding="utf-8"))
    return prompts


__all__ = ["WholePrompt", "plain_prompts", "whole_prompts"]
