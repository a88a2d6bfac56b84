"""Whether a result can be judged at all: it has the size of its clip and shows something."""

from __future__ import annotations

from typing import Optional

import numpy as np

from cosmos.bridge.types import Finding, TransferRequest, TransferResult

_BLANK = 8
"""Difference of brightest and darkest level below which a picture shows nothing."""


def misfit_of(request: TransferRequest, result: TransferResult) -> Optional[Finding]:
    """Return what refuses a result of another type, length or size than its clip; ``None`` where it fits."""
    want = (request.clip.num_frames, request.clip.height, request.clip.width, 3)
    got = tuple(result.rgb.shape)
    dtype = getattr(result.rgb.dtype, "__name__", str(result.rgb.dtype))
    if got == want and dtype == "uint8":
        return None
    text = f"The result is {dtype} {list(got)} [T, H, W, C], but the clip needs uint8 {list(want)}; no other check ran."
    return Finding(kind="geometry", check="shape", severity="reject", text=text)


def blank_of(frames: np.ndarray) -> Optional[Finding]:
    """Return what refuses pictures of one colour, of which a language model may say anything; ``None`` for others."""
    spread = [int(frame.max()) - int(frame.min()) for frame in frames]
    empty = tuple(index for index, value in enumerate(spread) if value < _BLANK)
    if not empty:
        return None
    text = f"{len(empty)} of {len(frames)} pictures show nothing (all levels within {_BLANK}); nothing was asked."
    return Finding(kind="artefact", check="blank", severity="reject", text=text, frames=empty)


__all__ = ["blank_of", "misfit_of"]
