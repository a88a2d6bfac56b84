"""The adapter of NVIDIA's guardrail: what its checker says, and what its failures mean."""

import importlib.util

import numpy as np
import pytest
import warp as wp

from cosmos.bridge.errors import ModelNotInstalledError
from cosmos.bridge.guard.base import Guard
from cosmos.bridge.guard.cosmos import CosmosGuard
from cosmos.bridge.guard.registry import create
from cosmos.bridge.types import Provenance, TransferResult


class Checker:
    """A plain object in place of the package's checker."""

    def __init__(self, *, text=True, video=lambda frames: frames):
        self.text, self.video, self.asked = text, video, []

    def check_text_safety(self, prompt):
        self.asked.append(prompt)
        if isinstance(self.text, Exception):
            raise self.text
        return self.text

    def check_video_safety(self, frames):
        return self.video(frames)


@pytest.fixture
def result():
    rgb = np.random.default_rng(2).integers(1, 255, (3, 8, 10, 3)).astype(np.uint8)
    provenance = Provenance(
        model="m", revision="1", weights_sha256="", licence="", dtype="", device="cpu", seconds=0.0, peak_bytes=0
    )
    return TransferResult(rgb=wp.array(rgb, device="cpu"), provenance=provenance)


def test_a_safe_prompt_passes_and_the_report_says_what_ran():
    checker = Checker()
    guard = CosmosGuard(checker)
    assert isinstance(guard, Guard)
    report = guard.screen_prompt("snow")
    assert report.allowed and checker.asked == ["snow"]
    assert (report.requested, report.effective, report.stage) == ("cosmos", "word list, Qwen3Guard", "prompt")


@pytest.mark.parametrize("answer", [False, None, "safe?", 1, RuntimeError("no models"), ValueError("")])
def test_anything_but_a_plain_yes_is_a_refusal(answer):
    report = CosmosGuard(Checker(text=answer)).screen_prompt("snow")
    assert not report.allowed and report.categories
    assert (report.effective == "failed") == isinstance(answer, Exception)
    if isinstance(answer, RuntimeError):
        assert report.categories == ("the guard failed: no models",)


def test_a_video_without_faces_passes_as_it_is(result):
    seen, report = CosmosGuard(Checker()).screen_video(result)
    assert seen is result and report.allowed and report.faces_blurred == 0
    assert report.effective == "face blur"  # its classifier of content is switched off in the package


def test_blurred_faces_are_returned_and_counted_by_frame(result):
    def blur(frames):
        frames[1:, 2:4, 2:4] = 0
        return frames

    before = result.rgb.numpy().copy()
    seen, report = CosmosGuard(Checker(video=blur)).screen_video(result)
    assert report.allowed and report.faces_blurred == 2
    assert not seen.rgb.numpy()[1:, 2:4, 2:4].any()
    np.testing.assert_array_equal(result.rgb.numpy(), before)
    assert seen.provenance is result.provenance


def failing(frames):
    raise RuntimeError("CUDA out of memory\nand more")


@pytest.mark.parametrize(
    ("video", "reason"),
    [
        (lambda frames: None, "blocked video"),
        (np.zeros_like, "blocked video"),
        (lambda frames: frames[:1], "the guard returned [1, 8, 10, 3] for [3, 8, 10, 3]"),
        (failing, "the guard failed: CUDA out of memory"),
    ],
)
def test_a_blocked_black_or_failed_video_is_a_refusal(result, video, reason):
    seen, report = CosmosGuard(Checker(video=video)).screen_video(result)
    assert seen is result and not report.allowed and report.categories == (reason,)


def test_a_video_that_came_black_is_a_refusal(result):
    """A model whose own checker blocked its pictures returns black ones, and a guard passes those."""
    black = TransferResult(rgb=wp.zeros_like(result.rgb), provenance=result.provenance)
    assert CosmosGuard(Checker()).screen_video(black)[1].categories == ("blocked video",)


def test_without_the_package_the_registry_names_the_extra_and_the_other_guards():
    if importlib.util.find_spec("cosmos_guardrail") is None:
        with pytest.raises(ModelNotInstalledError, match=r"cosmos-bridge\[guard\].*or choose another: blocklist, off"):
            create("cosmos")
