import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos.bridge.controls import color_of
from cosmos.bridge.errors import ConfigError, SinkError
from cosmos.bridge.sinks.basic import ANNOTATORS, BasicFiles, describe_camera

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))
from fake_line import DrawnSource


@pytest.fixture
def frame():
    return next(DrawnSource(size=(25, 33)).read())


@pytest.fixture
def folder(frame, tmp_path):
    BasicFiles(tmp_path / "out", ANNOTATORS, color_of=color_of).write(frame, 3)
    return tmp_path / "out"


def test_the_files_have_basic_writer_s_names(folder):
    assert {path.name for path in folder.iterdir()} == {
        "rgb_0003.png",
        "distance_to_image_plane_0003.npy",
        "distance_to_camera_0003.npy",
        "normals_0003.png",
        "motion_vectors_0003.npy",
        "semantic_segmentation_0003.png",
        "semantic_segmentation_labels_0003.json",
        "instance_segmentation_0003.png",
        "instance_segmentation_mapping_0003.json",
        "instance_segmentation_semantics_mapping_0003.json",
        "instance_id_segmentation_0003.png",
        "instance_id_segmentation_mapping_0003.json",
        "camera_params_0003.json",
        "bounding_box_2d_tight_0003.npy",
        "bounding_box_2d_tight_labels_0003.json",
        "bounding_box_2d_tight_prim_paths_0003.json",
    }


def test_rgb_is_lossless_rgba(folder, frame):
    pixels = cv2.imread(str(folder / "rgb_0003.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(pixels[..., 2::-1], frame.rgb.numpy())
    assert (pixels[..., 3] == 255).all()


def test_distances_are_metres_to_the_plane_and_along_the_ray(folder, frame):
    plane = np.load(folder / "distance_to_image_plane_0003.npy")
    np.testing.assert_array_equal(plane, frame.depth.numpy())
    ray = np.load(folder / "distance_to_camera_0003.npy")
    assert ray.dtype == np.float32
    matrix = np.linalg.inv(frame.camera.intrinsics)
    for y, x in ((0, 0), (12, 16), (24, 32)):
        direction = matrix @ (x + 0.5, y + 0.5, 1.0)
        assert ray[y, x] == pytest.approx(plane[y, x] * np.linalg.norm(direction), rel=1e-6)


def test_motion_keeps_four_channels(folder, frame):
    motion = np.load(folder / "motion_vectors_0003.npy")
    assert motion.shape == (25, 33, 4)
    np.testing.assert_array_equal(motion[..., :2], frame.motion.numpy())


@pytest.mark.parametrize(
    ("stem", "table", "wanted"),
    [
        ("semantic_segmentation", "semantic_segmentation_labels", {"class": "crate"}),
        ("instance_segmentation", "instance_segmentation_mapping", "/World/Crate"),
        ("instance_segmentation", "instance_segmentation_semantics_mapping", {"class": "crate"}),
        ("instance_id_segmentation", "instance_id_segmentation_mapping", "/World/Crate"),
    ],
)
def test_every_colour_of_a_segmentation_is_explained(folder, frame, stem, table, wanted):
    pixels = cv2.cvtColor(cv2.imread(str(folder / f"{stem}_0003.png"), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    meaning = json.loads((folder / f"{table}_0003.json").read_text())
    found = {str(tuple(int(part) for part in color)) for color in np.unique(pixels.reshape(-1, 4), axis=0)}
    assert found == set(meaning)
    crate = {str(tuple(int(part) for part in color)) for color in pixels[frame.instance_ids.numpy() == 1]}
    assert [meaning[color] for color in crate] == [wanted]


def test_boxes_are_inclusive(folder, frame):
    boxes = np.load(folder / "bounding_box_2d_tight_0003.npy")
    y, x = np.nonzero(frame.instance_ids.numpy() == 1)
    (box,) = boxes
    assert (box["x_min"], box["y_min"], box["x_max"], box["y_max"]) == (x.min(), y.min(), x.max(), y.max())
    assert box["semanticId"] == 2
    assert np.isnan(box["occlusionRatio"])  # not measured, not claimed
    assert json.loads((folder / "bounding_box_2d_tight_prim_paths_0003.json").read_text()) == ["/World/Crate"]


def test_camera_params_give_the_intrinsics_back(frame):
    from pxr import Gf

    params = describe_camera(frame.camera)
    width, _ = params["renderProductResolution"]
    assert params["cameraFocalLength"] / (params["cameraAperture"][0] / width) == pytest.approx(30.0)
    camera = Gf.Camera(
        focalLength=params["cameraFocalLength"],
        horizontalAperture=params["cameraAperture"][0],
        verticalAperture=params["cameraAperture"][1],
        horizontalApertureOffset=params["cameraApertureOffset"][0],
        verticalApertureOffset=params["cameraApertureOffset"][1],
        clippingRange=Gf.Range1f(*params["cameraNearFar"]),
    )
    oracle = np.array(camera.frustum.ComputeProjectionMatrix())
    np.testing.assert_allclose(np.reshape(params["cameraProjection"], (4, 4)), oracle, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(np.reshape(params["cameraViewTransform"], (4, 4)), np.eye(4))


def test_an_off_centre_lens_projects_where_its_matrix_says(frame):
    from dataclasses import replace

    rng = np.random.default_rng(7)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation * np.sign(np.linalg.det(rotation)), (1.0, -2.0, 3.0)
    intrinsics = np.array([[31.0, 0, 12.5], [0, 29.0, 14.0], [0, 0, 1]])
    camera = replace(frame.camera, intrinsics=intrinsics, cam_to_world=pose)
    params = describe_camera(camera)
    view, projection = (np.reshape(params[name], (4, 4)) for name in ("cameraViewTransform", "cameraProjection"))
    point = pose @ (0.3, -0.2, -4.0, 1.0)
    x, y, _, w = point @ view @ projection
    u, v = (x / w * 0.5 + 0.5) * camera.width, (0.5 - y / w * 0.5) * camera.height
    assert u == pytest.approx(31.0 * 0.3 / 4.0 + 12.5)
    assert v == pytest.approx(14.0 + 29.0 * 0.2 / 4.0)


def test_an_unknown_annotator_lists_those_that_are(tmp_path):
    with pytest.raises(ConfigError, match=r"no annotator 'depth'; there are rgb, distance_to_image_plane"):
        BasicFiles(tmp_path, ["depth"], color_of=color_of)


def test_a_buffer_the_source_lacks_is_named(tmp_path):
    frame = next(DrawnSource(with_depth=False).read())
    with pytest.raises(SinkError, match="gives no depth"):
        BasicFiles(tmp_path, ["distance_to_camera"], color_of=color_of).write(frame, 0)


def test_two_instances_never_share_a_colour(tmp_path):
    from dataclasses import replace

    import warp as wp

    from cosmos.bridge.types import Instance

    frame = next(DrawnSource().read())
    ids = np.zeros((24, 32), np.uint32)
    ids[2:4], ids[8:9] = 1, 2
    frame = replace(
        frame,
        instance_ids=wp.array(ids, dtype=wp.uint32, device="cpu"),
        instances={key: Instance(id=key, prim_path=f"/World/Crate{key}") for key in (1, 2)},
    )
    BasicFiles(tmp_path, ["instance_id_segmentation"], color_of=lambda name: (9, 9, 9)).write(frame, 0)
    mapping = json.loads((tmp_path / "instance_id_segmentation_mapping_0000.json").read_text())
    assert sorted(mapping.values()) == ["/World/Crate1", "/World/Crate2", "BACKGROUND"]


def test_parts_of_one_labelled_thing_are_one_instance(tmp_path):
    from dataclasses import replace

    import warp as wp

    from cosmos.bridge.types import Instance

    frame = next(DrawnSource().read())
    ids = np.zeros((24, 32), np.uint32)
    ids[2:4, 3:9], ids[8:9, 5:20], ids[15:18] = 4, 7, 9
    label = {"class": "robot"}
    instances = {
        4: Instance(id=4, prim_path="/World/Robot/Arm/Mesh", semantic_id=2, labels=label),
        7: Instance(id=7, prim_path="/World/Robot/Base", semantic_id=2, labels=label),
        9: Instance(id=9, prim_path="/World/Floor"),
    }
    frame = replace(frame, instance_ids=wp.array(ids, dtype=wp.uint32, device="cpu"), instances=instances)
    owner_of = {"/World/Robot/Arm/Mesh": "/World/Robot", "/World/Robot/Base": "/World/Robot"}
    files = BasicFiles(
        tmp_path,
        ["instance_segmentation", "bounding_box_2d_tight"],
        color_of=color_of,
        owner_of=lambda path: owner_of.get(path, path),
    )
    files.write(frame, 0)
    mapping = json.loads((tmp_path / "instance_segmentation_mapping_0000.json").read_text())
    assert sorted(mapping.values()) == ["/World/Robot", "BACKGROUND"]
    (box,) = np.load(tmp_path / "bounding_box_2d_tight_0000.npy")
    assert (box["x_min"], box["y_min"], box["x_max"], box["y_max"]) == (3, 2, 19, 8)
    pixels = cv2.imread(str(tmp_path / "instance_segmentation_0000.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(pixels[..., 3] > 0, (ids == 4) | (ids == 7))
