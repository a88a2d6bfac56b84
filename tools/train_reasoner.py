"""Train the embedded reasoner on plays that make_reasoner_data.py rendered.

``python tools/train_reasoner.py --plays training/plays --pictures training/data --out training/reasoner --minutes 45``

Reads new stages as they are made. ``--pictures`` names pairs of make_training_data.py: their targets teach the weather
of other scenes, each as a clip that stands still. Writes a checkpoint every other minute and goes on from it; at the
end the weights are exported with their configuration. Stages from 900000 on are never read here; every sixteenth stage
is kept aside.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch  # noqa: TID253
from safetensors.torch import load_file, save_file

from cosmos.models.reason_small.net import ReasonNet, ReasonNetConfig
from cosmos.models.reason_small.training import loss_of, make_batch, still
from cosmos.models.reason_small.words import EVENTS, WEATHER
from make_reasoner_data import HELD_OUT, setting_of, setting_of_scene

KEPT_EVERY = 16
"""Every so many stages one is kept from training, to look at while it runs."""
POSSIBLE = 0.5
"""Share of plays without an event among those that are drawn; each event has an even share of the rest."""
WORDS_EVERY = 3
"""Steps of which one teaches the decoder as well, which costs as much as the rest."""


class Stills:
    """Pictures in memory with their settings, by weather.

    Args:
        folder: Pairs of make_training_data.py, or none.
        size: Height and width to bring them to [px].
        most: Most pictures of each weather.
    """

    def __init__(self, folder: Path | None, size: tuple[int, int], most: int) -> None:
        self.pictures: dict[str, list[tuple[np.ndarray, str]]] = {name: [] for name in WEATHER}
        for path in sorted(folder.glob("[0-9]*_[0-9]*.npz")) if folder is not None else []:
            if int(path.stem[:6]) >= HELD_OUT:
                continue
            with np.load(path) as stored:
                about = json.loads(str(stored["about"]))
                name = weather_of(about["conditions"])
                if name is None or len(self.pictures[name]) >= most:
                    continue
                picture = cv2.resize(stored["target"], (size[1], size[0]), interpolation=cv2.INTER_AREA)
            self.pictures[name].append((picture, setting_of_scene(int(about["scene"]))))

    def draw(self, rng: np.random.Generator, count: int, frames: int) -> list[tuple[np.ndarray, dict[str, Any]]]:
        """Draw clips that stand still, each weather that there is as often as the others."""
        there = [name for name in WEATHER if self.pictures[name]]
        if not there:
            return []
        drawn = []
        for name in rng.choice(there, count):
            picture, setting = self.pictures[name][rng.integers(len(self.pictures[name]))]
            drawn.append(still(picture, str(name), setting, frames))
        return drawn


def weather_of(conditions: Mapping[str, float]) -> str | None:
    """Name the weather of a picture; nothing where it is between two, or none that the net has a word for."""
    strong = [name for name in ("fog", "rain", "snow", "dust", "overcast") if conditions[name] > 0.3]
    if conditions["sun_elevation"] < -6.0:
        return "night" if not set(strong) - {"overcast"} else None
    falling = [name for name in strong if name != "overcast"]
    if len(falling) == 1 and falling[0] in WEATHER:
        return falling[0]
    clear = not strong and conditions["sun_elevation"] > 3.0 and all(conditions[name] < 0.1 for name in WEATHER[1:4])
    return "clear" if clear else None


class Plays:
    """Plays in memory; more come while others are still rendered."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._read = folder, set[str]()
        self.clips: list[np.ndarray] = []
        self.facts: list[dict[str, Any]] = []

    def look_again(self) -> None:
        """Read stages that are new."""
        for path in sorted(self._folder.glob("[0-9]" * 6 + ".npz")):
            number = int(path.stem)
            if path.stem in self._read or number >= HELD_OUT or number % KEPT_EVERY == 0:
                continue
            with np.load(path) as stored:
                self.clips.extend(stored["clips"])
                self.facts.extend({**fact, "setting": setting_of(fact)} for fact in json.loads(str(stored["facts"])))
            self._read.add(path.stem)

    def draw(self, rng: np.random.Generator, count: int) -> tuple[list[np.ndarray], list[dict[str, Any]]]:
        """Draw plays, the events evenly."""
        events = np.array([fact["event"] for fact in self.facts])
        weights = np.zeros(len(events))
        for event in ("none", *EVENTS):
            rows = events == event
            weights[rows] = (POSSIBLE if event == "none" else (1.0 - POSSIBLE) / len(EVENTS)) / max(1, rows.sum())
        picked = rng.choice(len(events), size=count, p=weights / weights.sum())
        return [self.clips[index] for index in picked], [self.facts[index] for index in picked]


def known_parts(net: ReasonNet, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return stored parts as this net takes them; words that are newer than the stored ones keep how they start."""
    parts = dict(state)
    fresh = net.words.weight.detach().clone()
    fresh[: len(parts["words.weight"])] = parts["words.weight"]
    parts["words.weight"] = fresh
    return parts


def rate_at(share: float, best: float) -> float:
    """Learning rate after a share of the time: a short rise, a plateau, a fall to nothing."""
    if share < 0.03:
        return best * share / 0.03
    return best if share < 0.55 else best * max(0.02, 1.0 - (share - 0.55) / 0.45)


def gradients(net: ReasonNet, batch: Any, *, words: bool = True) -> tuple[tuple[torch.Tensor, ...], dict[str, float]]:
    """Return the gradient of one batch, and the parts of its loss; threads may call this side by side."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, parts = loss_of(net, batch, words=words)
    return torch.autograd.grad(loss, tuple(net.parameters()), allow_unused=True, materialize_grads=True), parts


def mixed(rng: np.random.Generator, plays: Plays, stills: Stills, count: int, config: ReasonNetConfig) -> Any:
    """Draw a batch: a fifth stills, where there are some, the rest plays."""
    others = stills.draw(rng, count // 5, config.frames)
    clips, facts = plays.draw(rng, count - len(others))
    return make_batch(
        rng, np.stack([*clips, *(clip for clip, _ in others)]), [*facts, *(fact for _, fact in others)],
        length=config.length,
    )  # fmt: skip


def export(net: ReasonNet, folder: Path, note: dict[str, Any]) -> None:
    """Write weights in half precision, with their configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: part.detach().half().contiguous() for name, part in net.state_dict().items()},
              folder / "net.safetensors")  # fmt: skip
    sha256 = hashlib.sha256((folder / "net.safetensors").read_bytes()).hexdigest()
    config = {
        "name": "reason-small", "revision": "3", "licence": "Apache-2.0", "net": asdict(net.config), **note,
        "files": {"net.safetensors": sha256},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plays", type=Path, default=Path("training/plays"))
    parser.add_argument("--pictures", type=Path, default=None, help="pairs of make_training_data.py, for weather")
    parser.add_argument("--most", type=int, default=500, help="most of those pictures of each weather")
    parser.add_argument("--start", type=Path, default=None, help="weights to start from, of this net or an older one")
    parser.add_argument("--out", type=Path, default=Path("training/reasoner"))
    parser.add_argument("--minutes", type=float, default=45.0, help="time to train, as the clock on the wall says")
    parser.add_argument("--batch", type=int, default=8, help="clips a worker and step")
    parser.add_argument("--workers", type=int, default=4, help="threads; each works on a batch of its own")
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)
    net = ReasonNet(ReasonNetConfig()).train()
    if args.start is not None:
        fresh = net.load_state_dict(known_parts(net, load_file(args.start / "net.safetensors")), strict=False)
        print(f"{args.start} knows all but {len(fresh.missing_keys)} parts of the net", flush=True)
    adam = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=0.02, betas=(0.9, 0.98))
    checkpoint, step, spent = args.out / "checkpoint.pt", 0, 0.0
    args.out.mkdir(parents=True, exist_ok=True)
    if checkpoint.exists():
        stored = torch.load(checkpoint, weights_only=True)
        net.load_state_dict(stored["net"])
        adam.load_state_dict(stored["adam"])
        step, spent = stored["step"], stored["spent"]
    plays, rng = Plays(args.plays), np.random.default_rng([args.seed, step])
    plays.look_again()
    stills = Stills(args.pictures, (net.config.height, net.config.width), args.most)
    print(f"{ {name: len(found) for name, found in stills.pictures.items()} } stills", flush=True)
    print(
        f"{sum(part.numel() for part in net.parameters()) / 1e6:.2f} M parameters, {len(plays.facts)} plays", flush=True
    )
    began, cpu, saved, first = time.monotonic() - spent * 60.0, time.process_time(), time.monotonic(), step
    shown: dict[str, float] = {}
    pool = ThreadPoolExecutor(args.workers)
    while (minutes := (time.monotonic() - began) / 60.0) < args.minutes:
        for group in adam.param_groups:
            group["lr"] = rate_at(minutes / args.minutes, args.rate)
        batches = [mixed(rng, plays, stills, args.batch, net.config) for _ in range(args.workers)]
        teach = step % WORDS_EVERY == 0
        made = list(pool.map(lambda batch, teach=teach: gradients(net, batch, words=teach), batches))
        for parameter, *parts in zip(net.parameters(), *(grads for grads, _ in made), strict=True):
            parameter.grad = torch.stack(parts).mean(dim=0)
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        adam.step()
        step += 1
        for name in made[0][1]:
            value = float(np.mean([parts[name] for _, parts in made]))
            shown[name] = 0.98 * shown.get(name, value) + 0.02 * value
        if time.monotonic() - saved > 120.0 or step == first + 20:
            saved = time.monotonic()
            state = {"net": net.state_dict(), "adam": adam.state_dict()}
            torch.save({**state, "step": step, "spent": minutes}, checkpoint)
            plays.look_again()
            told = ", ".join(f"{name} {value:.3f}" for name, value in shown.items())
            rate = (step - first) * args.batch * args.workers / (time.process_time() - cpu)
            print(
                f"{minutes:.1f} min, step {step}, {len(plays.facts)} plays, {rate:.1f} clips a CPU s: {told}",
                flush=True,
            )
    note = {"steps": step, "plays": len(plays.facts), "threshold": 0.5, "claims": []}
    export(net.eval(), args.out, note)
    print(f"exported to {args.out} after {step} steps", flush=True)


if __name__ == "__main__":
    main()
