"""Measure NVIDIA's models on this machine, beside what ``models plan`` says: with random weights, nothing is fetched.

    python tools/measure_published.py --device cuda:0 --folder /data/random     # the published shapes
    python tools/measure_published.py --device cpu --shapes small               # the same classes, small

Each row is one backend in one way: as it is, in 8 bits, with blocks that wait in main memory, both, and in a worker
process. It goes the way of every user: a checkpoint in the published layout, the backend of the registry, a request.
Memory is what torch's allocator held at most on CUDA; on the CPU it is the bytes of tensors that were alive at once,
which says nothing of blocks that wait, as they wait in the same memory. Compare it with "plan", which leaves out the
1 GiB that plans add for CUDA itself. Times on a CPU say nothing of a GPU.
"""

import argparse
import gc
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch  # noqa: TID253
import warp as wp

from cosmos.bridge.offload import OffloadPolicy
from cosmos.bridge.transfer.registry import create
from cosmos.bridge.types import (
    Camera,
    Clip,
    ControlKind,
    ControlSignal,
    ControlSignals,
    ControlWeights,
    TransferRequest,
)
from cosmos.models.cosmos3.plan import plan_cosmos3, plan_sim_transfer
from cosmos.models.metering import Meter
from cosmos.models.places import HOME_VARIABLE, embedding_folder
from cosmos.models.planning import GIB, RESERVE, Plan
from cosmos.models.transfer25.plan import plan_transfer25
from cosmos.models.transfer25.text import TEXT_TOKENS, Embedding, PromptEncoder, default_negative_prompt
from random_checkpoints import SHAPES, write_checkpoint

WAYS = {
    "bf16": {},
    "fp8": {"fp8": True},
    "cpu_offload": {"cpu_offload": True},
    "fp8 and cpu_offload": {"fp8": True, "cpu_offload": True},
}
"""How weights are held, as plans name it -> options."""
PROMPT = "heavy snow, overcast afternoon"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one backend is asked for."""

    size: tuple[int, int]
    """Height and width [px]."""
    frames: int
    """Frames of the clip."""
    chunk: int = 0
    """Frames of a chunk; 0 for a stream."""
    steps: int = 0
    """Steps of a chunk; 0 for a fixed number."""
    window: int = 0
    """Pairs that a stream remembers; the clip must be long enough to fill it."""


JOBS = {
    "published": {
        "cosmos-transfer2.5": Job(size=(704, 1280), frames=93, chunk=93, steps=35),
        "cosmos3": Job(size=(704, 1280), frames=121, chunk=121, steps=50),
        "cosmos3-sim-transfer": Job(size=(640, 640), frames=41, window=8),
    },
    "small": {
        "cosmos-transfer2.5": Job(size=(96, 128), frames=9, chunk=9, steps=3),
        "cosmos3": Job(size=(96, 128), frames=9, chunk=9, steps=3),
        "cosmos3-sim-transfer": Job(size=(96, 128), frames=17, window=3),
    },
}
"""Shapes -> backend -> what it is asked for."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured of one backend in one way."""

    backend: str
    held: str
    placement: str
    gib: Optional[float] = None
    """Most memory at once [GiB]; None where it cannot be told."""
    plan_gib: Optional[float] = None
    """What the plan says, without what it adds for CUDA [GiB]."""
    step_seconds: Optional[float] = None
    """Median time between two steps [s]."""
    clip_seconds: float
    """Time of the whole clip [s]."""
    plan_seconds: Optional[float] = None
    """What the plan says for this GPU; None for one without published times."""
    left: Optional[float] = None
    """Share of the memory that is still held after unloading."""


def plan(name: str, job: Job, folder: Path) -> Plan:
    """Return the plan of a job, from the configurations of its checkpoint."""
    if name == "cosmos3-sim-transfer":
        return plan_sim_transfer(size=job.size, num_frames=job.frames, window=job.window, folder=folder)
    planner = plan_transfer25 if name == "cosmos-transfer2.5" else plan_cosmos3
    return planner(
        size=job.size, num_frames=job.frames, chunk_frames=job.chunk, num_steps=job.steps, guidance=3.0, folder=folder
    )


def measure(name: str, held: str, placement: str, job: Job, folder: Path, device: str, planned: Plan) -> Row:
    """Load a backend, let it paint once, and let it go."""
    options: dict[str, Any] = {"weights": str(folder), "dtype": "bfloat16", **WAYS[held]}
    options |= {"chunk_frames": job.chunk} if job.chunk else {"window": job.window, "sinks": 1}
    policy = OffloadPolicy(placement="worker") if placement == "worker" else None
    counted = device == "cpu" and placement == "here"
    told: list[float] = []
    with Meter() if counted else nullcontext() as meter:
        model = create(name, options, policy)
        model.load(device)
        result = model.transfer(request(name, job), lambda *_: told.append(time.perf_counter()))
        provenance, full = result.provenance, _live(device, meter)
        del result
        model.unload()
        gc.collect()
        left = None if placement == "worker" else _live(device, meter) / max(1, full)
    gib = None
    if device.startswith("cuda"):
        gib = provenance.peak_bytes / GIB
    elif counted and "cpu_offload" not in held:
        gib = meter.peak / GIB
    pauses = [after - before for before, after in pairwise(told)]
    return Row(
        backend=name,
        held=held,
        placement=placement,
        gib=gib,
        plan_gib=planned.profiles[held] - RESERVE,
        step_seconds=statistics.median(pauses) if pauses else None,
        clip_seconds=provenance.seconds,
        plan_seconds=_planned_seconds(planned, device),
        left=left,
    )


def request(name: str, job: Job) -> TransferRequest:
    """Ask for a clip of edges; it lies in main memory, so that the device holds the model's own tensors alone."""
    height, width = job.size
    rng = np.random.default_rng(5)
    lines = np.where(rng.integers(0, 256, (job.frames, height, width, 1)) > 230, 255, 0).astype(np.uint8).repeat(3, -1)
    camera = Camera(
        prim_path="/World/Camera", height=height, width=width,
        intrinsics=np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1.0]]), cam_to_world=np.eye(4),
    )  # fmt: skip
    clip = Clip(
        cameras=(camera,) * job.frames,
        fps=24.0,
        time_codes=np.arange(job.frames, dtype=np.float64),
        rgb=wp.zeros((job.frames, height, width, 3), dtype=wp.uint8, device="cpu"),
    )
    signal = ControlSignal(kind=ControlKind.EDGE, video=wp.array(lines, device="cpu"))
    return TransferRequest(
        clip=clip,
        controls=ControlSignals(signals=(signal,)),
        weights=ControlWeights(edge=1.0),
        prompt=PROMPT,
        num_steps=job.steps or None,
        guidance=3.0 if job.steps else None,
    )


def embed(folder: Path) -> None:
    """Put random embeddings of the prompts where Transfer2.5 looks for them, so that no text encoder is needed."""
    cache = embedding_folder("cosmos-transfer2.5")
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "encoder.txt").write_text("random", encoding="utf-8")
    width = json.loads((folder / "general" / "transformer" / "config.json").read_text())["crossattn_proj_in_channels"]
    encoder, draw = PromptEncoder(folder / "general", cache), torch.Generator().manual_seed(6)
    for prompt in (PROMPT, default_negative_prompt()):
        states = torch.randn((1, TEXT_TOKENS, width), generator=draw).to(torch.bfloat16)
        encoder.keep(prompt, Embedding(states=states, cut=0), torch.bfloat16)


def rows(args: argparse.Namespace, folder: Path) -> Iterator[Row]:
    """Measure all that is asked for."""
    for name in args.backend:
        job = JOBS[args.shapes][name]
        if args.num_steps and job.steps:
            job = replace(job, steps=args.num_steps)
        place = folder / ("cosmos3" if name != "cosmos-transfer2.5" else name)
        if not place.is_dir():
            write_checkpoint(name, place, args.shapes)
        if name == "cosmos-transfer2.5":
            embed(place)
        planned = plan(name, job, place)
        for held, placement in [
            *((held, "here") for held in args.held),
            *((("bf16", "worker"),) if args.worker else ()),
        ]:
            yield measure(name, held, placement, job, place, args.device, planned)


def table(measured: list[Row]) -> str:
    """Write rows as a Markdown table."""
    head = ("backend", "weights", "where", "GiB", "plan", "ratio", "s a step", "s a clip", "plan", "left")
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in measured:
        ratio = None if row.gib is None or row.plan_gib is None else row.gib / row.plan_gib
        cells = (
            row.backend, row.held, row.placement, _text(row.gib, "{:.3g}"), _text(row.plan_gib, "{:.3g}"),
            _text(ratio, "{:.2f}"), _text(row.step_seconds, "{:.3g}"), f"{row.clip_seconds:.3g}",
            _text(row.plan_seconds, "{:.3g}"), _text(row.left, "{:.1%}"),
        )  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _text(value: Optional[float], form: str) -> str:
    return "-" if value is None else form.format(value)


def _live(device: str, meter: Optional[Meter]) -> int:
    if device.startswith("cuda"):
        return torch.cuda.memory_allocated(device)
    return 0 if meter is None else meter.live


def _planned_seconds(planned: Plan, device: str) -> Optional[float]:
    """Return the planned time for the GPU whose name is published."""
    if not device.startswith("cuda"):
        return None
    words = set(torch.cuda.get_device_name(device).split())
    return next((time for gpu, time in planned.seconds().items() if set(gpu.split()) <= words), None)


def main(argv: Optional[list[str]] = None) -> int:
    """Measure, print the table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda:0", help="torch device (default: cuda:0)")
    parser.add_argument("--shapes", choices=tuple(SHAPES), default="published", help="shapes of the nets")
    parser.add_argument("--backend", action="append", choices=tuple(JOBS["small"]), help="one backend; may come again")
    parser.add_argument("--held", action="append", choices=tuple(WAYS), help="one way; may come again (default: all)")
    parser.add_argument("--worker", action="store_true", help="measure a worker process as well")
    parser.add_argument("--num-steps", type=int, help="steps of a chunk (default: the model's own)")
    parser.add_argument("--folder", type=Path, help="where checkpoints are written and kept (default: for this run)")
    parser.add_argument("--out", type=Path, help="file for the rows as JSON")
    args = parser.parse_args(argv)
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("torch sees no CUDA device here; take --device cpu --shapes small, which proves the way alone")
    args.backend, args.held = args.backend or list(JOBS["small"]), args.held or list(WAYS)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        os.environ[HOME_VARIABLE] = str(folder / "home")
        measured = []
        for row in rows(args, folder):
            measured.append(row)
            print(table([row]).splitlines()[-1], flush=True)
    where = torch.cuda.get_device_name(args.device) if args.device.startswith("cuda") else "CPU"
    print(f"\n{where}, torch {torch.__version__}, {args.shapes} shapes, random weights, bfloat16\n\n{table(measured)}")
    if args.out:
        told = {"device": where, "shapes": args.shapes, "rows": [asdict(row) for row in measured]}
        args.out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
