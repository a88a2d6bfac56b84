"""The critic that asks the simulator: model-free checks of a result against exact depth, ids and motion."""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Optional

import numpy as np

from cosmos.bridge.critic.carry_over import carry_over, thing_ids
from cosmos.bridge.critic.checks.borders import BorderSweep
from cosmos.bridge.critic.checks.boundaries import BoundarySweep
from cosmos.bridge.critic.checks.colors import ColorSweep, kept_share
from cosmos.bridge.critic.checks.flicker import FlickerSweep
from cosmos.bridge.critic.checks.inventions import InventionSweep
from cosmos.bridge.critic.checks.moments import MomentSweep
from cosmos.bridge.critic.checks.order import OrderSweep
from cosmos.bridge.critic.checks.picture import PictureSweep
from cosmos.bridge.critic.checks.placement import PlacementSweep
from cosmos.bridge.critic.checks.prompt import PromptSweep, drowns, restyled, snow_ends, snowed
from cosmos.bridge.critic.checks.published import PublishedSweep
from cosmos.bridge.critic.checks.slides import SlideSweep
from cosmos.bridge.critic.checks.twins import TwinSweep
from cosmos.bridge.critic.checks.views import Memory, ViewSweep
from cosmos.bridge.critic.checks.visible import VisibleSweep
from cosmos.bridge.critic.fit import misfit_of
from cosmos.bridge.critic.limits import Limits
from cosmos.bridge.critic.one_thread import opencv_on_one_thread
from cosmos.bridge.critic.outcome import Outcome, Sweep, conclude, unchecked
from cosmos.bridge.critic.thresholds import THRESHOLDS, Threshold
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
    protect: tuple[str, ...] = ()
    """Semantic labels, or globs on prim paths that start with ``/``, of things that must keep their colour under any
    light; what the request preserves, or gives a ``vis`` weight of 1, keeps it in any case."""
    papers: bool = False
    """Whether blur SSIM and edge F1 are measured as the Transfer papers define them; slow, and never in the score."""

    def __post_init__(self) -> None:
        strange = sorted(set(self.thresholds) - set(THRESHOLDS))
        if strange:
            near = difflib.get_close_matches(strange[0], THRESHOLDS, n=1, cutoff=0.0)[0]
            raise ConfigError(
                f"The consistency critic has no check {strange[0]!r}; the nearest is {near!r}, all are "
                f"{', '.join(THRESHOLDS)}."
            )
        for check, bar in self.thresholds.items():
            if math.isnan(bar):
                raise ConfigError(f"The bar of {check} must be a number, got {bar!r}; inf switches a check off.")


class ConsistencyCritic:
    """Refuses results that no longer fit their labels; needs no model, no GPU and no network.

    It looks for blank frames, lost and displaced edges, displaced and vanished instances, flicker along true motion,
    frozen and misplaced frames. Weather and light may change any colour and hide what is far or dark: a missing edge
    counts only where the result shows enough, and against what is as far away. What cannot be checked (a buffer that
    the source does not give, an instance of a few pixels) is reported as ``unchecked``; a clip of which nothing could
    be checked is refused. Accepted results are remembered, reduced, so that another camera of the same moments can be
    held against them. Everything is measured on the CPU; pictures on another device are copied, a chunk at a time.

    Args:
        options: What a run may set; ``None`` takes the defaults.
    """

    Options: ClassVar[type[ConsistencyOptions]] = ConsistencyOptions

    def __init__(self, options: Optional[ConsistencyOptions] = None) -> None:
        self._options = options or ConsistencyOptions()
        self._limits, self._memory = self._options.limits, Memory()
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
        with opencv_on_one_thread():
            return self._judge(request, result, progress)

    def _judge(self, request: TransferRequest, result: TransferResult, progress: Optional[Progress]) -> Verdict:
        began = time.perf_counter()
        clip = request.clip
        misfit = misfit_of(request, result)
        bars = self._thresholds
        costs: dict[str, float] = {}
        truth, views = None, None
        if misfit is not None:
            outcomes = [Outcome(findings=(misfit,))]
        else:
            truth = Truth.of(clip)
            views = ViewSweep(request, truth, self._memory.of(request), bars, self._limits)
            published = (PublishedSweep(bars),) if self._options.papers else ()
            sweeps = (*self._sweeps(request, result, truth, bars), views, *published)
            for chunk in chunks(clip, result.rgb, truth, self._limits.chunk):
                for sweep in sweeps:
                    with _Cost(costs, sweep.family):
                        sweep.add(chunk)
                if progress is not None:
                    progress("judge", chunk.frames.stop, clip.num_frames)
            outcomes = []
            for sweep in sweeps:
                with _Cost(costs, sweep.family):
                    outcomes.append(sweep.conclude())
            outcomes.append(left_out(truth, outcomes))
        costs["shared"] = time.perf_counter() - began - sum(costs.values())
        verdict = conclude(outcomes, thresholds=bars, limits=self._limits, critic=self.name, costs=costs)
        if views is not None:
            self._memory.keep(request, views.views, verdict)
        if truth is None or not truth.parts:
            return verdict
        findings = [finding for outcome in outcomes for finding in outcome.findings]
        ids = thing_ids(truth.parts, truth.things, truth.thing_of)
        return replace(verdict, carried=carry_over(clip, verdict.scores, findings, ids))

    def _sweeps(
        self, request: TransferRequest, result: TransferResult, truth: Truth, bars: Mapping[str, Threshold]
    ) -> tuple[Sweep, ...]:
        limits, kept = self._limits, kept_share(request)
        snow = snowed(request, result)
        boundaries = BoundarySweep(truth, bars, limits, kept=kept, snowed=snow)
        return (
            PictureSweep(bars, limits),
            boundaries,
            PlacementSweep(truth, boundaries, request.clip.num_frames, bars, limits, drowned=drowns(result)),
            VisibleSweep(result, truth, bars, limits, kept=kept, snowed=snow),
            BorderSweep(request.clip, truth, bars, limits, kept=kept, snowed=snow),
            InventionSweep(
                request.clip.num_frames,
                kept,
                bars,
                limits,
                snow_ends=snow_ends(request, result),
                restyled=restyled(result),
            ),
            TwinSweep(truth, kept, request.clip.num_frames, bars, limits, snowed=snow),
            ColorSweep(request, truth, bars, limits, self._options.protect),
            FlickerSweep(truth, bars, limits),
            SlideSweep(truth, bars, limits),
            OrderSweep(bars, limits),
            MomentSweep(bars, limits),
            PromptSweep(request, result, bars, limits),
        )


def left_out(truth: Truth, outcomes: Sequence[Outcome]) -> Outcome:
    """Name the things that no frame shows well enough to judge, by their outline or by their colours."""
    told = {number for outcome in outcomes for rows in outcome.scores for number in np.unique(rows.instance).tolist()}
    known = np.flatnonzero(truth.single).tolist()
    named = [index for index in known if truth.things[index].id not in told]
    if not named:
        return Outcome()
    names = ", ".join(truth.name(index) for index in named[:5]) + (", ..." if len(named) > 5 else "")
    text = (
        f"{len(named)} of {len(known)} things could not be judged one by one, each too small, seen in scraps, or "
        f"hidden by the result: {names}."
    )
    return Outcome(findings=(unchecked("instances", text),))


class _Cost:
    """Adds what a block takes to a family's cost [s]."""

    def __init__(self, costs: dict[str, float], family: str) -> None:
        self._costs, self._family, self._began = costs, family, 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._costs[self._family] = self._costs.get(self._family, 0.0) + time.perf_counter() - self._began


__all__ = ["ConsistencyCritic", "ConsistencyOptions"]
