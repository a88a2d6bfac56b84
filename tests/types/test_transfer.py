import numpy as np
import pytest
import warp as wp

from cosmos.bridge.types import (
    Camera,
    Clip,
    ControlKind,
    ControlSignal,
    ControlSignals,
    ControlWeights,
    TransferRequest,
)


def make_request(**changes):
    camera = Camera(prim_path="/C", height=3, width=5, intrinsics=np.eye(3), cam_to_world=np.eye(4))
    video = wp.zeros((2, 3, 5, 3), dtype=wp.uint8, device="cpu")
    values = {
        "clip": Clip(cameras=(camera,) * 2, fps=24.0, time_codes=np.arange(2.0), rgb=video),
        "controls": ControlSignals(signals=(ControlSignal(kind=ControlKind.EDGE, video=video),)),
        "weights": ControlWeights(edge=1.0),
        "prompt": "a foggy street",
    }
    return TransferRequest(**{**values, **changes})


def test_a_whole_request_is_kept_as_it_is():
    request = make_request(seed=3, num_steps=4, guidance=2.5)
    assert (request.seed, request.num_steps, request.guidance, request.negative_prompt) == (3, 4, 2.5, "")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"prompt": "  \n"}, "needs a prompt"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"num_steps": 0}, "num_steps must be >= 1"),
        ({"num_steps": 1.5}, r"num_steps must be >= 1 and whole, got 1\.5"),
        ({"seed": "7"}, "seed must be >= 0 and whole, got '7'"),
        ({"overlap": 0}, "overlap must be >= 1"),
        ({"weights": ControlWeights(edge=1.0, depth=0.5)}, r"weighs \['depth'\], but the controls are \['edge'\]"),
    ],
)
def test_impossible_requests_are_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        make_request(**changes)


def test_controls_of_another_clip_are_refused():
    video = wp.zeros((2, 3, 4, 3), dtype=wp.uint8, device="cpu")
    controls = ControlSignals(signals=(ControlSignal(kind=ControlKind.EDGE, video=video),))
    with pytest.raises(ValueError, match=r"edge control is \[2, 3, 4\] \[T, H, W\], the clip is \[2, 3, 5\]"):
        make_request(controls=controls)
