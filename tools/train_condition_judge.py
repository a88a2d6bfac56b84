"""Train the judge of conditions: ``tools/train_condition_judge.py --pairs training/data --looks training/looks``.

It learns from path-traced pictures of training stages: half from the training pairs of the model
(`make_training_data.py`), whose looks lie between the 12 and count for the near ones, half from stages drawn under
exactly the 12 (`condition_looks.py`). The last tenth of the latter is kept apart and measured on. First the eyes learn
from mirrored and cut pictures, then the mind from what they see of the whole ones.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch  # noqa: TID253
from safetensors.torch import load_file, save_file
from torch import Tensor, nn  # noqa: TID253
from torch.nn import functional  # noqa: TID253

from condition_judge import NAMES, WEIGHTS, Eyes, Mind, look
from cosmos.models.embedded.pairs import HELD_OUT, read_pair
from transfer_conditions import distances

Sample = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Frame and picture, uint8 [H, W, 3], and the share of each condition, float32 [12]."""
_SURE = 0.95


def shares_of(about: str) -> np.ndarray:
    """Return how much a training pair counts for each condition, float32 [12]: the nearer the more."""
    far = distances(json.loads(about)["conditions"])
    share = np.exp(-0.5 * (np.array([far[name] for name in NAMES]) - min(far.values())))
    return (share / share.sum()).astype(np.float32)


def share_of(name: str) -> np.ndarray:
    """Return a condition as shares, float32 [12]."""
    share = np.full(len(NAMES), (1.0 - _SURE) / (len(NAMES) - 1), np.float32)
    share[NAMES.index(name)] = _SURE
    return share


def from_pair(path: Path) -> Sample:
    """Read a training pair."""
    with np.load(path) as arrays:
        return arrays["rgb"], arrays["target"], shares_of(str(arrays["about"]))


def from_look(path: Path, name: str) -> Sample:
    """Read one look of a stage."""
    with np.load(path) as arrays:
        return arrays["rgb"], arrays[name], share_of(name)


def augment(sample: Sample, rng: np.random.Generator) -> Sample:
    """Mirror, cut a part of seven eighths, and expose a little otherwise."""
    frame, picture, share = sample
    height, width = (size * 7 // 8 for size in frame.shape[:2])
    y, x = rng.integers(frame.shape[0] - height + 1), rng.integers(frame.shape[1] - width + 1)
    part = (slice(y, y + height), slice(x, x + width))
    turn = -1 if rng.random() < 0.5 else 1
    gains = np.exp(rng.normal(0.0, 0.04, 2)).astype(np.float32)
    frame, picture = (np.clip(p[part][:, ::turn] * g, 0, 255) for p, g in zip((frame, picture), gains, strict=True))
    return frame, picture, share


def stacked(samples: list[Sample]) -> tuple[Tensor, Tensor, Tensor]:
    """Return frames and pictures in [0, 1], shape [B, 3, H, W], and shares [B, 12]."""
    frames, pictures, shares = (np.stack(part).astype(np.float32) for part in zip(*samples, strict=True))
    return (*(torch.from_numpy(p / 255.0).permute(0, 3, 1, 2) for p in (frames, pictures)), torch.from_numpy(shares))


def steps_of(net: nn.Module, steps: int, rate: float, decay: float) -> Iterator[torch.optim.Optimizer]:
    """Yield the optimiser for each step, at a rate that rises and falls."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=rate, weight_decay=decay)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 50) * (0.01 + 0.495 * (1.0 + math.cos(math.pi * step / steps)))
        optimizer.zero_grad(set_to_none=True)
        yield optimizer


def train_eyes(pairs: list[Path], looks: list[Path], *, steps: int, batch: int, seed: int) -> Eyes:
    """Teach the eyes."""
    torch.manual_seed(seed)
    eyes, rng, losses = Eyes().train(), np.random.default_rng(seed), []
    for step, optimizer in enumerate(steps_of(eyes, steps, 3e-3, 0.02), 1):
        drawn = [from_pair(pairs[index]) for index in rng.integers(len(pairs), size=batch // 2)]
        for index in rng.integers(len(looks), size=batch - batch // 2):
            drawn.append(from_look(looks[index], NAMES[int(rng.integers(len(NAMES)))]))
        frames, pictures, shares = stacked([augment(sample, rng) for sample in drawn])
        loss = functional.cross_entropy(eyes(frames, pictures), shares)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % 100 == 0 or step == steps:
            print(json.dumps({"eyes": step, "loss": round(float(np.mean(losses[-100:])), 4)}), flush=True)
    return eyes.eval()


def seen_of(eyes: Eyes, paths: list[Path]) -> tuple[Tensor, Tensor]:
    """Return what the eyes see of pairs or looks, shape [N, inputs], and the shares, [N, 12]."""
    seen, shares = [], []
    for path in paths:
        arrays = read_pair(path)
        hints = (arrays["hints"].astype(np.float32) - 127.5) / 127.0
        names = [name for name in NAMES if name in arrays] or ["target"]
        seen.append(look(eyes, arrays["rgb"], hints, [arrays[name] for name in names]))
        shares += [shares_of(str(arrays["about"]))] if names == ["target"] else [share_of(name) for name in names]
    return torch.cat(seen), torch.from_numpy(np.stack(shares))


def train_mind(
    eyes: Eyes, pairs: list[Path], looks: list[Path], apart: list[Path], *, steps: int, seed: int
) -> tuple[Mind, dict[str, float]]:
    """Teach the mind; return it and the share of held-out looks that it names rightly, of all and of each."""
    torch.manual_seed(seed)
    (seen, shares), (more, sure), (held, truth) = (seen_of(eyes, paths) for paths in (pairs, looks, apart))
    mind, both = Mind().train(), torch.cat([seen, more])
    mind.mean.copy_(both.mean(dim=0))
    mind.scale.copy_(1.0 / both.std(dim=0).clamp(min=1e-3))
    for optimizer in steps_of(mind, steps, 2e-3, 0.05):
        a, b = (torch.randint(len(part), (96,)) for part in (seen, more))
        loss = functional.cross_entropy(mind(torch.cat([seen[a], more[b]])), torch.cat([shares[a], sure[b]]))
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = mind.eval()(held).argmax(dim=1) == truth.argmax(dim=1)
    of_each = {name: float(right[truth.argmax(dim=1) == index].float().mean()) for index, name in enumerate(NAMES)}
    return mind, {"all": float(right.float().mean())} | of_each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, default=Path("training/data"))
    parser.add_argument("--looks", type=Path, default=Path("training/looks"))
    parser.add_argument("--steps", type=int, default=900, help="of the eyes")
    parser.add_argument("--mind-steps", type=int, default=3000)
    parser.add_argument("--eyes", type=Path, help="a judge whose eyes are taken as they are")
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    pairs = [path for path in sorted(args.pairs.glob("*.npz")) if int(path.name[:6]) < HELD_OUT]
    looks = [path for path in sorted(args.looks.glob("*.npz")) if int(path.name[:6]) < HELD_OUT]
    kept = len(looks) - max(1, len(looks) // 10)
    if args.eyes is None:
        eyes = train_eyes(pairs, looks[:kept], steps=args.steps, batch=args.batch, seed=args.seed)
    else:
        eyes, saved = Eyes().eval(), load_file(args.eyes)
        found = {name[5:]: value.float() for name, value in saved.items() if name.startswith("eyes.")}
        eyes.load_state_dict(found, strict=False)
    mind, held_out = train_mind(eyes, pairs, looks[:kept], looks[kept:], steps=args.mind_steps, seed=args.seed)
    print(json.dumps({"held_out": {name: round(share, 3) for name, share in held_out.items()}}), flush=True)
    state = nn.ModuleDict({"eyes": eyes, "mind": mind}).state_dict()
    save_file({name: v.half().contiguous() for name, v in state.items() if v.is_floating_point()}, args.out)


if __name__ == "__main__":
    main()
