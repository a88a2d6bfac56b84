"""Authored scenes are valid USD with cameras, labels, lights, motion and physics, the same for the same seed."""

import time

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdLux, UsdPhysics, UsdSemantics, UsdShade, UsdValidation  # noqa: TID253

from cosmos.bridge import scenes
from cosmos.bridge.errors import ConfigError

PLACES = {"warehouse": scenes.warehouse, "tabletop": scenes.tabletop, "street": scenes.street}
WANTED = {
    "warehouse": {
        "amr",
        "barrel",
        "box",
        "cone",
        "floor marking",
        "forklift",
        "pallet",
        "person",
        "pillar",
        "rack",
        "sign",
    },
    "tabletop": {"apple", "bottle", "bowl", "cube", "mug", "robot", "table"},
    "street": {"building", "car", "kerb", "lamp", "person", "road", "road marking", "traffic light", "tree", "van"},
}


@pytest.fixture(scope="module")
def stages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    return {name: author(folder / name / f"{name}.usdc", num_frames=6) for name, author in PLACES.items()}


def labels_of(stage):
    query = UsdSemantics.LabelsQuery("class", Usd.TimeCode.Default())
    return {label for prim in stage.Traverse() for label in query.ComputeUniqueDirectLabels(prim)}


def textures_of(stage):
    shaders = (UsdShade.Shader(prim) for prim in stage.Traverse() if prim.IsA(UsdShade.Shader))
    return [shader.GetInput("file").Get() for shader in shaders if shader.GetInput("file")]


def problems(stage):
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    return [error.GetMessage() for error in UsdValidation.ValidationContext(validators).Validate(stage)]


@pytest.mark.parametrize("name", PLACES)
def test_place_is_valid_usd(stages, name):
    assert problems(stages[name]) == []
    assert UsdGeom.GetStageMetersPerUnit(stages[name]) == 1.0 and UsdGeom.GetStageUpAxis(stages[name]) == "Z"
    assert all(texture.resolvedPath for texture in textures_of(stages[name]))


@pytest.mark.parametrize("name", PLACES)
def test_place_has_several_cameras_labels_lights_and_bodies(stages, name):
    prims = list(stages[name].Traverse())
    cameras = {str(prim.GetPath()) for prim in prims if prim.IsA(UsdGeom.Camera)}
    assert "/World/Camera" in cameras and len(cameras) >= 3
    assert labels_of(stages[name]) >= WANTED[name]
    assert any(prim.HasAPI(UsdLux.LightAPI) for prim in prims)
    assert any(prim.HasAPI(UsdPhysics.RigidBodyAPI) for prim in prims)
    assert any(prim.HasAPI(UsdPhysics.CollisionAPI) for prim in prims)


@pytest.mark.parametrize("name", PLACES)
def test_things_and_camera_move(stages, name):
    first, last = UsdGeom.XformCache(0), UsdGeom.XformCache(5)
    moved = {
        str(prim.GetPath())
        for prim in stages[name].Traverse()
        if prim.IsA(UsdGeom.Xformable)
        and not same_matrix(first.GetLocalToWorldTransform(prim), last.GetLocalToWorldTransform(prim))
    }
    assert "/World/Camera" in moved
    assert sum(stages[name].GetPrimAtPath(path).IsA(UsdGeom.Gprim) for path in moved) >= 10


@pytest.mark.parametrize("name", PLACES)
def test_every_body_has_a_shape_to_collide_with(stages, name):
    bodies = [prim for prim in stages[name].Traverse() if prim.HasAPI(UsdPhysics.RigidBodyAPI)]
    for body in bodies:
        shapes = [prim for prim in Usd.PrimRange(body) if prim.HasAPI(UsdPhysics.CollisionAPI)]
        assert shapes, body.GetPath()
        for shape in shapes:
            if shape.IsA(UsdGeom.Mesh):  # a moving body cannot collide as loose triangles
                assert UsdPhysics.MeshCollisionAPI(shape).GetApproximationAttr().Get() == "convexHull", shape.GetPath()


def test_the_arm_is_an_articulation_whose_joints_meet(stages):
    """Both bodies of a joint agree where it is, in every frame; the drive asks for the angle that is drawn."""
    stage = stages["tabletop"]
    assert stage.GetPrimAtPath("/World/Robot").HasAPI(UsdPhysics.ArticulationRootAPI)
    joints = [UsdPhysics.Joint(prim) for prim in stage.Traverse() if prim.IsA(UsdPhysics.Joint)]
    assert len(joints) == 7
    for joint in joints:
        first, second = (stage.GetPrimAtPath(rel.GetTargets()[0]) for rel in (joint.GetBody0Rel(), joint.GetBody1Rel()))
        assert second.HasAPI(UsdPhysics.RigidBodyAPI)
        revolute = UsdPhysics.RevoluteJoint(joint.GetPrim())
        axis = (revolute or UsdPhysics.PrismaticJoint(joint.GetPrim())).GetAxisAttr().Get()
        drive = UsdPhysics.DriveAPI(joint.GetPrim(), "angular" if revolute else "linear")
        for time_code in (0, 3, 5):
            cache = UsdGeom.XformCache(time_code)
            between = cache.GetLocalToWorldTransform(second) * cache.GetLocalToWorldTransform(first).GetInverse()
            target = drive.GetTargetPositionAttr().Get(time_code)
            vector = Gf.Vec3d(*[float(name == axis) for name in "XYZ"])
            pose = Gf.Matrix4d().SetRotate(Gf.Rotation(vector, target if revolute else 0.0))
            slide = Gf.Vec3d() if revolute else vector * target
            pose.SetTranslateOnly(Gf.Vec3d(joint.GetLocalPos0Attr().Get()) + slide)
            np.testing.assert_allclose(np.array(between), np.array(pose), atol=2e-5, err_msg=str(joint.GetPath()))


def test_people_walk_with_their_feet_on_the_ground(tmp_path):
    """The lower shoe of a walker is never far under or over the ground, and stands still while it carries."""
    stage = scenes.street(tmp_path / "s.usdc", num_frames=24)
    body = stage.GetPrimAtPath("/World/People/Person_0")
    cache = UsdGeom.BBoxCache(0, ["default"])
    lowest, speeds, before = [], [], None
    for time_code in range(24):
        cache.SetTime(time_code)
        shoes = [prim for prim in Usd.PrimRange(body) if prim.GetName() == "Shoe"]
        boxes = [cache.ComputeWorldBound(shoe).ComputeAlignedRange() for shoe in shoes]
        low = min(range(2), key=lambda k: boxes[k].GetMin()[2])
        lowest.append(boxes[low].GetMin()[2] - 0.14)
        if before is not None and before[0] == low:
            speeds.append(np.linalg.norm(np.subtract(boxes[low].GetMidpoint(), before[1])[:2]) * 24.0)
        before = low, boxes[low].GetMidpoint()
    assert len(shoes) == 2
    assert min(lowest) > -0.06 and max(lowest) < 0.06
    assert np.median(speeds) < 0.75 * 1.2  # it walks at 1.2 m/s; the foot on the ground lags far behind


def same_matrix(a, b):
    return np.allclose(np.array(a), np.array(b), atol=1e-4)


def test_camera_of_the_warehouse_sees_3_to_60_metres(stages):
    from cosmos.bridge.sources import StageSource

    path = stages["warehouse"].GetRootLayer().realPath
    source = StageSource(path, camera="/World/Camera", frames=range(1), size=(54, 96), device="cpu")
    frame = next(iter(source.read()))
    depth = frame.depth.numpy()
    near, far = np.percentile(depth[np.isfinite(depth)], [1, 99])
    sky = np.mean(np.isinf(depth))
    source.close()
    assert 3.0 < near < 8.0 and 30.0 < far < 80.0 and 0.05 < sky < 0.4


def test_robot_lifts_the_cube_it_grasps(tmp_path):
    stage = scenes.tabletop(tmp_path / "t.usda", num_frames=48)
    heights, gaps = [], []
    for time_code in (0, 22, 47):
        cache = UsdGeom.XformCache(time_code)
        cube = cache.GetLocalToWorldTransform(stage.GetPrimAtPath("/World/Things/Cube_0")).ExtractTranslation()
        hand = stage.GetPrimAtPath("/World/Robot/FingerLeft")
        finger = cache.GetLocalToWorldTransform(hand).ExtractTranslation()
        heights.append(cube[2])
        gaps.append(np.hypot(cube[0] - finger[0], cube[1] - finger[1]))
    assert heights[0] == pytest.approx(heights[1]) and heights[2] > heights[0] + 0.1
    assert gaps[0] > 0.07 and gaps[1] < 0.045 and gaps[2] < 0.045


@pytest.mark.parametrize("seed", range(6))
def test_random_scene_is_the_same_for_its_seed_and_valid(tmp_path, seed):
    first, again = (scenes.random(seed, num_frames=2, texture_dir=tmp_path) for _ in range(2))
    assert first.ExportToString() == again.ExportToString()
    assert problems(first) == []
    assert first.GetPrimAtPath("/World/Camera").IsA(UsdGeom.Camera)
    assert len(labels_of(first)) >= 4
    assert all(texture.resolvedPath for texture in textures_of(first))


def test_random_scenes_differ_and_share_a_small_pool_of_textures(tmp_path):
    stages = [scenes.random(seed, num_frames=2, texture_dir=tmp_path) for seed in range(12)]
    assert len({stage.ExportToString() for stage in stages}) == 12
    floors = {bool(stage.GetPrimAtPath("/World/Table")) for stage in stages}
    halls = {bool(stage.GetPrimAtPath("/World/WallBack_0")) for stage in stages}
    assert floors == halls == {True, False}, "all families turn up"
    assert 20 < len(list(tmp_path.iterdir())) < 110


def test_random_scene_is_cheap_once_its_textures_are_there(tmp_path):
    for seed in range(8):
        scenes.random(seed, texture_dir=tmp_path)
    spent = []
    for seed in range(8):
        start = time.process_time()
        scenes.random(seed, texture_dir=tmp_path)
        spent.append(time.process_time() - start)
    assert np.median(spent) < 0.2  # 0.04 s alone on the machine


def test_scene_without_frames_is_refused():
    with pytest.raises(ConfigError, match="num_frames >= 1, got 0"):
        scenes.random(0, num_frames=0)
