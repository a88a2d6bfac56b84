from fractions import Fraction

import numpy as np
import pytest

from cosmos.bridge.errors import SourceError
from cosmos.bridge.kit.payload import reference_time, split_payload

RGB = np.zeros((4, 6, 4), np.uint8)
IDS = {"data": np.zeros((4, 6), np.uint32), "info": {"idToLabels": {"0": "BACKGROUND"}}}
FLAT = {"data": IDS["data"], **IDS["info"]}
LENS = {"cameraModel": "pinhole", "renderProductResolution": np.array([6, 4])}
NAMES = ("rgb", "instance_id_segmentation", "camera_params")
COMMON = {"trigger_outputs": {"on_frame": 3}, "reference_time": (6, 4)}


def shapes(products):
    """The same two frames in the three structures; camera and size are said where Replicator says them."""
    entries = {"rgb": RGB, "instance_id_segmentation": IDS, "camera_params": LENS}
    flat = {"rgb": {"data": RGB}, "instance_id_segmentation": FLAT, "camera_params": LENS}
    legacy = {
        f"{key}-{name}" if len(products) > 1 else key: value for name in products for key, value in entries.items()
    }
    place = {name: f"/World/{name}" for name in products}
    return {
        "legacy": {**legacy, **COMMON},
        "annotator": {
            "annotators": {key: dict.fromkeys(products, value) for key, value in flat.items()},
            "camera": place,
            "resolution": dict.fromkeys(products, (6, 4)),
            **COMMON,
        },
        "renderProduct": {
            "renderProducts": {name: {**flat, "camera": place[name], "resolution": (6, 4)} for name in products},
            **COMMON,
        },
    }


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("structure", ["legacy", "annotator", "renderProduct"])
def test_every_structure_says_the_same(structure, count):
    names = ["Replicator", "Replicator_01"][:count]
    found = split_payload(shapes(names)[structure], NAMES)
    assert len(found) == count
    for name, product in zip(names, found, strict=True):
        assert set(product.readings) == set(NAMES)
        assert product.readings["rgb"].array is RGB
        assert product.readings["instance_id_segmentation"].array is IDS["data"]
        assert product.readings["instance_id_segmentation"].info == IDS["info"]
        assert product.readings["camera_params"].array is None
        assert product.readings["camera_params"].info["cameraModel"] == "pinhole"
        if structure != "legacy":
            assert (product.name, product.camera, product.resolution) == (name, f"/World/{name}", (4, 6))
        elif count == 2:
            assert product.name == name


def test_a_payload_made_by_hand_without_places_is_read():
    payload = {"annotators": {"rgb": {"render_product": {"data": RGB}}}, "trigger_outputs": {"on_time": 1}}
    (product,) = split_payload(payload, NAMES)
    assert product.name == "render_product" and product.camera == "" and product.resolution is None
    assert reference_time(payload) is None


def test_plain_arrays_in_structured_payloads_are_taken():
    (product,) = split_payload({"renderProducts": {"A": {"rgb": RGB}}}, NAMES)
    assert product.readings["rgb"].array is RGB


def test_a_payload_of_another_writer_is_refused():
    with pytest.raises(SourceError, match=r"holds none of rgb.*but skeleton"):
        split_payload({"skeleton": RGB}, NAMES)


def test_the_moment_is_exact():
    assert reference_time(COMMON) == Fraction(3, 2)
    assert reference_time({"reference_time": (1, 0)}) is None
