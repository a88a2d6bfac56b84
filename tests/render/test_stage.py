"""The stage reader against pxr's own answers."""

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdSemantics, UsdShade, Vt  # noqa: TID253

from cosmos.bridge.errors import SourceError
from cosmos.bridge.render.usd.stage import StageReader


def new_stage(up="Z", metres=1.0, path=None):
    stage = Usd.Stage.CreateNew(str(path)) if path else Usd.Stage.CreateInMemory()
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


def row_of(scene, path):
    return [item.prim_path for item in scene.drawn].index(path)


def world_oracle(prim, time, metres):
    """pxr's own world transform, as column vectors in metres."""
    matrix = np.array(UsdGeom.Imageable(prim).ComputeLocalToWorldTransform(time)).T
    matrix[:3, 3] *= metres
    return matrix


@pytest.fixture
def moving_stage():
    stage = new_stage("Y", 0.01)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(10)
    parent = UsdGeom.Xform.Define(stage, "/World/Parent")
    turn = parent.AddRotateXYZOp()
    turn.Set((0, 0, 0), 0)
    turn.Set((30, 170, -50), 10)
    parent.AddScaleOp().Set((1, -2, 0.5))
    child = UsdGeom.Cube.Define(stage, "/World/Parent/Child")
    child.AddTranslateOp().Set((100, 20, -30))
    free = UsdGeom.Sphere.Define(stage, "/World/Parent/Free")
    free.AddTranslateOp().Set((7, 8, 9))
    free.SetResetXformStack(True)
    still = UsdGeom.Cone.Define(stage, "/World/Still")
    still.AddTranslateOp().Set((1, 2, 3))
    return stage


def test_pose_equals_the_world_transforms_of_usd(moving_stage):
    reader = StageReader(moving_stage)
    assert [item.id for item in reader.scene.drawn] == [1, 2, 3]
    for time in (0.0, 3.25, 10.0):
        pose = reader.pose(time)
        for item, matrix in zip(reader.scene.drawn, pose.local_to_world, strict=True):
            prim = moving_stage.GetPrimAtPath(item.prim_path)
            np.testing.assert_allclose(matrix, world_oracle(prim, time, 0.01), atol=1e-12)
    assert not np.allclose(reader.pose(0).local_to_world[0], reader.pose(5).local_to_world[0])


def test_pose_does_not_change_when_it_is_asked_for_again(moving_stage):
    reader = StageReader(moving_stage)
    first = reader.pose(4.0)
    reader.pose(9.0)
    np.testing.assert_array_equal(first.local_to_world, reader.pose(4.0).local_to_world)


def test_bounds_are_those_of_usd():
    stage = new_stage(metres=0.5)
    shapes = {
        "Cube": {"size": 3.0},
        "Sphere": {"radius": 1.5},
        "Cylinder": {"radius": 0.5, "height": 4.0, "axis": "X"},
        "Cone": {"radius": 0.7, "height": 2.0, "axis": "Y"},
        "Capsule": {"radius": 0.4, "height": 1.0, "axis": "Z"},
        "Plane": {"width": 3.0, "length": 5.0, "axis": "X"},
    }
    for kind, values in shapes.items():
        prim = stage.DefinePrim(f"/World/{kind}", kind)
        for name, value in values.items():
            prim.GetAttribute(name).Set(value)
    quad(stage, "/World/Quad", (4, 5, 6))
    scene = StageReader(stage).scene
    cache = UsdGeom.BBoxCache(Usd.TimeCode.Default(), ["default"])
    for item in scene.drawn:
        box = cache.ComputeUntransformedBound(stage.GetPrimAtPath(item.prim_path)).ComputeAlignedRange()
        want = np.array([box.GetMin(), box.GetMax()]) * 0.5
        np.testing.assert_allclose(item.bounds, want, atol=1e-6, err_msg=item.prim_path)


def test_instances_share_a_mesh_and_keep_their_own_material_and_colour():
    stage = new_stage()
    quad(stage, "/Proto/Quad")
    for k in range(3):
        prim = stage.DefinePrim(f"/World/I{k}", "Xform")
        prim.GetReferences().AddInternalReference("/Proto")
        prim.SetInstanceable(True)
        UsdGeom.Xformable(prim).AddTranslateOp().Set((k, 0, 0))
    UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/I1")).CreatePrimvar(
        "displayColor", Sdf.ValueTypeNames.Color3fArray
    ).Set([(1, 0, 0)])
    material = UsdShade.Material.Define(stage, "/World/M")
    shader = UsdShade.Shader.Define(stage, "/World/M/S")
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set((0, 1, 0))
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(stage.GetPrimAtPath("/World/I2")).Bind(material)
    scene = StageReader(stage).scene
    rows = [row_of(scene, f"/World/I{k}/Quad") for k in range(3)]
    assert len(scene.meshes) == 1
    assert len(set(scene.mesh_of[rows])) == 1
    np.testing.assert_allclose(scene.color_of[rows[1]], (1, 0, 0))
    assert np.isnan(scene.color_of[[rows[0], rows[2]]]).all()

    def material_at(row):
        own = scene.meshes[scene.mesh_of[row]].materials[0]
        return scene.materials[scene.material_of[row] if scene.material_of[row] >= 0 else own]

    assert material_at(rows[0]).use_display_color
    assert material_at(rows[2]).base_color == (0.0, 1.0, 0.0)


def test_invisible_and_guide_prims_are_not_drawn_and_animated_visibility_is_followed():
    stage = new_stage()
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(10)
    for name in ("Seen", "Hidden", "Guide", "Proxy", "Render", "Blink"):
        UsdGeom.Cube.Define(stage, f"/World/{name}/Cube")
    group = UsdGeom.Xform.Define
    group(stage, "/World/Hidden").MakeInvisible()
    group(stage, "/World/Guide").CreatePurposeAttr("guide")
    group(stage, "/World/Proxy").CreatePurposeAttr("proxy")
    group(stage, "/World/Render").CreatePurposeAttr("render")
    blink = group(stage, "/World/Blink").CreateVisibilityAttr()
    blink.Set("invisible", 0)
    blink.Set("inherited", 5)
    reader = StageReader(stage)
    assert {item.prim_path for item in reader.scene.drawn} == {f"/World/{n}/Cube" for n in ("Seen", "Render", "Blink")}
    row = row_of(reader.scene, "/World/Blink/Cube")
    for time in (0, 4, 5, 9):
        imageable = UsdGeom.Imageable(stage.GetPrimAtPath("/World/Blink/Cube"))
        assert reader.pose(time).visible[row] == (imageable.ComputeVisibility(time) == "inherited")
        assert reader.pose(time).visible.sum() == 2 + (time >= 5)


def test_moving_points_are_in_the_pose_and_broken_ones_hide_the_mesh():
    stage = new_stage(metres=0.01)
    mesh = quad(stage, "/World/Cloth")
    UsdGeom.Cube.Define(stage, "/World/Cube")
    points = mesh.GetPointsAttr()
    rest = np.array(points.Get())
    points.Set(Vt.Vec3fArray.FromNumpy(rest), 0)
    points.Set(Vt.Vec3fArray.FromNumpy(rest + np.float32(4)), 4)
    broken = rest.copy()
    broken[2] = np.nan
    points.Set(Vt.Vec3fArray.FromNumpy(broken), 6)
    reader = StageReader(stage)
    index = int(reader.scene.mesh_of[row_of(reader.scene, "/World/Cloth")])
    np.testing.assert_allclose(reader.pose(2).points[index], (rest + 2) * 0.01, atol=1e-7)
    pose = reader.pose(6)
    assert index not in pose.points
    assert pose.visible.tolist() == [False, True]


def test_labels_are_inherited_and_numbered_by_their_text():
    stage = new_stage()
    for path in ("/World/Shelf/Box", "/World/Shelf/Bin", "/World/Robot", "/World/Plain"):
        UsdGeom.Cube.Define(stage, path)
    UsdGeom.Xform.Define(stage, "/World/Shelf")

    def label(path, taxonomy, *labels):
        api = UsdSemantics.LabelsAPI.Apply(stage.GetPrimAtPath(path), taxonomy)
        api.CreateLabelsAttr(list(labels))

    label("/World/Shelf", "class", "shelf")
    label("/World/Shelf", "room", "hall")
    label("/World/Shelf/Bin", "class", "bin")
    robot = stage.GetPrimAtPath("/World/Robot")
    robot.SetMetadata("apiSchemas", Sdf.TokenListOp.CreateExplicit(["SemanticsAPI:Semantics"]))
    robot.CreateAttribute("semantic:Semantics:params:semanticType", Sdf.ValueTypeNames.String).Set("class")
    robot.CreateAttribute("semantic:Semantics:params:semanticData", Sdf.ValueTypeNames.String).Set("robot")
    scene = StageReader(stage).scene
    got = {item.prim_path: (item.semantic_id, dict(item.labels)) for item in scene.drawn}
    assert got["/World/Plain"] == (1, {})
    assert got["/World/Shelf/Box"][1] == {"class": "shelf", "room": "hall"}
    assert got["/World/Shelf/Bin"][1] == {"class": "bin", "room": "hall"}
    assert got["/World/Robot"][1] == {"class": "robot"}
    assert dict(scene.labels[0]) == {"class": "BACKGROUND"}
    assert dict(scene.labels[1]) == {"class": "UNLABELLED"}
    numbered = [got[path][0] for path in ("/World/Shelf/Bin", "/World/Robot", "/World/Shelf/Box")]
    assert numbered == [2, 3, 4]
    for number, labels in got.values():
        if number > 1:
            assert dict(scene.labels[number]) == labels
    query = UsdSemantics.LabelsQuery("room", Usd.TimeCode.Default())
    inherited = query.ComputeUniqueInheritedLabels(stage.GetPrimAtPath("/World/Shelf/Bin"))
    assert list(inherited) == [got["/World/Shelf/Bin"][1]["room"]]


@pytest.mark.parametrize("suffix", ["usda", "usdc", "usdz"])
def test_every_file_format_reads_alike(tmp_path, suffix):
    source = tmp_path / "scene.usda"
    stage = new_stage("Y", 0.01, source)
    UsdGeom.Cube.Define(stage, "/World/Cube")
    stage.SetDefaultPrim(stage.GetPrimAtPath("/World"))
    stage.Save()
    path = tmp_path / f"scene.{suffix}"
    if suffix == "usdc":
        stage.Export(str(path))
    elif suffix == "usdz":
        from pxr import UsdUtils

        assert UsdUtils.CreateNewUsdzPackage(str(source), str(path))
    reader = StageReader(path)
    assert reader.scene.up_axis == "Y"
    np.testing.assert_allclose(reader.scene.drawn[0].bounds, [[-0.01] * 3, [0.01] * 3])
    assert reader.scene.path == str(path)


def test_lights_have_their_power_colour_and_size():
    stage = new_stage(metres=0.01)
    UsdGeom.Cube.Define(stage, "/World/Cube")
    sun = UsdLux.DistantLight.Define(stage, "/World/Sun")
    sun.CreateIntensityAttr(3)
    sun.CreateExposureAttr(2)
    sun.CreateColorAttr((1, 0.5, 0.25))
    sun.CreateAngleAttr(1.5)
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    lamp.CreateRadiusAttr(20)
    lamp.CreateEnableColorTemperatureAttr(True)
    lamp.CreateColorTemperatureAttr(3000)
    lamp.CreateIntensityAttr(2)
    lamp.AddTranslateOp().Set((100, 0, 0))
    panel = UsdLux.RectLight.Define(stage, "/World/Panel")
    panel.CreateWidthAttr(200)
    panel.CreateHeightAttr(50)
    panel.CreateNormalizeAttr(True)
    off = UsdLux.DiskLight.Define(stage, "/World/Off")
    off.MakeInvisible()
    reader = StageReader(stage)
    lights = {light.prim_path: light for light in reader.scene.lights}
    assert set(lights) == {"/World/Sun", "/World/Lamp", "/World/Panel"}
    np.testing.assert_allclose(lights["/World/Sun"].color, (12, 6, 3))
    assert lights["/World/Sun"].size == (1.5, 0.0)
    want = np.array(UsdLux.BlackbodyTemperatureAsRgb(3000)) * 2
    np.testing.assert_allclose(lights["/World/Lamp"].color, want, rtol=1e-6)
    np.testing.assert_allclose(lights["/World/Lamp"].size, (0.2, 0.0))
    np.testing.assert_allclose(lights["/World/Panel"].size, (2.0, 0.5))
    assert lights["/World/Panel"].normalize
    row = list(lights).index("/World/Lamp")
    np.testing.assert_allclose(reader.pose(0).light_to_world[row][:3, 3], (1, 0, 0))


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"nothing\.usda does not exist; check the path"):
        StageReader(tmp_path / "nothing.usda")


def test_folder_is_refused(tmp_path):
    with pytest.raises(SourceError, match="is a folder; name a usd"):
        StageReader(tmp_path)


def test_broken_file_is_refused_with_the_parsers_reason(tmp_path):
    path = tmp_path / "broken.usda"
    path.write_text("#usda 1.0\ndef Xform {")
    with pytest.raises(
        SourceError, match=r"cannot be read by USD \(.*broken.usda:2:\d+.*\); repair or export it again"
    ):
        StageReader(path)


@pytest.mark.parametrize("suffix", ["usd", "usdc", "usdz", "txt"])
def test_files_that_are_no_usd_are_refused(tmp_path, suffix):
    path = tmp_path / f"noise.{suffix}"
    path.write_bytes(b"not a stage at all")
    with pytest.raises(SourceError, match="cannot be read by USD"):
        StageReader(path)


def test_empty_stage_is_refused():
    with pytest.raises(SourceError, match="has nothing that can be drawn"):
        StageReader(new_stage())


def test_missing_reference_is_said(tmp_path, capfd):
    path = tmp_path / "scene.usda"
    path.write_text('#usda 1.0\n( metersPerUnit = 1 )\ndef Cube "A" (references = @./gone.usda@) {\n}\n')
    notes = StageReader(path).scene.notes
    assert any("gone.usda" in note and "cannot compose" in note for note in notes)


def test_stage_without_unit_says_what_is_assumed():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.Cube.Define(stage, "/World/Cube")
    reader = StageReader(stage)
    assert any("centimetre" in note for note in reader.scene.notes)
    np.testing.assert_allclose(reader.scene.drawn[0].bounds[1], 0.01)


def test_closed_reader_says_so():
    stage = new_stage()
    UsdGeom.Cube.Define(stage, "/World/Cube")
    reader = StageReader(stage)
    reader.close()
    reader.close()
    with pytest.raises(SourceError, match="closed"):
        reader.pose(0)


@pytest.mark.parametrize("rate", [0.0, -1.0])
def test_a_stage_without_a_rate_runs_at_usds_own(rate):
    stage = new_stage()
    quad(stage, "/Quad")
    stage.SetTimeCodesPerSecond(rate)
    scene = StageReader(stage).scene
    assert scene.fps == 24.0
    assert any("timeCodesPerSecond" in note for note in scene.notes)


def test_a_tiny_thing_fills_the_view():
    stage = new_stage()
    UsdGeom.Sphere.Define(stage, "/Speck").CreateRadiusAttr(1e-4)
    camera = StageReader(stage).frame_camera((90, 160))
    distance = np.linalg.norm(camera.cam_to_world[:3, 3])
    radius = camera.intrinsics[0, 0] * 1e-4 / distance
    assert radius > 20.0


def test_progress_is_told_while_a_large_stage_is_read_and_can_end_it():
    stage = new_stage()
    layer = stage.GetRootLayer()
    with Sdf.ChangeBlock():
        for k in range(5200):
            spec = Sdf.CreatePrimInLayer(layer, f"/C{k}")
            spec.specifier, spec.typeName = Sdf.SpecifierDef, "Cube"
    told = []
    StageReader(stage, progress=lambda *now: told.append(now))
    assert told == [
        ("prims found", 0, 0),
        ("prims found", 5000, 0),
        ("prims read", 0, 5200),
        ("prims read", 5000, 5200),
    ]

    def stop(name, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        StageReader(stage, progress=stop)


def test_edits_of_what_moves_are_followed(moving_stage):
    reader = StageReader(moving_stage)
    row = row_of(reader.scene, "/World/Parent/Child")
    before = reader.pose(5.0).local_to_world[row]
    turn = UsdGeom.Xformable(moving_stage.GetPrimAtPath("/World/Parent")).GetOrderedXformOps()[0]
    turn.Set((90, 0, 0), 5)
    with Usd.EditContext(moving_stage, moving_stage.GetSessionLayer()):
        for time in (0, 10):
            UsdGeom.Xformable(moving_stage.GetPrimAtPath("/World/Parent")).GetOrderedXformOps()[0].Set(
                (time, 5, 0), time
            )
    after = reader.pose(5.0).local_to_world[row]
    want = world_oracle(moving_stage.GetPrimAtPath("/World/Parent/Child"), 5.0, 0.01)
    np.testing.assert_allclose(after, want, atol=1e-12)
    assert np.abs(after - before).max() > 0.1
