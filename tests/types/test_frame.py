import numpy as np
import pytest
import warp as wp

from cosmos.bridge.types import BUFFERS, Camera, Clip, Frame, Instance, gather

SIZE = (3, 5)
DTYPES = {"uint8": wp.uint8, "float32": wp.float32, "uint32": wp.uint32}


def make_camera(height=SIZE[0], width=SIZE[1]):
    return Camera(prim_path="/Camera", height=height, width=width, intrinsics=np.eye(3), cam_to_world=np.eye(4))


def make_buffers(lead, device="cpu", value=0):
    return {
        name: wp.full((*lead, channels) if channels else lead, value, dtype=DTYPES[dtype], device=device)
        for name, (dtype, channels) in BUFFERS.items()
    }


def make_frame(index=0, device="cpu", **changes):
    values = {
        "camera": make_camera(),
        "time_code": float(index),
        "sim_time": index / 24.0,
        **make_buffers(SIZE, device, value=index),
        "labels": {index: {"class": f"c{index}"}},
        "instances": {index: Instance(id=index, prim_path=f"/P{index}")},
        "poses": {index: np.eye(4) * index},
    }
    return Frame(**{**values, **changes})


def make_clip(**changes):
    values = {"cameras": (make_camera(),) * 2, "fps": 24.0, "time_codes": np.arange(2.0), **make_buffers((2, *SIZE))}
    return Clip(**{**values, **changes})


def test_gather_owns_a_copy_of_every_buffer(device):
    buffers = make_buffers(SIZE, device)

    def borrowed():
        for index in range(3):
            for buffer in buffers.values():
                buffer.fill_(index + 1)  # the source's next step overwrites what the frame before borrowed
            yield make_frame(index, device, **buffers)

    clip = gather(borrowed(), fps=24.0, num_frames=3)
    for name, (_, channels) in BUFFERS.items():
        values = getattr(clip, name).numpy().reshape(3, -1)
        assert values.shape[1] == SIZE[0] * SIZE[1] * max(channels, 1)
        assert [set(row) for row in values] == [{1}, {2}, {3}], name
        assert str(getattr(clip, name).device) == device
    assert (clip.num_frames, clip.height, clip.width) == (3, *SIZE)
    np.testing.assert_array_equal(clip.time_codes, [0.0, 1.0, 2.0])
    assert set(clip.labels) == set(clip.instances) == set(clip.poses) == {0, 1, 2}
    assert clip.poses[2].shape == (3, 4, 4)
    assert np.isnan(clip.poses[2][0]).all()
    np.testing.assert_array_equal(clip.poses[2][2], np.eye(4) * 2)


def test_gather_leaves_out_what_no_frame_has():
    clip = gather([make_frame(i, depth=None, motion=None) for i in range(2)], fps=10.0, num_frames=2)
    assert clip.depth is None
    assert clip.motion is None
    assert clip.rgb is not None


@pytest.mark.parametrize(
    ("frames", "expected", "match"),
    [
        (lambda: [make_frame()], 2, "expected 2 frames, got 1"),
        (list, 1, "expected 1 frames, got 0"),
        (lambda: [make_frame(), make_frame()], 1, "expected 1 frames, but more came"),
        (lambda: [make_frame(), make_frame(depth=None)], 2, "frame 1 differs in depth"),
        (lambda: [make_frame(depth=None), make_frame()], 2, "frame 1 differs in depth"),
        (
            lambda: [make_frame(), make_frame(camera=make_camera(2, 2), **make_buffers((2, 2)))],
            2,
            "one size and dtype; frame 1",
        ),
    ],
)
def test_gather_refuses_uneven_frames(frames, expected, match):
    with pytest.raises(ValueError, match=match):
        gather(frames(), fps=24.0, num_frames=expected)


@pytest.mark.parametrize("name", list(BUFFERS))
def test_a_buffer_of_another_shape_or_dtype_is_named(name):
    with pytest.raises(ValueError, match=rf"Frame.{name} must be"):
        make_frame(**{name: wp.zeros((1, 1), dtype=wp.uint8, device="cpu")})
    with pytest.raises(ValueError, match=rf"Clip.{name} must be .* got float64"):
        make_clip(**{name: wp.zeros(getattr(make_clip(), name).shape, dtype=wp.float64, device="cpu")})


def test_int32_ids_are_accepted_and_int32_elsewhere_is_not():
    ids = wp.zeros(SIZE, dtype=wp.int32, device="cpu")
    assert make_frame(semantic_ids=ids, instance_ids=ids).instance_ids is ids
    with pytest.raises(ValueError, match="depth must be float32"):
        make_frame(depth=ids)


def test_buffers_on_two_devices_are_refused():
    elsewhere = type("Elsewhere", (), {"shape": SIZE, "dtype": wp.float32, "device": "cuda:0"})()
    with pytest.raises(ValueError, match="depth is on cuda:0, not cpu"):
        make_frame(depth=elsewhere)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"cameras": ()}, "one camera and one time code a frame, got 0 and 2"),
        ({"time_codes": np.arange(3.0)}, "got 2 and 3"),
        ({"fps": 0.0}, "fps must be positive"),
        ({"fps": float("nan")}, "fps must be positive"),
        ({"cameras": (make_camera(), make_camera(4, 5))}, "frame 1 is 4 x 5, frame 0 is 3 x 5"),
    ],
)
def test_impossible_clips_are_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        make_clip(**changes)
