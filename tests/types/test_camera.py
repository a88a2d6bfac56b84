import numpy as np
import pytest

from cosmos.bridge.types import Camera


def make_camera(**changes):
    values = {"prim_path": "/Camera", "height": 3, "width": 5, "intrinsics": np.eye(3), "cam_to_world": np.eye(4)}
    return Camera(**{**values, **changes})


def test_matrices_are_copied_to_float64_and_read_only():
    mine = np.eye(3, dtype=np.float32)
    camera = make_camera(intrinsics=mine)
    mine[0, 0] = 7.0
    assert camera.intrinsics[0, 0] == 1.0
    assert camera.intrinsics.dtype == camera.cam_to_world.dtype == np.float64
    with pytest.raises(ValueError, match="read-only"):
        camera.intrinsics[0, 0] = 2.0


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"height": 0}, "at least 1 x 1"),
        ({"width": -2}, "at least 1 x 1"),
        ({"intrinsics": np.eye(4)}, "intrinsics of shape"),
        ({"cam_to_world": np.eye(3)}, "cam_to_world of shape"),
        ({"near": 0.0}, "0 < near < far"),
        ({"near": 2.0, "far": 1.0}, "0 < near < far"),
        ({"intrinsics": np.diag([0.0, 1.0, 1.0])}, "positive focal lengths"),
        ({"intrinsics": np.full((3, 3), np.nan)}, "finite intrinsics"),
        ({"cam_to_world": np.diag([1.0, 0.0, 1.0, 1.0])}, "has an inverse"),
        ({"cam_to_world": np.full((4, 4), np.inf)}, "finite cam_to_world"),
        ({"exposure": np.nan}, "exposure in"),
        ({"exposure_scale": 0.0}, "positive exposure_scale"),
    ],
)
def test_impossible_cameras_are_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        make_camera(**changes)


def test_a_camera_is_frozen_and_keyword_only():
    with pytest.raises(AttributeError):
        make_camera().height = 9
    with pytest.raises(TypeError):
        Camera("/Camera", 3, 5, np.eye(3), np.eye(4))
