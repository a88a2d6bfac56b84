"""Motion of skinned people through every lens, against UsdSkel's own baking in float64."""

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdSkel, Vt  # noqa: TID253

from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Camera, FTheta, OpenCvFisheye, OpenCvPinhole, Orthographic, Pinhole

SIZE = (54, 72)
CENTER = [[0.0, 0.0, 36.0], [0.0, 0.0, 27.0], [0.0, 0.0, 1.0]]
LENSES = [
    (Pinhole(), 60.0),
    (Orthographic(), 16.0),
    (OpenCvPinhole(coefficients=(-0.25, 0.08, 0.001, 0.002)), 60.0),
    (OpenCvFisheye(coefficients=(0.01, -0.003)), 50.0),
    (FTheta(coefficients=(0.0, 0.02, 2e-5), max_theta=1.9), 1.0),
]


def make_person():
    """A strip with two bones that bends, inside an Xform that walks."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    stage.SetStartTimeCode(0)
    stage.SetEndTimeCode(10)
    walk = UsdSkel.Root.Define(stage, "/World/Person").AddTranslateOp()
    walk.Set((0, 0, 0), 0)
    walk.Set((0.5, 0, -0.4), 10)
    skeleton = UsdSkel.Skeleton.Define(stage, "/World/Person/Bones")
    rest = [Gf.Matrix4d(1), Gf.Matrix4d().SetTranslate((0, 1, 0))]
    skeleton.CreateJointsAttr(["hip", "hip/knee"])
    skeleton.CreateRestTransformsAttr(rest)
    skeleton.CreateBindTransformsAttr(rest)
    moves = UsdSkel.Animation.Define(stage, "/World/Person/Walk")
    moves.CreateJointsAttr(["hip", "hip/knee"])
    moves.CreateTranslationsAttr([(0, 0, 0), (0, 1, 0)])
    moves.CreateScalesAttr([(1, 1, 1)] * 2)
    for time, angle in ((0, 10), (10, 70)):
        bend = Gf.Quatf(Gf.Rotation((0.3, 0.2, 1), angle).GetQuat())
        moves.CreateRotationsAttr().Set([Gf.Quatf(1), bend], time)
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().AddTarget(moves.GetPath())
    mesh = UsdGeom.Mesh.Define(stage, "/World/Person/Body")
    rows = [(x, 0.25 * row, 0.0) for row in range(9) for x in (-0.5, 0.5)]
    mesh.CreatePointsAttr(rows)
    mesh.CreateFaceVertexCountsAttr([4] * 8)
    mesh.CreateFaceVertexIndicesAttr([i for row in range(8) for i in (2 * row, 2 * row + 1, 2 * row + 3, 2 * row + 2)])
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    binding.CreateSkeletonRel().AddTarget(skeleton.GetPath())
    share = [min(1.0, max(0.0, y - 0.5)) for _, y, _ in rows]
    binding.CreateJointIndicesPrimvar(False, 2).Set(Vt.IntArray([0, 1] * len(rows)))
    binding.CreateJointWeightsPrimvar(False, 2).Set(Vt.FloatArray([w for s in share for w in (1 - s, s)]))
    return stage


def baked_points(stage, time):
    """World points of the body by UsdSkel.BakeSkinning, float64."""
    baked = Usd.Stage.CreateInMemory()
    baked.GetRootLayer().TransferContent(stage.GetRootLayer())
    assert UsdSkel.BakeSkinning(UsdSkel.Root.Get(baked, "/World/Person"), Gf.Interval(0, 10))
    body = UsdGeom.Mesh.Get(baked, "/World/Person/Body")
    world = np.array(UsdGeom.Imageable(body).ComputeLocalToWorldTransform(time))
    return np.array(body.GetPointsAttr().Get(time), np.float64) @ world[:3, :3] + world[3, :3]


def first_hits(starts, rays, triangles):
    """Index and barycentric weights of the triangle each ray meets first (Cramer's rule); -1 where none is."""
    best = np.full(len(rays), np.inf)
    index, weights = np.full(len(rays), -1), np.zeros((len(rays), 3))
    for number, (a, b, c) in enumerate(triangles):
        matrix = np.stack(np.broadcast_arrays(a - b, a - c, rays), axis=2)
        solved = np.linalg.solve(matrix, (a - starts)[..., None])[..., 0]
        beta, gamma, t = solved.T
        inside = (beta >= 0) & (gamma >= 0) & (beta + gamma <= 1) & (t > 0) & (t < best)
        best[inside], index[inside] = t[inside], number
        weights[inside] = np.stack([1 - beta - gamma, beta, gamma], axis=1)[inside]
    return index, weights


@pytest.mark.parametrize(("lens", "scale"), LENSES, ids=lambda value: getattr(value, "name", ""))
def test_motion_of_skinned_people_is_within_a_hundredth_of_a_pixel(lens, scale):
    stage = make_person()
    renderer = Renderer(stage, device="cpu")
    cameras = {}
    for time in (5.0, 6.0):
        pose = np.eye(4)
        pose[:3, 3] = 0.2 + 0.03 * time, 0.9, 2.5
        matrix = np.array(CENTER) + np.diag([scale, scale, 0.0])
        cameras[time] = Camera(
            prim_path="/C", height=SIZE[0], width=SIZE[1], intrinsics=matrix, cam_to_world=pose, lens=lens
        )
    frame = renderer.render(cameras[6.0], 6.0, previous=(cameras[5.0], 5.0), rgb=False)
    motion, ids = frame.motion.numpy().astype(np.float64), frame.instance_ids.numpy()
    now, before = baked_points(stage, 6.0), baked_points(stage, 5.0)
    corners = renderer.scene.meshes[0].triangles
    starts, rays = (part.reshape(-1, 3) for part in cameras[6.0].rays())
    lit = np.isfinite(rays).all(axis=1)
    index, weights = np.full(len(rays), -1), np.zeros((len(rays), 3))
    index[lit], weights[lit] = first_hits(starts[lit], rays[lit], now[corners])
    seen = (index >= 0) & (ids.ravel() == 1)
    assert seen.sum() > 300
    points = np.einsum("nc,ncx->nx", weights[seen], before[corners][index[seen]])
    centres = np.stack(np.meshgrid(np.arange(SIZE[1]), np.arange(SIZE[0])), axis=-1).reshape(-1, 2) + 0.5
    want = cameras[5.0].project(points) - centres[seen]
    assert np.ptp(want, axis=0).min() > 0.3  # it bends: no two rows move alike
    np.testing.assert_allclose(motion.reshape(-1, 2)[seen], want, atol=0.01)
    renderer.close()
