"""What an attempt must pass besides the critic: the guard, its own shape, the wanted score."""

from __future__ import annotations

from dataclasses import replace

from cosmos.bridge.errors import ModelError
from cosmos.bridge.guard.base import allowed
from cosmos.bridge.types import TransferRequest, TransferResult, Verdict


def whole(request: TransferRequest, result: TransferResult) -> TransferResult:
    """Refuse a result that is not frame for frame that of the request."""
    want, got = tuple(request.clip.rgb.shape), tuple(result.rgb.shape)
    if want != got:
        raise ModelError(
            f"{result.provenance.model} returned {list(got)} [T, H, W, 3] for a clip of {list(want)}; "
            "this is a fault of the backend, please report it."
        )
    return result


def held_to(verdict: Verdict, min_score: float) -> Verdict:
    """Reject what the critic accepts with a lower score than is wanted."""
    if not verdict.accepted or verdict.score >= min_score:
        return verdict
    text = f"The score {verdict.score:.2f} is below the wanted {min_score:.2f}; lower min_score to keep such results."
    return replace(verdict, accepted=False, rationale=f"{text} {verdict.rationale}".strip())


__all__ = ["allowed", "held_to", "whole"]
