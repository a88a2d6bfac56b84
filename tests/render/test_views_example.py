"""The example of several cameras does what it says."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos.bridge import scenes
from cosmos.bridge.render.renderer import Renderer

EXAMPLE = Path(__file__).parents[2] / "exts/cosmos.bridge/examples/cameras.py"


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("example_cameras", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_right_eye_sees_the_left_picture_shifted_by_the_disparity(example, tmp_path):
    renderer = Renderer(scenes.warehouse(num_frames=2), device="cpu")
    disparity = example.write_stereo(renderer, (108, 192), tmp_path)
    left, right = (cv2.imread(str(tmp_path / f"{name}.png")).astype(np.float32) for name in ("left", "right"))
    y, x = np.mgrid[:108, :192].astype(np.float32)
    fetched = cv2.remap(right, x - disparity.astype(np.float32), y, cv2.INTER_LINEAR)
    known = (disparity > 0.3) & (x > disparity + 1)
    moved = np.abs(left - right)[known].mean()
    fitted = np.abs(left - fetched)[known]
    assert disparity.max() > 1.0 and known.mean() > 0.1
    assert np.median(fitted) <= 3.0 and fitted.mean() < 0.7 * moved
    np.testing.assert_array_equal(np.load(tmp_path / "disparity.npy"), disparity.astype(np.float32))
    depth = example.write_tiles(renderer, 2, tmp_path)
    assert depth.shape == (4, 64, 64) and cv2.imread(str(tmp_path / "depth.png")).shape == (128, 128, 3)
    assert len({tile.tobytes() for tile in depth}) == 4
    renderer.close()
