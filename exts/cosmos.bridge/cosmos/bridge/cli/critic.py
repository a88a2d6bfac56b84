"""``cosmos-bridge critic``: which critics there are, and what one is worth on good clips and planted faults."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmos.bridge.cli.console import EXIT_OK, emit, emit_json, log, quiet_warp
from cosmos.bridge.config import merge, parse_assignment, parse_size
from cosmos.bridge.errors import ConfigError, SinkError

if TYPE_CHECKING:
    from cosmos.bridge.calibrate.bars import Bars
    from cosmos.bridge.calibrate.trials import Trial
    from cosmos.bridge.critic.base import Critic


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "critic",
        help="list critics; measure what one finds before you trust it",
        description="A critic is worth what it finds. calibrate makes good clips, plants known faults in them, asks "
        "the critic about all of them, and prints false alarms, found faults and areas under the ROC.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="which critics and planted faults there are")
    calibrating = actions.add_parser("calibrate", help="try a critic on good clips and planted faults")
    calibrating.add_argument(
        "--critic", default="consistency", metavar="NAME", help="who is tried (default: consistency)"
    )
    calibrating.add_argument(
        "--set", action="append", dest="settings", metavar="KEY=VALUE", help="a setting of that critic (critic_options)"
    )
    calibrating.add_argument(
        "--transfer", default="embedded", metavar="NAME", help="who makes the clips (default: embedded)"
    )
    calibrating.add_argument("--clips", type=int, default=60, metavar="N", help="good clips (default: 60)")
    calibrating.add_argument(
        "--source",
        action="append",
        metavar="PATH",
        help="your own stage, folder or mp4, instead of our scenes; may repeat",
    )
    calibrating.add_argument("--prompt", action="append", metavar="TEXT", help="prompt for your own scenes; may repeat")
    calibrating.add_argument("--frames", type=int, default=8, metavar="N", help="frames of a clip (default: 8)")
    calibrating.add_argument("--size", default="144x256", metavar="HEIGHTxWIDTH", help="size (default: 144x256)")
    calibrating.add_argument("--device", metavar="NAME", help="cpu or cuda:0 (default: CUDA where there is one)")
    calibrating.add_argument("--faults", metavar="KIND,...", help="faults to plant (default: all)")
    calibrating.add_argument("--all-strengths", action="store_true", help="plant weaker and stronger faults as well")
    calibrating.add_argument(
        "--work",
        metavar="DIR",
        help="folder that keeps clips and answers, so that it can go on (default: in the cache)",
    )
    calibrating.add_argument("--again", action="store_true", help="ask the critic again what it has answered before")
    calibrating.add_argument(
        "--false-alarms",
        type=float,
        default=0.02,
        metavar="X",
        help="share of good clips that --bars may reject (0.02)",
    )
    calibrating.add_argument("--bars", metavar="FILE", help="write settings that hold that rate, for augment --config")
    calibrating.add_argument("--plots", metavar="FILE", help="write the ROC curves as SVG")
    for action in (listing, calibrating):
        action.add_argument("--json", action="store_true", help="print the answer as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    return {"list": _list, "calibrate": _calibrate}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    from cosmos.bridge.critic.faults import FAULTS
    from cosmos.bridge.critic.registry import names

    if args.json:
        faults = {kind: {"told": fault.told, "strengths": fault.strengths} for kind, fault in FAULTS.items()}
        emit_json({"critics": list(names()), "faults": faults})
        return EXIT_OK
    for name in names():
        emit(name)
    emit("")
    for fault in FAULTS.values():
        strengths = ", ".join(f"{strength:g}" for strength in fault.strengths)
        emit(f"{fault.kind:17} {fault.told}" + (f" ({strengths} {fault.unit})" if fault.unit else ""))
    return EXIT_OK


def _calibrate(args: argparse.Namespace) -> int:
    from cosmos.bridge.calibrate.tables import by_check, by_size, summary
    from cosmos.bridge.critic.registry import create

    quiet_warp()
    if not 0.0 <= args.false_alarms < 1.0:
        raise ConfigError(f"--false-alarms must lie in [0, 1), got {args.false_alarms:g}.")
    options: dict[str, Any] = {}
    for text in args.settings or []:
        options = merge(options, parse_assignment(text))
    critic = create(args.critic, options)
    trials = _try(args, critic, options)
    if not trials:
        raise ConfigError("No good clip could be made, so nothing was tried; take other sources, or a larger --size.")
    tune, prove = ([trial for trial in trials if trial.part == part] for part in ("tune", "prove"))
    # Our scenes' "tune" part chose the critic's own bars; clips of your own chose nothing but what --bars asks for.
    told = trials if args.source and args.bars is None else prove or trials
    if args.plots is not None:
        from cosmos.bridge.calibrate.plots import roc_svg

        _write(Path(args.plots), roc_svg(told, title=f"{args.critic}: planted faults against good clips"))
    if not args.json:
        emit(summary(told, goals=False))
        for table in (by_check(told), by_size(told)):
            emit(f"\n{table}")
    bars = None if args.bars is None else _bars(args, tune, prove)
    if bars is not None:
        _write(Path(args.bars), json.dumps(bars.to_settings(), indent=2) + "\n")
    if args.json:
        emit_json({"trials": [asdict(trial) for trial in trials], "bars": None if bars is None else bars.to_settings()})
    elif bars is not None:
        before, after, proven = (f"{100 * rate.share:.1f} %" for rate in (bars.before, bars.after, bars.proven))
        emit(f"\nfalse alarms: {before} with its own bars, {after} with those in {args.bars}, {proven} on other scenes")
        emit(f"use them with: cosmos-bridge augment --config {args.bars} ...")
    return EXIT_OK


def _try(args: argparse.Namespace, critic: Critic, options: Mapping[str, Any]) -> list[Trial]:
    """Make the suite and ask the critic about it."""
    from cosmos.bridge.calibrate.bars import LEAST_GOOD
    from cosmos.bridge.calibrate.making import make_suite
    from cosmos.bridge.calibrate.suite import plan_sources, plan_suite
    from cosmos.bridge.calibrate.trials import run_trials
    from cosmos.bridge.critic.faults import FAULTS
    from cosmos.bridge.transfer.registry import create
    from cosmos.models.places import home

    if args.prompt and not args.source:
        raise ConfigError("--prompt goes with --source; our own scenes have their own prompts.")
    kinds = list(FAULTS) if args.faults is None else [kind.strip() for kind in args.faults.split(",") if kind.strip()]
    strange = [kind for kind in kinds if kind not in FAULTS]
    if strange or not kinds:
        raise ConfigError(f"--faults knows {', '.join(FAULTS)}, got {', '.join(strange) or 'none'}.")
    if args.source:
        plans = plan_sources(args.source, args.prompt or (), args.clips, num_frames=args.frames, step=1)
    else:
        plans = plan_suite(args.clips, num_frames=args.frames)
    tuned = sum(plan.part == "tune" for plan in plans)
    if args.bars is not None and tuned < LEAST_GOOD:
        raise ConfigError(
            f"--bars needs at least {LEAST_GOOD} good clips to choose on, which is one in three; of {len(plans)} clips "
            f"it has {tuned}, so ask for --clips {3 * LEAST_GOOD} or more."
        )
    work = home() / "suite" if args.work is None else Path(args.work)
    transfer = create(args.transfer)
    made = make_suite(plans, work / "clips", transfer, size=parse_size(args.size), device=args.device, tell=log)
    transfer.unload()
    by_path = [(plan, path) for plan, path in made if path.exists()]
    return run_trials(
        critic,
        by_path,
        work / "answers",
        faults=kinds,
        all_strengths=args.all_strengths,
        key=json.dumps(options, sort_keys=True),
        again=args.again,
        tell=log,
    )


def _bars(args: argparse.Namespace, tune: list[Trial], prove: list[Trial]) -> Bars:
    from cosmos.bridge.calibrate.bars import choose_bars
    from cosmos.bridge.critic.thresholds import THRESHOLDS

    higher = {check for check, bar in THRESHOLDS.items() if bar.better == "higher"}
    return choose_bars(tune, prove, args.critic, args.false_alarms, higher_is_better=higher)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SinkError(f"{path} cannot be written ({error.strerror or error}); name another file.") from error


__all__ = ["add_parser", "run"]
