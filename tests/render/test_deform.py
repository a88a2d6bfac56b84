"""Meshes that skeletons move, against UsdSkel's own baking."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdSkel  # noqa: TID253

from cosmos.bridge.render.usd.stage import StageReader


@pytest.fixture
def stage():
    made = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(made, 0.01)
    made.SetStartTimeCode(0)
    made.SetEndTimeCode(10)
    root = UsdSkel.Root.Define(made, "/World/Person")
    root.AddTranslateOp().Set((5, 6, 7))
    skeleton = UsdSkel.Skeleton.Define(made, "/World/Person/Bones")
    skeleton.AddScaleOp().Set((2, 2, 2))
    joints = ["hip", "hip/knee"]
    rest = [Gf.Matrix4d(1), Gf.Matrix4d().SetTranslate((0, 1, 0))]
    skeleton.CreateJointsAttr(joints)
    skeleton.CreateRestTransformsAttr(rest)
    skeleton.CreateBindTransformsAttr(rest)
    walk = UsdSkel.Animation.Define(made, "/World/Person/Walk")
    walk.CreateJointsAttr(joints)
    walk.CreateTranslationsAttr([(0, 0, 0), (0, 1, 0)])
    walk.CreateScalesAttr([(1, 1, 1)] * 2)
    turns = walk.CreateRotationsAttr()
    for time, angle in ((0, 20), (10, 90)):
        turns.Set([Gf.Quatf(1), Gf.Quatf(Gf.Rotation((0, 0, 1), angle).GetQuat())], time)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().AddTarget(walk.GetPath())
    mesh = UsdGeom.Mesh.Define(made, "/World/Person/Body")
    mesh.AddRotateXOp().Set(15)
    mesh.CreatePointsAttr([(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 2, 0), (1, 2, 0)])
    mesh.CreateFaceVertexCountsAttr([4, 4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 3, 2, 2, 3, 5, 4])
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().AddTarget(skeleton.GetPath())
    binding.CreateJointIndicesPrimvar(False, 2).Set([0, 1] * 6)
    binding.CreateJointWeightsPrimvar(False, 2).Set([1, 0, 1, 0, 0.5, 0.5, 0.5, 0.5, 0, 1, 0, 1])
    return made


def test_skinned_points_equal_usds_own_baking(stage):
    reader = StageReader(stage)
    layer = stage.GetRootLayer().ExportToString()
    times = (0, 3, 10)
    poses = [reader.pose(time) for time in times]
    first = reader.scene.meshes[0].points
    assert stage.GetRootLayer().ExportToString() == layer
    assert reader.scene.notes == ()
    for time, pose in zip(times, poses, strict=True):
        baked = Usd.Stage.CreateInMemory()
        baked.GetRootLayer().TransferContent(stage.GetRootLayer())
        assert UsdSkel.BakeSkinning(UsdSkel.Root.Get(baked, "/World/Person"), Gf.Interval(0, 10))
        body = UsdGeom.Mesh.Get(baked, "/World/Person/Body")
        world = np.array(UsdGeom.Imageable(body).ComputeLocalToWorldTransform(time))
        points = np.array(body.GetPointsAttr().Get(time), np.float64)
        want = (points @ world[:3, :3] + world[3, :3]) * 0.01
        matrix = pose.local_to_world[0]
        np.testing.assert_allclose(pose.points[0] @ matrix[:3, :3].T + matrix[:3, 3], want, atol=1e-6)
    np.testing.assert_array_equal(first, poses[0].points[0])
    assert np.abs(poses[0].points[0] - poses[2].points[0]).max() > 0.005


def test_still_skeleton_poses_the_mesh_once(stage):
    turns = UsdSkel.Animation.Get(stage, "/World/Person/Walk").GetRotationsAttr()
    moved = StageReader(stage).pose(10).points[0]
    value = turns.Get(10)
    turns.Clear()
    turns.Set(value)
    reader = StageReader(stage)
    np.testing.assert_allclose(reader.scene.meshes[0].points, moved, atol=1e-7)
    assert reader.pose(3).points == {}


def test_authored_normals_of_a_skinned_mesh_turn_with_it(stage):
    mesh = UsdGeom.Mesh.Get(stage, "/World/Person/Body")
    mesh.CreateNormalsAttr([(0, 0.6, 0.8)] * 6)
    turns = UsdSkel.Animation.Get(stage, "/World/Person/Walk").GetRotationsAttr()
    turns.Clear()
    whole = Gf.Rotation((1, 0, 0), 50)
    turns.Set([Gf.Quatf(whole.GetQuat()), Gf.Quatf(1)])
    scene = StageReader(stage).scene
    world = np.array(UsdGeom.Imageable(mesh).ComputeLocalToWorldTransform(0))[:3, :3]
    bones = np.array(UsdGeom.Imageable(stage.GetPrimAtPath("/World/Person/Bones")).ComputeLocalToWorldTransform(0))
    want = np.array(whole.TransformDir((0, 0.6, 0.8))) @ bones[:3, :3] @ np.linalg.inv(world)
    want /= np.linalg.norm(want)
    np.testing.assert_allclose(scene.meshes[0].normals, np.broadcast_to(want, (4, 3, 3)), atol=1e-5)
