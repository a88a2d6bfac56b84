"""Hold the rooms that everything rests on to their line coverage; reads coverage.py's JSON report."""

import json
import sys
from pathlib import Path

FLOOR = 90.0
"""Line coverage that each room must reach [%]."""
ROOMS = ("types", "kernels", "controls", "sinks")
"""Rooms held to it. Warp kernels run as compiled code, so their bodies are excluded by pyproject's exclude_also."""


def room_coverage(report: dict, room: str) -> tuple[int, int]:
    """Return (covered, all) lines of one room."""
    marker = f"cosmos/bridge/{room}/"
    summaries = [entry["summary"] for path, entry in report["files"].items() if marker in Path(path).as_posix()]
    return sum(s["covered_lines"] for s in summaries), sum(s["num_statements"] for s in summaries)


def main() -> int:
    """Print a line a room; return 1 if one is below the floor or has no lines at all."""
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    failed = False
    for room in ROOMS:
        covered, lines = room_coverage(report, room)
        share = 100.0 * covered / lines if lines else 0.0
        failed |= share < FLOOR
        print(f"{room:9s} {covered:5d} of {lines:5d} lines covered, {share:5.1f} %  (floor {FLOOR:.0f} %)")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
