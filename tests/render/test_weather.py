"""Weather as physics: haze by Beer-Lambert, wet and snowed surfaces by what rain and snow do, light by its sources."""

import math
from itertools import pairwise

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.render.draw.daylight import direction_of, teacher_air
from cosmos.bridge.render.draw.meter import Reading
from cosmos.bridge.render.draw.sky import Air, through_haze
from cosmos.bridge.render.draw.weather import Skin, aged, weathered
from cosmos.bridge.render.draw.world import WorldArrays
from cosmos.bridge.types import Look

wp.config.quiet = True


@wp.kernel
def _haze_kernel(
    air: Air,
    color: wp.vec3,
    starts: wp.array(dtype=wp.vec3),
    directions: wp.array(dtype=wp.vec3),
    distances: wp.array(dtype=wp.float32),
    out: wp.array(dtype=wp.vec3),
):
    i = wp.tid()
    out[i] = through_haze(air, color, starts[i], directions[i], distances[i])


@wp.kernel
def _weather_kernel(
    world: WorldArrays,
    air: Air,
    places: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    roughness: wp.float32,
    out: wp.array(dtype=wp.vec4),
):
    i = wp.tid()
    skin = Skin()
    skin.base = wp.vec3(0.5, 0.3, 0.2)
    skin.normal = normals[i]
    skin.roughness = roughness
    skin.metallic = 0.0
    skin.wet = 0.0
    skin = weathered(skin, world, air, places[i], normals[i], normals[i], 0.01, 0.001)
    luma = 0.2126 * skin.base[0] + 0.7152 * skin.base[1] + 0.0722 * skin.base[2]
    out[i] = wp.vec4(luma, skin.roughness, skin.wet, skin.base[0] - skin.base[2])


@wp.kernel
def _age_kernel(air: Air, owners: wp.array(dtype=wp.uint32), metallic: wp.float32, out: wp.array2d(dtype=wp.float32)):
    i, j = wp.tid()
    skin = Skin()
    skin.base = wp.vec3(0.5, 0.5, 0.5)
    skin.normal = wp.vec3(0.0, 0.0, 1.0)
    skin.roughness = wp.float32(0.5)
    skin.metallic = metallic
    place = wp.vec3(0.037 * wp.float32(j), 0.021 * wp.float32(j), 0.0)
    skin = aged(skin, air, owners[i], place, 1.0, 0.0, 0.01)
    out[i, j] = skin.base[1]


def rays(count=400, seed=2):
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    starts = np.stack([*rng.uniform(-50, 50, (2, count)), rng.uniform(0.5, 30, count)], axis=1)
    distances = np.exp(rng.uniform(np.log(0.5), np.log(300.0), count))
    under = starts[:, 2] + directions[:, 2] * distances < 0.2  # stay above the ground
    directions[under, 2] = np.abs(directions[under, 2])
    return starts, directions, distances


def through(device, air, color, starts, directions, distances):
    out = wp.empty(len(starts), dtype=wp.vec3, device=device)
    arrays = [wp.array(values.astype(np.float32), dtype=wp.vec3, device=device) for values in (starts, directions)]
    lengths = wp.array(distances.astype(np.float32), dtype=wp.float32, device=device)
    wp.launch(_haze_kernel, dim=len(starts), inputs=[air, wp.vec3(*color), *arrays, lengths, out], device=device)
    return out.numpy().astype(np.float64)


@pytest.mark.parametrize("up", ["Z", "Y"])
@pytest.mark.parametrize("look", [Look(fog=0.25), Look(fog=0.8), Look(dust=0.6, fog=0.1), Look(rain=1.0)])
def test_haze_follows_beer_lambert_in_true_distance(device, up, look):
    """Against the integral of a density that falls by e every scale height, summed in float64."""
    starts, directions, distances = rays()
    turned = [v if up == "Z" else np.stack([v[:, 0], v[:, 2], -v[:, 1]], axis=1) for v in (starts, directions)]
    air = teacher_air(look, y_up=up == "Y", floor=0.0, openness=1.0)
    black = through(device, air, (0.0, 0.0, 0.0), *turned, distances)
    white = through(device, air, (1.0, 1.0, 1.0), *turned, distances)
    steps = (np.arange(4000) + 0.5) / 4000
    heights = starts[:, 2, None] + directions[:, 2, None] * distances[:, None] * steps
    optical = air.haze * np.exp(-heights / air.haze_height).mean(axis=1) * distances
    np.testing.assert_allclose((white - black)[:, 0], np.exp(-optical), atol=2e-5, rtol=2e-3)


def test_haze_adds_light_by_what_it_takes(device):
    """Radiance over one minus transmission is the veil, which depends on direction alone."""
    air = teacher_air(Look(fog=0.5), y_up=False, floor=0.0, openness=1.0)
    distances = np.geomspace(0.5, 100.0, 30)
    starts, directions = np.tile([0.0, 0.0, 1.5], (30, 1)), np.tile([0.8, 0.6, 0.0], (30, 1))
    black = through(device, air, (0.0, 0.0, 0.0), starts, directions, distances)
    white = through(device, air, (1.0, 1.0, 1.0), starts, directions, distances)
    veil = black / (1.0 - (white - black))
    np.testing.assert_allclose(veil[3:], veil[-1:].repeat(27, axis=0), rtol=2e-3)


def test_no_haze_leaves_the_colour(device):
    air = Air()
    starts, directions, distances = rays(20)
    np.testing.assert_array_equal(
        through(device, air, (0.25, 0.5, 0.75), starts, directions, distances), [[0.25, 0.5, 0.75]] * 20
    )


def test_a_hazy_sun_keeps_the_energy_of_the_light():
    """What the veil sends out of a unit of air, over all directions, is at most what reached it."""
    for look in (Look(fog=0.1), Look(fog=0.5, sun_elevation=10.0), Look(dust=0.5), Look(snow=1.0)):
        air = teacher_air(look, y_up=False, floor=0.0, openness=1.0)
        to_ball = (np.cos(np.pi * (np.arange(400) + 0.5) / 400), np.sin(np.pi * (np.arange(400) + 0.5) / 400))
        lobe = float((np.maximum(0.0, to_ball[0]) ** 8 * to_ball[1]).sum() / to_ball[1].sum())
        sent = luma(air.haze_color) + luma(air.haze_glow) * lobe
        reached = 0.5 * luma(air.sky_light) + 0.5 * luma(air.ground) + luma(air.sun_color) / (4.0 * math.pi)
        assert 0.5 * reached < sent < 1.35 * reached


def luma(color):
    return 0.2126 * color[0] + 0.7152 * color[1] + 0.0722 * color[2]


def test_fog_and_cloud_weaken_the_sun_and_never_strengthen_it():
    for name in ("fog", "overcast", "rain", "snow", "dust"):
        suns = [
            luma(teacher_air(Look(**{name: s}), y_up=False, floor=0.0, openness=1.0).sun_color)
            for s in np.linspace(0.0, 1.0, 11)
        ]
        assert (np.diff(suns) < 0.0).all(), name


@pytest.mark.parametrize("y_up", [False, True])
def test_the_sun_stands_where_the_look_says(y_up):
    air = teacher_air(Look(sun_elevation=30.0, sun_azimuth=90.0), y_up=y_up, floor=0.0, openness=1.0)
    toward = [0.0, 0.5, -math.sqrt(0.75)] if y_up else [0.0, math.sqrt(0.75), 0.5]
    np.testing.assert_allclose(list(air.sun), toward, atol=1e-6)
    np.testing.assert_allclose(direction_of(30.0, 90.0, y_up), toward, atol=1e-12)


def weather(device, look, normals, places, *, roughness=0.8, roofs=(), points=None):
    if points is None:
        points = np.array([[900.0, 900, 900], [901, 900, 900], [900, 901, 900]])
    if roofs:
        points = np.concatenate([[[-99.0, -99, roof], [299, -99, roof], [-99, 299, roof]] for roof in roofs])
    mesh = wp.Mesh(
        points=wp.array(points.astype(np.float32), dtype=wp.vec3, device=device),
        indices=wp.array(np.arange(len(points), dtype=np.int32), dtype=wp.int32, device=device),
    )
    world = WorldArrays()
    world.mesh = mesh.id
    air = teacher_air(look, y_up=False, floor=0.0, openness=1.0)
    out = wp.empty(len(places), dtype=wp.vec4, device=device)
    arrays = [wp.array(np.asarray(v, dtype=np.float32), dtype=wp.vec3, device=device) for v in (places, normals)]
    wp.launch(_weather_kernel, dim=len(places), inputs=[world, air, *arrays, roughness, out], device=device)
    return out.numpy().astype(np.float64)


def spots(count=500):
    return np.random.default_rng(5).uniform(-20.0, 20.0, (count, 3)) * [1.0, 1.0, 0.0]


def facing(tilt, count=500):
    """Normals ``tilt`` degrees off straight up."""
    around = np.linspace(0.0, 2.0 * np.pi, count)
    t = math.radians(tilt)
    return np.stack([math.sin(t) * np.cos(around), math.sin(t) * np.sin(around), np.full(count, math.cos(t))], axis=1)


def test_few_things_are_worn_and_metal_half_as_much(device):
    """Of 300 things, one in five has nearly twice the spots of the middle one; those are darker as well."""
    owners = np.random.default_rng(4).integers(0, 2**32, 300, dtype=np.uint32)
    air = teacher_air(Look(seed=3), y_up=False, floor=0.0, openness=1.0)

    def seen(metallic):
        out = wp.empty((300, 400), dtype=wp.float32, device=device)
        inputs = [air, wp.array(owners, dtype=wp.uint32, device=device), metallic, out]
        wp.launch(_age_kernel, dim=out.shape, inputs=inputs, device=device)
        return out.numpy().astype(np.float64)

    painted, bare = seen(0.0), seen(1.0)
    spots, tone = painted.std(1) / painted.mean(1), painted.mean(1)
    assert np.sort(spots)[240] > 1.8 * np.sort(spots)[150] > 0.0
    assert tone[spots > np.sort(spots)[240]].mean() < 0.9 * tone[spots < np.sort(spots)[150]].mean()
    np.testing.assert_allclose((bare.std(1) / bare.mean(1) / spots).mean(), 0.5, atol=0.05)


def test_rain_darkens_and_smooths_and_does_so_more_the_more_it_rains(device):
    seen = [weather(device, Look(rain=s), facing(0.0), spots()) for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    np.testing.assert_allclose(seen[0][:, :2], [[0.2126 * 0.5 + 0.7152 * 0.3 + 0.0722 * 0.2, 0.8]] * 500, rtol=1e-6)
    for less, more in pairwise(seen):
        assert (more[:, 0] < less[:, 0]).all() and (more[:, 1] < less[:, 1]).all() and (more[:, 2] > less[:, 2]).all()
    pools = seen[-1][:, 1] < 0.1
    assert 0.1 < pools.mean() < 0.9  # puddles, and wet ground between them


def test_snow_lies_by_the_normal(device):
    cover = [weather(device, Look(snow=0.9), facing(tilt), spots())[:, 0].mean() for tilt in (0, 25, 45, 65, 90, 180)]
    bare = weather(device, Look(), facing(0), spots())[:, 0].mean()
    assert cover[0] > 0.8 > cover[3] > bare
    assert (np.diff(cover[:4]) < 1e-3).all()
    np.testing.assert_allclose(cover[4:], bare, rtol=1e-6)


def test_snow_covers_more_the_more_it_snows(device):
    covers = [weather(device, Look(snow=s), facing(0), spots())[:, 0].mean() for s in np.linspace(0.0, 1.0, 9)]
    assert (np.diff(covers) >= 0.0).all() and covers[-1] > 2.0 * covers[0]


def test_snow_has_soft_borders(device):
    """Along a line over half-covered ground brightness changes gradually."""
    line = np.stack([np.linspace(0.0, 12.0, 4000), np.full(4000, 3.0), np.zeros(4000)], axis=1)
    seen = weather(device, Look(snow=0.35), facing(0, 4000), line)[:, 0]
    assert np.ptp(seen) > 0.15 and np.abs(np.diff(seen)).max() < 0.05


def test_nothing_falls_under_a_roof(device):
    bare = weather(device, Look(), facing(0), spots())
    snowed = weather(device, Look(snow=1.0), facing(0), spots(), roofs=(4.0,))
    np.testing.assert_allclose(snowed[:, 0], bare[:, 0], rtol=1e-6)
    under_a_table = weather(device, Look(snow=1.0), facing(0), spots(), roofs=(0.15, 4.0))
    np.testing.assert_allclose(under_a_table[:, 0], bare[:, 0], rtol=1e-6)
    rained = [weather(device, Look(rain=1.0), facing(0), spots(), roofs=roofs) for roofs in ((4.0,), ())]
    assert rained[0][:, 2].mean() < 0.4 * rained[1][:, 2].mean()


SIDES = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, -1))
"""Inward normals of the walls and the ceiling of a room."""


def room(low, high, faces=range(6)):
    """Return the triangles of a box's faces, each a single plane, in the order of `SIDES`, the floor last."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) * (np.subtract(high, low)) + low
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (1, 5, 7, 3), (0, 2, 6, 4))
    return np.concatenate([corners[[a, b, c, a, c, d]] for a, b, c, d in (quads[face] for face in faces)])


@pytest.mark.parametrize("side", range(5))
def test_no_rain_comes_through_the_planes_of_a_room(device, side):
    """Ceiling and walls of a low closed room are as dry as what stands far below a roof."""
    rng = np.random.default_rng(11)
    inward = np.array(SIDES[side], dtype=float)
    places = rng.uniform([-4.9, -4.9, 0.1], [4.9, 4.9, 2.3], (200, 3))
    axis = int(np.abs(inward).argmax())
    places[:, axis] = ((-5.0, -5.0, 0.0), (5.0, 5.0, 2.4))[int(inward[axis] < 0)][axis]
    walls = room((-5.0, -5.0, 0.0), (5.0, 5.0, 2.4))
    rained = weather(device, Look(rain=1.0), np.tile(inward, (200, 1)), places, points=walls)
    rain = teacher_air(Look(rain=1.0), y_up=False, floor=0.0, openness=1.0).wet
    np.testing.assert_allclose(rained[:, 2], rain * (1.0 - 0.75) * 0.75, rtol=1e-5)  # roofed, and no floor


def test_no_snow_lies_on_what_is_high_in_a_room(device):
    places = np.random.default_rng(12).uniform([-4.5, -4.5, 1.0], [4.5, 4.5, 2.2], (200, 3))
    bare, snowed = (
        weather(device, look, facing(0, 200), places, points=room((-5.0, -5.0, 0.0), (5.0, 5.0, 2.4)))
        for look in (Look(), Look(snow=1.0))
    )
    np.testing.assert_allclose(snowed[:, 0], bare[:, 0], rtol=1e-6)


def test_snow_blows_in_under_a_low_thing_outside_and_not_far_under_a_deck(device):
    bare = weather(device, Look(), facing(0), spots())[:, 0].mean()
    under = spots() * [0.05, 0.05, 0.0]  # within a metre of the middle
    table, deck = (
        weather(device, Look(snow=1.0), facing(0), under, points=room((-w, -w, 0.0), (w, w, 0.5), faces=(4,)))[:, 0]
        for w in (1.2, 30.0)
    )
    assert table.mean() > 1.5 * bare
    np.testing.assert_allclose(deck, bare, rtol=1e-6)


def test_the_meter_stops_down_for_haze():
    reading = Reading(distances=np.array([10.0, 20.0]), sky_spots=2, sky=np.ones(2), sun=np.ones(2), lamps=np.zeros(2))
    assert reading.veiled(0.0, 50.0) == 0.0
    by_hand = (1 - math.exp(-1.0)) + (1 - math.exp(-2.0)) + 2 * (1 - math.exp(-40.0))
    assert reading.veiled(0.1, 50.0) == pytest.approx(by_hand / 4)
    assert reading.key(1.0, 1.0, 0.0, 100.0) > reading.key(1.0, 1.0, 0.0)
