"""``cosmos-bridge ask``: put a question about a video, folder or stage to a critic that answers in words."""

from __future__ import annotations

import argparse
from typing import Any

from cosmos.bridge.cli.console import EXIT_OK, emit, emit_json, log, quiet_warp
from cosmos.bridge.config import merge, parse_assignment, parse_size
from cosmos.bridge.errors import ConfigError
from cosmos.bridge.fetched import require_weights
from cosmos.bridge.settings import parse_frames


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Declare the command and its options."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "ask",
        help="ask a language model about a video, folder or stage",
        description="Ask a critic that answers in words: what is seen, what a robot should do next, how to drive on.",
    )
    parser.add_argument("source", metavar="SOURCE", help="mp4, folder of frames, or USD stage")
    parser.add_argument("--critic", default="embedded-reason", metavar="NAME",
                        help="who is asked, e.g. cosmos-reason2 (default: embedded-reason)")  # fmt: skip
    parser.add_argument("--task", default="caption", metavar="TASK",
                        help="caption, action, driving, or what else it knows (default: caption)")  # fmt: skip
    parser.add_argument("--camera", metavar="PATH", help="prim path of a camera")
    parser.add_argument("--frames", metavar="START:STOP[:STEP]", help="frames to read, e.g. 0:48")
    parser.add_argument("--size", metavar="HEIGHTxWIDTH", help="size of the pictures of a stage")
    parser.add_argument("--set", action="append", dest="settings", metavar="KEY=VALUE",
                        help="a setting of the critic, e.g. fps=8 or weights=DIR")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print the answer as one JSON object")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    from cosmos.bridge.critic.base import Answers
    from cosmos.bridge.critic.registry import CRITICS, create
    from cosmos.bridge.sources import open_source, read_clip

    options: dict[str, Any] = {}
    for text in args.settings or ():
        options = merge(options, parse_assignment(text))
    critic = create(args.critic, options)
    if not isinstance(critic, Answers):
        able = ", ".join(name for name, entry in CRITICS.items() if not entry.truth)
        raise ConfigError(f"{args.critic} measures and does not answer questions; ask one of {able}.")
    if args.task not in critic.tasks:
        raise ConfigError(f"{args.critic} knows no task {args.task!r}; it knows {', '.join(critic.tasks)}.")
    require_weights(critic)
    quiet_warp()
    source = open_source(
        args.source,
        camera=args.camera,
        frames=None if args.frames is None else parse_frames(args.frames),
        size=None if args.size is None else parse_size(args.size),
    )
    try:
        clip = read_clip(source)
    finally:
        source.close()
    log(f"{args.critic} looks at {clip.num_frames} frames of {clip.height} x {clip.width}.")
    answer = critic.ask(clip.rgb.numpy(), clip.fps, args.task)
    clip.close()
    if args.json:
        emit_json({"critic": args.critic, "task": args.task, "answer": answer})
    else:
        emit(answer)
    return EXIT_OK


__all__ = ["add_parser", "run"]
