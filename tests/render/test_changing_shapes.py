"""Polygons, counts and sizes that change with time: every moment against a stage that holds that moment alone."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, Vt  # noqa: TID253

from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.render.usd import shapes
from cosmos.bridge.render.usd.stage import StageReader
from cosmos.bridge.types import Camera

TIMES = (0, 4, 5, 9, 10, 12)
GRIDS = {0: 2, 5: 4, 10: 3}


def new_stage():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(12)
    return stage


def grid(cells, tilt):
    x, y = (k.reshape(-1) for k in np.meshgrid(np.linspace(-1, 1, cells + 1), np.linspace(-1, 1, cells + 1)))
    points = np.stack([x, y, tilt * x], axis=1).astype(np.float32)
    first = (np.arange(cells)[:, None] * (cells + 1) + np.arange(cells)).reshape(-1)
    faces = np.stack([first, first + 1, first + cells + 2, first + cells + 1], axis=1)
    return points, np.full(len(faces), 4, np.int32), faces.astype(np.int32).reshape(-1)


def fluid(stage, at=None):
    """A mesh of three topologies; all over time, or only that of one moment."""
    mesh = UsdGeom.Mesh.Define(stage, "/Fluid")
    mesh.CreateSubdivisionSchemeAttr("none")
    colors = mesh.CreateDisplayColorPrimvar("uniform")
    for start, cells in GRIDS.items():
        if at is not None and start != max(k for k in GRIDS if k <= at):
            continue
        when = Usd.TimeCode.Default() if at is not None else Usd.TimeCode(start)
        points, counts, indices = grid(cells, start / 10)
        mesh.CreatePointsAttr().Set(Vt.Vec3fArray.FromNumpy(points), when)
        mesh.CreateFaceVertexCountsAttr().Set(Vt.IntArray.FromNumpy(counts), when)
        mesh.CreateFaceVertexIndicesAttr().Set(Vt.IntArray.FromNumpy(indices), when)
        colors.Set([Gf.Vec3f(start / 10, k / len(counts), 0) for k in range(len(counts))], when)
    return mesh


def camera():
    pose = np.eye(4)
    pose[:3, 3] = (0.3, 0.1, 5.0)
    intrinsics = np.array([[120.0, 0, 48], [0, 120.0, 32], [0, 0, 1.0]])
    return Camera(prim_path="/C", height=64, width=96, intrinsics=intrinsics, cam_to_world=pose, near=0.1, far=100.0)


def test_every_moment_of_a_changing_mesh_equals_that_moment_alone(device):
    stage = new_stage()
    fluid(stage)
    renderer = Renderer(stage, device=device)
    assert renderer.scene.drawn[0].prim_path == "/Fluid" and len(renderer.scene.drawn) == 1
    np.testing.assert_allclose(renderer.scene.drawn[0].bounds, [[-1, -1, 0], [1, 1, 0]])
    for time in TIMES:
        frame = renderer.render(camera(), time)
        alone = new_stage()
        fluid(alone, at=time)
        single = Renderer(alone, device=device)
        want = single.render(camera(), 0.0)
        np.testing.assert_allclose(frame.depth.numpy(), want.depth.numpy(), rtol=1e-6)
        np.testing.assert_allclose(frame.normals.numpy(), want.normals.numpy(), atol=1e-5)
        np.testing.assert_array_equal(frame.instance_ids.numpy(), want.instance_ids.numpy())
        single.close()
    renderer.close()


def test_each_version_of_a_mesh_has_its_own_colours():
    stage = new_stage()
    fluid(stage)
    reader = StageReader(stage)
    mesh = reader.scene.meshes[0]
    for time in TIMES:
        corners = reader.pose(time).points[0][mesh.triangles]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        colors = mesh.colors[area > 0][:, 0]
        start = max(k for k in GRIDS if k <= time)
        count = GRIDS[start] ** 2
        want = [(start / 10, k / count, 0) for k in range(count)]
        np.testing.assert_allclose(np.unique(colors, axis=0), np.array(want, np.float32), atol=1e-6)
        assert len(colors) == 2 * count


def test_a_primvar_of_one_moment_is_not_read_for_another():
    stage = new_stage()
    mesh = fluid(stage)
    opacity = mesh.CreateDisplayOpacityPrimvar("faceVarying")
    opacity.Set([0.2 + 0.01 * k for k in range(64)])
    reader = StageReader(stage)
    assert any("displayOpacity" in note and "/Fluid" in note for note in reader.scene.notes)
    assert (reader.scene.meshes[0].more_colors[0] == 1.0).all()


def test_motion_over_a_change_of_polygons_is_that_of_the_body(device):
    stage = new_stage()
    move = UsdGeom.Xformable(fluid(stage)).AddTranslateOp()
    move.Set((0, 0, 0), 4)
    move.Set((0.25, 0, 0), 5)
    renderer = Renderer(stage, device=device)
    view = camera()
    frame = renderer.render(view, 5.0, previous=(view, 4.0))
    depth, motion = frame.depth.numpy(), frame.motion.numpy()
    hit = np.isfinite(depth)
    np.testing.assert_allclose(motion[hit][:, 0], -0.25 * 120.0 / depth[hit], atol=0.01)
    np.testing.assert_allclose(motion[hit][:, 1], 0, atol=0.01)
    renderer.close()


def test_a_mesh_that_is_empty_at_times_is_not_seen_then():
    stage = new_stage()
    mesh = fluid(stage)
    mesh.GetPointsAttr().Set(Vt.Vec3fArray(), 0)
    mesh.GetFaceVertexCountsAttr().Set(Vt.IntArray(), 0)
    mesh.GetFaceVertexIndicesAttr().Set(Vt.IntArray(), 0)
    reader = StageReader(stage)
    assert reader.scene.notes == ()
    assert reader.pose(2).visible.tolist() == [False]
    assert reader.pose(7).visible.tolist() == [True]


def test_too_many_polygons_over_time_are_said(monkeypatch):
    monkeypatch.setattr(shapes, "_MOST_VERSIONED_TRIANGLES", 40)
    stage = new_stage()
    fluid(stage)
    reader = StageReader(stage)
    assert any("40 triangles in all" in note and "/Fluid" in note for note in reader.scene.notes)
    assert reader.pose(7).visible.tolist() == [True]
    assert reader.pose(11).visible.tolist() == [False]


def test_strands_whose_number_changes_are_followed():
    stage = new_stage()
    prim = UsdGeom.BasisCurves.Define(stage, "/Hair")
    prim.CreateTypeAttr("linear")
    prim.CreateWidthsAttr([0.1])
    prim.SetWidthsInterpolation("constant")
    for time, counts, top in ((0, [2], 1.0), (5, [2, 2], 3.0)):
        prim.CreateCurveVertexCountsAttr().Set(counts, time)
        ends = [Gf.Vec3f(k // 2, 0, top * (k % 2)) for k in range(2 * len(counts))]
        prim.CreatePointsAttr().Set(ends, time)
    reader = StageReader(stage)
    triangles = reader.scene.meshes[0].triangles
    for time, width, top in ((0, 0, 1.0), (5, 1, 3.0)):
        points = reader.pose(time).points[0][triangles]
        np.testing.assert_allclose(points.max((0, 1)), (width + 0.05, 0.05, top), atol=2e-3)


@pytest.mark.parametrize(
    ("kind", "name", "sizes"),
    [
        ("Cube", "size", (1.0, 3.0)),
        ("Sphere", "radius", (1.0, 0.25)),
        ("Cylinder", "height", (1.0, 4.0)),
        ("Cone", "radius", (1.0, 2.0)),
        ("Capsule", "radius", (1.0, 2.0)),
        ("Cylinder_1", "radiusTop", (0.5, 2.0)),
    ],
)
def test_shapes_whose_size_changes_have_the_extent_that_usd_computes(kind, name, sizes):
    stage = new_stage()
    prim = stage.DefinePrim("/Shape", kind)
    for time, size in zip((0, 10), sizes, strict=True):
        prim.GetAttribute(name).Set(size, time)
    reader = StageReader(stage)
    for time in (0, 5, 10):
        points = reader.pose(time).points[0].astype(np.float64)
        want = np.array(UsdGeom.Boundable.ComputeExtentFromPlugins(UsdGeom.Boundable(prim), time))
        np.testing.assert_allclose([points.min(0), points.max(0)], want, atol=1e-5)
