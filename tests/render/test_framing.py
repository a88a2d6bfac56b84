"""The camera of a stage that has none."""

import numpy as np
import pytest
from pxr import Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.render.usd.framing import AUTO_CAMERA
from cosmos.bridge.render.usd.stage import StageReader


def new_stage(up="Z"):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, 0.01)
    return stage


def add_cube(stage, path, place, scale=(1, 1, 1)):
    cube = UsdGeom.Cube.Define(stage, path)
    cube.AddTranslateOp().Set(place)
    cube.AddScaleOp().Set(scale)


def seen(camera, reader, rows):
    """Return where the corners of instances fall in the picture, as shares of its size."""
    pose, places = reader.pose(0), []
    for row in rows:
        low, high = reader.scene.drawn[row].bounds
        for pick in np.ndindex(2, 2, 2):
            corner = pose.local_to_world[row] @ [*np.where(pick, high, low), 1.0]
            q = np.linalg.inv(camera.cam_to_world) @ corner
            assert q[2] < 0
            place = camera.intrinsics[:2, :2] @ (q[:2] * (1, -1)) / -q[2] + camera.intrinsics[:2, 2]
            places.append(place / (camera.width, camera.height))
    return np.array(places)


@pytest.mark.parametrize("up", ["Y", "Z"])
@pytest.mark.parametrize("size", [(144, 256), (256, 144), (1, 1)])
def test_every_corner_is_in_view_and_fills_it(up, size):
    stage = new_stage(up)
    for k in range(3):
        add_cube(stage, f"/World/C{k}", (300 * k, 20, 40))
    floor = UsdGeom.Plane.Define(stage, "/World/Floor")
    floor.CreateAxisAttr(up)
    floor.CreateWidthAttr(90000)
    floor.CreateLengthAttr(90000)
    reader = StageReader(stage)
    camera = reader.frame_camera(size)
    assert camera.prim_path == AUTO_CAMERA
    places = seen(camera, reader, range(3))
    assert (places > 0).all() and (places < 1).all()
    assert np.ptp(places, axis=0).max() == pytest.approx(0.92, abs=1e-6)
    np.testing.assert_allclose(camera.cam_to_world[:3, :3] @ camera.cam_to_world[:3, :3].T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(camera.cam_to_world[:3, :3]), 1.0)
    assert camera.cam_to_world[1 if up == "Y" else 2, 1] > 0.5


def test_closed_room_is_seen_from_inside():
    stage = new_stage()
    for k in range(4):
        add_cube(stage, f"/World/Thing{k}", (100 * k - 150, 50 * (k % 2), 30), (20, 20, 30))
    walls = {
        "Floor": ((0, 0, -5), (500, 500, 5)),
        "Roof": ((0, 0, 305), (500, 500, 5)),
        "East": ((505, 0, 150), (5, 500, 150)),
        "West": ((-505, 0, 150), (5, 500, 150)),
        "North": ((0, 505, 150), (500, 5, 150)),
        "South": ((0, -505, 150), (500, 5, 150)),
    }
    for name, (place, scale) in walls.items():
        add_cube(stage, f"/World/Room/{name}", place, scale)
    reader = StageReader(stage)
    camera = reader.frame_camera((90, 160))
    place = camera.cam_to_world[:3, 3]
    assert (np.abs(place[:2]) < 5.0).all() and 0.3 < place[2] < 3.0
    places = seen(camera, reader, range(4))
    assert ((places > 0) & (places < 1)).all(-1).mean() > 0.7
    stage.GetPrimAtPath("/World/Room/Roof").SetActive(False)
    stage.GetPrimAtPath("/World/Room/East").SetActive(False)
    stage.GetPrimAtPath("/World/Room/South").SetActive(False)
    reader = StageReader(stage)
    opened = reader.frame_camera((90, 160))
    assert np.linalg.norm(opened.cam_to_world[:3, 3]) > 8.0


def test_things_that_are_hidden_at_the_start_do_not_count():
    stage = new_stage()
    add_cube(stage, "/World/Near", (0, 0, 0))
    add_cube(stage, "/World/Far", (9000, 0, 0))
    visibility = UsdGeom.Imageable(stage.GetPrimAtPath("/World/Far")).CreateVisibilityAttr()
    visibility.Set("invisible", 0)
    visibility.Set("inherited", 5)
    camera = StageReader(stage).frame_camera((90, 160))
    assert np.linalg.norm(camera.cam_to_world[:3, 3]) < 1.0
