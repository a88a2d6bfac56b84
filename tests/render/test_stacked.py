"""Things that lie in one place by the thousand cost no more than a few; counted by hand and judged by one of them."""

import numpy as np
import pytest
from pxr import Usd, UsdGeom, Vt  # noqa: TID253

from cosmos.bridge.render.draw.stacked import MOST_STACKED, stacked
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Camera


def test_the_first_of_each_kind_and_place_are_kept():
    rng = np.random.default_rng(3)
    places = rng.normal(size=(6, 4, 4))
    kinds, which = rng.integers(0, 3, 3000), rng.integers(0, 6, 3000)
    want, seen = [], {}
    for pair in zip(kinds.tolist(), which.tolist(), strict=True):
        seen[pair] = seen.get(pair, 0) + 1
        want.append(seen[pair] > MOST_STACKED)
    np.testing.assert_array_equal(stacked(kinds, places[which]), want)
    assert 0 < sum(want) < 3000


def test_places_that_differ_by_little_beside_their_distance_are_not_one_place():
    """Sums of such numbers round to the same: only the numbers themselves tell them apart."""
    places = np.tile(np.eye(4), (400, 1, 1))
    places[:, 0, 3] = 1e18
    places[200:, 2, 2] = 2.0
    over = stacked(np.zeros(400, int), places)
    np.testing.assert_array_equal(over, (np.arange(400) >= MOST_STACKED) & (np.arange(400) < 200))


@pytest.fixture
def heap():
    """Two thousand cubes in one place over a floor; at time 5 they lie in rows."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.Plane.Define(stage, "/Floor").AddTranslateOp().Set((0, 0, -1))
    crowd = UsdGeom.PointInstancer.Define(stage, "/Crowd")
    crowd.CreatePrototypesRel().SetTargets([UsdGeom.Cube.Define(stage, "/Crowd/Cube").GetPath()])
    crowd.CreateProtoIndicesAttr(Vt.IntArray(2000))
    crowd.CreateScalesAttr(Vt.Vec3fArray(2000, (0.1, 0.1, 0.1)))
    y, x = np.divmod(np.arange(2000), 50)
    rows = np.stack([0.3 * (x - 24.5), 0.3 * (y - 19.5), np.zeros(2000)], axis=1).astype(np.float32)
    positions = crowd.CreatePositionsAttr()
    positions.Set(Vt.Vec3fArray.FromNumpy(np.zeros((2000, 3), np.float32)), 0.0)
    positions.Set(Vt.Vec3fArray.FromNumpy(rows), 5.0)
    return stage


def draw(stage, time, device):
    pose = np.eye(4)
    pose[2, 3] = 16.0
    intrinsics = np.array([[150.0, 0, 80], [0, 150.0, 64], [0, 0, 1.0]])
    camera = Camera(prim_path="/C", height=128, width=160, intrinsics=intrinsics, cam_to_world=pose, near=0.1, far=99.0)
    renderer = Renderer(stage, device=device)
    frame = renderer.render(camera, time)
    drawn = frame.rgb.numpy().copy(), frame.depth.numpy().copy(), frame.instance_ids.numpy().copy()
    notes = renderer.notes
    renderer.close()
    return *drawn, notes


def test_a_heap_looks_like_one_of_its_things_and_is_said(heap, device):
    rgb, depth, ids, notes = draw(heap, 0.0, device)
    heap.GetPrimAtPath("/Crowd").GetAttribute("invisibleIds").Set(Vt.Int64Array(range(1, 2000)))
    one, depth_of_one, _, silent = draw(heap, 0.0, device)
    np.testing.assert_array_equal(depth, depth_of_one)
    np.testing.assert_array_equal(rgb, one)
    assert len(np.unique(ids)) == 3  # nothing, floor, cube
    said = [note for note in notes if "exactly where 64 others" in note]
    assert len(said) == 1 and said[0].startswith("1936 instances")
    assert not any("exactly where" in note for note in silent)


def test_things_that_leave_the_heap_are_drawn(heap, device):
    _, _, ids, _ = draw(heap, 5.0, device)
    assert len(np.unique(ids)) > 1900
