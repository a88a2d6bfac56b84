"""``cosmos-bridge demo``: author a warehouse, augment it under several looks, and say where to look."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from cosmos.bridge.cli.augment import run_config
from cosmos.bridge.cli.console import emit, log
from cosmos.bridge.config import BridgeConfig, Prompt, parse_size

PROMPTS = (
    Prompt(name="clear-day", text="bright sunny noon, clear blue sky"),
    Prompt(name="night", text="night, dark sky, lit by lamps"),
    Prompt(name="fog", text="light fog in the morning"),
    Prompt(name="snow", text="snowy winter day, overcast"),
    Prompt(name="golden-hour", text="golden hour, low warm sun, long shadows"),
)
CAMERA = "/World/Camera"


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "demo",
        help="see the main job done on a warehouse",
        description="Author a warehouse stage, augment it under several looks, and write dataset, stage and report.",
    )
    parser.add_argument("--out", default="out/demo", metavar="DIR", help="folder for everything (default: out/demo)")
    parser.add_argument("--frames", type=int, default=24, metavar="N", help="frames of each clip (default: 24)")
    parser.add_argument("--size", default="352x640", metavar="HEIGHTxWIDTH", help="size (default: 352x640)")
    parser.add_argument("--transfer", default="embedded", metavar="NAME", help="Transfer backend (default: embedded)")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command; in the folder of an earlier demo, finish that one."""
    from cosmos.bridge.runs.folder import CONFIG_NAME, check_out, saved_config

    out = Path(args.out)
    resume = (out / CONFIG_NAME).is_file()
    if resume:
        log(f"{out} holds a demo already; finishing it.")
        config = saved_config(out)
    else:
        config = config_of(args)
        stage = Path(str(config.source))
        check_out(out, stage)
        _author(stage, args.frames)
    code = run_config(config, args, command=shlex.join(["cosmos-bridge", *args.argv]), resume=resume)
    if not args.json:
        emit(f"Open {out / 'report.html'} in a browser; the annotated stage is {out / 'stage.usda'}.")
    return code


def config_of(args: argparse.Namespace) -> BridgeConfig:
    """Return what a new demo with these options runs; its source is the stage that is still to be authored."""
    return BridgeConfig(
        source=str((Path(args.out) / "scene" / "warehouse.usda").absolute()),
        out=args.out,
        prompts=PROMPTS,
        cameras=(CAMERA,),
        frames=range(args.frames),
        size=parse_size(args.size),
        transfer=args.transfer,
        seed=7,
    )


def _author(stage: Path, num_frames: int) -> None:
    """Write the warehouse; authoring again gives the same stage."""
    from cosmos.bridge.scenes.warehouse import warehouse

    stage.parent.mkdir(parents=True, exist_ok=True)
    warehouse(stage, num_frames=max(48, num_frames))


__all__ = ["CAMERA", "PROMPTS", "add_parser", "config_of", "run"]
