"""The tone curve in float64: S. Hill's fit of ACES (2016) with the curve of sRGB, forth and back."""

import numpy as np

_INTO = np.array([[0.59719, 0.35458, 0.04823], [0.07600, 0.90834, 0.01566], [0.02840, 0.13383, 0.83777]])
_OUT = np.array([[1.60475, -0.53108, -0.07367], [-0.10208, 1.10813, -0.00605], [-0.00327, -0.07276, 1.07602]])


def toned(light):
    """Levels in [0, 255] of exposed linear light [..., 3]."""
    v = np.asarray(light, np.float64) @ _INTO.T
    v = (v * (v + 0.0245786) - 0.000090537) / (v * (0.983729 * v + 0.4329510) + 0.238081)
    v = np.clip(v @ _OUT.T, 0.0, 1.0)
    return 255.0 * np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1.0 / 2.4) - 0.055)


def untoned(levels):
    """Linear light of levels [..., 3], nothing below 0; the fraction of the fit is inverted by bisection."""
    v = np.asarray(levels, np.float64) / 255.0
    v = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4) @ np.linalg.inv(_OUT).T
    low, high = np.zeros_like(v), np.full_like(v, 100.0)
    for _ in range(60):
        x = (low + high) / 2.0
        less = (x * (x + 0.0245786) - 0.000090537) / (x * (0.983729 * x + 0.4329510) + 0.238081) < v
        low, high = np.where(less, x, low), np.where(less, high, x)
    return np.maximum((low @ np.linalg.inv(_INTO).T), 0.0)
