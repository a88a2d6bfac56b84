"""Bands: what the hour is, and how strong each kind of weather, as words tell them apart.

A mean says little where a prompt means either no snow or much of it; the encoder tells the chance of each band, and
what is read lies in the likeliest.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cosmos.models.embedded.conditions import READ_FIELDS
from cosmos.models.embedded.wordings import HOURS, WEATHER

BANDS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "sun_elevation": tuple((low / 45.0, high / 45.0) for low, high, _ in HOURS),
    **{name: ((0.0, 0.0), *((low, high) for low, high, _ in scale)) for name, scale in WEATHER.items()},
}
"""Read field -> lowest and highest value of each of its bands, in the units of a read vector; the first one of weather
is that there is none."""

_PLACES = {name: READ_FIELDS.index(name) for name in BANDS}
_ENDS = np.cumsum([len(bands) for bands in BANDS.values()])
COUNT = int(_ENDS[-1])
"""Bands of all fields."""
SLICES = {name: slice(int(end) - len(BANDS[name]), int(end)) for name, end in zip(BANDS, _ENDS, strict=True)}
"""Read field -> where its bands lie among all."""


def bands_of(vector: np.ndarray) -> np.ndarray:
    """Return the band of each field, or the nearest one, int64 [len(BANDS)]; of a read vector [len(READ_FIELDS)]."""
    values = [(float(vector[_PLACES[name]]), bands) for name, bands in BANDS.items()]
    far = [[max(low - value, value - high, 0.0) for low, high in bands] for value, bands in values]
    return np.array([int(np.argmin(miss)) for miss in far], dtype=np.int64)


def settle(vector: np.ndarray, chances: Mapping[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return a read vector with each field in its likeliest band, drawn anew where it lies outside.

    Args:
        vector: Read vector, float64 [len(READ_FIELDS)].
        chances: Read field -> chance of each of its bands.
        rng: Draws.
    """
    settled = vector.copy()
    for name, bands in BANDS.items():
        low, high = bands[int(np.argmax(chances[name]))]
        drawn = rng.uniform(low, high)
        if not low <= settled[_PLACES[name]] <= high:
            settled[_PLACES[name]] = drawn
    return settled


__all__ = ["BANDS", "COUNT", "SLICES", "bands_of", "settle"]
