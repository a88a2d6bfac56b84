"""The critic that asks the simulator: model-free checks of a result against exact depth, ids and motion."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Optional

from cosmos.bridge.critic.checks.boundaries import BoundarySweep
from cosmos.bridge.critic.checks.flicker import FlickerSweep
from cosmos.bridge.critic.checks.order import OrderSweep
from cosmos.bridge.critic.checks.picture import PictureSweep
from cosmos.bridge.critic.outcome import Outcome, conclude
from cosmos.bridge.critic.thresholds import THRESHOLDS, Limits, Threshold
from cosmos.bridge.critic.truth import Truth, chunks
from cosmos.bridge.types import Finding, Progress, TransferRequest, TransferResult, Verdict


class ConsistencyCritic:
    """Refuses results that no longer fit their labels; needs no model, no GPU and no network.

    It looks for blank frames, lost and displaced edges, displaced and vanished instances, flicker along true motion,
    frozen and misplaced frames. Weather and light may change any colour and hide what is far or dark: a missing edge
    counts only where the result shows enough, and against what is as far away. What cannot be checked (a buffer that
    the source does not give, an instance of a few pixels) is reported as ``unchecked``; a clip of which nothing could
    be checked is refused. Everything is measured on the CPU; pictures on another device are copied, a chunk at a time.
    """

    def __init__(
        self, *, thresholds: Optional[Mapping[str, Threshold]] = None, limits: Optional[Limits] = None
    ) -> None:
        """Take bars and limits.

        Args:
            thresholds: Bars that replace those of ``THRESHOLDS``, by check name.
            limits: How to measure; ``None`` takes the defaults.

        Raises:
            ValueError: If a threshold names a check that does not exist.
        """
        strange = sorted(set(thresholds or {}) - set(THRESHOLDS))
        if strange:
            raise ValueError(f"The consistency critic has no check {strange}; it has {list(THRESHOLDS)}.")
        self._thresholds = {**THRESHOLDS, **(thresholds or {})}
        self._limits = limits or Limits()

    @property
    def name(self) -> str:
        """Name in the registry."""
        return "consistency"

    def judge(self, request: TransferRequest, result: TransferResult, progress: Optional[Progress] = None) -> Verdict:
        """Hold a result against the clip it was made from.

        Args:
            request: What was asked, with the source clip and its ground truth.
            result: What came.
            progress: Told ``("judge", frames done, frames)``; may raise ``JobCancelled``.

        Returns:
            The verdict; accepted only if no finding rejects and at least one family of checks could be made.
        """
        began = time.perf_counter()
        clip = request.clip
        misfit = _misfit(request, result)
        if misfit is not None:
            outcomes = [Outcome(findings=(misfit,))]
        else:
            truth = Truth.of(clip)
            sweeps = (
                PictureSweep(self._thresholds, self._limits),
                BoundarySweep(truth, self._thresholds, self._limits),
                FlickerSweep(truth, self._thresholds, self._limits),
                OrderSweep(self._thresholds, self._limits),
            )
            for chunk in chunks(clip, result.rgb, truth, self._limits.chunk):
                for sweep in sweeps:
                    sweep.add(chunk)
                if progress is not None:
                    progress("judge", chunk.frames.stop, clip.num_frames)
            outcomes = [sweep.conclude() for sweep in sweeps]
        return conclude(
            outcomes,
            thresholds=self._thresholds,
            limits=self._limits,
            critic=self.name,
            seconds=time.perf_counter() - began,
        )


def _misfit(request: TransferRequest, result: TransferResult) -> Optional[Finding]:
    """Refuse a result of another type, length or size than its clip."""
    want = (request.clip.num_frames, request.clip.height, request.clip.width, 3)
    got = tuple(result.rgb.shape)
    dtype = getattr(result.rgb.dtype, "__name__", str(result.rgb.dtype))
    if got == want and dtype == "uint8":
        return None
    text = f"The result is {dtype} {list(got)} [T, H, W, C], but the clip needs uint8 {list(want)}; no other check ran."
    return Finding(kind="geometry", check="shape", severity="reject", text=text)


__all__ = ["ConsistencyCritic"]
