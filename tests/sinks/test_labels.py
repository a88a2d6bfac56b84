import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cosmos.bridge.sinks.carried import UNKNOWN, Carried
from cosmos.bridge.sinks.labels import describe_boxes, describe_cameras, describe_labels, tight_boxes
from cosmos.bridge.types import CarriedLabel, CarriedLabels, FTheta

NOBODY = Carried(None)
"""No critic looked at the labels."""


def boxes_numpy(ids):
    boxes = {}
    for value in np.unique(ids):
        if value:
            rows, columns = np.nonzero(ids == value)
            boxes[int(value)] = (
                columns.min(),
                rows.min(),
                columns.max() + 1,
                rows.max() + 1,
                len(rows),
            )
    return boxes


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.uint32,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=9),
        elements=st.sampled_from([0, 1, 2, 7, 65535, 65536, 2**32 - 1]),
    )
)
def test_tight_boxes_are_those_of_a_plain_search(ids):
    assert tight_boxes(ids) == boxes_numpy(ids)


def test_tight_boxes_take_views_and_signed_ids():
    ids = np.zeros((6, 8), np.int32)
    ids[1:3, 2:7] = 5
    assert tight_boxes(ids[:, ::2]) == boxes_numpy(ids[:, ::2].astype(np.uint32))


def test_boxes_in_3d_follow_pose_and_bounds(clip):
    made = clip(3)
    boxes = describe_boxes(made, made.instance_ids.numpy(), NOBODY)
    solid = {box["instance"]: box for box in boxes["boxes_3d"]}
    assert list(solid) == [2, 3, 4]  # 1 has no bounds
    assert not solid[2]["moves"] and solid[4]["moves"] and solid[4]["local_to_world"][0] is None
    np.testing.assert_array_equal(solid[2]["local_to_world"], np.eye(4))
    np.testing.assert_array_equal(solid[4]["local_to_world"][2], np.eye(4))
    assert {box["instance"] for box in boxes["frames"][0]["boxes_2d"]} == {1, 2, 3, 4}
    assert "occlusion" not in str(boxes).lower()


def test_an_instance_that_never_has_a_pose_has_no_3d_box(clip):
    made = clip(3, poses={2: np.full((3, 4, 4), np.nan)})
    assert describe_boxes(made, None, NOBODY)["boxes_3d"] == []


def test_boxes_without_ids_leave_2d_out(clip):
    boxes = describe_boxes(clip(2), None, NOBODY)
    assert all("boxes_2d" not in frame for frame in boxes["frames"])


def test_cameras_project_as_they_say(clip):
    made = clip(2)
    cameras = describe_cameras(made, NOBODY)
    lens = np.array(cameras["frames"][1]["intrinsics"])
    pose = np.array(cameras["frames"][1]["cam_to_world"])
    point = pose @ np.array([0.4, 0.2, -2.0, 1.0])
    q = np.linalg.inv(pose) @ point
    u = lens[0, 0] * q[0] / -q[2] + lens[0, 2]
    assert u == pytest.approx(0.9 * made.width * 0.2 + made.width / 2 + 1.5)
    assert [frame["time_code"] for frame in cameras["frames"]] == [1.0, 2.0]
    assert cameras["frames"][0]["lens"] == {"name": "pinhole"}


def test_cameras_tell_their_lens(clip):
    made = clip(1)
    lens = FTheta(coefficients=(0.0, 0.01), max_theta=1.7)
    told = describe_cameras(replace(made, cameras=(replace(made.cameras[0], lens=lens),)), NOBODY)["frames"][0]["lens"]
    assert told["name"] == "f-theta fisheye" and told["max_theta"] == 1.7
    assert FTheta(coefficients=told["coefficients"], max_theta=told["max_theta"]) == lens
    assert json.loads(json.dumps(told))["coefficients"] == [0.0, 0.01, 0.0, 0.0, 0.0, 0.0]


def test_labels_name_every_instance(clip):
    labels = describe_labels(clip(2), {"instance_ids": "uint16"}, NOBODY)
    assert labels["instances"]["4"] == {
        "prim_path": "/World/Forklift",
        "semantic_id": 5,
        "labels": {"class": "forklift"},
        "bounds_m": [[-0.42, 0.0, -0.42], [0.42, 0.84, 0.42]],
        "carried": UNKNOWN,
    }
    assert labels["semantics"]["5"] == {"class": "forklift"} and labels["encodings"] == {"instance_ids": "uint16"}


def carried(kinds=("box_2d", "box_3d")):
    """Instance 2 survives in frame 0 and is dropped in frame 1; instance 4 is unknown."""
    label = {
        "state": np.array([[0, 3], [2, 3]], np.uint8),
        "check": np.array([[0, -1], [0, -1]], np.int16),
        "score": np.array([[0.31, np.nan], [-0.4, np.nan]], np.float32),
    }
    return CarriedLabels(
        checks=("instance_kept",),
        instances=np.array([2, 4]),
        labels=tuple(CarriedLabel(kind=kind, **label) for kind in kinds),
        rules={kind: {"scope": "instance"} for kind in kinds},
    )


def test_what_became_of_a_label_stands_beside_it(clip):
    made = clip(2)
    boxes = describe_boxes(made, made.instance_ids.numpy(), Carried(carried()))
    beside = [{box["instance"]: box["carried"] for box in frame["boxes_2d"]} for frame in boxes["frames"]]
    assert beside[0][2] == {"state": "survives", "check": "instance_kept", "score": 0.31}
    assert beside[1][2] == {"state": "dropped", "check": "instance_kept", "score": -0.4}
    assert beside[0][4] == beside[0][1] == UNKNOWN
    solid = {box["instance"]: box["carried"] for box in boxes["boxes_3d"]}
    assert solid[2] == {"state": "sd", "check": [0, 0], "score": [0.31, -0.4]} and solid[3] == UNKNOWN


def test_the_table_holds_every_label_and_says_what_is_the_same():
    table = Carried(carried()).table()
    assert table["labels"]["box_2d"]["4"] == {"state": "uu", "check": [-1, -1], "score": [None, None]}
    assert table["labels"]["box_3d"] == {"as": "box_2d"} and table["checks"] == ["instance_kept"]
    assert Carried(carried()).counts()["box_2d"] == {"survives": 1, "rederive": 0, "dropped": 1, "unknown": 2}
    assert "every label is unknown" in NOBODY.table()["note"]
