"""Night: headlights where vehicles have them, and lamps that glow in haze."""

import numpy as np
import pytest
import warp as wp
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdSemantics, UsdShade  # noqa: TID253

from cosmos.bridge.render.draw.glow import lamp_glow, phase_of
from cosmos.bridge.render.draw.headlights import find_headlamps, headlights
from cosmos.bridge.render.draw.lamp import Lamps
from cosmos.bridge.render.draw.lamps import make_lamps
from cosmos.bridge.render.draw.meter import measure_glow
from cosmos.bridge.render.draw.sky import Air
from cosmos.bridge.render.draw.view import make_view
from cosmos.bridge.render.draw.world import WorldArrays
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.render.scene import Light, Pose
from cosmos.bridge.types import Look
from halo import scattered

wp.config.quiet = True
SIZE = (72, 128)


@wp.kernel
def _glow_kernel(
    world: WorldArrays,
    air: Air,
    lamps: Lamps,
    starts: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    distances: wp.array(dtype=wp.float32),
    draws: wp.array(dtype=wp.vec2),
    out: wp.array(dtype=wp.vec3),
):
    i, k = wp.tid()
    lit, _whole = lamp_glow(world, air, lamps, starts[i], directions[i], distances[i], draws[k])
    wp.atomic_add(out, i, lit / wp.float32(draws.shape[0]))


def glow_of(world, air, lamps, starts, directions, distances, *, draws, device):
    """Mean glow along rays over some draws, shape [K, 3]."""
    rays = [wp.array(v.astype(np.float32), dtype=wp.vec3, device=device) for v in (starts, directions)]
    far = wp.array(distances.astype(np.float32), dtype=wp.float32, device=device)
    drawn = wp.array(draws.astype(np.float32), dtype=wp.vec2, device=device)
    out = wp.zeros(len(starts), dtype=wp.vec3, device=device)
    inputs = [world, air, lamps, *rays, far, drawn, out]
    wp.launch(_glow_kernel, dim=(len(starts), len(draws)), inputs=inputs, device=device)
    return out.numpy().astype(np.float64)


def even_air(haze):
    """Air of even density that scatters red most."""
    air = Air()
    air.haze_tint = wp.vec3(1.0, 0.5, 0.25)
    air.haze, air.haze_height, air.floor, air.exposure = haze, 1.0e9, -1.0e3, 1.0e6
    return air


def world_of(points, faces, device):
    """A world of some opaque triangles; the mesh must be kept as long as it is used."""
    mesh = wp.Mesh(
        points=wp.array(np.asarray(points, np.float32), dtype=wp.vec3, device=device),
        indices=wp.array(np.asarray(faces, np.int32).reshape(-1), dtype=wp.int32, device=device),
    )
    world = WorldArrays()
    world.mesh = mesh.id
    return world, mesh


@wp.kernel
def _phase_kernel(cosines: wp.array(dtype=wp.float32), out: wp.array(dtype=wp.float32)):
    i = wp.tid()
    out[i] = phase_of(cosines[i])


def test_scattering_keeps_all_light(device):
    cosines = np.linspace(-1.0, 1.0, 20001)
    out = wp.empty(len(cosines), dtype=wp.float32, device=device)
    wp.launch(_phase_kernel, dim=len(cosines), inputs=[wp.array(cosines, dtype=wp.float32, device=device), out],
              device=device)  # fmt: skip
    assert out.numpy().astype(np.float64).mean() == pytest.approx(1.0, abs=2e-3)


def small_sphere(place, radius, radiance):
    """A sphere light alone in the world, and where it stands."""
    matrix = np.eye(4)
    matrix[:3, 3] = place
    light = Light(kind="sphere", prim_path="/L", color=(radiance,) * 3, size=(radius, 0.0))
    pose = Pose(
        time_code=0.0, local_to_world=np.zeros((0, 4, 4)), visible=np.zeros(0, bool), light_to_world=matrix[None]
    )
    return light, pose


@pytest.mark.parametrize("haze", [0.004, 0.05])
def test_glow_of_a_lamp_is_single_scattering(device, haze):
    """Against the integral along the ray in float64, for a small sphere light and even air."""
    rng = np.random.default_rng(4)
    count = 60
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    starts = rng.uniform([-12.0, -12.0, 8.0], [12.0, 12.0, 32.0], (count, 3))
    distances = rng.uniform(3.0, 60.0, count)
    place, radius, radiance = np.array([1.0, 2.0, 20.0]), 0.05, 40000.0
    light, pose = small_sphere(place, radius, radiance)
    world, _mesh = world_of(np.eye(3) * 1e-3 + 900.0, [0, 1, 2], device)
    lamps = make_lamps(None, (light,), pose, np.zeros(3), device)
    rays = (starts, directions, distances)
    out = glow_of(world, even_air(haze), lamps, *rays, draws=np.array([[0.5, 0.5]]), device=device)
    expected = scattered(starts, directions, distances, place=place, radius=radius, radiance=radiance, haze=haze)
    np.testing.assert_allclose(out[:, 1:], out[:, :1] * [[0.5, 0.25]], rtol=1e-5)
    got = out[:, 0]
    aside = np.linalg.norm(np.cross(place - starts, directions), axis=1)
    clear = aside > 0.5  # nearer, the lamp's own size tames it
    assert clear.sum() > 50
    ratio = got[clear] / expected[clear]
    assert np.abs(np.log(ratio)).max() < 0.25 and np.abs(np.log(ratio)).mean() < 0.06


def board_shadow(points, place):
    """Whether a board of 4 x 2 m that stands upright before the lamp keeps its light from points [K, 3]."""
    way = place - points
    share = (-3.0 - points[:, 1]) / way[:, 1]
    met = points + share[:, None] * way
    between = (share > 0.0) & (share < 1.0)
    return between & (np.abs(met[:, 0]) < 2.0) & (np.abs(met[:, 2] - 5.0) < 1.0)


def test_what_stands_before_a_lamp_shadows_a_part_of_its_halo(device):
    """Averaged over draws, against the integral in which each place along a ray has its own sight of the lamp."""
    place = np.array([0.0, 0.0, 5.0])
    light, pose = small_sphere(place, 0.05, 40_000.0)
    corners = [(-2, -3, 4), (2, -3, 4), (2, -3, 6), (-2, -3, 6)]
    world, _mesh = world_of(corners, [0, 1, 2, 0, 2, 3], device)
    lamps = make_lamps(None, (light,), pose, np.zeros(3), device)
    ends = np.stack(np.meshgrid(np.linspace(-9.0, 9.0, 19), [8.0], np.linspace(1.2, 9.2, 9)), axis=-1).reshape(-1, 3)
    starts = np.tile([0.3, -25.0, 5.2], (len(ends), 1))
    distances = np.linalg.norm(ends - starts, axis=1)
    directions = (ends - starts) / distances[:, None]
    side = (np.arange(24) + 0.5) / 24
    draws = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    got = glow_of(world, even_air(0.02), lamps, starts, directions, distances, draws=draws, device=device)[:, 0]
    lamp = {"place": place, "radius": 0.05, "radiance": 40_000.0, "haze": 0.02}
    shadowed, clear = (
        scattered(starts, directions, distances, **lamp, shadow=shadow)
        for shadow in (lambda points: board_shadow(points, place), None)
    )
    # The board itself stops some rays on their way; the oracle and the kernel both look through it.
    off_axis = np.linalg.norm(np.cross(place - starts, directions), axis=1) > 0.5
    share = shadowed / clear
    assert ((share > 0.2) & (share < 0.8))[off_axis].mean() > 0.2  # neither all nor nothing
    assert np.abs(got / clear - share)[off_axis].max() < 0.12
    assert np.abs(got / clear - share)[off_axis].mean() < 0.03


@pytest.mark.parametrize("white", [2.0, 0.2])
def test_the_meter_reads_how_lamps_glow_in_haze(device, white):
    """Mean of single scattering over what the camera sees of an empty sky, no spot more than what is white."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    behind = UsdGeom.Mesh.Define(stage, "/World/Behind")
    behind.CreatePointsAttr([(-1, -5, 0), (1, -5, 0), (0, -5, 1)])
    behind.CreateFaceVertexCountsAttr([3])
    behind.CreateFaceVertexIndicesAttr([0, 1, 2])
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.AddRotateXYZOp().Set(Gf.Vec3f(90.0, 0.0, 0.0))
    camera.CreateFocalLengthAttr(35.0)
    renderer = Renderer(stage, device=device)
    renderer._world.place(renderer._pose(0.0))
    place, radius, radiance, haze = np.array([5.0, 12.0, 0.8]), 0.05, 40_000.0, 0.02
    light, pose = small_sphere(place, radius, radiance)
    air = Air()
    air.haze, air.haze_height, air.floor, air.haze_tint = haze, 1e9, -1e3, wp.vec3(1.0, 1.0, 1.0)
    air.exposure = 1.0 / white
    origin = np.array([*renderer._world.origin], dtype=float)
    lamps = make_lamps(renderer.scene, (light,), pose, origin, device)
    view = make_view(renderer.camera("/World/Camera", 0.0, size=(24, 36)), renderer._world.origin)
    got = measure_glow(renderer._world, air, lamps, [view])
    renderer.close()
    y, x = np.mgrid[:16, :24] + 0.5
    wide = 20.955 / 35.0
    rays = np.stack([(x / 24 - 0.5) * wide, np.ones_like(x), (0.5 - y / 16) * wide * 24 / 36], axis=-1).reshape(-1, 3)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    far, lamp = np.full(len(rays), 400.0), {"place": place, "radius": radius, "radiance": radiance, "haze": haze}
    each = scattered(np.zeros_like(rays), rays, far, **lamp)
    assert 0.1 < (each > 0.2).mean() < 0.9 and each.max() < 2.0
    assert got == pytest.approx(np.minimum(each, white).mean(), rel=0.12)  # the halo is summed in five steps


def test_a_hall_in_fog_is_exposed_for_the_halo_of_its_lamp(device):
    """It whitens no more than a tenth of the picture."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    for name, height in (("Floor", 0.0), ("Roof", 6.0)):
        plane = UsdGeom.Mesh.Define(stage, f"/World/{name}")
        plane.CreatePointsAttr([(-30, -30, height), (30, -30, height), (30, 30, height), (-30, 30, height)])
        plane.CreateFaceVertexCountsAttr([4])
        plane.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
        plane.CreateDoubleSidedAttr(True)
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.AddTranslateOp().Set(Gf.Vec3d(0.0, -9.0, 2.5))
    camera.AddRotateXYZOp().Set(Gf.Vec3f(85.0, 0.0, 0.0))
    camera.CreateFocalLengthAttr(20.0)
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    lamp.CreateRadiusAttr(0.1)
    lamp.CreateIntensityAttr(3000.0)
    lamp.AddTranslateOp().Set(Gf.Vec3d(1.5, -5.0, 4.0))
    renderer = Renderer(stage, device=device)
    looks = [Look(fog=fog, vignette=0.0, sun_elevation=-15.0) for fog in (0.0, 0.5)]
    pictures = [renderer.render("/World/Camera", 0.0, size=SIZE, look=look).rgb.numpy().copy() for look in looks]
    white = [(picture > 240).mean() for picture in pictures]
    renderer.close()
    assert white[0] < 0.02 and white[1] < 0.1


def vehicle_stage(*, up="Z", named="part", label="car", turn=0.0):
    """A body of 4 x 1.6 x 1 m with a lamp part across its front (+X), turned around the up axis."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)

    def at(x, y, z):
        return Gf.Vec3d(x, y, z) if up == "Z" else Gf.Vec3d(x, z, -y)

    def scaled(x, y, z):
        return Gf.Vec3f(x, y, z) if up == "Z" else Gf.Vec3f(x, z, y)

    root = UsdGeom.Xform.Define(stage, "/World/Auto")
    root.AddTranslateOp().Set(at(3.0, 5.0, 0.0))
    (root.AddRotateZOp() if up == "Z" else root.AddRotateYOp()).Set(turn)
    if label:
        UsdSemantics.LabelsAPI.Apply(root.GetPrim(), "class").CreateLabelsAttr([label])
    parts = (
        ("Body", (0, 0, 0.8), (4, 1.6, 1)),
        ("Headlights" if named == "part" else "Front", (2.02, 0, 0.7), (0.04, 1.4, 0.2)),
    )
    for name, place, size in parts:
        cube = UsdGeom.Cube.Define(stage, f"/World/Auto/{name}")
        cube.CreateSizeAttr(1.0)
        cube.AddTranslateOp().Set(at(*place))
        cube.AddScaleOp().Set(scaled(*size))
    if named == "material":
        material = UsdShade.Material.Define(stage, "/World/Looks/Head_Lamp")
        shader = UsdShade.Shader.Define(stage, "/World/Looks/Head_Lamp/S")
        shader.CreateIdAttr("UsdPreviewSurface")
        shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(1, 1, 1))
        material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
        UsdShade.MaterialBindingAPI.Apply(cube.GetPrim()).Bind(material)
    ground = UsdGeom.Cube.Define(stage, "/World/Ground")
    ground.AddTranslateOp().Set(at(0, 0, -0.5))
    ground.AddScaleOp().Set(scaled(60, 60, 0.5))
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.AddTranslateOp().Set(at(9.0, -9.0, 9.0))
    camera.AddRotateXYZOp().Set(Gf.Vec3f(50.0, 0.0, 0.0) if up == "Z" else Gf.Vec3f(-40.0, 0.0, 0.0))
    camera.CreateFocalLengthAttr(18.0)
    return stage


@pytest.mark.parametrize("up", ["Z", "Y"])
@pytest.mark.parametrize("named", ["part", "material"])
def test_headlights_shine_from_the_front_of_a_labelled_vehicle(up, named):
    renderer = Renderer(vehicle_stage(up=up, named=named, turn=90.0), device="cpu")
    scene, pose = renderer.scene, renderer._pose(0.0)
    lights, matrices = headlights(scene, pose, find_headlamps(scene))
    renderer.close()
    assert len(lights) == 2
    upward = np.array([0.0, 1.0, 0.0] if up == "Y" else [0.0, 0.0, 1.0])
    ahead = np.array([0.0, 0.0, -1.0] if up == "Y" else [0.0, 1.0, 0.0])
    for matrix in matrices:
        aim = -matrix[:3, 2]
        np.testing.assert_allclose(matrix[:3, :3].T @ matrix[:3, :3], np.eye(3), atol=1e-9)
        assert aim @ ahead > 0.99 and -0.1 < aim @ upward < 0.0
        assert matrix[:3, 3] @ ahead == pytest.approx(5.0 + 2.04 + 0.05, abs=0.01)
        assert matrix[:3, 3] @ upward == pytest.approx(0.7, abs=1e-6)
    assert abs(matrices[0][0, 3] - matrices[1][0, 3]) > 0.5


@pytest.mark.parametrize(("named", "label"), [("part", None), ("part", "chair"), ("none", "car")])
def test_what_is_no_vehicle_or_has_no_lamps_stays_dark(named, label):
    renderer = Renderer(vehicle_stage(named=named, label=label), device="cpu")
    assert find_headlamps(renderer.scene) == ()
    renderer.close()


def test_headlights_light_the_road_ahead_at_night_only():
    lit, dark = (Renderer(vehicle_stage(label=label), device="cpu") for label in ("car", "chair"))
    for look, brighter in ((Look(sun_elevation=-14.0, vignette=0.0), True), (Look(vignette=0.0), False)):
        a, b = (r.render("/World/Camera", 0.0, size=SIZE, look=look).rgb.numpy().astype(int) for r in (lit, dark))
        assert ((a - b).max() > 40) == brighter
        if not brighter:
            np.testing.assert_array_equal(a, b)
    lit.close()
    dark.close()
