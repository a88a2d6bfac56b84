import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cosmos.bridge.sinks.labels import describe_boxes, describe_cameras, describe_labels, tight_boxes
from cosmos.bridge.types import FTheta


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
    boxes = describe_boxes(made, made.instance_ids.numpy())
    solid = {box["instance"]: box for box in boxes["boxes_3d"]}
    assert list(solid) == [2, 3, 4]  # 1 has no bounds
    assert not solid[2]["moves"] and solid[4]["moves"] and solid[4]["local_to_world"][0] is None
    np.testing.assert_array_equal(solid[2]["local_to_world"], np.eye(4))
    np.testing.assert_array_equal(solid[4]["local_to_world"][2], np.eye(4))
    assert {box["instance"] for box in boxes["frames"][0]["boxes_2d"]} == {1, 2, 3, 4}
    assert "occlusion" not in str(boxes).lower()


def test_an_instance_that_never_has_a_pose_has_no_3d_box(clip):
    made = clip(3, poses={2: np.full((3, 4, 4), np.nan)})
    assert describe_boxes(made, None)["boxes_3d"] == []


def test_boxes_without_ids_leave_2d_out(clip):
    boxes = describe_boxes(clip(2), None)
    assert all("boxes_2d" not in frame for frame in boxes["frames"])


def test_cameras_project_as_they_say(clip):
    made = clip(2)
    cameras = describe_cameras(made)
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
    told = describe_cameras(replace(made, cameras=(replace(made.cameras[0], lens=lens),)))["frames"][0]["lens"]
    assert told["name"] == "f-theta fisheye" and told["max_theta"] == 1.7
    assert FTheta(coefficients=told["coefficients"], max_theta=told["max_theta"]) == lens
    assert json.loads(json.dumps(told))["coefficients"] == [0.0, 0.01, 0.0, 0.0, 0.0, 0.0]


def test_labels_name_every_instance(clip):
    labels = describe_labels(clip(2), {"instance_ids": "uint16"})
    assert labels["instances"]["4"] == {
        "prim_path": "/World/Forklift",
        "semantic_id": 5,
        "labels": {"class": "forklift"},
        "bounds_m": [[-0.42, 0.0, -0.42], [0.42, 0.84, 0.42]],
    }
    assert labels["semantics"]["5"] == {"class": "forklift"} and labels["encodings"] == {"instance_ids": "uint16"}
