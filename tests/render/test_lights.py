"""Lights of UsdLux as they are read: what they mean, how they change, and what is said about the rest."""

import numpy as np
import pytest
import warp as wp
from pxr import Gf, Usd, UsdGeom, UsdLux  # noqa: TID253

from cosmos.bridge.render.draw.daylight import dome_axes, stage_air
from cosmos.bridge.render.draw.lamps import make_lamps
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.render.scene import Light
from cosmos.bridge.render.usd.light_images import latlong_directions, unrolled
from cosmos.bridge.render.usd.stage import StageReader

wp.config.quiet = True


@pytest.fixture
def stage():
    made = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(made, "Z")
    UsdGeom.SetStageMetersPerUnit(made, 1.0)
    UsdGeom.Cube.Define(made, "/World/Cube")
    return made


def lamps_of(reader, time_code=0.0):
    pose, scene = reader.pose(time_code), reader.scene
    return make_lamps(scene, pose.lights or scene.lights, pose, np.zeros(3), "cpu")


def test_the_strength_of_each_kind_follows_its_world_size(stage):
    """Radiance times seen area, with the size and the scale of the light in metres; normalize divides by all of it."""
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    for name, define in (("Rect", UsdLux.RectLight), ("Disk", UsdLux.DiskLight), ("Sphere", UsdLux.SphereLight),
                         ("Cylinder", UsdLux.CylinderLight)):  # fmt: skip
        for normalize in (False, True):
            light = define.Define(stage, f"/World/{name}{normalize:d}")
            light.CreateIntensityAttr(3.0)
            light.CreateExposureAttr(2.0)
            light.CreateNormalizeAttr(normalize)
            UsdGeom.Xformable(light).AddScaleOp().Set(Gf.Vec3f(2.0))
            for attribute, value in (("width", 40.0), ("height", 30.0), ("radius", 25.0), ("length", 80.0)):
                if light.GetPrim().HasAttribute(f"inputs:{attribute}"):
                    light.GetPrim().GetAttribute(f"inputs:{attribute}").Set(value)
    seen = {"Rect": 0.8 * 0.6, "Disk": np.pi * 0.25, "Sphere": np.pi * 0.25, "Cylinder": 2 * 0.5 * 1.6}
    whole = {"Rect": 0.8 * 0.6, "Disk": np.pi * 0.25, "Sphere": 4 * np.pi * 0.25, "Cylinder": 2 * np.pi * 0.5 * 1.6}
    want = [12.0 * seen[name] / (whole[name] if normalize else 1.0) for name in seen for normalize in (0, 1)]
    lamps = lamps_of(StageReader(stage))
    assert lamps.count == 8
    np.testing.assert_allclose(np.sort(lamps.powers.numpy()[:, 0]), np.sort(want), rtol=1e-5)


def test_a_sun_is_read_as_usdlux_defines_it():
    """Integrating its radiance over its disk, times the cosine, gives its irradiance."""
    light = Light(kind="distant", prim_path="/Sun", color=(50000.0,) * 3, size=(0.53, 0.0))
    half = np.radians(0.53 / 2)
    angles = (np.arange(20000) + 0.5) / 20000 * half
    want = 50000.0 * np.sum(2 * np.pi * np.sin(angles) * np.cos(angles)) * half / 20000
    np.testing.assert_allclose(light.irradiance, want, rtol=1e-6)


def test_a_sun_as_omniverse_writes_it_is_not_lost(stage):
    UsdLux.DistantLight.Define(stage, "/World/Sun").CreateIntensityAttr(1560.0)
    UsdLux.DomeLight.Define(stage, "/World/Sky").CreateIntensityAttr(312.0)
    scene = StageReader(stage).scene
    assert max(scene.lights[0].irradiance) == pytest.approx(1560.0)
    assert any("read as irradiance" in note and "/World/Sun" in note for note in scene.notes)
    stage.GetPrimAtPath("/World/Sun").GetAttribute("inputs:intensity").Set(50000.0)
    stage.GetPrimAtPath("/World/Sky").GetAttribute("inputs:intensity").Set(1.0)
    plain = StageReader(stage).scene
    assert max(plain.lights[0].irradiance) == pytest.approx(3.36, abs=0.01)
    assert not any("irradiance" in note for note in plain.notes)


def test_a_lamp_flashes_in_values_place_and_visibility(stage):
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    for time, value in ((0.0, 0.0), (5.0, 8.0), (10.0, 2.0)):
        lamp.CreateIntensityAttr().Set(value, time)
    UsdGeom.Xformable(lamp).AddTranslateOp().Set(Gf.Vec3d(0, 0, 3))
    gated = UsdLux.DiskLight.Define(stage, "/World/Group/Gated")
    gated.CreateIntensityAttr(4.0)
    group = UsdGeom.Imageable(stage.GetPrimAtPath("/World/Group")) or UsdGeom.Xform.Define(stage, "/World/Group")
    visibility = UsdGeom.Imageable(group.GetPrim()).CreateVisibilityAttr()
    visibility.Set("inherited", 0.0)
    visibility.Set("invisible", 6.0)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(10)
    reader = StageReader(stage)
    row = {light.prim_path: index for index, light in enumerate(reader.scene.lights)}
    assert reader.scene.lights[row["/World/Lamp"]].color == (8.0, 8.0, 8.0)  # the meter reads the brightest
    for time, value, shines in ((0.0, 0.0, 4.0), (5.0, 8.0, 4.0), (7.5, 5.0, 0.0), (10.0, 2.0, 0.0)):
        lights = reader.pose(time).lights
        assert lights[row["/World/Lamp"]].color[0] == pytest.approx(value)
        assert lights[row["/World/Group/Gated"]].color[0] == pytest.approx(shines)


def test_a_flashing_lamp_is_seen_in_the_picture(stage):
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    lamp.CreateRadiusAttr(0.3)
    lamp.CreateIntensityAttr().Set(10.0, 0.0)
    lamp.CreateIntensityAttr().Set(1.0, 1.0)
    UsdGeom.Xformable(lamp).AddTranslateOp().Set(Gf.Vec3d(0, -4, 3))
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.AddTranslateOp().Set(Gf.Vec3d(0, -6, 0))
    camera.AddRotateXOp().Set(90.0)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(1)
    renderer = Renderer(stage, device="cpu", threads=1)
    means = [renderer.render("/World/Camera", time, size=(24, 32)).rgb.numpy().mean() for time in (1.0, 0.0, 0.5)]
    assert means[0] < 0.6 * means[1] and means[0] < means[2] < means[1]
    renderer.close()


@pytest.mark.parametrize("layout", ["mirroredBall", "angular", "cubeMapVerticalCross"])
def test_every_layout_of_a_dome_image_unrolls_to_the_same_sky(layout):
    def sky(d):
        return np.stack([0.5 + 0.4 * d[..., 0], 0.5 + 0.4 * d[..., 1], 0.5 + 0.4 * d[..., 2]], axis=-1)

    size = 96
    t = (np.arange(size) + 0.5) / size * 2.0 - 1.0
    u, v = np.meshgrid(t, -t)  # right and up
    if layout == "cubeMapVerticalCross":
        image = np.zeros((4 * size, 3 * size, 3))
        one = np.ones_like(u)
        # Seen from inside: ahead +Z, right of it -X, left of it +X, above it +Y, below it -Y, and -Z under that.
        faces = {(0, 1): (-u, one, -v), (1, 1): (-u, v, one), (1, 0): (one, v, u), (1, 2): (-one, v, -u),
                 (2, 1): (-u, -one, v), (3, 1): (-u, -v, -one)}  # fmt: skip
        for (row, column), d in faces.items():
            d = np.stack(d, axis=-1)
            d = d / np.linalg.norm(d, axis=-1, keepdims=True)
            image[row * size : (row + 1) * size, column * size : (column + 1) * size] = sky(d)
    else:
        radius = np.minimum(np.hypot(u, v), 1.0)
        away = 2.0 * np.arcsin(radius) if layout == "mirroredBall" else np.pi * radius
        right = 1.0 if layout == "mirroredBall" else -1.0  # a ball mirrors, an angular map looks out
        share = np.sin(away) / np.maximum(np.hypot(u, v), 1e-9)
        image = sky(np.stack([right * u * share, v * share, np.cos(away)], axis=-1))
    got = unrolled(image.astype(np.float32), layout)
    d = latlong_directions(*got.shape[:2])
    error = np.abs(got - sky(d)).max(axis=-1)
    assert np.percentile(error, 98) < 0.02
    assert error[d[..., 2] > -0.9].max() < 0.05


@pytest.mark.parametrize(
    ("axis", "up", "top"),
    [("Y", "Z", (0, 1, 0)), ("Z", "Y", (0, 0, 1)), ("scene", "Z", (0, 0, 1)), ("scene", "Y", (0, 1, 0))],
)
def test_the_top_of_a_dome_lies_on_its_pole_axis(stage, axis, up, top):
    UsdGeom.SetStageUpAxis(stage, up)
    dome = UsdLux.DomeLight_1.Define(stage, "/World/Sky")
    dome.CreatePoleAxisAttr(axis)
    reader = StageReader(stage)
    axes = dome_axes(reader.scene.lights[0], reader.pose(0.0).light_to_world[0])
    np.testing.assert_allclose(axes @ np.array(top, float), (0, 1, 0), atol=1e-6)


def test_shaping_temperature_and_shadow_reach_the_lamps(stage):
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    shaping = UsdLux.ShapingAPI.Apply(lamp.GetPrim())
    shaping.CreateShapingConeAngleAttr(30.0)
    shaping.CreateShapingConeSoftnessAttr(0.5)
    shaping.CreateShapingFocusAttr(4.0)
    UsdLux.ShadowAPI.Apply(lamp.GetPrim()).CreateShadowEnableAttr(False)
    lamp.CreateEnableColorTemperatureAttr(True)
    lamp.CreateColorTemperatureAttr(3000.0)
    sun = UsdLux.DistantLight.Define(stage, "/World/Sun")
    UsdLux.ShadowAPI.Apply(sun.GetPrim()).CreateShadowEnableAttr(False)
    reader = StageReader(stage)
    lamps = lamps_of(reader)
    row = int(np.nonzero(lamps.kinds.numpy() == 2)[0][0])
    np.testing.assert_allclose(lamps.shapings.numpy()[row], (4.0, np.radians(30), 0.5, 1.0), rtol=1e-6)
    assert lamps.shadows.numpy()[row] == 0
    assert lamps.powers.numpy()[row, 0] > 1.5 * lamps.powers.numpy()[row, 2]
    assert stage_air(reader.scene, reader.pose(0.0), floor=0.0).sun_shadow == 0


def test_what_has_no_effect_is_said(stage):
    lamp = UsdLux.RectLight.Define(stage, "/World/Lamp")
    lamp.CreateSpecularAttr(0.2)
    UsdLux.LightAPI(lamp).GetLightLinkCollectionAPI().ExcludePath("/World/Cube")
    UsdLux.ShapingAPI.Apply(lamp.GetPrim()).CreateShapingIesFileAttr("lamp.ies")
    UsdLux.PortalLight.Define(stage, "/World/Portal")
    UsdLux.GeometryLight.Define(stage, "/World/Geometry")
    UsdLux.MeshLightAPI.Apply(UsdGeom.Mesh.Define(stage, "/World/Shining").GetPrim())
    notes = " ".join(StageReader(stage).scene.notes)
    for word in (
        "Light linking is ignored",
        "Specular multipliers",
        "IES profiles",
        "PortalLight",
        "GeometryLight",
        "Meshes that are lights",
    ):
        assert word in notes


def test_broken_numbers_leave_a_light_dark(stage):
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    lamp.CreateIntensityAttr(float("nan"))
    other = UsdLux.RectLight.Define(stage, "/World/Other")
    other.CreateIntensityAttr(float("inf"))
    other.CreateWidthAttr(float("nan"))
    for light in StageReader(stage).scene.lights:
        assert light.color == (0.0, 0.0, 0.0) and np.isfinite(light.size).all()


def test_an_image_of_high_range_keeps_its_brightest_texel(stage, tmp_path):
    """A sun in a sky image carries most of its light; no texel may be clipped."""
    import cv2

    sky = np.full((32, 64, 3), 0.5, np.float32)
    sky[8, 20] = 30000.0
    assert cv2.imwrite(str(tmp_path / "sky.hdr"), sky)
    UsdLux.DomeLight.Define(stage, "/World/Sky").CreateTextureFileAttr(str(tmp_path / "sky.hdr"))
    reader = StageReader(stage)
    assert reader.scene.textures[0].texels.max() == pytest.approx(30000.0, rel=0.01)
    air = stage_air(reader.scene, reader.pose(0.0), floor=0.0)
    assert air.sky_light[1] == pytest.approx(sky[..., 1].mean(), rel=0.01)


def test_a_broad_sun_leaves_half_shadows(stage, device):
    """Under a half plane the share of the sun's disk that is seen is that of a circle cut by a line."""
    stage.RemovePrim("/World/Cube")
    for path, height, start in (("/World/Floor", 0.0, -20.0), ("/World/Roof", 2.0, 0.0)):
        mesh = UsdGeom.Mesh.Define(stage, path)
        mesh.CreatePointsAttr([(start, -20, height), (20, -20, height), (20, 20, height), (start, 20, height)])
        mesh.CreateFaceVertexCountsAttr([4])
        mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    sun = UsdLux.DistantLight.Define(stage, "/World/Sun")
    sun.CreateAngleAttr(20.0)
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.AddTranslateOp().Set(Gf.Vec3d(0.0, 0.0, 1.0))
    camera.CreateFocalLengthAttr(18.0)
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.01, 100.0))
    renderer = Renderer(stage, device=device)
    hdr = renderer.annotate("/World/Camera", 0.0, ("HdrColor",), size=(64, 256))["HdrColor"]
    row = np.asarray(hdr, dtype=np.float64)[32, :, 1]
    eye = renderer.camera("/World/Camera", 0.0, size=(64, 256))
    across = (np.arange(256) + 0.5 - eye.intrinsics[0, 2]) / eye.intrinsics[0, 0]  # metres on the floor, 1 m below
    x = np.clip(-across / (2.0 * np.tan(np.radians(10.0))), -1.0, 1.0)
    share = 0.5 + (x * np.sqrt(1.0 - x * x) + np.arcsin(x)) / np.pi
    found = (row - row.min()) / (row.max() - row.min())
    assert (np.abs(x) < 0.9).sum() > 100
    assert np.abs(found - share).max() < 0.2  # eight rays, and some light from the sky
    assert np.abs(found - share).mean() < 0.05
    renderer.close()
