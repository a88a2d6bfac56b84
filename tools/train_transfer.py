"""Train the embedded Transfer net: ``python tools/train_transfer.py --data training/data --steps 12000``.

Resumable: the same command goes on where the last checkpoint stopped (``--run`` holds net, moving average, optimiser,
steps and seconds spent, log). ``--export`` writes the moving average to ``--out`` and stops. The learning rate follows
the steps, so ``--steps`` is the whole budget over all starts; seed and number decide each batch.

``--processes`` shares each batch: on two cores two took 0.47 s a step where one took 0.60, however many its threads.

``--draft`` trains a teacher that paints in steps; ``--teacher CHECKPOINT`` its student, which paints at once what the
teacher paints in ``--teacher-steps``. Its answers to the first ``--answers`` batches are kept beside the checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch  # noqa: TID253
from safetensors.torch import load_file
from torch import Tensor, distributed  # noqa: TID253
from torch.multiprocessing import spawn  # noqa: TID253

from cosmos.models.embedded.drafts import answered, noise_alone, random_drafts
from cosmos.models.embedded.net import TransferNet
from cosmos.models.embedded.pairs import Batch, Pairs, whole_batch
from cosmos.models.embedded.training import Run, adam_w, is_told, paint, psnr, shown, usual_coarse, write_weights
from cosmos.models.spec import TransferNetConfig, from_mapping
from muon import MuonAndAdam

WEIGHTS = Path(__file__).resolve().parents[1] / "models" / "weights" / "transfer-small"
SIZES = {
    "tiny": TransferNetConfig(channels=(8, 12), blocks=1, features=6, head=8),
    "small": TransferNetConfig(channels=(40, 80, 128, 160), blocks=2, features=20, head=16),
    "base": TransferNetConfig(channels=(96, 192, 320, 384), blocks=3, features=40, head=64),
}
"""``small`` is shipped, for a CPU; ``base`` is for a GPU: 31.9 M parameters for 3.8 M, seven times the work."""
_MOST_STEPS = 16
"""Steps up to which a teacher is measured."""


def with_hints(state: Mapping[str, Tensor], config: TransferNetConfig) -> dict[str, Tensor]:
    """Return the tensors of a net that saw fewer hints, with room for those of ``config``; new ones say nothing yet."""
    made = dict(state)
    for name, first in (("hints.see.weight", 0), ("head_in.weight", config.features)):
        value = state[name]
        more = config.hints - state["hints.see.weight"].shape[1]
        if more > 0:
            before, after = value.tensor_split([first + config.hints - more], dim=1)
            none = value.new_zeros((value.shape[0], more, *value.shape[2:]))
            made[name] = torch.cat([before, none, after], dim=1)
    return made


def take(run: Run, start: Path) -> int:
    """Take over the tensors that fit of another run's moving average or of a folder of weights; return how many."""
    state = run.net.state_dict()
    if start.is_dir():
        other = load_file(start / "net.safetensors", device=run.device)
        told = json.loads((start / "config.json").read_text(encoding="utf-8"))["training"]
        run.earlier = 60.0 * (told["minutes"] + told["minutes_before_warm_start"])
    else:
        saved = torch.load(start, weights_only=True, map_location=run.device)
        other, run.earlier = saved["average"], saved.get("seconds", 0.0) + saved.get("earlier", 0.0)
    other = with_hints(other, run.net.config)
    fit = {name: value for name, value in other.items() if name in state and state[name].shape == value.shape}
    run.net.load_state_dict(fit, strict=False)
    run.average.load_state_dict(fit, strict=False)
    return len(fit)


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """A net that paints in steps, and where its answers are kept."""

    net: TransferNet
    steps: int
    """Steps of an answer."""
    answers: int
    """Batches that are answered; the student sees them again and again."""
    folder: Path
    """Where they are kept."""

    def teach(self, batch: Batch, number: int, coarse: int, seed: int) -> Batch:
        """Return a batch with its answer: the kept one, or a new one that is kept."""
        path, rng = self.folder / f"{number:06d}.npy", np.random.default_rng([seed, number, 2])
        if path.exists():
            told = noise_alone(batch, self.net.config, coarse, rng)
            return replace(told, answer=torch.from_numpy(np.load(path)).to(batch.rgb.device).float() / 127.5 - 1.0)
        told, answer = answered(batch, self.net, coarse, rng, self.steps)
        self.folder.mkdir(parents=True, exist_ok=True)
        levels = (answer * 127.5 + 128.0).clamp(0.0, 255.0).to(torch.uint8)
        np.save(path.with_suffix(".tmp.npy"), levels.cpu().numpy())
        path.with_suffix(".tmp.npy").replace(path)
        return replace(told, answer=answer)


def coarse_at(step: int, *, told: bool) -> int:
    """Return the size ratio of picture to trunk in a step: a finer trunk at times, as for small pictures.

    Args:
        step: Number of the step.
        told: As of `coarse_for`.
    """
    return (2 if step % 5 == 4 else 4) * (2 if told else 1)


def train(
    run: Run,
    pairs: Pairs,
    *,
    steps: int,
    batch: int,
    save_minutes: float,
    held_out: list[Path],
    teacher: Teacher | None = None,
) -> None:
    """Learn until all steps are taken; evaluate and save on the way."""
    leads = pairs.part[0] == 0
    config, weights = run.net.config, {"edge": 0.25, "depth": 0.4, "seg": 0.1, "vis": 0.25}
    check = whole_batch(held_out, weights, config)[0].to(run.device) if held_out else None
    if check is not None and config.draft:
        check = noise_alone(check, config, usual_coarse(check, config), np.random.default_rng(pairs.seed))
    cycle = None if teacher is None else teacher.answers
    first, start, losses = run.step, time.monotonic(), list[float]()
    saved = before = start
    with closing(pairs.stream(batch, run.step, cycle=cycle)) as stream:
        while run.step < steps:
            number = run.step % cycle if cycle else run.step
            drawn = next(stream).to(run.device)
            coarse = coarse_at(number, told=is_told(drawn, config))
            if teacher is not None:
                drawn = teacher.teach(drawn, number, coarse, pairs.seed)
            elif config.draft:
                drawn = random_drafts(drawn, config, coarse, np.random.default_rng([pairs.seed, run.step, 1]))
            losses.append(run.learn(drawn, run.step / steps, coarse))
            now = time.monotonic()
            run.seconds, before = run.seconds + now - before, now
            if leads and run.step % 50 == 0:
                left = (now - start) / (run.step - first) * (steps - run.step) / 60.0
                values = {"loss": round(sum(losses) / len(losses), 4), "minutes_left": round(left, 1)}
                if check is not None and run.step % 200 == 0:
                    with torch.inference_mode():
                        for name, net in (("psnr", run.average), ("psnr_net", run.net.eval())):
                            values[name] = round(psnr(shown(paint(net, check), check), check.target), 3)
                print(run.log(**values), flush=True)
                losses = []
            if leads and now - saved > 60.0 * save_minutes:
                run.save()
                saved = now
    if leads:
        run.save()


def export(run: Run, out: Path, training: dict[str, Any], *, name: str = "transfer-small", most_steps: int = 1) -> None:
    """Write the moving average as the weights that are shipped."""
    out.mkdir(parents=True, exist_ok=True)
    about = {"name": name, "licence": "Apache-2.0", "max_steps": most_steps, "training": training}
    write_weights(run.average, out, revision="1-", about=about)


def teacher_of(args: argparse.Namespace) -> Teacher:
    """Return the teacher that was asked for."""
    saved = torch.load(args.teacher, weights_only=True, map_location=args.device)
    net = TransferNet(from_mapping(TransferNetConfig, saved["config"])).to(args.device).eval().requires_grad_(False)
    net.load_state_dict(saved["average"])
    return Teacher(net=net, steps=args.teacher_steps, answers=args.answers, folder=args.run / "answers")


def average(gradients: list[Tensor]) -> None:
    """Replace gradients by their mean over all processes."""
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= distributed.get_world_size()
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.reshape(gradient.shape))


def learn(
    args: argparse.Namespace,
    *,
    part: tuple[int, int] = (0, 1),
    agree: Callable[[list[Tensor]], None] = lambda gradients: None,
) -> None:
    """Learn what is left of a run, and export it; of several processes the first one writes."""
    torch.manual_seed(args.seed)
    run = Run(
        args.run,
        replace(SIZES[args.size], draft=args.draft or args.teacher is not None),
        rate=args.rate,
        device=args.device,
        optimizer=MuonAndAdam if args.optimizer == "muon" else adam_w,
        agree=agree,
    )
    if args.warm is not None and run.step == 0:
        print(json.dumps({"taken": take(run, args.warm), "of": len(run.net.state_dict())}), flush=True)
    # Drafts of frames that follow each other are at noise levels of their own: their change tells nothing.
    pairs = Pairs(args.data, seed=args.seed, config=run.net.config, moving=not run.net.config.draft, part=part)
    if not args.export:
        held_out = pairs.held_out[: args.check_pairs]
        train(
            run,
            pairs,
            steps=args.steps,
            batch=args.batch,
            save_minutes=args.save_minutes,
            held_out=held_out,
            teacher=None if args.teacher is None else teacher_of(args),
        )
    if part[0]:
        return
    minutes, earlier = round(run.seconds / 60.0, 1), round(run.earlier / 60.0, 1)
    export(
        run,
        args.out,
        {
            "steps": run.step,
            "minutes": minutes,
            "minutes_before_warm_start": earlier,
            "pairs": len(pairs.files),
            "batch": args.batch,
            "optimizer": args.optimizer,
            "rate": args.rate,
            "seed": args.seed,
        },
        name=f"transfer-{args.size}{'-steps' if args.draft else '' if args.teacher is None else '-distilled'}",
        most_steps=_MOST_STEPS if args.draft else 1,
    )


def learn_together(rank: int, args: argparse.Namespace, meeting: str) -> None:
    """Take part in one run as one of several processes."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // args.processes))
    distributed.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=args.processes)
    try:
        learn(args, part=(rank, args.processes), agree=average)
    finally:
        distributed.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("training/data"))
    parser.add_argument("--run", type=Path, default=Path("training/transfer-small"))
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--device", default="cpu", help="where to learn, such as cuda")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--processes", type=int, default=1, help="that learn together, each a part of the batch")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--optimizer", choices=("muon", "adamw"), default="muon")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-minutes", type=float, default=4.0)
    parser.add_argument("--check-pairs", type=int, default=24, help="held-out pairs evaluated on the way")
    parser.add_argument(
        "--warm", type=Path, help="checkpoint or folder of weights whose tensors that fit a new run takes"
    )
    parser.add_argument("--draft", action="store_true", help="learn to paint in steps: from drafts at any noise level")
    parser.add_argument("--teacher", type=Path, help="checkpoint of a --draft run whose answers are learnt")
    parser.add_argument("--teacher-steps", type=int, default=8)
    parser.add_argument("--answers", type=int, default=240, help="batches that the teacher answers")
    parser.add_argument("--export", action="store_true", help="write the weights of the run and stop")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    if args.processes == 1:
        learn(args)
        return
    if args.draft or args.teacher is not None or args.processes < 1 or args.batch % (2 * args.processes):
        parser.error(
            f"--processes {args.processes} shares out whole pairs of frames: --batch must be a multiple of twice as "
            f"many, got {args.batch}, and nets that paint in steps learn in one process."
        )
    with tempfile.TemporaryDirectory() as folder:
        spawn(learn_together, (args, f"{folder}/meeting"), nprocs=args.processes)


if __name__ == "__main__":
    main()
