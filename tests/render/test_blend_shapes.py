"""Blend shapes, against UsdSkel's own baking."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdSkel  # noqa: TID253

from cosmos.bridge.render.usd.stage import StageReader


def face_stage(joints):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(10)
    UsdSkel.Root.Define(stage, "/World/Head").AddTranslateOp().Set((5, 6, 7))
    skeleton = UsdSkel.Skeleton.Define(stage, "/World/Head/Bones")
    skeleton.CreateJointsAttr(["neck"])
    skeleton.CreateRestTransformsAttr([Gf.Matrix4d(1)])
    skeleton.CreateBindTransformsAttr([Gf.Matrix4d(1)])
    talk = UsdSkel.Animation.Define(stage, "/World/Head/Talk")
    talk.CreateBlendShapesAttr(["smile", "blink"])
    weights = talk.CreateBlendShapeWeightsAttr()
    weights.Set([0.0, 0.2], 0)
    weights.Set([1.0, 0.6], 10)
    if joints:
        talk.CreateJointsAttr(["neck"])
        talk.CreateTranslationsAttr([(1, 2, 3)])
        talk.CreateRotationsAttr([Gf.Quatf(Gf.Rotation((0, 0, 1), 30).GetQuat())])
        talk.CreateScalesAttr([(1, 1, 1)])
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().AddTarget(talk.GetPath())
    mesh = UsdGeom.Mesh.Define(stage, "/World/Head/Skin")
    mesh.AddRotateXOp().Set(15)
    mesh.CreatePointsAttr([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)])
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().AddTarget(skeleton.GetPath())
    if joints:
        binding.CreateJointIndicesPrimvar(False, 1).Set([0] * 4)
        binding.CreateJointWeightsPrimvar(False, 1).Set([1.0] * 4)
    shapes = {"blink": ([(0, 0.5, 0), (0.5, 0, 0)], [0, 1]), "smile": ([(0, 0, 1)], [2])}
    for name, (offsets, indices) in shapes.items():
        shape = UsdSkel.BlendShape.Define(stage, f"/World/Head/Skin/{name}")
        shape.CreateOffsetsAttr(offsets)
        shape.CreatePointIndicesAttr(indices)
    between = UsdSkel.BlendShape.Get(stage, "/World/Head/Skin/smile").CreateInbetween("half")
    between.SetWeight(0.5)
    between.SetOffsets([(0, 0, 0.9)])
    binding.CreateBlendShapesAttr(list(shapes))
    binding.CreateBlendShapeTargetsRel().SetTargets([f"/World/Head/Skin/{name}" for name in shapes])
    return stage


@pytest.mark.parametrize("joints", [False, True])
def test_blended_points_equal_usds_own_baking(joints):
    stage = face_stage(joints)
    reader = StageReader(stage)
    assert reader.scene.notes == ()
    baked = Usd.Stage.CreateInMemory()
    baked.GetRootLayer().TransferContent(stage.GetRootLayer())
    assert UsdSkel.BakeSkinning(UsdSkel.Root.Get(baked, "/World/Head"), Gf.Interval(0, 10))
    skin = UsdGeom.Mesh.Get(baked, "/World/Head/Skin")
    shapes = []
    for time in (0, 3, 5, 10):
        pose = reader.pose(time)
        world = np.array(UsdGeom.Imageable(skin).ComputeLocalToWorldTransform(time))
        want = (np.array(skin.GetPointsAttr().Get(time), np.float64) @ world[:3, :3] + world[3, :3]) * 0.01
        matrix = pose.local_to_world[0]
        np.testing.assert_allclose(pose.points[0] @ matrix[:3, :3].T + matrix[:3, 3], want, atol=1e-6)
        shapes.append(pose.points[0])
    assert np.abs(shapes[0] - shapes[-1]).max() > 0.009


def test_a_mesh_that_moves_against_its_skeleton_is_skinned_anew():
    stage = face_stage(True)
    weights = UsdSkel.Animation.Get(stage, "/World/Head/Talk").GetBlendShapeWeightsAttr()
    weights.Clear()
    turn = UsdGeom.Xformable(stage.GetPrimAtPath("/World/Head/Skin")).GetOrderedXformOps()[0]
    turn.Set(0, 0)
    turn.Set(80, 10)
    reader = StageReader(stage)
    placed = []
    for time in (0, 10):
        pose = reader.pose(time)
        matrix = pose.local_to_world[0]
        placed.append(pose.points[0] @ matrix[:3, :3].T + matrix[:3, 3])
    np.testing.assert_allclose(*placed, atol=1e-6)  # the skeleton alone decides


def test_shapes_that_a_skeleton_moves_but_are_no_mesh_are_said():
    stage = face_stage(True)
    ball = UsdGeom.Sphere.Define(stage, "/World/Head/Nose")
    binding = UsdSkel.BindingAPI.Apply(ball.GetPrim())
    binding.CreateSkeletonRel().AddTarget("/World/Head/Bones")
    binding.CreateJointIndicesPrimvar(True, 1).Set([0])
    binding.CreateJointWeightsPrimvar(True, 1).Set([1.0])
    notes = StageReader(stage).scene.notes
    assert any("other than meshes" in note and "/World/Head/Nose" in note for note in notes)
