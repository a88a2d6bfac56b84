"""Colours and sizes of the panel; omni.ui writes colours as 0xAABBGGRR."""

from __future__ import annotations

from collections.abc import Mapping

ROW = 22
"""Height of a row [px]."""
LABEL = 92
"""Width of the labels on the left [px]."""
GAP = 4
"""Space between widgets [px]."""

GREEN, AMBER, RED, BLUE, GREY = 0xFF76C082, 0xFF48B4EC, 0xFF6868EC, 0xFFD8A45C, 0xFF9A9A9A
BADGES: Mapping[str, int] = {
    "waiting": GREY,
    "running": BLUE,
    "accepted": GREEN,
    "partial": AMBER,
    "rejected": RED,
    "refused": RED,
    "failed": RED,
    "cancelled": GREY,
    "pending": GREY,
}
"""Badge -> colour."""
DIM: Mapping[str, int] = {"color": GREY}
"""Style of what is said beside."""
BADGE_TEXT: Mapping[str, int] = {"color": 0xFF1E1E1E, "font_size": 12}
"""Style of the word in a badge."""


def ink(color: int) -> dict[str, int]:
    """Return the style of text in a colour."""
    return {"color": color}


__all__ = ["AMBER", "BADGES", "BADGE_TEXT", "BLUE", "DIM", "GAP", "GREEN", "GREY", "LABEL", "RED", "ROW", "ink"]
