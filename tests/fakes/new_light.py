"""The same pictures under another light."""

import numpy as np


def lit(rgb, seed=5):
    """The same world under another light: darker, warmer, with a soft glow and sensor noise."""
    rng = np.random.default_rng(seed)
    height, width = rgb.shape[1:3]
    y, x = np.mgrid[:height, :width]
    glow = 0.5 + 0.5 * np.exp(-(((x - 180) / 90.0) ** 2) - ((y - 60) / 60.0) ** 2)[..., None]
    changed = rgb.astype(np.float32) * glow * (0.8, 0.7, 0.5) + 8.0 + rng.normal(0.0, 2.0, rgb.shape)
    return np.clip(changed, 0, 255).astype(np.uint8)
