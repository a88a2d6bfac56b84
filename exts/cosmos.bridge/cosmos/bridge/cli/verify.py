"""``cosmos-bridge verify``: hash every file of a run again and hold it against the manifest and the ledger."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cosmos.bridge.cli.console import EXIT_OK, EXIT_PARTIAL, emit, emit_json


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "verify",
        help="check that a run's files are whole",
        description="Hash every file again and compare with the manifest; exit code 4 names what differs.",
    )
    parser.add_argument("out", metavar="DIR", help="out folder of the run")
    parser.add_argument("--json", action="store_true", help="print the problems as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from cosmos.bridge.runs.check import check_run

    checked = check_run(Path(args.out))
    if args.json:
        emit_json({"ok": not checked.problems, "files": checked.num_files, "problems": list(checked.problems)})
    else:
        for problem in checked.problems:
            emit(problem)
        emit(f"{checked.num_files} files checked, {len(checked.problems)} problems")
    return EXIT_PARTIAL if checked.problems else EXIT_OK


__all__ = ["add_parser", "run"]
