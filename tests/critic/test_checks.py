"""Faults that each of the further checks is there for, on the synthetic world."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.critic.checks.boundaries import _areas
from cosmos.bridge.critic.consistency import ConsistencyCritic, ConsistencyOptions
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.registry import create
from cosmos.bridge.critic.thresholds import THRESHOLDS
from cosmos.bridge.types import Camera, Clip, ControlSignals, ControlWeights, Instance, TransferRequest

CRATE_A, ROBOT = 3, 5
CLEAR = {"sun_elevation": 45.0, "overcast": 0.0, "fog": 0.0, "rain": 0.0, "snow": 0.0, "dust": 0.0}


def checks(verdict, severity="reject"):
    return {finding.check for finding in verdict.findings if finding.severity == severity}


def value(verdict, check):
    return next(item.value for item in verdict.measurements if item.check == check)


def told(result, **conditions):
    effective = {"conditions": {**CLEAR, **conditions}}
    return replace(result, provenance=replace(result.provenance, effective=effective))


def test_a_thing_that_no_label_knows_is_found_with_its_place(world):
    rgb = world.rgb.copy()
    for t in range(len(rgb)):
        cv2.rectangle(rgb[t], (128, 112), (140, 130), (230, 20, 20), -1)
        cv2.line(rgb[t], (130, 121), (139, 121), (10, 10, 10), 2)
    verdict = ConsistencyCritic().judge(world.request(), world.result(rgb))
    found = next(finding for finding in verdict.findings if finding.check == "invented")
    x, y = (int(found.text.split(f" {axis} ")[1].split()[0].rstrip(",")) for axis in ("x", "y"))
    assert 120 <= x <= 148 and 104 <= y <= 138 and not verdict.accepted


def test_colours_that_were_asked_for_are_no_invention(world):
    """Where a model says that it painted things as the prompt wished; what it found nothing of excuses nothing."""
    rgb = world.rgb.copy()
    for picture in rgb:
        cv2.rectangle(picture, (128, 112), (140, 130), (230, 20, 20), -1)
    blamed = {}
    for name, share in (("asked", 0.02), ("absent", 0.0)):
        result = told(world.result(rgb))
        wishes = {"surfaces": [{"of": "crate", "color": "red", "said": "red crates"}], "shares": {"crate": share}}
        effective = {**result.provenance.effective, "wishes": wishes}
        result = replace(result, provenance=replace(result.provenance, effective=effective))
        verdict = ConsistencyCritic().judge(world.request(), result)
        blamed[name] = "invented" in checks(verdict)
        assert ("invented" in checks(verdict, "note")) == (share > 0.0)
    assert blamed == {"asked": False, "absent": True}


def test_a_thing_that_no_label_knows_is_found_in_larger_pictures_of_odd_size(draw_world, layers_without):
    world = draw_world(layers_without(), frames=4, height=289, width=643)
    rgb = world.rgb.copy()
    for picture in rgb:
        cv2.rectangle(picture, (180, 112), (204, 148), (230, 20, 20), -1)
        cv2.line(picture, (184, 130), (200, 130), (10, 10, 10), 4)
    clean = value(ConsistencyCritic().judge(world.request(), world.result(world.rgb)), "invented")
    verdict = ConsistencyCritic().judge(world.request(), world.result(rgb))
    found = next(finding for finding in verdict.findings if finding.check == "invented")
    x, y = (int(found.text.split(f" {axis} ")[1].split()[0].rstrip(",")) for axis in ("x", "y"))
    assert clean < -2.0 and 165 <= x <= 220 and 95 <= y <= 165


def test_a_thing_that_is_there_twice_is_named_with_the_other_place(world):
    rgb = world.rgb.copy()
    for t in range(len(rgb)):
        ys, xs = np.nonzero(world.ids[t] == ROBOT)
        inside = xs - 70 >= 0
        rgb[t, ys[inside], xs[inside] - 70] = world.rgb[t, ys[inside], xs[inside]]
    verdict = ConsistencyCritic().judge(world.request(), world.result(rgb))
    found = next(finding for finding in verdict.findings if finding.check == "duplicated")
    x, y = (int(found.text.split(f" {axis} ")[1].split(":")[0].rstrip(",")) if axis == "y" else
            int(found.text.split(f" {axis} ")[1].split(",")[0]) for axis in ("x", "y"))  # fmt: skip
    places = [np.argwhere(world.ids[t] == ROBOT).mean(axis=0) for t in range(len(rgb))]
    assert found.instance == ROBOT and not verdict.accepted
    assert any(abs(x + 70 - place[1]) <= 3 and abs(y - place[0]) <= 3 for place in places)


def test_areas_and_largest_pieces_match_cv2_thing_by_thing():
    rng = np.random.default_rng(3)
    thing = cv2.resize(rng.integers(0, 5, (9, 16)).astype(np.uint8), (96, 54), interpolation=cv2.INTER_NEAREST)
    area, piece = (found[0] for found in _areas(thing[None].astype(np.int32), 6, Limits()))
    for index in range(6):
        mask = (thing == index).astype(np.uint8)
        assert area[index] == mask.sum()
        inner = mask[:-1, :-1] & mask[1:, :-1] & mask[:-1, 1:]
        sizes = cv2.connectedComponentsWithStats(inner, connectivity=4)[2][1:, cv2.CC_STAT_AREA]
        expected = mask.sum() * sizes.max() / sizes.sum() if len(sizes) else 0.0
        assert piece[index] == pytest.approx(expected)
    large = np.kron(thing, np.ones((3, 3), np.int32))
    larger = _areas(large[None], 6, Limits(usual_width=96))[:, 0]
    np.testing.assert_allclose(larger, 9 * np.stack([area, piece]))


def test_a_ladder_is_one_piece_and_its_halves_are_two():
    thing = np.zeros((60, 60), np.int32)
    for x in (20, 30):
        thing[5:55, x : x + 2] = 1
    thing[8:54:6, 20:32] = 1
    whole = (thing == 1).sum()
    assert _areas(thing[None], 2, Limits())[1, 0, 1] == whole
    thing[30:32] = 0
    sizes = cv2.connectedComponentsWithStats((thing == 1).astype(np.uint8), connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    assert _areas(thing[None], 2, Limits())[1, 0, 1] == sizes.max() < 0.6 * whole


@pytest.mark.parametrize("floor", [(95, 100, 105), (30, 170, 30), (190, 60, 60)], ids=["grey", "green", "red"])
def test_a_shadow_is_no_invention_and_paint_is_one(draw_world, layers_without, floor):
    layers = layers_without()
    layers[1].color = floor
    world, values = draw_world(layers), []
    for color in (world.rgb[0, 130, 215] * 0.3, np.array([60, 30, 160])):
        rgb = world.rgb.copy()
        for picture in rgb:
            picture[116:122, 208:220] = picture[128:134, 208:220] = color
        values.append(value(ConsistencyCritic().judge(world.request(), world.result(rgb)), "invented"))
    assert values[0] < -1.0 < 1.0 < values[1]


def test_a_cap_of_snow_is_no_invention_where_snow_was_asked_and_a_thing_on_snow_is_one(draw_world, layers_without):
    layers = layers_without()
    ball = next(layer for layer in layers if layer.id == ROBOT)
    ball.color, ball.size, ball.at = (225, 110, 15), (56, 56), (90.0, 70.0)
    world, floor = draw_world(layers), 11
    rise = np.where(world.ids == floor, 1.0, 0.0)
    for t, picture in enumerate(world.ids):
        ys = np.nonzero(picture == ROBOT)[0]
        middle, radius = 0.5 * (ys.min() + ys.max() + 1), 0.5 * (ys.max() + 1 - ys.min())
        rise[t][picture == ROBOT] = (middle - 0.5 - ys) / radius
    normals = np.stack([np.zeros_like(rise), -np.sqrt(1.0 - rise * rise), rise], axis=-1)
    request = world.request()
    request = replace(
        request, clip=replace(request.clip, normals=wp.array(normals, dtype=wp.float32, device="cpu"), up_axis="Z")
    )
    snowy = world.rgb.copy()
    snowy[world.ids == floor] = 100 + snowy[world.ids == floor] // 2
    snowy[(world.ids == ROBOT) & (rise > 0.45)] = (235, 238, 240)
    planted = snowy.copy()
    for picture in planted:
        cv2.rectangle(picture, (190, 118), (203, 136), (230, 20, 20), -1)
    found = {
        (thing, snow): value(ConsistencyCritic().judge(request, told(world.result(rgb), snow=snow)), "invented")
        for thing, rgb in (("cap", snowy), ("more", planted))
        for snow in (0.0, 0.8)
    }
    bar = THRESHOLDS["invented"].value
    assert found["cap", 0.8] < bar < found["cap", 0.0]
    assert found["more", 0.8] > bar


def test_movement_that_the_source_does_not_have_lowers_the_hallucination_score(world):
    rgb = world.rgb.copy()
    for t in range(len(rgb)):
        cv2.circle(rgb[t], (20 + 12 * t, 20), 8, (250, 250, 250), -1)
    score = value(ConsistencyCritic().judge(world.request(), world.result(rgb)), "hallucination")
    moving, far = 0, 0
    for before, after in zip(range(11), range(1, 12), strict=True):
        masks = []
        for video in (world.rgb, rgb):
            grey = [cv2.cvtColor(video[t], cv2.COLOR_RGB2GRAY) for t in (before, after)]
            dynamic = cv2.GaussianBlur(cv2.absdiff(*grey), (7, 7), 0) > 10
            masks.append(cv2.morphologyEx(dynamic.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0)
        ys, xs = np.nonzero(masks[1])
        oy, ox = np.nonzero(masks[0])
        nearest = np.sqrt(((ys[:, None] - oy) ** 2 + (xs[:, None] - ox) ** 2).min(axis=1)) if len(oy) else np.inf
        moving, far = moving + len(ys), far + int((nearest > 7.0).sum())
    assert score == pytest.approx(1.0 - far / moving, abs=0.02) and score < 0.9


def painted(world):
    rgb = world.rgb.copy()
    rgb[world.ids == CRATE_A] = rgb[world.ids == CRATE_A][:, ::-1]
    return rgb


def test_what_is_kept_by_its_weight_must_keep_its_colour(world):
    request = replace(world.request(), weights=ControlWeights(), preserve=None)
    assert ConsistencyCritic().judge(request, world.result(painted(world))).accepted
    keep = wp.array((world.ids == CRATE_A).astype(np.float32), dtype=wp.float32, device="cpu")
    verdict = ConsistencyCritic().judge(replace(request, preserve=keep), world.result(painted(world)))
    found = [finding for finding in verdict.findings if finding.check == "kept_color"]
    assert [finding.instance for finding in found] == [CRATE_A] and not verdict.accepted
    lab = [cv2.cvtColor(rgb[:1, :1], cv2.COLOR_RGB2LAB).astype(float) for rgb in
           (np.uint8([[[185, 120, 60]]]), np.uint8([[[60, 120, 185]]]))]  # fmt: skip
    assert found[0].value == pytest.approx(np.linalg.norm((lab[1] - lab[0])[0, 0, 1:]), abs=4)
    assert ConsistencyCritic().judge(replace(request, preserve=keep), world.result(world.rgb)).accepted


def test_what_is_kept_may_not_take_a_tint_that_light_could_have(world):
    tinted = world.rgb.astype(np.float32)
    tinted[world.ids == CRATE_A] *= (1.0, 0.9, 0.8)
    picture = tinted.clip(0, 255).astype(np.uint8)
    keep = wp.array((world.ids == CRATE_A).astype(np.float32), dtype=wp.float32, device="cpu")
    verdict = ConsistencyCritic().judge(replace(world.request(), preserve=keep), world.result(picture))
    assert checks(verdict) == {"kept_color"}
    named = create("consistency", {"protect": ["/World/Crates/*"]})
    assert named.judge(world.request(), world.result(picture)).accepted


def test_what_is_protected_by_name_may_be_lit_but_not_repainted(world):
    critic = create("consistency", {"protect": ["/World/Crates/*"]})
    dusk = np.clip(world.rgb * (0.75, 0.65, 0.6), 0, 255).astype(np.uint8)
    assert critic.judge(world.request(), world.result(dusk)).accepted
    assert checks(critic.judge(world.request(), world.result(painted(world)))) == {"protected_color"}


def test_a_protected_name_that_nothing_bears_is_told(world):
    critic = create("consistency", {"protect": ["/World/Crates/*", "robt"]})
    for picture, accepted in ((world.rgb, True), (painted(world), False)):
        verdict = critic.judge(world.request(), world.result(picture))
        assert "No label or prim of the clip is 'robt'" in " ".join(finding.text for finding in verdict.findings)
        assert verdict.accepted == accepted


def test_a_prompt_that_was_ignored_is_refused(world):
    critic = ConsistencyCritic()
    for asked in ({"sun_elevation": -10.0}, {"fog": 0.8}, {"rain": 0.7}):
        assert "prompt_change" in checks(critic.judge(world.request(), told(world.result(world.rgb), **asked)))
    assert critic.judge(world.request(), told(world.result(world.rgb))).accepted
    notes = critic.judge(world.request(), world.result(world.rgb)).findings
    assert any(finding.check == "prompt_change" and finding.kind == "unchecked" for finding in notes)


def test_a_prompt_is_checked_where_only_one_thing_is_kept(world):
    keep = wp.array((world.ids == CRATE_A).astype(np.float32), dtype=wp.float32, device="cpu")
    asked = told(world.result(world.rgb), fog=0.8)
    verdict = ConsistencyCritic().judge(replace(world.request(), preserve=keep), asked)
    assert "prompt_change" in checks(verdict)
    whole = wp.ones(world.ids.shape, dtype=wp.float32, device="cpu")
    assert ConsistencyCritic().judge(replace(world.request(), preserve=whole), asked).accepted


def test_night_must_be_darker(world):
    bright = np.clip(world.rgb.astype(int) + 20, 0, 255).astype(np.uint8)
    assert "prompt_night" in checks(
        ConsistencyCritic().judge(world.request(), told(world.result(bright), sun_elevation=-12))
    )
    dark = (world.rgb * 0.5).astype(np.uint8)
    assert ConsistencyCritic().judge(world.request(), told(world.result(dark), sun_elevation=-12)).accepted


@pytest.mark.parametrize("snow", [0.0, 0.7])
def test_lamps_may_light_all_but_the_sky(world, snow):
    lamps = np.clip(world.rgb.astype(int) + 30, 0, 255).astype(np.uint8)
    asked = {"sun_elevation": -12, "snow": snow}
    for sky, refused in ((0.3, False), (1.0, True)):
        rgb = lamps.copy()
        rgb[world.ids == 0] = world.rgb[world.ids == 0] * sky
        verdict = ConsistencyCritic().judge(world.request(), told(world.result(rgb), **asked))
        assert ("prompt_night" in checks(verdict)) == refused
        assert value(verdict, "prompt_night") == pytest.approx(sky, abs=0.02)
    room = replace(world, depth=np.minimum(world.depth, 40.0))
    verdict = ConsistencyCritic().judge(room.request(), told(room.result(lamps), **asked))
    assert "prompt_night" not in {measurement.check for measurement in verdict.measurements}


def test_what_is_kept_does_not_speak_for_the_fog(world):
    """A far thing that keeps the source's look stands clear in fog, as was asked."""
    depth = np.where(np.isfinite(world.depth), world.depth, 1e3)[..., None]
    left = np.exp(-(depth - 4.0) / 12.0).clip(0.25, 1.0)
    wall = world.ids == 10
    rgb = np.where(wall[..., None], world.rgb, world.rgb * left + 200.0 * (1.0 - left)).astype(np.uint8)
    plain = ConsistencyCritic().judge(world.request(), told(world.result(rgb), fog=0.6))
    keep = wp.array(wall.astype(np.float32), dtype=wp.float32, device="cpu")
    request = replace(world.request(), preserve=keep)
    verdict = ConsistencyCritic().judge(request, told(world.result(rgb), fog=0.6))
    assert "prompt_fog" in checks(plain) and "prompt_fog" not in checks(verdict)


def test_the_sharp_outline_of_what_is_kept_does_not_speak_for_the_fog(world):
    """It is as sharp on the side of its surroundings, which are not kept."""
    depth = np.where(np.isfinite(world.depth), world.depth, 1e3)[..., None]
    left = np.exp(-(depth - 4.0) / 12.0).clip(0.25, 1.0)
    tank = world.ids == 7
    keep = wp.array(tank.astype(np.float32), dtype=wp.float32, device="cpu")
    request, hidden = replace(world.request(), preserve=keep), world.rgb * left + 200.0 * (1.0 - left)
    values = []
    for own in (hidden, np.where(tank[..., None], [255, 0, 0], hidden)):
        verdict = ConsistencyCritic().judge(request, told(world.result(own.astype(np.uint8)), fog=0.6))
        values.append(value(verdict, "prompt_fog"))
    assert values[1] == pytest.approx(values[0], abs=1e-6)


def test_fog_must_hide_the_far_by_true_depth(world):
    depth = np.where(np.isfinite(world.depth), world.depth, 1e3)[..., None]
    for sign, refused in ((1.0, False), (-1.0, True)):
        left = np.exp(-sign * (depth - 4.0) / 12.0 - (0.0 if sign > 0 else 1.3)).clip(0.25, 1.0)
        rgb = (world.rgb * left + 200.0 * (1.0 - left)).astype(np.uint8)
        verdict = ConsistencyCritic().judge(world.request(), told(world.result(rgb), fog=0.6))
        assert ("prompt_fog" in checks(verdict)) == refused, value(verdict, "prompt_fog")


def test_snow_must_lie_on_upward_faces(world):
    normals = np.zeros((*world.ids.shape, 3), np.float32)
    normals[world.ids == 11] = (0, 0, 1)
    normals[(world.ids != 11) & (world.ids != 0)] = (0, -1, 0)
    request = world.request()
    clip = replace(request.clip, normals=wp.array(normals, dtype=wp.float32, device="cpu"))
    for face, warned in ((11, False), (10, True)):
        rgb = (world.rgb * 0.9).astype(np.uint8)
        rgb[world.ids == face] = np.clip(rgb[world.ids == face] * 0.3 + 150, 0, 255)
        verdict = ConsistencyCritic().judge(replace(request, clip=clip), told(world.result(rgb), snow=0.7))
        assert ("prompt_snow" in checks(verdict, "warning")) == warned


def test_a_seam_between_chunks_is_named(world):
    rgb = world.rgb.astype(int)
    rgb[7:] += 18
    verdict = ConsistencyCritic().judge(world.request(), world.result(np.clip(rgb, 0, 255).astype(np.uint8)))
    found = next(finding for finding in verdict.findings if finding.check == "seam_level")
    assert found.frames == (7,) and found.value == pytest.approx(18, abs=1.5)


def test_saturated_frames_are_named(world):
    rgb = world.rgb.copy()
    rgb[3] = np.clip(rgb[3].astype(int) * 3, 0, 255)
    found = [f for f in ConsistencyCritic().judge(world.request(), world.result(rgb)).findings
             if f.check == "saturated_frames"]  # fmt: skip
    assert [finding.frames for finding in found] == [(3,)]


@pytest.mark.parametrize(("by", "where"), [(-1, "after"), (1, "before")])
def test_labels_of_another_moment_are_refused(world, by, where):
    late = replace_buffers(world, by)
    verdict = ConsistencyCritic().judge(late, world.result(world.rgb))
    found = next(finding for finding in verdict.findings if finding.check == "label_moment")
    assert f"the frame {where} theirs" in found.text and not verdict.accepted and found.value < -0.2
    assert value(ConsistencyCritic().judge(world.request(), world.result(world.rgb)), "label_moment") > 0.3


def replace_buffers(world, by):
    """The request with ids, depth and motion of the frame ``by`` before."""
    late = type(world)(
        layers=world.layers, rgb=world.rgb, alone=world.alone,
        **{name: np.roll(getattr(world, name), by, axis=0) for name in ("ids", "depth", "motion")},
    )  # fmt: skip
    return late.request()


def wall_clip(world, name, right):
    """A textured wall 10 m ahead, seen by a camera that stands ``right`` px of the picture to the right."""
    rng = np.random.default_rng(3)
    wall = cv2.GaussianBlur(rng.integers(0, 255, (144, 400, 3), dtype=np.uint8), (0, 0), 3)
    wall = np.clip((wall.astype(float) - 127) * 6 + 127, 0, 255).astype(np.uint8)
    rgb = np.repeat(wall[None, :, 40 + right : 296 + right], 3, axis=0)
    pose = np.eye(4)
    pose[0, 3] = right * 10.0 / 200.0
    camera = Camera(prim_path=name, height=144, width=256, cam_to_world=pose,
                    intrinsics=np.array([[200.0, 0, 128], [0, 200.0, 72], [0, 0, 1]]))  # fmt: skip
    ids = np.full(rgb.shape[:3], 10, np.uint32)
    ids[:, 50:90, 100 - right : 150 - right] = 3
    clip = Clip(
        cameras=(camera,) * 3, fps=24.0, time_codes=np.arange(3.0), rgb=wp.array(rgb, dtype=wp.uint8, device="cpu"),
        depth=wp.full(rgb.shape[:3], 10.0, dtype=wp.float32, device="cpu"),
        instance_ids=wp.array(ids, dtype=wp.uint32, device="cpu"),
        instances={10: Instance(id=10, prim_path="/World/Wall"), 3: Instance(id=3, prim_path="/World/Sign")},
    )  # fmt: skip
    request = TransferRequest(clip=clip, controls=ControlSignals(signals=()), weights=ControlWeights(), prompt="day")
    return request, rgb, ids


def test_cameras_of_one_moment_must_agree(world):
    critic = ConsistencyCritic(ConsistencyOptions())
    first, rgb, _ = wall_clip(world, "/Left", 0)
    assert critic.judge(first, world.result(rgb)).accepted
    second, other, ids = wall_clip(world, "/Right", 30)
    same = critic.judge(second, world.result(other))
    assert value(same, "views_agree") <= 1.0 and value(same, "instance_views") <= 1.0 and same.accepted
    repainted = other.copy()
    repainted[ids == 3] = 255 - repainted[ids == 3]
    verdict = critic.judge(second, world.result(repainted))
    assert [f.prim_path for f in verdict.findings if f.check == "instance_views"] == ["/World/Sign"]
    alone = ConsistencyCritic().judge(second, world.result(repainted))
    assert not any(item.check == "views_agree" for item in alone.measurements)
