"""A dirty lens: what it does to a plain picture, against its own laws and float64."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.kernels.lens_dirt import dirty_lens
from cosmos.bridge.render.draw.bands import Bands

wp.config.quiet = True
SIZE = (45, 80)


def through(device, picture, *, threads=1, **options):
    options = {"dirt": 0.0, "drops": 0.0, "time": 0.0, "seed": 3, **options}
    bands = Bands(device, threads)
    colors = wp.array(np.ascontiguousarray(picture.reshape(-1, 3), dtype=np.float32), dtype=wp.vec3, device=device)
    seen = dirty_lens(bands, picture.shape[:2], colors, **options).numpy().reshape(picture.shape).astype(np.float64)
    bands.close()
    return seen


def scene(seed=0):
    picture = np.random.default_rng(seed).uniform(0.0, 0.3, (*SIZE, 3))
    picture[5:9, 60:66] = 1.0
    return picture


def test_a_clean_lens_leaves_every_pixel(device):
    np.testing.assert_array_equal(through(device, scene()), scene().astype(np.float32))


def test_what_dirt_does_grows_in_proportion_to_its_strength(device):
    picture = scene()
    clean = picture.astype(np.float32).astype(np.float64)
    half, full = (through(device, picture, dirt=amount) - clean for amount in (0.5, 1.0))
    np.testing.assert_allclose(half, 0.5 * full, atol=2e-6)
    assert np.abs(full).mean() > 0.005


def test_dirt_takes_more_light_than_it_gives_back(device):
    """On an even grey each pixel keeps between two fifths and all of its light, and channels stay equal."""
    grey = np.full((*SIZE, 3), 0.5)
    seen = through(device, grey, dirt=1.0)
    assert (seen <= 0.5 + 1e-6).all() and (seen >= 0.5 * 0.4).all()
    assert seen.std() > 0.003
    np.testing.assert_allclose(seen[..., 0], seen[..., 2], atol=1e-6)


def test_dirt_glows_more_the_nearer_a_light_is(device):
    dark = np.zeros((*SIZE, 3))
    dark[20:24, 8:12] = 1.0
    glow = through(device, dark, dirt=1.0)[..., 0]
    near, far = glow[14:30, 14:22].mean(), glow[14:30, 60:].mean()
    assert near > 3.0 * far > 0.0


def test_drops_come_and_go_and_show_the_picture_upside_down(device):
    """A picture that is a ramp from dark top to bright bottom is, inside a drop, brighter above than below."""
    ramp = np.repeat(np.linspace(0.2, 0.8, 180)[:, None, None], 320, axis=1) * np.ones(3)
    first, later = (through(device, ramp, drops=1.0, time=t) for t in (0.0, 30.0))
    assert np.abs(first - later).max() > 0.1
    clear = ramp.astype(np.float32)
    changed = np.abs(first - clear).max(axis=-1) > 1e-4
    assert 0.02 < changed.mean() < 0.6
    slope = np.diff(first[..., 0], axis=0)[changed[1:] & changed[:-1]]
    assert np.median(slope) < 0.0 < np.diff(ramp[..., 0], axis=0).min()


@pytest.mark.parametrize("threads", [2, 5])
def test_threads_do_not_change_a_bit(threads):
    picture = np.random.default_rng(1).uniform(0.0, 1.0, (90, 160, 3))
    options = {"dirt": 0.8, "drops": 0.7, "time": 1.0}
    np.testing.assert_array_equal(
        through("cpu", picture, threads=1, **options), through("cpu", picture, threads=threads, **options)
    )
