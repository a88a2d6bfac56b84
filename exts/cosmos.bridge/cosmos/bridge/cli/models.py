"""``cosmos-bridge models``: checkpoints of backends: list, fetch, verify, plan; and adapt the embedded model."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cosmos.bridge.cli import adapt, planned
from cosmos.bridge.cli.console import EXIT_OK, EXIT_PARTIAL, bytes_text, emit, emit_json, log
from cosmos.bridge.errors import ConfigError, ModelWeightsError


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "models",
        help="list, fetch, verify and plan the checkpoints of NVIDIA's models; adapt the embedded model",
        description="Checkpoints of the backends that ship none: nothing is downloaded but by fetch. And the embedded "
        "model, adapted to paired clips of yours.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="what there is, under which licence, and what is here")
    fetching = actions.add_parser("fetch", help="download a checkpoint; goes on where it was stopped")
    verifying = actions.add_parser("verify", help="hash every file of a fetched checkpoint again")
    planning = actions.add_parser("plan", help="memory and time of a clip, before anything is loaded")
    for action in (fetching, verifying, planning):
        action.add_argument("name", metavar="NAME", help="name of the backend, e.g. cosmos-transfer2.5")
    for action in (fetching, verifying):
        action.add_argument("--folder", metavar="DIR", help="folder of the checkpoint (default: in the user's cache)")
    fetching.add_argument("--piece", action="append", metavar="PIECE", help="fetch this piece alone; may come again")
    fetching.add_argument("--update", action="store_true", help="take the newest commit, not the one that is pinned")
    fetching.add_argument("--offline", action="store_true", help="refuse to use the network")
    planned.add_options(planning)
    tuning, branching = adapt.add_actions(actions)
    for action in (listing, fetching, verifying, planning, tuning, branching):
        action.add_argument("--json", action="store_true", help="print the answer as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from cosmos.models.weights import WeightsError

    actions = {"list": _list, "fetch": _fetch, "verify": _verify, "plan": planned.run}
    actions |= {"finetune": adapt.run, "train-branch": adapt.run}
    try:
        return actions[args.action](args)
    except WeightsError as error:
        raise ModelWeightsError(str(error)) from error


def _list(args: argparse.Namespace) -> int:
    from cosmos.models.fetching import read_lock
    from cosmos.models.places import checkpoint_folder
    from cosmos.models.published import PUBLISHED

    rows = []
    for checkpoint in PUBLISHED.values():
        folder = checkpoint_folder(checkpoint.name)
        here = sorted(read_lock(folder).get("pieces", {}))
        rows.append({**asdict(checkpoint), "folder": str(folder), "fetched": here})
    if args.json:
        emit_json({"models": rows})
        return EXIT_OK
    for row in rows:
        gate = "gated: accept the licence on the hub first" if row["gated"] else "open"
        emit(f"{row['name']}  {row['licence']} ({gate})")
        for piece in row["pieces"]:
            mark = "fetched" if piece["folder"] in row["fetched"] else "-"
            emit(f"  {piece['folder']:20} {mark:8} {piece['repo']} @ {piece['revision']}")
        emit(f"  in {row['folder']}")
    return EXIT_OK


def _fetch(args: argparse.Namespace) -> int:
    from cosmos.models.fetching import fetch

    checkpoint, folder = _published(args.name), _folder(args)
    told = [-1]

    def tell(done: int, total: int) -> None:
        percent = 100 * done // max(1, total)
        if percent != told[0]:
            told[0] = percent
            log(f"fetch {percent:3d} %  {bytes_text(done)} of {bytes_text(total)}")

    log(f"{checkpoint.name} is under the {checkpoint.licence}.")
    pieces = tuple(args.piece or ())
    lock = fetch(checkpoint, folder, pieces=pieces, offline=args.offline, update=args.update, tell=tell)
    if args.json:
        emit_json({"name": checkpoint.name, "folder": str(folder), "lock": str(lock)})
    else:
        emit(f"{checkpoint.name} is in {folder}")
    return EXIT_OK


def _verify(args: argparse.Namespace) -> int:
    from cosmos.models.fetching import verify

    _published(args.name)
    folder, files = _folder(args), [0]

    def tell(done: int, total: int) -> None:
        files[0] = total

    problems = verify(folder, tell)
    if args.json:
        emit_json({"ok": not problems, "files": files[0], "problems": problems})
    else:
        for problem in problems:
            emit(problem)
        emit(f"{files[0]} files checked, {len(problems)} problems")
    return EXIT_PARTIAL if problems else EXIT_OK


def _published(name: str) -> Any:
    from cosmos.models.published import PUBLISHED

    if name not in PUBLISHED:
        raise ConfigError(f"There is no checkpoint for {name!r}; there is {', '.join(PUBLISHED)}.")
    return PUBLISHED[name]


def _folder(args: argparse.Namespace) -> Path:
    from cosmos.models.places import checkpoint_folder

    return checkpoint_folder(args.name) if args.folder is None else Path(args.folder)


__all__ = ["add_parser", "run"]
