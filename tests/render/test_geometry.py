"""Triangles, normals, uvs and colours of meshes and shapes, against areas, volumes and float64 NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pxr import Sdf, Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.render.usd.geometry import read_mesh
from cosmos.bridge.render.usd.gprims import gprim_key, read_gprim
from cosmos.bridge.render.usd.normals import crease_normals
from cosmos.bridge.render.usd.notes import Notes
from cosmos.bridge.render.usd.polygons import triangulate

NOW = Usd.TimeCode.Default()
CUBE_POINTS = [(x, y, z) for z in (-1, 1) for y in (-1, 1) for x in (-1, 1)]
CUBE_INDICES = [0, 2, 3, 1, 4, 5, 7, 6, 0, 1, 5, 4, 2, 6, 7, 3, 0, 4, 6, 2, 1, 3, 7, 5]


@pytest.fixture
def stage():
    return Usd.Stage.CreateInMemory()


def cut(ring, **kwargs):
    points = np.c_[np.asarray(ring, np.float64), np.zeros(len(ring))]
    corners, _ = triangulate(points, np.array([len(ring)]), np.arange(len(ring)), holes=np.zeros(0, np.int64), **kwargs)
    a, b, c = (points[corners[:, k], :2] for k in range(3))
    u, v = b - a, c - a
    return points, corners, (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / 2


def shoelace(ring):
    x, y = np.asarray(ring, np.float64).T
    return 0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))


@pytest.mark.parametrize(
    "ring",
    [
        [(0, 0), (2, 0), (2, 2), (0.5, 0.5)],
        [(0.5, 0.5), (0, 0), (2, 0), (2, 2)],
        [(0, 0), (3, 0), (3, 1), (1, 1), (1, 3), (0, 3)],
        [(0, 0), (4, 0), (4, 3), (3, 3), (3, 1), (1, 1), (1, 3), (0, 3)],
        [(0, 0), (5, 0), (5, 2), (4, 2), (4, 1), (3, 1), (3, 2), (2, 2), (2, 1), (1, 1), (1, 2), (0, 2)],
    ],
)
def test_concave_polygons_are_cut_without_overlap(ring):
    for shift in range(len(ring)):
        rolled = ring[shift:] + ring[:shift]
        _, corners, areas = cut(rolled)
        assert len(corners) == len(ring) - 2
        assert (areas >= 0).all()
        assert areas.sum() == pytest.approx(shoelace(rolled))
        _, _, turned = cut(rolled, left_handed=True)
        np.testing.assert_allclose(sorted(turned), sorted(-areas))


@given(st.lists(st.floats(0.2, 1.0), min_size=3, max_size=12))
@settings(max_examples=40, deadline=None)
def test_star_polygons_keep_their_area(radii):
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    ring = np.c_[np.cos(angle), np.sin(angle)] * np.array(radii)[:, None]
    _, corners, areas = cut(ring)
    assert len(corners) == len(ring) - 2
    assert areas.min() >= -1e-12
    assert areas.sum() == pytest.approx(shoelace(ring))


def test_holes_and_degenerate_polygons_are_not_drawn():
    angle = np.linspace(0, 6, 9)
    points = np.c_[np.cos(angle), np.sin(angle), np.zeros(9)]
    counts = np.array([3, 2, 4, 0, 1])
    corners, faces = triangulate(points, counts, np.arange(10) % 9, holes=np.array([0, 77]))
    assert faces.tolist() == [2, 2]
    assert corners.tolist() == [[5, 6, 7], [5, 7, 8]]


def cube_mesh(stage, path="/Cube"):
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(CUBE_POINTS)
    mesh.CreateFaceVertexCountsAttr([4] * 6)
    mesh.CreateFaceVertexIndicesAttr(CUBE_INDICES)
    mesh.CreateSubdivisionSchemeAttr("none")
    return mesh


def signed_volume(surface):
    a, b, c = (surface.points[surface.triangles[:, k]].astype(np.float64) for k in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


def flat_normals(surface):
    a, b, c = (surface.points[surface.triangles[:, k]].astype(np.float64) for k in range(3))
    normal = np.cross(b - a, c - a)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def test_cube_mesh_keeps_sharp_edges(stage):
    surface = read_mesh(cube_mesh(stage), NOW, 1.0, Notes())
    assert signed_volume(surface) == pytest.approx(8.0)
    np.testing.assert_allclose(surface.normals, np.repeat(flat_normals(surface)[:, None], 3, axis=1), atol=1e-6)


def test_left_handed_mesh_is_turned(stage):
    mesh = cube_mesh(stage)
    mesh.CreateOrientationAttr("leftHanded")
    surface = read_mesh(mesh, NOW, 1.0, Notes())
    assert signed_volume(surface) == pytest.approx(-8.0)


def test_round_meshes_are_smooth_and_creases_split():
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    ring = np.c_[np.cos(angle), np.sin(angle), np.zeros(24)]
    points = np.r_[ring, np.add(ring, (0, 0, 1))].astype(np.float32)
    k = np.arange(24)
    nxt = (k + 1) % 24
    wall = np.r_[np.c_[k, nxt, nxt + 24], np.c_[k, nxt + 24, k + 24]]
    lid = np.c_[np.full(22, 24), np.arange(25, 47), np.arange(26, 48)]
    triangles = np.r_[wall, lid].astype(np.int32)
    normals = crease_normals(points, triangles).astype(np.float64)
    radial = points[triangles[: len(wall)]] * (1, 1, 0)
    assert ((normals[: len(wall)] * radial).sum(-1) > np.cos(np.radians(8))).all()
    np.testing.assert_allclose(normals[len(wall) :], np.broadcast_to((0, 0, 1), (22, 3, 3)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-6)


def test_crease_normals_match_the_definition():
    rng = np.random.default_rng(3)
    points = rng.normal(size=(12, 3)).astype(np.float32)
    triangles = np.array([rng.choice(12, 3, replace=False) for _ in range(30)], np.int32)
    got = crease_normals(points, triangles, crease_angle=60.0)
    a, b, c = (points[triangles[:, k]].astype(np.float64) for k in range(3))
    area = np.cross(b - a, c - a)
    flat = area / np.linalg.norm(area, axis=1, keepdims=True)
    rough = set()
    total = np.zeros((12, 3))
    for face, triangle in enumerate(triangles):
        total[triangle] += area[face]
    mean = total / np.linalg.norm(total, axis=1, keepdims=True)
    for face, triangle in enumerate(triangles):
        rough |= {v for v in triangle if mean[v] @ flat[face] < np.cos(np.radians(30))}
    for face, triangle in enumerate(triangles):
        for corner, v in enumerate(triangle):
            near = [f for f in range(30) if v in triangles[f] and flat[f] @ flat[face] >= np.cos(np.radians(60))]
            want = area[near].sum(0) if v in rough else total[v]
            np.testing.assert_allclose(got[face, corner], want / np.linalg.norm(want), atol=1e-5)


@pytest.mark.parametrize("interpolation", ["constant", "uniform", "vertex", "varying", "faceVarying"])
@pytest.mark.parametrize("indexed", [False, True])
def test_primvars_of_every_interpolation_reach_the_corners(stage, interpolation, indexed):
    mesh = cube_mesh(stage)
    count = {"constant": 1, "uniform": 6, "vertex": 8, "varying": 8, "faceVarying": 24}[interpolation]
    values = np.random.default_rng(5).uniform(size=(count, 2)).astype(np.float32)
    primvar = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, interpolation)
    if indexed:
        order = np.random.default_rng(6).permutation(count)
        stored = np.empty_like(values)
        stored[order] = values
        primvar.Set([tuple(map(float, v)) for v in stored])
        primvar.SetIndices([int(k) for k in order])
    else:
        primvar.Set([tuple(map(float, v)) for v in values])
    surface = read_mesh(mesh, NOW, 1.0, Notes())
    index = {
        "constant": np.zeros_like(surface.corners),
        "uniform": np.repeat(surface.faces[:, None], 3, 1),
        "faceVarying": surface.corners,
    }.get(interpolation, np.array(CUBE_INDICES)[surface.corners])
    np.testing.assert_allclose(surface.uv("st"), values[index])
    np.testing.assert_allclose(surface.uv("another"), values[index])


def test_authored_normals_win_and_bad_ones_are_mended(stage):
    mesh = cube_mesh(stage)
    authored = np.tile((0.0, 0.0, 2.0), (24, 1))
    authored[4] = 0.0
    mesh.CreateNormalsAttr([tuple(v) for v in authored])
    mesh.SetNormalsInterpolation("faceVarying")
    surface = read_mesh(mesh, NOW, 1.0, Notes())
    bad = surface.corners == 4
    np.testing.assert_allclose(surface.normals[~bad], np.broadcast_to((0, 0, 1), (int((~bad).sum()), 3)))
    np.testing.assert_allclose(surface.normals[bad], np.repeat(flat_normals(surface)[:, None], 3, 1)[bad], atol=1e-6)
    mesh.CreateNormalsAttr([(0, 0, 1)] * 3)
    surface = read_mesh(mesh, NOW, 1.0, Notes())
    np.testing.assert_allclose(surface.normals, np.repeat(flat_normals(surface)[:, None], 3, axis=1), atol=1e-6)


def test_subdivision_is_said_and_smoothed(stage):
    mesh = cube_mesh(stage)
    mesh.GetSubdivisionSchemeAttr().Set("catmullClark")
    notes = Notes()
    surface = read_mesh(mesh, NOW, 1.0, notes)
    assert notes.sentences() == ("Subdivision surfaces are drawn as their polygons: /Cube.",)
    corners = surface.points[surface.triangles].astype(np.float64)
    assert ((surface.normals * corners).sum(-1) > 1.4).all()


SHAPES = {
    "Cube": ({"size": 2.0}, 8.0, 0.0),
    "Sphere": ({"radius": 1.5}, 4 / 3 * np.pi * 1.5**3, 0.02),
    "Cylinder": ({"radius": 0.5, "height": 3.0}, np.pi * 0.25 * 3, 0.01),
    "Cylinder_1": ({"radiusBottom": 0.5, "radiusTop": 1.0, "height": 3.0}, np.pi * (0.25 + 0.5 + 1.0), 0.01),
    "Cone": ({"radius": 0.5, "height": 3.0}, np.pi * 0.25, 0.01),
    "Capsule": ({"radius": 0.5, "height": 3.0}, np.pi * 0.25 * 3 + 4 / 3 * np.pi * 0.125, 0.02),
    "Capsule_1": ({"radiusBottom": 0.5, "radiusTop": 0.5, "height": 3.0}, np.pi * 0.75 + np.pi / 6, 0.02),
}


@pytest.mark.parametrize("axis", ["X", "Y", "Z"])
@pytest.mark.parametrize("kind", SHAPES)
def test_shapes_are_closed_outward_and_of_the_right_volume(stage, kind, axis):
    prim = stage.DefinePrim("/Shape", kind)
    values, volume, tolerance = SHAPES[kind]
    for name, value in values.items():
        prim.GetAttribute(name).Set(value)
    if prim.HasAttribute("axis"):
        prim.GetAttribute("axis").Set(axis)
    surface = read_gprim(gprim_key(prim, NOW, 2.0))
    assert signed_volume(surface) == pytest.approx(8 * volume, rel=max(tolerance, 1e-6))
    np.testing.assert_allclose(np.linalg.norm(surface.normals, axis=-1), 1, atol=1e-5)
    assert ((surface.normals * flat_normals(surface)[:, None]).sum(-1) > 0.9).all()
    uvs = surface.uv("st")
    assert uvs.min() >= -1e-6 and uvs.max() <= 1 + 1e-6
    edges = np.sort(_welded(surface)[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()


def _welded(surface):
    _, index = np.unique(np.round(surface.points, 5) + 0.0, axis=0, return_inverse=True)
    return index.reshape(-1)[surface.triangles]


@pytest.mark.parametrize(("axis", "normal"), [("X", (1, 0, 0)), ("Y", (0, 1, 0)), ("Z", (0, 0, 1))])
def test_plane_faces_its_axis_and_spans_what_usd_says(stage, axis, normal):
    plane = UsdGeom.Plane.Define(stage, "/Plane")
    plane.CreateAxisAttr(axis)
    plane.CreateWidthAttr(3)
    plane.CreateLengthAttr(5)
    surface = read_gprim(gprim_key(plane.GetPrim(), NOW, 1.0))
    np.testing.assert_allclose(flat_normals(surface), np.broadcast_to(normal, (2, 3)), atol=1e-6)
    extent = np.array(UsdGeom.Boundable.ComputeExtentFromPlugins(plane, NOW))
    np.testing.assert_allclose([surface.points.min(0), surface.points.max(0)], extent, atol=1e-6)


def test_colours_that_vary_reach_the_corners_and_too_few_are_said(stage):
    mesh = cube_mesh(stage)
    colors = np.random.default_rng(8).uniform(size=(6, 3)).astype(np.float32)
    primvar = mesh.CreateDisplayColorPrimvar("uniform")
    primvar.Set([tuple(map(float, color)) for color in colors])
    surface = read_mesh(mesh, NOW, 1.0, Notes())
    np.testing.assert_allclose(surface.colors, np.repeat(colors[surface.faces][:, None], 3, axis=1))
    primvar.Set([(1, 0, 0), (0, 1, 0)])
    notes = Notes()
    assert read_mesh(mesh, NOW, 1.0, notes).colors is None
    assert notes.sentences() == ("displayColor with too few values is not used: /Cube.",)


def test_crowded_point_of_a_cone_keeps_its_sides_smooth():
    count = 100
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    points = np.r_[np.c_[np.cos(angle), np.sin(angle), np.zeros(count)], [(0, 0, 1.0)]].astype(np.float32)
    k = np.arange(count)
    triangles = np.c_[k, (k + 1) % count, np.full(count, count)].astype(np.int32)
    normals = crease_normals(points, triangles).astype(np.float64)
    a, b, c = (points[triangles[:, n]].astype(np.float64) for n in range(3))
    flat = np.cross(b - a, c - a)
    flat /= np.linalg.norm(flat, axis=1, keepdims=True)
    assert ((normals * flat[:, None]).sum(-1) > np.cos(np.radians(40))).all()
    np.testing.assert_allclose(normals[:, 2], flat, atol=1e-6)


def test_creases_of_a_smooth_mesh_stay_sharp(stage):
    mesh = cube_mesh(stage)
    mesh.GetSubdivisionSchemeAttr().Set("catmullClark")
    mesh.CreateCreaseIndicesAttr([4, 5, 7, 6, 4])  # the rim of the top
    mesh.CreateCreaseLengthsAttr([5])
    mesh.CreateCreaseSharpnessesAttr([10.0])
    surface = read_mesh(mesh, NOW, 1.0, Notes())
    flat = flat_normals(surface)
    top = flat[:, 2] > 0.5
    np.testing.assert_allclose(surface.normals[top], np.broadcast_to((0, 0, 1), (2, 3, 3)), atol=1e-6)
    corners = surface.points[surface.triangles]
    upper = (corners[..., 2] > 0) & ~top[:, None]
    sides = surface.normals[upper]
    np.testing.assert_allclose(np.abs(sides[:, 2]), 0, atol=1e-6)
    assert np.abs(sides[:, :2]).min() > 0.44  # round the upright edges, weighted by area: (2, 1) or (1, 1)
    lower = surface.normals[corners[..., 2] < 0]
    assert (np.abs(lower).min(axis=1) > 0.3).all()  # without creases: smooth over all three faces
    mesh.GetCreaseSharpnessesAttr().Set([1.0])
    soft = read_mesh(mesh, NOW, 1.0, Notes())
    assert (np.abs(soft.normals).min(axis=(0, 1)) > 0.3).all()


@pytest.mark.parametrize(
    ("indices", "lengths", "sharpness"),
    [([0, 1], [3], [5]), ([0, 99], [2], [5]), ([0, 1], [2], [5, 5]), ([0, 1], [], [5]), ([-1, 1], [2], [5])],
)
def test_creases_that_do_not_add_up_are_said(stage, indices, lengths, sharpness):
    mesh = cube_mesh(stage)
    mesh.CreateCreaseIndicesAttr(indices)
    mesh.CreateCreaseLengthsAttr(lengths)
    mesh.CreateCreaseSharpnessesAttr(sharpness)
    notes = Notes()
    surface = read_mesh(mesh, NOW, 1.0, notes)
    assert notes.sentences() == ("Creases that do not add up are not used: /Cube.",)
    np.testing.assert_allclose(surface.normals, np.repeat(flat_normals(surface)[:, None], 3, axis=1), atol=1e-6)


def test_primvars_are_inherited_from_what_is_above(stage):
    parent = UsdGeom.Xform.Define(stage, "/Parent")
    mesh = cube_mesh(stage, "/Parent/Cube")
    above = UsdGeom.PrimvarsAPI(parent)
    above.CreatePrimvar("decal", Sdf.ValueTypeNames.TexCoord2fArray, "constant").Set([(0.25, 0.75)])
    above.CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "constant").Set([(0.9, 0.9)])
    own = np.random.default_rng(2).uniform(size=(24, 2)).astype(np.float32)
    primvar = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.Float2Array, "faceVarying")
    primvar.Set([tuple(map(float, v)) for v in own])
    surface = read_mesh(mesh, NOW, 1.0, Notes())
    np.testing.assert_allclose(surface.uv("decal"), np.broadcast_to((0.25, 0.75), (12, 3, 2)))
    np.testing.assert_allclose(surface.uv("st"), own[surface.corners])
