"""Curves and points as triangles, against de Casteljau, exact circles and mitred tubes of known volume."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, Vt  # noqa: TID253

from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.render.usd.curves import arrange, read_curves
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.points import ball, gather, read_cloud
from cosmos.bridge.render.usd.stage import StageReader
from cosmos.bridge.render.usd.stencils import basis_strand, nurbs_strand
from cosmos.bridge.types import Camera

NOW = Usd.TimeCode.Default()


@pytest.fixture
def stage():
    made = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(made, 1.0)
    UsdGeom.SetStageUpAxis(made, "Z")
    return made


def curves(stage, counts, points, *, kind="linear", basis="bezier", wrap="nonperiodic", widths=(0.2,), of="constant"):
    prim = UsdGeom.BasisCurves.Define(stage, "/Curves")
    prim.CreateTypeAttr(kind)
    prim.CreateBasisAttr(basis)
    prim.CreateWrapAttr(wrap)
    prim.CreateCurveVertexCountsAttr(counts)
    prim.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(np.asarray(points, np.float32)))
    if len(widths):
        prim.CreateWidthsAttr(list(widths))
        prim.SetWidthsInterpolation(of)
    return prim


def surface_of(prim, notes=None):
    notes = notes or Notes()
    arranged = arrange(prim.GetPrim(), NOW, 1.0, notes)
    return None if arranged is None else read_curves(arranged, NOW, notes)


def signed_volume(surface):
    a, b, c = (surface.points[surface.triangles[:, k]].astype(np.float64) for k in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


def section(radius, sides=12):
    """Area of the many-sided section that is as wide on the mean as the circle."""
    grown = radius * (np.pi / sides) / np.sin(np.pi / sides)
    return sides / 2 * grown**2 * np.sin(2 * np.pi / sides)


def de_casteljau(points, u):
    points = np.asarray(points, np.float64)
    while len(points) > 1:
        points = (1 - u) * points[:-1] + u * points[1:]
    return points[0]


def bezier_of(kind, p):
    """The Bezier points of one segment of a uniform cubic spline (Bartels, Beatty and Barsky, 1987)."""
    p0, p1, p2, p3 = p
    if kind == "bspline":
        return [(p0 + 4 * p1 + p2) / 6, (2 * p1 + p2) / 3, (p1 + 2 * p2) / 3, (p1 + 4 * p2 + p3) / 6]
    return [p1, p1 + (p2 - p0) / 6, p2 - (p3 - p1) / 6, p2]


@pytest.mark.parametrize("basis", ["bezier", "bspline", "catmullRom"])
@pytest.mark.parametrize("wrap", ["nonperiodic", "periodic", "pinned"])
def test_cubic_stencils_match_de_casteljau(basis, wrap):
    count = {"nonperiodic": 10, "periodic": 9, "pinned": 10}[wrap]
    points = np.random.default_rng(1).normal(size=(count, 3))
    strand = basis_strand(count, kind="cubic", basis=basis, wrap=wrap, per_segment=4)
    got = np.einsum("mk,mkc->mc", strand.weight, points[strand.index])
    padded = points
    if wrap == "pinned" and basis != "bezier":
        padded = np.r_[[2 * points[0] - points[1]], points, [2 * points[-1] - points[-2]]]
        np.testing.assert_allclose(got[[0, -1]], points[[0, -1]], atol=1e-12)
    if wrap == "periodic":
        padded = np.r_[points, points[:3]]
    step = 3 if basis == "bezier" else 1
    oracle = Usd.Stage.CreateInMemory()
    prim = UsdGeom.BasisCurves.Define(oracle, "/C")
    prim.CreateBasisAttr(basis)
    prim.CreateWrapAttr(wrap)
    prim.CreateCurveVertexCountsAttr([count])
    assert strand.segments == prim.ComputeSegmentCounts(NOW)[0]
    for place, value in zip(strand.place, got, strict=True):
        segment = min(int(place), strand.segments - 1)
        control = padded[segment * step : segment * step + 4]
        control = control if basis == "bezier" else bezier_of(basis, control)
        np.testing.assert_allclose(value, de_casteljau(control, place - segment), atol=1e-12)


def test_rational_stencil_draws_an_exact_circle():
    half = np.sqrt(0.5)
    points = np.array([(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0)], float)
    weights = np.array([1, half, 1, half, 1, half, 1, half, 1])
    knots = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4], float)
    strand = nurbs_strand(9, 3, knots, weights, (0.0, 4.0), per_segment=8)
    got = np.einsum("mk,mkc->mc", strand.weight, points[strand.index])
    np.testing.assert_allclose(np.hypot(*got.T), 1, atol=1e-12)
    assert len(got) == 33
    part = nurbs_strand(9, 3, knots, weights, (0.5, 3.0), per_segment=8)
    ends = np.einsum("mk,mkc->mc", part.weight, points[part.index])[[0, -1]]
    np.testing.assert_allclose(ends, [(half, half), (0, -1)], atol=1e-12)
    for bad in (knots[:-1], knots[::-1], np.zeros(12)):
        assert nurbs_strand(9, 3, bad, weights, (-np.inf, np.inf), per_segment=2) is None


def welded_edges(surface):
    _, index = np.unique(np.round(surface.points, 5) + 0.0, axis=0, return_inverse=True)
    edges = index.reshape(-1)[surface.triangles][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    return np.unique(np.sort(edges, axis=1), axis=0, return_counts=True)[1]


def test_mitred_tubes_have_the_volume_of_their_length(stage):
    corner = [(0, 0, 0), (2, 0, 0), (2, 3, 0), (2, 3, 1.5)]
    surface = surface_of(curves(stage, [4], corner))
    assert signed_volume(surface) == pytest.approx(section(0.1) * 6.5, rel=1e-5)
    assert (welded_edges(surface) == 2).all()
    square = [(0, 0, 0), (2, 0, 0), (2, 2, 0), (0, 2, 0)]
    ring = surface_of(curves(stage, [4], square, wrap="periodic"))
    assert signed_volume(ring) == pytest.approx(section(0.1) * 8, rel=1e-5)
    assert (welded_edges(ring) == 2).all()


@pytest.mark.parametrize(("kind", "basis"), [("linear", "bezier"), ("cubic", "bspline"), ("cubic", "catmullRom")])
def test_closed_rings_do_not_twist(stage, kind, basis):
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    knot = np.c_[
        np.sin(angle) + 2 * np.sin(2 * angle), np.cos(angle) - 2 * np.cos(2 * angle), -np.sin(3 * angle)
    ]  # a trefoil
    surface = surface_of(curves(stage, [40], knot, kind=kind, basis=basis, wrap="periodic"))
    assert (welded_edges(surface) == 2).all()
    a, b, c = (surface.points[surface.triangles[:, k]].astype(np.float64) for k in range(3))
    flat = np.cross(b - a, c - a)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    assert ((surface.normals * flat[:, None]).sum(-1) > 0.75).all()


@pytest.mark.parametrize(
    ("of", "widths"),
    [("constant", [0.4]), ("uniform", [0.4, 0.2]), ("varying", [0.4, 0.2, 0.4, 0.2]), ("vertex", [0.4, 0.2, 0.4, 0.2])],
)
def test_widths_of_every_interpolation(stage, of, widths):
    points = [(0, 0, 0), (0, 0, 3), (5, 0, 0), (5, 0, 3)]
    surface = surface_of(curves(stage, [2, 2], points, widths=widths, of=of))
    at_end = {"constant": [0.2] * 4, "uniform": [0.2, 0.2, 0.1, 0.1]}.get(of, [0.2, 0.1, 0.2, 0.1])
    grown = (np.pi / 12) / np.sin(np.pi / 12)
    for (x, _, z), radius in zip(points, at_end, strict=True):
        ring = surface.points[np.abs(surface.points - (x, 0, z)).max(1) < 0.5]
        np.testing.assert_allclose(np.hypot(ring[:, 0] - x, ring[:, 1]), radius * grown, rtol=1e-5)
    cone = surface.normals[(surface.points[surface.triangles][..., 2] == 0).any(1)]
    if of in ("varying", "vertex"):
        steep = np.arctan2(0.1, 3.0)
        sides = cone[np.abs(cone[..., 2]) < 0.9]
        np.testing.assert_allclose(sides[:, 2], np.sin(steep), atol=1e-3)


def test_colours_and_uvs_of_strands_reach_the_corners(stage):
    points = [(0, 0, 0), (0, 0, 1), (0, 0, 2), (5, 0, 0), (5, 0, 2)]
    prim = curves(stage, [3, 2], points)
    prim.CreateDisplayColorPrimvar("vertex").Set([(k / 4, 0, 0) for k in range(5)])
    surface = surface_of(prim)
    corner = surface.points[surface.triangles]
    want = np.where(corner[..., 0] < 2.5, corner[..., 2] / 4, 0.75 + corner[..., 2] / 8)
    np.testing.assert_allclose(surface.colors[..., 0], want, atol=1e-5)
    np.testing.assert_allclose(surface.uv("st")[..., 1], corner[..., 2] / 2, atol=1e-5)
    prim.CreateDisplayColorPrimvar("uniform").Set([(1, 0, 0), (0, 1, 0)])
    surface = surface_of(prim)
    np.testing.assert_allclose(surface.colors[..., 1], corner[..., 0] > 2.5)
    notes = Notes()
    prim.CreateDisplayColorPrimvar("vertex").Set([(1, 0, 0)] * 3)
    assert surface_of(prim, notes).colors is None
    assert notes.sentences() == ("displayColor with too few values is not used: /Curves.",)


def test_ribbons_face_their_normals(stage):
    prim = curves(stage, [3], [(0, 0, 0), (1, 0, 0), (2, 0, 0)], widths=[0.5])
    prim.CreateNormalsAttr([(0, 0, 1)] * 3)
    surface = surface_of(prim)
    a, b, c = (surface.points[surface.triangles[:, k]] for k in range(3))
    area = np.cross(b - a, c - a) / 2
    np.testing.assert_allclose(area.sum(0), (0, 0, 1.0), atol=1e-6)
    assert (area[:, 2] > 0).all()
    np.testing.assert_allclose(surface.points[:, 2], 0, atol=1e-7)


def test_hermite_and_nurbs_curves_follow_their_definition(stage):
    hermite = UsdGeom.HermiteCurves.Define(stage, "/Hermite")
    p, m = np.array([(0, 0, 0), (1, 2, 0), (4, 2, 1)], float), np.array([(1, 0, 0), (3, 0, 0), (0, 1, 2)], float)
    hermite.CreateCurveVertexCountsAttr([3])
    hermite.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(p.astype(np.float32)))
    hermite.CreateTangentsAttr(Vt.Vec3fArray.FromNumpy(m.astype(np.float32)))
    hermite.CreateWidthsAttr([0.01] * 3)
    rings, _ = arrange(hermite.GetPrim(), NOW, 1.0, Notes()).rings(NOW)[0]
    for k in range(2):
        for u in (0, 0.25, 0.5, 0.75, 1):
            want = (
                (2 * u**3 - 3 * u**2 + 1) * p[k]
                + (u**3 - 2 * u**2 + u) * m[k]
                + (-2 * u**3 + 3 * u**2) * p[k + 1]
                + (u**3 - u**2) * m[k + 1]
            )
            np.testing.assert_allclose(rings[0, int((k + u) * 8)].mean(0), want, atol=1e-6)
    nurbs = UsdGeom.NurbsCurves.Define(stage, "/Nurbs")
    nurbs.CreateCurveVertexCountsAttr([4])
    nurbs.CreateOrderAttr([4])
    nurbs.CreateKnotsAttr([0, 0, 0, 0, 1, 1, 1, 1])
    nurbs.CreateRangesAttr([Gf.Vec2d(0, 1)])
    control = np.array([(0, 0, 0), (1, 2, 0), (3, 2, 1), (4, 0, 0)], float)
    nurbs.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(control.astype(np.float32)))
    nurbs.CreateWidthsAttr([0.01] * 4)
    rings, _ = arrange(nurbs.GetPrim(), NOW, 1.0, Notes()).rings(NOW)[0]
    for k in range(9):
        np.testing.assert_allclose(rings[0, k].mean(0), de_casteljau(control, k / 8), atol=1e-6)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c.GetCurveVertexCountsAttr().Set([4]), "do not add up"),
        (lambda c: c.GetCurveVertexCountsAttr().Set([-1, 4]), "do not add up"),
        (lambda c: c.GetCurveVertexCountsAttr().Set([]), "without points"),
        (lambda c: c.GetPointsAttr().Set([]), "without points"),
        (lambda c: c.GetPointsAttr().Set([(0, 0, 0), (float("nan"), 0, 0), (1, 0, 0)]), "NaN"),
        (lambda c: c.GetCurveVertexCountsAttr().Set([1, 1, 1]), "make no curve"),
        (lambda c: c.GetTypeAttr().Set("cubic"), "make no curve"),
    ],
)
def test_broken_curves_are_left_out_with_a_note(stage, change, said):
    prim = curves(stage, [3], [(0, 0, 0), (1, 0, 0), (2, 0, 0)])
    change(prim)
    notes = Notes()
    assert surface_of(prim, notes) is None
    assert len(notes.sentences()) == 1
    assert said in notes.sentences()[0] and "/Curves" in notes.sentences()[0]


def test_odd_curves_are_drawn_without_a_crash(stage):
    same = curves(stage, [4, 2, 2], [(1, 1, 1)] * 4 + [(0, 0, 0), (0, 0, 1)] + [(3, 0, 0), (3, 0, 0)])
    surface = surface_of(same)
    assert np.isfinite(surface.points).all() and np.isfinite(surface.normals).all()
    back = surface_of(curves(stage, [3], [(0, 0, 0), (1, 0, 0), (0, 0, 0)]))
    assert np.isfinite(back.points).all()
    notes = Notes()
    bare = surface_of(curves(stage, [2], [(0, 0, 0), (0, 0, 9)], widths=[0.1, 0.1, 0.1], of="vertex"), notes)
    assert "without widths that fit" in notes.sentences()[0]
    assert signed_volume(bare) == pytest.approx(section(0.5) * 9, rel=1e-5)


def test_the_ball_is_as_large_as_the_sphere():
    for level, faces in enumerate((8, 20, 80, 320)):
        points, triangles = ball(level)
        a, b, c = (points[triangles[:, k]] for k in range(3))
        normal = np.cross(b - a, c - a)
        assert len(triangles) == faces
        assert ((normal * a).sum(1) > 0).all()
        assert np.linalg.norm(normal, axis=1).sum() / 2 == pytest.approx(4 * np.pi)


def look_at_origin(size=(96, 96), distance=10.0, focal=400.0):
    pose = np.eye(4)
    pose[2, 3] = distance
    intrinsics = np.array([[focal, 0, size[1] / 2], [0, focal, size[0] / 2], [0, 0, 1.0]])
    return Camera(
        prim_path="/C", height=size[0], width=size[1], intrinsics=intrinsics, cam_to_world=pose, near=0.1, far=100.0
    )


def test_a_curve_and_points_are_drawn_where_they_are(stage, device):
    curves(stage, [2], [(-9, 0, 0), (9, 0, 0)], widths=[1.0])
    points = UsdGeom.Points.Define(stage, "/Points")
    points.CreatePointsAttr([(0, 0, 3), (0.8, 0.9, 0)])
    points.CreateWidthsAttr([0.25, 0.4])
    renderer = Renderer(stage, device=device)
    frame = renderer.render(look_at_origin(), 0.0)
    depth, ids = frame.depth.numpy(), frame.instance_ids.numpy()
    renderer.close()
    paths = {item.prim_path: item.id for item in renderer.scene.drawn}
    rows = (ids == paths["/Curves"])[:, 5]
    assert rows.sum() == pytest.approx(400 * 1.0 / 10, abs=2)
    assert depth[48, 5] == pytest.approx(9.5, abs=0.02)
    assert ids[48, 48] == ids[12, 80] == paths["/Points"]
    assert depth[48, 48] == pytest.approx(7 - 0.125, abs=0.01)
    assert (ids[:28] == paths["/Points"]).sum() == pytest.approx(np.pi * (0.2 * 40) ** 2, rel=0.06)


def test_points_move_come_and_go(stage):
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(20)
    points = UsdGeom.Points.Define(stage, "/Points")
    points.CreateWidthsAttr([0.5])
    points.SetWidthsInterpolation("constant")
    for time, places, ids in ((0, [(0, 0, 0), (5, 0, 0)], [7, 3]), (10, [(5, 9, 0), (1, 1, 1), (0, 9, 0)], [3, 4, 7])):
        points.GetPointsAttr().Set([Gf.Vec3f(*place) for place in places], time)
        points.CreateIdsAttr().Set(ids, time)
    reader = StageReader(stage)
    np.testing.assert_allclose(reader.scene.drawn[0].bounds[1][0], 5.25, atol=0.01)
    num = len(ball(3)[0])

    def centres(time):
        balls = reader.pose(time).points[0].reshape(-1, num, 3).astype(np.float64)
        size = balls.max(1) - balls.min(1)
        return balls.mean(1)[size[:, 0] > 0]

    np.testing.assert_allclose(centres(0), [(5, 0, 0), (0, 0, 0)], atol=1e-5)  # ids 3, 7
    np.testing.assert_allclose(centres(10), [(5, 9, 0), (1, 1, 1), (0, 9, 0)], atol=1e-5)  # ids 3, 4, 7


def test_broken_points_are_said(stage):
    points = UsdGeom.Points.Define(stage, "/Points")
    notes = Notes()
    assert gather(points.GetPrim(), NOW, 1.0, notes) is None
    points.CreatePointsAttr([(0, 0, 0), (float("nan"), 0, 0), (3, 0, 0)])
    points.CreateDisplayColorPrimvar("vertex").Set([(1, 0, 0), (0, 1, 0), (0, 0, 1)])
    cloud = gather(points.GetPrim(), NOW, 1.0, notes)
    surface = read_cloud(cloud, NOW, notes)
    said = " ".join(notes.sentences())
    assert "without positions" in said and "one by one" in said and "without widths" in said
    corners = surface.points[surface.triangles]
    last = np.abs(corners[..., 0] - 3) < 1
    np.testing.assert_allclose(surface.colors[last], np.broadcast_to((0, 0, 1), (int(last.sum()), 3)))
    assert np.isfinite(surface.points).all()
