"""Train the embedded Transfer net: ``python tools/train_transfer.py --data training/data --minutes 75``.

Resumable: the same command goes on where the last checkpoint stopped (``--run`` holds net, moving average, optimiser,
seconds spent, log). ``--export`` writes ``models/weights/transfer-small`` from the moving average. The learning rate
follows the time spent, so ``--minutes`` is the whole budget over all starts.
"""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch  # noqa: TID253

from cosmos.models.embedded.pairs import Pairs, whole_batch
from cosmos.models.embedded.training import Run, noise_alone, paint, psnr, random_drafts, write_weights
from cosmos.models.spec import TransferNetConfig

WEIGHTS = Path(__file__).resolve().parents[1] / "models" / "weights" / "transfer-small"
SIZES = {
    "tiny": TransferNetConfig(channels=(8, 12), blocks=1, features=6, head=8),
    "small": TransferNetConfig(channels=(40, 80, 128, 160), blocks=2, features=20, head=32),
}


def take(run: Run, checkpoint: Path) -> int:
    """Take over the tensors of another run's moving average that fit; return how many."""
    state, saved = run.net.state_dict(), torch.load(checkpoint, weights_only=True)
    run.earlier = saved.get("seconds", 0.0) + saved.get("earlier", 0.0)
    other = saved["average"]
    fit = {name: value for name, value in other.items() if name in state and state[name].shape == value.shape}
    run.net.load_state_dict(fit, strict=False)
    run.average.load_state_dict(fit, strict=False)
    return len(fit)


def train(run: Run, pairs: Pairs, *, minutes: float, batch: int, save_minutes: float, held_out: list[Path]) -> None:
    """Learn until the budget is spent; evaluate and save on the way."""
    config, weights = run.net.config, {"edge": 0.25, "depth": 0.4, "seg": 0.1, "vis": 0.25}
    check = whole_batch(held_out, weights, config)[0] if held_out else None
    if check is not None and config.draft:
        check = noise_alone(check, config, config.coarse, np.random.default_rng(pairs.seed))
    saved, before, losses, pictures = time.monotonic(), time.monotonic(), [], 0
    with closing(pairs.stream(batch, run.step)) as stream:
        while run.seconds < 60.0 * minutes:
            done = run.seconds / (60.0 * minutes)
            # A coarser trunk at times, as for large pictures.
            coarse, drawn = 4 if run.step % 5 == 4 else 2, next(stream)
            if config.draft:
                drawn = random_drafts(drawn, config, coarse, np.random.default_rng([pairs.seed, run.step, 1]))
            losses.append(run.learn(drawn, done, coarse))
            pictures += batch
            now = time.monotonic()
            run.seconds, before = run.seconds + now - before, now
            if run.step % 50 == 0:
                values = {"loss": round(sum(losses) / len(losses), 4), "pictures": pictures, "files": len(pairs.files)}
                if check is not None and run.step % 200 == 0:
                    with torch.inference_mode():
                        for name, net in (("psnr", run.average), ("psnr_net", run.net.eval())):
                            values[name] = round(psnr(paint(net, check), check.target), 3)
                print(run.log(**values), flush=True)
                losses = []
            if run.step % 200 == 0:
                pairs.rescan()
            if now - saved > 60.0 * save_minutes:
                run.save()
                saved = now
    run.save()


def export(run: Run, out: Path, training: dict) -> None:
    """Write the moving average as the weights that are shipped."""
    out.mkdir(parents=True, exist_ok=True)
    about = {"name": "transfer-small", "licence": "Apache-2.0", "training": training}
    write_weights(run.average, out, revision="1-", about=about)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("training/data"))
    parser.add_argument("--run", type=Path, default=Path("training/transfer-small"))
    parser.add_argument("--size", choices=sorted(SIZES), default="small")
    parser.add_argument("--minutes", type=float, default=75.0)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-minutes", type=float, default=4.0)
    parser.add_argument("--check-pairs", type=int, default=24, help="held-out pairs evaluated on the way")
    parser.add_argument("--warm", type=Path, help="checkpoint whose tensors of the same name and shape a new run takes")
    parser.add_argument("--draft", action="store_true", help="learn to paint in steps: from drafts at any noise level")
    parser.add_argument("--export", action="store_true", help="write the weights of the run and stop")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    run = Run(args.run, replace(SIZES[args.size], draft=args.draft), rate=args.rate)
    if args.warm is not None and run.step == 0:
        print(json.dumps({"taken": take(run, args.warm), "of": len(run.net.state_dict())}), flush=True)
    pairs = Pairs(args.data, seed=args.seed, config=run.net.config)
    if not args.export:
        held_out = pairs.held_out[: args.check_pairs]
        train(run, pairs, minutes=args.minutes, batch=args.batch, save_minutes=args.save_minutes, held_out=held_out)
    minutes, earlier = round(run.seconds / 60.0, 1), round(run.earlier / 60.0, 1)
    export(
        run,
        args.out,
        {
            "steps": run.step,
            "minutes": minutes,
            "minutes_before_warm_start": earlier,
            "pairs": len(pairs.files),
            "seed": args.seed,
        },
    )


if __name__ == "__main__":
    main()
