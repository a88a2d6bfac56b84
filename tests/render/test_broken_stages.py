"""Stages with broken geometry: never a crash, never a wrong picture without a word."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom  # noqa: TID253

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
