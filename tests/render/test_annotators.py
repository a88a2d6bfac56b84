"""Annotators judged by NumPy in float64, by USD's own boxes and by Embree that casts one instance at a time."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import embreex.mesh_construction
import embreex.rtcore_scene
import numpy as np
import pytest
import warp as wp
from pxr import Gf, Sdf, Usd, UsdGeom, UsdSemantics  # noqa: TID253

from cosmos.bridge.errors import ConfigError, SourceError
from cosmos.bridge.render.annotators import ANNOTATORS, AnnotatorOptions, annotate
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import FTheta, OpenCvFisheye, OpenCvPinhole, Orthographic

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))
from fake_line import DrawnSource

wp.config.quiet = True
SIZE = (72, 96)


def label(prim, text):
    UsdSemantics.LabelsAPI.Apply(prim, "class").CreateLabelsAttr([text])


def author():
    """A yard in centimetres: crates that hide each other, a robot of two parts, bolts of an instancer, a bare wall."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.z)
    stage.SetStartTimeCode(0.0)
    stage.SetEndTimeCode(10.0)

    def cube(path, at, size, text=None, turn=0.0):
        prim = UsdGeom.Cube.Define(stage, path)
        prim.CreateSizeAttr(2.0)
        prim.CreateExtentAttr([(-1, -1, -1), (1, 1, 1)])
        prim.AddTranslateOp().Set(Gf.Vec3d(*at))
        prim.AddRotateZOp().Set(turn)
        prim.AddScaleOp().Set(Gf.Vec3f(*size))
        if text:
            label(prim.GetPrim(), text)
        return prim

    cube("/World/Wall", (0, 300, 100), (400, 10, 100))
    cube("/World/Near", (0, 0, 50), (50, 50, 50), "crate", turn=20)
    cube("/World/Far", (60, 160, 60), (60, 60, 60), "crate", turn=-30)
    cube("/World/Hidden", (5, 130, 30), (12, 12, 12), "crate")
    cube("/World/Behind", (0, -2000, 0), (10, 10, 10), "crate")
    robot = UsdGeom.Xform.Define(stage, "/World/Robot")
    robot.AddTranslateOp().Set(Gf.Vec3d(-130, 40, 0))
    robot.AddRotateZOp().Set(35.0)
    label(robot.GetPrim(), "robot")
    cube("/World/Robot/Base", (0, 0, 20), (40, 25, 20))
    cube("/World/Robot/Mast", (20, 0, 80), (8, 8, 50), turn=15)
    bolts = UsdGeom.PointInstancer.Define(stage, "/World/Bolts")
    ball = UsdGeom.Sphere.Define(stage, "/World/Bolts/Ball")
    ball.CreateRadiusAttr(12.0)
    label(ball.GetPrim(), "bolt")
    bolts.CreatePrototypesRel().SetTargets([Sdf.Path("/World/Bolts/Ball")])
    bolts.CreateProtoIndicesAttr([0, 0])
    bolts.CreatePositionsAttr([(100, -60, 12), (115, -30, 12)])
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.CreateFocalLengthAttr(20.0)
    camera.CreateHorizontalApertureAttr(30.0)
    camera.CreateVerticalApertureAttr(22.5)
    camera.CreateHorizontalApertureOffsetAttr(1.5)
    camera.CreateFocusDistanceAttr(400.0)
    camera.CreateFStopAttr(2.8)
    camera.CreateClippingRangeAttr(Gf.Vec2f(5, 100000))
    eye = Gf.Matrix4d().SetLookAt(Gf.Vec3d(60, -420, 190), Gf.Vec3d(0, 40, 40), Gf.Vec3d(0, 0, 1)).GetInverse()
    camera.AddTransformOp().Set(eye)
    flag = UsdGeom.Mesh.Define(stage, "/World/Flag")
    flag.CreateFaceVertexCountsAttr([4])
    flag.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    for time, out in ((0.0, 0), (10.0, 30)):
        points = [(-90, -90, 100), (-60, -90, 100), (-60, -90 - out, 130), (-90, -90 - out, 130)]
        flag.CreatePointsAttr().Set(points, time)
        flag.CreateExtentAttr().Set([(-90, -90 - out, 100), (-60, -90, 130)], time)
    label(flag.GetPrim(), "flag")
    slide = UsdGeom.Xformable(stage.GetPrimAtPath("/World/Near")).GetOrderedXformOps()[0]
    slide.Set(Gf.Vec3d(0, 0, 50), 0.0)
    slide.Set(Gf.Vec3d(20, 0, 50), 10.0)
    return stage


@pytest.fixture(scope="module")
def stage():
    return author()


@pytest.fixture(scope="module")
def renderer(stage, device):
    renderer = Renderer(stage, device=device, threads=2)
    yield renderer
    renderer.close()


@pytest.fixture
def frame(renderer):
    return renderer.render("/World/Camera", 0.0, size=SIZE)


@pytest.fixture
def given(frame):
    return annotate(frame, ANNOTATORS)


def rays_of(camera):
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    k = camera.intrinsics
    local = np.stack([(u - k[0, 2]) / k[0, 0], (k[1, 2] - v) / k[1, 1], -np.ones_like(u)], axis=-1)
    return local @ camera.cam_to_world[:3, :3].T


def embree_silhouette(renderer, frame, ids):
    """Pixels that see one of these instances, cast alone."""
    pose, triangles = renderer._pose(frame.time_code), []
    for key in ids:
        mesh = renderer.scene.meshes[renderer.scene.mesh_of[key - 1]]
        matrix = pose.local_to_world[key - 1]
        triangles.append((mesh.points.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3])[mesh.triangles])
    scene = embreex.rtcore_scene.EmbreeScene()
    origin = frame.camera.cam_to_world[:3, 3]
    embreex.mesh_construction.TriangleMesh(scene, (np.concatenate(triangles) - origin).astype(np.float32))
    starts, rays = (part.reshape(-1, 3) for part in frame.camera.rays())
    seen = np.isfinite(rays).all(axis=1)
    found = scene.run((starts - origin)[seen].astype(np.float32), rays[seen].astype(np.float32)) >= 0
    mask = np.zeros(len(rays), bool)
    mask[seen] = found
    return mask.reshape(SIZE)


def members(frame):
    found = {}
    for key, instance in frame.instances.items():
        if instance.labels:
            found.setdefault(instance.owner or instance.prim_path, []).append(key)
    return found


def test_every_dtype_and_shape_is_replicator_s(given):
    height, width = SIZE
    want = {
        "rgb": ("uint8", 4),
        "HdrColor": ("float16", 4),
        "distance_to_camera": ("float32", 0),
        "distance_to_image_plane": ("float32", 0),
        "normals": ("float32", 4),
        "motion_vectors": ("float32", 4),
        "semantic_segmentation": ("uint32", 0),
        "instance_segmentation": ("uint32", 0),
        "instance_id_segmentation": ("uint32", 0),
        "shaded_semantic_segmentation": ("uint8", 4),
        "shaded_instance_segmentation": ("uint8", 4),
        "shaded_instance_id_segmentation": ("uint8", 4),
    }
    for name, (dtype, channels) in want.items():
        data = given[name]["data"] if isinstance(given[name], dict) else given[name]
        assert (str(data.dtype), data.shape) == (dtype, (height, width, channels) if channels else SIZE), name
    for kind in ("tight", "loose"):
        dtype = given[f"bounding_box_2d_{kind}"]["data"].dtype
        assert dtype.descr == [("semanticId", "<u4"), *((n, "<i4") for n in ("x_min", "y_min", "x_max", "y_max")),
                               ("occlusionRatio", "<f4")]  # fmt: skip
    assert given["bounding_box_3d"]["data"].dtype.descr == [
        ("semanticId", "<u4"), *((f"{a}_{e}", "<f4") for e in ("min", "max") for a in "xyz"),
        ("transform", "<f4", (4, 4)), ("occlusionRatio", "<f4"),
    ]  # fmt: skip
    assert given["occlusion"].dtype.names == ("instanceId", "semanticId", "occlusionRatio")


def test_distances_agree_with_each_other(given, frame):
    plane, ray = given["distance_to_image_plane"], given["distance_to_camera"]
    length = np.linalg.norm(rays_of(frame.camera), axis=-1)
    hit = np.isfinite(plane)
    assert 0.2 < hit.mean() < 1.0 and np.isinf(plane[~hit]).all()
    np.testing.assert_array_equal(np.isfinite(ray), hit)
    np.testing.assert_allclose(ray[hit], plane[hit] * length[hit], rtol=1e-6)


def test_arrays_are_copies(renderer):
    first = renderer.annotate("/World/Camera", 0.0, ANNOTATORS, size=SIZE)
    kept = {name: json.dumps(repr(first[name])) for name in ANNOTATORS}
    renderer.render("/World/Camera", 10.0, size=SIZE).rgb.zero_()
    for name in ANNOTATORS:
        assert json.dumps(repr(first[name])) == kept[name], name


def test_hdr_becomes_rgb_by_aces_and_srgb_away_from_edges(given, frame):
    light = given["HdrColor"][..., :3].astype(np.float64)
    into = np.array([[0.59719, 0.35458, 0.04823], [0.076, 0.90834, 0.01566], [0.0284, 0.13383, 0.83777]])
    back = np.array([[1.60475, -0.53108, -0.07367], [-0.10208, 1.10813, -0.00605], [-0.00327, -0.07276, 1.07602]])
    v = light @ into.T
    v = (v * (v + 0.0245786) - 0.000090537) / (v * (0.983729 * v + 0.4329510) + 0.238081)
    shown = np.clip(v @ back.T, 0.0, 1.0)
    encoded = np.where(shown <= 0.0031308, 12.92 * shown, 1.055 * shown ** (1 / 2.4) - 0.055) * 255.0
    ids = frame.instance_ids.numpy()
    n = frame.normals.numpy()
    flat = np.ones(SIZE, bool)
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):
        flat &= (np.roll(ids, step, axis) == ids) & (np.abs(np.roll(n, step, axis) - n).max(-1) < 0.05)
    assert flat.mean() > 0.5
    off = np.abs(encoded - given["rgb"][..., :3])[flat]
    assert np.percentile(off, 99) < 0.75 and off.max() < 4.0  # some pixels near folds are averaged after tone mapping


def test_segmentations_tell_background_unlabelled_and_things(given, frame):
    ids = frame.instance_ids.numpy()
    by_path = {instance.prim_path: key for key, instance in frame.instances.items()}
    wall, near = ids == by_path["/World/Wall"], ids == by_path["/World/Near"]
    semantic = given["semantic_segmentation"]
    assert (semantic["data"][wall] == 1).all() and (semantic["data"][ids == 0] == 0).all()
    assert semantic["info"]["idToLabels"]["0"] == {"class": "BACKGROUND"}
    assert semantic["info"]["idToLabels"]["1"] == {"class": "UNLABELLED"}
    assert semantic["info"]["idToLabels"][str(semantic["data"][near][0])] == {"class": "crate"}
    things = given["instance_segmentation"]
    assert (things["data"][wall] == 1).all() and (things["data"][ids == 0] == 0).all()
    parts = [by_path["/World/Robot/Base"], by_path["/World/Robot/Mast"]]
    (robot,) = np.unique(things["data"][np.isin(ids, parts)])
    assert things["info"]["idToLabels"][str(robot)] == "/World/Robot"
    assert things["info"]["idToSemantics"][str(robot)] == {"class": "robot"}
    assert {"/World/Bolts[0]", "/World/Bolts[1]"} <= set(things["info"]["idToLabels"].values())
    leaves = given["instance_id_segmentation"]
    np.testing.assert_array_equal(leaves["data"], ids)
    assert leaves["info"]["idToLabels"][str(parts[1])] == "/World/Robot/Mast"


def test_fast_names_have_integer_keys(frame):
    both = annotate(frame, ["instance_segmentation", "instance_segmentation_fast"])
    slow, fast = both["instance_segmentation"]["info"], both["instance_segmentation_fast"]["info"]
    assert {str(key): path for key, path in fast["idToLabels"].items()} == slow["idToLabels"]
    assert all(isinstance(key, int) for key in fast["idToLabels"])


def test_each_colour_of_a_colourised_segmentation_is_explained_and_no_two_share_one(frame):
    for name in ("semantic_segmentation", "instance_segmentation", "instance_id_segmentation"):
        options = AnnotatorOptions(colorize=True, color_of=lambda text: (9, 9, 9))
        colored, plain = (annotate(frame, [name], o)[name] for o in (options, AnnotatorOptions()))
        colors = {str(tuple(int(c) for c in color)) for color in np.unique(colored["data"].reshape(-1, 4), axis=0)}
        assert colors == set(colored["info"]["idToLabels"])
        assert len(colors) == len(np.unique(plain["data"]))
        assert colored["info"]["idToLabels"]["(0, 0, 0, 0)"] in ("BACKGROUND", {"class": "BACKGROUND"})


def test_tight_boxes_are_those_of_the_ids(given):
    data, info = given["bounding_box_2d_tight"]["data"], given["bounding_box_2d_tight"]["info"]
    things = given["instance_segmentation"]
    path_of = {int(key): path for key, path in things["info"]["idToLabels"].items()}
    seen = [key for key in np.unique(things["data"]) if key > 1]
    assert info["primPaths"] == [path_of[key] for key in seen]
    for row, key in zip(data, seen, strict=True):
        y, x = np.nonzero(things["data"] == key)
        assert [row[name] for name in ("x_min", "y_min", "x_max", "y_max")] == [x.min(), y.min(), x.max(), y.max()]
        assert info["idToLabels"][str(row["semanticId"])]["class"] in ("crate", "robot", "bolt", "flag")
    assert "/World/Hidden" not in info["primPaths"]


def test_loose_boxes_and_occlusion_are_embree_s_of_each_thing_alone(given, renderer, frame):
    loose = given["bounding_box_2d_loose"]
    rows = dict(zip(loose["info"]["primPaths"], loose["data"], strict=True))
    ids, checked = frame.instance_ids.numpy(), 0
    for path, keys in members(frame).items():
        alone = embree_silhouette(renderer, frame, keys)
        if path == "/World/Behind":
            assert path not in rows and not alone.any()
            continue
        y, x = np.nonzero(alone)
        row = rows[path]
        box = np.array([row[name] for name in ("x_min", "y_min", "x_max", "y_max")])
        assert np.abs(box - [x.min(), y.min(), x.max(), y.max()]).max() <= 1, path
        hidden = 1.0 - np.isin(ids, keys).sum() / alone.sum()
        assert row["occlusionRatio"] == pytest.approx(hidden, abs=2.0 / alone.sum()), path
        checked += 1
    assert checked == len(rows) == 7
    assert rows["/World/Hidden"]["occlusionRatio"] == 1.0
    assert rows["/World/Near"]["occlusionRatio"] == 0.0
    assert 0.1 < rows["/World/Far"]["occlusionRatio"] < 0.9
    ratios = {row["instanceId"]: row["occlusionRatio"] for row in given["occlusion"]}
    tight = given["bounding_box_2d_tight"]
    path_of = given["instance_segmentation"]["info"]["idToLabels"]
    by_path = {path: key for key, path in path_of.items()}
    for path, row in zip(tight["info"]["primPaths"], tight["data"], strict=True):
        assert row["occlusionRatio"] == ratios[int(by_path[path])] == rows[path]["occlusionRatio"]


LENSES = (
    Orthographic(),
    OpenCvPinhole(coefficients=(-0.2, 0.05, 0.01, -0.005, 0.0)),
    OpenCvFisheye(coefficients=(0.05, -0.01)),
    FTheta(coefficients=(0.0, 0.012, 0.0, 1e-8), max_theta=1.7),
)


@pytest.mark.parametrize("lens", LENSES, ids=lambda lens: type(lens).__name__)
def test_every_lens_has_its_points_and_silhouettes(renderer, lens):
    plain = renderer.camera("/World/Camera", 0.0, size=SIZE)
    focal = {Orthographic: 20.0, FTheta: 1.0}.get(type(lens), 40.0)
    matrix = np.array([[focal, 0.0, 46.0], [0.0, focal, 37.0], [0.0, 0.0, 1.0]])
    frame = renderer.render(replace(plain, lens=lens, intrinsics=matrix), 0.0)
    given = annotate(frame, ANNOTATORS, AnnotatorOptions(include_unlabelled=True))
    cloud, hit = given["pointcloud"]["data"], np.isfinite(frame.depth.numpy())
    y, x = np.nonzero(hit)
    assert len(cloud) == hit.sum() > 500
    assert np.linalg.norm(frame.camera.project(cloud) - np.stack([x, y], axis=1) - 0.5, axis=1).max() < 0.01
    away = np.linalg.norm(cloud - frame.camera.cam_to_world[:3, 3], axis=1)
    np.testing.assert_allclose(given["distance_to_camera"][hit], away, rtol=1e-5)
    loose, checked = given["bounding_box_2d_loose"], 0
    for path, row in zip(loose["info"]["primPaths"], loose["data"], strict=True):
        keys = members(frame)[path]
        alone = embree_silhouette(renderer, frame, keys)
        hidden = 1.0 - np.isin(frame.instance_ids.numpy(), keys).sum() / alone.sum()
        assert row["occlusionRatio"] == pytest.approx(hidden, abs=3.0 / alone.sum()), path
        checked += 1
    assert checked >= 5
    if type(lens) is Orthographic:
        params = given["camera_params"]
        points = np.concatenate([cloud, np.ones((len(cloud), 1))], axis=1)
        clip = points @ params["cameraViewTransform"].reshape(4, 4) @ params["cameraProjection"].reshape(4, 4)
        pixels = np.stack([(clip[:, 0] * 0.5 + 0.5) * SIZE[1], (0.5 - clip[:, 1] * 0.5) * SIZE[0]], axis=1)
        np.testing.assert_allclose(pixels, np.stack([x, y], axis=1) + 0.5, atol=0.01)


def test_rays_and_rasteriser_see_the_same_silhouettes(renderer, frame):
    from cosmos.bridge.render.draw import silhouettes
    from cosmos.bridge.render.draw.view import make_view

    groups = np.arange(len(frame.instances))
    view = make_view(frame.camera, renderer._world.origin)
    arguments = (renderer._bands, renderer._world, view, groups, len(groups))
    drawn = silhouettes.silhouettes(*arguments, renderer._visibility.rasteriser)
    cast = silhouettes._cast(*arguments)
    assert (drawn[0] > 8).sum() >= 8
    np.testing.assert_allclose(drawn[0], cast[0], atol=2)
    np.testing.assert_allclose(drawn[1], cast[1], atol=1)


def test_masks_in_small_batches_are_the_same(frame, monkeypatch):
    from cosmos.bridge.render.draw import silhouettes

    whole = annotate(frame, ["bounding_box_2d_loose"])["bounding_box_2d_loose"]["data"]
    rooms, split = [], silhouettes._batches
    monkeypatch.setattr(silhouettes, "_batches", lambda areas: rooms.append(split(areas)) or rooms[-1])
    monkeypatch.setattr(silhouettes, "_ROOM", 50)
    parts = annotate(frame, ["bounding_box_2d_loose"])["bounding_box_2d_loose"]["data"]
    assert len(rooms[0]) > 1
    np.testing.assert_array_equal(whole, parts)


@pytest.mark.parametrize("units", ["metres", "scene"])
def test_solid_boxes_are_usd_s(stage, frame, units):
    boxes = annotate(frame, ["bounding_box_3d"], AnnotatorOptions(units=units))["bounding_box_3d"]
    rows = dict(zip(boxes["info"]["primPaths"], boxes["data"], strict=True))
    scale = 0.01 if units == "metres" else 1.0
    close = {"rtol": 1e-5, "atol": 1e-5 * scale}
    cache = UsdGeom.BBoxCache(Usd.TimeCode(0.0), [UsdGeom.Tokens.default_])
    xform = UsdGeom.XformCache(Usd.TimeCode(0.0))
    for path in ("/World/Near", "/World/Far", "/World/Hidden", "/World/Robot"):
        prim = stage.GetPrimAtPath(path)
        oracle = Gf.Range3d()
        for leaf in [child for child in Usd.PrimRange(prim) if child.IsA(UsdGeom.Cube)]:
            oracle.UnionWith(cache.ComputeRelativeBound(leaf, prim).ComputeAlignedRange())
        world = np.array(xform.GetLocalToWorldTransform(prim))
        world[3, :3] *= scale
        row = rows[path]
        np.testing.assert_allclose([row[f"{a}_min"] for a in "xyz"], np.array(oracle.GetMin()) * scale, **close)
        np.testing.assert_allclose([row[f"{a}_max"] for a in "xyz"], np.array(oracle.GetMax()) * scale, **close)
        np.testing.assert_allclose(row["transform"], world, rtol=1e-6, atol=1e-6)
    around = annotate(frame, ["bounding_box_3d_360"], AnnotatorOptions(units=units))["bounding_box_3d_360"]
    others = dict(zip(around["info"]["primPaths"], around["data"], strict=True))
    assert set(others) - set(rows) == {"/World/Behind"} and np.isnan(others["/World/Behind"]["occlusionRatio"])
    assert all(others[path] == rows[path] for path in rows)
    assert "/World/Bolts[1]" in rows
    np.testing.assert_allclose(rows["/World/Bolts[1]"]["transform"][3, :3], np.array([115, -30, 12]) * scale, rtol=1e-5)
    np.testing.assert_allclose(rows["/World/Bolts[1]"]["x_max"], 12 * scale, rtol=1e-3)


@pytest.mark.parametrize("units", ["metres", "scene"])
def test_camera_params_project_the_point_cloud_onto_its_pixels(frame, units):
    options = AnnotatorOptions(units=units, include_unlabelled=True)
    given = annotate(frame, ["camera_params", "pointcloud"], options)
    params, cloud = given["camera_params"], given["pointcloud"]
    hit = np.isfinite(frame.depth.numpy())
    assert cloud["data"].shape == (hit.sum(), 3) and cloud["data"].dtype == np.float32
    view, projection = (params[name].reshape(4, 4) for name in ("cameraViewTransform", "cameraProjection"))
    points = np.concatenate([cloud["data"].astype(np.float64), np.ones((len(cloud["data"]), 1))], axis=1)
    clip = points @ view @ projection
    width, height = params["renderProductResolution"]
    u, v = (clip[:, 0] / clip[:, 3] * 0.5 + 0.5) * width, (0.5 - clip[:, 1] / clip[:, 3] * 0.5) * height
    y, x = np.nonzero(hit)
    assert np.hypot(u - x - 0.5, v - y - 0.5).max() < 0.01
    assert params["metersPerSceneUnit"] == (1.0 if units == "metres" else 0.01)
    near = 5.0 / clip[:, 3] * (0.01 if units == "metres" else 1.0)  # reversed: 1 at the near plane, 0 far away
    np.testing.assert_allclose(clip[:, 2] / clip[:, 3], near, atol=1e-4)


def test_the_point_cloud_carries_what_each_pixel_shows(given, frame):
    cloud, info = given["pointcloud"], given["pointcloud"]["info"]
    labelled = given["instance_segmentation"]["data"] > 1
    assert len(cloud["data"]) == labelled.sum() < np.isfinite(frame.depth.numpy()).sum()
    np.testing.assert_array_equal(info["pointRgb"].reshape(-1, 4), given["rgb"][labelled])
    np.testing.assert_array_equal(info["pointNormals"].reshape(-1, 4), given["normals"][labelled])
    np.testing.assert_array_equal(info["pointSemantic"], given["semantic_segmentation"]["data"][labelled])
    np.testing.assert_array_equal(info["pointInstance"], given["instance_segmentation"]["data"][labelled])


def test_camera_params_keep_the_authored_optics(stage, frame):
    params = annotate(frame, ["camera_params"], AnnotatorOptions(units="scene"))["camera_params"]
    assert params["cameraFocalLength"] == 20.0 and params["cameraFocusDistance"] == 400.0
    assert params["cameraFStop"] == pytest.approx(2.8)
    np.testing.assert_allclose(params["cameraAperture"], (30.0, 22.5), rtol=1e-6)
    np.testing.assert_allclose(params["cameraApertureOffset"], (1.5, 0.0), atol=1e-6)
    np.testing.assert_allclose(params["cameraNearFar"], (5.0, 100000.0), rtol=1e-6)
    camera = UsdGeom.Camera(stage.GetPrimAtPath("/World/Camera")).GetCamera(Usd.TimeCode(0.0))
    oracle = np.array(camera.frustum.ComputeProjectionMatrix())
    np.testing.assert_allclose(params["cameraProjection"].reshape(4, 4)[:, :2], oracle[:, :2], atol=1e-6)
    np.testing.assert_allclose(
        params["cameraViewTransform"].reshape(4, 4), np.array(camera.frustum.ComputeViewMatrix()), atol=1e-6
    )
    keys = ["Aperture", "ApertureOffset", "FStop", "FocalLength", "FocusDistance", "Model", "NearFar", "Projection"]
    keys += [f"Fisheye{key}" for key in ("LensP", "LensS", "MaxFOV", "OpticalCentre", "Polynomial")]
    keys += ["FisheyeNominalHeight", "FisheyeNominalWidth", "ViewTransform"]
    assert {f"camera{key}" for key in keys} | {"metersPerSceneUnit", "renderProductResolution"} <= set(params)


def test_semantic_types_choose_the_taxonomies_that_count(frame):
    other = {key: replace(i, labels={"shape": "box", **i.labels}) for key, i in frame.instances.items()}
    labels = {key: {"shape": "box", **value} for key, value in frame.labels.items()}
    both = replace(frame, instances=other, labels=labels, details=None)
    given = annotate(both, ["semantic_segmentation"], AnnotatorOptions(semantic_types=("class",)))
    assert "shape" not in json.dumps(given["semantic_segmentation"]["info"])
    none = annotate(both, ["semantic_segmentation", "pointcloud"], AnnotatorOptions(semantic_types=("material",)))
    assert set(np.unique(none["semantic_segmentation"]["data"])) == {0, 1}
    assert len(none["pointcloud"]["data"]) == 0


def test_a_moved_thing_is_boxed_where_it_is(renderer):
    then = renderer.annotate("/World/Camera", 10.0, ["bounding_box_3d"], size=SIZE)["bounding_box_3d"]
    rows = dict(zip(then["info"]["primPaths"], then["data"], strict=True))
    np.testing.assert_allclose(rows["/World/Near"]["transform"][3, :3], (0.2, 0.0, 0.5), atol=1e-6)
    flag = [[rows["/World/Flag"][f"{axis}_{end}"] for axis in "xyz"] for end in ("min", "max")]
    np.testing.assert_allclose(flag, [(-0.9, -1.2, 1.0), (-0.6, -0.9, 1.3)], atol=1e-6)  # its points moved


def test_every_point_lies_in_the_3d_box_of_its_thing():
    from cosmos.bridge.scenes import street

    renderer = Renderer(street(None, num_frames=24), device="cpu", threads=2)
    names = ["pointcloud", "bounding_box_3d", "instance_segmentation_fast"]
    given = renderer.annotate("/World/Camera", 20.0, names, size=(90, 160))
    boxes, cloud = given["bounding_box_3d"], given["pointcloud"]
    rows = dict(zip(boxes["info"]["primPaths"], boxes["data"], strict=True))
    paths, ids = given["instance_segmentation_fast"]["info"]["idToLabels"], cloud["info"]["pointInstance"]
    outside = 0
    for key in np.unique(ids):
        row = rows[paths[int(key)]]
        world = np.concatenate([cloud["data"][ids == key], np.ones(((ids == key).sum(), 1))], axis=1)
        local = (world @ np.linalg.inv(row["transform"].astype(np.float64)))[:, :3]
        low, high = (np.array([row[f"{axis}_{end}"] for axis in "xyz"]) for end in ("min", "max"))
        outside += (np.maximum(low - local, local - high).max(axis=1) > 1e-4).sum()
    assert outside == 0 and len(np.unique(ids)) > 15
    renderer.close()


def test_a_frame_that_is_gone_says_so(renderer):
    frame = renderer.render("/World/Camera", 0.0, size=SIZE)
    renderer.render("/World/Camera", 1.0, size=SIZE)
    with pytest.raises(ValueError, match="frame at time 0 is gone"):
        annotate(frame, ["occlusion"])


def test_an_unknown_annotator_lists_those_that_are(renderer):
    with pytest.raises(ConfigError, match=r"no annotator 'depth'; there are rgb, HdrColor"):
        renderer.annotate("/World/Camera", 0.0, ["depth"], size=SIZE)


def test_recorded_frames_give_what_they_can_and_name_what_they_cannot():
    frame = next(DrawnSource(size=(25, 33)).read())
    boxes = annotate(frame, ["bounding_box_2d_tight"])["bounding_box_2d_tight"]["data"]
    y, x = np.nonzero(frame.instance_ids.numpy() == 1)
    (box,) = boxes
    assert (box["x_min"], box["y_min"], box["x_max"], box["y_max"]) == (x.min(), y.min(), x.max(), y.max())
    assert np.isnan(box["occlusionRatio"])  # not measured, not claimed
    with pytest.raises(SourceError, match="Occlusion needs a stage"):
        annotate(frame, ["bounding_box_3d"])
    with pytest.raises(SourceError, match="gives no depth"):
        annotate(next(DrawnSource(with_depth=False).read()), ["distance_to_camera"])
    with pytest.raises(ValueError, match="units must be 'metres' or 'scene'"):
        AnnotatorOptions(units="feet")


def test_poses_of_prims_are_usd_s_at_any_time_and_after_an_edit():
    from cosmos.bridge.render.usd.stage import StageReader

    stage = author()
    reader = StageReader(stage)
    paths = ["/World/Near", "/World/Robot/Mast", "/World/Bolts[1]", "/World/Nowhere", "/World/Far", "not a path"]

    def check(time):
        cache = UsdGeom.XformCache(Usd.TimeCode(time))
        for path, pose in zip(paths, reader.prim_poses(paths, time), strict=True):
            prim = stage.GetPrimAtPath(path) if Sdf.Path.IsValidPathString(path) else None
            if not prim:
                assert np.isnan(pose).all(), path
                continue
            rows = np.array(cache.GetLocalToWorldTransform(prim))
            rows[3, :3] *= 0.01
            np.testing.assert_allclose(pose, rows.T, rtol=1e-12, atol=1e-12, err_msg=path)

    for time in (0.0, 10.0, 5.0):
        check(time)
    UsdGeom.Xformable(stage.GetPrimAtPath("/World/Robot")).GetOrderedXformOps()[0].Set(Gf.Vec3d(7, 8, 9))
    stage.RemovePrim("/World/Far")
    UsdGeom.Xform.Define(stage, "/World/Nowhere").AddTranslateOp().Set(Gf.Vec3d(1, 2, 3))
    check(5.0)
    reader.close()
