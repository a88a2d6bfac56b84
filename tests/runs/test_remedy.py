import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.controls import cap_weights
from cosmos.bridge.runs.remedy import RIM, find_remedy, raise_weights
from cosmos.bridge.transfer.base import TransferSpec
from cosmos.bridge.types import ControlKind, ControlWeights, Finding, TransferRequest, Verdict

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fakes"))
from fake_clips import make_clip, make_controls

SPEC = TransferSpec(
    name="some", revision="1", licence="", controls=tuple(ControlKind), size_multiple=1, num_steps=10, max_steps=20,
    weight_maps=True, negative_prompt=True, guidance=True, overlap=True, most_guidance=5.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def request_(frames=3):
    clip = make_clip(frames=frames)
    return TransferRequest(
        clip=clip, controls=make_controls(clip), weights=ControlWeights(edge=0.2, depth=0.1, vis=0.3), prompt="rain"
    )


def blame(*findings):
    made = tuple(
        Finding(severity="reject", text="No.", check=f"check_{kind}", kind=kind, instance=instance)
        for kind, instance in findings
    )
    return Verdict(accepted=False, score=0.1, critic="c", findings=made)


def remedy(request, verdict, spec=SPEC, effective=None, gain=2.0):
    return find_remedy(request, verdict, effective or {}, spec, gain=gain, seed=77)


def shares(weights, clip):
    """What each control's share is once the sum is capped, by the code of the controls."""
    shape = (clip.num_frames, clip.height, clip.width)
    return {kind: array.numpy() for kind, array in cap_weights(weights, shape, device="cpu").items()}


def test_geometry_rises_on_the_named_instances_and_their_rim_alone(request_):
    import cv2

    found = remedy(request_, blame(("geometry", 2), ("label", 2)))
    assert found.cause == "geometry" and found.request.seed == request_.seed
    ids = request_.clip.instance_ids.numpy()
    for frame in range(3):
        box = np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8)
        near = cv2.dilate((ids[frame] == 2).astype(np.uint8), box) > 0
        for kind, before in (("edge", 0.2), ("depth", 0.1)):
            got = getattr(found.request.weights, kind).numpy()[frame]
            np.testing.assert_allclose(got[near], 2 * before, rtol=1e-6)
            np.testing.assert_allclose(got[~near], before, rtol=1e-6)
    assert found.request.weights.vis == 0.3 and "/World/Thing_2" in found.text


def test_geometry_rises_on_all_parts_of_the_thing_that_is_named(request_):
    ids = request_.clip.instance_ids.numpy().copy()
    ids[:, :, -3:] = 4
    part = replace(request_.clip.instances[2], owner="/World/Truck")
    instances = {**request_.clip.instances, 2: part, 4: replace(part, id=4, prim_path="/World/Truck/Wheel")}
    clip = replace(
        request_.clip,
        instances=instances,
        instance_ids=wp.array(ids, dtype=request_.clip.instance_ids.dtype, device="cpu"),
    )
    found = remedy(replace(request_, clip=clip), blame(("label", 2)))
    np.testing.assert_allclose(found.request.weights.edge.numpy()[np.isin(ids, (2, 4))], 0.4, rtol=1e-6)
    assert "on /World/Truck." in found.text


def test_geometry_rises_everywhere_where_no_instance_or_no_map_will_do(request_):
    whole = remedy(request_, blame(("geometry", None), ("geometry", 2)))
    scalar = remedy(request_, blame(("geometry", 2)), replace(SPEC, weight_maps=False))
    unknown = remedy(request_, blame(("geometry", 99)))
    for found in (whole, scalar, unknown):
        weights = found.request.weights
        assert (weights.edge, weights.depth, weights.vis) == pytest.approx((0.4, 0.2, 0.3))
        assert "everywhere" in found.text


@pytest.mark.parametrize("start", [{"edge": 0.5, "depth": 0.5}, {"edge": 1.0, "depth": 1.0, "seg": 1.0}])
def test_where_all_are_full_the_edges_gain_share(request_, start):
    weights = ControlWeights(**start)
    stronger = raise_weights(weights, 2.0)
    before, after = shares(weights, request_.clip), shares(stronger, request_.clip)
    assert (after[ControlKind.EDGE] > before[ControlKind.EDGE] + 0.1).all()
    assert (after[ControlKind.DEPTH] < before[ControlKind.DEPTH]).all()


def test_nothing_left_to_raise_changes_the_seed(request_):
    assert raise_weights(ControlWeights(edge=1.0), 2.0) is None
    assert raise_weights(ControlWeights(vis=0.2), 2.0) is None
    found = remedy(replace(request_, weights=ControlWeights(edge=1.0)), blame(("geometry", None)))
    assert found.request.seed == 77 and found.cause == "geometry"
    assert found.text == (
        "The check check_geometry rejected the attempt before. "
        "No setting of some helps against that: the seed changes to 77."
    )


def test_maps_stay_between_0_and_1(request_):
    shape = (3, 36, 50)
    edge = wp.array(np.linspace(0, 1, 3 * 36 * 50, dtype=np.float32).reshape(shape), dtype=wp.float32, device="cpu")
    stronger = raise_weights(ControlWeights(edge=edge, vis=0.5), 3.0)
    np.testing.assert_allclose(stronger.edge.numpy(), np.minimum(3 * edge.numpy(), 1.0), rtol=1e-6)
    assert stronger.vis == 0.5


def test_an_ignored_prompt_raises_guidance_and_steps_up_to_what_there_is(request_):
    found = remedy(request_, blame(("prompt", None)), effective={"guidance": 3.0})
    assert (found.request.guidance, found.request.num_steps) == (5.0, 20) and found.cause == "prompt"
    full = replace(request_, guidance=5.0, num_steps=20)
    assert remedy(full, blame(("prompt", None))).request.seed == 77
    for fixed in (replace(SPEC, guidance=False, max_steps=10), replace(SPEC, guidance=False, steps_help=False)):
        assert remedy(request_, blame(("prompt", None)), fixed).request.seed == 77


def test_flicker_overlaps_chunks_further_where_there_are_chunks(request_):
    clip = make_clip(frames=12)
    long = replace(request_, clip=clip, controls=make_controls(clip))
    effective = {"chunk_frames": 9, "overlap": 1}
    found = remedy(long, blame(("flicker", None)), effective=effective)
    assert found.request.overlap == 2 and found.cause == "flicker" and found.request.seed == long.seed
    assert remedy(long, blame(("flicker", None)), effective={**effective, "overlap": 3}).request.overlap == 4
    half = remedy(long, blame(("flicker", None)), effective={**effective, "overlap": 4})
    assert half.request.overlap is None and half.request.seed == 77
    for spec, told in (
        (replace(SPEC, overlap=False), effective),
        (SPEC, {}),
        (SPEC, {"chunk_frames": 9, "overlap": 1}),
    ):
        assert remedy(request_, blame(("flicker", None)), spec, told).request.overlap is None


def test_the_worst_cause_that_can_be_helped_is_acted_on(request_):
    verdict = blame(("physics", None), ("flicker", None), ("geometry", 2), ("prompt", None))
    assert remedy(request_, verdict).cause == "geometry"
    note = Finding(severity="warning", text="", check="edge_f1", kind="geometry")
    only = Verdict(accepted=False, score=0.3, critic="c", findings=(note,))
    found = remedy(request_, only)
    assert found.cause == "other" and found.request.seed == 77
    assert found.text == "No setting is to blame: the seed changes to 77."


def test_what_could_not_be_checked_is_blamed_on_no_check(request_):
    found = remedy(request_, blame(("unchecked", None)))
    assert found.text == ("The attempt before could not be checked. No setting is to blame: the seed changes to 77.")
