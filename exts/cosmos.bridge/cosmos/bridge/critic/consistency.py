"""The critic that asks the simulator: model-free checks of a result against exact depth, ids and motion."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Optional

from cosmos.bridge.critic.checks.boundaries import BoundarySweep
from cosmos.bridge.critic.checks.flicker import FlickerSweep
from cosmos.bridge.critic.checks.order import OrderSweep
from cosmos.bridge.critic.checks.picture import PictureSweep
from cosmos.bridge.critic.fit import misfit_of
from cosmos.bridge.critic.outcome import Outcome, conclude
from cosmos.bridge.critic.thresholds import THRESHOLDS, Limits
from cosmos.bridge.critic.truth import Truth, chunks
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.types import Progress, TransferRequest, TransferResult, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsistencyOptions:
    """What one run may set; ``critic_options`` in a config."""

    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Check -> bar that replaces the one of ``THRESHOLDS``, in the unit of that check."""
    limits: Limits = field(default_factory=Limits)
    """How to measure."""

    def __post_init__(self) -> None:
        strange = sorted(set(self.thresholds) - set(THRESHOLDS))
        if strange:
            raise ConfigError(f"The consistency critic has no check {strange}; it has {list(THRESHOLDS)}.")
        for check, bar in self.thresholds.items():
            if math.isnan(bar):
                raise ConfigError(f"The bar of {check} must be a number, got {bar!r}; inf switches a check off.")


class ConsistencyCritic:
    """Refuses results that no longer fit their labels; needs no model, no GPU and no network.

    It looks for blank frames, lost and displaced edges, displaced and vanished instances, flicker along true motion,
    frozen and misplaced frames. Weather and light may change any colour and hide what is far or dark: a missing edge
    counts only where the result shows enough, and against what is as far away. What cannot be checked (a buffer that
    the source does not give, an instance of a few pixels) is reported as ``unchecked``; a clip of which nothing could
    be checked is refused. Everything is measured on the CPU; pictures on another device are copied, a chunk at a time.

    Args:
        options: What a run may set; ``None`` takes the defaults.
    """

    Options: ClassVar[type[ConsistencyOptions]] = ConsistencyOptions

    def __init__(self, options: Optional[ConsistencyOptions] = None) -> None:
        self._options = options or ConsistencyOptions()
        self._limits = self._options.limits
        self._thresholds = {
            check: replace(bar, value=float(self._options.thresholds.get(check, bar.value)))
            for check, bar in THRESHOLDS.items()
        }

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
        misfit = misfit_of(request, result)
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


__all__ = ["ConsistencyCritic", "ConsistencyOptions"]
