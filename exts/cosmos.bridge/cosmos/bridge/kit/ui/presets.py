"""Words for the prompt, by weather, light and material: picked from a list instead of typed."""

from __future__ import annotations

from collections.abc import Mapping

AS_IT_IS = "as it is"
"""Name of the preset that adds no words."""

PRESETS: Mapping[str, Mapping[str, str]] = {
    "weather": {
        AS_IT_IS: "",
        "clear": "clear sky",
        "overcast": "overcast sky",
        "light rain": "light rain",
        "rain": "rain, puddles",
        "storm": "heavy rain, dark clouds",
        "mist": "mist, light haze",
        "fog": "dense fog",
        "snow": "snow falling, snow on the ground",
        "blizzard": "blizzard, deep snow",
        "dust storm": "dust storm",
    },
    "light": {
        AS_IT_IS: "",
        "noon": "at noon",
        "morning": "in the morning",
        "golden hour": "golden hour, low sun",
        "dusk": "at dusk",
        "night": "at night",
        "backlit": "backlit",
        "overexposed": "overexposed",
        "underexposed": "underexposed",
    },
    "material": {
        AS_IT_IS: "",
        "worn": "worn surfaces, scuffed paint",
        "factory new": "clean new surfaces",
        "corroded": "corroded metal, peeling paint",
        "concrete": "bare concrete surfaces",
        "weathered wood": "weathered wooden surfaces",
    },
}
"""Group -> name -> words that are added to the prompt. The shipped model reads weather and light; words about material
steer NVIDIA's models."""


def words_of(prompt: str, chosen: Mapping[str, str]) -> str:
    """Return a prompt with the words of presets.

    Args:
        prompt: What a person wrote; may be empty.
        chosen: Group -> name of the preset.
    """
    words = (PRESETS[group][chosen[group]] for group in PRESETS)
    return ", ".join(part for part in (prompt.strip().rstrip(",."), *words) if part)


__all__ = ["AS_IT_IS", "PRESETS", "words_of"]
