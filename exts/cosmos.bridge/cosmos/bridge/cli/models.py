"""``cosmos-bridge models``: checkpoints of backends: list, fetch, verify, plan; and adapt the embedded model."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cosmos.bridge.cli import adapt
from cosmos.bridge.cli.console import EXIT_OK, EXIT_PARTIAL, bytes_text, emit, emit_json, log, seconds_text
from cosmos.bridge.config import parse_size
from cosmos.bridge.errors import ConfigError, ModelNotInstalledError, ModelWeightsError

_MEMORIES = (16, 24, 32, 48, 80)


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
    fetching.add_argument("--offline", action="store_true", help="refuse to use the network")
    planning.add_argument("--size", default="704x1280", metavar="HxW", help="height and width (default: 704x1280)")
    planning.add_argument("--frames", type=int, default=93, metavar="N", help="frames of the clip (default: 93)")
    planning.add_argument("--controls", type=int, default=1, metavar="N", help="controls that act (default: 1)")
    planning.add_argument("--num-steps", type=int, default=35, metavar="N", help="denoising steps (default: 35)")
    planning.add_argument("--guidance", type=float, default=3.0, metavar="G", help="0 halves the time (default: 3)")
    planning.add_argument("--chunk-frames", type=int, default=93, metavar="N", help="frames of a chunk (default: 93)")
    planning.add_argument("--vae-tiling", action="store_true", help="encode and decode in tiles")
    planning.add_argument("--fp8", action="store_true", help="store the large linear layers in 8 bits")
    planning.add_argument("--memory", type=float, metavar="GIB", help="free memory of your GPU (default: 16 to 80)")
    tuning, branching = adapt.add_actions(actions)
    for action in (listing, fetching, verifying, planning, tuning, branching):
        action.add_argument("--json", action="store_true", help="print the answer as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from cosmos.models.weights import WeightsError

    actions = {"list": _list, "fetch": _fetch, "verify": _verify, "plan": _plan}
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
    lock = fetch(checkpoint, folder, pieces=tuple(args.piece or ()), offline=args.offline, tell=tell)
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


def _plan(args: argparse.Namespace) -> int:
    if _published(args.name).name != "cosmos-transfer2.5":
        raise ConfigError(f"plan can count cosmos-transfer2.5 only, got {args.name!r}.")
    try:
        from cosmos.models.transfer25.plan import plan_transfer25

        plan = plan_transfer25(
            size=parse_size(args.size),
            num_frames=args.frames,
            branches=args.controls,
            num_steps=args.num_steps,
            guidance=args.guidance,
            chunk_frames=args.chunk_frames,
            vae_tiling=args.vae_tiling,
            fp8=args.fp8,
        )
    except ImportError as error:
        raise ModelNotInstalledError(f'plan needs {error.name}: pip install "cosmos-bridge[cosmos]".') from error
    except ValueError as error:
        raise ConfigError(str(error)) from error
    memories = _MEMORIES if args.memory is None else (args.memory,)
    verdicts = {f"{memory:g}": plan.verdict(memory) for memory in memories}
    if args.json:
        emit_json({**asdict(plan), "needed": plan.needed, "seconds": plan.seconds(), "verdicts": verdicts})
        return EXIT_OK
    emit(f"clip     {args.frames} frames at {args.size}, {args.controls} controls, {plan.chunks} chunks")
    emit(f"nets     {sum(plan.parameters.values()) / 1e9:.2f} billion parameters, {plan.weights:.1f} GiB of weights")
    for phase, peak in plan.phases.items():
        emit(f"{phase:8} {peak:.1f} GiB besides")
    emit(f"needed   {plan.needed:.1f} GiB free, with prompts embedded before; {plan.text:.1f} GiB to embed one")
    emit(f"work     {plan.petaflops:.0f} PFLOP")
    for gpu, seconds in plan.seconds().items():
        emit(f"time     about {seconds_text(seconds)} on {gpu}")
    for memory, verdict in verdicts.items():
        emit(f"{memory:>3} GiB  {verdict}")
    emit("basis    live tensors and operations counted on the real nets without contents, plus 1 GiB for CUDA;")
    emit("         time from NVIDIA's published seconds, scaled by the operations; nothing here was measured on a GPU")
    return EXIT_OK


def _published(name: str) -> Any:
    from cosmos.models.published import PUBLISHED

    if name not in PUBLISHED:
        raise ConfigError(f"There is no checkpoint for {name!r}; there is {', '.join(PUBLISHED)}.")
    return PUBLISHED[name]


def _folder(args: argparse.Namespace) -> Path:
    from cosmos.models.places import checkpoint_folder

    return checkpoint_folder(args.name) if args.folder is None else Path(args.folder)


__all__ = ["add_parser", "run"]
