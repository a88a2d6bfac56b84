"""The glow of lamps laid over pictures, against the tone curve in float64."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.laid_glow import lay_glow
from tone import toned, untoned

wp.config.quiet = True


def laid(device, pictures, glow):
    """Pictures with a glow laid over them."""
    out = wp.array(pictures, dtype=wp.uint8, device=device)
    lay_glow(out, wp.array(glow, dtype=wp.uint8, device=device))
    return out.numpy()


def radiance(glow):
    """What a level of a glow says."""
    v = np.minimum(glow / 255.0, 0.999)
    share = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    return share / (1.0 - share)


@pytest.mark.parametrize("size", [(7, 13), (90, 101)])
def test_light_is_added_as_light(device, size):
    rng = np.random.default_rng(5)
    pictures, glow = (rng.integers(0, most, (2, *size, 3)).astype(np.uint8) for most in (220, 200))
    glow[0, :3] = 0
    got = laid(device, pictures, glow)
    np.testing.assert_array_equal(got[0, :3], pictures[0, :3])
    expected = toned(untoned(pictures) + radiance(glow))
    assert np.abs(got - expected)[0, 3:].max() <= 1.5
    assert (expected[0, 3:] - pictures[0, 3:]).mean() > 30.0


def test_a_blinding_glow_is_white(device):
    assert (laid(device, np.zeros((1, 2, 2, 3), np.uint8), np.full((1, 2, 2, 3), 255, np.uint8)) >= 254).all()


def test_shapes_must_go_together():
    with pytest.raises(ValueError, match=r"lay_glow needs .* got \[1, 2, 2, 3\] and \[1, 2, 3, 3\]"):
        laid("cpu", np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 2, 3, 3), np.uint8))
