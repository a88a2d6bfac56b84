"""The command ``cosmos-bridge``: parse, run one command, turn errors into one sentence and an exit code.

Exit codes: 0 all went well, 1 a fault of this program, 2 wrong usage or settings, 3 a check before the work failed,
4 some clips were rejected, refused, failed or not reached, 130 interrupted.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Optional

from cosmos.bridge import __version__
from cosmos.bridge.cli import ask, augment, critic, demo, doctor, models, render, report, resume, verify
from cosmos.bridge.cli.console import (
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_PARTIAL,
    EXIT_PREFLIGHT,
    EXIT_USAGE,
    log,
)
from cosmos.bridge.cli.review import EXPLAIN, JUDGE, QUARANTINE
from cosmos.bridge.errors import BridgeError, ConfigError, JobCancelled

COMMANDS = (augment, render, resume, verify, report, JUDGE, EXPLAIN, QUARANTINE, critic, doctor, models, demo, ask)


class _Parser(argparse.ArgumentParser):
    """Answers a word that it does not know with the nearest option, in one sentence."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, and end the program where words are left; the parser of a command does so before that of all."""
        parsed, left = super().parse_known_args(args, namespace)
        left = self._behind_options(parsed, left)
        if not left:
            return parsed, left
        word = left[0].partition("=")[0]
        known = re.findall(r"--[a-z][a-z-]+", self.format_help())
        near = difflib.get_close_matches(word, known, n=1, cutoff=0.0) if word.startswith("-") else []
        told = f"there is no option {word!r}; the nearest is {near[0]!r}" if near else f"{word!r} is one word too many"
        return self.exit(EXIT_USAGE, f"{self.prog}: {told}, and --help lists all.\n")

    def _behind_options(self, parsed: argparse.Namespace, left: list[str]) -> list[str]:
        """Give words behind an option to what may be left out: ``explain DIR --json ITEM``; return those still left.

        argparse closes that as soon as it meets the option.
        """
        if any(word.startswith("-") for word in left):
            return left
        for action in self._actions:
            if not left or action.option_strings:
                continue
            given = getattr(parsed, action.dest, None)
            if action.nargs == "*":
                setattr(parsed, action.dest, [*(given or ()), *left])
                left = []
            elif action.nargs == "?" and given is None:
                setattr(parsed, action.dest, left[0])
                left = left[1:]
        return left


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of every command."""
    parser = _Parser(
        prog="cosmos-bridge",
        description="Turn a simulated USD scene into photoreal, still-correctly-labelled video, in one process.",
        epilog="Exit codes: 0 ok, 1 internal fault, 2 usage, 3 preflight failed, 4 partial, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"cosmos-bridge {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        sub = command.add_parser(commands)
        sub.add_argument("--debug", action="store_true", help="show the traceback of an error")
        sub.set_defaults(run=command.run)
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    args = build_parser().parse_args([word for word in words if word != "--debug"])
    args.argv, args.debug = words, "--debug" in words  # wherever it stands, also behind an action
    try:
        return int(args.run(args))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PARTIAL
    except (KeyboardInterrupt, JobCancelled) as error:
        return _explain(error, str(error) or "Interrupted.", args.debug, EXIT_INTERRUPTED)
    except ConfigError as error:
        return _explain(error, str(error), args.debug, EXIT_USAGE)
    except BridgeError as error:
        return _explain(error, str(error), args.debug, getattr(args, "error_code", EXIT_PREFLIGHT))
    except Exception as error:  # noqa: BLE001 - the edge towards the user: a sentence, never a traceback
        told = (
            f"This is a fault in cosmos-bridge ({type(error).__name__}: {error}); run again with --debug and report it."
        )
        return _explain(error, told, args.debug, EXIT_INTERNAL)


def _explain(error: BaseException, sentence: str, debug: bool, code: int) -> int:
    if debug:
        traceback.print_exception(error)
    log(f"cosmos-bridge: {sentence}")
    return code


if __name__ == "__main__":
    sys.exit(main())

__all__ = ["COMMANDS", "build_parser", "main"]
