"""Point instancers against pxr's own placing."""

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdSemantics  # noqa: TID253

from cosmos.bridge.render.usd.stage import StageReader


def new_stage(up="Z", metres=1.0):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, metres)
    return stage


def quad(stage, path, shift=(0.0, 0.0, 0.0)):
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr([Gf.Vec3f(*p) + Gf.Vec3f(*shift) for p in ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0))])
    mesh.CreateFaceVertexCountsAttr([4])
    mesh.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    mesh.CreateSubdivisionSchemeAttr("none")
    return mesh


def instancer_stage(count=4):
    stage = new_stage(metres=0.1)
    instancer = UsdGeom.PointInstancer.Define(stage, "/World/Crowd")
    UsdGeom.Xformable(instancer).AddRotateZOp().Set(30)
    box = UsdGeom.Xform.Define(stage, "/World/Crowd/Protos/Box")
    box.AddScaleOp().Set((1, 2, 3))
    UsdGeom.Cube.Define(stage, "/World/Crowd/Protos/Box/Low").CreateDisplayColorAttr([(1, 0, 0)])
    top = UsdGeom.Cube.Define(stage, "/World/Crowd/Protos/Box/Top")
    top.AddTranslateOp().Set((0, 0, 2))
    UsdGeom.Sphere.Define(stage, "/World/Crowd/Protos/Ball")
    instancer.CreatePrototypesRel().SetTargets(["/World/Crowd/Protos/Box", "/World/Crowd/Protos/Ball"])
    instancer.CreateProtoIndicesAttr([k % 2 for k in range(count)])
    positions = instancer.CreatePositionsAttr()
    positions.Set([(k, 0, 0) for k in range(count)], 0)
    positions.Set([(k, 10, 0) for k in range(count)], 10)
    instancer.CreateScalesAttr([(1, 1, 1 + k) for k in range(count)])
    return stage, instancer


def test_point_instancer_draws_each_point_at_its_place():
    stage, instancer = instancer_stage()
    reader = StageReader(stage)
    scene = reader.scene
    assert [item.prim_path for item in scene.drawn] == [f"/World/Crowd[{k}]" for k in range(4)]
    assert len(scene.meshes) == 2
    assert scene.mesh_of.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(scene.drawn[0].bounds, [[-0.1, -0.1, -0.1], [0.1, 0.1, 0.3]], atol=1e-7)
    colors = np.unique(scene.meshes[0].colors.reshape(-1, 3), axis=0)
    np.testing.assert_allclose(colors, [[0.5, 0.5, 0.5], [1, 0, 0]])
    for time in (0, 4, 10):
        world = np.array(UsdGeom.Imageable(instancer).ComputeLocalToWorldTransform(time))
        oracle = np.array(instancer.ComputeInstanceTransformsAtTime(time, time)) @ world
        want = oracle.transpose(0, 2, 1)
        want[:, :3, 3] *= 0.1
        np.testing.assert_allclose(reader.pose(time).local_to_world, want, atol=1e-12)


def test_point_instancer_hides_invisible_ids_and_missing_points():
    stage, instancer = instancer_stage()
    instancer.CreateInvisibleIdsAttr([1])
    instancer.GetPositionsAttr().Set([(0, 0, 0)] * 3, 20)
    reader = StageReader(stage)
    assert reader.pose(0).visible.tolist() == [True, False, True, True]
    instancer.GetProtoIndicesAttr().Set([0, 1, 0], 20)
    instancer.GetProtoIndicesAttr().Set([0, 1, 0, 1], 0)
    instancer.GetScalesAttr().Clear()
    assert reader.pose(20).visible.tolist() == [True, False, True, False]


def test_point_instancer_in_an_instance_is_drawn():
    stage, _ = instancer_stage()
    stage.GetPrimAtPath("/World").SetSpecifier(Sdf.SpecifierDef)
    for name in ("A", "B"):
        prim = stage.DefinePrim(f"/{name}", "Xform")
        prim.GetReferences().AddInternalReference("/World")
        prim.SetInstanceable(True)
    UsdGeom.Xformable(stage.GetPrimAtPath("/B")).AddTranslateOp().Set((0, 0, 50))
    reader = StageReader(stage)
    paths = [item.prim_path for item in reader.scene.drawn]
    assert "/A/Crowd[3]" in paths
    assert "/B/Crowd[0]" in paths
    matrices = reader.pose(0).local_to_world
    apart = matrices[paths.index("/B/Crowd[2]")] - matrices[paths.index("/A/Crowd[2]")]
    np.testing.assert_allclose(apart[:3, 3], (0, 0, 5), atol=1e-12)


def test_prototype_labels_reach_the_points():
    stage, _ = instancer_stage()
    UsdSemantics.LabelsAPI.Apply(stage.GetPrimAtPath("/World/Crowd/Protos/Ball"), "class").CreateLabelsAttr(["ball"])
    UsdSemantics.LabelsAPI.Apply(stage.GetPrimAtPath("/World/Crowd"), "class").CreateLabelsAttr(["crowd"])
    scene = StageReader(stage).scene
    assert [item.labels["class"] for item in scene.drawn] == ["crowd", "ball", "crowd", "ball"]


def test_broken_point_instancers_are_left_out_with_a_note():
    stage = new_stage()
    quad(stage, "/World/Good")

    def instancer(path, indices, count, prototype="/World/Good"):
        made = UsdGeom.PointInstancer.Define(stage, path)
        made.CreateProtoIndicesAttr(indices)
        made.CreatePositionsAttr([(0, 0, 0)] * count)
        made.CreatePrototypesRel().AddTarget(prototype)

    instancer("/World/Short", [0, 0], 1)
    instancer("/World/Past", [0, 7], 2)
    instancer("/World/Gone", [0, 0], 2, "/Nothing")
    UsdGeom.PointInstancer.Define(stage, "/World/Bare")
    scene = StageReader(stage).scene
    assert [item.prim_path for item in scene.drawn] == ["/World/Good"]
    for path, reason in (("Short", "differ in number"), ("Past", "past their prototypes"), ("Gone", "does not exist")):
        assert any(reason in note and f"/World/{path}" in note for note in scene.notes), path


def test_points_of_an_instancer_have_their_own_colours():
    stage, instancer = instancer_stage()
    colors = [(0.25 * k, 0.5, 1.0) for k in range(4)]
    UsdGeom.PrimvarsAPI(instancer).CreatePrimvar("displayColor", Sdf.ValueTypeNames.Color3fArray, "vertex").Set(colors)
    scene = StageReader(stage).scene
    np.testing.assert_allclose(scene.color_of, colors)


def drawn_box(reader, time, metres):
    """The box of all that is drawn, in stage units."""
    scene, pose = reader.scene, reader.pose(time)
    corners = []
    for row in np.flatnonzero(pose.visible):
        index = int(scene.mesh_of[row])
        mesh, matrix = scene.meshes[index], pose.local_to_world[row]
        points = pose.points.get(index, mesh.points)[mesh.triangles].reshape(-1, 3).astype(np.float64)
        corners.append(points @ matrix[:3, :3].T + matrix[:3, 3])
    corners = np.concatenate(corners) / metres
    return np.array([corners.min(0), corners.max(0)])


def usd_box(stage, path, time):
    """The box that pxr finds; exact as long as nothing is turned."""
    box = UsdGeom.BBoxCache(Usd.TimeCode(time), ["default", "render"]).ComputeWorldBound(stage.GetPrimAtPath(path))
    aligned = box.ComputeAlignedRange()
    return np.array([aligned.GetMin(), aligned.GetMax()])


def test_parts_that_move_in_a_prototype_are_followed():
    stage, instancer = instancer_stage()
    UsdGeom.Xformable(instancer).GetOrderedXformOps()[0].Set(0)
    move = UsdGeom.Xformable(stage.GetPrimAtPath("/World/Crowd/Protos/Box/Top")).GetOrderedXformOps()[0]
    move.Set((0, 0, 2), 0)
    move.Set((0, 0, 9), 5)
    UsdGeom.Imageable(stage.GetPrimAtPath("/World/Crowd/Protos/Ball")).CreateVisibilityAttr().Set("invisible", 7)
    shown = UsdGeom.Imageable(stage.GetPrimAtPath("/World/Crowd/Protos/Ball")).GetVisibilityAttr()
    shown.Set("inherited", 0)
    reader = StageReader(stage)
    assert reader.scene.notes == ()
    for time in (0, 2, 5):
        np.testing.assert_allclose(drawn_box(reader, time, 0.1), usd_box(stage, "/World/Crowd", time), atol=2e-3)
    assert reader.pose(0).visible.all()
    assert reader.pose(8).visible.tolist() == [True, False, True, False]
    np.testing.assert_allclose(reader.scene.drawn[0].bounds, [[-0.1, -0.1, -0.1], [0.1, 0.1, 0.3]], atol=1e-7)


def nested_stage():
    stage = new_stage(metres=0.5)
    outer = UsdGeom.PointInstancer.Define(stage, "/World/Outer")
    UsdGeom.Xformable(outer).AddRotateXOp().Set(40)
    house = UsdGeom.Xform.Define(stage, "/World/Outer/House")
    house.AddTranslateOp().Set((0, 0, 1))
    UsdGeom.Cube.Define(stage, "/World/Outer/House/Walls")
    inner = UsdGeom.PointInstancer.Define(stage, "/World/Outer/House/Chairs")
    UsdGeom.Xformable(inner).AddRotateZOp().Set(20)
    chair = UsdGeom.Cube.Define(stage, "/World/Outer/House/Chairs/Chair")
    chair.CreateSizeAttr(0.5)
    chair.AddScaleOp().Set((1, 2, 1))
    inner.CreatePrototypesRel().SetTargets([chair.GetPath()])
    inner.CreateProtoIndicesAttr([0, 0, 0])
    places = inner.CreatePositionsAttr()
    places.Set([(3, 0, 0), (0, 4, 0), (0, 0, 5)], 0)
    places.Set([(3, 0, 9), (0, 8, 0), (0, 0, 5)], 10)
    UsdGeom.Sphere.Define(stage, "/World/Outer/Tree")
    outer.CreatePrototypesRel().SetTargets(["/World/Outer/House", "/World/Outer/Tree"])
    outer.CreateProtoIndicesAttr([0, 1, 0])
    outer.CreatePositionsAttr([(0, 0, 0), (20, 0, 0), (40, 0, 0)])
    outer.CreateScalesAttr([(1, 1, 1), (1, 1, 1), (1, -2, 1)])
    return stage, outer, inner


def test_nested_instancers_are_drawn_at_each_point_of_the_outer_one():
    stage, outer, inner = nested_stage()
    reader = StageReader(stage)
    want = [f"/World/Outer[{k}]" for k in range(3)]
    want += [f"/World/Outer[{k}]/House/Chairs[{n}]" for k in (0, 2) for n in range(3)]
    assert [item.prim_path for item in reader.scene.drawn] == want
    for time in (0, 5, 10):
        world = np.array(UsdGeom.Imageable(outer).ComputeLocalToWorldTransform(time))
        around = np.array(outer.ComputeInstanceTransformsAtTime(time, time))
        within = np.array(inner.ComputeInstanceTransformsAtTime(time, time))
        local = np.array(UsdGeom.Xformable(inner).GetLocalTransformation(time))
        for row, (k, n) in enumerate([(k, n) for k in (0, 2) for n in range(3)], start=3):
            oracle = (within[n] @ local @ around[k] @ world).T
            oracle[:3, 3] *= 0.5
            np.testing.assert_allclose(reader.pose(time).local_to_world[row], oracle, atol=1e-10)


def test_nested_instancers_hide_with_what_is_around_them():
    stage, outer, inner = nested_stage()
    outer.CreateInvisibleIdsAttr().Set([2], 5)
    outer.GetInvisibleIdsAttr().Set([], 0)
    inner.CreateInvisibleIdsAttr([1])
    reader = StageReader(stage)
    assert reader.pose(0).visible.tolist() == [True, True, True, True, False, True, True, False, True]
    assert reader.pose(6).visible.tolist() == [True, True, False, True, False, True, False, False, False]


def test_deactivated_points_are_not_drawn():
    stage, instancer = instancer_stage()
    instancer.DeactivateId(2)
    assert StageReader(stage).pose(0).visible.tolist() == [True, True, False, True]


@pytest.mark.parametrize("ids", [False, True])
def test_points_that_come_go_and_change_their_prototype(ids):
    stage, instancer = instancer_stage()
    instancer.GetScalesAttr().Clear()
    instancer.GetPositionsAttr().Clear()
    instancer.GetProtoIndicesAttr().Clear()
    named = {0: [5, 6, 7], 10: [7, 9, 5, 6]}
    prototypes = {0: [0, 0, 1], 10: [1, 0, 1, 0]}
    for time in (0, 10):
        instancer.GetPositionsAttr().Set([(k, time, 0) for k in named[time]], time)
        instancer.GetProtoIndicesAttr().Set(prototypes[time], time)
        if ids:
            instancer.CreateIdsAttr().Set(named[time], time)
    reader = StageReader(stage)
    paths = [item.prim_path for item in reader.scene.drawn]
    for time in (0, 3, 10, 12):
        at = 10 if time >= 10 else 0
        pose = reader.pose(time)
        world = np.array(UsdGeom.Imageable(instancer).ComputeLocalToWorldTransform(time))
        oracle = np.array(instancer.ComputeInstanceTransformsAtTime(time, time)) @ world
        assert pose.visible.sum() == len(named[at])
        for point, (key, prototype) in enumerate(zip(named[at], prototypes[at], strict=True)):
            name = f"/World/Crowd[{key if ids else point}]"
            row = next(k for k, path in enumerate(paths) if path == name and reader.scene.mesh_of[k] == prototype)
            assert pose.visible[row]
            want = oracle[point].T
            want[:3, 3] *= 0.1
            np.testing.assert_allclose(pose.local_to_world[row], want, atol=1e-12)


def test_an_instancer_that_draws_itself_stops():
    stage, instancer = instancer_stage()
    instancer.GetPrototypesRel().SetTargets(["/World/Crowd/Protos/Ball", "/World"])
    reader = StageReader(stage)
    assert any("drawn by themselves" in note and "/World/Crowd" in note for note in reader.scene.notes)
    stage, _, inner = nested_stage()
    inner.GetPrototypesRel().SetTargets(["/World/Outer"])
    assert any("drawn by themselves" in note for note in StageReader(stage).scene.notes)


def test_prototypes_below_over_and_class_are_drawn_and_only_by_the_instancer():
    for specifier in (Sdf.SpecifierOver, Sdf.SpecifierClass):
        stage, _ = instancer_stage()
        spec = stage.GetRootLayer().GetPrimAtPath("/World/Crowd/Protos")
        spec.specifier = specifier
        scene = StageReader(stage).scene
        assert [item.prim_path for item in scene.drawn] == [f"/World/Crowd[{k}]" for k in range(4)]


def test_a_stage_of_too_many_instances_is_refused(monkeypatch):
    from cosmos.bridge.errors import SourceError
    from cosmos.bridge.render.usd import rows

    monkeypatch.setattr(rows, "MOST_ROWS", 3)
    with pytest.raises(SourceError, match=r"more than 3 instances \(/World/Crowd alone 4\)"):
        StageReader(instancer_stage()[0])


def test_a_mesh_that_deforms_in_a_prototype_moves():
    stage, instancer = instancer_stage()
    UsdGeom.Xformable(instancer).GetOrderedXformOps()[0].Set(0)
    mesh = quad(stage, "/World/Crowd/Protos/Ball/Flag")
    rest = np.array(mesh.GetPointsAttr().Get())
    mesh.GetPointsAttr().Set(rest.tolist(), 0)
    mesh.GetPointsAttr().Set((rest + np.array((0, 0, 4))).tolist(), 10)
    reader = StageReader(stage)
    for time in (0, 10):
        np.testing.assert_allclose(drawn_box(reader, time, 0.1), usd_box(stage, "/World/Crowd", time), atol=2e-3)
