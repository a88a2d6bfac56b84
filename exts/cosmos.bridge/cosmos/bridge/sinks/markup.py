"""Small pieces of HTML. Every text that came from outside passes through ``esc``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_ICONS = {
    "accepted": '<path d="M2.5 6.5 5 9l4.5-6"/>',
    "rejected": '<path d="m3 3 6 6M9 3 3 9"/>',
    "refused": '<path d="M6 2v5M6 9.6v.4"/>',
    "failed": '<path d="M6 2v5M6 9.6v.4"/>',
}


def esc(value: Any) -> str:
    """Return a text from outside as HTML that says only that text, also inside an attribute."""
    return escape(str(value), quote=True)


def badge(status: str) -> str:
    """Return an outcome as icon and word."""
    pen = 'fill="none" stroke="currentColor" stroke-width="1.8" aria-hidden="true"'
    icon = f'<svg viewBox="0 0 12 12" {pen}>{_ICONS[status]}</svg>'
    return f'<span class="badge {status}">{icon}{status.capitalize()}</span>'


def picture(key: str, shows: str, alt: str, images: Mapping[str, str], css: str = "") -> str:
    """Return a picture that the script may exchange for another moment of what it shows."""
    source = images.get(key, "data:,")
    return f'<img class="{css}" data-shows="{esc(shows)}" src="{source}" alt="{esc(alt)}" draggable="false">'


def say_number(value: Any, unit: str = "") -> str:
    """Return a measured number with three digits and its unit."""
    if value is None:
        return "n/a"
    text = value if isinstance(value, str) else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    return f"{text} {unit}".strip()


def say_frames(frames: Sequence[int]) -> str:
    """Return frame numbers as a person writes them: 0–3, 7; counted from 0, like the files."""
    runs: list[list[int]] = []
    for frame in sorted(frames):
        if runs and frame == runs[-1][1] + 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    said = ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in runs)
    return f"frame{'s' if len(frames) > 1 else ''} {said}" if said else ""


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """Return a list of facts; names are ours, values are escaped already."""
    return '<dl class="facts">' + "".join(f"<dt>{esc(name)}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>"


def say_value(value: Any) -> str:
    """Return a setting as a person reads it."""
    if isinstance(value, str):
        return value
    return "model's own" if value is None else json.dumps(value, ensure_ascii=False)


def flatten(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as dotted names and short texts."""
    if isinstance(value, Mapping) and value:
        return [row for key, item in value.items() for row in flatten(item, f"{prefix}.{key}" if prefix else str(key))]
    return [(prefix, "not set" if value is None else say_value(value))]


__all__ = ["badge", "esc", "facts", "flatten", "picture", "say_frames", "say_number", "say_value"]
