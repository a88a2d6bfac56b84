"""Light maps: a white and a mirror ball agree with white and mirroring things, the air with Beer-Lambert."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdShade  # noqa: TID253

from cosmos.bridge.render.draw import daylight
from cosmos.bridge.render.draw.visibility import Visibility
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Camera, Look
from cosmos.bridge.types.probe import FALLING_FIRST, FALLING_RATIO, FALLING_SHAPE
from halo import scattered
from tone import toned, untoned

SIZE = (36, 64)
PLAIN = Look(detail=0.0, vignette=0.0, sun_elevation=40.0, sun_azimuth=200.0)


def paint(stage, prim, **inputs):
    """Give a prim a UsdPreviewSurface."""
    path = f"/Looks/{prim.GetName()}"
    material = UsdShade.Material.Define(stage, path)
    shader = UsdShade.Shader.Define(stage, f"{path}/Surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    for name, value in inputs.items():
        kind = "Color3f" if isinstance(value, tuple) else "Float"
        shader.CreateInput(name, getattr(Sdf.ValueTypeNames, kind)).Set(
            Gf.Vec3f(*value) if kind == "Color3f" else value
        )
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(prim).Bind(material)


def slab(stage, name, low, high):
    """A box between two corners."""
    cube = UsdGeom.Cube.Define(stage, f"/World/{name}")
    cube.CreateSizeAttr(1.0)
    low, high = np.array(low, float), np.array(high, float)
    cube.AddTranslateOp().Set(Gf.Vec3d(*((low + high) / 2.0)))
    cube.AddScaleOp().Set(Gf.Vec3f(*(high - low)))
    return cube.GetPrim()


@pytest.fixture
def yard():
    """A matt ground of albedo 0.8 with a red block on it."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    ground = slab(stage, "Ground", (-60, -60, -1), (60, 60, 0))
    paint(
        stage, ground, diffuseColor=(0.8, 0.8, 0.8), roughness=1.0, specularColor=(0.0, 0.0, 0.0), useSpecularWorkflow=1
    )
    paint(stage, slab(stage, "Block", (-1, 3, 0), (1, 5, 2)), diffuseColor=(0.7, 0.05, 0.05), roughness=1.0)
    return stage


def camera(height=1.6):
    view = np.eye(4)
    view[:3, :3] = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]  # along +Y, Z up
    view[:3, 3] = (0.0, -4.0, height)
    lens = np.array([[60.0, 0, SIZE[1] / 2], [0, 60.0, SIZE[0] / 2], [0, 0, 1]])
    return Camera(prim_path="/Eye", height=SIZE[0], width=SIZE[1], intrinsics=lens, cam_to_world=view)


def draw(stage, device, look):
    renderer = Renderer(stage, device=device, threads=1)
    frame = renderer.render(camera(), 0.0)
    depth, ids = frame.depth.numpy().copy(), frame.instance_ids.numpy().copy()
    names = {i: item.prim_path for i, item in frame.instances.items()}
    maps = {name: values.astype(int) for name, values in kept(renderer.light(camera(), 0.0, look)).items()}
    ground = np.isin(ids, [i for i, path in names.items() if path.endswith("Ground")])
    return renderer, depth, ground, maps


def kept(maps):
    """A copy of light maps."""
    return {
        name: getattr(maps, name).numpy().copy()
        for name in ("relit", "white", "mirror", "air", "glow", "open", "falling")
    }


def inner(mask):
    """Pixels whose neighbours are in the mask as well: no anti-aliased rim."""
    out = mask.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            out &= np.roll(mask, step, axis)
    out[[0, -1]] = out[:, [0, -1]] = False
    return out


@pytest.mark.parametrize("elevation", [40.0, 8.0, -12.0])
def test_white_ground_is_the_white_map(yard, device, elevation):
    look = Look(detail=0.0, vignette=0.0, sun_elevation=elevation, sun_azimuth=200.0, fog=0.2)
    _, _, ground, maps = draw(yard, device, look)
    assert ground.mean() > 0.3
    apart = np.abs(maps["relit"] - maps["white"])[inner(ground)]
    assert np.percentile(apart, 97) <= 6 and apart.mean() < 2.5  # the rim of a shadow is anti-aliased in one of them


@pytest.mark.parametrize(("elevation", "overcast"), [(40.0, 0.9), (-3.0, 0.0)])
def test_ground_seen_at_a_slant_mirrors_the_wall_behind_it_as_traced(device, elevation, overcast):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    paint(stage, slab(stage, "Ground", (-60, -60, -1), (60, 60, 0)), diffuseColor=(0.2, 0.2, 0.2), roughness=0.6)
    paint(stage, slab(stage, "Wall", (-60, 20, 0), (60, 21, 30)), diffuseColor=(0.05, 0.05, 0.05), roughness=1.0)
    look = replace(PLAIN, sun_elevation=elevation, overcast=overcast)
    renderer, _, ground, maps = draw(stage, device, look)
    traced = renderer.render(camera(), 0.0, look=look, particles=False, quality="reference", samples=64).rgb.numpy()
    # About 1.1; by openness within 2 m it was 1.33 and 1.44.
    assert abs(maps["relit"][ground].mean() / traced[ground].mean() - 1.0) < 0.15


def test_ground_seen_at_a_slant_mirrors_a_wall_in_the_walls_colour(device):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    paint(stage, slab(stage, "Ground", (-60, -60, -1), (60, 60, 0)), diffuseColor=(0.01, 0.01, 0.01), roughness=0.5)
    paint(stage, slab(stage, "Wall", (-60, 20, 0), (60, 21, 30)), diffuseColor=(0.7, 0.05, 0.05), roughness=1.0)
    look = replace(PLAIN, sun_elevation=20.0, sun_azimuth=270.0)
    renderer, _, ground, maps = draw(stage, device, look)
    relit, traced = untoned(maps["relit"])[ground].mean(axis=0), traced_light(renderer, look)[ground].mean(axis=0)
    assert traced[0] > 2.0 * traced[2]
    assert abs(relit[0] / relit[2] / (traced[0] / traced[2]) - 1.0) < 0.15


def traced_light(renderer, look, samples=64):
    """The path-traced picture as linear light."""
    frame = renderer.render(camera(), 0.0, look=look, particles=False, quality="reference", samples=samples)
    return untoned(frame.rgb.numpy())


@pytest.mark.parametrize(("elevation", "overcast"), [(55.0, 0.0), (8.0, 0.0), (40.0, 0.9), (-3.0, 0.0)])
def test_open_ground_is_as_bright_as_traced_by_sky_and_air(yard, device, elevation, overcast):
    look = replace(PLAIN, sun_elevation=elevation, overcast=overcast)
    renderer, _, ground, maps = draw(yard, device, look)
    near = inner(ground) & (np.arange(SIZE[0]) > 27)[:, None]
    ratio = untoned(maps["relit"])[near].mean(0) / traced_light(renderer, look)[near].mean(0)
    assert np.abs(ratio - 1.0).max() < 0.03  # sky without the air before it: red 0.85 by day, blue 1.14 at dusk


@pytest.mark.parametrize(("elevation", "overcast"), [(40.0, 0.9), (-3.0, 0.0)])
def test_a_room_in_an_open_stage_is_as_dark_as_traced(device, elevation, overcast):
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    paint(stage, slab(stage, "Ground", (-60, -60, -1), (60, 60, 0)), diffuseColor=(0.35, 0.35, 0.35), roughness=1.0)
    for name, low, high in (
        ("Left", (-5.2, 4, 0), (-5, 12, 4)),
        ("Right", (5, 4, 0), (5.2, 12, 4)),
        ("Back", (-5.2, 12, 0), (5.2, 12.2, 4)),
        ("Roof", (-5.2, 4, 4), (5.2, 12.2, 4.2)),
    ):
        paint(stage, slab(stage, name, low, high), diffuseColor=(0.7, 0.7, 0.7), roughness=1.0)
    look = replace(PLAIN, sun_elevation=elevation, sun_azimuth=90.0, overcast=overcast)
    renderer, depth, _, maps = draw(stage, device, look)
    inside = inner((depth > 10.0) & (depth < 16.5) & (np.abs(np.arange(SIZE[1]) - 31.5) < 18))
    assert inside.sum() > 60
    ratio = untoned(maps["relit"])[inside].mean() / traced_light(renderer, look, 256)[inside].mean()
    assert abs(ratio - 1.0) < 0.15  # where all that rays meet got the sky of the whole stage, 1.37 on a dull day


def test_the_relit_frame_is_the_look_without_wear_and_weather(yard, device):
    renderer, _, _, maps = draw(yard, device, PLAIN)
    drawn = renderer.render(camera(), 0.0, look=PLAIN, particles=False).rgb.numpy().astype(int)
    assert np.abs(drawn - maps["relit"]).mean() < 2.0  # the look's picture spends more rays
    wet = renderer.light(camera(), 0.0, Look(detail=1.0, vignette=0.0, sun_elevation=40.0, snow=1.0, rain=1.0))
    red = wet.relit.numpy().astype(int)[16, 32]
    assert red[0] > 1.5 * red[2]  # the block keeps its colour under snow and rain


def test_lamps_glow_in_fog_as_they_do_in_the_look(yard, device):
    """Found at few pixels and carried to the others; the picture of the look finds it at every sample."""
    lamp = UsdLux.SphereLight.Define(yard, "/World/Lamp")
    lamp.CreateRadiusAttr(0.1)
    lamp.CreateIntensityAttr(4000.0)
    lamp.AddTranslateOp().Set(Gf.Vec3d(0.4, 1.0, 2.2))
    look = replace(PLAIN, sun_elevation=-15.0, fog=0.7)
    renderer, _, _, maps = draw(yard, device, look)
    picture = renderer.render(camera(), 0.0, look=look, particles=False).rgb.numpy().astype(int)
    share = ((maps["glow"] / 255.0 + 0.055) / 1.055) ** 2.4
    assert share.max() > 0.1
    off = np.abs(toned(untoned(maps["relit"]) + share / (1.0 - share)) - picture).max(axis=-1)
    assert off.mean() < 4.0 and np.percentile(off, 90.0) <= 12.0  # the look spends more rays on half-shadows


def test_the_shadow_of_a_small_thing_under_a_lamp_shows(device):
    """Where it lies is geometry: the lamp is a point, the shadow of a board half as wide again as the board."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    matt = {"roughness": 1.0, "specularColor": (0.0, 0.0, 0.0), "useSpecularWorkflow": 1}
    paint(stage, slab(stage, "Ground", (-60, -60, -1), (60, 60, 0)), diffuseColor=(0.8, 0.8, 0.8), **matt)
    paint(stage, slab(stage, "Board", (-0.4, 5.6, 2.0), (0.4, 6.4, 2.02)), diffuseColor=(0.1, 0.1, 0.1), **matt)
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    lamp.CreateRadiusAttr(0.02)
    lamp.CreateIntensityAttr(200000.0)
    lamp.AddTranslateOp().Set(Gf.Vec3d(0.0, 6.0, 6.0))
    view = camera(2.5).cam_to_world
    lens = np.array([[200.0, 0, 128], [0, 200.0, 72], [0, 0, 1]])
    eye = Camera(prim_path="/Eye", height=144, width=256, intrinsics=lens, cam_to_world=view)
    renderer = Renderer(stage, device=device, threads=1)
    relit = untoned(renderer.light(eye, 0.0, replace(PLAIN, sun_elevation=-15.0)).relit.numpy()).mean(axis=-1)
    v, u = np.mgrid[:144, :256] + 0.5
    far = 2.5 * 200.0 / np.maximum(v - 72.0, 1e-6)  # of the ground [m]
    x, y = np.abs((u - 128.0) / 200.0 * far), np.abs(far - 4.0 - 6.0)
    inside, beside = (x < 0.45) & (y < 0.4), (x > 0.9) & (x < 1.4) & (y < 0.4)
    assert inside.sum() > 60 and beside.sum() > 60
    assert relit[inside].mean() < 0.4 * relit[beside].mean()  # it was 0.8 while all cells shared their lamps


def test_highlights_of_many_lamps_on_a_ball_are_those_of_paths(device):
    """Of five lamps two matter most to a cell; the others' highlights on what is not rough ended at its rim."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    paint(stage, slab(stage, "Ground", (-20, -20, -1), (20, 20, 0)), diffuseColor=(0.2, 0.2, 0.2), roughness=1.0)
    ball = UsdGeom.Sphere.Define(stage, "/World/Ball")
    ball.CreateRadiusAttr(1.3)
    ball.AddTranslateOp().Set(Gf.Vec3d(0.0, 1.0, 1.6))
    paint(stage, ball.GetPrim(), diffuseColor=(0.05, 0.02, 0.1), roughness=0.4)
    for number, (x, y) in enumerate(((-3.0, -2.0), (3.0, -1.5), (0.0, 4.5), (4.0, 4.0), (-4.0, 3.5))):
        lamp = UsdLux.SphereLight.Define(stage, f"/World/Lamp{number}")
        lamp.CreateRadiusAttr(0.1)
        lamp.CreateIntensityAttr(900.0)
        lamp.AddTranslateOp().Set(Gf.Vec3d(x, y, 4.0))
    night = replace(PLAIN, sun_elevation=-14.0)
    renderer = Renderer(stage, device=device, threads=1)
    frame = renderer.render(camera(), 0.0)
    (number,) = [i for i, item in frame.instances.items() if item.prim_path.endswith("Ball")]
    shown = inner(frame.instance_ids.numpy() == number)
    relit = renderer.light(camera(), 0.0, night).relit.numpy().astype(float)
    reference = {"quality": "reference", "samples": 128, "particles": False}
    traced = renderer.render(camera(), 0.0, look=night, **reference).rgb.numpy().astype(float)
    assert shown.sum() > 500 and np.abs(relit - traced).mean(axis=2)[shown].max() < 22.0  # it was 36


def test_shadows_in_a_halo_are_as_soft_as_its_air_is_deep(device, monkeypatch):
    """A board before a lamp, by each place along each pixel's ray having its own sight of the lamp, in float64."""
    monkeypatch.setattr(daylight, "_haze_height", lambda look: 1e6)  # even air
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    slab(stage, "Ground", (-90, -90, -4), (90, 90, -3))
    slab(stage, "Board", (-3.0, 7.99, -1.0), (0.0, 8.01, 6.0))
    place = np.array([0.5, 12.0, 1.0])
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    lamp.CreateRadiusAttr(0.05)
    lamp.CreateIntensityAttr(40_000.0)
    lamp.AddTranslateOp().Set(Gf.Vec3d(*place))
    look = replace(PLAIN, sun_elevation=-15.0, fog=0.25)
    renderer = Renderer(stage, device=device, threads=1)
    lens = np.array([[120.0, 0.0, 64.0], [0.0, 120.0, 36.0], [0.0, 0.0, 1.0]])
    eye = replace(camera(0.0), height=72, width=128, intrinsics=lens)
    depth = renderer.render(eye, 0.0).depth.numpy().copy()
    level = renderer.light(eye, 0.0, look).glow.numpy()[..., 1] / 255.0
    haze = renderer._painter._lighting.decide(look, renderer._pose(0.0), [eye])[0].haze
    renderer.close()
    y, x = np.mgrid[2:72:4, 2:128:4]
    rays = np.stack([(x + 0.5 - 64) / 120, np.ones(x.shape), (36 - y - 0.5) / 120], axis=-1).reshape(-1, 3)
    far = np.where(np.isfinite(depth[y, x]), depth[y, x], 300.0).reshape(-1) * np.linalg.norm(rays, axis=1)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)

    def behind_the_board(points):
        share = (8.0 - points[:, 1]) / (place - points)[:, 1]
        met = points + share[:, None] * (place - points)
        inside = (met[:, 0] > -3.0) & (met[:, 0] < 0.0) & (met[:, 2] > -1.0) & (met[:, 2] < 6.0)
        return (share > 0.0) & (share < 1.0) & inside

    lamp = {"place": place, "radius": 0.05, "radiance": 40_000.0, "haze": haze, "shadow": behind_the_board}
    expected = scattered(np.tile([0.0, -4.0, 0.0], (len(rays), 1)), rays, far, **lamp)
    share = (((level + 0.055) / 1.055) ** 2.4)[y, x].reshape(-1)
    got = share / (1.0 - share)
    seen = np.linalg.norm(np.cross(place - [0.0, -4.0, 0.0], rays), axis=1) > 0.8
    got, expected = (values[seen] / np.median(values[seen]) for values in (got, expected))
    off = np.abs(np.log(got / expected))
    assert off.mean() < 0.2 and np.percentile(off, 95.0) < 0.7  # a ray a lamp and block, asked by 5 x 5 blocks


def test_a_mirror_shows_what_a_mirroring_ground_shows(yard, device):
    ground = yard.GetPrimAtPath("/World/Ground")
    paint(yard, ground, diffuseColor=(1.0, 1.0, 1.0), roughness=0.0, metallic=1.0, useSpecularWorkflow=0)
    _, _, ground, maps = draw(yard, device, replace(PLAIN, rain=0.3))
    apart = np.abs(maps["relit"] - maps["mirror"])[inner(ground)]
    assert np.percentile(apart, 95) <= 8
    below = maps["mirror"][33:35, 30:34].reshape(-1, 3)  # the block, upside down, in the ground before it
    assert (below[:, 0] > 1.3 * below[:, 2]).all()
    assert not draw(yard, device, PLAIN)[3]["mirror"].any()  # nothing will be wet


def test_the_air_lets_pass_what_beer_and_lambert_say(yard, device):
    look = Look(detail=0.0, vignette=0.0, sun_elevation=40.0, fog=0.45)
    _, depth, ground, maps = draw(yard, device, look)
    y, x = np.nonzero(ground)
    distance = depth[y, x] * np.sqrt(1.0 + ((x + 0.5 - 32) / 60.0) ** 2 + ((y + 0.5 - 18) / 60.0) ** 2)
    extinction = 3.9 / 8.0 * 0.45**1.9 + 0.0002  # Koschmieder; a metre or two of height change little of it
    clear = maps["air"][y, x, 3] / 255.0
    np.testing.assert_allclose(clear, np.exp(-extinction * distance), atol=0.02)


def test_where_nothing_is_met_the_air_is_the_sky(yard, device):
    _, depth, _, maps = draw(yard, device, PLAIN)
    sky = inner(~np.isfinite(depth))
    assert sky.mean() > 0.1
    assert np.abs(maps["air"][..., :3] - maps["relit"])[sky].max() <= 1
    assert not maps["air"][sky][:, 3].any() and not maps["white"][sky].any() and not maps["mirror"][sky].any()


@pytest.mark.parametrize(
    ("elevation", "snow", "lamp"),
    [(12.0, 0.4, False), (-13.0, 1.0, False), (-13.0, 1.0, True)],
    ids=["low sun", "headlights", "lamp"],
)
def test_the_white_map_is_as_uneven_as_the_snow_that_lies_there(yard, device, elevation, snow, lamp):
    """Snow shades by its own bumps: what a white ball shows of them is what paths find."""
    if lamp:
        light = UsdLux.SphereLight.Define(yard, "/World/Lamp")
        light.CreateIntensityAttr(3000.0)
        light.CreateRadiusAttr(0.2)
        light.AddTranslateOp().Set(Gf.Vec3d(-3.0, 2.0, 0.7))
    look = Look(detail=0.0, vignette=0.0, sun_elevation=elevation, sun_azimuth=200.0, snow=snow)
    lens = np.array([[120.0, 0, 64.0], [0, 120.0, 36.0], [0, 0, 1]])
    eye = replace(camera(0.8), height=72, width=128, intrinsics=lens)
    renderer = Renderer(yard, device=device, threads=1)
    white = renderer.light(eye, 0.0, look).white.numpy().copy()
    frame = renderer.render(eye, 0.0, look=look, particles=False, quality="reference", samples=256)
    near = frame.depth.numpy() < 4.0
    assert near.sum() > 1000
    found, wanted = (uneven(untoned(picture).mean(-1), near) for picture in (white, frame.rgb.numpy()))
    assert wanted.std() > 0.015  # drifts, which a white ball knows nothing of, have their part in it
    assert np.corrcoef(found, wanted)[0, 1] > 0.65
    assert 0.4 < found.std() / wanted.std() < 1.3


@pytest.mark.parametrize("roofed", [False, True])
def test_what_no_snow_reaches_is_as_even_as_it_was(yard, device, roofed):
    """In a hall at night, whatever snows outside, a lamp finds no bumps on the floor."""
    light = UsdLux.SphereLight.Define(yard, "/World/Lamp")
    light.CreateIntensityAttr(3000.0)
    light.CreateRadiusAttr(0.2)
    light.AddTranslateOp().Set(Gf.Vec3d(-3.0, 2.0, 0.7))
    if roofed:
        slab(yard, "Roof", (-40, -40, 4), (40, 40, 5))
    bare = Look(detail=0.0, vignette=0.0, sun_elevation=-13.0, sun_azimuth=200.0)
    lens = np.array([[120.0, 0, 64.0], [0, 120.0, 36.0], [0, 0, 1]])
    eye = replace(camera(0.8), height=72, width=128, intrinsics=lens)
    renderer = Renderer(yard, device=device, threads=1)
    near = renderer.render(eye, 0.0).depth.numpy() < 4.0
    whites = [renderer.light(eye, 0.0, look).white.numpy().copy() for look in (bare, replace(bare, snow=1.0))]
    without, snowed = (uneven(untoned(white).mean(-1), near) for white in whites)
    assert ((snowed - without).std() < 0.01) == roofed


def uneven(light, mask):
    """How far light lies from its mean of 9 x 9 pixels, as a share of that, where the mask is."""
    mean = cv2.blur(light.astype(np.float64), (9, 9))
    return (light / mean - 1.0)[mask]


def test_under_a_roof_nothing_arrives_from_the_sky(yard, device):
    snow = replace(PLAIN, snow=0.5)
    _, _, ground, maps = draw(yard, device, snow)
    assert (maps["open"][inner(ground)] > 250).mean() > 0.9
    slab(yard, "Roof", (-60, -60, 6), (60, 60, 6.2))
    _, _, ground, maps = draw(yard, device, snow)
    assert (maps["open"][ground] == 0).mean() > 0.9  # near the roof's far rim it blows in
    assert not draw(yard, device, PLAIN)[3]["open"].any()  # nothing falls


@pytest.mark.parametrize("flat", [0.15, 0.425, 0.5, 0.9])
def test_snow_stays_by_the_slope_of_the_facet_not_by_its_smooth_normals(yard, device, flat):
    """A ramp towards the camera whose normals say that it lies flat; the share is a Hermite step from 0.25 to 0.6."""
    rise = np.sqrt(1.0 - flat**2)
    ramp = UsdGeom.Mesh.Define(yard, "/World/Ramp")
    ramp.CreatePointsAttr([(x, 1.0 + t * 2.0 * flat, t * 2.0 * rise) for x, t in ((-2, 0), (2, 0), (2, 1), (-2, 1))])
    ramp.CreateFaceVertexCountsAttr([4])
    ramp.CreateFaceVertexIndicesAttr([0, 1, 2, 3])
    ramp.CreateSubdivisionSchemeAttr("none")
    ramp.CreateNormalsAttr([(0, 0, 1)] * 4)
    renderer, _, _, snowed = draw(yard, device, replace(PLAIN, snow=0.5))
    frame = renderer.render(camera(), 0.0)
    (number,) = [i for i, item in frame.instances.items() if item.prim_path.endswith("Ramp")]
    shown = inner(frame.instance_ids.numpy() == number)
    t = np.clip((flat - 0.25) / 0.35, 0.0, 1.0)
    assert shown.sum() > 100 and np.abs(snowed["open"][shown] - 255.0 * t * t * (3.0 - 2.0 * t)).max() <= 1.0
    rained = draw(yard, device, replace(PLAIN, rain=0.5))[3]
    assert (rained["open"][shown] == 255).all()


@pytest.mark.parametrize("weather", ["rain", "snow"])
@pytest.mark.parametrize(("wide", "least", "most"), [(0.2, 250.0, 255.0), (5.0, 0.0, 5.0)])
def test_an_arm_high_above_keeps_nothing_away_and_a_roof_does(yard, weather, wide, least, most, device):
    slab(yard, "Above", (3.0 - wide / 2.0, -60, 6), (3.0 + wide / 2.0, 60, 6.2))
    _, depth, ground, maps = draw(yard, device, replace(PLAIN, **{weather: 0.5}))
    y, x = np.nonzero(inner(ground))
    across = (x + 0.5 - 32) / 60.0 * depth[y, x] + 0.05 * 6.0 - 3.0  # what falls is a little aslant [m]
    below = np.abs(across) < max(0.08, wide / 2.0 - 1.2)
    assert below.sum() > 10 and least <= maps["open"][y, x][below].mean() <= most


def test_snow_ends_on_a_ball_of_facets_as_on_a_round_one(yard, device):
    """Latitudes of a ball's smooth normals decide, by a Hermite step from 0.25 to 0.6; facets are 11 degrees high."""
    ball, rings, radius = UsdGeom.Mesh.Define(yard, "/World/Ball"), 16, 1.2
    angles = np.linspace(0.0, np.pi, rings + 1)
    around = np.linspace(0.0, 2.0 * np.pi, 2 * rings, endpoint=False)
    unit = np.array([(np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)) for a in angles for b in around])
    faces = [
        (r * 2 * rings + s, (r + 1) * 2 * rings + s, (r + 1) * 2 * rings + t, r * 2 * rings + t)
        for r in range(rings)
        for s in range(2 * rings)
        for t in [(s + 1) % (2 * rings)]
    ]
    ball.CreatePointsAttr([tuple(map(float, point)) for point in radius * unit + (0.0, 1.0, 2.0)])
    ball.CreateFaceVertexCountsAttr([4] * len(faces))
    ball.CreateFaceVertexIndicesAttr([corner for face in faces for corner in face])
    ball.CreateSubdivisionSchemeAttr("none")
    ball.CreateNormalsAttr([tuple(map(float, normal)) for normal in unit])
    ball.SetNormalsInterpolation("vertex")
    renderer, _, _, maps = draw(yard, device, replace(PLAIN, snow=0.5))
    frame = renderer.render(camera(), 0.0)
    (number,) = [i for i, item in frame.instances.items() if item.prim_path.endswith("Ball")]
    y, x = np.nonzero(inner(frame.instance_ids.numpy() == number))
    up = frame.normals.numpy()[y, x, 2]
    t = np.clip((up - 0.25) / 0.35, 0.0, 1.0)
    off = np.abs(maps["open"][y, x] - 255.0 * t * t * (3.0 - 2.0 * t))
    assert ((up > 0.25) & (up < 0.6)).sum() > 30 and np.quantile(off, 0.98) <= 4.0


@pytest.mark.parametrize("weather", ["rain", "snow"])
def test_shelter_ends_where_the_roof_does(yard, weather, device):
    slab(yard, "Roof", (0.5, -60, 6), (60, 60, 6.2))
    _, depth, ground, maps = draw(yard, device, replace(PLAIN, **{weather: 0.5}))
    y, x = np.nonzero(inner(ground))
    rim = (x + 0.5 - 32) / 60.0 * depth[y, x] + 0.05 * 6.0 - 0.5  # what falls is a little aslant [m]
    under, beside = maps["open"][y, x][rim > 0.4], maps["open"][y, x][rim < -0.4]
    assert len(under) > 100 and len(beside) > 100
    assert (under == 0).mean() > 0.99 and (beside == 255).mean() > 0.97  # but right behind the block


def test_poles_thinner_than_a_cell_get_the_rain_and_the_mirror_of_what_is_around_them(yard, device):
    """Steep and alone, they ask no ray of their own: those in the open are wet, those under a roof are not."""
    places = (-2.2, -1.6, 1.5, 2.2)
    for number, x in enumerate(places):
        slab(yard, f"Pole{number}", (x, 1.0, 0.0), (x + 0.08, 1.08, 2.5))
    slab(yard, "Roof", (0.5, -60, 6), (60, 60, 6.2))
    renderer, _, _, maps = draw(yard, device, replace(PLAIN, rain=0.5))
    frame = renderer.render(camera(), 0.0)
    ids = frame.instance_ids.numpy()
    for number, x in enumerate(places):
        (key,) = [i for i, item in frame.instances.items() if item.prim_path.endswith(f"Pole{number}")]
        pole = ids == key
        assert pole.sum() > 15
        assert np.abs(maps["open"][pole] - (255 if x < 0.0 else 0)).mean() < 25.0
        assert maps["mirror"][pole].mean() > 20.0


@pytest.mark.parametrize("up", ["Z", "Y"])
def test_it_falls_in_the_air_that_no_roof_is_over(yard, device, up):
    if up == "Y":
        UsdGeom.SetStageUpAxis(yard, "Y")
        yard.RemovePrim("/World/Ground")  # it stands upright now
    yard.RemovePrim("/World/Block")
    low, high = (-60.0, -1.0, 6.0), (0.0, 9.0, 6.5)  # the left half, from three metres before the camera on
    turned = (low, high) if up == "Z" else ((low[0], 6.0, -high[1]), (high[0], 6.5, -low[1]))
    slab(yard, "Roof", *turned)
    renderer, eye = Renderer(yard, device=device, threads=1), camera(1.0)
    if up == "Y":
        view = np.eye(4)
        view[:3, 3] = (0.0, 1.0, 4.0)  # the same place and way, y up
        eye = replace(eye, cam_to_world=view)
    falling = renderer.light(eye, 0.0, replace(PLAIN, rain=0.5)).falling.numpy()
    layers, rows, columns = FALLING_SHAPE
    away = FALLING_FIRST * FALLING_RATIO ** np.arange(layers)
    across = ((np.arange(columns) + 0.5) / columns * SIZE[1] - 32) / 60.0
    x, y = (away[:, None] * across[None]), -4.0 + away
    roofed = (x < 0.0) & (x > -60.0) & ((y > -1.0) & (y < 9.0))[:, None]
    above = (rows // 2, rows // 2 - 1, 0)  # at eye height and above, below the roof
    height = 1.0 + away[:, None] * (18 - (np.array(above) + 0.5) / rows * SIZE[0])[None] / 60.0
    for row, z in zip(above, height.T, strict=True):
        told = z < 5.9
        np.testing.assert_array_equal(falling[told, row] == 0, roofed[told], err_msg=f"row {row}")
    assert set(np.unique(falling)) == {0, 255}
    wall = ((-60.0, -2.0, 0.0), (60.0, -1.0, 7.0))  # two metres away, under no roof; what lies behind is not asked
    if up == "Z":
        slab(yard, "Wall", *wall)
        falling = Renderer(yard, device=device, threads=1).light(eye, 0.0, replace(PLAIN, rain=0.5)).falling.numpy()
        assert (falling[:, rows // 2] == 255).all()
    assert not renderer.light(eye, 0.0, PLAIN).falling.numpy().any()  # nothing falls


def test_light_on_a_small_thing_holds_still(device):
    """What stands in the half shadow of a lamp is as bright wherever in the picture it is seen."""
    stage = Usd.Stage.CreateInMemory()
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    UsdGeom.SetStageUpAxis(stage, "Z")
    slab(stage, "Ground", (-60, -60, -1), (60, 60, 0))
    post = UsdGeom.Cylinder.Define(stage, "/World/Post")
    post.CreateRadiusAttr(0.5)
    post.CreateHeightAttr(1.6)
    post.CreateAxisAttr("Z")
    post.AddTranslateOp().Set(Gf.Vec3d(0.0, 3.0, 0.8))
    slab(stage, "Screen", (-2.2, 0.5, 0.0), (0.0, 0.6, 3.0))
    lamp = UsdLux.SphereLight.Define(stage, "/World/Lamp")
    lamp.CreateRadiusAttr(0.4)
    lamp.CreateIntensityAttr(3.0e4)
    lamp.AddTranslateOp().Set(Gf.Vec3d(-0.1, -2.5, 2.5))
    night = replace(PLAIN, sun_elevation=-18.0)
    renderer = Renderer(stage, device=device, threads=1)
    levels = []
    for shift in range(8):
        eye = camera()
        lens = eye.intrinsics.copy()
        lens[0, 2] += shift
        eye = replace(eye, intrinsics=lens)
        frame = renderer.render(eye, 0.0, rgb=False)
        thing = next(i for i, item in frame.instances.items() if item.prim_path == "/World/Post")
        white = renderer.light(eye, 0.0, night).white.numpy()
        levels.append(white[frame.instance_ids.numpy() == thing].mean())
    renderer.close()
    assert 30.0 < np.mean(levels) < 220.0
    assert np.ptp(levels) < 0.12 * np.mean(levels), np.round(levels, 1)


def test_what_a_frame_saw_is_used_for_its_light_until_something_moves(yard, device, monkeypatch):
    """Light maps are those of a renderer that drew nothing before, though what is seen is found once."""
    block = UsdGeom.Xformable(yard.GetPrimAtPath("/World/Block")).AddTranslateOp(opSuffix="slide")
    for time, x in ((0.0, 0.0), (1.0, 1.0)):
        block.Set(Gf.Vec3d(x, 0.0, 0.0), time)
    yard.SetStartTimeCode(0.0)
    yard.SetEndTimeCode(1.0)
    look = Look(detail=0.0, vignette=0.0, sun_elevation=30.0, rain=0.5)
    fresh, used = Renderer(yard, device=device, threads=1), Renderer(yard, device=device, threads=1)
    wanted = [kept(fresh.light(camera(), time, look)) for time in (0.0, 1.0)]
    for time in (0.0, 1.0):
        used.render(camera(), time)
        used.light(camera(), time, look)  # finds edges, which the next one takes
    found, sizes = Visibility.find, []
    monkeypatch.setattr(Visibility, "find", lambda own, view, *out: (sizes.append(view.width), found(own, view, *out)))
    for time in (0.0, 1.0):
        for name, values in kept(used.light(camera(), time, look)).items():
            np.testing.assert_array_equal(values, wanted[int(time)][name], err_msg=name)
    assert not sizes
    used.light(camera(height=2.0), 0.0, look)
    assert sizes == [SIZE[1], 4 * SIZE[1]]  # seen from elsewhere
