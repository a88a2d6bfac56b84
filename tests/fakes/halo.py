"""What even haze scatters from a small sphere light into rays, integrated in float64."""

import numpy as np

_STEPS = 40_000
_ONWARDS = 0.6  # asymmetry of the scattering


def scattered(starts, directions, distances, *, place, radius, radiance, haze, shadow=None):
    """Single scattering (Beer-Lambert; Henyey and Greenstein 1941) along rays [K, 3] of some lengths [m], shape [K].

    Points [N, 3] for which ``shadow`` is true see no lamp.
    """
    total = []
    for start, direction, distance in zip(starts, directions, distances, strict=True):
        t = (np.arange(_STEPS) + 0.5) / _STEPS * distance
        away = place - (start + t[:, None] * direction)
        reach = np.linalg.norm(away, axis=1)
        bent = 1 + _ONWARDS**2 - 2 * _ONWARDS * (away @ direction) / reach
        phase = (1 - _ONWARDS**2) / bent**1.5 / (4 * np.pi)
        sent = np.pi * radius**2 * radiance / reach**2
        if shadow is not None:
            sent = np.where(shadow(place - away), 0.0, sent)
        total.append((sent * phase * haze * np.exp(-haze * (t + reach))).sum() * distance / _STEPS)
    return np.array(total)
