import re
from dataclasses import replace

import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.critic.consistency import ConsistencyCritic, ConsistencyOptions
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.registry import create
from cosmos.bridge.critic.thresholds import THRESHOLDS
from cosmos.bridge.errors import ConfigError

NEEDS_MORE = {
    "kept_color",
    "protected_color",
    "prompt_change",
    "prompt_night",
    "prompt_fog",
    "prompt_snow",
    "views_agree",
}
NEEDS_MORE |= {"instance_views", "paper_blur_ssim", "paper_edge_f1", "instance_shown", "depth_order"}
"""Checks that need a protected thing, normals, a backend that records what it understood, or another camera."""
UNSEEN = {
    "boundary_shift",
    "instance_kept",
    "instance_placed",
    "instance_shown",
    "depth_order",
    "duplicated",
    "flicker_level",
    "label_moment",
    "prompt_change",
    "texture_swims",
}
"""What a video without truth leaves unchecked."""
CRATE_A, CRATE_B, ROBOT, TANK, BOLT = 3, 4, 5, 7, 6


def judge(world, rgb, **how):
    return ConsistencyCritic().judge(world.request(**how), world.result(rgb))


def rejecting(verdict, check):
    return [finding for finding in verdict.findings if finding.check == check and finding.severity == "reject"]


def value(verdict, check):
    return next(measurement.value for measurement in verdict.measurements if measurement.check == check)


def distance(finding):
    return float(re.search(r"displaced by ([0-9.]+) px", finding.text)[1])


def night(rgb, seed=1):
    dark = (rgb / 255.0) ** 1.6 * (0.22, 0.25, 0.4) * 255.0
    return np.clip(dark + np.random.default_rng(seed).normal(0.0, 1.5, rgb.shape), 0, 255).astype(np.uint8)


def fog(world, sight):
    seen = np.exp(-np.where(np.isfinite(world.depth), world.depth, 1.0e6) / sight)[..., None]
    return np.clip(world.rgb * seen + 200.0 * (1.0 - seen), 0, 255).astype(np.uint8)


def snow(rgb, seed=2):
    white = np.clip(rgb * 0.45 + 130.0, 0, 255).astype(np.uint8)
    rng = np.random.default_rng(seed)
    for picture in white:
        picture[rng.integers(0, rgb.shape[1], 400), rng.integers(0, rgb.shape[2], 400)] = 250
    return white


def test_identity_is_flawless(world):
    verdict = judge(world, world.rgb)
    assert verdict.accepted and verdict.score == 1.0
    assert {measurement.check for measurement in verdict.measurements} == set(THRESHOLDS) - NEEDS_MORE
    assert all(measurement.passed for measurement in verdict.measurements)


@pytest.mark.parametrize(
    "look",
    [
        lambda world: night(world.rgb),
        lambda world: fog(world, 9.0),
        lambda world: fog(world, 4.0),
        lambda world: snow(world.rgb),
        lambda world: 255 - world.rgb,
        lambda world: np.stack([cv2.GaussianBlur(picture, (0, 0), 1.2) for picture in world.rgb]),
        lambda world: world.rgb[..., ::-1],
        lambda world: np.roll(world.rgb, 1, axis=2),
    ],
    ids=["night", "fog", "dense_fog", "snow", "negative", "soft", "swapped_channels", "one_px"],
)
def test_weather_and_recolouring_are_accepted(world, look):
    verdict = judge(world, look(world))
    assert verdict.accepted, verdict.rationale


@pytest.mark.parametrize("instance", [CRATE_A, CRATE_B, ROBOT, TANK])
@pytest.mark.parametrize("by", [(4.0, 0.0), (0.0, -4.0), (3.0, 3.0)])
def test_moved_instance_is_named_with_its_distance(world, draw_world, layers_without, instance, by):
    verdict = judge(world, draw_world(layers_without(**{f"i{instance}": by})).rgb)
    found = rejecting(verdict, "instance_placed")
    assert not verdict.accepted
    assert [finding.instance for finding in found] == [instance]
    assert found[0].prim_path == world.path(instance) and found[0].prim_path in found[0].text
    away = re.search(r"more ([0-9.]+) px away", found[0].text)
    assert float(away[1]) == pytest.approx(np.hypot(*by), abs=0.7)
    shifted = rejecting(verdict, "boundary_shift")
    if instance in (ROBOT, TANK) or by == (3.0, 3.0):  # a long straight side agrees with itself for a while
        assert [finding.instance for finding in shifted] == [instance]
        assert distance(shifted[0]) == pytest.approx(np.hypot(*by), abs=0.7)
        assert len(shifted[0].frames) >= 8


def test_instance_moved_in_two_frames_names_the_frames(world, draw_world, layers_without):
    rgb = world.rgb.copy()
    rgb[6:8] = draw_world(layers_without(i5=(4.0, 0.0))).rgb[6:8]
    found = rejecting(judge(world, rgb), "boundary_shift")
    assert [(finding.instance, finding.frames) for finding in found] == [(ROBOT, (6, 7))]


@pytest.mark.parametrize("instance", [CRATE_A, CRATE_B, ROBOT, TANK])
@pytest.mark.parametrize("weather", ["day", "night", "fog"])
def test_removed_instance_is_named(world, draw_world, layers_without, instance, weather):
    without = draw_world(layers_without(gone=(instance,)))
    looks = {"day": without.rgb, "night": night(without.rgb), "fog": fog(without, 25.0)}
    verdict = judge(world, looks[weather])
    found = rejecting(verdict, "instance_kept")
    assert not verdict.accepted
    assert [finding.instance for finding in found] == [instance]
    assert found[0].prim_path == world.path(instance)


@pytest.mark.parametrize("by", [4, -5])
def test_a_post_that_was_moved_sideways_is_named(draw_world, layers_without, layer_type, by):
    """A straight outline tells no displacement along itself, but one across."""

    def drawn(x):
        post = layer_type(8, "/World/Post", 3.0, (x, 12), (124, 9), (0.0, 0.0), (90, 20, 30))
        return draw_world([*layers_without(gone=(6,)), post])

    world, moved = drawn(75.0), drawn(75.0 + by)
    found = rejecting(judge(world, moved.rgb), "boundary_shift")
    assert [finding.instance for finding in found] == [8]
    assert found[0].text.startswith(f"/World/Post is displaced by {abs(by)}")


def test_what_is_kept_clear_does_not_accuse_what_fog_hides(draw_world, layers_without):
    """A far tank that keeps its look shows in fog; a nearer crate that fog hides as asked is not gone."""
    layers = layers_without()
    layers[4].depth = 4.0
    world = draw_world(layers)
    depth = np.where(np.isfinite(world.depth), world.depth, 100.0)[..., None]
    tank = world.ids == TANK
    hazy = 160.0 + (world.rgb - 160.0) * np.exp(-((depth / 4.2) ** 3))
    foggy = np.where(tank[..., None], world.rgb, hazy).astype(np.uint8)
    keep = wp.array(tank.astype(np.float32), dtype=wp.float32, device="cpu")
    verdict = ConsistencyCritic().judge(replace(world.request(), preserve=keep), world.result(foggy))
    assert not rejecting(verdict, "instance_kept")
    accused = rejecting(judge(world, foggy), "instance_kept")
    assert [finding.instance for finding in accused] == [CRATE_A]


def test_where_no_thing_shows_enough_none_is_called_kept(world):
    """Weak evidence is no evidence: the check is said to be open, and its labels do not survive by it."""
    limits = Limits(min_sight=10**6)  # more pixels than any thing has
    verdict = ConsistencyCritic(ConsistencyOptions(limits=limits)).judge(world.request(), world.result(world.rgb))
    assert "instance_kept" not in {measurement.check for measurement in verdict.measurements}
    assert "instance_kept" in {finding.check for finding in verdict.findings if finding.kind == "unchecked"}
    assert "instance_kept" not in verdict.scores.checks


@pytest.mark.parametrize("level", [0, 255, 90])
def test_blank_frames_are_named(world, level):
    rgb = world.rgb.copy()
    rgb[[4, 9]] = level
    verdict = judge(world, rgb)
    assert not verdict.accepted
    assert verdict.findings[0].check == "blank_frames" and verdict.findings[0].frames == (4, 9)


def test_blank_clip_is_rejected(world):
    assert not judge(world, np.zeros_like(world.rgb)).accepted


@pytest.mark.parametrize("look", [lambda rgb: rgb, night], ids=["day", "night"])
def test_repeated_frame_is_named(world, look):
    rgb = world.rgb.copy()
    rgb[6] = rgb[5]
    verdict = judge(world, look(rgb))
    assert not verdict.accepted
    assert 6 in rejecting(verdict, "frame_order")[0].frames


def test_dropped_frame_is_noticed_from_there_on(world):
    rgb = np.concatenate([world.rgb[:5], world.rgb[6:], world.rgb[-1:]])
    verdict = judge(world, rgb)
    assert not verdict.accepted
    assert rejecting(verdict, "frame_order")[0].frames == tuple(range(5, 11))
    assert rejecting(verdict, "frozen_frames")[0].frames == (11,)


@pytest.mark.parametrize("look", [lambda rgb: rgb, night, snow], ids=["day", "night", "snow"])
def test_reversed_clip_is_rejected(world, look):
    verdict = judge(world, look(world.rgb[::-1].copy()))
    assert len(rejecting(verdict, "frame_order")[0].frames) >= 10


def test_swapped_frames_are_named(world):
    rgb = world.rgb.copy()
    rgb[[4, 7]] = rgb[[7, 4]]
    assert rejecting(judge(world, rgb), "frame_order")[0].frames == (4, 7)


def test_frozen_clip_is_rejected(world):
    rgb = np.repeat(world.rgb[:1], len(world.rgb), axis=0)
    assert rejecting(judge(world, rgb), "frozen_frames")[0].frames == tuple(range(1, 12))


def test_flickering_picture_names_the_frames(world):
    rgb = world.rgb.astype(int)
    rgb[5] += 12
    found = rejecting(judge(world, np.clip(rgb, 0, 255).astype(np.uint8)), "flicker_level")
    assert [(finding.frames, finding.instance) for finding in found] == [((5, 6), None)]
    assert found[0].value == pytest.approx(12, abs=1)


def test_flickering_instance_is_named(world):
    rgb = world.rgb.astype(int)
    for frame in range(0, 12, 2):
        rgb[frame][world.ids[frame] == ROBOT] -= 25
    found = rejecting(judge(world, np.clip(rgb, 0, 255).astype(np.uint8)), "instance_flicker")
    assert [finding.instance for finding in found] == [ROBOT]
    assert found[0].value == pytest.approx(25, abs=2.5)


def test_a_shadow_that_moves_over_a_thing_is_no_flicker(world):
    rgb = world.rgb.astype(int)
    for frame in range(12):
        rgb[frame][world.ids[frame] == ROBOT] -= 26 * min(max(frame - 4, 0), 3)  # darker in three frames, and stays
    verdict = judge(world, np.clip(rgb, 0, 255).astype(np.uint8))
    assert value(verdict, "instance_flicker") < 5.0


@pytest.mark.parametrize(("levels", "refused"), [(44, False), (110, True)])
def test_what_one_frame_alone_shows_darker_is_a_shadow_that_passes_or_a_flash(world, levels, refused):
    """It changes the thing twice; what flickers does so again and again."""
    rgb = world.rgb.astype(int)
    rgb[5][world.ids[5] == ROBOT] += levels
    verdict = judge(world, np.clip(rgb, 0, 255).astype(np.uint8))
    assert bool(rejecting(verdict, "instance_flicker")) == refused
    assert value(verdict, "instance_flicker") == pytest.approx(levels / 4, abs=4)


def test_what_passes_close_by_may_change_its_look(draw_world, layer_type, layers_without):
    """Its next side is seen in the next frame, which may well have another colour."""
    close = layer_type(9, "/World/Pillar", 1.0, (-100, 0), (144, 240), (40.0, 0.0), (90, 90, 95))
    passing = draw_world([*layers_without(), close], frames=5)
    rgb = passing.rgb.astype(int)
    rgb[2:] += np.where(passing.ids[2:, ..., None] == 9, 30, 0)
    verdict = judge(passing, np.clip(rgb, 0, 255).astype(np.uint8))
    assert value(verdict, "flicker_level") < 2.0 and value(verdict, "instance_flicker") < 5.0


def test_boiling_texture_is_rejected(world):
    rng = np.random.default_rng(3)
    boil = np.stack([cv2.GaussianBlur(rng.standard_normal((144, 256)), (0, 0), 1.5) for _ in world.rgb])
    rgb = np.clip(world.rgb + (boil / boil.std() * 14.0)[..., None], 0, 255).astype(np.uint8)
    assert rejecting(judge(world, rgb), "flicker_texture")


def test_moving_snowflakes_are_no_flicker(world):
    assert value(judge(world, snow(world.rgb)), "flicker_texture") == 0.0


def test_shifted_picture_is_rejected_with_its_distance(world):
    found = rejecting(judge(world, np.roll(world.rgb, 3, axis=2)), "frame_shift")
    assert distance(found[0]) == pytest.approx(3.0, abs=0.1)


def test_unrelated_picture_is_rejected(world):
    noise = np.random.default_rng(4).integers(0, 255, world.rgb.shape).astype(np.uint8)
    assert rejecting(judge(world, noise), "edges_kept")
    assert not judge(world, world.rgb[:, :, ::-1].copy()).accepted


def test_small_instance_is_said_not_to_be_judged(world):
    notes = [finding for finding in judge(world, world.rgb).findings if finding.check == "instances"]
    assert [note.severity for note in notes] == ["note"] and world.path(BOLT) in notes[0].text


def test_wrong_number_of_frames_is_rejected(world):
    verdict = judge(world, world.rgb[:-1])
    assert not verdict.accepted and verdict.score == 0.0
    assert [finding.check for finding in verdict.findings] == ["shape"] and "[11, 144, 256, 3]" in verdict.rationale


def test_video_without_truth_is_checked_as_far_as_it_goes(world):
    verdict = judge(world, world.rgb, drop=("instance_ids", "depth", "motion"))
    unchecked = {finding.check for finding in verdict.findings if finding.kind == "unchecked"}
    assert verdict.accepted and unchecked == UNSEEN
    assert not judge(world, np.roll(world.rgb, 3, axis=2), drop=("instance_ids", "depth", "motion")).accepted


@pytest.mark.parametrize("missing", [("depth",), ("motion",), ("instance_ids",), ("depth", "motion")])
def test_missing_buffers_leave_good_clips_accepted(world, missing):
    assert judge(world, night(world.rgb), drop=missing).accepted


def test_without_depth_a_removed_instance_is_still_named(world, draw_world, layers_without):
    verdict = judge(world, draw_world(layers_without(gone=(CRATE_A,))).rgb, drop=("depth",))
    assert CRATE_A in [finding.instance for finding in rejecting(verdict, "instance_kept")]


def test_clip_of_which_nothing_can_be_checked_is_refused(draw_world):
    sky = draw_world([], frames=3, height=32, width=48)
    flat = np.full_like(sky.rgb, 120)
    verdict = ConsistencyCritic().judge(sky.request(drop=("motion",), source=flat), sky.result(flat))
    assert not verdict.accepted and "Nothing could be held" in verdict.rationale


def test_one_frame_clip_is_judged(draw_world, layers_without):
    world = draw_world(layers_without(), frames=1)
    verdict = judge(world, world.rgb)
    assert verdict.accepted and {"frame_order", "flicker_level"} <= {finding.check for finding in verdict.findings}
    moved = draw_world(layers_without(i5=(5.0, 0.0)), frames=1)
    assert [finding.instance for finding in rejecting(judge(world, moved.rgb), "boundary_shift")] == [ROBOT]


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (9, 11)])
def test_tiny_pictures_give_a_verdict(draw_world, size):
    world = draw_world([], frames=2, height=size[0], width=size[1])
    assert 0.0 <= judge(world, world.rgb).score <= 1.0


def test_depth_with_nan_and_zero_gives_a_verdict(draw_world, layers_without):
    world = draw_world(layers_without(), frames=3)
    world.depth[:, 60:90, 40:60] = np.nan
    world.depth[:, 0:9] = 0.0
    world.motion[:, 5:9] = np.nan
    assert judge(world, world.rgb).accepted


def test_ids_beyond_24_bits_work(draw_world, layers_without):
    world = draw_world(layers_without(), frames=2)
    layers = [*world.layers]
    world.ids = np.where(world.ids == ROBOT, np.uint32(0xFFFFFFF0), world.ids)
    next(layer for layer in layers if layer.id == ROBOT).id = 0xFFFFFFF0
    moved = draw_world(layers_without(i5=(5.0, 0.0)), frames=2)
    assert [finding.instance for finding in rejecting(judge(world, moved.rgb), "boundary_shift")] == [0xFFFFFFF0]


def test_findings_are_capped_and_the_rest_counted(world):
    critic = ConsistencyCritic(ConsistencyOptions(limits=Limits(max_findings=2)))
    verdict = critic.judge(world.request(), world.result(world.rgb[:, :, ::-1].copy()))
    assert len(verdict.findings) == 3 and verdict.findings[-1].check == "more"
    assert verdict.findings[0].severity == "reject" and verdict.findings[-1].text.endswith(".")


def test_verdict_does_not_depend_on_the_chunks(world, draw_world, layers_without):
    rgb = draw_world(layers_without(i3=(4.0, 0.0))).rgb
    whole, parts = (
        ConsistencyCritic(ConsistencyOptions(limits=Limits(chunk=size))).judge(world.request(), world.result(rgb))
        for size in (12, 5)
    )
    assert whole.measurements == parts.measurements
    assert [finding.text for finding in whole.findings] == [finding.text for finding in parts.findings]


def test_progress_is_told_and_may_cancel(world):
    told = []
    ConsistencyCritic().judge(world.request(), world.result(world.rgb), progress=lambda *step: told.append(step))
    assert told == [("judge", 8, 12), ("judge", 12, 12)]

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ConsistencyCritic().judge(world.request(), world.result(world.rgb), progress=stop)


def test_unknown_threshold_is_refused():
    with pytest.raises(ConfigError, match=r"no check 'edge'; the nearest is 'edge\w+', all are blank_frames, "):
        create("consistency", {"thresholds": {"edge": 0.5}})
    with pytest.raises(ConfigError, match="bar of edges_kept must be a number, got nan"):
        create("consistency", {"thresholds": {"edges_kept": float("nan")}})
    with pytest.raises(ConfigError, match=r"critic_options\.limits"):
        create("consistency", {"limits": {"chunks": 8}})


def test_a_bar_of_ones_own_decides(world):
    strict = create("consistency", {"thresholds": {"edges_kept": 1.01}})
    assert not strict.judge(world.request(), world.result(world.rgb)).accepted
    assert create("consistency", {}).judge(world.request(), world.result(world.rgb)).accepted


@pytest.mark.parametrize(("name", "value"), [("flicker_samples", 0), ("min_sites", -4), ("dark_level", float("nan"))])
def test_limits_that_measure_nothing_are_refused(name, value):
    with pytest.raises(
        ConfigError, match=rf"critic_options\.limits\.{name} must be finite and [01] or more, got {value}"
    ):
        create("consistency", {"limits": {name: value}})
