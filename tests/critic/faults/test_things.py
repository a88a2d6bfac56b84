import cv2
import numpy as np
import pytest

from cosmos.bridge.critic.faults import Subject, plant
from cosmos.bridge.errors import PlantError

ROBOT = 5
TURNS = [(np.cos(k * np.pi / 4), np.sin(k * np.pi / 4)) for k in range(8)]


@pytest.fixture(scope="module")
def subject(world):
    return Subject.of(world.request(), world.result(world.rgb))


def planted_on(subject, kind, prim_path, **how):
    """Plant a fault on one thing, whichever seed that takes."""
    for seed in range(60):
        planted = plant(kind, subject, seed=seed, **how)
        if planted.prim_path == prim_path:
            return planted
    raise AssertionError(f"{kind} never befell {prim_path}")


def error_on(pictures, truth, mask):
    return np.abs(pictures.astype(int) - truth)[mask].mean()


def test_moved_is_what_the_moved_layer_would_look_like(world, subject, draw_world, layers_without):
    planted = planted_on(subject, "moved", world.path(ROBOT), strength=6.0)
    truths = {turn: draw_world(layers_without(i5=(6.0 * turn[0], 6.0 * turn[1]))) for turn in TURNS}
    rgb = planted.result.rgb.numpy()
    errors = {}
    for turn, truth in truths.items():
        touched = (truth.ids == ROBOT) | (world.ids == ROBOT)
        errors[turn] = error_on(rgb, truth.rgb, touched)
    best = min(errors, key=errors.get)
    assert errors[best] < 4.5  # what was uncovered is guessed, and its texture is noise
    assert sorted(errors.values())[1] > 2.0 * errors[best]
    assert planted.ids == (ROBOT,) and planted.frames == tuple(range(12))
    touched = (truths[best].ids == ROBOT) | (world.ids == ROBOT)
    far = np.stack([cv2.dilate(t.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0 for t in touched])
    assert (rgb[far] == world.rgb[far]).all()


def test_a_post_is_not_moved_along_itself(draw_world, layers_without, layer_type):
    post = layer_type(8, "/World/Post", 3.0, (70, 12), (124, 8), (0.5, 0.0), (90, 20, 30))
    world = draw_world([*layers_without(gone=(3, 4, 5, 6, 7)), post])
    subject = Subject.of(world.request(), world.result(world.rgb))
    for seed in range(6):
        planted = plant("moved", subject, seed=seed, strength=4.0)
        assert planted.prim_path == "/World/Post"
        changed = np.abs(planted.result.rgb.numpy()[3].astype(int) - world.rgb[3]).max(axis=-1) > 30
        assert changed[40:100].any(axis=1).all()  # its long sides moved


def test_removed_looks_like_the_world_without(world, subject, draw_world, layers_without):
    planted = planted_on(subject, "removed", world.path(ROBOT))
    truth = draw_world(layers_without(gone=(ROBOT,)))
    mask = world.ids == ROBOT
    assert error_on(planted.result.rgb.numpy(), truth.rgb, mask) < 0.2 * error_on(world.rgb, truth.rgb, mask)


def test_scaled_has_the_new_size(world, subject):
    planted = planted_on(subject, "scaled", world.path(ROBOT), strength=1.5)
    color = np.median(world.rgb[0][world.ids[0] == ROBOT], axis=0)
    area = (np.abs(planted.result.rgb.numpy()[0] - color).max(axis=-1) < 30).sum() / (world.ids[0] == ROBOT).sum()
    assert min(abs(area - 1.5**2), abs(area - 1.5**-2)) < 0.15


def test_duplicated_is_found_twice_by_template_matching(world, subject):
    planted = planted_on(subject, "duplicated", world.path(ROBOT))
    core = cv2.erode((world.ids[3] == ROBOT).astype(np.uint8), np.ones((7, 7), np.uint8))
    rows, columns = np.nonzero(core)
    cut = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    shown = planted.result.rgb.numpy()[3]
    scores = cv2.matchTemplate(shown, world.rgb[3][cut], cv2.TM_SQDIFF, mask=core[cut]) / core.sum()
    assert scores[rows.min(), columns.min()] == pytest.approx(0.0, abs=0.01)
    scores[:, max(0, columns.min() - 20) : columns.min() + 20] = np.inf
    before = cv2.matchTemplate(world.rgb[3], world.rgb[3][cut], cv2.TM_SQDIFF, mask=core[cut]) / core.sum()
    assert scores.min() < 100.0 < np.partition(before.ravel(), 40)[40]
    assert np.unravel_index(scores.argmin(), scores.shape)[0] == rows.min()


def test_recoloured_shifts_lab_of_a_protected_thing_alone(world, subject):
    with pytest.raises(PlantError, match="another colour"):
        plant("recoloured", subject, seed=0)
    protected = Subject.of(_protecting(world, ROBOT), world.result(world.rgb))
    planted = plant("recoloured", protected, seed=3, strength=20.0)
    assert planted.ids == (ROBOT,)
    before, after = (
        cv2.cvtColor(rgb[2].astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
        for rgb in (world.rgb, planted.result.rgb.numpy())
    )
    inside = cv2.erode((world.ids[2] == ROBOT).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    shift = np.median(np.linalg.norm((after - before)[inside][:, 1:], axis=-1))
    assert 10.0 < shift < 21.0  # the gamut may cut some of it off
    outside = cv2.dilate((world.ids[2] == ROBOT).astype(np.uint8), np.ones((7, 7), np.uint8)) == 0
    assert (planted.result.rgb.numpy()[2][outside] == world.rgb[2][outside]).all()


def _protecting(world, instance):
    from dataclasses import replace

    import warp as wp

    from cosmos.bridge.types import ControlKind, ControlSignal, ControlSignals, ControlWeights

    request = world.request()
    video = wp.array(world.rgb, dtype=wp.uint8, device="cpu")
    vis = wp.array((world.ids == instance).astype(np.float32), dtype=wp.float32, device="cpu")
    controls = ControlSignals(signals=(ControlSignal(kind=ControlKind.VIS, video=video),))
    return replace(request, controls=controls, weights=ControlWeights(vis=vis))


def test_mirrored_is_the_flipped_cut_out(draw_world, layers_without):
    world = draw_world([layer for layer in layers_without() if layer.id in (10, 11, 5)])
    ramp = np.linspace(-60, 60, 256)[None, :, None] - 0.0
    for t in range(12):  # the robot is darker on its left
        inside = world.ids[t] == ROBOT
        middle = np.nonzero(inside)[1].mean()
        lit = world.rgb[t] + np.roll(ramp, int(middle) - 128, axis=1) * 4
        world.rgb[t][inside] = np.clip(lit, 0, 255).astype(np.uint8)[inside]
    planted = plant("mirrored", Subject.of(world.request(), world.result(world.rgb)), seed=0)
    rows, columns = np.nonzero(world.ids[4] == ROBOT)
    cut = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    inside = cv2.erode((world.ids[4] == ROBOT)[cut].astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    got, flipped = planted.result.rgb.numpy()[4][cut][inside].astype(int), world.rgb[4][cut][:, ::-1][inside]
    assert np.abs(got - flipped).mean() < 4.0 < np.abs(world.rgb[4][cut][inside].astype(int) - flipped).mean()


def test_swapped_things_show_each_others_colours(world, subject):
    planted = plant("swapped", subject, seed=1)
    first, second = planted.ids
    rgb = planted.result.rgb.numpy()
    for here, other in ((first, second), (second, first)):
        core = cv2.erode((world.ids[0] == here).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        want = np.median(world.rgb[0][world.ids[0] == other], axis=0)
        assert np.abs(np.median(rgb[0][core], axis=0) - want).max() < 12


def test_split_shows_what_is_behind_in_the_middle(world, subject, draw_world, layers_without):
    planted = planted_on(subject, "split", world.path(3))
    without = draw_world(layers_without(gone=(3,)))
    changed = np.abs(planted.result.rgb.numpy()[0].astype(int) - world.rgb[0]).max(axis=-1) > 25
    rows, columns = np.nonzero(world.ids[0] == 3)
    share = changed.sum() / len(rows)
    assert 0.2 < share < 0.45
    assert changed[rows.min() : rows.min() + 4].sum() == 0 or changed[:, columns.min() : columns.min() + 4].sum() == 0
    rgb = planted.result.rgb.numpy()
    assert error_on(rgb[0], without.rgb[0], changed) < 0.5 * error_on(world.rgb[0], without.rgb[0], changed)


def test_invented_thing_rides_on_its_surface(world, subject):
    planted = plant("invented", subject, seed=2, strength=24.0)
    changed = np.abs(planted.result.rgb.numpy().astype(int) - world.rgb).max(axis=-1) > 20
    middles = np.array([np.argwhere(picture).mean(axis=0) for picture in changed])
    steps = np.diff(middles, axis=0)
    np.testing.assert_allclose(steps.mean(axis=0), (0.0, 0.5), atol=0.15)  # wall and floor slide by 0.5 px a frame
    assert planted.ids == () and 150 < changed[0].sum() < 24 * 24


def test_same_seed_same_pixels_other_seed_other_pixels(subject):
    one, same, other = (plant("moved", subject, seed=seed).result.rgb.numpy() for seed in (4, 4, 5))
    assert (one == same).all() and (one != other).any()


def test_the_good_clip_is_not_touched(world, subject):
    before = world.rgb.copy()
    plant("swapped", subject, seed=0)
    assert (subject.rgb == before).all() and (subject.result.rgb.numpy() == before).all()


@pytest.mark.parametrize("kind", ["moved", "removed", "duplicated", "split", "swapped"])
def test_a_clip_without_things_is_refused(draw_world, kind):
    sky = draw_world([], frames=3)
    with pytest.raises(PlantError, match=f"{kind} cannot be planted in this clip: nothing in it would show"):
        plant(kind, Subject.of(sky.request(), sky.result(sky.rgb)), seed=0)


def test_what_nobody_could_see_is_not_planted(draw_world, layers_without):
    layers = layers_without()
    for layer in layers:
        layer.color = (90, 90, 90)
    world = draw_world(layers, frames=3)
    world.rgb[:] = 90
    with pytest.raises(PlantError, match="nothing in it would show"):
        plant("removed", Subject.of(world.request(), world.result(world.rgb)), seed=0)


@pytest.mark.parametrize("kind", ["removed", "moved", "duplicated"])
def test_a_thing_that_hardly_stands_out_is_left_alone(draw_world, layers_without, kind):
    """Whatever is cut out of a fog that leaves 4 levels of it, nobody could see."""
    world = draw_world(layers_without(), frames=3)
    fog = (world.rgb * 0.04 + 150.0).astype(np.uint8)
    noisy = np.clip(fog + np.random.default_rng(0).normal(0.0, 5.0, fog.shape), 0, 255).astype(np.uint8)
    assert np.abs(np.diff(noisy.astype(int), axis=2)).max() > 12
    with pytest.raises(PlantError, match="nothing in it would show"):
        plant(kind, Subject.of(world.request(), world.result(noisy)), seed=0)
    assert plant(kind, Subject.of(world.request(), world.result(world.rgb)), seed=0).prim_path


def test_wrong_asks_are_refused_in_one_sentence(world, subject):
    with pytest.raises(PlantError, match=r"no fault 'melted'; there is removed, duplicated"):
        plant("melted", subject, seed=0)
    with pytest.raises(PlantError, match=r"strength of moved must be positive, got nan"):
        plant("moved", subject, seed=0, strength=float("nan"))
    with pytest.raises(PlantError, match="no instance ids; read them as well"):
        Subject.of(world.request(drop=("instance_ids",)), world.result(world.rgb))
    with pytest.raises(PlantError, match=r"the clip is \[12, 144, 256\]"):
        Subject.of(world.request(), world.result(world.rgb[:3]))
