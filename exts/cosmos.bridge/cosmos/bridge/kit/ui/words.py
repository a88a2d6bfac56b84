"""What the panel says, as words that repeat it: Python for Kit, and a command line for everywhere else."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from cosmos.bridge.kit.script import writer_script
from cosmos.bridge.kit.ui.state import KINDS, PanelState


def as_python(state: PanelState, keywords: Mapping[str, Any], *, warm_up: int) -> str:
    """Return Python that does what Start does, for the Script Editor.

    Args:
        state: Fields of the panel.
        keywords: What the writer is initialised with.
        warm_up: Frames that may come empty before the first.
    """
    lines = [
        writer_script(keywords, state.cameras, (state.height, state.width)),
        f"for _ in range({state.num_frames + warm_up}):  # the first frames after attaching come empty",
        f"    if writer.num_captured == {state.num_frames}:",
        "        break",
        "    await rep.orchestrator.step_async(delta_time=None, pause_timeline=False)",
        "writer.detach()",
        "for product in products:",
        "    product.destroy()",
        "for summary in await writer.flush_async():",
        '    print(summary.accepted, "of", summary.planned, "accepted:", summary.report or summary.out)',
    ]
    return "\n".join(lines) + "\n"


def as_command(state: PanelState, stage: str) -> str:
    """Return the command that does the same without Omniverse: the embedded renderer draws the saved stage.

    Args:
        state: Fields of the panel.
        stage: File of the stage.
    """
    line = state.line()
    words = ["cosmos-bridge", "augment", stage]
    for camera in state.cameras:
        words += ["--camera", camera]
    words += ["--size", f"{state.height}x{state.width}", "--frames", f"0:{state.num_frames}"]
    words += ["--prompt", line["prompts"][0]]
    if "negative_prompt" in line:
        words += ["--negative-prompt", line["negative_prompt"]]
    words += ["--transfer", state.transfer, "--critic", state.critic, "--min-score", f"{state.min_score:g}"]
    words += ["--seed", str(state.seed), "--variants", str(state.variants)]
    for kind in KINDS:
        words += ["--set", f"weights.{kind}={line['weights'][kind]}"]
    if line["weights"].get("regions"):
        words += ["--set", f"weights.regions={to_toml(line['weights']['regions'])}"]
    for name, value in state.offload.items():
        words += ["--set", f"offload.{name}={to_toml(value)}"]
    words += ["--set", f"retry.max_attempts={state.max_attempts}"]
    words += ["--set", f"sinks={to_toml(state.sinks(saved=True))}", "--out", state.output_dir]
    return shlex.join(words)


def to_toml(value: Any) -> str:
    """Write plain values as TOML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {to_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(to_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


__all__ = ["as_command", "as_python", "to_toml"]
