"""What every critic that holds results against the simulator's truth holds to."""

import math

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.critic.base import Critic
from cosmos.bridge.critic.registry import CRITICS, create, names
from cosmos.bridge.types import (
    Camera,
    Clip,
    ControlSignals,
    ControlWeights,
    Instance,
    Provenance,
    TransferRequest,
    TransferResult,
    Verdict,
)

FRAMES, HEIGHT, WIDTH = 5, 60, 90


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """A bright square that moves over a dark, textured ground; pictures and ids."""
    ground = np.random.default_rng(0).integers(40, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    rgb, ids = np.repeat(ground[None], FRAMES, axis=0), np.zeros((FRAMES, HEIGHT, WIDTH), np.uint32)
    for t in range(FRAMES):
        rgb[t, 20:40, 20 + 2 * t : 44 + 2 * t] = (200, 160, 60)
        ids[t, 20:40, 20 + 2 * t : 44 + 2 * t] = 9
    return rgb, ids


@pytest.fixture(params=[name for name, entry in CRITICS.items() if entry.truth])
def critic(request) -> Critic:
    return create(request.param)


@pytest.fixture
def asked() -> TransferRequest:
    rgb, ids = pictures()
    lens = np.array([[80.0, 0, WIDTH / 2], [0, 80.0, HEIGHT / 2], [0, 0, 1]])
    camera = Camera(prim_path="/Camera", height=HEIGHT, width=WIDTH, intrinsics=lens, cam_to_world=np.eye(4))
    clip = Clip(
        cameras=(camera,) * FRAMES,
        fps=24.0,
        time_codes=np.arange(FRAMES, dtype=np.float64),
        rgb=wp.array(rgb, dtype=wp.uint8, device="cpu"),
        instance_ids=wp.array(ids, dtype=wp.uint32, device="cpu"),
        instances={9: Instance(id=9, prim_path="/World/Box")},
    )
    return TransferRequest(
        clip=clip, controls=ControlSignals(signals=()), weights=ControlWeights(), prompt="a clear day"
    )


def result_of(rgb: np.ndarray) -> TransferResult:
    provenance = Provenance(
        model="test",
        revision="1",
        weights_sha256="",
        licence="Apache-2.0",
        dtype="uint8",
        device="cpu",
        seconds=0.0,
        peak_bytes=0,
    )
    return TransferResult(rgb=wp.array(rgb, dtype=wp.uint8, device="cpu"), provenance=provenance)


def test_is_a_critic_and_knows_its_name(critic):
    assert isinstance(critic, Critic) and critic.name in names()


def test_accepts_the_source_itself(critic, asked):
    verdict = critic.judge(asked, result_of(asked.clip.rgb.numpy()))
    assert isinstance(verdict, Verdict) and verdict.accepted and verdict.critic == critic.name
    assert verdict.rationale and verdict.seconds > 0.0


@pytest.mark.parametrize("fault", ["black", "reversed", "one frame less", "other size"])
def test_refuses_plain_faults_with_a_reason(critic, asked, fault):
    rgb = asked.clip.rgb.numpy()
    broken = {
        "black": np.zeros_like(rgb),
        "reversed": rgb[::-1],
        "one frame less": rgb[1:],
        "other size": rgb[:, ::2, ::2],
    }[fault]
    verdict = critic.judge(asked, result_of(np.ascontiguousarray(broken)))
    assert not verdict.accepted
    rejecting = [finding for finding in verdict.findings if finding.severity == "reject"]
    assert rejecting and all(finding.text.endswith(".") for finding in rejecting)
    assert verdict.rationale


def test_leaves_request_and_result_as_they_were(critic, asked):
    before = asked.clip.rgb.numpy().copy()
    result = result_of(before[::-1].copy())
    critic.judge(asked, result)
    np.testing.assert_array_equal(asked.clip.rgb.numpy(), before)
    np.testing.assert_array_equal(result.rgb.numpy(), before[::-1])


def test_says_the_same_twice(critic, asked):
    result = result_of(asked.clip.rgb.numpy()[::-1].copy())
    first, second = (critic.judge(asked, result) for _ in range(2))
    assert (first.accepted, first.score, first.measurements) == (second.accepted, second.score, second.measurements)
    assert [finding.text for finding in first.findings] == [finding.text for finding in second.findings]


def test_findings_point_into_the_clip(critic, asked):
    verdict = critic.judge(asked, result_of(asked.clip.rgb.numpy()[::-1].copy()))
    for finding in verdict.findings:
        assert all(0 <= frame < FRAMES for frame in finding.frames)
        assert finding.instance is None or finding.instance in asked.clip.instances
        if finding.instance is not None:
            assert finding.prim_path == asked.clip.instances[finding.instance].prim_path
    assert all(math.isfinite(measurement.value) for measurement in verdict.measurements)


def test_cancelling_comes_through(critic, asked):
    class StopError(Exception):
        pass

    def progress(*_):
        raise StopError

    with pytest.raises(StopError):
        critic.judge(asked, result_of(asked.clip.rgb.numpy()), progress)
