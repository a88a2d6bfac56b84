from dataclasses import fields, replace
from itertools import product

import cv2
import numpy as np
import pytest
import warp as wp

from cosmos.bridge.critic.checks import borders
from cosmos.bridge.critic.consistency import ConsistencyCritic
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.thresholds import THRESHOLDS
from cosmos.bridge.critic.truth import Truth, chunks
from cosmos.bridge.types import LABEL_STATES

WALL, CRATE, ROBOT = 10, 3, 5


def request_of(world, normals=(1.0, 0.0, 0.0)):
    """The request with normals: every layer faces the same way."""
    request = world.request()
    field = np.broadcast_to(np.float32(normals), world.rgb.shape)
    clip = replace(request.clip, normals=wp.array(np.ascontiguousarray(field), dtype=wp.float32, device="cpu"))
    return replace(request, clip=clip)


def order(world, rgb, request=None):
    verdict = ConsistencyCritic().judge(request or request_of(world), world.result(rgb))
    value = next((m.value for m in verdict.measurements if m.check == "depth_order"), None)
    return value, [finding for finding in verdict.findings if finding.check == "depth_order"]


def covered(world, thing, by, frames=None):
    """Let what lies behind a thing grow over its rim by some pixels, in its own colours."""
    rgb = world.rgb.copy()
    for t in range(len(rgb)) if frames is None else frames:
        mask = world.ids[t] == thing
        behind = (world.depth[t] > world.depth[t][mask].min() + 1e-3).astype(np.uint8)
        grown = (cv2.dilate(behind, np.ones((2 * by + 1, 2 * by + 1), np.uint8)) > 0) & mask
        core = cv2.erode(behind, np.ones((3, 3), np.uint8))
        label = cv2.distanceTransformWithLabels(1 - core, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)[1]
        colors = np.zeros((label.max() + 1, 3), np.uint8)
        colors[label[core > 0]] = rgb[t][core > 0]
        rgb[t][grown] = colors[label][grown]
    return rgb


@pytest.mark.parametrize("by", [3, 6])
@pytest.mark.parametrize("thing", [CRATE, ROBOT])
def test_a_far_surface_over_the_rim_of_a_near_thing_is_named(world, thing, by):
    value, findings = order(world, covered(world, thing, by))
    assert value > 0.5 and {finding.instance for finding in findings} == {thing}
    assert findings[0].severity == "reject" and findings[0].kind == "geometry" and "lies behind" in findings[0].text


def test_round_faces_count_half_and_edges_of_a_thing_prove_nothing(world):
    def turned(angle):
        return request_of(world, np.stack([np.sin(angle), 0.0 * angle, np.cos(angle)], axis=-1))

    rgb, (y, x) = covered(world, CRATE, 5), np.mgrid[: world.rgb.shape[1], : world.rgb.shape[2]]
    flat, _ = order(world, rgb)
    value, findings = order(world, rgb, turned(0.1 * (x + y)))
    assert 0.4 * flat < value <= 0.5 and not findings  # half of what a flat face tells is within the bar
    value, findings = order(world, rgb, turned(1.5 * ((x // 4 + y // 4) % 2)))
    assert value is None and findings[0].kind == "unchecked"


def test_only_the_frames_that_show_it_are_named_and_lose_their_labels(world):
    rgb = covered(world, CRATE, 6, frames=range(2, 12))
    verdict = ConsistencyCritic().judge(request_of(world), world.result(rgb))
    found = next(finding for finding in verdict.findings if finding.check == "depth_order")
    assert set(found.frames) == {2, 4, 6, 8, 10}
    mask = next(label for label in verdict.carried.labels if label.kind == "mask")
    column = verdict.carried.instances.tolist().index(CRATE)
    assert {LABEL_STATES[state] for state in mask.state[2::2, column]} == {"dropped"}


def lit(rgb, seed=5):
    """Another light: darker, warmer, a glow from one side, and sensor noise."""
    x = np.arange(rgb.shape[2])[None, :, None]
    glow = 0.4 + 0.6 * np.exp(-(((x - 120) / 60.0) ** 2))
    noise = np.random.default_rng(seed).normal(0.0, 2.0, rgb.shape)
    return np.clip(rgb * glow * (0.9, 0.7, 0.5) + 6.0 + noise, 0, 255).astype(np.uint8)


def test_new_light_is_no_fault_and_hides_none(world):
    good, findings = order(world, lit(world.rgb))
    assert good < 0.1 and not findings
    value, findings = order(world, lit(covered(world, CRATE, 5)))
    assert value > 0.5 and {finding.instance for finding in findings} == {CRATE}


def value_by_loops(world, rgb, near, far):
    """The evidence of one pair, pixel by pixel in float64."""
    sums = np.zeros(5)
    height, width = world.ids.shape[1:]
    for t, y, x, (dy, dx) in product(
        range(0, len(rgb), 2), range(height), range(width), ((0, 1), (0, -1), (1, 0), (-1, 0))
    ):
        line = [(y + k * dy, x + k * dx) for k in range(-3, 11)]
        line = [world.ids[t][p] if 0 <= p[0] < height and 0 <= p[1] < width else -1 for p in line]
        if line[2] != far or line[1] != far or line[3] != near or line[10] != near:
            continue

        def mean(video, ks, t=t, y=y, x=x, dy=dy, dx=dx, line=line):
            owner, ks = (near if ks[0] > 0 else far), list(ks)
            count = next((i for i, k in enumerate(ks) if line[k + 3] != owner), len(ks))
            return np.mean([video[t, y + k * dy, x + k * dx].astype(float) for k in ks[:count]], axis=0)

        source = {name: mean(world.rgb, ks) for name, ks in PLACES.items()}
        result = {name: mean(rgb, ks) for name, ks in PLACES.items()}
        change, apart = (((source["rim"] - source[other]) ** 2).sum() for other in ("inner", "outer"))
        if change > 0.25 * apart or apart < 100.0:
            continue
        contrast = result["inner"] - result["outer"]
        full, weight = (contrast**2).sum(), 1.0 / (70.0 + change)

        def step(after, before, t=t, y=y, x=x, dy=dy, dx=dx, contrast=contrast):
            a, b = (rgb[t, y + k * dy, x + k * dx].astype(float) for k in (after, before))
            return (a - b) @ contrast

        steepest = max(step(k + 1, k - 1) for k in range(3, 9) if line[k + 4] == near)
        alike = full - ((result["rim"] - result["outer"]) ** 2).sum()
        sums += 1.0, weight * full, weight * alike, weight * min(steepest, 1.2 * full), weight * step(1, -2)
    lines, full, alike, steep, border = sums
    assert lines >= 25
    return (
        max(alike / (full + 300.0), 0.0)
        * np.clip(steep / full / 0.8, 0.0, 1.0)
        * np.clip((1.0 - abs(border / full)) / 0.7, 0.0, 1.0)
    )


PLACES = {"rim": (1, 2, 3), "inner": (7, 8, 9, 10), "outer": (-2, -3)}


def test_the_evidence_matches_loops_over_pixels_in_float64(draw_world, layer_type, monkeypatch):
    monkeypatch.setattr(borders, "_PER_PAIR", 10_000)
    layers = [
        layer_type(10, "/World/Wall", 20.0, (-10, -10), (90, 110), (0.0, 0.0), (150, 140, 125)),
        layer_type(3, "/World/Crate", 8.0, (30, 22), (24, 30), (1.0, 0.0), (185, 120, 60)),
    ]
    small = draw_world(layers, frames=3, height=64, width=80, seed=3)
    for rgb in (covered(small, 3, 4), covered(small, 3, 2), small.rgb):
        value, _ = order(small, rgb)
        assert value == pytest.approx(value_by_loops(small, rgb, 3, 10), abs=2e-4)


def test_a_thing_of_the_colour_of_what_lies_behind_it_is_no_fault(draw_world, layer_type):
    layers = [
        layer_type(10, "/World/Wall", 20.0, (-10, -10), (170, 280), (0.0, 0.0), (150, 140, 125)),
        layer_type(3, "/World/Crate", 8.0, (90, 50), (50, 60), (1.0, 0.0), (150, 140, 125)),
    ]
    alike = draw_world(layers, frames=4)
    value, findings = order(alike, alike.rgb)
    assert value < 0.05 and not findings


def repeated(video, by):
    """Every pixel of a video `by` times in both directions."""
    return wp.array(video.numpy().repeat(by, axis=1).repeat(by, axis=2), dtype=video.dtype, device="cpu")


def swept(world, rgb, by, limits):
    """Value of depth order, and what it finds, where every pixel is repeated."""
    clip, video = request_of(world).clip, repeated(world.result(rgb).rgb, by)
    buffers = {part.name: getattr(clip, part.name) for part in fields(clip)}
    buffers = {name: repeated(value, by) for name, value in buffers.items() if isinstance(value, wp.array)}
    height, width = video.shape[1:3]
    cameras = tuple(replace(camera, width=width, height=height) for camera in clip.cameras)
    clip = replace(clip, cameras=cameras, **buffers)
    truth = Truth.of(clip)
    sweep = borders.BorderSweep(clip, truth, THRESHOLDS, limits)
    for chunk in chunks(clip, video, truth, limits.chunk):
        sweep.add(chunk)
    return sweep.conclude().measurements[0].value


@pytest.mark.parametrize("by", [0, 1, 3])
def test_the_same_picture_of_more_pixels_is_judged_alike(world, by):
    limits, rgb = Limits(usual_width=world.rgb.shape[2]), covered(world, CRATE, by) if by else world.rgb
    for times in (2, 3):
        assert swept(world, rgb, times, limits) == pytest.approx(swept(world, rgb, 1, limits), abs=1e-6)


def test_without_normals_depth_or_ids_it_is_unchecked_and_one_frame_is_enough(world):
    for request in (world.request(), world.request(drop=("depth",)), world.request(drop=("instance_ids",))):
        value, findings = order(world, world.rgb, request)
        assert value is None and findings[0].kind == "unchecked" and findings[0].severity == "note"
    one = type(world)(
        layers=world.layers, **{name: getattr(world, name)[:1] for name in ("rgb", "ids", "depth", "motion")}
    )  # fmt: skip
    value, findings = order(one, covered(one, CRATE, 5))
    assert value > 0.5 and findings[0].frames == (0,)


def test_depth_that_is_not_a_number_lies_nowhere(world):
    request = request_of(world)
    depth = world.depth.copy()
    depth[:, :, 100:] = np.nan
    clip = replace(request.clip, depth=wp.array(depth, dtype=wp.float32, device="cpu"))
    value, findings = order(world, covered(world, CRATE, 5), replace(request, clip=clip))
    assert {finding.instance for finding in findings} <= {CRATE}
    assert value is None or np.isfinite(value)
