import numpy as np
import pytest
import warp as wp

from cosmos.bridge.critic.checks.presence import BANDS, Match, Sight, Sights
from cosmos.bridge.critic.checks.signs import signs_of
from cosmos.bridge.critic.consistency import ConsistencyCritic
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.truth import Truth, chunks

CRATE_A, CRATE_B, ROBOT, BOLT = 3, 4, 5, 6
LIGHT = np.array([[0.3, 0.1, 0.0], [0.1, 0.4, 0.2], [0.0, -0.2, 0.3]])


def look(world, rgb, *, drop=(), limits=None):
    """What is seen of each thing, by instance id."""
    limits = limits or Limits()
    request = world.request(drop=drop)
    truth = Truth.of(request.clip)
    sights = Sights(truth, limits)
    for chunk in chunks(request.clip, wp.array(rgb, dtype=wp.uint8, device="cpu"), truth, limits.chunk):
        areas = np.stack([[np.bincount(picture.ravel(), minlength=len(truth.things)) for picture in chunk.thing]] * 2)
        sights.add(chunk, areas[:, chunk.halo :].astype(np.float64))
    return {truth.things[owner].id: sight for owner, sight in sights.all(limits.one_piece).items()}


def judge(world, rgb):
    verdict = ConsistencyCritic().judge(world.request(), world.result(rgb))
    return [finding for finding in verdict.findings if finding.check == "instance_kept"], verdict


def lit(rgb):
    """Another light: every channel an affine function of all three."""
    return np.clip(rgb @ LIGHT + 30.0, 0, 255).astype(np.uint8)


def sobel(picture):
    """Sobel 3 x 3 divided by 8 in float64, by slices; the border is not looked at."""
    p = np.pad(picture.astype(np.float64), ((1, 1), (1, 1), (0, 0)), mode="reflect")
    smooth_down = p[:-2] + 2 * p[1:-1] + p[2:]
    smooth_right = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
    return (smooth_down[:, 2:] - smooth_down[:, :-2]) / 8.0, (smooth_right[2:] - smooth_right[:-2]) / 8.0


def test_the_share_explained_is_that_of_least_squares_in_float64(world):
    rng = np.random.default_rng(4)
    rgb = np.clip(0.4 * world.rgb + rng.normal(60.0, 8.0, world.rgb.shape), 0, 255).astype(np.uint8)
    got = look(world, rgb, drop=("depth",))[ROBOT]
    columns, values = [], []
    for frame in (2, 6, 10):
        mask = world.ids[frame] == ROBOT
        for axis in (0, 1):
            columns.append(sobel(world.rgb[frame])[axis][mask])
            values.append(sobel(rgb[frame])[axis][mask])
    x, y = np.concatenate(columns), np.concatenate(values)
    left = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    assert got.sharp.explained == pytest.approx(1.0 - (left**2).sum() / (y**2).sum(), abs=0.005)
    assert got.sharp.source == pytest.approx(np.sqrt(2.0 * (x**2).sum() / len(x)), rel=1e-3)
    assert got.pixels == pytest.approx((world.ids[[2, 6, 10]] == ROBOT).sum() / 3.0)


def test_any_light_leaves_structure_and_what_is_gone_leaves_none(world, draw_world, layers_without):
    without = draw_world(layers_without(gone=(CRATE_A,))).rgb
    there, gone = look(world, lit(world.rgb)), look(world, lit(without))
    assert min(there[thing].sharp.explained for thing in (CRATE_A, CRATE_B, ROBOT)) > 0.95
    assert gone[CRATE_A].sharp.explained < 0.1 < 0.7 < gone[CRATE_B].sharp.explained


def test_the_outline_of_what_stands_before_a_thing_does_not_speak_for_it(world):
    rgb = world.rgb.copy()
    rgb[:] = np.where(np.isin(world.ids, (ROBOT,))[..., None], world.rgb, 128)  # the robot alone is left
    for thing in (CRATE_A, CRATE_B):
        assert look(world, rgb)[thing].sharp.explained < 0.02


def test_a_floor_at_a_grazing_angle_speaks_with_all_its_pixels(draw_world, layers_without):
    flat = draw_world(layers_without(), frames=3)
    rows = np.arange(flat.depth.shape[1], dtype=np.float32)[None, :, None]
    flat.depth[:] = 1.0 / np.maximum(0.01 * (rows - 70.0), 0.005)  # depth changes by up to a tenth from row to row
    assert look(flat, flat.rgb)[ROBOT].pixels == (flat.ids[2] == ROBOT).sum()


def test_darkness_all_around_and_what_is_kept_out_of_the_sums(world):
    seen = look(world, np.full_like(world.rgb, 3))
    assert seen == {} and look(world, np.full_like(world.rgb, 255)) == {}


def test_small_and_lost_things_and_single_frames_are_no_trouble(world, draw_world, layers_without):
    assert BOLT not in look(world, world.rgb)  # 9 pixels
    single = draw_world(layers_without(), frames=1)
    assert look(single, single.rgb)[ROBOT].frames.tolist() == [0]
    broken = draw_world(layers_without(), frames=3)
    broken.depth[:] = np.nan
    assert look(broken, broken.rgb)[ROBOT].sharp.explained > 0.99


def sight(explained=0.9, **how):
    match = Match(explained=explained, source=20.0, result=10.0)
    values = {"sharp": match, "soft": match, "rim": match, "lit": 1.0, "pixels": 500.0, "depth": 5.0, "pairs": 90.0}
    values |= {"area": 600.0, "piece": 1.0, "dark": 0.0, "noise": 2.0}
    bands = {"products": np.zeros((BANDS, 6, 6)), "band_pixels": np.full(BANDS, 50.0), "looked": 2}
    return Sight(**{"frames": np.arange(8), "kept": 0.0, "snowed": 0.0, **values, **bands, **how})


def test_signs_are_fishers_z_and_logarithms_beside_what_the_others_show():
    sights = {1: sight(explained=0.49, lit=0.5), 2: sight(explained=0.25), 3: sight(explained=0.01, kept=1.0)}
    found = signs_of(sights, drowned=True)
    assert found[1]["structure"] == found[1]["soft"] == found[1]["rim"] == pytest.approx(np.arctanh(0.7))
    assert found[1]["left"] == pytest.approx(np.log(11.0 / 11.0)) and found[2]["left"] == pytest.approx(np.log(11 / 21))
    assert found[1]["usual_structure"] == pytest.approx(np.arctanh(0.5))
    assert found[2]["usual_structure"] == pytest.approx(np.arctanh(0.7))  # what is kept tells nothing of others' light
    assert found[3]["usual_structure"] == pytest.approx((np.arctanh(0.7) + np.arctanh(0.5)) / 2.0)
    assert found[1]["thin"] == pytest.approx(0.15) and found[1]["drowned"] == 1.0
    alone = signs_of({1: sight(pairs=0.0)}, drowned=False)[1]
    assert np.isnan([alone["usual_structure"], alone["due"], alone["rim"], alone["rim_left"]]).all()


def test_less_is_due_of_a_thing_as_far_as_those_that_snow_and_darkness_weaken():
    """Three near things show clearly and three far ones hardly; one more of each shows nothing."""
    near = {owner: sight(depth=4.0 + owner, explained=0.8) for owner in (1, 2, 3)}
    far = {owner: sight(depth=30.0 + owner, explained=0.04) for owner in (4, 5, 6)}
    lost = {7: sight(depth=5.0, explained=0.01), 8: sight(depth=35.0, explained=0.01)}
    found = signs_of({**near, **far, **lost}, drowned=False)
    assert found[7]["due"] > 3.0 * found[8]["due"]


def test_a_flat_thing_without_relief_that_is_gone_is_named(draw_world, layers_without, layer_type):
    """A sign on the wall has no jump of depth around it."""
    sign = layer_type(8, "/World/Sign", 20.0, (60.0, 40.0), (18, 30), (0.5, 0.0), (90, 40, 40))
    world, without = draw_world([*layers_without(gone=(6,)), sign]), draw_world(layers_without(gone=(6,)))
    found, _ = judge(world, lit(without.rgb))
    assert [finding.instance for finding in found] == [8]
    assert found[0].frames and "the source's structure explains" in found[0].text


def test_a_thing_that_is_gone_from_half_of_the_clip_is_named_there(world, draw_world, layers_without):
    rgb = world.rgb.copy()
    rgb[6:] = draw_world(layers_without(gone=(CRATE_B,))).rgb[6:]
    found, _ = judge(world, rgb)
    assert [finding.instance for finding in found] == [CRATE_B]
    assert set(found[0].frames) == set(range(6, 12))


@pytest.mark.parametrize("sight_of", [6.0, 3.0, 1.5])
def test_what_fog_rightly_hides_afar_is_not_called_gone(world, sight_of):
    """The farther a thing, the less of its contrast others lead one to expect."""
    depth = np.where(np.isfinite(world.depth), world.depth, 1e6)[..., None]
    left = np.exp(-depth / sight_of)
    foggy = np.clip(world.rgb * left + 190.0 * (1.0 - left), 0, 255).astype(np.uint8)
    assert all(finding.kind == "unchecked" for finding in judge(world, foggy)[0])
