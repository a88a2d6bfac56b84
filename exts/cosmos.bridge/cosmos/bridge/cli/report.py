"""``cosmos-bridge report``: write the HTML report of a run again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cosmos.bridge.cli.console import EXIT_OK, emit, emit_json


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "report",
        help="write the HTML report of a run",
        description="Write report.html from the manifest of a run and print its path.",
    )
    parser.add_argument("out", metavar="DIR", help="out folder of the run")
    parser.add_argument("--json", action="store_true", help="print the path as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from cosmos.bridge.sinks.report import write_report

    path = write_report(Path(args.out))
    if args.json:
        emit_json({"report": str(path)})
    else:
        emit(str(path))
    return EXIT_OK


__all__ = ["add_parser", "run"]
