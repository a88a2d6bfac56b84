"""Smooth shadows on polygons that are shaded as smooth."""

import numpy as np
import pytest
import warp as wp
from pxr import Gf, Usd, UsdGeom, UsdLux  # noqa: TID253

from cosmos.bridge.render.draw.terminator import lift_of
from cosmos.bridge.render.draw.world import WorldArrays
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Look

wp.config.quiet = True


@wp.kernel
def _lift_kernel(
    world: WorldArrays, faces: wp.array(dtype=wp.int32), places: wp.array(dtype=wp.vec3),
    geometric: wp.array(dtype=wp.vec3), out: wp.array(dtype=wp.vec3),
):  # fmt: skip
    i = wp.tid()
    out[i] = lift_of(world, faces[i], places[i], geometric[i])


def ball(rows, sides, *, smooth):
    """A polygon ball of radius 1; normals of the sphere where ``smooth``, else of the polygons."""
    theta = np.linspace(0.0, np.pi, rows + 1)[:, None]
    phi = np.linspace(0.0, 2.0 * np.pi, sides, endpoint=False)[None]
    points = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta) + 0 * phi], -1).reshape(
        -1, 3
    )
    faces = [(r * sides + k, (r + 1) * sides + k, (r + 1) * sides + (k + 1) % sides, r * sides + (k + 1) % sides)
             for r in range(rows) for k in range(sides)]  # fmt: skip
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    mesh = UsdGeom.Mesh.Define(stage, "/World/Ball")
    mesh.CreatePointsAttr([Gf.Vec3f(*map(float, p)) for p in points])
    mesh.CreateFaceVertexCountsAttr([4] * len(faces))
    mesh.CreateFaceVertexIndicesAttr([k for face in faces for k in face])
    mesh.CreateSubdivisionSchemeAttr("none")
    if smooth:
        mesh.CreateNormalsAttr([Gf.Vec3f(*map(float, p)) for p in points])
        mesh.SetNormalsInterpolation("vertex")
    else:
        flat = [np.cross(points[f[2]] - points[f[0]], points[f[3]] - points[f[1]]) for f in faces]
        mesh.CreateNormalsAttr([Gf.Vec3f(*map(float, n / np.linalg.norm(n))) for n in flat])
        mesh.SetNormalsInterpolation("uniform")
    UsdLux.DistantLight.Define(stage, "/World/Sun").CreateIntensityAttr(3.0)
    UsdGeom.Xformable(stage.GetPrimAtPath("/World/Sun")).AddRotateXYZOp().Set(Gf.Vec3f(0.0, 70.0, 0.0))
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.AddTranslateOp().Set(Gf.Vec3d(0.0, -6.0, 0.0))
    camera.AddRotateXYZOp().Set(Gf.Vec3f(90.0, 0.0, 0.0))
    return stage


def lifts(device, stage, count=400):
    renderer = Renderer(stage, device=device)
    world = renderer._world.ray_ready()
    points, corners = world.points.numpy().astype(np.float64), world.triangles.numpy().reshape(-1, 3)
    rng = np.random.default_rng(1)
    faces = rng.integers(0, len(corners), count)
    weights = rng.dirichlet((1.0, 1.0, 1.0), count)
    triangles = points[corners[faces]]
    places = np.einsum("nk,nkd->nd", weights, triangles)
    geometric = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
    size = np.linalg.norm(geometric, axis=1)
    keep = size > 1e-9
    faces, places, geometric = faces[keep], places[keep], geometric[keep] / size[keep, None]
    out = wp.empty(len(faces), dtype=wp.vec3, device=device)
    arrays = [wp.array(v.astype(np.float32), dtype=wp.vec3, device=device) for v in (places, geometric)]
    inputs = [world, wp.array(faces.astype(np.int32), dtype=wp.int32, device=device), *arrays, out]
    wp.launch(_lift_kernel, dim=len(faces), inputs=inputs, device=device)
    origin = renderer._world.origin
    lift = out.numpy().astype(np.float64)
    renderer.close()
    return places + origin, lift


def test_lift_clears_the_sphere_that_the_normals_mean(device):
    places, lift = lifts(device, ball(12, 18, smooth=True))
    before, after = (1.0 - np.linalg.norm(p, axis=1) for p in (places, places + lift))
    assert before.max() > 0.015
    assert after.max() < 0.002  # none stays below the sphere
    assert after.min() > -1.1 * before.max()  # and none rises further than it was below


def test_flat_polygons_are_not_lifted(device):
    _, lift = lifts(device, ball(12, 18, smooth=False))
    assert np.abs(lift).max() < 1e-5


@pytest.mark.parametrize("look", [None, Look(sun_elevation=20.0, sun_azimuth=0.0, detail=0.0, vignette=0.0)])
def test_a_coarse_ball_darkens_gradually(look):
    """Down a coarse ball lit from the side no polygon near the edge of the light is as dark as the shadow."""
    renderer = Renderer(ball(6, 8, smooth=True), device="cpu")
    frame = renderer.render("/World/Camera", 0.0, size=(120, 160), look=look)
    luma = frame.rgb.numpy().astype(np.float64) @ (0.2126, 0.7152, 0.0722)
    hit, normals = frame.instance_ids.numpy() > 0, frame.normals.numpy()
    elevation = np.radians(20.0)
    toward = np.array([np.cos(elevation), 0.0, np.sin(elevation)])
    facing = normals @ toward
    renderer.close()
    lit, dark = hit & (facing > 0.2) & (facing < 0.3), hit & (facing < -0.1)
    assert lit.sum() > 100
    shadow, usual = np.median(luma[dark]), np.median(luma[lit])
    assert np.percentile(luma[lit], 1) > shadow + 0.6 * (usual - shadow)
