"""Depths of a wall that passes close by the eye, against the plane in float64."""

import numpy as np
import pytest
from pxr import Usd, UsdGeom  # noqa: TID253

from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Camera, OpenCvFisheye, Pinhole

SIZE = (40, 60)
LENSES = {"raster": (Pinhole(), 30.0), "rays": (OpenCvFisheye(coefficients=(0.01,)), 25.0)}


@pytest.mark.parametrize("way", LENSES)
@pytest.mark.parametrize("gap", [0.01, 0.05, 0.7])
def test_a_wall_beside_the_camera_is_as_far_as_in_float64(device, way, gap):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    eye = np.array([11.3254, -9.2271, 1.3391])
    wall = UsdGeom.Mesh.Define(stage, "/World/Wall")
    wall.CreatePointsAttr([(0.0, -21.7, -3.3), (0.0, 19.9, -3.3), (0.0, 19.9, 5.1), (0.0, -21.7, 5.1)])
    wall.CreateFaceVertexCountsAttr([4])
    wall.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    wall.CreateDoubleSidedAttr(True)
    wall.AddTranslateOp().Set((eye[0] + gap, 0.0, 0.0))
    UsdGeom.Cube.Define(stage, "/World/Far").AddTranslateOp().Set((-3.0, -4.0, 60.0))
    lens, focal = LENSES[way]
    matrix = np.array([[focal, 0.0, 30.0], [0.0, focal, 20.0], [0.0, 0.0, 1.0]])
    pose = np.eye(4)
    pose[:3, :3] = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]  # looks along +Y
    pose[:3, 3] = eye
    camera = Camera(
        prim_path="/C", height=SIZE[0], width=SIZE[1], intrinsics=matrix, cam_to_world=pose, lens=lens, near=0.005
    )
    renderer = Renderer(stage, device=device, threads=2)
    frame = renderer.render(camera, 0.0, rgb=False)
    depth, seen = frame.depth.numpy().astype(np.float64), frame.instance_ids.numpy() == 1
    place = np.array(UsdGeom.Imageable(wall).ComputeLocalToWorldTransform(0.0))[3, 0]
    _, rays = camera.rays()
    want = (place - eye[0]) / rays[..., 0] * rays[..., 1]
    assert seen.sum() > 600
    apart = np.abs(depth - want)[seen] / want[seen]
    assert np.percentile(apart, 99.9) < 1e-5
    renderer.close()
