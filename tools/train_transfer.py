"""Train the embedded Transfer net: ``python tools/train_transfer.py --data training/data --minutes 75``.

Resumable: the same command goes on where the last checkpoint stopped (``--run`` holds net, moving average, optimiser,
seconds spent, log). ``--export`` writes ``models/weights/transfer-small`` from the moving average. The learning rate
follows the time spent, so ``--minutes`` is the whole budget over all starts.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch  # noqa: TID253
from safetensors.torch import save_file
from torch import Tensor  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from cosmos.models.embedded.net import TransferNet
from cosmos.models.spec import TransferNetConfig, from_mapping, to_mapping
from cosmos.models.weights import sha256_of
from transfer_pairs import Batch, Pairs, held_out_batch

WEIGHTS = Path(__file__).resolve().parents[1] / "models" / "weights" / "transfer-small"
SIZES = {
    "tiny": TransferNetConfig(channels=(8, 12), blocks=1, features=6, head=8),
    "small": TransferNetConfig(channels=(40, 80, 128, 160), blocks=2, features=20, head=32),
}


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Mean structural similarity of pictures in [-1, 1] (Wang et al. 2004), 7x7 box window at every second pixel."""

    def mean(x: Tensor) -> Tensor:
        return functional.avg_pool2d(functional.avg_pool2d(x, (7, 1), (2, 1)), (1, 7), (1, 2))

    a, b = a * 0.5 + 0.5, b * 0.5 + 0.5
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    top = (2.0 * ma * mb + 1e-4) * (2.0 * cov + 9e-4)
    return (top / ((ma * ma + mb * mb + 1e-4) * (va + vb + 9e-4))).mean()


def picture_loss(out: Tensor, target: Tensor) -> Tensor:
    """L1 + 0.5 L1 of the gradients + 0.15 (1 - SSIM)."""
    gradients = sum((out.diff(dim=d) - target.diff(dim=d)).abs().mean() for d in (-1, -2))
    return (out - target).abs().mean() + 0.5 * gradients + 0.15 * (1.0 - ssim(out, target))


def psnr(out: Tensor, target: Tensor) -> float:
    """Peak signal to noise ratio [dB], averaged over pictures in [-1, 1]."""
    error = ((out.clamp(-1.0, 1.0) - target) * 0.5).square().mean(dim=(1, 2, 3)).clamp_min(1e-8)
    return float((-10.0 * error.log10()).mean())


def paint(net: TransferNet, batch: Batch, coarse: int | None = None) -> Tensor:
    """Run the net on a batch in bfloat16 where it helps."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return net(
            batch.rgb,
            batch.controls,
            batch.weights,
            batch.hints,
            batch.style,
            coarse,
            batch.picture,
            batch.maps,
            batch.lit,
        )


class Run:
    """One training run and its folder."""

    def __init__(self, folder: Path, config: TransferNetConfig, *, rate: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.rate = folder, rate
        self.seconds, self.earlier, self.step = 0.0, 0.0, 0
        saved = None
        if (folder / "last.pt").exists():
            saved = torch.load(folder / "last.pt", weights_only=True)
            config = from_mapping(TransferNetConfig, saved["config"])
        self.net = TransferNet(config).to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.net).eval()
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98))
        if saved is not None:
            self.net.load_state_dict(saved["net"])
            self.average.load_state_dict(saved["average"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.seconds, self.earlier, self.step = saved["seconds"], saved.get("earlier", 0.0), saved["step"]

    def take(self, checkpoint: Path) -> int:
        """Take over the tensors of another run's moving average that fit; return how many."""
        state, saved = self.net.state_dict(), torch.load(checkpoint, weights_only=True)
        self.earlier = saved.get("seconds", 0.0) + saved.get("earlier", 0.0)
        other = saved["average"]
        fit = {name: value for name, value in other.items() if name in state and state[name].shape == value.shape}
        self.net.load_state_dict(fit, strict=False)
        self.average.load_state_dict(fit, strict=False)
        return len(fit)

    def save(self) -> None:
        """Write the checkpoint whole or not at all."""
        state = {
            "config": to_mapping(self.net.config),
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.seconds,
            "earlier": self.earlier,
            "step": self.step,
        }
        torch.save(state, self.folder / "last.tmp")
        (self.folder / "last.tmp").replace(self.folder / "last.pt")

    def log(self, **values: float) -> None:
        """Append a line to the log and say it."""
        line = json.dumps({"step": self.step, "seconds": round(self.seconds, 1), **values})
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def learn(self, batch: Batch, done: float, coarse: int) -> float:
        """Take one step at ``done`` of the budget; return the loss."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * min(1.0, (self.step + 1) / 200) * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
        self.net.train()
        loss = picture_loss(paint(self.net, batch, coarse), batch.target)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        if not torch.isfinite(norm):
            return float("nan")
        self.optimizer.step()
        self.step += 1
        decay = min(0.999, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast, 1.0 - decay)
            for slow, fast in zip(self.average.buffers(), self.net.buffers(), strict=True):
                slow.copy_(fast)
        return float(loss.detach())


def train(run: Run, pairs: Pairs, *, minutes: float, batch: int, save_minutes: float, held_out: list[Path]) -> None:
    """Learn until the budget is spent; evaluate and save on the way."""
    check = held_out_batch(held_out, {"edge": 0.25, "depth": 0.4, "seg": 0.1, "vis": 0.25})[0] if held_out else None
    saved, before, losses, pictures = time.monotonic(), time.monotonic(), [], 0
    loader = ThreadPoolExecutor(max_workers=1)

    def ahead() -> tuple[int, Future[Batch]]:
        return batch, loader.submit(pairs.batch, batch)

    size, coming = ahead()
    while run.seconds < 60.0 * minutes:
        done = run.seconds / (60.0 * minutes)
        drawn, (next_size, next_coming) = coming.result(), ahead()
        # A coarser trunk at times, as for large pictures.
        losses.append(run.learn(drawn, done, 4 if run.step % 5 == 4 else 2))
        pictures += size
        size, coming = next_size, next_coming
        now = time.monotonic()
        run.seconds, before = run.seconds + now - before, now
        if run.step % 50 == 0:
            values = {"loss": round(sum(losses) / len(losses), 4), "pictures": pictures, "files": len(pairs.files)}
            if check is not None and run.step % 200 == 0:
                with torch.inference_mode():
                    for name, net in (("psnr", run.average), ("psnr_net", run.net.eval())):
                        values[name] = round(psnr(paint(net, check), check.target), 3)
            run.log(**values)
            losses = []
        if run.step % 200 == 0:
            pairs.rescan()
        if now - saved > 60.0 * save_minutes:
            run.save()
            saved = now
    loader.shutdown(cancel_futures=True)
    run.save()


def export(run: Run, out: Path, training: dict) -> None:
    """Write the moving average as half-precision safetensors, with a configuration that holds every file's hash."""
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: value.half().contiguous() for name, value in run.average.state_dict().items()}
    save_file(weights, out / "net.safetensors")
    files = {name: sha256_of(out / name) for name in ("net.safetensors", "reader.safetensors", "reader.json")}
    digest = hashlib.sha256("".join(sorted(files.values())).encode()).hexdigest()
    config = {
        "name": "transfer-small",
        "revision": f"1-{digest[:10]}",
        "licence": "Apache-2.0",
        "net": to_mapping(run.net.config),
        "files": files,
        "training": training,
    }
    (out / "config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")


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
    parser.add_argument("--export", action="store_true", help="write the weights of the run and stop")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    run = Run(args.run, replace(SIZES[args.size]), rate=args.rate)
    if args.warm is not None and run.step == 0:
        print(json.dumps({"taken": run.take(args.warm), "of": len(run.net.state_dict())}), flush=True)
    pairs = Pairs(args.data, seed=args.seed + run.step)
    if not args.export:
        held_out = sorted(p for p in args.data.glob("9?????_*.npz"))[: args.check_pairs]
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
