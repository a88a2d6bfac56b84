"""The walk asks a prim only for what is authored: what it finds is what USD itself computes for each prim."""

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, Vt  # noqa: TID253

from cosmos.bridge.render.usd.stage import StageReader

TIMES = (0.0, 3.0, 10.0)


def new_stage() -> Usd.Stage:
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(10)
    for name, color in (("Red", (1.0, 0.0, 0.0)), ("Blue", (0.0, 0.0, 1.0))):
        material = UsdShade.Material.Define(stage, f"/Looks/{name}")
        shader = UsdShade.Shader.Define(stage, f"/Looks/{name}/Shader")
        shader.CreateIdAttr("UsdPreviewSurface")
        shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(color))
        material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    return stage


def place(xform: UsdGeom.Xformable, rng: np.random.Generator) -> None:
    """Some ops, some of which move, some of which forget what is above."""
    turn = xform.AddRotateXYZOp()
    turn.Set(Gf.Vec3f(*rng.uniform(-90.0, 90.0, 3).tolist()))
    shift = xform.AddTranslateOp()
    for time in (0.0, 10.0) if rng.random() < 0.5 else (Usd.TimeCode.Default(),):
        shift.Set(Gf.Vec3d(*rng.uniform(-5.0, 5.0, 3).tolist()), time)
    if rng.random() < 0.2:
        xform.SetResetXformStack(True)


def decorate(prim: Usd.Prim, rng: np.random.Generator) -> None:
    imageable = UsdGeom.Imageable(prim)
    if rng.random() < 0.4:
        place(UsdGeom.Xformable(prim), rng)
    if rng.random() < 0.15:
        imageable.CreateVisibilityAttr("invisible")
    elif rng.random() < 0.15:
        imageable.CreateVisibilityAttr().Set("inherited", 0.0)
        imageable.GetVisibilityAttr().Set("invisible", 5.0)
    if rng.random() < 0.1:
        imageable.CreatePurposeAttr(rng.choice(["render", "proxy", "default"]).item())
    if rng.random() < 0.3:
        primvar = UsdGeom.PrimvarsAPI(prim).CreatePrimvar("displayColor", Sdf.ValueTypeNames.Color3fArray)
        primvar.Set(Vt.Vec3fArray([Gf.Vec3f(*rng.random(3).tolist())]))
    if rng.random() < 0.2:
        look = UsdShade.Material.Get(prim.GetStage(), rng.choice(["/Looks/Red", "/Looks/Blue"]).item())
        UsdShade.MaterialBindingAPI.Apply(prim).Bind(look)


def grow(stage: Usd.Stage, path: str, depth: int, rng: np.random.Generator) -> None:
    for index in range(3):
        child = f"{path}/T{index}"
        kind = "Cube" if depth == 0 else rng.choice(["Xform", "Scope", ""]).item()
        prim = stage.DefinePrim(child, kind)
        if kind in ("Cube", "Xform"):
            decorate(prim, rng)
            if kind == "Cube" and rng.random() < 0.3:
                UsdGeom.Cube(prim).CreateSizeAttr(float(rng.integers(1, 4)))
        if depth:
            grow(stage, child, depth - 1, rng)


@pytest.mark.parametrize("seed", range(6))
def test_every_prim_is_what_usd_says_it_is(seed):
    stage, rng = new_stage(), np.random.default_rng(seed)
    grow(stage, "/World", 3, rng)
    reader = StageReader(stage)
    scene = reader.scene
    drawn = {instance.prim_path: row for row, instance in enumerate(scene.drawn)}
    cubes = [prim for prim in stage.Traverse() if prim.IsA(UsdGeom.Cube)]
    expected = [
        prim
        for prim in cubes
        if UsdGeom.Imageable(prim).ComputePurpose() in ("default", "render")
        and any(UsdGeom.Imageable(prim).ComputeVisibility(time) != "invisible" for time in TIMES)
    ]
    assert list(drawn) == [str(prim.GetPath()) for prim in expected]
    assert len(expected) > 10
    for time in TIMES:
        pose = reader.pose(time)
        for row, prim in enumerate(expected):
            imageable = UsdGeom.Imageable(prim)
            matrix = np.array(imageable.ComputeLocalToWorldTransform(time)).T
            np.testing.assert_array_equal(pose.local_to_world[row], matrix)
            assert pose.visible[row] == (imageable.ComputeVisibility(time) != "invisible")
    for row, prim in enumerate(expected):
        look = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()[0]
        mesh = scene.meshes[scene.mesh_of[row]]
        material = scene.materials[mesh.materials[0] if scene.material_of[row] < 0 else scene.material_of[row]]
        assert material.name == (str(look.GetPath()) if look else "displayColor")
        primvar = UsdGeom.PrimvarsAPI(prim).FindPrimvarWithInheritance("displayColor")
        color = primvar.Get()[0] if primvar and primvar.HasAuthoredValue() else (np.nan,) * 3
        np.testing.assert_array_equal(scene.color_of[row], np.array(color, np.float32))
        assert np.ptp(mesh.points) == UsdGeom.Cube(prim).GetSizeAttr().Get()


def test_a_shape_that_grows_is_told_from_one_that_looks_the_same_at_first():
    stage = new_stage()
    UsdGeom.Sphere.Define(stage, "/Still").CreateRadiusAttr(1.0)
    radius = UsdGeom.Sphere.Define(stage, "/Growing").CreateRadiusAttr()
    radius.Set(1.0, 0.0)
    radius.Set(3.0, 10.0)
    reader = StageReader(stage)
    still, growing = reader.scene.mesh_of
    points = reader.pose(10.0).points
    assert still not in points
    np.testing.assert_allclose(np.linalg.norm(points[growing], axis=1), 3.0, rtol=1e-6)


def test_value_clips_are_followed_where_nothing_is_authored(tmp_path):
    (tmp_path / "clip.usda").write_text("""#usda 1.0
def Xform "Thing" {
    double3 xformOp:translate.timeSamples = {0: (0, 0, 0), 10: (5, 0, 0)}
    token visibility.timeSamples = {0: "inherited", 5: "invisible"}
}
""")
    (tmp_path / "manifest.usda").write_text("""#usda 1.0
def Xform "Thing" {
    double3 xformOp:translate
    token visibility
}
""")
    main = tmp_path / "main.usda"
    main.write_text("""#usda 1.0
( metersPerUnit = 1 )
def Xform "Thing" ( clips = { dictionary default = {
    asset[] assetPaths = [@./clip.usda@]
    string primPath = "/Thing"
    asset manifestAssetPath = @./manifest.usda@
    double2[] active = [(0, 0)]
    double2[] times = [(0, 0), (10, 10)]
} } )
{
    double3 xformOp:translate
    uniform token[] xformOpOrder = ["xformOp:translate"]
    def Cube "Cube" {
    }
}
""")
    reader = StageReader(main)
    stage = reader.stage
    for time in TIMES:
        cube, pose = UsdGeom.Imageable(stage.GetPrimAtPath("/Thing/Cube")), reader.pose(time)
        np.testing.assert_array_equal(pose.local_to_world[0].T, np.array(cube.ComputeLocalToWorldTransform(time)))
        assert pose.visible[0] == (cube.ComputeVisibility(time) != "invisible")
    assert not reader.pose(7.0).visible[0]
    assert reader.pose(3.0).local_to_world[0, 0, 3] == 1.5


def test_a_prototype_takes_colour_and_material_from_above_it():
    stage = new_stage()
    instancer = UsdGeom.PointInstancer.Define(stage, "/Crowd")
    cubes = [UsdGeom.Cube.Define(stage, f"/Crowd/{name}") for name in ("Plain", "Bound")]
    primvar = UsdGeom.PrimvarsAPI(instancer).CreatePrimvar("displayColor", Sdf.ValueTypeNames.Color3fArray)
    primvar.Set(Vt.Vec3fArray([Gf.Vec3f(0.25, 0.5, 0.75)]))
    group = UsdGeom.Xform.Define(stage, "/Crowd/Group")
    UsdShade.MaterialBindingAPI.Apply(group.GetPrim()).Bind(UsdShade.Material.Get(stage, "/Looks/Red"))
    cubes.append(UsdGeom.Cube.Define(stage, "/Crowd/Group/Below"))
    instancer.CreatePrototypesRel().SetTargets([cubes[0].GetPath(), cubes[2].GetPath()])
    instancer.CreateProtoIndicesAttr([0, 1])
    instancer.CreatePositionsAttr([(0, 0, 0), (3, 0, 0)])
    scene = StageReader(stage).scene
    plain, below = (scene.meshes[index] for index in scene.mesh_of)
    np.testing.assert_array_equal(plain.colors[0, 0], np.array((0.25, 0.5, 0.75), np.float32))
    assert scene.materials[below.materials[0]].name == "/Looks/Red"
