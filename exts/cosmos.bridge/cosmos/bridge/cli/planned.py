"""``cosmos-bridge models plan``: memory and time of a clip, before anything is loaded."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cosmos.bridge.cli.console import EXIT_OK, emit, emit_json, seconds_text
from cosmos.bridge.config import parse_size
from cosmos.bridge.errors import ConfigError, ModelNotInstalledError

if TYPE_CHECKING:
    from cosmos.models.planning import Plan

_MEMORIES = (16, 24, 32, 48, 80)
_FRAMES = {"cosmos-transfer2.5": 93, "cosmos3": 121, "cosmos3-sim-transfer": 201}
_SIZES = {"cosmos-transfer2.5": "704x1280", "cosmos3": "704x1280", "cosmos3-sim-transfer": "480x832"}
_CHUNKED = ("controls", "num_steps", "guidance", "chunk_frames", "vae_tiling")
_REASON = ("cosmos-reason1", "cosmos-reason2", "cosmos-reason2-2b", "cosmos3-reasoner")
_TAKES = {
    "cosmos-transfer2.5": _CHUNKED,
    "cosmos3": (*_CHUNKED, "control_guidance"),
    "cosmos3-sim-transfer": ("window", "views", "chunk_frames"),
    **dict.fromkeys(_REASON, ("most_tokens",)),
}
"""Backend -> settings of a plan beyond size and frames."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the action."""
    parser.add_argument("--size", metavar="HxW", help="height and width (default: as the model was trained)")
    parser.add_argument("--frames", type=int, metavar="N", help="frames of the clip (default: as trained)")
    parser.add_argument("--controls", type=int, metavar="N", help="controls that act (default: 1)")
    parser.add_argument("--num-steps", type=int, metavar="N", help="denoising steps (default: the model's own)")
    parser.add_argument("--guidance", type=float, metavar="G", help="prompt guidance; without it, less time")
    parser.add_argument("--control-guidance", type=float, metavar="G", help="control guidance of cosmos3")
    parser.add_argument("--chunk-frames", type=int, metavar="N", help="frames of a chunk (default: as trained)")
    parser.add_argument("--vae-tiling", action="store_true", default=None, help="encode and decode in tiles")
    parser.add_argument(
        "--window", type=int, metavar="N", help="latent frames that a stream sees (default: as trained)"
    )
    parser.add_argument("--views", type=int, metavar="N", help="streams that share the model (default: 1)")
    parser.add_argument("--most-tokens", type=int, metavar="N", help="picture tokens of a reasoner (default: 4096)")
    parser.add_argument("--memory", type=float, metavar="GIB", help="free memory of your GPU (default: 16 to 80)")
    parser.add_argument(
        "--folder", metavar="DIR", help="checkpoint whose configuration is read (default: as published)"
    )


def run(args: argparse.Namespace) -> int:
    """Plan and print.

    Raises:
        ConfigError: If there is no such backend, or a setting does not suit it.
        ModelNotInstalledError: If diffusers is missing.
    """
    if args.name not in _TAKES:
        raise ConfigError(f"There is no checkpoint for {args.name!r} to plan; there is {', '.join(_TAKES)}.")
    given = _given(args)
    if args.name in _REASON:
        return _run_reason(args, given)
    size, frames = args.size or _SIZES[args.name], _FRAMES[args.name] if args.frames is None else args.frames
    folder = None if args.folder is None else Path(args.folder)
    with _as_our_errors():
        plan = _planner(args.name)(size=parse_size(size), num_frames=frames, folder=folder, **given)
    memories = _MEMORIES if args.memory is None else (args.memory,)
    verdicts = {f"{memory:g}": plan.verdict(memory) for memory in memories}
    if args.json:
        emit_json({**asdict(plan), "needed": plan.needed, "seconds": plan.seconds(), "verdicts": verdicts})
    else:
        _print(plan, f"{frames} frames at {size}, {plan.chunks} chunks", verdicts)
    return EXIT_OK


def _run_reason(args: argparse.Namespace, given: Mapping[str, Any]) -> int:
    """Plan one look of a reasoner and print it."""
    size, frames = args.size or "704x1280", 16 if args.frames is None else args.frames
    folder = None if args.folder is None else Path(args.folder)
    with _as_our_errors():
        from cosmos.models.reason.plan import plan_reason

        plan = plan_reason(args.name, size=parse_size(size), num_frames=frames, folder=folder, **given)
    memories = _MEMORIES if args.memory is None else (args.memory,)
    verdicts = {f"{memory:g}": plan.verdict(memory) for memory in memories}
    if args.json:
        emit_json({**asdict(plan), "needed": plan.needed, "verdicts": verdicts})
        return EXIT_OK
    emit(f"look     {frames} frames of {size}, {plan.tokens} tokens with the question")
    emit(f"net      {plan.parameters / 1e9:.2f} billion parameters, {plan.weights:.1f} GiB of weights")
    emit(f"needed   {plan.needed:.1f} GiB free: {plan.cache:.2f} for keys and values, {plan.work:.2f} for the layers")
    emit(f"work     {plan.petaflops:.3g} PFLOP a question and trial, without a thought")
    for memory, verdict in verdicts.items():
        emit(f"{memory:>3} GiB  {verdict}")
    emit("basis    parameters of the net without contents; keys and values, and the widest layer, by formula in")
    emit("         bfloat16, plus 1 GiB for CUDA; nothing here was measured on a GPU by the authors")
    return EXIT_OK


@contextmanager
def _as_our_errors() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ModelNotInstalledError(f'plan needs {error.name}: pip install "cosmos-bridge[cosmos]".') from error
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that were given, under the names of the planner."""
    every = {name for takes in _TAKES.values() for name in takes}
    given = {name: getattr(args, name) for name in sorted(every) if getattr(args, name) is not None}
    foreign = [f"--{name.replace('_', '-')}" for name in given if name not in _TAKES[args.name]]
    if foreign:
        raise ConfigError(f"{args.name} knows no {' and '.join(foreign)}; leave it out.")
    if args.name == "cosmos-transfer2.5" and "controls" in given:
        given["branches"] = given.pop("controls")
    return given


def _planner(name: str) -> Callable[..., Plan]:
    from cosmos.models.cosmos3.plan import plan_cosmos3, plan_sim_transfer
    from cosmos.models.transfer25.plan import plan_transfer25

    planners: Mapping[str, Callable[..., Plan]] = {
        "cosmos-transfer2.5": plan_transfer25,
        "cosmos3": plan_cosmos3,
        "cosmos3-sim-transfer": plan_sim_transfer,
    }
    return planners[name]


def _print(plan: Plan, clip: str, verdicts: Mapping[str, str]) -> None:
    emit(f"clip     {clip}")
    emit(f"nets     {sum(plan.parameters.values()) / 1e9:.2f} billion parameters, {plan.weights:.1f} GiB of weights")
    for phase, peak in plan.phases.items():
        emit(f"{phase:8} {peak:.1f} GiB besides")
    for held, needed in plan.profiles.items():
        emit(f"needed   {needed:.1f} GiB free with {held}")
    if plan.text:
        emit(f"prompt   {plan.text:.1f} GiB to embed a new one, alone on the device; those embedded before need none")
    emit(f"work     {plan.petaflops:.3g} PFLOP in {plan.passes} passes")
    for gpu, seconds in plan.seconds().items():
        emit(f"time     about {seconds_text(seconds)} on {gpu}")
    emit(f"moving   cpu_offload adds up to {seconds_text(plan.moving())}")
    for memory, verdict in verdicts.items():
        emit(f"{memory:>3} GiB  {verdict}")
    emit("basis    live tensors and operations counted on the real nets without contents, plus 1 GiB for CUDA;")
    emit(f"         time scaled by the operations from {plan.reference.clip};")
    emit("         cpu_offload at 20 GiB/s, assumed; nothing here was measured on a GPU by the authors")


__all__ = ["add_options", "run"]
