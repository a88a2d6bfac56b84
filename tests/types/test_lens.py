"""Lenses against OpenCV and against their own formulas in NumPy."""

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cosmos.bridge.types import Camera, FTheta, OpenCvFisheye, OpenCvPinhole, Orthographic, Pinhole

K = np.array([[310.0, 0.0, 322.5], [0.0, 305.0, 236.0], [0.0, 0.0, 1.0]])
BARREL = (-0.31, 0.11, 0.0011, -0.0007, -0.021)
RATIONAL = (0.35, -0.12, 0.0008, 0.0013, 0.01, 0.62, -0.05, 0.004, 0.001, -0.0004, 0.0006, 0.0002)
FISHEYE = (0.021, -0.0043, 0.0011, -0.0004)
FTHETA = (0.0, 0.00245, 1.2e-7, -3.0e-10, 4.0e-13)
LENSES = (
    Pinhole(),
    OpenCvPinhole(coefficients=BARREL),
    OpenCvPinhole(coefficients=RATIONAL),
    OpenCvFisheye(coefficients=FISHEYE),
    OpenCvFisheye(),
)


def camera_of(lens, *, intrinsics=K, pose=None, size=(480, 640)):
    pose = np.eye(4) if pose is None else pose
    return Camera(prim_path="/C", height=size[0], width=size[1], intrinsics=intrinsics, cam_to_world=pose, lens=lens)


def cone(half_angle, count=500, seed=3):
    """Camera-space points within an angle of the axis."""
    rng = np.random.default_rng(seed)
    theta, phi = rng.uniform(0.0, half_angle, count), rng.uniform(0.0, 2 * np.pi, count)
    rays = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), -np.cos(theta)], axis=1)
    return rays * rng.uniform(0.5, 20.0, (count, 1))


@pytest.mark.parametrize("coefficients", [(), BARREL, RATIONAL])
def test_distorted_pinhole_projects_as_opencv_does(coefficients):
    points = cone(0.6)
    flipped = (points * (1.0, -1.0, -1.0)).reshape(-1, 1, 3)
    want, _ = cv2.projectPoints(flipped, np.zeros(3), np.zeros(3), K, np.array(coefficients or (0.0,) * 5))
    got = camera_of(OpenCvPinhole(coefficients=coefficients)).project(points)
    np.testing.assert_allclose(got, want[:, 0], atol=1e-9)


@pytest.mark.parametrize("coefficients", [(), FISHEYE])
def test_fisheye_projects_as_opencv_does(coefficients):
    points = cone(1.5)
    flipped = (points * (1.0, -1.0, -1.0)).reshape(-1, 1, 3)
    bends = np.array(coefficients or (0.0,) * 4)
    want, _ = cv2.fisheye.projectPoints(flipped, np.zeros((3, 1)), np.zeros((3, 1)), K, bends)
    np.testing.assert_allclose(
        camera_of(OpenCvFisheye(coefficients=coefficients)).project(points), want[:, 0], atol=1e-8
    )


def test_ftheta_angle_is_the_polynomial_of_the_radius():
    scale = 0.5  # the picture is half the calibrated sensor
    camera = camera_of(
        FTheta(coefficients=FTHETA, max_theta=np.radians(100)),
        intrinsics=[[scale, 0.0, 320.0], [0.0, scale, 240.0], [0.0, 0.0, 1.0]],
    )
    _, rays = camera.rays()
    offset = (np.stack(np.meshgrid(np.arange(640), np.arange(480)), axis=-1) + 0.5 - (320.0, 240.0)) / scale
    radius = np.linalg.norm(offset, axis=-1)
    theta = sum(k * radius**power for power, k in enumerate(FTHETA))
    seen = theta <= np.radians(100)
    assert 0.3 < seen.mean() < 0.99
    np.testing.assert_array_equal(np.isfinite(rays).all(axis=-1), seen)
    np.testing.assert_allclose(np.arccos(-rays[seen][:, 2]), theta[seen], atol=1e-9)
    around = np.arctan2(-offset[..., 1], offset[..., 0])
    np.testing.assert_allclose(np.arctan2(rays[..., 1], rays[..., 0])[seen], around[seen], atol=1e-9)


@pytest.mark.parametrize("lens", [*LENSES, FTheta(coefficients=FTHETA, max_theta=1.9)], ids=lambda lens: lens.name)
def test_rays_go_back_to_their_pixels(lens):
    intrinsics = [[1.0, 0.0, 320.0], [0.0, 1.0, 240.0], [0.0, 0.0, 1.0]] if isinstance(lens, FTheta) else K
    turn = cv2.Rodrigues(np.array([0.3, -0.8, 0.5]))[0]
    pose = np.vstack([np.c_[turn, [4.0, -2.0, 1.0]], [0, 0, 0, 1]])
    camera = camera_of(lens, intrinsics=intrinsics, pose=pose)
    starts, rays = camera.rays()
    seen = np.isfinite(rays).all(axis=-1)
    assert seen.mean() > 0.5
    np.testing.assert_allclose(np.linalg.norm(rays[seen], axis=-1), 1.0, atol=1e-12)
    np.testing.assert_allclose(starts[seen], np.broadcast_to((4.0, -2.0, 1.0), starts[seen].shape))
    centres = np.stack(np.meshgrid(np.arange(640), np.arange(480)), axis=-1) + 0.5
    np.testing.assert_allclose(camera.project(starts + 7.0 * rays)[seen], centres[seen], atol=1e-6)


def test_orthographic_rays_are_parallel_and_project_back():
    intrinsics = np.array([[20.0, 0.0, 33.0], [0.0, 20.0, 21.0], [0.0, 0.0, 1.0]])
    camera = camera_of(Orthographic(), intrinsics=intrinsics, size=(40, 60))
    starts, rays = camera.rays()
    np.testing.assert_array_equal(rays, np.broadcast_to((0.0, 0.0, -1.0), rays.shape))
    np.testing.assert_allclose(starts[0, 0], ((0.5 - 33.0) / 20.0, (21.0 - 0.5) / 20.0, 0.0))
    np.testing.assert_allclose(camera.project(starts + 3.0 * rays)[5, 7], (7.5, 5.5))
    assert np.isnan(camera.project(np.array([0.0, 0.0, 1.0]))).all()


def test_a_lens_that_folds_over_shows_nothing_beyond_the_fold():
    lens = OpenCvPinhole(coefficients=(-0.4,))
    assert lens.reach == pytest.approx(np.sqrt(1.0 / 1.2))  # (r - 0.4 r^3)' = 0
    wide = np.array([[0.5, 0.0, -1.0], [0.95, 0.0, -1.0], [2.0, 0.0, -1.0], [0.0, 0.0, 1.0]])
    assert list(np.isfinite(lens.project(wide)).all(axis=1)) == [True, False, False, False]
    rim = lens.reach * (1.0 - 0.4 * lens.reach**2)
    rays = lens.rays(np.array([[rim * 0.999, 0.0], [rim * 1.001, 0.0]]))
    assert list(np.isfinite(rays).all(axis=1)) == [True, False]
    turning = OpenCvFisheye(coefficients=(-0.2,))
    assert turning.last_theta == pytest.approx(np.sqrt(1.0 / 0.6))


def test_fisheye_sees_behind_itself():
    lens = OpenCvFisheye()
    behind = np.array([[1.0, 0.0, 0.5]])
    np.testing.assert_allclose(lens.project(behind), [[np.pi - np.arctan2(1.0, 0.5), 0.0]])
    assert np.isnan(OpenCvFisheye(max_theta=np.pi / 2).project(behind)).all()
    np.testing.assert_allclose(lens.project(np.array([[0.0, 0.0, -3.0]])), [[0.0, 0.0]])
    assert np.isnan(lens.project(np.zeros((1, 3)))).all()


@example(k1=-0.25, k2=6.0e-91, theta=2.0)  # a term of no weight, which spoilt the other roots
@given(st.floats(-0.3, 0.3), st.floats(-0.1, 0.1), st.floats(0.01, 2.9))
def test_farther_off_the_axis_is_farther_from_the_centre(k1, k2, theta):
    lens = OpenCvFisheye(coefficients=(k1, k2))
    radii = [lens.project(np.array([np.sin(a), 0.0, -np.cos(a)]))[0] for a in (0.9 * theta, theta)]
    assert np.isnan(radii[1]) or radii[0] < radii[1]


def test_unusable_lenses_are_refused():
    with pytest.raises(ValueError, match="k1 > 0"):
        FTheta(coefficients=(0.0, 0.0, 1.0))
    with pytest.raises(ValueError, match="at most 4 finite"):
        OpenCvFisheye(coefficients=(1.0, np.nan))
    with pytest.raises(ValueError, match=r"max_theta must lie in \(0, pi\]"):
        OpenCvFisheye(max_theta=4.0)
    with pytest.raises(ValueError, match="at most 12"):
        OpenCvPinhole(coefficients=(0.0,) * 13)
