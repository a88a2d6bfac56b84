"""Light maps in rain and snow: where these reach, where snow stays, and how uneven it is."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from pxr import Gf, UsdGeom, UsdLux  # noqa: TID253

from cosmos.bridge.render.renderer import Renderer
from cosmos.bridge.types import Look
from cosmos.bridge.types.probe import FALLING_FIRST, FALLING_RATIO, FALLING_SHAPE
from lit_yard import PLAIN, SIZE, camera, draw, inner, make_yard, slab
from tone import untoned


@pytest.fixture
def yard():
    return make_yard()


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
