from dataclasses import replace

import cv2
import numpy as np
import pytest

from cosmos.bridge.critic.checks.groups import Groups
from cosmos.bridge.critic.checks.slides import _equations, slides
from cosmos.bridge.critic.consistency import ConsistencyCritic
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.types import LABEL_STATES

FLOOR, CRATE = 11, 4
CHECK = "texture_swims"


def judged(world, rgb, **how):
    verdict = ConsistencyCritic().judge(world.request(**how), world.result(rgb))
    found = [finding for finding in verdict.findings if finding.check == CHECK]
    return next((m.value for m in verdict.measurements if m.check == CHECK), None), found


def slid(world, thing, by):
    """The world with another texture on one thing that slides by ``by`` [px a frame] over it."""
    rng = np.random.default_rng(3)
    noise = cv2.GaussianBlur(rng.standard_normal((200, 400)), (0, 0), 1.5)
    noise *= 14.0 / noise.std()
    rgb = world.rgb.astype(np.float64)
    for t, picture in enumerate(rgb):
        ys, xs = np.nonzero(world.ids[t] == thing)
        x0 = -world.motion[t, ys[0], xs[0], 0] * t
        shift = np.array([[1.0, 0.0, x0 + by[0] * t], [0.0, 1.0, by[1] * t]])
        skin = cv2.warpAffine(noise, shift, (256, 144), borderMode=cv2.BORDER_WRAP)
        picture[ys, xs] = picture[ys, xs].mean(axis=0) + skin[ys, xs, None]
    return np.clip(rgb, 0, 255).astype(np.uint8)


def test_sums_and_slide_match_least_squares_in_float64():
    rng = np.random.default_rng(1)
    field = cv2.GaussianBlur(rng.standard_normal((90, 90)).astype(np.float32), (0, 0), 3.0) * 200.0
    height = width = 60
    now = field[10:70, 10:70].copy()
    by = np.array([0.4, -0.3])
    before = cv2.warpAffine(field, np.array([[1.0, 0.0, -by[0]], [0.0, 1.0, -by[1]]]), (90, 90),
                            flags=cv2.INTER_CUBIC)[10:70, 10:70]  # fmt: skip
    y, x = np.mgrid[:height, :width].astype(np.float32)
    core = np.zeros((height, width), bool)
    core[4:-4, 4:-4] = True
    owner = (x[core] > 30).astype(np.int64)
    groups = Groups.of(owner, 2)
    sums = _equations(before, now + 7.0, (x, y), np.flatnonzero(core)[groups.order], groups)
    middle = 0.5 * (before.astype(np.float64) + now + 7.0)
    for thing in (0, 1):
        mine = core & ((x > 30) == bool(thing))
        gradient = np.stack([cv2.Sobel(middle, cv2.CV_64F, 1, 0)[mine], cv2.Sobel(middle, cv2.CV_64F, 0, 1)[mine]], 1)
        gradient /= 8.0
        change = (now.astype(np.float64) - before)[mine]
        expected = np.linalg.lstsq(gradient, -(change - change.mean()), rcond=None)[0]
        normal = sums[thing, [0, 1, 1, 2]].reshape(2, 2)
        got = np.linalg.solve(normal, -sums[thing, 3:5])
        np.testing.assert_allclose(got, expected, atol=1e-4)
        np.testing.assert_allclose(got, by, atol=0.06)
        assert sums[thing, 6] == mine.sum()
    still = np.zeros_like(sums)
    still[:, 6] = sums[:, 6]
    found = slides(np.stack([still] * 4), np.stack([sums] * 4), Limits())
    np.testing.assert_allclose(found, np.hypot(*by), rtol=0.15)


@pytest.mark.parametrize("thing, by", [(FLOOR, (2.0, 0.0)), (CRATE, (0.0, 2.0)), (CRATE, (-1.3, 1.0))])
def test_a_texture_that_slides_is_found_and_its_thing_named(world, thing, by):
    still, found = judged(world, slid(world, thing, (0.0, 0.0)))
    assert still < 0.1 and not found
    value, found = judged(world, slid(world, thing, by))
    assert [finding.instance for finding in found] == [thing] and 0.6 < value <= 1.2 * np.hypot(*by)


def test_the_flow_of_a_surface_that_slides_is_dropped(world):
    carried = []
    for by in ((0.0, 0.0), (2.0, 0.0)):
        verdict = ConsistencyCritic().judge(world.request(), world.result(slid(world, CRATE, by)))
        flow = next(label for label in verdict.carried.labels if label.kind == "flow")
        column = verdict.carried.instances.tolist().index(CRATE)
        carried.append([LABEL_STATES[state] for state in flow.state[1:, column]])
    assert "dropped" not in carried[0] and set(carried[1]) == {"dropped"}


def test_boiling_texture_slides_nowhere(world):
    rgb = world.rgb.copy()
    rng = np.random.default_rng(2)
    noise = np.stack([cv2.GaussianBlur(rng.standard_normal((144, 256)), (0, 0), 1.5) for _ in rgb]) * 40.0
    on = world.ids == FLOOR
    rgb[on] = np.clip(rgb[on] + noise[on][:, None], 0, 255).astype(np.uint8)
    value, found = judged(world, rgb)
    assert value < 0.1 and not found


def test_the_sheen_of_a_lamp_that_lies_where_the_eye_stands_is_no_texture(world):
    still = slid(world, FLOOR, (0.0, 0.0)).astype(np.float64)
    rgb = np.where((world.ids == FLOOR)[..., None], 90.0 + 0.15 * (still - 90.0), still)
    y, x = np.mgrid[:144, :256]
    for t, picture in enumerate(rgb):
        glow = np.exp(-(((x - 100 - 3.0 * t) / 40.0) ** 2) - ((y - 125) / 30.0) ** 2)
        picture *= (0.3 + 1.5 * glow * (world.ids[t] == FLOOR))[..., None]
    value, found = judged(world, np.clip(rgb, 0, 255).astype(np.uint8))
    assert value < 0.25 and not found


def test_what_the_source_slides_as_well_is_no_fault(world):
    moving = slid(world, FLOOR, (2.0, 0.0))
    _, found = judged(replace(world, rgb=moving), moving)
    assert not found


def test_what_cannot_be_followed_is_said(world):
    for how, why in (({"drop": ("motion",)}, "no motion"), ({"drop": ("instance_ids",)}, "no instance ids")):
        value, found = judged(world, world.rgb, **how)
        assert value is None and found[0].kind == "unchecked" and why in found[0].text
    flat = np.full_like(world.rgb, 90)
    value, found = judged(world, flat)
    assert value is None and [finding.kind for finding in found] == ["unchecked"]


@pytest.mark.parametrize("frames", [1, 2])
def test_too_few_frames_are_said(draw_world, layers_without, frames):
    world = draw_world(layers_without(), frames=frames)
    value, found = judged(world, world.rgb)
    assert value is None and "fewer than three frames" in found[0].text


def test_motion_that_is_no_number_hides_no_slide(world):
    broken = replace(world, motion=world.motion.copy())
    broken.motion[:, :20, :20] = np.nan
    _, found = judged(broken, slid(world, FLOOR, (2.0, 0.0)))
    assert [finding.instance for finding in found] == [FLOOR]


def test_pictures_of_odd_sizes_are_followed_too(draw_world, layers_without):
    world = draw_world(layers_without(), frames=4, height=145, width=517)
    value, found = judged(world, world.rgb)
    assert value < 0.1 and not found
    rgb = world.rgb.copy()
    rng = np.random.default_rng(5)
    noise = cv2.GaussianBlur(rng.standard_normal((200, 600)), (0, 0), 3.0) * 250.0
    for t, picture in enumerate(rgb):
        ys, xs = np.nonzero(world.ids[t] == FLOOR)
        picture[ys, xs] = np.clip(100.0 + noise[ys, xs - 4 * t + 20, None], 0, 255)
    value, found = judged(world, rgb)
    assert [finding.instance for finding in found] == [FLOOR]
