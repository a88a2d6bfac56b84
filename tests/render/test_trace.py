"""Reference quality: no light is lost or made, every lamp brings what integration says, and one seed is one picture."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdShade  # noqa: TID253

from cosmos.bridge.render.draw.daylight import plain_sky
from cosmos.bridge.render.draw.trace import PathTracer
from cosmos.bridge.render.draw.trace_draws import draw_pair
from cosmos.bridge.render.draw.view import make_view
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Look
from halo import scattered

wp.config.quiet = True
wp.set_module_options({"enable_backward": False})


@wp.kernel
def _draw_kernel(pixel: wp.int32, dimension: wp.int32, pairs_out: wp.array(dtype=wp.vec2)):
    i = wp.tid()
    pairs_out[i] = draw_pair(wp.uint32(i), wp.uint32(pixel), dimension)


def new_stage():
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    return stage


def paint(stage, prim, **inputs):
    path = f"/World/Looks/{prim.GetName()}"
    material, shader = UsdShade.Material.Define(stage, path), UsdShade.Shader.Define(stage, f"{path}/Surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    for name, value in inputs.items():
        kind = Sdf.ValueTypeNames.Color3f if isinstance(value, tuple) else Sdf.ValueTypeNames.Float
        kind = Sdf.ValueTypeNames.Int if isinstance(value, int) else kind
        shader.CreateInput(name, kind).Set(Gf.Vec3f(*value) if isinstance(value, tuple) else value)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material)


def look_from(stage, place, rotation=(90.0, 0.0, 0.0), focal=35.0):
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.AddTranslateOp().Set(Gf.Vec3d(*place))
    camera.AddRotateXYZOp().Set(Gf.Vec3f(*rotation))
    camera.CreateFocalLengthAttr(focal)
    camera.CreateClippingRangeAttr(Gf.Vec2f(0.01, 1000.0))


def radiance(stage, device, *, size=(24, 36), samples=16, seed=0, emission=None, air_fields=None):
    """Radiance of each pixel in the light of the stage alone, [H, W, 3]."""
    renderer = Renderer(stage, device=device)
    camera = renderer.camera("/World/Camera", 0.0, size=size)
    pose = renderer._pose(0.0)
    renderer._world.place(pose)
    air, lamps = renderer._painter._lighting.decide(None, pose, [camera])
    plain_sky(air, renderer.scene.lights)
    if emission is not None:
        air.emission, air.exposure = emission, 1.0
    for name, value in (air_fields or {}).items():
        setattr(air, name, value)
    scene = (renderer._world.ray_ready(), renderer._world.atlas, air, lamps, make_view(camera, renderer._world.origin))
    total = PathTracer(renderer.scene, renderer._bands).trace(*scene, samples=samples, seed=seed)[0]
    renderer.close()
    return total.numpy().reshape(*size, 3).astype(np.float64) / samples


def test_draws_fill_every_elementary_interval(device):
    pairs = wp.zeros(64, dtype=wp.vec2, device=device)
    wp.launch(_draw_kernel, dim=64, inputs=[1234, 7], outputs=[pairs], device=device)
    points = pairs.numpy()
    assert points.min() >= 0.0 and points.max() < 1.0
    for power in range(7):  # a (0, 6, 2)-net in base 2: one point in each of the 64 boxes of every shape
        cells = np.floor(points[:, 0] * 2**power) * 2 ** (6 - power) + np.floor(points[:, 1] * 2 ** (6 - power))
        assert len(np.unique(cells)) == 64


@pytest.mark.parametrize("surface", [
    {"roughness": 0.05}, {"roughness": 0.5}, {"roughness": 1.0},
    {"roughness": 0.05, "metallic": 1.0}, {"roughness": 0.4, "metallic": 1.0}, {"roughness": 1.0, "metallic": 1.0},
    {"roughness": 0.6, "metallic": 0.5}, {"roughness": 0.7, "clearcoat": 1.0, "clearcoatRoughness": 0.2},
    {"roughness": 0.5, "opacity": 0.4}, {"roughness": 0.3, "ior": 2.4},
])  # fmt: skip
def test_a_white_sphere_vanishes_in_an_even_dome(device, surface):
    """The furnace: whatever arrives is sent on, no more and no less."""
    stage = new_stage()
    sphere = UsdGeom.Sphere.Define(stage, "/World/Sphere")
    paint(stage, sphere.GetPrim(), diffuseColor=(1.0, 1.0, 1.0), **surface)
    UsdLux.DomeLight.Define(stage, "/World/Sky").CreateIntensityAttr(1.0)
    look_from(stage, (0, -4, 0))
    seen = radiance(stage, device)
    assert seen.mean() == pytest.approx(1.0, abs=0.004)
    assert np.percentile(np.abs(seen - 1.0), 95) < 0.12


def test_a_grey_sphere_reflects_no_more_than_it_gets(device):
    stage = new_stage()
    sphere = UsdGeom.Sphere.Define(stage, "/World/Sphere")
    paint(stage, sphere.GetPrim(), diffuseColor=(0.5, 0.25, 0.1), roughness=0.9)
    UsdLux.DomeLight.Define(stage, "/World/Sky").CreateIntensityAttr(1.0)
    look_from(stage, (0, -4, 0), focal=80.0)
    middle = radiance(stage, device, samples=64)[8:16, 12:24].mean(axis=(0, 1))
    for seen, color in zip(middle, (0.5, 0.25, 0.1), strict=True):
        assert color < seen < color + 0.05


def test_light_in_a_closed_box_adds_up_to_the_geometric_series(device):
    """Walls that glow and reflect: the radiance is e / (1 - albedo), the highlight adding a little to the albedo."""
    stage = new_stage()
    box = UsdGeom.Cube.Define(stage, "/World/Box")
    paint(stage, box.GetPrim(), diffuseColor=(0.5,) * 3, roughness=1.0, emissiveColor=(1.0,) * 3)
    UsdLux.SphereLight.Define(stage, "/World/Far").AddTranslateOp().Set(Gf.Vec3d(0, 0, 50))
    look_from(stage, (0, 0, 0), focal=10.0)
    seen = radiance(stage, device, samples=64, emission=1.0)
    assert 1.0 / (1.0 - 0.5) * 0.99 < seen.mean() < 1.0 / (1.0 - 0.53)


def _rect(half_x, half_y):
    g = (np.arange(200) + 0.5) / 200 * 2 - 1
    x, y = np.meshgrid(g * half_x, g * half_y)
    points = np.stack([x.ravel(), y.ravel(), 0 * x.ravel()], -1)
    return points, np.tile((0.0, 0.0, -1.0), (len(points), 1)), np.full(len(points), 4 * half_x * half_y / len(points))


def _disk(radius):
    r, turn = np.meshgrid((np.arange(200) + 0.5) / 200 * radius, (np.arange(256) + 0.5) / 256 * 2 * np.pi)
    points = np.stack([(r * np.cos(turn)).ravel(), (r * np.sin(turn)).ravel(), 0 * r.ravel()], -1)
    return points, np.tile((0.0, 0.0, -1.0), (len(points), 1)), (r * radius / 200 * 2 * np.pi / 256).ravel()


def _sphere(radius):
    z, turn = np.meshgrid((np.arange(300) + 0.5) / 300 * 2 - 1, (np.arange(300) + 0.5) / 300 * 2 * np.pi)
    s = np.sqrt(1 - z**2)
    normals = np.stack([(s * np.cos(turn)).ravel(), (s * np.sin(turn)).ravel(), z.ravel()], -1)
    return normals * radius, normals, np.full(z.size, 4 * np.pi * radius**2 / z.size)


def _cylinder(radius, length):
    x, turn = np.meshgrid(((np.arange(200) + 0.5) / 200 - 0.5) * length, (np.arange(256) + 0.5) / 256 * 2 * np.pi)
    normals = np.stack([0 * x.ravel(), np.cos(turn).ravel(), np.sin(turn).ravel()], -1)
    points = normals * radius + np.stack([x.ravel(), 0 * x.ravel(), 0 * x.ravel()], -1)
    return points, normals, np.full(x.size, 2 * np.pi * radius * length / x.size)


def cone_share(cosine, angle, softness):
    """1 - smoothstep from (1 - softness) * angle to angle (UsdLux ShapingAPI)."""
    off = np.degrees(np.arccos(np.clip(cosine, -1, 1)))
    t = np.clip((off - angle * (1 - softness)) / max(angle * softness, 1e-9), 0, 1)
    return np.where(off > angle, 0.0, 1 - t * t * (3 - 2 * t))


LAMPS = {
    "rect": (UsdLux.RectLight, {"width": 1.2, "height": 0.6}, lambda: _rect(0.6, 0.3)),
    "disk": (UsdLux.DiskLight, {"radius": 0.5}, lambda: _disk(0.5)),
    "sphere": (UsdLux.SphereLight, {"radius": 0.4}, lambda: _sphere(0.4)),
    "cylinder": (UsdLux.CylinderLight, {"radius": 0.2, "length": 1.0}, lambda: _cylinder(0.2, 1.0)),
}


@pytest.mark.parametrize("shaped", [False, True])
@pytest.mark.parametrize("kind", list(LAMPS))
def test_a_matt_floor_under_each_lamp_has_the_integrated_irradiance(device, kind, shaped):
    define, sizes, surface = LAMPS[kind]
    stage, radiant, place = new_stage(), 7.0, np.array([0.3, 0.2, 1.6])
    floor = UsdGeom.Plane.Define(stage, "/World/Floor")
    floor.CreateAxisAttr("Z")
    paint(
        stage, floor.GetPrim(), diffuseColor=(0.4,) * 3, roughness=1.0, useSpecularWorkflow=1, specularColor=(0.0,) * 3
    )
    lamp = define.Define(stage, "/World/Lamp")
    lamp.CreateIntensityAttr(radiant)
    lamp.AddTranslateOp().Set(Gf.Vec3d(*place))
    for name, value in sizes.items():
        lamp.GetPrim().GetAttribute(f"inputs:{name}").Set(value)
    gain = np.ones
    if shaped:
        shaping = UsdLux.ShapingAPI.Apply(lamp.GetPrim())
        shaping.CreateShapingConeAngleAttr(40.0)
        shaping.CreateShapingConeSoftnessAttr(0.6)
        shaping.CreateShapingFocusAttr(2.0)
    look_from(stage, (0, 0, 1.0), rotation=(0, 0, 0), focal=400.0)
    points, normals, areas = surface()
    to = points + place
    far = np.linalg.norm(to, axis=1)
    w = to / far[:, None]
    cosine = w[:, 2]  # both off the floor's normal and, downwards, off the lamp's axis
    gain = cone_share(cosine, 40.0, 0.6) * cosine**2 if shaped else 1.0
    irradiance = np.sum(
        radiant * gain * np.clip(cosine, 0, None) * np.clip(-(w * normals).sum(1), 0, None) / far**2 * areas
    )
    seen = radiance(stage, device, size=(8, 8), samples=64).mean()
    assert seen == pytest.approx(0.4 / np.pi * irradiance, rel=0.02)


def test_a_matt_floor_under_a_sun_and_under_an_image_of_the_sky(device, tmp_path):
    import cv2

    sky = np.full((32, 64, 3), 0.2, np.float32)
    sky[3:6, 40:44] = 60.0  # a bright patch high in the sky
    cv2.imwrite(str(tmp_path / "sky.hdr"), sky[..., ::-1])
    sky = cv2.imread(str(tmp_path / "sky.hdr"), cv2.IMREAD_UNCHANGED)[..., ::-1].astype(np.float64)
    for lit in ("sun", "sky"):
        stage = new_stage()
        floor = UsdGeom.Plane.Define(stage, "/World/Floor")
        floor.CreateAxisAttr("Z")
        paint(
            stage,
            floor.GetPrim(),
            diffuseColor=(0.4,) * 3,
            roughness=1.0,
            useSpecularWorkflow=1,
            specularColor=(0.0,) * 3,
        )
        if lit == "sun":
            sun = UsdLux.DistantLight.Define(stage, "/World/Sun")
            sun.CreateAngleAttr(4.0)
            sun.CreateIntensityAttr(1000.0)
            sun.AddRotateXOp().Set(30.0)
            want = 1000.0 * np.pi * np.sin(np.radians(2.0)) ** 2 * np.cos(np.radians(30.0))
        else:
            dome = UsdLux.DomeLight_1.Define(stage, "/World/Sky")  # its pole is the stage's up axis
            dome.CreateTextureFileAttr(str(tmp_path / "sky.hdr"))
            latitude = np.pi * (0.5 - (np.arange(32) + 0.5) / 32)
            weight = np.clip(np.sin(latitude), 0, None) * np.cos(latitude) * (np.pi / 32) * (2 * np.pi / 64)
            want = (sky[..., 1] * weight[:, None]).sum()
        look_from(stage, (0, 0, 1.0), rotation=(0, 0, 0), focal=400.0)
        seen = radiance(stage, device, size=(8, 8), samples=256).mean()
        assert seen == pytest.approx(0.4 / np.pi * want, rel=0.025), lit


def place_yard():
    """A small yard with a crate under sun, sky and a lamp."""
    stage = new_stage()
    ground = UsdGeom.Cube.Define(stage, "/World/Ground")
    ground.AddTranslateOp().Set(Gf.Vec3d(0, 0, -1))
    ground.AddScaleOp().Set(Gf.Vec3f(30, 30, 1))
    paint(stage, ground.GetPrim(), diffuseColor=(0.4, 0.38, 0.35), roughness=0.8)
    crate = UsdGeom.Cube.Define(stage, "/World/Crate")
    crate.CreateSizeAttr(1.0)
    crate.AddTranslateOp().Set(Gf.Vec3d(0, 0, 0.5))
    paint(stage, crate.GetPrim(), diffuseColor=(0.6, 0.3, 0.15), roughness=0.5)
    sun = UsdLux.DistantLight.Define(stage, "/World/Sun")
    sun.CreateIntensityAttr(3.0)
    sun.CreateNormalizeAttr(True)
    sun.AddRotateXYZOp().Set(Gf.Vec3f(40, 20, 0))
    UsdLux.DomeLight.Define(stage, "/World/Sky").CreateIntensityAttr(0.4)
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    lamp.CreateRadiusAttr(0.1)
    lamp.CreateIntensityAttr(40.0)
    lamp.AddTranslateOp().Set(Gf.Vec3d(1.2, -1.0, 1.5))
    look_from(stage, (2.0, -5.0, 2.0), rotation=(75.0, 0.0, 20.0))
    return stage


@pytest.fixture(scope="module")
def yard():
    renderer = Renderer(place_yard(), device="cpu", threads=1)
    yield renderer
    renderer.close()


def picture(renderer, **options):
    drawn = renderer.render("/World/Camera", 0.0, size=(36, 64), quality="reference", **options)
    return drawn.rgb.numpy().copy()


def test_one_seed_is_one_picture_on_any_number_of_threads(yard):
    first = picture(yard, samples=4, seed=3)
    assert np.array_equal(first, picture(yard, samples=4, seed=3))
    assert not np.array_equal(first, picture(yard, samples=4, seed=4))
    for threads in (2, 5):
        other = Renderer(place_yard(), device="cpu", threads=threads)
        assert np.array_equal(first, picture(other, samples=4, seed=3))
        other.close()


def test_noise_falls_as_samples_grow():
    """Sixteen times the samples leave at most a quarter of the noise."""
    best = radiance(place_yard(), "cpu", samples=1024, seed=99)
    errors = [np.sqrt(np.mean((radiance(place_yard(), "cpu", samples=n) - best) ** 2)) for n in (4, 64)]
    assert 3.5 < errors[0] / errors[1] < 12.0


def test_reference_and_interactive_agree_on_direct_light(yard):
    quick = yard.render("/World/Camera", 0.0, size=(36, 64)).rgb.numpy().astype(float)
    traced = picture(yard, samples=64).astype(float)
    ground = yard.render("/World/Camera", 0.0, size=(36, 64)).instance_ids.numpy() == 1
    assert abs(traced[ground].mean() - quick[ground].mean()) < 0.08 * quick[ground].mean()
    assert np.corrcoef(traced[..., 1].ravel(), quick[..., 1].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("look", [Look(sun_elevation=30.0), Look(sun_elevation=-10.0), Look(fog=0.6), Look(rain=0.7)])
def test_every_look_lights_the_reference_too(yard, look):
    quick = yard.render("/World/Camera", 0.0, size=(36, 64), look=look, particles=False).rgb.numpy().astype(float)
    traced = picture(yard, samples=16, look=look, particles=False).astype(float)
    assert abs(traced.mean() - quick.mean()) < 0.3 * quick.mean()


@pytest.mark.parametrize("look", [Look(rain=0.3), Look(sun_elevation=-2.0, overcast=0.5), Look(fog=0.1)])
def test_the_sky_lies_behind_as_much_air_in_both_qualities(yard, look):
    """The camera's far plane ends what is drawn, not the air."""
    pose = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 1.0, 0.0, 2.0], [0.0, 0.0, 0.0, 1.0]])
    camera = replace(yard.camera("/World/Camera", 0.0, size=(36, 64)), cam_to_world=pose, far=60.0)
    frame = yard.render(camera, 0.0, look=look, particles=False)
    sky, quick = ~np.isfinite(frame.depth.numpy()), frame.rgb.numpy().astype(float)
    frame = yard.render(camera, 0.0, look=look, particles=False, quality="reference", samples=16)
    assert sky.sum() > 100
    assert abs(frame.rgb.numpy()[sky].mean() - quick[sky].mean()) < 1.5


@pytest.mark.parametrize("openness", [1.0, 0.4, 0.0])
def test_haze_outside_is_as_bright_whatever_roof_the_stage_has(device, openness):
    """A ground under a black sky that haze hides wholly, against the integral of haze over the half sphere."""
    stage = new_stage()
    ground = UsdGeom.Mesh.Define(stage, "/World/Ground")
    ground.CreatePointsAttr([(-50, -50, 0), (50, -50, 0), (50, 50, 0), (-50, 50, 0)])
    ground.CreateFaceVertexCountsAttr([4])
    ground.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    black = (0.0, 0.0, 0.0)
    paint(
        stage, ground.GetPrim(), diffuseColor=(0.5, 0.5, 0.5), roughness=1.0, useSpecularWorkflow=1, specularColor=black
    )
    look_from(stage, (0.0, 0.0, 1.5), rotation=(0.0, 0.0, 0.0))
    dim = 0.25 + 0.75 * openness  # of the haze between walls, as the look's air has it
    dark = {name: wp.vec3(*black) for name in ("sun_color", "zenith", "horizon", "ground", "glow", "haze_glow", "disk")}
    air = {**dark, "open": openness, "haze": 1e-3, "haze_height": 1e6, "haze_color": wp.vec3(*(dim, dim, dim))}
    got = radiance(stage, device, size=(12, 16), samples=64, air_fields=air)
    cosine = (np.arange(100_000, dtype=np.float64) + 0.5) / 100_000
    arriving = np.mean(2.0 * cosine * (0.86 + 0.3 * np.minimum(cosine + 0.2, 1.0)))
    assert got.mean() == pytest.approx(0.5 * arriving + 1.5e-3 * 0.86 * dim, rel=0.01)


def test_lamps_glow_in_the_haze_of_the_reference(device):
    """Before a black sky, against the integral of single scattering along each pixel's ray in float64."""
    stage, size = new_stage(), (12, 16)
    behind = UsdGeom.Mesh.Define(stage, "/World/Behind")
    behind.CreatePointsAttr([(-1, -5, 0), (1, -5, 0), (0, -5, 1)])
    behind.CreateFaceVertexCountsAttr([3])
    behind.CreateFaceVertexIndicesAttr([0, 1, 2])
    place, radius, sent, haze = np.array([1.0, 12.0, 0.8]), 0.05, 40_000.0, 0.02
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    lamp.CreateRadiusAttr(radius)
    lamp.CreateIntensityAttr(sent)
    lamp.AddTranslateOp().Set(Gf.Vec3d(*place))
    look_from(stage, (0.0, 0.0, 0.0))
    dark = ("sun_color", "zenith", "horizon", "ground", "glow", "haze_glow", "disk", "haze_color")
    air = {name: wp.vec3(0.0, 0.0, 0.0) for name in dark} | {"haze_tint": wp.vec3(1.0, 0.5, 0.25), "exposure": 1e6}
    air |= {"haze": haze, "haze_height": 1e9, "floor": -1e3}
    got = radiance(stage, device, size=size, samples=16, air_fields=air)
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    wide = 20.955 / 35.0
    rays = np.stack([(x / 16 - 0.5) * wide, np.ones(size), (0.5 - y / 12) * wide * 12 / 16], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    flat = rays.reshape(-1, 3)
    lamp = {"place": place, "radius": radius, "radiance": sent, "haze": haze}
    expected = scattered(np.zeros_like(flat), flat, np.full(len(flat), 400.0), **lamp).reshape(size)
    clear = np.linalg.norm(np.cross(place, rays), axis=-1) > 0.8  # nearer, a pixel spans too much of the halo
    assert clear.sum() > 100
    np.testing.assert_allclose(got[..., 1:], got[..., :1] * [[0.5, 0.25]], rtol=1e-4)
    np.testing.assert_allclose(got[clear][:, 0], expected[clear], rtol=0.12)  # the halo is summed in five steps


def test_progress_is_told_and_may_end_the_frame(yard):
    told = []
    picture(yard, samples=3, progress=lambda *step: told.append(step))
    assert told == [("samples", 1, 3), ("samples", 2, 3), ("samples", 3, 3)]

    def stop(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        picture(yard, samples=3, progress=stop)
    assert picture(yard, samples=1).any()


def test_the_filter_takes_most_of_the_noise_and_nothing_else(yard):
    best = picture(yard, samples=512, seed=77).astype(float)
    errors = [
        np.sqrt(np.mean((picture(yard, samples=8, denoise=denoise).astype(float) - best) ** 2))
        for denoise in (False, True)
    ]
    assert errors[1] < 0.6 * errors[0]
    cleaned = picture(yard, samples=8, denoise=True).astype(float)
    assert abs(cleaned.mean() - best.mean()) < 0.01 * best.mean()


def test_the_linear_picture_is_the_traced_one(yard):
    """HdrColor tone-mapped (S. Hill's fit of ACES) and encoded gives rgb."""
    got = yard.annotate(
        "/World/Camera", 0.0, ("rgb", "HdrColor"), size=(36, 64), quality="reference", samples=4, seed=5
    )
    linear = np.asarray(got["HdrColor"], np.float64)[..., :3]
    into = np.array([[0.59719, 0.35458, 0.04823], [0.07600, 0.90834, 0.01566], [0.02840, 0.13383, 0.83777]])
    out = np.array([[1.60475, -0.53108, -0.07367], [-0.10208, 1.10813, -0.00605], [-0.00327, -0.07276, 1.07602]])
    v = linear @ into.T
    v = np.clip((v * (v + 0.0245786) - 0.000090537) / (v * (0.983729 * v + 0.4329510) + 0.238081) @ out.T, 0, 1)
    encoded = np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055) * 255
    assert np.abs(encoded - np.asarray(got["rgb"])[..., :3].astype(float)).max() < 1.5


def test_wrong_numbers_are_refused(yard):
    with pytest.raises(ValueError, match="quality must be"):
        yard.render("/World/Camera", 0.0, size=(8, 8), quality="best")
    with pytest.raises(ValueError, match="1 to 65536 samples"):
        picture(yard, samples=0)
    with pytest.raises(ValueError, match="must not be negative"):
        picture(yard, seed=-1)


def test_a_hole_is_seen_through_and_lets_light_through(device, tmp_path):
    """A board whose image is clear in its left half, before an even sky: the left half of the picture is sky."""
    import cv2

    image = np.full((8, 8, 4), 255, np.uint8)
    image[:, :4, 3] = 0
    cv2.imwrite(str(tmp_path / "board.png"), image)
    stage = new_stage()
    board = UsdGeom.Mesh.Define(stage, "/World/Board")
    board.CreatePointsAttr([(-1, 0, -1), (1, 0, -1), (1, 0, 1), (-1, 0, 1)])
    board.CreateFaceVertexCountsAttr([4])
    board.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    uvs = UsdGeom.PrimvarsAPI(board).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "vertex")
    uvs.Set([(0, 0), (1, 0), (1, 1), (0, 1)])
    paint(stage, board.GetPrim(), diffuseColor=(0.0, 0.0, 0.0), opacityThreshold=0.5, roughness=1.0)
    surface = UsdShade.Shader.Get(stage, "/World/Looks/Board/Surface")
    texture = UsdShade.Shader.Define(stage, "/World/Looks/Board/Image")
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(str(tmp_path / "board.png"))
    coordinates = UsdShade.Shader.Define(stage, "/World/Looks/Board/Place")
    coordinates.CreateIdAttr("UsdPrimvarReader_float2")
    coordinates.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    place = coordinates.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    texture.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(place)
    alpha = texture.CreateOutput("a", Sdf.ValueTypeNames.Float)
    surface.CreateInput("opacity", Sdf.ValueTypeNames.Float).ConnectToSource(alpha)
    UsdLux.DomeLight.Define(stage, "/World/Sky").CreateIntensityAttr(1.0)
    look_from(stage, (0, -1.0, 0), focal=40.0)
    seen = radiance(stage, device, samples=16)
    np.testing.assert_allclose(seen[:, :17], 1.0, atol=1e-4)
    assert seen[:, 20:].max() < 0.2
