"""Broken buffers and records: a finding or a clear note, never a crash, and never a pass by default."""

from dataclasses import replace

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.critic.consistency import ConsistencyCritic

CLEAR = {"sun_elevation": 45.0, "overcast": 0.0, "fog": 0.0, "rain": 0.0, "snow": 0.0, "dust": 0.0}
BURIED = {"fog": 1.0, "dust": 1.0}
CRATE_A = 3


def judge(world, rgb, asked=None, **buffers):
    request, result = world.request(), world.result(rgb)
    arrays = {
        name: wp.array(np.ascontiguousarray(values), dtype=dtype, device="cpu")
        for name, (values, dtype) in buffers.items()
    }
    effective = {} if asked is None else {"conditions": asked}
    result = replace(result, provenance=replace(result.provenance, effective=effective))
    return ConsistencyCritic().judge(replace(request, clip=replace(request.clip, **arrays)), result)


def unchecked(verdict):
    return {finding.check for finding in verdict.findings if finding.kind == "unchecked"}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("broken", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("buffer", "left_out"),
    [("motion", "flicker_level"), ("normals", "depth_order"), ("depth", "depth_order")],
)
def test_buffers_that_are_no_numbers_are_named_and_measure_nothing(world, buffer, left_out, broken):
    values = np.full(world.rgb.shape if buffer == "normals" else getattr(world, buffer).shape, broken, np.float32)
    verdict = judge(world, world.rgb, CLEAR, **{buffer: (values, wp.float32)})
    assert left_out in unchecked(verdict)
    assert all(np.isfinite(item.value) for item in verdict.measurements) and np.isfinite(verdict.score)


def test_buffers_that_are_no_numbers_hide_no_fault(world, draw_world, layers_without):
    gone = draw_world(layers_without((CRATE_A,))).rgb
    motion = np.where(np.arange(256)[None, None, :, None] % 3 == 0, np.float32(np.nan), world.motion)
    verdict = judge(world, gone, motion=(motion, wp.float32))
    assert not verdict.accepted and CRATE_A in {finding.instance for finding in verdict.findings}


@pytest.mark.parametrize(
    "asked", ["foggy", {**CLEAR, "fog": "much"}, {**CLEAR, "snow": float("nan")}, {**CLEAR, "fog": float("inf")}, {}]
)
def test_conditions_that_are_no_numbers_leave_the_prompt_unchecked(world, asked):
    verdict = judge(world, world.rgb, asked)
    assert {"prompt_change", "instance_shown"} <= unchecked(verdict)
    assert not {"prompt_change", "instance_shown"} & {item.check for item in verdict.measurements}


def test_fog_that_rightly_hides_all_is_said_and_not_counted_as_a_pass(world):
    verdict = judge(world, world.rgb, {**CLEAR, **BURIED})
    note = next(finding for finding in verdict.findings if finding.check == "instance_shown")
    assert note.kind == "unchecked" and "rightly" in note.text
    assert "instance_shown" not in {item.check for item in verdict.measurements}


def test_ids_that_no_label_describes_are_judged_and_named_by_number(world, draw_world, layers_without):
    gone = draw_world(layers_without((CRATE_A,))).rgb
    verdict = judge(world, gone, instance_ids=(world.ids + 1000 * (world.ids > 0), wp.uint32))
    assert any("instance 1003" in finding.text for finding in verdict.findings if finding.severity == "reject")


def test_the_refusal_of_an_empty_view_says_what_to_do(draw_world):
    sky = draw_world([], frames=3)
    verdict = judge(sky, sky.rgb)
    assert not verdict.accepted and "labelled" in verdict.rationale and "read ids and depth" in verdict.rationale
