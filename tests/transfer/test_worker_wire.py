"""What goes over the line between a worker and its owner: every type and value arrives as it was sent."""

import os
import socket
from dataclasses import fields, is_dataclass, replace
from multiprocessing.connection import Connection

import numpy as np
import pytest
import warp as wp
from hypothesis import given
from hypothesis import strategies as st

from cosmos.bridge import types
from cosmos.bridge.errors import ModelError
from cosmos.bridge.transfer.worker.memory import SharedBlock
from cosmos.bridge.transfer.worker.wire import Wire
from cosmos.bridge.types import BUFFERS, ControlWeights, FTheta, Look, TransferRequest
from fake_clips import make_clip, make_controls


@pytest.fixture
def ends():
    """Both ends of a line, in one process."""
    near, far = (Connection(half.detach()) for half in socket.socketpair())
    up, down = SharedBlock(), SharedBlock()
    mirror = [SharedBlock(os.dup(block.fileno)) for block in (down, up)]
    both = Wire(near, up, mirror[0]), Wire(far, down, mirror[1], borrow=True)
    yield both
    for end in both:
        end.close()


def over(ends, value):
    ends[0].send("told", value, epoch=3, number=8)
    heard = ends[1].receive()
    assert (heard.kind, heard.epoch, heard.number) == ("told", 3, 8)
    return heard.body


def assert_same(got, want):
    assert type(got) is type(want)
    if hasattr(want, "numpy"):
        assert got.dtype is want.dtype
        np.testing.assert_array_equal(got.numpy(), want.numpy())
    elif isinstance(want, np.ndarray):
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
    elif is_dataclass(want):
        for item in fields(want):
            assert_same(getattr(got, item.name), getattr(want, item.name))
    elif isinstance(want, dict):
        assert list(got) == list(want)
        for key in want:
            assert_same(got[key], want[key])
    elif isinstance(want, (tuple, list)):
        assert len(got) == len(want)
        for one, other in zip(got, want, strict=True):
            assert_same(one, other)
    else:
        assert got == want or (want != want and got != got)


def full_request():
    clip = make_clip()
    shape = tuple(clip.rgb.shape[:3])
    lens = FTheta(coefficients=(0.0, 0.01), max_theta=1.2)
    rng = np.random.default_rng(2)
    names = {"motion": wp.float32, "semantic_ids": wp.uint32}
    more = {
        name: wp.array(
            (rng.random((*shape, *([n] if n else []))) * 9).astype(BUFFERS[name][0]), dtype=kind, device="cpu"
        )
        for name, kind in names.items()
        for n in [BUFFERS[name][1]]
    }
    clip = replace(
        clip,
        cameras=tuple(replace(camera, lens=lens, exposure_scale=0.1) for camera in clip.cameras),
        labels={0: {"class": "ground"}, 7: {"class": "box", "colour": "rot/ü"}},
        **more,
    )
    weight = wp.array(rng.random(shape).astype(np.float32), device="cpu")
    return TransferRequest(
        clip=clip,
        controls=make_controls(clip),
        weights=ControlWeights(edge=weight, depth=1.0 / 3.0),
        prompt='snow "at" night\n雪',
        seed=2**62,
        preserve=weight,
    )


def test_a_request_arrives_as_it_was_sent(ends):
    request = full_request()
    assert not np.isfinite(request.clip.depth.numpy()).all() and np.isnan(request.clip.poses[2]).sum() == 0
    assert_same(over(ends, request), request)


def test_plain_values_keep_their_types(ends):
    value = Look(fog=0.1 + 0.2, seed=3), {"a": [1, (2.5, None)], 3: True}, float("inf")
    assert_same(over(ends, value), value)
    assert over(ends, np.float32(0.5)) == 0.5


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=3), inner)
        ),
        max_leaves=8,
    )
)
def test_any_plain_value_arrives(value):
    near, far = (Connection(half.detach()) for half in socket.socketpair())
    with near, far, SharedBlock() as block:
        Wire(near, block, block).send("told", value, epoch=0, number=0)
        assert_same(Wire(far, block, block).receive().body, value)


def test_what_no_other_process_can_read_is_refused_by_name(ends):
    with pytest.raises(ModelError, match="cannot be sent a module"):
        ends[0].send("told", {"x": types}, epoch=0, number=0)


def test_the_probe_of_a_clip_is_answered_for_by_the_other_end(ends):
    class Probe:
        def light(self, frame, look):
            pytest.fail("only the place of the probe is sent")

    ends[1].probe = probe = Probe()
    assert over(ends, replace(make_clip(), probe=Probe())).probe is probe


def test_memory_grows_under_views_that_stay(ends):
    block, other = SharedBlock(), None
    try:
        places, end = block.put([np.arange(5, dtype=np.uint32)])
        other = SharedBlock(os.dup(block.fileno))
        first = other.view(places[0], (5,), np.uint32)
        more, _ = block.put([np.full((300, 1000), 2.5), np.zeros((0, 4), np.uint8)], end)
        np.testing.assert_array_equal(other.view(more[0], (300, 1000), np.float64), 2.5)
        np.testing.assert_array_equal(first, np.arange(5))
        block.put([np.arange(5, 10, dtype=np.uint32)])
        np.testing.assert_array_equal(first, np.arange(5, 10))  # one memory, not a copy
        assert other.view(more[1], (0, 4), np.uint8).shape == (0, 4)
    finally:
        block.close()
        block.close()
        if other is not None:
            other.close()


def test_the_answer_within_a_request_leaves_what_the_request_brought(ends):
    held = ends[0].send("request", np.arange(100), epoch=1, number=1)
    request = ends[1].receive()
    ends[0].send("light", wp.full(100, 7.0, dtype=wp.float32, device="cpu"), epoch=1, number=1, after=held)
    maps = ends[1].receive()
    np.testing.assert_array_equal(request.body, np.arange(100))
    np.testing.assert_array_equal(maps.body.numpy(), 7.0)


def test_no_name_and_no_descriptor_is_left(ends):
    before, named = len(os.listdir("/proc/self/fd")), sorted(os.listdir("/dev/shm"))
    block = SharedBlock()
    view = block.view(block.put([np.ones(100)])[0][0], (100,), np.float64)
    assert sorted(os.listdir("/dev/shm")) == named and len(os.listdir("/proc/self/fd")) > before
    block.close()
    assert view.sum() == 100.0  # what was handed out stays readable
    del view
    assert len(os.listdir("/proc/self/fd")) == before
