"""Train the judge that compares: ``tools/train_condition_compare.py --looks training/looks``.

It learns from path-traced pictures of training stages under exactly the 12 conditions and the quick drawings beside
them (`condition_looks.py`). First the stages are dealt into folds, and each fold is named by what the others taught;
then weighers that differ by their seeds alone learn from all of them and are kept.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch  # noqa: TID253
from safetensors.torch import save_file
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from condition_compare import NAMES, WEIGHTS, Weigher, compare
from cosmos.models.embedded.pairs import HELD_OUT, read_pair


def differences_of(path: Path) -> np.ndarray:
    """Return how each look of a stage differs from each drawing of it, float32 [12, 12, DIFFERENCES]."""
    arrays = read_pair(path)
    drawings, looks = ([arrays[f"{kind}{name}"] for name in NAMES] for kind in ("drawn ", ""))
    return compare(arrays["rgb"], arrays["depth"], drawings, looks)


def train(differences: Tensor, *, steps: int, seed: int, rate: float = 5e-3) -> Weigher:
    """Teach a weigher.

    Args:
        differences: Of stages, shape [S, 12, 12, DIFFERENCES]; look ``i`` shows condition ``i``.
        steps: Steps of 256 pictures.
        seed: Of weights, order and noise.
        rate: Largest learning rate.
    """
    torch.manual_seed(seed)
    weigher, truth = Weigher().train(), torch.arange(len(NAMES)).repeat(len(differences))
    pictures = differences.flatten(0, 1)
    weigher.mean.copy_(pictures.mean(dim=(0, 1)))
    weigher.scale.copy_(1.0 / pictures.std(dim=(0, 1)).clamp(min=1e-3))
    pictures = weigher.plain(pictures)
    optimizer = torch.optim.AdamW(weigher.parameters(), lr=rate, weight_decay=0.02)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 30) * (0.01 + 0.495 * (1.0 + math.cos(math.pi * step / steps)))
        drawn = torch.randint(len(pictures), (256,))
        shown = pictures[drawn]
        logits = weigher(shown + 0.1 * torch.randn_like(shown))
        loss = functional.cross_entropy(logits, truth[drawn], label_smoothing=0.03)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return weigher.eval()


@torch.no_grad()
def named(weighers: list[Weigher], differences: Tensor) -> Tensor:
    """Return which condition each look is taken for, int64 [S, 12]."""
    pictures = differences.flatten(0, 1)
    logits = torch.stack([weigher(weigher.plain(pictures)).log_softmax(dim=1) for weigher in weighers]).sum(dim=0)
    return logits.argmax(dim=1).reshape(len(differences), len(NAMES))


def by_folds(differences: Tensor, *, folds: int, steps: int, seeds: range) -> Tensor:
    """Return which condition each look is taken for by weighers that learnt from the stages of other folds."""
    found = torch.zeros(len(differences), len(NAMES), dtype=torch.int64)
    fold = torch.arange(len(differences)) % folds
    for number in range(folds):
        weighers = [train(differences[fold != number], steps=steps, seed=seed) for seed in seeds]
        found[fold == number] = named(weighers, differences[fold == number])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--looks", type=Path, default=Path("training/looks"))
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--weighers", type=int, default=3)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    paths = [path for path in sorted(args.looks.glob("*.npz")) if int(path.name[:6]) < HELD_OUT]
    if len(paths) < 2 * args.folds:
        parser.error(f"{args.folds} folds need {2 * args.folds} stages in {args.looks} at least, got {len(paths)}")
    differences, seeds = torch.from_numpy(np.stack([differences_of(path) for path in paths])), range(args.weighers)
    found = by_folds(differences, folds=args.folds, steps=args.steps, seeds=seeds)
    right = (found == torch.arange(len(NAMES))).float()
    of_each = {name: round(float(share), 3) for name, share in zip(NAMES, right.mean(dim=0), strict=True)}
    print(json.dumps({"stages": len(paths), "folds": {"all": round(float(right.mean()), 4)} | of_each}), flush=True)
    for stage, look in (right == 0.0).nonzero().tolist():
        print(f"{paths[stage].name}: {NAMES[look]} as {NAMES[int(found[stage, look])]}")
    weighers = nn.ModuleList([train(differences, steps=args.steps, seed=seed) for seed in seeds])
    save_file({name: value.contiguous() for name, value in weighers.state_dict().items()}, args.out)


if __name__ == "__main__":
    main()
