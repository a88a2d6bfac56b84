"""What each part of the loss is worth: ``python tools/ablate_losses.py --data training/data --steps 400``.

From the same random weights, or those of ``--start``, on the same batches, a net learns by each loss alone for some
steps; then it paints the held-out pairs, with and without light maps. What is measured is kept under ``--run`` with its
settings; a loss that was stopped, or learnt under others, begins anew.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import torch  # noqa: TID253
from safetensors.torch import load_file
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from condition_judge import WEIGHTS as JUDGE
from condition_judge import ConditionJudge, Eyes
from cosmos.models.embedded.net import TransferNet
from cosmos.models.embedded.pairs import Batch, Pairs, frame_before, read_pair, whole_batch
from cosmos.models.embedded.sampling import load_embedded
from cosmos.models.embedded.training import Run, batch_loss, is_told, level_and_steps, paint, picture_loss, shown, ssim
from muon import MuonAndAdam
from publish import put_between
from train_transfer import SIZES, coarse_at
from transfer_metrics import edge_f1, motion_residual, psnr
from transfer_metrics import ssim as measured_ssim

GIVEN = {"edge": 0.5, "depth": 0.5}
Loss = Callable[[Tensor, Batch], Tensor]


def level(out: Tensor, batch: Batch) -> Tensor:
    """L1."""
    return (shown(out, batch) - batch.target).abs().mean()


def with_steps(out: Tensor, batch: Batch) -> Tensor:
    """L1 + 0.5 L1 of the gradients."""
    return level_and_steps(shown(out, batch), batch.target)


def with_likeness(out: Tensor, batch: Batch) -> Tensor:
    """The same + 0.3 (1 - SSIM)."""
    return with_steps(out, batch) + 0.3 * (1.0 - ssim(shown(out, batch), batch.target))


def without_scales(out: Tensor, batch: Batch) -> Tensor:
    """The same + 0.3 RMSE of each picture."""
    root = (shown(out, batch) - batch.target).square().mean(dim=(1, 2, 3)).add(1e-6).sqrt().mean()
    return with_likeness(out, batch) + 0.3 * root


def without_motion(out: Tensor, batch: Batch) -> Tensor:
    """The same at two coarser scales too."""
    return picture_loss(shown(out, batch), batch.target)


class Features:
    """The shipped loss + 0.05 of the distance of features that the judge of conditions sees."""

    def __init__(self) -> None:
        self._eyes = Eyes().eval().requires_grad_(False)
        saved = {name[5:]: value.float() for name, value in load_file(JUDGE).items() if name.startswith("eyes.")}
        self._eyes.load_state_dict(saved, strict=False)

    def __call__(self, out: Tensor, batch: Batch) -> Tensor:
        """Return the loss."""
        frame, seen, target = (x.float() * 0.5 + 0.5 for x in (batch.rgb, shown(out, batch), batch.target))
        found = self._eyes.features(torch.cat([frame, frame]), torch.cat([seen, target]))
        units = [functional.normalize(x, dim=1, eps=1e-4).chunk(2) for x in found]
        return batch_loss(out, batch) + 0.05 * sum((a - b).square().sum(dim=1).mean() for a, b in units)


class Adversary:
    """The shipped loss + 0.02 of what a patch discriminator, which learns beside the net, makes of it (hinge)."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in ((6, 24), (24, 48), (48, 96)):
            layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self._critic = nn.Sequential(*layers, nn.Conv2d(96, 1, 3, padding=1))
        self._optimizer = torch.optim.AdamW(self._critic.parameters(), lr=5e-4, betas=(0.5, 0.98))

    def __call__(self, out: Tensor, batch: Batch) -> Tensor:
        """Teach the discriminator a step, and return the loss."""
        seen = shown(out, batch).float()
        both = torch.cat([torch.cat([batch.rgb, batch.target], 1), torch.cat([batch.rgb, seen.detach()], 1)])
        true, false = self._critic(both).chunk(2)
        self._optimizer.zero_grad()
        (functional.relu(1.0 - true).mean() + functional.relu(1.0 + false).mean()).backward()
        self._optimizer.step()
        self._critic.requires_grad_(False)
        fooled = self._critic(torch.cat([batch.rgb, seen], 1)).mean()
        self._critic.requires_grad_(True)
        return batch_loss(out, batch) - 0.02 * fooled


LOSSES: dict[str, Callable[[], Loss]] = {
    "L1": lambda: level,
    "L1, gradients": lambda: with_steps,
    "L1, gradients, SSIM": lambda: with_likeness,
    "L1, gradients, SSIM, RMSE of a picture": lambda: without_scales,
    "and two coarser scales": lambda: without_motion,
    "and change along motion (shipped)": lambda: batch_loss,
    "shipped and the judge's features": Features,
    "shipped and a discriminator": Adversary,
}


def measured(net: TransferNet, files: list[Path]) -> dict[str, float]:
    """Return what a net reaches on whole pairs, with light maps and (``_alone``) without.

    ``change`` is how much surfaces change from frame to frame, over how much the targets' do.
    """
    judge, rows = ConditionJudge(), list[dict[str, float]]()
    drawn: dict[Path, tuple[np.ndarray, np.ndarray]] = {}
    for path in files:
        batch, _ = whole_batch([path], GIVEN, net.config)
        target, frame = (levels(part) for part in (batch.target, batch.rgb))
        row = {}
        for suffix, lit in (("_alone", 0.0), ("", 1.0)):
            batch.lit = torch.full_like(batch.lit, lit)
            with torch.inference_mode():
                out = levels(shown(paint(net, batch), batch).float())
            row[f"psnr{suffix}"], row[f"ssim{suffix}"] = psnr(out, target), measured_ssim(out, target)
            row[f"edge_f1{suffix}"] = edge_f1(out, target, 1)
            row[f"distance{suffix}"] = judge.distance(frame, out, target)
        drawn[path], before = (out, target), frame_before(path)
        if before in drawn:
            arrays = read_pair(path)
            seen = (arrays["stays"], np.ones_like(arrays["stays"]))
            pairs = zip((out, target), drawn[before], ("change_out", "change_target"), strict=True)
            row |= {name: motion_residual(now, then, arrays["motion"], seen) for now, then, name in pairs}
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    found = {name: float(np.nanmean([row[name] for row in rows if name in row])) for name in names}
    found["change"] = found.pop("change_out", np.nan) / found.pop("change_target", np.nan)
    return found


def levels(picture: Tensor) -> np.ndarray:
    """Return one picture in [-1, 1], shape [1, 3, H, W], as uint8 [H, W, 3]."""
    taken: np.ndarray = (picture[0] * 127.5 + 128.0).clamp(0.0, 255.0).byte().permute(1, 2, 0).contiguous().numpy()
    return taken


def learn(run: Run, pairs: Pairs, steps: int, batch: int) -> float:
    """Take all steps that are left; return the CPU time of one [s]."""
    start, spent, first = time.monotonic(), time.process_time(), run.step
    with closing(pairs.stream(batch, run.step)) as stream:
        while run.step < steps:
            drawn = next(stream)
            coarse = coarse_at(run.step, told=is_told(drawn, run.net.config))
            run.learn(drawn, run.step / steps, coarse, warm_up=20)
            if run.step % 50 == 0 or run.step == steps:
                run.seconds = time.monotonic() - start
                left = run.seconds / (run.step - first) * (steps - run.step)
                print(run.log(seconds_left=round(left)), flush=True)
    return (time.process_time() - spent) / (run.step - first)


def kept(file: Path, settings: dict[str, object]) -> dict[str, float] | None:
    """Return the figures of a file, ``None`` where there is none or it was written under other settings."""
    told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    figures: dict[str, float] | None = told.get("figures")
    return figures if told.get("settings") == settings else None


def table(found: dict[str, dict[str, float]]) -> str:
    """Return the figures as markdown."""
    heads = ["loss", "PSNR [dB]", "SSIM", "edge F1, 1 px", "perceptual distance", "change (target 1)"]
    heads += ["the same without a stage to ask"]
    lines = [f"| {' | '.join([*heads, 'CPU s a step'])} |", "|---|---|---|---|---|---|---|---|"]
    for name, row in found.items():
        lit, alone = (
            [
                f"{row['psnr' + s]:.2f}",
                f"{row['ssim' + s]:.4f}",
                f"{row['edge_f1' + s]:.3f}",
                f"{row['distance' + s]:.3f}",
            ]
            for s in ("", "_alone")
        )
        cost = f"{row['step_seconds']:.2f}" if "step_seconds" in row else "-"
        lines.append(f"| {name} | {' | '.join(lit)} | {row['change']:.2f} | {' / '.join(alone)} | {cost} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("training/data"))
    parser.add_argument("--run", type=Path, default=Path("training/losses"))
    parser.add_argument("--start", type=Path, help="folder of weights that all begin with, in place of random ones")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--card", type=Path, help="page for the table, between its marks")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    start = TransferNet(SIZES["small"]) if args.start is None else load_embedded(args.start, "cpu").net
    pairs = Pairs(args.data, seed=args.seed, config=start.config)
    settings = {name: getattr(args, name) for name in ("steps", "batch", "rate", "seed")}
    settings |= {"start": str(args.start), "pairs": [path.name for path in (*pairs.files, *pairs.held_out)]}
    rows = {"as they begin": measured(start.eval(), pairs.held_out)}
    args.run.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(LOSSES):
        folder = args.run / f"{number:02d}"
        file = folder / "measured.json"
        figures = kept(file, settings)
        if figures is None:
            shutil.rmtree(folder, ignore_errors=True)
            torch.manual_seed(args.seed)
            first = start.state_dict()
            run = Run(folder, start.config, rate=args.rate, start=first, optimizer=MuonAndAdam, loss=LOSSES[name]())
            cost = learn(run, pairs, args.steps, args.batch)
            figures = {**measured(run.average, pairs.held_out), "step_seconds": cost}
            file.write_text(json.dumps({"settings": settings, "figures": figures}), encoding="utf-8")
        rows[name] = figures
        print(json.dumps({name: rows[name]}), flush=True)
    print(table(rows))
    if args.card is not None:
        put_between(args.card, "losses", table(rows))


if __name__ == "__main__":
    main()
