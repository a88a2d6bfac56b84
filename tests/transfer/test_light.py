"""Where the light stands and where the ground lies, against the renderer's own answers and plain trigonometry."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from cosmos.bridge import scenes
from cosmos.bridge.render.draw.daylight import direction_of, teacher_air
from cosmos.bridge.sources import StageSource, read_clip
from cosmos.bridge.transfer.light import clip_hints, direction, ground_height, key_light, light_inputs, view_azimuth
from cosmos.bridge.types import Look
from cosmos.models.embedded.conditions import Conditions
from cosmos.models.embedded.net import HIT, MARCHED


@pytest.mark.parametrize("up_axis", ["Y", "Z"])
@pytest.mark.parametrize(("elevation", "azimuth"), [(45.0, 30.0), (3.0, -100.0), (90.0, 0.0), (-10.0, 210.0)])
def test_directions_are_those_of_the_renderer(up_axis, elevation, azimuth):
    want = direction_of(elevation, azimuth, up_axis == "Y")
    np.testing.assert_allclose(direction(elevation, azimuth, up_axis), want, atol=1e-9)


@pytest.mark.parametrize("up_axis", ["Y", "Z"])
@pytest.mark.parametrize("elevation", [70.0, 5.0, 0.0, -5.0, -12.0])
def test_the_key_light_is_where_the_teacher_puts_sun_or_moon(up_axis, elevation):
    look = Look(sun_elevation=elevation, sun_azimuth=75.0)
    sun = teacher_air(look, y_up=up_axis == "Y", floor=0.0, openness=1.0).sun
    np.testing.assert_allclose(key_light(elevation, 75.0, up_axis), [sun[0], sun[1], sun[2]], atol=1e-5)


def test_the_view_azimuth_is_that_of_the_view_direction(clip):
    camera = clip.cameras[0]  # looks along +Y, Z up
    assert view_azimuth(camera, "Z") == pytest.approx(90.0)
    turned = np.array([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]]) @ camera.cam_to_world
    assert abs(view_azimuth(replace(camera, cam_to_world=turned), "Z")) == pytest.approx(180.0)
    down = np.eye(4)  # looks along -Z: the top of the picture is +Y
    assert view_azimuth(replace(camera, cam_to_world=down), "Z") == pytest.approx(90.0)
    assert view_azimuth(replace(camera, cam_to_world=down), "Y") == pytest.approx(90.0)  # -Z is ahead: +X turned left


def test_the_ground_is_found_and_a_clip_of_sky_has_none(clip):
    assert ground_height(clip) == pytest.approx(0.0, abs=0.1)
    empty = wp.full(clip.depth.shape, np.inf, dtype=wp.float32, device="cpu")
    assert ground_height(replace(clip, depth=empty)) == 0.0
    assert ground_height(replace(clip, depth=None)) == 0.0


def test_hints_of_a_part_are_part_of_the_hints(clip):
    settings = {"conditions": Conditions(snow=0.5), "azimuth": 20.0, "ground": 0.0, "seed": 3}
    whole, part = clip_hints(clip, range(3), **settings), clip_hints(clip, range(1, 3), **settings)
    for a, b in zip(whole, part, strict=True):
        np.testing.assert_array_equal(a.numpy()[1:], b.numpy())
    assert clip_hints(replace(clip, depth=None), range(3), **settings) is None


def test_hints_side_by_side_are_the_hints(clip):
    settings = {"conditions": Conditions(snow=0.5, rain=0.4), "azimuth": 20.0, "ground": 0.0, "seed": 3}
    room = wp.full((2, *clip.depth.shape[1:], 23), 7.0, dtype=wp.float32, device=clip.depth.device)
    clip_hints(clip, range(1, 3), **settings, out=room)
    apart = [array.numpy() for array in clip_hints(clip, range(1, 3), **settings)]
    np.testing.assert_array_equal(room.numpy(), np.concatenate(apart, axis=-1))


def test_a_clip_without_poses_or_ids_still_has_hints(clip):
    settings = {"conditions": Conditions(rain=0.5), "azimuth": 20.0, "ground": 0.0, "seed": 3}
    for poor in (replace(clip, poses={}), replace(clip, instance_ids=None), replace(clip, normals=None)):
        light, wear = clip_hints(poor, range(3), **settings)
        assert np.isfinite(light.numpy()).all() and np.isfinite(wear.numpy()).all()


def test_a_net_is_told_once_what_the_stage_tells():
    source = StageSource(scenes.tabletop(), frames=range(1), size=(36, 64), device="cpu")
    clip = read_clip(source)
    source.close()
    settings = {"conditions": Conditions(), "azimuth": 20.0, "ground": 0.0, "seed": 3}
    for seen, told in ((clip, True), (replace(clip, probe=None), False)):
        hints = light_inputs(seen, range(1), **settings).hints.numpy()[0]
        met = hints[..., HIT] > 0.0
        for channel, usual in MARCHED.items():
            assert (np.ptp(hints[..., channel][met]) == 0.0) == told
            assert not told or hints[..., channel][met][0] == np.float32(usual)
    again = light_inputs(clip, range(1), **settings, marched=True).hints.numpy()[0]
    assert np.ptp(again[..., 1][again[..., HIT] > 0.0]) > 0.5  # pairs for training have them all
    clip.close()
