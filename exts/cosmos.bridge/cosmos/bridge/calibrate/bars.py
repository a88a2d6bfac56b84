"""Choose bars that hold a wanted rate of false alarms on the clips one has, as settings that a run can load."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cosmos.bridge.calibrate.roc import Rate
from cosmos.bridge.calibrate.trials import GOOD, Trial
from cosmos.bridge.errors import ConfigError

LEAST_GOOD = 20
"""Good clips that bars are chosen on, at least."""
_BEYOND = 1.1
"""A loosened bar lies so many times as far out as the worst good clip, since the next one may be a little worse."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bars:
    """Bars of a critic that hold a rate of false alarms."""

    critic: str
    """Name of the critic."""
    thresholds: Mapping[str, float]
    """Check -> loosened bar, in the unit of the check; what is not named keeps its bar."""
    min_score: float
    """Lowest score that is accepted."""
    before: Rate
    """False alarms with the critic's own bars, on the clips the bars were chosen on."""
    after: Rate
    """False alarms with these bars, on the same clips."""
    proven: Rate
    """False alarms with these bars, on clips of other scenes."""

    def to_settings(self) -> dict[str, Any]:
        """Return settings that ``cosmos-bridge augment --config`` loads."""
        settings: dict[str, Any] = {"critic": self.critic, "min_score": round(self.min_score, 4)}
        if self.thresholds:
            settings["critic_options"] = {"thresholds": {k: float(f"{v:.4g}") for k, v in self.thresholds.items()}}
        return settings


def choose_bars(
    tune: Sequence[Trial],
    prove: Sequence[Trial],
    critic: str,
    wanted: float,
    *,
    higher_is_better: Container[str] = (),
) -> Bars:
    """Choose bars on the good clips among some answers.

    Where the critic's own bars raise more alarms than wanted, the check that rejects the most good clips is loosened
    until it passes all of them, then the next, until the rate holds. Where they raise fewer, the lowest score that is
    accepted is raised until the rate is used up: more faults are found at the price that was agreed to.

    Args:
        tune: Answers of the critic that bars are chosen on; at least 20 good clips.
        prove: Answers about other scenes, which the bars are held against.
        critic: Name of the critic.
        wanted: Wanted share of false alarms, in [0, 0.5].
        higher_is_better: Checks whose bar is a least value.

    Raises:
        ConfigError: If there are too few good clips, the rate is out of range, or the critic rejects good clips by
            checks that measure nothing, so that no bar could be loosened.
    """
    good = [trial for trial in tune if trial.fault == GOOD]
    if len(good) < LEAST_GOOD:
        raise ConfigError(
            f"Bars need at least {LEAST_GOOD} good clips to be chosen on, got {len(good)}; make a longer suite."
        )
    if not 0.0 <= wanted <= 0.5:
        raise ConfigError(f"The wanted share of false alarms must lie in [0, 0.5], got {wanted!r}.")
    allowed = int(wanted * len(good))
    loosened: dict[str, float] = {}
    while len(alarmed := [t for t in good if _rejected(t, loosened)]) > allowed:
        counts: dict[str, int] = {}
        for trial in alarmed:
            for check in trial.failed:
                if check in trial.values and check not in loosened:
                    counts[check] = counts.get(check, 0) + 1
        if not counts:
            raise ConfigError(
                f"{critic} rejects {len(alarmed)} of {len(good)} good clips by checks that have no bar to loosen; "
                "it cannot hold that rate on these clips."
            )
        check = max(sorted(counts), key=counts.__getitem__)
        worst = max(trial.values[check] for trial in good if check in trial.values)
        loosened[check] = worst * _BEYOND if worst > 0.0 else worst / _BEYOND
    before = Rate(hits=sum(not trial.accepted for trial in good), count=len(good))
    passed = np.sort([trial.score for trial in good if trial.accepted])
    spare = allowed - len([trial for trial in good if _rejected(trial, loosened)])
    min_score = float(passed[spare]) if not loosened and len(passed) > spare else 0.0

    def held(trials: Sequence[Trial]) -> Rate:
        hits = [_rejected(trial, loosened) or (trial.accepted and trial.score < min_score) for trial in trials]
        return Rate(hits=sum(hits), count=len(hits))

    return Bars(
        critic=critic,
        thresholds={check: -bar if check in higher_is_better else bar for check, bar in loosened.items()},
        min_score=min_score,
        before=before,
        after=held(good),
        proven=held([trial for trial in prove if trial.fault == GOOD]),
    )


def _rejected(trial: Trial, loosened: Mapping[str, float]) -> bool:
    """Whether a clip would still be rejected with some bars loosened; of values and bars, more is worse."""
    if trial.accepted:
        return False
    held = [check for check in trial.failed if not trial.values.get(check, np.inf) <= loosened.get(check, -np.inf)]
    return bool(held) or not trial.failed


__all__ = ["Bars", "choose_bars"]
