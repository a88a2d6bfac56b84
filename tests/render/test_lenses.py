"""Calibrated lenses of a stage: what is authored, NVIDIA's defaults for what is not, and what is refused."""

import cv2
import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.usd.stage import StageReader
from cosmos.bridge.types import FTheta, OpenCvFisheye, OpenCvPinhole, Pinhole

POINTS = np.random.default_rng(4).uniform(-1.0, 1.0, (40, 3)) * (2.0, 2.0, 0.5) - (0.0, 0.0, 3.0)
FLIPPED = (POINTS * (1.0, -1.0, -1.0)).reshape(-1, 1, 3)
STILL = np.zeros((3, 1))


def read(attributes, *, apis=(), size=(270, 480)):
    """Return the camera of a stage in metres whose one camera has these attributes by name."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.Cube.Define(stage, "/World/Cube")
    prim = UsdGeom.Camera.Define(stage, "/World/Camera").GetPrim()
    for name, value in attributes.items():
        kind = Sdf.ValueTypeNames.Float
        if isinstance(value, str):
            kind = Sdf.ValueTypeNames.Token
        elif isinstance(value, tuple):
            whole = isinstance(value[0], int)
            kind, value = (Sdf.ValueTypeNames.Int2, Gf.Vec2i(*value)) if whole else (Sdf.ValueTypeNames.Float2, value)
        prim.CreateAttribute(name, kind).Set(value)
    if apis:
        prim.SetMetadata("apiSchemas", Sdf.TokenListOp.Create(prependedItems=list(apis)))
    return StageReader(stage).camera("/World/Camera", 0.0, size=size)


def opencv(model, **numbers):
    return {"omni:lensdistortion:model": model} | {
        f"omni:lensdistortion:{model}:{key}": value for key, value in numbers.items()
    }


def test_opencv_pinhole_equals_opencv():
    bends = (-0.3, 0.1, 0.001, -0.002, 0.01, 0.02, -0.01, 0.003, 0.0004, -0.0003, 0.0002, 0.0001)
    names = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6", "s1", "s2", "s3", "s4")
    lens = dict(zip(names, bends, strict=True))
    numbers = {"fx": 610.0, "fy": 600.0, "cx": 470.0, "cy": 275.0, "imageSize": (960, 540)}
    camera = read(opencv("opencvPinhole", **numbers, **lens), apis=["OmniLensDistortionOpenCvPinholeAPI"])
    matrix = np.array([[305.0, 0.0, 235.0], [0.0, 300.0, 137.5], [0.0, 0.0, 1.0]])  # at half the calibrated size
    want, _ = cv2.projectPoints(FLIPPED, STILL, STILL, matrix, np.array(bends))
    np.testing.assert_allclose(camera.project(POINTS), want[:, 0], atol=1e-4)
    before = {f"fthetaPoly{a}": k for a, k in zip("ABCDEF", np.array(bends)[[0, 1, 4, 5, 6, 7]].tolist(), strict=True)}
    before |= dict(
        zip(("p0", "p1", "s0", "s1", "s2", "s3"), np.array(bends)[[2, 3, 8, 9, 10, 11]].tolist(), strict=True)
    )
    before |= {"openCVFx": 610.0, "openCVFy": 600.0, "fthetaCx": 470.0, "fthetaCy": 275.0}
    older = read({"cameraProjectionType": "pinholeOpenCV", "fthetaWidth": 960.0, "fthetaHeight": 540.0, **before})
    np.testing.assert_allclose(older.project(POINTS), want[:, 0], atol=1e-4)


def test_opencv_fisheye_equals_opencv():
    bends = (0.02, -0.004, 0.001, -0.0003)
    numbers = {"fx": 300.0, "fy": 310.0, "cx": 500.0, "cy": 260.0, "imageSize": (960, 540)}
    camera = read(opencv("opencvFisheye", **numbers, **{f"k{i + 1}": k for i, k in enumerate(bends)}))
    matrix = np.array([[150.0, 0.0, 250.0], [0.0, 155.0, 130.0], [0.0, 0.0, 1.0]])
    want, _ = cv2.fisheye.projectPoints(FLIPPED, STILL, STILL, matrix, np.array(bends))
    np.testing.assert_allclose(camera.project(POINTS), want[:, 0], atol=1e-4)
    before = {"openCVFx": 300.0, "openCVFy": 310.0, "fthetaCx": 500.0, "fthetaCy": 260.0, "fthetaMaxFov": 180.0}
    before |= {f"fthetaPoly{a}": k for a, k in zip("ABCD", bends, strict=True)}
    older = read({"cameraProjectionType": "fisheyeOpenCV", "fthetaWidth": 960.0, "fthetaHeight": 540.0, **before})
    np.testing.assert_allclose(older.project(POINTS), want[:, 0], atol=1e-4)
    assert older.lens.max_theta == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("newer", [True, False])
def test_ftheta_angles_follow_the_polynomial(newer):
    numbers = (0.0, 0.0021, 1e-7, -2e-10, 3e-13)
    attributes = {"cameraProjectionType": "fisheyePolynomial", "fthetaWidth": 960.0, "fthetaHeight": 540.0,
                  "fthetaCx": 470.0, "fthetaCy": 262.0, "fthetaMaxFov": 190.0}  # fmt: skip
    attributes |= {f"fthetaPoly{a}": k for a, k in zip("ABCDE", numbers, strict=True)}
    if newer:
        attributes = opencv("ftheta", nominalWidth=960.0, nominalHeight=540.0, opticalCenter=(470.0, 262.0),
                            maxFov=190.0, **{f"k{i}": k for i, k in enumerate(numbers)})  # fmt: skip
    camera = read(attributes)
    pixels = camera.project(POINTS)
    radius = 2.0 * np.linalg.norm(pixels - (235.0, 131.0), axis=1)
    theta = sum(k * radius**i for i, k in enumerate(numbers))
    np.testing.assert_allclose(theta, np.arctan2(np.linalg.norm(POINTS[:, :2], axis=1), -POINTS[:, 2]), atol=1e-6)
    assert camera.lens.max_theta == pytest.approx(np.radians(95.0))


def test_another_aspect_keeps_pixels_square():
    numbers = {"fx": 300.0, "fy": 300.0, "cx": 480.0, "cy": 270.0, "imageSize": (960, 540)}
    camera = read(opencv("opencvFisheye", **numbers), size=(480, 480))
    np.testing.assert_allclose(camera.intrinsics, [[150.0, 0.0, 240.0], [0.0, 150.0, 240.0], [0.0, 0.0, 1.0]])


def test_an_applied_schema_alone_gives_its_defaults():
    ftheta = read({}, apis=["OmniSensorAPI", "OmniLensDistortionFthetaAPI"], size=(1216, 1936))
    assert ftheta.lens == FTheta(coefficients=(0.0, 0.00245), max_theta=np.radians(100.0))
    np.testing.assert_allclose(ftheta.intrinsics[:2, 2], (970.9424, 600.3748))
    fisheye = read({}, apis=["OmniLensDistortionOpenCvFisheyeAPI"], size=(1024, 2048))
    assert fisheye.lens == OpenCvFisheye(coefficients=(0.00245,))
    np.testing.assert_allclose(fisheye.intrinsics, [[900.0, 0.0, 1024.0], [0.0, 800.0, 512.0], [0.0, 0.0, 1.0]])
    assert read({}, apis=["OmniLensDistortionOpenCvPinholeAPI"]).lens == OpenCvPinhole()
    assert read({"cameraProjectionType": "pinhole"}).lens == Pinhole()


@pytest.mark.parametrize(
    ("attributes", "apis", "said"),
    [
        ({"cameraProjectionType": "omniDirectionalStereo"}, (), r"lens 'omniDirectionalStereo', which is not drawn; "),
        ({"omni:lensdistortion:model": "lut"}, (), r"'lut', .* there are pinhole, orthographic and ftheta, opencvFish"),
        ({}, ["OmniLensDistortionKannalaBrandtK3API"], "'OmniLensDistortionKannalaBrandtK3API', which is not drawn"),
        (opencv("ftheta", k1=0.0), (), r"/World/Camera has no usable lens ftheta: FTheta needs k1 > 0"),
        (opencv("ftheta", maxFov=float("nan")), (), "field of view is not a number"),
        (opencv("opencvFisheye", fx=0.0), (), r"focal lengths 0, 800, .* and lengths and sizes positive"),
        (opencv("opencvPinhole", imageSize=(0, 4)), (), "sensor 0 x 4"),
        (opencv("opencvPinhole", k2=float("inf")), (), "at most 12 finite"),
        ({"cameraProjectionType": "fisheyeOpenCV"}, (), "focal lengths 0, 0"),
    ],
)  # fmt: skip
def test_a_lens_that_cannot_be_drawn_is_one_sentence(attributes, apis, said):
    with pytest.raises(SourceError, match=said):
        read(attributes, apis=apis)


def test_what_cameras_ask_for_in_vain_is_said_once():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.Cube.Define(stage, "/World/Cube")
    for name in ("A", "B"):
        camera = UsdGeom.Camera.Define(stage, f"/World/{name}")
        camera.CreateFStopAttr(2.8)
        camera.CreateFocusDistanceAttr(3.0)
        camera.CreateClippingPlanesAttr([(0, 0, 1, 0)])
        camera.CreateShutterCloseAttr(0.5)
    UsdGeom.Camera.Define(stage, "/World/Sharp").CreateFStopAttr(5.6)  # focused at no distance: nothing to blur
    notes = StageReader(stage).scene.notes
    assert sum("without depth of field: /World/A and 1 more" in note for note in notes) == 1
    assert sum("clippingPlanes" in note for note in notes) == 1
    assert sum("motion blur" in note for note in notes) == 1
