"""What a trained encoder might make of words, told instead of read: tiny random weights read every prompt alike."""

import numpy as np

from cosmos.models.embedded.bands import BANDS, bands_of
from cosmos.models.embedded.conditions import READ_FIELDS
from cosmos.models.embedded.text import Heard


def heard_as(spread: float = 0.0, **values: float) -> Heard:
    """Return a reading of these values, the others 0, each surely in its band."""
    mean = np.zeros(len(READ_FIELDS))
    for name, value in values.items():
        mean[READ_FIELDS.index(name)] = value
    chances = {
        name: np.eye(len(bands))[band] for (name, bands), band in zip(BANDS.items(), bands_of(mean), strict=True)
    }
    return Heard(mean, np.full(len(mean), spread), chances)
