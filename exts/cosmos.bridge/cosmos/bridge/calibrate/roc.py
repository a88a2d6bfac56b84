"""How often faults are told from good clips: Wilson rates, ROC curves, and areas with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from cosmos.bridge.calibrate.trials import GOOD, Trial

_Z = 1.959963984540054
"""Of a two-sided interval of 95 %."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """A share of some clips, with its 95 % interval (Wilson 1927)."""

    hits: int
    """How many."""
    count: int
    """Of how many."""

    @property
    def share(self) -> float:
        """The share itself; NaN of none."""
        return self.hits / self.count if self.count else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper end."""
        if not self.count:
            return 0.0, 1.0
        share, spread = self.share, _Z * _Z / self.count
        middle = (share + spread / 2.0) / (1.0 + spread)
        half = _Z / (1.0 + spread) * np.sqrt(share * (1.0 - share) / self.count + spread / (4.0 * self.count))
        return max(0.0, float(middle - half)), min(1.0, float(middle + half))


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultRow:
    """What a critic makes of one fault at one strength."""

    fault: str
    """Kind."""
    strength: float
    """Strength."""
    found: Rate
    """Rejected clips among those with the fault."""
    named: Rate
    """Rejected clips whose findings name the thing that the fault befalls, among those where it befalls one."""
    area: float
    """Area under the ROC curve of the critic's score; 0.5 is chance."""
    area_interval: tuple[float, float]
    """Its 95 % interval by bootstrap over scenes."""
    checks: dict[str, float]
    """Check -> share of these clips that this check rejects."""


def false_alarms(trials: Iterable[Trial]) -> Rate:
    """Return rejected clips among the good ones."""
    good = [trial for trial in trials if trial.fault == GOOD]
    return Rate(hits=sum(not trial.accepted for trial in good), count=len(good))


def fault_rows(trials: Sequence[Trial], *, seed: int = 0, draws: int = 300) -> list[FaultRow]:
    """Measure each fault at each strength against the good clips among the trials."""
    good = [trial for trial in trials if trial.fault == GOOD]
    kinds = dict.fromkeys((trial.fault, trial.strength) for trial in trials if trial.fault != GOOD)
    rows = []
    for fault, strength in kinds:
        mine = [trial for trial in trials if (trial.fault, trial.strength) == (fault, strength)]
        caught = [trial for trial in mine if trial.found]
        befalling = [trial for trial in mine if trial.named is not None]
        failed = sorted({check for trial in mine for check in trial.failed})
        rows.append(
            FaultRow(
                fault=fault,
                strength=strength,
                found=Rate(hits=len(caught), count=len(mine)),
                named=Rate(hits=sum(bool(trial.named) for trial in befalling), count=len(befalling)),
                area=area_under(badness(good), badness(mine)),
                area_interval=bootstrap_area(good, mine, seed=seed, draws=draws),
                checks={check: sum(check in trial.failed for trial in mine) / len(mine) for check in failed},
            )
        )
    return rows


def badness(trials: Iterable[Trial], check: str = "") -> np.ndarray:
    """Return how bad a check, or the critic's whole score, finds each clip; -inf where it could not be checked."""
    if check:
        return np.array([trial.values.get(check, -np.inf) for trial in trials], np.float64)
    return np.array([1.0 - trial.score for trial in trials], np.float64)


def curve(good: np.ndarray, bad: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return false alarms and found faults at every bar, from the strictest pass-all to the reject-all bar."""
    bars = np.unique(np.concatenate([good, bad]))[::-1]
    alarms = np.concatenate([[0.0], (good[None] >= bars[:, None]).mean(axis=1)])
    found = np.concatenate([[0.0], (bad[None] >= bars[:, None]).mean(axis=1)])
    return alarms, found


def area_under(good: np.ndarray, bad: np.ndarray) -> float:
    """Return the share of pairs in which the faulty clip is worse, ties half (Mann and Whitney 1947); NaN of none."""
    if not len(good) or not len(bad):
        return float("nan")
    ordered = np.sort(good)
    below = np.searchsorted(ordered, bad, side="left")
    ties = np.searchsorted(ordered, bad, side="right") - below
    return float((below + 0.5 * ties).sum() / (len(good) * len(bad)))


def bootstrap_area(
    good: Sequence[Trial], bad: Sequence[Trial], *, check: str = "", seed: int = 0, draws: int = 300
) -> tuple[float, float]:
    """Return the 95 % interval of the area, drawing whole scenes, since clips of one scene are alike (Efron 1979)."""
    scenes = sorted({trial.scene for trial in (*good, *bad)})
    measure: Callable[[Sequence[Trial]], np.ndarray] = lambda trials: badness(trials, check)  # noqa: E731
    by_scene = [
        tuple(measure([trial for trial in group if trial.scene == scene]) for group in (good, bad)) for scene in scenes
    ]
    rng = np.random.default_rng(seed)
    areas = []
    for _ in range(draws):
        drawn = [by_scene[index] for index in rng.integers(len(scenes), size=len(scenes))]
        areas.append(area_under(*(np.concatenate([pair[side] for pair in drawn]) for side in (0, 1))))
    known = np.array([area for area in areas if area == area])
    if not len(known):
        return 0.0, 1.0
    low, high = np.quantile(known, (0.025, 0.975))
    return float(low), float(high)


__all__ = [
    "FaultRow",
    "Rate",
    "area_under",
    "badness",
    "bootstrap_area",
    "curve",
    "false_alarms",
    "fault_rows",
]
