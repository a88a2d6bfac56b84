"""What the builder writes is what USD reads; pxr's own evaluation is the oracle."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdSemantics, UsdShade  # noqa: TID253

from cosmos.bridge.errors import ConfigError
from cosmos.bridge.scenes.builder import Placement, linear_color, open_builder
from cosmos.bridge.scenes.physics import physics_scene
from cosmos.bridge.scenes.shapes import box, quad


@pytest.fixture
def builder(tmp_path):
    return open_builder(None, num_frames=3, texture_dir=tmp_path)


def world_point(stage, path, time, point):
    return UsdGeom.XformCache(time).GetLocalToWorldTransform(stage.GetPrimAtPath(path)).Transform(Gf.Vec3d(*point))


def test_stage_says_metres_z_up_and_its_time_range(builder):
    stage = builder.finish()
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert UsdGeom.GetStageUpAxis(stage) == "Z"
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode(), stage.GetTimeCodesPerSecond()) == (0.0, 2.0, 24.0)
    assert stage.GetDefaultPrim().GetPath() == "/World"


def test_placement_scales_then_turns_then_shifts(builder):
    builder.group("/World/A", Placement(at=(1, 2, 3), turn=(0, 0, 90), scale=(2, 1, 1)))
    builder.mesh("/World/A/Mesh", box((1, 1, 1)))
    point = world_point(builder.finish(), "/World/A/Mesh", Usd.TimeCode(0), (1, 0, 0))
    np.testing.assert_allclose(point, (1, 4, 3), atol=1e-6)


def test_rows_of_a_placement_become_time_samples(builder):
    way = np.array([[0, 0, 0], [1, 0, 0], [3, 0, 0]])
    builder.group("/World/A", Placement(at=way))
    stage = builder.finish()
    for time, row in enumerate(way):
        np.testing.assert_allclose(world_point(stage, "/World/A", Usd.TimeCode(time), (0, 0, 0)), row)


def test_camera_looks_at_its_target_with_the_horizon_level(builder):
    builder.camera("/World/Camera", (3.0, -4.0, 2.0), (-1.0, 5.0, 0.5), focal=24.0)
    stage = builder.finish()
    frustum = UsdGeom.Camera(stage.GetPrimAtPath("/World/Camera")).GetCamera(0).frustum
    seen = (frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()).Transform(Gf.Vec3d(-1.0, 5.0, 0.5))
    np.testing.assert_allclose(seen[:2], 0.0, atol=1e-6)
    right = frustum.ComputeViewMatrix().GetInverse().TransformDir(Gf.Vec3d(1, 0, 0))
    assert right[2] == pytest.approx(0.0, abs=1e-6)


def test_moving_camera_never_spins_around_when_its_heading_wraps(builder):
    eyes = np.array([[0.1, 5, 0], [0, 5, 0], [-0.1, 5, 0]])
    builder.camera("/World/Camera", eyes, (0, 0, 0))
    stage = builder.finish()
    prim = stage.GetPrimAtPath("/World/Camera")
    headings = [prim.GetAttribute("xformOp:rotateXYZ").Get(time)[2] for time in range(3)]
    assert np.abs(np.diff(headings)).max() < 3.0


def test_sun_stands_where_it_was_put(builder):
    builder.sky(sun=2.0, elevation=30.0, azimuth=60.0)
    stage = builder.finish()
    matrix = UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath("/World/Lights/Sun"))
    towards = matrix.TransformDir(Gf.Vec3d(0, 0, 1))
    np.testing.assert_allclose(
        towards, [np.cos(np.pi / 6) * 0.5, np.cos(np.pi / 6) * np.sin(np.pi / 3), 0.5], atol=1e-6
    )
    assert UsdLux.DistantLight(stage.GetPrimAtPath("/World/Lights/Sun")).GetIntensityAttr().Get() == 2.0


def test_label_is_inherited_by_what_lies_below(builder):
    builder.group("/World/Robot", label="robot")
    builder.mesh("/World/Robot/Arm", box((1, 1, 1)))
    stage = builder.finish()
    prim = stage.GetPrimAtPath("/World/Robot/Arm")
    assert list(UsdSemantics.LabelsQuery("class", Usd.TimeCode.Default()).ComputeUniqueInheritedLabels(prim)) == [
        "robot"
    ]


def test_material_is_bound_linear_and_made_once(builder):
    red = builder.material("Paint", color=(0.5, 0.1, 0.1), roughness=0.3)
    assert builder.material("Paint", color=(0.5, 0.1, 0.1), roughness=0.3) == red
    assert builder.material("Paint", color=(0.1, 0.5, 0.1), roughness=0.3).path != red.path
    builder.mesh("/World/Box", box((1, 1, 1)), red)
    stage = builder.finish()
    material, _ = UsdShade.MaterialBindingAPI(stage.GetPrimAtPath("/World/Box")).ComputeBoundMaterial()
    surface = material.ComputeSurfaceSource()[0]
    np.testing.assert_allclose(surface.GetInput("diffuseColor").Get(), linear_color((0.5, 0.1, 0.1)), atol=1e-6)
    assert linear_color((0.5, 0.0, 1.0)) == pytest.approx((0.21404, 0.0, 1.0), abs=1e-5)


def test_texture_is_wired_to_the_surface_and_scaled_to_its_tile(builder):
    brick = builder.surface("brick", color=(0.5, 0.3, 0.2), tile=2.0)
    builder.mesh("/World/Wall", quad(4.0, 2.0, fit=False), brick)
    stage = builder.finish()
    st = UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/Wall")).GetPrimvar("st")
    assert st.GetInterpolation() == "faceVarying"
    np.testing.assert_allclose(np.ptp(np.array(st.Get()), axis=0), (2.0, 1.0))
    material = UsdShade.Material(stage.GetPrimAtPath(brick.path))
    source = material.ComputeSurfaceSource()[0].GetInput("diffuseColor").GetConnectedSources()[0][0].source
    file = UsdShade.Shader(source).GetInput("file").Get()
    assert file.resolvedPath and file.path.endswith(".png")


def test_physics_roles_reach_usd_physics(builder):
    physics_scene(builder)
    builder.mesh("/World/Floor", box((9, 9, 1)), physics="collider")
    builder.mesh("/World/Crate", box((1, 1, 1)), physics="rigid", mass=3.0)
    builder.round("/World/Ball", "Sphere", 0.5, physics="kinematic")
    stage = builder.finish()
    floor, crate, ball = (stage.GetPrimAtPath(f"/World/{name}") for name in ("Floor", "Crate", "Ball"))
    assert floor.HasAPI(UsdPhysics.CollisionAPI) and not floor.HasAPI(UsdPhysics.RigidBodyAPI)
    assert UsdPhysics.MassAPI(crate).GetMassAttr().Get() == 3.0
    assert UsdPhysics.MeshCollisionAPI(crate).GetApproximationAttr().Get() == "convexHull"
    assert UsdPhysics.RigidBodyAPI(ball).GetKinematicEnabledAttr().Get()


@pytest.mark.parametrize("kind", ["Sphere", "Cylinder", "Cone", "Capsule"])
def test_extent_of_round_shapes_is_what_usd_computes(builder, kind):
    builder.round("/World/A", kind, 0.3, 1.2, axis="X")
    stage = builder.finish()
    prim = stage.GetPrimAtPath("/World/A")
    boundable = UsdGeom.Boundable(prim)
    expected = UsdGeom.Boundable.ComputeExtentFromPlugins(boundable, 0.0)
    np.testing.assert_allclose(boundable.GetExtentAttr().Get(), expected, atol=1e-6)


@pytest.mark.parametrize("ending", [".usda", ".usdc", ".usd"])
def test_saved_stage_finds_its_textures_when_the_folder_moves(tmp_path, ending):
    target = tmp_path / "here" / f"scene{ending}"
    builder = open_builder(target, num_frames=1)
    builder.mesh("/World/Wall", quad(1, 1), builder.surface("brick", color=(0.5, 0.3, 0.2)))
    builder.finish(target)
    moved = (tmp_path / "here").rename(tmp_path / "there")
    stage = Usd.Stage.Open(str(moved / f"scene{ending}"))
    assert stage.GetPrimAtPath("/World/Looks/Brick/Texture").GetAttribute("inputs:file").Get().resolvedPath


def test_saving_again_gives_the_new_scene(tmp_path):
    target = tmp_path / "scene.usda"
    for name in ("First", "Second"):
        builder = open_builder(target, num_frames=1)
        builder.mesh(f"/World/{name}", quad(1, 1))
        stage = builder.finish(target)
    assert stage.GetPrimAtPath("/World/Second") and not stage.GetPrimAtPath("/World/First")


def test_wrong_requests_are_refused(tmp_path, builder):
    with pytest.raises(ConfigError, match=r"\.usda, \.usdc, \.usd, got 'scene.obj'"):
        open_builder(tmp_path / "scene.obj", num_frames=1)
    with pytest.raises(ConfigError, match="num_frames >= 1, got 0"):
        open_builder(None, num_frames=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        open_builder(tmp_path / "file" / "scene.usda", num_frames=1)
    with pytest.raises(ConfigError, match="moves through 2 frames, the scene has 3"):
        builder.group("/World/A", Placement(at=np.zeros((2, 3)) + 1))
    builder.mesh("/World/B", quad(1, 1))
    with pytest.raises(ConfigError, match="already has a prim /World/B"):
        builder.mesh("/World/B", quad(1, 1))
