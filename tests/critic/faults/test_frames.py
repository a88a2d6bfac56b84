import cv2
import numpy as np
import pytest

from cosmos.bridge.critic.faults import FAULTS, Subject, plant
from cosmos.bridge.errors import PlantError


@pytest.fixture(scope="module")
def subject(world):
    return Subject.of(world.request(), world.result(world.rgb))


def pictures(planted):
    return planted.result.rgb.numpy()


def test_dropped_frame_pulls_the_rest_forward(world, subject):
    planted = plant("frame_dropped", subject, seed=1)
    lost = planted.frames[0]
    want = np.concatenate([world.rgb[:lost], world.rgb[lost + 1 :], world.rgb[-1:]])
    assert (pictures(planted) == want).all() and planted.frames == tuple(range(lost, 11))


def test_repeated_frame_is_the_one_before(world, subject):
    planted = plant("frame_repeated", subject, seed=1)
    (frame,) = planted.frames
    want = world.rgb.copy()
    want[frame] = world.rgb[frame - 1]
    assert (pictures(planted) == want).all()


def test_reversed_and_shuffled_clips_hold_the_same_frames(world, subject):
    assert (pictures(plant("frames_reversed", subject, seed=0)) == world.rgb[::-1]).all()
    planted = plant("frames_shuffled", subject, seed=0, strength=4.0)
    order = [int(np.abs(world.rgb.astype(int) - picture).sum(axis=(1, 2, 3)).argmin()) for picture in pictures(planted)]
    assert sorted(order) == list(range(12))
    assert {frame for frame in range(12) if order[frame] != frame} >= set(planted.frames) and planted.frames


def test_camera_shift_is_seen_by_phase_correlation(world, subject):
    planted = plant("camera_shifted", subject, seed=2, strength=5.0)
    grey = [cv2.cvtColor(rgb[3], cv2.COLOR_RGB2GRAY).astype(np.float64) for rgb in (world.rgb, pictures(planted))]
    (right, down), _ = cv2.phaseCorrelate(*grey, cv2.createHanningWindow((256, 144), cv2.CV_64F))
    assert np.hypot(right, down) == pytest.approx(5.0, abs=0.4)


def test_mirrored_and_blank_pictures(world, subject):
    assert (pictures(plant("picture_mirrored", subject, seed=0)) == world.rgb[:, :, ::-1]).all()
    planted = plant("frame_blank", subject, seed=5)
    (frame,) = planted.frames
    assert np.ptp(pictures(planted)[frame]) == 0
    assert (np.delete(pictures(planted), frame, 0) == np.delete(world.rgb, frame, 0)).all()


@pytest.mark.parametrize(("kind", "strength"), [("flickering", 12.0), ("thing_flickering", 30.0)])
def test_flicker_alternates_by_its_strength(world, subject, kind, strength):
    planted = plant(kind, subject, seed=3, strength=strength)
    inside = np.isin(world.ids, planted.ids) if planted.ids else np.ones(world.ids.shape, bool)
    difference = pictures(planted).astype(int) - world.rgb
    levels = np.array([np.median(difference[t][inside[t]]) for t in range(12)])
    assert (np.sign(levels[::2]) == 1).all() and (np.sign(levels[1::2]) == -1).all()
    assert np.abs(np.diff(levels)).mean() == pytest.approx(0.9 * strength, rel=0.15)
    if planted.ids:
        near = np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) for mask in inside])
        assert (difference[near == 0] == 0).all()


def test_seam_grades_the_rest_of_the_clip(world, subject):
    planted = plant("chunk_seam", subject, seed=1, strength=12.0)
    first = planted.frames[0]
    difference = pictures(planted).astype(int) - world.rgb
    assert (difference[:first] == 0).all() and planted.frames == tuple(range(first, 12))
    assert 6 <= np.abs(np.median(difference[first:], axis=(0, 1, 2))).min() <= 12


def test_labels_shifted_leaves_the_pictures(world, subject):
    planted = plant("labels_shifted", subject, seed=0)
    order = [*range(1, 12), 11]
    assert (pictures(planted) == world.rgb).all() and (planted.clip.rgb.numpy() == world.rgb).all()
    assert (planted.clip.instance_ids.numpy() == world.ids[order]).all()
    assert (planted.clip.depth.numpy() == world.depth[order]).all()
    assert (planted.clip.motion.numpy() == world.motion[order]).all()
    assert (subject.request.clip.instance_ids.numpy() == world.ids).all()


def test_fog_leaves_so_much_of_the_thing(world, subject):
    planted = plant("fog_hides", subject, seed=1, strength=0.05)
    thing = planted.ids[0]
    distance = float(np.median(world.depth[world.ids == thing]))
    air = np.median(world.rgb[~np.isfinite(world.depth)], axis=0)
    left = 0.05 ** (world.depth.astype(np.float64) / distance)[..., None]
    want = np.where(np.isfinite(left), world.rgb * left + air * (1 - left), air)
    np.testing.assert_allclose(pictures(planted), want, atol=1.0)


def test_fog_is_not_planted_where_it_was_asked_for(world):
    from dataclasses import replace

    foggy = Subject.of(replace(world.request(), prompt="a foggy day"), world.result(world.rgb))
    with pytest.raises(PlantError, match="fog hides what the labels call visible"):
        plant("fog_hides", foggy, seed=0)


def test_texture_swims_inside_its_outline(world, subject):
    planted = plant("texture_swims", subject, seed=2, strength=3.0)
    inside = np.isin(world.ids, planted.ids)
    outside = np.stack([cv2.dilate(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0 for mask in inside])
    assert (pictures(planted)[outside] == world.rgb[outside]).all()
    core = cv2.erode(inside[2].astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
    errors = {}
    for angle in np.radians(range(0, 360, 10)):
        move = np.float64([[1, 0, -6 * np.cos(angle)], [0, 1, -6 * np.sin(angle)]])
        slid = cv2.warpAffine(world.rgb[2], move, (256, 144), borderMode=cv2.BORDER_REFLECT_101)
        errors[angle] = np.abs(slid.astype(int) - pictures(planted)[2])[core].mean()
    assert min(errors.values()) < 2.0 < np.median(list(errors.values()))


def test_depth_order_lets_the_farther_one_grow(world, subject):
    planted = plant("depth_order", subject, seed=1, strength=5.0)
    frame = planted.frames[0]
    mask = np.isin(world.ids[frame], planted.ids)
    changed = np.abs(pictures(planted)[frame].astype(int) - world.rgb[frame]).max(axis=-1) > 10
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    assert (
        changed.sum() >= 40
        and (changed & ~cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)).sum() == 0
    )
    assert depth[changed].max() <= 5.0 * 2**0.5 + 2.0


def test_ignored_prompt_hands_the_source_back(world):
    night = np.clip(world.rgb * 0.3, 0, 255).astype(np.uint8)
    planted = plant("prompt_ignored", Subject.of(world.request(), world.result(night)), seed=0)
    assert (pictures(planted) == world.rgb).all()
    with pytest.raises(PlantError, match="the source comes back"):
        plant("prompt_ignored", Subject.of(world.request(), world.result(world.rgb)), seed=0)


@pytest.mark.parametrize(
    "kind",
    ["frame_dropped", "frame_repeated", "frames_reversed", "frames_shuffled", "labels_shifted", "flickering"],
)
def test_one_frame_or_a_still_clip_cannot_show_faults_of_time(draw_world, layers_without, kind):
    layers = layers_without()
    for layer in layers:
        layer.velocity = (0.0, 0.0)
    still, short = draw_world(layers, frames=4), draw_world(layers, frames=1)
    worlds = [short] if kind == "flickering" else [still, short]
    for world in worlds:
        with pytest.raises(PlantError, match="cannot be planted"):
            plant(kind, Subject.of(world.request(), world.result(world.rgb)), seed=0)


@pytest.mark.parametrize("kind", [kind for kind in FAULTS if kind != "recoloured"])  # which needs a protected thing
def test_every_fault_can_be_planted_at_each_strength_and_says_what_it_did(world, kind):
    dark = np.clip(world.rgb * 0.5, 0, 255).astype(np.uint8)
    request = world.request()
    for strength in FAULTS[kind].strengths:
        planted = plant(kind, Subject.of(request, world.result(dark)), seed=7, strength=strength)
        assert planted.kind == kind and planted.strength == strength
        assert planted.frames and set(planted.frames) <= set(range(12))
        assert (planted.result.rgb.numpy() != dark).any() or planted.clip is not request.clip
        assert bool(planted.ids) == bool(planted.prim_path) == (planted.area > 0)
