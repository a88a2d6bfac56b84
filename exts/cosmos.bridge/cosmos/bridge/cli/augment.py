"""``cosmos-bridge augment``: a stage or folder in, checked photoreal clips and an annotated stage out."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from cosmos.bridge.cli.attend import attend
from cosmos.bridge.cli.console import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_PARTIAL,
    EXIT_PREFLIGHT,
    bytes_text,
    emit,
    emit_json,
    log,
    quiet_warp,
    seconds_text,
)
from cosmos.bridge.cli.remarks import usd_remarks
from cosmos.bridge.config import BridgeConfig, load_config, merge, parse_assignment, read_settings
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.jobs import Job, StopSignal
from cosmos.bridge.runs.ledger import LEDGER_NAME
from cosmos.bridge.runs.summary import RunSummary
from cosmos.bridge.types import Progress

_PLAIN_OPTIONS = {
    "frames": "frames",
    "size": "size",
    "look": "look",
    "lit_by": "lit_by",
    "untrusted": "untrusted",
    "quality": "quality",
    "samples": "samples",
    "denoise": "denoise",
    "negative_prompt": "negative_prompt",
    "transfer": "transfer",
    "num_steps": "num_steps",
    "guidance": "guidance",
    "device": "device",
    "guard": "guard",
    "critic": "critic",
    "min_score": "min_score",
    "seed": "seed",
    "variants": "variants",
    "out": "out",
}


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    from cosmos.bridge.critic.registry import CRITICS
    from cosmos.bridge.guard.registry import GUARDS
    from cosmos.bridge.transfer.registry import BACKENDS

    parser: argparse.ArgumentParser = commands.add_parser(
        "augment",
        help="make photoreal clips of a USD stage, video or folder",
        description="Make photoreal, checked clips of a USD stage, video, or CosmosWriter or BasicWriter folder.",
    )
    parser.add_argument("source", nargs="?", help="stage, video or folder of frames; may come from --config instead")
    parser.add_argument("--camera", action="append", metavar="PATH", help="prim path of a camera; may be repeated")
    parser.add_argument("--frames", metavar="START:STOP[:STEP]", help="frames to read, e.g. 0:48")
    parser.add_argument("--size", metavar="HEIGHTxWIDTH", help="size of the pictures, e.g. 704x1280")
    parser.add_argument(
        "--look", metavar="NAME=NUMBER,...", help="time of day and weather the stage is drawn in, e.g. fog=0.3"
    )
    parser.add_argument(
        "--lit-by", metavar="STAGE", help="USD stage that recorded frames show, for its light and shadows"
    )
    parser.add_argument(
        "--untrusted", action="store_true", default=None, help="refuse a stage that names anything outside its folder"
    )
    parser.add_argument(
        "--quality", choices=("interactive", "reference"), help="how the stage is drawn: quickly, or path-traced"
    )
    parser.add_argument("--samples", type=int, metavar="N", help="paths a pixel of reference quality (default: 64)")
    parser.add_argument(
        "--denoise", action="store_true", default=None, help="filter what noise reference quality leaves"
    )
    parser.add_argument("--prompt", action="append", metavar="TEXT", help="look to make; may be repeated")
    parser.add_argument(
        "--prompts", metavar="FILE", help="one prompt a line, 'name: text' allowed, # comments; or a .json/.toml table"
    )
    parser.add_argument("--negative-prompt", metavar="TEXT", help="what no result should look like")
    parser.add_argument("--weights", metavar="KIND=W,...", help="weights of the controls, e.g. edge=1,depth=0.5")
    parser.add_argument(
        "--transfer", metavar="NAME", help=f"Transfer backend, of {', '.join(BACKENDS)} (default: embedded)"
    )
    parser.add_argument(
        "--transfer-weights", metavar="DIR", help="folder of the backend's weights, e.g. those models finetune wrote"
    )
    parser.add_argument("--num-steps", type=int, metavar="N", help="denoising steps; embedded takes 1 to 16")
    parser.add_argument("--guidance", type=float, metavar="X", help="prompt guidance")
    parser.add_argument(
        "--guard", metavar="NAME", help=f"guard, of {', '.join(GUARDS)} (default: as the licence of the weights asks)"
    )
    parser.add_argument(
        "--critic", metavar="NAME", help=f"of {', '.join(CRITICS)}, or several joined by + (default: consistency)"
    )
    parser.add_argument("--min-score", type=float, metavar="X", help="reject what scores less, in [0, 1] (default: 0)")
    parser.add_argument("--device", metavar="NAME", help="cpu or cuda:0 (default: CUDA where there is one)")
    add_placement(parser)
    parser.add_argument("--seed", type=int, metavar="N", help="seed of variant 0 (default: 0)")
    parser.add_argument("--variants", type=int, metavar="N", help="results a camera and prompt (default: 1)")
    parser.add_argument("--config", metavar="FILE", help="settings in TOML or JSON; options win over it")
    parser.add_argument(
        "--set", action="append", dest="settings", metavar="KEY=VALUE", help="any setting, e.g. retry.max_attempts=3"
    )
    parser.add_argument("--out", metavar="DIR", help="folder for the results; must be empty or absent")
    parser.add_argument("--dry-run", action="store_true", help="measure a short probe and print frames, disk and time")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return parser


def add_placement(parser: argparse.ArgumentParser, choices: tuple[str, ...] = ("here", "worker", "batch")) -> None:
    """Declare the options that say where the Transfer model runs."""
    parser.add_argument(
        "--placement", choices=choices, help="where the Transfer model runs (default: here, in this process)"
    )
    parser.add_argument("--transfer-device", metavar="NAME", help="device of the Transfer model alone, e.g. cuda:1")


def placement_of(args: argparse.Namespace) -> dict[str, str]:
    """Return the settings of ``offload`` that the options give."""
    given = {"placement": args.placement, "device": args.transfer_device}
    return {key: value for key, value in given.items() if value is not None}


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    config = config_of(args)
    if args.dry_run:
        return _dry_run(config, args)
    command = shlex.join(["cosmos-bridge", *args.argv])
    return run_config(config, args, command=command)


def run_config(config: BridgeConfig, args: argparse.Namespace, *, command: str, resume: bool = False) -> int:
    """Run a config under the eyes of the user and print the summary."""
    from cosmos.bridge.bridge import Bridge

    quiet_warp()

    def work(progress: Progress, stop: StopSignal) -> RunSummary:
        with Bridge(config) as bridge:
            return bridge.augment(progress, stop, resume=resume, command=command)

    job: Job[RunSummary] = Job(work)
    try:
        with usd_remarks() as said:
            summary = attend(
                job.start(), quiet=args.json, cure=f" Finish later with: cosmos-bridge resume {config.out}"
            )
            said.extend(summary.notes)
    finally:
        if (Path(config.out) / LEDGER_NAME).exists() and job.progress.clips_total:
            args.error_code = EXIT_PARTIAL
    print_summary(summary, as_json=args.json)
    if config.offload.placement == "batch":
        return EXIT_OK
    if summary.remaining:
        return EXIT_INTERRUPTED
    return EXIT_OK if summary.complete else EXIT_PARTIAL


def print_summary(summary: RunSummary, *, as_json: bool) -> None:
    """Print what a run did."""
    if as_json:
        emit_json(summary.to_mapping())
        return
    for note in summary.notes:
        log(f"note: {note}")
    counts = ", ".join(
        f"{getattr(summary, name)} {name}"
        for name in ("accepted", "rejected", "refused", "failed", "remaining")
        if getattr(summary, name) or name == "accepted"
    )
    attempts = f"{summary.attempts} attempts" if summary.attempts != 1 else "1 attempt"
    clips = f"{summary.planned} clips" if summary.planned != 1 else "1 clip"
    emit(f"{clips} planned: {counts} ({attempts}, {seconds_text(summary.seconds)})")
    for label, path in (("report", summary.report), ("stage", summary.stage), ("manifest", summary.manifest)):
        if path is not None:
            emit(f"{label:9} {path}")
    if summary.rejected:
        log(f"Why clips were rejected, and what to do: cosmos-bridge quarantine list {summary.out}")
    if summary.remaining:
        log(f"Finish the rest with: cosmos-bridge resume {summary.out}")


def config_of(args: argparse.Namespace) -> BridgeConfig:
    """Lay the options over --set, over the config file.

    Raises:
        ConfigError: If a setting is unknown, missing or wrong.
    """
    settings: dict[str, Any] = {}
    for text in args.settings or []:
        settings = merge(settings, parse_assignment(text))
    given = {key: getattr(args, option) for option, key in _PLAIN_OPTIONS.items() if getattr(args, option) is not None}
    if args.source is not None:
        given["source"] = args.source
    if args.camera:
        given["cameras"] = args.camera
    if args.transfer_weights is not None:
        given["transfer_options"] = {"weights": str(Path(args.transfer_weights).absolute())}
    if placement_of(args):
        given["offload"] = placement_of(args)
    if args.weights:
        given["weights"] = parse_weights(args.weights)
    prompts: list[Any] = [{"text": text} for text in args.prompt or []]
    if args.prompts:
        prompts += read_prompts(Path(args.prompts))
    if prompts:
        given["prompts"] = prompts
    whole = merge(settings, given)
    if args.config is None:
        for name, cure in (("source", "a stage, a folder or an mp4 to begin with"), ("out", "--out DIR, a new folder")):
            if name not in whole:
                raise ConfigError(f"{name} is missing; give {cure}.")
    config = load_config(args.config, whole)
    return config.replace(source=str(Path(config.source).absolute()))


def parse_weights(text: str) -> dict[str, float]:
    """Parse ``edge=1,depth=0.5``.

    Raises:
        ConfigError: If an item is no KIND=NUMBER.
    """
    weights = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        kind, _, number = item.partition("=")
        try:
            weights[kind.strip()] = float(number)
        except ValueError as error:
            raise ConfigError(f"--weights needs KIND=NUMBER items, e.g. edge=1,depth=0.5, got {item!r}.") from error
    return weights


def read_prompts(path: Path) -> list[dict[str, str]]:
    """Read prompts: a .json or .toml table of name -> text (or its ``prompts``), else one a line.

    Raises:
        ConfigError: If the file cannot be read or holds no prompt.
    """
    if path.suffix.lower() in (".json", ".toml"):
        return _prompts_of_table(path)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The prompts file {path} cannot be read ({error}); check the path.") from error
    prompts = []
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, colon, rest = text.partition(":")
        named = bool(colon) and len(name.split()) == 1 and bool(rest.strip())
        prompts.append({"name": name, "text": rest.strip()} if named else {"text": text})
    if not prompts:
        raise ConfigError(f"The prompts file {path} holds no prompt; write one a line.")
    return prompts


def _prompts_of_table(path: Path) -> list[dict[str, str]]:
    import json

    if path.suffix.lower() == ".json":
        try:
            parsed: Any = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"The prompts file {path} cannot be read ({error}); check it.") from error
    else:
        parsed = read_settings(path)
    if isinstance(parsed, dict):
        parsed = parsed.get("prompts", parsed)
    if isinstance(parsed, dict):
        parsed = [{"name": name, "text": text} for name, text in parsed.items()]
    if not isinstance(parsed, list) or not parsed:
        raise ConfigError(f"The prompts file {path} must hold a list of texts or a table of name = text.")
    return [{"text": item} if isinstance(item, str) else item for item in parsed]


def _dry_run(config: BridgeConfig, args: argparse.Namespace) -> int:
    from cosmos.bridge.runs.estimate import Estimate, estimate

    quiet_warp()
    job: Job[Estimate] = Job(lambda progress, stop: estimate(config, progress))
    with usd_remarks() as said:
        guess = attend(job.start(), quiet=True)
        said.extend(guess.notes)
    for note in guess.notes:
        log(f"note: {note}")
    code = EXIT_OK
    if guess.num_bytes > guess.free_bytes:
        need, free = bytes_text(guess.num_bytes), bytes_text(guess.free_bytes)
        log(f"cosmos-bridge: {config.out} needs about {need}, but its disk has {free} free; make room or ask for less.")
        code = EXIT_PREFLIGHT
    if args.json:
        emit_json(guess.to_mapping())
        return code
    height, width = guess.size
    emit(f"clips   {guess.clips} of {', '.join(map(str, guess.frames_by_camera))} frames at {height}x{width}")
    emit(f"frames  {guess.frames}")
    emit(f"disk    about {bytes_text(guess.num_bytes)} of {bytes_text(guess.free_bytes)} free")
    emit(f"time    about {seconds_text(guess.seconds)}")
    emit(f"basis   {guess.basis}")
    return code


__all__ = [
    "add_parser",
    "add_placement",
    "config_of",
    "parse_weights",
    "placement_of",
    "print_summary",
    "read_prompts",
    "run",
    "run_config",
]
