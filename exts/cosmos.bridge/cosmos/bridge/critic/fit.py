"""Whether a result has the size and type of the clip that it was made from; asked before anything else is."""

from __future__ import annotations

from typing import Optional

from cosmos.bridge.types import Finding, TransferRequest, TransferResult


def misfit_of(request: TransferRequest, result: TransferResult) -> Optional[Finding]:
    """Return what refuses a result of another type, length or size than its clip; ``None`` where it fits."""
    want = (request.clip.num_frames, request.clip.height, request.clip.width, 3)
    got = tuple(result.rgb.shape)
    dtype = getattr(result.rgb.dtype, "__name__", str(result.rgb.dtype))
    if got == want and dtype == "uint8":
        return None
    text = f"The result is {dtype} {list(got)} [T, H, W, C], but the clip needs uint8 {list(want)}; no other check ran."
    return Finding(kind="geometry", check="shape", severity="reject", text=text)


__all__ = ["misfit_of"]
