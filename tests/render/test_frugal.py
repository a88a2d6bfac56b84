"""The interactive picture shares rays and colours between pixels: still the picture, whatever the threads."""

import numpy as np
import pytest
import warp as wp

from cosmos.bridge import scenes
from cosmos.bridge.render.draw import gather, paint
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import BUFFERS

wp.config.quiet = True

SIZE = (256, 416)  # large enough that slow light is gathered on a grid of its own


@pytest.fixture(scope="module")
def stage():
    return scenes.tabletop()


def picture(stage, **options):
    renderer = Renderer(stage, device="cpu", **options)
    path = renderer.scene.camera_paths[0]
    before = renderer.camera(path, 2.0, size=SIZE)
    frame = renderer.render(path, 3.0, size=SIZE, previous=(before, 2.0))
    buffers = {name: getattr(frame, name).numpy().copy() for name in BUFFERS}
    renderer.close()
    return buffers


@pytest.fixture(scope="module")
def frugal(stage):
    return picture(stage, threads=1)


def test_shared_rays_draw_the_same_picture(stage, frugal, monkeypatch):
    monkeypatch.setattr(paint, "SIMULATION", gather.Effort(gather=16, lamp=4, sun=1, coarsest=1))
    monkeypatch.setattr(gather, "_MIDDLE", 0)
    full = picture(stage)["rgb"].astype(float)
    apart = np.abs(frugal["rgb"] - full).max(axis=-1)
    assert full.std() > 20.0
    assert 10 * np.log10(255.0**2 / np.mean((frugal["rgb"] - full) ** 2)) > 32.0
    assert np.mean(apart > 40.0) < 7e-3  # rims of shadows and edges only


@pytest.mark.parametrize("threads", [2, 5])
def test_bands_do_not_change_a_bit_of_the_interactive_picture(stage, frugal, threads):
    other = picture(stage, threads=threads)
    for name in BUFFERS:
        np.testing.assert_array_equal(frugal[name], other[name], err_msg=name)
