"""Stages with broken geometry: never a crash, never a wrong picture without a word."""

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.errors import SourceError
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


def test_broken_meshes_are_left_out_with_a_note():
    stage = new_stage()
    quad(stage, "/World/Good")
    quad(stage, "/World/Counts").GetFaceVertexCountsAttr().Set([5])
    quad(stage, "/World/Past").GetFaceVertexIndicesAttr().Set([0, 1, 2, 9])
    quad(stage, "/World/Nan").GetPointsAttr().Set([(0, 0, 0), (float("nan"), 0, 0), (1, 1, 0), (0, 1, 0)])
    UsdGeom.Mesh.Define(stage, "/World/Empty")
    scene = StageReader(stage).scene
    assert [item.prim_path for item in scene.drawn] == ["/World/Good"]
    notes = " ".join(scene.notes)
    for path, reason in (
        ("Counts", "do not add up"),
        ("Past", "past their points"),
        ("Nan", "NaN"),
        ("Empty", "without"),
    ):
        assert any(reason in note and f"/World/{path}" in note for note in scene.notes), (path, notes)


def test_a_note_is_said_once_a_kind():
    stage = new_stage()
    UsdGeom.Cube.Define(stage, "/World/Cube")
    for k in range(5):
        UsdGeom.NurbsPatch.Define(stage, f"/World/C{k}")
    notes = StageReader(stage).scene.notes
    assert notes == ("Prims of type NurbsPatch are left out: /World/C0 and 4 more.",)


def test_what_cannot_be_placed_is_hidden():
    stage = new_stage()
    quad(stage, "/World/Good")
    quad(stage, "/World/Lost").AddTranslateOp().Set((float("nan"), 0, 0))
    shrunk = quad(stage, "/World/Shrunk").AddScaleOp()
    shrunk.Set((1, 1, 1), 0)
    shrunk.Set((0, 0, 0), 10)
    reader = StageReader(stage)
    assert reader.pose(0).visible.tolist() == [True, False, True]
    assert reader.pose(10).visible.tolist() == [True, False, False]
    assert np.isfinite(reader.pose(10).local_to_world).all()
    assert np.isfinite(reader.frame_camera((4, 4)).cam_to_world).all()


BADLY_TYPED = """#usda 1.0
def Mesh "Good" {{
    int[] faceVertexCounts = [3]
    int[] faceVertexIndices = [0, 1, 2]
    point3f[] points = [(0, 0, 0), (1, 0, 0), (0, 1, 0)]
    {normals}
}}
def Mesh "Bad" {{
    int[] faceVertexCounts = [3]
    int[] faceVertexIndices = [0, 1, 2]
    {points}
}}
"""


@pytest.mark.parametrize(
    "normals", ["int normals = 3", "float[] normals = [1, 0, 0]", "double3[] normals = [(0, 0, 1)]"]
)
@pytest.mark.parametrize("points", ["int points = 3", "float[] points = [1, 2]", "string points = 'a'"])
def test_arrays_of_the_wrong_type_leave_out_their_mesh_only(normals, points):
    stage = Usd.Stage.CreateInMemory()
    stage.GetRootLayer().ImportFromString(BADLY_TYPED.format(normals=normals, points=points))
    scene = StageReader(stage).scene
    assert [instance.prim_path for instance in scene.drawn] == ["/Good"]
    assert any("/Bad" in note for note in scene.notes)


def drawn(stage):
    scene = StageReader(stage).scene
    return [item.prim_path for item in scene.drawn], " ".join(scene.notes)


@pytest.mark.parametrize("size", [float("nan"), float("inf"), -1.0, 0.0, 1e39])
def test_shapes_without_a_sound_size_are_left_out(size):
    stage = new_stage()
    quad(stage, "/World/Good")
    for kind, name in (("Sphere", "radius"), ("Cube", "size"), ("Capsule", "height"), ("Plane", "width")):
        stage.DefinePrim(f"/World/{kind}", kind).GetAttribute(name).Set(size)
    paths, notes = drawn(stage)
    round_one = ["/World/Capsule"] if size == 0.0 else []
    assert paths == ["/World/Good", *round_one]
    assert "/World/Sphere" in notes


@pytest.mark.parametrize("order", [["nonsense"], ["xformOp:foo"], ["xformOp:rotateABC:x"]])
def test_prims_whose_ops_make_no_transform_are_left_out_with_all_below(order):
    stage = new_stage()
    quad(stage, "/World/Good")
    UsdGeom.Cube.Define(stage, "/World/Bad/Cube")
    UsdGeom.Xform.Define(stage, "/World/Bad").CreateXformOpOrderAttr(order)
    UsdGeom.Camera.Define(stage, "/World/Bad/Camera")
    instancer = UsdGeom.PointInstancer.Define(stage, "/World/Crowd")
    instancer.CreatePrototypesRel().SetTargets(["/World/Bad", "/World/Good"])
    instancer.CreateProtoIndicesAttr([0, 1])
    instancer.CreatePositionsAttr([(0, 0, 0)] * 2)
    paths, notes = drawn(stage)
    assert paths == ["/World/Good"]
    assert "xformOpOrder" in notes and "/World/Bad" in notes
    assert "USD cannot place" in notes and "/World/Crowd" in notes
    with pytest.raises(SourceError, match="/World/Bad/Camera has no place"):
        StageReader(stage).camera("/World/Bad/Camera", 0, size=(4, 4))


def test_cyclic_references_payloads_and_sublayers_are_drawn_once(tmp_path):
    for arc in ("references", "payload"):
        one, two = tmp_path / f"{arc}_one.usda", tmp_path / f"{arc}_two.usda"
        for path, other in ((one, two), (two, one)):
            path.write_text(
                '#usda 1.0\n( defaultPrim = "Top" )\n'
                f'def Xform "Top" ({arc} = @./{other.name}@) {{\n  def Cube "{path.stem}" {{}}\n}}\n'
            )
        paths, notes = drawn(str(one))
        assert set(paths) == {f"/Top/{arc}_one", f"/Top/{arc}_two"}
        assert "cannot compose" in notes
    layers = [tmp_path / "a.usda", tmp_path / "b.usda"]
    for path, other in zip(layers, layers[::-1], strict=True):
        path.write_text(f'#usda 1.0\n( subLayers = [@./{other.name}@] )\ndef Cube "{path.stem}" {{}}\n')
    paths, notes = drawn(str(layers[0]))
    assert set(paths) == {"/a", "/b"}
    assert "cannot compose" in notes


VARIANTS = """#usda 1.0
def Xform "World" (
    variants = { string look = "round" }
    prepend variantSets = "look"
    payload = @./part.usda@
) {
    variantSet "look" = {
        "round" {
            def Sphere "Ball" {
            }
        }
        "square" {
            def Cube "Box" {
            }
        }
    }
}
"""
PART = """#usda 1.0
( defaultPrim = "P" )
def Xform "P" {
    def Cube "Part" {
    }
}
"""


def test_variants_and_payloads_are_read_as_they_stand(tmp_path):
    (tmp_path / "part.usda").write_text(PART)
    path = tmp_path / "scene.usda"
    path.write_text(VARIANTS)
    assert drawn(str(path))[0] == ["/World/Part", "/World/Ball"]
    stage = Usd.Stage.Open(str(path))
    stage.GetPrimAtPath("/World").GetVariantSet("look").SetVariantSelection("square")
    assert drawn(stage)[0] == ["/World/Part", "/World/Box"]


def test_primvars_with_indices_past_their_values_are_not_used():
    stage = new_stage()
    mesh = quad(stage, "/World/Quad")
    primvar = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    primvar.Set([(0, 0), (1, 1)])
    primvar.SetIndices([0, 1, 7, -3])
    scene = StageReader(stage).scene
    assert np.isfinite(scene.meshes[0].uvs).all()
    assert any("indices" in note and "/World/Quad" in note for note in scene.notes)


def test_a_stage_of_too_many_triangles_is_refused_in_one_sentence(monkeypatch):
    from cosmos.bridge.render.draw import world
    from cosmos.bridge.render.renderer import Renderer

    monkeypatch.setattr(world, "MOST_TRIANGLES", 1)
    stage = new_stage()
    quad(stage, "/World/Quad")
    with pytest.raises(SourceError, match=r"draws 2 triangles in all, more than 1"):
        Renderer(stage, device="cpu")


@pytest.mark.parametrize("seed", range(12))
def test_random_damage_ends_in_a_picture_or_a_sentence(seed):
    """Some authored arrays are cut, repeated or get a NaN; what is read must be finite and in range."""
    rng = np.random.default_rng(seed)
    stage = new_stage()
    quad(stage, "/World/Good")
    mesh = quad(stage, "/World/Mesh")
    UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "faceVarying").Set([(0, 0)] * 4)
    mesh.CreateNormalsAttr([(0, 0, 1)] * 4)
    mesh.CreateHoleIndicesAttr([7])
    curves = UsdGeom.BasisCurves.Define(stage, "/World/Curves")
    curves.CreateCurveVertexCountsAttr([4, 7])
    curves.CreatePointsAttr([(k, k * k, 0) for k in range(11)])
    curves.CreateWidthsAttr([0.1] * 11)
    points = UsdGeom.Points.Define(stage, "/World/Points")
    points.CreatePointsAttr([(k, 0, 0) for k in range(5)])
    points.CreateWidthsAttr([0.1] * 5)
    instancer = UsdGeom.PointInstancer.Define(stage, "/World/Crowd")
    instancer.CreatePrototypesRel().SetTargets(["/World/Good"])
    instancer.CreateProtoIndicesAttr([0] * 3)
    instancer.CreatePositionsAttr([(k, 0, 0) for k in range(3)])
    instancer.CreateOrientationsAttr([Gf.Quath(1)] * 3)
    instancer.CreateScalesAttr([(1, 1, 1)] * 3)
    authored = [
        a for p in stage.Traverse() for a in p.GetAttributes() if a.IsAuthored() and "Good" not in str(p.GetPath())
    ]
    for attribute in rng.choice(np.arange(len(authored)), 4, replace=False):
        attribute = authored[attribute]
        value = attribute.Get()
        if not hasattr(value, "__len__") or isinstance(value, str):
            continue
        array = np.array(
            [list(v) if hasattr(v, "__len__") else v for v in value] if "Quat" not in str(type(value)) else []
        )
        damage = rng.integers(4)
        if damage == 0 or not len(array):
            attribute.Set(type(value)())
        elif damage == 1:
            attribute.Set(type(value)(list(value)[:-1]))
        elif damage == 2:
            attribute.Set(type(value)(list(value) * 3))
        elif array.dtype.kind == "i":
            attribute.Set(type(value)([-5, 2**31 - 1] * len(array)))
        else:
            array.reshape(-1)[rng.integers(array.size)] = np.nan
            attribute.Set(type(value)([tuple(map(float, v)) if array.ndim > 1 else float(v) for v in array]))
    reader = StageReader(stage)
    assert "/World/Good" in [item.prim_path for item in reader.scene.drawn]
    for mesh in reader.scene.meshes:
        for array in (mesh.points, mesh.normals, mesh.uvs, mesh.colors):
            assert np.isfinite(array).all()
        assert mesh.triangles.min() >= 0 and mesh.triangles.max() < len(mesh.points)
    assert np.isfinite(reader.pose(0).local_to_world).all()
