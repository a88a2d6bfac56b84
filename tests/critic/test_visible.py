from dataclasses import replace

import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.critic.consistency import ConsistencyCritic
from cosmos.bridge.types import LABEL_STATES

TANK, CRATE_A, CRATE_B, ROBOT = 7, 3, 4, 5
CLEAR = {"sun_elevation": 45.0, "overcast": 0.0, "fog": 0.0, "rain": 0.0, "snow": 0.0, "dust": 0.0}


def result_of(world, rgb, **asked):
    """A result by a backend that records what it understood."""
    result = world.result(rgb)
    return replace(result, provenance=replace(result.provenance, effective={"conditions": {**CLEAR, **asked}}))


def shown(world, rgb, request=None, **asked):
    verdict = ConsistencyCritic().judge(request or world.request(), result_of(world, rgb, **asked))
    value = next((m.value for m in verdict.measurements if m.check == "instance_shown"), None)
    return value, [finding for finding in verdict.findings if finding.check == "instance_shown"], verdict


def hazy(world, extinction, air=200.0):
    """Haze by depth: what it lets through, and its own light (Koschmieder)."""
    left = np.exp(-extinction * np.where(np.isfinite(world.depth), world.depth, 1e6))[..., None]
    return np.clip(world.rgb * left + air * (1.0 - left) + 0.5, 0, 255).astype(np.uint8)


def amount(extinction):
    """Fog of `Look` that has this extinction: 3.9 / 8 f^1.9."""
    return ((extinction - 0.0002) * 8.0 / 3.9) ** (1.0 / 1.9)


def test_haze_that_nobody_asked_for_hides_the_far_and_names_it(world):
    value, findings, _ = shown(world, hazy(world, np.log(1.0 / 0.03) / 18.0))
    assert value < 0.12 and TANK in {finding.instance for finding in findings}
    assert CRATE_A not in {finding.instance for finding in findings}
    tank = next(finding for finding in findings if finding.instance == TANK)
    assert tank.severity == "reject" and tank.frames == tuple(range(12)) and "asked" in tank.text


def test_the_same_haze_passes_where_the_prompt_asked_for_it_but_its_labels_are_dropped(world):
    extinction = np.log(1.0 / 0.03) / 18.0
    value, findings, verdict = shown(world, hazy(world, extinction), fog=amount(extinction))
    assert value > 0.3 and not findings
    boxes = next(label for label in verdict.carried.labels if label.kind == "box_2d")
    states = {key: {LABEL_STATES[i] for i in boxes.state[:, verdict.carried.instances.tolist().index(key)]}
              for key in (TANK, CRATE_A)}  # fmt: skip
    assert states[TANK] == {"dropped"} and states[CRATE_A] == {"survives"}


def test_what_light_haze_leaves_is_what_was_asked_for(world):
    for extinction in (0.01, 0.03):
        value, findings, _ = shown(world, hazy(world, extinction), fog=amount(extinction))
        assert value > 0.5 and not findings


def test_new_light_hides_nothing(world):
    dim = np.clip(world.rgb * (0.35, 0.3, 0.28) + 4.0, 0, 255).astype(np.uint8)
    value, findings, _ = shown(world, dim)
    assert value > 0.5 and not findings


def weber_by_hand(world, rgb, thing):
    """Mean contrast at a thing's edges of result over source, every second row, by cv2 in float64."""
    values = []
    for t in range(len(rgb)):
        contrast = []
        for picture in (world.rgb[t], rgb[t]):
            level = cv2.blur(picture.max(axis=-1).astype(np.float64), (5, 5)) + 10.0
            steps = [cv2.Sobel(picture.astype(np.float64), cv2.CV_64F, dx, dy, borderType=cv2.BORDER_REPLICATE) / 8.0
                     for dx, dy in ((1, 0), (0, 1))]  # fmt: skip
            length = np.hypot(*steps)
            best = length.argmax(axis=-1)[..., None]
            contrast.append((np.take_along_axis(length, best, axis=-1)[..., 0], level))
        rows = np.zeros(world.ids[t].shape, bool)
        rows[::2] = True
        at = (world.ids[t] == thing) & rows & (contrast[0][0] >= 4.0)
        was, now = ((steep[at] / level[at]).mean() for steep, level in contrast)
        values.append(now / was)
    return float(np.median(values))


def test_the_contrast_matches_webers_by_cv2_in_float64(world):
    rgb = hazy(world, 0.2)
    scores = shown(world, rgb)[2].scores
    mine = (scores.check == scores.checks.index("instance_shown")) & (scores.instance == CRATE_B)
    assert np.median(scores.value[mine]) == pytest.approx(weber_by_hand(world, rgb, CRATE_B), rel=0.05)


@pytest.mark.parametrize(("through", "enough"), [(0.97, 1.0), (0.85, 0.5)])
def test_lamps_make_haze_that_was_asked_for_glow(world, through, enough):
    """Where it takes more than a twentieth of the light, half of what Koschmieder's law leaves is enough."""
    depth = float(np.median(world.depth[world.ids == TANK]))
    extinction = np.log(1.0 / through) / depth
    rgb = hazy(world, np.log(1.0 / 0.3) / depth)
    value, _, _ = shown(world, rgb, fog=amount(extinction))
    assert value == pytest.approx(weber_by_hand(world, rgb, TANK) / (enough * through**2), rel=0.1)


def test_a_backend_that_tells_nothing_is_unchecked_but_what_is_hidden_keeps_no_label(world):
    rgb = hazy(world, np.log(1.0 / 0.02) / 18.0)
    verdict = ConsistencyCritic().judge(world.request(), world.result(rgb))
    note = next(finding for finding in verdict.findings if finding.check == "instance_shown")
    assert note.kind == "unchecked" and note.severity == "note"
    boxes = next(label for label in verdict.carried.labels if label.kind == "box_2d")
    column = verdict.carried.instances.tolist().index(TANK)
    assert {LABEL_STATES[i] for i in boxes.state[:, column]} == {"dropped"}


def test_darkness_proves_nothing_and_neither_do_clips_without_ids(world):
    dark = (world.rgb * 0.02).astype(np.uint8)
    for rgb, request in ((dark, None), (world.rgb, world.request(drop=("instance_ids",)))):
        value, findings, _ = shown(world, rgb, request)
        assert value is None and findings[0].kind == "unchecked"


def test_one_frame_without_depth_is_judged_as_it_is_seen(world):
    one = type(world)(
        layers=world.layers, **{name: getattr(world, name)[:1] for name in ("rgb", "ids", "depth", "motion")}
    )  # fmt: skip
    rgb = hazy(one, np.log(1.0 / 0.02) / 18.0)
    value, findings, _ = shown(one, rgb, one.request(drop=("depth",)))
    assert value < 0.12 and TANK in {finding.instance for finding in findings}


def test_what_lies_under_snow_that_was_asked_for_is_not_hidden(world):
    up = np.zeros((*world.ids.shape, 3), np.float32)
    up[..., 1] = 1.0
    request = world.request()
    request = replace(
        request, clip=replace(request.clip, normals=wp.array(up, dtype=wp.float32, device="cpu"), up_axis="Y")
    )
    hidden = hazy(world, np.log(1.0 / 0.03) / 18.0)
    assert TANK in {finding.instance for finding in shown(world, hidden, request)[1]}
    _, findings, _ = shown(world, hidden, request, snow=0.8)
    assert [finding.kind for finding in findings] == ["unchecked"]
    up[world.ids == TANK] = (0.0, 0.0, 1.0)
    request = replace(request, clip=replace(request.clip, normals=wp.array(up, dtype=wp.float32, device="cpu")))
    assert TANK in {finding.instance for finding in shown(world, hidden, request, snow=0.3)[1]}


@pytest.mark.parametrize("free, judged", [(0.12, False), (0.6, True)])
def test_what_snow_leaves_hardly_any_edge_of_is_not_judged_by_it(world, free, judged):
    up = np.zeros((*world.ids.shape, 3), np.float32)
    up[..., 1] = 1.0
    up[(world.ids == TANK) & (np.random.default_rng(2).random(world.ids.shape) < free)] = (0.0, 0.0, 1.0)
    clip = replace(world.request().clip, normals=wp.array(up, dtype=wp.float32, device="cpu"), up_axis="Y")
    hidden = hazy(world, np.log(1.0 / 0.03) / 18.0)
    _, findings, _ = shown(world, hidden, replace(world.request(), clip=clip), snow=0.8)
    assert (TANK in {finding.instance for finding in findings}) == judged
