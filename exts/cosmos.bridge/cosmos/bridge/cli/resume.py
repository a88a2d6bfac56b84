"""``cosmos-bridge resume``: finish a run from its saved config and its ledger."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from cosmos.bridge.cli.augment import add_placement, placement_of, run_config
from cosmos.bridge.config import OffloadPolicy
from cosmos.bridge.settings import from_plain, to_plain


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "resume",
        help="finish an interrupted run",
        description="Make the clips that a run has not made yet; failed ones are tried again.",
    )
    parser.add_argument("out", metavar="DIR", help="out folder of the run")
    parser.add_argument("--device", metavar="NAME", help="device of this machine (default: as saved)")
    add_placement(parser, ("here", "worker"))
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from cosmos.bridge.runs.folder import saved_config

    config = saved_config(Path(args.out), device=args.device)
    offload = from_plain(OffloadPolicy, {**to_plain(config.offload), **placement_of(args)}, "offload")
    config = config.replace(offload=offload)
    return run_config(config, args, command=shlex.join(["cosmos-bridge", *args.argv]), resume=True)


__all__ = ["add_parser", "run"]
