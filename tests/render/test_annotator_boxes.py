"""Boxes and silhouettes of things, judged by USD's own boxes and by Embree that casts one instance at a time."""

import sys
from dataclasses import replace
from pathlib import Path

import embreex.mesh_construction
import embreex.rtcore_scene
import numpy as np
import pytest
import warp as wp
from pxr import Gf, Sdf, Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.render.annotators import ANNOTATORS, AnnotatorOptions, annotate
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import FTheta, OpenCvFisheye, OpenCvPinhole, Orthographic

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))
from yard import SIZE, author

wp.config.quiet = True


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


def test_loose_boxes_and_occlusion_are_embree_s_of_each_thing_alone(given, yard_renderer, frame):
    loose = given["bounding_box_2d_loose"]
    rows = dict(zip(loose["info"]["primPaths"], loose["data"], strict=True))
    ids, checked = frame.instance_ids.numpy(), 0
    for path, keys in members(frame).items():
        alone = embree_silhouette(yard_renderer, frame, keys)
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
def test_every_lens_has_its_points_and_silhouettes(yard_renderer, lens):
    plain = yard_renderer.camera("/World/Camera", 0.0, size=SIZE)
    focal = {Orthographic: 20.0, FTheta: 1.0}.get(type(lens), 40.0)
    matrix = np.array([[focal, 0.0, 46.0], [0.0, focal, 37.0], [0.0, 0.0, 1.0]])
    frame = yard_renderer.render(replace(plain, lens=lens, intrinsics=matrix), 0.0)
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
        alone = embree_silhouette(yard_renderer, frame, keys)
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


def test_rays_and_rasteriser_see_the_same_silhouettes(yard_renderer, frame):
    from cosmos.bridge.render.draw import silhouettes
    from cosmos.bridge.render.draw.view import make_view

    groups = np.arange(len(frame.instances))
    view = make_view(frame.camera, yard_renderer._world.origin)
    arguments = (yard_renderer._bands, yard_renderer._world, view, groups, len(groups))
    drawn = silhouettes.silhouettes(*arguments, yard_renderer._visibility.rasteriser)
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
def test_solid_boxes_are_usd_s(yard, frame, units):
    boxes = annotate(frame, ["bounding_box_3d"], AnnotatorOptions(units=units))["bounding_box_3d"]
    rows = dict(zip(boxes["info"]["primPaths"], boxes["data"], strict=True))
    scale = 0.01 if units == "metres" else 1.0
    close = {"rtol": 1e-5, "atol": 1e-5 * scale}
    cache = UsdGeom.BBoxCache(Usd.TimeCode(0.0), [UsdGeom.Tokens.default_])
    xform = UsdGeom.XformCache(Usd.TimeCode(0.0))
    for path in ("/World/Near", "/World/Far", "/World/Hidden", "/World/Robot"):
        prim = yard.GetPrimAtPath(path)
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


def test_a_moved_thing_is_boxed_where_it_is(yard_renderer):
    then = yard_renderer.annotate("/World/Camera", 10.0, ["bounding_box_3d"], size=SIZE)["bounding_box_3d"]
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
