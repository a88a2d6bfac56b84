"""Answers of a critic as tables: found faults beside the bars that were set for them, and every check by fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cosmos.bridge.calibrate.roc import FaultRow, Rate, area_under, badness, false_alarms, fault_rows
from cosmos.bridge.calibrate.trials import GOOD, Trial
from cosmos.bridge.critic.faults import FAULTS

GOALS: Mapping[tuple[str, float], float] = {
    ("removed", 1.0): 0.98,
    ("duplicated", 1.0): 0.98,
    ("moved", 4.0): 0.95,
    ("moved", 8.0): 0.95,
    ("recoloured", 25.0): 0.95,
    ("frame_dropped", 1.0): 0.99,
    ("frame_repeated", 1.0): 0.99,
    ("frames_reversed", 1.0): 0.99,
    ("labels_shifted", 1.0): 0.99,
    ("flickering", 12.0): 0.95,
}
"""(fault, strength) -> share that the consistency critic is meant to find."""

MOST_ALARMS = 0.02
"""Share of good clips that it may reject at most."""


def summary(trials: Sequence[Trial], *, goals: bool) -> str:
    """Return false alarms, and one row a fault, as Markdown.

    Args:
        trials: Answers of a critic, of one part of a suite.
        goals: Whether to put the goals of the consistency critic beside.
    """
    alarms, seconds = false_alarms(trials), [trial.seconds for trial in trials if trial.fault == GOOD]
    scenes = len({trial.scene for trial in trials})
    if not seconds:
        return "There is no good clip."
    aim = f", at most {100 * MOST_ALARMS:.0f} % is the goal" if goals else ""
    lines = [
        f"{_of(alarms.count, 'good clip')} of {_of(scenes, 'scene')}; false alarms: {alarms.hits} = "
        f"{rate_text(alarms)}{aim}. A verdict takes {1000 * float(np.median(seconds)):.0f} ms of CPU."
    ]
    mute = sum(trial.mute for trial in trials)
    if mute:
        lines.append(
            f"{mute} of {len(trials)} answers were no verdict: on a good clip that counts as a false alarm, on a "
            "faulty one as nothing found."
        )
    lines += [
        "",
        "| fault | strength | clips | found [95 %] |" + (" goal |" if goals else "") + " named | ROC area [95 %] |",
        f"|---|---|---|---|{'---|' if goals else ''}---|---|",
    ]
    for row in ordered(fault_rows(trials)):
        goal = ""
        if goals:
            least = GOALS.get((row.fault, row.strength))
            missed = least is not None and row.found.share < least
            goal = f" {'' if least is None else f'{100 * least:.0f} %'}{' missed' if missed else ''} |"
        named = rate_text(row.named, interval=False) if row.named.count else ""
        low, high = row.area_interval
        lines.append(
            f"| {FAULTS[row.fault].told} (`{row.fault}`) | {strength_text(row)} | {row.found.count} "
            f"| {rate_text(row.found)} |{goal} {named} | {row.area:.3f} [{low:.3f}, {high:.3f}] |"
        )
    return "\n".join(lines)


def _of(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def by_check(trials: Sequence[Trial]) -> str:
    """Return a row a check: its false alarms, and the faults it tells from good clips, as Markdown.

    A fault is listed where the check alone has an area under its ROC curve of at least 0.7, or rejects at least 5 %.
    """
    good = [trial for trial in trials if trial.fault == GOOD]
    checks = sorted({check for trial in trials for check in (*trial.values, *trial.failed)})
    lines = ["| check | false alarms | found at its bar (area under its ROC) |", "|---|---|---|"]
    rows = ordered(fault_rows(trials, draws=1))
    for check in checks:
        alarms = Rate(hits=sum(check in trial.failed for trial in good), count=len(good))
        told = []
        for row in rows:
            mine = [t for t in trials if (t.fault, t.strength) == (row.fault, row.strength)]
            area, share = area_under(badness(good, check), badness(mine, check)), row.checks.get(check, 0.0)
            if area >= 0.7 or share >= 0.05:
                told.append((share, f"{row.fault} {strength_text(row)}".strip() + f" {100 * share:.0f} % ({area:.2f})"))
        best = [text for _, text in sorted(told, key=lambda item: -item[0])]
        lines.append(f"| `{check}` | {rate_text(alarms, interval=False)} | {', '.join(best)} |")
    return "\n".join(lines)


def by_size(trials: Sequence[Trial]) -> str:
    """Return how found faults of things depend on the thing's size, first strengths alone, as Markdown."""
    bins = ((0, 250), (250, 600), (600, 10**9))
    lines = ["| fault | below 250 px | 250 to 600 px | above |", "|---|---|---|---|"]
    for fault in FAULTS.values():
        mine = [t for t in trials if t.fault == fault.kind and t.strength == fault.strengths[0] and t.area > 0.0]
        if not mine:
            continue
        rates = []
        for low, high in bins:
            sized = [trial for trial in mine if low <= trial.area < high]
            rates.append(Rate(hits=sum(trial.found for trial in sized), count=len(sized)))
        told = " | ".join(f"{rate_text(rate, interval=False)} of {rate.count}" if rate.count else "" for rate in rates)
        lines.append(f"| `{fault.kind}` | {told} |")
    return "\n".join(lines)


def ordered(rows: Sequence[FaultRow]) -> list[FaultRow]:
    """Sort rows as the catalogue of faults has them."""
    order = list(FAULTS)
    return sorted(rows, key=lambda row: (order.index(row.fault), FAULTS[row.fault].strengths.index(row.strength)))


def strength_text(row: FaultRow) -> str:
    """Write a strength with its unit; nothing for a fault without one."""
    unit = FAULTS[row.fault].unit
    return f"{row.strength:g} {unit}" if unit else ""


def rate_text(rate: Rate, *, interval: bool = True) -> str:
    """Write a rate in percent, with its interval."""
    if not rate.count:
        return ""
    low, high = rate.interval
    text = f"{100 * rate.share:.1f} %"
    return f"{text} [{100 * low:.1f}, {100 * high:.1f}]" if interval else text


__all__ = ["GOALS", "MOST_ALARMS", "by_check", "by_size", "ordered", "rate_text", "strength_text", "summary"]
