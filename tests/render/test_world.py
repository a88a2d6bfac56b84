"""How normals and world points follow from places, against NumPy's inverse and against rays of Embree."""

import numpy as np
import pytest
from pxr import Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.render.draw.bands import Bands
from cosmos.bridge.render.draw.world import World, turn_of
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.render.scene import RowsById
from cosmos.bridge.render.usd.stage import StageReader
from cosmos.bridge.types import Camera


def affine(rng, count):
    matrices = np.tile(np.eye(4), (count, 1, 1))
    matrices[:, :3] = rng.normal(size=(count, 3, 4)) * rng.uniform(0.01, 100.0, (count, 1, 1))
    return matrices


def test_turns_equal_numpys_inverse():
    matrices = affine(np.random.default_rng(4), 500)
    turns = turn_of(matrices)
    linear = matrices[:, :3, :3]
    np.testing.assert_array_equal(turns.side, np.sign(np.linalg.det(linear)))
    assert set(turns.side) == {-1, 1}
    inverse = np.swapaxes(np.linalg.inv(linear), 1, 2)
    factor = np.abs(turns.normals).max((1, 2)) / np.abs(inverse).max((1, 2))
    np.testing.assert_allclose(turns.normals, inverse * factor[:, None, None], atol=1e-9)
    rigid = matrices.copy()
    rigid[:, :3, :3] /= np.linalg.norm(linear, axis=1)[:, None]
    np.testing.assert_allclose(turns.into @ rigid, np.tile(np.eye(4), (500, 1, 1)), atol=1e-6)


def test_a_flat_body_keeps_the_normal_of_its_plane():
    flat = np.diag([2.0, 3.0, 0.0, 1.0])
    line = np.diag([2.0, 0.0, 0.0, 1.0])
    turns = turn_of(np.stack([flat, line, np.zeros((4, 4))]))
    np.testing.assert_allclose(turns.normals[0], np.diag([0, 0, 1.0]))
    assert np.isfinite(turns.normals).all() and np.isfinite(turns.into).all()


@pytest.mark.parametrize("scale", [(1, 1, 1), (-1, 1, 1), (1, -2, 0.5), (-1, -1, -1), (1, 1, 0)])
def test_scaled_bodies_face_outwards(device, scale):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    body = UsdGeom.Sphere.Define(stage, "/Body")
    body.AddRotateXYZOp().Set((10, 20, 30))
    body.AddScaleOp().Set(scale)
    pose = np.eye(4)
    pose[2, 3] = 6.0
    intrinsics = np.array([[90.0, 0, 48], [0, 90.0, 32], [0, 0, 1.0]])
    camera = Camera(prim_path="/C", height=64, width=96, intrinsics=intrinsics, cam_to_world=pose, near=0.1, far=100.0)
    renderer = Renderer(stage, device=device)
    frame = renderer.render(camera, 0.0)
    depth, normals = frame.depth.numpy().astype(np.float64), frame.normals.numpy()
    renderer.close()
    y, x = np.nonzero(np.isfinite(depth))
    rays = np.stack([(x + 0.5 - 48) / 90, (32 - y - 0.5) / 90, -np.ones(len(x))], axis=1)
    points = rays * depth[y, x][:, None] + pose[:3, 3]
    linear = np.array(UsdGeom.Imageable(body).ComputeLocalToWorldTransform(0))[:3, :3].T
    if 0 in scale:
        want = np.tile(np.cross(linear[:, 0], linear[:, 1]), (len(x), 1))
    else:  # an ellipsoid's normal is the gradient of |L^-1 p|^2
        inverse = np.linalg.inv(linear)
        want = points @ (inverse.T @ inverse).T
    want /= np.linalg.norm(want, axis=1, keepdims=True)
    want *= np.where((want * rays).sum(1) > 0, -1, 1)[:, None]
    assert len(x) > 400
    away = (want * rays).sum(1) / np.linalg.norm(rays, axis=1) < -0.4
    assert ((normals[y, x] * want).sum(1)[away] > np.cos(np.radians(6))).all()


def test_only_what_moved_is_turned_and_all_of_it(device):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    turning = []
    for index in range(3):
        cube = UsdGeom.Cube.Define(stage, f"/Cube{index}")
        cube.AddTranslateOp().Set((4.0 * index, 1.0, 0.0))
        turning.append(cube.AddRotateXYZOp())
        cube.AddScaleOp().Set((1.0, 2.0, -1.0 if index == 2 else 1.0))
    turning[1].Set((10, 20, 30), 0.0)
    turning[1].Set((80, -20, 65), 5.0)
    turning[2].Set((0, 0, 0), 0.0)
    turning[2].Set((0, 45, 0), 9.0)
    reader = StageReader(stage)
    world = World(reader.scene, reader.pose(0.0), Bands(device, 1))
    for time in (5.0, 9.0, 2.0):
        world.place(reader.pose(time))
        for index in range(3):
            prim = UsdGeom.Imageable.Get(stage, f"/Cube{index}")
            place = np.array(prim.ComputeLocalToWorldTransform(time)).T
            place[:3, 3] -= world.origin
            normals = np.linalg.inv(place[:3, :3]).T
            turned = world.arrays.normal_to_world.numpy()[index]
            np.testing.assert_allclose(turned / np.linalg.norm(turned), normals / np.linalg.norm(normals), atol=1e-6)
            place[:3, :3] /= np.linalg.norm(place[:3, :3], axis=0)
            np.testing.assert_allclose(world.arrays.world_to_object.numpy()[index], np.linalg.inv(place), atol=1e-5)


def test_rows_by_id_read_like_a_dictionary():
    rows = np.random.default_rng(0).random((5, 4, 4))
    expected, given = {row + 1: rows[row] for row in range(5)}, RowsById(rows)
    assert list(given) == list(expected) and len(given) == 5
    for key, row in given.items():
        np.testing.assert_array_equal(row, expected[key])
    for key in (0, 6, -1, "1", 1.0, None, np.int64(3)):
        assert (key in given) == (key in expected) or key == 1.0
    with pytest.raises(KeyError):
        given[6]
