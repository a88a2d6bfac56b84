"""Cameras against Gf.Camera's own frustum."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.usd.stage import StageReader


@pytest.fixture
def stage():
    made = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(made, 0.01)
    UsdGeom.Cube.Define(made, "/World/Cube")
    return made


def add_camera(stage, path="/World/Camera"):
    camera = UsdGeom.Camera.Define(stage, path)
    camera.CreateFocalLengthAttr(35)
    camera.CreateHorizontalApertureAttr(24)
    camera.CreateVerticalApertureAttr(13.5)
    camera.CreateHorizontalApertureOffsetAttr(2.0)
    camera.CreateVerticalApertureOffsetAttr(-1.5)
    camera.CreateClippingRangeAttr((10, 5000))
    return camera


@pytest.mark.parametrize("projection", ["perspective", "orthographic"])
def test_projection_equals_the_frustum_of_usd(stage, projection):
    usd_camera = add_camera(stage)
    usd_camera.CreateProjectionAttr(projection)
    move = usd_camera.AddTransformOp()
    rotation = Gf.Matrix4d(Gf.Rotation((1, 2, 3), 40), Gf.Vec3d(30, -20, 50))
    move.Set(Gf.Matrix4d().SetScale(Gf.Vec3d(2, 2, 2)) * rotation)
    height, width = 90, 160  # the aspect of the apertures, so that Gf's window fits the picture
    camera = StageReader(stage).camera("/World/Camera", 0, size=(height, width))
    frustum = usd_camera.GetCamera(0).frustum
    width_of_view = 50.0 if projection == "perspective" else 2.0
    points = np.random.default_rng(1).uniform(-1, 1, (64, 3)) * (0.4 * width_of_view, 0.2 * width_of_view, 30)
    points += (0, 0, -100)
    view_to_world = np.array(frustum.ComputeViewInverse())
    world = (np.c_[points, np.ones(64)] @ view_to_world)[:, :3]
    to_clip = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
    ndc = np.array([to_clip.Transform(Gf.Vec3d(*p)) for p in world])
    want = np.stack([(ndc[:, 0] + 1) / 2 * width, (1 - ndc[:, 1]) / 2 * height], axis=1)
    np.testing.assert_allclose(camera.project(world * 0.01), want, atol=1e-3)
    np.testing.assert_allclose(np.linalg.det(camera.cam_to_world[:3, :3]), 1.0)
    np.testing.assert_allclose((camera.near, camera.far), (0.1, 50.0))


def test_square_pixels_whatever_the_size(stage):
    add_camera(stage)
    reader = StageReader(stage)
    for size in ((1, 1), (33, 7), (100, 400)):
        camera = reader.camera("/World/Camera", 0, size=size)
        assert camera.intrinsics[0, 0] == camera.intrinsics[1, 1] == pytest.approx(35 * size[1] / 24)
        assert (camera.height, camera.width) == size


def test_animated_camera_and_lens_are_followed(stage):
    usd_camera = add_camera(stage)
    move = usd_camera.AddTranslateOp()
    move.Set((0, 0, 0), 0)
    move.Set((100, 0, 0), 10)
    usd_camera.GetFocalLengthAttr().Set(20, 0)
    usd_camera.GetFocalLengthAttr().Set(40, 10)
    camera = StageReader(stage).camera("/World/Camera", 5, size=(10, 24))
    np.testing.assert_allclose(camera.cam_to_world[:3, 3], (0.5, 0, 0))
    assert camera.intrinsics[0, 0] == pytest.approx(30)


def test_wrong_path_lists_the_cameras(stage):
    add_camera(stage, "/World/Left")
    add_camera(stage, "/World/Right")
    reader = StageReader(stage)
    for path in ("/World/Cube", "/Nope", "no path at all", ""):
        with pytest.raises(SourceError, match=r"has no camera .*; it has /World/Left, /World/Right"):
            reader.camera(path, 0, size=(8, 8))


def test_stage_without_camera_says_so(stage):
    with pytest.raises(SourceError, match="it has none"):
        StageReader(stage).camera("/World/Camera", 0, size=(8, 8))


def test_hidden_cameras_count(stage):
    add_camera(stage, "/World/Rig/Camera")
    UsdGeom.Xform.Define(stage, "/World/Rig").MakeInvisible()
    assert StageReader(stage).scene.camera_paths == ("/World/Rig/Camera",)


def test_unusable_cameras_are_refused(stage):
    camera = add_camera(stage)
    reader = StageReader(stage)
    with pytest.raises(SourceError, match="at least 1 x 1"):
        reader.camera("/World/Camera", 0, size=(0, 8))
    camera.GetClippingRangeAttr().Set((10, 10))
    with pytest.raises(SourceError, match="far must exceed near"):
        reader.camera("/World/Camera", 0, size=(8, 8))
    camera.GetClippingRangeAttr().Clear()
    scale = camera.AddScaleOp()
    scale.Set((1, 0, 1))
    with pytest.raises(SourceError, match="transform without inverse"):
        reader.camera("/World/Camera", 0, size=(8, 8))
    scale.Set((1, 1, 1))
    camera.GetHorizontalApertureAttr().Set(0)
    with pytest.raises(SourceError, match=r"horizontal aperture 0 .* must be finite"):
        reader.camera("/World/Camera", 0, size=(8, 8))
    camera.GetHorizontalApertureAttr().Set(1e-30)
    with pytest.raises(SourceError, match=r"/World/Camera at time 0.* finite intrinsics below 1e\+12"):
        reader.camera("/World/Camera", 0, size=(8, 8))
    camera.GetHorizontalApertureAttr().Set(0)
    camera.CreateProjectionAttr("orthographic")
    with pytest.raises(SourceError, match="horizontal aperture 0"):
        reader.camera("/World/Camera", 0, size=(8, 8))
    camera.GetHorizontalApertureAttr().Set(24)
    camera.GetFocalLengthAttr().Set(0)
    reader.camera("/World/Camera", 0, size=(8, 8))  # parallel rays need no focal length
    camera.GetHorizontalApertureOffsetAttr().Set(float("nan"))
    with pytest.raises(SourceError, match="aperture offsets nan"):
        reader.camera("/World/Camera", 0, size=(8, 8))


@pytest.mark.parametrize(
    "numbers", [{}, {"time": 0.02}, {"iso": 400.0, "fStop": 5.6, "time": 0.01, "responsivity": 1.3}]
)
def test_exposure_equals_usds_own_scale(stage, numbers):
    usd_camera = add_camera(stage)
    usd_camera.CreateExposureAttr(1.5)
    for name, value in numbers.items():
        usd_camera.GetPrim().GetAttribute(f"exposure:{name}").Set(value)
    camera = StageReader(stage).camera("/World/Camera", 0, size=(8, 8))
    assert camera.exposure == 1.5
    if numbers:
        assert camera.exposure_scale == pytest.approx(usd_camera.ComputeLinearExposureScale(Usd.TimeCode(0)), rel=1e-6)
    else:
        assert camera.exposure_scale is None
    assert any("not metered" in note for note in StageReader(stage).scene.notes) == bool(numbers)


def test_broken_exposure_is_refused(stage):
    usd_camera = add_camera(stage)
    usd_camera.GetExposureFStopAttr().Set(0.0)
    with pytest.raises(SourceError, match=r"exposure 0 and time 1, iso 100, fStop 0, .* others be positive"):
        StageReader(stage).camera("/World/Camera", 0, size=(8, 8))
    usd_camera.GetExposureFStopAttr().Set(1.0)
    usd_camera.CreateExposureAttr(float("nan"))
    with pytest.raises(SourceError, match="exposure nan"):
        StageReader(stage).camera("/World/Camera", 0, size=(8, 8))
