"""Annotators of pixels, points and cameras, judged by NumPy in float64 and by USD."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import warp as wp
from pxr import Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.errors import ConfigError, SourceError
from cosmos.bridge.render.annotators import ANNOTATORS, AnnotatorOptions, annotate

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))
from fake_line import DrawnSource
from yard import SIZE

wp.config.quiet = True


def rays_of(camera):
    u, v = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    k = camera.intrinsics
    local = np.stack([(u - k[0, 2]) / k[0, 0], (k[1, 2] - v) / k[1, 1], -np.ones_like(u)], axis=-1)
    return local @ camera.cam_to_world[:3, :3].T


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


def test_arrays_are_copies(yard_renderer):
    first = yard_renderer.annotate("/World/Camera", 0.0, ANNOTATORS, size=SIZE)
    kept = {name: json.dumps(repr(first[name])) for name in ANNOTATORS}
    yard_renderer.render("/World/Camera", 10.0, size=SIZE).rgb.zero_()
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


def test_camera_params_keep_the_authored_optics(yard, frame):
    params = annotate(frame, ["camera_params"], AnnotatorOptions(units="scene"))["camera_params"]
    assert params["cameraFocalLength"] == 20.0 and params["cameraFocusDistance"] == 400.0
    assert params["cameraFStop"] == pytest.approx(2.8)
    np.testing.assert_allclose(params["cameraAperture"], (30.0, 22.5), rtol=1e-6)
    np.testing.assert_allclose(params["cameraApertureOffset"], (1.5, 0.0), atol=1e-6)
    np.testing.assert_allclose(params["cameraNearFar"], (5.0, 100000.0), rtol=1e-6)
    camera = UsdGeom.Camera(yard.GetPrimAtPath("/World/Camera")).GetCamera(Usd.TimeCode(0.0))
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


def test_a_frame_that_is_gone_says_so(yard_renderer):
    frame = yard_renderer.render("/World/Camera", 0.0, size=SIZE)
    yard_renderer.render("/World/Camera", 1.0, size=SIZE)
    with pytest.raises(ValueError, match="frame at time 0 is gone"):
        annotate(frame, ["occlusion"])


def test_an_unknown_annotator_lists_those_that_are(yard_renderer):
    with pytest.raises(ConfigError, match=r"no annotator 'depth'; there are rgb, HdrColor"):
        yard_renderer.annotate("/World/Camera", 0.0, ["depth"], size=SIZE)


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
