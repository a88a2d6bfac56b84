import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from cosmos.bridge.controls import color_of
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.render.annotators import ANNOTATORS, AnnotatorOptions, annotate
from cosmos.bridge.sinks.basic import BasicFiles

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))
from fake_line import DrawnSource

_ASK_THE_RENDERER = (
    "HdrColor",
    "bounding_box_2d_loose",
    "bounding_box_3d",
    "bounding_box_3d_360",
    "occlusion",
    "lidar",
    "hdmap",
)
RECORDED = tuple(name for name in ANNOTATORS if name not in _ASK_THE_RENDERER)
COLORED = AnnotatorOptions(colorize=True, color_of=color_of)


@pytest.fixture
def frame():
    return next(DrawnSource(size=(25, 33)).read())


@pytest.fixture
def folder(frame, tmp_path):
    BasicFiles(tmp_path / "out").write(annotate(frame, RECORDED, COLORED), 3)
    return tmp_path / "out"


def test_the_files_have_basic_writer_s_names(folder):
    names = {path.name for path in folder.iterdir() if not path.name.startswith("shaded_")}
    assert names == {
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
        "pointcloud_0003.npy",
        "pointcloud_rgb_0003.npy",
        "pointcloud_normals_0003.npy",
        "pointcloud_semantic_0003.npy",
        "pointcloud_instance_0003.npy",
    }


def test_rgb_is_lossless_rgba(folder, frame):
    pixels = cv2.imread(str(folder / "rgb_0003.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(pixels[..., 2::-1], frame.rgb.numpy())
    assert (pixels[..., 3] == 255).all()


def test_normals_are_opaque_colours(folder, frame):
    pixels = cv2.imread(str(folder / "normals_0003.png"), cv2.IMREAD_UNCHANGED)
    want = np.rint((frame.normals.numpy() * 0.5 + 0.5) * 255.0)
    np.testing.assert_array_equal(pixels[..., 2::-1], want)
    assert (pixels[..., 3] == 255).all()


@pytest.mark.parametrize(
    ("stem", "table", "wanted"),
    [
        ("semantic_segmentation", "semantic_segmentation_labels", {"class": "crate"}),
        ("instance_segmentation", "instance_segmentation_mapping", "/World/Crate"),
        ("instance_segmentation", "instance_segmentation_semantics_mapping", {"class": "crate"}),
        ("instance_id_segmentation", "instance_id_segmentation_mapping", "/World/Crate"),
        ("shaded_semantic_segmentation", "shaded_semantic_segmentation_labels", {"class": "crate"}),
    ],
)
def test_every_colour_of_a_segmentation_is_explained(folder, frame, stem, table, wanted):
    pixels = cv2.cvtColor(cv2.imread(str(folder / f"{stem}_0003.png"), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    meaning = json.loads((folder / f"{table}_0003.json").read_text())
    if not stem.startswith("shaded"):
        found = {str(tuple(int(part) for part in color)) for color in np.unique(pixels.reshape(-1, 4), axis=0)}
        assert found == set(meaning)
    else:
        stem = stem.removeprefix("shaded_")
        pixels = cv2.cvtColor(cv2.imread(str(folder / f"{stem}_0003.png"), cv2.IMREAD_UNCHANGED), cv2.COLOR_BGRA2RGBA)
    crate = {str(tuple(int(part) for part in color)) for color in pixels[frame.instance_ids.numpy() == 1]}
    assert [meaning[color] for color in crate] == [wanted]


def test_ids_are_stored_in_16_bits_where_they_fit(frame, tmp_path):
    BasicFiles(tmp_path).write(annotate(frame, ["instance_id_segmentation"], AnnotatorOptions()), 0)
    pixels = cv2.imread(str(tmp_path / "instance_id_segmentation_0000.png"), cv2.IMREAD_UNCHANGED)
    assert pixels.dtype == np.uint16
    np.testing.assert_array_equal(pixels, frame.instance_ids.numpy())
    meaning = json.loads((tmp_path / "instance_id_segmentation_mapping_0000.json").read_text())
    assert meaning == {"0": "BACKGROUND", "1": "/World/Crate"}


def test_larger_ids_are_stored_whole(tmp_path):
    data = np.array([[0, 70000]], np.uint32)
    given = {"semantic_segmentation": {"data": data, "info": {"idToLabels": {}}}}
    BasicFiles(tmp_path).write(given, 0)
    np.testing.assert_array_equal(np.load(tmp_path / "semantic_segmentation_0000.npy"), data)


def test_an_unknown_annotator_lists_those_that_have_files(tmp_path):
    with pytest.raises(ConfigError, match=r"no file format for 'depth'; there is one for rgb, HdrColor"):
        BasicFiles(tmp_path).write({"depth": np.zeros((2, 2))}, 0)


def test_every_annotator_has_a_file_format(folder):
    for name in RECORDED:
        assert list(folder.glob(f"{name}*")), name
