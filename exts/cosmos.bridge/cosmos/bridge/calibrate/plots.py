"""ROC curves as one SVG: a panel a fault, the critic's score and the checks that tell it best."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from cosmos.bridge.calibrate.roc import Rate, area_under, badness, curve, false_alarms
from cosmos.bridge.calibrate.trials import GOOD, Trial
from cosmos.bridge.critic.faults import FAULTS

_PANEL, _GAP, _COLUMNS, _LEGEND = 150, 34, 5, 46
_COLORS = ("#111111", "#d1495b", "#00798c", "#edae49")


def roc_svg(trials: Sequence[Trial], *, title: str) -> str:
    """Draw the ROC curves of every fault at its first strength.

    The axis of false alarms is stretched near 0 (square root), since nobody runs a critic that rejects half of what is
    good. The dot is where the critic's own bars lie, with 95 % intervals.

    Args:
        trials: Answers of a critic, of one part of a suite.
        title: What stands above.
    """
    good = [trial for trial in trials if trial.fault == GOOD]
    groups = [
        (fault.kind, [t for t in trials if t.fault == fault.kind and t.strength == fault.strengths[0]])
        for fault in FAULTS.values()
    ]
    groups = [(kind, mine) for kind, mine in groups if mine]
    rows = -(-len(groups) // _COLUMNS)
    wide = _COLUMNS * (_PANEL + _GAP) + _GAP
    high = rows * (_PANEL + _GAP + _LEGEND) + 56
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}" '
        'font-family="sans-serif" font-size="10">',
        f'<rect width="{wide}" height="{high}" fill="white"/>',
        f'<text x="{_GAP}" y="22" font-size="14">{escape(title)}</text>',
        f'<text x="{_GAP}" y="38" fill="#555">across: good clips rejected, square-root scale; up: faulty clips '
        "rejected</text>",
    ]
    alarms = false_alarms(trials)
    for number, (kind, mine) in enumerate(groups):
        row, column = divmod(number, _COLUMNS)
        x, y = _GAP + column * (_PANEL + _GAP), 62 + row * (_PANEL + _GAP + _LEGEND)
        parts.append(f'<g transform="translate({x},{y})">{_panel(kind, good, mine, alarms)}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(kind: str, good: Sequence[Trial], mine: Sequence[Trial], alarms: Rate) -> str:
    """Draw one fault."""
    fault = FAULTS[kind]
    strength = f" {fault.strengths[0]:g} {fault.unit}" if fault.unit else ""
    parts = [
        f'<text y="-5" font-weight="bold">{escape(kind + strength)}</text>',
        f'<rect width="{_PANEL}" height="{_PANEL}" fill="#fafafa" stroke="#999"/>',
    ]
    for share in (0.02, 0.1, 0.25, 0.5):
        at = _across(share)
        parts.append(f'<line x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{_PANEL}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{_PANEL + 11}" text-anchor="middle" fill="#777">{100 * share:g}</text>')
    for share in (0.5, 0.95):
        up = _PANEL * (1.0 - share)
        parts.append(f'<line x1="0" x2="{_PANEL}" y1="{up:.1f}" y2="{up:.1f}" stroke="#ddd"/>')
    chance = " ".join(f"{_across(share):.1f},{_PANEL * (1.0 - share):.1f}" for share in np.linspace(0.0, 1.0, 21))
    parts.append(f'<polyline points="{chance}" fill="none" stroke="#bbb" stroke-dasharray="2 3"/>')
    checks = sorted({check for trial in mine for check in trial.values})
    areas = {check: area_under(badness(good, check), badness(mine, check)) for check in checks}
    best = sorted((check for check in checks if areas[check] > 0.6), key=lambda check: -areas[check])[:3]
    for color, check in zip(_COLORS, ("", *best), strict=False):
        steps = _steps(*curve(badness(good, check), badness(mine, check)))
        points = " ".join(f"{_across(a):.1f},{_PANEL * (1.0 - b):.1f}" for a, b in steps)
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{1.3 if check else 2.2}" '
            f'stroke-opacity="{0.9 if check else 0.75}"/>'
        )
    found = Rate(hits=sum(trial.found for trial in mine), count=len(mine))
    at, up = _across(alarms.share), _PANEL * (1.0 - found.share)
    low, high = (_PANEL * (1.0 - end) for end in found.interval)
    left, right = (_across(end) for end in alarms.interval)
    parts += [
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{low:.1f}" y2="{high:.1f}" stroke="#3355cc"/>',
        f'<line x1="{left:.1f}" x2="{right:.1f}" y1="{up:.1f}" y2="{up:.1f}" stroke="#3355cc"/>',
        f'<circle cx="{at:.1f}" cy="{up:.1f}" r="3" fill="#3355cc"/>',
    ]
    whole = area_under(badness(good), badness(mine))
    for line, (color, check) in enumerate(zip(_COLORS, ("", *best), strict=False)):
        text = f"{check or 'score'} {areas[check] if check else whole:.2f}"
        parts.append(f'<text y="{_PANEL + 22 + 10 * line}" fill="{color}">{escape(text)}</text>')
    return "".join(parts)


def _across(share: float) -> float:
    """Place of a share of false alarms on the stretched axis [px]."""
    return float(_PANEL * np.sqrt(min(max(share, 0.0), 1.0)))


def _steps(across: np.ndarray, up: np.ndarray) -> list[tuple[float, float]]:
    """Return the corners of a curve, straight on the plain axes, in points close enough for the stretched one."""
    corners: list[tuple[float, float]] = []
    for index in range(len(across)):
        if index and across[index] > across[index - 1]:
            parts = np.linspace(0.0, 1.0, 6)[1:-1]
            between = (axis[index - 1] + parts * (axis[index] - axis[index - 1]) for axis in (across, up))
            corners += zip(*(axis.tolist() for axis in between), strict=True)
        corners.append((float(across[index]), float(up[index])))
    return corners


__all__ = ["roc_svg"]
