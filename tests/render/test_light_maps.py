"""Light maps: a white and a mirror ball agree with white and mirroring things, the air with Beer-Lambert."""

from dataclasses import replace

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdLux  # noqa: TID253

from cosmos.bridge.render.draw import daylight
from cosmos.bridge.render.draw.visibility import Visibility
from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Camera, Look
from halo import scattered
from lit_yard import PLAIN, SIZE, camera, draw, inner, kept, make_yard, paint, slab
from tone import toned, untoned


@pytest.fixture
def yard():
    return make_yard()


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
